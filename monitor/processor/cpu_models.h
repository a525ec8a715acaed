/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models: what a virtual processor says it is, and which instructions and mode bits it has. A
 * model is const while a VM runs.
 */
#ifndef RF_MONITOR_PROCESSOR_CPU_MODELS_H
#define RF_MONITOR_PROCESSOR_CPU_MODELS_H

#include "x86/error.h"
#include "x86/features.h"
#include "x86/types.h"

struct cpu_model {
	const char *name;
	/* what it was made from by cpu_model_parse(); NULL: it is as the table has it */
	const char *spec;
	const char *description;
	feature_set features;      /* FEATURE_* bits */
	uint8_t family, model, stepping;
	uint32_t max_leaf;      /* highest basic CPUID leaf */
	uint32_t max_extended;  /* highest 8000xxxxh leaf; 0: none */
	uint32_t cache_descriptors[4]; /* leaf 2 */
	const char *brand;      /* up to 47 characters, or NULL */
	uint32_t microcode;     /* revision in IA32_BIOS_SIGN_ID, 0 if the model has none */
};

/*
 * Parses "MODEL[,+feature|,-feature|,feature=on|off]...". 0, and *model is allocated, to be freed
 * with free(); or a negative errno and error. Features that the host cannot execute are taken away
 * from every model; asking for one by name is an error.
 */
int cpu_model_parse(const char *spec, struct cpu_model **model, struct error *error) RF_MUST_CHECK;

/* The model of a vCPU that was given none (tests). */
const struct cpu_model *cpu_model_default(void);

/* The least model that has all of features (FEATURE_* bits), or NULL. */
const struct cpu_model *cpu_model_offering(feature_set features);

/*
 * The features' names as -cpu takes them, separated by commas; what -cpu does not name is
 * paraphrased.
 */
void cpu_features_describe(feature_set features, char *text, size_t size);

/*
 * The words of model's specification that took some of features away, as they stand there ("-sse,
 * cmov=off").
 */
void cpu_model_describe_taken(const struct cpu_model *model, feature_set features, char *text,
			      size_t size);

/* Features (FEATURE_* bits) whose instructions the host lacks. */
feature_set cpu_host_missing_features(void);

#endif
