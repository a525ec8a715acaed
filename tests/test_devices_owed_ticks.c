/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy for periodic ticks that come late, without a timer. */
#include <criterion/criterion.h>

#include "devices/bus/owed_ticks.h"

#define MS 1000000ull

static struct owed_ticks o;

static bool due(uint64_t ticks, enum tick_interrupt last, uint64_t now)
{
	return owed_ticks_due(&o, ticks, MS, last, now);
}

static void fresh(void) { owed_ticks_forgive(&o); }

TestSuite(owed_ticks, .init = fresh);

Test(owed_ticks, one_in_time_is_given_at_once)
{
	cr_expect_not(due(0, TICK_TAKEN, MS));
	cr_expect(due(1, TICK_TAKEN, MS));
	cr_expect_eq(o.count, 0);
}

Test(owed_ticks, those_given_and_owed_are_all_that_came_due)
{
	unsigned given = 0, came = 0;

	for (unsigned i = 0; i < 1000; i++) {
		came += i % 4;
		given += due(i % 4, i % 3 ? TICK_TAKEN : TICK_REQUESTED, i * MS);
		cr_assert_eq(given + o.count, came, "step %u", i);
	}
	while (due(0, TICK_TAKEN, 1000 * MS))
		given++;
	cr_expect_eq(given, came);
}

Test(owed_ticks, while_one_waits_none_is_given)
{
	cr_expect_not(due(3, TICK_REQUESTED, MS));
	cr_expect_eq(o.count, 3);
	cr_expect(due(0, TICK_TAKEN, MS));
	cr_expect_eq(o.count, 2);
}

Test(owed_ticks, no_more_than_the_most)
{
	due(OWED_TICKS_MOST - 1, TICK_REQUESTED, MS);
	cr_expect_eq(o.count, OWED_TICKS_MOST - 1);
	due(1, TICK_REQUESTED, MS);
	cr_expect_eq(o.count, OWED_TICKS_MOST);
	due(1, TICK_REQUESTED, MS);
	cr_expect_eq(o.count, OWED_TICKS_MOST);
	due(UINT64_MAX, TICK_REQUESTED, MS);
	cr_expect_eq(o.count, OWED_TICKS_MOST, "the sum does not wrap");
}

Test(owed_ticks, of_an_absurd_rate_one_is_owed)
{
	due(100, TICK_REQUESTED, MS);
	cr_expect_not(owed_ticks_due(&o, 100, OWED_TICKS_MIN_PERIOD_NS - 1, TICK_REQUESTED, MS));
	cr_expect_eq(o.count, 1);
	cr_expect_not(owed_ticks_due(&o, 100, OWED_TICKS_MIN_PERIOD_NS, TICK_REQUESTED, MS));
	cr_expect_eq(o.count, 101);
}

Test(owed_ticks, a_handlers_mask_holds_them_a_long_one_forgives)
{
	const uint64_t start = 5 * MS, end = start + OWED_TICKS_HANDLER_NS;

	cr_expect_not(due(2, TICK_MASKED, start));
	cr_expect_not(due(1, TICK_MASKED, end));
	cr_expect_eq(o.count, 3);
	/* Taken off in between: another mask. */
	owed_ticks_seen(&o, TICK_MASKED);
	due(0, TICK_MASKED, end);
	owed_ticks_seen(&o, TICK_TAKEN);
	due(1, TICK_MASKED, end + 1);
	cr_expect_eq(o.count, 4);
	due(1, TICK_MASKED, end + 1 + OWED_TICKS_HANDLER_NS);
	cr_expect_eq(o.count, 5);
	due(1, TICK_MASKED, end + 2 + OWED_TICKS_HANDLER_NS);
	cr_expect_eq(o.count, 0);
}

Test(owed_ticks, the_timer_runs_at_double_rate)
{
	const uint64_t now = 100 * MS;

	cr_expect_eq(owed_ticks_wake(&o, now + MS, MS, now), now + MS);
	o.count = 1;
	cr_expect_eq(owed_ticks_wake(&o, now + MS, MS, now), now + MS / 2);
	cr_expect_eq(owed_ticks_wake(&o, now + MS / 4, MS, now), now + MS / 4);
	cr_expect_eq(owed_ticks_wake(&o, now + 1, MS, now), now + OWED_TICKS_MIN_PERIOD_NS,
		     "but not faster than a host can");
}

Test(owed_ticks, the_timer_is_late_only_when_it_would_run_wild)
{
	const uint64_t now = 100 * MS, least = now + OWED_TICKS_MIN_PERIOD_NS;

	cr_expect_eq(owed_ticks_wake(&o, now + 1, MS, now), now + 1);
	cr_expect_eq(owed_ticks_wake(&o, now + 1, 10, now), least);
	cr_expect_eq(owed_ticks_wake(&o, now - MS, 10, now), least);
}

Test(owed_ticks, the_next_follows_one_that_is_taken)
{
	const uint64_t now = 100 * MS;

	cr_expect_not(owed_ticks_follow(&o, now + 1, MS, now));
	cr_expect(owed_ticks_follow(&o, now, MS, now), "due, though the timer has not run");
	o.count = 1;
	cr_expect(owed_ticks_follow(&o, now + 1, MS, now));
	cr_expect_not(owed_ticks_follow(&o, now, OWED_TICKS_MIN_PERIOD_NS - 1, now));
}
