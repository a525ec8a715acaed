/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Binary translation against the interpreter: random instruction sequences executed by both from
 * the same state; registers, flags, segments, FPU, memory, and the exception that ended it (with
 * its frame and CR2) must agree.
 *
 * RF_SEED and RF_CASES in the environment choose other cases. A failing case is reduced first:
 * instructions that do not matter become NOPs; what is printed is the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bt_fixture.h"
#include "leeway.h"
#include "random_state.h"
#include "translator/disasm.h"
#include "translator/opcode_map.h"

#define MAX_ITEMS 48
#define MAX_BYTES 400
#define MAX_REPORTS 12
#define PATIENCE_MS 1500

/* --- random numbers --- */

static struct random_source rng;

static uint32_t rnd(void)
{
	return random_next(&rng);
}

static bool one_in(unsigned n)
{
	return rnd() % n == 0;
}

/* Where operands go: anywhere in the data, half of them around the end of a page. */
static uint32_t rnd_target(void)
{
	uint32_t page = BF_DATA + rnd() % 15 * GUEST_PAGE_SIZE;

	return one_in(2) ? page + GUEST_PAGE_SIZE - 20 + rnd() % 24 : page + (rnd() & 0xff0);
}

/* --- a case --- */

struct test_case {
	uint64_t seed;
	unsigned cpl;
	bool paging, fpu_off;
	uint32_t start;       /* of the code */
	uint32_t regs[8], eflags;
	uint16_t seg[X86_NSEG];
	struct fxsave_image fpu;
	uint8_t bytes[MAX_BYTES];
	unsigned len;
	/* Instructions, for reduction and reports. */
	unsigned offset[MAX_ITEMS + 1], nitems;
	uint8_t target[MAX_ITEMS]; /* an item must stay: it is jumped over or pairs with another */
};

static void add_item(struct test_case *t, const void *bytes, unsigned len)
{
	if (t->nitems >= MAX_ITEMS || t->len + len + 2 > MAX_BYTES)
		return;
	t->offset[t->nitems++] = t->len;
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
	t->offset[t->nitems] = t->len;
}
#define ADD(t, ...) ({ const uint8_t b_[] = { __VA_ARGS__ }; add_item(t, b_, sizeof(b_)); })
#define BYTES32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

static void add_mov_imm(struct test_case *t, unsigned reg, uint32_t value)
{
	ADD(t, 0xb8 | reg, BYTES32(value));
}

/* XCHG locks without a prefix too. */
static bool is_locked(const struct insn *i)
{
	return i->prefixes & PFX_LOCK ||
	       (i->mem && i->map == MAP_1BYTE && (i->opcode & 0xfe) == 0x86);
}

/*
 * Left out: transfers (made on purpose below), what stops or reprograms the machine, and images
 * holding host addresses.
 */
static bool usable(const struct insn *i)
{
	if (i->attr & (OPA_BRANCH | OPA_JUMP | OPA_CALL | OPA_RET | OPA_FAR | OPA_IO) ||
	    (i->attr & OPA_PRIV && !one_in(20)))
		return false;
	if (i->map == MAP_1BYTE &&
	    (i->opcode == 0xf4 || (i->opcode == 0xff && insn_reg(i) >= 2 && insn_reg(i) <= 5) ||
	     i->opcode == 0x9d || i->opcode == 0x17 || i->opcode == 0xfb))
		return false;
	if (i->map == MAP_1BYTE && i->opcode == 0x8e && insn_reg(i) == X86_SS)
		return false;
	if (i->map == MAP_0F && (i->opcode < 0x0a || (i->opcode >= 0x20 && i->opcode <= 0x26) ||
				 (i->opcode >= 0x30 && i->opcode <= 0x37) || i->opcode == 0xb2 ||
				 i->opcode == 0xaa || i->opcode == 0x0d))
		return false;
	/* FLDENV and friends, FXSAVE. */
	if ((i->attr & OPA_FPU && i->mem && i->mem_size > 10) ||
	    (i->map == MAP_0F && i->opcode == 0xae && i->mem && insn_reg(i) != 7 &&
	     insn_reg(i) != 3))
		return false;
	/* Locked accesses shall be aligned (aim32()), which this form leaves no choice of. */
	if (is_locked(i) && i->mem && i->index == i->base)
		return false;
	/* BSWAP of 16 bits is undefined. */
	return !(i->map == MAP_0F && i->opcode >= 0xc8 && i->opcode <= 0xcf && i->op_size == 2);
}

/*
 * Loads the registers of the memory operand so that it lands on target; changes an absolute
 * displacement.
 */
static void aim32(struct test_case *t, const struct insn *i, uint8_t *bytes)
{
	unsigned modrm_end = i->opcode_offset + 2 + i->has_sib;
	uint32_t target = rnd_target(), index_value = 0;

	/*
	 * A locked access over two cache lines stops every processor of the host, who may make its
	 * author wait for long.
	 */
	if (is_locked(i))
		target &= ~7u;

	if (!(i->prefixes & PFX_SEG) && t->seg[i->seg] == BF_BASED)
		target -= BF_DATA + 0x2000;
	if (i->index != INSN_NO_REG && i->index != i->base) {
		index_value = one_in(3) ? random_value(&rng) : rnd() & 0xff;
		if (i->base == INSN_NO_REG && i->disp_size == 4) {
			target -= index_value << i->scale;
			memcpy(bytes + modrm_end, &target, 4);
		}
		add_mov_imm(t, i->index, index_value);
	}
	if (i->base == INSN_NO_REG) {
		if (i->index == INSN_NO_REG && i->disp_size == 4)
			memcpy(bytes + modrm_end, &target, 4);
	} else if (i->base != X86_ESP) {
		if (i->disp_size == 4 && one_in(2)) {
			uint32_t small = rnd() % 512 - 256;

			memcpy(bytes + modrm_end, &small, 4);
			target -= small;
		} else {
			target -= i->disp;
		}
		target -= index_value << i->scale;
		if (i->index == i->base)
			target = (target + i->disp) / (1 + (1u << i->scale));
		add_mov_imm(t, i->base, target);
	} else if (i->disp_size == 4) {
		uint32_t small = rnd() % 4096 - 2048;

		memcpy(bytes + modrm_end, &small, 4);
	}
}

static void aim(struct test_case *t, const struct insn *i, uint8_t *bytes)
{
	if (!is_locked(i) && one_in(24))
		return; /* wherever it goes */
	if (i->attr & OPA_STRING || (i->map == MAP_0F && i->opcode == 0xf7) ||
	    (i->map == MAP_0F && i->opcode == 0xf7)) {
		add_mov_imm(t, X86_ESI, rnd_target());
		add_mov_imm(t, X86_EDI, rnd_target());
		return;
	}
	if (i->map == MAP_1BYTE && i->opcode == 0xd7)
		add_mov_imm(t, X86_EBX, rnd_target());
	if (i->map == MAP_1BYTE && (i->opcode == 0xc9 || i->opcode == 0xc8))
		add_mov_imm(t, X86_EBP, t->regs[X86_ESP] + (rnd() & 0x3c));
	if (i->mem && i->map == MAP_0F && (i->opcode & 0xe7) == 0xa3 && insn_reg(i) != i->base &&
	    insn_reg(i) != i->index && insn_reg(i) != X86_ESP)
		add_mov_imm(t, insn_reg(i), one_in(4) ? random_value(&rng) : rnd() % 2048 - 1024);
	if (i->map == MAP_1BYTE && i->opcode >= 0xa0 && i->opcode <= 0xa3 && i->addr_size == 4) {
		uint32_t target = rnd_target();

		memcpy(bytes + i->len - 4, &target, 4);
	}
	if (i->mem && i->addr_size == 4)
		aim32(t, i, bytes);
}

/* Always: unbounded counts would take hours. */
static void bound(struct test_case *t, const struct insn *i, uint8_t *bytes)
{
	if (i->attr & OPA_STRING && i->prefixes & (PFX_REP | PFX_REPNE))
		add_mov_imm(t, X86_ECX, rnd() % 80);
	if (i->map == MAP_1BYTE && i->opcode == 0xc8)
		bytes[i->opcode_offset + 2] &= 3;
}

static bool random_bytes(uint8_t *bytes, struct insn *i, unsigned kind)
{
	static const uint8_t prefixes[] = { 0x66, 0xf3, 0xf2, 0xf0, 0x67, 0x64,
					    0x65, 0x26, 0x36, 0x3e, 0x2e };
	unsigned n = 0, map = kind == 2 ? 1 + rnd() % 3 : kind == 1 ? 0 : one_in(3);

	if (one_in(4))
		bytes[n++] = prefixes[rnd() % RF_ARRAY_SIZE(prefixes)];
	if (one_in(8))
		bytes[n++] = prefixes[rnd() % RF_ARRAY_SIZE(prefixes)];
	if (kind == 2 && one_in(2))
		bytes[n++] = prefixes[rnd() % 3];
	if (map)
		bytes[n++] = 0x0f;
	if (map > 1)
		bytes[n++] = map == 2 ? 0x38 : 0x3a;
	bytes[n++] = kind == 1 ? 0xd8 + rnd() % 8 : rnd();
	while (n < 16)
		bytes[n++] = random_value(&rng);
	return insn_decode(bytes, 15, true, i) == DECODE_OK && usable(i) &&
	       (kind != 2 || i->attr & (OPA_MMX | OPA_SSE) || one_in(8));
}

static void add_random(struct test_case *t, unsigned kind)
{
	uint8_t bytes[16];
	struct insn i;

	while (!random_bytes(bytes, &i, kind))
		;
	aim(t, &i, bytes);
	bound(t, &i, bytes);
	add_item(t, bytes, i.len);
}

static void add_push_pop(struct test_case *t)
{
	unsigned reg = rnd() & 7;

	switch (rnd() % 10) {
	case 0: ADD(t, 0x50 | reg); break;
	case 1: ADD(t, 0x58 | reg); break;
	case 2: ADD(t, 0x66, 0x50 | reg); break;
	case 3: ADD(t, 0x60); break;
	case 4: ADD(t, 0x9c); break;
	case 5: ADD(t, 0xff, 0x74, 0x24, rnd() & 0x7c); break;       /* push [esp+x] */
	case 6: ADD(t, 0x8f, 0x44, 0x24, rnd() & 0x7c); break;       /* pop [esp+x] */
	case 7: ADD(t, 0x61); break;
	case 8: ADD(t, 0x8f, 0xc0 | reg); break;
	case 9: ADD(t, 0x06 | (rnd() & 3) << 3); break;              /* push segment */
	}
}

/* POPF with any flags; with TF the next instruction traps. */
static void add_popf(struct test_case *t)
{
	uint32_t flags = rnd() &
			 (X86_ARITH_FLAGS | X86_DF | X86_NT | X86_AC | X86_ID | X86_IOPL | X86_RF);

	if (one_in(8))
		flags |= X86_TF;
	ADD(t, 0x68, BYTES32(flags));
	if (one_in(4))
		ADD(t, 0x66, 0x9d);
	else
		ADD(t, 0x9d);
}

static void add_segment_load(struct test_case *t)
{
	static const uint16_t selectors[] = {
		BF_UDATA, BF_BASED, BF_LIMITED, BF_EXPAND_DOWN, BF_READONLY, BF_BASED_HIGH,
		0,        3,        BF_KDATA,   BF_STACK16,     0x70
	};
	static const uint8_t segs[] = { X86_FS, X86_GS, X86_ES, X86_DS, X86_FS, X86_GS };
	uint16_t selector = selectors[rnd() % RF_ARRAY_SIZE(selectors)];

	if (t->cpl == 0 && selector == BF_UDATA)
		selector = BF_KDATA;
	if (one_in(3)) {
		ADD(t, 0x68, BYTES32((uint32_t)selector));
		if (one_in(2))
			ADD(t, 0x0f, one_in(2) ? 0xa1 : 0xa9);
		else
			ADD(t, one_in(2) ? 0x07 : 0x1f);
		return;
	}
	add_mov_imm(t, X86_EAX, selector);
	ADD(t, 0x8e, 0xc0 | segs[rnd() % RF_ARRAY_SIZE(segs)] << 3);
}

/* A forward jump of some kind over a few instructions. */
static void add_transfer(struct test_case *t)
{
	unsigned kind = rnd() % 12, at, from;
	uint32_t target;

	if (t->nitems + 8 > MAX_ITEMS || t->len + 120 > MAX_BYTES)
		return;
	if (kind >= 8) {
		add_mov_imm(t, rnd() % 8 == 4 ? 0 : rnd() & 3, 0);
		at = t->len - 4;
	} else {
		at = 0;
	}
	switch (kind) {
	case 0: ADD(t, 0xeb, 0); break;
	case 1: ADD(t, 0xe9, 0, 0, 0, 0); break;
	case 2: case 3: ADD(t, 0x70 | (rnd() & 15), 0); break;
	case 4: ADD(t, 0x0f, 0x80 | (rnd() & 15), 0, 0, 0, 0); break;
	case 5: ADD(t, 0xe8, 0, 0, 0, 0); break;
	case 6: ADD(t, 0xe0 | (rnd() & 3), 0); break;                 /* loopcc, jecxz */
	case 7: ADD(t, 0x68, 0, 0, 0, 0); at = t->len - 4; ADD(t, 0xc3); break; /* push; ret */
	case 8: ADD(t, 0xff, 0xe0 | (t->bytes[at - 1] & 7)); break;  /* jmp reg */
	case 9: ADD(t, 0xff, 0xd0 | (t->bytes[at - 1] & 7)); break;  /* call reg */
	case 10: ADD(t, 0x50 | (t->bytes[at - 1] & 7)); ADD(t, 0xc2, 8, 0); break;
	/* push; jmp [esp] */
	case 11: ADD(t, 0x50 | (t->bytes[at - 1] & 7)); ADD(t, 0xff, 0x24, 0x24); break;
	}
	from = t->len;
	if (one_in(2))
		add_random(t, 0);
	if (one_in(2))
		ADD(t, 0x43);
	target = t->start + t->len;
	if (at)
		memcpy(t->bytes + at, &target, 4);
	else if (kind == 0 || kind == 2 || kind == 3 || kind == 6)
		t->bytes[from - 1] = t->len - from;
	else
		t->bytes[from - 4] = t->len - from;
}

static void add_system(struct test_case *t)
{
	switch (rnd() % 8) {
	case 0: ADD(t, 0xcd, 0x20 + (rnd() & 0x7f)); break;
	case 1: ADD(t, 0xcc); break;
	case 2: ADD(t, 0xce); break;
	case 3: ADD(t, 0x0f, 0xa2); break;
	case 4: ADD(t, 0xfa); break;
	case 5: ADD(t, 0x0f, 0x0b); break;
	/* verr, verw */
	case 6:
		add_mov_imm(t, X86_EAX, rnd() & 0xfb);
		ADD(t, 0x0f, 0x00, 0xe0 | (rnd() & 8));
		break;
	case 7: ADD(t, 0x0f, 0x01, 0xe0); break;                      /* smsw */
	}
}

static void generate(struct test_case *t, uint64_t seed)
{
	static const uint16_t data[] = { BF_UDATA, BF_UDATA,   BF_UDATA,       BF_UDATA,
					 BF_BASED, BF_LIMITED, BF_EXPAND_DOWN, BF_READONLY };
	static const uint16_t other[] = { 0,        BF_BASED,   BF_BASED, BF_LIMITED, BF_BASED_HIGH,
					  BF_UDATA, BF_READONLY };
	unsigned count = 1 + rnd() % 12;

	memset(t, 0, sizeof(*t));
	t->seed = seed;
	t->cpl = one_in(2) ? 3 : 0;
	t->fpu_off = one_in(24);
	t->start = BF_CODE + (rnd() % (BF_CODE_SIZE / GUEST_PAGE_SIZE - 1)) * GUEST_PAGE_SIZE +
		   (one_in(4) ? GUEST_PAGE_SIZE - rnd() % 24 : rnd() % 0xe00);
	for (unsigned r = 0; r < 8; r++)
		t->regs[r] = random_value(&rng);
	t->regs[X86_ESP] = one_in(8) ? rnd_target() : BF_DATA + 0x2800 + (rnd() & 0x7c);
	t->eflags = (rnd() & (X86_ARITH_FLAGS | (one_in(4) ? X86_DF : 0))) | X86_F1;
	for (unsigned s = 0; s < X86_NSEG; s++)
		t->seg[s] = t->cpl == 3 ? BF_UDATA : BF_KDATA;
	t->seg[X86_FS] = other[rnd() % RF_ARRAY_SIZE(other)];
	t->seg[X86_GS] = other[rnd() % RF_ARRAY_SIZE(other)];
	if (one_in(6))
		t->seg[one_in(2) ? X86_DS : X86_ES] = data[rnd() % RF_ARRAY_SIZE(data)];
	if (one_in(40))
		t->seg[X86_SS] = BF_STACK16;
	if (t->seg[X86_SS] == BF_STACK16 && t->cpl == 0)
		t->seg[X86_SS] = BF_KDATA;
	t->seg[X86_CS] = t->cpl == 3 ? BF_UCODE : BF_KCODE;
	random_fpu(&rng, &t->fpu, one_in(4), one_in(6));
	while (count--) {
		switch (rnd() % 24) {
		case 0: case 1: add_push_pop(t); break;
		case 2: add_popf(t); break;
		case 3: add_segment_load(t); break;
		case 4: case 5: case 6: add_transfer(t); break;
		case 7: if (one_in(2)) add_system(t); break;
		case 8: case 9: case 10: add_random(t, 1); break;
		case 11: case 12: case 13: case 14: add_random(t, 2); break;
		default: add_random(t, 0); break;
		}
	}
	memcpy(t->bytes + t->len, ((const uint8_t[]){ BF_STOP }), 2);
}

/* --- execution and comparison --- */

static uint8_t data_template[BF_DATA_SIZE + BF_LOW_SIZE];

static void prepare(struct bf *bf, const struct test_case *t)
{
	struct cpu *cpu = bf->cpu;

	bf_reset(bf, t->cpl, t->paging);
	memcpy(bf->ram + BF_DATA, data_template, BF_DATA_SIZE);
	memcpy(bf->ram + BF_LOW, data_template + BF_DATA_SIZE, BF_LOW_SIZE);
	bf_write(bf, t->start, t->bytes, t->len + 2);
	memcpy(cpu->regs, t->regs, sizeof(cpu->regs));
	cpu->eflags = t->eflags;
	cpu->eip = t->start;
	for (unsigned s = 0; s < X86_NSEG; s++)
		bf_set_segment(bf, s, t->seg[s]);
	cpu->fpu = t->fpu;
	if (t->fpu_off)
		cpu->cr0 |= CR0_TS;
	bf->stops = 0;
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

static const char *compare_fpu(const struct fxsave_image *a, const struct fxsave_image *b,
			       bool simd_exception)
{
	DIFFER("fcw", a->fcw, b->fcw);
	DIFFER("mxcsr control", a->mxcsr & ~0x3fu, b->mxcsr & ~0x3fu);
	/*
	 * Whether an MMX instruction that raises #XM has entered MMX state before, and which flags
	 * one of several steps sets then, differs between processors.
	 */
	if (simd_exception)
		return NULL;
	DIFFER("fip", a->fip, b->fip);
	DIFFER("fcs", a->fcs, b->fcs);
	DIFFER("fop", a->fop & 0x7ff, b->fop & 0x7ff);
	DIFFER("fdp", a->fdp, b->fdp);
	DIFFER("fds", a->fds, b->fds);
	DIFFER("mxcsr", a->mxcsr, b->mxcsr);
	DIFFER("fsw", a->fsw, b->fsw);
	DIFFER("ftw", a->ftw, b->ftw);
	for (unsigned n = 0; n < 8; n++) {
		uint64_t x[2], y[2];

		if (memcmp(a->st[n], b->st[n], 10)) {
			memcpy(x, a->st[n], 8);
			memcpy(y, b->st[n], 8);
			DIFFER("st mantissa", x[0], y[0]);
			return "st sign and exponent";
		}
		memcpy(x, a->xmm[n], 16);
		memcpy(y, b->xmm[n], 16);
		DIFFER("xmm low", x[0], y[0]);
		DIFFER("xmm high", x[1], y[1]);
	}
	return NULL;
}

static const char *compare_memory(const struct bf *a, const struct bf *b, uint32_t base,
				  uint32_t size)
{
	if (!memcmp(a->ram + base, b->ram + base, size))
		return NULL;
	for (uint32_t at = base; at < base + size; at++) {
		if (a->ram[at] != b->ram[at]) {
			snprintf(difference, sizeof(difference),
				 "memory at %x: bt %02x, interp %02x", at, a->ram[at], b->ram[at]);
			break;
		}
	}
	return difference;
}

static const char *compare_cpu(const struct cpu *a, const struct cpu *b, int vector)
{
	static const char *const regs[] = {
		"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"
	};
	static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };

	DIFFER("eip", a->eip, b->eip);
	for (unsigned r = 0; r < 8; r++)
		DIFFER(regs[r], a->regs[r], b->regs[r]);
	DIFFER("eflags", a->eflags, b->eflags);
	DIFFER("cr2", a->cr2, b->cr2);
	DIFFER("cr0", a->cr0, b->cr0);
	DIFFER("cpl", a->cpl, b->cpl);
	DIFFER("dr6", a->dr[6], b->dr[6]);
	for (unsigned s = 0; s < X86_NSEG; s++) {
		DIFFER(segs[s], a->seg[s].selector, b->seg[s].selector);
		DIFFER(segs[s], a->seg[s].base, b->seg[s].base);
		DIFFER(segs[s], a->seg[s].attr, b->seg[s].attr);
	}
	return compare_fpu(&a->fpu, &b->fpu, vector == EXC_XM || vector == EXC_DF);
}

static struct bf *bt, *interp;
static unsigned outcomes[BF_DEAD + 1];

/*
 * The instruction that the exception which ended the run is about, by its frame; *regs: the
 * registers it had.
 */
static bool faulting_insn(const struct bf *bf, struct insn *i, uint32_t regs[8])
{
	const uint32_t frame = bf->cpu->regs[X86_ESP];
	uint32_t at;

	if (frame >= BF_RAM_SIZE - 32)
		return false;
	at = bf_read32(bf, frame + 4);
	memcpy(regs, bf->cpu->regs, 8 * sizeof(regs[0]));
	if (bf_read32(bf, frame + 8) & 3)
		regs[X86_ESP] = bf_read32(bf, frame + 16);
	return at < BF_RAM_SIZE - 16 && insn_decode(bf->ram + at, 15, true, i) == DECODE_OK;
}

/*
 * Whether the interpreter's #GP or #SS is about an operand that runs over offset 0xffffffff of a
 * 4-GiB segment: it may be raised or not (SDM vol. 3, 5.3).
 */
static bool ran_over_the_end(int vector)
{
	const uint32_t frame = interp->cpu->regs[X86_ESP];
	uint32_t regs[8], ea = 0;
	struct insn i;

	if (vector != EXC_GP && vector != EXC_SS)
		return false;
	if (frame >= BF_RAM_SIZE || bf_read32(interp, frame + 4) >= BF_RAM_SIZE)
		return true; /* the frame went to a stack without memory: nobody knows */
	if (!faulting_insn(interp, &i, regs))
		return false;
	if (i.mem)
		ea = i.disp + (i.base == INSN_NO_REG ? 0 : regs[i.base]) +
		     (i.index == INSN_NO_REG ? 0 : regs[i.index] << i.scale);
	if (i.mem && i.map == MAP_0F && (i.opcode & 0xe7) == 0xa3)
		ea += i.op_size == 4 ? (uint32_t)((int32_t)regs[insn_reg(&i)] >> 5) * 4 :
				       (uint32_t)((int16_t)regs[insn_reg(&i)] >> 4) * 2;
	else if (i.mem)
		;
	else if (i.attr & OPA_STACK)
		ea = i.opcode == 0xc9 ?
			     regs[X86_EBP] :
			     regs[X86_ESP] -
				     ((i.attr & OPA_MEM_WRITE) || regs[X86_ESP] < 64 ? 32 : 0);
	else if (i.attr & OPA_STRING)
		ea = regs[X86_EDI] > regs[X86_ESI] ? regs[X86_EDI] : regs[X86_ESI];
	else
		ea = i.disp;
	return ea > 0xffffffc0u || (i.attr & OPA_STACK && regs[X86_ESP] - 64 > 0xffffff80u);
}

static bool memory_fault(int vector)
{
	return vector == EXC_PF || vector == EXC_GP || vector == EXC_SS;
}

/* Where the operand of a faulting instruction lies, by the frame of its exception. */
static uint32_t operand_address(const struct bf *bf, const struct insn *i, const uint32_t regs[8])
{
	const uint32_t frame = bf->cpu->regs[X86_ESP];
	uint32_t base = bf->cpu->seg[i->seg].base, ea = i->disp;

	if (i->seg == X86_SS && bf_read32(bf, frame + 8) & 3 &&
	    (bf_read32(bf, frame + 20) & 0xffff) == BF_STACK16)
		base = BF_DATA;
	ea += (i->base == INSN_NO_REG ? 0 : regs[i->base]) +
	      (i->index == INSN_NO_REG ? 0 : regs[i->index] << i->scale);
	return base + (i->addr_size == 4 ? ea : ea & 0xffff);
}

/* Makes both machines alike where processors differ at a fault on memory (leeway.h). */
static void settle_fault(void)
{
	struct bf *const machines[] = { bt, interp };
	const uint32_t frame = interp->cpu->regs[X86_ESP];
	uint32_t regs[8], operand;
	struct insn i;

	if (!faulting_insn(interp, &i, regs))
		return;
	operand = operand_address(interp, &i, regs);
	if (leeway_partial_store(&i) && operand < BF_RAM_SIZE - 16)
		bf_write(bt, operand, interp->ram + operand, i.mem_size);
	for (unsigned n = 0; n < 2; n++) {
		struct bf *bf = machines[n];

		leeway_enter_mmx(&i, &bf->cpu->fpu);
		if (!leeway_rep_flags(&i) || bf->cpu->regs[X86_ESP] != frame)
			continue;
		bf->cpu->eflags &= ~X86_ARITH_FLAGS;
		bf_write32(bf, frame + 12, bf_read32(bf, frame + 12) & ~X86_ARITH_FLAGS);
	}
}

/* What differs, or NULL. */
static const char *compare_machines(enum bf_outcome a, int va, enum bf_outcome b, int vb)
{
	DIFFER("outcome", a, b);
	DIFFER("vector", va, vb);
	if (a == BF_TRIPLE_FAULT)
		return NULL;
	if (a == BF_HUNG)
		return NULL; /* code that changed itself into a loop */
	if (compare_cpu(bt->cpu, interp->cpu, va) ||
	    compare_memory(bt, interp, BF_SYSTEM, BF_SYSTEM_SIZE) ||
	    compare_memory(bt, interp, BF_DATA, BF_DATA_SIZE) ||
	    compare_memory(bt, interp, BF_LOW, BF_LOW_SIZE))
		return difference;
	return NULL;
}

/*
 * After a difference that is allowed: what it left in memory that is not prepared for each case
 * must not show in a later one.
 */
static void make_memory_equal(void)
{
	for (uint32_t page = 0; page < BF_RAM_SIZE; page += GUEST_PAGE_SIZE)
		if (memcmp(bt->ram + page, interp->ram + page, GUEST_PAGE_SIZE))
			bf_write(bt, page, interp->ram + page, GUEST_PAGE_SIZE);
}

static const char *run_both(const struct test_case *t, bool retried)
{
	enum bf_outcome a, b;
	const char *what;
	int va, vb;

	prepare(bt, t);
	prepare(interp, t);
	a = bf_run(bt, &va);
	b = bf_run(interp, &vb);
	if ((a == BF_HUNG) != (b == BF_HUNG) && !retried) {
		/* The host may have been busy elsewhere. */
		bt->patience_ms = interp->patience_ms = 8 * PATIENCE_MS;
		what = run_both(t, true);
		bt->patience_ms = interp->patience_ms = PATIENCE_MS;
		return what;
	}
	outcomes[a]++;
	if (a == BF_EXCEPTION && b == BF_EXCEPTION && va == vb && memory_fault(va))
		settle_fault();
	what = compare_machines(a, va, b, vb);
	if (!what)
		return NULL;
	if (b != BF_EXCEPTION || !ran_over_the_end(vb))
		return what;
	make_memory_equal();
	return NULL;
}

static void reduce(struct test_case *t)
{
	for (unsigned n = t->nitems; n-- > 0;) {
		struct test_case tried = *t;

		memset(tried.bytes + tried.offset[n], 0x90, tried.offset[n + 1] - tried.offset[n]);
		if (run_both(&tried, false))
			*t = tried;
	}
}

static void report(struct test_case *t, const char *what)
{
	struct disasm *disasm;
	char first[256];

	snprintf(first, sizeof(first), "%s", what);
	if (!bt->hung) {
		reduce(t);
		what = run_both(t, false);
	}
	fprintf(stderr, "RF_SEED=0x%llx RF_CASES=1: %s (reduced: %s); cpl %u, paging %d, at %x\n",
		(unsigned long long)t->seed, first, what ? what : "nothing", t->cpl, t->paging,
		t->start);
	for (unsigned r = 0; r < 8; r++)
		fprintf(stderr, "%08x ", t->regs[r]);
	fprintf(stderr,
		"fl %x seg %x %x %x %x %x %x fcw %x fsw %x mxcsr %x; eip bt %x interp %x cr2 %x "
		"%x\n",
		t->eflags, t->seg[0], t->seg[1], t->seg[2], t->seg[3], t->seg[4], t->seg[5],
		t->fpu.fcw, t->fpu.fsw, t->fpu.mxcsr, bt->cpu->eip, interp->cpu->eip, bt->cpu->cr2,
		interp->cpu->cr2);
	if (disasm_create(&disasm))
		return;
	for (unsigned n = 0; n < t->nitems; n++) {
		char text[96];
		unsigned len = t->offset[n + 1] - t->offset[n];

		if (t->bytes[t->offset[n]] == 0x90 &&
		    (len == 1 || t->bytes[t->offset[n] + len - 1] == 0x90))
			continue;
		disasm_format(disasm, DISASM_32, t->bytes + t->offset[n], len,
			      t->start + t->offset[n], text, sizeof(text));
		fprintf(stderr, "  %x: ", t->start + t->offset[n]);
		for (unsigned k = 0; k < len; k++)
			fprintf(stderr, "%02x ", t->bytes[t->offset[n] + k]);
		fprintf(stderr, " %s\n", text);
	}
	disasm_destroy(disasm);
}

static unsigned long long from_environment(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void fill_template(void)
{
	random_seed(&rng, 1);
	random_fill(&rng, data_template, sizeof(data_template));
}

static void run_cases(const char *options, bool paging, uint64_t salt, unsigned share)
{
	const uint64_t first = from_environment("RF_SEED", salt);
	const unsigned cases = from_environment("RF_CASES", share);
	unsigned reports = 0;

	bt = bf_create("bt", options);
	interp = bf_create("interp", NULL);
	bt->patience_ms = interp->patience_ms = PATIENCE_MS;
	fill_template();
	for (unsigned n = 0; n < cases && reports < MAX_REPORTS; n++) {
		struct test_case t;
		const char *what;

		random_seed(&rng, first + n);
		generate(&t, first + n);
		t.paging = paging;
		what = run_both(&t, false);
		if (!what)
			continue;
		report(&t, what);
		reports++;
	}
	cr_expect_eq(reports, 0, "%u cases differ (see above)", reports);
	cr_log_info("%u cases from seed %llu: %u stopped, %u exceptions, %u triple faults", cases,
		    (unsigned long long)first, outcomes[BF_STOPPED], outcomes[BF_EXCEPTION],
		    outcomes[BF_TRIPLE_FAULT]);
	cr_expect_leq(outcomes[BF_HUNG], 3 + cases / 5000, "%u cases hung", outcomes[BF_HUNG]);
	if (cases >= 1000)
		cr_expect_gt(outcomes[BF_STOPPED], cases / 10, "hardly any case runs to its end");
	bf_destroy(bt);
	bf_destroy(interp);
}

TestSuite(bt_differential, .timeout = 300);

Test(bt_differential, flat_memory)
{
	run_cases(NULL, false, 1000000, 20000);
}

Test(bt_differential, paging)
{
	run_cases(NULL, true, 2000000, 20000);
}

Test(bt_differential, one_instruction_units)
{
	run_cases("tu-insns=1", true, 3000000, 5000);
}

Test(bt_differential, no_links)
{
	run_cases("links=off,cache-kib=256", true, 4000000, 5000);
}

Test(bt_differential, without_bmi2)
{
	run_cases("host=-bmi2", true, 6000000, 10000);
}

Test(bt_differential, software_tlb_without_bmi2)
{
	run_cases("host=-bmi2,soft=always", true, 7000000, 5000);
}

Test(bt_differential, software_tlb)
{
	run_cases("soft=always", true, 5000000, 10000);
}
