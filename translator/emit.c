/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host instruction encoding (SDM vol. 2, chapter 2). */
#include "emit.h"

static void emit_rex_opcode(struct emitter *e, const struct opcode_bytes *op, uint8_t rex)
{
	emit_bytes(e, op->prefix, op->nprefix);
	if (op->rex_w)
		rex |= 8;
	if (rex)
		emit8(e, 0x40 | rex);
	emit_bytes(e, op->opcode, op->nopcode);
}

static void emit_modrm_sib(struct emitter *e, unsigned reg, const struct memref *m, unsigned mod)
{
	const uint8_t reg_bits = (reg & 7) << 3;

	if (m->index == NO_REG && (m->base & 7) != 4) {
		emit8(e, mod << 6 | reg_bits | (m->base & 7));
		return;
	}
	emit8(e, mod << 6 | reg_bits | 4);
	emit8(e, m->scale << 6 | (m->index == NO_REG ? 4 : m->index & 7) << 3 | (m->base & 7));
}

void emit_op_mem(struct emitter *e, const struct opcode_bytes *op, unsigned reg,
		 const struct memref *m)
{
	uint8_t rex = (reg >> 3) << 2;

	assert(m->index != H_RSP && m->scale <= 3 && reg <= H_R15);
	if (m->index != NO_REG)
		rex |= (m->index >> 3) << 1;
	if (m->base == NO_REG) {
		/* ModRM without base means RIP-relative here: name "no base" through a SIB byte. */
		emit_rex_opcode(e, op, rex);
		emit8(e, (reg & 7) << 3 | 4);
		emit8(e, m->scale << 6 | (m->index == NO_REG ? 4 : m->index & 7) << 3 | 5);
		emit32(e, m->disp);
		return;
	}
	emit_rex_opcode(e, op, rex | m->base >> 3);
	if (!m->disp && (m->base & 7) != 5) {
		emit_modrm_sib(e, reg, m, 0);
	} else if (m->disp == (int8_t)m->disp) {
		emit_modrm_sib(e, reg, m, 1);
		emit8(e, m->disp);
	} else {
		emit_modrm_sib(e, reg, m, 2);
		emit32(e, m->disp);
	}
}

void emit_op_reg(struct emitter *e, const struct opcode_bytes *op, unsigned reg, unsigned rm)
{
	assert(reg <= H_R15 && rm <= H_R15);
	emit_rex_opcode(e, op, (reg >> 3) << 2 | rm >> 3);
	emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_mov32_imm(struct emitter *e, unsigned reg, uint32_t imm)
{
	if (reg & 8)
		emit8(e, 0x41);
	emit8(e, 0xb8 | (reg & 7));
	emit32(e, imm);
}

void emit_mov64_imm(struct emitter *e, unsigned reg, uint64_t imm)
{
	emit8(e, 0x48 | reg >> 3);
	emit8(e, 0xb8 | (reg & 7));
	emit64(e, imm);
}

void emit_store32_imm(struct emitter *e, uint32_t imm, struct memref m)
{
	emit_op_mem1(e, OP1(0xc7), 0, m);
	emit32(e, imm);
}

/* Three-byte VEX, map 0F38 or 0F3A, 32-bit. pp: 0 none, 1 66, 2 F3, 3 F2. */
static void emit_vex(struct emitter *e, unsigned map, unsigned pp, uint8_t opcode, unsigned reg,
		     unsigned vvvv, unsigned rm)
{
	emit8(e, 0xc4);
	emit8(e, (reg & 8 ? 0 : 0x80) | 0x40 | (rm & 8 ? 0 : 0x20) | map);
	emit8(e, (~vvvv & 15) << 3 | pp);
	emit8(e, opcode);
	emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_shrx32(struct emitter *e, unsigned to, unsigned from, unsigned count)
{
	emit_vex(e, 2, 3, 0xf7, to, count, from);
}

void emit_shlx32(struct emitter *e, unsigned to, unsigned from, unsigned count)
{
	emit_vex(e, 2, 1, 0xf7, to, count, from);
}

void emit_pext32(struct emitter *e, unsigned to, unsigned from, unsigned mask)
{
	emit_vex(e, 2, 2, 0xf5, to, from, mask);
}

void emit_pdep32(struct emitter *e, unsigned to, unsigned from, unsigned mask)
{
	emit_vex(e, 2, 3, 0xf5, to, from, mask);
}

static void emit_opcode_reg(struct emitter *e, uint8_t opcode, unsigned reg)
{
	if (reg & 8)
		emit8(e, 0x41);
	emit8(e, opcode | (reg & 7));
}

void emit_push(struct emitter *e, unsigned reg)
{
	emit_opcode_reg(e, 0x50, reg);
}

void emit_pop(struct emitter *e, unsigned reg)
{
	emit_opcode_reg(e, 0x58, reg);
}

void emit_mov8(struct emitter *e, enum host_byte_reg to, enum host_byte_reg from)
{
	emit_op_reg1(e, OP1(0x88), from, to);
}

void emit_xchg8(struct emitter *e, enum host_byte_reg a, enum host_byte_reg b)
{
	emit_op_reg1(e, OP1(0x86), a, b);
}

void emit_add8_imm(struct emitter *e, enum host_byte_reg reg, uint8_t imm)
{
	if (reg == H_AL)
		emit8(e, 0x04);
	else
		emit_op_reg1(e, OP1(0x80), ALU_ADD, reg);
	emit8(e, imm);
}

void emit_seto(struct emitter *e, enum host_byte_reg reg)
{
	emit_op_reg1(e, OP2(0x90), 0, reg);
}

void emit_alu32_imm(struct emitter *e, enum alu_op op, unsigned reg, uint32_t imm)
{
	emit_op_reg1(e, OP1(0x81), op, reg);
	emit32(e, imm);
}

void emit_alu32_imm8(struct emitter *e, enum alu_op op, unsigned reg, uint8_t imm)
{
	emit_op_reg1(e, OP1(0x83), op, reg);
	emit8(e, imm);
}

void emit_alu64_imm8(struct emitter *e, enum alu_op op, unsigned reg, uint8_t imm)
{
	emit_op_reg1(e, OP1W(0x83), op, reg);
	emit8(e, imm);
}

void emit_alu32_mem_imm8(struct emitter *e, enum alu_op op, struct memref m, uint8_t imm)
{
	emit_op_mem1(e, OP1(0x83), op, m);
	emit8(e, imm);
}

void emit_alu64_mem_imm8(struct emitter *e, enum alu_op op, struct memref m, uint8_t imm)
{
	emit_op_mem1(e, OP1W(0x83), op, m);
	emit8(e, imm);
}

void emit_alu32_mem(struct emitter *e, enum alu_op op, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1(op << 3 | 3), reg, m);
}

void emit_test_eax_imm(struct emitter *e, uint32_t imm)
{
	emit8(e, 0xa9);
	emit32(e, imm);
}

void emit_test32_mem(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1(0x85), reg, m);
}

void emit_test32_mem_imm(struct emitter *e, struct memref m, uint32_t imm)
{
	emit_op_mem1(e, OP1(0xf7), 0, m);
	emit32(e, imm);
}

void emit_shr32_imm(struct emitter *e, unsigned reg, uint8_t count)
{
	assert(count < 32);
	emit_op_reg1(e, OP1(0xc1), 5, reg);
	emit8(e, count);
}

void emit_not32(struct emitter *e, unsigned reg)
{
	emit_op_reg1(e, OP1(0xf7), 2, reg);
}

void emit_not64(struct emitter *e, unsigned reg)
{
	emit_op_reg1(e, OP1W(0xf7), 2, reg);
}

void emit_bswap32(struct emitter *e, unsigned reg)
{
	if (reg & 8)
		emit8(e, 0x41);
	emit8(e, 0x0f);
	emit8(e, 0xc8 | (reg & 7));
}

void emit_lfence(struct emitter *e)
{
	emit8(e, 0x0f);
	emit8(e, 0xae);
	emit8(e, 0xe8);
}

void emit_rdtsc(struct emitter *e)
{
	emit8(e, 0x0f);
	emit8(e, 0x31);
}

void emit_fxsave(struct emitter *e, struct memref m)
{
	emit_op_mem1(e, OP2(0xae), 0, m);
}

void emit_fxrstor(struct emitter *e, struct memref m)
{
	emit_op_mem1(e, OP2(0xae), 1, m);
}

void emit_ldmxcsr(struct emitter *e, struct memref m)
{
	emit_op_mem1(e, OP2(0xae), 2, m);
}

void emit_stmxcsr(struct emitter *e, struct memref m)
{
	emit_op_mem1(e, OP2(0xae), 3, m);
}

void emit_movups_load(struct emitter *e, unsigned xmm, struct memref m)
{
	emit_op_mem1(e, OP2(0x10), xmm, m);
}

void emit_movups_store(struct emitter *e, unsigned xmm, struct memref m)
{
	emit_op_mem1(e, OP2(0x11), xmm, m);
}

static void emit_rel32(struct emitter *e, cache_pc target)
{
	const int64_t rel = target - (emit_here(e) + 4);

	assert(rel == (int32_t)rel);
	emit32(e, rel);
}

void emit_jmp(struct emitter *e, cache_pc target)
{
	emit8(e, 0xe9);
	emit_rel32(e, target);
}

void emit_call(struct emitter *e, cache_pc target)
{
	emit8(e, 0xe8);
	emit_rel32(e, target);
}

void emit_jcc_to(struct emitter *e, unsigned condition, cache_pc target)
{
	emit8(e, 0x0f);
	emit8(e, 0x80 | condition);
	emit_rel32(e, target);
}

void emit_jmp_mem(struct emitter *e, struct memref m)
{
	emit_op_mem1(e, OP1(0xff), 4, m);
}

void emit_call_mem(struct emitter *e, struct memref m)
{
	emit_op_mem1(e, OP1(0xff), 2, m);
}

void emit_call_reg(struct emitter *e, unsigned reg)
{
	emit_op_reg1(e, OP1(0xff), 2, reg);
}

static uint8_t *emit_field32(struct emitter *e)
{
	uint8_t *field = e->p;

	emit32(e, 0);
	return field;
}

static uint8_t *emit_field8(struct emitter *e)
{
	uint8_t *field = e->p;

	emit8(e, 0);
	return field;
}

uint8_t *emit_jmp_forward(struct emitter *e)
{
	emit8(e, 0xe9);
	return emit_field32(e);
}

uint8_t *emit_call_forward(struct emitter *e)
{
	emit8(e, 0xe8);
	return emit_field32(e);
}

uint8_t *emit_jcc_forward(struct emitter *e, unsigned condition)
{
	emit8(e, 0x0f);
	emit8(e, 0x80 | condition);
	return emit_field32(e);
}

uint8_t *emit_jmp_short(struct emitter *e)
{
	emit8(e, 0xeb);
	return emit_field8(e);
}

uint8_t *emit_jcc_short(struct emitter *e, unsigned condition)
{
	emit8(e, 0x70 | condition);
	return emit_field8(e);
}

uint8_t *emit_jrcxz_short(struct emitter *e)
{
	emit8(e, 0xe3);
	return emit_field8(e);
}

/* What did not fit was dropped, and perhaps the field with it. */
void patch_here(struct emitter *e, uint8_t *field)
{
	const int32_t rel = e->p - (field + 4);

	if (e->overflow)
		return;
	assert(rel >= 0);
	memcpy(field, &rel, sizeof(rel));
}

void patch_short_here(struct emitter *e, uint8_t *field)
{
	const ptrdiff_t rel = e->p - (field + 1);

	if (e->overflow)
		return;
	assert(rel >= 0 && rel <= INT8_MAX);
	*field = rel;
}
