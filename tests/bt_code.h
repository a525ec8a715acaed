/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing guest programs for the machine of bt_fixture.h: a place in guest RAM that moves on with
 * what is emitted there.
 *
 * struct code c = code_at(bf, BF_CODE);
 *
 * MOV(&c, X86_ECX, 3);
 * const uint32_t loop = c.at;
 * 	EMIT(&c, 0x40, 0x49);          // inc eax; dec ecx
 * JNZ(&c, loop);
 * STOP(&c);
 */
#ifndef RF_TESTS_BT_CODE_H
#define RF_TESTS_BT_CODE_H

#include "bt_fixture.h"

/* Where programs have what they call and remap; nothing else is there. */
#define FUNCTION    (BF_FREE + 0x10000)
#define REMAPPED    0x500000u   /* a linear page */
#define OTHER_FRAME 0x600000u   /* what it is mapped to, or a table is moved to */
#define DEVICE      0xf0000000u /* physical, no RAM: stores go to struct vm.store_unlocked */

struct code {
	struct bf *bf;
	uint32_t at;
};

struct code code_at(struct bf *bf, uint32_t gpa);
void emit_bytes(struct code *c, const void *bytes, unsigned len);
#define EMIT(c, ...) ({ const uint8_t b_[] = { __VA_ARGS__ }; emit_bytes(c, b_, sizeof(b_)); })
#define EMIT32(c, v) ({ uint32_t v_ = (v); emit_bytes(c, &v_, 4); })

/* An opcode with a 32-bit displacement that leads to target. */
void emit_relative(struct code *c, uint8_t opcode, uint32_t target);
#define CALL(c, target) emit_relative(c, 0xe8, target)
#define JMP(c, target)  emit_relative(c, 0xe9, target)
/* Jcc; condition as in the low four bits of its opcode. */
void emit_jcc(struct code *c, uint8_t condition, uint32_t target);
#define JB(c, target)  emit_jcc(c, 2, target)
#define JNZ(c, target) emit_jcc(c, 5, target)
#define MOV(c, reg, value) ({ EMIT(c, 0xb8 | (reg)); EMIT32(c, value); })
#define STOP(c) EMIT(c, BF_STOP)
/* mov ebx, [gva] */
void emit_load_ebx(struct code *c, uint32_t gva);

/* A function at gpa: mov eax, value; ret. */
void write_value_function(struct bf *bf, uint32_t gpa, uint32_t value);

#endif
