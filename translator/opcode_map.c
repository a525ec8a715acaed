/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one-byte and 0F opcode maps and the ModRM.reg groups (SDM vol. 2, appendix A.3 and A.4), with
 * what real processors do where the manual is silent: SALC (D6), INT1 (F1), the aliases 82, C0..D3
 * /6 and F6/F7 /1.
 *
 * A table holds an entry per opcode; absent entries (attr 0) are undefined.
 */
#include "opcode_map.h"

#define FEAT(name) (__builtin_ctzll(FEATURE_##name) + 1)

#define RD OPA_MEM_READ
#define WR OPA_MEM_WRITE
#define RW (OPA_MEM_READ | OPA_MEM_WRITE)
#define BYTE OPA_BYTE
#define SYS OPA_SYSTEM
#define PRIV (OPA_SYSTEM | OPA_PRIV)
#define M OPA_MODRM

/* One entry: attributes, immediate, memory size, flags read and written. */
#define OP_FIELDS(a, i, sz, r, w) \
	.attr = OPA_VALID | (a), .imm = IMM_##i, .size = (sz), \
	.flags_read = (r), .flags_written = (w)
#define OP(a, i, sz, r, w) { OP_FIELDS(a, i, sz, r, w) }
#define OPF(a, i, sz, r, w, f) { OP_FIELDS(a, i, sz, r, w), .feature = FEAT(f) }
#define GRP(g) { .attr = OPA_VALID | OPA_MODRM, .group = GROUP_##g }
#define X87 { .attr = OPA_VALID | OPA_MODRM | OPA_FPU, .group = GROUP_X87 }

/* The six forms of an ALU operation at base: d is RW or RD (CMP), l OPA_LOCK or 0. */
#define ALU(base, d, l, r) \
	[(base) + 0] = OP(M | BYTE | (d) | (l), NONE, 1, r, FL_ARITH), \
	[(base) + 1] = OP(M | (d) | (l), NONE, SZ_V, r, FL_ARITH), \
	[(base) + 2] = OP(M | BYTE | RD, NONE, 1, r, FL_ARITH), \
	[(base) + 3] = OP(M | RD, NONE, SZ_V, r, FL_ARITH), \
	[(base) + 4] = OP(BYTE, B, 0, r, FL_ARITH), \
	[(base) + 5] = OP(0, Z, 0, r, FL_ARITH)

/* Flags that condition code cc (0..15) reads. */
#define CC_FLAGS(cc) \
	((cc) < 2    ? FL_O \
	 : (cc) < 4  ? FL_C \
	 : (cc) < 6  ? FL_Z \
	 : (cc) < 8  ? FL_C | FL_Z \
	 : (cc) < 10 ? FL_S \
	 : (cc) < 12 ? FL_P \
	 : (cc) < 14 ? FL_S | FL_O \
		     : FL_Z | FL_S | FL_O)
#define FOUR(m, b) m(b), m((b) + 1), m((b) + 2), m((b) + 3)
#define EIGHT(m, b) FOUR(m, b), FOUR(m, (b) + 4)
#define SIXTEEN(m, b) EIGHT(m, b), EIGHT(m, (b) + 8)

#define INC_FLAGS (FL_ARITH & ~FL_C)
#define JCC8(n) [n] = OP(OPA_BRANCH, JB, 0, CC_FLAGS((n) & 15), 0)
#define PUSH_SEG OP(OPA_STACK | SYS, NONE, 0, 0, 0)
#define POP_SEG  OP(OPA_STACK | SYS | OPA_SEG_LOAD, NONE, 0, 0, 0)

static const struct opcode_info map_1byte[256] = {
	ALU(0x00, RW, OPA_LOCK, 0), [0x06] = PUSH_SEG, [0x07] = POP_SEG,
	ALU(0x08, RW, OPA_LOCK, 0), [0x0e] = PUSH_SEG,
	ALU(0x10, RW, OPA_LOCK, FL_C), [0x16] = PUSH_SEG, [0x17] = POP_SEG,
	ALU(0x18, RW, OPA_LOCK, FL_C), [0x1e] = PUSH_SEG, [0x1f] = POP_SEG,
	ALU(0x20, RW, OPA_LOCK, 0), [0x27] = OP(0, NONE, 0, FL_A | FL_C, FL_ARITH & ~FL_O),
	ALU(0x28, RW, OPA_LOCK, 0), [0x2f] = OP(0, NONE, 0, FL_A | FL_C, FL_ARITH & ~FL_O),
	ALU(0x30, RW, OPA_LOCK, 0), [0x37] = OP(0, NONE, 0, FL_A, FL_A | FL_C),
	ALU(0x38, RD, 0, 0), [0x3f] = OP(0, NONE, 0, FL_A, FL_A | FL_C),
	[0x40 ... 0x4f] = OP(0, NONE, 0, 0, INC_FLAGS),
	[0x50 ... 0x5f] = OP(OPA_STACK, NONE, 0, 0, 0),
	[0x60 ... 0x61] = OP(OPA_STACK, NONE, 0, 0, 0),
	[0x62] = OP(M | RD | OPA_MEM_ONLY, NONE, SZ_2V, 0, 0),
	[0x63] = OP(M | RW | SYS, NONE, 2, 0, FL_Z),
	[0x68] = OP(OPA_STACK, Z, 0, 0, 0),
	[0x69] = OP(M | RD, Z, SZ_V, 0, FL_C | FL_O),
	[0x6a] = OP(OPA_STACK, BS, 0, 0, 0),
	[0x6b] = OP(M | RD, BS, SZ_V, 0, FL_C | FL_O),
	[0x6c] = OP(OPA_STRING | OPA_IO | SYS | BYTE | WR, NONE, 1, FL_D, 0),
	[0x6d] = OP(OPA_STRING | OPA_IO | SYS | WR, NONE, SZ_V, FL_D, 0),
	[0x6e] = OP(OPA_STRING | OPA_IO | SYS | BYTE | RD, NONE, 1, FL_D, 0),
	[0x6f] = OP(OPA_STRING | OPA_IO | SYS | RD, NONE, SZ_V, FL_D, 0),
	SIXTEEN(JCC8, 0x70),
	[0x80] = GRP(80), [0x81] = GRP(81), [0x82] = GRP(80), [0x83] = GRP(83),
	[0x84] = OP(M | BYTE | RD, NONE, 1, 0, FL_ARITH),
	[0x85] = OP(M | RD, NONE, SZ_V, 0, FL_ARITH),
	[0x86] = OP(M | BYTE | RW | OPA_LOCK, NONE, 1, 0, 0),
	[0x87] = OP(M | RW | OPA_LOCK, NONE, SZ_V, 0, 0), [0x88] = OP(M | BYTE | WR, NONE, 1, 0, 0),
	[0x89] = OP(M | WR, NONE, SZ_V, 0, 0), [0x8a] = OP(M | BYTE | RD, NONE, 1, 0, 0),
	[0x8b] = OP(M | RD, NONE, SZ_V, 0, 0), [0x8c] = GRP(8C),
	[0x8d] = OP(M | OPA_MEM_ONLY, NONE, 0, 0, 0), [0x8e] = GRP(8E), [0x8f] = GRP(8F),
	[0x90] = OP(OPA_NOP, NONE, 0, 0, 0), [0x91 ... 0x97] = OP(0, NONE, 0, 0, 0),
	[0x98 ... 0x99] = OP(0, NONE, 0, 0, 0),
	[0x9a] = OP(OPA_CALL | OPA_FAR | OPA_STACK | SYS, FAR, 0, FL_ALL, 0),
	[0x9b] = OP(OPA_FPU, NONE, 0, 0, 0), [0x9c] = OP(OPA_STACK | SYS, NONE, 0, FL_ALL, 0),
	[0x9d] = OP(OPA_STACK | SYS, NONE, 0, FL_I, FL_ARITH | FL_D),
	[0x9e] = OP(0, NONE, 0, 0, FL_ARITH & ~FL_O),
	[0x9f] = OP(0, NONE, 0, FL_ARITH & ~FL_O, 0),
	[0xa0] = OP(BYTE | RD, MOFFS, 1, 0, 0), [0xa1] = OP(RD, MOFFS, SZ_V, 0, 0),
	[0xa2] = OP(BYTE | WR, MOFFS, 1, 0, 0), [0xa3] = OP(WR, MOFFS, SZ_V, 0, 0),
	[0xa4] = OP(OPA_STRING | BYTE | RW, NONE, 1, FL_D, 0),
	[0xa5] = OP(OPA_STRING | RW, NONE, SZ_V, FL_D, 0),
	[0xa6] = OP(OPA_STRING | BYTE | RD, NONE, 1, FL_D, FL_ARITH),
	[0xa7] = OP(OPA_STRING | RD, NONE, SZ_V, FL_D, FL_ARITH),
	[0xa8] = OP(BYTE, B, 0, 0, FL_ARITH), [0xa9] = OP(0, Z, 0, 0, FL_ARITH),
	[0xaa] = OP(OPA_STRING | BYTE | WR, NONE, 1, FL_D, 0),
	[0xab] = OP(OPA_STRING | WR, NONE, SZ_V, FL_D, 0),
	[0xac] = OP(OPA_STRING | BYTE | RD, NONE, 1, FL_D, 0),
	[0xad] = OP(OPA_STRING | RD, NONE, SZ_V, FL_D, 0),
	[0xae] = OP(OPA_STRING | BYTE | RD, NONE, 1, FL_D, FL_ARITH),
	[0xaf] = OP(OPA_STRING | RD, NONE, SZ_V, FL_D, FL_ARITH),
	[0xb0 ... 0xb7] = OP(BYTE, B, 0, 0, 0), [0xb8 ... 0xbf] = OP(0, Z, 0, 0, 0),
	[0xc0] = GRP(C0), [0xc1] = GRP(C1), [0xc2] = OP(OPA_RET | OPA_STACK, W, 0, 0, 0),
	[0xc3] = OP(OPA_RET | OPA_STACK, NONE, 0, 0, 0),
	[0xc4 ... 0xc5] = OP(M | RD | OPA_MEM_ONLY | SYS | OPA_SEG_LOAD, NONE, SZ_P, 0, 0),
	[0xc6] = GRP(C6), [0xc7] = GRP(C7), [0xc8] = OP(OPA_STACK, ENTER, 0, 0, 0),
	[0xc9] = OP(OPA_STACK, NONE, 0, 0, 0),
	[0xca] = OP(OPA_RET | OPA_FAR | OPA_STACK | SYS, W, 0, FL_ALL, 0),
	[0xcb] = OP(OPA_RET | OPA_FAR | OPA_STACK | SYS, NONE, 0, FL_ALL, 0),
	[0xcc] = OP(OPA_INT | OPA_FAR | SYS, NONE, 0, FL_ALL, 0),
	[0xcd] = OP(OPA_INT | OPA_FAR | SYS, B, 0, FL_ALL, 0),
	[0xce] = OP(OPA_INT | SYS, NONE, 0, FL_ALL, 0),
	[0xcf] = OP(OPA_RET | OPA_FAR | OPA_STACK | SYS, NONE, 0, FL_ALL, 0), [0xd0] = GRP(D0),
	[0xd1] = GRP(D1), [0xd2] = GRP(D2), [0xd3] = GRP(D3),
	[0xd4 ... 0xd5] = OP(BYTE, B, 0, 0, FL_S | FL_Z | FL_P),
	[0xd6] = OP(BYTE, NONE, 0, FL_C, 0), [0xd7] = OP(BYTE | RD, NONE, 1, 0, 0),
	[0xd8 ... 0xdf] = X87, [0xe0 ... 0xe1] = OP(OPA_BRANCH, JB, 0, FL_Z, 0),
	[0xe2 ... 0xe3] = OP(OPA_BRANCH, JB, 0, 0, 0), [0xe4] = OP(OPA_IO | SYS | BYTE, B, 0, 0, 0),
	[0xe5] = OP(OPA_IO | SYS, B, 0, 0, 0), [0xe6] = OP(OPA_IO | SYS | BYTE, B, 0, 0, 0),
	[0xe7] = OP(OPA_IO | SYS, B, 0, 0, 0), [0xe8] = OP(OPA_CALL | OPA_STACK, JZ, 0, 0, 0),
	[0xe9] = OP(OPA_JUMP, JZ, 0, 0, 0),
	[0xea] = OP(OPA_JUMP | OPA_FAR | SYS, FAR, 0, FL_ALL, 0),
	[0xeb] = OP(OPA_JUMP, JB, 0, 0, 0), [0xec] = OP(OPA_IO | SYS | BYTE, NONE, 0, 0, 0),
	[0xed] = OP(OPA_IO | SYS, NONE, 0, 0, 0), [0xee] = OP(OPA_IO | SYS | BYTE, NONE, 0, 0, 0),
	[0xef] = OP(OPA_IO | SYS, NONE, 0, 0, 0),
	[0xf1] = OP(OPA_INT | OPA_FAR | SYS, NONE, 0, FL_ALL, 0),
	[0xf4] = OP(PRIV, NONE, 0, FL_I, 0), [0xf5] = OP(0, NONE, 0, FL_C, FL_C), [0xf6] = GRP(F6),
	[0xf7] = GRP(F7), [0xf8 ... 0xf9] = OP(0, NONE, 0, 0, FL_C),
	[0xfa ... 0xfb] = OP(SYS, NONE, 0, FL_I, 0),
	[0xfc ... 0xfd] = OP(0, NONE, 0, 0, FL_D),
	[0xfe] = GRP(FE), [0xff] = GRP(FF),
};

#define CMOV(n) [n] = OPF(M | RD, NONE, SZ_V, CC_FLAGS((n) & 15), 0, CMOV)
#define JCCZ(n) [n] = OP(OPA_BRANCH, JZ, 0, CC_FLAGS((n) & 15), 0)
#define SETCC(n) [n] = OP(M | BYTE | WR, NONE, 1, CC_FLAGS((n) & 15), 0)
#define BY_PREFIX { .attr = OPA_VALID | OPA_MODRM, .group = GROUP_SSE }

static const struct opcode_info map_0f[256] = {
	[0x00] = GRP(0F00), [0x01] = GRP(0F01),
	[0x02 ... 0x03] = OP(M | RD | SYS, NONE, 2, 0, FL_Z),
	[0x06] = OP(PRIV, NONE, 0, 0, 0),
	[0x08 ... 0x09] = OPF(PRIV, NONE, 0, 0, 0, 486),
	[0x0d] = OPF(M | OPA_NOP, NONE, 0, 0, 0, NOPL),
	[0x10 ... 0x17] = BY_PREFIX,
	[0x18 ... 0x1f] = OPF(M | OPA_NOP, NONE, 0, 0, 0, NOPL),
	[0x20 ... 0x23] = OP(M | PRIV | OPA_MOD_REG, NONE, 0, 0, 0),
	[0x28 ... 0x2f] = BY_PREFIX,
	[0x30] = OPF(PRIV, NONE, 0, 0, 0, MSR),
	[0x31] = OPF(SYS, NONE, 0, 0, 0, TSC),
	[0x32] = OPF(PRIV, NONE, 0, 0, 0, MSR),
	[0x33] = OPF(SYS, NONE, 0, 0, 0, RDPMC),
	[0x34] = OPF(SYS | OPA_FAR, NONE, 0, FL_ALL, 0, SEP),
	[0x35] = OPF(PRIV | OPA_FAR, NONE, 0, 0, 0, SEP),
	SIXTEEN(CMOV, 0x40),
	[0x50 ... 0x76] = BY_PREFIX,
	[0x77] = { .attr = OPA_VALID, .group = GROUP_SSE },
	[0x7c ... 0x7f] = BY_PREFIX,
	SIXTEEN(JCCZ, 0x80),
	SIXTEEN(SETCC, 0x90),
	[0xa0] = PUSH_SEG, [0xa1] = POP_SEG,
	[0xa2] = OPF(SYS, NONE, 0, 0, 0, CPUID),
	[0xa3] = OP(M | RD, NONE, SZ_V, 0, FL_C),
	[0xa4] = OP(M | RW | OPA_SHIFT, B, SZ_V, 0, FL_C | FL_O | FL_S | FL_Z | FL_P),
	[0xa5] = OP(M | RW, NONE, SZ_V, 0, 0),
	[0xa8] = PUSH_SEG, [0xa9] = POP_SEG,
	[0xab] = OP(M | RW | OPA_LOCK, NONE, SZ_V, 0, FL_C),
	[0xac] = OP(M | RW | OPA_SHIFT, B, SZ_V, 0, FL_C | FL_O | FL_S | FL_Z | FL_P),
	[0xad] = OP(M | RW, NONE, SZ_V, 0, 0),
	[0xae] = GRP(0FAE),
	[0xaf] = OP(M | RD, NONE, SZ_V, 0, FL_C | FL_O),
	[0xb0] = OPF(M | BYTE | RW | OPA_LOCK, NONE, 1, 0, FL_ARITH, 486),
	[0xb1] = OPF(M | RW | OPA_LOCK, NONE, SZ_V, 0, FL_ARITH, 486),
	[0xb2] = OP(M | RD | OPA_MEM_ONLY | SYS | OPA_SEG_LOAD, NONE, SZ_P, 0, 0),
	[0xb3] = OP(M | RW | OPA_LOCK, NONE, SZ_V, 0, FL_C),
	[0xb4 ... 0xb5] = OP(M | RD | OPA_MEM_ONLY | SYS | OPA_SEG_LOAD, NONE, SZ_P, 0, 0),
	[0xb6] = OP(M | RD, NONE, 1, 0, 0), [0xb7] = OP(M | RD, NONE, 2, 0, 0),
	[0xb8] = BY_PREFIX,
	[0xb9] = { .attr = OPA_MODRM }, /* UD1 has a ModRM byte */
	[0xba] = GRP(0FBA),
	[0xbb] = OP(M | RW | OPA_LOCK, NONE, SZ_V, 0, FL_C),
	[0xbc ... 0xbd] = OP(M | RD, NONE, SZ_V, 0, FL_Z),
	[0xbe] = OP(M | RD, NONE, 1, 0, 0), [0xbf] = OP(M | RD, NONE, 2, 0, 0),
	[0xc0] = OPF(M | BYTE | RW | OPA_LOCK, NONE, 1, 0, FL_ARITH, 486),
	[0xc1] = OPF(M | RW | OPA_LOCK, NONE, SZ_V, 0, FL_ARITH, 486),
	[0xc2 ... 0xc6] = BY_PREFIX,
	[0xc7] = GRP(0FC7),
	[0xc8 ... 0xcf] = OPF(0, NONE, 0, 0, 0, 486),
	[0xd0 ... 0xfe] = BY_PREFIX,
	[0xff] = { .attr = OPA_MODRM }, /* UD0 */
};

/* Group slots: [0..7] for a memory operand, [8..15] for a register. */
#define BOTH(n, ...) [n] = __VA_ARGS__, [(n) + 8] = __VA_ARGS__
#define MEM(n, ...) [n] = __VA_ARGS__
#define REG(n, ...) [(n) + 8] = __VA_ARGS__

#define ALU_GROUP(b, i, sz) { \
	BOTH(0, OP(M | (b) | RW | OPA_LOCK, i, sz, 0, FL_ARITH)), \
	BOTH(1, OP(M | (b) | RW | OPA_LOCK, i, sz, 0, FL_ARITH)), \
	BOTH(2, OP(M | (b) | RW | OPA_LOCK, i, sz, FL_C, FL_ARITH)), \
	BOTH(3, OP(M | (b) | RW | OPA_LOCK, i, sz, FL_C, FL_ARITH)), \
	BOTH(4, OP(M | (b) | RW | OPA_LOCK, i, sz, 0, FL_ARITH)), \
	BOTH(5, OP(M | (b) | RW | OPA_LOCK, i, sz, 0, FL_ARITH)), \
	BOTH(6, OP(M | (b) | RW | OPA_LOCK, i, sz, 0, FL_ARITH)), \
	BOTH(7, OP(M | (b) | RD, i, sz, 0, FL_ARITH)) }

#define SHIFT_WRITES (FL_C | FL_O | FL_S | FL_Z | FL_P)
/* rot, rcx, sh: the flags that rotates, rotates through carry and shifts write for sure. */
#define SHIFT_GROUP(a, i, sz, rot, rcx, sh) { \
	BOTH(0, OP(M | RW | (a), i, sz, 0, rot)), BOTH(1, OP(M | RW | (a), i, sz, 0, rot)), \
	BOTH(2, OP(M | RW | (a), i, sz, FL_C, rcx)), BOTH(3, OP(M | RW | (a), i, sz, FL_C, rcx)), \
	BOTH(4, OP(M | RW | (a), i, sz, 0, sh)), BOTH(5, OP(M | RW | (a), i, sz, 0, sh)), \
	BOTH(6, OP(M | RW | (a), i, sz, 0, sh)), BOTH(7, OP(M | RW | (a), i, sz, 0, sh)) }

#define UNARY_GROUP(b, i, sz) { \
	BOTH(0, OP(M | (b) | RD, i, sz, 0, FL_ARITH)), \
	BOTH(1, OP(M | (b) | RD, i, sz, 0, FL_ARITH)), \
	BOTH(2, OP(M | (b) | RW | OPA_LOCK, NONE, sz, 0, 0)), \
	BOTH(3, OP(M | (b) | RW | OPA_LOCK, NONE, sz, 0, FL_ARITH)), \
	BOTH(4, OP(M | (b) | RD, NONE, sz, 0, FL_C | FL_O)), \
	BOTH(5, OP(M | (b) | RD, NONE, sz, 0, FL_C | FL_O)), \
	BOTH(6, OP(M | (b) | RD, NONE, sz, 0, 0)), \
	BOTH(7, OP(M | (b) | RD, NONE, sz, 0, 0)) }

#define MOV_FROM_SEG(n) BOTH(n, OP(M | WR | SYS, NONE, 2, 0, 0))
#define MOV_TO_SEG(n) BOTH(n, OP(M | RD | SYS | OPA_SEG_LOAD, NONE, 2, 0, 0))

static const struct opcode_info groups[GROUP_COUNT][16] = {
	[GROUP_80] = ALU_GROUP(BYTE, B, 1),
	[GROUP_81] = ALU_GROUP(0, Z, SZ_V),
	[GROUP_83] = ALU_GROUP(0, BS, SZ_V),
	[GROUP_8C] = { MOV_FROM_SEG(0), MOV_FROM_SEG(1), MOV_FROM_SEG(2), MOV_FROM_SEG(3),
		MOV_FROM_SEG(4), MOV_FROM_SEG(5) },
	[GROUP_8E] = { MOV_TO_SEG(0), MOV_TO_SEG(2), MOV_TO_SEG(3), MOV_TO_SEG(4), MOV_TO_SEG(5) },
	[GROUP_8F] = { BOTH(0, OP(M | WR | OPA_STACK, NONE, SZ_V, 0, 0)) },
	[GROUP_C0] = SHIFT_GROUP(BYTE | OPA_SHIFT, B, 1, FL_C | FL_O, 0, SHIFT_WRITES),
	[GROUP_C1] = SHIFT_GROUP(OPA_SHIFT, B, SZ_V, FL_C | FL_O, 0, SHIFT_WRITES),
	[GROUP_D0] = SHIFT_GROUP(BYTE, NONE, 1, FL_C | FL_O, FL_C | FL_O, SHIFT_WRITES),
	[GROUP_D1] = SHIFT_GROUP(0, NONE, SZ_V, FL_C | FL_O, FL_C | FL_O, SHIFT_WRITES),
	[GROUP_D2] = SHIFT_GROUP(BYTE, NONE, 1, 0, 0, 0),
	[GROUP_D3] = SHIFT_GROUP(0, NONE, SZ_V, 0, 0, 0),
	[GROUP_C6] = { BOTH(0, OP(M | BYTE | WR, B, 1, 0, 0)) },
	[GROUP_C7] = { BOTH(0, OP(M | WR, Z, SZ_V, 0, 0)) },
	[GROUP_F6] = UNARY_GROUP(BYTE, B, 1),
	[GROUP_F7] = UNARY_GROUP(0, Z, SZ_V),
	[GROUP_FE] = { BOTH(0, OP(M | BYTE | RW | OPA_LOCK, NONE, 1, 0, INC_FLAGS)),
		BOTH(1, OP(M | BYTE | RW | OPA_LOCK, NONE, 1, 0, INC_FLAGS)) },
	[GROUP_FF] = {
		BOTH(0, OP(M | RW | OPA_LOCK, NONE, SZ_V, 0, INC_FLAGS)),
		BOTH(1, OP(M | RW | OPA_LOCK, NONE, SZ_V, 0, INC_FLAGS)),
		BOTH(2, OP(M | RD | OPA_CALL | OPA_INDIRECT | OPA_STACK, NONE, SZ_V, 0, 0)),
		MEM(3, OP(M | RD | OPA_CALL | OPA_FAR | OPA_STACK | SYS, NONE, SZ_P, FL_ALL, 0)),
		BOTH(4, OP(M | RD | OPA_JUMP | OPA_INDIRECT, NONE, SZ_V, 0, 0)),
		MEM(5, OP(M | RD | OPA_JUMP | OPA_FAR | SYS, NONE, SZ_P, FL_ALL, 0)),
		BOTH(6, OP(M | RD | OPA_STACK, NONE, SZ_V, 0, 0)),
	},
	[GROUP_0F00] = {
		BOTH(0, OP(M | WR | SYS, NONE, 2, 0, 0)), BOTH(1, OP(M | WR | SYS, NONE, 2, 0, 0)),
		BOTH(2, OP(M | RD | PRIV, NONE, 2, 0, 0)),
		BOTH(3, OP(M | RD | PRIV, NONE, 2, 0, 0)),
		BOTH(4, OP(M | RD | SYS, NONE, 2, 0, FL_Z)),
		BOTH(5, OP(M | RD | SYS, NONE, 2, 0, FL_Z)),
	},
	[GROUP_0F01] = {
		MEM(0, OP(M | WR | SYS, NONE, 6, 0, 0)), MEM(1, OP(M | WR | SYS, NONE, 6, 0, 0)),
		MEM(2, OP(M | RD | PRIV, NONE, 6, 0, 0)), MEM(3, OP(M | RD | PRIV, NONE, 6, 0, 0)),
		BOTH(4, OP(M | WR | SYS, NONE, 2, 0, 0)), BOTH(6, OP(M | RD | PRIV, NONE, 2, 0, 0)),
		MEM(7, OPF(M | PRIV, NONE, 0, 0, 0, 486)),
	},
	[GROUP_0FBA] = {
		BOTH(4, OP(M | RD, B, SZ_V, 0, FL_C)),
		BOTH(5, OP(M | RW | OPA_LOCK, B, SZ_V, 0, FL_C)),
		BOTH(6, OP(M | RW | OPA_LOCK, B, SZ_V, 0, FL_C)),
		BOTH(7, OP(M | RW | OPA_LOCK, B, SZ_V, 0, FL_C)),
	},
	[GROUP_0FC7] = {
		MEM(1, OPF(M | RW | OPA_LOCK, NONE, 8, 0, FL_Z, CX8)),
		REG(7, OPF(M | SYS, NONE, 0, 0, 0, RDPID)),
	},
	[GROUP_0FAE] = {
		MEM(0, OPF(M | WR | SYS, NONE, SZ_FX, 0, 0, FXSR)),
		MEM(1, OPF(M | RD | SYS, NONE, SZ_FX, 0, 0, FXSR)),
		MEM(2, OPF(M | RD | OPA_SSE, NONE, 4, 0, 0, SSE)),
		MEM(3, OPF(M | WR | OPA_SSE, NONE, 4, 0, 0, SSE)),
		MEM(7, OPF(M | RD, NONE, 1, 0, 0, CLFLUSH)),
		REG(5, OPF(M, NONE, 0, 0, 0, SSE2)), REG(6, OPF(M, NONE, 0, 0, 0, SSE2)),
		REG(7, OPF(M, NONE, 0, 0, 0, SSE)),
	},
};

static const struct opcode_info map_0f38_entry = BY_PREFIX;
static const struct opcode_info map_0f3a_entry = { .attr = OPA_VALID | OPA_MODRM,
						   .imm = IMM_B,
						   .group = GROUP_SSE };

const struct opcode_info *opcode_entry(enum insn_map map, uint8_t opcode)
{
	switch (map) {
	case MAP_1BYTE: return &map_1byte[opcode];
	case MAP_0F:    return &map_0f[opcode];
	case MAP_0F38:  return &map_0f38_entry;
	default:        return &map_0f3a_entry;
	}
}

/* With a register form 0F01 has instructions without operands, each by its whole ModRM byte. */
static const struct opcode_info *lookup_0f01(uint8_t modrm)
{
	static const struct opcode_info rdtscp = OPF(M | SYS, NONE, 0, 0, 0, RDTSCP),
					clac_stac = OPF(M | SYS, NONE, 0, 0, 0, SMAP);

	switch (modrm) {
	case 0xca: case 0xcb: return &clac_stac;
	case 0xf9: return &rdtscp;
	default: return NULL;
	}
}

bool opcode_lookup(enum insn_map map, uint8_t opcode, uint8_t modrm, uint8_t prefixes,
		   struct opcode_info *out)
{
	const struct opcode_info *entry = opcode_entry(map, opcode);

	if (entry->group == GROUP_SSE)
		return opcode_lookup_sse(map, opcode, modrm, prefixes, out);
	if (entry->group == GROUP_X87)
		return opcode_lookup_x87(opcode, modrm, out);
	/*
	 * The 0FAE group has mandatory prefixes: with 66, F2 or F3 these are instructions that are
	 * not offered.
	 */
	if (entry->group == GROUP_0FAE && prefixes & (PFX_OPSIZE | PFX_REP | PFX_REPNE))
		return false;
	/*
	 * CR1 and CR5.. and the 80386's test registers do not exist; DR4 and DR5 depend on CR4.DE.
	 */
	if (map == MAP_0F && (opcode == 0x20 || opcode == 0x22) &&
	    !((1u << ((modrm >> 3) & 7)) & 0x1d))
		return false;
	/* CLAC and STAC have no prefix. */
	if (entry->group == GROUP_0F01 && (modrm == 0xca || modrm == 0xcb) &&
	    prefixes & (PFX_OPSIZE | PFX_REP | PFX_REPNE))
		return false;
	/* RDPID has F3. */
	if (entry->group == GROUP_0FC7 && modrm >= 0xc0 && !(prefixes & PFX_REP))
		return false;
	if (entry->group == GROUP_0F01 && lookup_0f01(modrm))
		entry = lookup_0f01(modrm);
	else if (entry->group)
		entry = &groups[entry->group][((modrm >> 3) & 7) + (modrm >= 0xc0 ? 8 : 0)];
	*out = *entry;
	return entry->attr & OPA_VALID;
}
