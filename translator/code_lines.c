/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest pages with code, by their lines of 64 bytes: a store to a page of code that meets no line
 * with code need not look at the page's TUs. Programs keep their stack, or data, beside their code;
 * old ones nearly all do.
 *
 * Lines are forgotten only with the last TU of the page.
 *
 * Light callouts come here.
 */
#include "tu.h"

#define LINE_SHIFT 6
_Static_assert(GUEST_PAGE_SIZE >> LINE_SHIFT == 64, "a bit for each line of a page");

struct code_page *code_page_find(const struct translator *tr, gpa_t page)
{
	struct code_page *p = tr->pages[gpa_frame(page) % PAGE_HASH_SIZE];

	while (p && !gpa_equal(p->page, page))
		p = p->next;
	return p;
}

/* The bits of the lines that len bytes from offset on lie in, up to the page's end. */
static uint64_t lines(uint32_t offset, uint32_t len)
{
	const uint32_t room = GUEST_PAGE_SIZE - offset, end = offset + (len < room ? len : room);

	if (!len)
		return 0;
	return ~0ull << (offset >> LINE_SHIFT) & ~0ull >> (63 - ((end - 1) >> LINE_SHIFT));
}

void code_lines_add(struct code_page *p, uint32_t offset, uint32_t len)
{
	p->lines |= lines(offset, len);
}

bool translator_may_hold_code(const struct translator *tr, gpa_t gpa, uint32_t len)
{
	const struct code_page *p = code_page_find(tr, gpa_page(gpa));

	return p && p->lines & lines(gpa_offset(gpa), len);
}
