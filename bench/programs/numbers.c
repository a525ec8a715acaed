/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loops over arrays and plain recursion: loads, stores, calls and returns, floating point. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "workloads.h"

#define SIEVE_SIZE 1000000

static long count_primes(char *composite)
{
	long primes = 0;

	memset(composite, 0, SIEVE_SIZE);
	for (long i = 2; i < SIEVE_SIZE; i++) {
		if (composite[i])
			continue;
		primes++;
		for (long j = i * 2; j < SIEVE_SIZE; j += i)
			composite[j] = 1;
	}
	return primes;
}

int run_sieve(long amount)
{
	static char composite[SIEVE_SIZE];
	long primes = 0;

	for (long i = 0; i < amount; i++)
		primes += count_primes(composite);
	printf("%ld\n", primes);
	return 0;
}

/* noipa: gcc would unfold the recursion many levels deep, and calls are what this is about. */
static __attribute__((noipa)) uint32_t fib(uint32_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int run_fib(long amount)
{
	printf("%u\n", fib(amount));
	return 0;
}

#define DEFINE_MATRIX(name, type, format)                                              \
	int name(long amount)                                                          \
	{                                                                              \
		size_t cells = amount * amount;                                        \
		type *a = malloc(cells * sizeof(type)), *b = malloc(cells * sizeof(type)); \
		type *c = calloc(cells, sizeof(type)), sum = 0;                        \
		uint32_t random = 1;                                                   \
                                                                                       \
		if (!a || !b || !c)                                                    \
			return 1;                                                      \
		for (size_t i = 0; i < cells; i++) {                                   \
			a[i] = next_random(&random) % 100;                             \
			b[i] = next_random(&random) % 100;                             \
		}                                                                      \
		for (long i = 0; i < amount; i++)                                      \
			for (long j = 0; j < amount; j++)                              \
				for (long k = 0; k < amount; k++)                      \
					c[i * amount + j] +=                           \
						a[i * amount + k] * b[k * amount + j]; \
		for (size_t i = 0; i < cells; i++)                                     \
			sum += c[i];                                                   \
		printf(format "\n", sum);                                              \
		free(a), free(b), free(c);                                             \
		return 0;                                                              \
	}

DEFINE_MATRIX(run_matrix_int, uint32_t, "%u")
DEFINE_MATRIX(run_matrix_double, double, "%.0f")
