/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small x86-64 assembler: writes host instructions into the writable alias of the code cache.
 *
 * A memref names a memory operand in 64-bit mode. Those of guest memory are made by
 * guest_address.c, and by operand_prepare() for accesses past the window.
 */
#ifndef RF_TRANSLATOR_EMIT_H
#define RF_TRANSLATOR_EMIT_H

#include <string.h>
#include "conventions.h"

struct emitter {
	uint8_t *p;      /* next byte, in the writable alias */
	uint8_t *limit;  /* leave before this; emission past it is dropped and overflow set */
	intptr_t exec_delta; /* executable address = writable address + exec_delta */
	bool overflow;
};

#define NO_REG 0xffu

struct memref {
	uint8_t base, index, scale; /* host registers or NO_REG; scale is a shift */
	int32_t disp;
};

static inline void emit8(struct emitter *e, uint8_t b)
{
	if (rf_unlikely(e->p >= e->limit)) {
		e->overflow = true;
		return;
	}
	*e->p++ = b;
}

static inline void emit32(struct emitter *e, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		emit8(e, v >> (8 * i));
}

static inline void emit64(struct emitter *e, uint64_t v)
{
	emit32(e, v);
	emit32(e, v >> 32);
}

static inline void emit_bytes(struct emitter *e, const void *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		emit8(e, ((const uint8_t *)bytes)[i]);
}

static inline hva_t emit_here(const struct emitter *e)
{
	return (hva_t)e->p + e->exec_delta;
}

static inline struct memref memref_cpu(int32_t offset)
{
	return (struct memref){ .base = H_CPU, .index = NO_REG, .disp = offset };
}

static inline struct memref memref_plain(unsigned base, int32_t disp)
{
	return (struct memref){ .base = base, .index = NO_REG, .disp = disp };
}

/* What stands before ModRM: legacy prefixes in order, REX.W, the opcode with its escape bytes. */
struct opcode_bytes {
	uint8_t prefix[4], nprefix;
	uint8_t opcode[3], nopcode;
	bool rex_w;
};

#define OP1(o) ((struct opcode_bytes){ .opcode = { o }, .nopcode = 1 })
#define OP1W(o) ((struct opcode_bytes){ .opcode = { o }, .nopcode = 1, .rex_w = true })
#define OP2(o) ((struct opcode_bytes){ .opcode = { 0x0f, o }, .nopcode = 2 })

/* Instruction with a memory operand; reg is a host register number or an opcode extension. */
void emit_op_mem(struct emitter *e, const struct opcode_bytes *op, unsigned reg,
		 const struct memref *m);
/* Instruction with a register operand in ModRM.rm. */
void emit_op_reg(struct emitter *e, const struct opcode_bytes *op, unsigned reg, unsigned rm);

static inline void emit_op_mem1(struct emitter *e, struct opcode_bytes op, unsigned reg,
				struct memref m)
{
	emit_op_mem(e, &op, reg, &m);
}

static inline void emit_op_reg1(struct emitter *e, struct opcode_bytes op, unsigned reg,
				unsigned rm)
{
	emit_op_reg(e, &op, reg, rm);
}

/* 32- and 64-bit moves. */
static inline void emit_load32(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1(0x8b), reg, m);
}

static inline void emit_load64(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1W(0x8b), reg, m);
}

static inline void emit_store32(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1(0x89), reg, m);
}

static inline void emit_store64(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1W(0x89), reg, m);
}

static inline void emit_lea32(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1(0x8d), reg, m);
}

static inline void emit_lea64(struct emitter *e, unsigned reg, struct memref m)
{
	emit_op_mem1(e, OP1W(0x8d), reg, m);
}

static inline void emit_mov32(struct emitter *e, unsigned to, unsigned from)
{
	emit_op_reg1(e, OP1(0x8b), to, from);
}

static inline void emit_mov64(struct emitter *e, unsigned to, unsigned from)
{
	emit_op_reg1(e, OP1W(0x8b), to, from);
}

static inline void emit_movzx16(struct emitter *e, unsigned to, unsigned from)
{
	emit_op_reg1(e, OP2(0xb7), to, from);
}

void emit_mov32_imm(struct emitter *e, unsigned reg, uint32_t imm);
void emit_store32_imm(struct emitter *e, uint32_t imm, struct memref m);
/* SHRX to, from, count (BMI2: leaves the flags alone). */
void emit_shrx32(struct emitter *e, unsigned to, unsigned from, unsigned count);
void emit_shlx32(struct emitter *e, unsigned to, unsigned from, unsigned count);
/* PEXT/PDEP to, from, mask (BMI2). */
void emit_pext32(struct emitter *e, unsigned to, unsigned from, unsigned mask);
void emit_pdep32(struct emitter *e, unsigned to, unsigned from, unsigned mask);

/* Control transfers to executable addresses within the cache. */
void emit_jmp(struct emitter *e, hva_t target);
void emit_call(struct emitter *e, hva_t target);

#endif
