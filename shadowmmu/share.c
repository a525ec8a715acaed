/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether all spaces share one kernel window, which holds global pages only.
 *
 * It is shared once CR4.PGE is set and the guest's tables show a kernel that is global for the most
 * part: Linux turns PGE on well before it maps itself globally. Each access of ring 0 to a
 * supervisor page that is not global costs a fault, so after too many the sharing is given up. It
 * is tried again after a full flush, or once a few more spaces were made, and a few times only.
 */
#include "shadow_internal.h"

#define REFUSALS    4u    /* after these, never again */
#define SPACES      4u    /* made before it is tried again */
#define FAULTS      2000u /* before it is given up */
#define FAULTS_FREE 4u    /* after each load of CR3 that do not count; see share_bear() */
#define FAULTS_OFF  16u   /* before it is given up with CR4.PGE clear */

/* The first entry that is present in the table at gpa; 0: none is. */
static uint64_t first_present(const struct shadow *s, gpa_t gpa)
{
	const uint8_t *table = guest_ram_ptr(s->ram, gpa_a20(gpa, s->mode.a20_mask));

	for (unsigned i = 0; table && i < region_pages(s); i++) {
		const uint64_t entry = entry_read(s, table, i);

		if (entry & PTE_P)
			return entry;
	}
	return 0;
}

/* What a directory entry maps first, if the supervisor's: 1 if global, else -1. 0: no such page. */
static int slot_is_global(const struct shadow *s, unsigned slot)
{
	const uint64_t dir = entry_read(s, guest_dir(s, slot_dir(s, slot)), slot_index(s, slot));
	uint64_t leaf = dir;

	if (!(dir & PTE_P))
		return 0;
	if (!((s->mode.pae || s->mode.pse) && (dir & PTE_PS)))
		leaf = first_present(s, entry_address(dir));
	if (!leaf || (dir & leaf & PTE_U))
		return 0;
	return leaf & PTE_G ? 1 : -1;
}

static bool kernel_is_global(const struct shadow *s)
{
	const unsigned slots = s->mode.pae ? REGION_SLOTS : REGION_SLOTS / 2;
	int balance = 0;

	for (unsigned slot = 0; slot < slots; slot++)
		balance += slot_is_global(s, slot);
	return balance >= 0;
}

static bool may_begin(struct shadow *s, enum shadow_flush flush)
{
	if (!s->mode.paging || !(s->paging.cr4 & CR4_PGE) || s->share_kernel)
		return false;
	if (s->share_refusals >= REFUSALS)
		return false;
	if (flush != SHADOW_FLUSH_ALL && s->stats.spaces_created < s->share_again_at)
		return false;
	s->share_again_at = s->stats.spaces_created + SPACES;
	return kernel_is_global(s);
}

void share_reset(struct shadow *s)
{
	s->share_refusals = s->nonglobal_now = s->nonglobal = 0;
	s->share_again_at = 0;
}

void share_flushed(struct shadow *s, enum shadow_flush flush)
{
	s->nonglobal_now = 0;
	if (may_begin(s, flush) && kernel_share_begin(s))
		s->share_refusals = REFUSALS;
}

/*
 * A few after each load of CR3 do not count: Linux patches its code through a space of its own,
 * thousands of times while it boots, which maps the pages to patch and nothing else of its own.
 *
 * A guest that turns PGE off for a moment does so in order to flush. If it stays off nothing is
 * global, and that says nothing of later.
 */
bool share_bear(struct shadow *s)
{
	if (!(s->paging.cr4 & CR4_PGE))
		return ++s->nonglobal_now < FAULTS_OFF;
	if (++s->nonglobal_now > FAULTS_FREE)
		s->nonglobal++;
	return s->nonglobal < FAULTS;
}

int share_give_up(struct shadow *s)
{
	if (s->paging.cr4 & CR4_PGE)
		s->share_refusals++;
	s->nonglobal = 0;
	s->share_again_at = s->stats.spaces_created + SPACES;
	kernel_share_end(s);
	return space_windows(s, s->current);
}
