/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single instructions at the edge of what is mapped, on both engines: which bytes an instruction
 * touches decides which page fault there is. What is expected here was measured on processors.
 */
#include <string.h>
#include "bt_fixture.h"

TestSuite(bt_edges, .timeout = 120);

static const char *const engines[] = { "interp", "bt" };

/*
 * Runs one instruction in ring 0 with paging and ESP at esp, twice, so that adaptation does not
 * matter; the vector, or -1.
 */
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

/*
 * The page after absent - 1 is not there: a selector popped from the last two bytes before it
 * needs nothing of it.
 */
Test(bt_edges, pop_of_a_segment_register_reads_two_bytes)
{
	static const struct { uint8_t len, bytes[2]; } pops[] = {
		{ 1, { 0x07 } }, { 1, { 0x1f } }, { 2, { 0x0f, 0xa1 } }, { 2, { 0x0f, 0xa9 } },
	};
	const uint32_t absent = BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE;
	uint32_t cr2;

	for (size_t e = 0; e < RF_ARRAY_SIZE(engines); e++) {
		for (size_t i = 0; i < RF_ARRAY_SIZE(pops); i++) {
			cr_expect_eq(
				run_at(engines[e], pops[i].bytes, pops[i].len, absent - 2, &cr2),
				-1, "%s, pop %zu", engines[e], i);
			cr_expect_eq(
				run_at(engines[e], pops[i].bytes, pops[i].len, absent - 1, &cr2),
				EXC_PF, "%s, pop %zu", engines[e], i);
			cr_expect_eq(cr2, absent, "%s, pop %zu: cr2 %x", engines[e], i, cr2);
		}
	}
}

/*
 *  --- what the manuals leave open, and processors do otherwise: the guest sees the same everywhere
 *  ---
 */

#define ABSENT  (BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE)
#define FSW_IE  0x01u
#define FSW_ES  0x80u

struct open_case {
	const char *name;
	uint8_t len, bytes[8];
	uint32_t esi, edi;
	uint16_t fcw;
	int vector;
	uint32_t cr2;      /* if the vector is #PF */
	uint16_t fsw;      /* exception bits afterwards */
};

static const struct open_case open_cases[] = {
	/* Both operands fault: ES:EDI is read first, as Intel's processors do. */
	{ "cmpsb", 1, { 0xa6 }, ABSENT + 0x10, ABSENT + 0x20, 0x37f, EXC_PF, ABSENT + 0x20, 0 },
	{ "cmpsd", 1, { 0xa7 }, ABSENT + 0x10, ABSENT + 0x20, 0x37f, EXC_PF, ABSENT + 0x20, 0 },
	{ "repe cmpsb", 2, { 0xf3, 0xa6 }, ABSENT + 0x10, ABSENT + 0x20, 0x37f, EXC_PF,
		ABSENT + 0x20, 0 },
	{ "repne cmpsw", 3, { 0x66, 0xf2, 0xa7 }, ABSENT - 2, ABSENT + 2, 0x37f, EXC_PF, ABSENT + 2,
		0 },
	{ "cmpsb, edi there", 1, { 0xa6 }, ABSENT + 0x10, BF_DATA, 0x37f, EXC_PF, ABSENT + 0x10,
		0 },
	{ "cmpsb, esi there", 1, { 0xa6 }, BF_DATA, ABSENT + 0x20, 0x37f, EXC_PF, ABSENT + 0x20,
		0 },
	/* ST0 is empty: nothing is stored (SDM vol. 1, 8.5.1.1), and nothing touched. */
	{ "fstp m64, unmasked", 2, { 0xdd, 0x1e }, ABSENT, 0, 0x37e, -1, 0, FSW_IE | FSW_ES },
	{ "fstp m64 over two pages, unmasked", 2, { 0xdd, 0x1e }, ABSENT - 2, 0, 0x37e, -1, 0,
		FSW_IE | FSW_ES },
	{ "fistp m32, unmasked", 2, { 0xdb, 0x1e }, ABSENT, 0, 0x37e, -1, 0, FSW_IE | FSW_ES },
	{ "fstp m64, masked", 2, { 0xdd, 0x1e }, ABSENT, 0, 0x37f, EXC_PF, ABSENT, 0 },
	/* No bit of XMM0 is set: no byte is selected (SDM vol. 2, MASKMOVDQU). */
	{ "maskmovdqu of nothing", 4, { 0x66, 0x0f, 0xf7, 0xc0 }, 0, ABSENT, 0x37f, -1, 0, 0 },
};

static void prepare_open(struct bf *bf, const struct open_case *o)
{
	static const uint8_t stop[] = { BF_STOP };
	struct cpu *cpu = bf->cpu;

	bf_reset(bf, 0, true);
	bf_write(bf, BF_CODE, o->bytes, o->len);
	bf_write(bf, BF_CODE + o->len, stop, sizeof(stop));
	cpu->regs[X86_ESP] = BF_DATA + 0x800;
	cpu->regs[X86_ECX] = 3;
	cpu->regs[X86_ESI] = o->esi;
	cpu->regs[X86_EDI] = o->edi;
	cpu->fpu = (struct fxsave_image){ .fcw = o->fcw, .mxcsr = 0x1f80 };
}

/* Twice, so that adaptation does not matter. */
static void check_open(const char *engine, const struct open_case *o)
{
	struct bf *bf = bf_create(engine, NULL);

	for (int round = 0; round < 2; round++) {
		int vector = -1;
		enum bf_outcome how;

		prepare_open(bf, o);
		how = bf_run(bf, &vector);
		cr_expect_eq(how, o->vector < 0 ? BF_STOPPED : BF_EXCEPTION, "%s, %s: outcome %d",
			     engine, o->name, how);
		if (how == BF_EXCEPTION)
			cr_expect_eq(vector, o->vector, "%s, %s: vector %d", engine, o->name,
				     vector);
		if (o->vector == EXC_PF)
			cr_expect_eq(bf->cpu->cr2, o->cr2, "%s, %s: cr2 %x", engine, o->name,
				     bf->cpu->cr2);
		cr_expect_eq(bf->cpu->fpu.fsw & 0xff & ~0x40u, o->fsw, "%s, %s: fsw %x", engine,
			     o->name, bf->cpu->fpu.fsw);
	}
	bf_destroy(bf);
}

Test(bt_edges, what_processors_do_differently_is_the_same_everywhere)
{
	for (size_t e = 0; e < RF_ARRAY_SIZE(engines); e++)
		for (size_t n = 0; n < RF_ARRAY_SIZE(open_cases); n++)
			check_open(engines[e], &open_cases[n]);
}

/*
 * EIP 0 is where an empty entry of a branch cache could be taken to lead. The jump comes there
 * three times, the second after a flush, with the look-up in place and that of a RET which was not
 * called.
 */
Test(bt_edges, eip_zero)
{
	static const uint8_t jump[] = { 0x31, 0xc0, 0xff, 0xe0 }; /* xor eax, eax; jmp eax */
	static const uint8_t at_zero[] = {
		0x43, 0x83, 0xfb, 0x03, 0x74, 0x0c,             /* inc ebx; cmp ebx, 3; je stop */
		0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8,             /* mov eax, cr3; mov cr3, eax */
		0x6a, 0x00, 0xc3, 0x90, 0x90, 0x90,             /* push 0; ret */
		BF_STOP,
	};
	static const char *const options[] = { NULL, "links=off", "tu-insns=1", "soft=always" };

	for (size_t i = 0; i < RF_ARRAY_SIZE(options); i++) {
		struct bf *bf = bf_create("bt", options[i]);
		int vector = -1;

		bf_reset(bf, 0, true);
		bf_write(bf, BF_CODE, jump, sizeof(jump));
		bf_write(bf, 0, at_zero, sizeof(at_zero));
		bf->cpu->regs[X86_EBX] = 0;
		cr_expect_eq(bf_run(bf, &vector), BF_STOPPED, "%s: vector %d", options[i], vector);
		cr_expect_eq(bf->cpu->regs[X86_EBX], 3);
		bf_destroy(bf);
	}
}
