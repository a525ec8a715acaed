/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loops of 16-bit code, and the ways there and back: real mode, virtual-8086 mode, and ring 0 of
 * 16-bit protected mode, as on a 286. What is between code16_start and code16_end is copied once:
 * to CODE16_BASE, with data and stack in the 64 KiB at DATA16_BASE, which ring 3 may reach, and to
 * CODE286_BASE, for ring 0. Each loop is called with its count in ECX and is the same bytes in all
 * modes that it can run in.
 */
#include "layout.h"

#define HERE(label) (label - code16_start)

	.text
/* void run_real(uint32_t loop, uint32_t count): loop is an offset in the 16-bit code. */
	.global run_real
run_real:
	pushal
	movl %esp, kernel_esp
	movl 36(%esp), %ebp
	movl 40(%esp), %ecx
	sidt idt_register
	lidt real_idt_register
	movl %cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	ljmp $REAL_CODE, $HERE(to_real)

from_real:
	movl $KDATA, %eax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl kernel_esp, %esp
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	lidt idt_register
	popal
	ret

/* The same in ring 0 of 16-bit protected mode. */
	.global run_p286
run_p286:
	pushal
	movl %esp, kernel_esp
	movl 36(%esp), %ebp
	movl 40(%esp), %ecx
	movl $DATA16, %eax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $0xfff0, %esp
	movl $HERE(exit_p286), %edx
	ljmp $CODE16, $HERE(begin)

from_p286:
	movl $KDATA, %eax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl kernel_esp, %esp
	popal
	ret

/* The same in virtual-8086 mode, with IOPL 3: handle_done comes back. */
	.global run_v86
run_v86:
	pushal
	movl %esp, kernel_esp
	movl 36(%esp), %ebp
	movl 40(%esp), %ecx
	movl $HERE(exit_v86), %edx
	pushl $(DATA16_BASE >> 4)
	pushl $(DATA16_BASE >> 4)
	pushl $(DATA16_BASE >> 4)
	pushl $(DATA16_BASE >> 4)
	pushl $(DATA16_BASE >> 4)
	pushl $0xfff0
	pushl $0x23002
	pushl $(CODE16_BASE >> 4)
	pushl $HERE(begin)
	iretl

	.balign 64
	.global code16_start, code16_end
code16_start:
	.code16
to_real:
	movw $DATA16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw %ax, %fs
	movw %ax, %gs
	movl %cr0, %eax
	andb $0xfe, %al
	movl %eax, %cr0
	ljmp $(CODE16_BASE >> 4), $HERE(in_real)
in_real:
	movw $(DATA16_BASE >> 4), %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw %ax, %fs
	movw %ax, %gs
	movl $0xfff0, %esp
	movw $HERE(exit_real), %dx
/* The loop returns to DX. */
begin:
	pushw %dx
	pushw %bp
	movw %ds, %ax
	ret

exit_real:
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $KCODE, $from_real
exit_p286:
	ljmpl $KCODE, $from_p286
exit_v86:
	int $VECTOR_DONE

	.macro LOOP16 name
	.balign 64
	.global code16_\name
	code16_\name = HERE(.)
	.endm

	.macro END16
	decl %ecx
	jnz 1b
	ret
	.endm

LOOP16 empty
1:
END16

/* What compilers and people write: loads and stores, the stack, a call, conditions. */
LOOP16 mix
	movw $0x100, %si
	movw $0x200, %di
1:	movzbw %cl, %bx
	movw (%bx, %si), %ax
	addw %dx, %ax
	movw %ax, (%bx, %di)
	pushw %ax
	incw %dx
	popw %ax
	cmpw %dx, %ax
	jb 2f
	call nothing16
	addw $3, %dx
2:	shrw $1, %ax
	xorw %ax, 4(%di)
END16

LOOP16 strings
1:	movw $0x100, %si
	movw $0x200, %di
	lodsb
	stosb
	lodsw
	stosw
	movsb
	movsw
	cmpsb
	scasb
END16

/* A line of a page of text. */
LOOP16 rep_movsw
	movl %ecx, %ebp
1:	movw $0x100, %si
	movw $0x60, %di
	movw $80, %cx
	rep movsw
	decl %ebp
	jnz 1b
	ret

LOOP16 segments
1:	movw %ax, %es
	movw %ax, %ds
	pushw %ds
	popw %es
	movw %es, %bx
END16

LOOP16 far
1:	pushw %cs
	call nothing_far
	pushw %cs
	pushw $HERE(2f)
	lret
2:
END16

/* Of real mode alone: vector 60h is ours. */
LOOP16 int
	xorw %ax, %ax
	movw %ax, %es
	movw $HERE(handler16), %es:4 * 0x60
	movw %cs, %es:4 * 0x60 + 2
1:	int $0x60
END16

/* Of real mode alone: the stack of a boot sector, in the page of the code. */
	.balign 4096
	.skip 256
LOOP16 boot_stack
	movw %ss, %ax
	movw %sp, %bx
	movw %cs, %dx
	movw %dx, %ss
	movw $code16_boot_stack, %sp
1:	pushw %ax
	call nothing_beside
	popw %ax
	decl %ecx
	jnz 1b
	movw %ax, %ss
	movw %bx, %sp
	ret

nothing_beside:
	ret

	.balign 16
nothing16:
	ret
nothing_far:
	lret
handler16:
	iret
code16_end:
	.code32

	.data
	.balign 4
	.word 0
real_idt_register:
	.word 0x3ff
	.long 0
	.word 0
idt_register:
	.skip 6

	.section .note.GNU-stack, "", @progbits
