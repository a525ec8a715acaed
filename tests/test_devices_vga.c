/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VGA: registers, the window in all its modes, what the screen shows. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "vga_fixture.h"

TestSuite(vga, .init = vga_setup, .fini = vga_teardown);

/* Registers. */

Test(vga, attribute_port_takes_index_and_data_by_turns)
{
	in(0x3da);
	out(0x3c0, 0x05);
	out(0x3c0, 0x2a);
	cr_expect_eq(in(0x3c0), 0x05);
	cr_expect_eq(in(0x3c1), 0x2a);
	out(0x3c0, 0x25); /* the palette is in use: it takes no data */
	out(0x3c0, 0x11);
	cr_expect_eq(in(0x3c1), 0x2a);
	out(0x3c0, 0x06);
	in(0x3da); /* the next is an index again */
	out(0x3c0, 0x13);
	out(0x3c0, 0xff);
	cr_expect_eq(in(0x3c1), 0x0f);
}

Test(vga, crtc_registers_are_protected)
{
	crtc(0x11, 0);
	crtc(0x07, 0x00);
	crtc(0x01, 0x4f);
	crtc(0x11, 0x80);
	crtc(0x01, 0x27);
	crtc(0x07, 0xff);
	out(0x3d4, 0x01);
	cr_expect_eq(in(0x3d5), 0x4f);
	out(0x3d4, 0x07);
	cr_expect_eq(in(0x3d5), 0x10, "but for line compare");
	out(0x3d4, 0x3f);
	out(0x3d5, 0x55);
	cr_expect_eq(in(0x3d5), 0, "there is no such register");
}

/* Naming a register changes none. */
Test(vga, each_register_has_its_bits)
{
	static const struct {
		uint16_t port;
		uint8_t bits[9];
	} chips[] = {
		{ 0x3c4, { 0x03, 0x3d, 0x0f, 0x3f, 0x0e } },
		{ 0x3ce, { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff } },
	};

	for (unsigned c = 0; c < RF_ARRAY_SIZE(chips); c++) {
		const unsigned count = c ? 9 : 5;

		for (unsigned pass = 0; pass < 2; pass++) {
			for (unsigned i = 0; i < count; i++) {
				out(chips[c].port, (uint8_t)i);
				out(chips[c].port + 1, pass ? 0xff : 0);
			}
			for (unsigned i = 0; i < count; i++) {
				out(chips[c].port, (uint8_t)i);
				cr_expect_eq(in(chips[c].port), i);
				cr_expect_eq(in(chips[c].port + 1), pass ? chips[c].bits[i] : 0,
					     "%x, %u", chips[c].port, i);
			}
		}
	}
	out(0x3ce, 0x0f);
	out(0x3cf, 0xff);
	cr_expect_eq(in(0x3cf), 0, "there is no such register");
}

Test(vga, each_register_of_the_crtc)
{
	crtc(0x11, 0x0f); /* bit 7 alone protects */
	for (unsigned i = 0; i < 0x19; i++)
		crtc((uint8_t)i, (uint8_t)(i == 0x11 ? 0x4f : 0xe0 + i));
	for (unsigned i = 0; i < 0x19; i++) {
		out(0x3d4, (uint8_t)i);
		cr_expect_eq(in(0x3d4), i);
		cr_expect_eq(in(0x3d5), i == 0x11 ? 0x4f : 0xe0 + i, "%x", i);
	}
	crtc(0x11, 0x8f);
	for (unsigned i = 0; i < 0x19; i++)
		if (i != 0x11)
			crtc((uint8_t)i, 0);
	for (unsigned i = 0; i < 0x19; i++) {
		out(0x3d4, (uint8_t)i);
		cr_expect_eq(in(0x3d5), i == 0x11 ? 0x8f : i > 7 ? 0 : i == 7 ? 0xe7 & ~0x10 :
			     0xe0 + i, "%x", i);
	}
}

Test(vga, each_register_of_the_attributes)
{
	for (unsigned i = 0; i < 0x20; i++) {
		uint8_t bits = i < 0x10 ? 0x3f : i == 0x10 ? 0xef : i == 0x11 ? 0xff : 0x3f;

		if (i > 0x12)
			bits = i < 0x15 ? 0x0f : 0;
		in(0x3da);
		out(0x3c0, (uint8_t)i);
		out(0x3c0, 0xff);
		cr_expect_eq(in(0x3c1), bits, "%x", i);
	}
}

Test(vga, single_registers)
{
	for (unsigned value = 0; value < 4; value++) {
		out(0x3da, (uint8_t)(0xfc | value));
		cr_expect_eq(in(0x3ca), value);
	}
	out(0x3c6, 0x5a);
	cr_expect_eq(in(0x3c6), 0x5a);
	cr_expect_eq(in(0x3c2) & 0x10, 0x10, "a colour monitor");
}

/* What a write changes of what can be read elsewhere: one register, or none. */
Test(vga, ports_leave_each_other_alone)
{
	static const struct { uint16_t written, changed; } ports[] = {
		{ 0x3c0, 0x3c0 }, { 0x3c2, 0x3cc }, { 0x3c4, 0x3c4 }, { 0x3c5, 0 },
		{ 0x3c6, 0x3c6 }, { 0x3c7, 0x3c7 }, { 0x3c8, 0x3c8 }, { 0x3c9, 0 },
		{ 0x3ce, 0x3ce }, { 0x3cf, 0 }, { 0x3d4, 0x3d4 }, { 0x3d5, 0 }, { 0x3da, 0x3ca },
	};
	static const struct { uint16_t port, from; uint8_t value; } before[] = {
		{ 0x3c0, 0x3c0, 0x06 }, { 0x3c2, 0x3cc, 0x67 }, { 0x3c4, 0x3c4, 0x02 },
		{ 0x3c6, 0x3c6, 0xff }, { 0x3c8, 0x3c8, 0x11 }, { 0x3ce, 0x3ce, 0x03 },
		{ 0x3d4, 0x3d4, 0x0e }, { 0x3da, 0x3ca, 0x02 }, { 0, 0x3c7, 0x00 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(ports); i++) {
		in(0x3da);
		for (unsigned n = 0; n < RF_ARRAY_SIZE(before); n++)
			if (before[n].port)
				out(before[n].port, before[n].value);
		in(0x3da);
		out(ports[i].written, 0x55);
		in(0x3da);
		for (unsigned n = 0; n < RF_ARRAY_SIZE(before); n++)
			cr_expect_eq(in(before[n].from) != before[n].value,
				     before[n].from == ports[i].changed, "%x after %x",
				     before[n].from, ports[i].written);
	}
}

Test(vga, color_or_monochrome_addresses)
{
	out(0x3c2, 0x67);
	out(0x3d4, 0x0e);
	out(0x3d5, 0x12);
	cr_expect_eq(in(0x3b5), 0xff);
	out(0x3c2, 0x66);
	cr_expect_eq(in(0x3cc), 0x66);
	cr_expect_eq(in(0x3d5), 0xff);
	cr_expect_eq(in(0x3b5), 0x12);
}

Test(vga, dac_counts_through_colors)
{
	static const uint8_t colors[] = { 1, 2, 3, 0x3f, 0xff, 0x40 };

	out(0x3c8, 255);
	for (unsigned i = 0; i < 6; i++)
		out(0x3c9, colors[i]);
	cr_expect_eq(in(0x3c8), 1);
	cr_expect_eq(in(0x3c7), 0, "writing");
	out(0x3c7, 255);
	cr_expect_eq(in(0x3c7), 3, "reading");
	for (unsigned i = 0; i < 6; i++)
		cr_expect_eq(in(0x3c9), colors[i] & 0x3f);
}

Test(vga, retrace_comes_and_goes)
{
	unsigned retraces = 0;
	bool was = false;

	for (unsigned us = 0; us < 1000000; us += 20) {
		bool now = in(0x3da) & 8;

		retraces += now && !was;
		was = now;
		v.time.now += 20000;
	}
	cr_expect(retraces >= 69 && retraces <= 71, "%u", retraces);
}

/* The window. */

Test(vga, write_mode_0)
{
	planar();
	seq(2, 0x0f);
	poke(0xa0000, 0x81);
	cr_expect_eq(planes(0), 0x81818181);
	seq(2, 0x05);
	poke(0xa0000, 0x0f);
	cr_expect_eq(planes(0), 0x810f810f, "map mask");
	seq(2, 0x0f);
	gc(0, 0x0a);
	gc(1, 0x0e);
	poke(0xa0001, 0x3c);
	cr_expect_eq(planes(1), 0xff00ff3c, "set/reset where enabled");
	gc(1, 0);
	gc(3, 3);
	poke(0xa0002, 0x0f);
	cr_expect_eq(planes(2), 0xe1e1e1e1, "rotated");
}

Test(vga, bit_mask_keeps_the_latches)
{
	planar();
	poke(0xa0000, 0x55);
	poke(0xa0001, 0x00);
	peek(0xa0000);
	gc(8, 0x0f);
	poke(0xa0001, 0xaa);
	cr_expect_eq(planes(1), 0x5a5a5a5a);
}

Test(vga, logical_functions)
{
	static const uint8_t results[] = { 0x33, 0x11, 0x77, 0x66 };

	planar();
	for (unsigned function = 0; function < 4; function++) {
		gc(3, 0);
		poke(0xa0000, 0x55);
		peek(0xa0000);
		gc(3, (uint8_t)(function << 3));
		poke(0xa0004, 0x33);
		cr_expect_eq(planes(4) & 0xff, results[function], "function %u", function);
	}
}

Test(vga, write_modes_1_to_3)
{
	planar();
	seq(2, 1);
	poke(0xa0000, 0x11);
	seq(2, 8);
	poke(0xa0000, 0x88);
	seq(2, 15);
	peek(0xa0000);
	gc(5, 1);
	poke(0xa0010, 0xee);
	cr_expect_eq(planes(0x10), planes(0), "latches");
	gc(5, 2);
	gc(8, 0xf0);
	peek(0xa0020);
	poke(0xa0020, 0x06);
	cr_expect_eq(planes(0x20), 0x00f0f000, "a bit for each plane, under the bit mask");
	gc(5, 3);
	gc(8, 0x3c);
	gc(0, 0x05);
	peek(0xa0030);
	poke(0xa0030, 0x0f);
	cr_expect_eq(planes(0x30), 0x000c000c, "set/reset where data and bit mask have ones");
}

Test(vga, read_modes)
{
	planar();
	for (unsigned plane = 0; plane < 4; plane++) {
		seq(2, (uint8_t)(1 << plane));
		poke(0xa0000, (uint8_t)(0x10 + plane));
	}
	for (unsigned plane = 0; plane < 4; plane++) {
		gc(4, (uint8_t)plane);
		cr_expect_eq(peek(0xa0000), 0x10 + plane);
	}
	/* pixel colours, bit 7 first: 0 0 0 f 0 0 c a */
	gc(5, 8);
	gc(2, 0x0f);
	gc(7, 0x0f);
	cr_expect_eq(peek(0xa0000), 0x10);
	gc(2, 0x0c);
	cr_expect_eq(peek(0xa0000), 0x02);
	gc(7, 0x08);
	cr_expect_eq(peek(0xa0000), 0x13, "only plane 3 is compared");
	gc(7, 0);
	cr_expect_eq(peek(0xa0000), 0xff);
}

Test(vga, where_the_window_is)
{
	static const struct { uint8_t map; gpa_t first, end; } maps[] = {
		{ 0, { 0xa0000 }, { 0xc0000 } }, { 1, { 0xa0000 }, { 0xb0000 } },
		{ 2, { 0xb0000 }, { 0xb8000 } }, { 3, { 0xb8000 }, { 0xc0000 } },
	};

	planar();
	for (unsigned i = 0; i < 4; i++) {
		gc(6, (uint8_t)(1 | maps[i].map << 2));
		poke((uint32_t)maps[i].first.v, (uint8_t)(0x21 + i));
		cr_expect_eq(planes(0) & 0xff, 0x21 + i, "map %u", i);
		for (uint32_t at = 0xa0000; at < 0xc0000; at += 0x8000)
			if (at < maps[i].first.v || at >= maps[i].end.v)
				cr_expect_eq(peek(at), 0xff, "map %u, %x", i, at);
	}
	out(0x3c2, 0x65);
	cr_expect_eq(peek(0xb8000), 0xff, "memory is off");
}

Test(vga, odd_and_even_bytes_of_text)
{
	text_mode();
	mmio_write(0xb8000, 0x07410742, 4);
	cr_expect_eq(planes(0) & 0xffff, 0x0742);
	cr_expect_eq(planes(2) & 0xffff, 0x0741);
	cr_expect_eq(planes(1), 0, "odd addresses are not used");
	cr_expect_eq(peek(0xb8000), 0x42);
	cr_expect_eq(peek(0xb8001), 0x07);
	cr_expect_eq(peek(0xb8003), 0x07);
}

Test(vga, chained_planes)
{
	mode_13h();
	mmio_write(0xa0004, 0x44332211, 4);
	cr_expect_eq(planes(4), 0x44332211);
	cr_expect_eq(peek(0xa0006), 0x33);
	seq(2, 0x02);
	mmio_write(0xa0004, 0xffffffff, 4);
	cr_expect_eq(planes(4), 0x4433ff11, "map mask");
}

/* Pictures. */

Test(vga, text)
{
	struct display_cell *cells;
	struct display_cursor cursor;

	text_mode();
	for (unsigned i = 0; i < 80 * 30; i++)
		mmio_write(0xb8000 + 2 * i, 0x0700 | (i & 0xff), 2);
	cr_assert_eq(size().columns, 80);
	cr_assert_eq(size().rows, 25);
	cr_expect_eq(size().width, 720);
	cr_expect_eq(size().height, 400);
	cells = calloc(80 * 25, sizeof(*cells));
	crtc(0x0d, 80); /* a row further down */
	crtc(0x0f, 80 + 85);
	cr_expect(v.display.text(v.display.opaque, cells, &cursor));
	for (unsigned i = 0; i < 80 * 25; i++)
		cr_assert_eq(cells[i].character, (i + 80) & 0xff, "%u", i);
	cr_expect(cursor.visible && cursor.column == 5 && cursor.row == 1);
	crtc(0x0a, 0x20);
	v.display.text(v.display.opaque, cells, &cursor);
	cr_expect(!cursor.visible);
	free(cells);
	gc(6, 5);
	cr_expect(!v.display.text(v.display.opaque, NULL, NULL));
}

Test(vga, glyphs)
{
	text_mode();
	dac(15, 0x3f, 0x3f, 0x3f);
	dac(1, 0, 0, 0x2a);
	glyph(0x41, 3, 0x81);
	glyph(0xc4, 3, 0xff);
	mmio_write(0xb8000, 0x1f411f41, 4);
	mmio_write(0xb8004, 0x1fc4, 2);
	crtc(0x0a, 0x20);
	cr_expect_eq(pixel(0, 3), 0xffffff);
	cr_expect_eq(pixel(1, 3), 0x0000aa);
	cr_expect_eq(pixel(7, 3), 0xffffff);
	cr_expect_eq(pixel(8, 3), 0x0000aa, "the ninth dot is background");
	cr_expect_eq(pixel(18 + 8, 3), 0xffffff, "but of line graphics");
	cr_expect_eq(pixel(0, 2), 0x0000aa);
	crtc(0x0a, 14);
	crtc(0x0b, 15);
	crtc(0x0f, 1);
	cr_expect_eq(pixel(9, 15), 0xffffff, "the cursor");
	cr_expect_eq(pixel(9, 13), 0x0000aa);
	v.time.now += NS_PER_SECOND / 70 * 16;
	cr_expect_eq(pixel(9, 15), 0x0000aa, "it blinks");
}

Test(vga, blinking_text_or_bright_background)
{
	text_mode();
	dac(15, 0x3f, 0x3f, 0x3f);
	dac(9, 0, 0, 0x3f);
	dac(1, 0, 0, 0x15);
	glyph(0x41, 0, 0x80);
	crtc(0x0a, 0x20);
	mmio_write(0xb8000, 0x9f41, 2);
	attribute(0x10, 0x08);
	cr_expect_eq(pixel(0, 0), 0xffffff);
	cr_expect_eq(pixel(1, 0), 0x000055);
	v.time.now += NS_PER_SECOND / 70 * 16;
	cr_expect_eq(pixel(0, 0), 0x000055);
	attribute(0x10, 0x00);
	cr_expect_eq(pixel(0, 0), 0xffffff);
	cr_expect_eq(pixel(1, 0), 0x0000ff);
}

Test(vga, lower_part_of_a_split_screen)
{
	struct display_cell *cells = calloc(80 * 25, sizeof(*cells));
	struct display_cursor cursor;

	text_mode();
	for (unsigned i = 0; i < 80 * 60; i++)
		mmio_write(0xb8000 + 2 * i, i / 80, 2);
	crtc(0x0c, (30 * 80) >> 8);
	crtc(0x0d, (30 * 80) & 0xff);
	crtc(0x11, 0);
	crtc(0x07, 0x0f);
	crtc(0x09, 0x0f);
	crtc(0x18, 159); /* the tenth row ends there */
	cr_assert(v.display.text(v.display.opaque, cells, &cursor));
	cr_expect_eq(cells[0].character, 30);
	cr_expect_eq(cells[9 * 80].character, 39);
	cr_expect_eq(cells[10 * 80].character, 0);
	cr_expect_eq(cells[24 * 80].character, 14);
	free(cells);
}

Test(vga, sixteen_colors)
{
	mode_12h();
	dac(5, 0x3f, 0, 0x3f);
	seq(2, 0x05);
	poke(0xa0000 + 80 + 1, 0x40);
	cr_expect_eq(size().width, 640);
	cr_expect_eq(size().height, 480);
	cr_expect_eq(size().columns, 0);
	cr_expect_eq(pixel(9, 1), 0xff00ff);
	cr_expect_eq(pixel(8, 1), 0);
	attribute(0x05, 0x02); /* another entry of the palette */
	dac(2, 0, 0x3f, 0);
	cr_expect_eq(pixel(9, 1), 0x00ff00);
	in(0x3da);
	out(0x3c0, 0x00); /* the screen is off */
	cr_expect_eq(pixel(9, 1), 0);
}

/* Where the upper bits of a colour come from (IBM, attribute registers 10h and 14h). */
Test(vga, color_select)
{
	mode_12h();
	seq(2, 0x05);
	poke(0xa0000, 0x80);
	attribute(0x05, 0x3f);
	dac(0x3f, 0x04, 0, 0);
	dac(0xff, 0x08, 0, 0);
	dac(0x6f, 0x0c, 0, 0);
	attribute(0x14, 0x00);
	cr_expect_eq(pixel(0, 0), 0x100000);
	attribute(0x14, 0x0c);
	cr_expect_eq(pixel(0, 0), 0x200000, "bits 6 and 7");
	in(0x3da);
	out(0x3c0, 0x30);
	const uint8_t mode = in(0x3c1);

	attribute(0x10, mode | 0x80);
	attribute(0x14, 0x06);
	cr_expect_eq(pixel(0, 0), 0x300000, "bits 4 to 7");
}

Test(vga, two_hundred_fifty_six_colors)
{
	mode_13h();
	dac(0x77, 1, 2, 3);
	poke(0xa0000 + 199 * 320 + 319, 0x77);
	cr_expect_eq(size().width, 320);
	cr_expect_eq(size().height, 200);
	cr_expect_eq(pixel(319, 199), 0x04080c);
	out(0x3c6, 0x70);
	dac(0x70, 0x3f, 0, 0);
	cr_expect_eq(pixel(319, 199), 0xff0000, "the DAC's mask");
}

Test(vga, unchained_pages)
{
	mode_13h();
	seq(4, 0x06);
	crtc(0x14, 0x00);
	crtc(0x17, 0xe3);
	dac(9, 0x3f, 0, 0);
	seq(2, 0x04);
	poke(0xa0000 + 0x4000 + 80 * 10 + 3, 9);
	cr_expect_eq(pixel(4 * 3 + 2, 10), 0);
	crtc(0x0c, 0x40);
	cr_expect_eq(pixel(4 * 3 + 2, 10), 0xff0000);
}

Test(vga, cga_banks)
{
	cga_mode_4();
	attribute(3, 0x13);
	dac(0x13, 0x3f, 0x3f, 0);
	poke(0xb8000 + 0x2000 + 80 * 2 + 1, 0x0c);
	cr_expect_eq(size().width, 320);
	cr_expect_eq(size().height, 200);
	cr_expect_eq(pixel(6, 5), 0xffff00);
	cr_expect_eq(pixel(5, 5), 0);
}

Test(vga, less_than_one_row)
{
	mode_13h();
	crtc(0x11, 0);
	crtc(0x09, 0x1f);
	crtc(0x12, 3);
	crtc(0x07, 0);
	cr_expect_eq(size().height, 1);
	cr_expect_eq(pixel(0, 0), 0);
}

/* What no software would do. */

Test(vga, nonsense)
{
	uint32_t *pixels = malloc(DISPLAY_MOST_PIXELS * sizeof(*pixels));
	struct display_cell *cells = malloc(DISPLAY_MOST_COLUMNS * DISPLAY_MOST_ROWS *
					    sizeof(*cells));

	srand(7);
	for (unsigned i = 0; i < 200000; i++) {
		uint16_t port = (uint16_t)(0x3b0 + rand() % 48);

		if (rand() % 8 == 0)
			bus_pio_write(v.bus, (uint16_t)(0x1ce + rand() % 4),
				      (uint32_t)(rand() % 3 ? rand() % 12 : rand()),
				      1u << rand() % 2);
		out(port, (uint8_t)rand());
		in((uint16_t)(0x3b0 + rand() % 48));
		mmio_write(0xa0000 + (unsigned)rand() % 0x1fffc, (uint32_t)rand(), 4);
		mmio_read(0xa0000 + (unsigned)rand() % 0x1fffc, 4);
		if (i % 500)
			continue;
		struct display_size s = size();
		struct display_cursor cursor;

		cr_assert(s.width && s.height);
		cr_assert_leq((uint64_t)s.width * s.height, DISPLAY_MOST_PIXELS);
		cr_assert(s.columns <= DISPLAY_MOST_COLUMNS && s.rows <= DISPLAY_MOST_ROWS);
		v.display.render(v.display.opaque, pixels, s.width);
		v.display.text(v.display.opaque, cells, &cursor);
	}
	free(pixels);
	free(cells);
}
