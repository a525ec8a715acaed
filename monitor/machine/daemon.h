/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -daemonize: who started the program waits until the machine has been set up, sees what is said
 * until then, and gets the exit status of a machine that could not be. The process that goes on has
 * a session of its own and no terminal. It keeps the working directory: the kernel's file is read
 * again when the machine is reset.
 */
#ifndef RF_MONITOR_MACHINE_DAEMON_H
#define RF_MONITOR_MACHINE_DAEMON_H

#include "x86/error.h"

struct daemon {
	int ready_fd; /* to who waits; -1: there is nobody */
};

/*
 * Before the first thread. Returns in the process that goes on: 0. In the other it does not return,
 * but exits when there is something to say. A negative errno and error: it could not be begun.
 */
int daemon_begin(struct daemon *daemon, struct error *error) RF_MUST_CHECK;
/*
 * The machine has been set up: lets go of who waits, and of standard input and output, and, unless
 * keep_errors, standard error. Does nothing if there is nobody.
 */
void daemon_ready(struct daemon *daemon, bool keep_errors);

#endif
