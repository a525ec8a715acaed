/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A floppy disk controller with its DMA controller on a bus of their own, and disks in memory whose
 * requests end when the test says so.
 */
#ifndef RF_TESTS_FDC_FIXTURE_H
#define RF_TESTS_FDC_FIXTURE_H

#include "devices/chips/i8237.h"
#include "devices/storage/fdc.h"
#include "fake_clock.h"

#define FDC_RAM 0x40000u
#define FDC_BUFFER 0x20000u /* where programmed DMA goes */

struct memory_floppy {
	struct block_device device; /* first */
	uint8_t *bytes;
	struct block_request *pending; /* at most one */
	int fail; /* what the next requests end with; 0: well */
	unsigned flushes, cancels, writes;
};

struct fdc_fixture {
	struct bus *bus;
	struct fake_clock time;
	struct i8237 dma;
	struct fdc fdc;
	struct memory_floppy disk, second; /* of 1.44M and 360K */
	uint8_t ram[FDC_RAM];
	bool irq;
	unsigned edges; /* how often it rose */
	uint8_t result[10];
};

extern struct fdc_fixture x;

/* The 1.44M disk in drive 0, the 360K disk in drive 1, both motors on, reset and its senses done */
void fdc_setup(void);
void fdc_teardown(void);

void floppy_make(struct memory_floppy *floppy, uint64_t sectors, bool read_only);

static inline void fdc_out(unsigned reg, uint8_t value)
{
	bus_pio_write(x.bus, (uint16_t)(0x3f0 + reg), value, 1);
}
static inline uint8_t fdc_in_reg(unsigned reg)
{
	return (uint8_t)bus_pio_read(x.bus, (uint16_t)(0x3f0 + reg), 1);
}
#define MSR fdc_in_reg(4)
#define DIR fdc_in_reg(7)

/* Time goes on until nothing is under way any more. */
void fdc_settle(void);
void fdc_command(const uint8_t *bytes, unsigned count);
#define COMMAND(...) \
	fdc_command((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
/* Reads the result into x.result: how many bytes it has. */
unsigned fdc_result_take(void);
/* The data commands' seven bytes are these. */
#define EXPECT_RESULT(...) \
	do { \
		const uint8_t expected_[] = { __VA_ARGS__ }; \
		cr_expect_eq(fdc_result_take(), sizeof(expected_)); \
		cr_expect_arr_eq(x.result, expected_, sizeof(expected_), \
				 "%02x %02x %02x  %02x %02x %02x %02x", x.result[0], x.result[1], \
				 x.result[2], x.result[3], x.result[4], x.result[5], x.result[6]); \
	} while (0)
/* Channel 2, so many bytes at FDC_BUFFER. */
void fdc_dma(bool to_memory, unsigned bytes);
/* SEEK, and what it ends with is taken. */
void fdc_seek(unsigned unit, uint8_t track);

#endif
