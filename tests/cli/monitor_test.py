#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor's commands: what they answer, and what they refuse.

usage: monitor_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine.
"""
import os
import re
import subprocess
import sys
import unittest

import cli_test
import needs_engine
from cli_test import HALT, SERIAL_A, SPIN, TIMEOUT, Case, connect, until

PROMPT = b'(ringfence) '

# Paging with a directory at 0x300000: linear 0..4 MiB by a table at 0x301000, of which page 5 is
# not there, page 6 read-only, page 7 the user's, page 8 at 0x200000; 0x80000000 is a large page of
# the user's at 4 MiB.
PAGING = bytes.fromhex(
    'bf 00 10 30 00'        # mov edi, 0x301000
    'b8 03 00 00 00'        # mov eax, 3
    'b9 00 04 00 00'        # mov ecx, 1024
    'ab 05 00 10 00 00 e2 f8'   # stosd; add eax, 4096; loop
    'c7 05 14 10 30 00 00 00 00 00'   # [0x301014] = 0
    'c7 05 18 10 30 00 01 60 00 00'   # [0x301018] = 0x6001
    'c7 05 1c 10 30 00 07 70 00 00'   # [0x30101c] = 0x7007
    'c7 05 20 10 30 00 03 00 20 00'   # [0x301020] = 0x200003
    'c7 05 00 00 30 00 07 10 30 00'   # [0x300000] = 0x301007
    'c7 05 00 08 30 00 87 00 40 00'   # [0x300800] = 0x400087
    '0f 20 e0 0c 10 0f 22 e0'         # cr4 |= PSE
    'b8 00 00 30 00 0f 22 d8'         # cr3 = 0x300000
    '0f 20 c0 0d 00 00 00 80 0f 22 c0'  # cr0 |= PG
)
# IRQ 0 by the timer, five times, polled: what acknowledges it is a read after OCW3 with P.
POLLED_TIMER = bytes.fromhex(
    'b0 11 e6 20 b0 20 e6 21 b0 04 e6 21 b0 01 e6 21 b0 fe e6 21'
    'b0 34 e6 43 b0 a9 e6 40 b0 04 e6 40'   # counter 0, mode 2, 1 kHz
    'b0 0c e6 20 e4 20 a8 80 74 f6'         # poll
    'b0 20 e6 20 fe c3 80 fb 05 75 eb')     # EOI; five times


class Monitor(Case):
    def begin(self, code, *args):
        path = os.path.join(self.dir, 'monitor')
        self.process = self.start(self.command(code, '-serial', 'stdio', '-monitor',
                                               f'unix:{path},server,nowait', *args),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.peer = connect(path, self.process)
        self.addCleanup(self.peer.close)
        until(self.peer.fileno(), PROMPT)

    def printed_a(self):
        until(self.process.stdout.fileno(), b'A')

    def ask(self, command):
        """The lines of its answer."""
        self.peer.sendall(command.encode() + b'\n')
        got = until(self.peer.fileno(), PROMPT).decode()
        echo, _, answer = got.partition('\r\n')
        self.assertEqual(echo, command)
        return answer[:-len(PROMPT)].split('\r\n')[:-1]

    def expect(self, command, *lines):
        self.assertEqual(self.ask(command), list(lines), command)

    def quits(self):
        self.peer.sendall(b'quit\n')
        self.assertEqual(self.process.wait(TIMEOUT), 0)

    def path(self, name):
        return os.path.join(self.dir, name)


class Words(Monitor):
    def test_info_lists_its_words(self):
        self.begin(SPIN)
        words = {line.split()[1] for line in self.ask('info')}
        self.assertEqual(words, {'chardev', 'cpus', 'irq', 'mem', 'mtree', 'pic', 'qtree',
                                 'registers', 'status', 'tlb', 'uuid', 'version'})
        for word in words:
            self.assertTrue(self.ask(f'info {word}'), word)
        self.assertEqual(self.ask('help info'), self.ask('info'))
        self.expect('info nonsense', "info: 'nonsense' is not what it can show (info lists that)")
        self.expect('info  pic x', "info pic takes no argument, and is given 'x'")
        self.quits()

    def test_help(self):
        self.begin(SPIN)
        listed = self.ask('help')
        self.assertLess(max(map(len, listed)), 80)
        for name in ('x', 'xp', 'print', 'i', 'o', 'log', 'nmi', 'memsave', 'pmemsave', 'info pic'):
            lines = self.ask(f'help {name}')
            self.assertEqual(len(lines), 1)
            self.assertIn(lines[0], listed)
        self.expect('help nonsense', "help: 'nonsense' is not a command")
        self.expect('stop now', "stop takes no argument, and is given 'now'")
        self.expect('infopic', "unknown command: 'infopic' (help lists them)")
        self.expect('xp4 0', "unknown command: 'xp4 0' (help lists them)")
        self.quits()

    def test_facts(self):
        out = self.path('out')
        self.begin(SERIAL_A + HALT, '-debugcon', f'file:{out}', '-serial', 'pty')
        self.printed_a()
        version = subprocess.run([cli_test.PROGRAM, '-version'], capture_output=True,
                                 text=True).stdout
        self.assertIn(self.ask('info version')[0].split()[1], version)
        self.expect('info status', 'VM status: running')
        self.expect('stop')
        self.expect('info status', 'VM status: paused')
        cpu, = self.ask('info cpus')
        thread = re.fullmatch(r'\* CPU #0: thread_id=([0-9]+) \(halted\)', cpu).group(1)
        self.assertTrue(os.path.exists(f'/proc/{self.process.pid}/task/{thread}'))
        lines = self.ask('info chardev')
        self.assertEqual(lines[0], 'serial0: filename=stdio')
        self.assertRegex(lines[1], r'^serial1: filename=pty:/dev/pts/[0-9]+$')
        self.assertEqual(lines[2], f'debugcon: filename=file:{out}')
        self.assertRegex(lines[3], '^monitor: filename=unix:')
        self.assertEqual(len(lines), 4)
        self.quits()


class Media(Monitor):
    def image(self, name, kib):
        with open(self.path(name), 'wb') as f:
            f.truncate(kib * 1024)
        return self.path(name)

    def expect_block(self, *lines):
        tray = '    Removable device: not locked, tray '
        self.expect('info block', *(line.replace('^', tray) for line in lines))

    def refuses(self, command, text):
        line, = self.ask(command)
        self.assertIn(text, line)

    def test_drives(self):
        disk, cd, floppy = (self.image(*of) for of in (('d', 64), ('c', 64), ('f', 1440)))
        other, small, odd = (self.image(*of) for of in (('o', 720), ('s', 360), ('x', 1441)))
        self.begin(SPIN, '-hda', disk, '-cdrom', cd, '-fda', floppy, '-drive', 'if=floppy')
        self.expect_block(f'ide0-hd0: {disk}', f'ide1-cd0: {cd} (read-only)', '^closed',
                          f'floppy0: {floppy}', '^closed', 'floppy1: [not inserted]', '^closed')
        self.expect('i/b 0x3f7', 'portb[0x03f7] = 0x80')
        self.expect('eject ide1-cd0')
        self.expect('eject floppy0')
        self.expect_block(f'ide0-hd0: {disk}', 'ide1-cd0: [not inserted]', '^open',
                          'floppy0: [not inserted]', '^closed', 'floppy1: [not inserted]',
                          '^closed')
        self.expect(f'change ide1-cd0 {odd}')
        self.expect(f'change  floppy0  {other}')
        self.expect(f'change -f floppy1 {floppy}')
        changed = (f'ide0-hd0: {disk}', f'ide1-cd0: {odd} (read-only)', '^closed',
                   f'floppy0: {other}', '^closed', f'floppy1: {floppy}', '^closed')
        self.expect_block(*changed)
        self.refuses('change floppy0 /nodir/x', "'/nodir/x'")
        self.refuses(f'change floppy0 {small}', 'which a 1.44M drive does not take')
        self.refuses(f'change floppy0 {floppy}', 'in use')
        self.refuses('eject ide0-hd0', 'stays where it is')
        self.refuses('eject floppy2', "there is no drive 'floppy2'")
        self.refuses('eject a-name-that-is-too-long', 'there is no drive')
        self.refuses('eject', 'it needs a drive')
        self.refuses('eject floppy0 x', "'x' is too much")
        self.refuses('change floppy0', 'it needs an image')
        self.expect_block(*changed)
        self.expect('eject ide1-cd0')
        self.refuses(f'change floppy0 {odd}', 'has 1475584 bytes, which is no floppy')
        self.quits()

    def test_a_locked_tray(self):
        """PREVENT ALLOW MEDIUM REMOVAL, by the ports of the second channel."""
        cd = self.image('c', 64)
        self.begin(SPIN, '-cdrom', cd)
        for port, value in ((6, 0xa0), (4, 0), (5, 2), (7, 0xa0)):
            self.expect(f'o/b {0x170 + port} {value}')
        for word in (0x1e, 0, 1, 0, 0, 0):
            self.expect(f'o/h 0x170 {word}')
        self.expect('info block', f'ide1-cd0: {cd} (read-only)',
                    '    Removable device: locked, tray closed')
        self.refuses('eject ide1-cd0', 'has locked the tray')
        self.refuses(f'change ide1-cd0 {cd}', 'has locked the tray')
        self.expect('eject -f ide1-cd0')
        self.expect('info block', 'ide1-cd0: [not inserted]',
                    '    Removable device: locked, tray open')
        self.quits()


class Memory(Monitor):
    def test_memory(self):
        self.begin(SERIAL_A + SPIN)
        self.printed_a()
        for command in ('x/4i 0x200000', 'x /4i $eip - 7', 'x/4i $cs.base+0x200000',
                        'xp /4i 0x200000'):
            lines = self.ask(command)
            self.assertEqual(lines[:4], ['0x00200000:  66 ba f8 03              mov dx, 0x3f8',
                                         '0x00200004:  b0 41                    mov al, 0x41',
                                         '0x00200006:  ee                       out dx, al',
                                         '0x00200007:  eb fe                    jmp 0x200007'],
                             command)
        self.expect('x/10xb 0x200000', '00200000: 0x66 0xba 0xf8 0x03 0xb0 0x41 0xee 0xeb',
                    '00200008: 0xfe 0x00')
        self.expect('x 0x200000', '00200000: 0x03f8ba66')
        self.expect('x/2xg 0x200000', '00200000: 0xebee41b003f8ba66 0x00000000000000fe')
        self.expect('xp/2db 0x200000', '0000000000200000:  102  -70')
        self.expect('x/2ob 0x200004', '00200004: 0260 0101')
        self.expect('x/3c 0x200005', "00200005: 'A' '\\xee' '\\xeb'")
        self.expect('x/5xw 0xfffff8', '00fffff8: Cannot access memory')
        self.expect('x/6xw 0xfffff0', '00fffff0: 0x00000000 0x00000000 0x00000000 0x00000000',
                    '01000000: Cannot access memory')
        self.expect('xp/2xb 0x9ffff', '000000000009ffff: Cannot access memory')
        self.expect('xp 0xfee00020', '00000000fee00020: Cannot access memory')
        self.expect('x/i 0xa0000', '0x000a0000:  Cannot access memory')
        self.quits()

    def test_print(self):
        self.begin(bytes.fromhex('b8 78 56 34 12') + SERIAL_A + SPIN)
        self.printed_a()
        self.expect('p 1+2*3', '7')
        self.expect('print/x $eax & 0xffffff00', '0x12345600')
        self.expect('p /x $eip', '0x20000c')
        self.expect('p/d 0-1', '-1')
        self.expect('p/u 0-1', '18446744073709551615')
        self.expect('p/o 8', '010')
        self.expect("p/c 'A'+1", "'B'")
        self.expect('p $nonsense', "p: EXPRESSION: '$nonsense' is not a register; there are "
                    '$eax..$edi, $eip, $eflags, $cs..$gs with .base and .limit, $cr0..$cr4, $gdtr '
                    'and $idtr')
        self.expect('p/i 1', "p: '/i' is for memory; print takes x, d, u, o and c")
        self.expect('p', 'p: EXPRESSION: a value is missing at the end')
        self.expect('p 1/0', 'p: EXPRESSION: a division by zero')
        self.expect('p (1', "p: EXPRESSION: a ')' is missing")
        self.expect('p 1 2', "p: '2' is one argument too many")
        self.expect('x/4q 0', "x: 'q' in '/4q' is neither a format (x d u o c i) nor a size "
                    '(b h w g)')
        self.expect('x/0 0', "x: '/0' counts to none or too many; 1 to 262144")
        self.expect('xp/4xw', 'xp: ADDRESS: a value is missing at the end')
        self.quits()

    def test_saving(self):
        self.begin(SERIAL_A + SPIN)
        self.printed_a()
        saved = self.path('a b')
        for name in ('memsave', 'pmemsave'):
            with open(saved, 'w') as f:
                f.write('x' * 100)
            self.expect(f'{name} 0x200000 {len(SERIAL_A)} "{saved}"')
            with open(saved, 'rb') as f:
                self.assertEqual(f.read(), SERIAL_A)
            for words, what in (
                    ('0xffffff 2', 'there is no memory at [a-z]* address 0x1000000'),
                    ('0x9fff0 0x11', 'there is no memory at [a-z]* address 0xa0000'),
                    ('0 0', '0x0 bytes at 0x0 are none'), ('0 0-1', 'more than there are'),
                    ('x 1', "ADDRESS: a value is missing at 'x 1"),
                    ('0 x', "SIZE: a value is missing at 'x")):
                line, = self.ask(f'{name} {words} "{saved}"')
                self.assertRegex(line, f'^{name}: .*{what}')
            with open(saved, 'rb') as f:
                self.assertEqual(f.read(), SERIAL_A, 'what is refused writes nothing')
            self.expect(f'{name} 0 1', f'{name}: FILE is missing')
            self.expect(f'{name} 0 1 "a', f'{name}: FILE: "a has no second quote')
            self.expect(f'{name} 0 1 /nodir/x',
                        f"{name}: cannot write '/nodir/x': No such file or directory")
            self.expect(f'{name} 0 4096 /dev/full',
                        f"{name}: cannot write '/dev/full': No space left on device")
            self.expect(f'{name} 0 1 /nodir/x y', f"{name}: 'y' is one argument too many")
        plain = self.path('plain')
        self.expect(f'pmemsave 0x1ff000 0x2001 {plain}')
        with open(plain, 'rb') as f:
            data = f.read()
        self.assertEqual((len(data), data[0x1000:0x1007]), (0x2001, SERIAL_A))
        os.mkfifo(self.path('fifo'))
        line, = self.ask(f'memsave 0 1 {self.path("fifo")}')
        self.assertIn('No such device or address', line)
        self.quits()

    def test_page_tables(self):
        self.begin(PAGING + SERIAL_A + SPIN)
        self.printed_a()
        tlb = self.ask('info tlb')
        self.assertEqual(len(tlb), 1024)
        pages = {line.split(':')[0][8:]: line.split()[1:] for line in tlb}
        self.assertNotIn('00005000', pages)
        for gva, gpa, may in (('00004000', '4000', '-W'), ('00006000', '6000', '--'),
                              ('00007000', '7000', 'UW'), ('00008000', '200000', '-W'),
                              ('80000000', '400000', 'UW')):
            self.assertEqual(pages[gva][0], gpa.rjust(16, '0'))
            self.assertEqual(pages[gva][1][-2:], may, gva)
            self.assertEqual(pages[gva][1][2], 'P' if gva == '80000000' else '-')
        self.assertEqual(self.ask('info mem'), [
            f'{start:016x}-{end:016x} {end - start:016x} {may}'
            for start, end, may in ((0, 0x5000, '-rw'), (0x6000, 0x7000, '-r-'),
                                    (0x7000, 0x8000, 'urw'), (0x8000, 0x400000, '-rw'),
                                    (0x80000000, 0x80400000, 'urw'))])
        self.expect('x/xb 0x8000', '00008000: 0xbf')
        self.expect('xp/xb 0x8000', '0000000000008000: 0x00')
        self.expect('x 0x5000', '00005000: Cannot access memory')
        self.assertRegex(self.ask(f'memsave 0x4fff 2 {self.path("x")}')[0],
                         'no memory at linear address 0x5000$')
        self.quits()

    def test_paging_that_is_off(self):
        self.begin(SERIAL_A + SPIN)
        self.printed_a()
        self.expect('info mem', 'PG disabled')
        self.expect('info tlb', 'PG disabled')
        self.quits()


class Devices(Monitor):
    def test_ports(self):
        self.begin(SERIAL_A + HALT)
        self.printed_a()
        self.expect('o/b 0x21 0x55')
        self.expect('i/b 0x21', 'portb[0x0021] = 0x55')
        self.expect('i/ob 0x21', 'portb[0x0021] = 0125')
        self.expect('o/b 0x20+1 ~0')
        self.expect('i/b 0x21', 'portb[0x0021] = 0xff')
        self.expect('i/h 0xe0', 'portw[0x00e0] = 0xffff')
        self.expect('i 0xcf8', 'portl[0x0cf8] = 0x00000000')
        self.expect('o/w 0xcf8 0x80000000')
        self.expect('i 0xcfc', 'portl[0x0cfc] = 0x12378086')
        self.expect('o /b 0x70 0x0b')
        self.expect('i/b 0x70.0x32', 'portb[0x0071] = 0x20')  # the century
        self.expect("o/b 0x3f8 'B'")
        until(self.process.stdout.fileno(), b'B')
        self.expect('i/b 0x10000', 'i: PORT: 0x10000 is above 0xffff')
        self.expect('i/b 0-1', 'i: PORT: 0xffffffffffffffff is above 0xffff')
        self.expect('i/b 0x70.0x100', 'i: INDEX: 0x100 is above 0xff')
        self.expect('i/g 0x70', 'i: a port is read and written as /b, /h or /w, once')
        self.expect('i/2b 0x70', 'i: a port is read and written as /b, /h or /w, once')
        self.expect('o/b 0x70 0x100', 'o: VALUE: 0x100 has more than 1 bytes')
        self.expect('o/b 0x70', 'o: VALUE: a value is missing at the end')
        self.expect('o/b 0x70 1 2', "o: '2' is one argument too many")
        self.expect('i', 'i: PORT: a value is missing at the end')
        self.quits()

    def test_a_port_that_concerns_the_processor(self):
        """The A20 gate; and a reset."""
        self.begin(SERIAL_A + HALT)
        self.printed_a()
        self.expect('x/xb 0x300000', '00300000: 0x00')
        self.expect('o/b 0x92 0')
        self.expect('x/xb 0x300000', '00300000: 0x66')
        self.expect('o/b 0x92 2')
        self.expect('x/xb 0x300000', '00300000: 0x00')
        self.expect('o/b 0xcf9 6')
        self.printed_a()
        self.quits()

    def test_interrupt_controllers(self):
        self.begin(POLLED_TIMER + SERIAL_A + HALT)
        self.printed_a()
        lines = self.ask('info pic')
        self.assertRegex(lines[0], '^pic1: irr=.. imr=ff isr=00 hprio=0 irq_base=70 rr_sel=0 '
                                   'elcr=.. fnm=0$')
        self.assertRegex(lines[1], '^pic0: irr=.. imr=fe isr=00 hprio=0 irq_base=20 rr_sel=0 '
                                   'elcr=00 fnm=0$')
        self.assertEqual(lines[2], 'ioapic0: id=0x00 sel=0x00')
        self.assertEqual(len(lines), 27)
        self.assertEqual(lines[7], '  pin 4  0x0000000000010000 dest=0 vec=0   active-hi edge  '
                                   'masked fixed  physical')
        self.expect('info irq', 'IRQ statistics for isa-i8259:', ' 0: 5',
                    'IRQ statistics for ioapic:')
        self.quits()

    def test_what_is_where(self):
        self.begin(SPIN, '-device', 'isa-debug-exit,iobase=0xf4')
        tree = self.ask('info mtree')
        memory, ports = tree[1:tree.index('')], tree[tree.index('') + 2:]
        self.assertEqual((tree[0], tree[tree.index('') + 1]),
                         ('address-space: memory', 'address-space: I/O'))
        for lines in (memory, ports):
            self.assertEqual(lines, sorted(lines))
        self.assertIn('  00000000000c0000-0000000000ffffff (prio 0, ram): ram', memory)
        self.assertIn('  00000000fec00000-00000000fec00fff (prio 0, i/o): io-apic', memory)
        self.assertIn('  00000000000003f8-00000000000003ff (prio 0, i/o): uart16550', ports)
        devices = self.ask('info qtree')
        self.assertEqual(devices[0], 'bus: main-system-bus')
        at = devices.index('  dev: uart16550')
        self.assertEqual(devices[at + 1], '    pio 03f8/0008')
        ranges = [line for line in devices if line.startswith('    ')]
        self.assertEqual(len(ranges), len([line for line in tree if 'i/o)' in line]))
        self.quits()

    def test_nmi(self):
        # an IDT whose gate 2 prints B, after A
        handler = bytes.fromhex('66 ba f8 03 b0 42 ee cf')
        code = bytes.fromhex('eb 26') + struct_idt(0x200016, handler) + bytes.fromhex(
            '0f 01 1d 1e 00 20 00') + SERIAL_A + HALT
        self.begin(code)
        self.printed_a()
        for _ in range(2):
            self.expect('nmi')
            until(self.process.stdout.fileno(), b'B')
        self.quits()


def struct_idt(gate, handler):
    """From 0x200002: the handler, padded to 20 bytes, gate 2 at 0x200016, and at 0x20001e what LIDT
    loads: gate 2's table begins 16 bytes before it."""
    base = gate - 16
    entry = (0x200002 & 0xffff).to_bytes(2, 'little') + bytes.fromhex('08 00 00 8e') + (
        0x200002 >> 16).to_bytes(2, 'little')
    return handler.ljust(20, b'\x90') + entry + (23).to_bytes(2, 'little') + base.to_bytes(
        4, 'little') + bytes(4)


class Logs(Monitor):
    def test_items(self):
        path = self.path('log')
        self.begin(SERIAL_A + SPIN, '-D', path)
        self.printed_a()
        listed = [line.split()[0] for line in self.ask('log')[1:]]
        self.assertIn('none', listed)
        self.assertEqual(self.ask('log help'), self.ask('log'))
        self.expect('log nonsense', "log: 'nonsense' is not a log item; -d help lists them")
        self.expect('log int')
        self.expect('nmi')  # without an IDT: a triple fault, which is logged
        self.printed_a()
        self.expect('log none')
        with open(path) as f:
            log = f.read()
        self.quits()
        with open(path) as f:
            log = f.read()
        self.assertIn('exception 0d', log)

    @needs_engine.only_for(cli_test.ENGINE, 'bt', 'interp')
    def test_code_from_now_on(self):
        path = self.path('log')
        self.begin(SERIAL_A + SPIN, '-D', path)
        self.printed_a()
        self.expect('log in_asm')
        self.expect('system_reset')
        self.printed_a()
        self.expect('log none')
        self.quits()
        with open(path) as f:
            self.assertIn('mov dx, 0x3f8', f.read())


if __name__ == '__main__':
    cli_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
