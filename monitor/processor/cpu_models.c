/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of CPU models and the parser of -cpu (cpu_models.h).
 *
 * "max" calls itself an Intel Atom of the first, in-order generation. That is the youngest family
 * that runs 32-bit systems, has nearly every feature offered here, and is known never to speculate:
 * guests then leave out their mitigations for speculative execution, whose indirect-branch thunks
 * and page-table switches cost a translated system dearly and protect nothing. TSC_ADJUST is
 * offered because guests that see it trust the TSC and do not test it against timer interrupts,
 * which a busy host delays. Leaves 15h and 16h are there, though no Atom of that generation had
 * them: a guest that knows them need not measure its clocks (tsc_rate.h).
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu_models.h"
#include "processor.h"

#define FEATURES_486 (FEATURE_486 | FEATURE_FPU | FEATURE_CPUID)
#define FEATURES_PENTIUM \
	(FEATURES_486 | FEATURE_DE | FEATURE_PSE | FEATURE_TSC | FEATURE_MSR | FEATURE_CX8 | \
	 FEATURE_APIC | FEATURE_VME)
#define FEATURES_PENTIUM2 \
	(FEATURES_PENTIUM | FEATURE_PAE | FEATURE_PGE | FEATURE_SEP | FEATURE_CMOV | FEATURE_MMX | \
	 FEATURE_FXSR | FEATURE_PAT | FEATURE_PSE36 | FEATURE_NOPL | FEATURE_RDPMC | \
	 FEATURE_MCE)
#define FEATURES_PENTIUM3 (FEATURES_PENTIUM2 | FEATURE_SSE)
#define FEATURES_MAX \
	(FEATURES_PENTIUM3 | FEATURE_SSE2 | FEATURE_SSE3 | FEATURE_SSSE3 | FEATURE_SSE4_1 | \
	 FEATURE_SSE4_2 | FEATURE_POPCNT | FEATURE_CLFLUSH | FEATURE_NX | FEATURE_MOVBE | \
	 FEATURE_TSC_ADJUST | FEATURE_RDTSCP | FEATURE_RDPID | FEATURE_LZCNT | \
	 FEATURE_UMIP | FEATURE_SMEP | FEATURE_SMAP)

/* Ascending, but for the first. */
static const struct cpu_model models[] = {
	{
		.name = "max", .description = "Everything that can be virtualized (default)",
		.features = FEATURES_MAX, .family = 6, .model = 0x1c, .stepping = 10,
		.max_leaf = 0x16, .max_extended = 0x80000008,
		.cache_descriptors = { 0x00000001, 0, 0, 0x002c307d },
		.brand = "Ringfence virtual CPU", .microcode = 0x219,
	}, {
		.name = "486", .description = "Intel 486 with FPU and CPUID",
		.features = FEATURES_486, .family = 4, .model = 8, .stepping = 0, .max_leaf = 1,
	}, {
		.name = "pentium", .description = "Intel Pentium", .features = FEATURES_PENTIUM,
		.family = 5, .model = 2, .stepping = 12, .max_leaf = 1,
	}, {
		.name = "pentium2", .description = "Intel Pentium II",
		.features = FEATURES_PENTIUM2, .family = 6, .model = 5, .stepping = 2,
		.max_leaf = 2, .microcode = 0x10,
		.cache_descriptors = { 0x03020101, 0, 0, 0x0c040843 },
	}, {
		.name = "pentium3", .description = "Intel Pentium III",
		.features = FEATURES_PENTIUM3, .family = 6, .model = 8, .stepping = 3,
		.max_leaf = 2, .microcode = 0x10,
		.cache_descriptors = { 0x03020101, 0, 0, 0x0c040882 },
	},
};

/* Names as -cpu takes them: the manual's, in QEMU's spelling. A feature may have two names. */
static const struct { const char *name; feature_set feature; } feature_names[] = {
	{ "fpu", FEATURE_FPU }, { "de", FEATURE_DE }, { "pse", FEATURE_PSE },
	{ "tsc", FEATURE_TSC }, { "msr", FEATURE_MSR }, { "pae", FEATURE_PAE },
	{ "cx8", FEATURE_CX8 }, { "apic", FEATURE_APIC }, { "sep", FEATURE_SEP },
	{ "pge", FEATURE_PGE }, { "cmov", FEATURE_CMOV }, { "pat", FEATURE_PAT },
	{ "pse36", FEATURE_PSE36 }, { "clflush", FEATURE_CLFLUSH }, { "mmx", FEATURE_MMX },
	{ "fxsr", FEATURE_FXSR }, { "sse", FEATURE_SSE }, { "sse2", FEATURE_SSE2 },
	{ "sse3", FEATURE_SSE3 }, { "pni", FEATURE_SSE3 }, { "ssse3", FEATURE_SSSE3 },
	{ "sse4.1", FEATURE_SSE4_1 }, { "sse4_1", FEATURE_SSE4_1 }, { "sse4.2", FEATURE_SSE4_2 },
	{ "sse4_2", FEATURE_SSE4_2 }, { "popcnt", FEATURE_POPCNT }, { "movbe", FEATURE_MOVBE },
	{ "tsc_adjust", FEATURE_TSC_ADJUST }, { "tsc-adjust", FEATURE_TSC_ADJUST },
	{ "rdtscp", FEATURE_RDTSCP }, { "rdpid", FEATURE_RDPID }, { "lzcnt", FEATURE_LZCNT },
	{ "abm", FEATURE_LZCNT }, { "umip", FEATURE_UMIP }, { "smep", FEATURE_SMEP },
	{ "smap", FEATURE_SMAP }, { "nx", FEATURE_NX }, { "mce", FEATURE_MCE },
	{ "mca", FEATURE_MCE }, { "vme", FEATURE_VME },
};

static const struct { const char *name; feature_set feature; } other_features[] = {
	{ "multi-byte NOPs", FEATURE_NOPL }, { "rdpmc", FEATURE_RDPMC },
	{ "cpuid", FEATURE_CPUID }, { "486 instructions", FEATURE_486 },
};

/*
 * A feature cannot be had without those it builds on; taking one away takes its dependants with it.
 */
static const struct { feature_set feature, needs; } dependencies[] = {
	{ FEATURE_FXSR, FEATURE_FPU }, { FEATURE_MMX, FEATURE_FPU }, { FEATURE_SSE, FEATURE_FXSR },
	{ FEATURE_SSE2, FEATURE_SSE | FEATURE_MMX }, { FEATURE_SSE3, FEATURE_SSE2 },
	{ FEATURE_SSSE3, FEATURE_SSE3 }, { FEATURE_SSE4_1, FEATURE_SSSE3 },
	{ FEATURE_SSE4_2, FEATURE_SSE4_1 }, { FEATURE_NX, FEATURE_PAE | FEATURE_MSR },
	{ FEATURE_SEP, FEATURE_MSR }, { FEATURE_APIC, FEATURE_MSR }, { FEATURE_PAT, FEATURE_MSR },
	{ FEATURE_PSE36, FEATURE_PSE }, { FEATURE_TSC_ADJUST, FEATURE_TSC | FEATURE_MSR },
	{ FEATURE_MCE, FEATURE_MSR }, { FEATURE_RDTSCP, FEATURE_TSC | FEATURE_MSR },
	{ FEATURE_RDPID, FEATURE_MSR },
};

const struct cpu_model *cpu_model_default(void)
{
	return &models[0];
}

const struct cpu_model *cpu_model_find(const char *name)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(models); i++) {
		if (!strcmp(models[i].name, name))
			return &models[i];
	}
	return NULL;
}

const struct cpu_model *cpu_model_offering(feature_set features)
{
	for (unsigned n = 1; n <= RF_ARRAY_SIZE(models); n++) {
		const struct cpu_model *model = &models[n % RF_ARRAY_SIZE(models)];

		if (!(features & ~model->features))
			return model;
	}
	return NULL;
}

static void append_name(char *text, size_t size, const char *name)
{
	const size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", len ? ", " : "", name);
}

void cpu_features_describe(feature_set features, char *text, size_t size)
{
	*text = 0;
	for (unsigned i = 0; i < RF_ARRAY_SIZE(feature_names); i++) {
		if (features & feature_names[i].feature)
			append_name(text, size, feature_names[i].name);
		features &= ~feature_names[i].feature; /* a second name is passed over */
	}
	for (unsigned i = 0; i < RF_ARRAY_SIZE(other_features); i++) {
		if (features & other_features[i].feature)
			append_name(text, size, other_features[i].name);
	}
}

const char *cpu_model_name(const struct cpu_model *model)
{
	return model ? model->name : models[0].name;
}

void cpu_model_list(void *file)
{
	size_t column = 0;

	fprintf(file, "Models (-cpu MODEL):\n");
	for (unsigned i = 0; i < RF_ARRAY_SIZE(models); i++)
		fprintf(file, "%-10s %s\n", models[i].name, models[i].description);
	fprintf(file, "\nFeatures (-cpu MODEL,+FEATURE, MODEL,-FEATURE or MODEL,FEATURE=on|off):");
	for (unsigned i = 0; i < RF_ARRAY_SIZE(feature_names); i++) {
		const char *name = feature_names[i].name;

		column += strlen(name) + 1;
		fprintf(file, "%c%s", !i || column > 78 ? '\n' : ' ', name);
		if (column > 78 || !i)
			column = strlen(name);
	}
	fprintf(file, "\n");
}

feature_set cpu_features(const struct cpu *cpu)
{
	const struct cpu_model *model = rf_container_of(cpu, const struct vcpu, cpu)->model;

	return model ? model->features : FEATURES_MAX;
}

feature_set cpu_host_missing_features(void)
{
	feature_set missing = 0;
	uint32_t a, b, c = 0, d;

	/* A 64-bit host has everything up to SSE2. */
	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(1), "2"(0));
	missing |= c & 1u << 0 ? 0 : FEATURE_SSE3;
	missing |= c & 1u << 9 ? 0 : FEATURE_SSSE3;
	missing |= c & 1u << 19 ? 0 : FEATURE_SSE4_1;
	missing |= c & 1u << 20 ? 0 : FEATURE_SSE4_2;
	missing |= c & 1u << 22 ? 0 : FEATURE_MOVBE;
	missing |= c & 1u << 23 ? 0 : FEATURE_POPCNT;
	return missing;
}

static feature_set drop_dependants(feature_set features)
{
	for (feature_set before = 0; before != features;) {
		before = features;
		for (unsigned i = 0; i < RF_ARRAY_SIZE(dependencies); i++) {
			if ((features & dependencies[i].needs) != dependencies[i].needs)
				features &= ~dependencies[i].feature;
		}
	}
	return features;
}

static feature_set add_prerequisites(feature_set features)
{
	for (feature_set before = 0; before != features;) {
		before = features;
		for (unsigned i = 0; i < RF_ARRAY_SIZE(dependencies); i++) {
			if (features & dependencies[i].feature)
				features |= dependencies[i].needs;
		}
	}
	return features;
}

static feature_set feature_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(feature_names); i++) {
		if (strlen(feature_names[i].name) == len &&
		    !strncasecmp(feature_names[i].name, name, len))
			return feature_names[i].feature;
	}
	return 0;
}

/* One "+feature", "-feature" or "feature=on|off". */
struct feature_word {
	const char *name;
	int name_len;
	feature_set feature; /* 0: there is none of that name */
	bool on, understood;
};

static struct feature_word feature_word(const char *word, size_t len)
{
	const char *equals = memchr(word, '=', len);
	struct feature_word w = { .name = word, .name_len = equals ? equals - word : (int)len };

	if (equals) {
		const size_t value_len = len - w.name_len - 1;

		w.on = value_len == 2 && !strncmp(equals + 1, "on", 2);
		w.understood = w.on || (value_len == 3 && !strncmp(equals + 1, "off", 3));
	} else if (*word == '+' || *word == '-') { /* no part of an empty word */
		w.on = *word == '+';
		w.understood = true;
		w.name++;
		w.name_len--;
	}
	w.feature = feature_find(w.name, w.name_len);
	return w;
}

static int apply_feature(struct cpu_model *model, const char *word, size_t len, struct error *error)
{
	const struct feature_word w = feature_word(word, len);

	if (!w.feature)
		return error_set(error, -EINVAL,
				 "unknown CPU feature '%.*s' (-cpu help lists them; give "
				 "+feature, -feature or feature=on|off)",
				 (int)len, word);
	if (!w.understood)
		return error_set(error, -EINVAL, "'%.*s': give +%.*s, -%.*s or %.*s=on|off",
				 (int)len, word, w.name_len, w.name, w.name_len, w.name, w.name_len,
				 w.name);
	if (w.on && add_prerequisites(w.feature) & cpu_host_missing_features())
		return error_set(error, -EINVAL, "this host cannot execute CPU feature '%.*s'",
				 w.name_len, w.name);
	model->features = w.on ? add_prerequisites(model->features | w.feature) :
				 drop_dependants(model->features & ~w.feature);
	return 0;
}

void cpu_model_describe_taken(const struct cpu_model *model, feature_set features, char *text,
			      size_t size)
{
	const feature_set needed = add_prerequisites(features);
	const char *spec = model && model->spec ? model->spec : "";

	*text = 0;
	for (spec += strcspn(spec, ","); *spec; spec += strcspn(spec, ",")) {
		const int len = strcspn(++spec, ",");
		const struct feature_word w = feature_word(spec, len);
		char word[32];

		snprintf(word, sizeof(word), "%.*s", len, spec);
		if (!w.on && w.feature & needed)
			append_name(text, size, word);
	}
}

int cpu_model_parse(const char *spec, struct cpu_model **model, struct error *error)
{
	size_t len = strcspn(spec, ",");
	char *name = strndup(spec, len);
	const struct cpu_model *base;
	struct cpu_model *copy;

	if (!name)
		return error_set(error, -ENOMEM, "no memory");
	base = cpu_model_find(name);
	free(name);
	if (!base)
		return error_set(error, -EINVAL, "unknown CPU model '%.*s' (see -cpu help)",
				 (int)len, spec);
	copy = malloc(sizeof(*copy) + strlen(spec) + 1);
	if (!copy)
		return error_set(error, -ENOMEM, "no memory");
	*copy = *base;
	copy->spec = strcpy((char *)(copy + 1), spec);
	copy->features = drop_dependants(copy->features & ~cpu_host_missing_features());
	for (spec += len; *spec == ','; spec += len) {
		int err;

		spec++;
		len = strcspn(spec, ",");
		err = apply_feature(copy, spec, len, error);
		if (err) {
			free(copy);
			return err;
		}
	}
	*model = copy;
	return 0;
}
