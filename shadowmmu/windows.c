/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Windows: the shadow entry of every linear page and the host mapping that follows it.
 *
 * Mapping is done at once, since the guest waits for it. Taking away (unmapping, write protecting)
 * is gathered into runs and carried out by batch_finish(), before guest code can run again; an
 * unmapping run may span pages that are not mapped anyway. There is one batch for each view, so
 * that two windows of a domain can be worked on side by side.
 *
 * The host may refuse to take something away (splitting a mapping can exceed vm.max_map_count). The
 * window is then emptied as a whole, which never needs a split: a TLB may forget anything.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int window_create(struct shadow *s, enum shadow_view view, struct window **out)
{
	struct window *w;
	unsigned i;
	int err;

	for (i = 1; i <= WINDOWS_MAX && s->window[i]; i++)
		;
	if (i > WINDOWS_MAX)
		return -ENOMEM;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	err = s->hm->ops->window_create(s->hm, &w->base);
	if (err) {
		free(w);
		return err;
	}
	assert(!hva_is_none(w->base) && !(w->base.v % HOST_WINDOW_SIZE));
	w->index = (uint16_t)i;
	w->lane = view;
	s->window[i] = w;
	s->windows++;
	*out = w;
	return 0;
}

/* Forgets all entries; the host's mappings are the caller's business. */
static void clear_entries(struct shadow *s, struct window *w)
{
	unsigned slot, i;

	for (slot = 0; slot < WINDOW_LEAVES; slot++) {
		struct leaf *leaf = w->leaf[slot];

		if (!leaf)
			continue;
		for (i = 0; w->count[slot] && i < LEAF_ENTRIES; i++) {
			if (!(leaf->entry[i] & LEAF_PRESENT))
				continue;
			rmap_remove(s, leaf->entry[i] >> GUEST_PAGE_SHIFT, w,
				    slot * LEAF_ENTRIES + i);
			w->count[slot]--;
		}
		assert(!w->count[slot]);
		pool_leaf_free(s, leaf);
		w->leaf[slot] = NULL;
	}
	assert(s->vmas >= w->vmas);
	s->vmas -= w->vmas;
	s->stats.pages_unmapped += w->present;
	w->vmas = w->present = 0;
}

void window_destroy(struct shadow *s, struct window *w)
{
	if (!w)
		return;
	assert(s->window[w->index] == w && s->windows);
	batch_finish(s);
	clear_entries(s, w);
	s->hm->ops->window_destroy(s->hm, w->base);
	s->window[w->index] = NULL;
	s->windows--;
	free(w);
}

void window_empty(struct shadow *s, struct window *w)
{
	int err;

	clear_entries(s, w);
	s->stats.host_unmaps++;
	err = s->hm->ops->unmap(s->hm, w->base, 0, (uint64_t)WINDOW_PAGES << GUEST_PAGE_SHIFT);
	if (err && !s->host_errno)
		s->host_errno = -err;
}

uint32_t window_get(const struct window *w, uint32_t page)
{
	const struct leaf *leaf = w->leaf[page / LEAF_ENTRIES];

	return leaf ? leaf->entry[page % LEAF_ENTRIES] : 0;
}

/* Whether entry needs a host mapping of its own although the page before it has entry previous. */
static unsigned starts_mapping(uint32_t previous, uint32_t entry)
{
	return (entry & LEAF_PRESENT) && entry != previous + GUEST_PAGE_SIZE;
}

/* Changes one entry, with everything that is counted about it. The leaf exists. */
static void set_entry(struct shadow *s, struct window *w, uint32_t page, uint32_t entry)
{
	uint32_t slot = page / LEAF_ENTRIES, *at = &w->leaf[slot]->entry[page % LEAF_ENTRIES],
		 old = *at;
	uint32_t before = page ? window_get(w, page - 1) : 0;
	uint32_t after = page + 1 < WINDOW_PAGES ? window_get(w, page + 1) : 0;
	int vmas = (int)(starts_mapping(before, entry) + starts_mapping(entry, after));

	assert(page < WINDOW_PAGES && (!entry || entry & LEAF_PRESENT));
	assert(!(entry & LEAF_PRESENT) || guest_ram_shows(s->ram, GPA(entry & GUEST_PAGE_MASK)));
	assert(!(entry & LEAF_WRITE) ||
	       !(guest_ram_flags(s->ram, GPA(entry & GUEST_PAGE_MASK)) & RAM_PAGE_PROTECTED));
	vmas -= (int)(starts_mapping(before, old) + starts_mapping(old, after));
	w->vmas += (uint32_t)vmas;
	s->vmas += (uint32_t)vmas;
	*at = entry;
	if ((old ^ entry) & ~LEAF_WRITE) {
		if (old & LEAF_PRESENT) {
			rmap_remove(s, old >> GUEST_PAGE_SHIFT, w, page);
			w->count[slot]--;
			w->present--;
		}
		if (entry & LEAF_PRESENT) {
			rmap_add(s, entry >> GUEST_PAGE_SHIFT, w, page);
			w->count[slot]++;
			w->present++;
		}
	}
	assert(w->count[slot] <= LEAF_ENTRIES && w->vmas <= w->present && w->vmas <= s->vmas);
}

static int make_leaves(struct shadow *s, struct window *w, uint32_t page, uint32_t count)
{
	uint32_t slot;

	for (slot = page / LEAF_ENTRIES; slot <= (page + count - 1) / LEAF_ENTRIES; slot++) {
		if (!w->leaf[slot])
			w->leaf[slot] = pool_leaf_alloc(s);
		if (!w->leaf[slot])
			return -ENOMEM;
	}
	return 0;
}

static void batch_flush(struct shadow *s, struct host_batch *b, enum batch_kind kind)
{
	gva_t gva = b->first << GUEST_PAGE_SHIFT;
	uint64_t len = (uint64_t)b->count << GUEST_PAGE_SHIFT;
	int err;

	if (!b->count)
		return;
	assert(s->window[b->window->index] == b->window);
	assert(b->first < WINDOW_PAGES && b->count <= WINDOW_PAGES - b->first);
	if (kind == BATCH_UNMAP) {
		s->stats.host_unmaps++;
		err = s->hm->ops->unmap(s->hm, b->window->base, gva, len);
	} else {
		s->stats.host_protects++;
		err = s->hm->ops->protect(s->hm, b->window->base, gva, len, ACCESS_READ);
	}
	if (err)
		b->window->broken = s->any_broken = true;
	b->count = 0;
}

/* A new mapping replaces the old one by itself. */
static void cancel_unmap(struct shadow *s, struct window *w, uint32_t page, uint32_t count)
{
	struct host_batch *b = &s->batch[w->lane][BATCH_UNMAP];

	if (b->window == w && b->count && b->first >= page && b->first + b->count <= page + count) {
		batch_flush(s, &s->batch[w->lane][BATCH_PROTECT], BATCH_PROTECT);
		b->count = 0;
	}
}

int window_allow_write(struct shadow *s, struct window *w, uint32_t page, uint32_t count)
{
	uint32_t i;
	int err;

	batch_finish(s);
	s->stats.host_protects++;
	err = s->hm->ops->protect(s->hm, w->base, page << GUEST_PAGE_SHIFT,
				  (uint64_t)count << GUEST_PAGE_SHIFT, ACCESS_WRITE);
	if (err) {
		/* How far it came is uncertain. */
		w->broken = s->any_broken = true;
		batch_finish(s);
		return err;
	}
	for (i = 0; i < count; i++) {
		assert((window_get(w, page + i) & ~GUEST_PAGE_MASK) == LEAF_PRESENT);
		set_entry(s, w, page + i, window_get(w, page + i) | LEAF_WRITE);
	}
	return 0;
}

int window_map(struct shadow *s, struct window *w, uint32_t page, uint32_t gfn, uint32_t count,
	       enum access access)
{
	const uint32_t bits = LEAF_PRESENT | (access & ACCESS_WRITE ? LEAF_WRITE : 0);
	uint32_t i;
	int err;

	assert(count && page < WINDOW_PAGES && count <= WINDOW_PAGES - page);
	assert(!(access & ~(ACCESS_WRITE | ACCESS_SOON)));
	cancel_unmap(s, w, page, count);
	batch_finish(s);
	/* only now: a window that had to be emptied has none left */
	err = make_leaves(s, w, page, count);
	if (!err) {
		s->stats.host_maps++;
		err = s->hm->ops->map(s->hm, w->base, page << GUEST_PAGE_SHIFT,
				      gpa_of_frame(gfn),
				      (uint64_t)count << GUEST_PAGE_SHIFT, access);
	}
	if (err) {
		/* What is mapped there now is uncertain. */
		for (i = 0; i < count; i++)
			if (window_get(w, page + i) & LEAF_PRESENT)
				set_entry(s, w, page + i, 0);
		s->batch[w->lane][BATCH_UNMAP] = (struct host_batch){ w, page, count };
		batch_finish(s);
		return err;
	}
	s->stats.pages_mapped += count;
	for (i = 0; i < count; i++)
		set_entry(s, w, page + i, (gfn + i) << GUEST_PAGE_SHIFT | bits);
	return 0;
}

/* Protecting goes first: a page gathered for it may since have been gathered for unmapping. */
static void lane_flush(struct shadow *s, unsigned lane)
{
	batch_flush(s, &s->batch[lane][BATCH_PROTECT], BATCH_PROTECT);
	batch_flush(s, &s->batch[lane][BATCH_UNMAP], BATCH_UNMAP);
}

void batch_finish(struct shadow *s)
{
	unsigned i;

	for (i = 0; i < SHADOW_NVIEWS; i++)
		lane_flush(s, i);
	if (rf_likely(!s->any_broken))
		return;
	s->any_broken = false;
	for (i = 1; i <= WINDOWS_MAX; i++) {
		if (!s->window[i] || !s->window[i]->broken)
			continue;
		s->window[i]->broken = false;
		window_empty(s, s->window[i]);
	}
	assert(!batch_waits(s) && !s->any_broken);
}

void batch_finish_view(struct shadow *s, enum shadow_view view)
{
	lane_flush(s, view);
	if (rf_unlikely(s->any_broken))
		batch_finish(s);
}

bool batch_waits(const struct shadow *s)
{
	for (unsigned lane = 0; lane < SHADOW_NVIEWS; lane++) {
		for (unsigned kind = 0; kind < BATCH_KINDS; kind++) {
			if (s->batch[lane][kind].count)
				return true;
		}
	}
	return false;
}

static bool range_is_empty(const struct window *w, uint32_t page, uint32_t end)
{
	while (page < end) {
		uint32_t slot = page / LEAF_ENTRIES;

		if (!w->count[slot])
			page = (slot + 1) * LEAF_ENTRIES;
		else if (w->leaf[slot]->entry[page % LEAF_ENTRIES])
			return false;
		else
			page++;
	}
	return true;
}

void window_drop_page(struct shadow *s, struct window *w, uint32_t page)
{
	struct host_batch *b = &s->batch[w->lane][BATCH_UNMAP];

	if (!(window_get(w, page) & LEAF_PRESENT))
		return;
	set_entry(s, w, page, 0);
	s->stats.pages_unmapped++;
	if (b->count && b->window == w && page >= b->first + b->count &&
	    range_is_empty(w, b->first + b->count, page)) {
		b->count = page + 1 - b->first;
		return;
	}
	lane_flush(s, w->lane);
	*b = (struct host_batch){ w, page, 1 };
}

void window_protect_page(struct shadow *s, struct window *w, uint32_t page)
{
	struct host_batch *b = &s->batch[w->lane][BATCH_PROTECT];
	uint32_t entry = window_get(w, page);

	if (!(entry & LEAF_WRITE))
		return;
	set_entry(s, w, page, entry & ~LEAF_WRITE);
	s->stats.pages_protected++;
	if (b->count && b->window == w && page == b->first + b->count) {
		b->count++;
		return;
	}
	batch_flush(s, b, BATCH_PROTECT);
	*b = (struct host_batch){ w, page, 1 };
}
