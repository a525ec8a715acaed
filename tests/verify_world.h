/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world that translations run in, on the host, instruction by instruction, with random registers,
 * and watched (test_verify_mutants.c):
 *
 *   - control stays on the unit's own instructions, or comes to the start of a stub;
 *   - r12, r13 and r15 do not change, rsp only by a push or a pop, flags only by what a guest
 *     may set;
 *   - the upper half of r14 is always zero, those of the other guest registers at every guest
 *     instruction's start;
 *   - each memory operand, by the registers' values when it comes to it, lies in the window or its
 *     guards, in struct cpu, or (to be read) in the tables; host faults are of addresses in the
 *     window or its guards;
 *   - struct cpu, but for the interrupt flag and the word that is there to be changed, the tables
 *     and the code itself are the same afterwards.
 *
 * None of that looks at what the verifier looks at.
 */
#ifndef RF_TESTS_VERIFY_WORLD_H
#define RF_TESTS_VERIFY_WORLD_H

#include <ucontext.h>
#include "host_reach.h"
#include "verify_mutate.h"

extern struct world {
	struct random_source rng;
	struct vf *vf;
	struct tc_cpu *tc, before;
	struct cpu *cpu; /* tc's */
	uint64_t window;
	uint64_t *stack;             /* its top holds the sentinel */
	struct branch_entry *branches, *branches_before;
	struct tu *tu;
	uint8_t code[VF_MAX_CODE];
	bool starts[VF_MAX_CODE], boundaries[VF_MAX_CODE], locked[VF_MAX_CODE];
	struct vf_insn list[VF_MAX_INSNS];
	unsigned ninsns;
	struct host_reach reach[VF_MAX_CODE]; /* by offset */
	struct host_reader *reader;

	gregset_t saved;
	struct _libc_fpstate saved_fpu;
	unsigned steps;
	char wrong[256];             /* what the watch saw; empty: nothing */
} w;

/* Once, before all else; and for each test, with and without BMI2 (w.vf). */
void world_setup(void);
void world_on_each_host(void (*test)(void));

/* The unit that is to run, listed. */
void world_take_unit(struct tu *tu);
/* Runs it some times: w.wrong says what was seen. */
void world_run_unit(void);
/* Not to be run in any case: what would leave the process, and what it says of itself. */
bool world_leaves_process(void);

#endif
