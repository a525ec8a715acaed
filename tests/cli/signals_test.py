#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The process among others: every signal there is, stopping and going on at a terminal, limits of
the host.

usage: signals_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine.
"""
import os
import pty
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

import cli_test
import needs_engine
from cli_test import HALT, POWER_OFF, SERIAL_A, SERIAL_ECHO, TIMEOUT, Case, connect, until

REQUESTS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
CRASHES = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV,
           signal.SIGSYS, signal.SIGTRAP}
NOTHING = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH,
           signal.SIGCONT, signal.SIGRTMIN, signal.SIGRTMIN + 1, signal.SIGRTMIN + 2}
STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}

# A shell with one job: says its process id; "fg" and "bg" give the terminal to it and take it.
SHELL = '''
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    if sys.argv[3] == 'fg':
        os.tcsetpgrp(0, os.getpid())
    for number in (signal.SIGTTOU, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.argv[4], sys.argv[4:])
commands, answers = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), 'w', 1)
print(job, file=answers)
for line in commands:
    os.tcsetpgrp(0, job if line == 'fg\\n' else os.getpgrp())
    print('done', file=answers)
status = os.waitpid(job, 0)[1]
print(os.waitstatus_to_exitcode(status), file=answers)
'''


def all_signals():
    return sorted(set(map(int, signal.valid_signals())) - {signal.SIGKILL})


def with_default_actions():
    """What a test is run by may ignore some."""
    for number in REQUESTS | {signal.SIGQUIT, signal.SIGTSTP}:
        signal.signal(number, signal.SIG_DFL)


class AtATerminal(Case):
    def terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        return master, slave, termios.tcgetattr(slave)

    def session(self, code, *args):
        """As the leader of a session whose terminal is another: no job control."""
        master, slave, before = self.terminal()
        command = [word for word in self.command(code, *args)
                   if '-nographic' not in args or word not in ('-display', 'none')]
        process = self.start(command, stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True, preexec_fn=with_default_actions)
        return master, slave, before, process

    def wait_for(self, what, *args):
        end = time.monotonic() + TIMEOUT
        while not what(*args):
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.01)


class EverySignal(AtATerminal):
    def check_end(self, number):
        path = os.path.join(self.dir, 'monitor')
        master, slave, before, process = self.session(
            SERIAL_A + HALT, '-nographic', '-monitor', f'unix:{path},server,nowait')
        until(master, b'A', process)
        self.assertNotEqual(termios.tcgetattr(slave), before)
        self.assertTrue(os.path.exists(path))
        process.send_signal(number)
        status = process.wait(TIMEOUT)
        self.assertEqual(termios.tcgetattr(slave), before)
        if number in CRASHES:
            self.assertEqual(status, -number)
            until(master, b'ringfence: ended by signal %d (SIG' % number, process)
            return
        self.assertEqual(status, 0 if number in REQUESTS else 128 + number)
        until(master, b'ringfence: terminating on signal %d' % number, process)
        self.assertFalse(os.path.exists(path))

    def check_nothing(self, numbers):
        master, slave, before, process = self.session(SERIAL_ECHO, '-nographic')
        os.write(master, b'H')
        until(master, b'I', process)
        raw = termios.tcgetattr(slave)
        for number in numbers:
            process.send_signal(number)
            os.write(master, b'A')
            until(master, b'B', process)
        self.assertEqual(termios.tcgetattr(slave), raw)
        os.write(master, b'\x01x')
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertEqual(termios.tcgetattr(slave), before)

    def test_those_that_end(self):
        for number in all_signals():
            if number not in NOTHING | STOPS:
                with self.subTest(number=number):
                    self.check_end(number)

    def test_those_that_do_nothing(self):
        self.check_nothing(sorted(NOTHING))

    def test_ignored_ones_stay_ignored(self):
        ignored = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1}

        def ignore():
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
        process = self.start(self.command(SERIAL_ECHO, '-serial', 'stdio'), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=ignore)
        for number in ignored:
            process.stdin.write(b'A')
            process.stdin.flush()
            until(process.stdout.fileno(), b'B')
            process.send_signal(number)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertEqual(process.stderr.read(),
                         b'ringfence: terminating on signal 15 (SIGTERM)\n')

    def test_blocked_ones_come_all_the_same(self):
        process = self.start(self.command(SERIAL_A + HALT, '-serial', 'stdio'),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL,
                             preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK,
                                                                       signal.valid_signals()))
        until(process.stdout.fileno(), b'A')
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT), 0)

    def test_processor_time_used_up(self):
        process = self.start(self.command(cli_test.SPIN), stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, preexec_fn=lambda: resource.setrlimit(
                                 resource.RLIMIT_CPU, (1, 60)))
        self.assertEqual(process.wait(TIMEOUT), 128 + signal.SIGXCPU)
        self.assertIn(b'(ulimit -t)', process.stderr.read())


class Jobs(AtATerminal):
    """Under a shell with job control."""
    def job(self, code, *args, start='fg'):
        self.master, self.slave, self.before = self.terminal()
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        self.addCleanup(os.close, self.answers)
        command = [word for word in self.command(code, *args)
                   if '-nographic' not in args or word not in ('-display', 'none')]
        self.shell = self.start([sys.executable, '-c', SHELL, str(commands), str(answers), start,
                                 *command], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                start_new_session=True, pass_fds=(commands, answers),
                                preexec_fn=with_default_actions)
        os.close(commands)
        os.close(answers)
        self.pid = int(until(self.answers, b'\n', self.shell))
        self.addCleanup(self.kill)

    def kill(self):
        if self.commands is not None:
            os.close(self.commands)
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def tell(self, command):
        os.write(self.commands, command.encode() + b'\n')
        until(self.answers, b'done\n', self.shell)

    def ends_with(self, status):
        os.close(self.commands)
        self.commands = None
        self.assertEqual(int(until(self.answers, b'\n', self.shell)), status)

    def modes(self):
        return termios.tcgetattr(self.slave)

    def state(self):
        with open(f'/proc/{self.pid}/stat') as f:
            return f.read().rpartition(')')[2].split()[0]

    def stop(self, number):
        os.kill(self.pid, number)
        self.wait_for(lambda: self.state() == 'T')

    def take_terminal(self):
        """As a shell does when its job has stopped: its own modes."""
        self.tell('bg')
        termios.tcsetattr(self.slave, termios.TCSANOW, self.before)

    def echoes(self, what=b'H', answer=b'I'):
        os.write(self.master, what)
        until(self.master, answer, self.shell)

    def quits(self):
        os.write(self.master, b'\x01x')
        self.ends_with(0)
        self.assertEqual(self.modes(), self.before)

    def test_stop_and_foreground(self):
        for number in STOPS:
            with self.subTest(number=number):
                self.job(SERIAL_ECHO, '-nographic')
                self.echoes()
                raw = self.modes()
                self.stop(number)
                if number == signal.SIGTSTP:
                    self.assertEqual(self.modes(), self.before)
                self.take_terminal()
                self.tell('fg')
                os.kill(self.pid, signal.SIGCONT)
                self.wait_for(lambda: self.modes() == raw)
                self.echoes(b'\x03', b'\x04')  # Ctrl-C is the guest's
                self.quits()

    def test_stop_and_go_on_without_a_shell(self):
        self.job(SERIAL_ECHO, '-nographic')
        self.echoes()
        raw = self.modes()
        for number in (signal.SIGSTOP, signal.SIGTSTP):
            self.stop(number)
            os.kill(self.pid, signal.SIGCONT)
            self.wait_for(lambda: self.modes() == raw)
            self.echoes(b'\x03', b'\x04')
        self.quits()

    def test_background(self):
        for number in (signal.SIGSTOP, signal.SIGTSTP):
            with self.subTest(number=number):
                self.job(SERIAL_ECHO, '-nographic')
                self.echoes()
                raw = self.modes()
                self.stop(number)
                self.take_terminal()
                os.kill(self.pid, signal.SIGCONT)
                self.stays_in_the_background()
                self.tell('fg')  # of one that runs: no signal comes
                self.wait_for(lambda: self.modes() == raw)
                until(self.master, b'B', self.shell)
                self.echoes()
                self.quits()

    def stays_in_the_background(self):
        self.wait_for(lambda: self.state() != 'T')
        os.write(self.master, b'A\n')  # somebody else's
        for _ in range(20):
            time.sleep(0.05)
            self.assertNotEqual(self.state(), 'T')
            self.assertEqual(self.modes(), self.before)

    def test_end_in_the_background(self):
        self.job(SERIAL_ECHO, '-nographic')
        self.echoes()
        self.stop(signal.SIGSTOP)
        self.take_terminal()
        os.kill(self.pid, signal.SIGCONT)
        self.stays_in_the_background()
        os.kill(self.pid, signal.SIGTERM)
        self.ends_with(0)
        self.assertEqual(self.modes(), self.before)

    def test_start_in_the_background(self):
        self.job(SERIAL_A + SERIAL_ECHO, '-nographic', start='bg')
        until(self.master, b'A', self.shell)
        self.stays_in_the_background()
        self.tell('fg')
        self.wait_for(lambda: self.modes() != self.before)
        self.echoes()
        self.quits()

    def test_keys_that_are_the_terminals(self):
        self.job(SERIAL_ECHO, '-serial', 'stdio')
        self.echoes()
        raw = self.modes()
        os.write(self.master, b'\x1a')  # Ctrl-Z
        self.wait_for(lambda: self.state() == 'T')
        self.assertEqual(self.modes(), self.before)
        os.kill(self.pid, signal.SIGCONT)
        self.wait_for(lambda: self.modes() == raw)
        self.echoes()
        os.write(self.master, b'\x03')
        self.ends_with(0)
        self.assertEqual(self.modes(), self.before)


def program(*words):
    return [cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none', *words]


def bzimage(code):
    """A kernel that Linux's boot protocol starts at code, at 1 MiB."""
    setup = bytearray(5 * 512)
    for at, form, value in ((0x1f1, '<B', 4), (0x1f4, '<I', len(code) + 15 >> 4),
                            (0x1fe, '<H', 0xaa55), (0x200, '<H', 0x66eb), (0x202, '4s', b'HdrS'),
                            (0x206, '<H', 0x20c), (0x211, '<B', 1), (0x214, '<I', 0x100000),
                            (0x22c, '<I', 0x7fffffff), (0x238, '<I', 255),
                            (0x258, '<I', 0x100000), (0x260, '<I', 0x10000)):
        struct.pack_into(form, setup, at, value)
    return bytes(setup) + code


# A jump over a multiboot header; code goes after it.
MULTIBOOT = (bytes.fromhex('eb 0e 90 90') +
             struct.pack('<III', 0x1badb002, 0, -0x1badb002 & 0xffffffff))


SPIN = b'\xeb\xfe'  # unlike HALT, nothing is said of it


class Loading(AtATerminal):
    """What a user sees of images that are large."""
    SIZE = 64 << 20

    def large(self, name, contents=b'', size=SIZE):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(contents)
            f.truncate(size)
        return path

    def images(self, code):
        """For each kind: what is large, and the command's words."""
        large = self.large('large')
        linux = self.large('linux', bzimage(code), 4096)
        yield large, ('-kernel', linux, '-initrd', large)
        module = self.guest(MULTIBOOT + code)
        yield large, ('-kernel', module, '-initrd', f'/etc/passwd a,{large} b c')
        kernel = self.large('kernel', cli_test.elf(code))
        yield kernel, ('-kernel', kernel)

    @staticmethod
    def position(process, path):
        """How much of the file the process has read; None: it does not have it open."""
        directory = f'/proc/{process.pid}'
        try:
            for fd in os.listdir(f'{directory}/fd'):
                if os.readlink(f'{directory}/fd/{fd}') == path:
                    with open(f'{directory}/fdinfo/{fd}') as f:
                        return int(f.readline().split()[1])
        except OSError:
            pass
        return None

    def caught(self, path, words, positions, **how):
        """A process that has been stopped while it reads the file. positions: a limit for how far
        that may be."""
        command = program('-m', '256', *words)
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            process = self.start(command, preexec_fn=with_default_actions, **how)
            while process.poll() is None and not self.position(process, path):
                pass
            process.send_signal(signal.SIGSTOP)
            position = self.position(process, path)
            if position and position < positions:
                return process
            self.finish(process)
        self.fail('never seen while it loads')
        return None

    def test_signals_end_it(self):
        out = os.path.join(self.dir, 'out')
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            for path, words in self.images(SERIAL_A + HALT):
                with self.subTest(number=number, words=words):
                    process = self.caught(path, (*words, '-serial', f'file:{out}'), self.SIZE // 2,
                                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
                    process.send_signal(number)
                    process.send_signal(signal.SIGCONT)
                    self.assertEqual(process.wait(TIMEOUT),
                                     0 if number in REQUESTS else 128 + number)
                    self.assertRegex(process.stderr.read(),
                                     b'^ringfence: terminating on signal %d [^\n]*\n$' % number)
                    self.assertFalse(os.path.exists(out), 'it was loaded to the end')

    def test_signals_end_it_after_a_reset(self):
        large = self.large('large')
        linux = self.large('linux', bzimage(SERIAL_A + cli_test.RESET), 4096)
        out = os.path.join(self.dir, 'out')
        process = self.start(
            program('-m', '256', '-kernel', linux, '-initrd', large, '-serial', f'file:{out}'),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, preexec_fn=with_default_actions)
        self.wait_for(lambda: os.path.exists(out) and os.path.getsize(out))
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            position = self.position(process, large)
            if position and position < self.SIZE // 4:
                process.send_signal(signal.SIGSTOP)
                position = self.position(process, large)
                if position and position < self.SIZE // 2:
                    break
                process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        last = position
        while process.poll() is None:
            last = self.position(process, large) or last
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertLess(last, self.SIZE, 'it was loaded to the end')

    def test_progress(self):
        """On a terminal, and of what takes long only."""
        for path, words in self.images(SERIAL_A + SPIN):
            master, slave, _ = self.terminal()
            process = self.caught(path, (*words, '-serial', 'stdio'), self.SIZE // 2,
                                  stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
            time.sleep(1.1)
            process.send_signal(signal.SIGCONT)
            said = until(master, b'A', process)
            self.assertRegex(said, b"^\r\x1b\\[Kringfence: reading [a-z]+ '%s': [0-9]+%%.*"
                                   b'\r\x1b\\[KA$' % path.encode())
            self.finish(process)

    def test_no_progress_elsewhere(self):
        for path, words in self.images(SERIAL_A + SPIN):
            process = self.caught(path, (*words, '-serial', 'stdio'), self.SIZE // 2,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            time.sleep(1.1)
            process.send_signal(signal.SIGCONT)
            until(process.stdout.fileno(), b'A', process)
            process.terminate()
            process.wait(TIMEOUT)
            self.assertEqual(process.stderr.read(),
                             b'ringfence: terminating on signal 15 (SIGTERM)\n')

    def resident(self, status, text, *words):
        """The most memory that it has had, in bytes."""
        # Memory that is asked for and not used is no matter here, and is not to be filled.
        environment = {k: v for k, v in os.environ.items() if k != 'MALLOC_PERTURB_'}
        process = self.start(program(*words), env=environment,
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read().decode()
        _, waited, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(waited)
        self.assertEqual(process.returncode, status, said)
        self.assertIn(text, said)
        return usage.ru_maxrss << 10

    def test_memory(self):
        """What does not fit is not read, and what does is read to where it belongs."""
        if 'RF_SLACK_KIB' in os.environ:
            needs_engine.skip(self, 'a sanitizer takes memory of its own')
        linux = self.large('linux', bzimage(POWER_OFF), 4096)
        large, kernel = self.large('large'), self.large('kernel', bzimage(POWER_OFF))
        little = self.resident(0, '', '-m', '16', '-kernel', linux)
        for words in (('-kernel', linux, '-initrd', large), ('-kernel', kernel),
                      ('-kernel', self.guest(MULTIBOOT + POWER_OFF), '-initrd', large)):
            self.assertLess(self.resident(1, 'give more with -m', '-m', '16', *words),
                            little + (8 << 20))
        self.assertLess(self.resident(1, 'not a kernel', '-m', '16', '-kernel', large),
                        little + (8 << 20))
        for words in (('-kernel', linux, '-initrd', large),
                      ('-kernel', self.guest(MULTIBOOT + POWER_OFF), '-initrd', large)):
            self.assertLess(self.resident(0, '', '-m', '256', *words),
                            little + self.SIZE + (32 << 20))

    def test_fifos(self):
        """None is waited for."""
        fifo = os.path.join(self.dir, 'fifo')
        os.mkfifo(fifo)
        linux = self.large('linux', bzimage(POWER_OFF), 4096)
        for words in (('-kernel', fifo), ('-kernel', linux, '-initrd', fifo)):
            result = subprocess.run(program(*words), stdin=subprocess.DEVNULL, capture_output=True,
                                    timeout=TIMEOUT)
            self.assertEqual(result.returncode, 1)
            self.assertIn(b'is not a regular file; copy it to one first', result.stderr)


class FileSizes(Case):
    """ulimit -f"""
    @staticmethod
    def limit(size):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_guest_memory_counts(self):
        result = self.run_guest(POWER_OFF, preexec_fn=self.limit(8 << 20))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.decode(), (
            'ringfence: -m 16M is more than the limit on the size of files, 8192 KiB, which counts '
            'guest RAM as well; raise it (ulimit -f unlimited) or give less with -m\n'))
        result = self.run_guest(POWER_OFF, preexec_fn=self.limit(16 << 20))
        self.assertEqual((result.returncode, result.stderr), (0, b''))

    def test_output_that_becomes_too_large(self):
        path = os.path.join(self.dir, 'out')
        with open(path, 'wb') as f:
            f.truncate((16 << 20) - 3)
        with open(path, 'ab') as f:
            result = subprocess.run(self.command(SERIAL_A * 7 + POWER_OFF, '-serial', 'stdio'),
                                    stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.PIPE,
                                    timeout=TIMEOUT, preexec_fn=self.limit(16 << 20))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.decode().splitlines(), [
            'ringfence: cannot write standard output: File too large (see ulimit -f); output is '
            'lost', 'ringfence: 4 bytes for standard output were lost'])

    def test_limit_that_comes_later(self):
        path = os.path.join(self.dir, 'monitor')
        process = self.start(self.command(SERIAL_A + HALT, '-serial', 'stdio', '-monitor',
                                          f'unix:{path},server,nowait'), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
        until(process.stdout.fileno(), b'A')
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        with connect(path, process) as peer:
            peer.sendall(b'system_reset\n')
            until(process.stdout.fileno(), b'A')
            peer.sendall(b'quit\n')
            self.assertEqual(process.wait(TIMEOUT), 0)


if __name__ == '__main__':
    cli_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
