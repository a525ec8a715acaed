/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The floppy disk controller: reset, drives, formats, registers, and what no driver would do. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fdc_fixture.h"

TestSuite(fdc, .init = fdc_setup, .fini = fdc_teardown);

Test(fdc, formats_by_size)
{
	static const struct { unsigned kib; uint8_t cylinders, heads, sectors, type; } known[] = {
		{ 160, 40, 1, 8, 1 }, { 180, 40, 1, 9, 1 }, { 320, 40, 2, 8, 1 },
		{ 360, 40, 2, 9, 1 }, { 720, 80, 2, 9, 4 }, { 1200, 80, 2, 15, 2 },
		{ 1440, 80, 2, 18, 4 }, { 1680, 80, 2, 21, 4 }, { 2880, 80, 2, 36, 5 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(known); i++) {
		const struct floppy_format *f = floppy_format_find(2 * known[i].kib);

		cr_assert_not_null(f, "%u", known[i].kib);
		cr_expect(f->cylinders == known[i].cylinders && f->heads == known[i].heads &&
			  f->sectors == known[i].sectors && f->type == known[i].type, "%u",
			  known[i].kib);
		cr_expect(floppy_drive_takes(f->type, f));
	}
	cr_expect_eq(floppy_format_find(2879), floppy_format_find(2880), "cut off");
	cr_expect_eq(floppy_format_find(1), floppy_format_find(2880));
	cr_expect_null(floppy_format_find(0));
	cr_expect_null(floppy_format_find(2881));
	cr_expect_null(floppy_format_find(20480));
	cr_expect(floppy_drive_takes(FLOPPY_2880K, floppy_format_find(1440)));
	cr_expect(floppy_drive_takes(FLOPPY_1200K, floppy_format_find(720)));
	cr_expect_not(floppy_drive_takes(FLOPPY_360K, floppy_format_find(2400)));
	cr_expect_not(floppy_drive_takes(FLOPPY_1440K, floppy_format_find(720)));
	cr_expect_not(floppy_drive_takes(FLOPPY_1440K, floppy_format_find(5760)));
	cr_expect_not(floppy_drive_takes(FLOPPY_720K, floppy_format_find(2880)));
	cr_expect_not(floppy_drive_takes(FLOPPY_NONE, floppy_format_find(2880)));
}

/* ---- reset ---- */

Test(fdc, after_power_on_it_is_held_in_reset)
{
	bus_reset_all(x.bus);
	cr_expect_eq(fdc_in_reg(2), 0);
	cr_expect_eq(MSR, 0);
	fdc_out(5, 0x10);
	cr_expect_eq(MSR, 0);
	fdc_settle();
	cr_expect_not(x.irq);
	fdc_out(2, 0x0c);
	cr_expect_eq(MSR, 0, "not at once");
	cr_expect_not(x.irq);
	fdc_settle();
	cr_expect(x.irq);
	cr_expect_eq(MSR, 0x80);
}

static void expect_four_senses(void)
{
	for (uint8_t i = 0; i < 4; i++) {
		COMMAND(0x08);
		cr_expect_not(x.irq);
		EXPECT_RESULT((uint8_t)(0xc0 | i), 0);
	}
	COMMAND(0x08);
	EXPECT_RESULT(0x80);
}

Test(fdc, a_reset_is_asked_about_four_times)
{
	unsigned edges = x.edges;

	fdc_out(2, 0x00);
	fdc_out(2, 0x0c);
	fdc_settle();
	cr_expect_eq(x.edges, ++edges);
	expect_four_senses();
	fdc_out(4, 0x80); /* by the data rate select register */
	cr_expect_eq(MSR, 0);
	fdc_settle();
	cr_expect_eq(x.edges, ++edges);
	expect_four_senses();
	cr_expect_eq(x.edges, edges);
}

Test(fdc, a_reset_forgets_a_command)
{
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	cr_assert_not_null(x.disk.pending);
	fdc_out(2, 0x00);
	cr_expect_null(x.disk.pending);
	cr_expect_eq(x.disk.cancels, 1);
	fdc_out(2, 0x0c);
	fdc_settle();
	expect_four_senses();
	COMMAND(0x46, 0, 0); /* in the middle of its bytes */
	fdc_out(4, 0x80);
	fdc_settle();
	cr_expect_eq(MSR, 0x80);
}

Test(fdc, the_gate_keeps_the_interrupt_in)
{
	fdc_out(2, 0x34);
	COMMAND(0x07, 0);
	fdc_settle();
	cr_expect_not(x.irq);
	fdc_out(2, 0x3c);
	cr_expect(x.irq, "it is pending");
	fdc_out(2, 0x38);
	cr_expect_not(x.irq, "in reset there is none");
}

/* ---- settings ---- */

Test(fdc, settings_are_dumped)
{
	COMMAND(0x03, 0xdf, 0x02);
	COMMAND(0x13, 0x00, 0x57, 0x11);
	COMMAND(0x12, 0x84);
	fdc_seek(0, 5);
	fdc_seek(1, 7);
	COMMAND(0x0e);
	EXPECT_RESULT(5, 7, 0, 0, 0xdf, 0x02, 0, 0x04, 0x57, 0x11);
	COMMAND(0x12, 0x03); /* without bit 7 the drives' bits stay */
	COMMAND(0x94);
	EXPECT_RESULT(0x10);
	COMMAND(0x0e);
	EXPECT_RESULT(5, 7, 0, 0, 0xdf, 0x02, 0, 0x87, 0x57, 0x11);
	/* LOCK keeps the FIFO's settings in a reset by software; seeks are implied no more */
	fdc_out(4, 0x80);
	fdc_settle();
	COMMAND(0x0e);
	EXPECT_RESULT(5, 7, 0, 0, 0xdf, 0x02, 0, 0x84, 0x07, 0x11);
	COMMAND(0x14);
	EXPECT_RESULT(0x00);
	fdc_out(4, 0x80);
	fdc_settle();
	COMMAND(0x0e);
	EXPECT_RESULT(5, 7, 0, 0, 0xdf, 0x02, 0, 0x04, 0x20, 0x00);
}

Test(fdc, what_it_is)
{
	static const uint8_t none[] = { 0x00, 0x01, 0x0b, 0x15, 0x18, 0x1f, 0x27, 0x33, 0x8e,
					0xff };

	COMMAND(0x10);
	EXPECT_RESULT(0x90);
	for (unsigned i = 0; i < sizeof(none); i++) {
		fdc_out(5, none[i]);
		EXPECT_RESULT(0x80);
	}
	cr_expect_not(x.irq);
	fdc_out(3, 0xff);
	cr_expect_eq(fdc_in_reg(3), 0x03);
	cr_expect_eq(fdc_in_reg(0), 0xff, "there is no status register A in AT mode");
	cr_expect_eq(fdc_in_reg(6), 0xff, "3F6h is another's");
}

/* ---- drives ---- */

Test(fdc, seek_and_recalibrate)
{
	unsigned edges = x.edges;

	COMMAND(0x0f, 0x04, 10);
	cr_expect_eq(MSR, 0x81, "drive 0 is busy");
	cr_expect_not(x.irq);
	fdc_settle();
	cr_expect_eq(MSR, 0x80);
	cr_expect_eq(x.edges, ++edges);
	COMMAND(0x08);
	EXPECT_RESULT(0x24, 10);
	COMMAND(0x08);
	EXPECT_RESULT(0x80);
	COMMAND(0x07, 0);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 0);
	COMMAND(0x07, 2);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x72, 0);
}

Test(fdc, seeks_overlap)
{
	const unsigned edges = x.edges;

	COMMAND(0x0f, 0, 10);
	COMMAND(0x0f, 1, 20);
	cr_expect_eq(MSR, 0x83);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 10);
	cr_expect(x.irq);
	cr_expect_eq(x.edges, edges + 3, "each, and once more for the second");
	COMMAND(0x08);
	EXPECT_RESULT(0x21, 20);
	cr_expect_not(x.irq);
}

Test(fdc, relative_seek)
{
	fdc_seek(0, 10);
	COMMAND(0xcf, 0, 5);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 15);
	COMMAND(0x8f, 0, 3);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 12);
	/* The register counts modulo 256, the head goes as far as it can. */
	COMMAND(0xcf, 0, 250);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 6);
	COMMAND(0x07, 0); /* 79 steps are too few */
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x70, 0);
	COMMAND(0x07, 0);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 0);
}

Test(fdc, drives_say_what_they_see)
{
	COMMAND(0x04, 0);
	EXPECT_RESULT(0x38);
	COMMAND(0x04, 5);
	EXPECT_RESULT(0x7d); /* write-protected; head 1 */
	fdc_seek(0, 3);
	COMMAND(0x04, 0);
	EXPECT_RESULT(0x28);
	COMMAND(0x04, 3);
	EXPECT_RESULT(0x2b);
}

Test(fdc, the_change_line)
{
	cr_expect_eq(DIR, 0x80, "since power-on");
	COMMAND(0x07, 0);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x20, 0);
	cr_expect_eq(DIR, 0x80, "the head was not moved");
	fdc_seek(0, 1);
	cr_expect_eq(DIR, 0x00);
	fdc_out(2, 0x3d);
	cr_expect_eq(DIR, 0x80, "that of the other drive");
	fdc_out(2, 0x3c);
	fdc_set_disk(&x.fdc, 0, NULL);
	cr_expect_eq(DIR, 0x80);
	fdc_seek(0, 2);
	cr_expect_eq(DIR, 0x80, "without a disk it stays");
	fdc_set_disk(&x.fdc, 0, &x.disk.device);
	cr_expect_eq(DIR, 0x80);
	fdc_seek(0, 3);
	cr_expect_eq(DIR, 0x00);
	fdc_out(2, 0x3e);
	cr_expect_eq(DIR, 0x00, "there is no such drive");
}

/* ---- saved state ---- */

Test(fdc, saved_in_the_middle)
{
	struct error error = { 0 };
	void *data;
	size_t size;

	/* A request under way is made again. */
	fdc_dma(true, 1024);
	COMMAND(0x46, 0, 0, 0, 3, 2, 18, 27, 0xff);
	cr_assert_eq(bus_save(x.bus, x.time.now, &data, &size), 0);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 5, 2);
	memset(x.ram, 0, sizeof(x.ram));
	bus_reset_all(x.bus);
	cr_assert_eq(bus_load(x.bus, data, size, &error), 0, "%s", error.text);
	free(data);
	fdc_settle();
	cr_expect(x.irq);
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 5, 2);
	cr_expect_arr_eq(x.ram + FDC_BUFFER, x.disk.bytes + 2 * 512, 1024);
	/* A seek is over when it would have been, DMA may come later. */
	COMMAND(0x0f, 1, 20);
	cr_assert_eq(bus_save(x.bus, x.time.now, &data, &size), 0);
	fdc_out(2, 0);
	cr_assert_eq(bus_load(x.bus, data, size, &error), 0, "%s", error.text);
	free(data);
	cr_expect_eq(MSR, 0x82);
	fdc_settle();
	COMMAND(0x08);
	EXPECT_RESULT(0x21, 20);
}

/* Whatever the file says, what is loaded can be gone on with. */
Test(fdc, damaged_states)
{
	struct error error = { 0 };
	unsigned seed = 3, taken = 0;
	void *data;
	size_t size;

	fdc_dma(false, 1024);
	COMMAND(0x45, 0, 0, 0, 3, 2, 18, 27, 0xff);
	cr_assert_eq(bus_save(x.bus, x.time.now, &data, &size), 0);
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t *copy = malloc(size);

		memcpy(copy, data, size);
		for (unsigned n = 0; n < 4; n++) /* what is behind are the sectors' bytes */
			copy[(unsigned)rand_r(&seed) % (size - 1024)] = (uint8_t)rand_r(&seed);
		if (!bus_load(x.bus, copy, size, &error)) {
			taken++;
			for (unsigned n = 0; n < 600; n++) {
				fdc_in_reg(5);
				fdc_out(5, 0);
				if (x.disk.pending || x.second.pending)
					fdc_settle();
			}
		}
		free(copy);
	}
	cr_expect_gt(taken, 0);
	free(data);
}

/* ---- nonsense ---- */

/* A command that is nearly one. */
static void random_command(unsigned *seed, uint8_t code)
{
	const uint8_t bytes[9] = { code, 0, x.fdc.drive[0].s.track, 0, 1, 2, 18, 27, 0xff };

	if (rand_r(seed) % 2) {
		fdc_out(4, 0x80);
		fdc_settle();
		fdc_dma(code & 2, 5 * 512);
	}
	for (unsigned i = 0; i < sizeof(bytes); i++)
		fdc_out(5, rand_r(seed) % 16 ? bytes[i] : (uint8_t)rand_r(seed));
}

static void random_access(unsigned *seed)
{
	static const uint8_t codes[] = { 0x45, 0x46, 0xe6, 0x4c, 0x42, 0x4a, 0x4d, 0x56, 0x51, 0xd9,
					 0x0f, 0x07, 0x08, 0x8f, 0x13, 0x03, 0x04 };
	const unsigned what = (unsigned)rand_r(seed) % 64;
	const uint8_t small = (uint8_t)(rand_r(seed) % 4);

	if (what < 24)
		fdc_out(5, rand_r(seed) % 3 ? small : (uint8_t)rand_r(seed));
	else if (what < 32)
		fdc_out(5, codes[(unsigned)rand_r(seed) % sizeof(codes)]);
	else if (what < 52)
		fdc_in_reg(2 + (unsigned)rand_r(seed) % 6);
	else if (what < 54)
		bus_pio_write(x.bus, (uint16_t)rand_r(seed) % 16, (uint8_t)rand_r(seed), 1);
	else if (what == 54)
		fdc_out(2 + (unsigned)rand_r(seed) % 6, (uint8_t)rand_r(seed));
	else if (what == 55)
		fdc_out(2, 0x3c | small);
	else if (what == 56)
		fdc_out(7, small);
	else if (what == 57)
		fdc_dma(small & 1, 1 + (unsigned)rand_r(seed) % 5000);
	else if (what == 59)
		random_command(seed, codes[(unsigned)rand_r(seed) % sizeof(codes)]);
	else if (what == 58 && small == 0)
		fdc_set_disk(&x.fdc, 0, rand_r(seed) % 2 ? &x.disk.device : NULL);
	else if (what < 62)
		fdc_settle();
}

Test(fdc, any_programming_is_survived)
{
	unsigned seed = 7;

	for (unsigned i = 0; i < 400000; i++) {
		random_access(&seed);
		if (i % 64 == 0)
			x.disk.fail = rand_r(&seed) % 4 ? 0 : -EIO;
	}
	cr_expect_gt(x.disk.writes, 0);
	x.disk.fail = 0;
	fdc_set_disk(&x.fdc, 0, &x.disk.device);
	bus_reset_all(x.bus);
	fdc_settle();
	fdc_out(2, 0x1c);
	fdc_settle();
	fdc_out(7, 0);
	bus_pio_write(x.bus, 0xd6, 0xc0, 1);
	bus_pio_write(x.bus, 0xd4, 0, 1);
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 0, 0, 9, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0, 0, 0, 0, 0, 10, 2);
	cr_expect_arr_eq(x.ram + FDC_BUFFER, x.disk.bytes + 8 * 512, 512);
}
