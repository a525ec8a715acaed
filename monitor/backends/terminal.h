/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal of this process in raw mode, and back. There is one per process whatever the number
 * of VMs, and it has to come back however the process ends, so this is the one place with
 * file-scope state.
 *
 * A shell with job control lends the terminal to one group of processes at a time. While it is
 * another's its modes are not touched, nor is its input read.
 */
#ifndef RF_MONITOR_BACKENDS_TERMINAL_H
#define RF_MONITOR_BACKENDS_TERMINAL_H

#include "x86/types.h"

/*
 * Puts the terminal at standard input into raw mode until terminal_restore() or exit(); a terminal
 * that is another's, once terminal_enter() finds that it no longer is. signals: Ctrl-C, Ctrl-Z and
 * Ctrl-\ keep their meaning. Standard input that is no terminal is left as it is.
 *
 * back() is told by terminal_enter() that input can be read again. False: it is to be told later.
 *
 * 0, or -EBUSY if it was taken before.
 */
int terminal_take(bool signals, bool (*back)(void *opaque), void *opaque) RF_MUST_CHECK;
/* Gives it up. Async-signal-safe; does nothing if the terminal was not taken. */
void terminal_restore(void);

/* Whether input may be read: false while the terminal is another's. Any thread. */
bool terminal_is_ours(void);
/* The modes from before, because the process is about to stop. */
void terminal_leave(void);
/*
 * Raw mode again if the terminal was taken: after a stop, during which others may have set modes,
 * and now and then while this returns false, which is as long as it is another's. On the thread
 * that took it.
 */
bool terminal_enter(void);

#endif
