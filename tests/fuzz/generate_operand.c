/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operands: registers and displacements that make a random instruction reach memory worth reaching,
 * edges above all.
 */
#include <string.h>
#include "generate.h"

/*
 * A linear address in the data: half of them around the end of a page, with one of the special
 * pages near one in three times.
 */
static uint32_t linear_target(struct generator *g)
{
	static const uint8_t special[] = { BF_ABSENT_PAGE, BF_READONLY_PAGE, BF_SUPERVISOR_PAGE };
	uint32_t page = gen_next(g) % 15;

	if (gen_one_in(g, 3))
		page = special[gen_next(g) % RF_ARRAY_SIZE(special)] - (gen_next(g) & 1);
	page = BF_DATA + page * GUEST_PAGE_SIZE;
	return gen_one_in(g, 2) ? page + GUEST_PAGE_SIZE - 20 + gen_next(g) % 24 :
				  page + (gen_next(g) & 0xff0);
}

/* XCHG locks without a prefix too. */
static bool is_locked(const struct insn *i)
{
	return i->prefixes & PFX_LOCK ||
	       (i->mem && i->map == MAP_1BYTE && (i->opcode & 0xfe) == 0x86);
}

/*
 * An offset in this segment: mostly one that lands in the data, sometimes one at the segment's end.
 */
static uint32_t offset_target(struct generator *g, const struct fuzz_case *c, const struct insn *i,
			      enum x86_seg seg)
{
	const uint32_t base = world_base(c->seg[seg]), last = world_last_offset(c->seg[seg]);
	uint32_t target = linear_target(g) - base;

	if (last != 0xffffffff && gen_one_in(g, 3))
		target = last - gen_next(g) % 20;
	else if (last != 0xffffffff && target > last && !gen_one_in(g, 8))
		target %= last;
	if (gen_one_in(g, 64))
		target = random_value(&g->random);
	if (is_locked(i))
		target = ((target + base) & ~7u) - base;
	if ((i->mem_size == 16 || i->mem_size == 512) && !gen_one_in(g, 3))
		target = ((target + base) & ~15u) - base;
	return target;
}

/* 16-bit addresses: BX or BP, SI or DI. */
static void aim16(struct generator *g, struct fuzz_case *c, const struct insn *i, uint8_t *bytes)
{
	uint32_t target = offset_target(g, c, i, i->seg) - i->disp;
	uint8_t *disp = bytes + i->opcode_offset + 2;

	if (i->base == INSN_NO_REG && i->index == INSN_NO_REG) {
		target = offset_target(g, c, i, i->seg);
		disp[0] = target;
		disp[1] = target >> 8;
		return;
	}
	if (i->base != INSN_NO_REG && i->index != INSN_NO_REG) {
		uint32_t part = gen_next(g) & 0xfff8;

		gen_register(c, i->index, part | (gen_next(g) << 16));
		target -= part;
	}
	gen_register(c, i->base != INSN_NO_REG ? i->base : i->index,
		     (target & 0xffff) | (gen_next(g) << 16));
}

static void set_disp32(const struct insn *i, uint8_t *bytes, uint32_t value)
{
	memcpy(bytes + i->opcode_offset + 2 + i->has_sib, &value, 4);
}

/*
 * Which register of the operand carries the address: the base but for ESP, which must stay a stack;
 * else the index.
 */
static void aim32(struct generator *g, struct fuzz_case *c, const struct insn *i, uint8_t *bytes)
{
	uint32_t target = offset_target(g, c, i, i->seg), index = 0;
	const uint32_t align = is_locked(i) ? ~7u : ~0u;

	if (i->base == X86_ESP) {
		if (i->disp_size == 4)
			set_disp32(i, bytes, (gen_next(g) % 4096 - 2048) & align);
		if (i->index != INSN_NO_REG)
			gen_register(c, i->index, gen_next(g) & 0xff & align);
		return;
	}
	if (i->index != INSN_NO_REG && i->index != i->base) {
		index = (gen_one_in(g, 3) ? random_value(&g->random) : gen_next(g) & 0xff) & align;
		gen_register(c, i->index, index);
	}
	target -= index << i->scale;
	if (i->base == INSN_NO_REG) {
		set_disp32(i, bytes, target);
		return;
	}
	if (i->index == i->base)
		target = (target - i->disp) / (1 + (1u << i->scale)) & align;
	else if (i->disp_size == 4 && gen_one_in(g, 2)) {
		uint32_t small = (gen_next(g) % 512 - 256) & align;

		set_disp32(i, bytes, small);
		target -= small;
	} else {
		target -= i->disp;
	}
	gen_register(c, i->base, target);
}

/* Bit offsets of BT and its kin reach far from the operand. */
static bool has_bit_offset(const struct insn *i)
{
	return i->mem && i->map == MAP_0F && (i->opcode & 0xe7) == 0xa3;
}

static void string_operands(struct generator *g, struct fuzz_case *c, const struct insn *i)
{
	uint32_t count = gen_one_in(g, 40) ? gen_next(g) % 5000 : gen_next(g) % 80;

	gen_register(c, X86_ESI, offset_target(g, c, i, i->seg));
	gen_register(c, X86_EDI, offset_target(g, c, i, X86_ES));
	if (i->prefixes & (PFX_REP | PFX_REPNE))
		gen_register(c, X86_ECX, i->addr_size == 2 ? count | gen_next(g) << 16 : count);
}

/*
 * A locked access over two cache lines stops every processor of the host, which may make its author
 * wait for long: the displacement becomes a multiple of 8, as all else will be.
 */
static void align_displacement(struct insn *i, uint8_t *bytes)
{
	uint8_t *disp = bytes + i->opcode_offset + 2 + (i->addr_size == 4 && i->has_sib);

	if (i->disp_size)
		*disp &= ~7;
	i->disp &= ~7u;
}

/* LAR, LSL, VERR, VERW: a selector. */
static bool has_selector(const struct insn *i)
{
	return i->map == MAP_0F &&
	       (i->opcode == 0x02 || i->opcode == 0x03 || (i->opcode == 0x00 && insn_reg(i) >= 4));
}

/*
 * Where in its operand the instruction has MXCSR, whose upper bits must be zero: FXRSTOR, LDMXCSR;
 * or a selector. -1: nowhere.
 */
static int particular_field(const struct insn *i)
{
	if (i->mem && i->map == MAP_0F && i->opcode == 0xae &&
	    (insn_reg(i) == 1 || insn_reg(i) == 2))
		return insn_reg(i) == 1 ? 24 : 0;
	return i->mem && has_selector(i) ? 0 : -1;
}

void generate_field(struct generator *g, struct fuzz_case *c, const uint8_t *bytes)
{
	const bool code16 = world_code16(c->seg[X86_CS]);
	uint32_t ea, value;
	struct insn i;
	int field;

	if (c->nitems || insn_decode(bytes, 15, !code16, &i) != DECODE_OK ||
	    (field = particular_field(&i)) < 0)
		return;
	if (code16 || c->seg[X86_DS] != case_data(c) || gen_one_in(g, 10))
		return;
	ea = world_base(c->seg[i.seg]) + insn_offset(&i, c->regs) + field;
	/* Below the special pages. */
	if (ea - BF_DATA > BF_ABSENT_PAGE * GUEST_PAGE_SIZE - 4)
		return;
	value = has_selector(&i) ? gen_selector(g, c) :
				   gen_next(g) & (gen_one_in(g, 8) ? 0xffffffff : 0xffff);
	GEN_ITEM(c, 0xc7, 0x05, GEN_BYTES32(ea), GEN_BYTES32(value)); /* mov dword [ea], value */
}

void generate_operand(struct generator *g, struct fuzz_case *c, struct insn *i, uint8_t *bytes)
{
	const bool one_byte = i->map == MAP_1BYTE;

	if (i->attr & OPA_STRING) {
		string_operands(g, c, i); /* always: the count must be bounded */
		return;
	}
	if (one_byte && i->opcode == 0xc8)
		bytes[i->opcode_offset + 2] &= 3; /* ENTER of under a KiB */
	if (is_locked(i) && i->mem)
		align_displacement(i, bytes);
	else if (gen_one_in(g, 40))
		return; /* wherever it goes */
	if (i->map == MAP_0F && i->opcode == 0xf7)
		gen_register(c, X86_EDI, offset_target(g, c, i, i->seg));
	if (one_byte && i->opcode == 0xd7)
		gen_register(c, X86_EBX, offset_target(g, c, i, i->seg));
	if (one_byte && (i->opcode == 0xc9 || i->opcode == 0xc8))
		gen_register(c, X86_EBP,
			     gen_one_in(g, 4) ? offset_target(g, c, i, X86_SS) :
						c->regs[X86_ESP] + (gen_next(g) & 0x3c));
	if (has_bit_offset(i) && insn_reg(i) != i->base && insn_reg(i) != i->index &&
	    insn_reg(i) != X86_ESP)
		gen_register(c, insn_reg(i),
			     gen_one_in(g, 6) ? random_value(&g->random) :
						gen_next(g) % 2048 - 1024);
	if (one_byte && i->opcode >= 0xa0 && i->opcode <= 0xa3) {
		uint32_t target = offset_target(g, c, i, i->seg);

		memcpy(bytes + i->opcode_offset + 1, &target, i->addr_size);
	}
	if (has_selector(i) && !i->mem && insn_rm(i) != X86_ESP)
		gen_register(c, insn_rm(i), gen_selector(g, c) | gen_next(g) << 16);
	if (i->mem && i->addr_size == 4)
		aim32(g, c, i, bytes);
	else if (i->mem)
		aim16(g, c, i, bytes);
}
