/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loops that run in ring 3, in user pages. run_user() enters them with the count in ESI; INT
 * VECTOR_DONE ends them.
 */
#include "layout.h"

	.macro USER_LOOP name
	.balign 64
	.global user_\name
user_\name:
	.endm

	.macro USER_END
	decl %esi
	jnz 1b
	int $VECTOR_DONE
	.endm

	.section .user, "awx", @progbits
	.balign 4096
USER_LOOP empty
1:
USER_END

USER_LOOP syscall_int80
1:	int $VECTOR_SYSCALL
USER_END

USER_LOOP syscall_sysenter
1:	movl %esp, %ecx
	movl $2f, %edx
	sysenter
2:
USER_END

/* The handler skips the DIV. */
USER_LOOP divzero
	xorl %ebx, %ebx
1:	divl %ebx
USER_END

/* A page that was never touched in each iteration. */
USER_LOOP pgfault
	movl $DEMAND_BASE, %edi
1:	movl (%edi), %eax
	addl $0x1000, %edi
USER_END

/* The same pages, present but read-only. */
USER_LOOP pgfault_write
	movl $DEMAND_BASE, %edi
1:	movl %esi, (%edi)
	addl $0x1000, %edi
USER_END

/* Once all are there. */
USER_LOOP touch
	movl $DEMAND_BASE, %edi
1:	movl (%edi), %eax
	addl $0x1000, %edi
USER_END

	.balign 4096
	.skip 4096
	.global user_stack_end
user_stack_end:
