#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debugging a guest: the protocol from outside, and by gdb itself.

usage: gdb_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. What needs gdb, nasm, a compiler for 32-bit code or
Debian's package seabios is skipped without it, with the reason.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import unittest

import cli_test
import needs_engine
from cli_test import HALT, SERIAL_AAA, SPIN, TIMEOUT, Case, connect, until

SEABIOS = '/usr/share/seabios/bios-256k.bin'
CODE = 0x200000
EIP, ESP, CS, CS_BASE = 8, 4, 10, 41
# inc eax; mov [0x201000], eax; jmp -8
COUNT = bytes.fromhex('40 a3 00 10 20 00 eb f8')
# mov al, 3; out 0xf4, al: exit status 7
EXIT_7 = bytes.fromhex('b0 03 e6 f4') + HALT

KERNEL = '''
	.set MAGIC, 0x1badb002
	.text
	.align 4
	.long MAGIC, 0, -MAGIC
	.globl _start
_start:	mov $stack, %esp
	call main
	.section .note.GNU-stack
	.bss
	.space 4096
stack:
'''
MAIN = '''
volatile int counter, other, sum;
__attribute__((noinline)) int add(int a, int b)
{
	counter = a + b;
	return counter;
}
__attribute__((noinline)) int outer(int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		s += add(i, s);
	sum = s;
	return s;
}
int main(void)
{
	for (;;) {
		outer(10);
		other++;
	}
}
'''
BOOT = '''
bits 16
org 0x7c00
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, 0x7000
again:	call work
	jmp again
work:	push bp
	mov bp, sp
	inc word [counter]
	pop bp
	ret
counter: dw 0
	times 510 - ($ - $$) db 0
	dw 0xaa55
'''


def frame(body):
    return b'$' + body + b'#%02x' % (sum(body) & 0xff)


def unrepeated(body):
    return re.sub(rb'(?s)(.)\*(.)', lambda m: m[1] * (m[2][0] - 28), body)


class Client(Case):
    """Speaks the protocol without gdb."""

    def begin(self, code, *args):
        path = os.path.join(self.dir, 'gdb')
        self.process = self.start(
            self.command(code, '-serial', 'stdio', '-monitor', 'none', '-gdb', f'unix:{path}',
                         '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', *args),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.join(path)

    def join(self, path=None):
        self.peer = connect(path or os.path.join(self.dir, 'gdb'), self.process)
        self.addCleanup(self.peer.close)
        self.peer.settimeout(TIMEOUT)
        self.acknowledged = True
        self.got = b''

    def packet(self):
        """The next one's body. What comes before it is acknowledgements."""
        while not (found := re.match(rb'(?s)(\+*)\$([^#$]*)#(..)', self.got)):
            self.assertRegex(self.got, rb'(?s)^\+*(\$[^#$]*(#.?)?)?$')
            more = self.peer.recv(4096)
            self.assertTrue(more, f'end after {self.got!r}')
            self.got += more
        self.got = self.got[found.end():]
        signs, body, told = found.groups()
        self.assertEqual(sum(body) & 0xff, int(told, 16))
        if self.acknowledged:
            with contextlib.suppress(BrokenPipeError):  # it may have been the last
                self.peer.sendall(b'+')
        else:
            self.assertEqual(signs, b'')
        return unrepeated(body)

    def ask(self, body):
        self.peer.sendall(frame(body))
        return self.packet()

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask(b'p%x' % number).decode()), 'little')

    def monitor(self, line):
        self.peer.sendall(frame(b'qRcmd,' + line.encode().hex().encode()))
        text = b''
        while True:
            body = self.packet()
            if body == b'OK':
                return text.decode()
            self.assertEqual(body[:1], b'O')
            text += bytes.fromhex(body[1:].decode())

    def ends(self, status):
        self.assertEqual(self.process.wait(TIMEOUT), status)


class Protocol(Client):
    def test_a_client_stops_the_guest_and_asks_what_there_is(self):
        self.begin(SPIN)
        self.assertEqual(self.ask(b'?'), b'T02thread:01;')
        self.assertIn(b'PacketSize=4000;', self.ask(b'qSupported:swbreak+'))
        self.assertEqual(self.ask(b'vMustReplyEmpty'), b'')
        self.assertEqual(self.ask(b'qNothingOfTheKind'), b'')
        self.assertEqual(self.ask(b'qAttached'), b'1')
        self.assertEqual(self.ask(b'qC'), b'QC01')
        self.assertEqual(self.ask(b'qfThreadInfo'), b'm01')
        self.assertEqual(self.ask(b'qsThreadInfo'), b'l')
        self.assertEqual(self.ask(b'Hg0'), b'OK')
        self.assertEqual(self.ask(b'T1'), b'OK')
        self.assertIn('paused', self.monitor('info status'))

    def test_the_description_fits_the_registers(self):
        self.begin(SPIN)
        xml, offset = b'', 0
        while True:
            part = self.ask(b'qXfer:features:read:target.xml:%x,321' % offset)
            xml += re.sub(rb'(?s)\}(.)', lambda m: bytes([m[1][0] ^ 0x20]), part[1:])
            offset = len(xml)
            if part[:1] == b'l':
                break
        sizes = [int(n) // 8 for n in re.findall(rb'<reg [^>]*bitsize="(\d+)"', xml)]
        self.assertEqual(len(self.ask(b'g')), 2 * sum(sizes))
        for number, size in enumerate(sizes):
            self.assertEqual(len(self.ask(b'p%x' % number)), 2 * size, number)
        self.assertEqual(self.ask(b'p%x' % len(sizes))[:1], b'E')
        self.assertEqual(self.ask(b'qXfer:features:read:other.xml:0,10')[:1], b'E')
        self.assertEqual(self.ask(b'qXfer:features:read:target.xml:fffff,10')[:1], b'E')

    def test_damaged_input(self):
        self.begin(SPIN)
        self.peer.sendall(b'$g#00')
        self.assertEqual(until(self.peer.fileno(), b'-'), b'-')
        self.peer.sendall(b'garbage#\x00\xff$m12')
        self.assertEqual(self.ask(b'?'), b'T02thread:01;')
        self.peer.sendall(b'-')
        self.assertEqual(self.packet(), b'T02thread:01;')
        self.assertEqual(self.ask(b'X' * 20000), b'E07')
        for body in (b'm', b'm1', b'm1,', b'mx,1', b'M1,2:3', b'M1,1:0000', b'P', b'P8', b'P8=1',
                     b'pffffffff', b'G12', b'Z', b'Z9,1,1', b'Z2,1,0', b'z0', b'vCont;x', b'Czz',
                     b'X1,5:ab', b'qRcmd,1', b'Qqemu.PhyMemMode:x', b'Z0,1,1,1'):
            self.assertRegex(self.ask(body), rb'^E..$', body)

    def test_without_acknowledgements(self):
        self.begin(SPIN)
        self.assertEqual(self.ask(b'QStartNoAckMode'), b'OK')
        self.acknowledged = False
        self.peer.sendall(b'$g#00' + frame(b'?'))
        self.assertEqual(self.packet(), b'T02thread:01;')

    def test_registers_and_memory(self):
        self.begin(COUNT, '-S')
        self.assertEqual(self.register(EIP), CODE)
        self.assertEqual(self.ask(b'P0=78563412'), b'OK')
        self.assertEqual(self.register(0), 0x12345678)
        every = self.ask(b'g')
        self.assertEqual(every[:8], b'78563412')
        self.assertEqual(self.ask(b'G' + b'01000000' + every[8:]), b'OK')
        self.assertEqual(self.register(0), 1)
        self.assertEqual(self.ask(b'm%x,8' % CODE), COUNT.hex().encode())
        self.assertEqual(self.ask(b'M201000,2:abcd'), b'OK')
        self.assertEqual(self.ask(b'X201002,3:}\x03\0}]'), b'OK')
        self.assertEqual(self.ask(b'm201000,5'), b'abcd23007d')
        self.assertRegex(self.ask(b'mfe000000,4'), b'^E..$')
        self.assertEqual(self.ask(b'qqemu.PhyMemMode'), b'0')
        self.assertEqual(self.ask(b'Qqemu.PhyMemMode:1'), b'OK')
        self.assertEqual(self.ask(b'qqemu.PhyMemMode'), b'1')
        self.assertEqual(self.ask(b'm201000,2'), b'abcd')

    def test_changed_code_is_run(self):
        self.begin(COUNT)
        self.assertEqual(self.ask(b'?'), b'T02thread:01;')
        self.assertEqual(self.ask(b'M%x,1:43' % CODE), b'OK')  # inc ebx
        self.assertEqual(self.ask(b'P3=00000000'), b'OK')
        self.assertEqual(self.ask(b'Z0,%x,1' % (CODE + 6)), b'OK')
        self.assertEqual(self.ask(b'P8=00002000'), b'OK')
        self.assertEqual(self.ask(b'c'), b'T05thread:01;')
        self.assertEqual((self.register(3), self.register(EIP)), (1, CODE + 6))

    def test_breakpoints_steps_and_watchpoints(self):
        self.begin(COUNT, '-S')
        self.assertEqual(self.ask(b'Z0,%x,1' % (CODE + 1)), b'OK')
        self.assertEqual(self.ask(b'vCont;c'), b'T05thread:01;')
        self.assertEqual(self.register(EIP), CODE + 1)
        # who goes on unmoved passes it
        before = self.register(0)
        self.assertEqual(self.ask(b'c'), b'T05thread:01;')
        self.assertEqual((self.register(EIP), self.register(0)), (CODE + 1, before + 1))
        self.assertEqual(self.ask(b'vCont;s:1;c'), b'T05thread:01;')
        self.assertEqual(self.register(EIP), CODE + 6)
        self.assertEqual(self.ask(b's'), b'T05thread:01;')
        self.assertEqual(self.register(EIP), CODE)
        self.assertEqual(self.ask(b'z0,%x,1' % (CODE + 1)), b'OK')
        self.assertEqual(self.ask(b'Z2,201002,1'), b'OK')
        self.assertEqual(self.ask(b'c'), b'T05thread:01;watch:201002;')
        self.assertEqual(self.register(EIP), CODE + 6)
        # moved to a breakpoint it does stop
        self.assertEqual(self.ask(b'z2,201002,1'), b'OK')
        self.assertEqual(self.ask(b'Z1,%x,1' % CODE), b'OK')
        self.assertEqual(self.ask(b'c%x' % CODE), b'T05thread:01;')
        self.assertEqual(self.register(EIP), CODE)

    def test_ctrl_c(self):
        self.begin(COUNT)
        self.assertEqual(self.ask(b'?'), b'T02thread:01;')
        for _ in range(20):
            # at once, so that it may come while the guest is about to go on
            self.peer.sendall(frame(b'c') + b'\x03')
            self.assertEqual(self.packet(), b'T02thread:01;')
        self.peer.sendall(b'\x03')  # it stands already
        self.assertEqual(self.ask(b'qC'), b'QC01')

    def test_detach_and_again(self):
        self.begin(SERIAL_AAA, '-S')
        self.assertEqual(self.ask(b'Z0,%x,1' % (CODE + 6)), b'OK')
        self.assertEqual(self.ask(b'D'), b'OK')
        until(self.process.stdout.fileno(), b'AAAA')
        self.peer.close()
        self.join()
        self.assertEqual(self.ask(b'?'), b'T02thread:01;')

    def test_a_client_that_vanishes(self):
        self.begin(SERIAL_AAA, '-S')
        self.assertEqual(self.ask(b'?'), b'T02thread:01;')
        self.peer.close()
        self.join()
        # It stood before the client came, and nobody had it run.
        self.assertEqual(self.register(EIP), CODE)
        self.assertEqual(self.ask(b'Z0,%x,1' % (CODE + 6)), b'OK')
        self.assertEqual(self.ask(b'c'), b'T05thread:01;')
        self.peer.close()
        until(self.process.stdout.fileno(), b'AAAA')

    def test_the_end_of_the_guest(self):
        self.begin(EXIT_7, '-S')
        self.assertEqual(self.ask(b'c'), b'W07')
        self.ends(7)

    def test_kill(self):
        self.begin(SPIN)
        self.peer.sendall(frame(b'k'))
        self.ends(0)

    def test_monitor_commands(self):
        self.begin(SPIN)
        self.assertIn(f'EIP={CODE:08x}', self.monitor('info registers'))
        self.assertIn('unknown command', self.monitor('nonsense'))
        self.assertEqual(self.monitor('quit'), '')
        self.ends(0)


class Gdb(Case):
    """Debian's gdb in batch mode."""

    def setUp(self):
        super().setUp()
        self.need('gdb')

    def need(self, program):
        if not shutil.which(program):
            needs_engine.skip(self, f'{program} is not installed')

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as f:
            f.write(text)
        return self.path(name)

    def kernel(self):
        self.need('gcc')
        made = subprocess.run(
            ['gcc', '-m32', '-O1', '-g', '-fno-omit-frame-pointer', '-fno-pic', '-nostdlib',
             '-ffreestanding', '-fno-stack-protector', '-fcf-protection=none', '-static', '-Wl,-N',
             '-Wl,-Ttext=0x100000', '-Wl,--build-id=none', '-o', self.path('kernel'),
             self.write('start.S', KERNEL), self.write('main.c', MAIN)],
            capture_output=True, text=True)
        if made.returncode:
            needs_engine.skip(self, 'gcc makes no 32-bit programs: ' + made.stderr[:200])
        return self.path('kernel')

    def debug(self, args, *commands, file=None):
        """What gdb says to the commands, by -gdb stdio."""
        command = ' '.join([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                            '-gdb', 'stdio', '-S', *args])
        script = self.write('script', '\n'.join(
            ['set pagination off', 'set confirm off', f'set remotetimeout {TIMEOUT}',
             f'target remote | exec {command}', *commands, 'kill']) + '\n')
        done = subprocess.run(['gdb', '-nx', '-batch', '-x', script] + ([file] if file else []),
                              capture_output=True, text=True, timeout=TIMEOUT,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.said_by_target = done.stderr
        return done.stdout

    def expect(self, said, *wanted):
        at = 0
        for text in wanted:
            found = re.compile(text).search(said, at)
            self.assertTrue(found, f'no {text!r} after {said[:at][-200:]!r} in:\n{said}')
            at = found.end()

    def test_c_code(self):
        kernel = self.kernel()
        said = self.debug(
            ['-kernel', kernel], 'break add', 'continue', 'backtrace', 'finish', 'next',
            'watch counter', 'delete 1', 'continue', 'continue', 'info registers', 'print $cs_base',
            'x/2i $pc', 'monitor info registers', 'stepi', 'print sum', file=kernel)
        self.expect(said, r'Breakpoint 1, add \(a=0, b=0\)', r'#0  add', r'#1 .* in outer',
                    r'#2 .* in main', r'Value returned is .* 0',
                    r'Hardware watchpoint 2: counter', r'Old value = 0\nNew value = 1',
                    r'Old value = 1\nNew value = 3', r'eip +0x1', r'eflags .*\[', r'cr0 .*0x11',
                    r'\$\d+ = 0', r'=> 0x1', r'\$\d+ = 0')
        self.assertIn('EAX=0000000', self.said_by_target)

    def test_reads_and_a_condition(self):
        kernel = self.kernel()
        said = self.debug(
            ['-kernel', kernel], 'break add if a == 7', 'continue', 'print a', 'delete',
            'rwatch other', 'continue', 'print other', 'delete', 'awatch sum', 'continue',
            'print counter', file=kernel)
        self.expect(said, r'Breakpoint 1, add \(a=7', r'\$1 = 7', r'Hardware read watchpoint',
                    r'Value = 0', r'main \(\)', r'\$2 = 0', r'\(read/write\) watchpoint',
                    r'= 1013', r'\$3 = ')

    def test_the_reset_vector_and_a_boot_sector(self):
        self.need('nasm')
        if not os.path.exists(SEABIOS):
            needs_engine.skip(self, 'the package seabios is not installed')
        image = self.path('disk.img')
        subprocess.run(['nasm', '-f', 'bin', '-o', image, self.write('boot.asm', BOOT)],
                       check=True)
        os.truncate(image, 1 << 20)
        said = self.debug(
            ['-hda', image, '-m', '16'], 'info registers eip cs cs_base', 'set architecture i8086',
            'x/i $cs_base+$eip', 'stepi', 'info registers eip cs_base', 'hbreak *0x7c00',
            'continue', 'x/4i $pc', 'delete', 'watch *(short *)0x7c17', 'continue',
            'info registers eip', 'x/i $pc-4', 'continue', 'stepi', 'stepi',
            'info registers eip sp', 'set architecture i386', 'x/i $pc')
        self.expect(said, r'eip +0xfff0', r'cs +0xf000', r'cs_base +0xffff0000', r'set to "i8086"',
                    r'0xfffffff0:\s+ljmp +\$0xf000,\$0xe05b', r'eip +0xe05b', r'cs_base +0xf0000',
                    r'Breakpoint 1, 0x00007c00', r'=> 0x7c00:\s+xor +%ax,%ax',
                    r'0x7c06:\s+mov +\$0x7000,%sp', r'Old value = 0\nNew value = 1',
                    r'eip +0x7c15', r'0x7c11:\s+incw +0x7c17', r'Old value = 1\nNew value = 2',
                    r'eip +0x7c0c', r'set to "i386"', r'=> 0x7c0c')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test.PROGRAM = sys.argv.pop(1)
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
