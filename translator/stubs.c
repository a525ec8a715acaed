/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hand-made pieces of the code cache: entering and leaving translated code, callouts, and the
 * branch look-up.
 *
 * Rules: no stub touches the return stack but to pop or restore what translated code put there; a
 * stub that jumps to translated code leaves all guest registers and flags as they were. While C
 * code runs the whole guest state is in struct cpu.
 */
#include "tu.h"
#include "x86/fpu_spill.h"

static const uint8_t callee_saved[] = { H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15 };
static const uint8_t guest_regs[] = {
	X86_EAX, X86_ECX, X86_EDX, X86_EBX, X86_EBP, X86_ESI, X86_EDI
};

static void stub_save_guest(struct translator *tr, struct emitter *e)
{
	uint8_t *clear;

	for (unsigned i = 0; i < sizeof(guest_regs); i++)
		emit_store32(e, guest_regs[i], memref_cpu(CPU_REG_OFF(guest_regs[i])));
	emit_store32(e, H_GUEST_ESP, memref_cpu(CPU_REG_OFF(X86_ESP)));
	emit_store64(e, H_RSP, memref_cpu(CPU_OFF(tcw.tc_rsp)));
	emit_load64(e, H_RSP, memref_cpu(CPU_OFF(tcw.host_rsp)));
	emit_pushf(e);
	emit_pop(e, H_RAX);
	emit_alu32_imm(e, ALU_AND, H_RAX, LIVE_FLAGS);
	emit_alu32_mem(e, ALU_OR, H_RAX, memref_cpu(CPU_OFF(tcw.eflags_sys)));
	emit_alu32_mem(e, ALU_OR, H_RAX, memref_cpu(CPU_OFF(tcw.if_flag)));
	emit_store32(e, H_RAX, memref_cpu(CPU_OFF(eflags)));
	emit_test_eax_imm(e, X86_DF);
	/* The branch is cheaper than CLD. */
	clear = emit_jcc_short(e, COND_Z);
	emit_cld(e);
	patch_short_here(e, clear);
}

static void stub_save_fpu(struct emitter *e)
{
	emit_fxsave(e, memref_cpu(CPU_OFF(fpu)));
	emit_ldmxcsr(e, memref_cpu(CPU_OFF(tcw.mxcsr_for_c)));
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

/*
 * Splits eflags, loads flags and registers (not the FPU state); ends with rsp on the return stack.
 */
static void stub_load_guest(struct translator *tr, struct emitter *e)
{
	emit_load32(e, H_RAX, memref_cpu(CPU_OFF(eflags)));
	emit_mov32(e, H_RCX, H_RAX);
	emit_alu32_imm(e, ALU_AND, H_RCX, X86_IF);
	emit_store32(e, H_RCX, memref_cpu(CPU_OFF(tcw.if_flag)));
	emit_mov32(e, H_RCX, H_RAX);
	/*
	 * RF lasts for one instruction and holds off breakpoints only, of which there are none
	 * here.
	 */
	emit_alu32_imm(e, ALU_AND, H_RCX, ~(uint32_t)(LIVE_FLAGS | X86_IF | X86_RF));
	emit_store32(e, H_RCX, memref_cpu(CPU_OFF(tcw.eflags_sys)));
	stub_load_flags(e);
	emit_load64(e, H_RSP, memref_cpu(CPU_OFF(tcw.tc_rsp)));
	emit_load32(e, H_GUEST_ESP, memref_cpu(CPU_REG_OFF(X86_ESP)));
	for (unsigned i = 0; i < sizeof(guest_regs); i++)
		emit_load32(e, guest_regs[i], memref_cpu(CPU_REG_OFF(guest_regs[i])));
}

static void emit_view_registers(struct emitter *e)
{
	emit_load64(e, H_WINDOW, memref_cpu(CPU_OFF(tcw.window)));
	emit_load64(e, H_LINKS, memref_cpu(CPU_OFF(tcw.link_table)));
}

/* eax = enum tc_leave; C stack is current. */
static void stub_epilogue(struct emitter *e)
{
	for (unsigned i = sizeof(callee_saved); i-- > 0;)
		emit_pop(e, callee_saved[i]);
	emit_ret(e);
}

static void stub_emit_enter(struct translator *tr, struct emitter *e)
{
	uint8_t *on;

	tr->stub_enter = emit_here(e);
	for (unsigned i = 0; i < sizeof(callee_saved); i++)
		emit_push(e, callee_saved[i]);
	emit_mov64(e, H_CPU, H_RDI);
	emit_store64(e, H_RSI, memref_cpu(CPU_OFF(tcw.scratch)));
	emit_store64(e, H_RSP, memref_cpu(CPU_OFF(tcw.host_rsp)));
	/*
	 * An event raised after the dispatcher's last look: the kick found C code and did nothing.
	 * event_mask: those that count.
	 */
	emit_load32(e, H_RAX, memref_cpu(CPU_OFF(events)));
	emit_test32_mem(e, H_RAX, memref_cpu(CPU_OFF(tcw.event_mask)));
	on = emit_jcc_short(e, COND_Z);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_RESUME);
	stub_epilogue(e);
	patch_short_here(e, on);
	emit_view_registers(e);
	emit_fxrstor(e, memref_cpu(CPU_OFF(fpu)));
	stub_load_guest(tr, e);
	emit_jmp_mem(e, memref_cpu(CPU_OFF(tcw.scratch)));
}

static void stub_emit_leave(struct translator *tr, struct emitter *e)
{
	/* From a signal handler: registers are saved already, eax is set. */
	tr->stub_leave = emit_here(e);
	emit_load64(e, H_RSP, memref_cpu(CPU_OFF(tcw.host_rsp)));
	emit_cld(e);
	emit_ldmxcsr(e, memref_cpu(CPU_OFF(tcw.mxcsr_for_c)));
	stub_epilogue(e);

	/* r9d: the exit's number. */
	tr->stub_link = emit_here(e);
	emit_store32(e, H_R9, memref_cpu(CPU_OFF(tcw.exit)));
	stub_save_guest(tr, e);
	stub_save_fpu(e);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_LINK);
	stub_epilogue(e);
}

/*
 * Twice r9 is where the entry for r8d lies in a branch cache: its low bits, times the entries'
 * size.
 */
static void emit_branch_index(struct emitter *e)
{
	_Static_assert(BRANCH_CACHE_BYTES == 2 << 16, "MOVZX cuts the index");
	emit_lea32(e, H_R9, (struct memref){ .base = NO_REG, .index = H_R8, .scale = 3 });
	emit_movzx16(e, H_R9, H_R9);
}

/* Goes on if rcx is zero; returns the rel32 of the jump taken otherwise. */
static uint8_t *emit_if_zero(struct emitter *e)
{
	uint8_t *on = emit_jrcxz_short(e), *elsewhere = emit_jmp_forward(e);

	patch_short_here(e, on);
	return elsewhere;
}

/*
 * r10d: the entry's negated EIP. Returns the rel32 of the jump that is taken if that is not r8d's.
 */
static uint8_t *emit_branch_compare(struct emitter *e)
{
	uint8_t *miss;

	emit_mov64(e, H_R11, H_RCX);
	emit_lea32(e, H_RCX, (struct memref){ .base = H_R8, .index = H_R10 });
	miss = emit_if_zero(e);
	emit_mov64(e, H_RCX, H_R11);
	return miss;
}

/*
 * Looks r8d up in the branch cache of mode without touching a flag. Returns the rel32 of a jump
 * taken on a miss, which finds rcx in r11; on a hit the code that follows transfers to
 * branch_lookup_hit().
 */
uint8_t *emit_branch_lookup(struct emitter *e, uint32_t mode)
{
	emit_branch_index(e);
	emit_load32(e, H_R10,
		    (struct memref){ .base = H_LINKS,
				     .index = H_R9,
				     .scale = 1,
				     .disp = branch_cache_offset(mode) });
	return emit_branch_compare(e);
}

struct memref branch_lookup_hit(uint32_t mode)
{
	return (struct memref){ .base = H_LINKS,
				.index = H_R9,
				.scale = 1,
				.disp = branch_cache_offset(mode) +
					(int32_t)offsetof(struct branch_entry, host) };
}

/* The same for a mode known only when it runs: r9 = the entry. */
static uint8_t *emit_branch_lookup_any(struct emitter *e)
{
	emit_branch_index(e);
	emit_load64(e, H_R10, memref_cpu(CPU_OFF(tcw.branch_cache)));
	emit_lea64(e, H_R9, (struct memref){ .base = H_R10, .index = H_R9, .scale = 1 });
	emit_load32(e, H_R10, memref_plain(H_R9, 0));
	return emit_branch_compare(e);
}

/* r8d: guest target. */
static void stub_emit_lookup(struct translator *tr, struct emitter *e)
{
	uint8_t *miss, *look;

	/* From a return site: ecx waits in r9d. */
	tr->stub_return_miss = emit_here(e);
	emit_mov32(e, H_RCX, H_R9);
	look = emit_jmp_short(e);
	/* The sentinel below the oldest return address: put it back. */
	tr->stub_underflow = emit_here(e);
	emit_lea64(e, H_RSP, memref_plain(H_RSP, -8));
	patch_short_here(e, look);

	tr->stub_lookup = emit_here(e);
	miss = emit_branch_lookup_any(e);
	emit_jmp_mem(e, memref_plain(H_R9, offsetof(struct branch_entry, host)));
	patch_here(e, miss);
	/* Inline look-ups come here when they miss. */
	tr->stub_lookup_miss = emit_here(e);
	emit_mov64(e, H_RCX, H_R11);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	stub_save_guest(tr, e);
	stub_save_fpu(e);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_LOOKUP);
	stub_epilogue(e);
}

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
	emit_store32_imm(e, live, memref_cpu(CPU_OFF(tcw.fpu_live)));
	if (live == FPU_LIVE_X87) {
		for (unsigned i = 0; i < 8; i++)
			emit_movups_store(e, i, memref_xmm(i));
		emit_stmxcsr(e, memref_cpu(CPU_OFF(fpu.mxcsr)));
		emit_ldmxcsr(e, memref_cpu(CPU_OFF(tcw.mxcsr_for_c)));
	}
}

/* Leaves to the dispatcher, with all of the FPU state saved. */
static void stub_callout_leave(struct emitter *e, enum fpu_live live)
{
	uint8_t *spilled, *all;

	/* The return address of the callout is not to be used again. */
	emit_alu64_mem_imm8(e, ALU_ADD, memref_cpu(CPU_OFF(tcw.tc_rsp)), 8);
	if (live != FPU_SAVED) {
		emit_cmp_cpu(e, CPU_OFF(tcw.fpu_live), FPU_SAVED);
		spilled = emit_jcc_forward(e, COND_Z);
		emit_cmp_cpu(e, CPU_OFF(tcw.fpu_live), FPU_LIVE);
		all = emit_jcc_forward(e, COND_Z);
		stub_load_sse(e);
		patch_here(e, all);
		stub_save_fpu(e);
		patch_here(e, spilled);
		emit_store32_imm(e, FPU_SAVED, memref_cpu(CPU_OFF(tcw.fpu_live)));
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
		emit_cmp_cpu(e, CPU_OFF(tcw.fpu_live), FPU_LIVE);
		there = emit_jcc_forward(e, COND_Z);
	}
	emit_cmp_cpu(e, CPU_OFF(tcw.fpu_live), FPU_SAVED);
	sse = emit_jcc_forward(e, COND_NZ);
	emit_fxrstor(e, memref_cpu(CPU_OFF(fpu)));
	patch_here(e, sse);
	stub_load_sse(e);
	if (there)
		patch_here(e, there);
	emit_store32_imm(e, FPU_SAVED, memref_cpu(CPU_OFF(tcw.fpu_live)));
}

/*
 * There is an event: goes on at place if it is just an interrupt, and the guest, whose flags are
 * saved, takes none now.
 */
static void emit_unless_event_counts(struct emitter *e, hva_t place)
{
	uint8_t *other;

	emit_cmp_cpu(e, CPU_OFF(events), EVENT_INTR);
	other = emit_jcc_forward(e, COND_NZ);
	emit_test32_mem_imm(e, memref_cpu(CPU_OFF(eflags)), X86_IF);
	emit_jcc_to(e, COND_Z, place);
	patch_here(e, other);
}

/*
 * With r9d: argument; r10d: EIP behind the instruction; cpu->eip stored. What the C function
 * returns decides: CALLOUT_NEXT goes on at next, or returns to translated code if that is 0; else
 * CALLOUT_JUMP, or CALLOUT_LEAVE(why).
 */
static void stub_callout_body(struct translator *tr, struct emitter *e, enum callout which,
			      hva_t next)
{
	const enum fpu_live live = callout_fpu(which);
	uint8_t *leave, *event, *jump;
	hva_t on;

	stub_save_guest(tr, e);
	stub_callout_save_fpu(e, live);
	emit_mov64(e, H_RDI, H_CPU);
	emit_mov32(e, H_RSI, H_R9);
	emit_mov32(e, H_RDX, H_R10);
	emit_mov64_imm(e, H_RAX, (uint64_t)(hva_t)tr->cb.callout[which]);
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
	emit_test32_mem(e, H_RAX, memref_cpu(CPU_OFF(tcw.event_mask)));
	event = emit_jcc_forward(e, COND_Z);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_RESUME);
	stub_callout_leave(e, live);
	patch_here(e, event);
	stub_restore_fpu(e, live);
	emit_view_registers(e);
	stub_load_guest(tr, e);
	emit_lea64(e, H_RSP, memref_plain(H_RSP, 8));
	emit_load32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_jmp(e, tr->stub_lookup);
}

/* Called from translated code with r8d: EIP of the instruction; r9d, r10d: as above. */
static void stub_emit_callout(struct translator *tr, struct emitter *e, enum callout which)
{
	tr->stub_callout[which] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	stub_callout_body(tr, e, which, 0);
}

/* ecx or rcx is zero: go on; else to miss. */
static void emit_unless_zero(struct emitter *e, hva_t miss)
{
	uint8_t *on = emit_jrcxz_short(e);

	emit_jmp(e, miss);
	patch_short_here(e, on);
}

#define MEMO_OFF(field) (int32_t)offsetof(struct segment_memo, field)

/* rcx = field of the memo at r10 - what is in rcx: ~x + 1 is -x, and NOT changes no flag. */
static void emit_memo_difference(struct emitter *e, bool wide, int32_t field, int32_t add)
{
	const struct memref sum = { .base = H_RCX, .index = H_R8, .disp = add };

	if (wide) {
		emit_not64(e, H_RCX);
		emit_load64(e, H_R8, memref_plain(H_R10, field));
		emit_lea64(e, H_RCX, sum);
	} else {
		emit_not32(e, H_RCX);
		emit_load32(e, H_R8, memref_plain(H_R10, field));
		emit_lea32(e, H_RCX, sum);
	}
}

/*
 * Around shifts and masks by instructions that spoil flags, on hosts without BMI2: eax holds the
 * flags meanwhile, in LAHF's form and OF in al.
 */
static void emit_keep_flags(struct emitter *e)
{
	emit_store64(e, H_RAX, memref_cpu(CPU_OFF(tcw.kept_rax)));
	emit_lahf(e);
	emit_seto(e, H_AL);
}

static void emit_restore_flags(struct emitter *e)
{
	emit_add8_imm(e, H_AL, 0x7f); /* overflows if it was 1 */
	emit_sahf(e);
	emit_load64(e, H_RAX, memref_cpu(CPU_OFF(tcw.kept_rax)));
}

/* r8d = eight times the memo's index for the selector in ecx; changes r10. */
static void emit_memo_index(struct translator *tr, struct emitter *e)
{
	if (tr->opt.host & HOST_BMI2) {
		emit_mov32_imm(e, H_R8, 32 - SEGMENT_MEMO_BITS - 3);
		emit_shlx32(e, H_R8, H_RCX, H_R8);
		emit_mov32_imm(e, H_R10, 32 - SEGMENT_MEMO_BITS);
		emit_shrx32(e, H_R8, H_R8, H_R10);
		emit_lea32(e, H_R8, (struct memref){ .base = NO_REG, .index = H_R8, .scale = 3 });
		return;
	}
	emit_keep_flags(e);
	emit_mov32(e, H_R8, H_RCX);
	emit_alu32_imm(e, ALU_AND, H_R8, (SEGMENT_MEMOS - 1) << 3);
	emit_restore_flags(e);
}

/* r10 = the memo for the selector in ecx; changes r8. */
static void emit_memo_address(struct translator *tr, struct emitter *e)
{
	emit_memo_index(tr, e);
	emit_load64(e, H_R10, memref_cpu(CPU_OFF(tcw.segment_memos)));
	emit_lea64(e, H_R10, (struct memref){ .base = H_R10, .index = H_R8, .scale = 3 });
}

/*
 * FS and GS may change; of DS and ES the mode key knows whether they are flat, so that only what
 * changes nothing is done here.
 */
static void emit_memo_use(struct emitter *e, enum x86_seg seg, hva_t miss)
{
	const int32_t image = CPU_SEG_OFF(seg),
		      limit = image + (int32_t)offsetof(struct segment, limit);

	if (seg == X86_DS || seg == X86_ES) {
		emit_load64(e, H_RCX, memref_cpu(image));
		emit_memo_difference(e, true, MEMO_OFF(image), 1);
		emit_unless_zero(e, miss);
		emit_load32(e, H_RCX, memref_cpu(limit));
		emit_memo_difference(e, false, MEMO_OFF(limit), 1);
		emit_unless_zero(e, miss);
		return;
	}
	emit_load64(e, H_R8, memref_plain(H_R10, MEMO_OFF(image)));
	emit_store64(e, H_R8, memref_cpu(image));
	emit_load32(e, H_R8, memref_plain(H_R10, MEMO_OFF(limit)));
	emit_store32(e, H_R8, memref_cpu(limit));
	emit_load64(e, H_R8, memref_plain(H_R10, MEMO_OFF(seg_base) + (seg == X86_GS ? 8 : 0)));
	emit_store64(e, H_R8, memref_cpu(CPU_OFF(tcw.seg_base) + 8 * (int32_t)seg));
}

/*
 * A segment load in ring 0, with what CALLOUT_LOAD_SEGMENT expects. A kernel loads the same few
 * selectors at each way in and out: if there is a memo of this one, and its descriptor in memory is
 * still the same, no C code need run.
 */
static void stub_emit_segment(struct translator *tr, struct emitter *e, enum x86_seg seg)
{
	const hva_t miss = emit_here(e);

	emit_mov64(e, H_RCX, H_R11);
	emit_load32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_load32(e, H_R10, memref_cpu(CPU_OFF(tcw.scratch)));
	emit_jmp(e, tr->stub_callout[CALLOUT_LOAD_SEGMENT]);

	tr->stub_segment[seg] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_store32(e, H_R10, memref_cpu(CPU_OFF(tcw.scratch)));
	emit_mov64(e, H_R11, H_RCX);
	emit_movzx16(e, H_RCX, H_R9);
	emit_memo_address(tr, e);
	emit_memo_difference(e, false, MEMO_OFF(next_selector), 0);
	emit_unless_zero(e, miss);
	emit_load64(e, H_RCX, memref_plain(H_R10, MEMO_OFF(descriptor_at)));
	emit_load64(e, H_RCX, memref_plain(H_RCX, 0));
	emit_memo_difference(e, true, MEMO_OFF(descriptor), 1);
	emit_unless_zero(e, miss);
	emit_memo_use(e, seg, miss);
	emit_mov64(e, H_RCX, H_R11);
	/* ESP += 4 if it was a POP. */
	_Static_assert(CALLOUT_POP == 4u << 24, "the top byte is what ESP moves by");
	emit_mov32(e, H_R8, H_R9);
	emit_bswap32(e, H_R8);
	emit_movzx8(e, H_R8, H_R8);
	emit_lea32(e, H_GUEST_ESP, (struct memref){ .base = H_GUEST_ESP, .index = H_R8 });
	emit_ret(e);
}

/* With r10d: linear address; r11d: EIP behind the instruction. */
static void stub_emit_store(struct translator *tr, struct emitter *e)
{
	tr->stub_callout[CALLOUT_STORE] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_store32(e, H_R10, memref_cpu(CPU_OFF(tcw.linear)));
	emit_mov32(e, H_R10, H_R11);
	stub_callout_body(tr, e, CALLOUT_STORE, 0);
}

_Static_assert(sizeof(struct soft_lookup) == 16, "its index is scaled by 16");

/* ecx >>= page shift; r9d = where the entry for the address in r10d lies. */
static void emit_soft_index_bmi2(struct emitter *e)
{
	emit_mov32_imm(e, H_R8, GUEST_PAGE_SHIFT);
	emit_shrx32(e, H_RCX, H_RCX, H_R8);
	emit_shrx32(e, H_R9, H_R10, H_R8);
	emit_mov32_imm(e, H_R8, 32 - SOFT_LOOKUP_BITS);
	emit_shlx32(e, H_R9, H_R9, H_R8);
	emit_mov32_imm(e, H_R8, 32 - SOFT_LOOKUP_BITS - 4);
	emit_shrx32(e, H_R9, H_R9, H_R8);
}

static void emit_soft_index(struct translator *tr, struct emitter *e)
{
	if (tr->opt.host & HOST_BMI2) {
		emit_soft_index_bmi2(e);
		return;
	}
	emit_keep_flags(e);
	emit_shr32_imm(e, H_RCX, GUEST_PAGE_SHIFT);
	emit_mov32(e, H_R9, H_R10);
	emit_shr32_imm(e, H_R9, GUEST_PAGE_SHIFT - 4);
	emit_alu32_imm(e, ALU_AND, H_R9, (SOFT_LOOKUP_ENTRIES - 1) << 4);
	emit_restore_flags(e);
}

/*
 * The software TLB's look-up. Called from translated code with r8d: EIP of the instruction; r9d:
 * the access' length less one; r10d: its linear address. Returns with r9 + r10 the host address of
 * the access; changes r8, r9, r11, and no flag. The entry of the first byte's page has to match the
 * last byte's: an access that crosses a page never hits.
 */
static void stub_emit_soft(struct translator *tr, struct emitter *e, enum soft_access access)
{
	uint8_t *miss;
	hva_t again;

	again = emit_here(e);
	emit_load32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_load32(e, H_R9, memref_cpu(CPU_OFF(tcw.scratch)));
	emit_load32(e, H_R10, memref_cpu(CPU_OFF(tcw.linear)));

	tr->stub_soft[access] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_store32(e, H_R9, memref_cpu(CPU_OFF(tcw.scratch)));
	emit_mov64(e, H_R11, H_RCX);
	emit_lea32(e, H_RCX, (struct memref){ .base = H_R10, .index = H_R9 });
	emit_soft_index(tr, e);
	emit_load64(e, H_R8, memref_cpu(CPU_OFF(tcw.soft_table) + 8 * (int32_t)access));
	emit_lea64(e, H_R9, (struct memref){ .base = H_R9, .index = H_R8 });
	emit_load32(e, H_R8, memref_plain(H_R9, offsetof(struct soft_lookup, inverted_page)));
	emit_lea32(e, H_RCX, (struct memref){ .base = H_RCX, .index = H_R8, .disp = 1 });
	miss = emit_if_zero(e);
	emit_load64(e, H_R9, memref_plain(H_R9, offsetof(struct soft_lookup, addend)));
	emit_mov64(e, H_RCX, H_R11);
	emit_ret(e);

	patch_here(e, miss);
	emit_mov64(e, H_RCX, H_R11);
	emit_load32(e, H_R9, memref_cpu(CPU_OFF(tcw.scratch)));
	if (access == SOFT_WRITE)
		emit_lea32(e, H_R9, memref_plain(H_R9, CALLOUT_WRITE));
	emit_store32(e, H_R10, memref_cpu(CPU_OFF(tcw.linear)));
	stub_callout_body(tr, e, CALLOUT_SOFT, again);
}

/*
 * The window to use for an address: by its top two bits, which the address times four has in the
 * upper half. They come down through memory, since no host has a shift that leaves the flags alone
 * and is not BMI2's.
 */
void emit_view(struct emitter *e, unsigned reg)
{
	const int32_t word = CPU_OFF(tcw.scratch);

	emit_lea64(e, H_R9, (struct memref){ .base = NO_REG, .index = reg, .scale = 2 });
	emit_store64(e, H_R9, memref_cpu(word));
	emit_load32(e, H_R9, memref_cpu(word + 4));
	emit_load64(e, H_R9,
		    (struct memref){ .base = H_CPU,
				     .index = H_R9,
				     .scale = 3,
				     .disp = CPU_OFF(tcw.view_by_gib) });
}

/*
 * The same for a dual access: unless tcw.soft_views says so, r9 = the window for the address' GiB.
 */
static void stub_emit_dual(struct translator *tr, struct emitter *e, enum soft_access access)
{
	uint8_t *windows;

	tr->stub_dual[access] = emit_here(e);
	emit_mov64(e, H_R11, H_RCX);
	emit_load32(e, H_RCX, memref_cpu(CPU_OFF(tcw.soft_views)));
	windows = emit_jrcxz_short(e);
	emit_mov64(e, H_RCX, H_R11);
	emit_jmp(e, tr->stub_soft[access]);
	patch_short_here(e, windows);
	emit_mov64(e, H_RCX, H_R11);
	emit_view(e, H_R10);
	emit_ret(e);
}

void stubs_emit(struct translator *tr, struct emitter *e)
{
	stub_emit_enter(tr, e);
	stub_emit_leave(tr, e);
	stub_emit_lookup(tr, e);
	for (int i = 0; i < CALLOUT_COUNT; i++) {
		if (i != CALLOUT_SOFT && i != CALLOUT_STORE)
			stub_emit_callout(tr, e, i);
	}
	stub_emit_store(tr, e);
	stub_emit_segment(tr, e, X86_ES);
	stub_emit_segment(tr, e, X86_DS);
	stub_emit_segment(tr, e, X86_FS);
	stub_emit_segment(tr, e, X86_GS);
	stub_emit_soft(tr, e, SOFT_READ);
	stub_emit_soft(tr, e, SOFT_WRITE);
	stub_emit_dual(tr, e, SOFT_READ);
	stub_emit_dual(tr, e, SOFT_WRITE);
}
