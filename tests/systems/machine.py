# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine that a script watches and types to, by its monitor on a Unix socket."""
import os
import re
import socket
import subprocess
import tempfile
import time

KEYS = {' ': 'spc', '\n': 'ret', '-': 'minus', '=': 'equal', '[': 'bracket_left',
        ']': 'bracket_right', ';': 'semicolon', "'": 'apostrophe', '`': 'grave_accent',
        '\\': 'backslash', ',': 'comma', '.': 'dot', '/': 'slash', '\t': 'tab'}
SHIFTED = dict(zip('!@#$%^&*()_+{}:"~|<>?', "1234567890-=[];'`\\,./"))
PROMPT = b'(ringfence) '


class Failed(Exception):
    """What was expected did not come; says what, and what the screen showed."""


def run(*command, **how):
    """What a program of the host's says."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    if result.returncode:
        raise Failed(f'{command[0]}: {(result.stdout + result.stderr)[-800:].strip()}')
    return result.stdout


def key_name(character):
    """What sendkey calls the keys that type a character on an American keyboard."""
    if character in SHIFTED:
        return 'shift-' + key_name(SHIFTED[character])
    if character.isupper():
        return 'shift-' + character.lower()
    return KEYS.get(character, character)


class Machine:
    """with Machine(ringfence, "-hda", image) as m: m.wait_for("login:", 60)"""

    def __init__(self, emulator, *arguments):
        self.emulator, self.arguments = emulator, arguments
        self.folder = tempfile.TemporaryDirectory(prefix='ringfence-systems-')
        self.pending = b''

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def __enter__(self):
        self.said = open(self.path('said'), 'w+b')
        # A socket that listens before the machine is there: no waiting for its path to appear.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path('monitor'))
            listener.listen(1)
            listener.settimeout(60)
            self.process = subprocess.Popen(
                [self.emulator, '-display', 'none', *self.serial(), '-chardev',
                 f'socket,id=monitor,path={self.path("monitor")}', '-monitor',
                 'chardev:monitor', *self.arguments],
                stdin=subprocess.DEVNULL, stdout=self.said, stderr=subprocess.STDOUT)
            try:
                self.monitor, _ = listener.accept()
            except socket.timeout:
                self.end()
                raise Failed('it did not start: ' + self.messages()) from None
        self.read_answer(60)
        return self

    def serial(self):
        return [] if '-serial' in self.arguments else ['-serial', 'none']

    def __exit__(self, *_):
        self.end()
        self.said.close()
        self.folder.cleanup()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def messages(self):
        self.said.seek(0)
        return self.said.read().decode(errors='replace').strip()

    def read_answer(self, seconds):
        self.monitor.settimeout(seconds)
        while PROMPT not in self.pending:
            try:
                more = self.monitor.recv(65536)
            except socket.timeout:
                raise Failed(f'no answer within {seconds} seconds') from None
            if not more:
                self.process.wait(60)
                raise Failed(f'it ended with status {self.process.returncode}: '
                             + self.messages())
            self.pending += more
        answer, _, self.pending = self.pending.partition(PROMPT)
        return answer.decode(errors='replace')

    def command(self, text, seconds=60):
        """What the monitor answers."""
        self.monitor.sendall(text.encode() + b'\n')
        return self.read_answer(seconds)

    def screen(self):
        """The lines of a text mode, without what is empty."""
        said = self.command(f'screendump {self.path("screen.txt")}')
        if not os.path.exists(self.path('screen.txt')):
            raise Failed('no picture of the screen: ' + said)
        with open(self.path('screen.txt'), encoding='utf-8') as f:
            lines = [line.rstrip() for line in f]
        return '\n'.join(line for line in lines if line)

    def picture(self, path):
        self.command(f'screendump {os.path.abspath(path)}')

    def wait_for(self, text, seconds):
        """Until the screen has text; then returns all of it."""
        answer = self.command(f'waitfor {seconds} {text}', seconds + 60)
        screen = self.screen()
        if text not in screen and 'waitfor:' in answer:
            raise Failed(f'no "{text}" within {seconds} seconds; the screen has:\n{screen}')
        return screen

    def key(self, *names):
        for name in names:
            self.command('sendkey ' + name)

    def type(self, text):
        """Types text, as fast as people may; a new line is the enter key."""
        for character in text:
            self.key(key_name(character))
            time.sleep(0.05)

    def wait_for_end(self, seconds):
        """Until the guest has powered off."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f'it did not end within {seconds} seconds; the screen has:\n'
                         + self.screen()) from None
        if status:
            raise Failed(f'it ended with status {status}: ' + self.messages())


def expect(screen, *patterns):
    """Each of these regular expressions is on the screen."""
    for pattern in patterns:
        if not re.search(pattern, screen):
            raise Failed(f'no "{pattern}" on the screen:\n{screen}')
