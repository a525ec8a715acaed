/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where are writes to page tables traced, and where are tables compared?
 *
 * A table that was found unchanged many times running is put under a trace: RAM_PAGE_TABLE, which
 * write-protects it in every window. While the trace holds, whoever compared it since it began need
 * not do so again. The first write ends the trace and costs a host fault and two changes of
 * protection, that is some hundred compares, so each ending doubles the patience before the next
 * trace.
 *
 * table_generation[frame] counts traces begun: a region that has the frame's generation while the
 * trace is on was compared since it began, and is in step.
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>

#define EQUAL_COMPARES 128u
#define BACKOFF_MAX    8u

_Static_assert(EQUAL_COMPARES << BACKOFF_MAX <= UINT16_MAX,
	       "region.equal must be able to count that far");

int table_trace_create(struct shadow *s)
{
	s->table_generation = pool_array(s->frames * 4ull);
	s->table_backoff = pool_array(s->frames);
	return s->table_generation && s->table_backoff ? 0 : -ENOMEM;
}

static void lift_all(struct shadow *s)
{
	uint32_t i;

	for (i = 0; i < s->frames; i++) {
		if (s->ram->page_flags[i] & (RAM_PAGE_TABLE | RAM_PAGE_CODE))
			s->ram->page_flags[i] &= (uint8_t)~(RAM_PAGE_TABLE | RAM_PAGE_CODE);
	}
}

void table_trace_reset(struct shadow *s)
{
	lift_all(s);
	pool_array_clear(s->table_generation, s->frames * 4ull);
	pool_array_clear(s->table_backoff, s->frames);
}

void table_trace_destroy(struct shadow *s)
{
	if (s->table_generation)
		lift_all(s);
	pool_array_free(s->table_generation, s->frames * 4ull);
	pool_array_free(s->table_backoff, s->frames);
}

static uint32_t frame_of(const struct region *r)
{
	assert(!r->large);
	return (uint32_t)gpa_frame(r->table);
}

static bool traced(const struct shadow *s, uint32_t frame)
{
	return s->ram->page_flags[frame] & RAM_PAGE_TABLE;
}

bool table_trace_is_current(const struct shadow *s, const struct region *r)
{
	return traced(s, frame_of(r)) && r->generation == s->table_generation[frame_of(r)];
}

static void begin(struct shadow *s, struct region *r)
{
	uint32_t frame = frame_of(r);

	assert(frame < s->frames && !traced(s, frame));
	s->stats.tables_traced++;
	s->table_generation[frame]++;
	guest_ram_set_flag(s->ram, gpa_of_frame(frame), RAM_PAGE_TABLE);
	rmap_write_protect(s, frame);
	r->generation = s->table_generation[frame];
	r->equal = 0;
}

/* How many compares in a row must find nothing before a trace begins. */
static uint32_t patience(const struct shadow *s, uint32_t frame)
{
	if (s->options.policy == SHADOW_POLICY_TRACE_ONLY)
		return 1;
	return EQUAL_COMPARES << s->table_backoff[frame];
}

void table_trace_note_equal(struct shadow *s, struct region *r)
{
	uint32_t frame = frame_of(r);

	r->generation = s->table_generation[frame];
	if (traced(s, frame) || s->options.policy == SHADOW_POLICY_COMPARE_ONLY)
		return;
	if (r->equal < UINT16_MAX)
		r->equal++;
	if (r->equal >= patience(s, frame))
		begin(s, r);
}

void table_trace_note_changed(struct shadow *s, struct region *r)
{
	r->equal = 0;
	r->generation = s->table_generation[frame_of(r)];
}

void table_trace_note_created(struct shadow *s, struct region *r)
{
	r->generation = s->table_generation[frame_of(r)];
	if (s->options.policy == SHADOW_POLICY_TRACE_ONLY && !traced(s, frame_of(r)))
		begin(s, r);
}

void table_trace_lift(struct shadow *s, gpa_t gpa)
{
	uint32_t frame = (uint32_t)gpa_frame(gpa);

	if (!traced(s, frame))
		return;
	s->ram->page_flags[frame] &= (uint8_t)~RAM_PAGE_TABLE;
	if (s->table_backoff[frame] < BACKOFF_MAX)
		s->table_backoff[frame]++;
}
