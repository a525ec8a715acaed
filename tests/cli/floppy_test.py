#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Floppy images: a boot sector of our own that SeaBIOS starts from each size of disk, GRUB's rescue
floppy, and what becomes of the files.

usage: floppy_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. What needs nasm, SeaBIOS or GRUB's rescue floppy is
skipped without it, with the reason.
"""
import os
import subprocess
import sys
import unittest

import cli_test
import firmware_test
import needs_engine

GRUB_FLOPPY = '/usr/lib/grub-rescue/grub-rescue-floppy.img'
GOOD = 0x21

# Says what is at the start of the last sector of the disk, whose geometry it is made with, and what
# the BIOS says of the drive: type, sectors, cylinders. Stores "changed" to the second sector. Ends
# with another status than 21h where the BIOS reports an error.
BOOT = '''
bits 16
org 0x7c00
	cli
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7c00
	sti
	mov [drive], dl
	mov ax, 0x0201
	mov ch, CYLINDERS - 1
	mov cl, SECTORS
	mov dh, HEADS - 1
	mov bx, 0x8000
	int 0x13
	mov bl, 1
	jc end
	mov si, 0x8000
	call print
	mov ah, 8
	mov dl, [drive]
	xor di, di
	push es
	int 0x13
	pop es
	mov [type], bl
	mov bl, 2
	jc end
	mov al, [type]
	call digit
	mov al, cl
	and al, 0x3f
	call digit
	mov al, ch
	call digit
	mov ax, 0x0301
	mov cx, 2
	mov dh, 0
	mov dl, [drive]
	mov bx, text
	int 0x13
	mov bl, 3
	jc end
	mov bl, 0x10
end:	mov al, bl
	out 0xf4, al
	hlt
	jmp end
print:	mov dx, 0x3f8
.next:	lodsb
	test al, al
	jz .end
	out dx, al
	jmp .next
.end:	ret
digit:	push dx		; AL in two hexadecimal digits
	push ax
	shr al, 4
	call .one
	pop ax
	and al, 15
	call .one
	pop dx
	ret
.one:	cmp al, 10
	sbb al, 0x69
	das
	mov dx, 0x3f8
	out dx, al
	ret
drive:	db 0
type:	db 0
text:	db "changed", 0
	times 510 - ($ - $$) db 0
	dw 0xaa55
	times (CYLINDERS * HEADS * SECTORS - 1) * 512 - ($ - $$) db 0
	db "last sector ", 0
	times CYLINDERS * HEADS * SECTORS * 512 - ($ - $$) db 0
'''

# KiB, cylinders, heads, sectors; type, sectors and cylinders - 1 as the BIOS tells them
SIZES = (
    (360, 40, 2, 9, '010927'), (720, 80, 2, 9, '04124F'), (1200, 80, 2, 15, '020F4F'),
    (1440, 80, 2, 18, '04124F'), (2880, 80, 2, 36, '05244F'),
)


class Floppies(firmware_test.Firmware):
    test_where_it_is_seen = test_seabios_finds_nothing_to_boot = test_seabios_tries_again = None
    test_wrong_files = test_folders = None

    def image(self, cylinders=80, heads=2, sectors=18):
        self.seabios()
        return self.assemble(f'%define CYLINDERS {cylinders}\n%define HEADS {heads}\n'
                             f'%define SECTORS {sectors}\n' + BOOT)

    def boot(self, *args):
        return subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                               '-m', '16', '-serial', 'stdio', '-device',
                               'isa-debug-exit,iobase=0xf4,iosize=1', *args],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=cli_test.TIMEOUT)

    @staticmethod
    def second(path):
        with open(path, 'rb') as f:
            f.seek(512)
            return f.read(7)

    def expect_boot(self, status, said, *args):
        run = self.boot(*args)
        self.assertEqual((run.returncode, run.stderr), (status, b''), run)
        self.assertEqual(run.stdout.decode(), 'last sector ' + said)

    def test_every_size(self):
        for kib, cylinders, heads, sectors, said in SIZES:
            path = self.image(cylinders, heads, sectors)
            self.assertEqual(os.path.getsize(path), kib * 1024)
            self.expect_boot(GOOD, said, '-fda', path, '-boot', 'a')
            self.assertEqual(self.second(path), b'changed', kib)

    def test_ways_to_name_a_floppy(self):
        for way in (('-drive', 'if=floppy,file={}'), ('-boot', 'order=a,once=a', '-drive',
                    'file={},if=floppy,index=0,format=raw'), ('-fda', '{}', '-no-fd-bootchk')):
            path = self.image()
            self.expect_boot(GOOD, '04124F', *(word.format(path) for word in way))
            self.assertEqual(self.second(path), b'changed', way)

    def test_a_mark_that_is_not_there(self):
        path = self.image()
        with open(path, 'r+b') as f:
            f.seek(510)
            f.write(b'\0\0')
        self.expect_boot(GOOD, '04124F', '-fda', path, '-no-fd-bootchk')

    def test_images_that_are_left_alone(self):
        path = self.image()
        self.expect_boot(GOOD, '04124F', '-snapshot', '-fda', path)
        self.expect_boot(GOOD, '04124F', '-drive', f'file={path},if=floppy,snapshot=on')
        self.expect_boot(7, '04124F', '-drive', f'file={path},if=floppy,readonly=on')
        self.assertEqual(self.second(path), b'\0' * 7)

    def test_a_disk_of_a_floppys_size_is_a_disk(self):
        self.seabios()
        path = self.image()
        run = self.boot(path)
        self.assertEqual(run.returncode, 3, 'there is no such sector on it')

    def test_images_that_will_not_do(self):
        path = self.path('floppy', bytes(1440 * 1024 + 512))
        for way in (('-fda', path), ('-fdb', path), ('-drive', f'if=floppy,file={path}')):
            self.refused('has 1475072 bytes, which is no floppy', *way)
        self.path('floppy', b'')
        self.refused('is empty', '-fda', path)
        self.refused('cannot open', '-fda', '/nodir/x')
        self.path('floppy', bytes(1440 * 1024))
        self.refused('same file', '-fda', path, '-fdb', path)
        self.refused('same file', '-fda', path, '-serial', 'file:' + path)

    def test_grub_from_a_floppy(self):
        self.seabios()
        self.grub_shell('(fd0', GRUB_FLOPPY, '-fda', GRUB_FLOPPY, '-snapshot', '-boot', 'a')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test.PROGRAM = sys.argv.pop(1)
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
