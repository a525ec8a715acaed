/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways into a case and back. In: registers from a struct regs, by IRETD, or in real mode by a far
 * jump. Back: stubs of all 256 vectors, which note what they find and return to the caller of
 * enter_protected() or enter_real() by the stack that these left.
 */
#define EAX 0
#define ECX 4
#define EDX 8
#define EBX 12
#define ESP 16
#define EBP 20
#define ESI 24
#define EDI 28
#define EIP 32
#define EFLAGS 36
#define ES 40
#define CS 42
#define SS 44
#define DS 46
#define FS 48
#define GS 50

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define REAL_DATA 0x30

/* ---- what real mode needs: below 64 KiB ---- */

	.section .low, "awx"
	.balign	16
	.globl	low_gdtr, real_idtr, real_idtr_now
low_gdtr: .word	32 * 8 - 1
	.long	gdt
real_idtr_now: .word 0x3ff
	.long	0
real_target: .long 0		/* IP and CS */
real_stack: .long 0
	.word	0
saved:	.space	64		/* a struct regs */
saved_vector: .long 0
saved_cr0: .long 0

	.code16
	.globl	real_way
real_way:			/* CS is the case's own; everything else too; EBP: the registers */
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$0, $1f
1:	lssl	%cs:real_stack, %esp
	movw	%cs:ES(%ebp), %es
	movw	%cs:FS(%ebp), %fs
	movw	%cs:GS(%ebp), %gs
	movl	%cs:EAX(%ebp), %eax
	movl	%cs:ECX(%ebp), %ecx
	movl	%cs:EDX(%ebp), %edx
	movl	%cs:EBX(%ebp), %ebx
	movl	%cs:ESI(%ebp), %esi
	movl	%cs:EDI(%ebp), %edi
	movw	%cs:DS(%ebp), %ds
	movl	%cs:EBP(%ebp), %ebp
	ljmp	*%cs:real_target

	.balign	16
	.globl	real_stubs
real_stubs:
	.set	i, 0
	.rept	256
	pushw	$i
	jmp	real_common
	.balign	8
	.set	i, i + 1
	.endr
real_common:
	movl	%eax, %cs:saved + EAX
	movl	%ecx, %cs:saved + ECX
	movl	%edx, %cs:saved + EDX
	movl	%ebx, %cs:saved + EBX
	movl	%ebp, %cs:saved + EBP
	movl	%esi, %cs:saved + ESI
	movl	%edi, %cs:saved + EDI
	movw	%es, %cs:saved + ES
	movw	%ss, %cs:saved + SS
	movw	%ds, %cs:saved + DS
	movw	%fs, %cs:saved + FS
	movw	%gs, %cs:saved + GS
	popw	%cs:saved_vector
	popw	%cs:saved + EIP
	popw	%cs:saved + CS
	popw	%cs:saved + EFLAGS
	movl	%esp, %cs:saved + ESP
	movl	%cr0, %eax
	movl	%eax, %cs:saved_cr0
	orb	$1, %al
	lgdtl	%cs:low_gdtr
	movl	%eax, %cr0
	ljmpl	$KERNEL_CODE, $real_back

/* ---- protected mode ---- */

	.text
	.code32
	.globl	program
program:
	movl	$KERNEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	$kernel_stack_top, %esp
	movl	$image_end, %edi
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	call	main

/* void enter_protected(const struct regs *, struct { esp, ss } *frame): the frame for IRETD */
	.globl	enter_protected
enter_protected:
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	20(%esp), %ebp
	movl	24(%esp), %eax
	movl	%esp, back_esp
	lss	(%eax), %esp
	movl	%cs:ECX(%ebp), %ecx
	movl	%cs:EDX(%ebp), %edx
	movl	%cs:EBX(%ebp), %ebx
	movl	%cs:ESI(%ebp), %esi
	movl	%cs:EDI(%ebp), %edi
	movw	%cs:ES(%ebp), %es
	movw	%cs:FS(%ebp), %fs
	movw	%cs:GS(%ebp), %gs
	movl	%cs:EAX(%ebp), %eax
	movw	%cs:DS(%ebp), %ds
	movl	%cs:EBP(%ebp), %ebp
	iretl

/* void enter_real(const struct regs *, const struct caches *) */
	.globl	enter_real
enter_real:
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	20(%esp), %ebp
	movl	24(%esp), %ebx
	movl	%esp, back_esp
	movl	EIP(%ebp), %eax
	movw	%ax, real_target
	movw	CS(%ebp), %ax
	movw	%ax, real_target + 2
	movl	ESP(%ebp), %eax
	movl	%eax, real_stack
	movw	SS(%ebp), %ax
	movw	%ax, real_stack + 4
	movl	EFLAGS(%ebp), %eax
	andl	$~0x100, %eax
	lidtl	real_idtr_now
	movl	%ebp, %edx
	movl	$saved, %ebp		/* below 64 KiB */
	movl	$13, %ecx
1:	movl	-4(%edx, %ecx, 4), %esi
	movl	%esi, -4(%ebp, %ecx, 4)
	loop	1b
	pushl	%eax
	popfl
	movw	2(%ebx), %ax
	movw	%ax, way_pointer + 4
	movw	0(%ebx), %es
	movw	8(%ebx), %fs
	movw	10(%ebx), %gs
	movw	4(%ebx), %ss
	movw	6(%ebx), %ax
	movw	%ax, %ds
	ljmp	*%cs:way_pointer

real_back:
	movl	$KERNEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	back_esp, %esp
	cld
	pushl	saved_cr0
	pushl	saved_vector
	pushl	$saved
	call	note_real
back:	movl	back_esp, %esp
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	ret

	.balign	16
	.globl	protected_stubs
protected_stubs:
	.set	i, 0
	.rept	256
	.if	i == 8 || (i >= 10 && i <= 14) || i == 17
	nop
	nop
	.else
	pushl	$0
	.endif
	pushl	$i
	jmp	protected_common
	.balign	16
	.set	i, i + 1
	.endr
protected_common:
	pushal
	pushl	%ds
	pushl	%es
	pushl	%fs
	pushl	%gs
	movl	%esp, %ecx
	movl	%ss, %edx
	movl	$KERNEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	back_esp, %esp
	cld
	pushl	%edx
	pushl	%ecx
	call	note_protected
	jmp	back

/* The tasks for faults: EAX is the vector, the stack has the error code. */
	.globl	fault_task
fault_task:
	movl	%esp, %ecx
	movl	back_esp, %esp
	cld
	pushl	%ecx
	pushl	%eax
	call	note_task
	jmp	back

	.data
	.balign	4
way_pointer: .long real_way
	.word	0
	.globl	back_esp
back_esp: .long	0

	.bss
	.balign	16
	.space	8192
	.globl	kernel_stack_top
kernel_stack_top:
