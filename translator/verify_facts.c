/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verifier's walk knows of registers, and how it loses that again. */
#include "verify_forms.h"

bool verify_fail(struct verifier *v, enum verify_rule rule, const char *why)
{
	if (!v->failed)
		v->failure = (struct verify_failure){ .rule = rule,
						      .offset = v->insn.offset,
						      .why = why };
	v->failed = true;
	return false;
}

void verify_state_init(struct verify_state *s)
{
	*s = (struct verify_state){ 0 };
	for (unsigned r = 0; r < 16; r++) {
		if (GUEST_REGISTERS & R(r))
			s->reg[r].kind = FACT_GUEST;
	}
}

bool fact_is_value(const struct fact *f)
{
	return f->kind >= FACT_VALUE && f->kind <= FACT_GIB;
}

static bool fact_same(const struct fact *a, const struct fact *b)
{
	return a->kind == b->kind && a->of == b->of && a->value == b->value;
}

void verify_state_meet(struct verify_state *s, const struct verify_state *other)
{
	for (unsigned r = 0; r < 16; r++) {
		struct fact *f = &s->reg[r];

		if (!fact_same(f, &other->reg[r]))
			*f = (struct fact){ .kind = fact_is_value(f) &&
								    fact_is_value(&other->reg[r]) ?
							    FACT_VALUE :
							    FACT_NONE };
	}
	if (s->pushed != other->pushed)
		s->reg[H_RAX].kind = FACT_NONE; /* the stack is not known: nothing can be at rest */
	s->flags_spoilt |= other->flags_spoilt;
	s->matched &= other->matched;
	s->returned |= other->returned;
}

void verify_forget_scratch(struct verify_state *s)
{
	for (unsigned r = H_R8; r <= H_R11; r++)
		s->reg[r] = (struct fact){ 0 };
	s->reg[VERIFY_WORD] = (struct fact){ 0 };
	s->matched = false;
}

void verify_next_guest_insn(struct verify_state *s)
{
	const struct fact r10 = s->reg[H_R10];

	verify_forget_scratch(s);
	if (r10.kind == FACT_WINDOW_SUM && r10.value != SUM_IS_OLD)
		s->reg[H_R10] = r10;
}

bool verify_at_rest(const struct verify_state *s, bool ecx_borrowed)
{
	for (unsigned r = 0; r < 16; r++) {
		if (GUEST_REGISTERS & R(r) && s->reg[r].kind != FACT_GUEST &&
		    !(r == H_RCX && ecx_borrowed))
			return false;
	}
	return !s->pushed && !s->flags_spoilt && (!s->returned || ecx_borrowed);
}

bool fact_is_of(const struct fact *f)
{
	return f->kind == FACT_GIB || f->kind == FACT_VIEW || f->kind == FACT_SOFT ||
	       f->kind == FACT_TIMES_4 || f->kind == FACT_WINDOW_SUM;
}

void fact_set(struct verifier *v, unsigned reg, struct fact fact)
{
	for (unsigned r = 0; r < 16; r++) {
		struct fact *f = &v->state.reg[r];

		if (fact_is_of(f) && f->of == reg)
			*f = (struct fact){ 0 };
	}
	v->state.reg[reg] = fact;
	v->state.matched &= reg != H_R9;
}

/*
 * A sum with the window is in the window all the same, but is not for the next guest instruction.
 */
void verify_forget_written(struct verifier *v)
{
	const uint32_t written = verify_decode_written(v->decoder, &v->insn);

	for (unsigned r = H_R8; r <= VERIFY_WORD; r++) {
		struct fact *f = &v->state.reg[r];

		if (!fact_is_of(f) || !(written & R(f->of)))
			continue;
		if (f->kind == FACT_WINDOW_SUM)
			f->value = SUM_IS_OLD;
		else
			*f = (struct fact){ 0 };
	}
}
