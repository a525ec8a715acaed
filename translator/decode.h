/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instruction decoder: splits guest bytes into prefixes, opcode, ModRM, SIB, displacement and
 * immediates, and looks up what kind of instruction it is. Used by the translator and by the
 * interpreter. It is table driven (opcode_map.c) and takes some tens of nanoseconds an instruction;
 * Capstone, which takes 0.3 us, disassembles for people and serves as the independent second
 * opinion in the tests and in the verifier.
 */
#ifndef RF_TRANSLATOR_DECODE_H
#define RF_TRANSLATOR_DECODE_H

#include "x86/arch.h"
#include "x86/features.h"
#include "x86/types.h"

#define INSN_MAX_LEN 15

/* Opcode maps. */
enum insn_map { MAP_1BYTE, MAP_0F, MAP_0F38, MAP_0F3A };

/* Prefixes seen. */
#define PFX_LOCK 0x01u
#define PFX_REPNE 0x02u /* F2 */
#define PFX_REP  0x04u  /* F3 */
#define PFX_OPSIZE 0x08u /* 66 */
#define PFX_ADSIZE 0x10u /* 67 */
#define PFX_SEG  0x20u

struct insn {
	uint8_t len;       /* 1..15 */
	uint8_t prefixes;  /* PFX_* */
	uint8_t map;       /* enum insn_map */
	uint8_t opcode;    /* last opcode byte; for x87 D8..DF */
	uint8_t modrm;     /* valid if has_modrm */
	uint8_t sib;       /* valid if has_sib */
	/* effective operand size 2 or 4 (the 66-prefix rule, not counting byte forms) */
	uint8_t op_size;
	uint8_t addr_size; /* 2 or 4 */
	/*
	 * enum x86_seg of the memory operand: the override, or the default (SS for a base of
	 * ESP/EBP)
	 */
	uint8_t seg;
	uint8_t sse_prefix; /* mandatory prefix for MMX/SSE opcodes: 0, 0x66, 0xf3, 0xf2 */
	uint8_t disp_size, imm_size, imm2_size; /* bytes */
	bool has_modrm, has_sib;
	bool mem;          /* ModRM names memory */
	/*
	 * memory operand: register numbers, INSN_NO_REG if none; scale as a shift. With 16-bit
	 * addressing too (BX/BP and SI/DI); the sum is then cut to 16 bits
	 */
	uint8_t base, index, scale;
	uint32_t disp;     /* sign-extended displacement; the moffs address too */
	/*
	 * imm sign-extended where the instruction does so; imm2: ENTER's level, far pointers'
	 * selector
	 */
	uint32_t imm, imm2;
	uint8_t opcode_offset; /* offset of the opcode's last byte within the instruction */
	uint8_t feature;   /* FEATURE_* bit number + 1; 0: none (see insn_features()) */
	uint8_t flags_read, flags_written; /* packed: use insn_flags_read(), insn_flags_written() */
	/*
	 * bytes at the memory operand (ModRM, moffs or implicit); 0: none is accessed (LEA, INVLPG,
	 * NOP)
	 */
	uint16_t mem_size;
	uint32_t attr;     /* OPA_* of opcode_map.h */
};

#define INSN_NO_REG 0xff
static inline uint8_t insn_mod(const struct insn *i) { return i->modrm >> 6; }
static inline uint8_t insn_reg(const struct insn *i) { return (i->modrm >> 3) & 7; }
static inline uint8_t insn_rm(const struct insn *i) { return i->modrm & 7; }

/* x87 without WAIT: D8 to DF. */
static inline bool insn_is_x87(const struct insn *i)
{
	return i->map == MAP_1BYTE && (i->opcode & 0xf8) == 0xd8;
}

/*
 * Control instructions do not change the last-instruction pointers (SDM vol. 1, 8.1.8), but for
 * FNINIT, FNSAVE, FLDENV and FRSTOR, which set them all.
 */
static inline bool insn_is_x87_control(const struct insn *i)
{
	if (i->mem)
		return (i->opcode == 0xd9 || i->opcode == 0xdd) && insn_reg(i) >= 4;
	return (i->opcode == 0xdb && insn_reg(i) == 4) || (i->opcode == 0xdf && i->modrm == 0xe0);
}

/* The opcode as the last-instruction opcode register has it (SDM vol. 1, 8.1.9). */
static inline uint16_t insn_x87_opcode(const struct insn *i)
{
	return (i->opcode & 7) << 8 | i->modrm;
}

enum decode_result {
	DECODE_OK,
	DECODE_TRUNCATED, /* needs more bytes than given (and fewer than 15): fetch the next page */
	DECODE_TOO_LONG,  /* over 15 bytes: #GP(0) */
	DECODE_UNDEFINED, /* no such opcode on any model: #UD; len is what was consumed */
};

/*
 * Decodes one instruction from bytes[0..avail). code32: CS.D. Knows nothing of CPU models: which
 * features an opcode needs is insn_features(), below. LOCK validity (#UD) is judged here: a LOCK
 * prefix on an instruction that does not take it is DECODE_UNDEFINED.
 */
enum decode_result insn_decode(const uint8_t *bytes, unsigned avail, bool code32,
			       struct insn *insn);

/*
 * The model features (FEATURE_* bits, x86/features.h) that this instruction needs; 0: every
 * model has it.
 */
feature_set insn_features(const struct insn *insn);

/* Whether BSR with F3, which all processors run, is LZCNT on one with these features. */
bool insn_is_lzcnt(const struct insn *insn, feature_set features);

/*
 * EFLAGS the instruction may read (arithmetic flags, DF and IF), and those it always writes when it
 * completes, as X86_* masks. "Written" is conservative: flags that the SDM leaves undefined count
 * only where every CPU is known to change them; a shift by CL, a REP CMPS and the like write none
 * for sure.
 */
uint32_t insn_flags_read(const struct insn *insn);
uint32_t insn_flags_written(const struct insn *insn);

/* Bytes accessed at the memory operand. */
static inline unsigned insn_mem_size(const struct insn *i) { return i->mem_size; }

#endif
