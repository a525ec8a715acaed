/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small x86-64 assembler: writes host instructions into the writable alias of the code cache.
 *
 * A memref names a memory operand in 64-bit mode. Those of guest memory are made by
 * guest_address.c, and by operand_prepare() for accesses past the window.
 */
#ifndef RF_TRANSLATOR_EMIT_H
#define RF_TRANSLATOR_EMIT_H

#include <assert.h>
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

static inline cache_pc emit_here(const struct emitter *e)
{
	return (uintptr_t)e->p + e->exec_delta;
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
#define OP1_16(o) \
	((struct opcode_bytes){ .prefix = { 0x66 }, .nprefix = 1, .opcode = { o }, .nopcode = 1 })
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

/* From r8 on; below that from al, cl, dl or bl only. */
static inline void emit_movzx8(struct emitter *e, unsigned to, unsigned from)
{
	assert(from <= H_RBX || from >= H_R8);
	emit_op_reg1(e, OP2(0xb6), to, from);
}

static inline void emit_movzx16(struct emitter *e, unsigned to, unsigned from)
{
	emit_op_reg1(e, OP2(0xb7), to, from);
}

void emit_mov32_imm(struct emitter *e, unsigned reg, uint32_t imm);
void emit_mov64_imm(struct emitter *e, unsigned reg, uint64_t imm);
void emit_store32_imm(struct emitter *e, uint32_t imm, struct memref m);
/* SHRX to, from, count (BMI2: leaves the flags alone). */
void emit_shrx32(struct emitter *e, unsigned to, unsigned from, unsigned count);
void emit_shlx32(struct emitter *e, unsigned to, unsigned from, unsigned count);
/* PEXT/PDEP to, from, mask (BMI2). */
void emit_pext32(struct emitter *e, unsigned to, unsigned from, unsigned mask);
void emit_pdep32(struct emitter *e, unsigned to, unsigned from, unsigned mask);


/* The host's stack, of 64-bit words: translated code's is the return stack. */
void emit_push(struct emitter *e, unsigned reg);
void emit_pop(struct emitter *e, unsigned reg);

/* Byte registers as they are numbered without a REX prefix. */
enum host_byte_reg { H_AL, H_CL, H_DL, H_BL, H_AH, H_CH, H_DH, H_BH };
void emit_mov8(struct emitter *e, enum host_byte_reg to, enum host_byte_reg from);
void emit_xchg8(struct emitter *e, enum host_byte_reg a, enum host_byte_reg b);
void emit_add8_imm(struct emitter *e, enum host_byte_reg reg, uint8_t imm);
void emit_seto(struct emitter *e, enum host_byte_reg reg);

/* Arithmetic with an immediate, which is sign-extended where it has eight bits: spoils flags. */
enum alu_op { ALU_ADD, ALU_OR, ALU_AND = 4, ALU_SUB, ALU_CMP = 7 };
void emit_alu32_imm(struct emitter *e, enum alu_op op, unsigned reg, uint32_t imm);
void emit_alu32_imm8(struct emitter *e, enum alu_op op, unsigned reg, uint8_t imm);
void emit_alu64_imm8(struct emitter *e, enum alu_op op, unsigned reg, uint8_t imm);
void emit_alu32_mem_imm8(struct emitter *e, enum alu_op op, struct memref m, uint8_t imm);
void emit_alu64_mem_imm8(struct emitter *e, enum alu_op op, struct memref m, uint8_t imm);
/* reg op= memory. */
void emit_alu32_mem(struct emitter *e, enum alu_op op, unsigned reg, struct memref m);
void emit_test_eax_imm(struct emitter *e, uint32_t imm);
void emit_test32_mem(struct emitter *e, unsigned reg, struct memref m);
void emit_test32_mem_imm(struct emitter *e, struct memref m, uint32_t imm);
void emit_shr32_imm(struct emitter *e, unsigned reg, uint8_t count);

/* These change no flag. */
void emit_not32(struct emitter *e, unsigned reg);
void emit_not64(struct emitter *e, unsigned reg);
void emit_bswap32(struct emitter *e, unsigned reg);

static inline void emit_pushf(struct emitter *e) { emit8(e, 0x9c); }
static inline void emit_popf(struct emitter *e) { emit8(e, 0x9d); }
static inline void emit_sahf(struct emitter *e) { emit8(e, 0x9e); }
static inline void emit_lahf(struct emitter *e) { emit8(e, 0x9f); }
static inline void emit_cld(struct emitter *e) { emit8(e, 0xfc); }
static inline void emit_ret(struct emitter *e) { emit8(e, 0xc3); }
void emit_rdtsc(struct emitter *e);
void emit_lfence(struct emitter *e);

/* x87 and SSE state to memory and back. */
void emit_fxsave(struct emitter *e, struct memref m);
void emit_fxrstor(struct emitter *e, struct memref m);
void emit_ldmxcsr(struct emitter *e, struct memref m);
void emit_stmxcsr(struct emitter *e, struct memref m);
void emit_movups_load(struct emitter *e, unsigned xmm, struct memref m);
void emit_movups_store(struct emitter *e, unsigned xmm, struct memref m);

/* Conditions of jumps, as the instructions number them. */
enum host_condition { COND_Z = 4, COND_NZ = 5, COND_A = 7 };

/* Control transfers to executable addresses within the cache. */
void emit_jmp(struct emitter *e, cache_pc target);
void emit_call(struct emitter *e, cache_pc target);
void emit_jcc_to(struct emitter *e, unsigned condition, cache_pc target);
/* To the address in memory, or in a register. */
void emit_jmp_mem(struct emitter *e, struct memref m);
void emit_call_mem(struct emitter *e, struct memref m);
void emit_call_reg(struct emitter *e, unsigned reg);

/*
 * Transfers whose target is not known yet. Each returns its field of 32 bits, for patch_here() or
 * link_patch_rel32(); of eight bits if it is a short one, for patch_short_here().
 */
uint8_t *emit_jmp_forward(struct emitter *e);
uint8_t *emit_call_forward(struct emitter *e);
uint8_t *emit_jcc_forward(struct emitter *e, unsigned condition);
uint8_t *emit_jmp_short(struct emitter *e);
uint8_t *emit_jcc_short(struct emitter *e, unsigned condition);
/* Taken if rcx is zero; looks at no flag. */
uint8_t *emit_jrcxz_short(struct emitter *e);
/* The transfer leads to what is emitted next. A short one reaches 127 bytes. */
void patch_here(struct emitter *e, uint8_t *field);
void patch_short_here(struct emitter *e, uint8_t *field);

#endif
