/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host can do; see host_facts.h. */
#include <cpuid.h>
#include <sys/auxv.h>
#include "host_facts.h"

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

void host_facts_probe(struct host_facts *facts)
{
	unsigned a, b = 0, c, d;

	facts->fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
	facts->bmi2 = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_BMI2;
	host_limits_probe(&facts->limits);
}

const char *host_lacks_for_bt(const struct host_facts *facts)
{
	if (!facts->fsgsbase)
		return "this host has no FSGSBASE (it needs an Ivy Bridge or newer processor and Linux 5.9 or newer): use -accel interp";
	if (!facts->bmi2)
		return "this host's processor has no BMI2 (it needs a Haswell or Excavator or newer): use -accel interp";
	return NULL;
}
