/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What translated code needs of the host, in words. */
#include <errno.h>
#include <stdio.h>
#include "internal.h"
#include "monitor/processor/processor.h"
#include "monitor/vm/vm.h"

void bt_describe_host(const struct host_facts *facts, char *text, size_t size)
{
	struct error error = { 0 };
	const uint32_t missing = cpu_host_missing_features();
	char guests[128] = "";

	cpu_features_describe(missing, guests, sizeof(guests));
	if (bt_host_check(facts, &error))
		snprintf(text, size, "not usable here: %s", error.text);
	else
		snprintf(text, size, "usable here, %s%s%s",
			 facts->features & HOST_BMI2 ?
				 "with BMI2" :
				 "without BMI2 (some of a kernel's code is slower)",
			 missing ? "; guests lack what this host's processor lacks: " : "", guests);
}

int bt_host_check(const struct host_facts *facts, struct error *error)
{
	if (!(facts->features & HOST_LAHF))
		return error_set(
			error, -ENOTSUP,
			"this host's processor has no LAHF and SAHF in 64-bit mode (lahf_lm in "
			"/proc/cpuinfo; all but the first of "
			"2003 to 2005 have it): use -accel interp");
	return 0;
}
