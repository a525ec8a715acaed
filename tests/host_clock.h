/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's time, for what must not take longer than that. */
#ifndef RF_TESTS_HOST_CLOCK_H
#define RF_TESTS_HOST_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#endif
