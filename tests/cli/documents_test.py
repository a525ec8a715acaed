#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is written about the options, beside the options that there are: the manual page, the table
in README.md, bash's completion. What is installed; -version.

usage: documents_test.py RINGFENCE [unittest arguments]
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import needs_engine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REVISION = os.path.join(ROOT, 'monitor/machine/revision')
TIMEOUT = 300
PROGRAM = ''
# Completes the command line that its arguments are.
COMPLETE = '''
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_ringfence
printf '%s\\n' "${COMPREPLY[@]}"
'''


def run(*command, **how):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=TIMEOUT, **how)


def read(name):
    with open(os.path.join(ROOT, name)) as f:
        return f.read()


def options():
    """Those that -help shows, with the forms of their arguments."""
    lines = [line for line in run(PROGRAM, '-help').stdout.splitlines() if line.startswith('-')]
    return {words[0]: words[1] if len(words) > 1 else ''
            for words in (line.split(' ', 1) for line in lines)}


def names(option):
    """Those of "-OPTION help"."""
    lines = run(PROGRAM, option, 'help').stdout.split('\n\n')[0].splitlines()[1:]
    return {line.split()[0] for line in lines if not line.startswith('Properties')}


class Documents(unittest.TestCase):
    def test_the_manual_page_has_these_options(self):
        text = read('docs/ringfence.1').replace('\\-', '-')
        options_section = text.split('.SH OPTIONS')[1].split('.SH KEYS')[0]
        heads = re.findall(r'(?m)^\.TP\n((?:\.BI? .*\n)+)', options_section)
        found = set()
        for head in heads:
            if re.match(r'\.BI? "?-', head):
                found |= set(re.findall(r'(?:^\.BI? "?|, "? ?)(-[A-Za-z-]+)', head, re.MULTILINE))
        self.assertEqual(found, set(options()))

    def test_readme_has_all_options(self):
        rows = re.findall(r'(?m)^\| `(-[^|]*)\|', read('README.md'))
        mentioned = set(re.findall(r'`(-[A-Za-z_-]+)', ' '.join('`' + row for row in rows)))
        self.assertEqual(set(options()) - mentioned, set())
        listed = {'-' + line.split()[0] for line in read('tests/cli/qemu-options').splitlines()
                  if line and not line.startswith('#')} | {'-help', '-h', '-version'}
        self.assertEqual(mentioned - listed, set(), 'not options of QEMU')

    def test_readme_tells_what_is_available(self):
        """By the last cell of a row: none of its options is there, or all are."""
        known = set(options())
        for cells in re.findall(r'(?m)^\| (`-[^|]*)\| (.*) \|$', read('README.md')):
            for option in re.findall(r'`(-[A-Za-z_-]+)', cells[0]):
                with self.subTest(option=option):
                    self.assertEqual(option in known, not cells[1].startswith('not available'))


class Completion(unittest.TestCase):
    def complete(self, *words):
        result = run('bash', '-c', COMPLETE, 'bash', os.path.join(ROOT, 'docs/ringfence.bash'),
                     PROGRAM, *words)
        self.assertEqual(result.stderr, '')
        return set(result.stdout.split())

    def setUp(self):
        if not shutil.which('bash'):
            needs_engine.skip(self, 'there is no bash')

    def test_options(self):
        self.assertEqual(self.complete('-'), set(options()))
        self.assertEqual(self.complete('-nographic', '--no-re'), {'--no-reboot'})

    def test_names(self):
        for option in ('-accel', '-cpu', '-d', '-device', '-machine', '-M'):
            self.assertEqual(self.complete(option, ''), names(option) | {'help'})
        self.assertEqual(self.complete('-d', 'int,cpu_r'), {'int,cpu_reset'})
        self.assertEqual(self.complete('-nographic', '-cpu', 'penti'),
                         {'pentium', 'pentium2', 'pentium3'})
        for option in ('-serial', '-monitor', '-debugcon'):
            offered = self.complete(option, '')
            self.assertTrue({'stdio', 'pty', 'file:', 'telnet:', 'none'} <= offered, offered)

    def test_words(self):
        self.assertEqual(self.complete('-display', ''), {'none', 'curses'})
        self.assertEqual(self.complete('-nic', ''), {'none'})
        self.assertEqual(self.complete('-kernel', ''), set())  # files are bash's
        self.assertEqual(self.complete('-m', ''), set())


class Installation(unittest.TestCase):
    def test_only_the_program_is_built(self):
        """As README.md says to install it. Looks at what ninja would do, and does nothing."""
        with tempfile.TemporaryDirectory() as build:
            setup = run('meson', 'setup', '-Dtests=disabled', build, ROOT)
            self.assertEqual(setup.returncode, 0, setup.stdout + setup.stderr)
            steps = run('ninja', '-C', build, '-n', '-v', 'install').stdout
            self.assertIn(' monitor/machine/libmachine.a', steps)
            for part in ('tests/', 'bench/'):
                self.assertNotRegex(steps, rf'-o {part}|/{part}')
            plan = json.loads(run('meson', 'introspect', '--installed', build).stdout)
        installed = {os.path.relpath(path, '/usr/local') for path in plan.values()}
        self.assertEqual(installed, {'bin/ringfence', 'share/man/man1/ringfence.1',
                                     'share/bash-completion/completions/ringfence'})


class Version(unittest.TestCase):
    def test_version(self):
        said = run(PROGRAM, '-version').stdout
        self.assertRegex(said, r'^ringfence 0\.\d+\.\d+( \(revision [0-9a-f]{7,40}(-dirty)?\))?\n$')
        if run(REVISION, ROOT).returncode == 0:
            self.assertIn('revision', said)
        self.assertIn(said.split()[1], read('docs/ringfence.1').split('\n')[1])

    def test_revisions(self):
        with tempfile.TemporaryDirectory() as directory:
            def git(*words):
                subprocess.run(['git', '-c', 'user.name=x', '-c', 'user.email=x', *words],
                               cwd=directory, check=True, capture_output=True)
            archive = run(REVISION, directory)
            self.assertNotEqual(archive.returncode, 0, 'no working tree')
            git('init')
            with open(os.path.join(directory, 'file'), 'w') as f:
                f.write('one\n')
            git('add', 'file')
            git('commit', '-m', 'one')
            git('tag', 'v9')
            self.assertRegex(run(REVISION, directory).stdout, '^[0-9a-f]{12}\n$')
            os.mkdir(os.path.join(directory, 'unpacked'))
            inside = run(REVISION, os.path.join(directory, 'unpacked'))
            self.assertEqual((inside.returncode != 0, inside.stdout), (True, ''))
            with open(os.path.join(directory, 'file'), 'a') as f:
                f.write('two\n')
            self.assertRegex(run(REVISION, directory).stdout, '^[0-9a-f]{12}-dirty\n$')


if __name__ == '__main__':
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
