/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of hostile-fuzz. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "hostile.h"
#include "monitor/bt/options.h"

#define DEFAULT_CASES 400

static const char usage[] =
	"usage: hostile-fuzz [options]\n"
	"Random guests on whole machines: whatever they do, the monitor must neither crash nor "
	"hang nor let them see or touch the host.\n"
	"  --seed N       the first guest's seed (default: from the clock); the others' follow\n"
	"  --cases N      how many guests (default: 400 without --seconds)\n"
	"  --seconds N    as many as fit\n"
	"  --engine E     bt, interp or both (default)\n"
	"  --options O    options of bt instead of random ones\n"
	"  --patience N   seconds after which the monitor counts as hung (default 600)\n"
	"  --verbose      say how far it is\n"
	"  --self-test    whether what guests must not do would be noticed\n"
	"The last line is \"hostile guests: N passed, N failed\". Seed N with --cases 1 repeats a "
	"guest.\n"
	"Exit status: 0 nothing failed, 1 something did, 2 it could not be run.\n";

static bool parse_number(const char *option, const char *text, uint64_t least, uint64_t most,
			 uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 0);
	/* strtoull() takes a sign and leading space, and is content with nothing at all. */
	if (*text >= '0' && *text <= '9' && !*end && !errno && *number >= least && *number <= most)
		return true;
	fprintf(stderr, "hostile-fuzz: --%s \"%s\": a whole number from %llu to %llu is wanted\n",
		option, text, (unsigned long long)least, (unsigned long long)most);
	return false;
}

static bool parse_seconds(const char *option, const char *text, unsigned *seconds)
{
	uint64_t number;

	if (!parse_number(option, text, 1, INT_MAX, &number))
		return false;
	*seconds = number;
	return true;
}

static bool parse_engine(struct hostile_settings *set, const char *text)
{
	set->bt = !strcmp(text, "bt") || !strcmp(text, "both");
	set->interp = !strcmp(text, "interp") || !strcmp(text, "both");
	if (set->bt || set->interp)
		return true;
	fprintf(stderr, "hostile-fuzz: --engine \"%s\": there are bt, interp and both\n", text);
	return false;
}

static bool parse_bt_options(struct hostile_settings *set, const char *text)
{
	struct bt_options options = { 0 };
	struct error error = { 0 };
	const int err = bt_options_parse(&options, text, &error);
	const bool too_long = strlen(text) >= HX_OPTIONS_SIZE;

	if (err)
		fprintf(stderr, "hostile-fuzz: --options \"%s\": %s\n", text, error.text);
	else if (too_long)
		fprintf(stderr, "hostile-fuzz: --options \"%s\": more than %d characters\n", text,
			HX_OPTIONS_SIZE - 1);
	bt_options_free(&options);
	set->options = text;
	return !err && !too_long;
}

static bool parse_option(struct hostile_settings *set, const struct option *option)
{
	const char *const name = option->name;

	switch (option->val) {
	case 's': return parse_number(name, optarg, 0, UINT64_MAX, &set->seed);
	case 'c': return parse_number(name, optarg, 1, UINT64_MAX, &set->cases);
	case 't': return parse_seconds(name, optarg, &set->seconds);
	case 'p': return parse_seconds(name, optarg, &set->patience);
	case 'e': return parse_engine(set, optarg);
	case 'o': return parse_bt_options(set, optarg);
	case 'v': set->verbose = true; break;
	case 'u': set->unconfirmed = true; break;
	case 'x': set->self_test = true; break;
	case 'h': fputs(usage, stdout); exit(0);
	}
	return true;
}

bool hostile_options_parse(struct hostile_settings *set, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", 1, NULL, 's' }, { "cases", 1, NULL, 'c' }, { "seconds", 1, NULL, 't' },
		{ "engine", 1, NULL, 'e' }, { "options", 1, NULL, 'o' },
		{ "patience", 1, NULL, 'p' }, { "verbose", 0, NULL, 'v' },
		{ "self-test", 0, NULL, 'x' }, { "unconfirmed", 0, NULL, 'u' },
		{ "help", 0, NULL, 'h' }, { 0 },
	};
	int c, which;

	/*
	 * Patience: where processors tell of bus locks, a guest that makes some may stand still for
	 * tens of seconds.
	 */
	*set = (struct hostile_settings){
		.seed = (uint64_t)time(NULL) * 1000, .patience = 600, .bt = true, .interp = true
	};
	while ((c = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (c == '?') {
			/* getopt has named the word */
			fputs("hostile-fuzz: --help lists the options\n", stderr);
			return false;
		}
		if (!parse_option(set, &options[which]))
			return false;
	}
	if (optind < argc) {
		fprintf(stderr, "hostile-fuzz: \"%s\" is no option; --help lists them\n",
			argv[optind]);
		return false;
	}
	if (!set->cases)
		set->cases = set->seconds ? UINT64_MAX : DEFAULT_CASES;
	return true;
}
