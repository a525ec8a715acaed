/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A clock for tests: time stands still but for fake_clock_advance(), which fires timers in the
 * order of their deadlines.
 */
#ifndef RF_TESTS_FAKE_CLOCK_H
#define RF_TESTS_FAKE_CLOCK_H

#include "devices/bus/clock.h"

struct fake_clock {
	uint64_t now;
	struct clock_timer *timers;
	unsigned fired; /* callbacks so far */
};

/* The interface of it; the fake_clock must outlive its users. */
struct clock fake_clock_interface(struct fake_clock *fake);
/* Moves on by ns; a callback sees the time of its deadline (or now, if that has passed). */
void fake_clock_advance(struct fake_clock *fake, uint64_t ns);
/* Time of the next deadline, UINT64_MAX if no timer is armed. */
uint64_t fake_clock_next(const struct fake_clock *fake);
/* The host was busy: time moves on without callbacks, which come at the next advance. */
void fake_clock_stall(struct fake_clock *fake, uint64_t ns);

#endif
