/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of a disk, each of them, and every word of its identity. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ide_fixture.h"

TestSuite(ide_ata, .init = ide_setup, .fini = ide_teardown);

#define ERR  0x01
#define DRQ  0x08
#define DRDY 0x50 /* with seek complete */
#define BSY  0x80

#define ABRT 0x04
#define IDNF 0x10

#define FIRST 10u
#define COUNT 4u
#define TABLE 0x8000u
#define DATA  0x20000u

/* ---- commands that move sectors (ATA/ATAPI-6, chapter 8; ATA-3 has the second of pairs) ---- */

enum way { PORT_READ, PORT_WRITE, DMA_READ, DMA_WRITE, VERIFY };

static const struct move {
	uint8_t command;
	enum way way;
	bool wide, multiple;
} moves[] = {
	{ 0x20, PORT_READ, false, false }, { 0x21, PORT_READ, false, false },
	{ 0x24, PORT_READ, true, false }, { 0x25, DMA_READ, true, false },
	{ 0x29, PORT_READ, true, true }, { 0x30, PORT_WRITE, false, false },
	{ 0x31, PORT_WRITE, false, false }, { 0x34, PORT_WRITE, true, false },
	{ 0x35, DMA_WRITE, true, false }, { 0x39, PORT_WRITE, true, true },
	{ 0x3c, PORT_WRITE, false, false }, { 0x40, VERIFY, false, false },
	{ 0x41, VERIFY, false, false }, { 0x42, VERIFY, true, false },
	{ 0xc4, PORT_READ, false, true }, { 0xc5, PORT_WRITE, false, true },
	{ 0xc8, DMA_READ, false, false }, { 0xc9, DMA_READ, false, false },
	{ 0xca, DMA_WRITE, false, false }, { 0xcb, DMA_WRITE, false, false },
};

static void start_over(void)
{
	bus_pio_write(x.bus, 0x3f6, 4, 1);
	bus_pio_write(x.bus, 0x3f6, 0, 1);
	bm_out(0, 0, 1);
	x.disk.requests = 0;
}

static void command(uint8_t code, uint8_t feature, uint8_t count)
{
	ide_out(1, feature);
	ide_command28(0, code, 0, count);
}

static void expect_end(uint8_t error, uint8_t code)
{
	cr_expect(x.irq[0], "%02x", code);
	cr_expect_eq(ide_in(7), error ? DRDY | ERR : DRDY, "%02x: %02x", code, ide_status());
	cr_expect_eq(ide_in(1), error, "%02x: error %02x", code, ide_in(1));
	cr_expect_not(x.irq[0], "%02x", code);
}

/* As many sectors as come in a data request. */
static void by_port(const struct move *m, unsigned sectors)
{
	const bool write = m->way == PORT_WRITE;

	for (unsigned at = 0; at < COUNT; at += sectors) {
		ide_settle();
		cr_expect_eq(x.irq[0], !write || at, "%02x", m->command);
		cr_expect_eq(ide_in(7), DRDY | DRQ, "%02x", m->command);
		for (unsigned i = 0; i < sectors * BLOCK_SECTOR; i += 2) {
			uint8_t *there = x.disk.bytes + (FIRST + at) * BLOCK_SECTOR + i;
			uint16_t word = (uint16_t)(i * 3 + 1 + at);

			cr_assert_eq(ide_status(), DRDY | DRQ, "%02x: after %u", m->command, i);
			if (write)
				bus_pio_write(x.bus, IDE_BASE, word, 2);
			else
				cr_assert_eq(bus_pio_read(x.bus, IDE_BASE, 2),
					     there[0] | there[1] << 8, "%02x: %u", m->command, i);
		}
		if (write || at + sectors < COUNT)
			cr_assert_eq(ide_status(), BSY, "%02x", m->command);
		cr_expect_not(x.irq[0], "%02x", m->command);
	}
	ide_settle();
	if (!write)
		return;
	cr_expect_eq(x.disk.bytes[FIRST * BLOCK_SECTOR + 2], 7, "%02x", m->command);
	expect_end(0, m->command);
}

static void by_bus_master(const struct move *m)
{
	uint8_t *there = x.disk.bytes + FIRST * BLOCK_SECTOR;

	for (unsigned i = 0; i < COUNT * BLOCK_SECTOR; i++)
		x.ram[DATA + i] = (uint8_t)(i * 5 + i / 256);
	state_put32(x.ram + TABLE, DATA);
	state_put32(x.ram + TABLE + 4, 0x80000000u | COUNT * BLOCK_SECTOR);
	cr_expect_eq(ide_status(), DRDY | DRQ, "%02x", m->command);
	cr_expect_eq(x.disk.requests, 0, "%02x", m->command);
	bm_out(4, TABLE, 4);
	bm_out(2, 6, 1);
	bm_out(0, m->way == DMA_READ ? 9 : 1, 1);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 4, "%02x", m->command);
	expect_end(0, m->command);
	cr_expect_eq(memcmp(x.ram + DATA, there, COUNT * BLOCK_SECTOR), 0, "%02x", m->command);
	cr_expect_eq(x.ram[DATA + 1] == 5, m->way == DMA_WRITE, "%02x", m->command);
}

static void carry_out(const struct move *m)
{
	/* Of narrow commands what the registers held before means nothing. */
	ide_command48(0, m->command, FIRST | (m->wide ? 0 : 0xffffff000000ull), COUNT);
	switch (m->way) {
	case PORT_READ: case PORT_WRITE: by_port(m, m->multiple ? 2 : 1); break;
	case DMA_READ: case DMA_WRITE: by_bus_master(m); break;
	default:
		ide_settle();
		cr_expect_eq(x.disk.requests, 1, "%02x", m->command);
		expect_end(0, m->command);
	}
}

Test(ide_ata, each_way_to_move_sectors)
{
	for (const struct move *m = moves; m < moves + RF_ARRAY_SIZE(moves); m++) {
		start_over();
		ide_command48(0, m->command, FIRST, COUNT);
		if (m->multiple)
			expect_end(ABRT, m->command);
		start_over();
		command(0xc6, 0, 2);
		expect_end(0, 0xc6);
		if (m->wide) {
			ide_command48(0, m->command, FIRST | 1ull << 40, COUNT);
			expect_end(IDNF, m->command);
			ide_command48(0, m->command, FIRST, 0x2000);
			expect_end(IDNF, m->command);
		}
		carry_out(m);
	}
}

/* ---- the others ---- */

static bool is_move(unsigned code)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(moves); i++)
		if (moves[i].command == code)
			return true;
	return false;
}

/* Those that end at once and well; 94h to 99h, 10h to 1fh and 70h to 7fh are of ATA-3. */
static bool is_done_at_once(unsigned code)
{
	static const uint8_t done[] = { 0x27, 0x91, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0xc6, 0xe0,
					0xe1, 0xe2, 0xe3, 0xe5, 0xe6, 0xf8 };

	return code >> 4 == 1 || code >> 4 == 7 || memchr(done, (int)code, sizeof(done));
}

Test(ide_ata, each_other_command)
{
	for (unsigned code = 0; code < 256; code++) {
		const bool flushes = code == 0xe7 || code == 0xea;

		if (is_move(code) || code == 0x90 || code == 0xec || code == 0xef)
			continue;
		start_over();
		command((uint8_t)code, 0, 1);
		cr_expect_eq(x.disk.requests, flushes, "%02x", code);
		ide_settle();
		expect_end(is_done_at_once(code) || flushes ? 0 : ABRT, (uint8_t)code);
		cr_expect_eq(ide_in(2), code == 0x98 || code == 0xe5 ? 0xff : 1,
			     "%02x: active, if asked", code);
	}
}

/* ATA/ATAPI-6, SET FEATURES. */
Test(ide_ata, each_feature)
{
	static const uint8_t done[] = { 0x02, 0x03, 0x55, 0x66, 0x82, 0xaa, 0xcc };

	for (unsigned feature = 0; feature < 256; feature++) {
		x.disk.requests = 0;
		command(0xef, (uint8_t)feature, 0x22);
		cr_expect_eq(x.disk.requests, feature == 0x82, "%02x", feature);
		ide_settle();
		expect_end(memchr(done, (int)feature, sizeof(done)) ? 0 : ABRT, (uint8_t)feature);
	}
}

static void expect_native_max(bool wide, uint64_t last)
{
	ide_command48(0, wide ? 0x27 : 0xf8, 0, 0);
	expect_end(0, wide ? 0x27 : 0xf8);
	cr_expect_eq(ide_in(3) | ide_in(4) << 8 | ide_in(5) << 16, last & 0xffffff);
	if (!wide) {
		cr_expect_eq(ide_in(6) & 0x1f, last >> 24);
		return;
	}
	bus_pio_write(x.bus, 0x3f6, 0x80, 1);
	cr_expect_eq(ide_in(3) | ide_in(4) << 8 | ide_in(5) << 16, last >> 24);
	bus_pio_write(x.bus, 0x3f6, 0, 1);
}

/* ATA/ATAPI-6, READ NATIVE MAX ADDRESS: of more than 28 bits the most they can say. */
Test(ide_ata, native_max)
{
	static const struct { uint64_t sectors; uint32_t narrow; } disks[] = {
		{ 0x1234567, 0x1234566 }, { 0x0fffffff, 0x0ffffffe }, { 0x10000000, 0x0fffffff },
		{ 0x10000001, 0x0fffffff }, { 0x665544332212, 0x0fffffff },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(disks); i++) {
		x.disk.device.sectors = disks[i].sectors;
		expect_native_max(false, disks[i].narrow);
		expect_native_max(true, disks[i].sectors - 1);
	}
}

Test(ide_ata, blocks_of_sectors)
{
	for (unsigned n = 0; n < 256; n++) {
		command(0xc6, 0, (uint8_t)n);
		expect_end(n == 0 || n == 1 || n == 2 || n == 4 || n == 8 || n == 16 ? 0 : ABRT,
			   (uint8_t)n);
		if (n != 16 && n != 17)
			continue;
		ide_command28(0, 0xc4, 0, 1);
		if (n == 17) { /* what was set before is gone */
			expect_end(ABRT, 0xc4);
			continue;
		}
		ide_settle();
		cr_expect_eq(ide_in(7), DRDY | DRQ);
		start_over();
	}
}

/* ---- IDENTIFY DEVICE ---- */

static void put_text(uint16_t *words, unsigned count, const char *text)
{
	for (unsigned i = 0; i < count; i++) {
		const char high = *text ? *text++ : ' ', low = *text ? *text++ : ' ';

		words[i] = (uint16_t)(high << 8 | low);
	}
}

static void expect_identity(const uint16_t *expected)
{
	uint16_t w[256];

	command(0xec, 0, 0);
	cr_expect(x.irq[0]);
	cr_expect_eq(ide_in(7), DRDY | DRQ);
	for (unsigned i = 0; i < 256; i++)
		w[i] = (uint16_t)bus_pio_read(x.bus, IDE_BASE, 2);
	for (unsigned i = 0; i < 256; i++)
		cr_expect_eq(w[i], expected[i], "word %u is %04x", i, w[i]);
	cr_expect_eq(ide_in(7), DRDY);
}

static void put_geometry(uint16_t *w, uint16_t cylinders, uint16_t heads, uint16_t sectors)
{
	const uint32_t all = (uint32_t)cylinders * heads * sectors;

	w[54] = cylinders;
	w[55] = heads;
	w[56] = sectors;
	w[57] = (uint16_t)all;
	w[58] = (uint16_t)(all >> 16);
}

static void put_capacity(uint16_t *w, uint32_t narrow, uint64_t wide)
{
	w[60] = (uint16_t)narrow;
	w[61] = (uint16_t)(narrow >> 16);
	for (unsigned i = 0; i < 4; i++)
		w[100 + i] = (uint16_t)(wide >> 16 * i);
}

static void put_unchanging(uint16_t *w)
{
	static const struct { uint8_t at; uint16_t value; } words[] = {
		{ 0, 0x0040 }, { 1, DISK_SECTORS / (16 * 63) }, { 3, 16 }, { 6, 63 },
		{ 47, 0x8010 }, { 49, 0x0b00 }, { 53, 7 }, { 63, 7 }, { 64, 3 }, { 65, 120 },
		{ 66, 120 }, { 67, 120 }, { 68, 120 }, { 80, 0xf0 }, { 82, 0x4020 },
		{ 83, 0x7400 }, { 84, 0x4000 }, { 85, 0x4020 }, { 86, 0x3400 }, { 87, 0x4000 },
		{ 88, 0x3f }, { 93, 0x6001 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(words); i++)
		w[words[i].at] = words[i].value;
	put_text(w + 10, 10, "RF00001");
	put_text(w + 23, 4, "1.0");
	put_text(w + 27, 20, "RINGFENCE HARDDISK");
}

/* ATA/ATAPI-6, 8.15. */
Test(ide_ata, every_word_of_its_identity)
{
	uint16_t w[256] = { 0 };

	put_unchanging(w);
	put_geometry(w, 4, 16, 63);
	put_capacity(w, DISK_SECTORS, DISK_SECTORS);
	expect_identity(w);
	command(0xc6, 0, 16);
	expect_end(0, 0xc6);
	w[59] = 0x0110;
	command(0xef, 0x03, 0x22); /* multiword DMA, mode 2 */
	expect_end(0, 0xef);
	w[63] = 0x0407;
	expect_identity(w);
	command(0xef, 0x03, 0x45); /* UDMA, mode 5 */
	w[63] = 7;
	w[88] = 0x203f;
	expect_identity(w);
	command(0xef, 0x03, 0x08); /* PIO with flow control */
	w[88] = 0x3f;
	expect_identity(w);
}

/* INITIALIZE DEVICE PARAMETERS changes how cylinders are counted, and nothing else. */
Test(ide_ata, identity_in_another_geometry)
{
	static const struct { uint16_t cylinders; uint8_t heads, sectors; } current[] = {
		{ 4 * 16 * 63 / (4 * 17), 4, 17 }, { 1, 16, 252 }, { 4032, 1, 1 },
	};
	uint16_t w[256] = { 0 };

	put_unchanging(w);
	put_capacity(w, DISK_SECTORS, DISK_SECTORS);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(current); i++) {
		ide_out(6, (uint8_t)(0xa0 | (current[i].heads - 1)));
		ide_out(2, current[i].sectors);
		ide_out(7, 0x91);
		expect_end(0, 0x91);
		put_geometry(w, current[i].cylinders, current[i].heads, current[i].sectors);
		expect_identity(w);
	}
	ide_out(2, 0);
	ide_out(7, 0x91);
	expect_end(ABRT, 0x91);
	expect_identity(w);
}

Test(ide_ata, identity_of_large_disks)
{
	static const struct { uint64_t sectors; uint32_t narrow; } disks[] = {
		{ 0x0ffffffe, 0x0ffffffe }, { 0x0fffffff, 0x0fffffff },
		{ 0x10000000, 0x0fffffff }, { 0x665544332211, 0x0fffffff },
	};
	uint16_t w[256] = { 0 };

	put_unchanging(w);
	x.ide.channel[0].drive[0].geometry.cylinders = w[1] = 16383;
	put_geometry(w, 16383, 16, 63);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(disks); i++) {
		x.disk.device.sectors = disks[i].sectors;
		put_capacity(w, disks[i].narrow, disks[i].sectors);
		expect_identity(w);
	}
	/* More cylinders than a word can say. */
	ide_out(6, 0xa0);
	ide_out(2, 63);
	ide_out(7, 0x91);
	expect_end(0, 0x91);
	put_geometry(w, 65535, 1, 63);
	expect_identity(w);
}

/* ---- ports ---- */

Test(ide_ata, bytes_of_the_data_port)
{
	ide_command28(0, 0x20, FIRST, 1);
	ide_settle();
	for (unsigned i = 0; i < BLOCK_SECTOR; i++) {
		cr_assert_eq(ide_status(), DRDY | DRQ, "after %u", i);
		cr_assert_eq(ide_in(0), x.disk.bytes[FIRST * BLOCK_SECTOR + i], "%u", i);
	}
	cr_expect_eq(ide_status(), DRDY);
}

/* A software reset ends what the host was to read. */
Test(ide_ata, registers_after_a_reset_in_the_middle)
{
	ide_command28(0, 0x20, FIRST, 1);
	ide_settle();
	cr_expect_eq(ide_status(), DRDY | DRQ);
	start_over();
	cr_expect_eq(ide_status(), DRDY);
	ide_out(3, 0x77);
	cr_expect_eq(ide_in(3), 0x77, "they are the host's again");
	cr_expect_eq(bus_pio_read(x.bus, IDE_BASE, 2), 0, "no data");
}

/* Of the control register nIEN alone keeps interrupts off. */
Test(ide_ata, interrupts_whatever_else_is_in_control)
{
	bus_pio_write(x.bus, 0x3f6, 0x88, 1);
	command(0xe5, 0, 0);
	cr_expect(x.irq[0]);
	bus_pio_write(x.bus, 0x3f6, 0x8a, 1);
	cr_expect_not(x.irq[0]);
}

Test(ide_ata, parts_of_the_bus_masters_table)
{
	bm_out(4, 0x12345678, 4);
	cr_expect_eq(bm_in(4, 4), 0x12345678);
	bm_out(4, 0xabcf, 2);
	cr_expect_eq(bm_in(4, 4), 0x1234abcc);
	bm_out(6, 0x56, 1);
	cr_expect_eq(bm_in(4, 4), 0x1256abcc);
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(bm_in(4 + i, 1), 0x1256abccu >> 8 * i & 0xff, "%u", i);
	cr_expect_eq(bm_in(0, 4), 0);
}

Test(ide_ata, a_state_that_would_read_beyond_the_disk)
{
	static const struct { uint64_t sector; uint32_t left; bool good; } cases[] = {
		{ FIRST + 1, DISK_SECTORS - FIRST - 1, true }, { FIRST + 1, DISK_SECTORS, false },
		{ FIRST + 1, DISK_SECTORS - FIRST, false }, { DISK_SECTORS, 0, true },
		{ DISK_SECTORS + 1, 0, false },
	};
	struct error error = { 0 };
	void *data;
	size_t size;

	ide_command28(0, 0x20, FIRST, 1);
	ide_settle();
	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		x.ide.channel[0].s.sector = cases[i].sector;
		x.ide.channel[0].s.left = cases[i].left;
		cr_assert_eq(bus_save(x.bus, 0, &data, &size), 0);
		cr_expect_eq(!bus_load(x.bus, data, size, &error), cases[i].good, "%u", i);
		free(data);
		if (!cases[i].good)
			cr_expect_not_null(strstr(error.text, "s.left"), "%s", error.text);
	}
}
