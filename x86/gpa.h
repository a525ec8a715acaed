/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest physical addresses, as a type that the compiler tells from linear addresses, host addresses
 * and plain numbers. GPA() makes one from a number; these functions are all that is done with one.
 *
 * The member v is read where the address becomes a number: a page-table entry, an index into RAM,
 * the host's interfaces, and text.
 */
#ifndef RF_X86_GPA_H
#define RF_X86_GPA_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_PAGE_SHIFT 12
#define GUEST_PAGE_SIZE  4096u
#define GUEST_PAGE_MASK  0xfffff000u

typedef struct { uint64_t v; } gpa_t;

/* A macro, so that initializers of static objects may use it. */
#define GPA(number) ((gpa_t){ (number) })

/* No address: for what holds none yet. 0 is an address like any other. */
#define GPA_NONE GPA(~0ull)

static inline bool gpa_equal(gpa_t a, gpa_t b)
{
	return a.v == b.v;
}

static inline bool gpa_is_none(gpa_t gpa)
{
	return gpa_equal(gpa, GPA_NONE);
}

/* The sum is of 64 bits: where an address bus wraps is the caller's business. */
static inline gpa_t gpa_add(gpa_t gpa, uint64_t n)
{
	return GPA(gpa.v + n);
}

/* Bytes from one address up to another; modulo 2^64 if to is below from. */
static inline uint64_t gpa_distance(gpa_t from, gpa_t to)
{
	return to.v - from.v;
}

static inline bool gpa_below(gpa_t a, gpa_t b)
{
	return a.v < b.v;
}

/* What the bus shows of it: address bits 0 to 31 are masked, those above are not. */
static inline gpa_t gpa_a20(gpa_t gpa, uint32_t a20_mask)
{
	return GPA(gpa.v & (a20_mask | ~0xffffffffull));
}

/* The first byte of the page. */
static inline gpa_t gpa_page(gpa_t gpa)
{
	return GPA(gpa.v & ~(uint64_t)(GUEST_PAGE_SIZE - 1));
}

/* The offset in the page. */
static inline uint32_t gpa_offset(gpa_t gpa)
{
	return (uint32_t)gpa.v & (GUEST_PAGE_SIZE - 1);
}

static inline uint64_t gpa_frame(gpa_t gpa)
{
	return gpa.v >> GUEST_PAGE_SHIFT;
}

static inline gpa_t gpa_of_frame(uint64_t gfn)
{
	return GPA(gfn << GUEST_PAGE_SHIFT);
}

#endif
