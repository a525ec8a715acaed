/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a case that differs as small as it gets: code, state, memory. */
#include <string.h>
#include "lane.h"

static bool differs(struct lane *lane, const struct fuzz_case *c, const struct memory *memory)
{
	struct outcome out;

	return lane_try(lane, c, memory, &out).verdict == VERDICT_DIFFERENT;
}

static void cut_the_tail(struct lane *lane, struct fuzz_case *c, const struct memory *memory)
{
	while (c->nitems > 1) {
		struct fuzz_case tried = *c;

		tried.nitems--;
		tried.len = tried.offset[tried.nitems];
		if (!differs(lane, &tried, memory))
			return;
		*c = tried;
	}
}

static void drop_the_first(struct fuzz_case *c)
{
	const unsigned cut = c->offset[1];

	memmove(c->bytes, c->bytes + cut, c->len - cut);
	c->len -= cut;
	c->eip += cut;
	c->nitems--;
	for (unsigned n = 0; n <= c->nitems; n++)
		c->offset[n] = c->offset[n + 1] - cut;
}

/* The first goes altogether, others become NOPs, so that jumps keep their targets. */
static void take_items_out(struct lane *lane, struct fuzz_case *c, const struct memory *memory)
{
	while (c->nitems > 1) {
		struct fuzz_case tried = *c;

		drop_the_first(&tried);
		if (!differs(lane, &tried, memory))
			break;
		*c = tried;
	}
	for (unsigned n = 0; n < c->nitems; n++) {
		struct fuzz_case tried = *c;

		memset(tried.bytes + tried.offset[n], 0x90, tried.offset[n + 1] - tried.offset[n]);
		if (differs(lane, &tried, memory))
			*c = tried;
	}
}

static void simplify_state(struct lane *lane, struct fuzz_case *c, const struct memory *memory)
{
	struct fuzz_case tried;

#define TRY(change) \
	do { \
		tried = *c; \
		change; \
		if (differs(lane, &tried, memory)) \
			*c = tried; \
	} while (0)
	TRY(memset(&tried.fpu, 0, sizeof(tried.fpu)); tried.fpu.fcw = 0x37f;
	    tried.fpu.mxcsr = 0x1f80);
	for (unsigned n = 0; n < 8; n++) {
		TRY(memset(tried.fpu.st[n], 0, 16));
		TRY(memset(tried.fpu.xmm[n], 0, 16));
		if (n != X86_ESP)
			TRY(tried.regs[n] = 0);
	}
	TRY(tried.fpu.fcw = 0x37f);
	TRY(tried.fpu.mxcsr = 0x1f80);
	TRY(tried.fpu.ftw = 0; tried.fpu.fsw = 0);
	TRY(tried.eflags = X86_F1 | X86_IF);
	for (unsigned s = 0; s < X86_NSEG; s++)
		if (s != X86_CS)
			TRY(tried.seg[s] = case_data(c));
#undef TRY
}

/* Clears what can be, in ever smaller pieces. */
static void clear_memory(struct lane *lane, const struct fuzz_case *c, struct memory *memory,
			 enum region region, uint32_t at, uint32_t size)
{
	const uint8_t fill = region == REGION_CODE ? 0xcc : 0;
	uint8_t *p = memory->region[region] + at, old[REGION_SIZE];
	bool clear = true;

	for (uint32_t n = 0; n < size && clear; n++)
		clear = p[n] == fill;
	if (clear)
		return;
	memcpy(old, p, size);
	memset(p, fill, size);
	if (differs(lane, c, memory))
		return;
	memcpy(p, old, size);
	if (size <= 16)
		return;
	for (uint32_t n = 0; n < size; n += size / 16)
		clear_memory(lane, c, memory, region, at + n, size / 16);
}

void minimise(struct lane *lane, struct fuzz_case *c, struct memory *memory)
{
	cut_the_tail(lane, c, memory);
	take_items_out(lane, c, memory);
	simplify_state(lane, c, memory);
	for (unsigned n = 0; n < REGIONS; n++)
		clear_memory(lane, c, memory, n, 0, REGION_SIZE);
}
