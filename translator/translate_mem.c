/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory operands. Four forms:
 *
 *   flat segment      the effective address, as guest_address.h has it
 *   based segment     r9 = seg_base[seg]; r9d = *r9; the same of r9d + effective address
 *                     seg_base is NULL unless the segment is a usable 4-GiB one: the load then
 *                     faults on the host, and the instruction is interpreted
 *   dual              r10d = linear address; r9 = view_by_gib[r10d >> 30]; [r9 + r10]: ring 0
 *                     reaching user memory
 *   soft              r10d = linear address; r9 = what stub_soft finds in the software TLB; [r9 +
 *                     r10]: guest RAM through the monitor's flat mapping, for instructions at which
 *                     page faults are frequent. A miss walks the guest's tables in C, which
 *                     delivers what faults there are without a host fault and maps nothing.
 *
 * Only r9 and r10 are used (soft: r8 and r11 too), and no flag is touched.
 */
#include "guest_address.h"

bool segment_is_flat(const struct build *b, unsigned seg)
{
	switch (seg) {
	case X86_DS: return b->mode & MODE_DS_FLAT;
	case X86_ES: return b->mode & MODE_ES_FLAT;
	case X86_SS: return b->mode & MODE_SS_FLAT;
	default: return false;
	}
}

struct memref operand_effective(const struct build *b, const struct insn *insn)
{
	return (struct memref){
		.base = insn->base == INSN_NO_REG ? NO_REG : host_reg_of(insn->base),
		.index = insn->index == INSN_NO_REG ? NO_REG : host_reg_of(insn->index),
		/* a SIB byte may scale no index */
		.scale = insn->index == INSN_NO_REG ? 0 : insn->scale,
		.disp = insn->disp + (insn->base == X86_ESP ? b->esp_delta : 0),
	};
}

static void emit_segment_base(struct build *b, unsigned seg)
{
	emit_load64(&b->e, H_R9, memref_cpu(TCW_OFF(seg_base) + 8 * (int32_t)seg));
	emit_load32(&b->e, H_R9, memref_plain(H_R9, 0));
}

void emit_linear(struct build *b, const struct insn *insn)
{
	guest_address_clobbered(b);
	emit_lea32(&b->e, H_R10, operand_effective(b, insn));
	if (!segment_is_flat(b, insn->seg)) {
		emit_segment_base(b, insn->seg);
		emit_lea32(&b->e, H_R10, (struct memref){ .base = H_R9, .index = H_R10 });
	}
}

static struct memref operand_dual(struct build *b, const struct insn *insn)
{
	emit_linear(b, insn);
	emit_view(&b->e, H_R10);
	return (struct memref){ .base = H_R9, .index = H_R10 };
}

/* MOVUPS, MOVUPD, MOVDQU. Other 16-byte operands must be aligned, and #GP comes before #PF. */
static bool moves_unaligned(const struct insn *i)
{
	return i->map == MAP_0F &&
	       (((i->opcode == 0x10 || i->opcode == 0x11) && (i->sse_prefix & 0xf0) != 0xf0) ||
		((i->opcode == 0x6f || i->opcode == 0x7f) && i->sse_prefix == 0xf3));
}

/*
 * BT, BTS, BTR, BTC with a register: its sign and upper bits move the address, by 256 MiB at most.
 */
bool operand_is_bit_string(const struct insn *i)
{
	return i->mem && i->map == MAP_0F && (i->opcode & 0xe7) == 0xa3;
}

/*
 * The access has to be just what OPA_MEM_* and mem_size say. With x87 and MMX a pending #MF would
 * come before a #PF. Behind an STI a miss could let an interrupt in before the instruction is done.
 */
static bool has_soft_form(const struct build *b, const struct insn *i)
{
	const uint32_t unfit = OPA_FPU | OPA_MMX | OPA_SHIFT | OPA_STACK | OPA_STRING | OPA_SYSTEM |
			       OPA_SEG_LOAD | OPA_JUMP | OPA_CALL;

	return !b->record->shadow && !(i->attr & unfit) &&
	       i->attr & (OPA_MEM_READ | OPA_MEM_WRITE) && !operand_is_bit_string(i) &&
	       i->mem_size && (i->mem_size <= 8 || moves_unaligned(i));
}

bool operand_may_be_soft(const struct build *b, const struct insn *i)
{
	return (b->adapt & ADAPT_SOFT || mode_is_soft(b)) && has_soft_form(b, i);
}

/*
 * A dual access that may find its space to have no user window in use: by way of a stub that looks.
 */
static bool dual_may_be_soft(const struct build *b, const struct insn *i)
{
	return b->tr->opt.soft_views && has_soft_form(b, i);
}

static struct memref operand_soft(struct build *b, const struct insn *i)
{
	const enum access access = i->attr & OPA_MEM_WRITE ? ACCESS_WRITE : ACCESS_READ;

	esp_sync_first(b); /* the stub may leave, or deliver a fault */
	emit_linear(b, i);
	return emit_soft_lookup(b, b->tr->stub_soft[access], i->mem_size);
}

static struct memref operand_dual_or_soft(struct build *b, const struct insn *i)
{
	const enum access access = i->attr & OPA_MEM_WRITE ? ACCESS_WRITE : ACCESS_READ;

	esp_sync_first(b);
	emit_linear(b, i);
	return emit_soft_lookup(b, b->tr->stub_dual[access], i->mem_size);
}

/* r9d + m. Offsets from a segment's base are often negative: in a register, the sum wraps. */
static struct memref based_address(struct build *b, struct memref m)
{
	if (m.base == NO_REG && m.index == NO_REG)
		return guest_address_at(b, H_R9, m.disp);
	if (m.base != NO_REG && m.index != NO_REG) {
		guest_address_clobbered(b);
		emit_lea32(&b->e, H_R10, m);
		m = (struct memref){ .base = H_R10, .index = NO_REG };
	}
	if (m.base == NO_REG)
		m.base = H_R9;
	else
		m = (struct memref){ .base = H_R9, .index = m.base, .disp = m.disp };
	return guest_address(b, m, true);
}

struct memref operand_prepare(struct build *b, const struct insn *insn)
{
	struct memref m = operand_effective(b, insn);

	if (is_code16(b))
		return operand16_prepare(b, insn);
	if (b->soft)
		return operand_soft(b, insn);
	if (b->adapt & ADAPT_DUAL && dual_may_be_soft(b, insn))
		return operand_dual_or_soft(b, insn);
	if (b->adapt & ADAPT_DUAL)
		return operand_dual(b, insn);
	if (segment_is_flat(b, insn->seg))
		return guest_address(b, m, false);
	emit_segment_base(b, insn->seg);
	return based_address(b, m);
}
