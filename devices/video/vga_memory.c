/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window at a0000h. A byte that is read comes with its neighbours of the other planes, which
 * stay in the latches; what is written is combined with them (write modes 0 to 3). Four bytes, one
 * of each plane, are worked on at once: plane p in byte p.
 */
#include "vga_internal.h"

#define PLANE_SIZE 0x10000u

/* Each bit of planes becomes a byte. */
static uint32_t spread(unsigned planes)
{
	return (planes & 1 ? 0xffu : 0) | (planes & 2 ? 0xff00u : 0) |
	       (planes & 4 ? 0xff0000u : 0) | (planes & 8 ? 0xff000000u : 0);
}

static uint32_t replicate(uint8_t byte)
{
	return byte * 0x01010101u;
}

/* Where the window lies in video memory that is shown as planes, or is linear. */
static bool decode(const struct vga *vga, uint64_t *offset)
{
	static const struct { uint32_t first, size; } maps[4] = {
		{ 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 },
	};
	const unsigned map = vga->s.graphics[GC_MISC] >> 2 & 3;

	if (!(vga->s.misc & MISC_RAM_ENABLE) || *offset - maps[map].first >= maps[map].size)
		return false;
	*offset -= maps[map].first;
	return true;
}

/* Where byte offset of the window is, for bank 64 KiB each. */
static uint8_t *linear_at(const struct vga *vga, uint64_t offset)
{
	const uint64_t bank = vga->s.dispi[DISPI_BANK];

	return &vga->memory[(bank << 16 | (offset & 0xffff)) % VGA_MEMORY_SIZE];
}

static uint32_t planes_at(const struct vga *vga, uint64_t offset)
{
	const uint64_t bank = vga_dispi_on(vga) ? vga->s.dispi[DISPI_BANK] : 0;

	return (uint32_t)((bank * PLANE_SIZE + (offset & (PLANE_SIZE - 1))) * 4 % VGA_MEMORY_SIZE);
}

static bool is_chain4(const struct vga *vga)
{
	return vga->s.sequencer[SEQ_MEMORY_MODE] & MEMORY_CHAIN4;
}

static bool writes_odd_even(const struct vga *vga)
{
	return !(vga->s.sequencer[SEQ_MEMORY_MODE] & MEMORY_SEQUENTIAL);
}

/* Reads. */

static uint8_t compare_colors(const struct vga *vga)
{
	const uint8_t *gc = vga->s.graphics;
	uint32_t differ = (vga->s.latch ^ spread(gc[GC_COLOR_COMPARE])) & spread(gc[GC_COLOR_CARE]);

	differ |= differ >> 16;
	return (uint8_t)~(differ | differ >> 8);
}

static uint8_t read_planes(struct vga *vga, uint64_t offset)
{
	const uint8_t *gc = vga->s.graphics;
	unsigned plane = gc[GC_READ_MAP] & 3;

	if (is_chain4(vga)) {
		plane = offset & 3;
		offset &= ~3ull;
	} else if (gc[GC_MODE] & GC_MODE_ODD_EVEN) {
		plane = (plane & 2) | (offset & 1);
		offset &= ~1ull;
	}
	vga->s.latch = vga_planes_load(vga, planes_at(vga, offset));
	if (gc[GC_MODE] & GC_MODE_COMPARE)
		return compare_colors(vga);
	return (uint8_t)(vga->s.latch >> (8 * plane));
}

static uint8_t read_byte(struct vga *vga, uint64_t offset)
{
	if (!decode(vga, &offset))
		return 0xff;
	return vga_is_linear(vga) ? *linear_at(vga, offset) : read_planes(vga, offset);
}

uint64_t vga_window_read(void *opaque, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_byte(opaque, offset + i) << (8 * i);
	vga_window_accessed(opaque);
	return value;
}

/* Writes. */

static uint8_t rotated(const struct vga *vga, uint8_t value)
{
	const unsigned by = vga->s.graphics[GC_ROTATE] & 7;

	return (uint8_t)(value >> by | value << (8 - by));
}

/* data combined with the latches as the data rotate register says, where mask has ones. */
static uint32_t combine(const struct vga *vga, uint32_t data, uint32_t mask)
{
	const uint32_t latch = vga->s.latch;

	switch (vga->s.graphics[GC_ROTATE] >> 3 & 3) {
	case 1:
		data &= latch;
		break;
	case 2:
		data |= latch;
		break;
	case 3:
		data ^= latch;
		break;
	default:
		break;
	}
	return (data & mask) | (latch & ~mask);
}

/* What the four planes get when the processor writes value. */
static uint32_t written(const struct vga *vga, uint8_t value)
{
	const uint8_t *gc = vga->s.graphics;
	const uint32_t bits = replicate(gc[GC_BIT_MASK]), set = spread(gc[GC_SET_RESET]);
	const uint32_t enable = spread(gc[GC_ENABLE_SET_RESET]);

	switch (gc[GC_MODE] & GC_MODE_WRITE) {
	case 0:
		return combine(vga, (replicate(rotated(vga, value)) & ~enable) | (set & enable),
			       bits);
	case 1:
		return vga->s.latch;
	case 2:
		return combine(vga, spread(value), bits);
	default:
		return combine(vga, set, replicate(rotated(vga, value)) & bits);
	}
}

static void write_planes(struct vga *vga, uint64_t offset, uint8_t value)
{
	unsigned planes = vga->s.sequencer[SEQ_MAP_MASK] & 15;
	const uint32_t data = written(vga, value);
	uint32_t at, mask;

	if (is_chain4(vga)) {
		planes &= 1u << (offset & 3);
		offset &= ~3ull;
	} else if (writes_odd_even(vga)) {
		planes &= offset & 1 ? 10 : 5;
		offset &= ~1ull;
	}
	at = planes_at(vga, offset);
	mask = spread(planes);
	vga_planes_store(vga, at, (vga_planes_load(vga, at) & ~mask) | (data & mask));
}

static void write_byte(struct vga *vga, uint64_t offset, uint8_t value)
{
	if (!decode(vga, &offset))
		return;
	if (!vga_is_linear(vga)) {
		write_planes(vga, offset, value);
		return;
	}
	*linear_at(vga, offset) = value;
	vga_stored(vga, (uint32_t)(linear_at(vga, offset) - vga->memory));
}

void vga_window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(opaque, offset + i, (uint8_t)(value >> (8 * i)));
	vga_window_accessed(opaque);
}
