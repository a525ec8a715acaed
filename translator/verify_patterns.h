/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operands as the verifier's forms describe them (verify_forms.c). Private to verify*.c. */
#ifndef RF_TRANSLATOR_VERIFY_PATTERNS_H
#define RF_TRANSLATOR_VERIFY_PATTERNS_H

#include "verify_forms.h"

#define SCRATCH_REGISTERS (R(H_R8) | R(H_R9) | R(H_R10) | R(H_R11))

enum pattern_kind {
	PATTERN_NONE, PATTERN_REGISTER, PATTERN_IMMEDIATE, PATTERN_GUEST_MEMORY, PATTERN_AT,
	PATTERN_WINDOW_SUM
};

struct pattern {
	uint8_t kind, bytes;
	uint16_t regs;          /* register: those that match */
	uint8_t base, index, scale;
	bool any_disp;
	int32_t disp;
	uint16_t count, stride; /* disp, disp + stride, ...: count of them */
};

#define REG(mask, n) { .kind = PATTERN_REGISTER, .regs = (mask), .bytes = (n) }
#define R32(reg) REG(R(reg), 4)
#define R64(reg) REG(R(reg), 8)
#define SCRATCH REG(SCRATCH_REGISTERS, 4)
#define GUEST REG(GUEST_REGISTERS, 4)
#define BYTE_REGISTER REG(R(H_RAX) | R(H_RCX) | R(H_RDX) | R(H_RBX), 1)
#define IMM { .kind = PATTERN_IMMEDIATE }
#define MEMORY(n) { .kind = PATTERN_GUEST_MEMORY, .bytes = (n) }
#define ANY_SUM { .kind = PATTERN_AT, .any_disp = true }
/* base + index * scale; the rest of the pattern's fields follow. */
#define ADDRESS(b, i, s, ...) \
	{ .kind = PATTERN_AT, .base = (b), .index = (i), .scale = (s), __VA_ARGS__ }
#define AT(b, i, n) ADDRESS(b, i, 1, .bytes = (n), .count = 1)
#define SUM(b, i) ADDRESS(b, i, 1, .any_disp = true, .count = 1)
#define TIMES(i, s) ADDRESS(VERIFY_NO_REG, i, s, .count = 1)
#define CPU_ARRAY(off, n, c, s) \
	ADDRESS(H_CPU, VERIFY_NO_REG, 1, .bytes = (n), .disp = (off), .count = (c), .stride = (s))
#define CPU(off, n) CPU_ARRAY(off, n, 1, 0)
#define CPU_INDEXED(off, i, s, n) \
	ADDRESS(H_CPU, i, s, .bytes = (n), .disp = (off), .count = 1)

/* Of an instruction of the host: whether it is such an operand. */
bool verify_matches(const struct pattern *p, const struct host_operand *o);

#endif
