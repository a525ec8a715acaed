/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sorting through a function pointer: indirect calls and unpredictable branches. */
#include <stdio.h>
#include <stdlib.h>
#include "workloads.h"

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Our own quicksort, so that the result does not hang on the C library's choice of algorithm. */
static void sort(uint32_t *base, long count, int (*order)(const void *, const void *))
{
	while (count > 1) {
		uint32_t pivot = base[count / 2];
		long left = 0, right = count - 1;

		while (left <= right) {
			while (order(&base[left], &pivot) < 0)
				left++;
			while (order(&base[right], &pivot) > 0)
				right--;
			if (left <= right) {
				uint32_t swap = base[left];

				base[left++] = base[right];
				base[right--] = swap;
			}
		}
		sort(base, right + 1, order);
		base += left;
		count -= left;
	}
}

int run_qsort(long amount)
{
	uint32_t *values = malloc(amount * sizeof(*values));
	int (*volatile order)(const void *, const void *) = compare;
	uint32_t random = 1, sum = 0;

	if (!values)
		return 1;
	for (long i = 0; i < amount; i++)
		values[i] = next_random(&random);
	sort(values, amount, order);
	for (long i = 0; i < amount; i++)
		sum = sum * 31 + values[i];
	printf("%u\n", sum);
	free(values);
	return 0;
}
