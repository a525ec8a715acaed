/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A case as a text file: state, memory, code, and what has to come out. A line is a word and
 * hexadecimal numbers; # begins a comment.
 *
 *   oracle host                      who says so
 *   model NAME                       of the processor; without: the one that has everything
 *   ring 3 | no_fpu 0 | single 0   as in struct fuzz_case
 *   eip, eflags, regs (8), segs (6)  the state; fpu: fcw fsw ftw mxcsr; st N and xmm N where not
 *                                    zero
 *   code 0f a2 ...
 *   memory 00100000 16 bytes         where not zero (code region: not cc)
 *   expect KIND VECTOR ERROR CR2     KIND as in enum outcome_kind; then the same words with
 *                                    "expect-" before them; memory: what changes
 */
#ifndef RF_TESTS_FUZZ_REGRESSION_H
#define RF_TESTS_FUZZ_REGRESSION_H

#include <stdio.h>
#include "executor.h"

struct regression {
	struct fuzz_case c;
	bool host;
	char model[16];
	struct memory before, after;
	struct outcome out;
};

/* The case, for people. */
void regression_report(const struct fuzz_case *c, FILE *to);
/* To a new file in directory; oracle has run the case, its memory is what is expected. */
void regression_write(const char *directory, const char *lane, const struct fuzz_case *c,
		      const struct memory *before, struct executor *oracle,
		      const struct outcome *out, const char *what);
/* False: cannot be read; says why on standard error. */
bool regression_read(const char *path, struct regression *r);
/* An executor that has what a regression expects as its outcome. r must outlive it. */
struct executor *regression_oracle(const struct regression *r);

#endif
