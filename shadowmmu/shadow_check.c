/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks everything in the shadow structures that should hold whenever no function of shadow.h is
 * running: for tests, and for debug builds, where the public functions end with check_sometimes().
 */
#include "shadow_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char *check_counts(const struct window *w)
{
	for (unsigned slot = 0; slot < WINDOW_LEAVES; slot++) {
		const struct leaf *leaf = w->leaf[slot];
		unsigned present = 0;

		for (unsigned i = 0; leaf && i < LEAF_ENTRIES; i++)
			present += leaf->entry[i] & LEAF_PRESENT;
		if (present != w->count[slot])
			return "a leaf's count of pages is wrong";
	}
	return NULL;
}

static const char *check_window(const struct shadow *s, const struct window *w)
{
	uint32_t page, previous = 0, entry, present = 0, vmas = 0;

	for (page = 0; page < WINDOW_PAGES; page++, previous = entry) {
		if (!w->leaf[page / LEAF_ENTRIES]) {
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
		if (!guest_ram_shows(s->ram, GPA(entry & GUEST_PAGE_MASK)))
			return "a mapping goes beyond RAM";
		if ((entry & LEAF_WRITE) &&
		    (guest_ram_flags(s->ram, GPA(entry & GUEST_PAGE_MASK)) & RAM_PAGE_PROTECTED))
			return "a protected page is mapped writable";
	}
	if (present != w->present)
		return "a window's count of pages is wrong";
	return vmas == w->vmas ? check_counts(w) : "a window's count of host mappings is wrong";
}

static const char *check_windows(const struct shadow *s)
{
	uint32_t vmas = 0, windows = 0;
	const char *why = NULL;

	for (uint32_t i = 1; i <= WINDOWS_MAX && !why; i++) {
		if (!s->window[i])
			continue;
		if (s->window[i]->index != i)
			return "a window does not know its index";
		windows++;
		vmas += s->window[i]->vmas;
		why = check_window(s, s->window[i]);
	}
	if (why)
		return why;
	if (windows != s->windows)
		return "the count of windows is wrong";
	return vmas == s->vmas ? NULL : "the count of host mappings is wrong";
}

static bool is_window(const struct shadow *s, const struct window *w)
{
	return !w || s->window[w->index] == w;
}

static const char *check_batches(const struct shadow *s)
{
	for (unsigned lane = 0; lane < SHADOW_NVIEWS; lane++) {
		for (unsigned kind = 0; kind < BATCH_KINDS; kind++) {
			const struct host_batch *b = &s->batch[lane][kind];

			if (b->count && (!b->window || !is_window(s, b->window)))
				return "what waits to be done is for no window";
		}
	}
	return NULL;
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
	uint64_t dir, leaf;
	gpa_t gpa;
	bool write;

	if (!r || !bit_test(r->filled, i))
		return "a mapped page is not recorded in a region";
	dir = leaf = entry_read(s, d->dir[slot_dir(s, slot)].page, slot_index(s, slot));
	gpa = gpa_add(GPA(dir & PHYS_ADDR_MASK & ~((1ull << region_shift(s)) - 1)),
		      (uint64_t)i << GUEST_PAGE_SHIFT);
	if (!r->large) {
		if (i < r->copy.lo || i >= r->copy.hi)
			return "a mapped page lies outside its table's copy";
		leaf = entry_read(s, r->copy.page, i);
		gpa = entry_address(leaf);
		if (!gpa_equal(entry_address(dir), r->table))
			return "a region's table is not the one its directory entry names";
	}
	if (!(dir & leaf & PTE_P) || !(leaf & PTE_A))
		return "a page is mapped without a present, accessed entry";
	if ((gpa.v & s->mode.a20_mask) != (entry & GUEST_PAGE_MASK))
		return "a page is mapped to the wrong frame";
	if (view == SHADOW_USER && !(dir & leaf & PTE_U))
		return "the user view maps a supervisor page";
	if (view == SHADOW_KERNEL && s->mode.smap && dir & leaf & PTE_U)
		return "the kernel view maps a user page under SMAP";
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

static const char *check_directories(const struct shadow *s, const struct domain *d)
{
	unsigned regions[RF_ARRAY_SIZE(d->dir)] = { 0 };

	for (unsigned slot = 0; slot < REGION_SLOTS; slot++) {
		const unsigned dir = slot_dir(s, slot), i = slot_index(s, slot);

		if (!d->region[slot])
			continue;
		if (d->region[slot]->slot != slot)
			return "a region is not where it says";
		if (i < d->dir[dir].lo || i >= d->dir[dir].hi)
			return "a region's directory entry is not copied";
		regions[dir]++;
	}
	for (unsigned dir = 0; dir < RF_ARRAY_SIZE(regions); dir++)
		if (regions[dir] != d->dir_regions[dir])
			return "a directory's count of regions is wrong";
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
	}
	return NULL;
}

/* Not while a device may be storing to guest RAM: that is told only afterwards. */
static const char *check_traced(const struct shadow *s, const struct domain *d)
{
	for (unsigned slot = 0; slot < REGION_SLOTS; slot++) {
		const struct region *r = d->region[slot];

		if (!r || r->large || !table_trace_is_current(s, r))
			continue;
		/* Accessed and dirty bits may have been added since. */
		for (unsigned i = r->copy.lo; i < r->copy.hi; i++)
			if ((entry_read(s, r->copy.page, i) ^
			     entry_read(s, guest_ram_at(s->ram, r->table), i)) &
			    ~(uint64_t)(PTE_A | PTE_D))
				return "a traced table differs from its copy";
	}
	return NULL;
}

/* What the engine is told of a space's windows. */
static const char *check_space(const struct shadow *s, const struct space_impl *sp)
{
	const struct window *user = sp->domain.window[SHADOW_USER], *kernel;

	if (sp->domain.space != &sp->space)
		return "a domain does not know its space";
	if (!is_window(s, sp->domain.window[SHADOW_USER]) ||
	    !is_window(s, sp->domain.window[SHADOW_KERNEL]))
		return "a space has a window that is gone";
	if (sp != s->current) /* the others get theirs when they become so */
		return NULL;
	kernel = !s->mode.paging         ? user :
		 sp->space.kernel_shared ? s->kernel->window[SHADOW_KERNEL] :
					   sp->domain.window[SHADOW_KERNEL];
	if (!user || !kernel || !hva_equal(sp->space.window[SHADOW_USER], user->base) ||
	    !hva_equal(sp->space.window[SHADOW_KERNEL], kernel->base))
		return "the current space tells of other windows than it has";
	return NULL;
}

static const char *check_current(const struct shadow *s)
{
	if (s->share_kernel != !!s->kernel || (s->kernel && s->kernel->space))
		return "the shared kernel window is and is not";
	if (s->current && s->current->space.kernel_shared && !s->kernel)
		return "the current space shares what there is not";
	if (s->current && s->current != s->newest)
		return "the current space is not the one last used";
	return s->current ? check_space(s, s->current) : NULL;
}

static const char *check_spaces(const struct shadow *s)
{
	const struct space_impl *newer = NULL, *sp;
	const char *why = NULL;

	for (sp = s->newest; sp && !why; newer = sp, sp = sp->older) {
		if (sp->newer != newer)
			return "the list of spaces is not linked both ways";
		why = check_space(s, sp);
	}
	return why ? why : s->oldest == newer ? NULL : "the list of spaces ends elsewhere";
}

static const char *check_tables(const struct shadow *s, const struct domain *d)
{
	const char *why = check_directories(s, d);

	if (!why)
		why = check_regions(s, d);
	return why ? why : check_domain(s, d);
}

/* What costs next to nothing. */
static const char *check_briefly(const struct shadow *s)
{
	const char *why = check_current(s);

	if (!why && s->leaves > s->leaf_limit)
		why = "there are more leaves than allowed";
	return why ? why : check_batches(s);
}

static const char *check_all(const struct shadow *s)
{
	const struct space_impl *sp;
	const char *why = check_briefly(s);

	if (!why)
		why = check_spaces(s);
	if (!why)
		why = check_windows(s);
	if (!why)
		why = check_rmap(s);
	if (!why)
		why = check_leaves(s);
	if (!s->mode.paging)
		return why;
	for (sp = s->newest; sp && !why; sp = sp->older)
		why = check_tables(s, &sp->domain);
	if (!why && s->kernel)
		why = check_tables(s, s->kernel);
	return why;
}

const char *shadow_check(const struct shadow *s)
{
	const char *why = check_all(s);

	if (!s->mode.paging)
		return why;
	for (const struct space_impl *sp = s->newest; sp && !why; sp = sp->older)
		why = check_traced(s, &sp->domain);
	return why || !s->kernel ? why : check_traced(s, s->kernel);
}

void check_structures(struct shadow *s)
{
	const bool all = ++s->operations >= s->check_at;
	const char *why = all ? check_all(s) : check_briefly(s);

	if (why) {
		fprintf(stderr, "ringfence: the shadow page tables are broken: %s\n", why);
		abort();
	}
	if (all)
		s->check_at += s->operations < s->options.check_every ? s->operations :
									s->options.check_every;
}
