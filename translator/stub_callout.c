/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Callouts: translated code calls C with the guest's state saved, and goes on as the result says.
 */
#include "stubs.h"
#include "x86/fpu_spill.h"

static void emit_cmp_cpu(struct emitter *e, int32_t offset, uint8_t imm)
{
	emit_alu32_mem_imm8(e, ALU_CMP, memref_cpu(offset), imm);
}

/* What is done about the guest's FPU state around a callout (x86/fpu_spill.h). */
static enum fpu_live callout_fpu(enum callout which)
{
	switch (which) {
	case CALLOUT_INTERPRET: return FPU_SAVED;
	case CALLOUT_INTEGER: case CALLOUT_LOAD_CR3: return FPU_LIVE_X87;
	default: return FPU_LIVE;
	}
}

static struct memref memref_xmm(unsigned i)
{
	return memref_cpu(CPU_OFF(fpu.xmm) + 16 * (int32_t)i);
}

static void stub_load_sse(struct emitter *e)
{
	for (unsigned i = 0; i < 8; i++)
		emit_movups_load(e, i, memref_xmm(i));
	emit_ldmxcsr(e, memref_cpu(CPU_OFF(fpu.mxcsr)));
}

static void stub_callout_save_fpu(struct emitter *e, enum fpu_live live)
{
	if (live == FPU_SAVED) {
		stub_save_fpu(e);
		return;
	}
	emit_store32_imm(e, live, memref_cpu(TCW_OFF(fpu_live)));
	if (live == FPU_LIVE_X87) {
		for (unsigned i = 0; i < 8; i++)
			emit_movups_store(e, i, memref_xmm(i));
		emit_stmxcsr(e, memref_cpu(CPU_OFF(fpu.mxcsr)));
		emit_ldmxcsr(e, memref_cpu(TCW_OFF(mxcsr_for_c)));
	}
}

/* Leaves to the dispatcher, with all of the FPU state saved. */
static void stub_callout_leave(struct emitter *e, enum fpu_live live)
{
	uint8_t *spilled, *all;

	/* The return address of the callout is not to be used again. */
	emit_alu64_mem_imm8(e, ALU_ADD, memref_cpu(TCW_OFF(tc_rsp)), 8);
	if (live != FPU_SAVED) {
		emit_cmp_cpu(e, TCW_OFF(fpu_live), FPU_SAVED);
		spilled = emit_jcc_forward(e, COND_Z);
		emit_cmp_cpu(e, TCW_OFF(fpu_live), FPU_LIVE);
		all = emit_jcc_forward(e, COND_Z);
		stub_load_sse(e);
		patch_here(e, all);
		stub_save_fpu(e);
		patch_here(e, spilled);
		emit_store32_imm(e, FPU_SAVED, memref_cpu(TCW_OFF(fpu_live)));
	}
	stub_epilogue(e);
}

static void stub_restore_fpu(struct emitter *e, enum fpu_live live)
{
	uint8_t *there = NULL, *sse;

	if (live == FPU_SAVED) {
		emit_fxrstor(e, memref_cpu(CPU_OFF(fpu)));
		return;
	}
	/* C code of a light callout may have spilled some of it, or all. */
	if (live == FPU_LIVE) {
		emit_cmp_cpu(e, TCW_OFF(fpu_live), FPU_LIVE);
		there = emit_jcc_forward(e, COND_Z);
	}
	emit_cmp_cpu(e, TCW_OFF(fpu_live), FPU_SAVED);
	sse = emit_jcc_forward(e, COND_NZ);
	emit_fxrstor(e, memref_cpu(CPU_OFF(fpu)));
	patch_here(e, sse);
	stub_load_sse(e);
	if (there)
		patch_here(e, there);
	emit_store32_imm(e, FPU_SAVED, memref_cpu(TCW_OFF(fpu_live)));
}

/*
 * There is an event: goes on at place if it is just an interrupt, and the guest, whose flags are
 * saved, takes none now.
 */
static void emit_unless_event_counts(struct emitter *e, cache_pc place)
{
	uint8_t *other;

	emit_cmp_cpu(e, CPU_OFF(events), EVENT_INTR);
	other = emit_jcc_forward(e, COND_NZ);
	emit_test32_mem_imm(e, memref_cpu(CPU_OFF(eflags)), X86_IF);
	emit_jcc_to(e, COND_Z, place);
	patch_here(e, other);
}

void stub_callout_body(struct translator *tr, struct emitter *e, enum callout which, cache_pc next)
{
	const enum fpu_live live = callout_fpu(which);
	uint8_t *leave, *event, *jump;
	cache_pc on;

	stub_save_guest(tr, e);
	stub_callout_save_fpu(e, live);
	emit_mov64(e, H_RDI, H_CPU);
	emit_mov32(e, H_RSI, H_R9);
	emit_mov32(e, H_RDX, H_R10);
	emit_mov64_imm(e, H_RAX, (uint64_t)(uintptr_t)tr->cb.callout[which]);
	/* Entered by one push more than six: keep the stack aligned for the ABI. */
	emit_alu64_imm8(e, ALU_SUB, H_RSP, 8);
	emit_call_reg(e, H_RAX);
	emit_alu64_imm8(e, ALU_ADD, H_RSP, 8);
	emit_alu32_imm8(e, ALU_CMP, H_RAX, CALLOUT_JUMP);
	jump = emit_jcc_forward(e, COND_Z);
	leave = emit_jcc_forward(e, COND_A);
	emit_cmp_cpu(e, CPU_OFF(events), 0);
	event = emit_jcc_forward(e, COND_NZ);
	on = emit_here(e);
	stub_restore_fpu(e, live);
	stub_load_guest(tr, e);
	if (next)
		emit_jmp(e, next);
	else
		emit_ret(e);

	patch_here(e, event);
	emit_unless_event_counts(e, on);
	emit_mov32_imm(e, H_RAX, CALLOUT_LEAVE(TC_LEAVE_RESUME));
	patch_here(e, leave);
	emit_alu32_imm8(e, ALU_SUB, H_RAX, CALLOUT_LEAVE(0));
	stub_callout_leave(e, live);

	patch_here(e, jump);
	emit_load32(e, H_RAX, memref_cpu(CPU_OFF(events)));
	emit_test32_mem(e, H_RAX, memref_cpu(TCW_OFF(event_mask)));
	event = emit_jcc_forward(e, COND_Z);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_RESUME);
	stub_callout_leave(e, live);
	patch_here(e, event);
	stub_restore_fpu(e, live);
	emit_view_registers(e);
	stub_load_guest(tr, e);
	emit_lea64(e, H_RSP, memref_plain(H_RSP, 8));
	emit_load32(e, H_R8, memref_cpu(TCW_OFF(jump_target)));
	emit_jmp(e, tr->stub_lookup);
}

/* Called from translated code with r8d: EIP of the instruction; r9d, r10d: as above. */
static void stub_emit_callout(struct translator *tr, struct emitter *e, enum callout which)
{
	tr->stub_callout[which] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	stub_callout_body(tr, e, which, 0);
}

/* With r10d: linear address; r11d: EIP after the instruction. */
static void stub_emit_store(struct translator *tr, struct emitter *e, enum callout which)
{
	tr->stub_callout[which] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_store32(e, H_R10, memref_cpu(TCW_OFF(linear)));
	emit_mov32(e, H_R10, H_R11);
	stub_callout_body(tr, e, which, 0);
}

void stub_emit_callouts(struct translator *tr, struct emitter *e)
{
	for (int i = 0; i < CALLOUT_COUNT; i++) {
		if (callout_stores(i))
			stub_emit_store(tr, e, i);
		else if (i != CALLOUT_SOFT)
			stub_emit_callout(tr, e, i);
	}
}
