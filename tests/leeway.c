/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the architecture leaves to the processor; see leeway.h. The rows are from the instructions'
 * pages in SDM vol. 2.
 */
#include <string.h>
#include "leeway.h"

#define FPU_EXCEPTIONS 0x3fu
#define FSW_TOP        0x3800u
#define ALL            X86_ARITH_FLAGS
#define BUT(...)       (ALL & ~(__VA_ARGS__))

/* When a row's flags are undefined. */
enum when {
	ALWAYS,
	COUNT_NOT_0,    /* shifts by a count, masked to 5 bits */
	COUNT_OVER_1,
	COUNT_FROM_SIZE, /* at least as large as the operand */
	COUNT_OVER_SIZE,
};

struct undefined_row {
	uint8_t map, first, last;
	uint8_t regs;    /* which values of ModRM.reg, as bits; 0: all */
	uint8_t when;    /* enum when */
	bool by_hand;
	uint32_t flags;
};

#define ROTATES 0x0f
#define SHL_SHR 0x70
#define SHIFTS  0xf0

static const struct undefined_row rows[] = {
	{ MAP_1BYTE, 0x27, 0x27, 0, ALWAYS, true, X86_OF },                            /* DAA */
	{ MAP_1BYTE, 0x2f, 0x2f, 0, ALWAYS, true, X86_OF },                            /* DAS */
	{ MAP_1BYTE, 0x37, 0x37, 0, ALWAYS, true, BUT(X86_AF | X86_CF) },              /* AAA */
	{ MAP_1BYTE, 0x3f, 0x3f, 0, ALWAYS, true, BUT(X86_AF | X86_CF) },              /* AAS */
	/* AAM, AAD */
	{ MAP_1BYTE, 0xd4, 0xd5, 0, ALWAYS, true, X86_OF | X86_AF | X86_CF },
	{ MAP_1BYTE, 0x08, 0x0d, 0, ALWAYS, false, X86_AF },                           /* OR */
	{ MAP_1BYTE, 0x20, 0x25, 0, ALWAYS, false, X86_AF },                           /* AND */
	{ MAP_1BYTE, 0x30, 0x35, 0, ALWAYS, false, X86_AF },                           /* XOR */
	/* OR, AND, XOR immediate */
	{ MAP_1BYTE, 0x80, 0x83, 0x52, ALWAYS, false, X86_AF },
	{ MAP_1BYTE, 0x84, 0x85, 0, ALWAYS, false, X86_AF },                           /* TEST */
	{ MAP_1BYTE, 0xa8, 0xa9, 0, ALWAYS, false, X86_AF },
	{ MAP_1BYTE, 0xf6, 0xf7, 0x03, ALWAYS, false, X86_AF },
	/* MUL, IMUL */
	{ MAP_1BYTE, 0xf6, 0xf7, 0x30, ALWAYS, false, BUT(X86_CF | X86_OF) },
	/* DIV, IDIV */
	{ MAP_1BYTE, 0xf6, 0xf7, 0xc0, ALWAYS, false, ALL },
	{ MAP_1BYTE, 0x69, 0x69, 0, ALWAYS, false, BUT(X86_CF | X86_OF) },             /* IMUL */
	{ MAP_1BYTE, 0x6b, 0x6b, 0, ALWAYS, false, BUT(X86_CF | X86_OF) },
	{ MAP_0F, 0xaf, 0xaf, 0, ALWAYS, false, BUT(X86_CF | X86_OF) },
	{ MAP_1BYTE, 0xc0, 0xc1, ROTATES, COUNT_OVER_1, false, X86_OF },
	{ MAP_1BYTE, 0xd2, 0xd3, ROTATES, COUNT_OVER_1, false, X86_OF },
	{ MAP_1BYTE, 0xc0, 0xc1, SHIFTS, COUNT_OVER_1, false, X86_OF },
	{ MAP_1BYTE, 0xd2, 0xd3, SHIFTS, COUNT_OVER_1, false, X86_OF },
	{ MAP_1BYTE, 0xc0, 0xc1, SHIFTS, COUNT_NOT_0, false, X86_AF },
	{ MAP_1BYTE, 0xd0, 0xd1, SHIFTS, ALWAYS, false, X86_AF },
	{ MAP_1BYTE, 0xd2, 0xd3, SHIFTS, COUNT_NOT_0, false, X86_AF },
	{ MAP_1BYTE, 0xc0, 0xc1, SHL_SHR, COUNT_FROM_SIZE, false, X86_CF },
	{ MAP_1BYTE, 0xd2, 0xd3, SHL_SHR, COUNT_FROM_SIZE, false, X86_CF },
	{ MAP_0F, 0xa4, 0xa5, 0, COUNT_OVER_1, false, X86_OF },                        /* SHLD */
	{ MAP_0F, 0xac, 0xad, 0, COUNT_OVER_1, false, X86_OF },                        /* SHRD */
	{ MAP_0F, 0xa4, 0xa5, 0, COUNT_NOT_0, false, X86_AF },
	{ MAP_0F, 0xac, 0xad, 0, COUNT_NOT_0, false, X86_AF },
	{ MAP_0F, 0xa4, 0xa5, 0, COUNT_OVER_SIZE, false, ALL },
	{ MAP_0F, 0xac, 0xad, 0, COUNT_OVER_SIZE, false, ALL },
	/* BT, BTS, BTR, BTC */
	{ MAP_0F, 0xa3, 0xa3, 0, ALWAYS, false, BUT(X86_CF | X86_ZF) },
	{ MAP_0F, 0xab, 0xab, 0, ALWAYS, false, BUT(X86_CF | X86_ZF) },
	{ MAP_0F, 0xb3, 0xb3, 0, ALWAYS, false, BUT(X86_CF | X86_ZF) },
	{ MAP_0F, 0xba, 0xbb, 0, ALWAYS, false, BUT(X86_CF | X86_ZF) },
	/* BSF, BSR */
	{ MAP_0F, 0xbc, 0xbd, 0, ALWAYS, false, BUT(X86_ZF) },
};

static unsigned shift_count(const struct insn *i, const uint32_t regs[8])
{
	return (i->imm_size ? i->imm : regs[X86_ECX]) & 31;
}

static bool holds(enum when when, const struct insn *i, const uint32_t regs[8])
{
	const unsigned count = shift_count(i, regs),
		       bits = 8 * (i->attr & OPA_BYTE ? 1 : i->op_size);

	switch (when) {
	case ALWAYS:          return true;
	case COUNT_NOT_0:     return count != 0;
	case COUNT_OVER_1:    return count > 1;
	case COUNT_FROM_SIZE: return count >= bits;
	case COUNT_OVER_SIZE: return count > bits;
	}
	return false;
}

static bool matches(const struct undefined_row *row, const struct insn *i)
{
	return i->map == row->map && i->opcode >= row->first && i->opcode <= row->last &&
	       (!row->regs || (i->has_modrm && row->regs >> insn_reg(i) & 1));
}

uint32_t leeway_flags(const struct insn *i, const uint32_t regs[8])
{
	uint32_t flags = 0;

	for (const struct undefined_row *row = rows; row < rows + RF_ARRAY_SIZE(rows); row++)
		if (matches(row, i) && holds(row->when, i, regs))
			flags |= row->flags;
	return flags;
}

uint32_t leeway_flags_by_hand(const struct insn *i)
{
	for (const struct undefined_row *row = rows; row < rows + RF_ARRAY_SIZE(rows); row++)
		if (row->by_hand && matches(row, i))
			return row->flags;
	return 0;
}

bool leeway_store_may_fault(const struct insn *i, const struct fxsave_image *fpu)
{
	return i->attr & OPA_FPU && i->mem && i->attr & OPA_MEM_WRITE &&
	       (fpu->fcw & FPU_EXCEPTIONS) != FPU_EXCEPTIONS;
}

void leeway_enter_mmx(const struct insn *i, struct fxsave_image *fpu)
{
	const unsigned top = fpu->fsw >> 11 & 7;
	uint8_t st[8][16];

	if (!(i->attr & OPA_MMX))
		return;
	/* The image holds the registers in stack order. */
	memcpy(st, fpu->st, sizeof(st));
	for (unsigned n = 0; n < 8; n++)
		memcpy(fpu->st[n], st[(n - top) & 7], 16);
	fpu->fsw &= ~FSW_TOP;
	fpu->ftw = 0xff;
}

bool leeway_partial_store(const struct insn *i)
{
	return i->attr & OPA_FPU && i->mem && i->attr & OPA_MEM_WRITE && i->mem_size >= 10;
}

bool leeway_partial_load(const struct insn *i)
{
	return i->attr & OPA_FPU && i->mem && i->attr & OPA_MEM_READ && i->mem_size > 10;
}

bool leeway_shows_pointers(const struct insn *i)
{
	return (i->attr & OPA_FPU && i->mem && i->attr & OPA_MEM_WRITE && i->mem_size > 10) ||
	       (i->map == MAP_0F && i->opcode == 0xae && i->mem && insn_reg(i) == 0);
}

bool leeway_pushes_selector(const struct insn *i)
{
	if (i->op_size != 4)
		return false;
	if (i->map == MAP_0F)
		return i->opcode == 0xa0 || i->opcode == 0xa8;
	return i->map == MAP_1BYTE && ((i->opcode & 0xe7) == 0x06 || i->opcode == 0x9a ||
				       (i->opcode == 0xff && insn_reg(i) == 3));
}

bool leeway_rep_flags(const struct insn *i)
{
	return i->attr & OPA_STRING && i->prefixes & (PFX_REP | PFX_REPNE) &&
	       (i->opcode & 0xf6) == 0xa6;
}
