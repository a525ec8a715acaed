/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owed ticks; see owed_ticks.h. */
#include "owed_ticks.h"

#include <assert.h>

const struct state_field owed_ticks_state[] = {
	STATE_PAST(struct owed_ticks, masked_ns),
	STATE_MOST(struct owed_ticks, count, OWED_TICKS_MOST),
	STATE_MOST(struct owed_ticks, seen, OWED_TICKS_MOST),
	STATE_END,
};

void owed_ticks_forgive(struct owed_ticks *owed)
{
	*owed = (struct owed_ticks){ 0 };
}

void owed_ticks_seen(struct owed_ticks *owed, enum tick_interrupt last)
{
	if (last != TICK_MASKED)
		owed->masked_ns = 0;
}

/* The most that may be owed now. */
static uint32_t most(struct owed_ticks *owed, uint64_t period_ns, enum tick_interrupt last,
		     uint64_t now)
{
	if (last == TICK_MASKED) {
		if (!owed->masked_ns)
			owed->masked_ns = now;
		if (now - owed->masked_ns > OWED_TICKS_HANDLER_NS)
			return 0;
	}
	return period_ns < OWED_TICKS_MIN_PERIOD_NS ? 1 : OWED_TICKS_MOST;
}

bool owed_ticks_due(struct owed_ticks *owed, uint64_t due, uint64_t period_ns,
		    enum tick_interrupt last, uint64_t now)
{
	uint32_t limit;

	owed_ticks_seen(owed, last);
	limit = most(owed, period_ns, last, now);
	assert(owed->count <= OWED_TICKS_MOST);
	owed->count = due < limit && owed->count < limit - due ? owed->count + (uint32_t)due :
								 limit;
	if (!owed->count || last != TICK_TAKEN)
		return false;
	owed->count--;
	return true;
}

void owed_ticks_watched(struct owed_ticks *owed, uint64_t since_ns, uint64_t period_ns)
{
	bool watched = since_ns && since_ns <= OWED_TICKS_WATCH_NS && since_ns <= period_ns;

	if (watched && owed->count > owed->seen)
		owed->count = owed->seen;
	owed->seen = owed->count;
}

uint64_t owed_ticks_wake(const struct owed_ticks *owed, uint64_t deadline, uint64_t period_ns,
			 uint64_t now)
{
	if (owed->count && deadline > now + period_ns / 2)
		deadline = now + period_ns / 2;
	if (deadline < now + OWED_TICKS_MIN_PERIOD_NS &&
	    (owed->count || period_ns < OWED_TICKS_MIN_PERIOD_NS))
		deadline = now + OWED_TICKS_MIN_PERIOD_NS;
	return deadline;
}

bool owed_ticks_follow(const struct owed_ticks *owed, uint64_t deadline, uint64_t period_ns,
		       uint64_t now)
{
	return period_ns >= OWED_TICKS_MIN_PERIOD_NS && (owed->count || now >= deadline);
}
