/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier's rule for guest memory: which operands keep to the window in r13, or go past it
 * where that is allowed.
 *
 * Guest registers have upper halves of zero. Whatever the displacement, the sums below therefore
 * lie less than TRANSLATOR_REACH_BELOW before the window and less than TRANSLATOR_REACH_ABOVE after
 * its start: what is not in the window is in its guards. That an address which wraps is computed as
 * the guest's processor does is for tests to show, not for this.
 */
#include "verify_forms.h"

static bool holds_guest(const struct verifier *v, unsigned reg)
{
	return reg < 16 && v->state.reg[reg].kind == FACT_GUEST;
}

static bool holds_address(const struct verifier *v, unsigned reg)
{
	return holds_guest(v, reg) ||
	       ((reg == H_R9 || reg == H_R10) && fact_is_value(&v->state.reg[reg]));
}

/* [reg + r13 + disp] */
static const char *register_in_window(const struct verifier *v, const struct host_operand *m)
{
	if (m->scale != 1)
		return "the window, scaled";
	return holds_address(v, m->base) ?
		       NULL :
		       "the window and a register that does not hold an address";
}

/* [r13 + disp], [r13 + reg*scale + disp] */
static const char *scaled_in_window(const struct verifier *v, const struct host_operand *m)
{
	if (m->index == VERIFY_NO_REG)
		return m->disp >= 0 ? NULL : "a place before the window";
	return holds_guest(v, m->index) ? NULL :
					  "the window and an index that does not hold an address";
}

/* [r10 + reg*scale + disp] with r10 the window + a guest register */
static const char *indexed_in_window(const struct verifier *v, const struct host_operand *m)
{
	if (v->state.reg[H_R10].kind != FACT_WINDOW_SUM)
		return "[r10] without the window in it";
	if (m->index != VERIFY_NO_REG && !holds_guest(v, m->index))
		return "the window and an index that does not hold an address";
	return NULL;
}

/*
 * [r9 + r10], r9 the base of a window or what the software TLB found, r10 the address it was found
 * for.
 */
static const char *past_window(const struct verifier *v, const struct host_operand *m)
{
	const struct host_insn *h = &v->insn;
	const struct fact *where = &v->state.reg[H_R9];

	if (m->scale != 1 || m->disp)
		return "[r9 + r10] and something more";
	if (!fact_is_value(&v->state.reg[H_R10]) || where->of != H_R10)
		return "[r9 + r10], but r9 was not found for this r10";
	if (h->bit_string)
		return "a bit string, which reaches beside its address, through [r9 + r10]";
	if (where->kind == FACT_VIEW)
		return NULL;
	if (where->kind != FACT_SOFT)
		return "[r9 + r10] without a window in r9";
	if (!m->bytes || m->bytes != (where->value & ~SOFT_MAY_WRITE) + 1)
		return "an access of another length than the software TLB was asked for";
	if (h->writes_memory && !(where->value & SOFT_MAY_WRITE))
		return "a store where the software TLB was asked for a load";
	return NULL;
}

bool verify_is_guest_operand(const struct host_operand *m)
{
	return m->index == H_WINDOW || m->base == H_WINDOW || m->base == H_R10 ||
	       (m->base == H_R9 && m->index == H_R10);
}

static bool goes_past_window(const struct verifier *v, const struct host_operand *m)
{
	return m->base == H_R9 && m->index == H_R10 && v->state.reg[H_R9].kind == FACT_SOFT;
}

bool verify_guest_memory(struct verifier *v, const struct host_operand *m)
{
	const char *why = "a memory operand that does not keep to the window";

	if (m->index == H_WINDOW)
		why = register_in_window(v, m);
	else if (m->base == H_WINDOW)
		why = scaled_in_window(v, m);
	else if (m->base == H_R10)
		why = indexed_in_window(v, m);
	else if (m->base == H_R9 && m->index == H_R10)
		why = past_window(v, m);
	if (!why && mode_key_is_soft(v->tu->mode) && !goes_past_window(v, m))
		return verify_fail(v, VERIFY_MODE, "an access to a window in the soft mode");
	return why ? verify_fail(v, VERIFY_MEMORY, why) : true;
}

/* --- string instructions --- */

/*
 * esi and edi hold host addresses in a window; each step of a repeated one moves on by its size,
 * and one that runs over an end of the window meets the guard.
 */
bool verify_string(struct verifier *v)
{
	const struct host_insn *h = &v->insn;

	for (unsigned i = 0; i < h->noperands; i++) {
		const struct host_operand *m = &h->operand[i];

		if (m->kind == OPERAND_REGISTER)
			continue;
		if (m->kind != OPERAND_MEMORY || (m->base != H_RSI && m->base != H_RDI) ||
		    m->index != VERIFY_NO_REG || m->disp)
			return verify_fail(
				v, VERIFY_MEMORY,
				"a string instruction on other registers than rsi and rdi");
		if (v->state.reg[m->base].kind != FACT_WINDOWED)
			return verify_fail(v, VERIFY_MEMORY,
					   "a string instruction without the window added");
	}
	if (v->state.reg[H_RCX].kind != FACT_GUEST || v->state.reg[H_RAX].kind != FACT_GUEST ||
	    v->state.flags_spoilt)
		return verify_fail(v, VERIFY_REST, "a string instruction with a borrowed register");
	verify_forget_written(v);
	return true;
}
