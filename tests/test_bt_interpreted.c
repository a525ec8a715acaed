/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code that the translating engine has interpreted because it cannot be translated: the dispatcher
 * is not to cost anything for each of its instructions.
 */
#include "bt_code.h"
#include "bt_configurations.h"

TestSuite(bt_interpreted, .timeout = 300);

#define BASE 0x1000u
#define LOOPS 5000u

/* A code segment whose base is not zero. */
static struct code code_with_a_base(struct bf *bf)
{
	bf_reset(bf, 0, false);
	bf->cpu->seg[X86_CS].base = BASE;
	bf->cpu->eip = BF_CODE;
	bf->cpu->regs[X86_ECX] = LOOPS;
	return code_at(bf, BF_CODE + BASE);
}

Test(bt_interpreted, a_loop_is_one_round_of_the_dispatcher)
{
	struct bf *bf = bf_create("bt", NULL);
	struct code c = code_with_a_base(bf);
	const uint32_t loop = c.at;

	EMIT(&c, 0x40, 0x49);             /* inc eax; dec ecx */
	JNZ(&c, loop);
	STOP(&c);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], LOOPS);
	cr_expect_geq(bf_stat(bf, "dispatcher", "interpreted"), 3 * LOOPS);
	cr_expect_leq(bf_stat(bf, "dispatcher", "interpreted_rounds"), 2);
	bf_destroy(bf);
}

/* JMP FAR to the flat code segment: what comes then is translated. */
Test(bt_interpreted, a_run_ends_where_code_can_be_translated)
{
	struct bf *bf = bf_create("bt", NULL);
	struct code c = code_with_a_base(bf), flat = code_at(bf, FUNCTION);
	const uint32_t loop = flat.at;

	EMIT(&c, 0x40, 0xea);
	EMIT32(&c, FUNCTION);
	EMIT(&c, BF_KCODE, 0);
	EMIT(&flat, 0x40, 0x49);
	JNZ(&flat, loop);
	STOP(&flat);
	run_to_stop(bf);
	EXPECT_EQ(bf->cpu->regs[X86_EAX], LOOPS + 1);
	cr_expect_leq(bf_stat(bf, "dispatcher", "interpreted"), 2);
	bf_destroy(bf);
}
