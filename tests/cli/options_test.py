#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What single options do, from outside: sockets, pipes and -chardev; -pidfile and -daemonize; the
clock, ACPI, the UUID, the log.

usage: options_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine.
"""
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import unittest

import cli_test
import needs_engine
from cli_test import (Case, DEBUG_EXIT, HALT, POWER_OFF, RESET, SERIAL_A, SERIAL_ECHO, SPIN,
                      TIMEOUT, connect, until)

EXIT = ('-device', 'isa-debug-exit,iobase=0xf4')
IAC, SB, SE, BRK = 255, 250, 240, 243
WILL, WONT, DO, DONT = 251, 252, 253, 254
BINARY, ECHO, NO_GO_AHEAD, WINDOW_SIZE = 0, 1, 3, 31


def send(register):
    """Sends a register of the clock chip through the serial port."""
    return bytes([0xb0, register]) + bytes.fromhex('e6 70 e4 71 66 ba f8 03 ee')


def listener():
    server = socket.create_server(('127.0.0.1', 0))
    server.settimeout(TIMEOUT)
    return server, server.getsockname()[1]


class Sockets(Case):
    def serve(self, line, code=SERIAL_ECHO, *args):
        """A machine with a server at a free port, and the port."""
        process = self.start(self.command(code, '-serial', line, *args), stdin=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        said = process.stderr.readline().decode()
        self.assertRegex(said, '^ringfence: character device redirected to 127.0.0.1:[0-9]+$')
        return process, int(said.rsplit(':', 1)[1])

    def expect_echo(self, peer):
        peer.sendall(b'HAL')
        self.assertEqual(until(peer.fileno(), b'IBM'), b'IBM')

    def refused(self, text, *args):
        result = self.run_guest(DEBUG_EXIT, *EXIT, *args)
        self.assertEqual(result.returncode, 1)
        self.assertIn(text, result.stderr.decode())
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_tcp_server(self):
        for line in ('tcp::0,server,nowait', 'tcp:127.0.0.1:0,server=on,wait=off'):
            _, port = self.serve(line)
            for _ in range(2):  # the second peer after the first has gone
                with socket.create_connection(('127.0.0.1', port)) as peer:
                    self.expect_echo(peer)

    def test_port_in_use(self):
        server, port = listener()
        with server:
            self.refused(f'-serial: cannot listen at 127.0.0.1:{port}: another program does; give '
                         'another port', '-serial', f'tcp::{port},server,nowait')

    def test_no_such_host(self):
        for line in ('tcp:no.such.host.invalid:1', 'tcp::nosuchport,server,nowait'):
            self.refused('-serial: cannot look up', '-serial', line)

    def test_tcp_client(self):
        server, port = listener()
        with server:
            self.start(self.command(SERIAL_ECHO, '-serial', f'tcp:127.0.0.1:{port}'),
                       stdin=subprocess.DEVNULL)
            peer, _ = server.accept()
            with peer:
                self.expect_echo(peer)
        self.refused(f'-serial: cannot connect to 127.0.0.1:{port}: Connection refused; start '
                     'what listens there first', '-serial', f'tcp:127.0.0.1:{port}')

    def test_reconnect(self):
        server, port = listener()
        server.close()
        process = self.start(self.command(SERIAL_ECHO, '-serial',
                                          f'tcp:127.0.0.1:{port},reconnect=1'),
                             stdin=subprocess.DEVNULL)
        time.sleep(0.3)  # nobody listens when it begins
        self.assertIsNone(process.poll())
        with socket.create_server(('127.0.0.1', port)) as server:
            server.settimeout(TIMEOUT)
            for _ in range(2):
                peer, _ = server.accept()
                with peer:
                    self.expect_echo(peer)

    def test_unix_client(self):
        path = os.path.join(self.dir, 'socket')
        self.refused(f"cannot connect to '{path}': No such file or directory; start what listens "
                     'there first, or add reconnect=SECONDS, or server,nowait to listen',
                     '-serial', f'unix:{path}')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(1)
            server.settimeout(TIMEOUT)
            self.start(self.command(SERIAL_ECHO, '-serial', f'unix:{path}'),
                       stdin=subprocess.DEVNULL)
            peer, _ = server.accept()
            with peer:
                self.expect_echo(peer)

    def test_wait_for_a_peer(self):
        path = os.path.join(self.dir, 'socket')
        for line in (f'unix:{path},server', f'unix:{path},server=on,wait=on'):
            process = self.start(self.command(SERIAL_A + DEBUG_EXIT, *EXIT, '-serial', line),
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.assertIn(b'waiting for a connection to', process.stderr.readline())
            time.sleep(0.3)
            self.assertIsNone(process.poll())
            with connect(path, process) as peer:
                self.assertEqual(until(peer.fileno(), b'A'), b'A')  # nothing was dropped
            self.assertEqual(process.wait(TIMEOUT), 0x21)

    def test_waiting_ends_by_a_signal(self):
        path = os.path.join(self.dir, 'socket')
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start(self.command(SPIN, '-serial', f'unix:{path},server'),
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            process.stderr.readline()
            process.send_signal(number)
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertIn(b'terminating on signal', process.stderr.read())
            self.assertFalse(os.path.exists(path))

    def test_telnet(self):
        _, port = self.serve('telnet::0,server,nowait')
        for _ in range(2):
            with socket.create_connection(('127.0.0.1', port)) as peer:
                offered = until(peer.fileno(), bytes([IAC, DO, NO_GO_AHEAD]))
                self.assertEqual(offered, bytes([IAC, WILL, BINARY, IAC, WILL, ECHO, IAC, WILL,
                                                 NO_GO_AHEAD, IAC, DO, BINARY, IAC, DO,
                                                 NO_GO_AHEAD]))
                # answers need no answer; others are declined once; the device gets what is data
                peer.sendall(bytes([IAC, DO, ECHO, IAC, WILL, BINARY, IAC, DO, BINARY, ord('H'),
                                    IAC, SB, WINDOW_SIZE, 0, 80, IAC, SE, ord('A'), IAC, WILL,
                                    WINDOW_SIZE, ord('L'), IAC, IAC, 0xfe]))
                self.assertEqual(until(peer.fileno(), b'\xff\xff'),
                                 b'IB' + bytes([IAC, DONT, WINDOW_SIZE]) + b'M\0\xff\xff')

    def test_break_through_telnet(self):
        # Waits for LSR bit 4, the break, and exits.
        code = bytes.fromhex('66 ba fd 03 ec a8 10 74 fb') + DEBUG_EXIT
        process, port = self.serve('telnet::0,server,nowait', code, *EXIT)
        with socket.create_connection(('127.0.0.1', port)) as peer:
            peer.sendall(bytes([IAC, BRK]))
            self.assertEqual(process.wait(TIMEOUT), 0x21)

    def test_monitor_on_telnet(self):
        process, port = self.serve('null', SPIN, '-monitor', 'telnet::0,server,nowait')
        with socket.create_connection(('127.0.0.1', port)) as peer:
            peer.sendall(b'quit\r\n')
            self.assertEqual(process.wait(TIMEOUT), 0)

    def test_pipes(self):
        to_guest, from_guest = (os.path.join(self.dir, 'pipe' + end) for end in ('.in', '.out'))
        os.mkfifo(to_guest)
        os.mkfifo(from_guest)
        process = self.start(self.command(SERIAL_ECHO, '-serial',
                                          f'pipe:{os.path.join(self.dir, "pipe")}'),
                             stdin=subprocess.DEVNULL)
        for _ in range(2):  # who goes may come back
            with open(to_guest, 'wb', buffering=0) as to, open(from_guest, 'rb') as out:
                to.write(b'HAL')
                self.assertEqual(until(out.fileno(), b'IBM', process), b'IBM')

    def test_one_pipe_for_both(self):
        path = os.path.join(self.dir, 'pipe')
        os.mkfifo(path)
        result = self.run_guest(DEBUG_EXIT, *EXIT, '-serial', f'pipe:{path}')
        self.assertEqual((result.returncode, result.stderr), (0x21, b''))

    def test_pipes_that_are_none(self):
        one = os.path.join(self.dir, 'pipe')
        self.refused(f'make them: mkfifo {one}.in {one}.out', '-serial', f'pipe:{one}')
        with open(one, 'wb'):
            self.refused('not a pipe', '-serial', f'pipe:{one}')

    def test_chardev(self):
        path = os.path.join(self.dir, 'socket')
        process = self.start(self.command(
            SERIAL_ECHO, '-serial', 'chardev:a', '-chardev',
            f'socket,id=a,path={path},server=on,wait=off,mux=on', '-mon', 'a'),
            stdin=subprocess.DEVNULL)
        with connect(path, process) as peer:
            self.expect_echo(peer)
            peer.sendall(b'\x01cinfo status\r')
            until(peer.fileno(), b'VM status: running')
            peer.sendall(b'\x01cHAL')
            until(peer.fileno(), b'IBM')

    def test_devices_on_chardevs(self):
        code = bytes.fromhex('66 ba 02 04 b0 42 ee 66 ba f8 02 b0 43 ee') + DEBUG_EXIT
        one, two = (os.path.join(self.dir, name) for name in ('one', 'two'))
        result = self.run_guest(code, *EXIT, '-chardev', f'file,id=a,path={one}', '-device',
                                'isa-debugcon,iobase=0x402,chardev=a', '-chardev',
                                f'file,id=b,path={two}', '-device', 'isa-serial,chardev=b,index=1')
        self.assertEqual((result.returncode, result.stderr), (0x21, b''))
        with open(one, 'rb') as a, open(two, 'rb') as b:
            self.assertEqual((a.read(), b.read()), (b'B', b'C'))


class Process(Case):
    def path(self, name):
        return os.path.join(self.dir, name)

    def number(self, process=None):
        """What the pid file has, once it has something."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and (process is None or process.poll() is None):
            try:
                with open(self.path('pid')) as f:
                    text = f.read()
                if text.endswith('\n'):
                    return int(text.split()[0])
            except FileNotFoundError:
                pass
            time.sleep(0.02)
        raise AssertionError('no number')

    def test_pidfile(self):
        for end in (signal.SIGTERM, None):
            code = SPIN if end else DEBUG_EXIT
            process = self.start(self.command(code, *EXIT, '-pidfile', self.path('pid'),
                                              *(() if end else ('-S',))),
                                 stdin=subprocess.DEVNULL)
            self.assertEqual(self.number(process), process.pid)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertFalse(os.path.exists(self.path('pid')))

    def test_a_pidfile_belongs_to_one(self):
        process = self.start(self.command(SPIN, '-pidfile', self.path('pid')),
                             stdin=subprocess.DEVNULL)
        self.number(process)
        out = self.path('out')
        with open(out, 'w') as f:
            f.write('kept')
        result = self.run_guest(DEBUG_EXIT, *EXIT, '-pidfile', self.path('pid'), '-serial',
                                f'file:{out}')
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.decode(),
                         f'ringfence: -pidfile {self.path("pid")}: a process that runs has it '
                         f'({process.pid}); give each its own file\n')
        with open(out) as f:
            self.assertEqual(f.read(), 'kept')
        self.assertEqual(self.number(process), process.pid)

    def test_a_pidfile_left_behind_is_not_in_the_way(self):
        with open(self.path('pid'), 'w') as f:
            f.write('123456789\nand more\n')
        process = self.start(self.command(SPIN, '-pidfile', self.path('pid')),
                             stdin=subprocess.DEVNULL)
        end = time.monotonic() + TIMEOUT
        while self.number(process) != process.pid and time.monotonic() < end:
            time.sleep(0.02)
        process.kill()
        process.wait()
        self.assertEqual(self.number(), process.pid)

    def test_pidfiles_that_cannot_be(self):
        kernel = self.guest(SPIN)
        for path, text in (('/nodir/pid', 'No such file or directory; give another file'),
                           (self.dir, 'Is a directory'), (kernel, 'is the same file as -kernel')):
            result = self.run_guest(SPIN, '-pidfile', path)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f'-pidfile {path}', result.stderr.decode())
            self.assertIn(text, result.stderr.decode())
        self.assertTrue(os.path.exists(kernel))
        result = self.run_guest(SPIN, '-pidfile', self.path('pid'), '-serial', 'file:/nodir/x')
        self.assertEqual(result.returncode, 1)
        self.assertFalse(os.path.exists(self.path('pid')), 'what was not to be leaves no file')

    def daemon(self, code, *args):
        """Starts one; ends it when the test does. Its standard files are not ours any more: else
        reading to their end would last as long as it runs."""
        result = self.run_guest(code, '-daemonize', '-pidfile', self.path('pid'), *args)
        if result.returncode == 0:
            number = self.number()
            self.addCleanup(self.end, number)
            return result, number
        return result, None

    @staticmethod
    def end(number):
        try:
            os.kill(number, signal.SIGTERM)
        except ProcessLookupError:
            return
        end = time.monotonic() + TIMEOUT
        while os.path.exists(f'/proc/{number}') and time.monotonic() < end:
            with open(f'/proc/{number}/stat') as f:
                if f.read().rpartition(')')[2].split()[0] == 'Z':
                    return  # nobody waits for it here
            time.sleep(0.02)

    def test_daemon(self):
        serial = self.path('serial')
        result, number = self.daemon(SERIAL_ECHO, '-serial', f'unix:{serial},server,nowait')
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b'', b''))
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(serial)  # at once: the machine has been set up
            peer.sendall(b'HAL')
            self.assertEqual(until(peer.fileno(), b'IBM'), b'IBM')
        self.assertEqual(os.getsid(number), number)
        for fd in (0, 1, 2):
            self.assertEqual(os.readlink(f'/proc/{number}/fd/{fd}'), '/dev/null')
        self.end(number)
        self.assertFalse(os.path.exists(self.path('pid')))

    def test_daemon_resets_a_kernel_of_a_relative_name(self):
        self.guest(SERIAL_A + RESET)
        out = self.path('out')
        result = subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                                 '-m', '16', '-kernel', 'guest', '-daemonize', '-pidfile', 'pid',
                                 '-serial', f'file:{out}'], cwd=self.dir, capture_output=True,
                                stdin=subprocess.DEVNULL, timeout=TIMEOUT)
        self.assertEqual((result.returncode, result.stderr), (0, b''))
        self.addCleanup(self.end, self.number())
        end = time.monotonic() + TIMEOUT
        while os.path.getsize(out) < 3 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertGreaterEqual(os.path.getsize(out), 3)

    def test_daemons_that_could_not_be(self):
        for args, text in ((('-kernel', '/nofile'), '/nofile'),
                           (('-serial', 'file:/nodir/x'), '/nodir/x'),
                           (('-serial', 'stdio'), '-daemonize leaves the terminal'),
                           (('-m', 'x'), '-m x')):
            result, _ = self.daemon(SPIN, *args)
            self.assertEqual(result.returncode, 1)
            self.assertIn(text, result.stderr.decode())
            self.assertFalse(os.path.exists(self.path('pid')))

    def test_waiting_for_a_daemon_ends_by_a_signal(self):
        process = self.start(self.command(SPIN, '-daemonize', '-serial',
                                          f'unix:{self.path("s")},server'),
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        process.stderr.readline()
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 1, 'there is no daemon')
        self.assertIn(b'terminating on signal', process.stderr.read())

    def test_process_name(self):
        result, number = self.daemon(SPIN, '-name', 'guest=a,process=a-guest,debug-threads=on')
        self.assertEqual(result.returncode, 0, result)
        with open(f'/proc/{number}/comm') as f:
            self.assertEqual(f.read(), 'a-guest\n')


class Machine(Case):
    def monitor(self, code, *args):
        path = os.path.join(self.dir, 'monitor')
        process = self.start(self.command(code, '-monitor', f'unix:{path},server,nowait', *args),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        peer = connect(path, process)
        self.addCleanup(peer.close)
        until(peer.fileno(), b'(ringfence) ')

        def ask(command):
            peer.sendall(command.encode() + b'\n')
            return until(peer.fileno(), b'\r\n(ringfence) ').decode()
        return process, ask

    def test_uuid(self):
        uuid = '550e8400-e29b-41d4-a716-446655440000'
        self.assertIn(f'\r\n{uuid}\r\n', self.monitor(SPIN, '-uuid', uuid.upper())[1]('info uuid'))

    def test_no_uuid(self):
        self.assertIn('00000000-0000-0000-0000-000000000000 (none was given: -uuid)',
                      self.monitor(SPIN)[1]('info uuid'))

    def clock(self, base):
        code = b''.join(map(send, (0x32, 9, 8, 7, 4, 2))) + DEBUG_EXIT
        return self.run_guest(code, *EXIT, '-serial', 'stdio', '-rtc', base).stdout.hex()

    def test_date(self):
        self.assertEqual(self.clock('base=1987-06-05T04:03:02'), '198706050403')
        self.assertEqual(self.clock('2099-12-31,clock=vm'), '209912310000')

    def seconds(self, peer):
        """Of the guest's clock, which it sends for each byte."""
        peer.sendall(b'?')
        got = b''
        while len(got) < 2:
            self.assertTrue(select.select([peer], [], [], TIMEOUT)[0])
            got += peer.recv(2)
        return int(f'{got[0]:x}') * 60 + int(f'{got[1]:x}')

    def test_clocks_of_stopped_machines(self):
        """clock=vm stands still with the machine; the others do not."""
        code = bytes.fromhex('66 ba fd 03 ec a8 01 74 fb 66 ba f8 03 ec') + send(2) + send(0)
        code += b'\xe9' + (-len(code) - 5).to_bytes(4, 'little', signed=True)
        for name in ('vm', 'host', 'rt'):
            path = os.path.join(self.dir, name)
            began = time.monotonic()
            process, ask = self.monitor(code, '-serial', f'unix:{path},server,nowait', '-rtc',
                                        f'base=2020-01-01T00:00:00,clock={name}')
            with connect(path, process) as peer:
                self.seconds(peer)
                ask('stop')
                ask('info registers')  # who answers that has stopped
                time.sleep(2.5)
                ask('cont')
                guest = self.seconds(peer)
                if name == 'vm':
                    self.assertLessEqual(guest, time.monotonic() - began - 2.5)
                else:
                    self.assertGreaterEqual(guest, 2)
            process.terminate()
            process.wait(TIMEOUT)

    def test_no_acpi(self):
        power_off_or_exit = POWER_OFF[:-len(HALT)] + DEBUG_EXIT
        # looks for "RSD " on 16-byte boundaries from f0000; exits with 0x11 if it is there
        search = bytes.fromhex('be 00 00 0f 00 81 3e 52 53 44 20 74 13 83 c6 10 81 fe 00 00 10 00'
                               '72 ed') + DEBUG_EXIT + bytes.fromhex('b0 11 e6 f4') + HALT
        for args, power_off, found in (((), 0, 0x23), (('-no-acpi',), 0x21, 0x21),
                                       (('-M', 'pc,acpi=off'), 0x21, 0x21),
                                       (('-M', 'pc,acpi=on'), 0, 0x23)):
            self.assertEqual(self.run_guest(power_off_or_exit, *EXIT, *args).returncode, power_off)
            self.assertEqual(self.run_guest(search, *EXIT, *args).returncode, found)

    def test_power_button_without_acpi(self):
        process, ask = self.monitor(SPIN, '-no-acpi')
        ask('system_powerdown')
        self.assertIn('running', ask('info status'))
        self.assertIsNone(process.poll())


class Log(Case):
    def log(self, code, items, *args):
        path = os.path.join(self.dir, 'log')
        process = self.start(self.command(code, *EXIT, '-d', items, '-D', path, *args),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return process, path

    @staticmethod
    def content(path):
        with open(path) as f:
            return f.read()

    def test_resets(self):
        process, path = self.log(SERIAL_A + RESET, 'cpu_reset', '-serial', 'stdio')
        until(process.stdout.fileno(), b'AAA')
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 0)
        self.assertRegex(self.content(path), r'^CPU reset\n(.*\n)*?.*EIP=0020')

    def test_what_no_device_has(self):
        # out to port 0x1234, in from it, a store to and a load from d0000000h
        code = bytes.fromhex('66 ba 34 12 ee ed c6 05 00 00 00 d0 01 a1 00 00 00 d0') + DEBUG_EXIT
        process, path = self.log(code, 'unimp')
        self.assertEqual(process.wait(TIMEOUT), 0x21)
        self.assertEqual(self.content(path), '''\
write of 1 bytes at port 0x1234, which no device has
read of 4 bytes at port 0x1234, which no device has
write of 1 bytes at address 0xd0000000, which no device has
read of 4 bytes at address 0xd0000000, which no device has
''')

    @needs_engine.only_for(cli_test.ENGINE, 'bt', 'interp')
    def test_registers(self):
        process, path = self.log(DEBUG_EXIT, 'cpu')
        self.assertEqual(process.wait(TIMEOUT), 0x21)
        self.assertRegex(self.content(path), 'EAX=')

    def test_errors_of_guests(self):
        code = bytes.fromhex('b9 34 12 00 00 0f 32')  # rdmsr of 1234h, and so a triple fault
        process, path = self.log(code, 'guest_errors', '-no-reboot')
        process.wait(TIMEOUT)
        self.assertIn('rdmsr of unknown MSR 0x1234', self.content(path))

    def test_all(self):
        process, path = self.log(SERIAL_A + bytes.fromhex('66 ba 34 12 ee') + DEBUG_EXIT, 'all')
        self.assertEqual(process.wait(TIMEOUT), 0x21)
        self.assertIn('port 0x1234', self.content(path))

    def test_each_item_is_known(self):
        result = subprocess.run([cli_test.PROGRAM, '-d', 'help'], capture_output=True, text=True,
                                timeout=TIMEOUT)
        items = re.findall('^([a-z_]+) ', result.stdout, re.MULTILINE)
        self.assertGreaterEqual(len(items), 9)
        for item in items:
            process, _ = self.log(DEBUG_EXIT, item)
            self.assertEqual(process.wait(TIMEOUT), 0x21)


if __name__ == '__main__':
    cli_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
