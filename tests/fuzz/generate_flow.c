/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of sequences: jumps, calls and returns, loops, the stack, flags, segments and far
 * transfers.
 */
#include <string.h>
#include "generate.h"

/* --- near transfers, forwards over a few instructions --- */

struct transfer {
	uint8_t bytes[10], len;
	/* where the target goes; size 1 or 4 if relative to the end, 0 if absolute */
	uint8_t field, size;
};

static const struct transfer transfers[] = {
	{ { 0xeb, 0 }, 2, 1, 1 },
	{ { 0xe9 }, 5, 1, 4 },
	{ { 0xe8 }, 5, 1, 4 },
	{ { 0xe0, 0 }, 2, 1, 1 }, { { 0xe1, 0 }, 2, 1, 1 }, { { 0xe2, 0 }, 2, 1, 1 },
	{ { 0xe3, 0 }, 2, 1, 1 }, { { 0x67, 0xe3, 0 }, 3, 2, 1 },
	{ { 0x68, 0, 0, 0, 0, 0xc3 }, 6, 1, 0 },             /* push; ret */
	{ { 0x68, 0, 0, 0, 0, 0xc2, 8, 0 }, 8, 1, 0 },
	{ { 0x68, 0, 0, 0, 0, 0xff, 0x24, 0x24 }, 8, 1, 0 }, /* push; jmp [esp] */
	{ { 0x68, 0, 0, 0, 0, 0xff, 0x14, 0x24 }, 8, 1, 0 }, /* push; call [esp] */
	{ { 0xb8, 0, 0, 0, 0, 0xff, 0xe0 }, 7, 1, 0 },       /* mov eax; jmp eax */
	{ { 0xbb, 0, 0, 0, 0, 0xff, 0xd3 }, 7, 1, 0 },       /* mov ebx; call ebx */
	{ { 0xe8, 0, 0, 0, 0, 0x5a }, 6, 0, 4 },             /* call to the next: pop edx */
};

static void put_target(struct fuzz_case *c, unsigned at, const struct transfer *t, unsigned end)
{
	uint32_t target = t->size ? c->len - end : c->eip + c->len;

	if (t->field)
		memcpy(c->bytes + at + t->field, &target, t->size ? t->size : 4);
}

void gen_transfer(struct generator *g, struct fuzz_case *c)
{
	struct transfer t = transfers[gen_next(g) % RF_ARRAY_SIZE(transfers)];
	unsigned at = c->len, cc = gen_next(g) & 15;

	if (world_code16(c->seg[X86_CS]) || c->nitems + 8 > CASE_MAX_ITEMS ||
	    c->len + 120 > CASE_MAX_BYTES)
		return;
	if (gen_one_in(g, 3))
		t = gen_one_in(g, 2) ? (struct transfer){ { 0x70 | cc }, 2, 1, 1 } :
				       (struct transfer){ { 0x0f, 0x80 | cc }, 6, 2, 4 };
	gen_item(c, t.bytes, t.len);
	for (unsigned n = gen_next(g) % 3; n; n--)
		gen_random(g, c);
	if (c->len - at - t.len < 120)
		put_target(c, at, &t, at + t.len);
}

/* A few rounds counted in memory, where hardly anything stores. */
void gen_loop(struct generator *g, struct fuzz_case *c)
{
	const uint32_t counter = BF_DATA + 0xe00 + (gen_next(g) & 0x7c);
	const uint8_t rounds = 2 + gen_next(g) % (gen_one_in(g, 16) ? 60 : 4);
	unsigned top;

	if (world_code16(c->seg[X86_CS]) || c->seg[X86_DS] != case_data(c) ||
	    c->nitems + 12 > CASE_MAX_ITEMS || c->len + 160 > CASE_MAX_BYTES)
		return;
	/* mov dword [counter], rounds */
	GEN_ITEM(c, 0xc7, 0x05, GEN_BYTES32(counter), rounds, 0, 0, 0);
	top = c->len;
	for (unsigned n = 1 + gen_next(g) % 3; n; n--) {
		if (gen_one_in(g, 4))
			gen_stack(g, c);
		else
			gen_random(g, c);
	}
	if (c->len - top > 110)
		return;
	/* dec; jnz */
	GEN_ITEM(c, 0xff, 0x0d, GEN_BYTES32(counter), 0x75, (uint8_t)(top - (c->len + 8)));
}

/* --- the stack --- */

void gen_stack(struct generator *g, struct fuzz_case *c)
{
	const unsigned reg = gen_next(g) & 7;

	if (world_code16(c->seg[X86_CS]))
		return;
	switch (gen_next(g) % 14) {
	case 0: GEN_ITEM(c, 0x50 | reg); break;
	case 1: GEN_ITEM(c, 0x58 | reg); break;
	case 2: GEN_ITEM(c, 0x66, 0x50 | reg); break;
	case 3: GEN_ITEM(c, 0x60); break;
	case 4: GEN_ITEM(c, 0x9c); break;
	case 5: GEN_ITEM(c, 0xff, 0x74, 0x24, gen_next(g) & 0x7c); break; /* push [esp+x] */
	case 6: GEN_ITEM(c, 0x8f, 0x44, 0x24, gen_next(g) & 0x7c); break; /* pop [esp+x] */
	case 7: GEN_ITEM(c, 0x61); break;
	case 8: GEN_ITEM(c, 0x8f, 0xc0 | reg); break;
	/* push segment */
	case 9:
		if (g->audience.unicorn)
			break;
		gen_clear_stack(c);
		GEN_ITEM(c, 0x06 | (gen_next(g) & 3) << 3);
		break;
	case 10:
		if (g->audience.unicorn)
			break;
		GEN_ITEM(c, 0xc8, gen_next(g) & 0x3c, 0, gen_one_in(g, 3) ? gen_next(g) & 31 : 0);
		break;
	/* mov ebp, esp; sub esp; leave */
	case 11: GEN_ITEM(c, 0x89, 0xe5, 0x83, 0xec, gen_next(g) & 0x3c, 0xc9); break;
	/* add or and esp */
	case 12: GEN_ITEM(c, 0x83, 0xc4 | (gen_next(g) & 8) << 2, (gen_next(g) & 0x1c)); break;
	case 13: GEN_ITEM(c, 0x66, 0x58 | reg); break;
	}
}

/* POPF with any flags; with TF each instruction from the next but one on traps. */
void gen_flags(struct generator *g, struct fuzz_case *c)
{
	uint32_t flags = gen_next(g) &
			 (X86_ARITH_FLAGS | X86_DF | X86_AC | X86_ID | X86_IOPL | X86_RF | X86_IF);

	if (!gen_one_in(g, 4))
		flags &= ~(X86_AC | X86_DF);
	if (!g->audience.host && !g->audience.unicorn && gen_one_in(g, 8))
		flags |= X86_NT;
	if (gen_one_in(g, 8) && !g->audience.unicorn)
		flags |= X86_TF;
	if (g->audience.unicorn || world_code16(c->seg[X86_CS]))
		return;
	GEN_ITEM(c, 0x68, GEN_BYTES32(flags));
	if (gen_one_in(g, 4))
		GEN_ITEM(c, 0x66, 0x9d);
	else
		GEN_ITEM(c, 0x9d);
}

/* --- segments --- */

uint16_t gen_selector(struct generator *g, const struct fuzz_case *c)
{
	unsigned n = gen_next(g) % (WORLD_SEGMENTS + 2);

	if (gen_one_in(g, 20))
		return gen_next(g) & 3;
	if (gen_one_in(g, 12))
		return GDT_SELECTOR(gen_next(g) % (GDT_ENTRIES + 1),
				    gen_one_in(g, 4) ? gen_next(g) & 3 : c->ring);
	return (LDT_SELECTOR(n) & ~3) |
	       (gen_one_in(g, 20) || case_is_supervisor(c) ? gen_next(g) & 3 : 3);
}

void gen_segment(struct generator *g, struct fuzz_case *c)
{
	static const uint8_t segs[] = { X86_FS, X86_GS, X86_ES, X86_DS, X86_FS, X86_GS, X86_SS };
	static const uint8_t pops[][2] = {
		{ 0x07 }, { 0x1f }, { 0x0f, 0xa1 }, { 0x0f, 0xa9 }, { 0x17 }
	};
	static const uint8_t fars[][2] = {
		{ 0xc4 }, { 0xc5 }, { 0x0f, 0xb2 }, { 0x0f, 0xb4 }, { 0x0f, 0xb5 }
	};
	const uint16_t selector = gen_selector(g, c);
	const uint8_t *op;

	if (g->audience.unicorn || world_code16(c->seg[X86_CS]))
		return;
	switch (gen_next(g) % 5) {
	case 0: case 1:
		GEN_ITEM(c, 0xb8, GEN_BYTES32((uint32_t)selector), 0x8e,
			 0xc0 | segs[gen_next(g) % RF_ARRAY_SIZE(segs)] << 3);
		break;
	case 2: case 3:
		op = pops[gen_next(g) % RF_ARRAY_SIZE(pops)];
		GEN_ITEM(c, 0x68, GEN_BYTES32((uint32_t)selector));
		gen_item(c, op, 1 + (op[0] == 0x0f));
		break;
	case 4: {
		/* push selector; push offset; LES and its kin edx, [esp] */
		uint8_t bytes[16] = { 0x68, GEN_BYTES32((uint32_t)selector), 0x68,
				      GEN_BYTES32(BF_DATA + (gen_next(g) & 0xff)) };
		unsigned n = 10;

		op = fars[gen_next(g) % RF_ARRAY_SIZE(fars)];
		bytes[n++] = 0x36;
		bytes[n++] = op[0];
		if (op[0] == 0x0f)
			bytes[n++] = op[1];
		bytes[n++] = 0x14;
		bytes[n++] = 0x24;
		gen_item(c, bytes, n);
		break;
	}
	}
}

/*
 * Far JMP, CALL, RETF and IRET to what follows, by way of any segment of the LDT: most are refused.
 */
void gen_far(struct generator *g, struct fuzz_case *c)
{
	static const uint8_t codes[] = { SEG_FLAT_CODE, SEG_FLAT_CODE, SEG_EXECUTE_ONLY,
					 SEG_BASED_CODE };
	const unsigned n = codes[gen_next(g) % RF_ARRAY_SIZE(codes)];
	uint32_t selector = gen_one_in(g, 4) ? gen_selector(g, c) :
			    c->ring == 3     ? LDT_SELECTOR(n) :
					       case_code(c),
		 target;
	uint32_t flags = (gen_next(g) & X86_ARITH_FLAGS) | X86_F1 | X86_IF |
			 (gen_one_in(g, 16) ? X86_TF : 0);
	uint8_t bytes[24];
	unsigned len = 0;

	if (world_code16(c->seg[X86_CS]) || c->len + 60 > CASE_MAX_BYTES)
		return;
	gen_clear_stack(c);
#define PUT(...) \
	({ \
		const uint8_t b_[] = { __VA_ARGS__ }; \
		memcpy(bytes + len, b_, sizeof(b_)); \
		len += sizeof(b_); \
	})
	target = world_base(c->seg[X86_CS]) + c->eip + c->len - world_base(selector);
	switch (gen_next(g) % 4) {
	case 0:
		target += 7;
		PUT(0xea, GEN_BYTES32(target), (uint8_t)selector, (uint8_t)(selector >> 8));
		break;
	case 1:
		target += 7;
		PUT(0x9a, GEN_BYTES32(target), (uint8_t)selector, (uint8_t)(selector >> 8));
		break;
	case 2:
		target += 11;
		PUT(0x68, GEN_BYTES32(selector), 0x68, GEN_BYTES32(target), 0xcb);
		break;
	case 3:
		target += 16;
		PUT(0x68, GEN_BYTES32(flags), 0x68, GEN_BYTES32(selector), 0x68,
		    GEN_BYTES32(target), 0xcf);
		break;
	}
#undef PUT
	gen_item(c, bytes, len);
}
