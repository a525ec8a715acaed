/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which guest instructions are translated otherwise than plainly, and why (ADAPT_*), by the
 * physical address of their first byte. It outlives the TUs, and flushes of the cache: an
 * instruction that is translated again is translated right at once.
 *
 * How many there are is up to the guest. An instruction is forgotten when no reason is left, and
 * all are at a flush that finds more than ADAPT_KEEP: those that still matter fault once more.
 * Between two flushes each costs room in the cache for a TU.
 */
#include <assert.h>
#include <stdlib.h>
#include "tu.h"

#define ADAPT_FIRST_BITS 10
#define ADAPT_KEEP 65536u

struct adapt_entry {
	gpa_t gpa;
	uint32_t adapt;
	struct adapt_entry *next;
};

static uint32_t adapt_hash(gpa_t gpa, unsigned bits)
{
	return gpa.v * 0x9e3779b97f4a7c15ull >> (64 - bits);
}

/* The link that leads to gpa's entry, or the NULL where it would be. NULL: there is no table. */
static struct adapt_entry **adapt_find(const struct adapt_table *table, gpa_t gpa)
{
	struct adapt_entry **at;

	if (!table->buckets)
		return NULL;
	at = &table->buckets[adapt_hash(gpa, table->bits)];
	while (*at && !gpa_equal((*at)->gpa, gpa))
		at = &(*at)->next;
	return at;
}

/* If the host has no memory the table stays as it is, which costs time and nothing else. */
static void adapt_grow(struct adapt_table *table)
{
	const unsigned bits = table->buckets ? table->bits + 1 : ADAPT_FIRST_BITS;
	struct adapt_entry **buckets = calloc(1ull << bits, sizeof(*buckets));

	if (!buckets)
		return;
	for (uint32_t i = 0; table->buckets && i < 1u << table->bits; i++) {
		for (struct adapt_entry *a = table->buckets[i], *next; a; a = next) {
			struct adapt_entry **bucket = &buckets[adapt_hash(a->gpa, bits)];

			next = a->next;
			a->next = *bucket;
			*bucket = a;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bits = bits;
}

static struct adapt_entry *adapt_add(struct adapt_table *table, gpa_t gpa)
{
	struct adapt_entry **at, *a;

	if (!table->buckets || table->count >= 1u << table->bits)
		adapt_grow(table);
	at = adapt_find(table, gpa);
	a = at ? calloc(1, sizeof(*a)) : NULL;
	if (!a)
		return NULL;
	assert(!*at); /* it is new */
	a->gpa = gpa;
	*at = a;
	table->count++;
	return a;
}

uint32_t adapt_lookup(const struct translator *tr, gpa_t gpa)
{
	struct adapt_entry **at = adapt_find(&tr->adapts, gpa);

	return at && *at ? (*at)->adapt : 0;
}

void translator_unadapt(struct translator *tr, gpa_t gpa, uint32_t adapt)
{
	struct adapt_entry **at = adapt_find(&tr->adapts, gpa), *a = at ? *at : NULL;

	if (!a || !(a->adapt & adapt))
		return;
	assert(tr->adapts.count);
	a->adapt &= ~adapt;
	if (!a->adapt) {
		*at = a->next;
		free(a);
		tr->adapts.count--;
	}
	tr->stats.unadaptations++;
	translator_invalidate(tr, gpa, 1);
}

void translator_adapt(struct translator *tr, gpa_t gpa, uint32_t adapt)
{
	struct adapt_entry **at = adapt_find(&tr->adapts, gpa),
			   *a = at && *at ? *at : adapt_add(&tr->adapts, gpa);

	assert(adapt && !(adapt & ~ADAPT_ALL));
	if (!a)
		return;
	if ((a->adapt | adapt) != a->adapt)
		tr->stats.adaptations++;
	a->adapt |= adapt;
	translator_invalidate(tr, gpa, 1);
}

void adapt_forget(struct translator *tr)
{
	struct adapt_table *table = &tr->adapts;

	for (uint32_t i = 0; table->buckets && i < 1u << table->bits; i++) {
		for (struct adapt_entry *a = table->buckets[i], *next; a; a = next) {
			next = a->next;
			free(a);
			table->count--;
		}
	}
	assert(!table->count);
	free(table->buckets);
	*table = (struct adapt_table){ 0 };
}

const char *adapt_check(const struct translator *tr)
{
	const struct adapt_table *table = &tr->adapts;
	uint32_t n = 0;

	for (uint32_t i = 0; table->buckets && i < 1u << table->bits; i++) {
		for (const struct adapt_entry *a = table->buckets[i]; a; a = a->next) {
			if (adapt_hash(a->gpa, table->bits) != i || *adapt_find(table, a->gpa) != a)
				return "an adapted instruction is not found by its address";
			if (!a->adapt || a->adapt & ~ADAPT_ALL)
				return "an instruction is adapted for no reason";
			if (++n > table->count)
				return "more adapted instructions than were counted";
		}
	}
	return n == table->count ? NULL : "fewer adapted instructions than were counted";
}

void adapt_forget_many(struct translator *tr)
{
	if (tr->adapts.count > ADAPT_KEEP)
		adapt_forget(tr);
}
