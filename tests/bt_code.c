/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing guest programs; see bt_code.h. */
#include "bt_code.h"

struct code code_at(struct bf *bf, uint32_t gpa)
{
	return (struct code){ bf, gpa };
}

void emit_bytes(struct code *c, const void *bytes, unsigned len)
{
	bf_write(c->bf, c->at, bytes, len);
	c->at += len;
}

void emit_relative(struct code *c, uint8_t opcode, uint32_t target)
{
	EMIT(c, opcode);
	EMIT32(c, target - (c->at + 4));
}

void emit_jcc(struct code *c, uint8_t condition, uint32_t target)
{
	EMIT(c, 0x0f);
	emit_relative(c, 0x80 | condition, target);
}

void emit_load_ebx(struct code *c, uint32_t gva)
{
	EMIT(c, 0x8b, 0x1d);
	EMIT32(c, gva);
}

void write_value_function(struct bf *bf, uint32_t gpa, uint32_t value)
{
	struct code c = code_at(bf, gpa);

	MOV(&c, X86_EAX, value);
	EMIT(&c, 0xc3);
}
