/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loops of the nano kernel that need no privilege, as a 32-bit process of the host: what they
 * cost without any monitor. Its output has the nano kernel's form. "linux-" is a benchmark of the
 * host's kernel, which does more for a system call or a fault than the nano kernel does: it stands
 * for itself, and is no native value of a benchmark of the guest.
 */
#define _GNU_SOURCE /* REG_EIP */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <x86intrin.h>

#define MAX_ROUNDS 101
#define LOOP(name) extern void loop_##name(uint32_t count)

LOOP(empty);
LOOP(call_ret);
LOOP(call_indirect);
LOOP(call_indirect_8);
LOOP(load);
LOOP(rdtsc);
LOOP(cpuid);
LOOP(smc);
LOOP(smc_beside);
LOOP(linux_int80);
extern uint32_t smc_stale;
extern char smc_site[], smc_beside_code[];

static void divide_error(int signal, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EIP] += 2;
}

static void loop_linux_divzero(uint32_t count)
{
	struct sigaction action = { .sa_sigaction = divide_error, .sa_flags = SA_SIGINFO };

	sigaction(SIGFPE, &action, NULL);
	while (count--)
		__asm__ volatile("div %%ecx" :: "c"(0), "a"(1), "d"(0)); /* two bytes */
}

static void loop_linux_pgfault(uint32_t count)
{
	char *pages = mmap(NULL, count * 4096ul, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		exit(1);
	madvise(pages, count * 4096ul, MADV_NOHUGEPAGE);
	for (uint32_t i = 0; i < count; i++)
		((volatile char *)pages)[i * 4096ul] = 1;
	munmap(pages, count * 4096ul);
}

static const struct benchmark {
	const char *name;
	void (*loop)(uint32_t);
	uint32_t ops, fixed;
} benchmarks[] = {
	{ "call-ret", loop_call_ret, 8, 0 },
	{ "call-indirect", loop_call_indirect, 8, 0 },
	{ "call-indirect-8", loop_call_indirect_8, 1, 0 },
	{ "load", loop_load, 8, 0 },
	{ "rdtsc", loop_rdtsc, 8, 0 },
	{ "cpuid", loop_cpuid, 1, 0 },
	{ "smc", loop_smc, 1, 0 },
	{ "smc-beside", loop_smc_beside, 1, 0 },
	{ "linux-int80-getppid", loop_linux_int80, 1, 0 },
	{ "linux-divzero-signal", loop_linux_divzero, 1, 0 },
	{ "linux-pgfault-anonymous", loop_linux_pgfault, 1, 1024 },
};
enum { BENCHMARKS = sizeof(benchmarks) / sizeof(benchmarks[0]) };

static uint64_t run_round(void (*loop)(uint32_t), uint32_t count)
{
	uint64_t start = __rdtsc();

	loop(count);
	return __rdtsc() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static uint32_t find_count(const struct benchmark *benchmark, uint32_t ticks)
{
	uint32_t count = 4;

	if (benchmark->fixed)
		return benchmark->fixed;
	while (count < 1u << 28 && (run_round(benchmark->loop, count) < ticks / 2 ||
				    run_round(benchmark->loop, count) < ticks / 2))
		count *= 2;
	return count;
}

static bool measure(const struct benchmark *benchmark, uint32_t rounds, uint32_t ticks)
{
	double values[MAX_ROUNDS];
	uint32_t count = find_count(benchmark, ticks);
	uint64_t empty = UINT64_MAX, sum = 0;

	for (int i = 0; i < 5; i++) {
		uint64_t once = run_round(loop_empty, count);

		empty = once < empty ? once : empty;
	}
	smc_stale = 0;
	printf("{\"nano\": \"begin\", \"tsc\": %llu, \"name\": \"%s\"}\n",
	       (unsigned long long)__rdtsc(), benchmark->name);
	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t once = run_round(benchmark->loop, count);

		sum += once;
		values[i] = ((double)once - (double)empty) / ((double)count * benchmark->ops);
	}
	if (smc_stale) {
		printf("{\"nano\": \"failed\", \"name\": \"%s\", \"why\": \"old code was "
		       "executed\"}\n",
		       benchmark->name);
		return false;
	}
	qsort(values, rounds, sizeof(values[0]), compare);
	printf("{\"nano\": \"result\", \"tsc\": %llu, \"name\": \"%s\", \"rounds\": %u, \"min\": "
	       "%.2f, \"median\": %.2f, \"max\": %.2f, "
	       "\"iterations\": %u, \"operations\": %u, \"ticks\": %llu}\n",
	       (unsigned long long)__rdtsc(), benchmark->name, rounds, values[0],
	       values[rounds / 2], values[rounds - 1], count, count * benchmark->ops,
	       (unsigned long long)sum);
	return true;
}

/* The code that the loops change has to be writable. */
static void allow_changes(void)
{
	for (char *at = smc_site; at <= smc_beside_code; at += 4096)
		if (mprotect(at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
			perror("mprotect");
}

/* Named, or no name is given at all: what has a '=' is a setting. */
static bool wanted(const char *name, char **words)
{
	bool any = false;

	for (; *words; words++) {
		if (!strcmp(*words, name))
			return true;
		any |= !strchr(*words, '=');
	}
	return !any;
}

int main(int argc, char **argv)
{
	uint32_t rounds = 31, ticks = 2000000, ran = 0, failed = 0;

	setlinebuf(stdout);
	allow_changes();
	for (int i = 1; i < argc; i++) {
		sscanf(argv[i], "rounds=%u", &rounds);
		sscanf(argv[i], "ticks=%u", &ticks);
	}
	if (!rounds || rounds > MAX_ROUNDS)
		rounds = MAX_ROUNDS;
	printf("{\"nano\": \"start\", \"tsc\": %llu, \"version\": 1}\n",
	       (unsigned long long)__rdtsc());
	for (int b = 0; b < BENCHMARKS; b++) {
		if (wanted(benchmarks[b].name, argv + 1)) {
			failed += !measure(&benchmarks[b], rounds, ticks);
			ran++;
		}
	}
	printf("{\"nano\": \"end\", \"tsc\": %llu, \"ran\": %u, \"failed\": %u}\n",
	       (unsigned long long)__rdtsc(), ran, failed);
	return failed ? 1 : 0;
}
