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

static void emit_rel32(struct emitter *e, hva_t target)
{
	emit32(e, (uint32_t)(target - (emit_here(e) + 4)));
}

void emit_jmp(struct emitter *e, hva_t target)
{
	emit8(e, 0xe9);
	emit_rel32(e, target);
}

void emit_call(struct emitter *e, hva_t target)
{
	emit8(e, 0xe8);
	emit_rel32(e, target);
}
