/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bench/compare and bench/run run in the guest and, as the same binary, on the host: one
 * static 32-bit program. Each workload takes an amount of work, does it, and prints a result that
 * depends on all of it, so that engines can be compared for correctness too and the compiler can
 * leave nothing out.
 */
#ifndef RF_BENCH_WORKLOADS_H
#define RF_BENCH_WORKLOADS_H

#include <stdint.h>

/* User computing. amount: elements, rounds, ...: see each function. */
int run_qsort(long amount);        /* sort amount integers through a comparison function */
int run_sieve(long amount);        /* amount times the primes below a million */
int run_fib(long amount);          /* the amount-th Fibonacci number by double recursion */
int run_matrix_int(long amount);   /* product of two amount x amount matrices of integers */
int run_matrix_double(long amount);
int run_bytecode(long amount);     /* a loop of amount turns in a bytecode interpreter */
int run_crc(long amount);          /* CRC-32 of amount KiB, table-driven */
int run_list(long amount);         /* amount steps through a shuffled linked list */

/* The system. */
int run_getppid(long amount);      /* amount system calls */
int run_pipe(long amount);         /* amount bytes sent there and back between two processes */
int run_forkexec(long amount);     /* amount times fork, exec of "nothing", wait */
int run_nothing(long amount);
int run_mmap(long amount);         /* amount times map 64 KiB, touch each page, unmap */
int run_forkwait(long amount);     /* amount times fork and wait */
int run_signal(long amount);       /* amount signals to itself */
int run_files(long amount);        /* amount times a hundred files made in scratch/ and removed */

/* Support. */
int run_mksource(long amount);     /* C with amount functions on standard output */
int run_mkdata(long amount);       /* amount KiB of compressible text on standard output */

/* Runs the workloads of a list file and reports on them: timer.c. */
int timer_main(const char *list);

/* Always the same sequence. */
static inline uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

#endif
