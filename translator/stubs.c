/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entering and leaving translated code, and what all stubs share (stubs.h). */
#include "stubs.h"

static const uint8_t callee_saved[] = { H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15 };
static const uint8_t guest_regs[] = {
	X86_EAX, X86_ECX, X86_EDX, X86_EBX, X86_EBP, X86_ESI, X86_EDI
};

void stub_save_guest(struct translator *tr, struct emitter *e)
{
	uint8_t *clear;

	for (unsigned i = 0; i < sizeof(guest_regs); i++)
		emit_store32(e, guest_regs[i], memref_cpu(CPU_REG_OFF(guest_regs[i])));
	emit_store32(e, H_GUEST_ESP, memref_cpu(CPU_REG_OFF(X86_ESP)));
	emit_store64(e, H_RSP, memref_cpu(TCW_OFF(tc_rsp)));
	emit_load64(e, H_RSP, memref_cpu(TCW_OFF(host_rsp)));
	emit_pushf(e);
	emit_pop(e, H_RAX);
	emit_alu32_imm(e, ALU_AND, H_RAX, LIVE_FLAGS);
	emit_alu32_mem(e, ALU_OR, H_RAX, memref_cpu(TCW_OFF(eflags_sys)));
	emit_alu32_mem(e, ALU_OR, H_RAX, memref_cpu(TCW_OFF(if_flag)));
	emit_store32(e, H_RAX, memref_cpu(CPU_OFF(eflags)));
	emit_test_eax_imm(e, X86_DF);
	/* The branch is cheaper than CLD. */
	clear = emit_jcc_short(e, COND_Z);
	emit_cld(e);
	patch_short_here(e, clear);
}

void stub_save_fpu(struct emitter *e)
{
	emit_fxsave(e, memref_cpu(CPU_OFF(fpu)));
	emit_ldmxcsr(e, memref_cpu(TCW_OFF(mxcsr_for_c)));
}

/*
 * The live flags from eax; changes ecx. POPF takes twenty cycles, so it is for DF alone, which is
 * hardly ever set.
 */
static void stub_load_flags(struct emitter *e)
{
	uint8_t *fast, *done;

	emit_test_eax_imm(e, X86_DF);
	fast = emit_jcc_short(e, COND_Z);
	emit_alu32_imm(e, ALU_AND, H_RAX, LIVE_FLAGS);
	emit_alu32_imm(e, ALU_OR, H_RAX, X86_F1);
	emit_push(e, H_RAX);
	emit_popf(e);
	done = emit_jmp_short(e);
	patch_short_here(e, fast);
	emit_mov32(e, H_RCX, H_RAX);
	_Static_assert(X86_OF == 1 << 11, "cl gets OF");
	emit_shr32_imm(e, H_RCX, 11);
	emit_alu32_imm8(e, ALU_AND, H_RCX, 1);
	emit_mov8(e, H_AH, H_AL); /* the other arithmetic flags */
	emit_add8_imm(e, H_CL, 0x7f); /* overflows if it was 1 */
	emit_sahf(e);
	patch_short_here(e, done);
}

void stub_load_guest(struct translator *tr, struct emitter *e)
{
	emit_load32(e, H_RAX, memref_cpu(CPU_OFF(eflags)));
	emit_mov32(e, H_RCX, H_RAX);
	emit_alu32_imm(e, ALU_AND, H_RCX, X86_IF);
	emit_store32(e, H_RCX, memref_cpu(TCW_OFF(if_flag)));
	emit_mov32(e, H_RCX, H_RAX);
	/*
	 * RF lasts for one instruction and holds off breakpoints only, of which there are none
	 * here.
	 */
	emit_alu32_imm(e, ALU_AND, H_RCX, ~(uint32_t)(LIVE_FLAGS | X86_IF | X86_RF));
	emit_store32(e, H_RCX, memref_cpu(TCW_OFF(eflags_sys)));
	stub_load_flags(e);
	emit_load64(e, H_RSP, memref_cpu(TCW_OFF(tc_rsp)));
	emit_load32(e, H_GUEST_ESP, memref_cpu(CPU_REG_OFF(X86_ESP)));
	for (unsigned i = 0; i < sizeof(guest_regs); i++)
		emit_load32(e, guest_regs[i], memref_cpu(CPU_REG_OFF(guest_regs[i])));
}

void emit_view_registers(struct emitter *e)
{
	emit_load64(e, H_WINDOW, memref_cpu(TCW_OFF(window)));
	emit_load64(e, H_LINKS, memref_cpu(TCW_OFF(link_table)));
}

void stub_epilogue(struct emitter *e)
{
	for (unsigned i = sizeof(callee_saved); i-- > 0;)
		emit_pop(e, callee_saved[i]);
	emit_ret(e);
}

uint8_t *emit_if_zero(struct emitter *e)
{
	uint8_t *on = emit_jrcxz_short(e), *elsewhere = emit_jmp_forward(e);

	patch_short_here(e, on);
	return elsewhere;
}

void emit_keep_flags(struct emitter *e)
{
	emit_store64(e, H_RAX, memref_cpu(TCW_OFF(kept_rax)));
	emit_lahf(e);
	emit_seto(e, H_AL);
}

void emit_restore_flags(struct emitter *e)
{
	emit_add8_imm(e, H_AL, 0x7f); /* overflows if it was 1 */
	emit_sahf(e);
	emit_load64(e, H_RAX, memref_cpu(TCW_OFF(kept_rax)));
}

static void stub_emit_enter(struct translator *tr, struct emitter *e)
{
	uint8_t *on;

	tr->stub_enter = emit_here(e);
	for (unsigned i = 0; i < sizeof(callee_saved); i++)
		emit_push(e, callee_saved[i]);
	emit_mov64(e, H_CPU, H_RDI);
	emit_store64(e, H_RSI, memref_cpu(TCW_OFF(scratch)));
	emit_store64(e, H_RSP, memref_cpu(TCW_OFF(host_rsp)));
	/*
	 * An event raised after the dispatcher's last look: the kick found C code and did nothing.
	 * event_mask: those that count.
	 */
	emit_load32(e, H_RAX, memref_cpu(CPU_OFF(events)));
	emit_test32_mem(e, H_RAX, memref_cpu(TCW_OFF(event_mask)));
	on = emit_jcc_short(e, COND_Z);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_RESUME);
	stub_epilogue(e);
	patch_short_here(e, on);
	emit_view_registers(e);
	emit_fxrstor(e, memref_cpu(CPU_OFF(fpu)));
	stub_load_guest(tr, e);
	emit_jmp_mem(e, memref_cpu(TCW_OFF(scratch)));
}

static void stub_emit_leave(struct translator *tr, struct emitter *e)
{
	/* From a signal handler: registers are saved already, eax is set. */
	tr->stub_leave = emit_here(e);
	emit_load64(e, H_RSP, memref_cpu(TCW_OFF(host_rsp)));
	emit_cld(e);
	emit_ldmxcsr(e, memref_cpu(TCW_OFF(mxcsr_for_c)));
	stub_epilogue(e);

	/* r9d: the exit's number. */
	tr->stub_link = emit_here(e);
	emit_store32(e, H_R9, memref_cpu(TCW_OFF(exit)));
	stub_save_guest(tr, e);
	stub_save_fpu(e);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_LINK);
	stub_epilogue(e);
}

void stubs_emit(struct translator *tr, struct emitter *e)
{
	stub_emit_enter(tr, e);
	stub_emit_leave(tr, e);
	stub_emit_lookup(tr, e);
	stub_emit_callouts(tr, e);
	stub_emit_segments(tr, e);
	stub_emit_softs(tr, e);
	stub_emit_acs(tr, e);
}
