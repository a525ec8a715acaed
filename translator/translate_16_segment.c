/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads of segment registers in 16-bit code.
 *
 * In real and virtual-8086 mode (MODE_PARAGRAPHS) they are done in place: a load sets the selector,
 * and a base of 16 times as much (SDM vol. 3, 20.1.1). Limits stay what they are, and with them
 * what translated code probes.
 *
 *   mov   [r15 + seg.selector], r8w
 *   mov   [r15 + x87.selector], r8w
 *   lea   r9d, [r8*8]
 *   lea   r9d, [r9 + r9]
 *   mov   [r15 + seg.base], r9d
 *
 * Elsewhere a light callout looks at the descriptor. After a load of SS no interrupt is taken
 * before the next instruction is done, as after STI (SDM vol. 3, 6.8.3).
 */
#include "translate_16.h"

static bool loads_paragraphs(const struct build *b)
{
	return b->mode & MODE_PARAGRAPHS;
}

/* A load of SS holds interrupts off: its next instruction has to be in the same TU. */
static bool loads_in_place(const struct build *b, unsigned seg)
{
	return loads_paragraphs(b) && (seg != X86_SS || !b->last);
}

/* From r8d, a selector with an upper half of zero; nothing can fault after this. */
static void emit_paragraph(struct build *b, unsigned seg)
{
	const int32_t s = CPU_SEG_OFF(seg);
	struct emitter *e = &b->e;

	emit_op_mem1(e, OP1_16(0x89), H_R8,
		     memref_cpu(s + (int32_t)offsetof(struct segment, selector)));
	emit_op_mem1(e, OP1_16(0x89), H_R8,
		     memref_cpu(TCW_OFF(x87.selector) + 2 * (int32_t)seg));
	emit_lea32(e, H_R9, (struct memref){ .base = NO_REG, .index = H_R8, .scale = 3 });
	emit_lea32(e, H_R9, (struct memref){ .base = H_R9, .index = H_R9 });
	emit_store32(e, H_R9, memref_cpu(s + (int32_t)offsetof(struct segment, base)));
}

void translate_16_mov_to_seg(struct build *b, const struct insn *i)
{
	const unsigned seg = insn_reg(i);

	if (seg == X86_SS && !loads_in_place(b, seg))
		return translate_interpret(b, i);
	if (i->mem)
		emit_op_mem1(&b->e, OP2(0xb7), H_R8, operand16_prepare(b, i));
	else
		emit_movzx16(&b->e, H_R8, host_reg_of(insn_rm(i)));
	if (!loads_in_place(b, seg))
		return emit_load_segment(b, seg, 0);
	emit_paragraph(b, seg);
	b->shadow = seg == X86_SS;
}

void translate_16_pop_seg(struct build *b, const struct insn *i)
{
	const unsigned seg = code16_segment_of(i);

	if (seg == X86_SS && !loads_in_place(b, seg))
		return translate_interpret(b, i);
	emit_op_mem1(&b->e, OP2(0xb7), H_R8, stack16_slot(b, 0, i->op_size, ACCESS_READ));
	if (!loads_in_place(b, seg))
		return emit_load_segment(b, seg,
					 i->op_size == 2 ? CALLOUT_POP | CALLOUT_POP_WORD :
							   CALLOUT_POP);
	emit_paragraph(b, seg);
	code16_sp_add(b, i->op_size);
	b->shadow = seg == X86_SS;
}

static unsigned far_segment(const struct insn *i)
{
	if (i->map == MAP_0F)
		return i->opcode & 7; /* SS, FS, GS */
	return i->opcode == 0xc4 ? X86_ES : X86_DS;
}

/* LES, LDS, LSS, LFS, LGS: the selector first, so that no register changes before a fault. */
void translate_16_load_far(struct build *b, const struct insn *i)
{
	struct memref offset, selector;

	if (!i->mem || !loads_paragraphs(b) || i->mem_size != i->op_size + 2)
		return translate_interpret(b, i);
	offset = selector = operand16_prepare(b, i);
	selector.disp += i->op_size;
	emit_op_mem1(&b->e, OP2(0xb7), H_R8, selector);
	code16_load(b, host_reg_of(insn_reg(i)), i->op_size, offset);
	emit_paragraph(b, far_segment(i));
}
