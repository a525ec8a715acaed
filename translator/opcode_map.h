/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the decoder knows of each opcode: the IA-32 opcode maps (SDM vol. 2, appendix A) as tables.
 *
 * An opcode's entry is struct opcode_info. Where ModRM.reg or the mandatory prefix selects the
 * instruction, the entry names a group, and the group's slot holds the real one; opcode_lookup()
 * hides that.
 */
#ifndef RF_TRANSLATOR_OPCODE_MAP_H
#define RF_TRANSLATOR_OPCODE_MAP_H

#include "decode.h"

/* struct insn.attr */
#define OPA_MODRM     0x00000001u
#define OPA_BYTE      0x00000002u /* byte-sized operation (op_size does not count) */
/* reads its memory operand, if it has one (mem, moffs or implicit string operand) */
#define OPA_MEM_READ  0x00000004u
#define OPA_MEM_WRITE 0x00000008u
#define OPA_BRANCH    0x00000010u /* Jcc, LOOPcc, JCXZ: relative, conditional */
#define OPA_JUMP      0x00000020u /* JMP; with OPA_INDIRECT if through r/m */
#define OPA_CALL      0x00000040u
#define OPA_RET       0x00000080u /* RET, RETF, IRET */
#define OPA_INDIRECT  0x00000100u /* near target from r/m */
/* far transfer: changes CS (JMP/CALL/RETF/IRET), loads a far pointer (LES...) has none */
#define OPA_FAR       0x00000200u
#define OPA_INT       0x00000400u /* INT n, INT3, INTO, INT1: raises an exception by design */
#define OPA_STRING    0x00000800u
#define OPA_FPU       0x00001000u /* x87, WAIT included */
#define OPA_MMX       0x00002000u /* uses MMX registers */
#define OPA_SSE       0x00004000u /* uses XMM registers or MXCSR */
#define OPA_PRIV      0x00008000u /* CPL 0 only */
/* reads or writes system state (or is CPUID, RDTSC, I/O, FXSAVE...): never copied */
#define OPA_SYSTEM    0x00010000u
#define OPA_STACK     0x00020000u /* implicit use of SS:ESP */
#define OPA_LOCK      0x00040000u /* LOCK allowed when the destination is memory */
#define OPA_REG_ONLY  0x00080000u /* undefined with a memory operand */
#define OPA_MEM_ONLY  0x00100000u /* undefined with a register operand */
#define OPA_MOD_REG   0x00200000u /* ModRM.mod is ignored and taken as 3 (MOV CRn, DRn) */
#define OPA_IO        0x00400000u /* IN, OUT, INS, OUTS */
#define OPA_SHIFT     0x00800000u /* flags written only if the count is not zero */
#define OPA_SEG_LOAD  0x01000000u /* loads a segment register (MOV Sreg, POP Sreg, LES...) */
#define OPA_NOP       0x02000000u /* no effect: NOP, hints, prefetches */
#define OPA_VALID     0x80000000u /* the entry exists */

/*
 * Packed flag sets (struct insn.flags_read, flags_written): X86_* low byte values, with OF and DF
 * in bits EFLAGS keeps constant.
 */
#define FL_C 0x01u
#define FL_O 0x02u
#define FL_P 0x04u
#define FL_D 0x08u
#define FL_A 0x10u
#define FL_I 0x20u
#define FL_Z 0x40u
#define FL_S 0x80u
#define FL_ARITH (FL_C | FL_O | FL_P | FL_A | FL_Z | FL_S)
#define FL_ALL   (FL_ARITH | FL_D | FL_I)

/* Immediate kinds. */
enum imm_kind {
	IMM_NONE,
	IMM_B,     /* imm8, zero-extended */
	IMM_BS,    /* imm8, sign-extended */
	IMM_W,     /* imm16 */
	IMM_Z,     /* imm16 or imm32 by operand size */
	IMM_JB,    /* relative 8 */
	IMM_JZ,    /* relative 16 or 32 */
	IMM_FAR,   /* offset (imm), selector (imm2) */
	IMM_MOFFS, /* address-sized offset, goes to disp */
	IMM_ENTER, /* imm16 (imm), imm8 (imm2) */
};

/* Memory operand sizes: bytes up to 64 as they are, and these. */
enum mem_size_kind {
	SZ_V = 0x80, /* operand size */
	SZ_P,        /* far pointer: operand size + 2 */
	SZ_2V,       /* two operands: BOUND */
	SZ_ENV,      /* x87 environment: 14 or 28 */
	SZ_STATE,    /* x87 state: 94 or 108 */
	SZ_FX,       /* 512 */
};

/* Where ModRM.reg (or a prefix) decides; values of struct opcode_info.group. */
enum opcode_group {
	GROUP_NONE, GROUP_80, GROUP_81, GROUP_83, GROUP_8C, GROUP_8E, GROUP_8F, GROUP_C0, GROUP_C1,
	GROUP_D0, GROUP_D1, GROUP_D2, GROUP_D3, GROUP_C6, GROUP_C7, GROUP_F6, GROUP_F7, GROUP_FE,
	GROUP_FF, GROUP_0F00, GROUP_0F01, GROUP_0FBA, GROUP_0FC7, GROUP_0FAE, GROUP_COUNT,
	GROUP_X87,  /* opcode, reg and rm decide */
	GROUP_SSE,  /* the mandatory prefix decides: opcode_map_sse.c */
};

struct opcode_info {
	uint32_t attr;
	uint8_t imm;           /* enum imm_kind */
	uint8_t flags_read, flags_written; /* FL_* */
	/* memory operand: bytes or enum mem_size_kind; 0: no memory is accessed */
	uint8_t size;
	uint8_t feature;       /* FEATURE_* bit number + 1; 0: none needed */
	uint8_t group;         /* enum opcode_group */
	uint8_t sse_prefix;    /* which mandatory prefix selected it: 0, 0x66, 0xf3, 0xf2 */
};

/* The map's entry before groups are resolved; its OPA_MODRM tells whether a ModRM byte follows. */
const struct opcode_info *opcode_entry(enum insn_map map, uint8_t opcode);

/*
 * Resolves groups: entry for this map, opcode, ModRM and prefixes (PFX_*), copied to *out. False:
 * undefined. modrm is ignored where the opcode has none.
 */
bool opcode_lookup(enum insn_map map, uint8_t opcode, uint8_t modrm, uint8_t prefixes,
		   struct opcode_info *out);

/* opcode_map_sse.c: the MMX and SSE part, by mandatory prefix. False: undefined. */
bool opcode_lookup_sse(enum insn_map map, uint8_t opcode, uint8_t modrm, uint8_t prefixes,
		       struct opcode_info *out);
/* opcode_map_x87.c: D8..DF. False: undefined. */
bool opcode_lookup_x87(uint8_t opcode, uint8_t modrm, struct opcode_info *out);

#endif
