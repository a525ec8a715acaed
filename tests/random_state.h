/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers and processor state for the differential tests: reproducible from a seed, and with
 * more edges among the values than plain noise has.
 */
#ifndef RF_TESTS_RANDOM_STATE_H
#define RF_TESTS_RANDOM_STATE_H

#include "x86/cpu.h"

struct random_source {
	uint64_t state; /* never zero */
};

/* Neighbouring seeds give unrelated sequences. */
void random_seed(struct random_source *r, uint64_t seed);
uint32_t random_next(struct random_source *r);

/* A general register or operand. */
uint32_t random_value(struct random_source *r);
/* Fills to with values a program might have, and with edges among them. */
void random_fill(struct random_source *r, void *to, unsigned size);
/*
 * A floating-point number of size bytes: 10 (x87), or 8 and 16 (SSE). Zeros, infinities, NaNs and
 * malformed ones among them.
 */
void random_float(struct random_source *r, uint8_t *to, unsigned size);

/*
 * A whole FPU state without pending exceptions: x87_unmasked and sse_unmasked say whether
 * exceptions may be unmasked.
 */
void random_fpu(struct random_source *r, struct fxsave_image *fpu, bool x87_unmasked,
		bool sse_unmasked);

#endif
