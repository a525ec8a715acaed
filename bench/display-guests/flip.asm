; SPDX-License-Identifier: GPL-2.0-or-later
; Text and fonts by turns: TOUCHES stores of text, then the registers as for loading a font, one
; store to it, and text again.
%include "common.inc"

work:	call text_mode
	cld
	mov ebx, ROUNDS
	jmp .more
.next:	mov ax, 0xb800
	mov es, ax
	xor di, di
	mov cx, TOUCHES
.text:	mov [es:di], bx
	inc di
	inc di
	and di, 0xfff
	dec cx
	jnz .text
	set 0x3c4, 2, 4
	set 0x3c4, 4, 6
	set 0x3ce, 5, 0
	set 0x3ce, 6, 5
	mov ax, 0xa000
	mov es, ax
	mov [es:32], bl
	set 0x3ce, 6, 0x0e
	set 0x3ce, 5, 0x10
	set 0x3c4, 4, 2
	set 0x3c4, 2, 3
	dec ebx
.more:	test ebx, ebx
	jnz .next
	ret

	finish
