/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes recordings. What no processor can answer for another is not asked: the generator leaves out
 * approximations, and cases that hang, or that the oracle cannot judge, are replaced.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "generate.h"
#include "record.h"

#define FORM_STRIDE 7919u /* a prime: a short recording has some forms of each kind, too */
/* so many cases begin with one FPU state, which is most of a case's bytes */
#define SAME_FPU    8u

struct recorder {
	struct executor *x;
	struct generator generator;
	struct recording_batch batch;
	struct memory before, after;
	uint64_t seed;
	unsigned form;
};

static void save(struct executor *x, struct memory *memory)
{
	for (unsigned n = 0; n < REGIONS; n++)
		memcpy(memory->region[n], x->ops->region(x, n), REGION_SIZE);
}

static void generate(struct recorder *r, unsigned n, bool single)
{
	struct fuzz_case *c = &r->batch.c[n];

	if (single)
		generate_single(&r->generator, c, false, r->form += FORM_STRIDE, r->seed++);
	else
		generate_sequence(&r->generator, c, false, r->seed++);
	c->nitems = 1;
	c->offset[1] = c->len;
	c->seed = n;
	if (n % SAME_FPU)
		c->fpu = r->batch.c[n - n % SAME_FPU].fpu;
}

static bool is_answer(const struct outcome *out)
{
	return out->kind == OUTCOME_STOP || out->kind == OUTCOME_EXCEPTION;
}

static bool record_case(struct recorder *r, unsigned n, bool single)
{
	struct executor *x = r->x;
	struct outcome *out = &r->batch.answer[n].out;

	save(x, &r->before);
	for (;;) {
		generate(r, n, single);
		x->ops->begin(x);
		x->ops->run(x, &r->batch.c[n], out);
		x->ops->end(x);
		if (is_answer(out))
			break;
		x->ops->load(x, &r->before);
	}
	save(x, &r->after);
	recording_place(&r->batch.c[n], &r->before);
	return recording_note(&r->batch, n, &r->before, &r->after);
}

static bool record_batch(struct recorder *r, uint32_t number, struct recording_bytes *body)
{
	bool good = true;

	recording_fill(number, &r->before);
	r->x->ops->load(r->x, &r->before);
	r->batch.nchanges = 0;
	for (unsigned n = 0; good && n < RECORDING_BATCH; n++)
		good = record_case(r, n, number % 2 == 0);
	return good && recording_code_batch(body, &r->batch);
}

bool record_answers(struct executor *x, enum recording_judge judge, uint64_t seed,
		    unsigned long long cases, const char *path, char *text, size_t size)
{
	const struct audience audience = { .host = true, .others = true };
	struct recording recording = {
		.seed = seed, .batches = (cases + RECORDING_BATCH - 1) / RECORDING_BATCH,
		.body.writing = true,
	};
	struct recorder *r = calloc(1, sizeof(*r));
	bool good = r && !generator_create(&r->generator, &audience);

	recording_identify(&recording.identity, judge);
	if (good) {
		r->x = x;
		r->seed = seed * (1ull << 32);
		for (uint32_t n = 0; good && n < recording.batches; n++)
			good = record_batch(r, n, &recording.body);
		generator_destroy(&r->generator);
		free(r->batch.changes);
	}
	if (good)
		good = recording_write(&recording, path, text, size);
	else
		snprintf(text, size, "%s: no memory", path);
	recording_free(&recording);
	free(r);
	return good;
}
