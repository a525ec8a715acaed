/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directory of a test; see scratch.h. Criterion runs each test in a process of its own, so
 * there is one at a time.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "scratch.h"

static char directory[] = "/tmp/ringfence-test-XXXXXX";

void scratch_set_up(void)
{
	cr_assert(mkdtemp(directory));
}

void scratch_tear_down(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

const char *scratch_directory(void)
{
	return directory;
}

const char *scratch_path(const char *name)
{
	static char path[4][64];
	static unsigned n;
	char *at = path[n++ % 4];

	snprintf(at, sizeof(path[0]), "%s/%s", directory, name);
	return at;
}
