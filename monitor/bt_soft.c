/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which instructions reach memory through the software TLB (ADAPT_SOFT).
 *
 * A page fault of the guest's own costs a host fault, and a host mapping once the guest has dealt with it: as much as some
 * thousand look-ups in the software TLB. An instruction at which page faults follow each other closely is
 * translated into the form that looks its page up; when none has come for a while, into the plain form again. Each
 * return to the plain form doubles the number of faults that it takes the next time.
 *
 * For general registers only, as light callouts come here.
 */
#include "bt.h"

#define FAULTS_BEFORE_SOFT 3u
#define PATIENCE_MAX  8u
#define CLOSE_CYCLES  (8ull << 20) /* of the host's TSC: some milliseconds */
#define SWEEP_CYCLES  (2ull << 20)

static struct bt_soft_site *site_of(struct bt *bt, gva_t eip)
{
	return &bt->soft_site[eip % BT_SOFT_SITES];
}

static bool site_is_idle(const struct bt_soft_site *site, uint64_t now)
{
	return now - site->last_fault > CLOSE_CYCLES;
}

bool bt_soft_count(struct bt *bt, const struct tc_position *at)
{
	const uint64_t now = __builtin_ia32_rdtsc();
	struct bt_soft_site *site = site_of(bt, at->eip);

	if (site->gpa != at->gpa || site->eip != at->eip) {
		if (site->active)
			return false;
		*site = (struct bt_soft_site){ .eip = at->eip, .gpa = at->gpa };
	}
	/* It faults although it was translated anew: it has no soft form. */
	if (at->adapt & ADAPT_SOFT)
		site->unfit = true;
	if (site->unfit || site->active || bt->no_soft)
		return false;
	if (site_is_idle(site, now))
		site->faults = 0;
	site->last_fault = now;
	if (++site->faults < FAULTS_BEFORE_SOFT << site->patience)
		return false;
	site->active = true;
	site->faults = 0;
	return true;
}

void bt_soft_faulted(struct bt *bt, gva_t eip)
{
	struct bt_soft_site *site = site_of(bt, eip);

	bt->stats.soft_faults++;
	if (site->eip == eip)
		site->last_fault = __builtin_ia32_rdtsc();
}

void bt_soft_sweep(struct bt *bt)
{
	const uint64_t now = __builtin_ia32_rdtsc();

	if (now - bt->soft_swept < SWEEP_CYCLES)
		return;
	bt->soft_swept = now;
	for (unsigned i = 0; i < BT_SOFT_SITES; i++) {
		struct bt_soft_site *site = &bt->soft_site[i];

		if (!site->active || !site_is_idle(site, now))
			continue;
		site->active = false;
		if (site->unfit)
			continue;
		if (site->patience < PATIENCE_MAX)
			site->patience++;
		translator_unadapt(bt->translator, site->gpa, ADAPT_SOFT);
		bt->returns_stale = true;
	}
}
