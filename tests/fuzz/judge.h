/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether two executors agree about a case, but for what the architecture leaves open (leeway.h)
 * and what the oracle is known to do wrong.
 */
#ifndef RF_TESTS_FUZZ_JUDGE_H
#define RF_TESTS_FUZZ_JUDGE_H

#include "executor.h"

enum verdict {
	VERDICT_SAME,
	VERDICT_LEEWAY,  /* they differ in what is left open; memory may too */
	VERDICT_DIFFERENT,
};

struct judgement {
	enum verdict verdict;
	char text[160]; /* what differs */
};

/*
 * a and b are changed: what is left open is made equal. memory: the code as it was when the case
 * began (for a look at instructions).
 */
struct judgement judge_outcomes(const struct fuzz_case *c, struct executor *xa, struct outcome *a,
				struct executor *xb, struct outcome *b);
/*
 * All regions; if leeway, what may differ by this outcome (both have it) is copied from b to a
 * first.
 */
struct judgement judge_memory(const struct fuzz_case *c, struct executor *xa, struct executor *xb,
			      const struct outcome *out, bool leeway);
/* Makes a's memory b's. */
void judge_level(struct executor *xa, struct executor *xb);

#endif
