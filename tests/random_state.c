/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers and processor state; see random_state.h. The generator is Marsaglia's xorshift64.
 */
#include <string.h>
#include "random_state.h"

#define MXCSR_MASKS 0x1f80u
#define MXCSR_MODES 0xe040u /* FZ, RC and DAZ */

void random_seed(struct random_source *r, uint64_t seed)
{
	r->state = seed * 0x9e3779b97f4a7c15ull | 1;
	for (unsigned n = 0; n < 8; n++)
		random_next(r);
}

uint32_t random_next(struct random_source *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state >> 16;
}

uint32_t random_value(struct random_source *r)
{
	static const uint32_t edges[] = { 0,          1,          2,      0x7f,   0x80,
					  0xff,       0x7fff,     0x8000, 0xffff, 0x7fffffff,
					  0x80000000, 0xffffffff, 31,     32,     33 };
	uint32_t kind = random_next(r), value = random_next(r);

	return kind & 3 ? value >> (kind >> 2 & 31) : edges[value % RF_ARRAY_SIZE(edges)];
}

void random_fill(struct random_source *r, void *to, unsigned size)
{
	uint8_t *p = to;

	for (unsigned n = 0; n + 4 <= size; n += 4) {
		uint32_t value = n % 64 < 32 ? random_value(r) : random_next(r);

		memcpy(p + n, &value, 4);
	}
}

void random_float(struct random_source *r, uint8_t *to, unsigned size)
{
	static const uint16_t exponents[] = { 0,      0x7fff,      0x3fff, 0x3ffe, 0x4000,
					      0x403e, 0x3fff - 64, 0xffff, 0x8000 };

	for (unsigned n = 0; n < size; n++)
		to[n] = random_next(r);
	if (size == 10) {
		uint16_t exponent = exponents[random_next(r) % RF_ARRAY_SIZE(exponents)];

		memcpy(to + 8, &exponent, 2);
		if (exponent & 0x7fff)
			to[7] |= random_next(r) % 16 ? 0x80 : 0;
		if (random_next(r) % 4 == 0)
			memset(to, 0, 7);
	} else if (random_next(r) % 4 == 0) {
		memset(to, random_next(r) % 2 ? 0 : 0xff, size / 2);
	}
}

void random_fpu(struct random_source *r, struct fxsave_image *fpu, bool x87_unmasked,
		bool sse_unmasked)
{
	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = 0x40 | (random_next(r) & 0xf00) | (x87_unmasked ? random_next(r) & 0x3f : 0x3f);
	fpu->fsw = random_next(r) & 0x7f00;
	fpu->ftw = random_next(r) % 2 ? 0xff : random_next(r);
	fpu->mxcsr = (sse_unmasked ? random_next(r) & MXCSR_MASKS : MXCSR_MASKS) |
		     (random_next(r) & MXCSR_MODES);
	for (unsigned n = 0; n < 8; n++) {
		random_float(r, fpu->st[n], 10);
		random_float(r, fpu->xmm[n], random_next(r) % 2 ? 16 : 8);
	}
}
