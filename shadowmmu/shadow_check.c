/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests: checks everything in the shadow structures that should hold whenever no function of
 * shadow.h is running.
 */
#include "shadow_internal.h"

static const char *check_window(const struct shadow *s, const struct window *w)
{
	uint32_t page, previous = 0, entry, present = 0, vmas = 0;

	for (page = 0; page < WINDOW_PAGES; page++, previous = entry) {
		if (!w->leaf[page / LEAF_ENTRIES]) {
			if (w->count[page / LEAF_ENTRIES])
				return "an absent leaf has a count";
			entry = 0;
			page |= LEAF_ENTRIES - 1;
			continue;
		}
		entry = window_get(w, page);
		if (!(entry & LEAF_PRESENT)) {
			if (entry)
				return "an entry that is not present is not zero";
			continue;
		}
		present++;
		vmas += entry != previous + GUEST_PAGE_SIZE;
		if (!guest_ram_backs(s->ram, entry & GUEST_PAGE_MASK))
			return "a mapping goes beyond RAM";
		if ((entry & LEAF_WRITE) &&
		    (guest_ram_flags(s->ram, entry & GUEST_PAGE_MASK) & RAM_PAGE_PROTECTED))
			return "a protected page is mapped writable";
	}
	if (present != w->present)
		return "a window's count of pages is wrong";
	return vmas == w->vmas ? NULL : "a window's count of host mappings is wrong";
}

/*
 * A mapping that names its predecessor rightly is in one list, once. So if only mappings that exist
 * are in the lists, and as many as there are, all are.
 */
static const char *check_rmap(const struct shadow *s)
{
	uint64_t listed = 0, present = 0;
	uint32_t gfn, mapping, previous, i;

	for (gfn = 0; gfn < s->frames; gfn++) {
		for (mapping = s->rmap_first[gfn], previous = 0; mapping; listed++) {
			const struct window *w = s->window[mapping >> 20];
			uint32_t page = mapping & 0xfffffu, entry = w ? window_get(w, page) : 0;
			const struct rmap_link *link;

			if (!(entry & LEAF_PRESENT) || entry >> GUEST_PAGE_SHIFT != gfn)
				return "the reverse map names a mapping that is not there";
			link = &w->leaf[page / LEAF_ENTRIES]->link[page % LEAF_ENTRIES];
			if (link->previous != previous)
				return "a list of the reverse map is not linked both ways";
			previous = mapping;
			mapping = link->next;
		}
	}
	for (i = 1; i <= WINDOWS_MAX; i++)
		present += s->window[i] ? s->window[i]->present : 0;
	return listed == present ? NULL : "a mapping is not in the reverse map";
}

static const char *check_leaves(const struct shadow *s)
{
	uint32_t leaves = 0, i, slot;

	for (i = 1; i <= WINDOWS_MAX; i++)
		for (slot = 0; s->window[i] && slot < WINDOW_LEAVES; slot++)
			leaves += !!s->window[i]->leaf[slot];
	return leaves == s->leaves ? NULL : "the count of leaves is wrong";
}

/* Whether what a domain's copies say allows entry at page of the view's window. */
static const char *check_entry(const struct shadow *s, const struct domain *d,
			       enum shadow_view view, uint32_t page, uint32_t entry)
{
	unsigned slot = page >> (region_shift(s) - GUEST_PAGE_SHIFT),
		 i = page & (region_pages(s) - 1);
	const struct region *r = d->region[slot];
	uint64_t dir, leaf, gpa;
	bool write;

	if (!r || !bit_test(r->filled, i))
		return "a mapped page is not recorded in a region";
	dir = leaf = entry_read(s, d->dir[slot_dir(s, slot)].page, slot_index(s, slot));
	gpa = (dir & PHYS_ADDR_MASK & ~((1ull << region_shift(s)) - 1)) +
	      ((uint64_t)i << GUEST_PAGE_SHIFT);
	if (!r->large) {
		if (i < r->copy.lo || i >= r->copy.hi)
			return "a mapped page lies outside its table's copy";
		leaf = entry_read(s, r->copy.page, i);
		gpa = leaf & PHYS_ADDR_MASK & ~0xfffull;
		if ((dir & PHYS_ADDR_MASK & ~0xfffull) != r->table)
			return "a region's table is not the one its directory entry names";
	}
	if (!(dir & leaf & PTE_P) || !(leaf & PTE_A))
		return "a page is mapped without a present, accessed entry";
	if ((gpa & s->mode.a20_mask) != (entry & GUEST_PAGE_MASK))
		return "a page is mapped to the wrong frame";
	if (view == SHADOW_USER && !(dir & leaf & PTE_U))
		return "the user view maps a supervisor page";
	if (!d->space && !(leaf & PTE_G))
		return "the shared kernel window maps a non-global page";
	write = (leaf & PTE_D) && ((dir & leaf & PTE_W) || (view == SHADOW_KERNEL && !s->mode.wp));
	return (entry & LEAF_WRITE) && !write ? "a page is mapped writable that must not be" : NULL;
}

static const char *check_domain(const struct shadow *s, const struct domain *d)
{
	const char *why;
	uint32_t page, entry;
	unsigned view;

	for (view = 0; view < SHADOW_NVIEWS; view++) {
		for (page = 0; d->window[view] && page < WINDOW_PAGES; page++) {
			if (!d->window[view]->leaf[page / LEAF_ENTRIES]) {
				page |= LEAF_ENTRIES - 1;
				continue;
			}
			entry = window_get(d->window[view], page);
			why = entry ? check_entry(s, d, view, page, entry) : NULL;
			if (why)
				return why;
		}
	}
	return NULL;
}

static const char *check_regions(const struct shadow *s, const struct domain *d)
{
	unsigned slot, i, relied;

	for (slot = 0; slot < REGION_SLOTS; slot++) {
		const struct region *r = d->region[slot];

		if (!!r != bit_test(d->active, slot))
			return "the bitmap of regions is wrong";
		if (!r)
			continue;
		for (i = relied = 0; i < LEAF_ENTRIES; i++)
			relied += bit_test(r->filled, i) || bit_test(r->code, i);
		if (relied != r->relied)
			return "a region's count is wrong";
		/* Accessed and dirty bits may have been added since. */
		for (i = r->copy.lo; !r->large && table_trace_is_current(s, r) && i < r->copy.hi; i++)
			if ((entry_read(s, r->copy.page, i) ^
			     entry_read(s, s->ram->flat + r->table, i)) &
			    ~(uint64_t)(PTE_A | PTE_D))
				return "a traced table differs from its copy";
	}
	return NULL;
}

const char *shadow_check(struct shadow *s)
{
	const struct space_impl *sp;
	const char *why = check_rmap(s);
	uint32_t i, vmas = 0;

	for (i = 1; i <= WINDOWS_MAX && !why; i++) {
		if (!s->window[i])
			continue;
		vmas += s->window[i]->vmas;
		why = check_window(s, s->window[i]);
	}
	if (!why && vmas != s->vmas)
		why = "the count of host mappings is wrong";
	if (!why)
		why = check_leaves(s);
	if (!s->mode.paging)
		return why;
	for (sp = s->newest; sp && !why; sp = sp->older) {
		why = check_domain(s, &sp->domain);
		if (!why)
			why = check_regions(s, &sp->domain);
	}
	if (!why && s->kernel)
		why = check_domain(s, s->kernel);
	if (!why && s->kernel)
		why = check_regions(s, s->kernel);
	return why;
}
