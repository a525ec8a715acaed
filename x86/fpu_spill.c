/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SSE part of the guest's FPU state out of the host's registers: names them, and so is not
 * among what light callouts consist of.
 */
#include "fpu_spill.h"

void fpu_spill_sse(struct cpu *cpu)
{
	static const uint32_t mxcsr_for_c = MXCSR_FOR_C;

	if (rf_likely(tcw(cpu)->fpu_live != FPU_LIVE))
		return;
	__asm__ volatile("movups %%xmm0, %0\n\tmovups %%xmm1, 16+%0\n\tmovups %%xmm2, "
			 "32+%0\n\tmovups %%xmm3, 48+%0\n\t"
			 "movups %%xmm4, 64+%0\n\tmovups %%xmm5, 80+%0\n\tmovups %%xmm6, "
			 "96+%0\n\tmovups %%xmm7, 112+%0\n\t"
			 "stmxcsr %1\n\tldmxcsr %2"
			 : "=o"(*(uint8_t(*)[8][16])cpu->fpu.xmm), "=m"(cpu->fpu.mxcsr)
			 : "m"(mxcsr_for_c));
	tcw(cpu)->fpu_live = FPU_LIVE_X87;
}
