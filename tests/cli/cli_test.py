#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The program from outside: exit statuses, messages, signals, character devices, the monitor
prompt, the terminal.

usage: cli_test.py RINGFENCE [unittest arguments]

Guests are a few instructions of machine code in an ELF file made here. ENGINE in the environment
chooses the engine.
"""
import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import needs_engine

PROGRAM = ''
ENGINE = os.environ.get('ENGINE', 'interp')
TIMEOUT = 300  # what takes longer hangs

HALT = bytes.fromhex('fa f4 eb fd')  # cli; hlt; jmp -1
SPIN = bytes.fromhex('eb fe')
# sti; hlt with nothing that would interrupt; cli; hlt with LINT0 of the local APIC (and its
# spurious vector register) or a pin of the I/O APIC that sends NMIs
WAITS = (
    bytes.fromhex('fb f4 eb fd'),
    bytes.fromhex('c7 05 f0 00 e0 fe ff 01 00 00  c7 05 50 03 e0 fe 00 04 00 00') + HALT,
    bytes.fromhex('c7 05 00 00 c0 fe 1e 00 00 00  c7 05 10 00 c0 fe 00 04 00 00') + HALT,
)
# mov al,0x10; out 0xf4,al; hlt
DEBUG_EXIT = bytes.fromhex('b0 10 e6 f4') + HALT
# lidt of a zero limit, then int3: triple fault
TRIPLE_FAULT = bytes.fromhex('0f 01 1d 20 00 20 00 cc')
# mov dx,0x3f8; mov al,'A'; out dx,al
SERIAL_A = bytes.fromhex('66 ba f8 03 b0 41 ee')
# the same for ever
SERIAL_AAA = SERIAL_A + bytes.fromhex('eb fd')
# lidt of a zero limit after SERIAL_A, then int3
TRIPLE_FAULT_AFTER_A = bytes.fromhex('0f 01 1d 27 00 20 00 cc')
# wait for a received byte (LSR bit 0 at 0x3fd), add one, send it, again
SERIAL_ECHO = bytes.fromhex('66 ba fd 03 ec a8 01 74 fb 66 ba f8 03 ec 04 01 ee eb ed')
# ACPI S5: mov dx,0x604; mov ax,0x2000; out dx,ax
POWER_OFF = bytes.fromhex('66 ba 04 06 66 b8 00 20 66 ef') + HALT
# mov al,0xfe; out 0x64,al: reset by the keyboard controller
RESET = bytes.fromhex('b0 fe e6 64') + HALT


def elf(code, entry=0x200000):
    header = struct.pack('<16sHHIIIIIHHHHHH', b'\x7fELF\x01\x01\x01', 2, 3, 1, entry, 52, 0, 0,
                         52, 32, 1, 0, 0, 0)
    program = struct.pack('<IIIIIIII', 1, 0x1000, entry, entry, len(code),
                          len(code) + 4096, 7, 4096)
    return (header + program).ljust(0x1000, b'\0') + code


def until(fd, wanted, process=None, seconds=TIMEOUT):
    """Reads until wanted has come. process: whose end is the end, for a terminal, which has none
    itself."""
    got = b''
    end = time.monotonic() + seconds
    # A terminal's cursor may be moved in the middle of what a guest writes.
    while wanted not in got and wanted not in re.sub(rb'\x1b\[[0-9;]*[A-Za-z]', b'', got):
        ended = process is not None and process.poll() is not None
        wait = 0 if ended else min(max(0, end - time.monotonic()), 1 if process else seconds)
        ready, _, _ = select.select([fd], [], [], wait)
        if not ready and (ended or time.monotonic() >= end):
            raise AssertionError(f'no {wanted!r} in {got!r}')
        if not ready:
            continue
        data = os.read(fd, 4096)
        if not data:
            raise AssertionError(f'end without {wanted!r} in {got!r}')
        got += data
    return got


def connect(path, process):
    """To a socket that the process makes."""
    end = time.monotonic() + TIMEOUT
    while True:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.connect(path)
            return peer
        except OSError:
            peer.close()
            if time.monotonic() > end or process.poll() is not None:
                raise
            time.sleep(0.02)


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name

    def guest(self, code, entry=0x200000):
        path = os.path.join(self.dir, 'guest')
        with open(path, 'wb') as f:
            f.write(elf(code, entry))
        return path

    def command(self, code, *args, accel=ENGINE):
        return [PROGRAM, '-accel', accel, '-display', 'none', '-m', '16', '-kernel',
                self.guest(code), *args]

    def run_guest(self, code, *args, accel=ENGINE, **how):
        how.setdefault('stdin', subprocess.DEVNULL)
        return subprocess.run(self.command(code, *args, accel=accel), capture_output=True,
                              timeout=TIMEOUT, **how)

    def start(self, command, **how):
        process = subprocess.Popen(command, **how)
        self.addCleanup(self.finish, process)
        return process

    @staticmethod
    def finish(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream and not stream.closed:
                stream.close()


class Usage(Case):
    def expect(self, status, text, *args):
        result = subprocess.run([PROGRAM, *args], capture_output=True, stdin=subprocess.DEVNULL,
                                timeout=TIMEOUT)
        stream = result.stderr if status else result.stdout
        self.assertEqual(result.returncode, status, result)
        self.assertIn(text, stream.decode())
        if status:
            self.assertEqual(len(stream.splitlines()), 1, 'not one line')
            self.assertTrue(stream.startswith(b'ringfence: '))
            self.assertEqual(result.stdout, b'')

    def test_help(self):
        self.expect(0, 'usage:', '-help')
        self.expect(0, 'usage:', '--help')
        self.expect(0, 'ringfence', '-version')
        for option in ('-cpu', '-accel', '-machine', '-device', '-d'):
            self.expect(0, '\n', option, 'help')

    def test_errors(self):
        self.expect(1, '-bogus', '-bogus', '-nographic', '-kernel', 'x')
        self.expect(1, '-kernel', '-nographic', '-initrd', 'x')
        self.expect(1, 'nofile', '-nographic', '-kernel', '/nofile')
        self.expect(1, 'directory', '-nographic', '-kernel', '/tmp')
        self.expect(1, 'regular file', '-nographic', '-kernel', '/dev/null')
        self.expect(1, 'not a kernel', '-nographic', '-kernel', '/etc/passwd')
        self.expect(1, '3584M', '-nographic', '-kernel', 'x', '-m', '100G')
        self.expect(1, 'at least 2M', '-nographic', '-kernel', self.guest(HALT, 0x10000), '-m', '1')
        self.expect(1, '-m 0', '-nographic', '-kernel', 'x', '-m', '0')

    def test_errors_of_files(self):
        empty, large = (os.path.join(self.dir, name) for name in ('empty', 'large'))
        for path, size in ((empty, 0), (large, 64 << 20)):
            with open(path, 'wb') as f:
                f.truncate(size)
        kernel = self.guest(HALT)
        self.expect(1, 'is empty', '-nographic', '-kernel', empty)
        self.expect(1, 'takes no -initrd', '-nographic', '-kernel', kernel, '-initrd', large)
        name = ENGINE.split(',')[0]
        wrong = 'has no options' if name == 'interp' else f'not an option of -accel {name}'
        self.expect(1, wrong, '-nographic', '-kernel', kernel, '-accel', ENGINE + ',bogus=1')

    def test_engines_of_others(self):
        result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4', accel='tcg')
        if b'lahf_lm' in result.stderr:
            why = 'bt needs LAHF in 64-bit mode (lahf_lm), which this host lacks'
            needs_engine.skip(self, why)
        self.assertEqual(result.returncode, 0x21)
        self.assertIn(b'ringfence: note: -accel: tcg is QEMU\'s', result.stderr)

    def test_help_of_engines(self):
        for engine, option in (('bt', 'windows=N'), ('kvm', 'irqchip=monitor|kernel'),
                               ('interp', 'stats=FILE')):
            self.expect(0, option, '-accel', f'{engine},help')
        self.expect(0, '1 to 96', '-accel', 'bt,links=off,help')

    def test_features(self):
        result = subprocess.run([PROGRAM, '-cpu', 'help'], capture_output=True,
                                timeout=TIMEOUT, text=True)
        models, features = result.stdout.split('\n\n')
        self.assertIn('pentium2', models)
        names = set(features.split('\n', 1)[1].split())
        self.assertTrue({'fpu', 'cmov', 'sse4.2', 'tsc-adjust', 'nx'} <= names)
        self.assertLess(max(map(len, result.stdout.splitlines())), 80)
        kernel = self.guest(DEBUG_EXIT)
        for name in features.split('\n', 1)[1].split():
            result = self.run_guest(DEBUG_EXIT, '-cpu', f'486,-{name},{name}=off', '-device',
                                    'isa-debug-exit,iobase=0xf4')
            self.assertEqual((result.returncode, result.stderr), (0x21, b''), name)
        self.expect(1, "unknown CPU feature '+bogus' (-cpu help lists them;", '-cpu', 'max,+bogus',
                    '-nographic', '-kernel', kernel)
        self.expect(1, "'nx=maybe': give +nx, -nx or nx=on|off", '-cpu', 'max,nx=maybe',
                    '-nographic', '-kernel', kernel)

    def test_kvm_that_is_not_there(self):
        kernel = self.guest(HALT)
        for device, text in (('/nodir/kvm', 'cannot open /nodir/kvm: No such file or directory'),
                             ('/dev/null', '/dev/null is not a KVM device')):
            accel = f'kvm,device={device}'
            self.expect(1, text, '-display', 'none', '-kernel', kernel, '-accel', accel)
            self.expect(1, 'use -accel bt', '-display', 'none', '-kernel', kernel, '-accel', accel)

    def test_usage_comes_before_what_the_host_lacks(self):
        kernel = self.guest(HALT)
        absent = 'kvm,device=/nodir/kvm'
        for words, text in ((('-kernel', '/nofile'), 'nofile'),
                            (('-kernel', kernel, '-initrd', '/nofile'), 'initrd'),
                            (('-kernel', '/etc/passwd'), 'not a kernel'),
                            (('-kernel', kernel, '-m', 'x'), '-m x'),
                            (('-kernel', kernel, '-cpu', 'nosuchcpu'), 'nosuchcpu'),
                            (('-kernel', kernel, '-serial', 'bogus'),
                             "'bogus' is not a character device"),
                            (('-kernel', kernel, '-debugcon', 'bogus'),
                             "-debugcon: 'bogus' is not a character device"),
                            (('-kernel', kernel, '-monitor', 'bogus'),
                             "-monitor: 'bogus' is not a character device")):
            self.expect(1, text, '-display', 'none', '-accel', absent, *words)
        self.expect(1, 'bogus=1', '-display', 'none', '-accel', absent + ',bogus=1',
                    '-kernel', kernel)
        self.expect(1, '/nodir/kvm', '-display', 'none', '-accel', absent, '-kernel', kernel)

    def test_kvm_that_is_not_there_gives_way(self):
        result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4',
                                accel='kvm:interp,device=/nodir/kvm')
        self.assertEqual(result.returncode, 0x21)
        self.assertIn(b'/nodir/kvm', result.stderr)
        self.assertIn(b'going on with -accel interp', result.stderr)
        result = self.run_guest(DEBUG_EXIT, accel='kvm:interp,bogus=1')
        self.assertEqual(result.returncode, 1, 'wrong options are no reason to go on')
        self.assertIn(b'not an option of -accel kvm', result.stderr)

    def test_errors_of_devices(self):
        kernel = self.guest(HALT)
        self.expect(1, 'bogus', '-serial', 'bogus', '-kernel', kernel)
        self.expect(1, 'stdio is used twice', '-nographic', '-serial', 'stdio', '-monitor', 'stdio',
                    '-kernel', kernel)
        self.expect(1, '/nodir/x', '-serial', 'file:/nodir/x', '-kernel', kernel)
        self.expect(1, 'nowait', '-serial', 'unix:/tmp/x', '-kernel', kernel)
        self.expect(1, 'nosuchcpu', '-cpu', 'nosuchcpu', '-nographic', '-kernel', kernel)
        self.expect(1, '/nodir/log', '-nographic', '-kernel', kernel, '-D',
                    '/nodir/log', '-d', 'int')

    def test_too_few_open_files(self):
        self.too_few_open_files('-serial', 'null')

    def test_too_few_open_files_for_outputs(self):
        one, two, log = (os.path.join(self.dir, name) for name in ('one', 'two', 'log'))
        self.too_few_open_files('-serial', f'file:{one}', '-serial', 'pty', '-serial', 'pty',
                                '-monitor', f'unix:{two},server,nowait', '-d', 'int', '-D', log)

    def too_few_open_files(self, *args):
        command = self.command(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4', *args)
        statuses = set()
        # LeakSanitizer waits for ever where it can open nothing.
        leaks = os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
        for files in range(4, 40):
            result = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
                env=dict(os.environ, ASAN_OPTIONS=leaks),
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
            said = [line for line in result.stderr.decode().splitlines()
                    if 'redirected to /dev/pts' not in line]
            statuses.add(result.returncode)
            self.assertIn(result.returncode, (1, 0x21), (files, said))
            if result.returncode == 1:
                self.assertEqual(len(said), 1, said)
                self.assertIn('Too many open files; allow more (ulimit -n)', said[0])
                self.assertNotIn('-m ', said[0])
        self.assertEqual(statuses, {1, 0x21})

    def test_screen_that_is_not_shown(self):
        for args, told in ((('-serial', 'null'), 1), (('-serial', 'null', '-display', 'none'), 0),
                           (('-nographic',), 0), (('-nodefaults',), 0)):
            result = subprocess.run([PROGRAM, '-accel', ENGINE, '-kernel', self.guest(DEBUG_EXIT),
                                     '-device', 'isa-debug-exit,iobase=0xf4', *args],
                                    stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
            self.assertEqual(result.returncode, 0x21)
            self.assertEqual(result.stderr.count(b'ringfence: note: there is no window'), told)

    def test_serial_on_a_used_port(self):
        result = self.run_guest(HALT, '-serial', 'null', '-device', 'isa-debug-exit,iobase=0x3f8')
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'iobase', result.stderr)


class Outputs(Case):
    """Files that are written. What is read, or what a wrong command names, is left as it is."""
    EXIT = ('-device', 'isa-debug-exit,iobase=0xf4')

    def path(self, name, text=None):
        path = os.path.join(self.dir, name)
        if text is not None:
            with open(path, 'w') as f:
                f.write(text)
        return path

    def refused(self, text, *args, accel=ENGINE):
        result = self.run_guest(DEBUG_EXIT, *self.EXIT, *args, accel=accel)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn(text, result.stderr.decode())
        self.assertEqual(len(result.stderr.splitlines()), 1)
        with open(os.path.join(self.dir, 'guest'), 'rb') as f:
            self.assertEqual(f.read(), elf(DEBUG_EXIT), 'the kernel was written to')

    def test_none_is_the_kernel(self):
        kernel = self.guest(DEBUG_EXIT)
        os.symlink(kernel, self.path('symlink'))
        os.link(kernel, self.path('link'))
        wrong = f'is the same file as -kernel {kernel}; write to another'
        for name in (kernel, self.path('symlink'), self.path('link'), self.dir + '/./guest'):
            for args in (('-serial', f'file:{name}'), ('-debugcon', f'file:{name}'),
                         ('-monitor', f'file:{name}'), ('-serial', f'mon:file:{name}'),
                         ('-d', 'int', '-D', name)):
                self.refused(wrong, *args)
            self.refused(f'stats={name} {wrong}', accel=f'{ENGINE},stats={name}')

    @needs_engine.only_for(ENGINE, 'bt')
    def test_profile_is_not_what_is_read(self):
        kernel = self.guest(DEBUG_EXIT)
        self.refused('profile=', accel=f'{ENGINE},profile={kernel}')
        os.symlink(kernel, self.path('p.sites'))
        self.refused('p.sites', accel=f'{ENGINE},profile={self.path("p")}')
        symbols = self.path('map', '00200000 T busy\n')
        self.refused('symbols=', '-serial', f'file:{symbols}', accel=f'{ENGINE},symbols={symbols}')

    def test_none_is_an_initrd(self):
        disk = self.path('initrd', 'kept')
        for initrd in (disk, f'/etc/passwd a,{disk} b c', f'{disk},/etc/passwd'):
            self.refused(f'is the same file as -initrd {disk}', '-initrd', initrd, '-serial',
                         f'file:{disk}')
        with open(disk) as f:
            self.assertEqual(f.read(), 'kept')

    def test_none_is_another(self):
        old, new = self.path('old', 'kept'), self.path('new')
        for path, same in ((old, old), (new, new), (new, self.dir + '/./new')):
            self.refused('is the same file as', '-serial', f'file:{path}', '-debugcon',
                         f'file:{same}')
        self.assertFalse(os.path.exists(new))
        result = self.run_guest(DEBUG_EXIT, *self.EXIT, '-serial', 'file:/dev/null', '-debugcon',
                                'file:/dev/null')
        self.assertEqual((result.returncode, result.stderr), (0x21, b''))

    def test_a_wrong_command_empties_none(self):
        kept = self.path('kept', 'kept')
        for accel in (f'{ENGINE},stats={kept}', ENGINE):
            for args in (('-kernel', '/nofile'), ('-initrd', '/nofile'), ('-cpu', 'nosuchcpu')):
                more = () if 'stats' in accel else ('-serial', f'file:{kept}')
                result = self.run_guest(SPIN, *args, *more, accel=accel)
                self.assertEqual(result.returncode, 1)
            result = self.run_guest(SPIN, '-d', 'int', '-D', kept, '-kernel', '/nofile')
            self.assertEqual(result.returncode, 1)
        with open(kept) as f:
            self.assertEqual(f.read(), 'kept')

    def test_what_is_wrong_after_an_output_empties_none(self):
        """Outputs are opened one after the other, and all emptied at the end."""
        names = ('log', 'serial', 'stats', 'con', 'profile', 'profile.sites')
        log, serial, stats, con, profile, sites = (self.path(name, 'kept') for name in names)
        accel = f'{ENGINE},stats={stats}'
        if ENGINE.split(',')[0] == 'bt':
            accel += f',profile={profile}'
        good = ('-d', 'int', '-D', log, '-serial', f'file:{serial}', '-debugcon', f'file:{con}')
        for wrong in (('-serial', 'file:/nodir/x'), ('-monitor', 'unix:/nodir/x,server,nowait'),
                      ('-monitor', 'file:/nodir/x'),
                      ('-device', 'isa-debug-exit,iobase=0x3f8')):
            result = self.run_guest(SPIN, *good, *wrong, accel=accel)
            self.assertEqual(result.returncode, 1, wrong)
            for path in (log, serial, stats, con, profile, sites):
                with open(path) as f:
                    self.assertEqual(f.read(), 'kept', (path, wrong))
        result = self.run_guest(SERIAL_A + DEBUG_EXIT, *good, *self.EXIT, accel=accel)
        self.assertEqual(result.returncode, 0x21, result.stderr)
        with open(serial) as f:
            self.assertEqual(f.read(), 'A')
        for path in (log, con):
            self.assertEqual(os.path.getsize(path), 0)
        with open(stats) as f:
            json.load(f)

    def test_a_fifo_waits_for_its_reader(self):
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        for args in (('-serial', f'file:{fifo}'), ('-d', 'int', '-D', fifo)):
            process = self.start(self.command(SERIAL_A + POWER_OFF, *args),
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(0.5)
            self.assertIsNone(process.poll())
            process.terminate()
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertIn(b'terminating on signal 15', process.stderr.read())
        process = self.start(self.command(SERIAL_A + POWER_OFF, '-serial', f'file:{fifo}'),
                             stdin=subprocess.DEVNULL)
        with open(fifo, 'rb') as f:
            self.assertEqual(f.read(), b'A')
        self.assertEqual(process.wait(TIMEOUT), 0)


class FullDisks(Case):
    """Output that the host does not take is told once and counted, and in the exit status."""
    EXIT = ('-device', 'isa-debug-exit,iobase=0xf4')

    def full(self):
        path = os.path.join(self.dir, 'full')
        if not os.path.exists(path):
            os.symlink('/dev/full', path)
        return path

    def expect(self, path, result, status, count=None):
        said = result.stderr.decode().splitlines()
        self.assertEqual(result.returncode, status, said)
        self.assertEqual(said[0], f'ringfence: cannot write {path}: No space left on device; '
                                  'output is lost')
        self.assertRegex(said[-1], f'^ringfence: {count or "[0-9]+"} bytes for {path} were lost$')
        self.assertEqual(len(said), 2, said)

    def test_serial_port(self):
        serial = f'file:{self.full()}'
        for args in (('-serial', serial), ('-serial', f'mon:{serial}')):
            self.expect(f"'{self.full()}'", self.run_guest(SERIAL_A * 7 + POWER_OFF, *args), 1, 7)
        self.expect(f"'{self.full()}'", self.run_guest(SERIAL_A + DEBUG_EXIT, *self.EXIT, '-serial',
                                                       serial), 0x21, 1)

    def test_debug_console(self):
        self.expect(f"'{self.full()}'", self.run_guest(bytes.fromhex('e6 e9') + POWER_OFF,
                                                       '-debugcon', f'file:{self.full()}'), 1, 1)

    def test_standard_output(self):
        with open('/dev/full', 'wb') as full:
            for line in ('stdio', 'mon:stdio'):
                result = subprocess.run(self.command(SERIAL_A * 5 + POWER_OFF, '-serial', line),
                                        stdin=subprocess.DEVNULL, stdout=full,
                                        stderr=subprocess.PIPE, timeout=TIMEOUT)
                self.expect('standard output', result, 1, 5)

    def test_closed_standard_output(self):
        """What is opened next does not take its place."""
        result = subprocess.run(['sh', '-c', 'exec "$@" >&-', 'sh',
                                 *self.command(SERIAL_A * 3 + POWER_OFF, '-serial', 'stdio')],
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=TIMEOUT)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.decode().splitlines(), [
            'ringfence: cannot write standard output: Bad file descriptor; output is lost',
            'ringfence: 3 bytes for standard output were lost'])

    def test_log(self):
        result = self.run_guest(TRIPLE_FAULT, '-no-reboot', '-d', 'int', '-D', self.full())
        result.stderr = b''.join(line for line in result.stderr.splitlines(True)
                                 if b'triple fault' not in line)
        self.expect(f"'{self.full()}'", result, 1)

    @needs_engine.only_for(ENGINE, 'bt')
    def test_profile(self):
        profile = os.path.join(self.dir, 'profile')
        os.symlink('/dev/full', profile + '.sites')
        result = self.run_guest(POWER_OFF, accel=f'{ENGINE},profile={profile}')
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.decode(), f"ringfence: cannot write the profile "
                                                 f"'{profile}.sites': No space left on device\n")


class Ends(Case):
    def test_smallest_and_largest_memory(self):
        for size in ('2', '3584'):
            kernel = self.guest(DEBUG_EXIT, 0x10000)
            result = subprocess.run([PROGRAM, '-accel', ENGINE, '-display', 'none', '-m', size,
                                     '-kernel', kernel, '-device',
                                     'isa-debug-exit,iobase=0xf4'], stdin=subprocess.DEVNULL,
                                     capture_output=True, timeout=TIMEOUT)
            self.assertEqual((result.returncode, result.stderr), (0x21, b''))

    def test_debug_exit(self):
        result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04')
        self.assertEqual((result.returncode, result.stderr), (0x21, b''))

    def test_power_off(self):
        result = self.run_guest(POWER_OFF)
        self.assertEqual((result.returncode, result.stderr), (0, b''))

    def test_reset_without_reboot(self):
        self.assertEqual(self.run_guest(RESET, '-no-reboot').returncode, 0)

    def test_triple_fault_without_reboot(self):
        result = self.run_guest(TRIPLE_FAULT, '-no-reboot')
        self.assertEqual(result.returncode, 0)
        self.assertIn(b'triple fault', result.stderr)

    def test_no_reboot_and_no_shutdown_stop_for_inspection(self):
        path = os.path.join(self.dir, 'monitor')
        for code in (TRIPLE_FAULT, RESET, POWER_OFF):
            process = self.start(self.command(code, '-no-reboot', '-no-shutdown', '-monitor',
                                              f'unix:{path},server,nowait'),
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            with connect(path, process) as peer:
                answer = b''
                while b'paused' not in answer:
                    peer.sendall(b'info status\n')
                    answer = until(peer.fileno(), b'(ringfence) ')
                    self.assertIsNone(process.poll())
                peer.sendall(b'info registers\n')
                until(peer.fileno(), b'EIP=002000')
                peer.sendall(b'quit\n')
                self.assertEqual(process.wait(TIMEOUT), 0)
            told = process.stderr.read().count(b'the machine stops (-no-reboot -no-shutdown)')
            self.assertEqual(told, code == TRIPLE_FAULT)

    def told_until_it_halts(self, code, *args):
        """Standard error of a guest that says A and halts, read after it was ended."""
        process = self.start(self.command(SERIAL_A + code, *args), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until(process.stdout.fileno(), b'A')
        return process

    def test_halted_for_good_is_told_once(self):
        path = os.path.join(self.dir, 'monitor')
        process = self.told_until_it_halts(HALT, '-serial', 'stdio', '-monitor',
                                           f'unix:{path},server,nowait')
        self.assertIn(b'ringfence: the guest has halted with interrupts off, at ',
                      until(process.stderr.fileno(), b'; Ctrl-C leaves\n'))
        with connect(path, process) as peer:
            for _ in range(3):  # which wakes the processor's thread
                peer.sendall(b'info registers\n')
                until(peer.fileno(), b'EIP=')
            peer.sendall(b'quit\n')
            self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertEqual(process.stderr.read(), b'')

    def test_halted_after_a_reset_is_told_again(self):
        path = os.path.join(self.dir, 'monitor')
        process = self.told_until_it_halts(HALT, '-serial', 'stdio', '-monitor',
                                           f'unix:{path},server,nowait')
        until(process.stderr.fileno(), b'leaves\n')
        with connect(path, process) as peer:
            peer.sendall(b'system_reset\n')
            until(process.stderr.fileno(), b'leaves\n')
            peer.sendall(b'quit\n')
            self.assertEqual(process.wait(TIMEOUT), 0)

    def test_halted_says_how_to_leave(self):
        for args, words in (('-serial', 'mon:stdio'), b'Ctrl-A x leaves'), \
                           (('-serial', 'file:/dev/null', '-monitor', 'stdio'), b'quit leaves'):
            process = self.start(self.command(HALT, *args), stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            until(process.stderr.fileno(), b'nothing wakes it but a reset; ' + words + b'\n')
            process.terminate()
            self.assertEqual(process.wait(TIMEOUT), 0)

    def test_halted_for_a_while_is_not_told(self):
        for code in WAITS:
            process = self.told_until_it_halts(code, '-serial', 'stdio')
            time.sleep(.5)
            process.terminate()
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertNotIn(b'halted', process.stderr.read())

    def test_triple_faults_for_ever_are_told_once_a_second(self):
        process = self.start(self.command(SERIAL_A + TRIPLE_FAULT_AFTER_A, '-serial', 'stdio'),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        began, resets = time.monotonic(), 0
        while time.monotonic() - began < 2.5 or resets < 20:
            resets += len(os.read(process.stdout.fileno(), 4096))
        process.terminate()
        seconds = time.monotonic() - began
        process.stdout.close()
        told = [line for line in process.stderr.read().splitlines() if b'triple fault' in line]
        self.assertIn(b'(-no-reboot would end it here)', told[0])
        self.assertIn(b' times more since the last report', told[1])
        self.assertLessEqual(len(told), seconds + 2)

    def test_reset_loads_the_guest_again(self):
        # On the first pass write a mark after the code (to be lost by reloading), print A and
        # reset; the serial port then shows another.
        guest = SERIAL_A + bytes.fromhex('c6 05 00 00 20 00 f4') + RESET
        process = self.start(self.command(guest, '-serial', 'stdio'), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        until(process.stdout.fileno(), b'AAAA')
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 0)

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for code in (HALT, SPIN):
                process = self.start(self.command(SERIAL_A + code, '-serial', 'stdio'),
                                     stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                until(process.stdout.fileno(), b'A')
                process.send_signal(number)
                self.assertEqual(process.wait(TIMEOUT), 0)

    def test_statistics(self):
        path = os.path.join(self.dir, 'stats.json')
        command = self.command(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4')
        command[2] = f'{ENGINE},stats={path}'
        self.assertEqual(subprocess.run(command, stdin=subprocess.DEVNULL,
                                        timeout=TIMEOUT).returncode, 0x21)
        with open(path) as f:
            stats = json.load(f)
        self.assertEqual((stats['engine'], stats['end'], stats['exit_status']),
                         (ENGINE.split(',')[0], 'debug-exit', 0x21))

    def test_statistics_that_cannot_be_written(self):
        # The guest would run for ever.
        result = self.run_guest(SPIN, accel=f'{ENGINE},stats=/nodir/stats')
        self.assertEqual((result.returncode, result.stdout), (1, b''))
        self.assertEqual(result.stderr, b"ringfence: -accel: cannot write the statistics "
                                        b"'/nodir/stats': No such file or directory\n")
        result = self.run_guest(SPIN, accel=f'{ENGINE},stats={self.dir}')
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'Is a directory', result.stderr)

    def test_statistics_on_a_full_disk(self):
        result = self.run_guest(POWER_OFF, accel=f'{ENGINE},stats=/dev/full')
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"cannot write statistics to '/dev/full': No space left on device",
                      result.stderr)

    def test_statistics_of_another_run_survive_a_wrong_command(self):
        path = os.path.join(self.dir, 'stats.json')
        with open(path, 'w') as f:
            f.write('kept')
        result = self.run_guest(SPIN, '-initrd', '/nofile', accel=f'{ENGINE},stats={path}')
        self.assertEqual(result.returncode, 1)
        with open(path) as f:
            self.assertEqual(f.read(), 'kept')

    @needs_engine.only_for(ENGINE, 'bt')
    def test_wrong_values(self):
        for name, values, wrong in (
                ('windows', '0, or 2 to 160', ('1', '161', '-1', '-0', '', '4294967298')),
                ('cache-kib', '256 to 1048576',
                 ('0', '255', '1048577', '-256', '4294967552', '18014398509482240', '256k')),
                ('tu-insns', '1 to 96',
                 ('0', '97', '-1', '+1', ' 1', '4294967297', '99999999999999999999')),
                ('flush-every', '0 to 4294967295', ('-1', '4294967296', '0x10', 'x', '')),
                ('links', 'on or off', ('maybe', '', 'onn', 'o')),
                ('fill-around', 'on or off', ('1',)),
                ('tables', 'adaptive, compare or trace', ('none', 'on')),
                ('soft', 'adaptive, always or off', ('on',)),
                ('host', '-FEATURE for each of fsgsbase, bmi2, lzcnt, lahf_lm',
                 ('', 'bmi2', '-', '-bmi', '-bmi2+fsgsbase', '--bmi2'))):
            for value in wrong:
                result = self.run_guest(SPIN, accel=f'{ENGINE},{name}={value}')
                self.assertEqual(result.returncode, 1, (name, value))
                self.assertEqual(result.stderr.decode(),
                                 f'ringfence: -accel bt: {name}={value}: {values}\n')
        result = self.run_guest(SPIN, accel=f'{ENGINE},links')
        self.assertEqual((result.returncode, result.stderr),
                         (1, b'ringfence: -accel bt: links=: on or off\n'))

    @needs_engine.only_for(ENGINE, 'bt')
    def test_least_and_most(self):
        for options in ('windows=0', 'windows=2', 'windows=160', 'cache-kib=256',
                        'cache-kib=1048576', 'tu-insns=1', 'tu-insns=96',
                        'flush-every=0', 'flush-every=1', 'flush-every=4294967295'):
            result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4',
                                    accel=f'{ENGINE},{options}')
            self.assertEqual((result.returncode, result.stderr), (0x21, b''), options)

    @needs_engine.only_for(ENGINE, 'bt')
    def test_hosts_that_lack_something(self):
        for lacks in ('-fsgsbase', '-bmi2', '-fsgsbase-bmi2', '-bmi2-bmi2'):
            result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4',
                                    accel=f'{ENGINE},host={lacks}')
            self.assertEqual((result.returncode, result.stderr), (0x21, b''), lacks)
        result = self.run_guest(DEBUG_EXIT, accel=f'{ENGINE},host=-bmi2-lahf_lm')
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'no LAHF and SAHF in 64-bit mode', result.stderr)

    @needs_engine.only_for(ENGINE, 'bt')
    def test_verification(self):
        path = os.path.join(self.dir, 'stats.json')
        for value in ('on', 'off'):
            result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4',
                                    accel=f'{ENGINE},verify={value},stats={path}')
            self.assertEqual((result.returncode, result.stderr), (0x21, b''))
            with open(path) as f:
                counts = json.load(f)['bt']['translator']
            self.assertEqual(counts['tus_verified'] >= counts['tus'] > 0, value == 'on')
        result = self.run_guest(DEBUG_EXIT, accel=f'{ENGINE},verify=perhaps')
        self.assertEqual(result.returncode, 1)
        self.assertIn(b'-accel bt: verify=perhaps: on or off', result.stderr)

    @needs_engine.only_for(ENGINE, 'bt')
    def test_listing_names_forms(self):
        path = os.path.join(self.dir, 'log')
        for option, form in (('soft=off', 'interpret'), ('soft=always', 'soft')):
            self.run_guest(bytes.fromhex('a1 00 00 0a 00') + DEBUG_EXIT, '-device',
                           'isa-debug-exit,iobase=0xf4', '-d', 'in_asm', '-D', path,
                           accel=f'{ENGINE},{option}')
            with open(path) as f:
                self.assertRegex(f.read(), rf'00200000  a100000a00 +mov eax, dword ptr \[0xa0000\] '
                                           rf'  \[{form}\]\n')

    @staticmethod
    def threads(process):
        """The states of its threads, and the seconds of processor time that it has had."""
        fields = []
        for thread in os.listdir(f'/proc/{process.pid}/task'):
            with open(f'/proc/{process.pid}/task/{thread}/stat') as f:
                fields.append(f.read().rpartition(')')[2].split())
        ticks = sum(int(words[11]) + int(words[12]) for words in fields)
        return {words[0] for words in fields}, ticks / os.sysconf('SC_CLK_TCK')

    def test_halted_guest_takes_no_time(self):
        """All sleep, and after a second have had next to no time and sleep again.
        What is busy is never found so, whatever the host does."""
        process = self.start(self.command(SERIAL_A + HALT, '-serial', 'stdio'),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        until(process.stdout.fileno(), b'A')
        end = time.monotonic() + TIMEOUT
        while True:
            states, before = self.threads(process)
            time.sleep(1)
            states_after, after = self.threads(process)
            if states == states_after == {'S'} and after - before < 0.1:
                break
            self.assertLess(time.monotonic(), end, (states, states_after, after - before))


@needs_engine.only_for(ENGINE, 'bt')
class Profiles(Case):
    MOST_LOOPS = 0xffffffff

    @staticmethod
    def busy(loops):
        """mov ecx,loops; dec ecx; jnz"""
        return b'\xb9' + struct.pack('<I', loops) + bytes.fromhex('49 75 fd') + DEBUG_EXIT

    def path(self, name, text=None):
        path = os.path.join(self.dir, name)
        if text is not None:
            with open(path, 'w') as f:
                f.write(text)
        return path

    def profile(self, options, loops=50000000):
        return self.run_guest(self.busy(loops), '-device', 'isa-debug-exit,iobase=0xf4',
                              accel=f'{ENGINE},{options}')

    @staticmethod
    def counts(path):
        """Of all stacks, and of those in the loop."""
        with open(path) as f:
            lines = [line.rsplit(' ', 1) for line in f]
        busy = sum(int(count) for stack, count in lines if stack.startswith('ring0;busy'))
        return sum(int(count) for _, count in lines), busy

    def test_profile(self):
        profile = self.path('p')
        symbols = self.path('map', '00200000 T busy\n00201000 T idle\n')
        # A host's tick may be as long as ten periods of the timer, and a host that stands still has
        # one sample stand for all of that.
        loops = 200000000
        while True:
            result = self.profile(f'profile={profile},symbols={symbols}', loops)
            self.assertEqual((result.returncode, result.stderr), (0x21, b''))
            counted, busy = self.counts(profile)
            if counted >= 100 and busy > counted * 0.8 or loops == self.MOST_LOOPS:
                break
            loops = min(4 * loops, self.MOST_LOOPS)
        self.assertGreater(busy, 0)
        self.assertGreater(busy, counted * 0.8)
        with open(profile + '.sites') as f:
            sites = [line.rstrip('\n').split('\t') for line in f]
        self.assertIn(['callout-interpret-integer', '0x0020000a', 'busy+0xa', '1'], sites)

    def test_map_for_perf(self):
        process = self.start(self.command(SPIN, accel=f'{ENGINE},perf-map=on'),
                             stdin=subprocess.DEVNULL)
        path = f'/tmp/perf-{process.pid}.map'
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        deadline = time.monotonic() + TIMEOUT
        while True:
            lines = self.lines(path)
            found = any(line.endswith(' guest:0x00200000') for line in lines)
            if found or time.monotonic() > deadline or process.poll() is not None:
                break
            time.sleep(0.05)
        for line in lines:
            self.assertRegex(line, r'^[0-9a-f]+ [0-9a-f]+ (stub|guest):[^ ]+$')
        self.assertTrue(any(line.endswith(' stub:enter') for line in lines))
        self.assertTrue(any(line.endswith(' guest:0x00200000') for line in lines), lines)
        with open(f'/proc/{process.pid}/maps') as f:
            maps = f.read()
        executable = [line.split()[1:] for line in maps.splitlines() if '/dev/zero' in line
                      and 'x' in line.split()[1]]
        self.assertEqual([words[0] for words in executable], ['r-xs'],
                         'perf knows code that is made by this name')
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 0)

    @staticmethod
    def lines(path):
        if not os.path.exists(path):
            return []
        with open(path) as f:
            return [line.rstrip('\n') for line in f if line.endswith('\n')]

    def expect_error(self, options, *texts):
        result = self.profile(options)
        message = result.stderr.decode()
        self.assertEqual(result.returncode, 1, message)
        self.assertEqual(len(message.splitlines()), 1, message)
        for text in texts:
            self.assertIn(text, message)

    def test_errors(self):
        good = self.path('good')
        os.mkdir(self.path('taken.sites'))
        self.expect_error('profile=/nodir/p', "'/nodir/p'", 'No such file or directory')
        self.expect_error(f'profile={self.path("taken")}', 'taken.sites', 'Is a directory')
        self.expect_error('profile=', 'profile=: the name of a file')
        self.expect_error('perf-map=perhaps', 'perf-map=perhaps: on or off')
        self.expect_error(f'profile={good},symbols=/nodir/map', "'/nodir/map'",
                          'No such file or directory')
        wrong = self.path('wrong', '00100000 T one\nwhat is this?\n')
        self.expect_error(f'symbols={wrong}', 'wrong', 'line 2', 'what is this?')

    def test_a_wrong_file_is_no_reason_for_another_engine(self):
        result = self.run_guest(DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4',
                                accel='bt:interp,profile=/nodir/p')
        self.assertEqual(result.returncode, 1)
        self.assertNotIn(b'going on', result.stderr)


class Characters(Case):
    def test_file(self):
        path = os.path.join(self.dir, 'out')
        self.run_guest(SERIAL_A + DEBUG_EXIT, '-device', 'isa-debug-exit,iobase=0xf4',
                       '-serial', f'file:{path}')
        self.assertEqual(self.content(path), b'A')

    @staticmethod
    def content(path):
        with open(path, 'rb') as f:
            return f.read()

    def test_second_port_and_debug_console(self):
        code = bytes.fromhex('66 ba f8 02 b0 42 ee b0 43 e6 e9') + DEBUG_EXIT
        one, two, con = (os.path.join(self.dir, name) for name in ('one', 'two', 'con'))
        self.run_guest(code, '-device', 'isa-debug-exit,iobase=0xf4', '-serial', f'file:{one}',
                       '-serial', f'file:{two}',
                       '-debugcon', f'file:{con}')
        self.assertEqual([self.content(p) for p in (one, two, con)], [b'', b'B', b'C'])

    def test_closed_output_does_not_kill(self):
        process = self.start(self.command(SERIAL_A * 1000 + DEBUG_EXIT, '-device',
                                          'isa-debug-exit,iobase=0xf4',
                                          '-serial', 'stdio'), stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE)
        process.stdout.close()
        self.assertEqual(process.wait(TIMEOUT), 0x21)

    def test_input_from_a_pipe_is_not_lost(self):
        text = bytes(range(0x30, 0x5a)) * 40
        process = self.start(self.command(SERIAL_ECHO, '-serial', 'stdio'), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        process.stdin.write(text)
        process.stdin.close()
        expected = bytes(b + 1 for b in text)
        got = b''
        while len(got) < len(expected) and (data := os.read(process.stdout.fileno(), 4096)):
            got += data
        self.assertEqual(got, expected)
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 0)

    def test_unix_socket(self):
        path = os.path.join(self.dir, 'socket')
        process = self.start(self.command(SERIAL_ECHO, '-serial', f'unix:{path},server,nowait'),
                             stdin=subprocess.DEVNULL)
        for _ in range(2):  # a second peer is served after the first has gone
            with connect(path, process) as peer:
                peer.sendall(b'HAL')
                self.assertEqual(until(peer.fileno(), b'IBM'), b'IBM')

    def test_a_socket_belongs_to_one(self):
        path = os.path.join(self.dir, 'socket')
        line = ('-serial', f'unix:{path},server,nowait')
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()
        process = self.start(self.command(SERIAL_ECHO, *line), stdin=subprocess.DEVNULL)
        with connect(path, process):
            pass
        for more in ((), ('-monitor', line[1])):
            result = self.run_guest(SERIAL_ECHO, *line, *more)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(result.stderr.decode(),
                             f"ringfence: -serial: cannot listen at '{path}': another program "
                             "does; give each its own path\n")
        with connect(path, process) as peer:
            peer.sendall(b'HAL')
            self.assertEqual(until(peer.fileno(), b'IBM'), b'IBM')
        process.terminate()
        process.wait(TIMEOUT)
        self.assertFalse(os.path.exists(path))

    def test_what_took_the_place_of_a_socket_stays(self):
        path = os.path.join(self.dir, 'socket')
        process = self.start(self.command(SERIAL_ECHO, '-serial', f'unix:{path},server,nowait'),
                             stdin=subprocess.DEVNULL)
        with connect(path, process):
            pass
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            process.terminate()
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertTrue(os.path.exists(path))

    def test_quit_with_a_reader_that_does_not_read(self):
        for typed in (b'\x01x', b'abc\x01\x01x\x01h\x01x'):
            process = self.start(self.command(SERIAL_AAA, '-serial', 'mon:stdio'),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
            full, end = 0, time.monotonic() + TIMEOUT
            while not full and time.monotonic() < end:
                time.sleep(0.1)
                full = struct.unpack('i', fcntl.ioctl(process.stdout, termios.FIONREAD, b'....'))[0]
            time.sleep(0.5)
            process.stdin.write(typed)
            process.stdin.flush()
            self.assertEqual(process.wait(TIMEOUT), 0)

    def test_pseudo_terminal(self):
        process = self.start(self.command(SERIAL_ECHO, '-serial', 'pty'), stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        said = process.stderr.readline()
        self.assertRegex(said, b'/dev/pts/[0-9]+$')
        name = said.split()[-1]
        fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b'HAL\r')
        self.assertEqual(until(fd, b'\x0e', process), b'IBM\x0e')
        os.close(fd)

    def test_monitor_on_a_socket(self):
        path = os.path.join(self.dir, 'monitor')
        process = self.start(self.command(SPIN, '-S', '-monitor', f'unix:{path},server,nowait'),
                             stdin=subprocess.DEVNULL)
        with connect(path, process) as peer:
            def ask(command, answer):
                peer.sendall(command.encode() + b'\n')
                return until(peer.fileno(), answer + b'\r\n(ringfence) ') if answer else None
            ask('info status', b'paused')
            peer.sendall(b'info registers\n')
            self.assertIn(b'EIP=00200000', until(peer.fileno(), b'code eb fe'))
            ask('cont', b'cont')
            ask('info status', b'running')
            ask('stop', b'stop')
            ask('info  status ', b'paused')
            ask('nonsense', b"unknown command: 'nonsense' (help lists them)")
            ask('system_reset', b'system_reset')
            ask('c', b'c')
            peer.sendall(b'quit\n')
            self.assertEqual(process.wait(TIMEOUT), 0)


class Terminal(Case):
    def session(self, code, *args):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        before = termios.tcgetattr(slave)
        command = self.command(code, *args)
        if '-nographic' in args:
            command = [word for word in command if word not in ('-display', 'none')]
        process = self.start(command, stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True)
        return master, slave, before, process

    def test_escape_keys(self):
        master, slave, before, process = self.session(SERIAL_ECHO, '-nographic')
        os.write(master, b'H')
        until(master, b'I', process)
        os.write(master, b'\x01h')
        until(master, b'C-a x', process)
        os.write(master, b'\x01\x01')
        until(master, b'\x02', process)
        os.write(master, b'\x01c')
        until(master, b'(ringfence) ', process)
        os.write(master, b'info status\r')
        until(master, b'VM status: running', process)
        os.write(master, b'\x01cH')
        until(master, b'I', process)
        os.write(master, b'\x03')  # Ctrl-C is the guest's
        until(master, b'\x04', process)
        os.write(master, b'\x01x')
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertEqual(termios.tcgetattr(slave), before)

    def test_quit_with_a_guest_that_takes_no_input(self):
        master, slave, before, process = self.session(SERIAL_A + SPIN, '-nographic')
        until(master, b'A', process)
        os.write(master, b'x' * 100 + b'\x01x')
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertEqual(termios.tcgetattr(slave), before)

    def test_terminal_comes_back_after_signals(self):
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV,
                       signal.SIGTRAP):
            master, slave, before, process = self.session(SERIAL_A + HALT, '-nographic')
            until(master, b'A', process)
            self.assertNotEqual(termios.tcgetattr(slave), before)
            process.send_signal(number)
            process.wait(TIMEOUT)
            self.assertEqual(termios.tcgetattr(slave), before, number)


if __name__ == '__main__':
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    needs_engine.or_skip(PROGRAM, ENGINE)
    for inherited in (signal.SIGINT, signal.SIGQUIT):  # ignored in a shell's background
        signal.signal(inherited, signal.SIG_DFL)
    unittest.main()
