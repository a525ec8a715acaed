/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address spaces that are not worth a window yet (shadowmmu/young.h): ring 3 of such a space runs
 * in the soft mode, and ring 0 reaches its user memory through the software TLB (tcw.soft_views).
 *
 * Nothing else changes: the window exists and works, so an access that has no soft form is simply
 * filled into it. A change of age is thus a matter of the next dispatch, which finds another mode
 * (state.c).
 */
#include <assert.h>
#include "internal.h"
#include "monitor/vm/vm.h"

/*
 * What windows have lost: each call that takes something away, and the fault that brings it back.
 * What is mapped for the first time is no loss: a program that computes on much memory pays that
 * once.
 */
static uint64_t host_calls_cost(const struct bt *bt)
{
	const struct shadow_stats *stats = shadow_stats(bt->shadow);
	const struct young_policy *p = &bt->young;

	return stats->host_unmaps * (p->unmap + p->signal + p->map) +
	       stats->host_protects * (p->protect + p->signal);
}

static uint64_t host_calls_cost_since(struct bt *bt)
{
	const uint64_t cost = host_calls_cost(bt), before = bt->young_charged;

	bt->young_charged = cost;
	return cost - before;
}

static bool charge(struct bt *bt, uint64_t cycles)
{
	struct young *y = &bt->space->young;

	if (!young_charge(&bt->young, y, cycles, __builtin_ia32_rdtsc()))
		return false;
	bt->stats.young_again++;
	shadow_empty_user(bt->shadow);
	return true;
}

void bt_young_chosen(struct bt *bt)
{
	struct space *space = bt->space;
	const uint64_t cost = host_calls_cost_since(bt);

	assert(space && space == shadow_current(bt->shadow));
	if (!bt->young.on)
		return;
	if (space->young.begun && !space->replaced) {
		if (cost)
			charge(bt, cost);
		return;
	}
	space->replaced = false;
	young_begin(&bt->young, &space->young, space->kernel_shared, __builtin_ia32_rdtsc());
	if (!space->young.is)
		return;
	bt->stats.young_begun++;
	shadow_empty_user(bt->shadow);
}

bool bt_young_faulted(struct bt *bt)
{
	return bt->young.on && charge(bt, host_calls_cost_since(bt));
}
