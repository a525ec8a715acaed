/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases and answers as bytes. One function describes each structure, for reading and for writing.
 *
 *   case     flags (bits 0 and 1: ring, 2: single, 3: no_fpu); eip, 8 registers, eflags: u32;
 *            6 selectors, length of the code: u16; the code; FPU
 *   answer   kind, vector: u8; error, cr2: u32; then what differs from the case's state (exclusive
 *            or): eip, 8 registers, eflags, 6 selectors, FPU; u32 count of changed runs of memory,
 *            each: address u32, length u16, bytes
 *   FPU      fcw, fsw: u16; ftw: u8; mxcsr: u32; 8 times 10 bytes of st; 8 times 16 bytes of xmm
 */
#include <stdlib.h>
#include <string.h>
#include "recording.h"

#define MAX_RUN 0xffffu

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is as the host's memory is");

static bool grow(struct recording_bytes *b, size_t size)
{
	const size_t wanted = b->at + size;
	uint8_t *data;

	if (wanted <= b->size)
		return true;
	data = realloc(b->data, 2 * wanted);
	if (!data)
		return false;
	b->data = data;
	b->size = 2 * wanted;
	return true;
}

static void code(struct recording_bytes *b, void *p, size_t size)
{
	if (b->bad || (b->writing ? !grow(b, size) : size > b->size - b->at)) {
		b->bad = true;
		return;
	}
	if (b->writing)
		memcpy(b->data + b->at, p, size);
	else
		memcpy(p, b->data + b->at, size);
	b->at += size;
}

#define CODE(b, x) code(b, &(x), sizeof(x))

static void code_fpu(struct recording_bytes *b, struct fxsave_image *fpu)
{
	CODE(b, fpu->fcw);
	CODE(b, fpu->fsw);
	CODE(b, fpu->ftw);
	CODE(b, fpu->mxcsr);
	for (unsigned n = 0; n < 8; n++)
		code(b, fpu->st[n], 10);
	for (unsigned n = 0; n < 8; n++)
		code(b, fpu->xmm[n], 16);
}

/* Exclusive or: the same function makes a difference, and of it the state again. */
static void mix(void *to, const void *from, size_t size)
{
	for (size_t n = 0; n < size; n++)
		((uint8_t *)to)[n] ^= ((const uint8_t *)from)[n];
}

static void mix_outcome(struct outcome *out, const struct fuzz_case *c)
{
	mix(out->regs, c->regs, sizeof(out->regs));
	mix(out->seg, c->seg, sizeof(out->seg));
	mix(&out->fpu, &c->fpu, sizeof(out->fpu));
	out->eip ^= c->eip;
	out->eflags ^= c->eflags;
}

/* --- cases --- */

static void code_case(struct recording_bytes *b, struct fuzz_case *c)
{
	uint8_t flags = c->ring | c->single << 2 | c->no_fpu << 3;

	CODE(b, flags);
	CODE(b, c->eip);
	CODE(b, c->regs);
	CODE(b, c->eflags);
	CODE(b, c->seg);
	CODE(b, c->len);
	if (c->len > CASE_MAX_BYTES || flags > 15)
		b->bad = true;
	else
		code(b, c->bytes, c->len);
	code_fpu(b, &c->fpu);
	c->ring = flags & 3;
	c->single = flags >> 2 & 1;
	c->no_fpu = flags >> 3 & 1;
	/* One piece: the minimiser does not take recorded cases apart. */
	c->nitems = 1;
	c->offset[1] = c->len;
}

/* --- memory --- */

static bool add_change(struct recording_batch *batch, uint32_t at, uint8_t value)
{
	if (batch->nchanges == batch->room) {
		const uint32_t room = 2 * batch->room + 256;
		struct recording_change *more = realloc(batch->changes, room * sizeof(*more));

		if (!more)
			return false;
		batch->changes = more;
		batch->room = room;
	}
	batch->changes[batch->nchanges++] = (struct recording_change){ at, value };
	return true;
}

static uint16_t run_length(const struct recording_change *c, uint32_t count)
{
	uint32_t n = 1;

	while (n < count && n < MAX_RUN && c[n].at == c[0].at + n)
		n++;
	return n;
}

static void write_changes(struct recording_bytes *b, const struct recording_change *c,
			  uint32_t count)
{
	uint32_t runs = 0;

	for (uint32_t n = 0; n < count; n += run_length(c + n, count - n))
		runs++;
	CODE(b, runs);
	while (count) {
		uint16_t len = run_length(c, count);
		uint32_t at = c->at;

		CODE(b, at);
		CODE(b, len);
		for (uint16_t n = 0; n < len; n++) {
			uint8_t value = c[n].value;

			CODE(b, value);
		}
		c += len;
		count -= len;
	}
}

static void read_changes(struct recording_bytes *b, struct recording_batch *batch)
{
	uint32_t runs = 0, at = 0;
	uint16_t len = 0;
	uint8_t value = 0;

	CODE(b, runs);
	for (; runs && !b->bad; runs--) {
		CODE(b, at);
		CODE(b, len);
		for (uint16_t n = 0; n < len && !b->bad; n++) {
			CODE(b, value);
			b->bad = b->bad || !add_change(batch, at + n, value);
		}
	}
}

static void code_answer(struct recording_bytes *b, struct recording_batch *batch, unsigned n)
{
	struct recording_answer *a = &batch->answer[n];
	struct outcome out = a->out;
	uint8_t kind = out.kind, vector = out.vector;

	if (b->writing)
		mix_outcome(&out, &batch->c[n]);
	CODE(b, kind);
	CODE(b, vector);
	CODE(b, out.error);
	CODE(b, out.cr2);
	CODE(b, out.eip);
	CODE(b, out.regs);
	CODE(b, out.eflags);
	CODE(b, out.seg);
	code_fpu(b, &out.fpu);
	if (b->writing) {
		write_changes(b, batch->changes + a->first, a->count);
		return;
	}
	if (kind > OUTCOME_UNJUDGED)
		b->bad = true;
	out.kind = kind;
	out.vector = vector;
	mix_outcome(&out, &batch->c[n]);
	a->out = out;
	a->first = batch->nchanges;
	read_changes(b, batch);
	a->count = batch->nchanges - a->first;
}

bool recording_code_batch(struct recording_bytes *b, struct recording_batch *batch)
{
	if (!b->writing) {
		memset(batch->c, 0, sizeof(batch->c));
		memset(batch->answer, 0, sizeof(batch->answer));
		batch->nchanges = 0;
	}
	for (unsigned n = 0; n < RECORDING_BATCH && !b->bad; n++) {
		code_case(b, &batch->c[n]);
		code_answer(b, batch, n);
		batch->c[n].seed = n;
	}
	return !b->bad;
}

/* --- the memory that cases share --- */

/* SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void fill(uint8_t *to, uint64_t state)
{
	for (uint32_t at = 0; at < REGION_SIZE; at += 8) {
		const uint64_t value = mixed(state += 0x9e3779b97f4a7c15ull);

		memcpy(to + at, &value, 8);
	}
}

/* As the generator's: INT3 where code may stray to. */
void recording_fill(uint32_t n, struct memory *memory)
{
	fill(memory->region[REGION_LOW], 2ull * n);
	fill(memory->region[REGION_DATA], 2ull * n + 1);
	for (uint32_t at = 16; at < REGION_SIZE; at += 32)
		memset(memory->region[REGION_LOW] + at, 0xcc, 16);
	memset(memory->region[REGION_CODE], 0xcc, REGION_SIZE);
}

void recording_place(const struct fuzz_case *c, struct memory *memory)
{
	const uint8_t stop[CASE_STOP_BYTES] = { BF_STOP };
	const uint32_t at = world_base(c->seg[X86_CS]) + c->eip;
	uint8_t *to = (uint8_t *)memory_at(memory, at, c->len);

	if (!to)
		return;
	memcpy(to, c->bytes, c->len);
	if (at + c->len + sizeof(stop) <= BF_CODE + BF_CODE_SIZE)
		memcpy(to + c->len, stop, sizeof(stop));
}

static bool note_page(struct recording_batch *batch, uint32_t gva, const uint8_t *before,
		      const uint8_t *after)
{
	for (uint32_t n = 0; n < GUEST_PAGE_SIZE; n++)
		if (before[n] != after[n] && !add_change(batch, gva + n, after[n]))
			return false;
	return true;
}

bool recording_note(struct recording_batch *batch, unsigned n, const struct memory *before,
		    const struct memory *after)
{
	struct recording_answer *a = &batch->answer[n];

	a->first = batch->nchanges;
	for (unsigned r = 0; r < REGIONS; r++) {
		for (uint32_t at = 0; at < REGION_SIZE; at += GUEST_PAGE_SIZE) {
			const uint8_t *x = before->region[r] + at, *y = after->region[r] + at;

			if (memcmp(x, y, GUEST_PAGE_SIZE) &&
			    !note_page(batch, region_base(r) + at, x, y))
				return false;
		}
	}
	a->count = batch->nchanges - a->first;
	return true;
}
