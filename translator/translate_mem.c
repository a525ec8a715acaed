/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory operands. Three forms:
 *
 *   flat segment      gs:[ea]                                  (nothing added)
 *   based segment     r9 = seg_base[seg]; r9d = *r9; gs:[r9d + ea]
 *                     seg_base is NULL unless the segment is a usable 4-GiB one: the load then faults on the host, and
 *                     the instruction is interpreted
 *   dual              r10d = linear address; r9 = view_by_gib[r10d >> 30]; [r9 + r10]: ring 0 reaching user memory
 *
 * Only r9 and r10 are used, and no flag is touched.
 */
#include "translate.h"

bool segment_is_flat(const struct build *b, unsigned seg)
{
	switch (seg) {
	case X86_DS: return b->mode & MODE_DS_FLAT;
	case X86_ES: return b->mode & MODE_ES_FLAT;
	case X86_SS: return b->mode & MODE_SS_FLAT;
	default: return false;
	}
}

bool operand_is_simple(const struct build *b, const struct insn *insn)
{
	return segment_is_flat(b, insn->seg) && !(b->adapt & ADAPT_DUAL) && insn->base != X86_ESP;
}

static struct memref operand_effective(const struct build *b, const struct insn *insn)
{
	return (struct memref){
		.base = insn->base == INSN_NO_REG ? NO_REG : host_reg_of(insn->base),
		.index = insn->index == INSN_NO_REG ? NO_REG : host_reg_of(insn->index),
		.scale = insn->scale,
		.disp = insn->disp + (insn->base == X86_ESP ? b->esp_delta : 0),
	};
}

static void emit_segment_base(struct build *b, unsigned seg)
{
	emit_load64(&b->e, H_R9, memref_cpu(CPU_OFF(tcw.seg_base) + 8 * (int32_t)seg));
	emit_load32(&b->e, H_R9, memref_plain(H_R9, 0));
}

/* r10d = linear address */
static void emit_linear(struct build *b, const struct insn *insn)
{
	emit_lea32(&b->e, H_R10, operand_effective(b, insn));
	if (!segment_is_flat(b, insn->seg)) {
		emit_segment_base(b, insn->seg);
		emit_lea32(&b->e, H_R10, (struct memref){ .base = H_R9, .index = H_R10 });
	}
}

static struct memref operand_dual(struct build *b, const struct insn *insn)
{
	emit_linear(b, insn);
	emit_mov32_imm(&b->e, H_R9, 30);
	emit_shrx32(&b->e, H_R9, H_R10, H_R9);
	emit_load64(&b->e, H_R9, (struct memref){ .base = H_CPU, .index = H_R9, .scale = 3, .disp = CPU_OFF(tcw.view_by_gib) });
	return (struct memref){ .base = H_R9, .index = H_R10 };
}

struct memref operand_prepare(struct build *b, const struct insn *insn)
{
	struct memref m = operand_effective(b, insn);

	if (b->adapt & ADAPT_DUAL)
		return operand_dual(b, insn);
	m.confined = true;
	if (segment_is_flat(b, insn->seg))
		return m;
	emit_segment_base(b, insn->seg);
	if (m.base == NO_REG && m.index == NO_REG) {
		m.base = H_R9;
	} else if (m.index == NO_REG) {
		m.index = m.base;
		m.base = H_R9;
		m.scale = 0;
	} else {
		emit_lea32(&b->e, H_R10, m);
		m = (struct memref){ .base = H_R9, .index = H_R10, .confined = true };
	}
	return m;
}
