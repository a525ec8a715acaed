/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Bochs VBE extension: an index and a data register, by which software chooses any resolution.
 * What cannot be shown is not taken: a register keeps its old value then, which software reads back
 * to find out.
 */
#include "vga_internal.h"

#include <string.h>

#define ID_FIRST 0xb0c0
#define ID_LAST  0xb0c5
#define MOST_WIDTH  4096
#define MOST_HEIGHT 4096
#define MOST_BPP    32
#define BANK_SIZE   0x10000u

static uint32_t bits_per_pixel(const struct vga *vga)
{
	return vga->s.dispi[DISPI_BPP] == 15 ? 16 : vga->s.dispi[DISPI_BPP];
}

static uint32_t pitch_for(const struct vga *vga, uint32_t width)
{
	/* a byte of four planes holds eight pixels */
	return vga->s.dispi[DISPI_BPP] == 4 ? width / 2 : width * bits_per_pixel(vga) / 8;
}

uint32_t vga_dispi_pitch(const struct vga *vga)
{
	return pitch_for(vga, vga->s.dispi[DISPI_VIRT_WIDTH]);
}

static bool is_depth(uint16_t bpp)
{
	return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

/* Rows that video memory has room for. */
static uint16_t virtual_height(const struct vga *vga)
{
	const uint32_t pitch = vga_dispi_pitch(vga), rows = pitch ? VGA_MEMORY_SIZE / pitch : 0;

	return (uint16_t)(rows > UINT16_MAX ? UINT16_MAX : rows);
}

static bool offsets_fit(const struct vga *vga, uint32_t x, uint32_t y)
{
	const uint16_t *r = vga->s.dispi;

	return x + r[DISPI_XRES] <= r[DISPI_VIRT_WIDTH] &&
	       y + r[DISPI_YRES] <= r[DISPI_VIRT_HEIGHT];
}

/* Offsets that no longer fit into memory go: wider rows are fewer. */
static bool set_virtual_width(struct vga *vga, uint16_t width)
{
	const uint16_t old = vga->s.dispi[DISPI_VIRT_WIDTH];

	width = (uint16_t)((width + 7u) & ~7u);
	vga->s.dispi[DISPI_VIRT_WIDTH] = width;
	if (width >= vga->s.dispi[DISPI_XRES] && width &&
	    virtual_height(vga) >= vga->s.dispi[DISPI_YRES]) {
		vga->s.dispi[DISPI_VIRT_HEIGHT] = virtual_height(vga);
		if (!offsets_fit(vga, vga->s.dispi[DISPI_X_OFFSET], vga->s.dispi[DISPI_Y_OFFSET]))
			vga->s.dispi[DISPI_X_OFFSET] = vga->s.dispi[DISPI_Y_OFFSET] = 0;
		return true;
	}
	vga->s.dispi[DISPI_VIRT_WIDTH] = old;
	return false;
}

static void turn_on(struct vga *vga, uint16_t enable)
{
	uint16_t *r = vga->s.dispi;

	r[DISPI_BANK] = r[DISPI_X_OFFSET] = r[DISPI_Y_OFFSET] = 0;
	if (!r[DISPI_XRES] || !r[DISPI_YRES] || !is_depth(r[DISPI_BPP]) ||
	    !set_virtual_width(vga, r[DISPI_XRES])) {
		r[DISPI_ENABLE] &= (uint16_t)~DISPI_ENABLED;
		return;
	}
	if (!(enable & DISPI_NO_CLEAR))
		memset(vga->memory, 0, (size_t)vga_dispi_pitch(vga) * r[DISPI_YRES]);
}

static void write_enable(struct vga *vga, uint16_t value)
{
	const bool was_on = vga_dispi_on(vga);

	vga->s.dispi[DISPI_ENABLE] = value & (DISPI_ENABLED | DISPI_CAPS | DISPI_8BIT_DAC |
					      DISPI_LFB | DISPI_NO_CLEAR);
	if ((value & DISPI_ENABLED) && !was_on)
		turn_on(vga, value);
	else if (!(value & DISPI_ENABLED))
		vga->s.dispi[DISPI_BANK] = 0;
}

/* Whether register index takes value now. Resolution and depth wait until the mode is off. */
static bool is_taken(const struct vga *vga, unsigned index, uint16_t value)
{
	switch (index) {
	case DISPI_ID:
		return value >= ID_FIRST && value <= ID_LAST;
	case DISPI_XRES:
		return !vga_dispi_on(vga) && value <= MOST_WIDTH;
	case DISPI_YRES:
		return !vga_dispi_on(vga) && value <= MOST_HEIGHT;
	case DISPI_BPP:
		return !vga_dispi_on(vga) && is_depth(value);
	case DISPI_BANK:
		return value < VGA_MEMORY_SIZE / BANK_SIZE;
	case DISPI_X_OFFSET:
		return vga_dispi_on(vga) && offsets_fit(vga, value, vga->s.dispi[DISPI_Y_OFFSET]);
	case DISPI_Y_OFFSET:
		return vga_dispi_on(vga) && offsets_fit(vga, vga->s.dispi[DISPI_X_OFFSET], value);
	default:
		return false;
	}
}

/* Rows are whole groups of eight pixels; no depth means eight bits. */
static uint16_t meant(unsigned index, uint16_t value)
{
	if (index == DISPI_XRES)
		return value & ~7;
	return index == DISPI_BPP && !value ? 8 : value;
}

void vga_dispi_write(struct vga *vga, uint16_t value)
{
	const unsigned index = vga->s.dispi_index;

	value = meant(index, value);
	if (index == DISPI_ENABLE) {
		vga_map_leave(vga); /* it may clear memory */
		write_enable(vga, value);
	} else if (index == DISPI_VIRT_WIDTH) {
		(void)(vga_dispi_on(vga) && set_virtual_width(vga, value));
	} else if (is_taken(vga, index, value)) {
		vga->s.dispi[index] = value;
	}
	vga->looks_new |= index != DISPI_BANK;
	vga_map_follow(vga);
}

uint16_t vga_dispi_read(const struct vga *vga)
{
	static const uint16_t most[] = { [DISPI_XRES] = MOST_WIDTH, [DISPI_YRES] = MOST_HEIGHT,
					 [DISPI_BPP] = MOST_BPP };
	const unsigned index = vga->s.dispi_index;

	if (index == DISPI_MEMORY_64K)
		return VGA_MEMORY_SIZE / BANK_SIZE;
	if (index >= VGA_DISPI_REGISTERS)
		return 0;
	if ((vga->s.dispi[DISPI_ENABLE] & DISPI_CAPS) && index >= DISPI_XRES && index <= DISPI_BPP)
		return most[index];
	return vga->s.dispi[index];
}

void vga_dispi_reset(struct vga *vga)
{
	vga->s.dispi_index = 0;
	memset(vga->s.dispi, 0, sizeof(vga->s.dispi));
	vga->s.dispi[DISPI_ID] = ID_LAST;
	vga->s.dispi[DISPI_BPP] = 8;
}

bool vga_dispi_valid(const struct vga *vga)
{
	const uint16_t *r = vga->s.dispi;

	if (r[DISPI_ID] < ID_FIRST || r[DISPI_ID] > ID_LAST || !is_depth(r[DISPI_BPP]) ||
	    r[DISPI_BANK] >= VGA_MEMORY_SIZE / BANK_SIZE ||
	    r[DISPI_XRES] > MOST_WIDTH || r[DISPI_XRES] % 8 ||
	    r[DISPI_YRES] > MOST_HEIGHT)
		return false;
	return !vga_dispi_on(vga) ||
	       (r[DISPI_XRES] && r[DISPI_YRES] && r[DISPI_VIRT_HEIGHT] == virtual_height(vga) &&
		offsets_fit(vga, r[DISPI_X_OFFSET], r[DISPI_Y_OFFSET]));
}
