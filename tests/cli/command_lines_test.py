#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines of the kinds that people have for QEMU, each with what becomes of it here: the
table is tests/cli/command-lines.md, which says how to read it. And QEMU's options, by name
(tests/cli/qemu-options): none is unknown.

usage: command_lines_test.py RINGFENCE [unittest arguments]
"""
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

import needs_engine

import cli_test
from cli_test import HALT, POWER_OFF, RESET, Case, elf

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 300
QEMU = 'qemu-system-i386'
# Sends a byte that is in no text, and powers off; where that cannot be done, resets.
BYTE = '\x06'
GUEST = bytes.fromhex('66 ba f8 03 b0 06 ee') + POWER_OFF[:-len(HALT)] + RESET
# The host decides whether there is KVM.
OF_THE_HOST = re.compile(r'^ringfence: -accel kvm: .*; going on with -accel bt$')
NOTE = 'ringfence: note: '
LEAST_ROWS = 60


def linux(code):
    """As much of a bzImage as the boot protocol 2.03 asks for (Documentation/x86/boot.rst)."""
    setup = bytearray(1024)
    for offset, field in ((0x1f1, b'\1'), (0x1f4, struct.pack('<I', len(code) // 16)),
                          (0x1fe, b'\x55\xaa\xeb\x3aHdrS\3\2'), (0x211, b'\1'),
                          (0x214, struct.pack('<I', 0x100000)),
                          (0x22c, struct.pack('<I', 0x37ffffff))):
        setup[offset:offset + len(field)] = field
    return bytes(setup) + code


def multiboot(image):
    """The ELF image with a header (Multiboot 0.6.96, 3.1.1), so that it takes -append."""
    magic = 0x1badb002
    return image[:256] + struct.pack('<III', magic, 0, -magic & 0xffffffff) + image[268:]


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as server:
        return str(server.getsockname()[1])


class Row:
    def __init__(self, number, line):
        command, expected = (part.strip() for part in line.strip('|\n').split(' | ', 1))
        self.number = number
        self.command = command.strip('`')
        self.what = re.match('[a-z]+', expected)[0]
        self.said = re.findall('`(.*?)`', expected)

    def argv(self):
        words = shlex.split(self.command.replace('PORT', free_port()))
        if words[0] != QEMU:
            raise ValueError(f'row {self.number} is not of {QEMU}: {self.command}')
        return [cli_test.PROGRAM, *words[1:]]


def rows():
    with open(os.path.join(HERE, 'command-lines.md')) as f:
        return [Row(n, line) for n, line in enumerate(f, 1) if line.startswith('| `')]


def options():
    """(name, whether it has an argument) of QEMU's."""
    with open(os.path.join(HERE, 'qemu-options')) as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith('#')]
    return [(words[0], len(words) > 1) for words in lines]


class CommandLines(Case):
    def setUp(self):
        super().setUp()
        for name, data in (('kernel.bin', multiboot(elf(GUEST))), ('myos.elf', elf(GUEST)),
                           ('bzImage', linux(GUEST)), ('vmlinuz', linux(GUEST)),
                           ('initrd.img', bytes(5000)), ('disk.img', bytes(5120)),
                           ('os.iso', bytes(5120)), ('floppy.img', bytes(1440 * 1024))):
            with open(os.path.join(self.dir, name), 'wb') as f:
                f.write(data)

    def run_row(self, row):
        process = subprocess.Popen(row.argv(), cwd=self.dir, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if row.what == 'stays':
            self.end_when_it_runs(process)
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return process.returncode, out, [line for line in err.splitlines()
                                         if not OF_THE_HOST.match(line)]

    @staticmethod
    def end_when_it_runs(process):
        """By the threads of the machine, beside the main one: the event loop's and the vCPU's."""
        end = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < end:
            if len(os.listdir(f'/proc/{process.pid}/task')) >= 3:
                process.send_signal(signal.SIGTERM)
                return
            time.sleep(0.01)

    def expect_lines(self, wanted, lines):
        self.assertEqual(len(lines), len(wanted), lines)
        for words, line in zip(wanted, lines):
            self.assertIn(words, line)

    def check(self, row):
        status, out, err = self.run_row(row)
        if row.what in ('runs', 'stays'):
            self.assertEqual(status, 0, err)
            others = [line for line in err if not line.startswith(NOTE)]
            ended = ['ringfence: terminating on signal 15 (SIGTERM)'] * (row.what == 'stays')
            self.assertEqual(others, ended)
            self.assertTrue(out == '' or BYTE in out or 'SeaBIOS' in out, out)
            self.expect_lines(row.said, [line for line in err if line.startswith(NOTE)])
        elif row.what == 'refused':
            self.assertEqual((status, out), (1, ''))
            self.expect_lines(row.said, err)
        else:
            self.assertEqual((row.what, status, err), ('prints', 0, []))
            self.assertIn(row.said[0], out)

    def test_rows(self):
        for row in rows():
            with self.subTest(row=row.number, command=row.command):
                self.check(row)

    def test_rows_that_do_not_hold_are_noticed(self):
        for line in ('| `Q -kernel kernel.bin` | runs |',
                     '| `Q -nographic -kernel kernel.bin -m 4G` | runs |',
                     '| `Q -nographic -kernel kernel.bin` | runs, with a note: `-m 4G` |',
                     '| `Q -kernel kernel.bin -nographic` | refused: `-m x` |',
                     '| `Q -kernel kernel.bin -nographic -m x -smp 2` | refused: `-m x` |',
                     '| `Q -kernel kernel.bin -nographic -m x` | refused: `-m x`, `-smp` |',
                     '| `Q -kernel kernel.bin -nographic -m x` | refused: `-m y` |',
                     '| `Q -kernel kernel.bin` | stays |', '| `Q -bogus` | prints: `usage:` |',
                     '| `Q -help` | prints: `xyzzy` |', '| `Q -help` | runs |'):
            row = Row(0, line.replace('Q', QEMU))
            with self.subTest(line=line), self.assertRaises(AssertionError):
                self.check(row)

    def test_there_are_enough(self):
        commands = [row.command for row in rows()]
        self.assertGreaterEqual(len(commands), LEAST_ROWS)
        self.assertEqual(len(commands), len(set(commands)))


class Options(Case):
    def test_none_of_qemu_is_unknown(self):
        """All at once: each of the others is accepted, or refused by its name."""
        words = []
        for name, has_arg in options():
            words += ['-' + name] + (['what'] if has_arg else [])
        result = subprocess.run([cli_test.PROGRAM, *words], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, timeout=TIMEOUT)
        self.assertEqual(result.returncode, 1)
        wrong = [line for line in result.stderr.splitlines()
                 if re.search("unknown option|is not an option|needs an argument", line)]
        self.assertEqual(wrong, [])

    def test_what_is_not_available_says_what_to_do(self):
        for name, has_arg in options():
            result = subprocess.run([cli_test.PROGRAM, '-nographic', '-kernel', 'k', '-' + name,
                                     *(['what'] if has_arg else [])], capture_output=True,
                                    text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT)
            for line in result.stderr.splitlines():
                if 'not available here' in line:
                    self.assertRegex(line, f'^ringfence: -{name} is an option of QEMU that is not '
                                           'available here; [a-z-]')
                    self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_ours_are_qemus(self):
        text = subprocess.run([cli_test.PROGRAM, '-help'], capture_output=True, text=True,
                              timeout=TIMEOUT).stdout
        ours = set(re.findall('^-([A-Za-z-]+)', text, re.MULTILINE))
        self.assertGreater(len(ours), 30)
        self.assertEqual(ours - {name for name, _ in options()} - {'help', 'h', 'version'}, set())

    def test_the_list_has_all_of_an_installed_qemu(self):
        if not shutil.which(QEMU):
            needs_engine.skip(self, f'there is no {QEMU}')
        text = subprocess.run([QEMU, '-help'], capture_output=True, text=True, check=True).stdout
        theirs = set()
        for word in re.findall(r'^-(-?[A-Za-z][\w/-]*)', text, re.MULTILINE):
            theirs |= {part.strip('-') for part in word.split('/')}
        self.assertEqual(theirs - {name for name, _ in options()} - {'help', 'h', 'version'}, set())


if __name__ == '__main__':
    cli_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
