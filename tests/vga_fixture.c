/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vga_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct vga_fixture v;

void vga_setup(void)
{
	struct clock clock;
	struct error error = { 0 };

	memset(&v, 0, sizeof(v));
	clock = fake_clock_interface(&v.time);
	cr_assert_eq(bus_create(&v.bus), 0);
	pci_host_init(&v.host, v.bus);
	cr_assert_eq(vga_init(&v.vga, PCI_DEVFN(2, 0), &clock, NULL), 0);
	memcpy(v.rom, "\x55\xaa\x08", 3);
	pci_function_rom(&v.vga.function, v.rom, sizeof(v.rom));
	pci_host_add(&v.host, &v.vga.function);
	cr_assert_eq(bus_attach(v.bus, &pci_host_desc, &v.host, 0, &error), 0, "%s", error.text);
	cr_assert_eq(bus_attach(v.bus, &vga_desc, &v.vga, 0, &error), 0, "%s", error.text);
	bus_reset_all(v.bus);
	out(0x3c2, 0x67); /* the CRTC is at 3d4h */
	v.display = vga_display(&v.vga);
}

void vga_teardown(void)
{
	bus_detach(v.bus, &v.vga);
	bus_detach(v.bus, &v.host);
	vga_destroy(&v.vga);
	bus_destroy(v.bus);
}

/* Registers. */

static void indexed(uint16_t port, uint8_t index, uint8_t value)
{
	bus_pio_write(v.bus, port, (uint32_t)value << 8 | index, 2);
}

void seq(uint8_t index, uint8_t value)
{
	indexed(0x3c4, index, value);
}

void crtc(uint8_t index, uint8_t value)
{
	indexed(0x3d4, index, value);
}

void gc(uint8_t index, uint8_t value)
{
	indexed(0x3ce, index, value);
}

void attribute(uint8_t index, uint8_t value)
{
	in(0x3da);
	out(0x3c0, index);
	out(0x3c0, value);
	out(0x3c0, 0x20);
}

void dac(uint8_t index, uint8_t red, uint8_t green, uint8_t blue)
{
	out(0x3c8, index);
	out(0x3c9, red);
	out(0x3c9, green);
	out(0x3c9, blue);
}

void glyph(uint8_t character, unsigned row, uint8_t bits)
{
	seq(2, 0x04);
	seq(4, 0x06);
	gc(5, 0x00);
	gc(6, 0x05);
	poke(0xa0000 + character * 32u + row, bits);
	seq(2, 0x03);
	seq(4, 0x02);
	gc(5, 0x10);
	gc(6, 0x0e);
}

/* Modes, as the IBM reference lists their registers. */

struct mode {
	uint8_t misc, sequencer[5], crtc[25], graphics[9], attribute_mode;
};

static const struct mode text = {
	0x67, { 0x03, 0x00, 0x03, 0x00, 0x02 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00,
	  0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff }, 0x0c,
};

static const struct mode graphics_12h = {
	0xe3, { 0x03, 0x01, 0x0f, 0x00, 0x06 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
	  0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff }, 0x01,
};

static const struct mode graphics_13h = {
	0x63, { 0x03, 0x01, 0x0f, 0x00, 0x0e },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00,
	  0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff }, 0x41,
};

static const struct mode cga_4 = {
	0x63, { 0x03, 0x09, 0x03, 0x00, 0x02 },
	{ 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00,
	  0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
	{ 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff }, 0x01,
};

static void set_mode(const struct mode *mode)
{
	out(0x3c2, mode->misc);
	for (uint8_t i = 0; i < 5; i++)
		seq(i, mode->sequencer[i]);
	crtc(0x11, 0);
	for (uint8_t i = 0; i < 25; i++)
		crtc(i, mode->crtc[i]);
	for (uint8_t i = 0; i < 9; i++)
		gc(i, mode->graphics[i]);
	for (uint8_t i = 0; i < 16; i++)
		attribute(i, i);
	attribute(0x10, mode->attribute_mode);
	attribute(0x12, 0x0f);
	attribute(0x13, 0);
	attribute(0x14, 0);
}

void planar(void) { set_mode(&graphics_12h); }
void text_mode(void) { set_mode(&text); }
void mode_12h(void) { set_mode(&graphics_12h); }
void mode_13h(void) { set_mode(&graphics_13h); }
void cga_mode_4(void) { set_mode(&cga_4); }

/* What there is. */

uint32_t planes(uint32_t offset)
{
	uint32_t value;

	memcpy(&value, v.vga.memory + 4 * (size_t)offset, sizeof(value));
	return value;
}

struct display_size size(void)
{
	return v.display.size(v.display.opaque);
}

uint32_t pixel(unsigned x, unsigned y)
{
	const struct display_size s = size();
	uint32_t *pixels = malloc((size_t)s.width * s.height * sizeof(*pixels)), found;

	cr_assert(x < s.width && y < s.height, "%u, %u of %u x %u", x, y, s.width, s.height);
	v.display.render(v.display.opaque, pixels, s.width);
	found = pixels[y * s.width + x];
	free(pixels);
	return found;
}
