/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest starts, how it goes into the code under test (enter_guest), and how it comes
 * back: every vector has a stub, all stubs meet in trap_common, which notes the registers as the
 * handler found them and returns from enter_guest.
 */
#include "selectors.h"

	.section .multiboot, "ax"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002

	.text
	.global start
start:
	cli
	movl $kernel_stack_end, %esp
	pushl $0
	popfl
	pushl %ebx
	call guest_main
1:	hlt
	jmp 1b

/*
 * Loads the registers of `entry` and goes there with the IRET frame that entry_stack points at.
 * Comes back when anything is delivered to a stub.
 */
	.global enter_guest
enter_guest:
	pushal
	pushfl
	movl %esp, resume_esp
	movw entry + 13 * 4, %es
	movw entry + 14 * 4, %fs
	movw entry + 15 * 4, %gs
	movl entry + 0 * 4, %eax
	movl entry + 1 * 4, %ecx
	movl entry + 2 * 4, %edx
	movl entry + 3 * 4, %ebx
	movl entry + 5 * 4, %ebp
	movl entry + 6 * 4, %esi
	movl entry + 7 * 4, %edi
	lssl entry_stack, %esp
	movw entry + 12 * 4, %ds
	iretl

	.global resume_kernel
resume_kernel:
	movl resume_esp, %esp
	popfl
	popal
	ret

	.balign 16
	.global trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	pushl $vector
	pushl %cs
	ljmp $KCODE, $trap_common
	.set vector, vector + 1
	.endr

/*
 * On the stack: CS of the stub, vector, what the processor pushed. Nothing here changes a flag
 * before they are noted.
 */
trap_common:
	pushl %ds
	pushl %eax
	movl $KDATA, %eax
	movw %ax, %ds
	popl trapped + 0 * 4
	popl trapped + 12 * 4
	popl trapped_cs
	popl trapped_vector
	movl %esp, trapped_esp
	movl %ss, %eax
	movl %eax, trapped_ss
	/* SS is still the handler's: nothing is pushed before it is ours. */
	movl $trap_stack_end, %esp
	movl $KDATA, %eax
	movw %ax, %ss
	pushfl
	popl trapped_eflags
	movl %ecx, trapped + 1 * 4
	movl %edx, trapped + 2 * 4
	movl %ebx, trapped + 3 * 4
	movl %ebp, trapped + 5 * 4
	movl %esi, trapped + 6 * 4
	movl %edi, trapped + 7 * 4
	movl %es, %eax
	movl %eax, trapped + 13 * 4
	movl %fs, %eax
	movl %eax, trapped + 14 * 4
	movl %gs, %eax
	movl %eax, trapped + 15 * 4
	movl $KDATA, %eax
	movw %ax, %es
	movw %ax, %fs
	movw %ax, %gs
	cld
	pushl $0
	popfl
	call trap_record
	jmp resume_kernel

	.bss
	.balign 4096
	.skip 16384
kernel_stack_end:
	.skip 8192
	.global trap_stack_end
trap_stack_end:
