/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A lane: an engine, the oracle it is compared with, and a generator of cases for the two. Cases
 * come in batches that share their memory, which goes on from one to the next; a batch in which
 * anything differs is done again, one case at a time, and what differs is reduced and recorded.
 */
#ifndef RF_TESTS_FUZZ_LANE_H
#define RF_TESTS_FUZZ_LANE_H

#include "generate.h"
#include "judge.h"

#define BATCH 64u

struct lane {
	const char *name;
	struct executor *engine, *oracle;
	struct generator generator;
	bool kernel;               /* rings 0 to 2, in half of the batches */
	const char *directory;     /* where failures are recorded; NULL: not at all */
	unsigned long cases, careful_batches, leeway, failures;
	unsigned long once;        /* hung, but not when tried again */
	unsigned long kinds[OUTCOME_UNJUDGED + 1];
	double seconds;
	/* Of the batch under way. */
	struct fuzz_case c[BATCH];
	struct outcome a[BATCH], b[BATCH];
	struct memory memory, before;
};

/*
 * code16: all cases are 16-bit code. The executors stay the caller's. NULL if there is no memory.
 */
struct lane *lane_create(const char *name, struct executor *engine, struct executor *oracle,
			 bool kernel, bool code16, const char *directory);
void lane_destroy(struct lane *lane);
/* Runs the batch that seed names; the same seed gives the same batch. */
void lane_batch(struct lane *lane, uint64_t seed);
/* Runs the batch that is in lane->c, from lane->memory. */
void lane_run(struct lane *lane);

/* Runs one case from this memory on both. What is different, or "" if nothing is. */
struct judgement lane_try(struct lane *lane, const struct fuzz_case *c, const struct memory *memory,
			  struct outcome *oracle);

/*
 * stray.c: whether the case, run from lane->before, executes what must not be judged: on the host,
 * what it does otherwise.
 */
bool stray(struct lane *lane, const struct fuzz_case *c);

/* minimise.c: makes case and memory simpler as long as they still differ. */
void minimise(struct lane *lane, struct fuzz_case *c, struct memory *memory);

#endif
