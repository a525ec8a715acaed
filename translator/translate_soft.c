/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft mode (MODE_SOFT): ring-3 code of an address space that is not worth a window yet. Each
 * of its accesses finds its page in the software TLB and goes to the monitor's flat mapping of
 * guest RAM, so that no host mapping is made for it and none has to be taken away.
 *
 *   operands            as in the soft form (translate_mem.c)
 *   PUSH, POP, CALL,    the slot is looked up like an operand; the stub may deliver a fault, so
 *                       r14d is
 *   RET, LEAVE          brought up to date first
 *   others              have no form: they are interpreted. They are rare in young programs, and
 *                       old ones do not run in this mode.
 */
#include "guest_address.h"

/* PUSH, POP, CALL, RET, LEAVE of 32 bits, which translate_stack.c and translate_control.c make. */
static bool is_plain_stack(const struct insn *i)
{
	const uint8_t o = i->opcode;

	if (i->map != MAP_1BYTE || i->op_size != 4)
		return false;
	return (o >= 0x50 && o <= 0x5f) || o == 0x68 || o == 0x6a || o == 0xc9 || o == 0xe8 ||
	       o == 0xc2 || o == 0xc3;
}

/* FF /2, /4, /6: CALL, JMP, PUSH. */
static bool is_indirect(const struct insn *i)
{
	const unsigned reg = insn_reg(i);

	return i->map == MAP_1BYTE && i->opcode == 0xff && i->op_size == 4 &&
	       (reg == 2 || reg == 4 || reg == 6);
}

/* ModRM's, but for LEA's, or a direct address (A0h to A3h). */
static bool has_operand(const struct insn *i)
{
	const bool one_byte = i->map == MAP_1BYTE;

	return (i->mem && !(one_byte && i->opcode == 0x8d)) ||
	       (one_byte && i->opcode >= 0xa0 && i->opcode <= 0xa3);
}

static bool is_from_segment(const struct insn *i)
{
	return i->map == MAP_1BYTE && i->opcode == 0x8c;
}

bool soft_lacks_form(const struct build *b, const struct insn *i)
{
	if (!mode_is_soft(b) || is_plain_stack(i) || is_indirect(i))
		return false;
	if (i->attr & (OPA_STACK | OPA_STRING))
		return true;
	if (!has_operand(i) || i->attr & OPA_NOP)
		return false;
	return i->attr & OPA_SEG_LOAD || is_from_segment(i) || !operand_may_be_soft(b, i);
}

struct memref emit_soft_lookup(struct build *b, cache_pc stub, uint32_t len)
{
	guest_address_clobbered(b);
	emit_mov32_imm(&b->e, H_R9, len - 1);
	emit_mov32_imm(&b->e, H_R8, b->eip);
	emit_call(&b->e, stub);
	return (struct memref){ .base = H_R9, .index = H_R10 };
}

struct memref soft_stack_slot(struct build *b, int32_t disp, enum access access)
{
	emit_lea32(&b->e, H_R10, memref_plain(H_GUEST_ESP, disp));
	return emit_soft_lookup(b, b->tr->stub_soft[access], 4);
}

void emit_soft_keep(struct build *b, unsigned reg)
{
	emit_store32(&b->e, reg, memref_cpu(TCW_OFF(soft_value)));
}

void emit_soft_kept(struct build *b, unsigned reg)
{
	emit_load32(&b->e, reg, memref_cpu(TCW_OFF(soft_value)));
}
