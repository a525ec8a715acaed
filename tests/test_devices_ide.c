/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IDE controller: disks by port and by bus master, errors, and what no driver would do. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ide_fixture.h"

TestSuite(ide, .init = ide_setup, .fini = ide_teardown);

/* Status register. */
#define ERR  0x01
#define DRQ  0x08
#define DRDY 0x50 /* with seek complete */
#define BSY  0x80

static void read_data(void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 2) {
		uint16_t word = (uint16_t)bus_pio_read(x.bus, IDE_BASE, 2);

		memcpy((uint8_t *)to + i, &word, 2);
	}
}

static void write_data(const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t word;

		memcpy(&word, (const uint8_t *)from + i, 4);
		bus_pio_write(x.bus, IDE_BASE, word, 4);
	}
}

static const uint8_t *on_disk(uint64_t sector) { return x.disk.bytes + sector * BLOCK_SECTOR; }

/* The interrupt has come, and is taken by reading the status. */
static void expect_interrupt(uint8_t status)
{
	cr_expect(x.irq[0]);
	cr_expect_eq(ide_in(7), status, "%02x", ide_in(7));
	cr_expect_not(x.irq[0]);
}

Test(ide, signatures)
{
	static const uint8_t expected[2][4] = { { 1, 1, 0, 0 }, { 1, 1, 0x14, 0xeb } };

	for (unsigned drive = 0; drive < 2; drive++) {
		ide_out(6, (uint8_t)(drive << 4));
		for (unsigned i = 0; i < 4; i++)
			cr_expect_eq(ide_in(2 + i), expected[drive][i], "%u %u", drive, i);
		cr_expect_eq(ide_in(1), 1);
		cr_expect_eq(ide_in(7), drive ? 0 : DRDY);
	}
	cr_expect_eq(bus_pio_read(x.bus, 0x177, 1), DRDY);
	bus_pio_write(x.bus, 0x176, 0x10, 1);
	cr_expect_eq(bus_pio_read(x.bus, 0x177, 1), 0, "there is no second drive");
	bus_pio_write(x.bus, 0x177, 0xec, 1);
	cr_expect_not(x.irq[1]);
}

Test(ide, identify)
{
	uint16_t w[256];

	ide_command28(0, 0xec, 0, 0);
	expect_interrupt(DRDY | DRQ);
	read_data(w, sizeof(w));
	cr_expect_eq(ide_in(7), DRDY);
	cr_expect_not(x.irq[0]);
	cr_expect_eq(w[60] | w[61] << 16, DISK_SECTORS);
	cr_expect_eq(w[100], DISK_SECTORS);
	cr_expect_eq(w[83] & 0xc400, 0x4400, "48-bit addresses");
	cr_expect_eq(w[49] & 0x300, 0x300, "DMA, LBA");
	cr_expect_eq(w[3], 16);
	cr_expect_eq(w[6], 63);
	cr_expect_eq(w[27], 'R' << 8 | 'I');
	/* A CD-ROM refuses, and shows its signature. */
	ide_command28(1, 0xec, 0, 0);
	expect_interrupt(DRDY | ERR);
	cr_expect_eq(ide_in(4), 0x14);
	ide_command28(1, 0xa1, 0, 0);
	expect_interrupt(DRDY | DRQ);
	read_data(w, sizeof(w));
	cr_expect_eq(w[0], 0x85c0);
	cr_expect_eq(ide_in(7), DRDY);
	cr_expect_not(x.irq[0]);
}

Test(ide, read_by_port)
{
	uint8_t got[BLOCK_SECTOR];

	ide_command28(0, 0x20, 100, 3);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(ide_status(), BSY);
		cr_expect_not(x.irq[0]);
		ide_settle();
		expect_interrupt(DRDY | DRQ);
		read_data(got, sizeof(got));
		cr_expect_arr_eq(got, on_disk(100 + i), sizeof(got));
	}
	cr_expect_eq(ide_status(), DRDY);
	cr_expect_not(x.irq[0], "there is no interrupt at the end");
}

Test(ide, read_multiple)
{
	uint8_t got[8 * BLOCK_SECTOR];

	ide_command28(0, 0xc4, 0, 8);
	expect_interrupt(DRDY | ERR);
	cr_expect_eq(ide_in(1), 4, "no block size is set");
	ide_command28(0, 0xc6, 0, 3);
	expect_interrupt(DRDY | ERR);
	ide_command28(0, 0xc6, 0, 8);
	expect_interrupt(DRDY);
	ide_command28(0, 0xc4, 50, 10);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	read_data(got, 8 * BLOCK_SECTOR);
	cr_expect_arr_eq(got, on_disk(50), 8 * BLOCK_SECTOR);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	read_data(got, 2 * BLOCK_SECTOR);
	cr_expect_arr_eq(got, on_disk(58), 2 * BLOCK_SECTOR);
	cr_expect_eq(ide_status(), DRDY);
}

Test(ide, write_by_port)
{
	uint8_t bytes[2 * BLOCK_SECTOR];

	memset(bytes, 0xa5, sizeof(bytes));
	ide_command28(0, 0x30, 7, 2);
	cr_expect_eq(ide_status(), DRDY | DRQ);
	cr_expect_not(x.irq[0], "the first block is asked for without an interrupt");
	write_data(bytes, BLOCK_SECTOR);
	cr_expect_eq(ide_status(), BSY);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	write_data(bytes + BLOCK_SECTOR, BLOCK_SECTOR);
	ide_settle();
	expect_interrupt(DRDY);
	cr_expect_arr_eq(on_disk(7), bytes, sizeof(bytes));
	cr_expect_neq(on_disk(9)[0], 0xa5);
}

Test(ide, cylinders_heads_sectors)
{
	uint8_t got[BLOCK_SECTOR];

	/* 16 heads of 63: cylinder 1, head 2, sector 3. */
	ide_out(6, 0xa2);
	ide_out(2, 1);
	ide_out(3, 3);
	ide_out(4, 1);
	ide_out(5, 0);
	ide_out(7, 0x20);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	read_data(got, sizeof(got));
	cr_expect_arr_eq(got, on_disk((1 * 16 + 2) * 63 + 2), sizeof(got));
	/* Sectors are numbered from 1. */
	ide_out(3, 0);
	ide_out(7, 0x20);
	expect_interrupt(DRDY | ERR);
	cr_expect_eq(ide_in(1), 0x10);
	/* Another geometry: 4 heads of 17. */
	ide_out(6, 0xa3);
	ide_out(2, 17);
	ide_out(7, 0x91);
	expect_interrupt(DRDY);
	ide_out(6, 0xa3);
	ide_out(2, 1);
	ide_out(3, 17);
	ide_out(7, 0x20);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	read_data(got, sizeof(got));
	cr_expect_arr_eq(got, on_disk((1 * 4 + 3) * 17 + 16), sizeof(got));
	ide_out(3, 18);
	ide_out(7, 0x20);
	expect_interrupt(DRDY | ERR);
}

Test(ide, sectors_that_are_not_there)
{
	static const struct { uint8_t command; uint32_t sector; uint8_t count; } wrong[] = {
		{ 0x20, DISK_SECTORS, 1 }, { 0x20, DISK_SECTORS - 1, 2 }, { 0x30, 0xfffffff, 1 },
		{ 0x20, DISK_SECTORS - 255, 0 }, { 0xc8, DISK_SECTORS, 1 }, { 0xca, 5000, 0 },
		{ 0x40, DISK_SECTORS, 1 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(wrong); i++) {
		ide_command28(0, wrong[i].command, wrong[i].sector, wrong[i].count);
		expect_interrupt(DRDY | ERR);
		cr_expect_eq(ide_in(1), 0x10, "%u", i);
	}
	ide_command48(0, 0x24, 0x800000000000ull, 1);
	expect_interrupt(DRDY | ERR);
	ide_command48(0, 0x24, 0, 0);
	expect_interrupt(DRDY | ERR);
	ide_command28(0, 0x20, DISK_SECTORS - 256, 0);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	cr_expect_eq(x.disk.requests, 1);
}

Test(ide, addresses_of_48_bits)
{
	uint8_t got[BLOCK_SECTOR];

	ide_command48(0, 0x24, 0x123, 2);
	ide_settle();
	read_data(got, sizeof(got));
	cr_expect_arr_eq(got, on_disk(0x123), sizeof(got));
	ide_settle();
	read_data(got, sizeof(got));
	cr_expect_arr_eq(got, on_disk(0x124), sizeof(got));
	cr_expect_eq(ide_status(), DRDY);
	/* What registers held before is read back with bit 7 of the control register. */
	ide_command48(0, 0x24, 0x665544332211ull, 0x7788);
	bus_pio_write(x.bus, 0x3f6, 0x80, 1);
	cr_expect_eq(ide_in(2), 0x77);
	cr_expect_eq(ide_in(3), 0x44);
	cr_expect_eq(ide_in(4), 0x55);
	cr_expect_eq(ide_in(5), 0x66);
	ide_out(2, 1);
	cr_expect_eq(ide_in(3), 0x11, "a write ends it");
	bus_pio_write(x.bus, 0x3f6, 0x80, 1);
	ide_out(7, 0xe0);
	cr_expect_eq(ide_in(3), 0x11, "so does a command");
	expect_interrupt(DRDY);
	ide_command28(0, 0x27, 0, 0);
	expect_interrupt(DRDY);
	cr_expect_eq(ide_in(3) | ide_in(4) << 8, DISK_SECTORS - 1, "READ NATIVE MAX EXT");
}

/* ---- bus master ---- */

#define TABLE 0x8000u

static void region(unsigned n, uint32_t address, uint32_t length, bool last)
{
	state_put32(x.ram + TABLE + 8 * n, address);
	state_put32(x.ram + TABLE + 8 * n + 4, (length & 0xffff) | (last ? 0x80000000u : 0));
}

static void bm_start(bool to_memory)
{
	bm_out(4, TABLE, 4);
	bm_out(2, 6, 1);
	bm_out(0, to_memory ? 9 : 1, 1);
}

Test(ide, read_by_bus_master)
{
	region(0, 0x20000, 1024 + 2, false);
	region(1, 0x30000, 512 - 2, true);
	ide_command28(0, 0xc8, 10, 3);
	cr_expect_eq(x.disk.requests, 0, "the bus master does not run yet");
	bm_start(true);
	cr_expect_eq(bm_in(2, 1), 1);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 4, "an interrupt, and no more active");
	expect_interrupt(DRDY);
	cr_expect_arr_eq(x.ram + 0x20000, on_disk(10), 1026);
	cr_expect_arr_eq(x.ram + 0x30000, on_disk(12) + 2, 510);
	bm_out(0, 0, 1);
	bm_out(2, 4, 1);
	cr_expect_eq(bm_in(2, 1), 0);
}

Test(ide, write_by_bus_master_of_many_sectors)
{
	enum { N = 700 };

	for (unsigned i = 0; i < N * BLOCK_SECTOR; i++)
		x.ram[0x20000 + i] = (uint8_t)(i * 31 >> 3);
	for (unsigned i = 0; i < 5; i++) /* length 0: 64 KiB */
		region(i, 0x20000 + i * 0x10000, 0, false);
	region(5, 0x70000, N * BLOCK_SECTOR - 5 * 0x10000, true);
	ide_command48(0, 0x35, 1000, N);
	bm_start(false);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 4);
	expect_interrupt(DRDY);
	cr_expect_eq(memcmp(on_disk(1000), x.ram + 0x20000, N * BLOCK_SECTOR), 0);
}

Test(ide, the_bus_master_may_start_first)
{
	region(0, 0x20000, 512, true);
	bm_start(true);
	ide_command28(0, 0xc8, 10, 1);
	ide_settle();
	expect_interrupt(DRDY);
	cr_expect_arr_eq(x.ram + 0x20000, on_disk(10), 512);
}

Test(ide, tables_that_do_not_fit)
{
	/* Longer than the transfer: the bus master stays active. */
	region(0, 0x20000, 1024, true);
	ide_command28(0, 0xc8, 10, 1);
	bm_start(true);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 5);
	expect_interrupt(DRDY);
	bm_out(0, 0, 1);
	cr_expect_eq(bm_in(2, 1), 4);
	/* Shorter. */
	region(0, 0x20000, 512, true);
	ide_command28(0, 0xc8, 10, 2);
	bm_start(true);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 4);
	expect_interrupt(DRDY | ERR);
	cr_expect_eq(ide_in(1), 4);
	bm_out(0, 0, 1);
}

Test(ide, memory_that_is_not_there)
{
	static const uint32_t address[] = { IDE_RAM - 256, IDE_RAM, 0xfffffffe };

	for (unsigned i = 0; i < 2 * RF_ARRAY_SIZE(address); i++) {
		const bool write = i % 2;

		region(0, address[i / 2], 512, true);
		ide_command28(0, write ? 0xca : 0xc8, 10, 1);
		bm_start(!write);
		ide_settle();
		cr_expect_eq(bm_in(2, 1), 6, "error, interrupt");
		expect_interrupt(DRDY | ERR);
		bm_out(0, 0, 1);
	}
	/* A table that is not there. */
	bm_out(4, 0xfffffffc, 4);
	ide_command28(0, 0xc8, 10, 1);
	bm_out(2, 6, 1);
	bm_out(0, 9, 1);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 6);
	expect_interrupt(DRDY | ERR);
}

Test(ide, stopping_the_bus_master_gives_up)
{
	region(0, 0x20000, 512, true);
	ide_command28(0, 0xc8, 10, 1);
	bm_start(true);
	bm_out(0, 0, 1);
	cr_expect_eq(x.disk.cancels, 1);
	cr_expect_eq(bm_in(2, 1), 0);
	cr_expect_eq(ide_status(), DRDY | ERR);
	cr_expect_not(x.irq[0]);
}

/* ---- errors of the host's ---- */

Test(ide, host_errors_are_device_errors)
{
	uint8_t bytes[BLOCK_SECTOR] = { 0 };

	x.disk.fail = -EIO;
	ide_command28(0, 0x20, 1, 1);
	ide_settle();
	expect_interrupt(DRDY | ERR);
	cr_expect_eq(ide_in(1), 0x40, "uncorrectable");
	x.disk.fail = -ENOSPC;
	ide_command28(0, 0x30, 1, 1);
	write_data(bytes, sizeof(bytes));
	ide_settle();
	expect_interrupt(DRDY | ERR);
	ide_command28(0, 0xe7, 0, 0);
	ide_settle();
	expect_interrupt(DRDY | ERR);
	region(0, 0x20000, 512, true);
	ide_command28(0, 0xca, 1, 1);
	bm_start(false);
	ide_settle();
	expect_interrupt(DRDY | ERR);
	x.disk.fail = 0;
	ide_command28(0, 0xe7, 0, 0);
	ide_settle();
	expect_interrupt(DRDY);
	cr_expect_eq(x.disk.flushes, 1);
}

Test(ide, a_disk_that_may_not_be_written)
{
	bus_pio_write(x.bus, 0x176, 0xe0, 1);
	bus_pio_write(x.bus, 0x172, 1, 1);
	bus_pio_write(x.bus, 0x177, 0x30, 1);
	cr_expect(x.irq[1]);
	cr_expect_eq(bus_pio_read(x.bus, 0x177, 1), DRDY | ERR);
	cr_expect_eq(bus_pio_read(x.bus, 0x171, 1), 4);
	cr_expect_eq(x.second.requests, 0);
}

/* ---- control ---- */

Test(ide, reset_while_a_request_is_under_way)
{
	ide_command28(0, 0x20, 1, 1);
	bus_pio_write(x.bus, 0x3f6, 4, 1);
	cr_expect_eq(x.disk.cancels, 1);
	cr_expect_eq(ide_status(), BSY);
	bus_pio_write(x.bus, 0x3f6, 0, 1);
	cr_expect_eq(ide_status(), DRDY);
	cr_expect_eq(ide_in(3), 1);
	cr_expect_not(x.irq[0]);
	ide_command28(0, 0x20, 1, 1);
	bus_reset_all(x.bus);
	cr_expect_eq(x.disk.cancels, 2);
	ide_command28(0, 0x20, 1, 1);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
}

Test(ide, interrupts_can_be_kept_off)
{
	bus_pio_write(x.bus, 0x3f6, 2, 1);
	ide_command28(0, 0xe7, 0, 0);
	ide_settle();
	cr_expect_not(x.irq[0]);
	bus_pio_write(x.bus, 0x3f6, 0, 1);
	cr_expect(x.irq[0], "it is pending");
	ide_in(7);
	cr_expect_not(x.irq[0]);
}

Test(ide, a_busy_drive_hears_nothing)
{
	ide_command28(0, 0x20, 1, 1);
	ide_out(3, 77);
	ide_out(7, 0xec);
	ide_out(6, 0xf0);
	cr_expect_eq(ide_status(), BSY);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
	ide_out(7, 0xec);
	cr_expect_eq(x.disk.requests, 1);
}

Test(ide, commands_there_are_not)
{
	static const uint8_t commands[] = { 0x00, 0xa0, 0xa1, 0xb0, 0x08, 0x50, 0xff, 0xf1 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(commands); i++) {
		ide_command28(0, commands[i], 0, 1);
		expect_interrupt(DRDY | ERR);
		cr_expect_eq(ide_in(1), 4, "%02x", commands[i]);
	}
}

/* ---- saved state ---- */

Test(ide, saved_in_the_middle)
{
	uint8_t got[2 * BLOCK_SECTOR];
	struct error error = { 0 };
	void *data;
	size_t size;

	/* A request under way is made again. */
	ide_command28(0, 0x20, 100, 2);
	cr_assert_eq(bus_save(x.bus, 0, &data, &size), 0);
	ide_settle();
	read_data(got, BLOCK_SECTOR);
	cr_assert_eq(bus_load(x.bus, data, size, &error), 0, "%s", error.text);
	free(data);
	ide_settle();
	read_data(got, 100);
	/* In the middle of the host's reading. */
	cr_assert_eq(bus_save(x.bus, 0, &data, &size), 0);
	bus_reset_all(x.bus);
	cr_assert_eq(bus_load(x.bus, data, size, &error), 0, "%s", error.text);
	free(data);
	read_data(got + 100, BLOCK_SECTOR - 100);
	ide_settle();
	read_data(got + BLOCK_SECTOR, BLOCK_SECTOR);
	cr_expect_arr_eq(got, on_disk(100), sizeof(got));
	cr_expect_eq(ide_status(), DRDY);
}

/* Of a write, more bytes than there are sectors left. */
Test(ide, a_state_that_would_write_beyond_the_disk)
{
	struct error error = { 0 };
	void *data;
	size_t size;

	ide_command28(0, 0x30, 100, 1);
	x.ide.channel[0].s.left = 0;
	cr_assert_eq(bus_save(x.bus, 0, &data, &size), 0);
	cr_expect_neq(bus_load(x.bus, data, size, &error), 0);
	cr_expect(strstr(error.text, "s.bytes") || strstr(error.text, "s.left"), "%s", error.text);
	free(data);
}

/* Whatever the file says, what is loaded can be gone on with. */
Test(ide, damaged_states)
{
	struct error error = { 0 };
	unsigned seed = 3, taken = 0;
	void *data;
	size_t size;

	ide_command28(0, 0x20, 100, 2);
	cr_assert_eq(bus_save(x.bus, 0, &data, &size), 0);
	for (unsigned i = 0; i < 300; i++) {
		uint8_t *copy = malloc(size);

		memcpy(copy, data, size);
		for (unsigned n = 0; n < 3; n++) /* registers are among the first bytes */
			copy[(unsigned)rand_r(&seed) % 700] = (uint8_t)rand_r(&seed);
		if (!bus_load(x.bus, copy, size, &error)) {
			taken++;
			ide_settle();
			for (unsigned n = 0; n < 1000; n++)
				bus_pio_read(x.bus, IDE_BASE, 4);
			ide_settle();
		}
		free(copy);
	}
	cr_expect_gt(taken, 0);
	free(data);
}

/* ---- nonsense ---- */

Test(ide, any_programming_is_survived)
{
	unsigned seed = 7;

	for (unsigned i = 0; i < 60000; i++) {
		const unsigned what = (unsigned)rand_r(&seed) % 16, size = 1u << rand_r(&seed) % 3;
		const uint16_t base = rand_r(&seed) % 4 ? 0x1f0 : 0x170;
		uint32_t value = (uint32_t)rand_r(&seed) >> rand_r(&seed) % 24;

		if (what < 9)
			bus_pio_write(x.bus, (uint16_t)(base + rand_r(&seed) % 8), value, size);
		else if (what < 12)
			bus_pio_read(x.bus, (uint16_t)(base + rand_r(&seed) % 8), size);
		else if (what < 14)
			bm_out((unsigned)rand_r(&seed) % 16, value, size);
		else if (what == 14)
			x.ram[(unsigned)rand_r(&seed) % 0x10000] = (uint8_t)value;
		else if (rand_r(&seed) % 2)
			ide_settle();
		else if (rand_r(&seed) % 32 == 0)
			bus_pio_write(x.bus, (uint16_t)(base + 0x206), value, 1);
		if (i % 64 == 0)
			x.disk.fail = rand_r(&seed) % 4 ? 0 : -EIO;
	}
	x.disk.fail = x.cd.fail = 0;
	ide_settle();
	bus_reset_all(x.bus);
	ide_command28(0, 0x20, 5, 1);
	ide_settle();
	expect_interrupt(DRDY | DRQ);
}
