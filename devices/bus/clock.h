/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time as devices see it: a monotonic count of nanoseconds that stops while the VM is stopped, and
 * one-shot timers on it.
 *
 * Timer callbacks run under the VM's device lock, never from inside arm() or now_ns(). A timer may
 * fire late (the host was busy), never early; devices compute with deadlines, not with the time of
 * the call, so lateness does not add up. A callback may arm, cancel or destroy its own timer.
 */
#ifndef RF_DEVICES_BUS_CLOCK_H
#define RF_DEVICES_BUS_CLOCK_H

#include "wires.h"

#define NS_PER_SECOND 1000000000ull

struct clock_timer; /* the implementation's */

struct clock_ops {
	uint64_t (*now_ns)(void *opaque);
	/* A timer, not armed. 0 or -ENOMEM. */
	int (*timer_create)(void *opaque, void (*fire)(void *arg), void *arg,
			    struct clock_timer **out);
	/*
	 * Fires once at or after deadline_ns; a deadline that has passed fires as soon as possible.
	 * Re-arming moves it.
	 */
	void (*timer_arm)(void *opaque, struct clock_timer *timer, uint64_t deadline_ns);
	void (*timer_cancel)(void *opaque, struct clock_timer *timer);
	void (*timer_destroy)(void *opaque, struct clock_timer *timer);
};

struct clock {
	const struct clock_ops *ops;
	void *opaque;
	struct signal_line told; /* by clock_tell() */
};

static inline uint64_t clock_now(const struct clock *clock)
{
	return clock->ops->now_ns(clock->opaque);
}

/* A device is about to tell the guest, which asked, something that depends on the time. */
static inline void clock_tell(const struct clock *clock)
{
	signal_raise(&clock->told, 0);
}

static inline int clock_timer_create(const struct clock *clock, void (*fire)(void *arg), void *arg,
				     struct clock_timer **out)
{
	return clock->ops->timer_create(clock->opaque, fire, arg, out);
}

static inline void clock_timer_arm(const struct clock *clock, struct clock_timer *timer,
				   uint64_t deadline_ns)
{
	clock->ops->timer_arm(clock->opaque, timer, deadline_ns);
}

static inline void clock_timer_cancel(const struct clock *clock, struct clock_timer *timer)
{
	clock->ops->timer_cancel(clock->opaque, timer);
}

/* timer may be NULL. */
static inline void clock_timer_destroy(const struct clock *clock, struct clock_timer *timer)
{
	if (timer)
		clock->ops->timer_destroy(clock->opaque, timer);
}

/* a * b / c without overflow in between (the quotient must fit). */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)((unsigned __int128)a * b / c);
}

/* Rounded up: with it, a time converted to ticks and back never comes out early. */
static inline uint64_t muldiv64_up(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)(((unsigned __int128)a * b + c - 1) / c);
}

#endif
