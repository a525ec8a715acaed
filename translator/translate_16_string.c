/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions of 16-bit code, without a repeat prefix: MOVS, CMPS, STOS, LODS, SCAS.
 *
 * They become plain loads, stores and comparisons, with their offsets and limits as any operand of
 * 16-bit code has them, and LEAs that move SI and DI on afterwards, when nothing can fault any
 * more:
 *
 *   mov   r10d, [r15 + string_step]        1, or -1 with DF set
 *   lea   r9d, [rsi + r10*size]
 *   mov   si, r9w
 *
 * tcw.string_step follows DF: CLD, STD and POPF set it in translated code, C code sets it wherever
 * it may have changed DF. Host string instructions are not used: they would have the bases added to
 * rsi and rdi, and whoever interrupted them would have to take them off again.
 *
 * Repeated ones are a callout that does a batch of iterations.
 */
#include "guest_address.h"

static unsigned element_size(const struct insn *i)
{
	return i->attr & OPA_BYTE ? 1 : i->op_size;
}

/* The element at seg:reg; clobbers r9, r10, r11. */
static struct memref element(struct build *b, const struct insn *i, unsigned seg, unsigned reg,
			     enum access access)
{
	const unsigned size = element_size(i);
	const bool always_good = segment_is_flat(b, seg) && i->addr_size == 2 && size == 1;

	if (i->addr_size == 2)
		emit_movzx16(&b->e, H_R9, reg);
	else
		emit_mov32(&b->e, H_R9, reg);
	return segment16_at_r9(b, seg, always_good ? 0 : size, access);
}

static struct memref source(struct build *b, const struct insn *i)
{
	return element(b, i, i->seg, H_RSI, ACCESS_READ);
}

static struct memref destination(struct build *b, const struct insn *i, enum access access)
{
	return element(b, i, X86_ES, H_RDI, access);
}

/* opcode: of the form for bytes; that for words and doublewords comes after it. */
static void emit_sized(struct build *b, const struct insn *i, uint8_t opcode, unsigned reg,
		       struct memref m)
{
	struct opcode_bytes op = OP1(opcode);

	op.opcode[0] += element_size(i) > 1;
	if (element_size(i) == 2)
		op.prefix[op.nprefix++] = 0x66;
	emit_op_mem(&b->e, &op, reg, &m);
}

/* r8d = an element, zero-extended. */
static void emit_element(struct build *b, const struct insn *i, struct memref m)
{
	switch (element_size(i)) {
	case 1: return emit_op_mem1(&b->e, OP2(0xb6), H_R8, m);
	case 2: return emit_op_mem1(&b->e, OP2(0xb7), H_R8, m);
	default: return emit_load32(&b->e, H_R8, m);
	}
}

static void emit_string_step(struct build *b)
{
	emit_load32(&b->e, H_R10, memref_cpu(TCW_OFF(string_step)));
}

/* reg moves on by one element: r10d is the step. */
static void emit_advance(struct build *b, const struct insn *i, unsigned reg)
{
	const struct memref next = { .base = reg, .index = H_R10,
				     .scale = element_size(i) >> 1 };
	struct opcode_bytes op = OP1(0x8b);

	emit_lea32(&b->e, H_R9, next);
	if (i->addr_size == 2)
		op.prefix[op.nprefix++] = 0x66;
	emit_op_reg(&b->e, &op, reg, H_R9);
}

static void movs(struct build *b, const struct insn *i)
{
	emit_element(b, i, source(b, i));
	emit_sized(b, i, 0x88, H_R8, destination(b, i, ACCESS_WRITE));
	emit_string_step(b);
	emit_advance(b, i, H_RSI);
	emit_advance(b, i, H_RDI);
}

/* Which operand faults first, if both do, is for the interpreter to say. */
static void cmps(struct build *b, const struct insn *i)
{
	emit_element(b, i, destination(b, i, ACCESS_READ));
	emit_sized(b, i, 0x38, H_R8, source(b, i));
	emit_string_step(b);
	emit_advance(b, i, H_RSI);
	emit_advance(b, i, H_RDI);
}

static void stos(struct build *b, const struct insn *i)
{
	emit_sized(b, i, 0x88, H_RAX, destination(b, i, ACCESS_WRITE));
	emit_string_step(b);
	emit_advance(b, i, H_RDI);
}

static void lods(struct build *b, const struct insn *i)
{
	emit_sized(b, i, 0x8a, H_RAX, source(b, i));
	emit_string_step(b);
	emit_advance(b, i, H_RSI);
}

static void scas(struct build *b, const struct insn *i)
{
	emit_sized(b, i, 0x3a, H_RAX, destination(b, i, ACCESS_READ));
	emit_string_step(b);
	emit_advance(b, i, H_RDI);
}

void translate_16_string(struct build *b, const struct insn *i)
{
	static const translate_fn once[8] = { [2] = movs, [3] = cmps, [5] = stos, [6] = lods,
					      [7] = scas };

	if (i->prefixes & (PFX_REP | PFX_REPNE))
		return translate_interpret(b, i);
	once[i->opcode >> 1 & 7](b, i);
}

void translate_16_direction(struct build *b, const struct insn *i)
{
	translate_copy(b, i);
	emit_store32_imm(&b->e, i->opcode == 0xfd ? -1 : 1, memref_cpu(TCW_OFF(string_step)));
}
