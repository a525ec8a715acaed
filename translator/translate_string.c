/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions. Their ES operand cannot be overridden, so edi and esi become host addresses for the duration: the
 * window is 4-GiB aligned, hence the low half of the host address is the guest's register at every moment, also when the
 * instruction is interrupted in the middle.
 */
#include "guest_address.h"

static bool string_uses_esi(uint8_t o) { return o == 0xa4 || o == 0xa5 || o == 0xa6 || o == 0xa7 || o == 0xac || o == 0xad; }
static bool string_uses_edi(uint8_t o) { return o != 0xac && o != 0xad; }

static void emit_add_window(struct build *b, unsigned reg)
{
	if (!(b->adapt & ADAPT_DUAL)) {
		guest_address_add_window(b, reg);
		return;
	}
	emit_view(b, reg);
	emit_lea64(&b->e, reg, (struct memref){ .base = reg, .index = H_R9 });
}

void translate_string(struct build *b, const struct insn *i)
{
	const bool esi = string_uses_esi(i->opcode), edi = string_uses_edi(i->opcode);

	if (i->addr_size != 4 || (edi && !(b->mode & MODE_ES_FLAT)) || (esi && !segment_is_flat(b, i->seg)))
		return translate_interpret(b, i);
	if (esi)
		emit_add_window(b, H_RSI);
	if (edi)
		emit_add_window(b, H_RDI);
	if (i->prefixes & PFX_OPSIZE)
		emit8(&b->e, 0x66);
	if (i->prefixes & (PFX_REP | PFX_REPNE))
		emit8(&b->e, i->prefixes & PFX_REP ? 0xf3 : 0xf2);
	emit8(&b->e, i->opcode);
	if (esi)
		emit_mov32(&b->e, H_RSI, H_RSI);
	if (edi)
		emit_mov32(&b->e, H_RDI, H_RDI);
}
