/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measured loops in assembly. Each is a function void loop_NAME(uint32_t count) that runs what is
 * between LOOP and END count times; ESI counts. What the loop itself costs is measured with
 * loop_empty and subtracted.
 */
	.macro LOOP name
	.balign 64
	.global loop_\name
loop_\name:
	pushl %ebx
	pushl %esi
	pushl %edi
	pushl %ebp
	movl 20(%esp), %esi
	.endm

	.macro END
	decl %esi
	jnz 1b
	popl %ebp
	popl %edi
	popl %esi
	popl %ebx
	ret
	.endm
