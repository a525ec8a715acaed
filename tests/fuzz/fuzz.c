/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The differential fuzzer's command line: lanes, time, progress, replay. docs/testing.md says what
 * it is for.
 */
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lane.h"
#include "monitor/bt/options.h"
#include "record.h"
#include "regression.h"

#define MAX_LANES    20
#define MAX_FAILURES 12u
#define PROGRESS_S   5
#define BATCHES_A_SHARE 2
#define LONGEST_S    1e9

static const char help[] =
	"fuzz [options]            compare the engines with each other and with other processors, "
	"on random code\n"
	"fuzz --replay DIRECTORY   run the recorded cases there (*.case) on every engine\n"
	"  --engine bt|interp      only comparisons of this engine\n"
	"  --oracle host|unicorn|interp   only comparisons with this\n"
	"  --comparison NAME       only this one, as the summary calls it\n"
	"  --bt-options OPTIONS    for engine bt, as behind \"-accel bt,\" (default: several in "
	"turn)\n"
	"  --cases N               stop after N cases (default: 250000)\n"
	"  --seconds N             stop after N seconds\n"
	"  --seed S                start here (default: 1); printed\n"
	"  --record DIRECTORY      where cases that differ are written, reduced\n"
	"  --record-answers FILE   write cases and what the oracle (--oracle host or interp) "
	"answers to FILE; with --cases, --seed\n"
	"  --replay-answers PATH   run such a file, or all *.answers of a directory, on every "
	"engine\n"
	"The last line is \"comparisons: N passed, N failed\" (\"recorded cases: ...\", "
	"\"recordings: ...\"). Exit status: 0 nothing failed, 1\n"
	"something did, 2 it could not be run, 77 there are no recordings.\n";

struct options {
	const char *engine, *oracle, *comparison, *bt_options, *directory, *record_answers,
		*replay_answers;
	unsigned long long cases, seed;
	double seconds;
	bool replay;
};

/* The comparisons there are, and their shares of the cases. */
static const struct comparison {
	const char *name, *engine, *oracle, *options, *model;
	bool kernel, interrupted;
	unsigned share;
	bool code16;
} comparisons[] = {
	{ "interp-host", "interp", "host", NULL, NULL, false, false, .share = 8 },
	{ "bt-host", "bt", "host", NULL, NULL, false, false, .share = 8 },
	{ "bt-interp", "bt", "interp", NULL, NULL, true, false, .share = 8 },
	{ "bt-soft", "bt", "interp", "soft=always", NULL, true, false, .share = 4 },
	{ "bt-young", "bt", "interp", "young=always", NULL, true, false, .share = 4 },
	{ "bt-no-bmi2", "bt", "interp", "host=-bmi2", NULL, true, false, .share = 4 },
	{ "bt-no-bmi2-soft", "bt", "interp", "host=-bmi2,soft=always", NULL, true, false,
		.share = 2 },
	{ "bt-single", "bt", "interp", "tu-insns=1", NULL, true, false, .share = 2 },
	{ "bt-unlinked", "bt", "interp", "links=off,cache-kib=256", NULL, true, false, .share = 2 },
	{ "bt-interrupted", "bt", "interp", NULL, NULL, false, true, .share = 2 },
	{ "bt-16", "bt", "interp", NULL, NULL, false, false, .share = 4, .code16 = true },
	{ "bt-16-interrupted", "bt", "interp", NULL, NULL, false, true, .share = 2,
		.code16 = true },
	{ "bt-16-host", "bt", "host", NULL, NULL, false, false, .share = 2, .code16 = true },
	{ "bt-486", "bt", "interp", NULL, "486", true, false, .share = 1 },
	{ "bt-pentium", "bt", "interp", NULL, "pentium", true, false, .share = 1 },
	{ "bt-pentium2", "bt", "interp", NULL, "pentium2", true, false, .share = 1 },
	{ "bt-pentium3", "bt", "interp", NULL, "pentium3", true, false, .share = 1 },
	{ "interp-unicorn", "interp", "unicorn", NULL, NULL, false, false, .share = 2 },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct executor *make_oracle(const struct comparison *c, struct executor *host)
{
	const char *why = "no memory";
	struct executor *x;

	if (!strcmp(c->oracle, "host"))
		return host;
	x = strcmp(c->oracle, "unicorn") ? machine_create(c->oracle, NULL, c->model) :
					   unicorn_create(&why);
	if (!x)
		fprintf(stderr, "fuzz: %s left out: %s\n", c->name, why);
	return x;
}

static bool wanted(const struct options *o, const struct comparison *c)
{
	return (!o->comparison || !strcmp(o->comparison, c->name)) &&
	       (!o->engine || !strcmp(o->engine, c->engine)) &&
	       (!o->oracle || !strcmp(o->oracle, c->oracle)) &&
	       (!o->bt_options || !c->options || o->comparison);
}

/* Whether it is without an oracle this host cannot be is not an error: others remain. */
static unsigned make_lanes(const struct options *o, struct lane **lanes, unsigned *shares)
{
	struct executor *host = NULL, *engine, *oracle;
	const char *why = NULL;
	unsigned count = 0;

	for (unsigned n = 0; n < RF_ARRAY_SIZE(comparisons); n++) {
		const struct comparison *c = &comparisons[n];

		if (!wanted(o, c))
			continue;
		if (!strcmp(c->oracle, "host") && !host && !why) {
			host = host_create(&why);
			if (!host)
				fprintf(stderr, "fuzz: the host's processor cannot judge: %s\n",
					why);
		}
		oracle = make_oracle(c, host);
		if (!oracle)
			continue;
		engine = machine_create(c->engine,
					o->bt_options && !strcmp(c->engine, "bt") ? o->bt_options :
										    c->options,
					c->model);
		if (!engine)
			continue;
		if (c->interrupted && machine_disturb(engine))
			continue;
		shares[count] = c->share;
		lanes[count] = lane_create(c->name, engine, oracle, c->kernel, c->code16,
					   o->directory);
		if (lanes[count])
			count++;
	}
	return count;
}

static void progress(struct lane **lanes, unsigned count, double seconds)
{
	printf("%6.0f s", seconds);
	for (unsigned n = 0; n < count; n++)
		printf("  %s %lu", lanes[n]->name, lanes[n]->cases);
	printf("\n");
	fflush(stdout);
}

static unsigned long total_failures(struct lane **lanes, unsigned count)
{
	unsigned long failures = 0;

	for (unsigned n = 0; n < count; n++)
		failures += lanes[n]->failures;
	return failures;
}

static void run_lanes(const struct options *o, struct lane **lanes, const unsigned *shares,
		      unsigned count)
{
	const double start = now();
	double shown = start, then = start;
	unsigned long long cases = 0;

	for (uint64_t seed = o->seed; total_failures(lanes, count) < MAX_FAILURES; seed += 4) {
		for (unsigned n = 0; n < count; n++) {
			for (unsigned k = 0; k < BATCHES_A_SHARE * shares[n]; k++) {
				lane_batch(lanes[n], seed * 16 + k);
				cases += BATCH;
			}
			lanes[n]->seconds += now() - then;
			then = now();
		}
		if (then - shown >= PROGRESS_S) {
			shown = then;
			progress(lanes, count, then - start);
		}
		if (o->seconds ? then - start >= o->seconds : cases >= o->cases)
			break;
	}
}

/* Something must have been compared, and run to its end in a fair part of the cases. */
static bool summarise(struct lane **lanes, unsigned count)
{
	unsigned passed = 0;

	for (unsigned n = 0; n < count; n++) {
		const struct lane *l = lanes[n];
		const bool good = !l->failures && l->cases && l->once <= 1 + l->cases / 50000 &&
				  l->kinds[OUTCOME_STOP] > l->cases / 8;

		printf("%-15s %lu cases, %lu failed; %lu ran to the end, %lu ended by an "
		       "exception, %lu hung, %lu not judged; "
		       "%lu left open; %lu hung once; %.0f cases/s\n",
		       l->name, l->cases, l->failures, l->kinds[OUTCOME_STOP],
		       l->kinds[OUTCOME_EXCEPTION], l->kinds[OUTCOME_HUNG],
		       l->kinds[OUTCOME_UNJUDGED], l->leeway, l->once, l->cases / l->seconds);
		passed += good;
	}
	printf("comparisons: %u passed, %u failed\n", passed, count - passed);
	return count && passed == count;
}

/* The host's processor is in several lanes. */
static void destroy_lanes(struct lane **lanes, unsigned count)
{
	struct executor *host = NULL;

	for (unsigned n = 0; n < count; n++) {
		lanes[n]->engine->ops->destroy(lanes[n]->engine);
		if (lanes[n]->oracle->is_host)
			host = lanes[n]->oracle;
		else
			lanes[n]->oracle->ops->destroy(lanes[n]->oracle);
		lane_destroy(lanes[n]);
	}
	if (host)
		host->ops->destroy(host);
}

/* --- replay --- */

static bool replay_on(struct executor *x, const struct regression *r, const char *path,
		      const char *name)
{
	struct executor *recorded = regression_oracle(r);
	struct lane *lane =
		recorded ? lane_create(name, x, recorded, case_is_supervisor(&r->c), false, NULL) :
			   NULL;
	struct outcome out;
	struct judgement j = { VERDICT_DIFFERENT, "no memory" };

	if (lane) {
		j = lane_try(lane, &r->c, &r->before, &out);
		lane_destroy(lane);
	}
	if (recorded)
		recorded->ops->destroy(recorded);
	if (j.verdict == VERDICT_DIFFERENT)
		printf("FAILED %s on %s: %s\n", path, name, j.text);
	return j.verdict != VERDICT_DIFFERENT;
}

static const char *const replayers[][2] = { { "interp", NULL },
					    { "bt", NULL },
					    { "bt", "soft=always" },
					    { "bt", "tu-insns=1" },
					    { "bt", "host=-bmi2" } };
#define REPLAYERS RF_ARRAY_SIZE(replayers)

static void make_replayers(struct executor *x[REPLAYERS], const char *model)
{
	for (unsigned n = 0; n < REPLAYERS; n++)
		x[n] = machine_create(replayers[n][0], replayers[n][1], model);
}

static void destroy_replayers(struct executor *x[REPLAYERS])
{
	for (unsigned n = 0; n < REPLAYERS; n++)
		x[n]->ops->destroy(x[n]);
}

/* Twice: what is translated differently once it has faulted has then been. */
static bool replay_case(struct executor *x[REPLAYERS], const struct regression *r, const char *path)
{
	bool good = true;

	for (unsigned n = 0; good && n < 2 * REPLAYERS; n++)
		good = replay_on(x[n / 2], r, path,
				 replayers[n / 2][1] ? replayers[n / 2][1] : replayers[n / 2][0]);
	return good;
}

static bool replay_all(const char *directory)
{
	struct executor *x[REPLAYERS], *others[REPLAYERS];
	static struct regression r;
	unsigned failed = 0, passed = 0;
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.case", directory);
	if (glob(pattern, 0, NULL, &found)) {
		fprintf(stderr, "fuzz: no %s\n", pattern);
		return false;
	}
	make_replayers(x, NULL);
	for (size_t k = 0; k < found.gl_pathc; k++) {
		bool good = regression_read(found.gl_pathv[k], &r);

		if (good && *r.model) {
			make_replayers(others, r.model);
			good = replay_case(others, &r, found.gl_pathv[k]);
			destroy_replayers(others);
		} else if (good) {
			good = replay_case(x, &r, found.gl_pathv[k]);
		}
		passed += good;
		failed += !good;
	}
	destroy_replayers(x);
	globfree(&found);
	printf("recorded cases: %u passed, %u failed\n", passed, failed);
	return passed && !failed;
}

/* --- recordings of what a processor answered --- */

static int replay_answers(const char *path)
{
	const char *names[REPLAYERS];
	struct executor *x[REPLAYERS];
	int status;

	for (unsigned n = 0; n < REPLAYERS; n++)
		names[n] = replayers[n][1] ? replayers[n][1] : replayers[n][0];
	make_replayers(x, NULL);
	status = replay_recordings(path, x, names, REPLAYERS);
	destroy_replayers(x);
	return status;
}

static int record_with(const struct options *o, struct executor *x, enum recording_judge judge)
{
	struct recording_identity identity;
	char text[512];
	bool good =
		record_answers(x, judge, o->seed, o->cases, o->record_answers, text, sizeof(text));

	if (good) {
		recording_identify(&identity, judge);
		recording_describe(&identity, text, sizeof(text));
		printf("%s: %llu cases from seed %llu, %s\n", o->record_answers, o->cases, o->seed,
			text);
	} else {
		fprintf(stderr, "fuzz: %s\n", text);
	}
	x->ops->destroy(x);
	return good ? 0 : 2;
}

/* The interpreter only if it is asked for by name: its recordings are for tests of the tool. */
static int make_recording(const struct options *o)
{
	const bool interp = o->oracle && !strcmp(o->oracle, "interp");
	const char *why = "Unicorn is no processor; there are host and interp";
	struct executor *x = NULL;

	if (!o->cases) {
		fputs("fuzz: --record-answers: --cases 0 leaves nothing to record\n", stderr);
		return 2;
	}
	if (interp)
		x = machine_create("interp", NULL, NULL);
	else if (!o->oracle || !strcmp(o->oracle, "host"))
		x = host_create(&why);
	if (x)
		return record_with(o, x, interp ? JUDGE_INTERPRETER : JUDGE_PROCESSOR);
	fprintf(stderr, "fuzz: --record-answers: nobody can answer: %s\n", why);
	return 2;
}

/* --- options --- */

static bool parse_number(const char *option, const char *text, unsigned long long *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	/* strtoull() takes a sign and leading space, and is content with nothing at all. */
	if (*text >= '0' && *text <= '9' && !*end && !errno)
		return true;
	fprintf(stderr, "fuzz: --%s \"%s\": a whole number from 0 to %llu is wanted\n", option,
		text, ULLONG_MAX);
	return false;
}

static bool parse_seconds(const char *option, const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (*text && !*end && *seconds > 0 && *seconds <= LONGEST_S)
		return true;
	fprintf(stderr, "fuzz: --%s \"%s\": a number above 0 is wanted\n", option, text);
	return false;
}

/* choices: NULL after the last. */
static bool parse_choice(const char *option, const char *text, const char *const *choices,
			 const char **chosen)
{
	*chosen = text;
	for (const char *const *c = choices; *c; c++)
		if (!strcmp(text, *c))
			return true;
	fprintf(stderr, "fuzz: --%s \"%s\": there are", option, text);
	for (const char *const *c = choices; *c; c++)
		fprintf(stderr, "%s %s", c == choices ? "" : c[1] ? "," : " and", *c);
	fprintf(stderr, "\n");
	return false;
}

static bool parse_comparison(const char *option, const char *text, const char **chosen)
{
	const char *names[RF_ARRAY_SIZE(comparisons) + 1] = { NULL };

	for (unsigned n = 0; n < RF_ARRAY_SIZE(comparisons); n++)
		names[n] = comparisons[n].name;
	return parse_choice(option, text, names, chosen);
}

static bool parse_bt_options(const char *option, const char *text, const char **chosen)
{
	struct bt_options options = { 0 };
	struct error error = { 0 };
	const int err = bt_options_parse(&options, text, &error);

	if (err)
		fprintf(stderr, "fuzz: --%s \"%s\": %s\n", option, text, error.text);
	bt_options_free(&options);
	*chosen = text;
	return !err;
}

enum {
	ENGINE = 1, ORACLE, COMPARISON, BT_OPTIONS, CASES, SECONDS, SEED, RECORD, REPLAY,
	RECORD_ANSWERS, REPLAY_ANSWERS, HELP
};

static bool parse_option(struct options *o, const struct option *option)
{
	static const char *const engines[] = { "bt", "interp", NULL }, *const oracles[] = {
		"host", "unicorn", "interp", NULL
	};
	const char *const name = option->name;

	switch (option->val) {
	case ENGINE:     return parse_choice(name, optarg, engines, &o->engine);
	case ORACLE:     return parse_choice(name, optarg, oracles, &o->oracle);
	case COMPARISON: return parse_comparison(name, optarg, &o->comparison);
	case BT_OPTIONS: return parse_bt_options(name, optarg, &o->bt_options);
	case CASES:      return parse_number(name, optarg, &o->cases);
	case SECONDS:    return parse_seconds(name, optarg, &o->seconds);
	case SEED:       return parse_number(name, optarg, &o->seed);
	case RECORD:     o->directory = optarg; break;
	case REPLAY:     o->replay = true; break;
	case RECORD_ANSWERS: o->record_answers = optarg; break;
	case REPLAY_ANSWERS: o->replay_answers = optarg; break;
	case HELP:       fputs(help, stdout); exit(0);
	}
	return true;
}

/* What is wrong has been said if it returns false. */
static bool parse_options(struct options *o, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "engine", required_argument, NULL, ENGINE },
		{ "oracle", required_argument, NULL, ORACLE },
		{ "comparison", required_argument, NULL, COMPARISON },
		{ "bt-options", required_argument, NULL, BT_OPTIONS },
		{ "cases", required_argument, NULL, CASES },
		{ "seconds", required_argument, NULL, SECONDS },
		{ "seed", required_argument, NULL, SEED },
		{ "record", required_argument, NULL, RECORD },
		{ "replay", no_argument, NULL, REPLAY },
		{ "record-answers", required_argument, NULL, RECORD_ANSWERS },
		{ "replay-answers", required_argument, NULL, REPLAY_ANSWERS },
		{ "help", no_argument, NULL, HELP }, { 0 },
	};
	int which, option;

	while ((option = getopt_long(argc, argv, "", long_options, &which)) != -1) {
		if (option == '?') {
			/* getopt has named the word */
			fputs("fuzz: --help lists the options\n", stderr);
			return false;
		}
		if (!parse_option(o, &long_options[which]))
			return false;
	}
	if (o->replay && optind == argc) {
		fputs("fuzz: --replay needs a directory\n", stderr);
		return false;
	}
	if (optind + o->replay < argc) {
		fprintf(stderr, "fuzz: \"%s\" is no option; --help lists them\n",
			argv[optind + o->replay]);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o = { .cases = 250000, .seed = 1 };
	struct lane *lanes[MAX_LANES];
	unsigned shares[MAX_LANES], count;
	bool good;

	if (!parse_options(&o, argc, argv))
		return 2;
	if (o.replay)
		return replay_all(argv[optind]) ? 0 : 1;
	if (o.record_answers)
		return make_recording(&o);
	if (o.replay_answers)
		return replay_answers(o.replay_answers);
	count = make_lanes(&o, lanes, shares);
	if (!count) {
		fprintf(stderr, "fuzz: nothing to compare\n");
		return 2;
	}
	printf("seed %#llx, %u comparison%s\n", o.seed, count, count == 1 ? "" : "s");
	fflush(stdout);
	run_lanes(&o, lanes, shares, count);
	good = summarise(lanes, count);
	destroy_lanes(lanes, count);
	return good ? 0 : 1;
}
