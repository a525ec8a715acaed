#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk images: a boot sector of our own that SeaBIOS starts, and what becomes of the files.

usage: disk_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. What needs nasm, SeaBIOS or GRUB's rescue CD is
skipped without it, with the reason.
"""
import os
import subprocess
import sys
import unittest

import cli_test
import firmware_test
import needs_engine

GRUB_CD = '/usr/lib/grub-rescue/grub-rescue-cdrom.iso'

# Says what is in sectors 1 and 5, stores "changed" to sector 7, and ends with 21h; with another
# status where the BIOS reports an error.
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
	mov ax, 0x0201		; read a sector: cylinder 0, head 0, sector 2
	mov cx, 2
	mov dh, 0
	mov bx, 0x8000
	int 0x13
	mov bl, 1
	jc end
	mov si, 0x8000
	call print
	mov si, packet		; by its number
	mov ah, 0x42
	mov dl, [drive]
	int 0x13
	mov bl, 2
	jc end
	mov si, 0x8200
	call print
	mov byte [packet + 8], 7
	mov word [packet + 4], text
	mov ax, 0x4300		; write
	mov si, packet
	mov dl, [drive]
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
drive:	db 0
align 4
packet:	db 16, 0
	dw 1, 0x8200, 0
	dq 5
text:	db "changed", 0
	times 510 - ($ - $$) db 0
	dw 0xaa55
	db "sector one ", 0
	times 5 * 512 - ($ - $$) db 0
	db "sector five ", 0
	times 64 * 512 - ($ - $$) db 0
'''


class Disks(firmware_test.Firmware):
    test_where_it_is_seen = test_seabios_finds_nothing_to_boot = test_seabios_tries_again = None
    test_wrong_files = test_folders = None

    def image(self):
        self.seabios()
        return self.assemble(BOOT)

    def boot(self, *args):
        return subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                               '-m', '16', '-serial', 'stdio', '-device',
                               'isa-debug-exit,iobase=0xf4,iosize=1', *args],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=cli_test.TIMEOUT)

    @staticmethod
    def seventh(path):
        with open(path, 'rb') as f:
            f.seek(7 * 512)
            return f.read(7)

    def expect_boot(self, status, *args):
        run = self.boot(*args)
        self.assertEqual((run.returncode, run.stderr), (status, b''), run)
        self.assertEqual(run.stdout, b'sector one sector five ')

    def test_ways_to_name_a_disk(self):
        for way in (('-hda', '{}'), ('{}',), ('-hdc', '{}'), ('-drive', 'format=raw,file={}'),
                    ('-drive', 'file={},if=ide,index=3,media=disk'), ('-boot', 'dc', '-hdb', '{}')):
            path = self.image()
            self.expect_boot(0x21, *(word.format(path) for word in way))
            self.assertEqual(self.seventh(path), b'changed', way)

    def test_images_that_are_left_alone(self):
        path = self.image()
        self.expect_boot(0x21, '-snapshot', path)
        self.expect_boot(0x21, '-drive', f'file={path},snapshot=on')
        self.expect_boot(7, '-drive', f'file={path},readonly=on')
        self.assertEqual(self.seventh(path), b'\0' * 7)

    def test_an_image_is_one_machines(self):
        path = self.path('disk', bytes(4096))
        process = self.start(self.command(cli_test.SERIAL_A + cli_test.HALT, '-hda', path,
                                          '-serial', 'stdio'), stdout=subprocess.PIPE)
        cli_test.until(process.stdout.fileno(), b'A', process)
        self.refused('is in use by another', '-hda', path)
        self.refused('is in use by another', '-cdrom', path)
        process.kill()
        process.wait()
        run = self.run_guest(cli_test.DEBUG_EXIT, '-hda', path, '-hdb', path)
        self.assertIn(b'same file', run.stderr)
        run = self.run_guest(cli_test.DEBUG_EXIT, '-cdrom', path, '-drive',
                             f'file={path},readonly=on', '-device', 'isa-debug-exit,iobase=0xf4')
        self.assertEqual(run.returncode, 0x21, run)

    def test_images_that_will_not_do(self):
        path = self.path('disk', b'')
        self.refused('is empty', '-hda', path)
        self.refused('is empty', '-cdrom', path)
        self.path('disk', bytes(700))
        self.refused('has 700 bytes', path)
        self.refused('directory', '-hda', self.dir)
        self.refused("'/nodir/x'", '-hdb', '/nodir/x')
        self.path('disk', b'QFI\xfb' + bytes(508))
        self.refused('format=qcow2', path)
        self.path('disk', bytes(512))
        self.refused('same file', '-hda', path, '-serial', 'file:' + path)
        os.truncate(path, 0)

    def test_grub_from_a_cd(self):
        self.seabios()
        self.grub_shell('(cd', GRUB_CD, '-cdrom', GRUB_CD, '-boot', 'd')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test.PROGRAM = sys.argv.pop(1)
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
