/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the screen shows. The CRTC counts characters, or groups of eight pixels, with an address
 * counter, and makes an address of it that is the counter (byte mode), or the counter moved left by
 * one (word mode, in which text lies at every second byte) or by two (double-word mode).
 */
#include "vga_internal.h"

#include <string.h>

#define SCANS_LOST_BY_SPLIT 1u /* the scan line of the comparison still shows the upper part */

static unsigned crtc_high(const struct vga *vga, unsigned bit8, unsigned bit9)
{
	const uint8_t overflow = vga->s.crtc[CRTC_OVERFLOW];

	return (overflow >> bit8 & 1) << 8 | (overflow >> bit9 & 1) << 9;
}

static unsigned vertical_end(const struct vga *vga)
{
	return (vga->s.crtc[CRTC_VERTICAL_END] | crtc_high(vga, 1, 6)) + 1;
}

static unsigned line_compare(const struct vga *vga)
{
	const unsigned bit9 = vga->s.crtc[CRTC_MAX_SCAN] >> 6 & 1;

	return vga->s.crtc[CRTC_LINE_COMPARE] | (vga->s.crtc[CRTC_OVERFLOW] >> 4 & 1) << 8 |
	       bit9 << 9;
}

struct vga_raster vga_raster(const struct vga *vga)
{
	const uint8_t max_scan = vga->s.crtc[CRTC_MAX_SCAN];
	struct vga_raster r = {
		.text = !(vga->s.graphics[GC_MISC] & GC_MISC_GRAPHICS),
		.columns = vga->s.crtc[CRTC_HORIZONTAL_END] + 1u,
		.dots = 8,
		.scans = vertical_end(vga),
		.row_scans = (max_scan & 0x1f) + 1u,
	};

	if (max_scan & 0x80) /* each scan line is drawn twice */
		r.scans = (r.scans + 1) / 2;
	if (r.text && !(vga->s.sequencer[SEQ_CLOCKING] & CLOCKING_8DOTS))
		r.dots = 9;
	if (vga_dispi_on(vga)) { /* four bits per pixel: no other depth shows planes */
		r.text = false;
		r.columns = vga->s.dispi[DISPI_XRES] / 8u;
		r.scans = vga->s.dispi[DISPI_YRES];
		r.row_scans = 1;
	}
	return r;
}

/* Memory. */

static uint32_t crtc_address(const struct vga *vga, uint32_t ma)
{
	const uint8_t mode = vga->s.crtc[CRTC_MODE];

	if (vga->s.crtc[CRTC_UNDERLINE] & UNDERLINE_DWORD)
		return ma << 2;
	if (mode & MODE_BYTE)
		return ma;
	return ma << 1 | (ma >> (mode & MODE_WRAP_15 ? 15 : 13) & 1);
}

static uint32_t row_scan_bits(const struct vga *vga, uint32_t address, unsigned rs)
{
	const uint8_t mode = vga->s.crtc[CRTC_MODE];

	if (!(mode & MODE_ROW_SCAN13))
		address = (address & ~0x2000u) | (rs & 1) << 13;
	if (!(mode & MODE_ROW_SCAN14))
		address = (address & ~0x4000u) | (rs >> 1 & 1) << 14;
	return address;
}

uint32_t vga_fetch(const struct vga *vga, uint32_t ma, unsigned rs)
{
	uint32_t address = ma;

	if (!vga_dispi_on(vga))
		address = row_scan_bits(vga, crtc_address(vga, ma), rs) & 0xffff;
	return vga_planes_load(vga, (uint32_t)(address * 4ull % VGA_MEMORY_SIZE));
}

static uint32_t start_address(const struct vga *vga)
{
	return (uint32_t)vga->s.crtc[CRTC_START_HIGH] << 8 | vga->s.crtc[CRTC_START_LOW];
}

/* The extension's four-bit modes: eight pixels to an address. */
static uint32_t dispi_scan_address(const struct vga *vga, unsigned scan)
{
	const uint16_t *r = vga->s.dispi;

	return ((uint32_t)r[DISPI_Y_OFFSET] + scan) * (r[DISPI_VIRT_WIDTH] / 8u) +
	       r[DISPI_X_OFFSET] / 8u;
}

uint32_t vga_scan_address(const struct vga *vga, const struct vga_raster *raster, unsigned scan,
			  unsigned *rs)
{
	const unsigned split = line_compare(vga) + SCANS_LOST_BY_SPLIT;
	uint32_t start = start_address(vga);

	*rs = 0;
	if (vga_dispi_on(vga))
		return dispi_scan_address(vga, scan);
	if (scan >= split) {
		scan -= split;
		start = 0;
	} else {
		scan += vga->s.crtc[CRTC_PRESET_ROW] & 0x1f;
	}
	*rs = scan % raster->row_scans;
	return start + scan / raster->row_scans * vga->s.crtc[CRTC_OFFSET] * 2u;
}

/* Colours. */

/* A component of the DAC as eight bits. */
static uint32_t component(const struct vga *vga, uint8_t value)
{
	if (vga->s.dispi[DISPI_ENABLE] & DISPI_8BIT_DAC)
		return value;
	return (uint32_t)(value << 2 | value >> 4);
}

uint32_t vga_color256(const struct vga *vga, unsigned pixel)
{
	const uint8_t *rgb = &vga->s.dac[3 * (pixel & vga->s.dac_mask & 0xff)];

	return component(vga, rgb[0]) << 16 | component(vga, rgb[1]) << 8 | component(vga, rgb[2]);
}

uint32_t vga_color16(const struct vga *vga, unsigned pixel)
{
	const uint8_t *ar = vga->s.attribute;
	unsigned color = ar[pixel & ar[AR_PLANES] & 15];

	if (ar[AR_MODE] & AR_MODE_P54)
		color = (color & 15) | (ar[AR_COLOR_SELECT] & 3u) << 4;
	return vga_color256(vga, color | (ar[AR_COLOR_SELECT] & 12u) << 4);
}

/* Graphics of the planes: the eight, or four, pixels that one address gives. */

/* Bit 7 of every plane is the leftmost pixel. */
static void planar_pixels(const struct vga *vga, uint32_t planes, uint32_t *pixels)
{
	for (unsigned i = 0; i < 8; i++) {
		const unsigned bit = 7 - i;

		pixels[i] = vga_color16(vga, (planes >> bit & 1) | (planes >> (8 + bit) & 1) << 1 |
						     (planes >> (16 + bit) & 1) << 2 |
						     (planes >> (24 + bit) & 1) << 3);
	}
}

/* Pixels of two bits: four in a byte of plane 0, then four in one of plane 1 (CGA). */
static void cga_pixels(const struct vga *vga, uint32_t planes, uint32_t *pixels)
{
	for (unsigned i = 0; i < 8; i++) {
		const unsigned at = (i < 4 ? 6 : 14) - 2 * (i & 3);

		pixels[i] = vga_color16(vga, (planes >> at & 3) | (planes >> (at + 16) & 3) << 2);
	}
}

/* A pixel is a byte; the dot clock halved makes each two dots wide. */
static void wide_pixels(const struct vga *vga, uint32_t planes, uint32_t *pixels)
{
	for (unsigned i = 0; i < 4; i++)
		pixels[i] = vga_color256(vga, planes >> (8 * i) & 0xff);
}

static unsigned pixels_per_fetch(const struct vga *vga)
{
	return vga->s.graphics[GC_MODE] & GC_MODE_256 && !vga_dispi_on(vga) ? 4 : 8;
}

static void fetched_pixels(const struct vga *vga, uint32_t planes, uint32_t *pixels)
{
	if (pixels_per_fetch(vga) == 4)
		wide_pixels(vga, planes, pixels);
	else if (vga->s.graphics[GC_MODE] & GC_MODE_CGA)
		cga_pixels(vga, planes, pixels);
	else
		planar_pixels(vga, planes, pixels);
}

static unsigned scans_per_row(const struct vga *vga, const struct vga_raster *raster)
{
	const uint8_t both = MODE_ROW_SCAN13 | MODE_ROW_SCAN14;

	/* where the row scan is part of the address, no two scan lines are the same */
	return (vga->s.crtc[CRTC_MODE] & both) == both ? raster->row_scans : 1;
}

/* A row that ends below the screen is shown as far as it goes: there is one at least. */
static unsigned rows_shown(const struct vga *vga, const struct vga_raster *raster)
{
	const unsigned rows = raster->scans / scans_per_row(vga, raster);

	return rows ? rows : 1;
}

static void render_planes(const struct vga *vga, const struct vga_raster *raster, uint32_t *pixels,
			  size_t stride)
{
	const unsigned n = pixels_per_fetch(vga), each = scans_per_row(vga, raster);

	for (unsigned row = 0; row < rows_shown(vga, raster); row++) {
		unsigned rs;
		uint32_t ma = vga_scan_address(vga, raster, row * each, &rs);

		for (unsigned x = 0; x < raster->columns; x++)
			fetched_pixels(vga, vga_fetch(vga, ma + x, rs), pixels + x * n);
		pixels += stride;
	}
}

/* Linear frame buffers. */

/* Five, or six, bits of a pixel as eight. */
static uint32_t widen5(uint32_t value)
{
	return (value & 31) << 3 | (value & 31) >> 2;
}

static uint32_t widen6(uint32_t value)
{
	return (value & 63) << 2 | (value & 63) >> 4;
}

static uint32_t linear_pixel(const struct vga *vga, const uint8_t *at)
{
	const unsigned bpp = vga->s.dispi[DISPI_BPP];
	const uint32_t half = bpp == 8 ? 0 : at[0] | (uint32_t)at[1] << 8;

	switch (bpp) {
	case 8:
		return vga_color256(vga, *at);
	case 15:
		return widen5(half >> 10) << 16 | widen5(half >> 5) << 8 | widen5(half);
	case 16:
		return widen5(half >> 11) << 16 | widen6(half >> 5) << 8 | widen5(half);
	default:
		return half | (uint32_t)at[2] << 16;
	}
}

static void render_linear(const struct vga *vga, uint32_t *pixels, size_t stride)
{
	const uint16_t *r = vga->s.dispi;
	const uint32_t bytes = (r[DISPI_BPP] + 7u) / 8;

	for (unsigned y = 0; y < r[DISPI_YRES]; y++) {
		const uint8_t *row = &vga->memory[((size_t)r[DISPI_Y_OFFSET] + y) *
							  vga_dispi_pitch(vga) +
						  (size_t)r[DISPI_X_OFFSET] * bytes];

		for (unsigned x = 0; x < r[DISPI_XRES]; x++)
			pixels[x] = linear_pixel(vga, row + (size_t)x * bytes);
		pixels += stride;
	}
}

/* The display. */

struct display_size vga_size(void *opaque)
{
	const struct vga *vga = opaque;
	const struct vga_raster r = vga_raster(vga);

	if (vga_is_linear(vga))
		return (struct display_size){ vga->s.dispi[DISPI_XRES], vga->s.dispi[DISPI_YRES],
					      0, 0 };
	if (r.text)
		return (struct display_size){ r.columns * r.dots, r.scans, r.columns,
					      r.scans / r.row_scans };
	return (struct display_size){ r.columns * pixels_per_fetch(vga), rows_shown(vga, &r),
				      0, 0 };
}

static void blank(struct vga *vga, uint32_t *pixels, size_t stride)
{
	const struct display_size size = vga_size(vga);

	for (unsigned y = 0; y < size.height; y++)
		memset(pixels + y * stride, 0, size.width * sizeof(*pixels));
}

static bool is_blanked(const struct vga *vga)
{
	return !(vga->s.attribute_index & AR_INDEX_SCREEN_ON) ||
	       (vga->s.sequencer[SEQ_CLOCKING] & CLOCKING_SCREEN_OFF);
}

void vga_render(void *opaque, uint32_t *pixels, size_t stride)
{
	struct vga *vga = opaque;
	const struct vga_raster raster = vga_raster(vga);

	if (is_blanked(vga))
		blank(vga, pixels, stride);
	else if (vga_is_linear(vga))
		render_linear(vga, pixels, stride);
	else if (raster.text)
		vga_render_text(vga, &raster, pixels, stride);
	else
		render_planes(vga, &raster, pixels, stride);
}
