/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Following the guest's changes to its page tables at flush points, by comparing them with the
 * copies of what was relied on.
 *
 * A changed entry that is relied on loses just what it must: the mapping, the user view's mapping,
 * or the permission to write. What the guest grants anew is not acted on: the next access faults
 * and fills. An entry whose accessed bit the guest has cleared is dropped, so that the next access
 * sets it again (SDM vol. 3, 4.8).
 */
#include "shadow_internal.h"

#include <assert.h>

enum { CHANGE_GONE = 1, CHANGE_USER = 2, CHANGE_WRITE = 4, CHANGE_EXEC = 8 };

/* and reserved ones, which make an entry just as useless */
#define ADDRESS_BITS (~0xfffull & ~PTE_NX)

/* A page that becomes the user's is taken away from the supervisor by SMEP and SMAP. */
static bool barred_now(const struct shadow *s, uint64_t old, uint64_t new)
{
	return (s->mode.smep || s->mode.smap) && new & ~old & PTE_U;
}

/* What the change of a leaf from old (which was in use) to new takes away. */
static unsigned leaf_change(const struct shadow *s, const struct domain *d, uint64_t old,
			    uint64_t new)
{
	uint64_t lost = old & ~new;
	unsigned change = 0;

	if ((lost & (PTE_P | PTE_A)) || ((old ^ new) & ADDRESS_BITS) || barred_now(s, old, new))
		return CHANGE_GONE;
	if (!d->space && (lost & PTE_G))
		return CHANGE_GONE;
	if (new & ~old & PTE_NX) {
		if (!s->mode.nxe)
			return CHANGE_GONE;
		change |= CHANGE_EXEC;
	}
	if (lost & PTE_U)
		change |= CHANGE_USER;
	if (lost & (PTE_W | PTE_D))
		change |= CHANGE_WRITE;
	return change;
}

/* Whether the change of a directory entry takes anything away from the region below it. */
static bool dir_change(const struct shadow *s, const struct domain *d, const struct region *r,
		       uint64_t old, uint64_t new)
{
	uint64_t lost = old & ~new;

	if (r->large)
		return ((old ^ new) & PTE_PS) || leaf_change(s, d, old, new);
	if ((lost & (PTE_P | PTE_U | PTE_W)) || (new & ~old &PTE_NX) ||
	    ((old ^ new) & ADDRESS_BITS) || barred_now(s, old, new))
		return true;
	/*
	 * Each space has a directory entry of its own for what all share, and only the one that was
	 * walked has A set for sure; a global translation that hits the TLB would not touch the
	 * others either.
	 */
	if (d->space && (lost & PTE_A))
		return true;
	return ((old ^ new) & PTE_PS) && (s->mode.pae || s->mode.pse);
}

void code_dropped(struct shadow *s, struct domain *d, struct region *r, unsigned i)
{
	assert(bit_test(r->code, i) && r->relied);
	bit_clear(r->code, i);
	if (!bit_test(r->filled, i))
		r->relied--;
	if (s->callbacks.code_mapping_changed)
		s->callbacks.code_mapping_changed(s->callbacks.opaque, d->space,
						  (region_first_page(s, r) + i)
							  << GUEST_PAGE_SHIFT);
}

static void entry_changed(struct shadow *s, struct domain *d, struct region *r, unsigned i,
			  unsigned change)
{
	uint32_t page = region_first_page(s, r) + i;
	unsigned view;

	d->gone += !!(change & CHANGE_GONE);
	if ((change & (CHANGE_GONE | CHANGE_USER | CHANGE_EXEC)) && bit_test(r->code, i))
		code_dropped(s, d, r, i);
	if (!bit_test(r->filled, i))
		return;
	for (view = 0; view < SHADOW_NVIEWS; view++) {
		struct window *w = d->window[view];

		if (!w)
			continue;
		if ((change & CHANGE_GONE) || ((change & CHANGE_USER) && view == SHADOW_USER))
			window_drop_page(s, w, page);
		else if (change & CHANGE_WRITE)
			window_protect_page(s, w, page);
	}
	if (change & CHANGE_GONE) {
		assert(r->relied);
		bit_clear(r->filled, i);
		if (!bit_test(r->code, i))
			r->relied--;
	}
}

/* Brings copied entry i of r's table in step. */
static void follow_entry(struct shadow *s, struct domain *d, struct region *r, const uint8_t *guest,
			 unsigned i)
{
	uint64_t old = entry_read(s, r->copy.page, i), new = entry_read(s, guest, i);

	assert(!r->large && r->copy.lo <= i && i < r->copy.hi);
	if (old == new)
		return;
	entry_write(s, r->copy.page, i, new);
	if (bit_test(r->filled, i) || bit_test(r->code, i))
		entry_changed(s, d, r, i, leaf_change(s, d, old, new));
}

/* Brings directory entry slot in step. The region below it may be gone afterwards. */
static void follow_dir_entry(struct shadow *s, struct domain *d, const uint8_t *guest,
			     unsigned slot)
{
	uint8_t *copy = d->dir[slot_dir(s, slot)].page;
	unsigned i = slot_index(s, slot);
	uint64_t old = entry_read(s, copy, i), new = entry_read(s, guest, i);

	if (old == new)
		return;
	entry_write(s, copy, i, new);
	if (d->region[slot] && dir_change(s, d, d->region[slot], old, new))
		region_drop(s, d, d->region[slot]);
}

/* The guest's tables, as CR3 names them, are the domain's: no other is ever compared. */
static __attribute__((unused)) bool is_live(const struct shadow *s, const struct domain *d)
{
	return s->mode.paging && s->current && (d == &s->current->domain || d == s->kernel);
}

void domain_sync_page(struct shadow *s, struct domain *d, gva_t gva)
{
	unsigned slot = gva >> region_shift(s),
		 i = (gva >> GUEST_PAGE_SHIFT) & (region_pages(s) - 1);
	struct region *r = d->region[slot];

	assert(is_live(s, d));
	if (!r)
		return;
	follow_dir_entry(s, d, guest_dir(s, slot_dir(s, slot)), slot);
	r = d->region[slot];
	if (r && !r->large)
		region_follow(s, d, r, i);
}

void region_follow(struct shadow *s, struct domain *d, struct region *r, unsigned i)
{
	if (bit_test(r->filled, i) || bit_test(r->code, i))
		follow_entry(s, d, r, guest_ram_at(s->ram, r->table), i);
}

/* Whether guest still says what copy does. */
static bool copy_equals(const struct shadow *s, const struct table_copy *copy, const uint8_t *guest)
{
	unsigned size = entry_size(s);

	return !memcmp(copy->page + copy->lo * size, guest + copy->lo * size,
		       (size_t)(copy->hi - copy->lo) * size);
}

static void compare_region(struct shadow *s, struct domain *d, struct region *r)
{
	const uint8_t *guest = guest_ram_at(s->ram, r->table);
	unsigned i;

	if (table_trace_is_current(s, r))
		return;
	s->stats.tables_compared++;
	if (copy_equals(s, &r->copy, guest)) {
		table_trace_note_equal(s, r);
	} else {
		s->stats.tables_changed++;
		for (i = r->copy.lo; i < r->copy.hi; i++)
			follow_entry(s, d, r, guest, i);
		table_trace_note_changed(s, r);
	}
	if (!r->relied)
		region_free(s, d, r);
}

static void compare_dir(struct shadow *s, struct domain *d, unsigned dir)
{
	const uint8_t *guest = guest_dir(s, dir);
	struct table_copy *copy = &d->dir[dir];
	unsigned i;

	s->stats.tables_compared++;
	if (copy_equals(s, copy, guest))
		return;
	s->stats.tables_changed++;
	for (i = copy->lo; i < copy->hi; i++)
		follow_dir_entry(s, d, guest, dir << 9 | i);
}

void domain_compare(struct shadow *s, struct domain *d)
{
	unsigned i;

	assert(is_live(s, d));
	for (i = 0; i < RF_ARRAY_SIZE(d->dir); i++)
		if (d->dir_regions[i])
			compare_dir(s, d, i);
	for (i = 0; i < REGION_SLOTS / 64; i++) {
		uint64_t active = d->active[i];

		for (; active; active &= active - 1) {
			struct region *r = d->region[i * 64 + (unsigned)__builtin_ctzll(active)];

			if (r && !r->large)
				compare_region(s, d, r);
		}
	}
}
