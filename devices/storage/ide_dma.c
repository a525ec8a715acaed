/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus master (82371SB, "Bus Master IDE"). A table in memory lists regions: an address, a length
 * of which 0 means 64 KiB, and bit 31 of the second word for the last. Its active bit stays set
 * when a command needed less than the table has; the error bit says that memory did not answer.
 */
#include <string.h>

#include "ide_internal.h"

#define BM_START     0x01u
#define BM_TO_MEMORY 0x08u /* remembered; the drive's command says which way */

#define BM_ACTIVE    0x01u
#define BM_ERROR     0x02u
#define BM_INTERRUPT 0x04u
#define BM_CAPABLE   0x60u /* what software says of the drives */

#define REGION_LAST 0x80000000u

enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4 };

static bool next_region(struct ide_channel *c)
{
	uint8_t entry[8];
	uint32_t word;

	if (c->s.bm_last)
		return false;
	if (c->memory.read(c->memory.opaque, GPA(c->s.bm_next), entry, sizeof(entry))) {
		c->s.bm_status |= BM_ERROR;
		return false;
	}
	word = state_get32(entry + 4);
	c->s.bm_next += sizeof(entry);
	c->s.bm_address = state_get32(entry) & ~1u;
	c->s.bm_left = word & 0xfffe ? word & 0xfffe : 0x10000;
	c->s.bm_last = word & REGION_LAST;
	return true;
}

static bool move_piece(struct ide_channel *c, uint8_t *bytes, uint32_t len)
{
	const struct guest_memory *memory = &c->memory;
	const gpa_t at = GPA(c->s.bm_address);
	const bool write = c->s.goal == IDE_DMA_WRITE;
	int err = write ? memory->read(memory->opaque, at, bytes, len) :
			  memory->write(memory->opaque, at, bytes, len);

	if (err)
		c->s.bm_status |= BM_ERROR;
	c->s.bm_address += len;
	c->s.bm_left -= len;
	return !err;
}

bool bus_master_move(struct ide_channel *c, uint8_t *bytes, uint32_t len)
{
	while (len) {
		uint32_t n;

		if (!c->s.bm_left && !next_region(c))
			break;
		n = len < c->s.bm_left ? len : c->s.bm_left;
		if (!move_piece(c, bytes, n))
			break;
		bytes += n;
		len -= n;
	}
	if (len)
		c->s.bm_status &= (uint8_t)~BM_ACTIVE;
	return !len;
}

void bus_master_end(struct ide_channel *c)
{
	if (c->s.bm_last && !c->s.bm_left)
		c->s.bm_status &= (uint8_t)~BM_ACTIVE;
}

void bus_master_reset(struct ide_channel *c)
{
	c->s.bm_command = c->s.bm_status = 0;
	c->s.bm_table = c->s.bm_next = c->s.bm_address = c->s.bm_left = 0;
	c->s.bm_last = false;
}

static void start(struct ide_channel *c)
{
	c->s.bm_status |= BM_ACTIVE;
	c->s.bm_next = c->s.bm_table;
	c->s.bm_left = 0;
	c->s.bm_last = false;
	if (c->s.phase == IDE_DMA_WAIT)
		ide_continue(c);
}

/* A transfer under way is given up, and its command with it. */
static void stop(struct ide_channel *c)
{
	struct ide_drive *d = ide_selected(c);

	c->s.bm_status &= (uint8_t)~BM_ACTIVE;
	if (c->s.phase != IDE_DISK_BUSY ||
	    (c->s.goal != IDE_DMA_READ && c->s.goal != IDE_DMA_WRITE))
		return;
	ide_forget_request(c);
	c->s.phase = IDE_IDLE;
	d->s.status = ATA_DRDY | ATA_DSC | ATA_ERR;
	d->s.error = ATA_ABRT;
}

static void command_write(struct ide_channel *c, uint8_t value)
{
	const bool runs = bus_master_runs(c);

	c->s.bm_command = value & (BM_START | BM_TO_MEMORY);
	if (!runs && bus_master_runs(c))
		start(c);
	else if (runs && !bus_master_runs(c))
		stop(c);
}

static void byte_write(struct ide_channel *c, unsigned reg, uint8_t value)
{
	const unsigned shift = 8 * (reg & 3);

	if (reg == BM_COMMAND)
		command_write(c, value);
	else if (reg == BM_STATUS)
		c->s.bm_status = (c->s.bm_status & ~BM_CAPABLE &
				  ~(value & (BM_ERROR | BM_INTERRUPT))) | (value & BM_CAPABLE);
	else if (reg >= BM_TABLE)
		c->s.bm_table = ((c->s.bm_table & ~(0xffu << shift)) |
				 (uint32_t)value << shift) & ~3u;
}

static uint8_t byte_read(const struct ide_channel *c, unsigned reg)
{
	switch (reg) {
	case BM_COMMAND: return c->s.bm_command;
	case BM_STATUS: return c->s.bm_status;
	case 1: case 3: return 0;
	default: return (uint8_t)(c->s.bm_table >> (8 * (reg & 3)));
	}
}

uint64_t bus_master_read(void *opaque, uint64_t offset, unsigned size)
{
	struct ide *ide = opaque;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)byte_read(&ide->channel[offset >> 3], (offset + i) & 7) << 8 * i;
	return value;
}

void bus_master_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct ide *ide = opaque;

	for (unsigned i = 0; i < size; i++)
		byte_write(&ide->channel[offset >> 3], (offset + i) & 7,
			   (uint8_t)(value >> (8 * i)));
}
