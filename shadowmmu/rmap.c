/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which windows map a guest page frame, and where.
 *
 * A mapping is named by one word: the window's index in the upper 12 bits, the linear page number
 * in the lower 20; no mapping is called 0. All mappings of a frame form a list, linked both ways,
 * that starts in rmap_first[]. The links stand beside the entries of the windows themselves, so
 * that
 *
 *   - a mapping is taken off its list without a search, however many there are: a guest may map a
 *     frame tens of thousands of times, and drop all of it with one instruction;
 *   - there is a link wherever there is an entry: adding a mapping needs no memory and cannot fail.
 *
 * It costs eight bytes a page in those 4-MiB pieces of a window in which anything was mapped.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>

static uint32_t mapping_of(const struct window *w, uint32_t page)
{
	return (uint32_t)w->index << 20 | page;
}

static struct rmap_link *link_in(const struct window *w, uint32_t page)
{
	assert(w->leaf[page / LEAF_ENTRIES]);
	return &w->leaf[page / LEAF_ENTRIES]->link[page % LEAF_ENTRIES];
}

static struct rmap_link *link_of(struct shadow *s, uint32_t mapping)
{
	const struct window *w = s->window[mapping >> 20];

	assert(w && w->index == mapping >> 20);
	s->stats.rmap_visits++;
	return link_in(w, mapping & 0xfffffu);
}

int rmap_create(struct shadow *s)
{
	s->frames = (uint32_t)(guest_ram_frames_end(s->ram) >> GUEST_PAGE_SHIFT);
	s->rmap_first = pool_array(s->frames * 4ull);
	return s->rmap_first ? 0 : -ENOMEM;
}

void rmap_destroy(struct shadow *s)
{
	pool_array_free(s->rmap_first, s->frames * 4ull);
}

void rmap_reset(struct shadow *s)
{
	assert(!s->windows);
	pool_array_clear(s->rmap_first, s->frames * 4ull);
}

void rmap_add(struct shadow *s, uint32_t gfn, const struct window *w, uint32_t page)
{
	uint32_t first, mapping = mapping_of(w, page);

	assert(gfn < s->frames);
	first = s->rmap_first[gfn];
	assert(first != mapping);
	*link_in(w, page) = (struct rmap_link){ .next = first };
	if (first)
		link_of(s, first)->previous = mapping;
	s->rmap_first[gfn] = mapping;
}

void rmap_remove(struct shadow *s, uint32_t gfn, const struct window *w, uint32_t page)
{
	struct rmap_link link = *link_in(w, page);

	struct rmap_link *previous = link.previous ? link_of(s, link.previous) : NULL,
			 *next = link.next ? link_of(s, link.next) : NULL;

	assert(gfn < s->frames);
	assert((previous ? previous->next : s->rmap_first[gfn]) == mapping_of(w, page));
	assert(!next || next->previous == mapping_of(w, page));
	if (previous)
		previous->next = link.next;
	else
		s->rmap_first[gfn] = link.next;
	if (next)
		next->previous = link.previous;
}

void rmap_write_protect(struct shadow *s, uint32_t gfn)
{
	uint32_t mapping;

	assert(gfn < s->frames);
	mapping = s->rmap_first[gfn];
	while (mapping) {
		uint32_t next = link_of(s, mapping)->next;

		window_protect_page(s, s->window[mapping >> 20], mapping & 0xfffffu);
		mapping = next;
	}
}

void rmap_drop(struct shadow *s, uint32_t gfn)
{
	uint32_t mapping;

	assert(gfn < s->frames);
	mapping = s->rmap_first[gfn];
	while (mapping) {
		uint32_t next = link_of(s, mapping)->next;

		window_drop_page(s, s->window[mapping >> 20], mapping & 0xfffffu);
		mapping = next;
	}
}
