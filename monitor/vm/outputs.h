/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that are written from the start of a run to its end. While a machine is being made they are
 * opened and not yet emptied, so that a command which proves wrong leaves what they had.
 */
#ifndef RF_MONITOR_VM_OUTPUTS_H
#define RF_MONITOR_VM_OUTPUTS_H

#include "x86/cancel.h"

#define OUTPUTS_MOST 16

/* Begins as { 0 }: files are emptied when they are opened. */
struct outputs {
	bool held; /* they are emptied by outputs_begin(); nothing may be written before */
	const struct cancel *cancel; /* of waiting for a FIFO's reader; NULL: never */
	int fd[OUTPUTS_MOST]; /* those that are held */
	unsigned count;
};

/*
 * A descriptor for writing, which the caller closes, not before outputs_begin() if all goes well;
 * or a negative errno. Waits until a FIFO has a reader, -EINTR if that is not wanted any more.
 */
int outputs_open(struct outputs *outputs, const char *path) RF_MUST_CHECK;
/* Empties those that are held, and from now on each when it is opened. */
void outputs_begin(struct outputs *outputs);

#endif
