/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparison of outcomes; see judge.h. */
#include <stdio.h>
#include <string.h>
#include "judge.h"
#include "monitor/processor/cpu_models.h"
#include "tests/leeway.h"

#define FSW_ES            0x80u

#define DIFFER(what, x, y) \
	do { \
		if ((x) != (y)) { \
			snprintf(j->text, sizeof(j->text), "%s: %s %llx, %s %llx", what, \
				 na, (unsigned long long)(x), nb, (unsigned long long)(y)); \
			j->verdict = VERDICT_DIFFERENT; \
			return; \
		} \
	} while (0)

/* --- the instruction an exception is about --- */

static const uint8_t *code_at(struct executor *x, uint32_t linear)
{
	for (unsigned n = 0; n < REGIONS; n++)
		if (linear - region_base(n) < REGION_SIZE)
			return x->ops->region(x, n) + (linear - region_base(n));
	return NULL;
}

/* Of the case's own code, or what lies there now. */
static bool faulting_insn(const struct fuzz_case *c, struct executor *x, const struct outcome *out,
			  struct insn *i)
{
	const bool code32 = !world_code16(out->seg[X86_CS]);
	const uint32_t linear = world_base(out->seg[X86_CS]) + out->eip,
		       offset = linear - world_base(c->seg[X86_CS]) - c->eip;
	const uint8_t *bytes = code_at(x, linear);
	uint32_t room = bytes ? REGION_SIZE - (linear & (REGION_SIZE - 1)) : 0;

	if (offset < c->len &&
	    insn_decode(c->bytes + offset, c->len - offset, code32, i) == DECODE_OK)
		return true;
	return bytes && insn_decode(bytes, room < 15 ? room : 15, code32, i) == DECODE_OK;
}

static bool excepted(const struct outcome *out, unsigned vector)
{
	return out->kind == OUTCOME_EXCEPTION && out->vector == vector;
}

static bool memory_fault(const struct outcome *out)
{
	return excepted(out, EXC_PF) || excepted(out, EXC_GP) || excepted(out, EXC_SS) ||
	       excepted(out, EXC_AC);
}

/* An operand that runs over the end of a 4-GiB segment: #GP, #SS or neither (SDM vol. 3, 5.3). */
static bool ran_over_the_end(const struct fuzz_case *c, struct executor *x,
			     const struct outcome *out, const struct outcome *other)
{
	const uint32_t *regs = out->regs;
	uint32_t ea;
	struct insn i;

	if (out->kind != OUTCOME_EXCEPTION ||
	    (out->vector != EXC_GP && out->vector != EXC_SS && out->vector != EXC_DF) ||
	    !faulting_insn(c, x, out, &i))
		return false;
	if (i.attr & OPA_STACK && regs[X86_ESP] - 64 > 0xffffff80u)
		return true;
	if (i.map == MAP_1BYTE && i.opcode == 0xc8 && regs[X86_EBP] < 128)
		return true; /* ENTER copies from below EBP */
	if (i.attr & OPA_STACK && !i.mem)
		ea = i.opcode == 0xc9 ? regs[X86_EBP] : regs[X86_ESP];
	else if (i.attr & OPA_STRING)
		ea = regs[X86_EDI] > regs[X86_ESI] ? regs[X86_EDI] : regs[X86_ESI];
	else
		ea = insn_offset(&i, regs);
	return (uint64_t)ea + (i.mem_size ? i.mem_size : i.op_size) > 1ull << 32;
}

/* --- what is left open --- */

/*
 * Linear addresses that ring 3 cannot reach are absent for the host, and ring 0's for the machine.
 */
static bool is_supervisor(uint32_t linear)
{
	return linear < BF_LOW + REGION_SIZE ||
	       linear - (BF_DATA + BF_SUPERVISOR_PAGE * GUEST_PAGE_SIZE) < GUEST_PAGE_SIZE ||
	       linear - BF_SYSTEM < BF_SYSTEM_SIZE;
}

/* A trap between two rounds of a string instruction, which saves RF set. */
static void settle_trap(const struct fuzz_case *c, struct executor *xb, struct outcome *a,
			struct outcome *b)
{
	struct insn i;

	if (!(b->eflags & X86_RF) || !faulting_insn(c, xb, b, &i) || !leeway_rep_flags(&i))
		return;
	a->eflags &= ~X86_ARITH_FLAGS;
	b->eflags &= ~X86_ARITH_FLAGS;
}

static void settle_simd(const struct fuzz_case *c, struct executor *xb, struct outcome *a,
			struct outcome *b)
{
	struct insn i;

	if (!faulting_insn(c, xb, b, &i))
		return;
	leeway_enter_mmx(&i, &a->fpu);
	leeway_enter_mmx(&i, &b->fpu);
}

static bool is_masked_store(const struct insn *i)
{
	return i->map == MAP_0F && i->opcode == 0xf7;
}

static uint32_t below_the_stack(const struct outcome *out, uint32_t size)
{
	const uint32_t esp = out->regs[X86_ESP] - size;

	return world_base(out->seg[X86_SS]) + (world_code16(out->seg[X86_SS]) ? esp & 0xffff : esp);
}

/*
 * Which word of an operand of many, or of a far transfer's on the stack, is touched first is not
 * said.
 */
static bool any_word_will_do(const struct insn *i, const struct outcome *a, const struct outcome *b)
{
	const uint32_t operand = world_base(b->seg[i->seg]) + insn_offset(i, b->regs);

	if (is_masked_store(i) || (i->mem && i->mem_size > 10 && i->mem_size != 16))
		return a->cr2 - operand < i->mem_size && b->cr2 - operand < i->mem_size;
	return i->attr & OPA_FAR && a->cr2 - below_the_stack(b, 8) < 28 &&
	       b->cr2 - below_the_stack(b, 8) < 28;
}

/* The operand of CMPS that the page fault is about. */
enum cmps_operand { CMPS_NEITHER, CMPS_SOURCE, CMPS_DESTINATION };
static enum cmps_operand cmps_operand(const struct insn *i, const struct outcome *out)
{
	const uint32_t mask = i->addr_size == 4 ? 0xffffffff : 0xffff,
		       size = i->attr & OPA_BYTE ? 1 : i->op_size;

	if (out->cr2 - world_base(out->seg[X86_ES]) - (out->regs[X86_EDI] & mask) < size)
		return CMPS_DESTINATION;
	return out->cr2 - world_base(out->seg[i->seg]) - (out->regs[X86_ESI] & mask) < size ?
		       CMPS_SOURCE :
		       CMPS_NEITHER;
}

/* The two faults may be those of the two operands. */
static bool cmps_faults(const struct insn *i, const struct outcome *a, const struct outcome *b)
{
	const enum cmps_operand by_a = excepted(a, EXC_PF) ? cmps_operand(i, a) : CMPS_NEITHER;
	const enum cmps_operand by_b = excepted(b, EXC_PF) ? cmps_operand(i, b) : CMPS_NEITHER;

	if (excepted(a, EXC_PF) && excepted(b, EXC_PF))
		return by_a + by_b == CMPS_SOURCE + CMPS_DESTINATION;
	/* A segment's limit has no address. */
	return a->vector != b->vector;
}

/*
 * CMPS whose operands both fault: nobody says which is read first (SDM vol. 2, CMPS). Intel's
 * processors and the engines begin with ES:EDI, AMD's with the other. Then the faults differ, and
 * nothing else may.
 */
static void settle_cmps(const struct fuzz_case *c, struct executor *xb, struct outcome *a,
			struct outcome *b)
{
	struct insn i;

	if (a->eip != b->eip || !faulting_insn(c, xb, b, &i) || i.map != MAP_1BYTE ||
	    (i.opcode & 0xfe) != 0xa6)
		return;
	if (!cmps_faults(&i, a, b))
		return;
	a->vector = b->vector;
	a->error = b->error;
	a->cr2 = b->cr2;
}

static void settle_fault(const struct fuzz_case *c, struct executor *xb, struct outcome *a,
			 struct outcome *b, bool host)
{
	struct outcome *const both[] = { a, b };
	struct insn i;

	if (!faulting_insn(c, xb, b, &i))
		return;
	if (host && a->vector == EXC_PF && any_word_will_do(&i, a, b))
		a->cr2 = b->cr2;
	if (leeway_partial_load(&i))
		a->fpu = b->fpu;
	/* Part of POPA's registers may be loaded. */
	if (i.map == MAP_1BYTE && i.opcode == 0x61)
		memcpy(a->regs, b->regs, sizeof(a->regs));
	for (unsigned n = 0; n < 2; n++) {
		leeway_enter_mmx(&i, &both[n]->fpu);
		if (leeway_rep_flags(&i))
			both[n]->eflags &= ~X86_ARITH_FLAGS;
	}
}

static void settle_page_fault(struct outcome *a, struct outcome *b, bool host)
{
	if (!host)
		return;
	a->error &= ~PFE_I;
	b->error &= ~PFE_I;
	if (is_supervisor(a->cr2) || is_supervisor(b->cr2)) {
		a->error &= ~PFE_P;
		b->error &= ~PFE_P;
	}
}

/* A single instruction's undefined flags: all of them, or those that one side computes by hand. */
static void settle_flags(const struct fuzz_case *c, struct outcome *a, struct outcome *b, bool all)
{
	struct insn i;

	if (!c->single ||
	    insn_decode(c->bytes, c->len, !world_code16(c->seg[X86_CS]), &i) != DECODE_OK)
		return;
	const uint32_t open = all ? leeway_flags(&i, c->regs) : leeway_flags_by_hand(&i);

	a->eflags &= ~open;
	b->eflags &= ~open;
}

/*
 * One of them faulted on the operand of an x87 store that the other left alone, since an exception
 * that it raises is unmasked.
 */
static bool store_left_alone(const struct fuzz_case *c, struct executor *x,
			     const struct outcome *out, const struct outcome *other)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) &&
	       leeway_store_may_fault(&i, &out->fpu) && other->fpu.fsw & FSW_ES;
}

/* Whether the mask in this state selects all bytes of MASKMOVQ's or MASKMOVDQU's operand. */
static bool stores_all_bytes(const struct insn *i, const struct fxsave_image *fpu)
{
	const uint8_t *mask = i->attr & OPA_MMX ? fpu->st[(insn_rm(i) - (fpu->fsw >> 11)) & 7] :
						  fpu->xmm[insn_rm(i)];
	bool all = true;

	for (unsigned n = 0; n < i->mem_size; n++)
		all = all && mask[n] & 0x80;
	return all;
}

/*
 * Of bytes that are not to be stored, whether they may be is checked or not; so is alignment (SDM
 * vol. 2, MASKMOVQ).
 */
static bool masked_store_faulted(const struct fuzz_case *c, struct executor *x,
				 const struct outcome *out, const struct outcome *other)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) && is_masked_store(&i) &&
	       (!stores_all_bytes(&i, &out->fpu) || excepted(out, EXC_AC));
}

/*
 * Model specific are alignment checks of 16-byte operands that need not be aligned (SDM vol. 2,
 * MOVUPS), and whether an access is rather #AC or #PF (vol. 3, 6.9). Of operands of several parts
 * one may be misaligned and another beyond the limit, or the whole on no 16-byte boundary (vol. 2,
 * FXSAVE, FXRSTOR).
 */
static bool alignment_fault(const struct fuzz_case *c, struct executor *x,
			    const struct outcome *out, const struct outcome *other)
{
	struct insn i;

	if (!excepted(out, EXC_AC) || !faulting_insn(c, x, out, &i))
		return false;
	if (i.attr & OPA_SSE && i.mem_size == 16)
		return true;
	return other->eip == out->eip &&
	       (excepted(other, EXC_PF) || (((i.mem && i.mem_size >= 10) || i.attr & OPA_FAR) &&
					    (excepted(other, EXC_GP) || excepted(other, EXC_SS))));
}

/*
 * FXSAVE's and FXRSTOR's images may be beyond the stack's limit and on no 16-byte boundary: #SS or
 * #GP (SDM vol. 3, 6.9).
 */
static bool image_wrong_twice(const struct fuzz_case *c, struct executor *x,
			      const struct outcome *out, const struct outcome *other)
{
	struct insn i;

	return excepted(out, EXC_SS) && excepted(other, EXC_GP) && other->eip == out->eip &&
	       faulting_insn(c, x, out, &i) && i.mem_size == 512;
}

/* Hosts make those who lock over two cache lines wait, some for seconds. */
static bool lock_refused(const struct fuzz_case *c, struct executor *x, const struct outcome *out,
			 const struct outcome *other)
{
	struct insn i;

	return out->kind == OUTCOME_HUNG && faulting_insn(c, x, out, &i) && i.mem &&
	       (i.prefixes & PFX_LOCK || (i.map == MAP_1BYTE && (i.opcode & 0xfe) == 0x86));
}

/* REP INS and OUTS with a count of zero: whether the permission is looked at. */
static bool empty_io(const struct fuzz_case *c, struct executor *x, const struct outcome *out,
		     const struct outcome *other)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) && i.attr & OPA_IO &&
	       i.attr & OPA_STRING && i.prefixes & (PFX_REP | PFX_REPNE) &&
	       !(out->regs[X86_ECX] & (i.addr_size == 4 ? 0xffffffff : 0xffff));
}

/*
 * A near CALL beyond the limit of the code segment: processors push the return address first (and
 * may fault there), where the manual checks the target first (SDM vol. 2, CALL).
 */
static bool call_beyond_the_limit(const struct fuzz_case *c, struct executor *x,
				  const struct outcome *out, const struct outcome *other)
{
	struct insn i;

	return memory_fault(out) && other->eip == out->eip &&
	       world_last_offset(out->seg[X86_CS]) != 0xffffffff && faulting_insn(c, x, out, &i) &&
	       i.attr & OPA_CALL;
}

/*
 * An operand of several parts that runs over offset ffffh under 16-bit addressing: processors let
 * each part wrap around, or take the whole for beyond the limit.
 */
static bool wrapped_in_parts(const struct fuzz_case *c, struct executor *x,
			     const struct outcome *out, const struct outcome *other)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) &&
	       (i.mem || is_masked_store(&i)) && i.addr_size == 2 &&
	       insn_offset(&i, out->regs) + i.mem_size > 0x10000;
}

/* Whether its bytes may load SS: POP SS, MOV to it, LSS. Others may end the same way. */
static bool may_load_ss(const struct fuzz_case *c)
{
	for (unsigned n = 0; n + 1 < c->len; n++) {
		const uint8_t *p = c->bytes + n;

		if (p[0] == 0x17 || (p[0] == 0x8e && (p[1] >> 3 & 7) == X86_SS) ||
		    (p[0] == 0x0f && p[1] == 0xb2))
			return true;
	}
	return false;
}

/* IRET to a 16-bit stack leaves ring 0's upper half of ESP, so interrupts show. */
static bool interrupted_on_a_small_stack(const struct fuzz_case *c, struct executor *x,
					 const struct outcome *out, const struct outcome *other)
{
	return x->interrupted && (world_code16(c->seg[X86_SS]) ||
				  world_code16(out->seg[X86_SS]) || may_load_ss(c));
}

/* What only the host has. */
static bool touched_the_hosts_page(const struct fuzz_case *c, struct executor *x,
				   const struct outcome *out, const struct outcome *other)
{
	return out->kind == OUTCOME_EXCEPTION && out->vector == EXC_PF &&
	       out->cr2 - (HOST_PAGE - 16) < GUEST_PAGE_SIZE + 16;
}

/* One of the outcomes is such that the other need not be like it. */
static bool left_open(const struct fuzz_case *c, struct executor *x, const struct outcome *out,
		      const struct outcome *other, bool host)
{
	typedef bool (*predicate)(const struct fuzz_case *c, struct executor *x,
				  const struct outcome *out, const struct outcome *other);
	static const predicate always[] = {
		ran_over_the_end, lock_refused, interrupted_on_a_small_stack,
	};
	static const predicate on_the_host[] = {
		touched_the_hosts_page, store_left_alone, alignment_fault, image_wrong_twice,
		masked_store_faulted, wrapped_in_parts, call_beyond_the_limit, empty_io,
	};

	for (unsigned n = 0; n < RF_ARRAY_SIZE(always); n++)
		if (always[n](c, x, out, other))
			return true;
	for (unsigned n = 0; host && n < RF_ARRAY_SIZE(on_the_host); n++)
		if (on_the_host[n](c, x, out, other))
			return true;
	return false;
}

/* --- comparison --- */

/* Last-instruction pointers: others than our engines have them as they please. */
static void compare_pointers(struct judgement *j, const char *na, const struct fxsave_image *a,
			     const char *nb, const struct fxsave_image *b)
{
	DIFFER("fip", a->fip, b->fip);
	DIFFER("fcs", a->fcs, b->fcs);
	DIFFER("fop", a->fop & 0x7ff, b->fop & 0x7ff);
	DIFFER("fdp", a->fdp, b->fdp);
	DIFFER("fds", a->fds, b->fds);
}

static void compare_fpu(struct judgement *j, const char *na, const struct fxsave_image *a,
			const char *nb, const struct fxsave_image *b)
{
	DIFFER("fcw", a->fcw, b->fcw);
	DIFFER("mxcsr", a->mxcsr, b->mxcsr);
	DIFFER("fsw", a->fsw, b->fsw);
	DIFFER("ftw", a->ftw, b->ftw);
	for (unsigned n = 0; n < 8; n++) {
		uint64_t x[2] = { 0 }, y[2] = { 0 };

		memcpy(x, a->st[n], 10);
		memcpy(y, b->st[n], 10);
		DIFFER("st, mantissa", x[0], y[0]);
		DIFFER("st, exponent", x[1], y[1]);
		memcpy(x, a->xmm[n], 16);
		memcpy(y, b->xmm[n], 16);
		DIFFER("xmm, low half", x[0], y[0]);
		DIFFER("xmm, high half", x[1], y[1]);
	}
}

static void compare(struct judgement *j, const char *na, const struct outcome *a, const char *nb,
		    const struct outcome *b)
{
	static const char *const regs[] = {
		"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"
	};
	static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };

	DIFFER("kind", a->kind, b->kind);
	DIFFER("vector", a->vector, b->vector);
	DIFFER("eip", a->eip, b->eip);
	DIFFER("error code", a->error, b->error);
	DIFFER("cr2", a->cr2, b->cr2);
	for (unsigned r = 0; r < 8; r++)
		DIFFER(regs[r], a->regs[r], b->regs[r]);
	DIFFER("eflags", a->eflags, b->eflags);
	/* Systems need not keep the RPL of a null selector. */
	for (unsigned s = 0; s < X86_NSEG; s++)
		DIFFER(segs[s], a->seg[s] & ~3 ? a->seg[s] : 0, b->seg[s] & ~3 ? b->seg[s] : 0);
	compare_fpu(j, na, &a->fpu, nb, &b->fpu);
}

/*
 * A single instruction that the processor's model lacks is #UD, whatever the engines agree on; ring
 * 0 may have no stack for it.
 */
static void compare_with_model(struct judgement *j, const struct fuzz_case *c,
			       const struct executor *x, const struct outcome *out)
{
	const char *const na = x->name, *const nb = x->model;
	struct insn i;

	if (!nb || !c->single || c->nitems != 1 ||
	    insn_decode(c->bytes, c->len, !world_code16(c->seg[X86_CS]), &i) != DECODE_OK ||
	    !(insn_features(&i) & ~cpu_model_find(nb)->features) ||
	    (c->ring == 0 && (excepted(out, EXC_DF) || out->kind == OUTCOME_SHUTDOWN)))
		return;
	DIFFER("kind", out->kind, OUTCOME_EXCEPTION);
	DIFFER("vector", out->vector, EXC_UD);
	DIFFER("eip", out->eip, c->eip);
}

static bool is_engine(const struct executor *x)
{
	return !x->is_host && !x->is_unicorn && !x->is_recorded && !x->without_pointers;
}

struct judgement judge_outcomes(const struct fuzz_case *c, struct executor *xa, struct outcome *a,
				struct executor *xb, struct outcome *b)
{
	const bool host = xa->is_host || xb->is_host;
	struct judgement result = { VERDICT_SAME, "" }, *j = &result;

	if (a->kind == OUTCOME_UNJUDGED || b->kind == OUTCOME_UNJUDGED ||
	    (a->kind == OUTCOME_HUNG && b->kind == OUTCOME_HUNG)) {
		result.verdict = VERDICT_LEEWAY;
		return result;
	}
	if (a->kind == OUTCOME_SHUTDOWN && b->kind == OUTCOME_SHUTDOWN)
		return result;
	if (host && memory_fault(a) && memory_fault(b))
		settle_cmps(c, xb, a, b);
	/* While the addresses are still those that the error codes are about. */
	if (excepted(a, EXC_PF) && excepted(b, EXC_PF))
		settle_page_fault(a, b, host);
	/* In ring 0 the frame of any of these may find no stack: #DF. */
	if ((memory_fault(a) || excepted(a, EXC_DF)) && excepted(b, a->vector))
		settle_fault(c, xb, a, b, host);
	if (excepted(a, EXC_DB) && excepted(b, EXC_DB))
		settle_trap(c, xb, a, b);
	if ((excepted(a, EXC_XM) || excepted(a, EXC_DF)) && excepted(b, a->vector))
		settle_simd(c, xb, a, b);
	if (host || xa->is_unicorn || xb->is_unicorn || xb->is_recorded)
		settle_flags(c, a, b, !host || xb->is_recorded);
	compare(j, xa->name, a, xb->name, b);
	if (is_engine(xa) && is_engine(xb))
		compare_pointers(j, xa->name, &a->fpu, xb->name, &b->fpu);
	if (result.verdict == VERDICT_SAME)
		compare_with_model(j, c, xa, a);
	if (result.verdict == VERDICT_DIFFERENT &&
	    (left_open(c, xa, a, b, host) || left_open(c, xb, b, a, host)))
		result.verdict = VERDICT_LEEWAY;
	return result;
}

/* --- memory --- */

static void copy_across(struct executor *xa, struct executor *xb, uint32_t linear, uint32_t len)
{
	/* Part of them may be outside of all regions. */
	for (const uint8_t *from; len--; linear++)
		if ((from = code_at(xb, linear)))
			xa->ops->store(xa, linear, from, 1);
}

/*
 * Stores of x87 that fault at the end of a page or segment may have stored their part before it; a
 * CALL that faults, its return address, below the stack that it leaves as it was; and ring 0 has
 * the flags on its own stack.
 */
static void level_leeway(const struct fuzz_case *c, struct executor *xa, struct executor *xb,
			 const struct outcome *out)
{
	struct insn i;

	if (!(memory_fault(out) || excepted(out, EXC_DF)) || !faulting_insn(c, xb, out, &i))
		return;
	if (leeway_partial_store(&i))
		copy_across(xa, xb, world_base(out->seg[i.seg]) + insn_offset(&i, out->regs),
			    i.mem_size);
	for (unsigned n = 1; i.attr & OPA_CALL && n <= 8; n++)
		copy_across(xa, xb, below_the_stack(out, n), 1);
	if (c->ring == 0 && leeway_rep_flags(&i))
		copy_across(xa, xb, out->regs[X86_ESP] - 4, 4);
}

/*
 * Bytes above a selector that was pushed: some processors store the two bytes of it only (SDM vol.
 * 2, PUSH), the engines zeros above.
 */
static bool above_a_selector(const uint8_t *engine, const uint8_t *host, uint32_t at)
{
	for (unsigned above = 2; above <= 3 && above <= at; above++) {
		const uint8_t *p = engine + at - above;
		uint16_t selector;

		memcpy(&selector, p, 2);
		if (!memcmp(p, host + at - above, 2) && !p[2] && !p[3] &&
		    (selector & ~3) < 8 * WORLD_SEGMENTS + 4)
			return true;
	}
	return false;
}

struct judgement judge_memory(const struct fuzz_case *c, struct executor *xa, struct executor *xb,
			      const struct outcome *out, bool leeway)
{
	struct judgement j = { VERDICT_SAME, "" };

	if (leeway)
		level_leeway(c, xa, xb, out);
	for (unsigned n = 0; n < REGIONS; n++) {
		const uint8_t *a = xa->ops->region(xa, n), *b = xb->ops->region(xb, n);

		if ((n == REGION_LOW && !case_is_supervisor(c)) || !memcmp(a, b, REGION_SIZE))
			continue;
		for (uint32_t at = 0; at < REGION_SIZE; at++) {
			if (a[at] == b[at])
				continue;
			j.verdict = VERDICT_LEEWAY;
			if (leeway && xb->is_host && at < REGION_SIZE - 1 &&
			    above_a_selector(a, b, at))
				continue;
			if (interrupted_on_a_small_stack(c, xa, out, out))
				return j;
			snprintf(j.text, sizeof(j.text), "memory at %x: %s %02x, %s %02x",
				 region_base(n) + at, xa->name, a[at], xb->name, b[at]);
			j.verdict = VERDICT_DIFFERENT;
			return j;
		}
	}
	return j;
}

void judge_level(struct executor *xa, struct executor *xb)
{
	for (unsigned n = 0; n < REGIONS; n++)
		for (uint32_t at = 0; at < REGION_SIZE; at += GUEST_PAGE_SIZE)
			if (memcmp(xa->ops->region(xa, n) + at, xb->ops->region(xb, n) + at,
				   GUEST_PAGE_SIZE))
				xa->ops->store(xa, region_base(n) + at, xb->ops->region(xb, n) + at,
					       GUEST_PAGE_SIZE);
}
