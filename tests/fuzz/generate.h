/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases from seeds: single instructions over all of the opcode map, and sequences. */
#ifndef RF_TESTS_FUZZ_GENERATE_H
#define RF_TESTS_FUZZ_GENERATE_H

#include "executor.h"
#include "tests/random_state.h"
#include "translator/opcode_map.h"

/* Who will execute the cases, which decides what may be in them. */
struct audience {
	bool host, unicorn;
	/* processors of other makes, later: nothing that only resembles from one to the next */
	bool others;
	bool code16;       /* all of it is 16-bit code, on stacks of 16 bits mostly */
};

/* One row of the opcode map as the generator goes through it. */
struct form {
	uint8_t map, opcode, prefix;
	uint8_t modrm;       /* reg field to use; or, if fixed, all of it */
	bool has_modrm, fixed, mem;
};

struct generator {
	struct random_source random;
	struct audience audience;
	struct form *forms;
	unsigned nforms;
};

int generator_create(struct generator *g, const struct audience *audience);
void generator_destroy(struct generator *g);

/* A single instruction: form number n modulo the number of forms, operands from the seed. */
void generate_single(struct generator *g, struct fuzz_case *c, bool kernel, unsigned n,
		     uint64_t seed);
void generate_sequence(struct generator *g, struct fuzz_case *c, bool kernel, uint64_t seed);
void generate_memory(uint64_t seed, struct memory *memory);

/*
 * generate_operand.c: for the instruction i, encoded at bytes: registers, or its displacement, so
 * that it touches something.
 */
void generate_operand(struct generator *g, struct fuzz_case *c, struct insn *i, uint8_t *bytes);
/*
 * Then, in front of a single instruction: what has to be in a part of its operand is stored there.
 */
void generate_field(struct generator *g, struct fuzz_case *c, const uint8_t *bytes);

/* What the files of the generator share. */
static inline uint32_t gen_next(struct generator *g) { return random_next(&g->random); }
static inline bool gen_one_in(struct generator *g, unsigned n)
{
	return random_next(&g->random) % n == 0;
}

void gen_item(struct fuzz_case *c, const void *bytes, unsigned len);
/* A register's value at this point: of the initial state if nothing precedes, else by MOV. */
void gen_register(struct fuzz_case *c, unsigned reg, uint32_t value);
bool gen_allowed(const struct generator *g, const struct insn *i);
/* Makes the two slots below the stack's top zero. */
void gen_clear_stack(struct fuzz_case *c);
/* generate_flow.c: of the LDT or the GDT. */
uint16_t gen_selector(struct generator *g, const struct fuzz_case *c);
/* generate.c: one random instruction, operands included. */
void gen_random(struct generator *g, struct fuzz_case *c);
/* generate_flow.c */
void gen_transfer(struct generator *g, struct fuzz_case *c);
void gen_loop(struct generator *g, struct fuzz_case *c);
void gen_stack(struct generator *g, struct fuzz_case *c);
void gen_segment(struct generator *g, struct fuzz_case *c);
void gen_far(struct generator *g, struct fuzz_case *c);
void gen_flags(struct generator *g, struct fuzz_case *c);

#define GEN_ITEM(c, ...) ({ const uint8_t b_[] = { __VA_ARGS__ }; gen_item(c, b_, sizeof(b_)); })
#define GEN_BYTES32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

#endif
