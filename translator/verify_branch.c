/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control transfers of a TU. There are these and no others:
 *
 *   within a guest instruction   JMP, and Jcc after a comparison of ours, JRCXZ, LOOPcc and JECXZ:
 *                                forward
 *   exits                        rel32 of JMP, Jcc, CALL that the exit's record names; JMP and CALL
 *                                [r12 + slot] of one; Jcc to such a JMP after the body
 *   RET                          to the return site of the CALL that is on top of the return stack
 *   look-up hits                 JMP and CALL [r12 + 2*r9 + the mode's branch cache + 8] of the
 *                                entry that matched
 *   stubs                        each with what it expects in scratch registers
 */
#include "verify_branch.h"

bool verify_is_transfer(const struct host_insn *h)
{
	return h->op >= HOST_JMP && h->op <= HOST_LOOP;
}

static bool is_short(const struct host_insn *h)
{
	return h->map == HOST_MAP_1BYTE &&
	       (h->opcode == 0xeb || (h->opcode & 0xf0) == 0x70 || (h->opcode & 0xfc) == 0xe0);
}

static bool is_near(const struct host_insn *h)
{
	return h->map == HOST_MAP_0F ? (h->opcode & 0xf0) == 0x80 :
				       h->opcode == 0xe8 || h->opcode == 0xe9;
}

/* Where a direct branch leads, by the bytes at its end; Capstone has to agree. */
static bool branch_target(struct verifier *v, cache_pc *target)
{
	const struct host_insn *h = &v->insn;
	const uint8_t *end = v->code + h->offset + h->length;
	int32_t rel = is_short(h) ? (int8_t)end[-1] : 0;

	if (!is_short(h))
		memcpy(&rel, end - 4, 4);
	*target = v->tu->entry + h->offset + h->length + rel;
	if (h->noperands != 1 || h->operand[0].kind != OPERAND_IMMEDIATE ||
	    (uintptr_t)h->operand[0].value != *target)
		return verify_fail(v, VERIFY_BYTES, "two readings of a branch's target differ");
	return true;
}

static bool need_rest(struct verifier *v, bool ecx_borrowed)
{
	return verify_at_rest(&v->state, ecx_borrowed) ||
	       verify_fail(v, VERIFY_REST,
			   "the translation is left while guest registers or flags are borrowed");
}

/* Behind a host CALL: back from the guest's function, with where its RET meant to go in r8d. */
static void returned(struct verifier *v)
{
	verify_state_init(&v->state);
	v->state.reg[H_R8].kind = FACT_RETURN;
	v->state.returned = true;
}

/* --- within a guest instruction --- */

static uint32_t guest_insn_end(const struct verifier *v)
{
	return v->current + 1 < v->tu->ninsns ? v->tu->insn[v->current + 1].host_offset :
						v->tu->body_len;
}

static bool inner_branch(struct verifier *v, cache_pc target, const struct verify_state *state)
{
	const uint32_t to = target - v->tu->entry, from = v->insn.offset + v->insn.length;

	if (target < v->tu->entry + from || target > v->tu->entry + guest_insn_end(v) ||
	    to >= v->tu->body_len)
		return verify_fail(v, VERIFY_BRANCH,
				   "a branch of ours that leaves the guest instruction");
	return verify_add_edge(v, to, v->insn.offset, state);
}

/* JRCXZ where ecx is a difference, or the events. */
static bool jrcxz(struct verifier *v, cache_pc target)
{
	struct verify_state taken = v->state;

	switch (v->state.reg[H_RCX].kind) {
	case FACT_BORROWED:
		break;
	case FACT_LOOKUP_DIFFERENCE:
		taken.matched = true;
		break;
	case FACT_RETURN_DIFFERENCE:
		taken.returned = false;
		break;
	default:
		return verify_fail(v, VERIFY_GLUE, "JRCXZ on the guest's ecx");
	}
	return inner_branch(v, target, &taken);
}

static bool short_branch(struct verifier *v)
{
	const uint8_t op = v->insn.op;
	cache_pc target;

	if (!branch_target(v, &target))
		return false;
	if (op == HOST_JRCXZ)
		return jrcxz(v, target);
	if (op == HOST_LOOP && !need_rest(v, false))
		return false;
	verify_forget_written(v);
	if (op == HOST_JCC && !v->state.flags_spoilt)
		return verify_fail(v, VERIFY_GLUE, "a short Jcc without a comparison of ours");
	if (!inner_branch(v, target, &v->state))
		return false;
	v->alive = op != HOST_JMP;
	return true;
}

/* --- exits --- */

static const struct tu_exit *exit_number(const struct verifier *v, uint32_t i)
{
	return &v->tr->exits[v->tu->first_exit + i];
}

/* The exit whose rel32 is that of the instruction. */
static const struct tu_exit *exit_patched_here(const struct verifier *v)
{
	const uint8_t *field = v->tr->write_base + (v->tu->entry - v->tr->exec_base) +
			       v->insn.offset + v->insn.length - 4;

	for (uint32_t i = 0; i < v->tu->nexits; i++) {
		if (exit_number(v, i)->patch == field)
			return exit_number(v, i);
	}
	return NULL;
}

static bool is_unlinked_path(const struct verifier *v, cache_pc address)
{
	for (uint32_t i = 0; i < v->tu->nexits; i++) {
		if (exit_number(v, i)->cold == address)
			return true;
	}
	return false;
}

static bool same_page(const struct tu *a, const struct tu *b)
{
	return gpa_is_none(b->gpa2) && gpa_frame(a->gpa) == gpa_frame(b->gpa) &&
	       a->eip >> GUEST_PAGE_SHIFT == b->eip >> GUEST_PAGE_SHIFT;
}

/* A rel32 leads to the exit's unlinked path, or is linked to the TU that belongs there. */
static bool exit_target(struct verifier *v, const struct tu_exit *exit, cache_pc target)
{
	const struct tu *to;

	if (target == exit->cold)
		return true;
	to = verify_tu_at(v->tr, target);
	if (exit->form != EXIT_DIRECT || !to)
		return verify_fail(v, VERIFY_BRANCH,
				   "an exit that leads to no unit and not to its unlinked path");
	if (to->eip != exit->target || to->mode != v->tu->mode)
		return verify_fail(v, VERIFY_BRANCH,
				   "an exit that leads to another unit than its own");
	if (!(to->global && v->tu->global) && !same_page(v->tu, to))
		return verify_fail(v, VERIFY_BRANCH,
				   "a direct link to a page that may be mapped otherwise");
	return true;
}

/* JMP, CALL [r12 + 8*slot]. */
static bool exit_by_table(struct verifier *v, const struct host_operand *m)
{
	for (uint32_t i = 0; i < v->tu->nexits; i++) {
		const struct tu_exit *exit = exit_number(v, i);

		if (exit->form != EXIT_TABLE || (int64_t)exit->slot * 8 != m->disp)
			continue;
		if (v->tr->link_template[exit->slot] != exit->cold)
			return verify_fail(
				v, VERIFY_TABLE,
				"a slot whose unlinked state is not the exit's unlinked path");
		return need_rest(v, false);
	}
	return verify_fail(v, VERIFY_INDIRECT,
			   "a slot of the link table that is not one of the unit's exits");
}

/* A conditional exit by a slot: to a JMP [r12 + slot] after the body. */
static bool exit_by_pad(struct verifier *v, cache_pc target)
{
	if (target < v->tu->entry + v->tu->body_len || is_unlinked_path(v, target))
		return verify_fail(v, VERIFY_BRANCH, "a Jcc that is no exit");
	return verify_add_edge(v, target - v->tu->entry, v->insn.offset, &v->state);
}

/* --- stubs --- */

static bool is_constant(const struct verifier *v, unsigned reg, uint32_t value)
{
	return v->state.reg[reg].kind == FACT_CONSTANT && v->state.reg[reg].value == value;
}

static uint32_t guest_eip(const struct verifier *v)
{
	return mode_eip(v->tr, v->tu->mode,
			v->tu->eip + v->tu->insn[v->current].guest_offset);
}

enum argument {
	ARGUMENT_NONE, ARGUMENT_ADAPT, ARGUMENT_BYTE, ARGUMENT_VALUE, ARGUMENT_STORE,
	ARGUMENT_RETURN
};

static const struct callout_rule {
	uint8_t argument;  /* enum argument: what is in r9d */
	bool ends;         /* does not come back after the call */
	bool ring0, code16;
	bool loads_flags;  /* POPF's long way: the interpreter loads all flags from the stack */
} callouts[CALLOUT_COUNT] = {
	[CALLOUT_INTERPRET] = { ARGUMENT_ADAPT, .loads_flags = true },
	[CALLOUT_INTEGER] = { ARGUMENT_ADAPT, .loads_flags = true },
	[CALLOUT_LOAD_CR3] = { ARGUMENT_VALUE, .ring0 = true },
	[CALLOUT_INT] = { ARGUMENT_BYTE, .ends = true },
	[CALLOUT_IRET] = { ARGUMENT_NONE, .ends = true },
	[CALLOUT_SYSENTER] = { ARGUMENT_NONE, .ends = true },
	[CALLOUT_SYSEXIT] = { ARGUMENT_NONE, .ends = true },
	[CALLOUT_LOAD_SEGMENT] = { .argument = ARGUMENT_VALUE },
	[CALLOUT_INVLPG] = { ARGUMENT_VALUE, .ring0 = true },
	[CALLOUT_FAR_JUMP] = { ARGUMENT_VALUE, .ends = true, .code16 = true },
	[CALLOUT_FAR_CALL] = { ARGUMENT_VALUE, .ends = true, .code16 = true },
	[CALLOUT_FAR_RETURN] = { ARGUMENT_RETURN, .ends = true, .code16 = true },
	[CALLOUT_STORE] = { .argument = ARGUMENT_STORE },
	[CALLOUT_STORE_WORD] = { .argument = ARGUMENT_STORE, .code16 = true },
	[CALLOUT_STORE_BYTE] = { .argument = ARGUMENT_STORE, .code16 = true },
	[CALLOUT_PUSH_WORD] = { .argument = ARGUMENT_STORE, .code16 = true },
	[CALLOUT_PUSH_LONG] = { .argument = ARGUMENT_STORE, .code16 = true },
};

static const struct callout_rule segment_in_ring0 = { ARGUMENT_VALUE, .ring0 = true };

/* The C function asserts as much. */
static bool is_far_return(const struct fact *f)
{
	const uint32_t size = f->value >> 16 & 0xff;

	return f->kind == FACT_CONSTANT && (size == 2 || size == 4) &&
	       !(f->value >> 24 & ~(CALLOUT_IRET_TOO >> 24));
}

static bool callout_argument(struct verifier *v, enum argument kind)
{
	const struct fact *r9 = &v->state.reg[H_R9];

	switch (kind) {
	case ARGUMENT_ADAPT: return is_constant(v, H_R9,
		v->tu->insn[v->current].adapt & ADAPT_INTERPRET);
	case ARGUMENT_BYTE:  return r9->kind == FACT_CONSTANT && r9->value < 256;
	case ARGUMENT_VALUE: return fact_is_value(r9);
	/* the address */
	case ARGUMENT_STORE: return fact_is_value(r9) && fact_is_value(&v->state.reg[H_R10]);
	case ARGUMENT_RETURN: return is_far_return(r9);
	default:             return true;
	}
}

static bool callout(struct verifier *v, const struct callout_rule *rule)
{
	const unsigned next = rule->argument == ARGUMENT_STORE ? H_R11 : H_R10;

	if (!is_constant(v, H_R8, guest_eip(v)) || v->state.reg[next].kind != FACT_CONSTANT)
		return verify_fail(v, VERIFY_STUB,
				   "a callout that is not told its own EIP and the next");
	if (!callout_argument(v, rule->argument))
		return verify_fail(v, VERIFY_STUB,
				   "a callout with another argument than it should have");
	if (rule->ring0 && v->tu->mode & MODE_CPL)
		return verify_fail(v, VERIFY_MODE, "a callout for ring 0 in another ring");
	if (rule->code16 && !(v->tu->mode & MODE_CODE16))
		return verify_fail(v, VERIFY_MODE, "a callout for 16-bit code in 32-bit code");
	if (rule->loads_flags)
		v->state.flags_spoilt = false;
	if (!need_rest(v, false))
		return false;
	verify_forget_scratch(&v->state);
	v->alive = !rule->ends;
	return true;
}

/* Comes back with r9 + r10 the host address of the access. */
static bool soft_look_up(struct verifier *v, enum access access)
{
	const struct fact length = v->state.reg[H_R9], address = v->state.reg[H_R10];

	if (!is_constant(v, H_R8, guest_eip(v)) || length.kind != FACT_CONSTANT ||
	    length.value > 15 || address.kind != FACT_VALUE)
		return verify_fail(v, VERIFY_STUB,
				   "a look-up in the software TLB without EIP, length and address");
	if (!need_rest(v, false))
		return false;
	verify_forget_scratch(&v->state);
	v->state.reg[H_R10] = (struct fact){ .kind = FACT_VALUE };
	v->state.reg[H_R9] =
		(struct fact){ .kind = FACT_SOFT,
			       .of = H_R10,
			       .value = length.value |
					(access == ACCESS_WRITE ? SOFT_MAY_WRITE : 0) };
	return true;
}

static bool look_up_missed(struct verifier *v)
{
	if (v->state.reg[H_RCX].kind != FACT_LOOKUP_DIFFERENCE ||
	    v->state.reg[H_R11].kind != FACT_SAVED_ECX || !fact_is_value(&v->state.reg[H_R8]))
		return verify_fail(
			v, VERIFY_STUB,
			"a missed look-up without what was looked up and ecx saved in r11");
	if (!need_rest(v, true))
		return false;
	v->alive = v->insn.op == HOST_CALL;
	if (v->alive)
		returned(v);
	return true;
}

static bool return_missed(struct verifier *v)
{
	if (v->insn.op != HOST_JMP || v->state.reg[H_RCX].kind != FACT_RETURN_DIFFERENCE ||
	    v->state.reg[H_R9].kind != FACT_SAVED_ECX || v->state.reg[H_R8].kind != FACT_RETURN)
		return verify_fail(v, VERIFY_STUB,
				   "a missed return without its target and ecx saved in r9");
	v->alive = false;
	return need_rest(v, true);
}

static bool clac_stac(struct verifier *v)
{
	if (v->tu->mode & MODE_CPL)
		return verify_fail(v, VERIFY_MODE, "CLAC or STAC outside ring 0");
	if (!need_rest(v, false))
		return false;
	verify_forget_scratch(&v->state);
	return true;
}

static bool to_stub(struct verifier *v, cache_pc target)
{
	const struct translator *tr = v->tr;

	if (target == tr->stub_lookup_miss)
		return look_up_missed(v);
	if (target == tr->stub_return_miss)
		return return_missed(v);
	if (v->insn.op == HOST_CALL) {
		for (unsigned i = 0; i < CALLOUT_COUNT; i++) {
			if (i != CALLOUT_SOFT && target == tr->stub_callout[i])
				return callout(v, &callouts[i]);
		}
		for (unsigned i = 0; i < X86_NSEG; i++) {
			if (tr->stub_segment[i] && target == tr->stub_segment[i])
				return callout(v, &segment_in_ring0);
		}
		if (target == tr->stub_ac[false] || target == tr->stub_ac[true])
			return clac_stac(v);
		for (unsigned i = 0; i < SOFT_LOOKUP_KINDS; i++) {
			if (target == tr->stub_dual[i] && mode_key_is_soft(v->tu->mode))
				return verify_fail(v, VERIFY_MODE,
						   "a choice of windows in the soft mode");
			if (target == tr->stub_soft[i] || target == tr->stub_dual[i])
				return soft_look_up(v, i);
		}
	}
	return verify_fail(v, VERIFY_BRANCH, "a branch to what is no exit, unit or stub");
}

/* --- near and indirect --- */

static bool near_branch(struct verifier *v)
{
	const struct tu_exit *exit = exit_patched_here(v);
	const uint8_t op = v->insn.op;
	cache_pc target;

	if (!branch_target(v, &target))
		return false;
	if (exit) {
		if (!need_rest(v, false) || !exit_target(v, exit, target))
			return false;
		v->alive = op != HOST_JMP;
		if (op == HOST_CALL)
			returned(v);
		return true;
	}
	if (op == HOST_JCC)
		return need_rest(v, false) && exit_by_pad(v, target);
	if (op == HOST_JMP && target >= v->tu->entry && target < v->tu->entry + v->tu->body_len) {
		v->alive = false;
		return inner_branch(v, target, &v->state);
	}
	return to_stub(v, target);
}

static bool by_branch_cache(struct verifier *v)
{
	if (v->state.reg[H_R9].kind != FACT_INDEX || !v->state.matched ||
	    !fact_is_value(&v->state.reg[H_R8]))
		return verify_fail(v, VERIFY_INDIRECT,
				   "a look-up's hit without a look-up that matched");
	return need_rest(v, false);
}

static bool indirect_branch(struct verifier *v)
{
	const struct host_operand *m = &v->insn.operand[0];
	bool ok;

	if (v->insn.noperands != 1 || m->kind != OPERAND_MEMORY || m->bytes != 8)
		return verify_fail(v, VERIFY_INDIRECT, "an indirect branch of no known form");
	if (m->base == H_R12 && m->index == VERIFY_NO_REG)
		ok = exit_by_table(v, m);
	else if (m->base == H_R12 && m->index == H_R9 && m->scale == 2 &&
		 m->disp == branch_cache_offset(v->tu->mode) +
				    (int64_t)offsetof(struct branch_entry, host))
		ok = by_branch_cache(v);
	else
		return verify_fail(v, VERIFY_INDIRECT, "an indirect branch of no known form");
	v->alive = v->insn.op == HOST_CALL;
	if (v->alive)
		returned(v);
	return ok;
}

static bool ret(struct verifier *v)
{
	if (v->insn.opcode != 0xc3)
		return verify_fail(v, VERIFY_INSTRUCTION,
				   "a RET that moves the stack pointer further");
	if (!fact_is_value(&v->state.reg[H_R8]))
		return verify_fail(v, VERIFY_GLUE, "RET without where to in r8d");
	v->alive = false;
	return need_rest(v, false);
}

bool verify_transfer(struct verifier *v)
{
	const struct host_insn *h = &v->insn;

	if (v->state.pushed)
		return verify_fail(v, VERIFY_GLUE, "a transfer between a push and its pop");
	if (h->op == HOST_RET)
		return ret(v);
	if (is_short(h))
		return short_branch(v);
	if (is_near(h))
		return near_branch(v);
	return indirect_branch(v);
}

/* --- unlinked paths --- */

/*
 * mov r9d, exit; jmp stub_link: or, where the exit must not be linked, mov r8d, target; jmp
 * stub_lookup. And the JMP [r12 + slot] of conditional exits.
 */
static bool leave_unlinked(struct verifier *v)
{
	const cache_pc start = v->tu->entry + v->previous;
	cache_pc target;

	if (!branch_target(v, &target))
		return false;
	v->alive = false;
	for (uint32_t i = 0; i < v->tu->nexits; i++) {
		if (exit_number(v, i)->cold != start)
			continue;
		if (target == v->tr->stub_link && is_constant(v, H_R9, v->tu->first_exit + i))
			return true;
		if (target == v->tr->stub_lookup &&
		    is_constant(v, H_R8,
				mode_lookup(v->tr, v->tu->mode, exit_number(v, i)->target)))
			return true;
		break;
	}
	return verify_fail(v, VERIFY_STUB, "an unlinked path that does not name its exit");
}

bool verify_unlinked_path(struct verifier *v)
{
	const struct host_insn *h = &v->insn;
	const struct host_operand *o = h->operand;

	if (h->op == HOST_MOV && o[0].kind == OPERAND_REGISTER && o[1].kind == OPERAND_IMMEDIATE &&
	    (o[0].reg == H_R8 || o[0].reg == H_R9))
		return verify_plain(v);
	if (h->op == HOST_JMP && h->opcode == 0xe9)
		return leave_unlinked(v);
	if (h->op == HOST_JMP && h->opcode == 0xff && o[0].kind == OPERAND_MEMORY &&
	    o[0].base == H_R12)
		return indirect_branch(v);
	return verify_fail(v, VERIFY_FLOW,
			   "something else than unlinked paths behind the unit's body");
}
