/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code segments of 16-bit code.
 *
 * A TU of 16-bit code is good for one base and limit of CS: the offsets it pushes and compares are
 * constants, and so are the ends that relative jumps wrap at. Each pair of base and limit gets a
 * number, which is part of the TU's mode (MODE_CODE). What such code looks up is
 *
 *   number * 1015Dh + IP
 *
 * so that one branch cache, and one return stack, serve all code segments. TUs keep their linear
 * address; the flat 32-bit segment has the number 0 and base 0, and looks up EIP itself.
 *
 * The numbers are places in a hash table with linear probing. When it is three quarters full, all
 * of it is forgotten, with all TUs.
 */
#include "tu.h"

static uint32_t limit_of(const struct segment *cs)
{
	return cs->limit < 0xffff ? cs->limit : 0xffff;
}

/* The place of cs, or the free one where it belongs. */
static uint32_t find_place(const struct translator *tr, const struct segment *cs)
{
	const uint32_t limit = limit_of(cs), places = CODE_SEGMENTS - 1;
	uint32_t place = ((cs->base >> 4 ^ cs->base >> 16) * 0x9e3779b1u >> 8 ^ limit) % places;

	for (;; place = (place + 1) % places) {
		const struct code_segment *s = &tr->code_segment[place + 1];

		if (!s->used || (s->base == cs->base && s->limit == limit))
			return place + 1;
	}
}

uint32_t translator_code_segment(const struct translator *tr, const struct segment *cs)
{
	const uint32_t place = find_place(tr, cs);

	return tr->code_segment[place].used ? place << MODE_CODE_SHIFT : 0;
}

void code_segments_forget(struct translator *tr)
{
	memset(tr->code_segment, 0, sizeof(tr->code_segment));
	tr->ncode_segments = 0;
}

bool translator_learn_code_segment(struct translator *tr, const struct segment *cs)
{
	const bool full = tr->ncode_segments >= CODE_SEGMENTS / 4 * 3;
	uint32_t place = find_place(tr, cs);

	if (tr->code_segment[place].used)
		return false;
	if (full) {
		translator_flush(tr);
		code_segments_forget(tr);
		place = find_place(tr, cs);
	}
	tr->code_segment[place] = (struct code_segment){ .used = true, .base = cs->base,
							 .limit = limit_of(cs) };
	tr->ncode_segments++;
	return full;
}
