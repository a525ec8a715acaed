/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Engines against recordings; see record.h. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "lane.h"
#include "record.h"

_Static_assert(RECORDING_BATCH == BATCH, "a lane's batches are a recording's");

static void run_batches(struct recording *r, struct recording_batch *batch, struct lane *lane)
{
	for (uint32_t n = 0; n < r->batches && recording_code_batch(&r->body, batch); n++) {
		recording_fill(n, &lane->memory);
		memcpy(lane->c, batch->c, sizeof(lane->c));
		for (unsigned k = 0; k < BATCH; k++)
			lane->c[k].seed = (uint64_t)n * BATCH + k; /* what a report calls it */
		lane_run(lane);
	}
}

static bool run_recording(struct executor *engine, struct recording *r, const char *path,
			  struct replay_count *count)
{
	struct recording_batch *batch = calloc(1, sizeof(*batch));
	const bool processor = r->identity.judge == JUDGE_PROCESSOR;
	struct executor *oracle = batch ? recording_oracle(batch, processor) : NULL;
	struct lane *lane = oracle ? lane_create(path, engine, oracle, false, false, NULL) : NULL;
	const bool good = lane;

	if (lane) {
		run_batches(r, batch, lane);
		*count = (struct replay_count){ lane->cases, lane->leeway, lane->failures };
		lane_destroy(lane);
	}
	if (oracle)
		oracle->ops->destroy(oracle);
	free(batch ? batch->changes : NULL);
	free(batch);
	return good;
}

bool replay_recording(struct executor *engine, const char *path, struct replay_count *count,
		      char *text, size_t size)
{
	struct recording r;
	bool good;

	if (!recording_read(&r, path, text, size))
		return false;
	good = run_recording(engine, &r, path, count);
	if (!good)
		snprintf(text, size, "%s: no memory", path);
	else if (r.body.bad || r.body.at != r.body.size || !r.batches) {
		good = false;
		snprintf(text, size,
			 "%s: what it says is no case: record it anew (docs/testing.md)", path);
	}
	recording_free(&r);
	return good;
}

/* --- files and engines --- */

static bool replay_on(struct executor *engine, const char *name, const char *path)
{
	struct replay_count count = { 0 };
	char text[512];

	if (!replay_recording(engine, path, &count, text, sizeof(text))) {
		printf("FAILED %s\n", text);
		return false;
	}
	printf("%s%s on %s: %lu cases, %lu left open, %lu failed\n",
	       count.failures ? "FAILED " : "", path, name, count.cases, count.left_open,
	       count.failures);
	return !count.failures;
}

/* Says who answered. False if nobody did whose answer counts here. */
static bool introduce(const char *path, bool only_processors)
{
	struct recording r;
	char text[512];
	bool good = recording_read(&r, path, text, sizeof(text));

	if (!good) {
		printf("FAILED %s\n", text);
		return false;
	}
	recording_describe(&r.identity, text, sizeof(text));
	printf("%s: %s\n", path, text);
	if (only_processors && r.identity.judge != JUDGE_PROCESSOR) {
		good = false;
		printf("FAILED %s: no processor answered; it must not be among those that are "
		       "kept\n",
		       path);
	}
	recording_free(&r);
	return good;
}

int replay_recordings(const char *path, struct executor *const *engines, const char *const *names,
		      unsigned count)
{
	unsigned passed = 0, failed = 0;
	char pattern[4096];
	struct stat status;
	const bool directory = !stat(path, &status) && S_ISDIR(status.st_mode);
	glob_t found = { .gl_pathc = 0 };

	snprintf(pattern, sizeof(pattern), "%s/*.answers", path);
	if (glob(directory ? pattern : path, directory ? 0 : GLOB_NOCHECK | GLOB_NOESCAPE, NULL,
		 &found)) {
		printf("skipped: there is no recording of a processor's answers (docs/testing.md "
		       "says how one is made)\n");
		return SKIPPED;
	}
	for (size_t n = 0; n < found.gl_pathc; n++) {
		bool good = introduce(found.gl_pathv[n], directory);

		for (unsigned k = 0; good && k < count; k++)
			good = replay_on(engines[k], names[k], found.gl_pathv[n]);
		passed += good;
		failed += !good;
	}
	globfree(&found);
	printf("recordings: %u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
