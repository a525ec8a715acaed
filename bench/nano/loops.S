/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loops that need no privilege: ring 0 runs them in the guest, the native program as a process of
 * the host.
 */
#include "loop.h"

	.text
LOOP empty
1:
END

LOOP call_ret
1:	.rept 8
	call nothing
	.endr
END

/* One target, which a predictor of any kind learns. */
LOOP call_indirect
	movl $nothing, %ebx
1:	.rept 8
	call *%ebx
	.endr
END

/* One call site with eight targets in turn. */
LOOP call_indirect_8
1:	movl %esi, %eax
	andl $7, %eax
	call *targets(, %eax, 4)
END

/* Each load's address is what the one before has loaded: nothing overlaps. */
LOOP load
	movl $chain, %ebx
1:	.rept 8
	movl (%ebx), %ebx
	.endr
END

LOOP rdtsc
1:	.rept 8
	rdtsc
	.endr
END

LOOP cpuid
1:	xorl %eax, %eax
	cpuid
END

/* Changes an instruction, then executes it: what it loads says whether the change was seen. */
LOOP smc
1:	movl %esi, smc_site + 1
	call smc_site
	cmpl %esi, %eax
	je 2f
	incl smc_stale
2:
END

/* Stores to the page of code that is in use, but not to the code. */
LOOP smc_beside
1:	movl %esi, smc_beside_data
	call smc_beside_code
END

	.balign 64
nothing:
	ret

	.balign 64
targets_code:
	.rept 8
	.balign 16
	ret
	.endr

#ifdef NATIVE
/* A system call of the host's kernel: getppid. */
LOOP linux_int80
1:	movl $64, %eax
	int $0x80
END
#endif

	.data
	.global smc_stale
smc_stale:
	.long 0
	.balign 64
targets:
	.set n, 0
	.rept 8
	.long targets_code + 16 * n
	.set n, n + 1
	.endr

	.balign 64
chain:
	.long chain

	.section .smc, "awx", @progbits
	.balign 4096
	.global smc_site, smc_beside_code
smc_site:
	movl $0, %eax
	ret
	.balign 4096
smc_beside_code:
	ret
	.balign 64
smc_beside_data:
	.long 0
	.balign 4096

	.section .note.GNU-stack, "", @progbits
