/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links between translation units: direct ones between global units, and what is left of them when
 * a page of theirs is mapped otherwise; those of a space that are made at once for a page it is
 * found to map. Nothing is executed: where an exit leads is read from its jump, or from the link
 * table.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include "translator/tu.h"

#define MODE (MODE_SS_FLAT | MODE_DS_FLAT | MODE_ES_FLAT)
#define BASE 0xc0000000u
#define MANY 0x20000u /* pages */
#define INTO_CROSSING 0x200
#define CROSSING 0xffe

/* Each linear page is mapped to the one page there is. */
struct links {
	bool global; /* the mappings, but for that of one page: */
	gva_t local;
	uint8_t page[GUEST_PAGE_SIZE];
	struct translator *tr;
	struct tc_space *space;
};

static struct links links;

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	*gpa = GPA(gva & (GUEST_PAGE_SIZE - 1));
	*global = links.global && (gva & GUEST_PAGE_MASK) != links.local;
	return true;
}

static const uint8_t *page_at(void *opaque, gpa_t gpa)
{
	return ((struct links *)opaque)->page;
}

static void protect(void *opaque, gpa_t gpa)
{
}

static void links_create(bool global, bool verify)
{
	const struct translator_callbacks callbacks = {
		.opaque = &links, .fetch = fetch, .page = page_at, .protect = protect,
		.unprotect = protect,
	};
	const struct translator_options options = { .features = ~(feature_set)0, .verify = verify };

	links.global = global;
	cr_assert_eq(translator_create(&callbacks, &options, &links.tr), 0);
	links.space = tc_space_create(links.tr);
	cr_assert(links.space);
	memcpy(links.page, "\xe9\xfb\x0f\0\0", 5);           /* jmp to the start of the next page */
	/* jmp to CROSSING in the next page */
	memcpy(links.page + INTO_CROSSING, "\xe9\xf9\x1d\0\0", 5);
	/* mov eax, ...: goes on in the next page */
	memcpy(links.page + CROSSING, "\xb8\x44", 2);
}

static void links_destroy(void)
{
	translator_destroy(links.tr);
}

static gva_t at(unsigned number)
{
	return BASE + (number << GUEST_PAGE_SHIFT);
}

static struct tu *find_in(struct tc_space *space, gva_t eip)
{
	struct tu *tu = translator_find(links.tr, space, eip, MODE);

	cr_assert(tu);
	return tu;
}

static struct tu *find(gva_t eip)
{
	return find_in(links.space, eip);
}

static void link_to(struct tu *from, struct tu *to)
{
	translator_link(links.tr, links.space, from->first_exit, to);
}

/* Where the jump that ends from leads. */
static cache_pc leads_to(const struct tu *from)
{
	const uint8_t *field = links.tr->exits[from->first_exit].patch;
	int32_t rel;

	memcpy(&rel, field, 4);
	return links.tr->exec_base + (field - links.tr->write_base) + 4 + rel;
}

static bool is_unlinked(const struct tu *from)
{
	return leads_to(from) == links.tr->exits[from->first_exit].cold;
}

/* Twice: links made anew are cut anew. */
Test(links, a_change_of_a_global_page_cuts_the_links_to_it, .timeout = 60)
{
	struct tu *tu[6];

	links_create(true, true);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(tu); i++)
		tu[i] = find(at(i));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i + 1 < RF_ARRAY_SIZE(tu); i++) {
			link_to(tu[i], tu[i + 1]);
			cr_assert_eq(leads_to(tu[i]), tu[i + 1]->entry);
		}
		translator_mapping_changed(links.tr, NULL, at(3));
		cr_expect(is_unlinked(tu[2]));
		cr_expect_eq(leads_to(tu[0]), tu[1]->entry,
			     "of pages that have nothing to do with it");
		cr_expect_eq(leads_to(tu[3]), tu[4]->entry);
		cr_expect_eq(leads_to(tu[4]), tu[5]->entry);
	}
	links_destroy();
}

/* In either of its pages. */
Test(links, a_change_of_a_global_page_cuts_the_links_to_an_instruction_across_pages, .timeout = 60)
{
	struct tu *from, *to;

	links_create(true, true);
	from = find(at(1) + INTO_CROSSING);
	to = find(at(2) + CROSSING);
	cr_assert_not(gpa_is_none(to->gpa2));
	for (unsigned page = 2; page <= 3; page++) {
		link_to(from, to);
		cr_assert_eq(leads_to(from), to->entry);
		translator_mapping_changed(links.tr, NULL, at(page));
		cr_expect(is_unlinked(from), "page %u", page);
	}
	links_destroy();
}

/*
 * A unit whose links are made as between global pages must not be found again when one of its pages
 * is a space's own.
 */
Test(links, an_instruction_across_pages_is_global_if_both_are, .timeout = 60)
{
	struct tu *global, *local;

	links_create(true, true);
	global = find(at(2) + CROSSING);
	cr_expect(global->global);
	links.local = at(3);
	local = find(at(2) + CROSSING);
	cr_expect_neq(local, global);
	cr_expect_not(local->global);
	links.local = at(2);
	cr_expect_eq(find(at(2) + CROSSING), local);
	links.local = 0;
	cr_expect_eq(find(at(2) + CROSSING), global);
	links_destroy();
}

/* None of the units from before it is remembered. */
Test(links, a_change_of_a_global_page_after_a_flush, .timeout = 60)
{
	struct tu *from, *to;

	links_create(true, true);
	link_to(find(at(0)), find(at(1)));
	link_to(find(at(1)), find(at(2)));
	translator_invalidate(links.tr, GPA(0), 1);
	translator_flush(links.tr);
	from = find(at(0));
	to = find(at(1));
	link_to(from, to);
	translator_mapping_changed(links.tr, NULL, at(2));
	translator_mapping_changed(links.tr, NULL, at(1));
	cr_expect(is_unlinked(from));
	links_destroy();
}

/*
 * A guest can have all of its global pages go at once, so each must cost what was made of it. Going
 * through all units for each takes minutes, this a tenth of a second.
 */
Test(links, many_global_pages_change, .timeout = 60)
{
	struct tu *last = NULL;

	links_create(true, false);
	for (unsigned i = 0; i < MANY; i++) {
		struct tu *tu = find(at(i));

		if (last)
			link_to(last, tu);
		last = tu;
	}
	cr_assert_eq(translator_stats(links.tr)->cache_flushes, 0);
	cr_assert_eq(translator_stats(links.tr)->links_direct, MANY - 1);
	for (unsigned i = 0; i < MANY; i++)
		translator_mapping_changed(links.tr, NULL, at(i));
	for (unsigned i = 0; i + 1 < MANY; i++)
		cr_assert(is_unlinked(links.tr->order[i]), "%u", i);
	links_destroy();
}

/* Where the exit that ends from leads in space. */
static cache_pc leads_in(const struct tc_space *space, const struct tu *from)
{
	return space->links[links.tr->exits[from->first_exit].slot];
}

Test(links, a_space_gets_the_links_that_others_have_to_a_page_of_its, .timeout = 60)
{
	struct tu *from, *to, *crossing;
	struct tc_space *other;

	links_create(false, true);
	from = find(at(0));
	to = find(at(1));
	crossing = find(at(1) + INTO_CROSSING);
	link_to(from, to);
	link_to(crossing, find(at(2) + CROSSING));
	find(at(2));
	cr_assert_eq(leads_in(links.space, from), to->entry);
	other = tc_space_create(links.tr);
	cr_assert(other);
	link_refresh_space(links.tr, other);
	cr_expect_eq(find_in(other, at(0)), from);
	cr_expect_neq(leads_in(other, from), to->entry, "nobody knows what is there in this space");
	cr_expect_eq(find_in(other, at(1) + INTO_CROSSING), crossing, "another unit of the page");
	cr_expect_eq(leads_in(other, from), to->entry);
	find_in(other, at(2));
	cr_expect_neq(leads_in(other, crossing), leads_in(links.space, crossing),
		      "it needs the next page, too");
	links_destroy();
}

Test(links, a_space_does_not_get_what_was_dropped, .timeout = 60)
{
	const struct branch_entry *entries;
	struct tu *first, *second;

	links_create(false, true);
	first = find(at(1));
	second = find(at(1) + INTO_CROSSING);
	entries = branch_cache_take(links.space, MODE)->entries;
	for (unsigned round = 0; round < 2; round++) {
		link_refresh_space(links.tr, links.space);
		find(at(1) + INTO_CROSSING);
		cr_expect_eq(entries[second->eip & (BRANCH_CACHE_ENTRIES - 1)].host, second->entry);
		if (!round)
			cr_expect_eq(entries[first->eip & (BRANCH_CACHE_ENTRIES - 1)].host,
				     first->entry);
		else
			cr_expect_neq(entries[first->eip & (BRANCH_CACHE_ENTRIES - 1)].host,
				      first->entry);
		translator_invalidate(links.tr, GPA(0), 1);
	}
	links_destroy();
}

static size_t bytes_made(const struct tc_space *space)
{
	static unsigned char made[MODE_KEYS * BRANCH_CACHE_BYTES / GUEST_PAGE_SIZE];
	size_t pages = 0;

	cr_assert_eq(mincore(space->tables, MODE_KEYS * (size_t)BRANCH_CACHE_BYTES, made), 0);
	for (size_t i = 0; i < sizeof(made); i++)
		pages += made[i] & 1;
	return pages * GUEST_PAGE_SIZE;
}

/*
 * A guest that goes through all modes there are in each of its spaces is not to get memory for all
 * of them.
 */
Test(links, modes_share_a_bounded_amount_of_memory, .timeout = 60)
{
	static struct tc_cpu tc;

	links_create(false, false);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t mode = 0; mode < MODE_KEYS; mode++) {
			const struct branch_entry *entries;

			translator_use_space(links.tr, &tc.cpu, links.space, mode);
			entries = (const struct branch_entry *)(uintptr_t)tc.tcw.branch_cache;
			cr_assert_eq(entries[0].negated_eip, BRANCH_CACHE_NONE(0));
			cr_assert_eq(tc.tcw.branch_cache,
				     tc.tcw.link_table + branch_cache_offset(mode));
			cr_assert_leq(bytes_made(links.space), SPACE_PLACES * BRANCH_CACHE_BYTES,
				      "mode %x", mode);
		}
	}
	links_destroy();
}

/* All are of one physical page; going through all of it for each linear page takes minutes. */
Test(links, many_pages_get_their_links, .timeout = 60)
{
	links_create(false, false);
	for (unsigned i = 0; i < MANY; i++)
		find(at(i));
	for (unsigned i = 0; i + 1 < MANY; i++)
		link_to(links.tr->order[i], links.tr->order[i + 1]);
	link_refresh_space(links.tr, links.space);
	for (unsigned i = 0; i < MANY; i++)
		find(at(i));
	cr_assert_eq(links.tr->norder, MANY);
	for (unsigned i = 0; i + 1 < MANY; i++)
		cr_assert_eq(leads_in(links.space, links.tr->order[i]),
			     links.tr->order[i + 1]->entry, "%u", i);
	links_destroy();
}

/* Whether every slot of the space leads where the template has it. */
static unsigned slots_linked(void)
{
	unsigned n = 0;

	for (uint32_t slot = 0; slot < links.tr->nslots; slot++)
		n += links.space->links[slot] != links.tr->link_template[slot];
	return n;
}

/*
 * A space that is set up anew forgets what was linked in it, page of slots by page, and learns the
 * slots that came meanwhile; after a flush slots belong to other exits.
 */
Test(links, a_space_forgets_what_was_linked, .timeout = 60)
{
	const unsigned units = 3 * SLOTS_PER_PAGE;

	links_create(false, true);
	link_refresh_space(links.tr, links.space);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < units; i++) {
			struct tu *tu = find(at(i));

			if (i % 500 == 1)
				link_to(tu, find(at(i + 1)));
		}
		cr_expect_geq(links.tr->nslots, units);
		cr_expect_gt(slots_linked(), 3);
		links.space->stale = true;
		find(at(units + round)); /* a slot that the space is not told of */
		link_refresh_space(links.tr, links.space);
		cr_expect_eq(slots_linked(), 0, "round %u: %u", round, slots_linked());
		cr_expect_eq(links.space->slots_known, links.tr->nslots);
		if (round == 1) {
			translator_flush(links.tr);
			cr_expect(links.space->stale);
			find(at(7));
			link_refresh_space(links.tr, links.space);
			cr_expect_eq(slots_linked(), 0);
		}
	}
	links_destroy();
}

/*
 * translator_find() may flush: the branches that the space in use remembers are gone, and it need
 * not be set up anew.
 */
Test(links, a_flush_on_the_way_to_a_unit_forgets_branches, .timeout = 60)
{
	static struct tc_cpu tc;
	const uint32_t index = at(0) & (BRANCH_CACHE_ENTRIES - 1);
	const struct branch_entry *entry;
	uint64_t flushes;

	links_create(false, true);
	links.tr->opt.flush_every = 2;
	translator_use_space(links.tr, &tc.cpu, links.space, MODE);
	entry = &branch_cache_find(links.space, MODE)->entries[index];
	for (unsigned round = 0; round < 3; round++) {
		struct tu *tu = find(at(0));

		translator_cache_branch(links.tr, links.space, tu);
		cr_assert_eq(entry->negated_eip, -at(0));
		flushes = translator_stats(links.tr)->cache_flushes;
		find(at(1));
		find(at(2));
		cr_assert_eq(translator_stats(links.tr)->cache_flushes, flushes + 1);
		cr_expect_not(links.space->stale);
		cr_expect_neq(entry->negated_eip, -at(0), "round %u", round);
	}
	links_destroy();
}

/* --- translator_check() --- */

static void expect_check(const char *want)
{
	const char *why = translator_check(links.tr);

	if (want)
		cr_expect(why && strstr(why, want), "%s, not: %s", why, want);
	else
		cr_expect_null(why, "%s", why);
}

/* Damages a field, and repairs it. */
#define DAMAGE(field, value, want) \
	do { \
		__auto_type damaged = &(field); \
		const __typeof__(field) was = *damaged; \
		*damaged = (value); \
		expect_check(want); \
		*damaged = was; \
		expect_check(NULL); \
	} while (0)

static void damage_lists(struct tu *tu, struct tu *crossing)
{
	struct translator *tr = links.tr;
	struct code_page *page = tr->pages[0];

	DAMAGE(tr->order[0], tr->order[1], "overlap");
	DAMAGE(tu->valid, false, "should not");
	DAMAGE(*tu_bucket(tr, tu), NULL, "as many");
	DAMAGE(tu->hash_next, tu, "circle");
	DAMAGE(tu->eip, tu->eip + GUEST_PAGE_SIZE, "should not");
	DAMAGE(page->tus, NULL, "as many");
	DAMAGE(page->tus2, NULL, "as many");
	DAMAGE(page->page.v, GUEST_PAGE_SIZE, "by its address");
	DAMAGE(crossing->gpa2.v, ~0ull, "should not");
	DAMAGE(tu->insn[0].guest_offset, 1, "guest instructions");
	DAMAGE(tu->body_len, tu->host_len + 1, "exits are not in it");
	DAMAGE(tr->used, tr->stubs_len, "beyond");
}

static void damage_exits(struct tu *from, struct tu *to)
{
	struct translator *tr = links.tr;
	struct tu_exit *exit = &tr->exits[from->first_exit];

	DAMAGE(exit->tu, NULL, "not its TU's");
	DAMAGE(exit->cold, from->entry, "unlinked path");
	DAMAGE(exit->target, exit->target + 1, "not for it");
	DAMAGE(to->nincoming, 0, "does not know");
	DAMAGE(from->first_exit, tr->nexits, "exits are none");
	DAMAGE(tr->nexits, from->first_exit, "exits are none");
}

static void damage_adapted(void)
{
	DAMAGE(links.tr->adapts.count, 2, "fewer");
	DAMAGE(links.tr->adapts.count, 0, "more");
}

Test(links, a_check_notices_broken_lists_and_direct_links, .timeout = 60)
{
	struct tu *from, *to;

	links_create(true, true);
	translator_adapt(links.tr, GPA(0x800), ADAPT_DUAL);
	from = find(at(0));
	to = find(at(1));
	expect_check(NULL);
	damage_lists(from, find(at(2) + CROSSING));
	link_to(from, to);
	expect_check(NULL);
	damage_exits(from, to);
	DAMAGE(links.tr->exits[from->first_exit].patch[0], 4, "no TU");
	DAMAGE(to->in_global_links, false, "would not find");
	DAMAGE(links.tr->global_links[at(1) >> GUEST_PAGE_SHIFT], NULL, "linear page");
	damage_adapted();
	links_destroy();
}

static void damage_branches(struct branch_cache *cache, const struct tu *tu)
{
	struct branch_entry *entry = &cache->entries[tu->eip & (BRANCH_CACHE_ENTRIES - 1)];

	DAMAGE(entry->host, tu->entry + 1, "entry");
	DAMAGE(entry->negated_eip, 1 - tu->eip, "entry");
	DAMAGE(cache->mode, MODE | MODE_FPU, "place");
}

Test(links, a_check_notices_broken_tables, .timeout = 60)
{
	static struct tc_cpu tc;
	struct tc_space *space;
	struct tu *from, *to;
	uint32_t slot;

	links_create(false, true);
	space = links.space;
	translator_use_space(links.tr, &tc.cpu, space, MODE);
	from = find(at(0));
	to = find(at(1));
	link_to(from, to);
	translator_cache_branch(links.tr, space, to);
	expect_check(NULL);
	damage_exits(from, to);
	damage_branches(branch_cache_find(space, MODE), to);
	slot = links.tr->exits[from->first_exit].slot;
	DAMAGE(space->links[slot], to->entry + 1, "no TU");
	DAMAGE(space->links[slot], from->entry, "not for it");
	DAMAGE(space->linked[0], 0, "would not forget");
	DAMAGE(links.tr->link_template[slot], to->entry, "unlinked slot");
	DAMAGE(*tu_mapped(links.tr, from), NULL, "as many");
	DAMAGE(space->slots_known, links.tr->nslots + 1, "slots");
	links_destroy();
}
