/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The binary-translation engine's options. */
#include "options.h"

#include <string.h>
#include "monitor/vm/vm.h"
#include "translator/tu.h"

/* WINDOWS_MOST is what there is without the option. A jump within the cache reaches 2 GiB. */
#define WINDOWS_LEAST   2u
#define WINDOWS_MOST    160u
#define CACHE_KIB_LEAST 256u
#define CACHE_KIB_MOST  (1024u << 10)

static void set_links(void *options, uint32_t off)
{
	struct bt_options *o = options;

	o->translator.no_links = off;
}

static void set_tables(void *options, uint32_t policy)
{
	struct bt_options *o = options;

	o->shadow.policy = policy;
}

static void set_soft(void *options, uint32_t choice)
{
	struct bt_options *o = options;

	o->translator.all_soft = choice == 1;
	o->no_soft = choice == 2;
}

static void set_young(void *options, uint32_t choice)
{
	struct bt_options *o = options;

	o->young = choice;
}

static void set_fill_around(void *options, uint32_t off)
{
	struct bt_options *o = options;

	o->shadow.no_fill_around = off;
}

static void set_tu_insns(void *options, uint32_t n)
{
	struct bt_options *o = options;

	o->translator.max_insns = n;
}

static void set_cache_kib(void *options, uint32_t n)
{
	struct bt_options *o = options;

	o->translator.cache_size = (uint64_t)n << 10;
}

static void set_flush_every(void *options, uint32_t n)
{
	struct bt_options *o = options;

	o->translator.flush_every = n;
}

static void set_windows(void *options, uint32_t n)
{
	struct bt_options *o = options;

	o->shadow.window_limit = n;
}

static void set_verify(void *options, uint32_t off)
{
	struct bt_options *o = options;

	o->translator.verify = !off;
}

static void set_perf_map(void *options, uint32_t off)
{
	struct bt_options *o = options;

	o->profile.perf_map = !off;
}

/* "-bmi2-fsgsbase" */
static bool set_host(void *options, const char *text)
{
	struct bt_options *o = options;

	while (*text == '-') {
		const size_t len = strcspn(text + 1, "-");
		const uint32_t feature = host_feature_find(text + 1, len);

		if (!feature)
			return false;
		o->host_without |= feature;
		text += 1 + len;
	}
	return !*text;
}

static bool set_profile(void *options, const char *file)
{
	return engine_options_copy(&((struct bt_options *)options)->profile.profile, file);
}

static bool set_symbols(void *options, const char *files)
{
	return engine_options_copy(&((struct bt_options *)options)->profile.symbols, files);
}

static const struct engine_option bt_option[] = {
	{ .name = "links",
	  .choices = { "on", "off" },
	  .set = set_links,
	  .help = "off: leave for the dispatcher at every exit (very slow)" },
	{ .name = "tables",
	  .choices = { "adaptive", "compare", "trace" },
	  .set = set_tables,
	  .help = "how changed page tables are noticed" },
	{ .name = "soft",
	  .choices = { "adaptive", "always", "off" },
	  .set = set_soft,
	  .help = "which instructions find their pages in a software TLB" },
	{ .name = "young",
	  .choices = { "adaptive", "always", "off" },
	  .set = set_young,
	  .help = "which address spaces have no window yet, and find all pages in the software "
		  "TLB" },
	{ .name = "fill-around",
	  .choices = { "on", "off" },
	  .set = set_fill_around,
	  .help = "fill neighbours of a page that is missed" },
	{ .name = "tu-insns",
	  .least = 1,
	  .most = TU_MAX_INSNS,
	  .set = set_tu_insns,
	  .help = "the most guest instructions in a translation unit" },
	{ .name = "cache-kib",
	  .least = CACHE_KIB_LEAST,
	  .most = CACHE_KIB_MOST,
	  .set = set_cache_kib,
	  .help = "size of the code cache" },
	{ .name = "flush-every",
	  .least = 0,
	  .most = UINT32_MAX,
	  .set = set_flush_every,
	  .help = "empty the code cache after so many translation units; 0: when it is full" },
	{ .name = "windows",
	  .least = WINDOWS_LEAST,
	  .most = WINDOWS_MOST,
	  .or_zero = true,
	  .set = set_windows,
	  .help = "the most windows at once; 0: 160" },
	{ .name = "verify",
	  .choices = { "on", "off" },
	  .set = set_verify,
	  .help = "prove that translated code keeps to the guest's memory" },
	{ .name = "host",
	  .set_text = set_host,
	  .argument = "-FEATURE...",
	  .values = "-FEATURE for each of fsgsbase, bmi2, lzcnt, lahf_lm",
	  .help = "do without these of the host's processor, for tests; fsgsbase is not used" },
	{ .name = "profile",
	  .set_text = set_profile,
	  .argument = "FILE",
	  .help = "write there at the end where the guest's time went" },
	{ .name = "symbols",
	  .set_text = set_symbols,
	  .argument = "FILE",
	  .help = "names of the guest's functions; several files: FILE:FILE..." },
	{ .name = "perf-map",
	  .choices = { "on", "off" },
	  .set = set_perf_map,
	  .help = "tell perf what lies where in the code cache" },
};

static const struct engine_options bt_table = { .engine = "bt",
						.option = bt_option,
						.n = RF_ARRAY_SIZE(bt_option) };

int bt_options_parse(struct bt_options *o, const char *text, struct error *error)
{
	return engine_options_parse(&bt_table, o, text, error);
}

void bt_options_free(struct bt_options *o)
{
	profile_options_free(&o->profile);
}

void bt_options_list(FILE *out)
{
	engine_options_list(&bt_table, out);
}
