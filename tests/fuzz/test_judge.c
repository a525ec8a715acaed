/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That the judge allows what processors do differently, with a processor as judge, and no more. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "judge.h"
#include "recording.h"

#define ABSENT   (BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE)
#define ESI_AT   (ABSENT + 0x10)
#define EDI_AT   (ABSENT + 0x20)

TestSuite(judge, .timeout = 60);

static struct recording_batch batch;
static struct memory memory;

/* CMPSD whose operands both fault, and what the engines make of it. */
static void make(struct fuzz_case *c, struct outcome *out)
{
	*c = (struct fuzz_case){
		.ring = 3, .eip = BF_CODE, .len = 1, .nitems = 1, .offset[1] = 1, .bytes = { 0xa7 },
		.regs = { [X86_ESI] = ESI_AT, [X86_EDI] = EDI_AT },
	};
	for (unsigned s = 0; s < X86_NSEG; s++)
		c->seg[s] = s == X86_CS ? case_code(c) : case_data(c);
	*out = (struct outcome){ .kind = OUTCOME_EXCEPTION,
				 .vector = EXC_PF,
				 .error = 4,
				 .cr2 = EDI_AT,
				 .eip = c->eip };
	memcpy(out->regs, c->regs, sizeof(out->regs));
	memcpy(out->seg, c->seg, sizeof(out->seg));
}

/* The engine's answer against another's; processor: that is one. */
static enum verdict judge(const struct fuzz_case *c, struct outcome engine, struct outcome other,
			  bool processor)
{
	struct executor *a = recording_oracle(&batch, false),
			*b = recording_oracle(&batch, processor);
	enum verdict verdict;

	a->is_recorded = b->is_recorded = false;
	recording_fill(0, &memory);
	a->ops->load(a, &memory);
	b->ops->load(b, &memory);
	verdict = judge_outcomes(c, a, &engine, b, &other).verdict;
	a->ops->destroy(a);
	b->ops->destroy(b);
	return verdict;
}

Test(judge, cmps_may_fault_on_the_other_operand)
{
	struct outcome engine, other;
	struct fuzz_case c;

	make(&c, &engine);
	other = engine;
	cr_expect_eq(judge(&c, engine, other, false), VERDICT_SAME);
	other.cr2 = ESI_AT;
	other.error = 5;
	cr_expect_eq(judge(&c, engine, other, true), VERDICT_SAME, "as AMD's processors do");
	cr_expect_eq(judge(&c, engine, other, false), VERDICT_DIFFERENT, "two engines");
	/* The other operand beyond its segment's limit. */
	other.vector = EXC_GP;
	other.error = other.cr2 = 0;
	cr_expect_eq(judge(&c, engine, other, true), VERDICT_SAME, "as AMD's processors do");
	cr_expect_eq(judge(&c, engine, other, false), VERDICT_DIFFERENT, "two engines");
}

Test(judge, cmps_must_fault_alike_otherwise)
{
	struct outcome engine, other;
	struct fuzz_case c;

	make(&c, &engine);
	other = engine;
	other.cr2 = EDI_AT + 1;
	cr_expect_eq(judge(&c, engine, other, true), VERDICT_DIFFERENT,
		     "another byte of the same operand");
	other.cr2 = ABSENT + 0x800;
	cr_expect_eq(judge(&c, engine, other, true), VERDICT_DIFFERENT, "no operand");
	other.cr2 = ESI_AT;
	other.regs[X86_ECX]++;
	cr_expect_eq(judge(&c, engine, other, true), VERDICT_DIFFERENT, "another register");
	make(&c, &engine);
	other = engine;
	other.cr2 = ESI_AT;
	c.bytes[0] = 0xa5;
	cr_expect_eq(judge(&c, engine, other, true), VERDICT_DIFFERENT, "MOVS");
}
