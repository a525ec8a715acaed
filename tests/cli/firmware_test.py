#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting from firmware: where the guest sees it, Debian's SeaBIOS, and what is said if there is
none.

usage: firmware_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. Firmware of our own is assembled with nasm; what
needs nasm or Debian's package seabios is skipped without it, with the reason.
"""
import os
import shutil
import subprocess
import sys
import unittest

import cli_test
import needs_engine

SUCCESS = 0x7f
SEABIOS = '/usr/share/seabios/bios-256k.bin'

# 64 KiB that end at 4 GiB and at 1 MiB. It works from a copy of itself at 0:8000h, so that what is
# under test can come and go. A check that fails ends the guest with the check's number.
OWN = '''
bits 16
org 0x8000
%define HERE(x) ((x) - 0x8000)		; offset in the firmware
%macro check 2		; check CONDITION, NUMBER
	j%1 %%good
	mov al, %2
	out 0xf4, al
	hlt
%%good:
%endmacro
%macro pam 2		; pam REGISTER, VALUE: a byte of the host bridge's configuration
	mov eax, 0x80000000 | (%1 & 0xfc)
	mov dx, 0xcf8
	out dx, eax
	mov dx, 0xcfc + (%1 & 3)
	mov al, %2
	out dx, al
%endmacro

start:
	cli
	; stores to ROM are lost
	mov ax, 0xf000
	mov ds, ax
	mov word [HERE(signature)], 0
	cmp word [HERE(signature)], 0x55aa
	check e, 1
	mov ax, 0xe000
	mov ds, ax
	cmp word [0], 0xffff
	check e, 2	; there is nothing
	mov ax, 0xf000
	mov ds, ax
	xor ax, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7000
	xor si, si
	mov di, 0x8000
	mov cx, 0x4000
	cld
	rep movsb
	jmp 0:low

low:
	xor ax, ax
	mov ds, ax
	cmp dword [0x500], 0x12345678	; after a reset
	je again
	mov ax, 0xf000
	mov es, ax
	mov ax, 0xc000
	mov fs, ax
	; RAM in place of ROM, and back
	pam 0x59, 0x30
	cmp word [es:HERE(signature)], 0
	check e, 3
	mov word [es:HERE(signature)], 0x1234
	cmp word [es:HERE(signature)], 0x1234
	check e, 4
	pam 0x59, 0
	cmp word [es:HERE(signature)], 0x55aa
	check e, 5
	pam 0x59, 0x10		; RAM that cannot be stored to
	mov word [es:HERE(signature)], 0x5678
	cmp word [es:HERE(signature)], 0x1234
	check e, 6
	; segments of 16 KiB, each by itself
	pam 0x5a, 0x03
	mov dword [fs:0x3ffc], 0xc0ffee
	cmp dword [fs:0x3ffc], 0xc0ffee
	check e, 7
	cmp dword [fs:0x4000], 0xffffffff
	check e, 8
	pam 0x5a, 0x30
	cmp dword [fs:0x3ffc], 0xffffffff
	check e, 9
	cmp dword [fs:0x4000], 0
	check e, 10
	pam 0x5a, 0x31
	cmp dword [fs:0x3ffc], 0xc0ffee
	check e, 11
	; code in what comes and goes
	pam 0x59, 0
	call 0xf000:HERE(code16)
	cmp ax, 1
	check e, 12
	pam 0x59, 0x30
	mov byte [es:HERE(code16)], 0xcb	; retf
	xor ax, ax
	call 0xf000:HERE(code16)
	cmp ax, 0
	check e, 13
	jmp 0:flat

flat:
	lgdt [gdtr]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp 8:flat32
bits 32
flat32:
	mov ax, 16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	mov esp, 0x7000
	call bank		; without paging
	; the same with paging: 4-MiB pages, identity
	mov edi, 0x10000
	mov eax, 0x83
.entry:	mov [edi], eax
	add edi, 4
	add eax, 0x400000
	jnc .entry
	mov eax, cr4
	or al, 0x10
	mov cr4, eax
	mov eax, 0x10000
	mov cr3, eax
	mov eax, cr0
	or eax, 0x80000000
	mov cr0, eax
	call bank
	; the reset shows ROM again
	mov dword [0x500], 0x12345678
	mov dx, 0xcf9
	mov al, 6
	out dx, al
	hlt

; Functions in ROM return 1; those that are stored to RAM at the same place 2.
bank:
	mov ecx, 20
.round:
	pam 0x59, 0
	mov eax, 0xf0000 + HERE(code32)
	call eax
	cmp eax, 1
	check e, 20
	mov eax, 0xffff0000 + HERE(code32)
	call eax
	cmp eax, 1
	check e, 21
	mov byte [0xf0000 + HERE(code32) + 1], 5
	mov byte [0xffff0000 + HERE(code32) + 1], 5
	mov eax, 0xf0000 + HERE(code32)
	call eax
	cmp eax, 1
	check e, 22
	mov eax, 0xffff0000 + HERE(code32)
	call eax
	cmp eax, 1
	check e, 23
	pam 0x59, 0x30
	mov dword [0xf0000 + HERE(code32)], 0x000002b8
	mov word [0xf0000 + HERE(code32) + 4], 0xc300
	mov eax, 0xf0000 + HERE(code32)
	call eax
	cmp eax, 2
	check e, 24
	mov byte [0xf0000 + HERE(code32) + 1], 3
	mov eax, 0xf0000 + HERE(code32)
	call eax
	cmp eax, 3
	check e, 25
	pam 0x59, 0x10
	mov byte [0xf0000 + HERE(code32) + 1], 4
	mov eax, 0xf0000 + HERE(code32)
	call eax
	cmp eax, 3
	check e, 26
	dec ecx
	jnz .round
	ret
code32:	mov eax, 1
	ret

bits 16
again:
	mov ax, 0xf000
	mov ds, ax
	cmp word [HERE(signature)], 0x55aa
	check e, 30
	mov al, 0x7f
	out 0xf4, al
	hlt

code16:	mov ax, 1
	retf
signature: dw 0x55aa
align 8
gdt:	dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:	dw 23
	dd gdt
	times 0xfff0 - ($ - $$) db 0x90
	jmp 0xf000:HERE(start)
	times 0x10000 - ($ - $$) db 0
'''


class Firmware(cli_test.Case):
    def path(self, name, data=b''):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    def assemble(self, text):
        if not shutil.which('nasm'):
            needs_engine.skip(self, 'there is no nasm')
        source, output = self.path('bios.asm', text.encode()), os.path.join(self.dir, 'bios.bin')
        subprocess.run(['nasm', '-f', 'bin', '-o', output, source], check=True)
        return output

    def launch(self, *args, **how):
        command = [cli_test.PROGRAM, '-accel', cli_test.ENGINE, *args]
        return self.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, bufsize=0, **how)

    def test_where_it_is_seen(self):
        for memory in ('1', '16'):
            bios = self.assemble(OWN)
            run = subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                                  '-m', memory, '-bios', bios, '-device',
                                  'isa-debug-exit,iobase=0xf4,iosize=1'],
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                                 timeout=cli_test.TIMEOUT)
            self.assertEqual(run.stderr, b'')
            self.assertEqual(run.returncode, SUCCESS << 1 | 1, f'check {run.returncode >> 1}')

    def seabios(self):
        if not os.path.exists(SEABIOS):
            needs_engine.skip(self, "Debian's package seabios is not installed")

    def grub_shell(self, device, image, *args):
        """The rescue image's shell, on the serial port, names the device."""
        if not os.path.exists(image):
            needs_engine.skip(self, "Debian's package grub-rescue-pc is not installed")
        process = self.launch('-nographic', *args)
        for wanted, typed in ((b'Press enter to boot', b'c'), (b'grub>', b'ls\n'),
                              (device.encode(), b'\x01x')):
            cli_test.until(process.stdout.fileno(), wanted, process)
            process.stdin.write(typed)
        self.assertEqual(process.wait(cli_test.TIMEOUT), 0)

    def test_seabios_finds_nothing_to_boot(self):
        self.seabios()
        process = self.launch('-nographic', '-boot', 'menu=on,splash-time=100')
        text = cli_test.until(process.stdout.fileno(), b'No bootable device.', process)
        self.assertIn(b'SeaBIOS (version', text)
        self.assertIn(b'Press ESC for boot menu', text)
        process.stdin.write(b'\x01x')
        self.assertEqual(process.wait(cli_test.TIMEOUT), 0)

    def test_seabios_tries_again(self):
        self.seabios()
        process = self.launch('-nographic', '-boot', 'reboot-timeout=100')
        for _ in range(2):
            cli_test.until(process.stdout.fileno(), b'Retrying in', process)
        process.stdin.write(b'\x01x')
        self.assertEqual(process.wait(cli_test.TIMEOUT), 0)

    def refused(self, text, *args):
        run = subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                              *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             check=False, timeout=cli_test.TIMEOUT)
        self.assertEqual(run.returncode, 1, run)
        self.assertIn(text, run.stderr)
        self.assertEqual(len(run.stderr.splitlines()), 1, run.stderr)

    def test_wrong_files(self):
        self.refused('there is no such file', '-bios', '/nodir/bios')
        self.refused('there is no such file', '-bios', 'nosuch.bin', '-L', self.dir)
        self.refused('directory', '-bios', self.dir)
        self.refused('not a regular file', '-bios', '/dev/null')
        for size in (0, 1, 65535, 65537, (16 << 20) + 65536):
            path = self.path('odd')
            os.truncate(path, size)
            self.refused(f'has {size} bytes', '-bios', path)
        fifo = os.path.join(self.dir, 'fifo')
        os.mkfifo(fifo)
        self.refused('not a regular file', '-bios', fifo)
        self.refused('leave out one of the two', '-bios', path, '-kernel', path)
        self.refused('same file', '-bios', path, '-serial', 'file:' + path)

    def test_folders(self):
        """A file of the usual name in a folder of -L comes first."""
        with open(self.assemble(OWN), 'rb') as f:
            bios = f.read()
        folder = os.path.join(self.dir, 'folder')
        os.mkdir(folder)
        for name in ('bios-256k.bin', 'other.bin'):
            self.path(os.path.join('folder', name), bios)
        for more in ((), ('-bios', 'other.bin')):
            run = subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                                  '-m', '4', '-L', self.dir, '-L', folder, *more, '-device',
                                  'isa-debug-exit,iobase=0xf4,iosize=1'],
                                 stdin=subprocess.DEVNULL, timeout=cli_test.TIMEOUT, check=False)
            self.assertEqual(run.returncode, SUCCESS << 1 | 1)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test.PROGRAM = sys.argv.pop(1)
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
