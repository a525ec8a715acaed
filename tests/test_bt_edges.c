/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single instructions at the edge of what is mapped, on both engines: which bytes an instruction touches decides which page fault
 * there is. What is expected here was measured on processors.
 */
#include <string.h>
#include "bt_fixture.h"

TestSuite(bt_edges, .timeout = 120);

static const char *const engines[] = { "interp", "bt" };

/* Runs one instruction in ring 0 with paging and ESP at esp, twice, so that adaptation does not matter; the vector, or -1. */
static int run_at(const char *engine, const void *code, unsigned len, uint32_t esp, uint32_t *cr2)
{
	static const uint8_t stop[] = { BF_STOP };
	struct bf *bf = bf_create(engine, NULL);
	int vector = -1;

	for (int round = 0; round < 2; round++) {
		bf_reset(bf, 0, true);
		bf_write(bf, BF_CODE, code, len);
		bf_write(bf, BF_CODE + len, stop, sizeof(stop));
		bf->cpu->regs[X86_ESP] = esp;
		bf_run(bf, &vector);
		*cr2 = bf->cpu->cr2;
	}
	bf_destroy(bf);
	return vector;
}

/* The page behind absent - 1 is not there: a selector popped from the last two bytes before it needs nothing of it. */
Test(bt_edges, pop_of_a_segment_register_reads_two_bytes)
{
	static const struct { uint8_t len, bytes[2]; } pops[] = {
		{ 1, { 0x07 } }, { 1, { 0x1f } }, { 2, { 0x0f, 0xa1 } }, { 2, { 0x0f, 0xa9 } },
	};
	const uint32_t absent = BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE;
	uint32_t cr2;

	for (size_t e = 0; e < RF_ARRAY_SIZE(engines); e++) {
		for (size_t i = 0; i < RF_ARRAY_SIZE(pops); i++) {
			cr_expect_eq(run_at(engines[e], pops[i].bytes, pops[i].len, absent - 2, &cr2), -1, "%s, pop %zu", engines[e], i);
			cr_expect_eq(run_at(engines[e], pops[i].bytes, pops[i].len, absent - 1, &cr2), EXC_PF, "%s, pop %zu", engines[e], i);
			cr_expect_eq(cr2, absent, "%s, pop %zu: cr2 %x", engines[e], i, cr2);
		}
	}
}
