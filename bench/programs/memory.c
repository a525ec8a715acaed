/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table-driven checksum and a walk along dependent loads; and the text that the busybox workloads
 * digest.
 */
#include <stdio.h>
#include <stdlib.h>
#include "workloads.h"

int run_crc(long amount)
{
	static uint8_t data[64 * 1024];
	uint32_t table[256], crc = ~0u, random = 1;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = next_random(&random);
	for (long done = 0; done < amount; done += sizeof(data) / 1024)
		for (size_t i = 0; i < sizeof(data); i++)
			crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
	printf("%08x\n", ~crc);
	return 0;
}

#define NODES 16384

int run_list(long amount)
{
	static struct node {
		struct node *next;
		uint32_t value;
	} nodes[NODES];
	static uint32_t order[NODES];
	uint32_t random = 1, sum = 0;

	for (uint32_t i = 0; i < NODES; i++)
		order[i] = i;
	for (uint32_t i = NODES - 1; i > 0; i--) {
		uint32_t j = next_random(&random) % (i + 1), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
		nodes[order[i]].value = i;
	}
	for (struct node *node = nodes; amount > 0; amount--, node = node->next)
		sum = sum * 3 + node->value;
	printf("%u\n", sum);
	return 0;
}

int run_mkdata(long amount)
{
	static const char *const words[] = { "window", "guest",      "shadow", "page",
					     "of",     "the",        "a",      "to",
					     "trace",  "fault",      "linear", "and",
					     "cache",  "translated", "is",     "unit" };
	uint32_t random = 1;

	for (long left = amount * 1024, used; left > 0; left -= used) {
		uint32_t pick = next_random(&random);

		used = pick & 0x100 ?
			       printf("%s %x\n", words[pick & 15], next_random(&random) & 0xfff) :
			       printf("%s ", words[pick & 15]);
	}
	return 0;
}
