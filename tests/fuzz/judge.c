/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparison of outcomes; see judge.h. */
#include <stdio.h>
#include <string.h>
#include "judge.h"
#include "tests/leeway.h"

#define MXCSR_FLAGS 0x3fu

#define DIFFER(what, x, y) \
	do { \
		if ((x) != (y)) { \
			snprintf(j->text, sizeof(j->text), "%s: %s %llx, %s %llx", what, na, (unsigned long long)(x), nb, (unsigned long long)(y)); \
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
static bool faulting_insn(const struct fuzz_case *c, struct executor *x, const struct outcome *out, struct insn *i)
{
	const bool code32 = !world_code16(out->seg[X86_CS]);
	const uint32_t linear = world_base(out->seg[X86_CS]) + out->eip, offset = linear - world_base(c->seg[X86_CS]) - c->eip;
	const uint8_t *bytes = code_at(x, linear);
	uint32_t room = bytes ? REGION_SIZE - (linear & (REGION_SIZE - 1)) : 0;

	if (offset < c->len && insn_decode(c->bytes + offset, c->len - offset, code32, i) == DECODE_OK)
		return true;
	return bytes && insn_decode(bytes, room < 15 ? room : 15, code32, i) == DECODE_OK;
}

/* A trap between two rounds of a string instruction. */
static bool rep_trapped(const struct outcome *out)
{
	return out->kind == OUTCOME_EXCEPTION && out->vector == EXC_DB;
}

static bool memory_fault(const struct outcome *out)
{
	return out->kind == OUTCOME_EXCEPTION &&
	       (out->vector == EXC_PF || out->vector == EXC_GP || out->vector == EXC_SS || out->vector == EXC_AC);
}

static uint32_t operand_offset(const struct insn *i, const uint32_t regs[8])
{
	uint32_t ea = i->disp;

	ea += (i->base == INSN_NO_REG ? 0 : regs[i->base]) + (i->index == INSN_NO_REG ? 0 : regs[i->index] << i->scale);
	if (i->mem && i->map == MAP_0F && (i->opcode & 0xe7) == 0xa3)
		ea += i->op_size == 4 ? (uint32_t)((int32_t)regs[insn_reg(i)] >> 5) * 4 : (uint32_t)((int16_t)regs[insn_reg(i)] >> 4) * 2;
	return i->addr_size == 4 ? ea : ea & 0xffff;
}

/* An operand that runs over the end of a 4-GiB segment: #GP, #SS or neither (SDM vol. 3, 5.3). */
static bool ran_over_the_end(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	const uint32_t *regs = out->regs;
	uint32_t ea;
	struct insn i;

	if (out->kind != OUTCOME_EXCEPTION || (out->vector != EXC_GP && out->vector != EXC_SS) || !faulting_insn(c, x, out, &i))
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
		ea = operand_offset(&i, regs);
	return ea > 0xffffffc0u;
}

/* --- what is left open --- */

/* Linear addresses that ring 3 cannot reach are absent for the host, and ring 0's for the machine. */
static bool is_supervisor(uint32_t linear)
{
	return linear < BF_LOW + REGION_SIZE || linear - (BF_DATA + BF_SUPERVISOR_PAGE * GUEST_PAGE_SIZE) < GUEST_PAGE_SIZE ||
	       linear - BF_SYSTEM < BF_SYSTEM_SIZE;
}

static void settle_fault(const struct fuzz_case *c, struct executor *xa, struct outcome *a, struct executor *xb, struct outcome *b)
{
	struct outcome *const both[] = { a, b };
	/* Which part of an operand of many words is touched first is not said. */
	const bool one_page = a->vector == EXC_PF && (a->cr2 ^ b->cr2) < GUEST_PAGE_SIZE;
	struct insn i;

	if (!faulting_insn(c, xb, b, &i))
		return;
	if (one_page && ((i.mem && i.mem_size > 10 && i.mem_size != 16) || i.attr & OPA_FAR))
		a->cr2 = b->cr2;
	if (leeway_partial_load(&i))
		a->fpu = b->fpu;
	/* Part of POPA's registers may be loaded. */
	if (i.map == MAP_1BYTE && i.opcode == 0x61)
		memcpy(a->regs, b->regs, sizeof(a->regs));
	for (unsigned n = 0; n < 2; n++) {
		if (memory_fault(b))
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

/* What the interpreter computes flags of by hand; sequences may jump into the middle of instructions, or fault behind it. */
static uint32_t flags_by_hand(const struct fuzz_case *c, const struct outcome *out)
{
	uint32_t flags = 0;
	struct insn i;

	if (out->eip - c->eip > c->len)
		return X86_ARITH_FLAGS; /* it went elsewhere */
	for (unsigned n = 0; n + 1 < c->len; n++)
		if (insn_decode(c->bytes + n, c->len - n, true, &i) == DECODE_OK)
			flags |= leeway_flags_by_hand(&i);
	return flags;
}

/* A single instruction's undefined flags that one side computes by hand. */
static void settle_flags(const struct fuzz_case *c, struct outcome *a, struct outcome *b, bool unicorn)
{
	struct insn i;

	if (!c->single || insn_decode(c->bytes, c->len, !world_code16(c->seg[X86_CS]), &i) != DECODE_OK)
		return;
	const uint32_t open = unicorn ? leeway_flags(&i, c->regs) : leeway_flags_by_hand(&i);

	a->eflags &= ~open;
	b->eflags &= ~open;
}

/* One of them faulted on the operand of an x87 store that the other may have left alone. */
static bool store_left_alone(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) && leeway_store_may_fault(&i, &out->fpu);
}

/* Where exactly MASKMOVQ and MASKMOVDQU fault, and whether they do with a mask of zeros, is left open (SDM vol. 2, MASKMOVQ). */
static bool masked_store_faulted(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) && i.map == MAP_0F && i.opcode == 0xf7;
}

/*
 * Alignment checks of 16-byte operands that need not be aligned are model specific (SDM vol. 2, MOVUPS), and so is whether an access that
 * crosses into an absent page is rather #AC or #PF.
 */
static bool alignment_fault(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	return out->kind == OUTCOME_EXCEPTION && out->vector == EXC_AC;
}

/* Hosts make those who lock over two cache lines wait, some for seconds. */
static bool lock_refused(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	return out->kind == OUTCOME_HUNG && faulting_insn(c, x, out, &i) && i.mem &&
	       (i.prefixes & PFX_LOCK || (i.map == MAP_1BYTE && (i.opcode & 0xfe) == 0x86));
}

/* REP INS and OUTS with a count of zero: whether the permission is looked at. */
static bool empty_io(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) && i.attr & OPA_IO && i.attr & OPA_STRING && i.prefixes & (PFX_REP | PFX_REPNE) &&
	       !(out->regs[X86_ECX] & (i.addr_size == 4 ? 0xffffffff : 0xffff));
}

/*
 * A near CALL beyond the limit of the code segment: processors push the return address first (and may fault there), where the manual checks
 * the target first (SDM vol. 2, CALL).
 */
static bool call_beyond_the_limit(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	return memory_fault(out) && world_last_offset(out->seg[X86_CS]) != 0xffffffff && faulting_insn(c, x, out, &i) && i.attr & OPA_CALL;
}

/*
 * An operand of several parts that runs over offset ffffh under 16-bit addressing: processors let each part wrap around, or take the whole for
 * beyond the limit.
 */
static bool wrapped_in_parts(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	return memory_fault(out) && faulting_insn(c, x, out, &i) && i.mem && i.addr_size == 2 && operand_offset(&i, out->regs) + i.mem_size > 0x10000;
}

/* Undefined flags may decide whether a loop ends. */
static bool hung_by_hand(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	return out->kind == OUTCOME_HUNG && flags_by_hand(c, out);
}

/* ENTER on a 16-bit stack whose SP wraps around: what EBP gets in its upper half (SDM vol. 2, ENTER, has ESP's; some compute it anew). */
static bool enters_at_the_bottom(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	struct insn i;

	if (world_code16(c->seg[X86_SS]) || world_code16(out->seg[X86_SS]))
		for (unsigned n = 0; n + 3 < c->len; n++)
			if (insn_decode(c->bytes + n, c->len - n, true, &i) == DECODE_OK && i.map == MAP_1BYTE && i.opcode == 0xc8)
				return true;
	return false;
}

/*
 * Ring 0 without a stack: the frame of an exception that one of them need not have raised (above) cannot be pushed, and which instruction that
 * was about cannot be told.
 */
static bool lost_its_stack(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	return c->kernel && out->kind == OUTCOME_EXCEPTION && out->vector == EXC_DF;
}

/* IRET to a 16-bit stack leaves ring 0's upper half of ESP, so interrupts show. */
static bool interrupted_on_a_small_stack(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	return x->interrupted && (world_code16(c->seg[X86_SS]) || world_code16(out->seg[X86_SS]));
}

/* What only the host has. */
static bool touched_the_hosts_page(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	return out->kind == OUTCOME_EXCEPTION && out->vector == EXC_PF && out->cr2 - (HOST_PAGE - 16) < GUEST_PAGE_SIZE + 16;
}

/* Selectors of the GDT name other segments on the host than in the machine. */
static bool uses_gdt(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	for (unsigned s = 0; s < X86_NSEG; s++)
		if (out->seg[s] & ~3 && !(out->seg[s] & 4))
			return true;
	return out->kind == OUTCOME_EXCEPTION && out->vector == EXC_GP && out->error > 7 && !(out->error & 6);
}

static bool nested_task(const struct fuzz_case *c, struct executor *x, const struct outcome *out)
{
	/* IRET is another instruction then, and not the same in compatibility mode. */
	return out->eflags & X86_NT;
}

/* One of the outcomes is such that the other need not be like it. */
static bool left_open(const struct fuzz_case *c, struct executor *x, const struct outcome *out, bool host)
{
	typedef bool (*predicate)(const struct fuzz_case *c, struct executor *x, const struct outcome *out);
	static const predicate always[] = {
		store_left_alone, ran_over_the_end, masked_store_faulted, alignment_fault, wrapped_in_parts, call_beyond_the_limit, empty_io,
		lock_refused, interrupted_on_a_small_stack, lost_its_stack,
	};
	static const predicate on_the_host[] = { uses_gdt, touched_the_hosts_page, hung_by_hand, enters_at_the_bottom, nested_task };

	for (unsigned n = 0; n < RF_ARRAY_SIZE(always); n++)
		if (always[n](c, x, out))
			return true;
	for (unsigned n = 0; host && n < RF_ARRAY_SIZE(on_the_host); n++)
		if (on_the_host[n](c, x, out))
			return true;
	return false;
}

/* --- comparison --- */

static void compare_fpu(struct judgement *j, const char *na, const struct fxsave_image *a, const char *nb, const struct fxsave_image *b, bool simd)
{
	DIFFER("fcw", a->fcw, b->fcw);
	DIFFER("mxcsr", a->mxcsr & ~(simd ? MXCSR_FLAGS : 0), b->mxcsr & ~(simd ? MXCSR_FLAGS : 0));
	if (simd)
		return;
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

static void compare(struct judgement *j, const char *na, const struct outcome *a, const char *nb, const struct outcome *b)
{
	static const char *const regs[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
	static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };
	/* A DIVPS of several steps: which flags an unmasked exception sets beside its own differs. */
	const bool simd = a->kind == OUTCOME_EXCEPTION && (a->vector == EXC_XM || a->vector == EXC_DF);

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
	compare_fpu(j, na, &a->fpu, nb, &b->fpu, simd);
}

struct judgement judge_outcomes(const struct fuzz_case *c, struct executor *xa, struct outcome *a, struct executor *xb, struct outcome *b)
{
	const bool host = xa->is_host || xb->is_host;
	struct judgement result = { VERDICT_SAME, "" }, *j = &result;

	if (a->kind == OUTCOME_UNJUDGED || b->kind == OUTCOME_UNJUDGED || (a->kind == OUTCOME_HUNG && b->kind == OUTCOME_HUNG)) {
		result.verdict = VERDICT_LEEWAY;
		return result;
	}
	if (a->kind == OUTCOME_SHUTDOWN && b->kind == OUTCOME_SHUTDOWN)
		return result;
	if ((memory_fault(a) || rep_trapped(a)) && a->kind == b->kind && a->vector == b->vector)
		settle_fault(c, xa, a, xb, b);
	if (a->kind == OUTCOME_EXCEPTION && a->vector == EXC_PF && b->vector == EXC_PF)
		settle_page_fault(a, b, host);
	settle_flags(c, a, b, xa->is_unicorn || xb->is_unicorn);
	if (host && a->eflags != b->eflags && !((a->eflags ^ b->eflags) & ~flags_by_hand(c, b)))
		a->eflags = b->eflags;
	compare(j, xa->name, a, xb->name, b);
	if (result.verdict == VERDICT_DIFFERENT && (left_open(c, xa, a, host) || left_open(c, xb, b, host)))
		result.verdict = VERDICT_LEEWAY;
	return result;
}

/* --- memory --- */

static void copy_across(struct executor *xa, struct executor *xb, uint32_t linear, uint32_t len)
{
	const uint32_t room = REGION_SIZE - (linear & (REGION_SIZE - 1));
	const uint8_t *from = code_at(xb, linear);

	if (from)
		xa->ops->store(xa, linear, from, room < len ? room : len);
}

static uint32_t below_the_stack(const struct outcome *out, uint32_t size)
{
	const uint32_t esp = out->regs[X86_ESP] - size;

	return world_base(out->seg[X86_SS]) + (world_code16(out->seg[X86_SS]) ? esp & 0xffff : esp);
}

/*
 * Stores of x87 that fault at the end of a page or segment may have stored their part before it; a CALL that faults, its return address, below
 * the stack that it leaves as it was; and ring 0 has the flags on its own stack.
 */
static void level_leeway(const struct fuzz_case *c, struct executor *xa, struct executor *xb, const struct outcome *out)
{
	struct insn i;

	if (!memory_fault(out) || !faulting_insn(c, xb, out, &i))
		return;
	if (leeway_partial_store(&i))
		copy_across(xa, xb, world_base(out->seg[i.seg]) + operand_offset(&i, out->regs), i.mem_size);
	if (i.attr & OPA_CALL)
		copy_across(xa, xb, below_the_stack(out, 8), 8);
	if (c->kernel && leeway_rep_flags(&i))
		copy_across(xa, xb, out->regs[X86_ESP] - 4, 4);
}

/* Bytes above a selector that was pushed: some processors store the two bytes of it only (SDM vol. 2, PUSH), the engines zeros above. */
static bool above_a_selector(const uint8_t *engine, const uint8_t *host, uint32_t at)
{
	for (unsigned above = 2; above <= 3 && above <= at; above++) {
		const uint8_t *p = engine + at - above;
		uint16_t selector;

		memcpy(&selector, p, 2);
		if (!memcmp(p, host + at - above, 2) && !p[2] && !p[3] && (selector & ~3) < 8 * WORLD_SEGMENTS + 4)
			return true;
	}
	return false;
}

struct judgement judge_memory(const struct fuzz_case *c, struct executor *xa, struct executor *xb, const struct outcome *out, bool leeway)
{
	struct judgement j = { VERDICT_SAME, "" };

	if (leeway)
		level_leeway(c, xa, xb, out);
	for (unsigned n = 0; n < REGIONS; n++) {
		const uint8_t *a = xa->ops->region(xa, n), *b = xb->ops->region(xb, n);

		if ((n == REGION_LOW && !c->kernel) || !memcmp(a, b, REGION_SIZE))
			continue;
		for (uint32_t at = 0; at < REGION_SIZE; at++) {
			if (a[at] == b[at])
				continue;
			j.verdict = VERDICT_LEEWAY;
			if (leeway && xb->is_host && at < REGION_SIZE - 1 && above_a_selector(a, b, at))
				continue;
			snprintf(j.text, sizeof(j.text), "memory at %x: %s %02x, %s %02x", region_base(n) + at, xa->name, a[at], xb->name, b[at]);
			j.verdict = lost_its_stack(c, xb, out) ? VERDICT_LEEWAY : VERDICT_DIFFERENT;
			return j;
		}
	}
	return j;
}

void judge_level(struct executor *xa, struct executor *xb)
{
	for (unsigned n = 0; n < REGIONS; n++)
		for (uint32_t at = 0; at < REGION_SIZE; at += GUEST_PAGE_SIZE)
			if (memcmp(xa->ops->region(xa, n) + at, xb->ops->region(xb, n) + at, GUEST_PAGE_SIZE))
				xa->ops->store(xa, region_base(n) + at, xb->ops->region(xb, n) + at, GUEST_PAGE_SIZE);
}
