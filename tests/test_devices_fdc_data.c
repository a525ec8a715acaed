/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of the floppy disk controller that move data: what is moved, and how they end. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "fdc_fixture.h"

TestSuite(fdc_data, .init = fdc_setup, .fini = fdc_teardown);

static uint8_t *on_disk(unsigned cylinder, unsigned head, unsigned sector)
{
	return x.disk.bytes + ((cylinder * 2 + head) * 18 + sector - 1) * 512;
}

static uint8_t *buffer(void) { return x.ram + FDC_BUFFER; }

/* ---- reading by DMA ---- */

Test(fdc_data, read_until_terminal_count)
{
	const unsigned edges = x.edges;

	fdc_seek(0, 2);
	fdc_dma(true, 1024);
	COMMAND(0x46, 0x04, 2, 1, 5, 2, 18, 27, 0xff);
	cr_expect_eq(MSR, 0x10);
	cr_expect_not(x.irq);
	fdc_settle();
	cr_expect_eq(x.edges, edges + 2);
	cr_expect_eq(MSR, 0xd0);
	cr_expect(x.irq);
	fdc_in_reg(5);
	cr_expect_not(x.irq, "the first byte of the result takes it back");
	cr_expect_eq(MSR, 0xd0);
	cr_expect_eq(fdc_result_take(), 6);
	cr_expect_arr_eq(buffer(), on_disk(2, 1, 5), 1024);
	cr_expect_eq(buffer()[1024], 0);
	/* a part of a sector */
	fdc_dma(true, 700);
	COMMAND(0x46, 0x04, 2, 1, 5, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x04, 0, 0, 2, 1, 7, 2);
}

Test(fdc_data, the_last_sector)
{
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 0, 0, 18, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 1, 0, 1, 2);
	fdc_dma(true, 1024);
	COMMAND(0x46, 0, 0, 0, 18, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x80, 0, 1, 0, 1, 2);
}

/* An image of one sector, as of a boot loader: the rest reads as zeros and cannot be written. */
Test(fdc_data, an_image_that_is_cut_off)
{
	x.disk.device.sectors = 1;
	memset(x.disk.bytes, 0x5a, 1024);
	fdc_set_disk(&x.fdc, 0, &x.disk.device);
	fdc_seek(0, 1);
	fdc_seek(0, 0);
	memset(buffer(), 0x33, 1024);
	fdc_dma(true, 1024);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 3, 2);
	for (unsigned i = 0; i < 1024; i++)
		cr_assert_eq(buffer()[i], i < 512 ? 0x5a : 0, "%u", i);
	fdc_dma(false, 512);
	COMMAND(0x45, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 2, 2);
	fdc_dma(false, 512);
	COMMAND(0x45, 0, 0, 0, 2, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x20, 0, 0, 0, 2, 2);
}

Test(fdc_data, both_sides)
{
	fdc_dma(true, 36 * 512);
	COMMAND(0xc6, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x04, 0, 0, 1, 0, 1, 2);
	cr_expect_eq(memcmp(buffer(), on_disk(0, 0, 1), 36 * 512), 0);
	fdc_dma(true, 512);
	COMMAND(0xc6, 0, 0, 0, 18, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x04, 0, 0, 0, 1, 1, 2);
	fdc_dma(true, 3 * 512);
	COMMAND(0xc6, 0x04, 0, 1, 17, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x44, 0x80, 0, 1, 0, 1, 2);
}

Test(fdc_data, what_there_is_not)
{
	static const struct { uint8_t c, h, r, n, side, st1, st2; } wrong[] = {
		{ 1, 0, 1, 2, 0, 0x04, 0x10 }, { 0, 1, 1, 2, 0, 0x04, 0 },
		{ 0, 0, 19, 2, 0, 0x04, 0 }, { 0, 0, 0, 2, 0, 0x04, 0 },
		{ 0, 0, 1, 3, 0, 0x04, 0 }, { 0, 0, 1, 0, 0, 0x04, 0 }, { 0, 0, 1, 2, 1, 0x04, 0 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(wrong); i++) {
		const uint8_t head = (uint8_t)(wrong[i].side << 2);

		fdc_dma(true, 512);
		COMMAND(0x46, head, wrong[i].c, wrong[i].h, wrong[i].r, wrong[i].n, 36, 27, 0xff);
		cr_expect_eq(MSR, 0x10);
		fdc_settle();
		cr_expect(x.irq);
		EXPECT_RESULT(0x40 | head, wrong[i].st1, wrong[i].st2, wrong[i].c, wrong[i].h,
			      wrong[i].r, wrong[i].n);
	}
	/* the third of three */
	fdc_dma(true, 5 * 512);
	COMMAND(0x46, 0, 0, 0, 17, 2, 36, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x04, 0, 0, 0, 19, 2);
	cr_expect_arr_eq(buffer(), on_disk(0, 0, 17), 1024);
}

static void expect_nothing_readable(uint8_t command)
{
	fdc_dma(true, 512);
	COMMAND(command, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x01, 0, 0, 0, 1, 2);
	COMMAND((command & 0x40) | 0x0a, 0);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[0], 0x40);
	cr_expect_eq(x.result[1], 0x01);
}

Test(fdc_data, what_keeps_it_from_reading)
{
	fdc_out(7, 2);
	expect_nothing_readable(0x46); /* the rate of a disk of 720K */
	fdc_out(4, 1);
	expect_nothing_readable(0x46);
	fdc_out(7, 0);
	expect_nothing_readable(0x06); /* single density */
	fdc_out(2, 0x2c);
	expect_nothing_readable(0x46); /* the motor is off */
	fdc_out(2, 0x3c);
	fdc_set_disk(&x.fdc, 0, NULL);
	expect_nothing_readable(0x46);
	fdc_set_disk(&x.fdc, 0, &x.disk.device);
	fdc_seek(0, 81); /* beyond the last cylinder */
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 81, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x01, 0, 81, 0, 1, 2);
	COMMAND(0x4a, 2);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[0], 0x42, "there is no third drive");
}

Test(fdc_data, double_density_disks)
{
	fdc_out(7, 2);
	fdc_seek(1, 39);
	fdc_dma(true, 512);
	COMMAND(0x46, 0x05, 39, 1, 9, 2, 9, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x05, 0, 0, 40, 1, 1, 2);
	cr_expect_arr_eq(buffer(), x.second.bytes + 719 * 512, 512);
	/* in a drive of 1.2M: every other track, at 300 or 250 kbit/s */
	x.fdc.drive[1].type = FLOPPY_1200K;
	fdc_out(7, 1);
	fdc_seek(1, 20);
	fdc_dma(true, 512);
	COMMAND(0x46, 0x01, 10, 0, 1, 2, 9, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x01, 0, 0, 10, 0, 2, 2);
	cr_expect_arr_eq(buffer(), x.second.bytes + 180 * 512, 512);
	fdc_seek(1, 21);
	COMMAND(0x4a, 0x01);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[1], 0x01);
}

Test(fdc_data, dma_that_comes_late_or_not)
{
	fdc_dma(true, 512);
	bus_pio_write(x.bus, 0x0a, 0x06, 1);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	x.disk.pending->done(x.disk.pending->opaque, x.disk.pending, 0);
	x.disk.pending = NULL;
	cr_expect_eq(MSR, 0x10);
	bus_pio_write(x.bus, 0x0a, 0x02, 1);
	cr_expect_eq(MSR, 0xd0, "it was only late");
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 2, 2);
	/* The gate is shut. */
	fdc_out(2, 0x34);
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	cr_expect_not(x.irq);
	EXPECT_RESULT(0x40, 0x10, 0, 0, 0, 1, 2);
}

Test(fdc_data, memory_that_is_not_there)
{
	fdc_dma(true, 512);
	bus_pio_write(x.bus, 0x81, 0x77, 1);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 2, 2);
}

Test(fdc_data, implied_seek)
{
	COMMAND(0x13, 0, 0x60, 0);
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 40, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x20, 0, 0, 40, 0, 2, 2);
	cr_expect_arr_eq(buffer(), on_disk(40, 0, 1), 512);
	COMMAND(0x0e);
	cr_expect_eq(fdc_result_take(), 10);
	cr_expect_eq(x.result[0], 40);
	cr_expect_eq(x.result[6], 18);
}

/* ---- writing ---- */

Test(fdc_data, write)
{
	fdc_seek(0, 3);
	memset(buffer(), 0xa5, 2048);
	fdc_dma(false, 1024);
	COMMAND(0x45, 0, 3, 0, 4, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 3, 0, 6, 2);
	cr_expect_arr_eq(on_disk(3, 0, 4), buffer(), 1024);
	cr_expect_neq(on_disk(3, 0, 6)[0], 0xa5);
	cr_expect_eq(x.disk.flushes, 1, "a floppy has no cache");
	/* what terminal count cuts off is zeros; deleted data are data */
	fdc_dma(false, 100);
	COMMAND(0x49, 0, 3, 0, 7, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 3, 0, 8, 2);
	cr_expect_eq(on_disk(3, 0, 7)[99], 0xa5);
	cr_expect_eq(on_disk(3, 0, 7)[100], 0);
	cr_expect_eq(on_disk(3, 0, 7)[511], 0);
}

Test(fdc_data, write_protected)
{
	fdc_out(7, 2);
	fdc_dma(false, 512);
	COMMAND(0x45, 1, 0, 0, 1, 2, 9, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x41, 0x02, 0, 0, 0, 1, 2);
	COMMAND(0x4d, 1, 2, 9, 27, 0xf6);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[1], 0x02);
	cr_expect_eq(x.second.writes, 0);
}

Test(fdc_data, host_errors_are_device_errors)
{
	x.disk.fail = -EIO;
	fdc_dma(true, 1024);
	COMMAND(0x46, 0, 0, 0, 3, 2, 18, 27, 0xff);
	fdc_settle();
	cr_expect(x.irq);
	EXPECT_RESULT(0x40, 0x20, 0x20, 0, 0, 3, 2);
	x.disk.fail = -ENOSPC;
	fdc_dma(false, 512);
	COMMAND(0x45, 0, 0, 0, 3, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x20, 0, 0, 0, 3, 2);
	x.disk.fail = -EROFS;
	fdc_dma(false, 512);
	COMMAND(0x45, 0, 0, 0, 3, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x02, 0, 0, 0, 3, 2);
}

static void one_request_ends(int err)
{
	struct block_request *r = x.disk.pending;

	cr_assert_not_null(r);
	x.disk.pending = NULL;
	r->done(r->opaque, r, err);
}

Test(fdc_data, a_flush_that_fails)
{
	fdc_dma(false, 512);
	COMMAND(0x45, 0, 0, 0, 3, 2, 18, 27, 0xff);
	cr_assert_eq(x.disk.pending->kind, BLOCK_WRITE);
	one_request_ends(0);
	cr_assert_eq(x.disk.pending->kind, BLOCK_FLUSH);
	cr_expect_eq(MSR, 0x10, "it is not done before");
	one_request_ends(-EIO);
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[0], 0x40);
	cr_expect_eq(x.result[1], 0x20);
}

Test(fdc_data, a_disk_taken_out_while_it_is_read)
{
	fdc_dma(true, 512);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_set_disk(&x.fdc, 0, NULL);
	cr_expect_eq(x.disk.cancels, 1);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x01, 0, 0, 0, 1, 2);
	/* while DMA is waited for */
	fdc_set_disk(&x.fdc, 0, &x.disk.device);
	bus_pio_write(x.bus, 0x0a, 0x06, 1);
	COMMAND(0x46, 0, 0, 0, 1, 2, 18, 27, 0xff);
	one_request_ends(0);
	fdc_set_disk(&x.fdc, 0, NULL);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x01, 0, 0, 0, 1, 2);
}

Test(fdc_data, format)
{
	fdc_seek(0, 7);
	for (unsigned i = 0; i < 18; i++) /* interleaved */
		memcpy(buffer() + 4 * i, (uint8_t[]){ 7, 1, (uint8_t)(i * 5 % 18 + 1), 2 }, 4);
	fdc_dma(false, 18 * 4);
	COMMAND(0x4d, 0x04, 2, 18, 0x54, 0xf6);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[0], 0x04);
	cr_expect_eq(x.result[1], 0x00);
	for (unsigned i = 0; i < 18 * 512; i++)
		cr_assert_eq(on_disk(7, 1, 1)[i], 0xf6);
	cr_expect_neq(on_disk(7, 0, 18)[511], 0xf6);
	cr_expect_neq(on_disk(8, 0, 1)[0], 0xf6);
	cr_expect_eq(x.disk.flushes, 1);
	/* what a raw image has no room for */
	memcpy(buffer(), (uint8_t[]){ 7, 1, 19, 2 }, 4);
	fdc_dma(false, 4);
	COMMAND(0x4d, 0x04, 2, 1, 0x54, 0xe5);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
	cr_expect_eq(x.result[0], 0x44);
	cr_expect_eq(x.result[1], 0x20);
	COMMAND(0x4d, 0x04, 2, 0, 0x54, 0xe5); /* no sector at all */
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
}

/* ---- the other commands ---- */

Test(fdc_data, ids_pass_the_head)
{
	fdc_seek(0, 9);
	for (unsigned i = 0; i < 20; i++) {
		COMMAND(0x4a, 0x04);
		cr_expect_eq(MSR, 0x10);
		fdc_settle();
		EXPECT_RESULT(0x04, 0, 0, 9, 1, (uint8_t)(i % 18 + 1), 2);
	}
}

Test(fdc_data, deleted_data_there_are_none)
{
	fdc_dma(true, 1024);
	COMMAND(0x4c, 0, 0, 0, 5, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0x40, 0, 0, 5, 2);
	cr_expect_arr_eq(buffer(), on_disk(0, 0, 5), 512);
	cr_expect_eq(buffer()[512], 0, "the first one ends it");
	memset(buffer(), 0, 1024);
	COMMAND(0x6c, 0, 0, 0, 5, 2, 18, 27, 0xff); /* with SK they are passed over */
	fdc_settle();
	EXPECT_RESULT(0x40, 0x80, 0x40, 1, 0, 1, 2);
	cr_expect_eq(buffer()[0], 0);
}

Test(fdc_data, a_track_from_its_beginning)
{
	fdc_dma(true, 3 * 512);
	COMMAND(0x42, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 0, 0, 4, 2);
	cr_expect_eq(memcmp(buffer(), on_disk(0, 0, 1), 3 * 512), 0);
	fdc_dma(true, 18 * 512);
	COMMAND(0x42, 0, 5, 0, 9, 2, 18, 27, 0xff); /* IDs do not matter, and are told of */
	fdc_settle();
	EXPECT_RESULT(0x00, 0x04, 0, 6, 0, 1, 2);
	cr_expect_eq(memcmp(buffer(), on_disk(0, 0, 1), 18 * 512), 0);
}

Test(fdc_data, verify)
{
	fdc_dma(true, 512);
	COMMAND(0x56, 0, 0, 0, 1, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x00, 0, 0, 1, 0, 1, 2);
	cr_expect_eq(buffer()[1], 0, "nothing is moved");
	COMMAND(0xd6, 0x80, 0, 0, 10, 2, 18, 27, 20); /* a number of sectors, on both sides */
	fdc_settle();
	EXPECT_RESULT(0x04, 0, 0, 0, 1, 12, 2);
	COMMAND(0x56, 0x80, 0, 0, 10, 2, 18, 27, 20);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x80, 0, 1, 0, 1, 2);
	x.disk.fail = -EIO;
	COMMAND(0x56, 0, 0, 0, 4, 2, 18, 27, 0xff);
	fdc_settle();
	EXPECT_RESULT(0x40, 0x20, 0x20, 0, 0, 4, 2);
}

/* So many sectors of the host's, all alike. */
static void scan(uint8_t command, uint8_t first, uint8_t last, uint8_t stp, uint8_t value)
{
	memset(buffer(), value, 18 * 512);
	fdc_dma(false, 18 * 512);
	COMMAND(command, 0, 0, 0, first, 2, last, 27, stp);
	fdc_settle();
	cr_expect_eq(fdc_result_take(), 7);
}

Test(fdc_data, scans)
{
	for (unsigned r = 1; r <= 18; r++)
		memset(on_disk(0, 0, r), (int)(10 * r), 512);
	scan(0x51, 1, 9, 1, 40);
	cr_expect(x.result[0] == 0 && x.result[2] == 0x08 && x.result[5] == 4, "equal");
	scan(0x51, 1, 9, 2, 40);
	cr_expect(x.result[0] == 0 && x.result[2] == 0x04, "every other sector: never");
	scan(0x51, 1, 9, 1, 45);
	cr_expect(x.result[0] == 0 && x.result[2] == 0x04, "never");
	scan(0x59, 3, 9, 1, 45);
	cr_expect(x.result[2] == 0 && x.result[5] == 3, "lower");
	scan(0x59, 5, 9, 1, 45);
	cr_expect(x.result[2] == 0x04, "not lower");
	scan(0x5d, 3, 9, 1, 45);
	cr_expect(x.result[2] == 0 && x.result[5] == 5, "higher");
	scan(0x5d, 3, 9, 1, 50);
	cr_expect(x.result[2] == 0x08 && x.result[5] == 5, "equal is enough");
	scan(0x51, 7, 9, 1, 0xff);
	cr_expect(x.result[2] == 0x08 && x.result[5] == 7, "ones are like anything");
}

/* ---- without DMA ---- */

Test(fdc_data, read_by_port)
{
	COMMAND(0x03, 0xaf, 0x03);
	COMMAND(0x46, 0, 0, 0, 17, 2, 18, 27, 0xff);
	cr_expect_eq(MSR, 0x30);
	for (unsigned r = 17; r <= 18; r++) {
		one_request_ends(0);
		cr_expect(x.irq);
		for (unsigned i = 0; i < 512; i++) {
			cr_assert_eq(MSR, 0xf0);
			fdc_in_reg(5);
		}
		cr_expect_eq(x.irq, r == 18, "down between sectors; then the result");
	}
	EXPECT_RESULT(0x40, 0x80, 0, 1, 0, 1, 2);
}

Test(fdc_data, write_by_port)
{
	COMMAND(0x03, 0xaf, 0x03);
	COMMAND(0x45, 0, 0, 0, 18, 2, 18, 27, 0xff);
	cr_expect(x.irq);
	for (unsigned i = 0; i < 512; i++) {
		cr_assert_eq(MSR, 0xb0);
		fdc_in_reg(5); /* to no avail */
		fdc_out(5, (uint8_t)(i * 3));
	}
	cr_expect_eq(MSR, 0x30);
	fdc_settle();
	cr_expect(x.irq);
	EXPECT_RESULT(0x40, 0x80, 0, 1, 0, 1, 2);
	for (unsigned i = 0; i < 512; i++)
		cr_assert_eq(on_disk(0, 0, 18)[i], (uint8_t)(i * 3));
}
