/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest addresses as host operands (guest_address.h). */
#include <assert.h>
#include "guest_address.h"

/*
 * Displacements from here to -1 are offsets; those below are addresses in the upper half, which
 * always wrap.
 */
#define LEAST_OFFSET (-0x1000000)

void guest_address_clobbered(struct build *b)
{
	b->summed = NO_REG;
}

void guest_address_changed(struct build *b, unsigned reg)
{
	if (b->summed == reg)
		b->summed = NO_REG;
}

static struct memref exact_address(struct build *b, struct memref ea)
{
	guest_address_clobbered(b);
	if (ea.base == NO_REG && ea.index == NO_REG)
		emit_mov32_imm(&b->e, H_R10, ea.disp);
	else
		emit_lea32(&b->e, H_R10, ea);
	return (struct memref){ .base = H_R10, .index = H_WINDOW };
}

/*
 * The index is more often what changes in a loop: with the window added to the base, the LEA is not
 * in its way.
 */
static struct memref indexed_address(struct build *b, struct memref ea)
{
	if (b->summed != ea.base) {
		emit_lea64(&b->e, H_R10, (struct memref){ .base = ea.base, .index = H_WINDOW });
		b->summed = ea.base;
	}
	ea.base = H_R10;
	return ea;
}

struct memref guest_address(struct build *b, struct memref ea, bool exact)
{
	assert(ea.index != NO_REG || !ea.scale);
	assert(ea.base != H_WINDOW && ea.index != H_WINDOW); /* it is a sum of the guest's */
	if (ea.base == NO_REG && ea.index != NO_REG && !ea.scale) {
		ea.base = ea.index;
		ea.index = NO_REG;
	}
	if (ea.base == NO_REG && ea.index == NO_REG && ea.disp >= 0)
		return memref_plain(H_WINDOW, ea.disp);
	if (exact || b->adapt & ADAPT_EXACT || ea.disp < LEAST_OFFSET ||
	    (ea.base == NO_REG && ea.index == NO_REG))
		return exact_address(b, ea);
	if (ea.base == NO_REG) {
		ea.base = H_WINDOW;
		return ea;
	}
	if (ea.index != NO_REG)
		return indexed_address(b, ea);
	ea.index = H_WINDOW;
	return ea;
}

struct memref guest_address_at(struct build *b, unsigned base, int32_t disp)
{
	return guest_address(b, memref_plain(base, disp), false);
}

void guest_address_add_window(struct build *b, unsigned reg)
{
	assert(reg == H_RSI || reg == H_RDI);
	emit_lea64(&b->e, reg, (struct memref){ .base = reg, .index = H_WINDOW });
}

/* --- how long a sum is good --- */

bool insn_writes_what_it_names(const struct insn *i)
{
	const uint8_t o = i->opcode;

	if (!i->has_modrm)
		/* Jcc */
		return (i->map == MAP_1BYTE && (o & 0xf0) == 0x70) ||
		       (i->map == MAP_0F && (o & 0xf0) == 0x80);
	if (i->map == MAP_1BYTE)
		return o < 0x40 || o == 0x69 || o == 0x6b ||
		       (o >= 0x80 && o <= 0x8b && o != 0x82) || o == 0x8d || o == 0xc0 ||
		       o == 0xc1 || o == 0xc6 || o == 0xc7 || (o >= 0xd0 && o <= 0xd3);
	return i->map == MAP_0F &&
	       ((o >= 0x40 && o <= 0x4f) || (o >= 0x90 && o <= 0x9f) || o == 0xaf || o == 0xb6 ||
		o == 0xb7 || o == 0xbe || o == 0xbf || i->attr & OPA_SSE);
}

/* Whatever the operand's size: number 4 to 7 may be AH to BH. */
static bool may_name(unsigned number, unsigned guest_reg)
{
	return number == guest_reg || number - 4 == guest_reg;
}

bool insn_keeps_register(const struct insn *i, unsigned reg)
{
	const unsigned guest_reg = reg == H_GUEST_ESP ? X86_ESP : reg;

	return insn_writes_what_it_names(i) && !may_name(insn_reg(i), guest_reg) &&
	       (i->mem || !may_name(insn_rm(i), guest_reg));
}

void guest_address_after(struct build *b, const struct insn *i)
{
	if (b->summed != NO_REG && !insn_keeps_register(i, b->summed))
		b->summed = NO_REG;
}
