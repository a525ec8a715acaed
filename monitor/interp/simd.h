/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For sse.c: MMX and SSE instructions that may raise SIMD floating-point exceptions
 * (simd.c).
 */
#ifndef RF_MONITOR_INTERP_SIMD_H
#define RF_MONITOR_INTERP_SIMD_H

#include "fpu_proxy.h"
#include "monitor/vm/vm.h"

/*
 * Executes i on the guest's FPU state. X86_FAULT: it raised #XM (or #UD for it), and only flags in
 * MXCSR have changed.
 */
enum x86_status simd_run(struct vcpu *vcpu, const struct insn *i, enum fpu_gpr gpr,
			 struct fpu_operands *operands) RF_MUST_CHECK;

#endif
