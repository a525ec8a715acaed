/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of each signal that the process can be sent. None ends it with a raw terminal or
 * with its sockets left behind, but SIGKILL.
 *
 *   HUP INT TERM          end in order, exit status 0
 *   QUIT USR1 USR2 ALRM VTALRM PROF XCPU STKFLT IO PWR, real-time ones
 *                         end in order, exit status 128 + number, as shells report it
 *   TSTP, CONT            the terminal's modes go and come
 *   TTIN TTOU STOP        stop; CONT goes on
 *   PIPE XFSZ             ignored: a write then fails, and that is told
 *   CHLD URG WINCH        nothing by themselves
 *   ABRT BUS FPE ILL SEGV SYS TRAP   the terminal comes back, then as without us
 *   three real-time ones  the engines' own, nothing to anybody else
 *
 * A signal that was ignored when the program was started (by nohup, by a shell for what runs in the
 * background) stays so.
 */
#ifndef RF_MONITOR_MACHINE_SIGNALS_H
#define RF_MONITOR_MACHINE_SIGNALS_H

#include "x86/cancel.h"

struct signals {
	int fd;       /* readable: signals_take() has something to do */
	int ended_by; /* the signal that ends the process, or 0 */
	struct cancel cancel; /* of what is done before the machine runs: signals_take() */
};

/*
 * Takes charge of them all, for the process. Before there are other threads. 0 or a negative errno.
 */
int signals_open(struct signals *signals) RF_MUST_CHECK;
/* Sees to those that came; a stop is over when it returns. True: one of them ends the process. */
bool signals_take(struct signals *signals);
/* That one did: says so on standard error. */
void signals_tell(const struct signals *signals);
/* The exit status for that. */
int signals_status(const struct signals *signals);

#endif
