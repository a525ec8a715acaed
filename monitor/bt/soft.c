/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which instructions reach memory through the software TLB (ADAPT_SOFT).
 *
 * A host fault costs a signal, and a host mapping that goes again when the guest maps something
 * else there. A page fault of the guest's own costs a host fault, and a host mapping once the guest
 * has dealt with it: as much as some thousand look-ups in the software TLB. An instruction at which
 * page faults follow each other closely is translated into the form that looks its page up; when
 * none has come for a while, into the plain form again. Each return to the plain form doubles the
 * number of faults that it takes the next time.
 *
 * For general registers only, as light callouts come here.
 */
#include "internal.h"

/* a page fault of the guest's own comes twice: it is delivered, and what it asked for is mapped */
#define WEIGHT_TRUE   4u
#define WEIGHT_HIDDEN 1u
#define WEIGHT_BEFORE_SOFT (3 * WEIGHT_TRUE)
#define PATIENCE_MAX  8u
#define SWEEP_CYCLES  (2ull << 20) /* of the host's TSC: a millisecond or so */
#define CLOSE_SWEEPS  2u

static struct bt_soft_site *site_of(struct bt *bt, gva_t eip)
{
	return &bt->soft_site[eip % BT_SOFT_SITES];
}

/*
 * Time is counted in sweeps. A host that lets others run for a while passes over one of them,
 * whereas by a clock all that is soft would be idle then, and lose patience each time.
 */
static bool site_is_idle(const struct bt *bt, const struct bt_soft_site *site)
{
	return bt->soft_sweeps - site->last_fault > CLOSE_SWEEPS;
}

bool bt_soft_count(struct bt *bt, const struct tc_position *at, bool hidden)
{
	struct bt_soft_site *site = site_of(bt, at->eip);

	if (!gpa_equal(site->gpa, at->gpa) || site->eip != at->eip) {
		if (site->active)
			return false;
		*site = (struct bt_soft_site){ .eip = at->eip, .gpa = at->gpa };
	}
	/* It faults although it was translated anew: it has no soft form. */
	if (at->adapt & ADAPT_SOFT)
		site->unfit = true;
	if (site->unfit || site->active || bt->no_soft)
		return false;
	if (site_is_idle(bt, site))
		site->faults = 0;
	site->last_fault = bt->soft_sweeps;
	site->faults += hidden ? WEIGHT_HIDDEN : WEIGHT_TRUE;
	if (site->faults < WEIGHT_BEFORE_SOFT << site->patience)
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
		site->last_fault = bt->soft_sweeps;
}

void bt_soft_missed(struct bt *bt, gva_t eip)
{
	struct bt_soft_site *site = site_of(bt, eip);

	if (site->eip == eip && site->active)
		site->last_fault = bt->soft_sweeps;
}

void bt_soft_sweep(struct bt *bt)
{
	const uint64_t now = __builtin_ia32_rdtsc();

	if (now - bt->soft_swept < SWEEP_CYCLES)
		return;
	bt->soft_swept = now;
	bt->soft_sweeps++;
	for (unsigned i = 0; i < BT_SOFT_SITES; i++) {
		struct bt_soft_site *site = &bt->soft_site[i];

		if (!site->active || !site_is_idle(bt, site))
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
