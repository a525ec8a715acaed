/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot sector: loads the program, which begins in sector 2, by INT 13h, function 42h, and enters it
 * in 32-bit code of ring 0.
 */
	.code16
	.section .boot, "ax"
boot:	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	ljmp	$0, $1f
1:	movw	$sectors, %bp
	movl	$2, %edi		/* the next sector */
	movw	$0x800, %bx		/* where to, as a segment */
2:	pushl	$0
	pushl	%edi
	pushw	%bx
	pushw	$0
	pushw	$1
	pushw	$16
	movw	%sp, %si
	movb	$0x42, %ah
	pushal
	int	$0x13
	popal
	jc	3f
	addw	$16, %sp
	incl	%edi
	addw	$32, %bx
	decw	%bp
	jnz	2b
	movb	$2, %al			/* A20, by port 92h */
	outb	%al, $0x92
	cli
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $program
3:	hlt
	jmp	3b

	.balign	8
table:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	.word	23
	.long	table
	.org	510
	.word	0xaa55
