/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the binary-translation engine's options, their parser and their list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bt_options.h"
#include "translator/tu.h"

/* WINDOWS_MOST is what there is without the option. A jump within the cache reaches 2 GiB. */
#define WINDOWS_LEAST   2u
#define WINDOWS_MOST    160u
#define CACHE_KIB_LEAST 256u
#define CACHE_KIB_MOST  (1024u << 10)

struct bt_option {
	const char *name;
	const char *choices[4];  /* set() gets the index of the one given; none: a number, or a file */
	void (*set)(struct bt_options *o, uint32_t value); /* NULL: the profile's, with a file */
	uint32_t least, most;    /* numbers */
	bool or_zero;            /* 0 too */
	const char *help;
};

static void set_links(struct bt_options *o, uint32_t off)
{
	o->translator.no_links = off;
}

static void set_tables(struct bt_options *o, uint32_t policy)
{
	o->shadow.policy = policy;
}

static void set_soft(struct bt_options *o, uint32_t choice)
{
	o->translator.all_soft = choice == 1;
	o->no_soft = choice == 2;
}

static void set_fill_around(struct bt_options *o, uint32_t off)
{
	o->shadow.no_fill_around = off;
}

static void set_tu_insns(struct bt_options *o, uint32_t n)
{
	o->translator.max_insns = n;
}

static void set_cache_kib(struct bt_options *o, uint32_t n)
{
	o->translator.cache_size = (uint64_t)n << 10;
}

static void set_flush_every(struct bt_options *o, uint32_t n)
{
	o->translator.flush_every = n;
}

static void set_windows(struct bt_options *o, uint32_t n)
{
	o->shadow.window_limit = n;
}

static void set_verify(struct bt_options *o, uint32_t off)
{
	o->translator.verify = !off;
}

static void set_perf_map(struct bt_options *o, uint32_t off)
{
	o->profile.perf_map = !off;
}

static const struct bt_option bt_options[] = {
	{ .name = "links", .choices = { "on", "off" }, .set = set_links, .help = "off: leave for the dispatcher at every exit (very slow)" },
	{ .name = "tables", .choices = { "adaptive", "compare", "trace" }, .set = set_tables, .help = "how changed page tables are noticed" },
	{ .name = "soft", .choices = { "adaptive", "always", "off" }, .set = set_soft,
	  .help = "which instructions find their pages in a software TLB" },
	{ .name = "fill-around", .choices = { "on", "off" }, .set = set_fill_around, .help = "fill neighbours of a page that is missed" },
	{ .name = "tu-insns", .least = 1, .most = TU_MAX_INSNS, .set = set_tu_insns, .help = "the most guest instructions in a translation unit" },
	{ .name = "cache-kib", .least = CACHE_KIB_LEAST, .most = CACHE_KIB_MOST, .set = set_cache_kib, .help = "size of the code cache" },
	{ .name = "flush-every", .least = 0, .most = UINT32_MAX, .set = set_flush_every,
	  .help = "empty the code cache after so many translation units; 0: when it is full" },
	{ .name = "windows", .least = WINDOWS_LEAST, .most = WINDOWS_MOST, .or_zero = true, .set = set_windows,
	  .help = "the most windows at once; 0: 160" },
	{ .name = "verify", .choices = { "on", "off" }, .set = set_verify, .help = "prove that translated code keeps to the guest's memory" },
	{ .name = "profile", .help = "write there at the end where the guest's time went" },
	{ .name = "symbols", .help = "names of the guest's functions; several files: FILE:FILE..." },
	{ .name = "perf-map", .choices = { "on", "off" }, .set = set_perf_map, .help = "tell perf what lies where in the code cache" },
};

static const struct bt_option *option_find(const char *name)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(bt_options); i++) {
		if (!strcmp(bt_options[i].name, name))
			return &bt_options[i];
	}
	return NULL;
}

/* "on or off", "0, or 2 to 160" */
static void option_describe_values(const struct bt_option *option, char *text, size_t size)
{
	const char *const *c = option->choices;

	if (!option->set)
		snprintf(text, size, "the name of a file");
	else if (!*c)
		snprintf(text, size, "%s%u to %u", option->or_zero ? "0, or " : "", option->least, option->most);
	else
		snprintf(text, size, "%s%s%s or %s", c[0], c[2] ? ", " : "", c[2] ? c[1] : "", c[2] ? c[2] : c[1]);
}

static bool option_number(const struct bt_option *option, const char *text, uint32_t *number)
{
	unsigned long long n;
	char *end;

	/* strtoull() takes a sign and leading space, and is content with nothing at all. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	*number = n;
	return !*end && !errno && ((n >= option->least && n <= option->most) || (option->or_zero && !n));
}

static bool option_value(const struct bt_option *option, const char *text, uint32_t *value)
{
	if (!option->choices[0])
		return option_number(option, text, value);
	for (*value = 0; option->choices[*value]; ++*value) {
		if (!strcmp(text, option->choices[*value]))
			return true;
	}
	return false;
}

/* item is cut at its '='. */
static bool option_parse(struct bt_options *o, char *item, char **why)
{
	char *equals = strchr(item, '='), values[80];
	const struct bt_option *option;
	uint32_t value;
	bool ok = false;

	if (equals)
		*equals = 0;
	option = option_find(item);
	if (option && equals && option->set) {
		ok = option_value(option, equals + 1, &value);
		if (ok)
			option->set(o, value);
	} else if (option && equals) {
		profile_option(&o->profile, item, equals + 1, &ok);
	}
	if (ok)
		return true;
	if (equals)
		*equals = '=';
	if (option)
		option_describe_values(option, values, sizeof(values));
	if ((option ? asprintf(why, "%s%s: %s", item, equals ? "" : "=", values) :
		      asprintf(why, "'%s' is not an option of -accel bt; -accel bt,help lists them", item)) < 0)
		*why = NULL;
	return false;
}

int bt_options_parse(struct bt_options *o, const char *text, const char **why)
{
	char *copy, *save, *item, *message = NULL;
	int err = 0;

	if (!text)
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	for (item = strtok_r(copy, ",", &save); item && !err; item = strtok_r(NULL, ",", &save))
		err = option_parse(o, item, &message) ? 0 : -EINVAL;
	*why = message;
	free(copy);
	return err;
}

void bt_options_free(struct bt_options *o)
{
	profile_options_free(&o->profile);
}

void bt_options_list(FILE *out)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(bt_options); i++) {
		const struct bt_option *option = &bt_options[i];
		char values[80], left[120];

		option_describe_values(option, values, sizeof(values));
		snprintf(left, sizeof(left), "%s=%s", option->name, option->choices[0] ? "" : option->set ? "N" : "FILE");
		for (const char *const *c = option->choices; *c; c++)
			snprintf(left + strlen(left), sizeof(left) - strlen(left), "%s%s", c == option->choices ? "" : "|", *c);
		fprintf(out, "%-31s %s%s%s%s\n", left, option->help, option->most ? " (" : "", option->most ? values : "", option->most ? ")" : "");
	}
}
