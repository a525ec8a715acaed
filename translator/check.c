/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the translator's tables agree with each other (translator_check). Lists are counted: if
 * each TU in a list belongs there, none is in it twice, and all lists of a kind have as many TUs as
 * there should be, then each TU is found.
 *
 * The verifier (verify.h) proves the host code; here it is only asked where exits lead.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tu.h"

struct check {
	const struct translator *tr;
	const char *why; /* what is wrong first; NULL: nothing yet */
};

static bool expect(struct check *c, bool holds, const char *why)
{
	if (!holds && !c->why)
		c->why = why;
	return holds;
}

/* The valid TU that begins at host address entry, or NULL. */
static const struct tu *unit_at(const struct translator *tr, cache_pc entry)
{
	uint32_t low = 0, high = tr->norder;

	while (low < high) {
		const uint32_t mid = (low + high) / 2;

		if (tr->order[mid]->entry < entry)
			low = mid + 1;
		else
			high = mid;
	}
	return low < tr->norder && tr->order[low]->entry == entry && tr->order[low]->valid ?
		       tr->order[low] : NULL;
}

/* --- TUs by themselves --- */

static void check_insns(struct check *c, const struct tu *tu)
{
	expect(c, tu->ninsns && tu->ninsns <= TU_MAX_INSNS, "a TU's number of instructions");
	for (unsigned i = 0; !c->why && i < tu->ninsns; i++) {
		const struct tu_insn *insn = &tu->insn[i];

		expect(c, i ? insn[-1].guest_offset < insn->guest_offset : !insn->guest_offset,
		       "a TU's guest instructions are not in order");
		expect(c, insn->host_offset <= tu->body_len &&
			  (!i || insn[-1].host_offset <= insn->host_offset),
		       "a TU's host instructions are not in order");
	}
}

/* The code cache is filled from below, one TU after the other. */
static void check_order(struct check *c)
{
	cache_pc end = c->tr->exec_base + c->tr->stubs_len;

	expect(c, c->tr->norder <= c->tr->order_cap, "more TUs than there is room to list");
	for (uint32_t i = 0; !c->why && i < c->tr->norder; i++) {
		const struct tu *tu = c->tr->order[i];

		expect(c, tu->entry >= end, "TUs overlap, or are not in order");
		expect(c, tu->body_len <= tu->host_len, "a TU's exits are not in it");
		end = tu->entry + tu->host_len;
		check_insns(c, tu);
	}
	expect(c, end <= c->tr->exec_base + c->tr->used, "a TU beyond what is used of the cache");
}

/* --- lists --- */

enum list { LIST_HASH, LIST_MAPPED, LIST_PAGE, LIST_PAGE2, LISTS };

static const struct tu *list_next(const struct tu *tu, enum list list)
{
	switch (list) {
	case LIST_HASH: return tu->hash_next;
	case LIST_MAPPED: return tu->mapped_next;
	case LIST_PAGE: return tu->page_next;
	default: return tu->page2_next;
	}
}

static bool belongs(const struct tu *tu, enum list list)
{
	return list == LIST_MAPPED ? tu_is_installed(tu) :
	       list == LIST_PAGE2  ? !gpa_is_none(tu->gpa2) :
				     true;
}

/* Whether tu is to be in the list that at begins, or that page has. */
static bool is_place(const struct check *c, const struct tu *tu, enum list list, const void *at)
{
	struct translator *tr = (struct translator *)c->tr;
	const struct code_page *page = at;

	switch (list) {
	case LIST_HASH: return tu_bucket(tr, tu) == at;
	case LIST_MAPPED: return tu_mapped(tr, tu) == at;
	case LIST_PAGE: return gpa_frame(tu->gpa) == gpa_frame(page->page);
	default: return gpa_equal(tu->gpa2, page->page);
	}
}

/* Adds the length of a list to *total; more than all TUs there are: it runs in a circle. */
static void count_list(struct check *c, const struct tu *tu, enum list list, const void *at,
		       uint32_t *total)
{
	for (; tu && !c->why; tu = list_next(tu, list)) {
		expect(c, tu->valid && belongs(tu, list) && is_place(c, tu, list, at),
		       "a list has a TU that it should not");
		expect(c, ++*total <= c->tr->norder, "a list runs in a circle");
	}
}

static void count_pages(struct check *c, uint32_t bucket, uint32_t *found)
{
	for (const struct code_page *p = c->tr->pages[bucket], *q; p && !c->why; p = p->next) {
		for (q = c->tr->pages[bucket]; !gpa_equal(q->page, p->page);)
			q = q->next;
		expect(c, q == p, "a page is listed twice");
		expect(c, !gpa_offset(p->page) &&
			  gpa_frame(p->page) % PAGE_HASH_SIZE == bucket,
		       "a page is not found by its address");
		count_list(c, p->tus, LIST_PAGE, p, &found[LIST_PAGE]);
		count_list(c, p->tus2, LIST_PAGE2, p, &found[LIST_PAGE2]);
	}
}

static void check_lists(struct check *c)
{
	uint32_t found[LISTS] = { 0 }, due[LISTS] = { 0 };

	for (uint32_t i = 0; i < 1u << TU_HASH_BITS; i++) {
		struct tu *const *hash = &c->tr->hash[i], *const *mapped = &c->tr->mapped[i];

		count_list(c, *hash, LIST_HASH, hash, &found[LIST_HASH]);
		count_list(c, *mapped, LIST_MAPPED, mapped, &found[LIST_MAPPED]);
	}
	for (uint32_t i = 0; i < PAGE_HASH_SIZE; i++)
		count_pages(c, i, found);
	for (uint32_t i = 0; i < c->tr->norder; i++) {
		for (enum list list = 0; list < LISTS; list++)
			due[list] += c->tr->order[i]->valid && belongs(c->tr->order[i], list);
	}
	for (enum list list = 0; list < LISTS; list++)
		expect(c, found[list] == due[list], "a list has not as many TUs as it should");
}

/* --- exits --- */

static bool is_noted(const struct tu *tu, uint32_t number, uint32_t slot)
{
	for (uint32_t i = 0; i < tu->nincoming; i++) {
		if (tu->incoming[i].exit == number)
			return tu->incoming[i].slot == slot;
	}
	return false;
}

/* Where an exit leads: to its unlinked path, or to a TU that is for it and knows of it. */
static void check_target(struct check *c, uint32_t number, cache_pc to)
{
	const struct tu_exit *exit = &c->tr->exits[number];
	const struct tu *there;

	if (to == exit->cold)
		return;
	there = unit_at(c->tr, to);
	if (!expect(c, there, "an exit leads to no TU"))
		return;
	expect(c, there->eip == exit->target && there->mode == exit->tu->mode,
	       "an exit leads to a TU that is not for it");
	expect(c, is_noted(there, number, exit->form == EXIT_TABLE ? exit->slot : NO_SLOT),
	       "a TU does not know of an exit that leads to it");
}

static void check_direct(struct check *c, uint32_t number)
{
	const struct tu_exit *exit = &c->tr->exits[number];
	const uint8_t *start = c->tr->write_base + (exit->tu->entry - c->tr->exec_base);
	int32_t rel;

	if (!expect(c, exit->patch > start && exit->patch + 4 <= start + exit->tu->body_len,
		    "the field of an exit is not in its TU"))
		return;
	memcpy(&rel, exit->patch, sizeof(rel));
	check_target(c, number, c->tr->exec_base + (exit->patch + 4 - c->tr->write_base) + rel);
}

static void check_slot(struct check *c, uint32_t number)
{
	const struct tu_exit *exit = &c->tr->exits[number];

	expect(c, exit->slot < c->tr->nslots, "an exit's slot is none");
	expect(c, c->tr->link_template[exit->slot] == exit->cold, "an exit's unlinked slot");
	for (const struct tc_space *s = c->tr->spaces; s && !c->why; s = s->next) {
		const uint32_t page = exit->slot / SLOTS_PER_PAGE;

		if (s->stale)
			continue;
		check_target(c, number, s->links[exit->slot]);
		expect(c, s->links[exit->slot] == exit->cold ||
			  s->linked[page / 64] >> page % 64 & 1,
		       "a space would not forget a link");
	}
}

static void check_exits(struct check *c, const struct tu *tu)
{
	expect(c, tu->first_exit + tu->nexits <= c->tr->nexits, "a TU's exits are none");
	for (uint32_t i = tu->first_exit; !c->why && i < tu->first_exit + tu->nexits; i++) {
		const struct tu_exit *exit = &c->tr->exits[i];

		if (!expect(c, exit->tu == (tu->valid ? tu : NULL), "an exit is not its TU's") ||
		    !tu->valid)
			continue;
		expect(c, exit->cold >= tu->entry + tu->body_len &&
			  exit->cold < tu->entry + tu->host_len,
		       "an exit's unlinked path is not in its TU");
		expect(c, !exit->noted || exit->noted->valid, "an exit is noted with no TU");
		if (exit->form == EXIT_TABLE)
			check_slot(c, i);
		else
			check_direct(c, i);
	}
}

static void check_incoming(struct check *c, const struct tu *tu)
{
	const struct tu *at = tu->in_global_links ?
				      c->tr->global_links[tu->eip >> GUEST_PAGE_SHIFT] : NULL;

	expect(c, tu->valid || !tu->nincoming, "exits that lead to a TU which is gone");
	expect(c, !tu->global || !tu->nincoming || tu->in_global_links,
	       "a change of a mapping would not find the links to a global TU");
	for (uint32_t i = 0; !c->why && i < tu->nincoming; i++)
		expect(c, tu->incoming[i].exit < c->tr->nexits, "no such exit leads to a TU");
	while (at && at != tu)
		at = at->global_links_next;
	expect(c, at || !tu->in_global_links, "a global TU is not found by its linear page");
}

/* --- spaces --- */

static void check_entry(struct check *c, const struct branch_cache *cache, uint32_t index)
{
	const struct branch_entry *e = &cache->entries[index];
	const uint32_t lookup = -e->negated_eip;
	const struct tu *tu;

	if (e->negated_eip == BRANCH_CACHE_NONE(index))
		return;
	tu = unit_at(c->tr, e->host);
	expect(c, (lookup & (BRANCH_CACHE_ENTRIES - 1)) == index && tu &&
		  mode_lookup(c->tr, tu->mode, tu->eip) == lookup &&
		  (tu->mode & (MODE_KEYS - 1)) == cache->mode,
	       "a branch cache's entry is no TU of its address and mode");
}

static void check_branches(struct check *c, const struct tc_space *s)
{
	const uint32_t per_page = 4096 / sizeof(struct branch_entry);

	for (unsigned i = 0; i < SPACE_BRANCH_CACHES; i++) {
		const struct branch_cache *cache = &s->branches[i];

		if (!cache->entries)
			continue;
		expect(c, cache->mode < MODE_KEYS && (uint8_t *)cache->entries ==
			  (uint8_t *)s->links + branch_cache_offset(cache->mode),
		       "a branch cache is not in its mode's place");
		for (uint32_t n = 0; !c->why && n < BRANCH_CACHE_ENTRIES; n++) {
			if (cache->written >> n / per_page & 1)
				check_entry(c, cache, n);
		}
	}
}

static void check_space(struct check *c, const struct tc_space *s)
{
	expect(c, s->slots_known <= c->tr->nslots && s->slots_known <= s->slots_made,
	       "a space knows slots that there are not");
	if (!s->stale)
		check_branches(c, s);
}

const char *translator_check(const struct translator *tr)
{
	struct check c = { .tr = tr };

	check_order(&c);
	if (!c.why)
		check_lists(&c);
	for (uint32_t i = 0; !c.why && i < tr->norder; i++) {
		check_exits(&c, tr->order[i]);
		check_incoming(&c, tr->order[i]);
	}
	for (const struct tc_space *s = tr->spaces; !c.why && s; s = s->next)
		check_space(&c, s);
	return c.why ? c.why : adapt_check(tr);
}

void translator_check_or_abort(const struct translator *tr)
{
	const char *why = translator_check(tr);

	if (!why)
		return;
	fprintf(stderr, "ringfence: internal error: the translator's tables: %s\n", why);
	abort();
}
