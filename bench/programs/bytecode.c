/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small register machine interpreted with computed gotos: one indirect jump for each of its
 * instructions.
 */
#include <stdio.h>
#include "workloads.h"

enum { ADD, XOR, SHIFT, LOAD, STORE, DECREMENT, JUMP_NONZERO, HALT };

struct op {
	uint8_t code, a, b, c;
};

int run_bytecode(long amount)
{
	static const struct op program[] = {
		{ ADD, 1, 1, 2 },  { SHIFT, 3, 1, 5 }, { XOR, 2, 2, 3 }, { STORE, 2, 1, 0 },
		{ ADD, 2, 2, 1 },  { LOAD, 4, 2, 0 },  { XOR, 1, 1, 4 }, { DECREMENT, 0, 0, 0 },
		{ JUMP_NONZERO, 0, 0, 0 }, { HALT, 0, 0, 0 },
	};
	static const void *const handlers[] = { &&add,   &&xor,       &&shift, &&load,
						&&store, &&decrement, &&jump,  &&halt };
	uint32_t reg[8] = { amount, 1, 2, 3, 4 }, memory[256] = { 0 };
	const struct op *pc = program;

#define NEXT() goto *handlers[pc->code]
	NEXT();
add:
	reg[pc->a] = reg[pc->b] + reg[pc->c], pc++;
	NEXT();
xor:
	reg[pc->a] = reg[pc->b] ^ reg[pc->c], pc++;
	NEXT();
shift:
	reg[pc->a] = reg[pc->b] >> pc->c, pc++;
	NEXT();
load:
	reg[pc->a] = memory[reg[pc->b] & 255], pc++;
	NEXT();
store:
	memory[reg[pc->b] & 255] = reg[pc->a], pc++;
	NEXT();
decrement:
	reg[pc->a]--, pc++;
	NEXT();
jump:
	pc = reg[pc->a] ? &program[pc->b] : pc + 1;
	NEXT();
halt:
	printf("%u %u\n", reg[1], reg[2]);
	return 0;
}
