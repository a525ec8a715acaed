/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording's answers as an executor: it has the memory, and knows what each case changes in it.
 */
#include <stdlib.h>
#include <string.h>
#include "recording.h"

struct oracle {
	struct executor x;
	const struct recording_batch *batch;
	struct memory memory;
};

static struct oracle *of(struct executor *x)
{
	return (struct oracle *)x;
}

static void nothing(struct executor *x)
{
}

static void load(struct executor *x, const struct memory *memory)
{
	of(x)->memory = *memory;
}

static const uint8_t *region(struct executor *x, enum region n)
{
	return of(x)->memory.region[n];
}

static void store(struct executor *x, uint32_t at, const void *data, uint32_t len)
{
	uint8_t *to = (uint8_t *)memory_at(&of(x)->memory, at, len);

	if (to)
		memcpy(to, data, len);
}

/* A case is found by its seed, which is its number in the batch. */
static void run(struct executor *x, const struct fuzz_case *c, struct outcome *out)
{
	struct oracle *o = of(x);
	const struct recording_answer *a = &o->batch->answer[c->seed % RECORDING_BATCH];

	recording_place(c, &o->memory);
	for (uint32_t n = a->first; n < a->first + a->count; n++)
		store(x, o->batch->changes[n].at, &o->batch->changes[n].value, 1);
	*out = a->out;
}

static void destroy(struct executor *x)
{
	free(x);
}

struct executor *recording_oracle(const struct recording_batch *batch, bool processor)
{
	static const struct executor_ops ops = {
		nothing, nothing, load, region, store, run, destroy
	};
	struct oracle *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->x = (struct executor){
		.name = "recorded", .ops = &ops, .is_host = processor, .is_recorded = true,
	};
	o->batch = batch;
	return &o->x;
}
