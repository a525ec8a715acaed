/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What shows the guest's screen: the adapter's option ROM, and the terminal. */
#ifndef RF_MONITOR_MACHINE_DISPLAY_PARTS_H
#define RF_MONITOR_MACHINE_DISPLAY_PARTS_H

#include "firmware_file.h"
#include "monitor/screen/screen.h"
#include "monitor/vm/vm.h"

/* Begins as zeros. */
struct display_parts {
	struct firmware_file rom; /* a power of two of bytes */
	struct curses_display *curses;
	struct vm *vm; /* whose screen it shows */
};

/*
 * Before the board is made: reads the adapter's option ROM, if there is firmware to run it. 0, or a
 * negative errno with error.
 */
int display_parts_load(struct display_parts *parts, const struct vm_config *config,
		       struct error *error) RF_MUST_CHECK;
/* With the board, before the event loop runs: 0, or a negative errno with error. */
int display_parts_open(struct display_parts *parts, struct vm *vm, const struct vm_config *config,
		       struct error *error) RF_MUST_CHECK;
/* Before the board is destroyed; the loop does not run any more. */
void display_parts_close(struct display_parts *parts);
/* After the board was destroyed. */
void display_parts_free(struct display_parts *parts);

#endif
