/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of the host's made ahead of its use, with one call for many pages: a fault for each page
 * costs many times what the page does. Hosts that know no such call (before Linux 5.14) fault as
 * ever.
 */
#ifndef RF_X86_AHEAD_H
#define RF_X86_AHEAD_H

#include <assert.h>
#include <stddef.h>
#include <sys/mman.h>
#include "types.h"

#define AHEAD_BYTES (256u << 10)

/* The C library's headers may be older than the host. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* All pages of [from, from + bytes) are about to be written. */
static inline void memory_make(void *from, size_t bytes)
{
	const uintptr_t first = (uintptr_t)from & ~(uintptr_t)4095;

	if (bytes)
		(void)!madvise((void *)first, (uintptr_t)from + bytes - first, MADV_POPULATE_WRITE);
}

/* Memory that fills from its beginning. All zero: none has been made yet. */
struct ahead {
	uint64_t upto; /* bytes from the beginning that have been made */
};

/*
 * The first used of size bytes at base are in use, and up to room more are about to be; write: not
 * only read.
 */
static inline void ahead_make(struct ahead *a, void *base, uint64_t size, uint64_t used,
			      uint64_t room, bool write)
{
	const uint64_t from = a->upto,
		       bytes = AHEAD_BYTES < size - from ? AHEAD_BYTES : size - from;

	assert(used <= size);
	if (used + room <= from || from >= size)
		return;
	a->upto = from + bytes;
	(void)!madvise((uint8_t *)base + from, bytes,
		       write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

#endif
