/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For scripts: what tests/host_features.c finds. */
#include <stdio.h>
#include <string.h>
#include "host_features.h"

/* Prints a line; 1 if the host lacks it. */
static int report(enum host_feature feature)
{
	const char *why = host_lacks(feature);

	printf("%s: %s\n", host_feature_name(feature), why ? why : "yes");
	return why != NULL;
}

static int report_named(const char *name)
{
	for (enum host_feature feature = 0; feature < HOST_FEATURES; feature++) {
		if (!strcmp(name, host_feature_name(feature)))
			return report(feature);
	}
	fprintf(stderr, "host-features: there is no feature \"%s\"\n", name);
	return 2;
}

static int usage(FILE *out, int status)
{
	fprintf(out, "usage: host-features [FEATURE]\n"
		     "A line \"FEATURE: yes\", or what keeps this host from it.\n"
		     "Exit status: 0 it has the one named, 1 it lacks it, 2 there is no such "
		     "feature.\n");
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 2 && argv[1][0] != '-')
		return report_named(argv[1]);
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(stdout, 0);
	if (argc != 1)
		return usage(stderr, 2);
	for (enum host_feature feature = 0; feature < HOST_FEATURES; feature++)
		report(feature);
	return 0;
}
