#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The display adapter's memory as guest memory: a guest that scrolls, changes modes, reads back,
runs code there, and reaches it through pages and banks.

usage: video_memory_test.py RINGFENCE [unittest arguments]

ENGINE in the environment chooses the engine. The guest is firmware of our own, assembled with nasm;
what needs nasm is skipped without it, with the reason.
"""
import json
import os
import subprocess
import sys
import unittest

import cli_test
import display_test
import firmware_test
import needs_engine

SUCCESS = 0x7f
TEXT_LINES = 25

# A check that fails ends the guest with the check's number. Loops are long enough for memory to be
# mapped where it can be.
START = '''
bits 16
org 0
%define FRAME 0xe0000000
%define LONG 3000		; accesses after which everything is mapped
%macro check 2		; check CONDITION, NUMBER
	j%1 %%good
	mov al, %2
	jmp fail
%%good:
%endmacro
%macro set 3		; set PORT, INDEX, VALUE
	mov dx, %1
	mov ax, (%3) << 8 | (%2)
	out dx, ax
%endmacro
%macro dispi 2		; dispi INDEX, VALUE
	mov dx, 0x1ce
	mov ax, %1
	out dx, ax
	mov dx, 0x1d0
	mov ax, %2
	out dx, ax
%endmacro
%macro config 2		; config REGISTER, VALUE: of 00:02.0
	mov dx, 0xcf8
	mov eax, 0x80001000 | %1
	out dx, eax
	mov dx, 0xcfc
	mov eax, %2
	out dx, eax
%endmacro

start:	cli
	cld
	xor ax, ax
	mov ss, ax
	mov sp, 0x7000
	mov dx, 0x3c2
	mov al, 0x67
	out dx, al
	mov si, modes		; sequencer, CRTC, graphics: as text mode has them
	push cs
	pop ds
	mov dx, 0x3c4
	mov cx, 5
	call table
	mov dx, 0x3d4
	mov cx, 25
	call table
	mov dx, 0x3ce
	mov cx, 9
	call table
	mov dx, 0x3da
	in al, dx
	mov dx, 0x3c0
	mov al, 0x20
	out dx, al
	jmp test
table:	xor al, al
.next:	mov ah, [si]
	inc si
	out dx, ax
	inc ax
	loop .next
	ret
modes:	db 3, 0, 3, 0, 2
	db 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c
	db 0x0e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff
	db 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff
text:	set 0x3ce, 6, 0x0e
	set 0x3ce, 5, 0x10
	set 0x3ce, 4, 0
	set 0x3c4, 4, 2
	set 0x3c4, 2, 3
	ret
planar:	set 0x3c4, 2, 4		; plane 2 at A0000h
	set 0x3c4, 4, 6
	set 0x3ce, 5, 0
	set 0x3ce, 4, 2
	set 0x3ce, 6, 5
	ret
fail:	out 0xf4, al
	hlt
'''

END = f'''
done:	mov al, {SUCCESS}
	jmp fail
	times 0xfff0 - ($ - $$) db 0
	jmp 0xf000:start
	times 0x10000 - ($ - $$) db 0
'''

# Line n of the text is n, "A" + n % 26 and so on; the whole is scrolled LONG times.
SCROLL = '''
test:	mov ax, 0xb800
	mov ds, ax
	mov es, ax
	xor bx, bx
.next:	mov si, 160
	xor di, di
	mov cx, 24 * 80
	rep movsw
	mov ax, bx
	xor dx, dx
	mov cx, 26
	div cx
	mov al, dl
	add al, 'A'
	mov ah, 7
	mov cx, 80
	rep stosw
	inc bx
	cmp bx, LONG
	jne .next
'''

CHECKS = SCROLL + '''
	; the lines are those of the last 25 rounds
	mov si, 25 * 160 - 2
	mov bx, LONG - 1
.line:	mov ax, bx
	xor dx, dx
	mov cx, 26
	div cx
	add dl, 'A'
	mov dh, 7
	mov cx, 80
.cell:	std
	lodsw
	cld
	cmp ax, dx
	check e, 1
	loop .cell
	dec bx
	cmp bx, LONG - 26
	jne .line

	; a font beside it, and text that stays, many times
	mov bp, 20
.flip:	call planar
	mov ax, 0xa000
	mov ds, ax
	mov es, ax
	mov di, 0
	mov cx, 0x2000
	mov ax, bp
	rep stosb
	set 0x3ce, 4, 0
	mov cl, [0]		; plane 0 has a character at an even address, and nothing beyond it
	cmp cl, 'A' + (LONG - 25) % 26
	check e, 2
	cmp byte [1], 0
	check e, 3
	set 0x3ce, 4, 1
	cmp byte [0], 7
	check e, 4
	set 0x3ce, 4, 2
	mov ax, bp
	cmp byte [77], al
	check e, 5
	call text
	mov ax, 0xb800
	mov ds, ax
	mov es, ax
	mov cx, LONG
.use:	cmp word [0], 'A' + (LONG - 25) % 26 | 0x700
	check e, 6
	mov [0x4000], cx
	cmp [0x4000], cx
	check e, 7
	loop .use
	dec bp
	jnz .flip

	; a mode that makes bytes others on their way: no store may go past it
	mov cx, LONG
.near:	mov byte [0x5000], 0x55
	loop .near
	set 0x3ce, 3, 4		; rotated
	mov byte [0x5000], 0x12
	set 0x3ce, 3, 0
	cmp byte [0x5000], 0x21
	check e, 8

	; code in video memory, which changes
	mov di, 0x6000
	mov al, 0xb8		; mov ax, 1234h; retf
	stosb
	mov ax, 0x1234
	stosw
	mov al, 0xcb
	stosb
	mov cx, LONG
	mov bx, 0
.call:	mov [0x6001], bx
	call 0xb800:0x6000
	cmp ax, bx
	check e, 9
	inc bx
	loop .call
	; also while a mode comes between
	set 0x3ce, 5, 0
	set 0x3ce, 5, 0x10
	call 0xb800:0x6000
	dec bx
	cmp ax, bx
	check e, 10

	; 32-bit code with pages: two aliases of the text page, and one of a font's
	xor ax, ax
	mov es, ax
	mov di, 0x8000		; page directory; a table at 9000h
	mov cx, 0x800
	xor eax, eax
	rep stosd
	mov dword [es:0x8000], 0x9007
	xor edi, edi
	mov eax, 7
.page:	mov [es:edi * 4 + 0x9000], eax
	add eax, 0x1000
	inc edi
	cmp edi, 0x100
	jne .page
	mov dword [es:0x9000 + 0x200 * 4], 0xb8007
	mov dword [es:0x9000 + 0x300 * 4], 0xb8007
	mov dword [es:0x9000 + 0x301 * 4], 0xa0007
	o32 lgdt [cs:gdtr]
	mov eax, 0x8000
	mov cr3, eax
	mov eax, cr0
	or eax, 0x80000001
	mov cr0, eax
	jmp dword 8:0xf0000 + paged
bits 32
paged:	mov ax, 16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, 0x7000
	mov ecx, LONG
.alias:	mov [0x200000 + 0x100], ecx
	cmp [0x300000 + 0x100], ecx
	check e, 11
	mov [0x300000 + 0x104], cx
	cmp [0xb8104], cx
	check e, 12
	loop .alias
	; a scroll through one alias is seen through the other
	mov ebp, LONG
.more:	mov esi, 0x200000 + 160
	mov edi, 0x300000
	mov ecx, 24 * 40
	mov [0x200000 + 160], ebp
	rep movsd
	cmp [0xb8000], ebp
	check e, 13
	dec ebp
	jnz .more
	; mapped pages follow the mode at once
	mov dword [0x200000], 0x07420741
	mov bl, [0x200000]
	set 0x3c4, 4, 6
	set 0x3ce, 6, 5
	set 0x3ce, 5, 0
	mov al, [0x301000]
	cmp al, 'A'
	check e, 14
	cmp byte [0x301002], 'B'
	check e, 15
	mov byte [0x301002], 'C' ; map mask 3: both planes
	set 0x3ce, 5, 0x10
	set 0x3ce, 6, 0x0e
	set 0x3c4, 4, 2
	cmp dword [0x200000], 0x43430741
	check e, 16

	; the frame buffer and its banks; paging off
	mov eax, cr0
	and eax, 0x7fffffff
	mov cr0, eax
	config 0x10, FRAME
	config 0x04, 2
	dispi 4, 0
	dispi 1, 640
	dispi 2, 480
	dispi 3, 8
	dispi 4, 0xc1
	cmp dword [FRAME], 0x00010741 ; planes beside each other, a font in the third
	check e, 17
	set 0x3ce, 6, 5
	mov edi, FRAME
	xor eax, eax
.frame:	mov [edi + eax * 4], eax
	inc eax
	cmp eax, 640 * 480 / 4
	jne .frame
	xor ebx, ebx
.bank:	dispi 5, bx
	xor eax, eax
	mov edi, ebx
	shl edi, 14
.read:	cmp [0xa0000 + eax * 4], edi
	check e, 18
	not dword [0xa0000 + eax * 4]
	inc edi
	inc eax
	cmp eax, LONG
	jne .read
	mov eax, ebx
	shl eax, 16
	shl ebx, 14
	not ebx
	cmp [FRAME + eax], ebx
	check e, 19
	not ebx
	shr ebx, 14
	inc ebx
	cmp ebx, 4
	jne .bank
	; it moves
	mov ebx, [FRAME + 0x20000]
	config 0x10, 0xe8000000
	cmp [0xe8020000], ebx
	check e, 20
	cmp dword [FRAME + 0x20000], -1
	check e, 21
	config 0x04, 0
	cmp dword [0xe8020000], -1
	check e, 22
	mov al, TEXT_SUCCESS
	out 0xf4, al
	hlt
align 8
gdt:	dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:	dw 23
	dd 0xf0000 + gdt
bits 16
'''.replace('TEXT_SUCCESS', str(SUCCESS))

# Two seconds of the clock chip later, to its last line, which is memory by now.
LATER = '''
	mov cx, 2
.second: xor al, al
	out 0x70, al
	in al, 0x71
	mov bl, al
.wait:	xor al, al
	out 0x70, al
	in al, 0x71
	cmp al, bl
	je .wait
	loop .second
	mov di, 24 * 160
	mov eax, 0x07000700 + 'n' + ('o' << 16)
	stosd
	mov eax, 0x07000700 + 'w' + ('!' << 16)
	stosd
	jmp $
'''

HALT = '''
	hlt
	jmp test
'''


class VideoMemory(firmware_test.Firmware):
    test_where_it_is_seen = test_seabios_finds_nothing_to_boot = test_seabios_tries_again = None
    test_wrong_files = test_folders = None

    def image(self, guest):
        # A check's jump may be a long one, in either size of code.
        return self.assemble(START.replace('j%1 %%good', 'j%1 near %%good') +
                             guest.replace('jmp fail', 'jmp near fail') + END)

    def test_guest(self):
        run = subprocess.run([cli_test.PROGRAM, '-accel', cli_test.ENGINE, '-display', 'none',
                              '-m', '16', '-vga', 'std', '-bios', self.image(CHECKS), '-device',
                              'isa-debug-exit,iobase=0xf4,iosize=1'],
                             stdin=subprocess.DEVNULL, capture_output=True, check=False,
                             timeout=cli_test.TIMEOUT)
        self.assertEqual(run.stderr, b'')
        self.assertEqual(run.returncode, SUCCESS << 1 | 1, f'check {run.returncode >> 1}')

    def test_screen_of_a_text_that_scrolls(self):
        process = self.launch('-display', 'none', '-m', '16', '-vga', 'std', '-monitor', 'stdio',
                              '-bios', self.image(SCROLL + HALT))
        path = os.path.join(self.dir, 'screen.txt')
        last = chr(ord('A') + 2999 % 26) * 80
        process.stdin.write(f'waitfor 100 {last}\nscreendump {path}\nquit\n'.encode())
        process.stdin.close()
        self.assertEqual(process.wait(cli_test.TIMEOUT), 0, process.stderr.read())
        with open(path, encoding='utf-8') as file:
            lines = file.read().split('\n')
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(lines[:TEXT_LINES], [chr(ord('A') + n % 26) * 80
                                              for n in range(3000 - TEXT_LINES, 3000)])

    def test_a_terminal_shows_what_is_stored_later(self):
        display_test.RINGFENCE = cli_test.PROGRAM
        screen = display_test.Screen('-display', 'curses', '-bios',
                                     self.image(SCROLL + LATER))
        screen.until(chr(ord('A') + 2999 % 26) * 80)
        screen.until('now!JJJ')
        screen.type(b'\x01x')
        self.assertEqual(screen.status(), 0)

    @needs_engine.only_for(cli_test.ENGINE, 'bt', 'interp')
    def test_scrolling_is_memory_access(self):
        stats = os.path.join(self.dir, 'stats.json')
        subprocess.run([cli_test.PROGRAM, '-accel', f'{cli_test.ENGINE},stats={stats}',
                        '-display', 'none', '-m', '16', '-vga', 'std', '-bios',
                        self.image(SCROLL), '-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
                       stdin=subprocess.DEVNULL, check=False, timeout=cli_test.TIMEOUT)
        with open(stats, encoding='utf-8') as file:
            found = json.load(file)
        self.assertLess(found['guest']['mmio_accesses'], 10000, 'of 11 million')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test.PROGRAM = sys.argv.pop(1)
    needs_engine.or_skip(cli_test.PROGRAM, cli_test.ENGINE)
    unittest.main()
