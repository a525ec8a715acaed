/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory for the files of one test: TestSuite(name, .init = scratch_set_up, .fini =
 * scratch_tear_down).
 */
#ifndef RF_TESTS_SCRATCH_H
#define RF_TESTS_SCRATCH_H

void scratch_set_up(void);
void scratch_tear_down(void);

/* The directory, between these. */
const char *scratch_directory(void);
/* name in the directory; good until the fourth call after this one. */
const char *scratch_path(const char *name);

#endif
