/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What surrounds the verifier's walk: the tables translated code jumps through, and the report of a
 * failure, which is a bug of ours: everything there is to know of the TU goes to standard error,
 * and the program aborts before the TU runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "verify_branch.h"

/* --- tables --- */

const struct tu *verify_tu_at(const struct translator *tr, cache_pc address)
{
	uint32_t low = 0, high = tr->norder;

	while (low < high) {
		const uint32_t mid = (low + high) / 2;

		if (tr->order[mid]->entry < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low < tr->norder && tr->order[low]->entry == address && tr->order[low]->valid ?
		       tr->order[low] :
		       NULL;
}

static bool table_fail(struct verifier *v, const char *why, uint32_t index)
{
	v->insn = (struct host_insn){ .offset = index };
	return verify_fail(v, VERIFY_TABLE, why);
}

static bool verify_slots(struct verifier *v, const struct tc_space *space)
{
	const struct translator *tr = v->tr;

	for (uint32_t i = 0; i < tr->nexits; i++) {
		const struct tu_exit *exit = &tr->exits[i];
		const struct tu *to;

		if (exit->form != EXIT_TABLE ||
		    space->links[exit->slot] == tr->link_template[exit->slot])
			continue;
		to = verify_tu_at(tr, space->links[exit->slot]);
		if (!to || to->eip != exit->target || (exit->tu && exit->tu->mode != to->mode))
			return table_fail(v,
					  "a slot of a link table that leads to no unit, or to "
					  "another than its exit's",
					  exit->slot);
	}
	return true;
}

static bool verify_branches(struct verifier *v, const struct branch_cache *cache)
{
	for (uint32_t i = 0; cache->entries && i < BRANCH_CACHE_ENTRIES; i++) {
		const struct branch_entry *entry = &cache->entries[i];
		const struct tu *tu;

		if (entry->negated_eip == BRANCH_CACHE_NONE(i) ||
		    (-entry->negated_eip & (BRANCH_CACHE_ENTRIES - 1)) != i)
			continue; /* never found */
		tu = verify_tu_at(v->tr, entry->host);
		if (!tu || mode_lookup(v->tr, tu->mode, tu->eip) != -entry->negated_eip ||
		    (tu->mode & (MODE_KEYS - 1)) != cache->mode)
			return table_fail(v,
					  "an entry of a branch cache that leads to no unit, or to "
					  "another than it says",
					  i);
	}
	return true;
}

static bool verify_space(struct verifier *v, const struct tc_space *space)
{
	if (space->stale) /* reset before it is used again */
		return true;
	for (unsigned i = 0; i < SPACE_BRANCH_CACHES; i++) {
		if (!verify_branches(v, &space->branches[i]))
			return false;
	}
	return verify_slots(v, space);
}

const struct verify_failure *verify_tables(struct verifier *v, const struct translator *tr)
{
	v->tr = tr;
	v->failed = false;
	for (const struct tc_space *s = tr->spaces; s; s = s->next) {
		if (!verify_space(v, s))
			return &v->failure;
	}
	return NULL;
}

/* --- reports --- */

static void report_guest(const struct translator *tr, const struct tu *tu, uint32_t i)
{
	const gpa_t gpa = gpa_add(tu->gpa, tu->insn[i].guest_offset);
	const uint32_t end = i + 1 < tu->ninsns ? tu->insn[i + 1].guest_offset : tu->guest_len,
		       in_page = gpa_offset(gpa);
	const uint8_t *page =
		tr->cb.page ? tr->cb.page(tr->cb.opaque, gpa_page(gpa)) :
			      NULL;

	fprintf(stderr, "%08x  adapt %x, esp %+d ", tu->eip + tu->insn[i].guest_offset,
		tu->insn[i].adapt, tu->insn[i].esp_delta);
	for (uint32_t n = 0;
	     page && n < end - tu->insn[i].guest_offset && in_page + n < GUEST_PAGE_SIZE; n++)
		fprintf(stderr, " %02x", page[in_page + n]);
	fprintf(stderr, "\n");
}

static void report_tu(struct verifier *v, const struct verify_failure *failure)
{
	const struct tu *tu = v->tu;
	const uint8_t *code = (const uint8_t *)tu->entry;
	uint32_t next = 0;

	fprintf(stderr,
		"unit %08x physical %08llx mode %08x%s: %u instructions, %u bytes; %u bytes of "
		"host code, %u of them exits\n",
		tu->eip, (unsigned long long)tu->gpa.v, tu->mode, tu->global ? " global" : "",
		tu->ninsns, tu->guest_len, tu->host_len, tu->host_len - tu->body_len);
	for (uint32_t at = 0, n; failure->text[0] && at < tu->host_len; at += n) {
		char text[96];

		while (next < tu->ninsns && tu->insn[next].host_offset <= at)
			report_guest(v->tr, tu, next++);
		if (at == tu->body_len)
			fprintf(stderr, "exits\n");
		n = verify_decode_text(v->decoder, code + at, tu->host_len - at, tu->entry + at,
				       text, sizeof(text));
		fprintf(stderr, "%s %012llx  ", at == failure->offset ? "-->" : "   ",
			(unsigned long long)(tu->entry + at));
		for (uint32_t i = 0; i < n; i++)
			fprintf(stderr, "%02x", code[at + i]);
		fprintf(stderr, "  %s\n", text);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void verify_or_abort(struct translator *tr, const struct tu *tu)
{
	const struct verify_failure *failure;
	uint64_t start;

	if (rf_likely(!tr->verifier))
		return;
	start = now_ns();
	failure = verify_tu(tr->verifier, tr, tu);
	tr->stats.tus_verified++;
	tr->stats.verify_ns += now_ns() - start;
	if (!failure)
		return;
	fprintf(stderr,
		"ringfence: internal error: translated code breaks the rule \"%s\" at offset %u "
		"(%s): %s\n",
		verify_rule_text(failure->rule), failure->offset, failure->text, failure->why);
	report_tu(tr->verifier, failure);
	abort();
}

void verify_tables_or_abort(struct translator *tr)
{
	const struct verify_failure *failure;

	if (rf_likely(!tr->verifier))
		return;
	failure = verify_tables(tr->verifier, tr);
	if (!failure)
		return;
	fprintf(stderr, "ringfence: internal error: %s (entry %u)\n", failure->why,
		failure->offset);
	abort();
}
