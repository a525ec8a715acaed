/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's clocks, in nanoseconds. */
#ifndef RF_MONITOR_VM_HOST_TIME_H
#define RF_MONITOR_VM_HOST_TIME_H

#include <time.h>
#include "devices/bus/clock.h"

/* which: CLOCK_MONOTONIC and so on (clock_gettime(2)). */
static inline uint64_t host_clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

#endif
