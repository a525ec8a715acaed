/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Regions: what a domain relies on below one page-directory entry, with a copy of the guest's table
 * as it then was.
 *
 * A copy holds the entries [lo, hi) of its table, the smallest range that has all entries relied
 * on. Entries within the range that are not relied on are there only so that the range can be
 * compared in one go.
 */
#include "shadow_internal.h"

#include <assert.h>

static const uint8_t no_table[GUEST_PAGE_SIZE];

const uint8_t *guest_dir(const struct shadow *s, unsigned dir)
{
	const uint8_t *p;
	gpa_t gpa = GPA(s->paging.cr3 & GUEST_PAGE_MASK);

	if (s->mode.pae) {
		if (!(s->paging.pdpte[dir] & PTE_P))
			return no_table;
		gpa = entry_address(s->paging.pdpte[dir]);
	}
	p = guest_ram_ptr(s->ram, gpa_a20(gpa, s->mode.a20_mask));
	return p ? p : no_table;
}

static void copy_entries(const struct shadow *s, struct table_copy *copy, const uint8_t *guest,
			 unsigned lo, unsigned hi)
{
	unsigned size = entry_size(s);

	assert(lo <= hi && hi <= GUEST_PAGE_SIZE / size);
	memcpy(copy->page + lo * size, guest + lo * size, (hi - lo) * size);
}

void copy_cover(const struct shadow *s, struct table_copy *copy, const uint8_t *guest, unsigned i)
{
	if (copy->lo == copy->hi)
		copy->lo = copy->hi = (uint16_t)i;
	if (i < copy->lo) {
		copy_entries(s, copy, guest, i, copy->lo);
		copy->lo = (uint16_t)i;
	} else if (i >= copy->hi) {
		copy_entries(s, copy, guest, copy->hi, i + 1);
		copy->hi = (uint16_t)(i + 1);
	} else {
		copy_entries(s, copy, guest, i, i + 1);
	}
	assert(copy->lo <= i && i < copy->hi);
}

static struct region *region_create(struct shadow *s, struct domain *d, unsigned slot,
				    const struct walk *w)
{
	struct table_copy *dir = &d->dir[slot_dir(s, slot)];
	struct region *r;

	assert(slot < REGION_SLOTS && !d->region[slot] && (w->levels == 1 || w->levels == 2));
	if (!dir->page)
		dir->page = pool_block_alloc(s);
	r = dir->page ? pool_region_alloc(s) : NULL;
	if (!r)
		return NULL;
	r->slot = (uint16_t)slot;
	r->large = w->levels == 1;
	if (!r->large) {
		r->copy.page = pool_block_alloc(s);
		if (!r->copy.page) {
			pool_region_free(s, r);
			return NULL;
		}
		r->table = gpa_page(w->entry[1]);
		assert(guest_ram_backs(s->ram, r->table));
	}
	copy_cover(s, dir, guest_dir(s, slot_dir(s, slot)), slot_index(s, slot));
	d->region[slot] = r;
	d->dir_regions[slot_dir(s, slot)]++;
	bit_set(d->active, slot);
	if (!r->large)
		table_trace_note_created(s, r);
	return r;
}

struct region *region_get(struct shadow *s, struct domain *d, gva_t gva, const struct walk *w)
{
	unsigned slot = gva >> region_shift(s);

	domain_sync_page(s, d, gva);
	return d->region[slot] ? d->region[slot] : region_create(s, d, slot, w);
}

void region_rely(struct region *r, uint64_t *map, unsigned i)
{
	assert(i < LEAF_ENTRIES && (map == r->filled || map == r->code));
	if (!bit_test(r->filled, i) && !bit_test(r->code, i))
		r->relied++;
	assert(r->relied && r->relied <= LEAF_ENTRIES);
	bit_set(map, i);
}

void region_free(struct shadow *s, struct domain *d, struct region *r)
{
	unsigned dir = slot_dir(s, r->slot);

	assert(d->region[r->slot] == r && bit_test(d->active, r->slot) && d->dir_regions[dir]);
	d->region[r->slot] = NULL;
	bit_clear(d->active, r->slot);
	if (!--d->dir_regions[dir])
		d->dir[dir].lo = d->dir[dir].hi = 0;
	pool_block_free(s, r->copy.page);
	pool_region_free(s, r);
}

void region_drop(struct shadow *s, struct domain *d, struct region *r)
{
	uint32_t first = region_first_page(s, r);
	unsigned i, view;

	d->gone += r->relied;
	for (i = 0; i < region_pages(s); i++) {
		if (bit_test(r->code, i))
			code_dropped(s, d, r, i);
		if (!bit_test(r->filled, i))
			continue;
		for (view = 0; view < SHADOW_NVIEWS; view++)
			if (d->window[view])
				window_drop_page(s, d->window[view], first + i);
	}
	region_free(s, d, r);
}

/* The windows are the caller's business, and no code is reported dropped. */
void domain_destroy(struct shadow *s, struct domain *d)
{
	unsigned i;

	for (i = 0; i < REGION_SLOTS; i++)
		if (d->region[i])
			region_free(s, d, d->region[i]);
	for (i = 0; i < RF_ARRAY_SIZE(d->dir); i++) {
		pool_block_free(s, d->dir[i].page);
		d->dir[i].page = NULL;
	}
}
