/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What assertions can say of a lock. */
#ifndef RF_MONITOR_VM_LOCK_CHECK_H
#define RF_MONITOR_VM_LOCK_CHECK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * Whether somebody holds the lock, for an assertion that the caller does: by whom it is held cannot
 * be seen. If nobody does the lock is taken, and not given back: the program ends then.
 */
static inline bool lock_is_held(pthread_mutex_t *lock)
{
	return pthread_mutex_trylock(lock) == EBUSY;
}

#endif
