/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which windows map a guest page frame, and where.
 *
 * A mapping is one word: the window's index in the upper 12 bits, the linear page number in the lower 20. Most
 * frames have one mapping, which stands in rmap_first[]; further ones are chained nodes.
 */
#include "shadow_internal.h"

#include <errno.h>

#define NODES_MAX (8u << 20)

static uint32_t mapping_of(const struct window *w, uint32_t page)
{
	return (uint32_t)w->index << 20 | page;
}

int rmap_create(struct shadow *s)
{
	s->frames = (uint32_t)(s->ram->size >> GUEST_PAGE_SHIFT);
	s->rmap_first = pool_array(s->frames * 4ull);
	s->rmap_more = pool_array(s->frames * 4ull);
	s->rmap_node = pool_array(NODES_MAX * (uint64_t)sizeof(struct rmap_node));
	s->rmap_used = 1; /* node 0 ends a chain */
	return s->rmap_first && s->rmap_more && s->rmap_node ? 0 : -ENOMEM;
}

void rmap_destroy(struct shadow *s)
{
	pool_array_free(s->rmap_first, s->frames * 4ull);
	pool_array_free(s->rmap_more, s->frames * 4ull);
	pool_array_free(s->rmap_node, NODES_MAX * (uint64_t)sizeof(struct rmap_node));
}

void rmap_reset(struct shadow *s)
{
	pool_array_clear(s->rmap_first, s->frames * 4ull);
	pool_array_clear(s->rmap_more, s->frames * 4ull);
	pool_array_clear(s->rmap_node, NODES_MAX * (uint64_t)sizeof(struct rmap_node));
	s->rmap_used = 1;
	s->rmap_free = 0;
}

int rmap_reserve(struct shadow *s, uint32_t nodes)
{
	return NODES_MAX - s->rmap_used >= nodes ? 0 : -ENOMEM;
}

void rmap_add(struct shadow *s, uint32_t gfn, const struct window *w, uint32_t page)
{
	uint32_t node;

	if (!s->rmap_first[gfn]) {
		s->rmap_first[gfn] = mapping_of(w, page);
		return;
	}
	node = s->rmap_free;
	if (node)
		s->rmap_free = s->rmap_node[node].next;
	else
		node = s->rmap_used++;
	s->rmap_node[node] = (struct rmap_node){ mapping_of(w, page), s->rmap_more[gfn] };
	s->rmap_more[gfn] = node;
}

static void free_node(struct shadow *s, uint32_t node)
{
	s->rmap_node[node] = (struct rmap_node){ 0, s->rmap_free };
	s->rmap_free = node;
}

void rmap_remove(struct shadow *s, uint32_t gfn, const struct window *w, uint32_t page)
{
	uint32_t mapping = mapping_of(w, page), *link = &s->rmap_more[gfn], node;

	if (s->rmap_first[gfn] == mapping) {
		node = *link;
		s->rmap_first[gfn] = node ? s->rmap_node[node].mapping : 0;
		if (node) {
			*link = s->rmap_node[node].next;
			free_node(s, node);
		}
		return;
	}
	while ((node = *link)) {
		if (s->rmap_node[node].mapping == mapping) {
			*link = s->rmap_node[node].next;
			free_node(s, node);
			return;
		}
		link = &s->rmap_node[node].next;
	}
}

static void protect_mapping(struct shadow *s, uint32_t mapping)
{
	struct window *w = s->window[mapping >> 20];

	window_protect_page(s, w, mapping & 0xfffffu);
}

void rmap_write_protect(struct shadow *s, uint32_t gfn)
{
	uint32_t node;

	if (!s->rmap_first[gfn])
		return;
	protect_mapping(s, s->rmap_first[gfn]);
	for (node = s->rmap_more[gfn]; node; node = s->rmap_node[node].next)
		protect_mapping(s, s->rmap_node[node].mapping);
}
