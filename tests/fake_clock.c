/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_clock.h"

#include <errno.h>
#include <stdlib.h>

struct clock_timer {
	struct clock_timer *next;
	void (*fire)(void *arg);
	void *arg;
	uint64_t deadline;
	bool armed;
};

static uint64_t fake_now(void *opaque)
{
	return ((struct fake_clock *)opaque)->now;
}

static int fake_create(void *opaque, void (*fire)(void *), void *arg, struct clock_timer **out)
{
	struct fake_clock *fake = opaque;
	struct clock_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return -ENOMEM;
	*timer = (struct clock_timer){ .next = fake->timers, .fire = fire, .arg = arg };
	fake->timers = timer;
	*out = timer;
	return 0;
}

static void fake_arm(void *opaque, struct clock_timer *timer, uint64_t deadline)
{
	timer->armed = true;
	timer->deadline = deadline;
}

static void fake_cancel(void *opaque, struct clock_timer *timer)
{
	timer->armed = false;
}

static void fake_destroy(void *opaque, struct clock_timer *timer)
{
	struct fake_clock *fake = opaque;
	struct clock_timer **link = &fake->timers;

	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	free(timer);
}

static const struct clock_ops fake_ops = {
	.now_ns = fake_now,
	.timer_create = fake_create,
	.timer_arm = fake_arm,
	.timer_cancel = fake_cancel,
	.timer_destroy = fake_destroy,
};

struct clock fake_clock_interface(struct fake_clock *fake)
{
	return (struct clock){ .ops = &fake_ops, .opaque = fake };
}

static struct clock_timer *first_armed(const struct fake_clock *fake)
{
	struct clock_timer *first = NULL;

	for (struct clock_timer *t = fake->timers; t; t = t->next)
		if (t->armed && (!first || t->deadline < first->deadline))
			first = t;
	return first;
}

uint64_t fake_clock_next(const struct fake_clock *fake)
{
	struct clock_timer *first = first_armed(fake);

	return first ? first->deadline : UINT64_MAX;
}

void fake_clock_advance(struct fake_clock *fake, uint64_t ns)
{
	uint64_t end = fake->now + ns;
	struct clock_timer *t;

	while ((t = first_armed(fake)) && t->deadline <= end) {
		if (t->deadline > fake->now)
			fake->now = t->deadline;
		t->armed = false;
		fake->fired++;
		t->fire(t->arg);
	}
	fake->now = end;
}

void fake_clock_stall(struct fake_clock *fake, uint64_t ns)
{
	fake->now += ns;
}
