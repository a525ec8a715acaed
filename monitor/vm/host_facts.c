/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host can do; see host_facts.h. */
#include <cpuid.h>
#include <string.h>
#include <sys/auxv.h>
#include "host_facts.h"

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

static const struct {
	const char *name;
	uint32_t feature;
} features[] = {
	{ "fsgsbase", HOST_FSGSBASE }, { "bmi2", HOST_BMI2 }, { "lahf_lm", HOST_LAHF },
	{ "lzcnt", HOST_LZCNT }, { "abm", HOST_LZCNT },
};

uint32_t host_feature_find(const char *name, size_t len)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(features); i++) {
		if (strlen(features[i].name) == len && !memcmp(features[i].name, name, len))
			return features[i].feature;
	}
	return 0;
}

void host_facts_probe(struct host_facts *facts)
{
	unsigned a, b = 0, c = 0, d;

	facts->features = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE ? HOST_FSGSBASE : 0;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_BMI2)
		facts->features |= HOST_BMI2;
	if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
		facts->features |= c & bit_LAHF_LM ? HOST_LAHF : 0;
		facts->features |= c & bit_LZCNT ? HOST_LZCNT : 0;
	}
	host_limits_probe(&facts->limits);
}
