/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rate of the TSC (tsc_rate.h).
 *
 * A clock that is read between two reads of the TSC bounds when it showed what it showed. Two such
 * readings bound the rate, with no assumption about how long a read takes; the closer the reads of
 * the TSC and the farther apart the readings, the narrower. The first is made with the virtual
 * processor, the second when the guest asks, which is half a second later for a Linux that
 * unpacked itself first: reads 50 ns apart then give 0.2 parts in a million.
 *
 * CLOCK_MONOTONIC may be slewed, by NTP for example. A little of that is right, since it makes the
 * host's seconds true. Where it is much just now, the rate by this clock is no lasting one; the
 * clock that is never adjusted tells.
 */
#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>
#include "devices/bus/clock.h"
#include "devices/chips/local_apic.h"
#include "tsc_rate.h"

#define TRIES         32
#define MOST_WAITS    20
#define WAIT_NS       5000000
#define MOST_SLEW_PPM 200
#define BOUNDS_PPM    1 /* the rate lies in the middle, so half of this is the error */
#define FRACTION_PPM  3
#define RATE_PER_NS   1000000000000ull /* thousandths of a hertz */
#define LEAF_POWER    0x80000007u
#define INVARIANT_TSC (1u << 8)

static struct tsc_reading read_once(clockid_t clock)
{
	struct tsc_reading r;
	struct timespec t;
	uint32_t processor;

	r.before = __rdtscp(&processor);
	_mm_lfence();
	clock_gettime(clock, &t);
	r.after = __rdtscp(&processor);
	r.ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	return r;
}

static struct tsc_reading read_closely(clockid_t clock)
{
	struct tsc_reading best = read_once(clock);

	for (unsigned i = 1; i < TRIES; i++) {
		const struct tsc_reading r = read_once(clock);

		if (r.after - r.before < best.after - best.before)
			best = r;
	}
	return best;
}

void tsc_mark_take(struct tsc_mark *mark)
{
	mark->clock = read_closely(CLOCK_MONOTONIC);
	mark->raw = read_closely(CLOCK_MONOTONIC_RAW);
}

struct tsc_bounds tsc_rate_between(const struct tsc_reading *a, const struct tsc_reading *b)
{
	const uint64_t ns = b->ns - a->ns;

	/* A clock that shows ns is less than one more. */
	if (b->ns < a->ns + 2 || b->before <= a->after)
		return (struct tsc_bounds){ 0, UINT64_MAX };
	return (struct tsc_bounds){ muldiv64(b->before - a->after, RATE_PER_NS, ns + 1),
				    muldiv64_up(b->after - a->before, RATE_PER_NS, ns - 1) };
}

static uint64_t middle(struct tsc_bounds b)
{
	return b.least + (b.most - b.least) / 2;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a < b ? b - a : a - b;
}

/* Overflow is far: a rate has 44 bits. */
static bool is_within(uint64_t difference, uint64_t rate, unsigned ppm)
{
	return difference <= rate / 1000000 * ppm;
}

bool tsc_rate_is_known(const struct tsc_mark *a, const struct tsc_mark *b)
{
	const struct tsc_bounds clock = tsc_rate_between(&a->clock, &b->clock);
	const struct tsc_bounds raw = tsc_rate_between(&a->raw, &b->raw);

	/* The fraction and the guest's arithmetic have the rest of what is allowed. */
	return is_within(clock.most - clock.least, clock.least, BOUNDS_PPM) &&
	       is_within(distance(middle(clock), middle(raw)), clock.least, MOST_SLEW_PPM);
}

struct tsc_ratio tsc_ratio_of(uint64_t rate, uint32_t crystal_hz)
{
	const uint64_t crystal = crystal_hz * 1000ull, most = UINT32_MAX / (crystal_hz / 1000);
	uint64_t best_error = UINT64_MAX;
	struct tsc_ratio best = { 0, 0 };

	for (uint64_t d = 1; d <= most; d++) {
		const uint64_t n = (rate * d + crystal / 2) / crystal;
		const uint64_t error = distance(n * crystal / d, rate);

		if (!n || n > most)
			break;
		if (error < best_error) {
			best_error = error;
			best = (struct tsc_ratio){ n, d };
		}
	}
	return is_within(best_error, rate, FRACTION_PPM) ? best : (struct tsc_ratio){ 0, 0 };
}

static bool host_tsc_is_invariant(void)
{
	uint32_t a, b, c, d;

	return __get_cpuid(LEAF_POWER, &a, &b, &c, &d) && (d & INVARIANT_TSC);
}

struct tsc_ratio tsc_ratio_since(const struct tsc_mark *start)
{
	const struct timespec wait = { .tv_nsec = WAIT_NS };
	struct tsc_mark now;

	if (!host_tsc_is_invariant())
		return (struct tsc_ratio){ 0, 0 };
	tsc_mark_take(&now);
	for (unsigned i = 0; i < MOST_WAITS && !tsc_rate_is_known(start, &now); i++) {
		nanosleep(&wait, NULL);
		tsc_mark_take(&now);
	}
	if (!tsc_rate_is_known(start, &now))
		return (struct tsc_ratio){ 0, 0 };
	return tsc_ratio_of(middle(tsc_rate_between(&start->clock, &now.clock)), LAPIC_TIMER_HZ);
}
