/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far transfers, interrupts and POPF in 16-bit code.
 *
 * A far transfer is a light callout that goes on at the new CS:IP by way of the branch cache, in
 * whatever mode that is. What is seldom is left to the interpreter: operands of 32 bits in far JMP
 * and CALL, and INT 3 and INT 4 as CD 03 and CD 04 outside ring 0, which in virtual-8086 mode need
 * another IOPL than INT3 and INTO.
 */
#include "translate_16.h"

static void emit_transfer(struct build *b, enum callout which)
{
	b->ended = true;
	emit_callout(b, which);
}

/* 9A, EA */
void translate_16_far_direct(struct build *b, const struct insn *i)
{
	if (i->op_size != 2)
		return translate_leave_tc(b, i);
	emit_mov32_imm(&b->e, H_R9, i->imm2 << 16 | (i->imm & 0xffff));
	emit_transfer(b, i->opcode == 0x9a ? CALLOUT_FAR_CALL : CALLOUT_FAR_JUMP);
}

/* FF /3, /5 */
void translate_16_far_indirect(struct build *b, const struct insn *i)
{
	if (!i->mem || i->op_size != 2 || i->mem_size != 4)
		return translate_leave_tc(b, i);
	emit_load32(&b->e, H_R9, operand16_prepare(b, i));
	emit_transfer(b, insn_reg(i) == 3 ? CALLOUT_FAR_CALL : CALLOUT_FAR_JUMP);
}

/* CA, CB, CF */
void translate_16_far_return(struct build *b, const struct insn *i)
{
	const uint32_t size = (uint32_t)i->op_size << 16;

	if (i->opcode == 0xcf)
		emit_mov32_imm(&b->e, H_R9, size | CALLOUT_IRET_TOO);
	else
		emit_mov32_imm(&b->e, H_R9, size | (i->imm_size ? i->imm & 0xffff : 0));
	emit_transfer(b, CALLOUT_FAR_RETURN);
}

/* CC, CD */
void translate_16_int(struct build *b, const struct insn *i)
{
	const uint32_t vector = i->opcode == 0xcc ? EXC_BP : i->imm & 0xff;

	if (b->mode & MODE_CPL && i->opcode == 0xcd && (vector == EXC_BP || vector == EXC_OF))
		return translate_leave_tc(b, i);
	emit_mov32_imm(&b->e, H_R9, vector);
	emit_transfer(b, CALLOUT_INT);
}

/*
 * Ring 0, and nothing changes but arithmetic flags and IF, and DF is clear; otherwise, or if IF is
 * set with an event pending, the interpreter. As in 32-bit code, the host's flags may be spoilt
 * meanwhile.
 */
void translate_16_popf(struct build *b, const struct insn *i)
{
	struct emitter *e = &b->e;
	struct popf p;

	if (b->mode & MODE_CPL)
		return translate_interpret(b, i);
	code16_load_r8(b, i->op_size, stack16_slot(b, 0, i->op_size, ACCESS_READ));
	p = popf_begin(b, X86_ARITH_FLAGS);
	emit_store32_imm(e, 1, memref_cpu(TCW_OFF(string_step)));
	code16_sp_add(b, i->op_size);
	popf_end(b, i, p);
}
