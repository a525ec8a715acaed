/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rate of the TSC that CPUID tells: what is known, and how close a guest comes to it. */
#include <criterion/criterion.h>
#include <math.h>
#include <unistd.h>
#include "devices/chips/local_apic.h"
#include "monitor/vm/tsc_rate.h"

#define GHZ(n) ((uint64_t)((n) * 1e12)) /* in thousandths of a hertz */

static struct tsc_mark mark_at(uint64_t tsc, uint64_t width, uint64_t ns, uint64_t raw_ns)
{
	return (struct tsc_mark){ { tsc, tsc + width, ns }, { tsc, tsc + width, raw_ns } };
}

Test(tsc_rate, bounds_hold_the_rate_and_nothing_less_sure)
{
	const struct tsc_mark a = mark_at(5000, 100, 1000, 1000);
	const struct tsc_mark b = mark_at(2005000, 100, 1001000, 1001000); /* 2 GHz */
	const struct tsc_bounds bounds = tsc_rate_between(&a.clock, &b.clock);

	cr_expect_eq(bounds.least, 1999900ull * 1000000000000 / 1000001);
	cr_expect_eq(bounds.most, 2000100ull * 1000000000000 / 999999 + 1);
	cr_expect_eq(tsc_rate_between(&a.clock, &a.clock).least, 0);
	cr_expect_eq(tsc_rate_between(&b.clock, &a.clock).most, UINT64_MAX, "ran backwards");
}

Test(tsc_rate, known_only_if_close_and_steady)
{
	const uint64_t second = 1000000000;
	const struct tsc_mark a = mark_at(5000, 100, 0, 0);
	const struct tsc_mark soon = mark_at(20005000, 100, second / 100, second / 100);
	const struct tsc_mark later = mark_at(2000005000, 100, second, second);
	const struct tsc_mark loose = mark_at(2000005000, 2500, second, second);
	const struct tsc_mark disciplined = mark_at(2000005000, 100, second, second + 100000);
	const struct tsc_mark slewed = mark_at(2000005000, 100, second, second + 500000);

	cr_expect(tsc_rate_is_known(&a, &later));
	cr_expect_not(tsc_rate_is_known(&a, &soon), "10 ppm");
	cr_expect_not(tsc_rate_is_known(&a, &loose), "1.3 ppm");
	cr_expect(tsc_rate_is_known(&a, &disciplined), "100 ppm between the clocks");
	cr_expect_not(tsc_rate_is_known(&a, &slewed), "500 ppm between the clocks");
	cr_expect_not(tsc_rate_is_known(&a, &a));
}

/* As Linux computes: in 32 bits, and whole kHz. */
Test(tsc_rate, a_guest_that_multiplies_in_32_bits_comes_close)
{
	unsigned given = 0;

	for (uint64_t rate = GHZ(0.8); rate < GHZ(5.2); rate += 1234567891) {
		const struct tsc_ratio r = tsc_ratio_of(rate, LAPIC_TIMER_HZ);
		uint32_t khz;
		double off;

		given++;
		cr_assert(r.denominator, "%lu is not given", rate);
		khz = LAPIC_TIMER_HZ / 1000 * r.numerator / r.denominator;
		off = fabs(khz * 1e6 - rate) / rate;
		/* and less than one kHz for what Linux cuts off */
		cr_assert_lt(off, 3e-6 + 1e6 / rate, "%lu: %u kHz", rate, khz);
	}
	cr_expect_gt(given, 3000);
}

Test(tsc_rate, not_given_if_no_fraction_is_close)
{
	cr_expect_eq(tsc_ratio_of(GHZ(2), 1000000000).numerator, 2);
	/* Of a crystal of 1 GHz, 2/1 and 4095/2047 are the next ones. */
	cr_expect_eq(tsc_ratio_of(GHZ(2.0001), 1000000000).denominator, 0);
	cr_expect_eq(tsc_ratio_of(0, LAPIC_TIMER_HZ).denominator, 0);
}

/* The host's own, if it gives any, against a measurement that takes longer. */
Test(tsc_rate, this_host)
{
	struct tsc_mark begin, end;
	struct tsc_bounds bounds;
	struct tsc_ratio ratio;
	double rate;

	tsc_mark_take(&begin);
	usleep(300000);
	ratio = tsc_ratio_since(&begin);
	if (!ratio.denominator)
		cr_skip_test("this host's TSC has no rate that could be known");
	usleep(700000);
	tsc_mark_take(&end);
	bounds = tsc_rate_between(&begin.clock, &end.clock);
	rate = 1000.0 * LAPIC_TIMER_HZ * ratio.numerator / ratio.denominator;
	cr_expect_gt(rate, bounds.least * (1 - TSC_RATE_PPM * 1e-6));
	cr_expect_lt(rate, bounds.most * (1 + TSC_RATE_PPM * 1e-6));
}
