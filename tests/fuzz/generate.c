/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: the list of forms made from the opcode map, random instructions from it, the initial
 * state, sequences.
 *
 * Every form (map, opcode, mandatory prefix, ModRM.reg, memory or register; each ModRM byte of
 * x87's register forms) has its turn; addressing modes, further prefixes, immediates and the state
 * are random.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "generate.h"
#include "tests/leeway.h"

#define MAX_FORMS 24000u
#define MAX_TRIES 64u /* for a form that fits the case */

/* --- what must not be in a case --- */

/*
 * The interpreter and the translator are alone with these: what they read belongs to the machine,
 * or changes by itself.
 */
static bool allowed_0f(const struct generator *g, const struct insn *i)
{
	const bool host = g->audience.host || g->audience.unicorn;

	switch (i->opcode) {
	case 0x00:
		return !host || insn_reg(i) == 4 || insn_reg(i) == 5; /* VERR, VERW */
	case 0x05: case 0x07: case 0x34: case 0x35: case 0xa2:
		return !host;
	case 0x01:
		return !host && i->mem && insn_reg(i) != 2 && insn_reg(i) != 3 && insn_reg(i) != 6;
	case 0x0d:
		return i->mem; /* AMD has PREFETCHW of memory only */
	case 0x20 ... 0x26: case 0x30 ... 0x33:
		return false;
	case 0xae:
		return !i->mem || insn_reg(i) <= 3 || insn_reg(i) == 7;
	case 0xbc: case 0xbd:
		/* TZCNT, which is not offered; LZCNT, which not all of them have */
		return !(host && i->prefixes & PFX_REP);
	case 0xc8 ... 0xcf:
		return i->op_size == 4; /* BSWAP of 16 bits is undefined */
	default:
		return true;
	}
}

/* Where Unicorn 2.0 is wrong, so that it is not asked. */
static const struct {
	uint32_t attr;                /* any of these; or, if 0, the opcodes */
	uint8_t map, first, last;
	const char *because;
} unicorn_wrong[] = {
	{ OPA_SSE, .because = "sets no flags in MXCSR (SDM vol. 1, 10.2.3), approximates "
			      "differently (vol. 2, RCPPS, RSQRTPS)" },
	{ OPA_MMX, .because = "does not set the exponents of MMX registers (vol. 1, 9.2)" },
	{ OPA_FPU, .because = "is told of x87 registers by its own numbering; FPREM, FSIN and "
			      "their kin differ (vol. 1, 8.3.10)" },
	{ OPA_SEG_LOAD | OPA_SYSTEM | OPA_FAR | OPA_INT | OPA_PRIV | OPA_IO,
	  .because = "is set up without descriptor tables" },
	{ 0, MAP_1BYTE, 0xc8, 0xc8,
	  "does not probe the new top of the stack, and writes all of EBP with an operand size of "
	  "16 (vol. 2, ENTER)" },
	{ 0, MAP_0F, 0x00, 0x03, "is set up without descriptor tables" },
	{ 0, MAP_0F, 0xae, 0xae, "does not access memory for CLFLUSH (vol. 2, CLFLUSH)" },
};

static bool for_unicorn(const struct insn *i)
{
	for (unsigned n = 0; n < RF_ARRAY_SIZE(unicorn_wrong); n++)
		if (unicorn_wrong[n].attr ?
			    i->attr & unicorn_wrong[n].attr :
			    i->map == unicorn_wrong[n].map && i->opcode >= unicorn_wrong[n].first &&
				    i->opcode <= unicorn_wrong[n].last)
			return false;
	/*
	 * It takes LOCK where it is #UD (SDM vol. 2, LOCK), and as it is set up, lets code segments
	 * be written.
	 */
	return !(i->prefixes & PFX_LOCK) && i->seg != X86_CS;
}

/*
 * Where processors of different makes give results of their own: approximations (SDM vol. 2, RCPPS,
 * RSQRTPS), transcendental x87 instructions (vol. 1, 8.3.10), MXCSR bits that only some have (vol.
 * 1, 11.6.6).
 */
static bool same_on_others(const struct insn *i)
{
	/* D9 F0 + n */
	static const uint16_t transcendental = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 |
					       1 << 11 | 1 << 14 | 1 << 15;

	if (i->map == MAP_0F && (i->opcode == 0x52 || i->opcode == 0x53))
		return false;
	if (i->map == MAP_0F && i->opcode == 0xae && i->mem &&
	    (insn_reg(i) == 1 || insn_reg(i) == 2))
		return false;
	return !(i->map == MAP_1BYTE && i->opcode == 0xd9 && !i->mem && i->modrm >= 0xf0 &&
		 transcendental >> (i->modrm & 15) & 1);
}

/*
 * SHLD and SHRD of 16 bits by more than 16: the result is undefined (SDM vol. 2), and AMD's is
 * other than Intel's and Unicorn's.
 */
static bool shifts_too_far(const struct insn *i)
{
	return i->map == MAP_0F && (i->opcode & 0xf6) == 0xa4 && i->op_size == 2 &&
	       (!i->imm_size || (i->imm & 31) > 16);
}

bool gen_allowed(const struct generator *g, const struct insn *i)
{
	const bool host = g->audience.host || g->audience.unicorn;

	if ((g->audience.others || g->audience.unicorn) && shifts_too_far(i))
		return false;
	if (g->audience.others && !same_on_others(i))
		return false;
	if (g->audience.unicorn && !for_unicorn(i))
		return false;
	if (i->map == MAP_0F && !allowed_0f(g, i))
		return false;
	if (i->map != MAP_1BYTE)
		return true;
	if (i->opcode == 0xcd && host)
		return i->imm != 0x80;
	return i->opcode != 0xf4;
}

/* --- forms --- */

static void try_form(struct generator *g, struct form form, uint8_t modrm)
{
	uint8_t bytes[16] = { 0 };
	unsigned n = 0;
	struct insn i;

	if (form.prefix)
		bytes[n++] = form.prefix;
	if (form.map)
		bytes[n++] = 0x0f;
	if (form.map > MAP_0F)
		bytes[n++] = form.map == MAP_0F38 ? 0x38 : 0x3a;
	bytes[n++] = form.opcode;
	bytes[n] = modrm;
	if (insn_decode(bytes, 15, true, &i) != DECODE_OK || i.map != form.map ||
	    i.opcode != form.opcode || !gen_allowed(g, &i))
		return;
	/* A prefix that selects nothing is left to chance. */
	if (form.prefix && i.sse_prefix != form.prefix && !(i.attr & OPA_STRING))
		return;
	if (form.prefix == 0x66 && i.attr & OPA_STRING)
		return;
	form.modrm = form.fixed ? modrm : modrm & 0x38;
	if (g->nforms < MAX_FORMS)
		g->forms[g->nforms++] = form;
}

static void add_forms(struct generator *g, enum insn_map map, unsigned opcode, uint8_t prefix)
{
	const struct opcode_info *entry = opcode_entry(map, opcode);
	struct form form = { .map = map, .opcode = opcode, .prefix = prefix };

	if (!entry || !(entry->attr & OPA_VALID))
		return;
	form.has_modrm = entry->attr & OPA_MODRM;
	if (!form.has_modrm) {
		try_form(g, form, 0);
		return;
	}
	for (unsigned reg = 0; reg < 8; reg++) {
		form.mem = true;
		try_form(g, form, reg << 3);
		form.mem = false;
		form.fixed = entry->attr & OPA_FPU;
		for (unsigned rm = 0; rm < (form.fixed ? 8 : 1); rm++)
			try_form(g, form, 0xc0 | reg << 3 | rm);
		form.fixed = false;
	}
}

int generator_create(struct generator *g, const struct audience *audience)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };

	memset(g, 0, sizeof(*g));
	g->audience = *audience;
	g->forms = malloc(MAX_FORMS * sizeof(g->forms[0]));
	if (!g->forms)
		return -ENOMEM;
	for (unsigned map = MAP_1BYTE; map <= MAP_0F3A; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++)
			for (unsigned p = 0; p < RF_ARRAY_SIZE(prefixes); p++)
				add_forms(g, map, opcode, prefixes[p]);
	return g->nforms ? 0 : -EINVAL;
}

void generator_destroy(struct generator *g)
{
	free(g->forms);
}

/* --- instructions --- */

void gen_item(struct fuzz_case *c, const void *bytes, unsigned len)
{
	if (c->nitems >= CASE_MAX_ITEMS || c->len + len > CASE_MAX_BYTES)
		return;
	memcpy(c->bytes + c->len, bytes, len);
	c->len += len;
	c->offset[++c->nitems] = c->len;
}

void gen_register(struct fuzz_case *c, unsigned reg, uint32_t value)
{
	const uint8_t mov[] = { 0x66, 0xb8 | reg, GEN_BYTES32(value) };
	const bool code16 = world_code16(c->seg[X86_CS]);

	if (!c->nitems)
		c->regs[reg] = value;
	else
		gen_item(c, mov + !code16, sizeof(mov) - !code16);
}

/* Prefixes beside the form's own, in any order, some twice. */
static unsigned put_prefixes(struct generator *g, const struct form *form, uint8_t *bytes)
{
	static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65 };
	unsigned n = 0, at;
	uint8_t swap;

	if (form->prefix)
		bytes[n++] = form->prefix;
	if (gen_one_in(g, form->map == MAP_1BYTE ? 4 : 12))
		bytes[n++] = 0x66;
	if (gen_one_in(g, 8))
		bytes[n++] = 0x67;
	if (gen_one_in(g, 5))
		bytes[n++] = segments[gen_next(g) % RF_ARRAY_SIZE(segments)];
	if (gen_one_in(g, 40))
		bytes[n++] = segments[gen_next(g) % RF_ARRAY_SIZE(segments)];
	/*
	 * Of F2 and F3 together processors take the last; Unicorn differs, and the manual has one
	 * of a group only (vol. 2, 2.1.1).
	 */
	if (gen_one_in(g, 20) && !(g->audience.unicorn && form->prefix))
		bytes[n++] = gen_one_in(g, 2) ? 0xf3 : 0xf2;
	if (gen_one_in(g, 12))
		bytes[n++] = 0xf0;
	if (n && gen_one_in(g, 16))
		bytes[n] = bytes[gen_next(g) % n], n++;
	if (n < 2)
		return n;
	at = gen_next(g) % n;
	swap = bytes[at];
	bytes[at] = bytes[0];
	bytes[0] = swap;
	return n;
}

/*
 * A LOCK prefix that does not belong is #UD everywhere; other undefined encodings may mean
 * something to the host.
 */
static bool locked_wrongly(const uint8_t *bytes, bool code32)
{
	uint8_t copy[16];
	unsigned n = 0;
	struct insn i;

	for (unsigned k = 0; k < 15; k++)
		if (bytes[k] != 0xf0)
			copy[n++] = bytes[k];
	memset(copy + n, 0, sizeof(copy) - n);
	return n < 15 && insn_decode(copy, 15, code32, &i) == DECODE_OK;
}

static bool put_form(struct generator *g, const struct form *form, bool code32, uint8_t *bytes,
		     struct insn *i)
{
	unsigned n = put_prefixes(g, form, bytes);
	enum decode_result result;
	uint32_t value;

	if (form->map)
		bytes[n++] = 0x0f;
	if (form->map > MAP_0F)
		bytes[n++] = form->map == MAP_0F38 ? 0x38 : 0x3a;
	bytes[n++] = form->opcode;
	if (form->fixed)
		bytes[n++] = form->modrm;
	else if (form->has_modrm)
		bytes[n++] = form->modrm | (form->mem ? (gen_next(g) % 3) << 6 : 0xc0) |
			     (gen_next(g) & 7);
	if (form->has_modrm && form->mem)
		bytes[n++] = gen_next(g); /* SIB, if there is one */
	while (n < 24) {
		value = random_value(&g->random);
		memcpy(bytes + n, &value, 4);
		n += 4;
	}
	result = insn_decode(bytes, 15, code32, i);
	return (result == DECODE_OK && gen_allowed(g, i) &&
		i->mem == (form->mem && form->has_modrm)) ||
	       (result == DECODE_UNDEFINED && !g->audience.unicorn &&
		locked_wrongly(bytes, code32));
}

/* Near branches: to what follows, or out of the code, but not to where a loop could come from. */
static void bound_branch(struct generator *g, const struct fuzz_case *c, const struct insn *i,
			 uint8_t *bytes)
{
	uint8_t *rel = bytes + i->len - i->imm_size;
	uint32_t value = gen_one_in(g, 3) && i->imm_size > 1 ? 0x20000 + (gen_next(g) & 0xffffff) :
							       0;

	if (i->attr & (OPA_BRANCH | OPA_JUMP | OPA_CALL) && !(i->attr & (OPA_INDIRECT | OPA_FAR)))
		memcpy(rel, &value, i->imm_size);
}

/* What Unicorn or another processor may make other flags of, whatever count CL holds. */
static bool ends_in_undefined_flags(const struct insn *i)
{
	static const uint32_t some[8] = { [X86_ECX] = 2 }, many[8] = { [X86_ECX] = 31 };

	return leeway_flags(i, some) || leeway_flags(i, many);
}

void gen_clear_stack(struct fuzz_case *c)
{
	/* push 0; push 0; lea esp, [esp+8] */
	if (world_code16(c->seg[X86_CS]))
		return;
	GEN_ITEM(c, 0x6a, 0, 0x6a, 0, 0x8d, 0x64, 0x24, 8);
}

static bool has_other_judges(const struct generator *g)
{
	return g->audience.host || g->audience.unicorn || g->audience.others;
}

static void add_form(struct generator *g, struct fuzz_case *c, const struct form *form)
{
	/*
	 * Flags that are undefined and not the same everywhere do not go on into the sequence: CMP
	 * AL, imm8.
	 */
	const uint8_t define[] = { 0x3c, 0x55 };
	const bool code32 = !world_code16(c->seg[X86_CS]);
	uint8_t bytes[32];
	struct insn i;

	unsigned tries = 0;
	bool good;

	do {
		memset(&i, 0, sizeof(i));
		good = put_form(g, form, code32, bytes, &i) &&
		       !(!code32 && g->audience.host && leeway_pushes_selector(&i)) &&
		       !(!c->single && has_other_judges(g) && leeway_shows_pointers(&i));
	} while (!good && ++tries < MAX_TRIES);
	if (!good)
		return;
	if (i.len == 0)
		i.len = 1;
	if (g->audience.host && leeway_pushes_selector(&i))
		gen_clear_stack(c);
	generate_operand(g, c, &i, bytes);
	generate_field(g, c, bytes);
	bound_branch(g, c, &i, bytes);
	if (!c->single &&
	    (leeway_flags_by_hand(&i) ||
	     ((g->audience.unicorn || g->audience.others) && ends_in_undefined_flags(&i)))) {
		memcpy(bytes + i.len, define, sizeof(define));
		gen_item(c, bytes, i.len + sizeof(define));
		return;
	}
	gen_item(c, bytes, i.len);
}

void gen_random(struct generator *g, struct fuzz_case *c)
{
	const struct form *form = &g->forms[gen_next(g) % g->nforms];

	/* x87 has a form for each ModRM byte: not half of all instructions. */
	if (form->fixed && !gen_one_in(g, 4))
		form = &g->forms[gen_next(g) % g->nforms];
	/* What ends a sequence at once is rarely worth it. */
	while (opcode_entry(form->map, form->opcode)->attr &
		       (OPA_FAR | OPA_RET | OPA_JUMP | OPA_CALL | OPA_BRANCH | OPA_PRIV | OPA_IO) &&
	       !gen_one_in(g, 40))
		form = &g->forms[gen_next(g) % g->nforms];
	add_form(g, c, form);
}

/* --- the state --- */

static void choose_segments(struct generator *g, struct fuzz_case *c)
{
	static const uint8_t data[] = { SEG_BASED, SEG_LIMITED, SEG_DOWN,      SEG_READONLY,
					SEG_HIGH,  SEG_DATA64K, SEG_FLAT_CODE, SEG_DOWN16 };
	static const uint8_t code[] = { SEG_CODE16, SEG_CODE16, SEG_BASED_CODE, SEG_EXECUTE_ONLY };
	static const uint8_t stacks[] = { SEG_STACK16, SEG_BASED_STACK, SEG_BASED, SEG_LIMITED,
					  SEG_DOWN };
	static const uint8_t loadable[] = { SEG_FLAT_DATA, SEG_BASED, SEG_LIMITED, SEG_DOWN,
					    SEG_READONLY,  SEG_HIGH,  SEG_DATA64K, SEG_STACK16 };

	for (unsigned s = 0; s < X86_NSEG; s++)
		c->seg[s] = case_data(c);
	c->seg[X86_CS] = case_code(c);
	c->seg[X86_FS] = gen_one_in(g, 6) ?
				 0 :
				 LDT_SELECTOR(loadable[gen_next(g) % RF_ARRAY_SIZE(loadable)]);
	c->seg[X86_GS] = gen_one_in(g, 6) ?
				 0 :
				 LDT_SELECTOR(loadable[gen_next(g) % RF_ARRAY_SIZE(loadable)]);
	if (g->audience.unicorn) {
		c->seg[X86_FS] = c->seg[X86_GS] = LDT_SELECTOR(SEG_FLAT_DATA);
		return;
	}
	if (gen_one_in(g, 5))
		c->seg[gen_one_in(g, 2) ? X86_DS : X86_ES] =
			gen_one_in(g, 10) ? 0 :
					    LDT_SELECTOR(data[gen_next(g) % RF_ARRAY_SIZE(data)]);
	if (g->audience.code16) {
		c->seg[X86_CS] = LDT_SELECTOR(SEG_CODE16);
		if (!gen_one_in(g, 8))
			c->seg[X86_SS] = LDT_SELECTOR(SEG_STACK16);
	} else if (c->ring == 3 && gen_one_in(g, 12))
		c->seg[X86_CS] = LDT_SELECTOR(code[gen_next(g) % RF_ARRAY_SIZE(code)]);
	if (c->ring == 3 && gen_one_in(g, 20))
		c->seg[X86_SS] = LDT_SELECTOR(stacks[gen_next(g) % RF_ARRAY_SIZE(stacks)]);
	/* 16-bit addresses reach nothing through flat segments. */
	if (world_code16(c->seg[X86_CS]) && gen_one_in(g, 2))
		c->seg[X86_DS] = c->seg[X86_ES] = LDT_SELECTOR(SEG_DATA64K);
}

static void choose_state(struct generator *g, struct fuzz_case *c, bool kernel)
{
	uint32_t stack, start;

	memset(c, 0, offsetof(struct fuzz_case, bytes));
	c->ring = !kernel ? 3 : gen_one_in(g, 3) ? 1 + (gen_next(g) & 1) : 0;
	c->no_fpu = !g->audience.host && !g->audience.unicorn && gen_one_in(g, 40);
	choose_segments(g, c);
	for (unsigned r = 0; r < 8; r++)
		c->regs[r] = random_value(&g->random);
	stack = BF_DATA + (gen_one_in(g, 8) ?
				   GUEST_PAGE_SIZE * (gen_next(g) & 15) + (gen_next(g) & 0x1c) :
				   0x2800 + (gen_next(g) & 0x7c));
	if (gen_one_in(g, 32))
		stack += gen_next(g) & 3;
	c->regs[X86_ESP] = stack - world_base(c->seg[X86_SS]);
	/*
	 * Returning to 16-bit stacks, processors and systems leave ESP's upper half as they like:
	 * it is made what the host leaves.
	 */
	if (c->seg[X86_SS] == LDT_SELECTOR(SEG_STACK16))
		c->regs[X86_ESP] = (c->regs[X86_ESP] & 0xffff) | HOST_ESP_UPPER;
	c->eflags = (gen_next(g) & (X86_ARITH_FLAGS | (gen_one_in(g, 4) ? X86_DF : 0) |
				    (gen_one_in(g, 4) ? X86_ID : 0))) |
		    X86_F1 | X86_IF;
	if (!g->audience.unicorn && gen_one_in(g, 32))
		c->eflags |= X86_AC;
	if (!g->audience.host && !g->audience.unicorn && gen_one_in(g, 8))
		c->eflags |= gen_next(g) & X86_IOPL;
	if (!g->audience.unicorn && gen_one_in(g, 64))
		c->eflags |= X86_TF;
	start = BF_CODE + gen_next(g) % (BF_CODE_SIZE / GUEST_PAGE_SIZE - 1) * GUEST_PAGE_SIZE;
	start += gen_one_in(g, 4) ? GUEST_PAGE_SIZE - gen_next(g) % 24 : gen_next(g) % 0xe00;
	c->eip = start - world_base(c->seg[X86_CS]);
	random_fpu(&g->random, &c->fpu, gen_one_in(g, 4), gen_one_in(g, 6));
}

/* Code that ends exactly at the region's end: the next byte is in a page that is absent. */
static void move_to_the_end(struct generator *g, struct fuzz_case *c)
{
	unsigned cut = gen_one_in(g, 2) ? 0 : gen_next(g) % c->len;

	c->len -= cut;
	c->eip = BF_CODE + BF_CODE_SIZE - c->len - world_base(c->seg[X86_CS]);
}

void generate_single(struct generator *g, struct fuzz_case *c, bool kernel, unsigned n,
		     uint64_t seed)
{
	random_seed(&g->random, seed);
	choose_state(g, c, kernel);
	c->seed = seed;
	c->single = true;
	add_form(g, c, &g->forms[n % g->nforms]);
	if (!c->nitems)
		GEN_ITEM(c, 0x90);
	/* Unicorn aborts there. */
	if (gen_one_in(g, 50) && !g->audience.unicorn)
		move_to_the_end(g, c);
}

static void add_something(struct generator *g, struct fuzz_case *c)
{
	switch (gen_next(g) % 32) {
	case 0: case 1:         gen_stack(g, c); break;
	case 2: case 3: case 4: gen_transfer(g, c); break;
	case 5:                 gen_loop(g, c); break;
	case 6:                 gen_segment(g, c); break;
	case 7:                 gen_flags(g, c); break;
	case 8:                 if (gen_one_in(g, 2) && !g->audience.unicorn) gen_far(g, c); break;
	default:                gen_random(g, c); break;
	}
}

void generate_sequence(struct generator *g, struct fuzz_case *c, bool kernel, uint64_t seed)
{
	unsigned count;

	random_seed(&g->random, seed);
	choose_state(g, c, kernel);
	c->seed = seed;
	for (count = 2 + gen_next(g) % 12; count; count--)
		add_something(g, c);
	if (c->len == 0)
		GEN_ITEM(c, 0x90);
}

void generate_memory(uint64_t seed, struct memory *memory)
{
	struct random_source random;

	random_seed(&random, seed);
	random_fill(&random, memory->region[REGION_LOW], REGION_SIZE);
	/*
	 * Jumps that are cut to 16 bits lead there: INT3 in every other line, so that random data
	 * do not run on for long.
	 */
	for (uint32_t at = 16; at < REGION_SIZE; at += 32)
		memset(memory->region[REGION_LOW] + at, 0xcc, 16);
	random_fill(&random, memory->region[REGION_DATA], REGION_SIZE);
	memset(memory->region[REGION_CODE], 0xcc, REGION_SIZE);
}
