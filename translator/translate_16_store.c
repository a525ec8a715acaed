/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores of 16-bit code that have met a device, or a page with code, often (ADAPT_INTERPRET): light
 * callouts, which cost a tenth of what the interpreter does. A boot sector at 7C00h with its stack
 * right below it pushes to a page of code each time.
 *
 *   MOV to memory     CALLOUT_STORE and its kin: value in r9d, linear address in r10d
 *   PUSH              CALLOUT_PUSH_WORD or _LONG: C code moves SP, since it may not come back here
 *   near CALL         the same, and where it goes is told as what comes next
 *
 * Limits are probed in translated code, as for any operand.
 */
#include "translate_16.h"

static bool is_mov(const struct insn *i)
{
	const uint8_t o = i->opcode;
	const bool high = o == 0x88 && insn_reg(i) >= 4; /* AH to BH */

	return (o & 0xfe) == 0xa2 ||
	       (i->mem && (o == 0xc6 || o == 0xc7 || o == 0x88 || o == 0x89) && !high);
}

static bool is_push(const struct insn *i)
{
	const uint8_t o = i->opcode;

	return (o & 0xf8) == 0x50 || o == 0x68 || o == 0x6a || (o & 0xe7) == 0x06;
}

bool translate_16_stores(const struct build *b, const struct insn *i)
{
	gva_t target;

	if (i->map == MAP_0F)
		return i->opcode == 0xa0 || i->opcode == 0xa8;
	return i->map == MAP_1BYTE &&
	       (is_push(i) || (is_mov(i) && operand16_has_form(i)) ||
		(i->opcode == 0xe8 && near_target(b, i, &target)));
}

/* r9d and r10d are ready. */
static void emit_store_callout(struct build *b, enum callout which, uint32_t next)
{
	struct emitter *e = &b->e;

	emit_mov32_imm(e, H_R8, guest_eip(b, b->eip));
	emit_mov32_imm(e, H_R11, next);
	emit_call(e, b->tr->stub_callout[which]);
	guest_address_clobbered(b);
}

static void store(struct build *b, const struct insn *i)
{
	const bool immediate = (i->opcode & 0xfe) == 0xc6, byte = i->attr & OPA_BYTE;
	struct insn to = *i;

	if (!i->mem) { /* A2, A3 */
		to.base = to.index = INSN_NO_REG;
		to.scale = 0;
	}
	operand16_prepare(b, &to);
	if (immediate)
		emit_mov32_imm(&b->e, H_R9, i->imm);
	else
		emit_mov32(&b->e, H_R9, i->mem ? host_reg_of(insn_reg(i)) : H_RAX);
	emit_store_callout(b,
			   byte             ? CALLOUT_STORE_BYTE :
			   i->op_size == 2 ? CALLOUT_STORE_WORD :
					     CALLOUT_STORE,
			   guest_eip(b, b->next_eip));
}

static void emit_slot(struct build *b, unsigned size)
{
	stack16_slot(b, -(int32_t)size, size, ACCESS_WRITE);
}

static void emit_pushed(struct build *b, unsigned size, uint32_t next)
{
	emit_store_callout(b, size == 2 ? CALLOUT_PUSH_WORD : CALLOUT_PUSH_LONG, next);
}

static void push(struct build *b, const struct insn *i)
{
	emit_slot(b, i->op_size);
	if (i->map == MAP_1BYTE && (i->opcode & 0xf8) == 0x50) {
		emit_mov32(&b->e, H_R9, host_reg_of(i->opcode & 7));
	} else if (i->map == MAP_1BYTE && (i->opcode & 0xfd) == 0x68) {
		emit_mov32_imm(&b->e, H_R9, i->imm);
	} else {
		code16_selector(b, code16_segment_of(i));
		emit_mov32(&b->e, H_R9, H_R8);
	}
	emit_pushed(b, i->op_size, guest_eip(b, b->next_eip));
}

static void call(struct build *b, const struct insn *i)
{
	gva_t target = b->next_eip;

	if (i->imm)
		near_target(b, i, &target);
	emit_slot(b, i->op_size);
	emit_mov32_imm(&b->e, H_R9, guest_eip(b, b->next_eip));
	emit_pushed(b, i->op_size, guest_eip(b, target));
	if (!i->imm)
		return;
	emit_exit(b, target, BY_CALL, 0);
	emit_return_site(b);
}

void translate_16_store(struct build *b, const struct insn *i)
{
	if (i->map == MAP_1BYTE && i->opcode == 0xe8)
		return call(b, i);
	if (i->map == MAP_1BYTE && is_mov(i))
		return store(b, i);
	push(b, i);
}
