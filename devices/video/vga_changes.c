/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rows of the screen may have changed. Stores through the bus are noted here, by the chunk of
 * memory; of others the machine tells (struct display_memory). A register that the screen depends
 * on changes all of it.
 */
#include "vga_internal.h"

#define CHUNK(at) (1ull << (at) / DISPLAY_CHUNK)

void vga_stored(struct vga *vga, uint32_t at)
{
	vga->stored |= CHUNK(at);
}

static uint64_t stored_chunks(struct vga *vga)
{
	const struct display_memory *shared = &vga->shared;
	uint64_t chunks = vga->stored;

	vga->stored = 0;
	return shared->stores ? chunks | shared->stores(shared->stores_opaque) : chunks;
}

/* The rows of a frame buffer that reach into one of the chunks; none is longer than a chunk. */
static struct display_rows rows_in(const struct vga *vga, uint64_t chunks)
{
	const uint16_t *r = vga->s.dispi;
	const uint32_t bytes = (r[DISPI_BPP] + 7u) / 8, pitch = vga_dispi_pitch(vga);
	struct display_rows rows = { 0, 0 };

	for (uint32_t row = 0; row < r[DISPI_YRES]; row++) {
		const uint32_t first = (r[DISPI_Y_OFFSET] + row) * pitch +
				       r[DISPI_X_OFFSET] * bytes;

		if (!(chunks & (CHUNK(first) | CHUNK(first + r[DISPI_XRES] * bytes - 1))))
			continue;
		rows.first = rows.end ? rows.first : row;
		rows.end = row + 1;
	}
	return rows;
}

struct display_rows vga_changed(void *opaque)
{
	struct vga *vga = opaque;
	const uint64_t chunks = stored_chunks(vga);
	const bool all = vga->looks_new;

	vga->looks_new = false;
	if (!all && !chunks)
		return (struct display_rows){ 0, 0 };
	return !all && vga_is_linear(vga) ? rows_in(vga, chunks) :
					    (struct display_rows){ 0, vga_size(vga).height };
}
