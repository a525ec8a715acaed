#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of ./demo, ./check and the tests' own programs: what they refuse before they do
anything, and --help.

usage: words_test.py FUZZ HOSTILE-FUZZ EMULATOR [unittest arguments]
"""
import os
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT = 300  # what takes longer hangs
FUZZ = HOSTILE = EMULATOR = ''
ABSENT = '/nonexistent/program'

SCRIPTS = ['check', 'demo', 'tests/boot/run', 'tests/boot/matrix', 'tests/sanitize/run',
           'tests/fuzz/run', 'tests/guest/run']

# Words, and what of them the message names.
FUZZ_REFUSES = [
    (['--bt-options', 'foo=1', '--cases', '100'], 'foo=1'),
    (['--bt-options', 'tu-insns=x'], 'tu-insns=x'), (['--engine', 'xen'], 'xen'),
    (['--oracle', 'xen'], 'unicorn'), (['--comparison', 'bt-xen'], 'bt-host'),
    (['--cases', 'abc'], 'abc'), (['--cases', '-1'], '-1'),
    (['--seed', '1x'], '1x'), (['--seconds', 'nan'], 'nan'), (['left', 'over'], 'left'),
    (['--replay'], 'directory'), (['--bogus'], 'bogus'),
    (['--record-answers', ABSENT, '--oracle', 'unicorn'], 'interp'),
    (['--record-answers', ABSENT, '--cases', '0'], 'cases'),
]
HOSTILE_REFUSES = [
    (['--engine', 'xen'], 'both'), (['--cases', 'abc'], 'abc'), (['--cases', '-1'], '-1'),
    (['--seed', 'abc'], 'abc'),
    (['--seed', '18446744073709551616'], '18446744073709551616'), (['--seconds', '0'], 'seconds'),
    (['--options', 'foo'], "'foo'"),
    (['--options', 'profile=' + 300 * 'x'], 'characters'), (['--cases', '1', 'over'], 'over'),
    (['--self-test', 'over'], 'over'), (['--bogus'], 'bogus'),
]
SCRIPTS_REFUSE = [
    ('check', ['bogus'], 'bogus'), ('check', ['--build'], '--build'),
    ('demo', ['--batch', '--emulator', ABSENT], ABSENT),
    ('demo', ['--accel', 'xen'], 'xen'), ('demo', ['--accel', 'xen,links=off'], 'interp'),
    ('tests/boot/run', [ABSENT], ABSENT),
    ('tests/boot/run', ['one', 'two'], 'two'), ('tests/boot/matrix', ['--all', ABSENT], ABSENT),
    ('tests/sanitize/run', ['one', 'two'], 'two'),
    ('tests/fuzz/run', [ABSENT, '1'], ABSENT), ('tests/guest/run', ['--engine', 'xen'], 'xen'),
    ('tests/guest/run', ['--guest', ABSENT], 'ninja -C build'),
    ('tests/guest/run', ['--emulator', ABSENT], ABSENT),
]


def run(*command, path=None):
    """Status, output and messages; what does not end is ended with all that it has started."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True,
                               text=True, env=dict(os.environ, PATH=path or os.environ['PATH']))
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, out, err


class Words(unittest.TestCase):
    def refuses(self, program, words, named):
        with self.subTest(program=program, words=words):
            status, _, err = run(program, *words)
            self.assertEqual(status, 2, err)
            self.assertIn(named, err)
            self.assertNotIn('Traceback', err)

    def test_fuzz(self):
        for words, named in FUZZ_REFUSES:
            self.refuses(FUZZ, words, named)

    def test_hostile_fuzz(self):
        for words, named in HOSTILE_REFUSES:
            self.refuses(HOSTILE, words, named)

    def test_scripts(self):
        for script, words, named in SCRIPTS_REFUSE:
            self.refuses(os.path.join(ROOT, script), words, named)
        for script in SCRIPTS:
            self.refuses(os.path.join(ROOT, script), ['--bogus'], '--bogus')

    def test_engine_the_emulator_lacks(self):
        """demo asks the emulator it is to start."""
        self.refuses(os.path.join(ROOT, 'demo'),
                     ['--emulator', EMULATOR, '--accel', 'tcg'], 'interp')

    def test_host_that_will_not_do(self):
        """demo says so before it does anything."""
        programs = {'emulator': 'echo "kvm      KVM: not usable here: none of it"',
                    'df': 'printf "x\\nx 9 9 7 9 /\\n"', 'uname': 'echo Plan9'}
        probe = os.path.join(ROOT, 'tests/guest-image/host-probe')
        with tempfile.TemporaryDirectory() as directory:
            for name, text in programs.items():
                with open(os.path.join(directory, name), 'w', encoding='ascii') as file:
                    file.write(f'#!/bin/sh\n{text}\n')
                os.chmod(file.name, 0o755)
            status, out, err = run(probe, 'kvm', os.path.join(directory, 'emulator'),
                                   path=directory + ':' + os.environ['PATH'])
        self.assertEqual((status, out), (1, ''))
        for text in ('-accel kvm: none of it', '7 MiB of disk are free', 'this is Plan9 on Plan9'):
            self.assertIn(text, err)

    def test_host_that_will_do(self):
        self.assertEqual(run(os.path.join(ROOT, 'tests/guest-image/host-probe'), 'interp'),
                         (0, '', ''))

    def test_help(self):
        for script in SCRIPTS:
            for word in ('--help', '-h'):
                with self.subTest(script=script, word=word):
                    status, out, _ = run(os.path.join(ROOT, script), word)
                    self.assertEqual(status, 0)
                    self.assertIn(os.path.basename(script), out)
        for program in (FUZZ, HOSTILE):
            status, out, _ = run(program, '--help')
            self.assertEqual(status, 0)
            self.assertIn('Exit status', out)


if __name__ == '__main__':
    FUZZ, HOSTILE, EMULATOR = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
    unittest.main()
