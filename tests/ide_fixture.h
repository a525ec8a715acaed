/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IDE channels on a bus of their own, with disks in memory whose requests end when the test says
 * so.
 */
#ifndef RF_TESTS_IDE_FIXTURE_H
#define RF_TESTS_IDE_FIXTURE_H

#include "devices/storage/ide.h"

#define DISK_SECTORS 4096u
#define CD_SECTORS_512 2048u
#define IDE_RAM 0x100000u

struct memory_disk {
	struct block_device device; /* first */
	uint8_t *bytes;
	struct block_request *pending; /* at most one */
	int fail;      /* what the next requests end with; 0: well */
	unsigned flushes, cancels, requests;
};

struct ide_fixture {
	struct bus *bus;
	struct ide ide;
	struct memory_disk disk, cd, second;
	uint8_t ram[IDE_RAM];
	bool irq[2];
};

extern struct ide_fixture x;

/* A disk as master and a CD-ROM as slave of the first channel; a disk as master of the second. */
void ide_setup(void);
void ide_teardown(void);

/* Ends the requests that are under way, and those that follow from it. */
void ide_settle(void);

#define IDE_BASE 0x1f0
static inline void ide_out(unsigned reg, uint8_t value)
{
	bus_pio_write(x.bus, (uint16_t)(IDE_BASE + reg), value, 1);
}
static inline uint8_t ide_in(unsigned reg)
{
	return (uint8_t)bus_pio_read(x.bus, (uint16_t)(IDE_BASE + reg), 1);
}
/* The alternate status: without consequences. */
static inline uint8_t ide_status(void) { return (uint8_t)bus_pio_read(x.bus, 0x3f6, 1); }
static inline uint32_t bm_in(unsigned reg, unsigned size)
{
	return bus_pio_read(x.bus, (uint16_t)(0xc000 + reg), size);
}
static inline void bm_out(unsigned reg, uint32_t value, unsigned size)
{
	bus_pio_write(x.bus, (uint16_t)(0xc000 + reg), value, size);
}

/* Registers of a command with a 28-bit address, then the command; drive 0 or 1. */
void ide_command28(unsigned drive, uint8_t command, uint32_t sector, uint8_t count);
void ide_command48(unsigned drive, uint8_t command, uint64_t sector, uint16_t count);

#endif
