/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address spaces without a window: the policy as a function of costs and times, and programs in
 * such spaces. That they compute the same as elsewhere is for bt_configurations.h, which has
 * young=always.
 */
#include "bt_code.h"
#include "monitor/bt/internal.h"
#include "monitor/bt/host_costs.h"

TestSuite(young, .timeout = 120);

#define CYCLES_PER_US 2000u

static const struct host_costs dear = {
	.signal = 17000, .map = 15000, .protect = 30000, .unmap = 50000
};
static const struct host_costs cheap = {
	.signal = 1500, .map = 2000, .protect = 800, .unmap = 1200
};

/* --- the policy --- */

Test(young, costs_decide)
{
	cr_expect(young_policy_make(&dear, CYCLES_PER_US, YOUNG_ADAPTIVE).on);
	cr_expect_not(young_policy_make(&cheap, CYCLES_PER_US, YOUNG_ADAPTIVE).on);
	cr_expect(young_policy_make(&dear, CYCLES_PER_US, YOUNG_OFF).dear,
		  "it is a matter of the host, not of the choice");
	cr_expect_not(young_policy_make(&dear, CYCLES_PER_US, YOUNG_OFF).on);
	cr_expect(young_policy_make(&cheap, CYCLES_PER_US, YOUNG_ALWAYS).forever);
	cr_expect_not(young_policy_make(&cheap, CYCLES_PER_US, YOUNG_ALWAYS).dear);
}

/* Costs that could not be measured are not dear. */
Test(young, no_costs)
{
	const struct host_costs none = { 0 };

	cr_expect_not(young_policy_make(&none, CYCLES_PER_US, YOUNG_ADAPTIVE).on);
}

Test(young, grows_up_once_it_has_run)
{
	const struct young_policy p = young_policy_make(&dear, CYCLES_PER_US, YOUNG_ADAPTIVE);
	struct young y = { 0 };

	young_begin(&p, &y, true, 0);
	cr_assert(y.is);
	cr_expect_not(young_ran(&p, &y, 100 * p.grow, 1),
		      "of one stretch, not all may have been its own");
	cr_expect(y.is);
	cr_expect(young_ran(&p, &y, p.grow / 2 + 1, 2));
	cr_expect_not(y.is);
	cr_expect_not(young_ran(&p, &y, p.grow, 3), "it is grown up already");
}

Test(young, never_without_a_kernel_window_of_its_own)
{
	const struct young_policy p = young_policy_make(&dear, CYCLES_PER_US, YOUNG_ADAPTIVE);
	struct young y = { 0 };

	young_begin(&p, &y, false, 0);
	cr_expect_not(y.is);
}

/* A window that takes half of all time goes; the next one has to be earned for longer. */
Test(young, becomes_young_again)
{
	const struct young_policy p = young_policy_make(&dear, CYCLES_PER_US, YOUNG_ADAPTIVE);
	struct young y = { 0 };
	uint64_t now = 0;

	young_begin(&p, &y, true, now);
	young_ran(&p, &y, p.grow, now);
	cr_assert(young_ran(&p, &y, p.grow, now));
	cr_expect_not(young_charge(&p, &y, p.shrink / 2, now += p.shrink), "too little yet");
	cr_expect(young_charge(&p, &y, p.shrink, now += p.shrink));
	cr_expect(y.is);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_not(young_ran(&p, &y, p.grow, now), "it takes twice as long now");
	cr_expect(young_ran(&p, &y, p.grow, now));
}

Test(young, a_window_that_is_worth_it_stays)
{
	const struct young_policy p = young_policy_make(&dear, CYCLES_PER_US, YOUNG_ADAPTIVE);
	struct young y = { 0 };
	uint64_t now = 0;

	young_begin(&p, &y, true, now);
	young_ran(&p, &y, p.grow, now);
	cr_assert(young_ran(&p, &y, p.grow, now));
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_not(young_charge(&p, &y, p.shrink / 16, now += p.shrink), "round %u", i);
}

Test(young, always_is_for_ever)
{
	const struct young_policy p = young_policy_make(&cheap, CYCLES_PER_US, YOUNG_ALWAYS);
	struct young y = { 0 };

	young_begin(&p, &y, false, 0);
	cr_expect(y.is);
	cr_expect_not(young_ran(&p, &y, UINT64_MAX / 2, 0));
}

/* --- programs --- */

#define PAGES 3u

/* Ring 3 stores to some pages, pushes and calls; what it did is in ebx. */
static void write_program(struct bf *bf)
{
	struct code c = code_at(bf, BF_CODE);
	uint32_t loop;

	write_value_function(bf, FUNCTION, 5);
	MOV(&c, X86_ECX, PAGES);
	MOV(&c, X86_EDI, BF_DATA);
	loop = c.at;
	EMIT(&c, 0x89, 0x0f);                                    /* mov [edi], ecx */
	CALL(&c, FUNCTION);
	/* push eax; pop edx; add ebx, edx; add ebx, [edi] */
	EMIT(&c, 0x50, 0x5a, 0x01, 0xd3, 0x03, 0x1f);
	EMIT(&c, 0x81, 0xc7); EMIT32(&c, GUEST_PAGE_SIZE); /* add edi, 4096 */
	EMIT(&c, 0x49);
	JNZ(&c, loop);
	STOP(&c);
}

static void run_program(struct bf *bf)
{
	int vector;

	bf->cpu->eip = BF_CODE;
	bf->cpu->cpl = 3;
	bf->cpu->regs[X86_EBX] = 0;
	bf->cpu->regs[X86_ESP] = BF_DATA + BF_DATA_SIZE - 16;
	cr_expect_eq(bf_run(bf, &vector), BF_STOPPED);
	cr_expect_eq(bf->cpu->regs[X86_EBX], PAGES * 5 + PAGES * (PAGES + 1) / 2);
}

static long user_pages(struct bf *bf)
{
	return bf_stat(bf, "shadow", "pages_mapped");
}

Test(young, no_page_is_mapped)
{
	struct bf *young = bf_create("bt", "young=always,verify=off"),
		  *old = bf_create("bt", "young=off,verify=off");

	bf_reset(young, 3, true);
	bf_reset(old, 3, true);
	write_program(young);
	write_program(old);
	run_program(young);
	run_program(old);
	cr_expect_eq(user_pages(young), 0);
	cr_expect_gt(user_pages(old), 0);
	cr_expect_gt(bf_stat(young, "dispatcher", "soft_misses"), 0);
	bf_destroy(young);
	bf_destroy(old);
}

/* The second run finds that the first has taken long enough. */
Test(young, grown_up_it_gets_a_window)
{
	struct bf *bf = bf_create("bt", "young=always,verify=off");
	struct bt *bt = bt_of(&bf->vm.vcpu);

	bt->young = young_policy_make(&dear, CYCLES_PER_US, YOUNG_ADAPTIVE);
	bt->young.grow = 1ull << 50;
	bf_reset(bf, 3, true);
	write_program(bf);
	bf_flush(bf);
	young_begin(&bt->young, &bt->space->young, true, 0);
	run_program(bf);
	cr_expect_eq(user_pages(bf), 0);
	bt->young.grow = 2;
	bt->young.shrink = 1;
	run_program(bf);
	cr_expect_eq(bf_stat(bf, "dispatcher", "young_grown"), 1);
	cr_expect_gt(user_pages(bf), 0);
	bf_flush(bf);
	cr_expect_eq(bf_stat(bf, "dispatcher", "young_again"), 0,
		     "what is mapped for the first time is no loss");
	bf_destroy(bf);
}

/* PUSH to a page that is not there: nothing has changed but what the fault tells. */
Test(young, a_fault_is_precise)
{
	struct bf *bf = bf_create("bt", "young=always,verify=off");
	const uint32_t top = BF_DATA + (BF_ABSENT_PAGE + 1) * GUEST_PAGE_SIZE;
	struct code c;
	int vector;

	bf_reset(bf, 3, true);
	c = code_at(bf, BF_CODE);
	MOV(&c, X86_ESP, top + 8);
	EMIT(&c, 0x50, 0x50, 0x53); /* push eax; push eax; push ebx */
	STOP(&c);
	cr_expect_eq(bf_run(bf, &vector), BF_EXCEPTION);
	cr_expect_eq(vector, EXC_PF);
	cr_expect_eq(bf->cpu->cr2, top - 4);
	cr_expect_eq(bf_read32(bf, bf->cpu->regs[X86_ESP] + 4), BF_CODE + 7,
		     "the third PUSH's EIP");
	cr_expect_eq(bf_read32(bf, bf->cpu->regs[X86_ESP] + 16), top, "ESP as before it");
	bf_destroy(bf);
}

/* What the host's costs are is not for a test to say; that they can be had is. */
Test(young, this_host_has_costs)
{
	struct bf *bf = bf_create("bt", "verify=off"); /* installs the handlers */
	struct host_costs costs;

	cr_expect_gt(host_costs_probe(&costs), 100u);
	cr_expect_gt(costs.signal, 0);
	cr_expect_gt(costs.map, 0);
	cr_expect_gt(costs.protect, 0);
	cr_expect_gt(costs.unmap, 0);
	bf_destroy(bf);
}
