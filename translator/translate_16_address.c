/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How 16-bit code reaches memory: an offset, its segment's limit, its segment's base.
 *
 *   lea   r9d, [base + index + disp]          the offset,
 *   movzx r9d, r9w                            cut to 16 bits if the address size is that
 *   mov   r11, [r15 + limit_probe]            the byte at r11 + the access' last offset can be
 *   movzx r11d, byte [r11 + r9 + size - 1]    read if the segment allows the access
 *   mov   r10d, [r15 + seg.base]
 *   lea   r10d, [r10 + r9]                    wraps at 4 GiB as the guest's does
 *   op    [r10 + r13]
 *
 * A limit is checked by a load, since no flag may be touched. Where it faults, the interpreter runs
 * the instruction, and raises what is due. So bases, limits and kinds of segments are looked up at
 * each access, and a segment register may be loaded without a new mode. Only where it is known that
 * all offsets up to FFFFh are good (MODE_DS_FLAT and its kin) are bytes not checked.
 */
#include "guest_address.h"

#define LARGEST_OPERAND 16u

/* Bit strings reach beside their address. */
bool operand16_has_form(const struct insn *i)
{
	const bool moffs = i->map == MAP_1BYTE && i->opcode >= 0xa0 && i->opcode <= 0xa3;

	return (!i->mem && !moffs) ||
	       (i->mem_size && i->mem_size <= LARGEST_OPERAND && !operand_is_bit_string(i));
}

static int32_t limit_probe(unsigned seg, enum access access)
{
	return TCW_OFF(limit_probe) + 8 * (int32_t)((access == ACCESS_WRITE) * X86_NSEG + seg);
}

static void emit_probe(struct build *b, struct memref at)
{
	emit_op_mem1(&b->e, OP2(0xb6), H_R11, at);
}

static void emit_base(struct build *b, unsigned seg)
{
	emit_load32(&b->e, H_R10,
		    memref_cpu(CPU_SEG_OFF(seg) + (int32_t)offsetof(struct segment, base)));
}

struct memref segment16_at_r9(struct build *b, unsigned seg, unsigned size, enum access access)
{
	struct emitter *e = &b->e;

	if (size) {
		emit_load64(e, H_R11, memref_cpu(limit_probe(seg, access)));
		emit_probe(b, (struct memref){ .base = H_R11, .index = H_R9,
					       .disp = (int32_t)size - 1 });
	}
	emit_base(b, seg);
	emit_lea32(e, H_R10, (struct memref){ .base = H_R10, .index = H_R9 });
	return (struct memref){ .base = H_R10, .index = H_WINDOW };
}

/* The offset is known: 16 bits of it are. */
static struct memref segment16_at(struct build *b, unsigned seg, uint32_t offset, unsigned size,
				  enum access access)
{
	struct emitter *e = &b->e;

	if (!segment_is_flat(b, seg) || offset + size > 0x10000) {
		emit_load64(e, H_R11, memref_cpu(limit_probe(seg, access)));
		emit_probe(b, memref_plain(H_R11, offset + size - 1));
	}
	emit_base(b, seg);
	emit_lea32(e, H_R10, memref_plain(H_R10, offset));
	return (struct memref){ .base = H_R10, .index = H_WINDOW };
}

static void emit_offset(struct build *b, const struct insn *i)
{
	const bool alone = i->index == INSN_NO_REG && !i->disp;
	const struct memref sum = {
		.base = i->base == INSN_NO_REG ? NO_REG : host_reg_of(i->base),
		.index = i->index == INSN_NO_REG ? NO_REG : host_reg_of(i->index),
		.scale = i->index == INSN_NO_REG ? 0 : i->scale,
		.disp = i->disp,
	};

	if (i->addr_size == 2 && alone) {
		emit_movzx16(&b->e, H_R9, sum.base);
		return;
	}
	emit_lea32(&b->e, H_R9, sum);
	if (i->addr_size == 2)
		emit_movzx16(&b->e, H_R9, H_R9);
}

struct memref operand16_prepare(struct build *b, const struct insn *i)
{
	const enum access access = i->attr & OPA_MEM_WRITE ? ACCESS_WRITE : ACCESS_READ;
	const bool direct = i->base == INSN_NO_REG && i->index == INSN_NO_REG;
	const uint32_t offset = i->addr_size == 2 ? i->disp & 0xffff : i->disp;
	const bool always_good = segment_is_flat(b, i->seg) && i->addr_size == 2 &&
				 i->mem_size == 1;

	if (direct && offset <= 0xffff)
		return segment16_at(b, i->seg, offset, i->mem_size, access);
	emit_offset(b, i);
	return segment16_at_r9(b, i->seg, always_good ? 0 : i->mem_size, access);
}

struct memref stack16_slot(struct build *b, int32_t disp, unsigned size, enum access access)
{
	if (disp)
		emit_lea32(&b->e, H_R9, memref_plain(H_GUEST_ESP, disp));
	emit_movzx16(&b->e, H_R9, disp ? H_R9 : H_GUEST_ESP);
	return segment16_at_r9(b, X86_SS, size, access);
}

void stack16_check_wrap(struct build *b, unsigned size)
{
	emit_load64(&b->e, H_R11, memref_cpu(TCW_OFF(wrap_probe)));
	emit_probe(b, (struct memref){ .base = H_R11, .index = H_R9, .disp = (int32_t)size - 1 });
}

void code16_check_target(struct build *b, unsigned op_size)
{
	if (op_size == 2 && b->code->limit == 0xffff)
		return;
	emit_load64(&b->e, H_R11, memref_cpu(TCW_OFF(code_probe)));
	emit_probe(b, (struct memref){ .base = H_R11, .index = H_R8 });
}
