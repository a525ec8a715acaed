#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How tests/unit-tests counts what was skipped, with a meson that is made up here.

usage: skips_test.py [unittest arguments]
"""
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MESON = '''#!/bin/sh
[ "$CRITERION_VERBOSITY_LEVEL" = 1 ] || exit 9
mkdir -p "$3/meson-logs"
cp "{directory}/log" "$3/meson-logs/testlog.txt"
cat "{directory}/summary"
exit {status}
'''
# Of each test what meson logs: name, result, what it wrote.
TEST = '''=================================== 1/9 ====================================
test:         {}
start time:   08:23:20
duration:     1.96s
result:       {}
command:      /build/tests/test
----------------------------------- stdout -----------------------------------
{}
==============================================================================

'''
SUMMARY = 'Ok: {}\nExpected Fail: 0\nFail: {}\nSkipped: {}\nTimeout: 0\n'
SUITE = '[====] Synthesis: Tested: {} | Passing: {} | Failing: {} | Crashing: 0 '
GOOD, SKIPPED, BAD = 'exit status 0', 'exit status 77', 'exit status 1'

WORDS = ('words', GOOD, 'OK')


class Skips(unittest.TestCase):
    def expect(self, last, skips, tests, status=0):
        """tests: name, result, output of each."""
        with tempfile.TemporaryDirectory() as directory:
            good, skipped, bad = (sum(test[1] == result for test in tests)
                                  for result in (GOOD, SKIPPED, BAD))
            self.write(directory, 'meson', MESON.format(directory=directory, status=status))
            self.write(directory, 'log', ''.join(TEST.format(*test) for test in tests))
            self.write(directory, 'summary', SUMMARY.format(good, bad, skipped))
            environment = dict(os.environ, PATH=directory + ':' + os.environ['PATH'])
            result = subprocess.run([os.path.join(ROOT, 'tests/unit-tests'), directory],
                                    env=environment,
                                    stdout=subprocess.PIPE, text=True, check=False)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[-1], 'unit tests: ' + last)
        self.assertEqual([line for line in lines if line.startswith('skipped ')], skips)
        self.assertEqual(result.returncode, 0 if ' 0 failed' in last else 1)

    @staticmethod
    def write(directory, name, text):
        with open(os.path.join(directory, name), 'w', encoding='ascii') as file:
            file.write(text)
        os.chmod(os.path.join(directory, name), 0o755)

    def test_none(self):
        self.expect('2 passed, 0 failed', [], [('walker', GOOD, SUITE.format(9, 9, 0)), WORDS])

    def test_cases_of_a_suite(self):
        self.expect('1 passed, 0 failed, 1 skipped', ['skipped kvm::nmis: no /dev/kvm: none'],
                    [('kvm', GOOD, '[RUN ] kvm::nmis\n[SKIP] kvm::nmis: no /dev/kvm: none\n'
                      + SUITE.format(5, 5, 0))])

    def test_all_of_a_suite(self):
        self.expect('1 passed, 0 failed, 2 skipped', ['skipped a::b: why', 'skipped a::c: why'],
                    [('a', GOOD, '[SKIP] a::b: why\n[SKIP] a::c: why\n' + SUITE.format(0, 0, 0)),
                     WORDS])

    def test_a_suite_of_nothing_is_skipped_and_no_more(self):
        self.expect('0 passed, 0 failed, 1 skipped', ['skipped a::b: why'],
                    [('a', GOOD, '[SKIP] a::b: why\n' + SUITE.format(0, 0, 0))])

    def test_a_program(self):
        self.expect('1 passed, 0 failed, 1 skipped', ['skipped cli-kvm: no /dev/kvm'],
                    [('cli-kvm', SKIPPED, 'skipped: no /dev/kvm'), WORDS])

    def test_a_program_that_does_not_say_why(self):
        self.expect('0 passed, 0 failed, 1 skipped', ['skipped quiet: it did not say why'],
                    [('quiet', SKIPPED, '')])

    def test_failures_stay(self):
        self.expect('1 passed, 1 failed, 1 skipped', ['skipped a::b: why'],
                    [('a', BAD, '[SKIP] a::b: why\n' + SUITE.format(2, 1, 1)), WORDS], 1)

    def test_nothing_at_all(self):
        self.expect('0 passed, 1 failed', [], [])


if __name__ == '__main__':
    unittest.main()
