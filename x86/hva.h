/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host addresses, as a type that the compiler tells from guest addresses and plain numbers: windows
 * and what is in them, and the return stacks. HVA() makes one from a number, hva_of() from a
 * pointer; these functions are all that is done with one.
 *
 * The member v is read where the address becomes a number: a word that translated code reads, a
 * register of a signal frame, and text.
 */
#ifndef RF_X86_HVA_H
#define RF_X86_HVA_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct { uintptr_t v; } hva_t;

/* A macro, so that initializers of static objects may use it. */
#define HVA(number) ((hva_t){ (number) })

/* No address: for what holds none yet. Nothing of ours lies at 0. */
#define HVA_NONE HVA(0)

static inline hva_t hva_of(const void *pointer)
{
	return HVA((uintptr_t)pointer);
}

static inline void *hva_ptr(hva_t hva)
{
	return (void *)hva.v;
}

static inline bool hva_equal(hva_t a, hva_t b)
{
	return a.v == b.v;
}

static inline bool hva_is_none(hva_t hva)
{
	return hva_equal(hva, HVA_NONE);
}

static inline hva_t hva_add(hva_t hva, uint64_t n)
{
	return HVA(hva.v + n);
}

/* Whether hva is one of the size bytes from start on. */
static inline bool hva_within(hva_t hva, hva_t start, uint64_t size)
{
	return hva.v - start.v < size;
}

/* Bytes from one address up to another, which is not below it. */
static inline uint64_t hva_distance(hva_t from, hva_t to)
{
	assert(from.v <= to.v);
	return to.v - from.v;
}

#endif
