/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When an address space is worth a window: see young.h. */
#include "young.h"

#include <assert.h>

/* what a page in a window costs over its life, from which on a young space repays */
#define DEAR_PAGE_NS   12000u
#define WINDOW_PAGES_MADE 48u /* pages that a program wants at once when its window is new */
#define UNMAP_SHARE    4u     /* pages that go with one call */
/* a window that loses this part of all time is too dear: the soft mode is some times slower */
#define SHRINK_SHARE   2u
#define PERIODS        16u
#define PATIENCE_MOST  6u

static uint64_t page_ns(const struct host_costs *c)
{
	return (uint64_t)c->signal + c->map + c->unmap / UNMAP_SHARE;
}

struct young_policy young_policy_make(const struct host_costs *c, uint32_t cycles_per_us,
				      enum young_choice choice)
{
	const uint64_t page = page_ns(c), window = page * WINDOW_PAGES_MADE * cycles_per_us / 1000;

	return (struct young_policy){
		.dear = page >= DEAR_PAGE_NS,
		.on = choice == YOUNG_ALWAYS || (choice == YOUNG_ADAPTIVE && page >= DEAR_PAGE_NS),
		.forever = choice == YOUNG_ALWAYS,
		.grow = window, .shrink = window / 2, .period = window * PERIODS,
		.signal = (uint64_t)c->signal * cycles_per_us / 1000,
		.map = (uint64_t)c->map * cycles_per_us / 1000,
		.protect = (uint64_t)c->protect * cycles_per_us / 1000,
		.unmap = (uint64_t)c->unmap * cycles_per_us / 1000,
	};
}

static void grow_up(struct young *y, uint64_t now)
{
	y->is = false;
	y->last = now;
	y->time = y->cost = 0;
}

void young_begin(const struct young_policy *p, struct young *y, bool able, uint64_t now)
{
	*y = (struct young){ .begun = true };
	grow_up(y, now);
	y->is = p->forever || (p->on && able);
}

/*
 * No stretch of time counts for more than a part of what is waited for: the host may have let
 * others run in it.
 */
bool young_ran(const struct young_policy *p, struct young *y, uint64_t cycles, uint64_t now)
{
	assert(y->begun);
	if (!y->is || p->forever)
		return false;
	y->ran += cycles < p->grow / 2 ? cycles : p->grow / 2;
	if (y->ran < p->grow << y->patience)
		return false;
	grow_up(y, now);
	return true;
}

bool young_charge(const struct young_policy *p, struct young *y, uint64_t cycles, uint64_t now)
{
	assert(y->begun);
	if (y->is || !p->on)
		return false;
	y->cost += cycles;
	y->time += now - y->last < p->shrink ? now - y->last : p->shrink;
	y->last = now;
	if (y->cost >= p->shrink && y->cost * SHRINK_SHARE >= y->time) {
		y->is = true;
		y->ran = 0;
		y->patience += y->patience < PATIENCE_MOST;
		return true;
	}
	if (y->time > p->period)
		grow_up(y, now);
	return false;
}
