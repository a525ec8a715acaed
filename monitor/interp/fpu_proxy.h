/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executes single x87, MMX and SSE instructions on the host's own FPU for the interpreter.
 *
 * A thunk loads an FXSAVE image and a few registers, executes the one instruction, re-encoded so
 * that its memory operand is a bounce buffer and its general register is ECX, and stores everything
 * back. Thunks are generated once per encoding. The host's own FPU control words are restored; the
 * other FPU registers are free across calls by the C calling convention.
 */
#ifndef RF_MONITOR_INTERP_FPU_PROXY_H
#define RF_MONITOR_INTERP_FPU_PROXY_H

#include "translator/decode.h"
#include "x86/cpu.h"

struct fpu_proxy;

/* In and out of a thunk. Its layout is known to the code generator. */
struct fpu_operands {
	uint32_t eax, ecx, edx;
	uint32_t flags;       /* LAHF/SETO form (internal.h) */
	uint32_t host_mxcsr;
	uint32_t pad[3];
	uint8_t mem[32];      /* the memory operand */
} __attribute__((aligned(16)));

/* Where an instruction has a general register operand, which becomes ECX. */
enum fpu_gpr { FPU_GPR_NONE, FPU_GPR_REG, FPU_GPR_RM };

int fpu_proxy_create(struct fpu_proxy **out) RF_MUST_CHECK;
void fpu_proxy_destroy(struct fpu_proxy *proxy);

/*
 * Executes *insn on *fpu and *operands. The caller has checked that no x87 exception is pending if
 * the instruction waits for one, that MXCSR is valid and that the instruction cannot raise an
 * unmasked SIMD exception: nothing here may fault. The last-instruction pointers (FIP, FDP, FOP) in
 * *fpu come back unchanged.
 */
void fpu_proxy_run(struct fpu_proxy *proxy, const struct insn *insn, enum fpu_gpr gpr,
		   struct fxsave_image *fpu, struct fpu_operands *operands);

#endif
