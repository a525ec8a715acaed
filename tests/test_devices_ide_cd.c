/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CD-ROMs: packet commands by port and by bus master, errors and their sense data. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ide_fixture.h"

TestSuite(ide_cd, .init = ide_setup, .fini = ide_teardown);

#define ERR  0x01
#define DRQ  0x08
#define DRDY 0x50

#define DISC_SECTORS (CD_SECTORS_512 / 4)

/* Sends a packet; the data of its answer is wanted in requests of at most limit bytes. */
static void packet(const uint8_t *bytes, size_t count, uint16_t limit, bool dma)
{
	uint8_t whole[12] = { 0 };

	memcpy(whole, bytes, count);
	ide_out(6, 0xb0);
	ide_out(1, dma);
	ide_out(4, (uint8_t)limit);
	ide_out(5, (uint8_t)(limit >> 8));
	ide_out(7, 0xa0);
	cr_assert_eq(ide_status(), DRDY | DRQ);
	cr_assert_eq(ide_in(2), 1, "a command is wanted");
	for (unsigned i = 0; i < sizeof(whole); i += 2)
		bus_pio_write(x.bus, IDE_BASE, whole[i] | (uint32_t)whole[i + 1] << 8, 2);
}

#define PACKET(...) \
	packet((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	       0xfffe, false)

/* Reads what is offered until the end: how many bytes. */
static size_t read_all(uint8_t *to, size_t room, unsigned *requests)
{
	size_t done = 0;

	*requests = 0;
	for (;;) {
		size_t n;

		ide_settle();
		cr_assert(x.irq[0]);
		if (!(ide_in(7) & DRQ))
			break;
		cr_assert_eq(ide_in(2), 2, "data to the host");
		n = ide_in(4) | (size_t)ide_in(5) << 8;
		cr_assert_leq(done + n, room);
		for (size_t i = 0; i < n; i += 2, done += 2) {
			uint16_t word = (uint16_t)bus_pio_read(x.bus, IDE_BASE, 2);

			memcpy(to + done, &word, 2);
		}
		++*requests;
	}
	cr_assert_eq(ide_in(2), 3, "the command is done");
	return done;
}

static size_t answer(uint8_t *to, size_t room)
{
	unsigned requests;

	memset(to, 0xee, room);
	return read_all(to, room, &requests);
}

static void expect_sense(uint8_t key, uint8_t code)
{
	uint8_t b[18];

	cr_expect(x.irq[0]);
	cr_expect_eq(ide_in(7), DRDY | ERR);
	cr_expect_eq(ide_in(1) >> 4, key);
	PACKET(0x03, 0, 0, 0, 18);
	cr_assert_eq(answer(b, sizeof(b)), 18);
	cr_expect_eq(b[2], key);
	cr_expect_eq(b[12], code);
	PACKET(0x03, 0, 0, 0, 18);
	answer(b, sizeof(b));
	cr_expect_eq(b[2], 0, "told once");
}

static uint32_t big32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

Test(ide_cd, what_it_is)
{
	uint8_t b[64];

	PACKET(0x12, 0, 0, 0, 36);
	cr_expect_eq(answer(b, sizeof(b)), 36);
	cr_expect_eq(b[0], 5);
	PACKET(0x12, 0, 0, 0, 4);
	cr_expect_eq(answer(b, sizeof(b)), 4, "no more than wanted");
	PACKET(0x12, 0, 0, 0, 0);
	cr_expect_eq(answer(b, sizeof(b)), 0);
	PACKET(0x25);
	cr_expect_eq(answer(b, sizeof(b)), 8);
	cr_expect_eq(big32(b), DISC_SECTORS - 1);
	cr_expect_eq(big32(b + 4), 2048);
	PACKET(0x00);
	cr_expect_eq(answer(b, sizeof(b)), 0);
}

Test(ide_cd, read_in_requests_of_the_hosts_size)
{
	static uint8_t got[140 * 2048];
	static const uint16_t limits[] = { 0xfffe, 0xffff, 0, 2048, 2047, 512, 30 };
	unsigned requests;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(limits); i++) {
		const uint8_t read[] = { 0x28, 0, 0, 0, 0, 16, 0, 0, 2 };

		packet(read, sizeof(read), limits[i], false);
		cr_expect_eq(read_all(got, sizeof(got), &requests), 4096, "%u", limits[i]);
		cr_expect_arr_eq(got, x.cd.bytes + 16 * 2048, 4096);
		if (limits[i] == 2048)
			cr_expect_eq(requests, 2);
	}
	/* More than the buffer has room for. */
	PACKET(0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 140);
	cr_expect_eq(read_all(got, sizeof(got), &requests), sizeof(got));
	cr_expect_eq(memcmp(got, x.cd.bytes + 2048, sizeof(got)), 0);
	PACKET(0x28, 0, 0, 0, 0, 16, 0, 0, 0);
	cr_expect_eq(read_all(got, sizeof(got), &requests), 0);
}

Test(ide_cd, read_by_bus_master)
{
	static const uint8_t read[] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 4 };
	static const uint8_t capacity[] = { 0x25 };

	state_put32(x.ram, 0x20000);
	state_put32(x.ram + 4, 0x80000000u | 8192);
	packet(read, sizeof(read), 0, true);
	bm_out(4, 0, 4);
	bm_out(0, 9, 1);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 4);
	cr_expect(x.irq[0]);
	cr_expect_eq(ide_in(7), DRDY);
	cr_expect_eq(ide_in(2), 3);
	cr_expect_eq(memcmp(x.ram + 0x20000, x.cd.bytes + 3 * 2048, 8192), 0);
	/* Answers that are not on the disc too. */
	bm_out(0, 0, 1);
	bm_out(2, 6, 1);
	state_put32(x.ram + 4, 0x80000000u | 8);
	packet(capacity, sizeof(capacity), 0, true);
	bm_out(0, 9, 1);
	cr_expect_eq(bm_in(2, 1), 4);
	cr_expect_eq(big32(x.ram + 0x20000), DISC_SECTORS - 1);
	cr_expect_eq(ide_in(7), DRDY);
	/* Memory that is not there. */
	bm_out(0, 0, 1);
	bm_out(2, 6, 1);
	state_put32(x.ram, IDE_RAM);
	packet(read, sizeof(read), 0, true);
	bm_out(0, 9, 1);
	ide_settle();
	cr_expect_eq(bm_in(2, 1), 6);
	expect_sense(11, 0);
}

Test(ide_cd, what_cannot_be)
{
	PACKET(0x28, 0, 0, 0, DISC_SECTORS >> 8, DISC_SECTORS & 0xff, 0, 0, 1);
	expect_sense(5, 0x21);
	PACKET(0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff);
	expect_sense(5, 0x21);
	PACKET(0x2b, 0, 0xff);
	expect_sense(5, 0x21);
	PACKET(0x2a, 0, 0, 0, 0, 1, 0, 0, 1); /* write */
	expect_sense(5, 0x20);
	PACKET(0x43, 0, 7, 0, 0, 0, 0, 0, 20);
	expect_sense(5, 0x24);
	PACKET(0x4a); /* events that come later */
	expect_sense(5, 0x24);
	PACKET(0x5a, 0, 0x08, 0, 0, 0, 0, 0, 20);
	expect_sense(5, 0x24);
}

Test(ide_cd, host_errors)
{
	x.cd.fail = -EIO;
	PACKET(0x28, 0, 0, 0, 0, 16, 0, 0, 2);
	ide_settle();
	expect_sense(3, 0x11);
}

Test(ide_cd, table_of_contents)
{
	uint8_t b[64];

	PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 64);
	cr_expect_eq(answer(b, sizeof(b)), 20);
	cr_expect_eq(b[1], 18);
	cr_expect_eq(b[6], 1);
	cr_expect_eq(big32(b + 8), 0);
	cr_expect_eq(b[14], 0xaa);
	cr_expect_eq(big32(b + 16), DISC_SECTORS);
	PACKET(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 64);
	cr_expect_eq(answer(b, sizeof(b)), 12);
	/* 512 + 150 frames: 8 seconds and 62 frames */
	cr_expect_eq(big32(b + 8), 8 << 8 | 62);
	PACKET(0x43, 0, 1, 0, 0, 0, 0, 0, 12);
	cr_expect_eq(answer(b, sizeof(b)), 12);
	PACKET(0x43, 0, 2, 0, 0, 0, 0, 0, 64);
	cr_expect_eq(answer(b, sizeof(b)), 4 + 4 * 11);
	cr_expect_eq(b[4 + 3], 0xa0);
}

Test(ide_cd, without_a_disc)
{
	uint8_t b[64];

	x.ide.channel[0].drive[1].block = NULL;
	PACKET(0x00);
	expect_sense(2, 0x3a);
	PACKET(0x28, 0, 0, 0, 0, 16, 0, 0, 2);
	expect_sense(2, 0x3a);
	PACKET(0x25);
	expect_sense(2, 0x3a);
	PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 64);
	expect_sense(2, 0x3a);
	PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	cr_expect_eq(answer(b, sizeof(b)), 8);
	cr_expect_eq(b[5], 0);
	x.ide.channel[0].drive[1].block = &x.cd.device;
	PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	cr_expect_eq(answer(b, sizeof(b)), 8);
	cr_expect_eq(b[5], 2);
}

Test(ide_cd, what_drivers_ask)
{
	uint8_t b[64];

	PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64);
	cr_expect_eq(answer(b, sizeof(b)), 28);
	cr_expect_eq(b[8], 0x2a);
	PACKET(0x46, 0, 0, 0, 0, 0, 0, 0, 64);
	cr_expect_eq(answer(b, sizeof(b)), 40);
	cr_expect_eq(b[7], 8, "a CD-ROM");
	PACKET(0x51, 0, 0, 0, 0, 0, 0, 0, 64);
	cr_expect_eq(answer(b, sizeof(b)), 34);
	PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8);
	cr_expect_eq(answer(b, sizeof(b)), 8);
	PACKET(0x1e, 0, 0, 0, 1);
	cr_expect_eq(answer(b, sizeof(b)), 0);
}

Test(ide_cd, reset_by_command)
{
	PACKET(0x28, 0, 0, 0, 0, 16, 0, 0, 2);
	ide_out(7, 0x08);
	cr_expect_eq(x.cd.cancels, 1);
	cr_expect_eq(ide_in(4), 0x14);
	cr_expect_eq(ide_status(), 0);
	PACKET(0x00);
	cr_expect_eq(ide_in(7), DRDY);
}

/* ---- discs that come and go ---- */

/* The sense of a command that has failed: key, code and its qualifier. */
static unsigned sense(void)
{
	uint8_t b[18];

	cr_assert_eq(ide_in(7), DRDY | ERR);
	PACKET(0x03, 0, 0, 0, 18);
	answer(b, sizeof(b));
	return (unsigned)b[2] << 16 | (unsigned)b[12] << 8 | b[13];
}

/* 0: it is ready. */
static unsigned ready(void)
{
	PACKET(0x00);
	return ide_status() & ERR ? sense() : 0;
}

/* The event, and the state of the medium. */
static unsigned event(void)
{
	uint8_t b[8];

	PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
	cr_assert_eq(answer(b, sizeof(b)), 8);
	return (unsigned)b[4] << 8 | b[5];
}

Test(ide_cd, a_disc_taken_out_and_put_in)
{
	cr_expect_eq(event(), 0x002);
	ide_set_disc(&x.ide, 1, NULL);
	cr_expect_eq(event(), 0x301, "removed, the tray is open");
	cr_expect_eq(event(), 0x001, "told once");
	cr_expect_eq(ready(), 0x23a02);
	cr_expect_eq(ready(), 0x23a02);
	ide_set_disc(&x.ide, 1, &x.cd.device);
	cr_expect_eq(event(), 0x202);
	cr_expect_eq(ready(), 0x62800, "another disc");
	cr_expect_eq(ready(), 0);
	cr_expect_eq(event(), 0x002);
}

Test(ide_cd, a_disc_exchanged_behind_the_guests_back)
{
	uint8_t b[36];

	ide_set_disc(&x.ide, 1, &x.second.device);
	PACKET(0x12, 0, 0, 0, 36);
	cr_expect_eq(answer(b, sizeof(b)), 36, "INQUIRY tells nothing of it");
	cr_expect_eq(ready(), 0x23a01, "there was none for a moment");
	bus_pio_write(x.bus, 0x3f6, 4, 1); /* a reset does not make it forget */
	bus_pio_write(x.bus, 0x3f6, 0, 1);
	PACKET(0x25);
	cr_expect_eq(sense(), 0x62800);
	PACKET(0x25);
	cr_expect_eq(answer(b, sizeof(b)), 8);
	cr_expect_eq(big32(b), 64 / 4 - 1);
}

Test(ide_cd, the_tray)
{
	uint8_t b[64];

	PACKET(0x1e, 0, 0, 0, 1);
	cr_expect_eq(answer(b, sizeof(b)), 0);
	PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64);
	answer(b, sizeof(b));
	cr_expect_eq(b[8 + 6] & 0x02, 0x02, "locked");
	PACKET(0x1b, 0, 0, 0, 2);
	cr_expect_eq(sense(), 0x55302);
	ide_ask_to_eject(&x.ide, 1);
	cr_expect_eq(event(), 0x102);
	PACKET(0x1e, 0, 0, 0, 0);
	answer(b, sizeof(b));
	PACKET(0x1b, 0, 0, 0, 2);
	cr_expect_eq(answer(b, sizeof(b)), 0);
	cr_expect_eq(ready(), 0x23a02);
	PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8);
	answer(b, sizeof(b));
	cr_expect_eq(b[1], 0x10);
	PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64);
	answer(b, sizeof(b));
	cr_expect_eq(b[2], 0x71);
	PACKET(0x1b, 0, 0, 0, 3);
	answer(b, sizeof(b));
	cr_expect_eq(ready(), 0x62800);
	cr_expect_eq(ready(), 0);
	PACKET(0x1e, 0, 0, 0, 1);
	answer(b, sizeof(b));
	bus_pio_write(x.bus, 0x3f6, 4, 1);
	bus_pio_write(x.bus, 0x3f6, 0, 1);
	PACKET(0x1b, 0, 0, 0, 2);
	cr_expect_eq(answer(b, sizeof(b)), 0, "a reset unlocks it");
}

Test(ide_cd, a_disc_taken_out_while_it_is_read)
{
	PACKET(0x28, 0, 0, 0, 0, 16, 0, 0, 2);
	ide_set_disc(&x.ide, 1, NULL);
	cr_expect_eq(x.cd.cancels, 1);
	cr_expect_eq(sense(), 0x23a02);
	ide_set_disc(&x.ide, 1, &x.cd.device);
	ready();
	PACKET(0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 140); /* more than the buffer holds */
	ide_settle();
	bus_pio_read(x.bus, IDE_BASE, 4);
	ide_set_disc(&x.ide, 1, NULL);
	cr_expect_eq(sense(), 0x23a02);
	for (unsigned i = 0; i < 100000; i++)
		bus_pio_read(x.bus, IDE_BASE, 4);
	cr_expect_null(x.cd.pending);
}

Test(ide_cd, any_packet_is_survived)
{
	static uint8_t got[0x40000];
	unsigned seed = 11;

	for (unsigned i = 0; i < 3000; i++) {
		static const uint8_t codes[] = { 0, 3, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43,
						 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbd, 0xbe };
		uint8_t bytes[12];
		unsigned turns = 0;

		for (unsigned n = 0; n < 12; n++)
			bytes[n] = rand_r(&seed) % 2 ? 0 : (uint8_t)rand_r(&seed);
		bytes[0] = rand_r(&seed) % 8 ? codes[(unsigned)rand_r(&seed) % sizeof(codes)] :
					       (uint8_t)rand_r(&seed);
		packet(bytes, 12, (uint16_t)rand_r(&seed), false);
		if (rand_r(&seed) % 32 == 0)
			ide_set_disc(&x.ide, 1, rand_r(&seed) % 4 ? &x.cd.device : NULL);
		ide_settle();
		for (; ide_status() & DRQ && turns < 300000; turns++) {
			bus_pio_read(x.bus, IDE_BASE, 4);
			ide_settle();
		}
		if (ide_status() & DRQ)
			ide_out(7, 0x08);
		cr_assert_eq(ide_status() & 0x88, 0);
	}
	ide_set_disc(&x.ide, 1, NULL);
	ide_set_disc(&x.ide, 1, &x.cd.device);
	cr_expect_eq(ready(), 0x62800);
	PACKET(0x28, 0, 0, 0, 0, 16, 0, 0, 2);
	cr_expect_eq(answer(got, sizeof(got)), 4096);
}

/* ---- whole answers ---- */

static void expect_answer(const uint8_t *expected, size_t count, const char *what)
{
	uint8_t b[64];

	cr_assert_eq(answer(b, sizeof(b)), count, "%s", what);
	for (size_t i = 0; i < count; i++)
		cr_expect_eq(b[i], expected[i], "%s: byte %zu is %02x", what, i, b[i]);
}

#define ANSWER(...) \
	expect_answer((const uint8_t[]){ __VA_ARGS__ }, \
		      sizeof((const uint8_t[]){ __VA_ARGS__ }), #__VA_ARGS__)

/* SPC-2: INQUIRY, REQUEST SENSE. MMC-3: the others. */
Test(ide_cd, every_byte_of_inquiry_and_of_states)
{
	PACKET(0x12, 0, 0, 0, 255);
	ANSWER(0x05, 0x80, 0, 0x21, 31, 0, 0, 0, 'R', 'N', 'G', 'F', 'E', 'N', 'C', 'E',
	       'C', 'D', '-', 'R', 'O', 'M', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
	       '1', '.', '0', ' ');
	PACKET(0x03, 0, 0, 0, 255);
	ANSWER(0xf0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PACKET(0x51, 0, 0, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 32, 0x0e, 1, 1, 1, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	       0, 0, 0, 0, 0, 0, 0, 0);
	PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 0, 0, 0, 0, 1, 0, 0);
	PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0xff, 0, 6);
	ANSWER(0, 0, 0, 0, 0, 1);
	PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 1, 0);
	ANSWER(0, 6, 4, 0x10, 0, 2, 0, 0);
	PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 4);
	ANSWER(0, 6, 4, 0x10);
	PACKET(0x4a, 1, 0, 0, 0x40, 0, 0, 1, 0); /* nothing of that class */
	ANSWER(0, 2, 0x80, 0x10);
	PACKET(0x4a, 1, 0, 0, 0x40, 0, 0, 0, 2);
	ANSWER(0, 2);
}

/* Changes the disc's size, for what reads none of it. */
static void disc_of(uint32_t sectors) { x.cd.device.sectors = 4ull * sectors; }

/* MMC-3, READ TOC/PMA/ATIP. The lead-out is at 66:42:01. */
Test(ide_cd, every_byte_of_the_table_of_contents)
{
	const uint32_t n = (66 * 60 + 42) * 75 + 1 - 150;

	disc_of(n);
	PACKET(0x43, 0, 0, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0,
	       0, 0x16, 0xaa, 0, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n);
	PACKET(0x43, 2, 0, 0, 0, 0, 1, 1, 0);
	ANSWER(0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x16, 0xaa, 0, 0, 66, 42, 1);
	PACKET(0x43, 2, 0, 0, 0, 0, 0xaa, 1, 0);
	ANSWER(0, 10, 1, 1, 0, 0x16, 0xaa, 0, 0, 66, 42, 1);
	PACKET(0x43, 2, 0, 0, 0, 0, 0, 0, 4);
	ANSWER(0, 18, 1, 1);
	PACKET(0x43, 0, 0, 0, 0, 0, 2, 0, 64); /* there is no track 2 */
	expect_sense(5, 0x24);
	PACKET(0x43, 0, 1, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0);
	PACKET(0x43, 2, 1, 0, 0, 0, 0, 0, 64);
	ANSWER(0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0);
	PACKET(0x43, 2, 2, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 46, 1, 1, 1, 0x14, 0, 0xa0, 0, 0, 0, 0, 1, 0, 0,
	       1, 0x14, 0, 0xa1, 0, 0, 0, 0, 1, 0, 0, 1, 0x14, 0, 0xa2, 0, 0, 0, 0, 66, 42, 1,
	       1, 0x14, 0, 1, 0, 0, 0, 0, 0, 2, 0);
	/* Older drivers name the format elsewhere (SFF-8020i). */
	PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0x40);
	ANSWER(0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0);
	PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 4, 0x80);
	ANSWER(0, 46, 1, 1);
	PACKET(0x43, 0, 1, 0, 0, 0, 0, 0, 2, 0x80);
	ANSWER(0, 10);
}

/* MMC-3, GET CONFIGURATION. */
Test(ide_cd, every_byte_of_the_configuration)
{
	static const struct { uint32_t sectors; uint8_t profile; } discs[] = {
		{ 512, 8 }, { 405000, 8 }, { 405001, 0x10 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(discs); i++) {
		const bool dvd = discs[i].profile == 0x10;

		disc_of(discs[i].sectors);
		PACKET(0x46, 0, 0, 0, 0, 0, 0, 1, 0);
		ANSWER(0, 0, 0, 36, 0, 0, 0, discs[i].profile, 0, 0, 0x03, 8, 0, 0x10, dvd, 0,
		       0, 8, !dvd, 0, 0, 1, 0x0b, 8, 0, 0, 0, 2, 0, 0, 0, 0,
		       0, 3, 0x03, 4, 0x29, 0, 0, 0);
	}
	PACKET(0x46, 0, 0, 0, 0, 0, 0, 0, 8);
	ANSWER(0, 0, 0, 36, 0, 0, 0, 0x10);
	x.ide.channel[0].drive[1].block = NULL;
	PACKET(0x46, 0, 0, 0, 0, 0, 0, 0, 20);
	ANSWER(0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0x03, 8, 0, 0x10, 0, 0, 0, 8, 0, 0);
}

#define RECOVERY 0x01, 6, 0, 5, 0, 0, 0, 0
#define CAPABILITIES \
	0x2a, 18, 0x3b, 0, 0x70, 0x60, 0x29, 0, 0x02, 0xc2, 0, 2, 0x02, 0, 0x02, 0xc2, 0, 0, 0, 0

/* MMC-3, MODE SENSE (10). */
Test(ide_cd, every_byte_of_the_mode_pages)
{
	PACKET(0x5a, 0, 0x01, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 14, 0x12, 0, 0, 0, 0, 0, RECOVERY);
	PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 26, 0x12, 0, 0, 0, 0, 0, CAPABILITIES);
	PACKET(0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0);
	ANSWER(0, 34, 0x12, 0, 0, 0, 0, 0, RECOVERY, CAPABILITIES);
	PACKET(0x5a, 0, 0xbf, 0, 0, 0, 0, 0, 2); /* their defaults */
	ANSWER(0, 34);
	PACKET(0x5a, 0, 0xff, 0, 0, 0, 0, 1, 0); /* what is saved */
	cr_expect(x.irq[0]);
	cr_expect_eq(ide_in(7), DRDY | ERR);
	x.ide.channel[0].drive[1].block = NULL;
	PACKET(0x5a, 0, 0x01, 0, 0, 0, 0, 0, 4);
	ANSWER(0, 14, 0x70, 0);
}

/* ATA/ATAPI-6, PACKET: what the registers say at the end. */
Test(ide_cd, registers_after_errors)
{
	PACKET(0xff);
	cr_expect_eq(ide_in(7), DRDY | ERR);
	cr_expect_eq(ide_in(1), 0x54, "illegal request, aborted");
	cr_expect_eq(ide_in(2), 3, "the command is over");
	x.ide.channel[0].drive[1].block = NULL;
	PACKET(0x00);
	cr_expect_eq(ide_in(7), DRDY | ERR);
	cr_expect_eq(ide_in(1), 0x20, "not ready");
	cr_expect_eq(ide_in(2), 3);
	PACKET(0x03, 0, 0, 0, 255);
	/* no medium, and the tray is closed (MMC-3, annex A) */
	ANSWER(0xf0, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3a, 1, 0, 0, 0, 0);
}

Test(ide_cd, the_ends_of_the_disc)
{
	static const uint8_t last = (DISC_SECTORS - 1) & 0xff, high = (DISC_SECTORS - 1) >> 8;
	uint8_t got[2048];

	PACKET(0x28, 0, 0, 0, high, last, 0, 0, 1);
	cr_expect_eq(answer(got, sizeof(got)), 2048);
	cr_expect_arr_eq(got, x.cd.bytes + (DISC_SECTORS - 1) * 2048, 2048);
	PACKET(0x28, 0, 0, 0, high, last, 0, 0, 2);
	expect_sense(5, 0x21);
	PACKET(0x28, 0, 0, 0, DISC_SECTORS >> 8, 0, 0, 0, 0);
	cr_expect_eq(answer(got, sizeof(got)), 0);
	PACKET(0x28, 0, 0, 0, DISC_SECTORS >> 8, 1, 0, 0, 0);
	expect_sense(5, 0x21);
	PACKET(0x28, 0, 0, 1, 0, 0, 0, 0, 1);
	expect_sense(5, 0x21);
	PACKET(0x2b, 0, 0, 0, high, last);
	cr_expect_eq(answer(got, sizeof(got)), 0);
	PACKET(0x2b, 0, 0, 0, DISC_SECTORS >> 8, 0);
	expect_sense(5, 0x21);
}

/* MMC-3, READ CD. */
Test(ide_cd, read_cd)
{
	static const uint8_t more[] = { 0x08, 0x18, 0x30, 0x90, 0xf8 };
	uint8_t got[3 * 2048];

	PACKET(0xbe, 0, 0, 0, 1, 3, 0, 0, 3, 0x10);
	cr_expect_eq(answer(got, sizeof(got)), sizeof(got));
	cr_expect_arr_eq(got, x.cd.bytes + 0x103 * 2048, sizeof(got));
	PACKET(0xbe, 0, 0, 0, 1, 3, 0, 0, 3, 0); /* nothing of them */
	cr_expect_eq(answer(got, sizeof(got)), 0);
	PACKET(0xbe, 0, 0, 0, 1, 3, 1, 0, 3, 0x10);
	expect_sense(5, 0x21);
	PACKET(0xbe, 0, 0, 0, 1, 3, 0, 1, 3, 0x10);
	expect_sense(5, 0x21);
	for (unsigned i = 0; i < sizeof(more); i++) { /* headers and the like */
		PACKET(0xbe, 0, 0, 0, 1, 3, 0, 0, 3, more[i]);
		expect_sense(5, 0x24);
	}
}

static void cd_command(uint8_t command, uint8_t feature, uint8_t count)
{
	ide_out(6, 0xb0);
	ide_out(1, feature);
	ide_out(2, count);
	ide_out(7, command);
}

static void expect_identity(const uint16_t *expected)
{
	uint16_t w[256];

	cd_command(0xa1, 0, 0);
	cr_expect_eq(ide_in(7), DRDY | DRQ);
	for (unsigned i = 0; i < 256; i++)
		w[i] = (uint16_t)bus_pio_read(x.bus, IDE_BASE, 2);
	for (unsigned i = 0; i < 256; i++)
		cr_expect_eq(w[i], expected[i], "word %u is %04x", i, w[i]);
	cr_expect_eq(ide_in(7), DRDY);
}

/* ATA/ATAPI-6, 8.16. */
Test(ide_cd, every_word_of_its_identity)
{
	uint16_t w[256] = {
		[0] = 0x85c0, [49] = 0x0b00, [53] = 6, [63] = 7, [64] = 3, [65] = 120, [66] = 120,
		[67] = 120, [68] = 120, [80] = 0x1e, [88] = 0x3f,
	};
	static const char serial[] = "RF00002             ", version[] = "1.0     ",
			  model[] = "RINGFENCE CD-ROM                        ";

	for (unsigned i = 0; i < 10; i++)
		w[10 + i] = (uint16_t)(serial[2 * i] << 8 | serial[2 * i + 1]);
	for (unsigned i = 0; i < 4; i++)
		w[23 + i] = (uint16_t)(version[2 * i] << 8 | version[2 * i + 1]);
	for (unsigned i = 0; i < 20; i++)
		w[27 + i] = (uint16_t)(model[2 * i] << 8 | model[2 * i + 1]);
	expect_identity(w);
	cd_command(0xef, 0x03, 0x22); /* multiword DMA, mode 2 */
	cr_expect_eq(ide_in(7), DRDY);
	w[63] = 0x0407;
	expect_identity(w);
	cd_command(0xef, 0x02, 0x45); /* no transfer mode */
	cr_expect_eq(ide_in(7), DRDY);
	expect_identity(w);
	cd_command(0xef, 0x03, 0x45); /* UDMA, mode 5 */
	w[63] = 7;
	w[88] = 0x203f;
	expect_identity(w);
}

Test(ide_cd, commands_that_are_no_packets)
{
	static const uint8_t done[] = { 0xe0, 0xe1, 0xe5, 0xe6, 0xef };

	for (unsigned command = 0; command < 256; command++) {
		bool expected = memchr(done, (int)command, sizeof(done));

		if (command == 0x08 || command == 0x90 || command == 0xa0 || command == 0xa1)
			continue; /* resets, packets, the identity */
		cd_command((uint8_t)command, 0, 77);
		cr_expect(x.irq[0], "%02x", command);
		cr_expect_eq(ide_in(7), expected ? DRDY : DRDY | ERR, "%02x", command);
		cr_expect_eq(ide_in(1), expected ? 0 : 4, "%02x", command);
		if (command == 0x20 || command == 0xec)
			cr_expect(ide_in(2) == 1 && ide_in(3) == 1 && ide_in(4) == 0x14 &&
				  ide_in(5) == 0xeb, "%02x: the signature", command);
		else
			cr_expect_eq(ide_in(2), 77, "%02x", command);
	}
}

Test(ide_cd, packets_there_are)
{
	static const uint8_t done[] = { 0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x46, 0x51,
					0xa8, 0xbb, 0xbd, 0xbe, 0x43, 0x5a, 0x4a };
	uint8_t got[64];

	for (unsigned code = 0; code < 256; code++) {
		const uint8_t p[] = { (uint8_t)code, 1, code == 0x5a };

		if (memchr(done, (int)code, sizeof(done))) {
			packet(p, sizeof(p), 0xfffe, false);
			answer(got, sizeof(got));
			cr_expect_eq(ide_status(), DRDY, "%02x", code);
			continue;
		}
		packet(p, sizeof(p), 0xfffe, false);
		cr_expect_eq(ide_in(7), DRDY | ERR, "%02x", code);
		cr_expect_eq(ide_in(1), 0x54, "%02x", code);
	}
}
