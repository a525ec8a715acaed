#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's screen: -display curses, and the monitor's commands for it.

usage: display_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. What needs Debian's package seabios is skipped without
it, with the reason.
"""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import needs_engine

ENGINE = os.environ.get('ENGINE', 'bt')
SEABIOS = '/usr/share/seabios/bios-256k.bin'
PATIENCE = 120
ROWS, COLUMNS = 30, 100
RINGFENCE = ''


def vt100(output):
    """The screen after that, by the sequences that curses sends a VT100 without scrolling."""
    lines = [[' '] * COLUMNS for _ in range(ROWS)]
    x = y = 0
    for numbers, letter, other in re.findall(r'\x1b\[([0-9;?]*)([A-Za-z])|(\x1b[()].|\x1b.|.)',
                                             output.decode(errors='replace'), re.DOTALL):
        first = [int(n or 0) for n in numbers.strip('?').split(';')]
        count = first[0] or 1
        if letter == 'H':
            y, x = count - 1, (first + [1])[1] - 1
        elif letter in 'ABCD' and letter:
            y += {'A': -count, 'B': count}.get(letter, 0)
            x += {'C': count, 'D': -count}.get(letter, 0)
        elif letter in 'JK' and letter:
            start, end = ((x, COLUMNS), (0, x + 1), (0, COLUMNS))[first[0]]
            lines[y][start:end] = [' '] * (end - start)
            for line in lines[y + 1:] if letter == 'J' else []:
                line[:] = [' '] * COLUMNS
        elif other == '\r':
            x = 0
        elif other == '\n':
            y += 1
        elif other == '\b':
            x -= 1
        elif other >= ' ':
            lines[y][min(x, COLUMNS - 1)] = other
            x += 1
        x, y = max(x, 0), min(max(y, 0), ROWS - 1)
    return lines


class Screen:
    """A terminal of 100 by 30 with the program on it."""

    def __init__(self, *args, term='vt100'):
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.environ.update(TERM=term, LC_ALL='C.UTF-8')
            os.execv(RINGFENCE, [RINGFENCE, '-accel', ENGINE, '-m', '32', *args])
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', ROWS, COLUMNS, 0, 0))
        self.seen = b''
        self.open = True

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return
        try:
            more = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            more = b''
        self.open = bool(more)
        self.seen += more

    def text(self):
        """What a VT100 would show of what was written."""
        return '\n'.join(''.join(line).rstrip() for line in vt100(self.seen))

    def until(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.text():
            if time.monotonic() > end or not self.open:
                raise AssertionError(f'no {text!r} in {self.text()!r}')
            self.read(1)

    def type(self, keys):
        os.write(self.master, keys)

    def status(self):
        end = time.monotonic() + PATIENCE
        while self.open and time.monotonic() < end:
            self.read(1)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def need_seabios(case):
    if not os.path.exists(SEABIOS):
        needs_engine.skip(case, "Debian's package seabios is not installed")


class Prompt(unittest.TestCase):
    """The screen and the keyboard by the monitor's commands."""

    def setUp(self):
        need_seabios(self)
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.process = subprocess.Popen(
            [RINGFENCE, '-accel', ENGINE, '-m', '32', '-display', 'none', '-monitor', 'stdio',
             '-boot', 'menu=on,splash-time=60000'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.stdin.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.answer()

    def answer(self):
        """What comes before the next prompt."""
        seen = b''
        end = time.monotonic() + PATIENCE
        while not seen.endswith(b'(ringfence) '):
            self.assertLess(time.monotonic(), end, seen)
            if select.select([self.process.stdout], [], [], 1)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                self.assertTrue(more, seen)
                seen += more
        return seen.decode().replace('\r', '')

    def ask(self, command):
        self.process.stdin.write(command.encode() + b'\n')
        return self.answer().split('\n', 1)[1].removesuffix('(ringfence) ')

    def file(self, name):
        return os.path.join(self.folder, name)

    def test_nobody_waits_for_a_stopped_guest(self):
        """Its clock stands still: commands that wait would have the prompt wait for ever."""
        self.assertEqual(self.ask('stop'), '')
        self.assertIn('the guest is stopped', self.ask('waitfor 5 no such text'))
        said = [self.ask('sendkey a') for _ in range(20)]
        self.assertEqual(said[0], '')
        self.assertIn('the guest is stopped', said[-1])
        self.assertEqual(self.ask('cont'), '')
        self.assertEqual(self.ask('waitfor 100 Press ESC for boot menu'), '')

    def test_keys_text_and_picture(self):
        self.assertEqual(self.ask('waitfor 100 Press ESC for boot menu'), '')
        self.assertEqual(self.ask('sendkey esc'), '')
        self.assertEqual(self.ask('waitfor 100 Select boot device'), '')
        vga = self.ask('info vga')
        self.assertIn('720 by 400 pixels, text of 80 by 25 characters:\n', vga)
        self.assertIn('Select boot device:\n', vga)
        self.assertEqual(self.ask('screendump ' + self.file('a.txt')), '')
        with open(self.file('a.txt'), encoding='utf-8') as text:
            lines = text.read().split('\n')
        self.assertEqual(len(lines), 26)
        self.assertIn('Select boot device:', lines)
        self.assertEqual(self.ask('screendump ' + self.file('a.png')), '')
        with open(self.file('a.png'), 'rb') as picture:
            head = picture.read(24)
        self.assertEqual(head[:8], b'\x89PNG\r\n\x1a\n')
        self.assertEqual(struct.unpack('>II', head[16:]), (720, 400))

    def test_what_is_wrong(self):
        self.assertIn("'no such text' was not on the screen within 1 s",
                      self.ask('waitfor 1 no such text'))
        for command, said in (('waitfor soon x', 'is not SECONDS TEXT'),
                              ('waitfor 5', 'is not SECONDS TEXT'),
                              ('sendkey hyper', "no key is called 'hyper'"),
                              ('sendkey', "no key is called ''"),
                              ('screendump', 'it needs a file'),
                              ('screendump /nodir/a.png', "cannot write '/nodir/a.png'"),
                              ('screendump /dev/full', '/dev/full')):
            with self.subTest(command=command):
                self.assertIn(said, self.ask(command))


class Curses(unittest.TestCase):
    def setUp(self):
        need_seabios(self)

    def test_screen_and_keys_of_the_firmware(self):
        screen = Screen('-display', 'curses', '-boot', 'menu=on,splash-time=60000')
        screen.until('Press ESC for boot menu')
        screen.type(b'\x1b')
        screen.until('Select boot device')
        time.sleep(2)  # an earlier Escape is taken for one too many at the start
        screen.type(b'\x1b')
        screen.until('No bootable device')
        screen.type(b'\x01h')
        screen.until('Ctrl-A x: leave')
        screen.type(b'\x01x')
        self.assertEqual(screen.status(), 0)

    def test_the_terminal_shows_what_it_showed_before(self):
        screen = Screen('-display', 'curses', term='xterm')
        while b'SeaBIOS' not in screen.seen and screen.open:
            screen.read(1)
        screen.type(b'\x01x')
        self.assertEqual(screen.status(), 0)
        self.assertIn(b'\x1b[?1049l', screen.seen)

    def test_without_an_adapter_there_is_nothing_to_show(self):
        screen = Screen('-display', 'curses', '-vga', 'none')
        self.assertEqual(screen.status(), 1)
        self.assertIn('no screen to show', screen.text())

    def test_a_terminal_of_no_known_kind(self):
        screen = Screen('-display', 'curses', term='no-such-terminal')
        self.assertEqual(screen.status(), 1)
        self.assertIn('TERM=no-such-terminal', screen.text())


class NoTerminal(unittest.TestCase):
    def test_curses_needs_one(self):
        need_seabios(self)
        result = subprocess.run([RINGFENCE, '-accel', ENGINE, '-display', 'curses'],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=PATIENCE)
        self.assertEqual(result.returncode, 1)
        self.assertIn('needs a terminal', result.stderr)


if __name__ == '__main__':
    RINGFENCE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
