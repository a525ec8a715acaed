/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Light callouts leave the guest's x87/SSE state in the host's registers, because the C code they run is compiled to use
 * general registers only. Where such code goes on into code that is not (libc, devices, logs), it calls fpu_spill() first.
 */
#ifndef RF_X86_FPU_SPILL_H
#define RF_X86_FPU_SPILL_H

#include "cpu.h"

static inline void fpu_spill(struct cpu *cpu)
{
	static const uint32_t mxcsr_for_c = 0x1f80;

	if (rf_likely(!cpu->tcw.fpu_live))
		return;
	__asm__ volatile("fxsave %0\n\tldmxcsr %1" : "=m"(cpu->fpu) : "m"(mxcsr_for_c));
	cpu->tcw.fpu_live = 0;
}

/* The x87 instruction and operand pointers in a state saved from translated code are the host's: the guest must not see them. */
static inline void fpu_forget_pointers(struct cpu *cpu)
{
	cpu->fpu.fip = cpu->fpu.fdp = 0;
	cpu->fpu.fcs = cpu->fpu.fds = 0;
}

#endif
