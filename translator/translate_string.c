/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions. Their ES operand cannot be overridden, so edi and esi become host addresses
 * for the duration: the window is 4-GiB aligned, hence the low half of the host address is the
 * guest's register at every moment, also when the instruction is interrupted in the middle.
 */
#include "guest_address.h"

static bool string_uses_esi(uint8_t o)
{
	return o == 0xa4 || o == 0xa5 || o == 0xa6 || o == 0xa7 || o == 0xac || o == 0xad;
}

static bool string_uses_edi(uint8_t o) { return o != 0xac && o != 0xad; }

static void emit_add_window(struct build *b, unsigned reg)
{
	if (!(b->adapt & ADAPT_DUAL)) {
		guest_address_add_window(b, reg);
		return;
	}
	emit_view(&b->e, reg);
	emit_lea64(&b->e, reg, (struct memref){ .base = reg, .index = H_R9 });
}

static void emit_string(struct build *b, const struct insn *i, bool esi, bool edi)
{
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

/*
 * A dual access: the interpreter's while tcw.soft_views says that there is no user window in use.
 */
static void translate_string_or_interpret(struct build *b, const struct insn *i, bool esi, bool edi)
{
	struct emitter *e = &b->e;
	uint8_t *windows, *done;

	esp_sync_first(b);
	emit_mov32(e, H_R9, H_RCX);
	emit_load32(e, H_RCX, memref_cpu(TCW_OFF(soft_views)));
	windows = emit_jrcxz_short(e);
	emit_mov32(e, H_RCX, H_R9);
	emit_mov32_imm(e, H_R9, 0);
	emit_callout(b, CALLOUT_INTEGER);
	done = emit_jmp_short(e);
	patch_short_here(e, windows);
	emit_mov32(e, H_RCX, H_R9);
	emit_string(b, i, esi, edi);
	patch_short_here(e, done);
}

void translate_string(struct build *b, const struct insn *i)
{
	const bool esi = string_uses_esi(i->opcode), edi = string_uses_edi(i->opcode);

	if (i->addr_size != 4 || (edi && !(b->mode & MODE_ES_FLAT)) ||
	    (esi && !segment_is_flat(b, i->seg)))
		return translate_interpret(b, i);
	if (b->adapt & ADAPT_DUAL && b->tr->opt.soft_views)
		return translate_string_or_interpret(b, i, esi, edi);
	emit_string(b, i, esi, edi);
}
