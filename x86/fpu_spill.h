/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest's x87/MMX/SSE state is while C code runs that translated code called.
 *
 *   FPU_SAVED     all of it in cpu->fpu.
 *   FPU_LIVE      all of it in the host's registers: the C code is compiled to use general
 *                 registers only. Where such code goes on into code that is not (libc, devices,
 *                 logs), it calls fpu_spill() first.
 *   FPU_LIVE_X87  XMM registers and MXCSR in cpu->fpu, the rest in the host's registers: C code
 *                 never uses x87, which is free in the 64-bit ABI but for long double. What looks
 *                 at the guest's x87 state calls fpu_spill_x87() first.
 */
#ifndef RF_X86_FPU_SPILL_H
#define RF_X86_FPU_SPILL_H

#include "tc_words.h"

enum fpu_live { FPU_SAVED, FPU_LIVE, FPU_LIVE_X87 };

static inline void fpu_spill(struct cpu *cpu)
{
	static const uint32_t mxcsr_for_c = MXCSR_FOR_C;

	if (rf_likely(tcw(cpu)->fpu_live != FPU_LIVE))
		return;
	__asm__ volatile("fxsave %0\n\tldmxcsr %1" : "=m"(cpu->fpu) : "m"(mxcsr_for_c));
	tcw(cpu)->fpu_live = FPU_SAVED;
}

/* From FPU_LIVE_X87 to FPU_SAVED: before C code looks at, or uses, the guest's x87 state. */
static inline void fpu_spill_x87(struct cpu *cpu)
{
	struct fxsave_image live;

	if (rf_likely(tcw(cpu)->fpu_live != FPU_LIVE_X87))
		return;
	__asm__ volatile("fxsave %0" : "=m"(live));
	/* The pointers in cpu->fpu are the guest's already. */
	__builtin_memcpy(&cpu->fpu, &live, offsetof(struct fxsave_image, fop));
	__builtin_memcpy(cpu->fpu.st, live.st, sizeof(live.st));
	tcw(cpu)->fpu_live = FPU_SAVED;
}

/*
 * From FPU_LIVE to FPU_LIVE_X87, enough for C code that has nothing to do with the guest's x87
 * state (fpu_spill.c).
 */
void fpu_spill_sse(struct cpu *cpu);

#endif
