/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16-bit code, binary translation against the interpreter: random instructions in real mode, with
 * limits of 64 KiB and of 4 GiB, in virtual-8086 mode, and in 16-bit code segments of rings 0 and 3
 * with data segments of all kinds. Registers, flags, segments and memory must agree afterwards.
 * Offsets are mostly near the ends of what is allowed.
 *
 * RF_SEED and RF_CASES in the environment choose other cases.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bt_fixture.h"
#include "random_state.h"
#include "translator/disasm.h"
#include "translator/opcode_map.h"

#define MEMORY      0x120000u   /* compared: what real mode reaches */
#define CODE_BASE   0x40000u
#define HANDLERS    0x60000u    /* of real mode's interrupts */
#define MAX_BYTES   160
#define MAX_REPORTS 8
#define PATIENCE_MS 400

enum kind { REAL, UNREAL, V86, PROTECTED0, PROTECTED3, KINDS };

static struct random_source rng;
static struct bf *bt, *interp;
static uint8_t template[MEMORY];

static uint32_t rnd(void)
{
	return random_next(&rng);
}

static bool one_in(unsigned n)
{
	return rnd() % n == 0;
}

/* --- a case --- */

struct test_case {
	enum kind kind;
	bool paging;
	uint32_t eip, regs[8], eflags;
	struct segment seg[X86_NSEG];
	uint8_t bytes[MAX_BYTES + 16];
	unsigned len;
};

static void add(struct test_case *t, const void *bytes, unsigned len)
{
	if (t->len + len > MAX_BYTES)
		return;
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
}
#define ADD(t, ...) ({ const uint8_t b_[] = { __VA_ARGS__ }; add(t, b_, sizeof(b_)); })

/* An offset near an end of a segment, or of 64 KiB, or anywhere. */
static uint16_t rnd_offset(void)
{
	switch (rnd() % 6) {
	case 0: return rnd() % 20;
	case 1: return 0x10000 - rnd() % 20;
	case 2: return 0x6000 - 10 + rnd() % 20;
	default: return rnd();
	}
}

static uint32_t rnd_register(void)
{
	return rnd_offset() | (one_in(4) ? rnd() << 16 : 0);
}

/* Transfers, but for those made on purpose, and what stops or reprograms the machine. */
static bool usable(const struct insn *i)
{
	const uint32_t out = OPA_BRANCH | OPA_JUMP | OPA_CALL | OPA_RET | OPA_FAR | OPA_IO |
			     OPA_FPU | OPA_MMX | OPA_SSE;

	if (i->attr & out || (i->attr & OPA_PRIV && !one_in(20)) || i->prefixes & PFX_LOCK)
		return false;
	if (i->map == MAP_1BYTE)
		return i->opcode != 0xf4 && i->opcode != 0x9d &&
		       !(i->mem && (i->opcode & 0xfe) == 0x86) &&
		       !(i->opcode == 0xff && insn_reg(i) >= 2 && insn_reg(i) <= 5);
	if (i->map != MAP_0F)
		return false;
	return i->opcode >= 0x0a && !(i->opcode >= 0x20 && i->opcode <= 0x3f) &&
	       i->opcode != 0xae && i->opcode != 0xb2 && i->opcode != 0xaa && i->opcode != 0x0d &&
	       !(i->opcode >= 0xc8 && i->opcode <= 0xcf && i->op_size == 2);
}

static bool random_bytes(uint8_t *bytes, struct insn *i)
{
	static const uint8_t prefixes[] = { 0x66, 0x66, 0x67, 0x67, 0xf3, 0xf2,
					    0x64, 0x65, 0x26, 0x36, 0x3e, 0x2e };
	unsigned n = 0;

	for (unsigned p = 0; p < 2; p++) {
		if (one_in(4))
			bytes[n++] = prefixes[rnd() % RF_ARRAY_SIZE(prefixes)];
	}
	if (one_in(4))
		bytes[n++] = 0x0f;
	while (n < 16)
		bytes[n++] = rnd();
	return insn_decode(bytes, 15, false, i) == DECODE_OK && usable(i);
}

static void add_random(struct test_case *t)
{
	uint8_t bytes[16];
	struct insn i;

	while (!random_bytes(bytes, &i))
		;
	if (i.attr & OPA_STRING && i.prefixes & (PFX_REP | PFX_REPNE))
		ADD(t, 0x66, 0xb9, rnd() % 80, 0, 0, 0);
	if (i.mem && one_in(2)) { /* mov si, ...; mov bx, ... */
		const uint16_t a = rnd_offset(), b = one_in(2) ? 0 : rnd_offset();

		ADD(t, 0xb8 | (i.base == INSN_NO_REG ? 0 : i.base & 7), a, a >> 8);
		if (i.index != INSN_NO_REG)
			ADD(t, 0xb8 | (i.index & 7), b, b >> 8);
	}
	add(t, bytes, i.len);
}

static void add_stack(struct test_case *t)
{
	static const uint8_t ops[] = { 0x06, 0x0e, 0x16, 0x1e, 0x07, 0x1f, 0x60, 0x61, 0x9c, 0xc9 };

	const unsigned kind = rnd() % 6;

	if (kind != 4 && one_in(3))
		ADD(t, 0x66);
	switch (kind) {
	case 0: case 1: ADD(t, 0x50 | (rnd() & 15)); break;
	case 2: ADD(t, 0xff, 0xf0 | (rnd() & 7)); break;
	case 3: ADD(t, 0x6a, rnd()); break;
	case 4: ADD(t, 0xbc, rnd(), one_in(2) ? 0xff : 0); break; /* mov sp */
	default: ADD(t, ops[rnd() % RF_ARRAY_SIZE(ops)]); break;
	}
}

static void add_segment_load(struct test_case *t)
{
	static const uint8_t segs[] = { X86_ES, X86_DS, X86_FS, X86_GS, X86_SS };
	static const uint16_t selectors[] = { BF_UDATA, BF_BASED, BF_LIMITED, BF_EXPAND_DOWN, 0,
					      BF_READONLY, BF_STACK16, BF_KDATA };
	const unsigned seg = segs[rnd() % (one_in(8) ? 5 : 4)];
	uint16_t selector = selectors[rnd() % RF_ARRAY_SIZE(selectors)];

	if (t->kind <= V86)
		selector = 0x1000 + rnd() % 0x2800;
	ADD(t, 0xb8, selector, selector >> 8, 0x8e, 0xc0 | seg << 3);
}

static void add_string(struct test_case *t)
{
	static const uint8_t ops[] = { 0xa4, 0xa6, 0xaa, 0xac, 0xae };
	static const uint8_t repeats[] = { 0xf2, 0xf3 };
	const uint16_t si = rnd_offset(), di = rnd_offset();

	if (one_in(3))
		ADD(t, 0xfc | (rnd() & 1)); /* cld, std */
	if (one_in(2))
		ADD(t, 0xbe, si, si >> 8, 0xbf, di, di >> 8);
	if (one_in(3))
		ADD(t, 0x66, 0xb9, rnd() % 40, 0, 0, 0, repeats[rnd() & 1]);
	if (one_in(4))
		ADD(t, 0x66);
	if (one_in(4))
		ADD(t, 0x67);
	if (one_in(4))
		ADD(t, 0x26 | (rnd() & 3) << 3);
	ADD(t, ops[rnd() % RF_ARRAY_SIZE(ops)] | (rnd() & 1));
}

/* Some change nothing but what translated code changes in place. */
static void add_popf(struct test_case *t)
{
	const uint16_t all = rnd(), mine = all & (X86_ARITH_FLAGS | X86_IF | X86_DF),
		       flags = one_in(8) ? all : one_in(3) ? mine : mine & ~X86_DF;

	ADD(t, 0x68, flags, flags >> 8, 0x9d);
}

/* LES and its kin; a pointer whose selector is anything, or one that leaves the stack in place. */
static void add_load_far(struct test_case *t)
{
	static const uint8_t ops[] = { 0xb2, 0xb4, 0xb5 };
	const uint16_t at = rnd_offset();

	if (one_in(4))
		ADD(t, 0x66);
	if (one_in(2))
		ADD(t, 0xc4 | (rnd() & 1), 0x06 | (rnd() & 3) << 3, at, at >> 8);
	else
		ADD(t, 0x0f, ops[one_in(4) ? 0 : 1 + (rnd() & 1)],
		    0x06 | (rnd() & 3) << 3, at, at >> 8);
}

/* Forward, over a few instructions. */
static void add_transfer(struct test_case *t)
{
	const unsigned kind = rnd() % (t->kind <= V86 ? 17 : 11), reg = rnd() & 3;
	unsigned field, from;
	uint16_t target;

	if (t->len > MAX_BYTES - 80)
		return;
	field = 0;
	switch (kind) {
	case 0: ADD(t, 0xeb, 0); break;
	case 1: case 2: ADD(t, 0x70 | (rnd() & 15), 0); break;
	case 3: ADD(t, 0xe0 | (rnd() & 3), 0); break;
	case 4: ADD(t, 0x67, 0xe0 | (rnd() & 3), 0); break;
	case 5: ADD(t, 0xe8, 2, 0, 0xeb, 0); break;  /* call over a jump: what comes returns */
	case 6: ADD(t, 0x68, 0, 0); field = t->len - 2; ADD(t, 0xc3); break;
	case 7: ADD(t, 0xb8 | reg, 0, 0); field = t->len - 2; ADD(t, 0xff, 0xe0 | reg); break;
	case 8: ADD(t, 0xb8 | reg, 0, 0); field = t->len - 2; ADD(t, 0xff, 0xd0 | reg); break;
	case 9: ADD(t, 0x66, 0x68, 0, 0, 0, 0); field = t->len - 4; ADD(t, 0x66, 0xc3); break;
	case 10: ADD(t, 0x68, 0, 0); field = t->len - 2; ADD(t, 0xc2, rnd() & 6, 0); break;
	case 11: ADD(t, 0x0e, 0x68, 0, 0); field = t->len - 2; ADD(t, 0xcb); break;
	case 12: ADD(t, 0xea, 0, 0, CODE_BASE >> 4 & 0xff, CODE_BASE >> 12); field = t->len - 4;
		break;
	case 13: ADD(t, 0x9a, 0, 0, CODE_BASE >> 4 & 0xff, CODE_BASE >> 12); field = t->len - 4;
		break;
	case 14: ADD(t, 0x9c, 0x0e, 0x68, 0, 0); field = t->len - 2; ADD(t, 0xcf); break;
	/* push cs; push; mov bp, sp; jmp or call far [bp] */
	case 15: ADD(t, 0x0e, 0x68, 0, 0); field = t->len - 2; ADD(t, 0x89, 0xe5, 0xff, 0x6e, 0);
		break;
	case 16: ADD(t, 0x0e, 0x68, 0, 0); field = t->len - 2; ADD(t, 0x89, 0xe5, 0xff, 0x5e, 0);
		break;
	}
	from = t->len;
	if (one_in(2))
		add_random(t);
	if (one_in(2))
		ADD(t, 0x43);
	if (kind == 5)
		ADD(t, 0xc3);
	target = t->eip + t->len;
	if (field)
		memcpy(t->bytes + field, &target, 2);
	else
		t->bytes[from - 1] = t->len - from;
}

static void add_something(struct test_case *t)
{
	switch (rnd() % 16) {
	case 12: case 13: return add_string(t);
	case 14: return add_popf(t);
	case 15: return add_load_far(t);
	case 0: case 1: case 2: return add_stack(t);
	case 3: return add_segment_load(t);
	case 4: case 5: case 6: return add_transfer(t);
	case 7:
		if (one_in(4))
			ADD(t, 0xcd, 0x20 + (rnd() & 0x7f));
		return;
	default: return add_random(t);
	}
}

static struct segment real_segment(uint32_t paragraph, bool large)
{
	return (struct segment){ .selector = paragraph, .attr = 0x93, .base = paragraph << 4,
				 .limit = large ? 0xffffffff : 0xffff };
}

static struct segment protected_segment(unsigned cpl)
{
	static const uint32_t limits[] = { 0xffff, 0xffff, 0xfffe, 0x5fff, 0x1ffff, 0xffffffff, 0 };
	static const uint16_t kinds[] = { 0x93, 0x93, 0x93, 0x91, 0x97, 0x9b, 0x99, 0 };
	const uint16_t kind = kinds[rnd() % RF_ARRAY_SIZE(kinds)];

	return (struct segment){ .selector = cpl == 3 ? BF_UDATA : BF_KDATA,
				 .attr = kind ? kind | cpl << 5 : 0,
				 .base = 0x10000 + rnd() % 0x28000,
				 .limit = limits[rnd() % RF_ARRAY_SIZE(limits)] };
}

static unsigned cpl_of(const struct test_case *t)
{
	return t->kind == V86 || t->kind == PROTECTED3 ? 3 : 0;
}

static void generate_segments(struct test_case *t)
{
	const unsigned cpl = cpl_of(t);

	for (unsigned s = 0; s < X86_NSEG; s++) {
		if (t->kind <= V86)
			t->seg[s] = real_segment(one_in(8) ? 0xffff : 0x1000 + rnd() % 0x2800,
						 t->kind == UNREAL && one_in(2));
		else
			t->seg[s] = protected_segment(cpl);
		if (t->kind == V86)
			t->seg[s].attr = 0xf3;
	}
	if (t->kind > V86) {
		t->seg[X86_SS].attr = 0x93 | cpl << 5;
		t->seg[X86_CS] = (struct segment){ .selector = cpl == 3 ? BF_UCODE : BF_KCODE,
						   .attr = 0x9b | cpl << 5 };
	} else {
		t->seg[X86_CS].selector = CODE_BASE >> 4;
	}
	t->seg[X86_CS].base = CODE_BASE;
	t->seg[X86_CS].limit = one_in(8) && t->kind > V86 ? t->eip + 16 : 0xffff;
}

static void generate(struct test_case *t, uint64_t seed)
{
	unsigned count = 1 + rnd() % 12;

	random_seed(&rng, seed);
	*t = (struct test_case){ .kind = rnd() % KINDS, .eflags = X86_F1 };
	t->paging = t->kind >= V86 && one_in(2);
	t->eip = one_in(8) ? 0x10000 - 2 * count : rnd() % 0xf000;
	if (one_in(4))
		t->eip = (t->eip & 0xf000) + 0xff0;
	for (unsigned r = 0; r < 8; r++)
		t->regs[r] = rnd_register();
	if (one_in(2))
		t->regs[X86_ESP] = 0x4000;
	t->eflags |= rnd() & (X86_ARITH_FLAGS | X86_DF);
	if (t->kind == V86)
		t->eflags |= X86_VM | (one_in(2) ? X86_IOPL : 0);
	generate_segments(t);
	while (count--)
		add_something(t);
	memcpy(t->bytes + t->len, ((const uint8_t[]){ BF_STOP, 0xeb, 0xfe }), 4);
	t->len += 4;
}

/* --- execution and comparison --- */

/* Handlers of real mode: all that happens there is that the machine stops. */
static void write_handlers(uint8_t *memory)
{
	for (unsigned v = 0; v < 256; v++) {
		const uint16_t vector[2] = { 16 * v, HANDLERS >> 4 };

		memcpy(memory + 4 * v, vector, 4);
		memcpy(memory + HANDLERS + 16 * v, ((const uint8_t[]){ BF_STOP, 0xeb, 0xfe }), 4);
	}
}

static void fill_memory(struct bf *bf, const struct test_case *t)
{
	static uint8_t memory[MEMORY];

	memcpy(memory, template, MEMORY);
	for (unsigned n = 0; n < t->len; n++)
		memory[CODE_BASE + ((t->eip + n) & 0xffff)] = t->bytes[n];
	for (uint32_t page = 0; page < MEMORY; page += GUEST_PAGE_SIZE) {
		if (memcmp(bf->ram + page, memory + page, GUEST_PAGE_SIZE))
			bf_write(bf, page, memory + page, GUEST_PAGE_SIZE);
	}
}

static void prepare(struct bf *bf, const struct test_case *t)
{
	struct cpu *cpu = bf->cpu;

	bf_reset(bf, cpl_of(t), t->paging);
	fill_memory(bf, t);
	if (t->kind < V86) {
		cpu->cr0 &= ~CR0_PE;
		cpu->idtr = (struct table_register){ 0, 0x3ff };
	}
	memcpy(cpu->regs, t->regs, sizeof(cpu->regs));
	memcpy(cpu->seg, t->seg, sizeof(cpu->seg));
	cpu->eflags = t->eflags;
	cpu->eip = t->eip;
}

static char difference[256];

#define DIFFER(what, a, b) \
	do { \
		if ((a) != (b)) { \
			snprintf(difference, sizeof(difference), "%s: bt %llx, interp %llx", what, \
				 (unsigned long long)(a), (unsigned long long)(b)); \
			return difference; \
		} \
	} while (0)

static const char *compare_memory(void)
{
	if (!memcmp(bt->ram, interp->ram, BF_FREE))
		return NULL;
	for (uint32_t at = 0; at < BF_FREE; at++)
		DIFFER("a byte", bt->ram[at] | at << 8, interp->ram[at] | at << 8);
	return NULL;
}

static const char *compare(enum bf_outcome a, enum bf_outcome b)
{
	const struct cpu *x = bt->cpu, *y = interp->cpu;

	DIFFER("outcome", a, b);
	if (a == BF_TRIPLE_FAULT || a == BF_HUNG)
		return NULL;
	DIFFER("eip", x->eip, y->eip);
	for (unsigned r = 0; r < 8; r++)
		DIFFER("a register", x->regs[r], y->regs[r]);
	DIFFER("eflags", x->eflags, y->eflags);
	DIFFER("cr2", x->cr2, y->cr2);
	DIFFER("cpl", x->cpl, y->cpl);
	for (unsigned s = 0; s < X86_NSEG; s++) {
		DIFFER("a selector", x->seg[s].selector, y->seg[s].selector);
		DIFFER("a base", x->seg[s].base, y->seg[s].base);
		DIFFER("a limit", x->seg[s].limit, y->seg[s].limit);
	}
	return compare_memory();
}

static unsigned outcomes[BF_DEAD + 1];

static const char *run_both(const struct test_case *t, unsigned patience)
{
	enum bf_outcome a, b;
	int vector;

	bt->patience_ms = interp->patience_ms = patience;
	prepare(bt, t);
	prepare(interp, t);
	a = bf_run(bt, &vector);
	b = bf_run(interp, &vector);
	/* The host may have been busy elsewhere. */
	if ((a == BF_HUNG) != (b == BF_HUNG) && patience == PATIENCE_MS)
		return run_both(t, 16 * patience);
	outcomes[a]++;
	return compare(a, b);
}

static void report(const struct test_case *t, uint64_t seed, const char *what)
{
	static const char *const kinds[] = { "real", "unreal", "v86", "ring 0", "ring 3" };
	struct disasm *disasm;

	fprintf(stderr, "RF_SEED=0x%llx RF_CASES=1: %s; %s, paging %d, bt eip %x, interp %x\n",
		(unsigned long long)seed, what, kinds[t->kind], t->paging, bt->cpu->eip,
		interp->cpu->eip);
	for (unsigned r = 0; r < 8; r++)
		fprintf(stderr, "%08x ", t->regs[r]);
	fprintf(stderr, "fl %x\n", t->eflags);
	for (unsigned s = 0; s < X86_NSEG; s++)
		fprintf(stderr, "%04x %08x %08x %04x; ", t->seg[s].selector, t->seg[s].base,
			t->seg[s].limit, t->seg[s].attr);
	fprintf(stderr, "\n");
	if (disasm_create(&disasm))
		return;
	for (unsigned n = 0; n < t->len;) {
		struct insn i;
		char text[96];

		if (insn_decode(t->bytes + n, t->len - n, false, &i) != DECODE_OK)
			break;
		disasm_format(disasm, DISASM_16, t->bytes + n, i.len, t->eip + n, text,
			      sizeof(text));
		fprintf(stderr, "  %x: %s\n", t->eip + n, text);
		n += i.len;
	}
	disasm_destroy(disasm);
}

static unsigned long long from_environment(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/*
 * Where a case gets lost in it, it does not halt, and there is no x87 instruction whose address an
 * image could show.
 */
static void fill_template(void)
{
	random_seed(&rng, 1);
	random_fill(&rng, template, sizeof(template));
	for (uint32_t at = 0; at < sizeof(template); at++) {
		if (template[at] == 0xf4 || (template[at] & 0xf8) == 0xd8)
			template[at] = 0x90;
	}
}

static void run_cases(const char *options, uint64_t salt, unsigned share)
{
	const uint64_t first = from_environment("RF_SEED", salt);
	const unsigned cases = from_environment("RF_CASES", share);
	unsigned reports = 0;
	long translated;

	bt = bf_create("bt", options);
	interp = bf_create("interp", NULL);
	fill_template();
	write_handlers(template);
	for (unsigned n = 0; n < cases && reports < MAX_REPORTS; n++) {
		struct test_case t;
		const char *what;

		generate(&t, first + n);
		what = run_both(&t, PATIENCE_MS);
		if (!what)
			continue;
		report(&t, first + n, what);
		reports++;
	}
	translated = bf_stat(bt, "dispatcher", "entries");
	cr_expect_eq(reports, 0, "%u cases differ (see above)", reports);
	cr_log_info("%u cases: %u stopped, %u exceptions, %u triple faults, %u hung", cases,
		    outcomes[BF_STOPPED], outcomes[BF_EXCEPTION], outcomes[BF_TRIPLE_FAULT],
		    outcomes[BF_HUNG]);
	cr_expect_leq(outcomes[BF_HUNG], 3 + cases / 200);
	cr_expect_geq(translated, cases / 2, "hardly any case is translated");
	bf_destroy(bt);
	bf_destroy(interp);
}

TestSuite(bt_differential_16, .timeout = 300);

Test(bt_differential_16, plain)
{
	run_cases(NULL, 1000000, 10000);
}

Test(bt_differential_16, one_instruction_units)
{
	run_cases("tu-insns=1", 3000000, 4000);
}

Test(bt_differential_16, no_links)
{
	run_cases("links=off,cache-kib=256", 4000000, 4000);
}

Test(bt_differential_16, without_bmi2)
{
	run_cases("host=-bmi2", 6000000, 4000);
}
