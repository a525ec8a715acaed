/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character devices of one VM as the configuration wants them: backends, muxes and prompts,
 * made and unmade together.
 */
#ifndef RF_MONITOR_MACHINE_CONSOLE_H
#define RF_MONITOR_MACHINE_CONSOLE_H

#include "monitor/backends/backends.h"
#include "options.h"
#include "monitor/control/control.h"
#include "monitor/gdb/gdb.h"

#define CONSOLE_LINES (VM_SERIAL_PORTS + 3) /* serial ports, debug console, monitor, gdb */

struct console_line {
	struct char_backend *backend;
	struct char_mux *mux;
	struct prompt *prompt;
	struct gdb *gdb;
};

struct console {
	struct console_line line[CONSOLE_LINES];
	unsigned count;
	/* For the board; NULL: no such device. */
	struct chardev *serial[VM_SERIAL_PORTS];
	struct chardev *debugcon;
};

/*
 * vm->loop exists and does not run yet. 0, or a negative errno with error set; console_close()
 * undoes either.
 */
int console_open(struct console *console, struct vm *vm, const struct vm_config *config,
		 struct error *error) RF_MUST_CHECK;
/* How the user ends ringfence from the terminal, or otherwise: a clause. */
const char *console_way_out(const struct vm_config *config);
/*
 * Takes input from the prompts and devices: before the board is destroyed. The loop must not run.
 */
void console_close(struct console *console);

#endif
