/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output that the host did not take, on a full disk for one: the user is told once, when it
 * begins, and at the end how much it was. A reader that has gone asked for no more: what it does
 * not get is not lost.
 */
#ifndef RF_MONITOR_VM_LOST_OUTPUT_H
#define RF_MONITOR_VM_LOST_OUTPUT_H

#include <stddef.h>
#include "x86/types.h"

/* Begins as { path }. Whoever writes keeps it to one thread at a time. */
struct lost_output {
	const char *path; /* NULL: standard output */
	bool any;
	uint64_t bytes;
};

/* A write of so many bytes failed with this errno. */
void lost_output_add(struct lost_output *lost, size_t bytes, int error_number);
/* Nothing more will be written. */
void lost_output_end(const struct lost_output *lost);

#endif
