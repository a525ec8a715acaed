; SPDX-License-Identifier: GPL-2.0-or-later
; Fills a frame buffer of 1024 by 768 pixels of 32 bits, in 32-bit code: by a loop, or by REP STOSD.
%include "common.inc"

%define FRAME 0xe0000000
%define PIXELS (1024 * 768)

%macro dispi 2
	mov dx, 0x1ce
	mov ax, %1
	out dx, ax
	mov dx, 0x1d0
	mov ax, %2
	out dx, ax
%endmacro

%macro config 2 ; of 00:02.0
	mov dx, 0xcf8
	mov eax, 0x80001000 | %1
	out dx, eax
	mov dx, 0xcfc
	mov eax, %2
	out dx, eax
%endmacro

work:	config 0x10, FRAME
	config 0x04, 2
	dispi 4, 0
	dispi 1, 1024
	dispi 2, 768
	dispi 3, 32
	dispi 4, 0x41
	o32 lgdt [cs:gdtr]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	jmp dword 8:0xf0000 + flat

bits 32
flat:	mov ax, 16
	mov ds, ax
	mov es, ax
	mov ebx, ROUNDS
	jmp .more
.next:	mov edi, FRAME
	mov ecx, PIXELS
	mov eax, ebx
%ifdef STRING
	rep stosd
%else
.pixel:	mov [edi], eax
	add edi, 4
	dec ecx
	jnz .pixel
%endif
	dec ebx
.more:	test ebx, ebx
	jnz .next
	mov al, 0x10
	out 0xf4, al
	hlt

align 8
gdt:	dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:	dw 23
	dd 0xf0000 + gdt
bits 16
	finish
