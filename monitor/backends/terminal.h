/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal of this process in raw mode, and back. There is one per process whatever the number
 * of VMs, and it has to come back however the process ends, so this is the one place with
 * file-scope state.
 */
#ifndef RF_MONITOR_BACKENDS_TERMINAL_H
#define RF_MONITOR_BACKENDS_TERMINAL_H

#include "x86/types.h"

/*
 * Puts the terminal at standard input into raw mode until terminal_restore() or exit(). signals:
 * Ctrl-C, Ctrl-Z and Ctrl-\ keep their meaning. Standard input that is no terminal is left as it
 * is. 0, or -EBUSY if it was taken before.
 */
int terminal_take(bool signals) RF_MUST_CHECK;
/* Async-signal-safe; does nothing if the terminal was not taken. */
void terminal_restore(void);

#endif
