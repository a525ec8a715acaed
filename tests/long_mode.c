/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What 64-bit mode does with 32-bit instructions (SDM vol. 1, 3.3.7 and 3.6; vol. 2, 2.2.1, and the
 * page of each). The prefix 67 makes addresses of 32 bits; operands are of 32 bits by themselves,
 * but for those of the stack.
 */
#include <string.h>
#include "long_mode.h"

#define ADDRESS_32 0x67u

/* First and last opcodes of one byte that mean something else in 64-bit mode, or nothing. */
static const uint8_t one_byte[][2] = {
	{ 0x06, 0x07 }, { 0x0e, 0x0e }, { 0x16, 0x17 }, { 0x1e, 0x1f }, /* segments on the stack */
	{ 0x27, 0x27 }, { 0x2f, 0x2f }, { 0x37, 0x37 }, { 0x3f, 0x3f }, /* decimal adjustment */
	{ 0x50, 0x63 },                                                  /* stack, BOUND, ARPL */
	{ 0x68, 0x68 }, { 0x6a, 0x6a }, { 0x82, 0x82 },
	{ 0x8c, 0x8c }, { 0x8e, 0x8f }, { 0x9c, 0x9d },                  /* segments, stack */
	/* LES, LDS; ENTER, LEAVE; AAM, AAD */
	{ 0xc4, 0xc5 }, { 0xc8, 0xc9 }, { 0xd4, 0xd6 },
};

static bool means_the_same(const struct insn *i)
{
	if (i->attr & (OPA_STACK | OPA_SEG_LOAD))
		return false;
	/* FXSAVE and FXRSTOR have more registers. */
	if (i->map == MAP_0F && i->opcode == 0xae && i->mem && insn_reg(i) < 2)
		return false;
	for (unsigned n = 0; i->map == MAP_1BYTE && n < RF_ARRAY_SIZE(one_byte); n++)
		if (i->opcode >= one_byte[n][0] && i->opcode <= one_byte[n][1])
			return false;
	return true;
}

unsigned long_mode_encode(const struct insn *i, const uint8_t *bytes, uint8_t out[16])
{
	const uint8_t opcode = bytes[i->opcode_offset];

	if (!means_the_same(i) || i->len > 14)
		return 0;
	out[0] = ADDRESS_32;
	memcpy(out + 1, bytes, i->len);
	/* INC and DEC of one byte are REX prefixes: FF /0 and /1. */
	if (i->map != MAP_1BYTE || (opcode & 0xf0) != 0x40)
		return i->len + 1;
	out[i->opcode_offset + 1] = 0xff;
	out[i->opcode_offset + 2] = 0xc0 | (opcode & 0x0f);
	return i->len + 2;
}
