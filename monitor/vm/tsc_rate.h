/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast the TSC runs, the host's and so the guest's, by the clock that the guest's timers run
 * by: for CPUID leaves 15h and 16h, from which a guest takes it without measuring. A guest believes
 * these leaves for as long as it runs, so what is not known to TSC_RATE_PPM is not said at all.
 */
#ifndef RF_MONITOR_VM_TSC_RATE_H
#define RF_MONITOR_VM_TSC_RATE_H

#include "x86/types.h"

#define TSC_RATE_PPM 5u

/* One clock read between two reads of the TSC: when it showed ns, the TSC was in between. */
struct tsc_reading {
	uint64_t before, after, ns;
};

/* Two clocks of the host at nearly one time. */
struct tsc_mark {
	struct tsc_reading clock; /* CLOCK_MONOTONIC, which the guest's timers run by */
	struct tsc_reading raw;   /* CLOCK_MONOTONIC_RAW, which nobody adjusts */
};

/* A rate as a multiple of a crystal's; denominator 0: not known. */
struct tsc_ratio { uint32_t numerator, denominator; };

struct tsc_bounds { uint64_t least, most; }; /* thousandths of a hertz */

void tsc_mark_take(struct tsc_mark *mark);

/* The rate between two readings, the later one second, lies in these bounds. */
struct tsc_bounds tsc_rate_between(const struct tsc_reading *a, const struct tsc_reading *b);

/*
 * Says whether marks give the rate to TSC_RATE_PPM: the clock was read closely enough, and nobody
 * was setting it meanwhile.
 */
bool tsc_rate_is_known(const struct tsc_mark *a, const struct tsc_mark *b);

/*
 * The rate, in thousandths of a hertz, over crystal_hz. Numerator times crystal_hz / 1000 stays
 * below 2^32: Linux multiplies in 32 bits. Zeros if no such fraction is as close as TSC_RATE_PPM.
 */
struct tsc_ratio tsc_ratio_of(uint64_t rate, uint32_t crystal_hz);

/*
 * The ratio to LAPIC_TIMER_HZ since start was taken. It may wait until enough time has passed,
 * 0.1 s at most. Zeros: not known, or the host's TSC does not run at one rate.
 */
struct tsc_ratio tsc_ratio_since(const struct tsc_mark *start);

#endif
