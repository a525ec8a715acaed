/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Most instructions mean the same in 64-bit mode: they are copied, with ESP renamed to r14d and the
 * memory operand confined to the window. Those that do not, or that need the monitor, become a
 * callout to the interpreter.
 */
#include "guest_address.h"

void emit_callout_by(struct build *b, cache_pc stub)
{
	x87_note(b); /* what was to be copied is not */
	esp_sync(b);
	guest_address_clobbered(b);
	emit_mov32_imm(&b->e, H_R8, guest_eip(b, b->eip));
	emit_mov32_imm(&b->e, H_R10, guest_eip(b, b->next_eip));
	emit_call(&b->e, stub);
}

void emit_callout(struct build *b, enum callout which)
{
	emit_callout_by(b, b->tr->stub_callout[which]);
}

/* FXSAVE and its kin have attributes of their own. */
static bool concerns_fpu(const struct insn *i)
{
	return i->attr & (OPA_FPU | OPA_MMX | OPA_SSE) || (i->map == MAP_0F && i->opcode == 0xae);
}

void translate_interpret(struct build *b, const struct insn *insn)
{
	emit_mov32_imm(&b->e, H_R9, b->adapt & ADAPT_INTERPRET);
	emit_callout(b, concerns_fpu(insn) ? CALLOUT_INTERPRET : CALLOUT_INTEGER);
	/* Most last instructions do not come back here, but one may end up just after itself. */
	if (b->ended)
		emit_exit(b, b->next_eip, BY_JMP, 0);
}

/* MOV of four bytes to memory: 89h, A3h, C7h. */
static bool is_store(const struct insn *i)
{
	return i->map == MAP_1BYTE && i->op_size == 4 && i->addr_size == 4 &&
	       (i->opcode == 0xa3 || (i->mem && (i->opcode == 0x89 || i->opcode == 0xc7)));
}

static void translate_store(struct build *b, const struct insn *i)
{
	struct emitter *e = &b->e;
	struct insn to = *i;

	if (i->opcode == 0xa3) {
		to.base = to.index = INSN_NO_REG;
		to.scale = 0;
	}
	esp_sync_first(b);
	emit_linear(b, &to);
	if (i->opcode == 0xc7)
		emit_mov32_imm(e, H_R9, i->imm);
	else
		emit_mov32(e, H_R9, i->opcode == 0xa3 ? X86_EAX : host_reg_of(insn_reg(i)));
	emit_mov32_imm(e, H_R8, b->eip);
	emit_mov32_imm(e, H_R11, b->next_eip);
	emit_call(e, b->tr->stub_callout[CALLOUT_STORE]);
}

void translate_adapted(struct build *b, const struct insn *i)
{
	if (is_store(i))
		translate_store(b, i);
	else
		translate_interpret(b, i);
}

static bool reg_is_byte(const struct insn *i)
{
	if (i->map == MAP_1BYTE)
		return (i->opcode < 0x40 && !(i->opcode & 1)) || i->opcode == 0x84 ||
		       i->opcode == 0x86 || i->opcode == 0x88 || i->opcode == 0x8a;
	return i->map == MAP_0F && (i->opcode == 0xb0 || i->opcode == 0xc0);
}

/* ModRM.reg names a 16- or 32-bit general register. */
static bool reg_is_gpr(const struct insn *i)
{
	const uint8_t o = i->opcode;

	switch (i->map) {
	case MAP_1BYTE:
		return (o < 0x40 && (o & 1)) || o == 0x69 || o == 0x6b || o == 0x85 || o == 0x87 ||
		       o == 0x89 || o == 0x8b || o == 0x8d;
	case MAP_0F:
		return (o >= 0x40 && o <= 0x50) || o == 0xa3 || o == 0xa4 || o == 0xa5 ||
		       o == 0xab || o == 0xac || o == 0xad || o == 0xaf || o == 0xb1 || o == 0xb3 ||
		       (o >= 0xb6 && o <= 0xb8) || (o >= 0xbb && o <= 0xbf) || o == 0xc1 ||
		       ((o == 0x2c || o == 0x2d) && (i->sse_prefix & 0xf0) == 0xf0) || o == 0xd7 ||
		       o == 0xc5 || o == 0xc3;
	case MAP_0F38:
		return o == 0xf0 || o == 0xf1;
	default:
		return false;
	}
}

static bool rm_is_byte(const struct insn *i)
{
	const uint8_t o = i->opcode;

	switch (i->map) {
	case MAP_1BYTE:
		return reg_is_byte(i) || o == 0x80 || o == 0x82 || o == 0xc0 || o == 0xc6 ||
		       o == 0xd0 || o == 0xd2 || o == 0xf6 || o == 0xfe;
	case MAP_0F:
		return (o >= 0x90 && o <= 0x9f) || o == 0xb0 || o == 0xb6 || o == 0xbe || o == 0xc0;
	case MAP_0F38:
		return o == 0xf0 && i->sse_prefix == 0xf2;
	default:
		return false;
	}
}

static bool rm_is_gpr(const struct insn *i)
{
	const uint8_t o = i->opcode;

	if (rm_is_byte(i))
		return false;
	switch (i->map) {
	case MAP_1BYTE:
		return o < 0xd4 || o >= 0xe0;
	case MAP_0F:
		return (o >= 0x40 && o <= 0x4f) || (o >= 0xa3 && o <= 0xc1 && o != 0xae) ||
		       (o == 0x2a && (i->sse_prefix & 0xf0) == 0xf0) || o == 0x6e ||
		       (o == 0x7e && i->sse_prefix != 0xf3) || o == 0xc4;
	case MAP_0F38:
		return o == 0xf0 || o == 0xf1;
	default:
		return (o >= 0x14 && o <= 0x17) || o == 0x20 || o == 0x22;
	}
}

/*
 * In 32-bit code the prefix is copied, wherever it is. In 16-bit code it has to come before what
 * has 16 bits without it; LAHF, SAHF and instructions on flags have no size.
 */
static bool needs_operand_size(const struct insn *i)
{
	const uint8_t o = i->opcode;

	if (i->prefixes & PFX_OPSIZE)
		return i->op_size == 2 || i->attr & (OPA_MMX | OPA_SSE);
	/* Fences, CLFLUSH, MOVNTI: 66 makes others of them, or none (66 0FAE /6 is TPAUSE). */
	if (i->map == MAP_0F && (o == 0xae || o == 0xc3))
		return false;
	return i->op_size == 2 && !(i->attr & (OPA_BYTE | OPA_FPU | OPA_MMX | OPA_SSE)) &&
	       !(i->map == MAP_1BYTE && (o == 0x9e || o == 0x9f || o >= 0xf8 || o == 0xf5) &&
		 o != 0xff);
}

/* Prefixes and opcode as they stand in the host instruction. */
static struct opcode_bytes copy_opcode(const struct insn *i)
{
	struct opcode_bytes op = { 0 };
	const bool pause = i->map == MAP_1BYTE && i->opcode == 0x90;

	if (needs_operand_size(i))
		op.prefix[op.nprefix++] = 0x66;
	if (i->prefixes & PFX_LOCK)
		op.prefix[op.nprefix++] = 0xf0;
	/* No other F3 is copied: it would make BSF and BSR TZCNT and LZCNT. */
	if (i->sse_prefix == 0xf2 || i->sse_prefix == 0xf3) {
		op.prefix[op.nprefix++] = i->sse_prefix;
	} else if (pause && (i->prefixes & PFX_REP)) {
		op.prefix[op.nprefix++] = 0xf3;
	}
	if (i->map != MAP_1BYTE)
		op.opcode[op.nopcode++] = 0x0f;
	if (i->map == MAP_0F38 || i->map == MAP_0F3A)
		op.opcode[op.nopcode++] = i->map == MAP_0F38 ? 0x38 : 0x3a;
	op.opcode[op.nopcode++] = i->map == MAP_1BYTE && i->opcode == 0x82 ? 0x80 : i->opcode;
	return op;
}

static void copy_imm(struct build *b, const struct insn *i)
{
	emit_bytes(&b->e, b->bytes + i->len - i->imm_size, i->imm_size);
}

static void emit_swap_bytes(struct build *b, unsigned low)
{
	emit_xchg8(&b->e, low + 4, low);
}

/* MOV, ADD to CMP, and TEST between AH..BH and memory. */
static bool is_alu_with_high(const struct insn *i)
{
	return i->map == MAP_1BYTE && i->mem &&
	       ((i->opcode < 0x40 && !(i->opcode & 1)) || i->opcode == 0x84 || i->opcode == 0x88 ||
		i->opcode == 0x8a);
}

static void copy_load_high(struct build *b, const struct insn *i, unsigned low)
{
	const struct opcode_bytes op = copy_opcode(i);

	emit_op_mem1(&b->e, OP1(0x8a), H_R8, operand_prepare(b, i));
	emit_swap_bytes(b, low);
	emit_op_reg(&b->e, &op, low, H_R8);
	emit_swap_bytes(b, low);
}

/* The register is read after a look-up in the software TLB, which would lose r8. */
static void copy_store_high(struct build *b, const struct insn *i, unsigned low)
{
	const struct opcode_bytes op = copy_opcode(i);
	struct memref m = operand_prepare(b, i);

	emit_swap_bytes(b, low);
	emit_mov32(&b->e, H_R8, low);
	emit_swap_bytes(b, low);
	emit_op_mem(&b->e, &op, H_R8, &m);
}

/* These by way of r8b: the operand needs a REX prefix, which would rename the register. */
static void copy_alu_high(struct build *b, const struct insn *i)
{
	const unsigned low = insn_reg(i) - 4;

	b->soft = operand_may_be_soft(b, i);
	if (i->opcode & 2)
		copy_load_high(b, i, low);
	else
		copy_store_high(b, i, low);
}

static void copy_modrm(struct build *b, const struct insn *i)
{
	struct opcode_bytes op = copy_opcode(i);
	unsigned reg = insn_reg(i), rm = insn_rm(i);
	const bool high = (reg_is_byte(i) && reg >= 4) || (!i->mem && rm_is_byte(i) && rm >= 4);

	if (high && is_alu_with_high(i)) {
		copy_alu_high(b, i);
		return;
	}
	if (b->adapt & ADAPT_DUAL && operand_is_bit_string(i)) {
		translate_interpret(b, i);
		return;
	}
	if (reg_is_gpr(i))
		reg = host_reg_of(reg);
	if (!i->mem && rm_is_gpr(i))
		rm = host_reg_of(rm);
	if ((reg_is_gpr(i) && insn_reg(i) == X86_ESP) ||
	    (!i->mem && rm_is_gpr(i) && insn_rm(i) == X86_ESP))
		esp_sync_first(b);
	b->soft = !high && operand_may_be_soft(b, i);
	/* A REX prefix would rename AH..BH. */
	if (high && (reg >= 8 || rm >= 8 || i->mem)) {
		translate_interpret(b, i);
		return;
	}
	if (i->mem) {
		struct memref m = operand_prepare(b, i);

		emit_op_mem(&b->e, &op, reg, &m);
	} else {
		emit_op_reg(&b->e, &op, reg, rm);
	}
	copy_imm(b, i);
	x87_copied(b, i);
}

/* MOV AL/eAX with a direct address: as the ModRM form. */
static void copy_moffs(struct build *b, const struct insn *insn)
{
	struct insn i = *insn;
	struct opcode_bytes op;
	struct memref m;

	i.opcode = insn->opcode == 0xa0 ? 0x8a :
		   insn->opcode == 0xa1 ? 0x8b :
		   insn->opcode == 0xa2 ? 0x88 :
					  0x89;
	i.base = i.index = INSN_NO_REG;
	i.scale = 0;
	op = copy_opcode(&i);
	b->soft = operand_may_be_soft(b, &i);
	m = operand_prepare(b, &i);
	emit_op_mem(&b->e, &op, X86_EAX, &m);
}

/* Opcodes with a register in their low three bits. */
static bool copy_has_opcode_reg(const struct insn *i)
{
	if (i->map == MAP_0F)
		return i->opcode >= 0xc8 && i->opcode <= 0xcf;
	return i->map == MAP_1BYTE && ((i->opcode >= 0x91 && i->opcode <= 0x97) ||
				       (i->opcode >= 0xb8 && i->opcode <= 0xbf));
}

static void copy_opcode_reg(struct build *b, const struct insn *i)
{
	struct opcode_bytes op = copy_opcode(i);
	const unsigned reg = host_reg_of(i->opcode & 7);

	if (reg == H_GUEST_ESP)
		esp_sync_first(b);
	emit_bytes(&b->e, op.prefix, op.nprefix);
	if (reg & 8)
		emit8(&b->e, 0x41);
	emit_bytes(&b->e, op.opcode, op.nopcode - 1);
	emit8(&b->e, (i->opcode & ~7) | (reg & 7));
	copy_imm(b, i);
}

static void copy_inc_dec(struct build *b, const struct insn *i)
{
	struct opcode_bytes op = OP1(0xff);

	if ((i->opcode & 7) == X86_ESP)
		esp_sync_first(b);
	if (i->op_size == 2)
		op.prefix[op.nprefix++] = 0x66;
	emit_op_reg(&b->e, &op, i->opcode >= 0x48, host_reg_of(i->opcode & 7));
}

void translate_copy(struct build *b, const struct insn *i)
{
	if (i->attr & OPA_NOP && !(i->map == MAP_1BYTE && i->opcode == 0x90))
		return;
	if (is_code16(b) ? !operand16_has_form(i) : i->mem && i->addr_size != 4) {
		translate_interpret(b, i);
	} else if (i->has_modrm) {
		copy_modrm(b, i);
	} else if (i->map == MAP_1BYTE && i->opcode >= 0xa0 && i->opcode <= 0xa3) {
		if (i->addr_size == 4 || is_code16(b))
			copy_moffs(b, i);
		else
			translate_interpret(b, i);
	} else if (i->map == MAP_1BYTE && i->opcode >= 0x40 && i->opcode <= 0x4f) {
		copy_inc_dec(b, i);
	} else if (copy_has_opcode_reg(i)) {
		copy_opcode_reg(b, i);
	} else {
		struct opcode_bytes op = copy_opcode(i);

		emit_bytes(&b->e, op.prefix, op.nprefix);
		emit_bytes(&b->e, op.opcode, op.nopcode);
		copy_imm(b, i);
	}
}
