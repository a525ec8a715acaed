/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VGA's registers. Retrace is where the clock says it is: the screen is drawn 70 times a
 * second, and software that waits for a retrace, or counts them, sees them pass.
 */
#include "vga_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_NS   (NS_PER_SECOND / 70)
#define SCAN_NS    (FRAME_NS / 449) /* 400 scan lines and 49 of blanking, as in text mode */
#define SHOWN_NS   (400 * SCAN_NS)
#define RETRACE_NS (412 * SCAN_NS)  /* begins 12 scan lines later and lasts two */

#define SENSE_COLOR 0x10 /* input status 0: a monitor answers */
#define STATUS_BLANK   0x01
#define STATUS_RETRACE 0x08

enum {
	PORT_ATTRIBUTE = 0x10, PORT_ATTRIBUTE_READ, PORT_MISC, PORT_SEQUENCER = 0x14,
	PORT_SEQUENCER_DATA, PORT_DAC_MASK, PORT_DAC_READ, PORT_DAC_WRITE, PORT_DAC_DATA,
	PORT_FEATURE_READ, PORT_MISC_READ = 0x1c,
	PORT_GRAPHICS = 0x1e, PORT_GRAPHICS_DATA, PORT_CRTC = 0x24, PORT_CRTC_DATA,
	PORT_STATUS = 0x2a,
};

/* Bits that registers have. */
static const uint8_t sequencer_bits[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t graphics_bits[9] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
static const uint8_t attribute_bits[0x15] = {
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};

/* CRTC. */

static void write_crtc(struct vga *vga, uint8_t value)
{
	const unsigned index = vga->s.crtc_index;
	uint8_t *crtc = vga->s.crtc, writable = 0xff;

	if (index >= sizeof(vga->s.crtc))
		return;
	if ((crtc[CRTC_RETRACE_END] & RETRACE_END_PROTECT) && index <= CRTC_OVERFLOW)
		writable = index == CRTC_OVERFLOW ? 0x10 : 0; /* line compare stays writable */
	crtc[index] = (uint8_t)((crtc[index] & ~writable) | (value & writable));
}

static uint8_t read_crtc(const struct vga *vga)
{
	return vga->s.crtc_index < sizeof(vga->s.crtc) ? vga->s.crtc[vga->s.crtc_index] : 0;
}

/* Input status 1. Reading it makes the next write of port 3c0h an index. */
static uint8_t read_status(struct vga *vga)
{
	const uint64_t in_frame = clock_now(&vga->clock) % FRAME_NS;
	const uint64_t in_scan = in_frame % SCAN_NS;
	uint8_t status = 0;

	vga->s.attribute_data = false;
	if (in_frame >= SHOWN_NS || in_scan >= SCAN_NS * 4 / 5)
		status |= STATUS_BLANK;
	if (in_frame >= RETRACE_NS && in_frame < RETRACE_NS + 2 * SCAN_NS)
		status |= STATUS_RETRACE;
	return status;
}

/* Attribute controller: one port takes index and data by turns. */

static void write_attribute(struct vga *vga, uint8_t value)
{
	const unsigned index = vga->s.attribute_index & 0x1f;
	const bool screen_on = vga->s.attribute_index & AR_INDEX_SCREEN_ON;

	vga->s.attribute_data = !vga->s.attribute_data;
	if (vga->s.attribute_data)
		vga->s.attribute_index = value & 0x3f;
	else if (index < sizeof(vga->s.attribute) && !(screen_on && index < AR_MODE))
		vga->s.attribute[index] = value & attribute_bits[index];
}

static uint8_t read_attribute(const struct vga *vga)
{
	const unsigned index = vga->s.attribute_index & 0x1f;

	return index < sizeof(vga->s.attribute) ? vga->s.attribute[index] : 0;
}

/* DAC: 256 colours of three components, which come one after the other. */

static unsigned dac_bits(const struct vga *vga)
{
	return vga->s.dispi[DISPI_ENABLE] & DISPI_8BIT_DAC ? 0xff : 0x3f;
}

static void start_dac(struct vga *vga, uint8_t index, bool reading)
{
	*(reading ? &vga->s.dac_read : &vga->s.dac_write) = index;
	vga->s.dac_component = 0;
	vga->s.dac_reading = reading;
}

/* The component that is next, of the colour that *index names. */
static uint8_t *next_component(struct vga *vga, uint8_t *index)
{
	uint8_t *component = &vga->s.dac[*index * 3 + vga->s.dac_component];

	if (++vga->s.dac_component == 3) {
		vga->s.dac_component = 0;
		++*index;
	}
	return component;
}

/* By port. */

uint8_t vga_port_read(struct vga *vga, unsigned port)
{
	struct vga_state *s = &vga->s;

	switch (port) {
	case PORT_ATTRIBUTE:
		return s->attribute_data ? 0 : s->attribute_index;
	case PORT_ATTRIBUTE_READ:
		return read_attribute(vga);
	case PORT_MISC:
		return SENSE_COLOR;
	case PORT_SEQUENCER:
		return s->sequencer_index;
	case PORT_SEQUENCER_DATA:
		return s->sequencer[s->sequencer_index];
	case PORT_DAC_MASK:
		return s->dac_mask;
	case PORT_DAC_READ:
		return s->dac_reading ? 3 : 0;
	case PORT_DAC_WRITE:
		return s->dac_write;
	case PORT_DAC_DATA:
		return *next_component(vga, &s->dac_read) & dac_bits(vga);
	case PORT_FEATURE_READ:
		return s->feature;
	case PORT_MISC_READ:
		return s->misc;
	case PORT_GRAPHICS:
		return s->graphics_index;
	case PORT_GRAPHICS_DATA:
		return s->graphics_index < sizeof(s->graphics) ? s->graphics[s->graphics_index] : 0;
	case PORT_CRTC:
		return s->crtc_index;
	case PORT_CRTC_DATA:
		return read_crtc(vga);
	case PORT_STATUS:
		return read_status(vga);
	default:
		return 0xff;
	}
}

static void write_graphics(struct vga *vga, uint8_t value)
{
	const unsigned index = vga->s.graphics_index;

	if (index < sizeof(vga->s.graphics))
		vga->s.graphics[index] = value & graphics_bits[index];
	vga_map_follow(vga);
}

/* Whether what is written to the port may show: what only says how memory is reached does not. */
static bool port_shows(const struct vga *vga, unsigned port)
{
	switch (port) {
	case PORT_SEQUENCER_DATA:
		return vga->s.sequencer_index == SEQ_CLOCKING || vga->s.sequencer_index == SEQ_FONT;
	case PORT_GRAPHICS_DATA:
		return vga->s.graphics_index == GC_MODE || vga->s.graphics_index == GC_MISC;
	case PORT_ATTRIBUTE: case PORT_MISC: case PORT_DAC_MASK: case PORT_DAC_DATA:
	case PORT_CRTC_DATA:
		return true;
	default:
		return false;
	}
}

void vga_port_write(struct vga *vga, unsigned port, uint8_t value)
{
	struct vga_state *s = &vga->s;

	vga->looks_new |= port_shows(vga, port);
	switch (port) {
	case PORT_ATTRIBUTE:
		write_attribute(vga, value);
		break;
	case PORT_MISC:
		s->misc = value;
		vga_map_follow(vga);
		break;
	case PORT_SEQUENCER:
		s->sequencer_index = value & 7;
		break;
	case PORT_SEQUENCER_DATA:
		s->sequencer[s->sequencer_index] = value & sequencer_bits[s->sequencer_index];
		vga_map_follow(vga);
		break;
	case PORT_DAC_MASK:
		s->dac_mask = value;
		break;
	case PORT_DAC_READ:
		start_dac(vga, value, true);
		break;
	case PORT_DAC_WRITE:
		start_dac(vga, value, false);
		break;
	case PORT_DAC_DATA:
		*next_component(vga, &s->dac_write) = value & (uint8_t)dac_bits(vga);
		break;
	case PORT_GRAPHICS:
		s->graphics_index = value & 15;
		break;
	case PORT_GRAPHICS_DATA:
		write_graphics(vga, value);
		break;
	case PORT_CRTC:
		s->crtc_index = value & 0x3f;
		break;
	case PORT_CRTC_DATA:
		write_crtc(vga, value);
		break;
	case PORT_STATUS:
		s->feature = value & 3;
		break;
	default:
		break;
	}
}

/* Ports 3b0h to 3bbh and 3d0h to 3dfh: the CRTC and status answer at one or the other. */

static bool answers(const struct vga *vga, unsigned port)
{
	const bool mono = port < 0x10, color = port >= 0x20;

	return !(vga->s.misc & MISC_COLOR ? mono : color);
}

static unsigned crtc_port(unsigned port)
{
	return port < 0x10 ? port + 0x20 : port;
}

static uint64_t port_read(struct vga *vga, unsigned port)
{
	return answers(vga, port) ? vga_port_read(vga, crtc_port(port)) : 0xff;
}

static void port_write(struct vga *vga, unsigned port, uint64_t value)
{
	if (answers(vga, port))
		vga_port_write(vga, crtc_port(port), (uint8_t)value);
}

static uint64_t mono_read(void *opaque, uint64_t offset, unsigned size)
{
	return port_read(opaque, (unsigned)offset);
}

static void mono_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	port_write(opaque, (unsigned)offset, value);
}

static uint64_t main_read(void *opaque, uint64_t offset, unsigned size)
{
	return port_read(opaque, PORT_ATTRIBUTE + (unsigned)offset);
}

static void main_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	port_write(opaque, PORT_ATTRIBUTE + (unsigned)offset, value);
}

/*
 * Ports 1ceh to 1d1h. The data register is a word at an odd address, which arrives as two bytes;
 * the upper one completes it.
 */

static uint64_t dispi_read(void *opaque, uint64_t offset, unsigned size)
{
	struct vga *vga = opaque;

	if (offset == 0)
		return vga->s.dispi_index;
	if (size == 2)
		return vga_dispi_read(vga);
	return vga_dispi_read(vga) >> (offset == 2 ? 8 : 0);
}

static void dispi_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct vga *vga = opaque;

	if (offset == 0)
		vga->s.dispi_index = (uint16_t)value;
	else if (size == 2)
		vga_dispi_write(vga, (uint16_t)value);
	else if (offset == 1)
		vga->s.dispi_low = (uint8_t)value;
	else if (offset == 2)
		vga_dispi_write(vga, (uint16_t)(value << 8 | vga->s.dispi_low));
}

/* The device. */

static void reset(void *opaque)
{
	struct vga *vga = opaque;

	memset(&vga->s, 0, sizeof(vga->s));
	vga->s.dac_mask = 0xff;
	vga_dispi_reset(vga);
	if (!vga->blank)
		memset(vga->memory, 0, VGA_MEMORY_SIZE);
	vga->blank = false;
	pci_function_reset(&vga->function);
	vga_map_reset(vga);
}

int vga_init(struct vga *vga, uint8_t devfn, const struct clock *clock,
	     const struct display_memory *shared)
{
	memset(vga, 0, sizeof(*vga));
	vga->clock = *clock;
	if (shared)
		vga->shared = *shared;
	vga->memory = vga->shared.store ? vga->shared.store : calloc(1, VGA_STORE_SIZE);
	vga->blank = true;
	vga_pci_init(vga, devfn);
	return vga->memory ? 0 : -ENOMEM;
}

void vga_destroy(struct vga *vga)
{
	if (!vga->shared.store)
		free(vga->memory);
	vga->memory = NULL;
}

struct display vga_display(struct vga *vga)
{
	return (struct display){ .size = vga_size, .render = vga_render, .text = vga_text,
				 .changed = vga_changed, .opaque = vga };
}

static const struct state_field state[] = {
	STATE_ANY(struct vga, s.misc),
	STATE_BITS(struct vga, s.feature, 3),
	STATE_BITS(struct vga, s.sequencer_index, 7),
	STATE_ANY_ARRAY(struct vga, s.sequencer),
	STATE_BITS(struct vga, s.crtc_index, 0x3f),
	STATE_ANY_ARRAY(struct vga, s.crtc),
	STATE_BITS(struct vga, s.graphics_index, 15),
	STATE_ANY_ARRAY(struct vga, s.graphics),
	STATE_BITS(struct vga, s.attribute_index, 0x3f),
	STATE_ANY_ARRAY(struct vga, s.attribute),
	STATE_FLAG(struct vga, s.attribute_data),
	STATE_ANY(struct vga, s.dac_mask),
	STATE_ANY(struct vga, s.dac_write),
	STATE_ANY(struct vga, s.dac_read),
	STATE_MOST(struct vga, s.dac_component, 2),
	STATE_FLAG(struct vga, s.dac_reading),
	STATE_ANY_ARRAY(struct vga, s.dac),
	STATE_ANY(struct vga, s.latch),
	STATE_ANY(struct vga, s.dispi_index),
	STATE_ANY_ARRAY(struct vga, s.dispi),
	STATE_ANY(struct vga, s.dispi_low),
	STATE_ANY_ARRAY(struct vga, function.config),
	STATE_END,
};

static const char *state_check(const void *opaque)
{
	const struct vga *vga = opaque;

	if (!pci_function_config_valid(&vga->function))
		return "function.config";
	return vga_dispi_valid(vga) ? NULL : "s.dispi";
}

static void loaded(void *opaque)
{
	struct vga *vga = opaque;

	pci_function_update_bars(&vga->function);
	vga_frame_follow(vga);
	vga_map_follow(vga);
	vga->looks_new = true;
}

static const struct bus_range ranges[] = {
	{ BUS_MMIO, VGA_WINDOW_BASE, VGA_WINDOW_SIZE, { vga_window_read, vga_window_write, 1, 4 } },
	{ BUS_PIO, 0x3b0, 12, { mono_read, mono_write, 1, 1 } },
	{ BUS_PIO, 0x3c0, 32, { main_read, main_write, 1, 1 } },
	{ BUS_PIO, 0x1ce, 4, { dispi_read, dispi_write, 1, 2 } },
};

const struct device_desc vga_desc = {
	.name = "vga",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct vga),
	.state_check = state_check,
	.loaded = loaded,
};
