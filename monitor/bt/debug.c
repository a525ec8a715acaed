/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A debugger's breakpoints and watchpoints (monitor/vm/debugger.h) under translation.
 *
 * No TU has an instruction at a breakpoint: the one before it ends there, its exit leads to the
 * dispatcher, and that stops. Nothing is linked to a TU that is not there, so all other code runs
 * as ever. A page with a watchpoint is read-only in every window, or in none if reads are watched:
 * accesses to it are interpreted, and the software TLB tells the debugger of each.
 *
 * A debugger that removes all of its points when the guest stops, and inserts them again before it
 * goes on, costs little here: what counts is what there is when guest code runs.
 */
#include <string.h>
#include "internal.h"

bool bt_stops(void *opaque, gva_t gva)
{
	const struct debugger *d = &((struct bt *)opaque)->vcpu->debugger;

	return d->nbreakpoints && debugger_breaks_within(d, gva, 1);
}

static bool tu_has_breakpoint(void *opaque, gva_t gva, uint32_t len)
{
	return debugger_breaks_within(opaque, gva, len);
}

static enum shadow_withheld page_withheld(void *opaque, gva_t gva)
{
	const unsigned watched = debugger_watches_page(opaque, gva);

	if (watched & DEBUGGER_READS)
		return SHADOW_NOTHING;
	return watched ? SHADOW_READ_ONLY : SHADOW_GIVEN;
}

/* Whether it is, in the same order, what the windows were made with. */
static bool same_watchpoints(const struct bt *bt)
{
	const struct debugger *d = &bt->vcpu->debugger;

	if (bt->nwatched != d->nwatchpoints)
		return false;
	for (unsigned i = 0; i < d->nwatchpoints; i++) {
		const struct debugger_watchpoint *a = &d->watchpoint[i], *b = &bt->watched[i];

		if (a->start != b->start || a->len != b->len || a->kind != b->kind)
			return false;
	}
	return true;
}

static void heed_watchpoints(struct bt *bt)
{
	struct debugger *d = &bt->vcpu->debugger;

	bt->watchpoint_changes = d->watchpoint_changes;
	if (same_watchpoints(bt))
		return;
	bt->nwatched = d->nwatchpoints;
	memcpy(bt->watched, d->watchpoint, sizeof(bt->watched));
	shadow_withhold(bt->shadow, d->nwatchpoints ? page_withheld : NULL, d);
	bt_forget_memory(bt);
}

static void heed_breakpoints(struct bt *bt)
{
	struct debugger *d = &bt->vcpu->debugger;

	bt->breakpoint_changes = d->breakpoint_changes;
	if (!d->nbreakpoints)
		return;
	translator_drop(bt->translator, tu_has_breakpoint, d);
	bt->returns_stale = true;
}

void bt_heed_debugger(struct bt *bt)
{
	const struct debugger *d = &bt->vcpu->debugger;

	if (bt->watchpoint_changes != d->watchpoint_changes)
		heed_watchpoints(bt);
	if (bt->breakpoint_changes != d->breakpoint_changes)
		heed_breakpoints(bt);
}
