/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VGA's Bochs extension and its PCI function. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vga_fixture.h"

TestSuite(vga_vbe, .init = vga_setup, .fini = vga_teardown);

#define FRAME 0xe0000000u
#define REGISTERS 0xe1000000u

enum { ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY };

static void dispi(uint16_t index, uint16_t value)
{
	bus_pio_write(v.bus, 0x1ce, index, 2);
	bus_pio_write(v.bus, 0x1cf, value, 2);
}

static uint16_t dispi_value(uint16_t index)
{
	bus_pio_write(v.bus, 0x1ce, index, 2);
	return (uint16_t)bus_pio_read(v.bus, 0x1cf, 2);
}

static void set_mode(uint16_t width, uint16_t height, uint16_t bpp)
{
	dispi(ENABLE, 0);
	dispi(XRES, width);
	dispi(YRES, height);
	dispi(BPP, bpp);
	dispi(ENABLE, 0x41);
}

static void config_write(unsigned offset, uint32_t value)
{
	bus_pio_write(v.bus, 0xcf8, 0x80001000u | offset, 4);
	bus_pio_write(v.bus, 0xcfc, value, 4);
}

static uint32_t config_read(unsigned offset)
{
	bus_pio_write(v.bus, 0xcf8, 0x80001000u | offset, 4);
	return bus_pio_read(v.bus, 0xcfc, 4);
}

static void map_bars(void)
{
	config_write(0x10, FRAME);
	config_write(0x18, REGISTERS);
	config_write(0x04, 2);
	attribute(0x12, 15); /* turns the screen on */
}

Test(vga_vbe, identity)
{
	cr_expect_eq(config_read(0), 0x11111234);
	cr_expect_eq(config_read(8) >> 8, 0x030000);
	config_write(0x10, 0xffffffff);
	cr_expect_eq(config_read(0x10), 0xff000008, "16 MiB, prefetchable");
	cr_expect_eq(dispi_value(ID), 0xb0c5);
	dispi(ID, 0xb0c0);
	cr_expect_eq(dispi_value(ID), 0xb0c0);
	dispi(ID, 0xb0c6);
	cr_expect_eq(dispi_value(ID), 0xb0c0, "no such version");
	cr_expect_eq(dispi_value(MEMORY), 256);
	dispi(ENABLE, 2);
	cr_expect_eq(dispi_value(XRES), 4096);
	cr_expect_eq(dispi_value(BPP), 32);
}

/* The index is a word: beyond the registers there is nothing, whatever its lower byte says. */
Test(vga_vbe, index_of_sixteen_bits)
{
	dispi(XRES, 0x320);
	cr_expect_eq(dispi_value(0x100 | ID), 0);
	cr_expect_eq(bus_pio_read(v.bus, 0x1ce, 2), 0x100 | ID);
	dispi(0x100 | XRES, 0x55);
	cr_expect_eq(dispi_value(XRES), 0x320);
	cr_expect_eq(bus_pio_read(v.bus, 0x1ce, 2), XRES);
}

Test(vga_vbe, option_rom)
{
	config_write(0x30, 0xffffffff);
	cr_expect_eq(config_read(0x30), 0xfffff001);
	map_bars();
	config_write(0x30, 0xe2000000);
	cr_expect_eq(mmio_read(0xe2000000, 4), 0xffffffff, "not enabled");
	config_write(0x30, 0xe2000001);
	cr_expect_eq(mmio_read(0xe2000000, 4), 0x0008aa55);
	mmio_write(0xe2000000, 0, 4);
	cr_expect_eq(mmio_read(0xe2000000, 2), 0xaa55);
	config_write(0x04, 0);
	cr_expect_eq(mmio_read(0xe2000000, 4), 0xffffffff, "memory is off");
}

Test(vga_vbe, pixels_of_every_depth)
{
	static const struct { uint16_t bpp; uint32_t stored, shown; } depths[] = {
		{ 8, 0x11, 0x04080c }, { 15, 0x7c1f, 0xff00ff }, { 16, 0x07e0, 0x00ff00 },
		{ 24, 0x123456, 0x123456 }, { 32, 0xff123456, 0x123456 },
	};

	map_bars();
	dac(0x11, 1, 2, 3);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(depths); i++) {
		const uint32_t bytes = (depths[i].bpp + 7u) / 8;

		set_mode(640, 480, depths[i].bpp);
		cr_assert_eq(dispi_value(ENABLE) & 1, 1);
		mmio_write(FRAME + (640 * 479 + 639) * bytes, depths[i].stored,
			   bytes == 3 ? 4 : bytes);
		cr_expect_eq(size().width, 640);
		cr_expect_eq(pixel(639, 479), depths[i].shown, "%u bits: %x", depths[i].bpp,
			     pixel(639, 479));
		cr_expect_eq(pixel(638, 479), 0);
	}
}

Test(vga_vbe, four_bits)
{
	map_bars();
	set_mode(800, 600, 4);
	seq(4, 0x06);
	gc(6, 0x05);
	gc(8, 0xff);
	out(0x3c2, 0xe3);
	for (uint8_t i = 0; i < 16; i++)
		attribute(i, i);
	dac(6, 0x3f, 0x3f, 0);
	seq(2, 0x06);
	poke(0xa0000 + 100 * 500 + 99, 0x01);
	cr_expect_eq(size().width, 800);
	cr_expect_eq(pixel(799, 500), 0xffff00);
}

Test(vga_vbe, banks)
{
	map_bars();
	set_mode(1024, 768, 32);
	out(0x3c2, 0xe3);
	gc(6, 0x05);
	dispi(BANK, 40);
	mmio_write(0xa0010, 0x00abcdef, 4);
	cr_expect_eq(mmio_read(FRAME + 40 * 0x10000 + 0x10, 4), 0x00abcdef);
	dispi(BANK, 256);
	cr_expect_eq(dispi_value(BANK), 40, "beyond memory");
}

Test(vga_vbe, panning)
{
	map_bars();
	set_mode(640, 480, 8);
	dispi(VIRT_WIDTH, 1024);
	cr_expect_eq(dispi_value(VIRT_HEIGHT), (16 << 20) / 1024);
	dispi(X_OFFSET, 384);
	dispi(Y_OFFSET, 100);
	dac(1, 0x3f, 0, 0);
	mmio_write(FRAME + 100 * 1024 + 384, 1, 1);
	cr_expect_eq(pixel(0, 0), 0xff0000);
	dispi(X_OFFSET, 385);
	cr_expect_eq(dispi_value(X_OFFSET), 384, "beyond the row");
	dispi(Y_OFFSET, (16 << 10) - 479);
	cr_expect_eq(dispi_value(Y_OFFSET), 100, "beyond memory");
	dispi(VIRT_WIDTH, 600);
	cr_expect_eq(dispi_value(VIRT_WIDTH), 1024, "narrower than the screen");
}

Test(vga_vbe, wider_rows_leave_no_offset_beyond_memory)
{
	map_bars();
	set_mode(640, 480, 32);
	dispi(Y_OFFSET, 6073);
	cr_assert_eq(dispi_value(Y_OFFSET), 6073);
	dispi(VIRT_WIDTH, 4096);
	cr_expect_eq(dispi_value(VIRT_WIDTH), 4096);
	cr_expect_eq(dispi_value(Y_OFFSET), 0);
	cr_expect_eq(pixel(639, 479), 0);
}

Test(vga_vbe, modes_that_cannot_be)
{
	static const struct { uint16_t width, height, bpp; } modes[] = {
		{ 0, 480, 8 }, { 640, 0, 8 }, { 4096, 4096, 32 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(modes); i++) {
		set_mode(modes[i].width, modes[i].height, modes[i].bpp);
		cr_expect_eq(dispi_value(ENABLE) & 1, 0, "mode %u", i);
		cr_expect_geq(size().width, 8);
	}
	set_mode(640, 480, 8);
	dispi(XRES, 800);
	dispi(BPP, 7);
	cr_expect_eq(dispi_value(XRES), 640, "not while the mode is on");
	dispi(ENABLE, 0);
	dispi(BPP, 7);
	cr_expect_eq(dispi_value(BPP), 8, "no such depth");
}

Test(vga_vbe, memory_is_cleared_unless_told_otherwise)
{
	map_bars();
	set_mode(640, 480, 8);
	mmio_write(FRAME, 0x55, 1);
	dispi(ENABLE, 0);
	dispi(ENABLE, 0xc1);
	cr_expect_eq(mmio_read(FRAME, 1), 0x55);
	dispi(ENABLE, 0);
	dispi(ENABLE, 0x41);
	cr_expect_eq(mmio_read(FRAME, 1), 0);
}

Test(vga_vbe, registers_in_memory)
{
	map_bars();
	mmio_write(REGISTERS + 0x500 + 2 * XRES, 320, 2);
	cr_expect_eq(dispi_value(XRES), 320);
	cr_expect_eq(mmio_read(REGISTERS + 0x500, 2), 0xb0c5);
	mmio_write(REGISTERS + 0x404, 0x0a02, 2); /* ports 3c4h and 3c5h */
	out(0x3c4, 2);
	cr_expect_eq(in(0x3c5), 0x0a);
	cr_expect_eq(mmio_read(REGISTERS + 0x600, 4), 0, "no registers of a later version");
}

Test(vga_vbe, wide_components_of_the_palette)
{
	map_bars();
	set_mode(640, 480, 8);
	dispi(ENABLE, 0x61);
	dac(0, 0x81, 0x42, 0x24);
	cr_expect_eq(pixel(0, 0), 0x814224);
}

Test(vga_vbe, saved_state)
{
	struct error error = { 0 };
	void *data;
	size_t bytes;
	uint16_t *saved_xres;
	uint64_t now;

	set_mode(640, 480, 8);
	dac(3, 1, 2, 3);
	cr_assert_eq(bus_save(v.bus, v.time.now, &data, &bytes), 0);
	set_mode(800, 600, 32);
	dac(3, 9, 9, 9);
	cr_assert_eq(bus_saved_clock(data, bytes, &now), 0);
	cr_assert_eq(bus_load(v.bus, data, bytes, &error), 0, "%s", error.text);
	cr_expect_eq(size().width, 640);
	cr_expect_eq(v.vga.s.dac[9], 1);
	saved_xres = memmem(data, bytes, "\x80\x02\xe0\x01\x08\x00", 6);
	cr_assert(saved_xres);
	memset(saved_xres, 0xff, 2); /* wider than any memory */
	cr_expect_neq(bus_load(v.bus, data, bytes, &error), 0);
	cr_expect(strstr(error.text, "dispi"), "%s", error.text);
	free(data);
}
