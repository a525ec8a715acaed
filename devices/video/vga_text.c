/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text modes: characters in plane 0, attributes in plane 1, glyphs in plane 2, 32 bytes to a
 * character.
 */
#include "vga_internal.h"

#define GLYPH_BYTES  32u
#define BLINK_NS     (NS_PER_SECOND / 70 * 16) /* on for 16 frames, then off for 16 */
#define LINE_FIRST   0xc0u /* of these characters the ninth dot repeats the eighth */
#define LINE_LAST    0xdfu
#define ATTRIBUTE_BLINK 0x80

/* Where in plane 2 the glyphs are for characters with attribute bit 3 set, and clear. */
static uint32_t font_address(const struct vga *vga, bool bit3)
{
	const uint8_t font = vga->s.sequencer[SEQ_FONT];
	const unsigned n = bit3 ? (font >> 2 & 3) | (font >> 3 & 4) : (font & 3) | (font >> 2 & 4);

	return (n & 3) * 0x4000u + (n >> 2) * 0x2000u;
}

static uint8_t glyph_row(const struct vga *vga, struct display_cell cell, unsigned rs)
{
	const uint32_t font = font_address(vga, cell.attribute & 8);

	return *vga_at(vga, (font + cell.character * GLYPH_BYTES + (rs % GLYPH_BYTES)) * 4 + 2);
}

static bool blink_phase(const struct vga *vga)
{
	return clock_now(&vga->clock) / BLINK_NS & 1;
}

static struct display_cell cell_of(uint32_t planes)
{
	return (struct display_cell){ (uint8_t)planes, (uint8_t)(planes >> 8) };
}

/* Cursor. */

static uint32_t cursor_address(const struct vga *vga)
{
	return (uint32_t)vga->s.crtc[CRTC_CURSOR_HIGH] << 8 | vga->s.crtc[CRTC_CURSOR_LOW];
}

static bool cursor_covers(const struct vga *vga, unsigned rs)
{
	const uint8_t start = vga->s.crtc[CRTC_CURSOR_START];

	return !(start & CURSOR_OFF) && rs >= (start & 0x1fu) &&
	       rs <= (vga->s.crtc[CRTC_CURSOR_END] & 0x1fu);
}

/* Picture. */

static unsigned dots_of(const struct vga *vga, struct display_cell cell, unsigned rs)
{
	unsigned bits = (unsigned)glyph_row(vga, cell, rs) << 1;

	if ((vga->s.attribute[AR_MODE] & AR_MODE_LINE_GRAPHICS) && cell.character >= LINE_FIRST &&
	    cell.character <= LINE_LAST)
		bits |= bits >> 1 & 1;
	if ((vga->s.attribute[AR_MODE] & AR_MODE_MONO) && (cell.attribute & 0x77) == 1 &&
	    rs == (vga->s.crtc[CRTC_UNDERLINE] & 0x1fu))
		bits = 0x1ff;
	return bits;
}

static void render_cell(const struct vga *vga, struct display_cell cell, unsigned bits,
			unsigned dots, uint32_t *pixels)
{
	const bool blinks = vga->s.attribute[AR_MODE] & AR_MODE_BLINK;
	const uint32_t ink = vga_color16(vga, cell.attribute & 15);
	const uint32_t paper = vga_color16(vga, cell.attribute >> 4 & (blinks ? 7 : 15));

	if (blinks && (cell.attribute & ATTRIBUTE_BLINK) && blink_phase(vga))
		bits = 0;
	for (unsigned x = 0; x < dots; x++)
		pixels[x] = bits >> (8 - x) & 1 ? ink : paper;
}

void vga_render_text(const struct vga *vga, const struct vga_raster *raster, uint32_t *pixels,
		     size_t stride)
{
	const bool cursor_on = !blink_phase(vga);

	for (unsigned y = 0; y < raster->scans; y++) {
		unsigned rs;
		const uint32_t ma = vga_scan_address(vga, raster, y, &rs);

		for (unsigned x = 0; x < raster->columns; x++) {
			const struct display_cell cell = cell_of(vga_fetch(vga, ma + x, 0));
			const bool cursor = cursor_on && ma + x == cursor_address(vga) &&
					    cursor_covers(vga, rs);

			render_cell(vga, cell, cursor ? 0x1ff : dots_of(vga, cell, rs),
				    raster->dots, pixels + x * raster->dots);
		}
		pixels += stride;
	}
}

/* Text. */

static void find_cursor(const struct vga *vga, const struct vga_raster *raster,
			struct display_cursor *cursor)
{
	const uint32_t start = (uint32_t)vga->s.crtc[CRTC_START_HIGH] << 8 |
			       vga->s.crtc[CRTC_START_LOW];
	const uint32_t pitch = vga->s.crtc[CRTC_OFFSET] * 2u, at = cursor_address(vga) - start;
	const unsigned rows = raster->scans / raster->row_scans;

	*cursor = (struct display_cursor){ 0 };
	if (!pitch || at / pitch >= rows || at % pitch >= raster->columns)
		return;
	*cursor = (struct display_cursor){
		!(vga->s.crtc[CRTC_CURSOR_START] & CURSOR_OFF), at % pitch, at / pitch,
	};
}

bool vga_text(void *opaque, struct display_cell *cells, struct display_cursor *cursor)
{
	const struct vga *vga = opaque;
	const struct vga_raster raster = vga_raster(vga);

	if (!raster.text)
		return false;
	for (unsigned row = 0; row < raster.scans / raster.row_scans; row++) {
		unsigned rs;
		const uint32_t ma = vga_scan_address(vga, &raster, row * raster.row_scans, &rs);

		for (unsigned x = 0; x < raster.columns; x++)
			*cells++ = cell_of(vga_fetch(vga, ma + x, 0));
	}
	find_cursor(vga, &raster, cursor);
	return true;
}
