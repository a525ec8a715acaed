; SPDX-License-Identifier: GPL-2.0-or-later
; Scrolls the text page by a line, as a BIOS does.
%include "common.inc"

work:	call text_mode
	mov ax, 0xb800
	mov ds, ax
	mov es, ax
	cld
	mov edx, ROUNDS
	jmp .more
.next:	mov si, 160
	xor di, di
	mov cx, 24 * 80
	rep movsw
	mov cx, 80
	mov ax, 0x0720
	rep stosw
	mov byte [24 * 160], dl
	dec edx
.more:	test edx, edx
	jnz .next
	ret

	finish
