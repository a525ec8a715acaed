/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks at clocks with interrupts off; see tick_watch.h. */
#include "tick_watch.h"

static bool can_interrupt(const struct tick_watch *w)
{
	return lapic_intr(w->lapic) &&
	       (!w->interrupt_flag || w->interrupt_flag(w->interrupt_flag_opaque));
}

void tick_watch_look(void *opaque, unsigned n, uint32_t value)
{
	struct tick_watch *w = opaque;
	uint64_t now = clock_now(&w->clock), since = w->s.last_ns ? now - w->s.last_ns : 0;
	bool waits;

	if (can_interrupt(w)) {
		w->s.last_ns = 0;
		return;
	}
	waits = i8254_watched(w->pit, since);
	waits |= hpet_watched(w->hpet, since);
	waits |= lapic_timer_watched(w->lapic, since);
	w->s.last_ns = waits ? now : 0;
}

void tick_watch_taken(struct tick_watch *w)
{
	w->s.last_ns = 0;
	i8254_interrupt_taken(w->pit);
	hpet_interrupt_taken(w->hpet);
}

static void watch_reset(void *opaque)
{
	struct tick_watch *w = opaque;

	w->s = (struct tick_watch_state){ 0 };
}

static const struct state_field state[] = {
	STATE_PAST(struct tick_watch, s.last_ns),
	STATE_END,
};

const struct device_desc tick_watch_desc = {
	.name = "tick-watch",
	.reset = watch_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct tick_watch),
};
