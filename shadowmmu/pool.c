/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for shadow structures. Fills run in a signal handler, where malloc is best avoided:
 * page-sized blocks, leaves and regions come from free lists that grow by mapping chunks, which go
 * back to the host only with the whole shadow.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <sys/mman.h>

#define CHUNK_BLOCKS 64u
#define LEAF_BLOCKS  (sizeof(struct leaf) / GUEST_PAGE_SIZE)

_Static_assert(sizeof(struct leaf) % GUEST_PAGE_SIZE == 0, "leaves are cut from chunks of pages");

struct free_item {
	struct free_item *next;
};

/* Stands in the first block of a chunk. */
struct chunk {
	struct chunk *next;
};

void *pool_array(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void pool_array_free(void *array, uint64_t bytes)
{
	if (array)
		munmap(array, bytes);
}

void pool_array_clear(void *array, uint64_t bytes)
{
	if (madvise(array, bytes, MADV_DONTNEED))
		memset(array, 0, bytes);
}

static void push(void **list, void *item)
{
	((struct free_item *)item)->next = *list;
	*list = item;
}

static void *pop(void **list)
{
	struct free_item *item = *list;

	if (item)
		*list = item->next;
	return item;
}

/* A chunk of items of so many blocks each. */
static bool grow(struct shadow *s, void **list, unsigned blocks)
{
	uint8_t *p = pool_array(CHUNK_BLOCKS * (uint64_t)GUEST_PAGE_SIZE);
	struct chunk *chunk = (struct chunk *)p;
	unsigned i;

	if (!p)
		return false;
	chunk->next = s->chunks;
	s->chunks = chunk;
	for (i = (CHUNK_BLOCKS - 1) / blocks; i > 0; i--)
		push(list, p + (1 + (i - 1) * (uint64_t)blocks) * GUEST_PAGE_SIZE);
	return true;
}

void *pool_block_alloc(struct shadow *s)
{
	void *block;

	if (!s->free_block && !grow(s, &s->free_block, 1))
		return NULL;
	block = pop(&s->free_block);
	memset(block, 0, GUEST_PAGE_SIZE);
	return block;
}

void pool_block_free(struct shadow *s, void *block)
{
	assert(!((uintptr_t)block % GUEST_PAGE_SIZE));
	if (block)
		push(&s->free_block, block);
}

struct leaf *pool_leaf_alloc(struct shadow *s)
{
	struct leaf *leaf;

	if (s->leaves >= s->leaf_limit)
		return NULL;
	if (!s->free_leaf && !grow(s, &s->free_leaf, LEAF_BLOCKS))
		return NULL;
	leaf = pop(&s->free_leaf);
	memset(leaf->entry, 0, sizeof(leaf->entry));
	s->leaves++;
	return leaf;
}

void pool_leaf_free(struct shadow *s, struct leaf *leaf)
{
	assert(leaf && s->leaves);
	push(&s->free_leaf, leaf);
	s->leaves--;
}

struct region *pool_region_alloc(struct shadow *s)
{
	struct region *r;
	uint8_t *block;
	unsigned i;

	if (!s->free_region) {
		block = pool_block_alloc(s);
		if (!block)
			return NULL;
		for (i = 0; i + sizeof(*r) <= GUEST_PAGE_SIZE; i += sizeof(*r))
			push(&s->free_region, block + i);
	}
	r = pop(&s->free_region);
	memset(r, 0, sizeof(*r));
	return r;
}

void pool_region_free(struct shadow *s, struct region *r)
{
	push(&s->free_region, r);
}

void pool_destroy(struct shadow *s)
{
	struct chunk *chunk = s->chunks, *next;

	assert(!s->leaves && !s->windows && !s->newest);
	for (; chunk; chunk = next) {
		next = chunk->next;
		munmap(chunk, CHUNK_BLOCKS * (uint64_t)GUEST_PAGE_SIZE);
	}
	s->chunks = s->free_block = s->free_region = s->free_leaf = NULL;
}
