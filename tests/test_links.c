/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct links between global translation units, and what is left of them when a page of theirs is mapped otherwise. Nothing is executed:
 * where an exit leads is read from its jump.
 */
#include <criterion/criterion.h>
#include <string.h>
#include "translator/tu.h"

#define MODE (MODE_SS_FLAT | MODE_DS_FLAT | MODE_ES_FLAT)
#define BASE 0xc0000000u
#define MANY 0x20000u /* pages */
#define INTO_CROSSING 0x200
#define CROSSING 0xffe

/* Each linear page is mapped to the one page there is, by a global mapping. */
struct links {
	uint8_t page[GUEST_PAGE_SIZE];
	struct translator *tr;
	struct tc_space *space;
};

static bool fetch(void *opaque, gva_t gva, gpa_t *gpa, bool *global)
{
	*gpa = gva & (GUEST_PAGE_SIZE - 1);
	*global = true;
	return true;
}

static const uint8_t *page_at(void *opaque, gpa_t gpa)
{
	return ((struct links *)opaque)->page;
}

static void protect(void *opaque, gpa_t gpa)
{
}

static struct links links;

static void links_create(bool verify)
{
	const struct translator_callbacks callbacks = {
		.opaque = &links, .fetch = fetch, .page = page_at, .protect = protect, .unprotect = protect,
	};
	const struct translator_options options = { .features = ~0u, .verify = verify };

	cr_assert_eq(translator_create(&callbacks, &options, &links.tr), 0);
	links.space = tc_space_create(links.tr);
	cr_assert(links.space);
	memcpy(links.page, "\xe9\xfb\x0f\0\0", 5);           /* jmp to the start of the next page */
	memcpy(links.page + INTO_CROSSING, "\xe9\xf9\x1d\0\0", 5); /* jmp to CROSSING in the next page */
	memcpy(links.page + CROSSING, "\xb8\x44", 2);         /* mov eax, ...: goes on in the next page */
}

static void links_destroy(void)
{
	translator_destroy(links.tr);
}

static gva_t at(unsigned number)
{
	return BASE + (number << GUEST_PAGE_SHIFT);
}

static struct tu *find(gva_t eip)
{
	struct tu *tu = translator_find(links.tr, links.space, eip, MODE);

	cr_assert(tu);
	return tu;
}

static void link_to(struct tu *from, struct tu *to)
{
	translator_link(links.tr, links.space, from->first_exit, to);
}

/* Where the jump that ends from leads. */
static hva_t leads_to(const struct tu *from)
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

	links_create(true);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(tu); i++)
		tu[i] = find(at(i));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i + 1 < RF_ARRAY_SIZE(tu); i++) {
			link_to(tu[i], tu[i + 1]);
			cr_assert_eq(leads_to(tu[i]), tu[i + 1]->entry);
		}
		translator_mapping_changed(links.tr, NULL, at(3));
		cr_expect(is_unlinked(tu[2]));
		cr_expect_eq(leads_to(tu[0]), tu[1]->entry, "of pages that have nothing to do with it");
		cr_expect_eq(leads_to(tu[3]), tu[4]->entry);
		cr_expect_eq(leads_to(tu[4]), tu[5]->entry);
	}
	links_destroy();
}

/* In either of its pages. */
Test(links, a_change_of_a_global_page_cuts_the_links_to_an_instruction_across_pages, .timeout = 60)
{
	struct tu *from, *to;

	links_create(true);
	from = find(at(1) + INTO_CROSSING);
	to = find(at(2) + CROSSING);
	cr_assert_neq(to->gpa2, ~0ull);
	for (unsigned page = 2; page <= 3; page++) {
		link_to(from, to);
		cr_assert_eq(leads_to(from), to->entry);
		translator_mapping_changed(links.tr, NULL, at(page));
		cr_expect(is_unlinked(from), "page %u", page);
	}
	links_destroy();
}

/* None of the units from before it is remembered. */
Test(links, a_change_of_a_global_page_after_a_flush, .timeout = 60)
{
	struct tu *from, *to;

	links_create(true);
	link_to(find(at(0)), find(at(1)));
	link_to(find(at(1)), find(at(2)));
	translator_invalidate(links.tr, 0, 1);
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
 * A guest can have all of its global pages go at once, so each must cost what was made of it. Going through all units for each takes minutes,
 * this a tenth of a second.
 */
Test(links, many_global_pages_change, .timeout = 60)
{
	struct tu *last = NULL;

	links_create(false);
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
