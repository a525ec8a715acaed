/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Batches; see lane.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lane.h"
#include "regression.h"

struct lane *lane_create(const char *name, struct executor *engine, struct executor *oracle,
			 bool kernel, bool code16, const char *directory)
{
	const struct audience audience = {
		.host = engine->is_host || oracle->is_host || oracle->is_recorded,
		.others = oracle->is_recorded, .unicorn = oracle->is_unicorn,
		.code16 = code16,
	};
	struct lane *lane = calloc(1, sizeof(*lane));

	if (!lane || generator_create(&lane->generator, &audience)) {
		free(lane);
		return NULL;
	}
	lane->name = name;
	lane->engine = engine;
	lane->oracle = oracle;
	lane->kernel = kernel;
	lane->directory = directory;
	return lane;
}

void lane_destroy(struct lane *lane)
{
	generator_destroy(&lane->generator);
	free(lane);
}

static void run_all(struct lane *lane, struct executor *x, struct outcome *out)
{
	x->ops->load(x, &lane->memory);
	x->ops->begin(x);
	for (unsigned n = 0; n < BATCH; n++)
		x->ops->run(x, &lane->c[n], &out[n]);
	x->ops->end(x);
}

static void run_one(struct executor *x, const struct fuzz_case *c, struct outcome *out)
{
	x->ops->begin(x);
	x->ops->run(x, c, out);
	x->ops->end(x);
}

static struct judgement judge(const struct fuzz_case *c, struct executor *xa, struct outcome *a,
			      struct executor *xb, struct outcome *b)
{
	struct judgement j, memory;

	run_one(xa, c, a);
	run_one(xb, c, b);
	j = judge_outcomes(c, xa, a, xb, b);
	if (j.verdict != VERDICT_SAME)
		return j;
	memory = judge_memory(c, xa, xb, b, true);
	return memory;
}

struct judgement lane_try(struct lane *lane, const struct fuzz_case *c, const struct memory *memory,
			  struct outcome *oracle)
{
	struct outcome a;

	lane->engine->ops->load(lane->engine, memory);
	lane->oracle->ops->load(lane->oracle, memory);
	return judge(c, lane->engine, &a, lane->oracle, oracle);
}

/* hung: one of them did, which may be the host's doing, if it was busy elsewhere. */
static void fail(struct lane *lane, const struct fuzz_case *original, const char *what, bool hung)
{
	struct fuzz_case c = *original;
	struct judgement j;
	struct outcome out;

	fflush(stdout);
	lane->engine->patient = lane->oracle->patient = hung;
	j = lane_try(lane, &c, &lane->before, &out);
	lane->engine->patient = lane->oracle->patient = false;
	if (j.verdict != VERDICT_DIFFERENT) {
		fprintf(stderr, "%s: case %#llx: %s; not when tried again\n", lane->name,
			(unsigned long long)c.seed, what);
		if (hung)
			lane->once++;
		else
			lane->failures++;
		return;
	}
	lane->failures++;
	if (!lane->oracle->is_recorded)
		minimise(lane, &c, &lane->before);
	j = lane_try(lane, &c, &lane->before, &out);
	fprintf(stderr, "%s: case %#llx: %s; reduced: %s\n", lane->name, (unsigned long long)c.seed,
		what, j.text);
	regression_report(&c, stderr);
	if (lane->directory)
		regression_write(lane->directory, lane->name, &c, &lane->before, lane->oracle, &out,
				 j.text);
}

static void save(struct executor *x, struct memory *memory)
{
	for (unsigned n = 0; n < REGIONS; n++)
		memcpy(memory->region[n], x->ops->region(x, n), REGION_SIZE);
}

static void careful_batch(struct lane *lane)
{
	struct executor *xa = lane->engine, *xb = lane->oracle;

	lane->careful_batches++;
	xa->ops->load(xa, &lane->memory);
	xb->ops->load(xb, &lane->memory);
	for (unsigned n = 0; n < BATCH; n++) {
		const struct fuzz_case *c = &lane->c[n];
		struct judgement j;

		save(xb, &lane->before);
		j = judge(c, xa, &lane->a[n], xb, &lane->b[n]);
		if (j.verdict == VERDICT_SAME)
			continue;
		save(xb, &lane->memory); /* the oracle's word, for the next case */
		if (j.verdict == VERDICT_LEEWAY || stray(lane, c))
			lane->leeway++;
		else
			fail(lane, c, j.text,
			     lane->a[n].kind == OUTCOME_HUNG || lane->b[n].kind == OUTCOME_HUNG);
		xa->ops->load(xa, &lane->memory);
		xb->ops->load(xb, &lane->memory);
	}
}

static bool batch_differs(struct lane *lane)
{
	for (unsigned n = 0; n < BATCH; n++) {
		struct judgement j = judge_outcomes(&lane->c[n], lane->engine, &lane->a[n],
						    lane->oracle, &lane->b[n]);

		if (j.verdict != VERDICT_SAME)
			return true;
	}
	return judge_memory(&lane->c[0], lane->engine, lane->oracle, &lane->b[0], false).verdict !=
	       VERDICT_SAME;
}

void lane_run(struct lane *lane)
{
	run_all(lane, lane->oracle, lane->b);
	run_all(lane, lane->engine, lane->a);
	for (unsigned n = 0; n < BATCH; n++)
		lane->kinds[lane->b[n].kind]++;
	lane->cases += BATCH;
	if (batch_differs(lane))
		careful_batch(lane);
}

void lane_batch(struct lane *lane, uint64_t seed)
{
	const bool kernel = lane->kernel && seed & 1, single = seed % 4 < 2;

	generate_memory(seed, &lane->memory);
	for (unsigned n = 0; n < BATCH; n++) {
		if (single)
			generate_single(&lane->generator, &lane->c[n], kernel,
					seed / 4 * (2 * BATCH) + (seed & 1) * BATCH + n,
					seed * BATCH + n);
		else
			generate_sequence(&lane->generator, &lane->c[n], kernel, seed * BATCH + n);
	}
	lane_run(lane);
}
