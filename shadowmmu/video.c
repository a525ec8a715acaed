/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Display memory in windows. It is entered there as RAM is (fill.c), for as long as it is shown.
 * When it no longer is, its mappings go; what was relied on of the guest's tables stays, for a page
 * may always be missing from a window.
 */
#include <assert.h>
#include "shadow_internal.h"

static uint32_t end_frame(const struct shadow *s, gpa_t gpa, uint32_t size)
{
	assert(!gpa_offset(gpa) && !(size % GUEST_PAGE_SIZE));
	assert(gpa_frame(gpa) + size / GUEST_PAGE_SIZE <= s->frames);
	return (uint32_t)gpa_frame(gpa) + size / GUEST_PAGE_SIZE;
}

void shadow_memory_hidden(struct shadow *s, gpa_t gpa, uint32_t size)
{
	const uint32_t end = end_frame(s, gpa, size);

	for (uint32_t gfn = (uint32_t)gpa_frame(gpa); gfn < end; gfn++)
		rmap_drop(s, gfn);
	batch_finish(s);
	check_sometimes(s);
}

void shadow_memory_watched(struct shadow *s, gpa_t gpa, uint32_t size)
{
	const uint32_t end = end_frame(s, gpa, size);

	for (uint32_t gfn = (uint32_t)gpa_frame(gpa); gfn < end; gfn++)
		if (guest_ram_flags(s->ram, gpa_of_frame(gfn)) & RAM_PAGE_WATCHED)
			rmap_write_protect(s, gfn);
	batch_finish(s);
	check_sometimes(s);
}
