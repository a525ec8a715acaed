/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every way between rings and spaces does of the translator: r12, r13 and the return stack are
 * set for the state to come. Light callouts run it: general registers only, and what goes beyond
 * that spills the FPU first (x86/fpu_spill.h).
 */
#include <assert.h>
#include "tu.h"
#include "x86/fpu_spill.h"

struct branch_cache *branch_cache_find(struct tc_space *space, uint32_t mode)
{
	for (unsigned i = 0; i < SPACE_BRANCH_CACHES; i++) {
		if (space->branches[i].entries &&
		    space->branches[i].mode == (mode & (MODE_KEYS - 1)))
			return &space->branches[i];
	}
	return NULL;
}

void translator_use_space(struct translator *tr, struct cpu *cpu, struct tc_space *space,
			  uint32_t mode)
{
	struct branch_cache *cache;

	if (rf_unlikely(space->stale)) {
		fpu_spill(cpu);
		link_refresh_space(tr, space);
	}
	assert(!space->stale && mode_is_whole(mode));
	cache = branch_cache_find(space, mode);
	if (rf_unlikely(!cache)) {
		fpu_spill(cpu);
		cache = branch_cache_take(space, mode);
	}
	tcw(cpu)->link_table = (uint64_t)(uintptr_t)space->links;
	tcw(cpu)->branch_cache = (uint64_t)(uintptr_t)cache->entries;
}

void translator_reset_returns(struct translator *tr, struct cpu *cpu, bool user)
{
	tcw(cpu)->tc_rsp = tr->return_top[user].v;
	tr->stats.return_resets++;
}
