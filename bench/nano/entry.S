/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the kernel starts, how it goes to ring 3 and comes back, and the handlers that are part of
 * what is measured.
 */
#include "layout.h"

	.section .multiboot, "ax"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002

	.text
	.global start
start:
	cli
	cld
	movl $kernel_stack_end, %esp
	pushl $0
	popfl
	pushl %ebx
	pushl %eax
	call nano_main
1:	hlt
	jmp 1b

/* void run_user(void (*loop)(void), uint32_t count): the loop in ring 3. */
	.global run_user
run_user:
	pushal
	movl %esp, kernel_esp
	movl 36(%esp), %eax
	movl 40(%esp), %esi
	movl $UDATA, %ecx
	movw %cx, %ds
	movw %cx, %es
	pushl $UDATA
	pushl $user_stack_end
	pushl $2
	pushl $UCODE
	pushl %eax
	iretl

/*
 * Back from ring 3, or out of what went wrong: restores the stack and segments of who set
 * kernel_esp.
 */
	.global handle_done
handle_done:
	movl $KDATA, %ecx
	movw %cx, %ds
	movw %cx, %es
	movl kernel_esp, %esp
	popal
	ret

/*
 * ---- handlers that are measured ----
 *
 * Each counts, so that a loop can be seen to have done what it says.
 */

	.balign 64
	.global handle_syscall
handle_syscall:
	incl traps
	iretl

	.balign 64
	.global handle_sysenter
handle_sysenter:
	incl traps
	sysexit

	.balign 64
	.global handle_de
handle_de:
	incl traps
	addl $2, (%esp)
	iretl

	.balign 64
	.global handle_bp
handle_bp:
	incl traps
	iretl

	.balign 64
	.global handle_self
handle_self:
	incl traps
	movl $0, APIC_BASE + 0xb0
	iretl

/* Puts the page's frame into its entry: what a kernel does at the least. */
	.balign 64
	.global handle_pf
handle_pf:
	pushl %eax
	movl %cr2, %eax
	subl $DEMAND_BASE, %eax
	shrl $12, %eax
	cmpl $PAGES, %eax
	jae 1f
	pushl %ecx
	movl demand_entries(, %eax, 4), %ecx
	movl %ecx, demand_table(, %eax, 4)
	incl traps
	popl %ecx
	popl %eax
	addl $4, %esp
	iretl
1:	popl %eax
	pushl $VECTOR_PF
	jmp unexpected

/* The time at which the processor is awake again. */
	.balign 64
	.global handle_timer
handle_timer:
	pushl %eax
	pushl %edx
	rdtsc
	movl %eax, timer_tsc
	movl %edx, timer_tsc + 4
	incl traps
	movb $0x20, %al
	outb %al, $0x20
	popl %edx
	popl %eax
	iretl

/* ---- all other vectors ---- */

	.balign 16
	.global trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	pushl $vector
	jmp unexpected
	.set vector, vector + 1
	.endr

unexpected:
	movl $KDATA, %ecx
	movw %cx, %ds
	movw %cx, %es
	movl %esp, %eax
	pushl %eax
	call trap_unexpected /* ends at resume_kernel */

/* int set_resume(void): 0, and once more 1 when resume_kernel() is called. */
	.global set_resume
set_resume:
	movl (%esp), %eax
	movl %eax, resume_eip
	movl %esp, resume_esp
	movl %ebx, resume_saved
	movl %esi, resume_saved + 4
	movl %edi, resume_saved + 8
	movl %ebp, resume_saved + 12
	xorl %eax, %eax
	ret

	.global resume_kernel
resume_kernel:
	cli
	movl resume_saved, %ebx
	movl resume_saved + 4, %esi
	movl resume_saved + 8, %edi
	movl resume_saved + 12, %ebp
	movl resume_esp, %esp
	addl $4, %esp
	movl $1, %eax
	jmp *resume_eip

	.bss
	.balign 64
	.global traps, timer_tsc, kernel_esp
traps:
	.skip 4
	.balign 8
timer_tsc:
	.skip 8
kernel_esp:
	.skip 4
resume_eip:
	.skip 4
resume_esp:
	.skip 4
resume_saved:
	.skip 16
	.balign 4096
	.skip 16384
kernel_stack_end:
	.skip 4096
	.global trap_stack_end
trap_stack_end:
	.skip 4096
	.global other_stack_end
other_stack_end:

	.section .note.GNU-stack, "", @progbits
