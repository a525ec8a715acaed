/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What page tables and signals cost on this host: some of each are made, and the cheapest counts,
 * since what else the machine does can only make one dearer.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "internal.h"
#include "host_costs.h"

#define ROUNDS 4
#define PAGE   4096u

static uint64_t now_ns(void)
{
	return host_clock_ns(CLOCK_MONOTONIC);
}

static void keep_least(uint32_t *least, uint64_t begun)
{
	const uint64_t took = now_ns() - begun;

	if (!*least || took < *least)
		*least = took < UINT32_MAX ? took : UINT32_MAX;
}

/* One page of the file comes to at, is used, and goes. False: the host refuses. */
static bool probe_page(struct host_costs *costs, int fd, uint8_t *at)
{
	uint64_t begun = now_ns();

	if (mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) ==
	    MAP_FAILED)
		return false;
	*(volatile uint8_t *)at = 1;
	keep_least(&costs->map, begun);
	begun = now_ns();
	if (mprotect(at, PAGE, PROT_READ))
		return false;
	keep_least(&costs->protect, begun);
	begun = now_ns();
	if (munmap(at, PAGE))
		return false;
	keep_least(&costs->unmap, begun);
	return true;
}

static void probe_pages(struct host_costs *costs)
{
	const int fd = memfd_create("probe", MFD_CLOEXEC);
	uint8_t *hole = mmap(NULL, ROUNDS * PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (fd >= 0 && hole != MAP_FAILED && !ftruncate(fd, PAGE)) {
		for (unsigned i = 0; i < ROUNDS && probe_page(costs, fd, hole + i * PAGE); i++)
			;
	}
	if (hole != MAP_FAILED)
		munmap(hole, ROUNDS * PAGE);
	if (fd >= 0)
		close(fd);
}

static void probe_signal(struct host_costs *costs)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint64_t begun = now_ns();

		bt_kick_self();
		keep_least(&costs->signal, begun);
	}
}

uint32_t host_costs_probe(struct host_costs *costs)
{
	const uint64_t begun = now_ns(), cycles = __builtin_ia32_rdtsc();
	uint64_t took;

	*costs = (struct host_costs){ 0 };
	probe_pages(costs);
	probe_signal(costs);
	took = now_ns() - begun;
	return (__builtin_ia32_rdtsc() - cycles) * 1000 / (took ? took : 1);
}

struct young_policy host_young_policy(enum young_choice choice)
{
	struct host_costs costs;
	const uint32_t cycles_per_us = host_costs_probe(&costs);

	return young_policy_make(&costs, cycles_per_us, choice);
}
