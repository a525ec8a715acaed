/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a TU is made of, instruction by instruction: the table of monitor-owned forms, and copied
 * guest instructions (verify_copied.c).
 *
 * A form is an instruction with exact operands that needs certain facts of registers and gives
 * others (verify_forms.h). Sequences are held together so: each step needs what the one before
 * gave, in whatever place that was. An instruction that matches no form is taken as copied, and
 * then may name guest registers and confined memory only.
 */
#include "verify_patterns.h"

/* --- the table of forms --- */

/* Registers in needs: a host register's number, or the register that is an operand. */
#define DESTINATION 0x20u
#define SOURCE 0x21u

#define NEED(r, k) { .reg = (r), .kind = FACT_##k }
#define NEED_OF(r, k, o) { .reg = (r), .kind = FACT_##k, .value = (o) }
#define CONSTANT(r, v) { .reg = (r), .kind = FACT_CONSTANT, .value = (v) }

struct need {
	uint8_t reg, kind;  /* FACT_VALUE: any of the values; FACT_NONE: nothing needed */
	uint32_t value;     /* FACT_CONSTANT: which; FACT_GIB, FACT_VIEW: of which register */
};

#define AT_REST 1u  /* all guest registers are the guest's */
#define SPOILS  2u  /* flags */
#define RING0   4u
#define CODE16  8u  /* there is no such form but in 16-bit code */

struct form {
	const char *what;
	uint8_t op;
	struct pattern operand[3];
	struct need need[2];
	uint8_t gives, of;         /* fact of operand 0 afterwards */
	uint8_t word;              /* fact of tcw.scratch afterwards; FACT_NONE: as it was */
	uint8_t flags;
	bool (*check)(struct verifier *v);  /* more to check; false: verify_fail()ed */
	void (*effect)(struct verifier *v); /* more effects */
};

/* The difference has to be from the guest's address after this instruction. */
static bool check_return_difference(struct verifier *v)
{
	const struct tu *tu = v->tu;
	const uint32_t next = v->current + 1 < tu->ninsns ? tu->insn[v->current + 1].guest_offset :
							    tu->guest_len;

	if ((uint32_t)v->insn.operand[1].disp + mode_lookup(v->tr, tu->mode, tu->eip + next))
		return verify_fail(
			v, VERIFY_GLUE,
			"a return site that compares with another address than the call's");
	return true;
}

/* The branch cache has to be that of the unit's own mode. */
static bool check_branch_cache(struct verifier *v)
{
	if (v->insn.operand[1].disp != branch_cache_offset(v->tu->mode))
		return verify_fail(v, VERIFY_INDIRECT,
				   "a look-up in the branch cache of another mode");
	return true;
}

static bool check_window_sum(struct verifier *v)
{
	if (v->state.reg[v->insn.operand[1].base].kind != FACT_GUEST)
		return verify_fail(v, VERIFY_GLUE,
				   "the window and a register that is not the guest's");
	return true;
}

static bool check_string(struct verifier *v)
{
	return mode_key_is_soft(v->tu->mode) ?
		       verify_fail(v, VERIFY_MODE, "a string in the soft mode") :
		       true;
}

static bool check_live_flags(struct verifier *v)
{
	return !(v->insn.operand[1].value & ~(int64_t)LIVE_FLAGS) ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "flags that the guest may not set");
}

static bool check_sum(struct verifier *v)
{
	const struct host_operand *m = &v->insn.operand[1];
	const unsigned parts[2] = { m->base, m->index };

	for (unsigned i = 0; i < 2; i++) {
		if (parts[i] == VERIFY_NO_REG)
			continue;
		if (parts[i] > 15 || (v->state.reg[parts[i]].kind != FACT_GUEST &&
				      !fact_is_value(&v->state.reg[parts[i]])))
			return verify_fail(v, VERIFY_GLUE, "a sum of what is no value");
	}
	return true;
}

/* Of an access of at most 32 bytes at an offset in a register, or at one that is known. */
static bool check_limit_probe(struct verifier *v)
{
	const struct host_operand *m = &v->insn.operand[1];
	const int64_t most = m->index == VERIFY_NO_REG ? 0x10000 : 0;

	return m->disp >= 0 && m->disp < most + 32 ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "a limit probed far from the access");
}

static bool check_string_step(struct verifier *v)
{
	const uint32_t value = v->insn.operand[1].value;

	return value == 1 || value == 0xffffffff ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "a string step that is not one element");
}

/* Not CS, which belongs to the unit; what else is in a segment register is the mode's. */
static bool check_segment_set(struct verifier *v)
{
	const int64_t disp = v->insn.operand[0].disp;

	if (!(v->tu->mode & MODE_PARAGRAPHS))
		return verify_fail(v, VERIFY_MODE,
				   "a segment register set where loads look at descriptors");
	return disp != TCW_OFF(x87.selector) + 2 * X86_CS &&
			       (disp < CPU_SEG_OFF(X86_CS) ||
				disp >= CPU_SEG_OFF(X86_CS) + (int64_t)sizeof(struct segment)) ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "CS set");
}

static bool check_if_constant(struct verifier *v)
{
	const uint32_t value = v->insn.operand[1].value;

	return !value || value == X86_IF ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "a store to if_flag of something else than IF");
}

/* It has to be one of the translator's, since C code looks there. */
static bool check_x87_site(struct verifier *v)
{
	const uint32_t number = v->insn.operand[1].value;

	return number && number <= v->tr->nx87_sites ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "an x87 site that does not exist");
}

static bool check_zero(struct verifier *v)
{
	return !v->insn.operand[1].value ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "a comparison with something else than zero");
}

static bool check_pop(struct verifier *v)
{
	return v->state.pushed == PUSHED_HOST_FLAGS ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "POP of what is not the flags");
}

static bool check_popf(struct verifier *v)
{
	return v->state.pushed == PUSHED_GUEST_FLAGS ?
		       true :
		       verify_fail(v, VERIFY_GLUE, "POPF of what is not the guest's flags");
}

static bool check_rdtsc(struct verifier *v)
{
	return v->tu->mode & MODE_TSC ?
		       true :
		       verify_fail(v, VERIFY_MODE, "RDTSC is not allowed in this mode");
}

static void give_constant(struct verifier *v)
{
	v->state.reg[v->insn.operand[0].reg].value = v->insn.operand[1].value;
}

static void give_window_sum(struct verifier *v)
{
	v->state.reg[H_R10].of = v->insn.operand[1].base;
}

static void give_saved(struct verifier *v)
{
	if (v->insn.operand[1].reg == H_RCX)
		v->state.reg[v->insn.operand[0].reg].kind = FACT_SAVED_ECX;
}

static void give_masked(struct verifier *v)
{
	const uint32_t mask = v->insn.operand[1].value;

	v->state.reg[v->insn.operand[0].reg].kind = !(mask & ~LIVE_FLAGS) ? FACT_FLAGS :
						    mask == X86_IF        ? FACT_IF :
									    FACT_VALUE;
}

static void give_pushed_host_flags(struct verifier *v)
{
	v->state.pushed = PUSHED_HOST_FLAGS;
}

static void give_pushed_guest_flags(struct verifier *v)
{
	v->state.pushed = PUSHED_GUEST_FLAGS;
}

static void give_popped(struct verifier *v)
{
	v->state.pushed = PUSHED_NOTHING;
}

static void give_guest_flags(struct verifier *v)
{
	v->state.pushed = PUSHED_NOTHING;
	v->state.flags_spoilt = false;
}

static void give_tsc(struct verifier *v)
{
	fact_set(v, H_RAX, (struct fact){ .kind = FACT_TSC_LOW });
	fact_set(v, H_RDX, (struct fact){ .kind = FACT_TSC_HIGH });
}

#define TCW(field) TCW_OFF(field)
#define SCRATCH_WORD TCW(scratch)
#define BRANCH_ENTRY ADDRESS(H_LINKS, H_R9, 2, .any_disp = true, .bytes = 4, .count = 1)
#define PROBE(i) ADDRESS(H_R11, i, 1, .any_disp = true, .bytes = 1, .count = 1)
#define BASES \
	CPU_ARRAY(CPU_SEG_OFF(0) + (int32_t)offsetof(struct segment, base), 4, X86_NSEG, \
		  sizeof(struct segment))
#define SELECTORS \
	CPU_ARRAY(CPU_SEG_OFF(0) + (int32_t)offsetof(struct segment, selector), 2, X86_NSEG, \
		  sizeof(struct segment))

#define X87_SELECTORS CPU_ARRAY(TCW(x87.selector), 2, X86_NSEG, 2)

/* In docs/translation.md the same table is told in words: keep them in step. */
static const struct form forms[] = {
	/* Values. */
	{ "constant", HOST_MOV, { SCRATCH, IMM }, .gives = FACT_CONSTANT, .effect = give_constant },
	{ "guest register read", HOST_MOV, { SCRATCH, GUEST }, .need = { NEED(SOURCE, GUEST) },
		.gives = FACT_VALUE, .effect = give_saved },
	{ "value copied", HOST_MOV, { SCRATCH, SCRATCH }, .need = { NEED(SOURCE, VALUE) },
		.gives = FACT_VALUE },
	{ "ecx saved", HOST_MOV, { R64(H_R11), R64(H_RCX) }, .need = { NEED(H_RCX, GUEST) },
		.gives = FACT_SAVED_ECX },
	{ "ecx restored", HOST_MOV, { R64(H_RCX), R64(H_R11) }, .need = { NEED(H_R11, SAVED_ECX) },
		.gives = FACT_GUEST },
	{ "ecx restored", HOST_MOV, { R32(H_RCX), SCRATCH }, .need = { NEED(SOURCE, SAVED_ECX) },
		.gives = FACT_GUEST },
	{ "guest register set", HOST_MOV, { GUEST, SCRATCH }, .need = { NEED(SOURCE, VALUE) },
		.gives = FACT_GUEST, .flags = AT_REST },
	{ "low half", HOST_MOVZX, { R32(H_R9), REG(R(H_R8), 2) }, .need = { NEED(H_R8, VALUE) },
		.gives = FACT_VALUE },
	/* A value that waits while its place is looked up. */
	{ "value kept", HOST_MOV, { CPU(TCW(soft_value), 4), R32(H_R8) },
		.need = { NEED(H_R8, VALUE) } },
	{ "value kept", HOST_MOV, { R32(H_R8), CPU(TCW(soft_value), 4) }, .gives = FACT_VALUE },
	/* The x87 last-instruction pointers. */
	{ "x87 site noted", HOST_MOV, { CPU(TCW(x87_site), 4), IMM }, .check = check_x87_site },
	{ "x87 operand noted", HOST_MOV, { CPU(TCW(x87_fdp), 4), IMM }, .gives = FACT_NONE },
	{ "x87 operand noted", HOST_MOV, { CPU(TCW(x87_fdp), 4), GUEST },
		.need = { NEED(SOURCE, GUEST) } },
	{ "x87 operand noted", HOST_MOV, { CPU(TCW(x87_fdp), 4), R32(H_R10) },
		.need = { NEED(H_R10, VALUE) } },
	/* Guest memory by way of a scratch register. */
	{ "load", HOST_MOV, { SCRATCH, MEMORY(4) }, .gives = FACT_VALUE, .flags = AT_REST },
	{ "store", HOST_MOV, { MEMORY(4), SCRATCH }, .need = { NEED(SOURCE, VALUE) },
		.flags = AT_REST },
	{ "load of a selector", HOST_MOVZX, { R32(H_R8), MEMORY(2) }, .gives = FACT_VALUE,
		.flags = AT_REST },
	{ "store of a selector", HOST_MOV, { MEMORY(2), REG(R(H_R8), 2) },
		.need = { NEED(H_R8, VALUE) }, .flags = AT_REST },
	/* AH to BH, which cannot be named beside a REX prefix. */
	{ "load of a byte", HOST_MOV, { REG(R(H_R8), 1), MEMORY(1) }, .gives = FACT_BYTE,
		.flags = AT_REST },
	{ "byte set", HOST_MOV, { BYTE_REGISTER, REG(R(H_R8), 1) }, .need = { NEED(H_R8, BYTE) },
		.gives = FACT_GUEST, .flags = AT_REST },
	{ "store of a byte", HOST_MOV, { MEMORY(1), REG(R(H_R8), 1) },
		.need = { NEED(H_R8, VALUE) }, .flags = AT_REST },
	/* Segments' bases, windows. */
	{ "segment pointer", HOST_MOV, { R64(H_R9), CPU_ARRAY(TCW(seg_base), 8, X86_NSEG, 8) },
		.gives = FACT_SEGMENT_POINTER },
	{ "segment base", HOST_MOV, { R32(H_R9), AT(H_R9, VERIFY_NO_REG, 4) },
		.need = { NEED(H_R9, SEGMENT_POINTER) }, .gives = FACT_VALUE },
	{ "window added", HOST_LEA, { R64(H_R10), { .kind = PATTERN_WINDOW_SUM } },
		.gives = FACT_WINDOW_SUM, .check = check_window_sum,
	  .effect = give_window_sum },
#define VIEW(r, fact) \
	{ "GiB", HOST_LEA, { R64(H_R9), TIMES(r, 4) }, \
		.need = { { .reg = (r), .kind = (fact) } }, .gives = FACT_TIMES_4, .of = (r) }, \
	{ "GiB", HOST_MOV, { CPU(SCRATCH_WORD, 8), R64(H_R9) }, \
		.need = { NEED_OF(H_R9, TIMES_4, r) }, .word = FACT_TIMES_4, .of = (r) }, \
	{ "GiB", HOST_MOV, { R32(H_R9), CPU(SCRATCH_WORD + 4, 4) }, \
		.need = { NEED_OF(VERIFY_WORD, TIMES_4, r) }, .gives = FACT_GIB, .of = (r) }, \
	{ "window of a GiB", HOST_MOV, { R64(H_R9), CPU_INDEXED(TCW(view_by_gib), H_R9, 8, 8) }, \
		.need = { NEED_OF(H_R9, GIB, r) }, .gives = FACT_VIEW, .of = (r) }
	VIEW(H_R10, FACT_VALUE), VIEW(H_RSI, FACT_GUEST), VIEW(H_RDI, FACT_GUEST),
	/* String instructions. */
#define STRING_REGISTER(reg) \
	{ "window added", HOST_LEA, { R64(reg), AT(reg, H_WINDOW, 0) }, \
		.need = { NEED(reg, GUEST) }, .gives = FACT_WINDOWED, .check = check_string }, \
	{ "window added", HOST_LEA, { R64(reg), AT(reg, H_R9, 0) }, \
		.need = { NEED_OF(H_R9, VIEW, reg), NEED(reg, GUEST) }, .gives = FACT_WINDOWED, \
		.check = check_string }, \
	{ "window taken off", HOST_MOV, { R32(reg), R32(reg) }, .need = { NEED(reg, WINDOWED) }, \
		.gives = FACT_GUEST }
	STRING_REGISTER(H_RSI), STRING_REGISTER(H_RDI),
	/* Return sites and the branch look-up. */
	{ "return compared", HOST_LEA, { R32(H_RCX), SUM(H_R8, VERIFY_NO_REG) },
		.need = { NEED(H_R8, RETURN), NEED(H_R9, SAVED_ECX) },
	  .gives = FACT_RETURN_DIFFERENCE, .check = check_return_difference },
	{ "look-up index scaled", HOST_LEA, { R32(H_R9), TIMES(H_R8, 8) },
		.need = { NEED(H_R8, VALUE) }, .gives = FACT_INDEX_8 },
	{ "look-up index", HOST_MOVZX, { R32(H_R9), REG(R(H_R9), 2) },
		.need = { NEED(H_R9, INDEX_8) }, .gives = FACT_INDEX },
	{ "look-up", HOST_MOV, { R32(H_R10), BRANCH_ENTRY }, .need = { NEED(H_R9, INDEX) },
		.gives = FACT_NEGATED_EIP,
	  .check = check_branch_cache },
	{ "look-up compared", HOST_LEA, { R32(H_RCX), AT(H_R8, H_R10, 0) },
		.need = { NEED(H_R10, NEGATED_EIP), NEED(H_R11, SAVED_ECX) },
	  .gives = FACT_LOOKUP_DIFFERENCE },
	/* 16-bit code: offsets, limits, bases; parts of registers. */
	{ "offset", HOST_MOVZX, { R32(H_R9), REG(R(H_R9), 2) }, .need = { NEED(H_R9, VALUE) },
		.gives = FACT_VALUE, .flags = CODE16 },
	{ "word read", HOST_MOVZX, { SCRATCH, REG(GUEST_REGISTERS, 2) },
		.need = { NEED(SOURCE, GUEST) }, .gives = FACT_VALUE, .flags = CODE16 },
	{ "limit", HOST_MOV, { R64(H_R11), CPU_ARRAY(TCW(limit_probe), 8, 2 * X86_NSEG, 8) },
		.gives = FACT_LIMIT_PROBE, .flags = CODE16 },
	{ "limit", HOST_MOV, { R64(H_R11), CPU_ARRAY(TCW(code_probe), 8, 2, 8) },
		.gives = FACT_LIMIT_PROBE, .flags = CODE16 },
	{ "limit probed", HOST_MOVZX, { R32(H_R11), PROBE(H_R9) },
		.need = { NEED(H_R11, LIMIT_PROBE), NEED(H_R9, VALUE) }, .gives = FACT_VALUE,
		.flags = CODE16, .check = check_limit_probe },
	{ "limit probed", HOST_MOVZX, { R32(H_R11), PROBE(H_R8) },
		.need = { NEED(H_R11, LIMIT_PROBE), NEED(H_R8, VALUE) }, .gives = FACT_VALUE,
		.flags = CODE16, .check = check_limit_probe },
	{ "limit probed", HOST_MOVZX, { R32(H_R11), PROBE(VERIFY_NO_REG) },
		.need = { NEED(H_R11, LIMIT_PROBE) }, .gives = FACT_VALUE,
		.flags = CODE16, .check = check_limit_probe },
	{ "segment base", HOST_MOV, { R32(H_R10), BASES }, .gives = FACT_VALUE,
		.flags = CODE16 },
	{ "paragraph", HOST_LEA, { R32(H_R9), AT(H_R9, H_R9, 0) }, .need = { NEED(H_R9, INDEX_8) },
		.gives = FACT_PARAGRAPH, .flags = CODE16 },
	{ "base set", HOST_MOV, { BASES, R32(H_R9) }, .need = { NEED(H_R9, PARAGRAPH) },
		.flags = CODE16 | AT_REST, .check = check_segment_set },
	{ "selector set", HOST_MOV, { SELECTORS, REG(R(H_R8), 2) }, .need = { NEED(H_R8, VALUE) },
		.flags = CODE16 | AT_REST, .check = check_segment_set },
	{ "selector set", HOST_MOV, { X87_SELECTORS, REG(R(H_R8), 2) },
		.need = { NEED(H_R8, VALUE) }, .flags = CODE16 | AT_REST,
	  .check = check_segment_set },
	{ "word set", HOST_MOV, { REG(GUEST_REGISTERS, 2), REG(SCRATCH_REGISTERS, 2) },
		.need = { NEED(DESTINATION, GUEST), NEED(SOURCE, VALUE) }, .gives = FACT_GUEST,
		.flags = AT_REST | CODE16 },
	{ "element read", HOST_MOVZX, { R32(H_R8), MEMORY(1) }, .gives = FACT_VALUE,
		.flags = AT_REST | CODE16 },
	{ "elements compared", HOST_CMP, { MEMORY(2), REG(R(H_R8), 2) },
		.need = { NEED(H_R8, VALUE) }, .flags = AT_REST | CODE16 },
	{ "elements compared", HOST_CMP, { MEMORY(4), R32(H_R8) },
		.need = { NEED(H_R8, VALUE) }, .flags = AT_REST | CODE16 },
	{ "string step", HOST_MOV, { R32(H_R10), CPU(TCW(string_step), 4) },
		.gives = FACT_VALUE, .flags = CODE16 },
	{ "string step set", HOST_MOV, { CPU(TCW(string_step), 4), IMM },
		.flags = AT_REST | CODE16, .check = check_string_step },
	{ "cx counted", HOST_MOVZX, { R32(H_RCX), REG(R(H_R9), 2) },
		.need = { NEED(H_R9, VALUE), NEED(H_R11, SAVED_ECX) }, .gives = FACT_BORROWED,
		.flags = CODE16 },
	/* Sums: after the LEAs above. */
	{ "RDTSC", HOST_LEA, { R64(H_R8), AT(H_R8, H_R9, 0) },
		.need = { NEED(H_R8, TSC), NEED(H_R9, TSC_OFFSET) }, .gives = FACT_TSC_SUM },
	{ "sum", HOST_LEA, { SCRATCH, ANY_SUM }, .gives = FACT_VALUE, .check = check_sum },
	/* RDTSC. */
	{ "RDTSC", HOST_RDTSC, .flags = AT_REST, .check = check_rdtsc, .effect = give_tsc },
	{ "RDTSC", HOST_MOV, { CPU(SCRATCH_WORD, 4), R32(H_RAX) }, .need = { NEED(H_RAX, TSC_LOW) },
		.word = FACT_TSC_LOW },
	{ "RDTSC", HOST_MOV, { CPU(SCRATCH_WORD + 4, 4), R32(H_RDX) },
		.need = { NEED(H_RDX, TSC_HIGH), NEED(VERIFY_WORD, TSC_LOW) },
	  .word = FACT_TSC },
	{ "RDTSC", HOST_MOV, { R64(H_R8), CPU(SCRATCH_WORD, 8) },
		.need = { NEED(VERIFY_WORD, TSC) }, .gives = FACT_TSC },
	{ "RDTSC", HOST_MOV, { R64(H_R9), CPU(CPU_OFF(tsc_offset), 8) }, .gives = FACT_TSC_OFFSET },
	{ "RDTSC", HOST_MOV, { CPU(SCRATCH_WORD, 8), R64(H_R8) }, .need = { NEED(H_R8, TSC_SUM) },
		.word = FACT_TSC_SUM },
	{ "RDTSC", HOST_MOV, { R32(H_RDX), CPU(SCRATCH_WORD + 4, 4) },
		.need = { NEED(VERIFY_WORD, TSC_SUM) }, .gives = FACT_GUEST },
	{ "RDTSC", HOST_MOV, { R32(H_RAX), R32(H_R8) }, .need = { NEED(H_R8, TSC_SUM) },
		.gives = FACT_GUEST },
	{ "TSC_AUX", HOST_MOV, { GUEST, CPU(CPU_OFF(tsc_aux), 4) }, .gives = FACT_GUEST,
		.flags = AT_REST },
	/* struct cpu and the words before it: selectors, flags, events. */
	{ "selector", HOST_MOVZX, { R32(H_R8), SELECTORS }, .gives = FACT_VALUE },
	{ "selector", HOST_MOVZX, { GUEST, SELECTORS }, .gives = FACT_GUEST, .flags = AT_REST },
	{ "control register", HOST_MOV, { GUEST, CPU(CPU_OFF(cr0), 4) }, .gives = FACT_GUEST,
		.flags = AT_REST | RING0 },
	{ "control register", HOST_MOV, { GUEST, CPU(CPU_OFF(cr2), 4) }, .gives = FACT_GUEST,
		.flags = AT_REST | RING0 },
	{ "control register", HOST_MOV, { GUEST, CPU(CPU_OFF(cr3), 4) }, .gives = FACT_GUEST,
		.flags = AT_REST | RING0 },
	{ "control register", HOST_MOV, { GUEST, CPU(CPU_OFF(cr4), 4) }, .gives = FACT_GUEST,
		.flags = AT_REST | RING0 },
	{ "system flags", HOST_MOV, { R32(H_R9), CPU(TCW(eflags_sys), 4) }, .gives = FACT_VALUE },
	{ "interrupt flag", HOST_MOV, { R32(H_R9), CPU(TCW(if_flag), 4) }, .gives = FACT_VALUE },
	{ "interrupt flag set", HOST_MOV, { CPU(TCW(if_flag), 4), IMM }, .flags = RING0,
		.check = check_if_constant },
	{ "interrupt flag set", HOST_MOV, { CPU(TCW(if_flag), 4), R32(H_R9) },
		.need = { NEED(H_R9, IF) }, .flags = RING0 },
	{ "events read", HOST_MOV, { R32(H_RCX), CPU(CPU_OFF(events), 4) },
		.need = { NEED(H_R11, SAVED_ECX) }, .gives = FACT_BORROWED },
	{ "soft views read", HOST_MOV, { R32(H_RCX), CPU(TCW(soft_views), 4) },
		.need = { NEED(H_R9, SAVED_ECX) }, .gives = FACT_BORROWED },
	{ "events tested", HOST_CMP, { CPU(CPU_OFF(events), 4), IMM }, .flags = SPOILS,
		.check = check_zero },
	{ "system flags compared", HOST_CMP, { R32(H_R9), CPU(TCW(eflags_sys), 4) },
		.need = { NEED(H_R9, VALUE) }, .flags = SPOILS },
	{ "flags masked", HOST_AND, { REG(R(H_R8) | R(H_R9), 4), IMM },
		.need = { NEED(DESTINATION, VALUE) }, .gives = FACT_VALUE, .flags = SPOILS,
		.effect = give_masked },
	{ "flags added", HOST_OR, { R32(H_R9), IMM }, .need = { NEED(DESTINATION, VALUE) },
		.gives = FACT_VALUE, .flags = SPOILS },
	{ "flags pushed", HOST_PUSHF, .flags = AT_REST, .effect = give_pushed_host_flags },
	{ "flags popped", HOST_POP, { R64(H_R8) }, .gives = FACT_HOST_FLAGS, .check = check_pop,
		.effect = give_popped },
	{ "flags packed", HOST_PEXT, { R32(H_R8), R32(H_R8), R32(H_R9) },
		.need = { NEED(H_R8, HOST_FLAGS), CONSTANT(H_R9, LIVE_FLAGS) },
	  .gives = FACT_PACKED_FLAGS },
	{ "flags unpacked", HOST_PDEP, { R32(H_R8), R32(H_R8), R32(H_R9) },
		.need = { NEED(H_R8, PACKED_FLAGS), CONSTANT(H_R9, LIVE_FLAGS) },
	  .gives = FACT_FLAGS },
	{ "flags masked", HOST_AND, { R32(H_R8), IMM }, .need = { NEED(H_R8, HOST_FLAGS) },
		.gives = FACT_FLAGS, .flags = SPOILS,
	  .check = check_live_flags },
	{ "guest flags pushed", HOST_PUSH, { R64(H_R8) }, .need = { NEED(H_R8, FLAGS) },
		.effect = give_pushed_guest_flags },
	{ "guest flags loaded", HOST_POPF, .check = check_popf, .effect = give_guest_flags },
};

/* --- applying a form --- */

static bool matches_form(const struct host_insn *h, const struct form *f)
{
	unsigned n = 0;

	if (h->op != f->op || h->prefixes & (HOST_LOCK | HOST_F2 | HOST_F3))
		return false;
	while (n < RF_ARRAY_SIZE(f->operand) && f->operand[n].kind != PATTERN_NONE)
		n++;
	if (n != h->noperands)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!verify_matches(&f->operand[i], &h->operand[i]))
			return false;
	}
	return true;
}

static bool has_needed(const struct verifier *v, const struct need *need)
{
	const unsigned reg = need->reg == DESTINATION ? v->insn.operand[0].reg :
			     need->reg == SOURCE      ? v->insn.operand[1].reg :
							need->reg;
	const struct fact *f = &v->state.reg[reg];

	switch (need->kind) {
	case FACT_NONE:               return true;
	case FACT_VALUE:              return fact_is_value(f);
	case FACT_CONSTANT:           return f->kind == FACT_CONSTANT && f->value == need->value;
	case FACT_GIB:
	case FACT_VIEW:
	case FACT_TIMES_4:
		return f->kind == need->kind && f->of == need->value;
	default:                      return f->kind == need->kind;
	}
}

static bool apply_form(struct verifier *v, const struct form *f)
{
	const struct host_insn *h = &v->insn;

	if (f->flags & AT_REST && !verify_at_rest(&v->state, false))
		return verify_fail(v, VERIFY_REST, f->what);
	if (f->flags & RING0 && v->tu->mode & MODE_CPL)
		return verify_fail(v, VERIFY_MODE, "a form for ring 0 in another ring");
	for (unsigned i = 0; i < h->noperands; i++) {
		if (f->operand[i].kind == PATTERN_GUEST_MEMORY &&
		    !verify_guest_memory(v, &h->operand[i]))
			return false;
	}
	if (f->check && !f->check(v))
		return false;
	if (f->gives != FACT_NONE)
		fact_set(v, h->operand[0].reg, (struct fact){ .kind = f->gives, .of = f->of });
	if (f->word != FACT_NONE)
		fact_set(v, VERIFY_WORD, (struct fact){ .kind = f->word, .of = f->of });
	if (f->flags & SPOILS)
		v->state.flags_spoilt = true;
	if (f->effect)
		f->effect(v);
	return true;
}

bool verify_plain(struct verifier *v)
{
	const struct form *almost = NULL;

	if (v->insn.op == HOST_STRING)
		return verify_string(v);
	if (v->state.pushed && v->insn.op != HOST_POP && v->insn.op != HOST_POPF)
		return verify_fail(v, VERIFY_GLUE, "something between a push and its pop");
	for (unsigned i = 0; i < RF_ARRAY_SIZE(forms); i++) {
		if (!matches_form(&v->insn, &forms[i]) ||
		    (forms[i].flags & CODE16 && !(v->tu->mode & MODE_CODE16)))
			continue;
		if (has_needed(v, &forms[i].need[0]) && has_needed(v, &forms[i].need[1]))
			return apply_form(v, &forms[i]);
		almost = &forms[i];
	}
	/* A guest instruction can look like a step of ours: MOV ESI, ESI. */
	if (verify_copied(v))
		return true;
	if (almost) {
		v->failure.rule = VERIFY_GLUE;
		v->failure.why = almost->what;
	}
	return false;
}
