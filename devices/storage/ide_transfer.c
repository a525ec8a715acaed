/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a command's data moves. A transfer is a number of sectors in pieces of at most the buffer's
 * size. Of a read each piece comes from the block device into the buffer and goes on to the host,
 * by port or by the bus master; a write goes the other way.
 */
#include "ide_internal.h"

#include <assert.h>

static bool goal_is_write(unsigned goal)
{
	return goal == IDE_PIO_WRITE || goal == IDE_DMA_WRITE;
}

static bool goal_is_dma(unsigned goal)
{
	return goal == IDE_DMA_READ || goal == IDE_DMA_WRITE || goal == IDE_DMA_REPLY;
}

/* ---- requests to the block device ---- */

/* The error register, or the sense, for what the host said. */
static void disk_failed(struct ide_channel *c, int err)
{
	const bool reading = c->request.kind == BLOCK_READ;

	c->s.left = 0;
	if (goal_is_dma(c->s.goal))
		bus_master_end(c);
	if (ide_selected(c)->kind == IDE_CD)
		atapi_failed(c, SENSE_MEDIUM, CODE_UNREADABLE);
	else
		ide_fail(c, reading ? ATA_UNC : ATA_ABRT);
}

static void offer_to_host(struct ide_channel *c)
{
	ide_selected(c)->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
	c->s.position = 0;
	c->s.phase = IDE_DATA_IN;
	ide_interrupt(c, true);
}

/* The memory that the bus master was to use is not there, or too little. */
static void memory_failed(struct ide_channel *c)
{
	if (ide_selected(c)->kind == IDE_CD)
		atapi_failed(c, SENSE_ABORTED, 0);
	else
		ide_fail(c, ATA_ABRT);
}

static void dma_piece_read(struct ide_channel *c)
{
	if (bus_master_move(c, ide_bytes(c), c->s.bytes))
		ide_continue(c);
	else
		memory_failed(c);
}

/* What the request was for is in the buffer, or on the disk. */
static void piece_done(struct ide_channel *c)
{
	switch ((enum ide_goal)c->s.goal) {
	case IDE_PIO_READ:
		c->s.position = 0;
		if (ide_selected(c)->kind == IDE_CD)
			atapi_offer(c);
		else
			offer_to_host(c);
		break;
	case IDE_DMA_READ:
		dma_piece_read(c);
		break;
	case IDE_PIO_WRITE:
	case IDE_DMA_WRITE:
	case IDE_VERIFY:
		ide_continue(c);
		break;
	default:
		ide_done(c);
	}
}

static void request_done(void *opaque, struct block_request *request, int err)
{
	struct ide_channel *c = opaque;

	c->requested = NULL;
	if (err)
		disk_failed(c, err);
	else
		piece_done(c);
}

static void start_request(struct ide_channel *c, enum block_kind kind, uint64_t sector)
{
	struct ide_drive *d = ide_selected(c);

	assert(!c->requested);
	d->s.status = ATA_BSY;
	c->s.phase = IDE_DISK_BUSY;
	c->request = (struct block_request){
		.kind = kind, .sector = sector, .count = c->s.bytes / BLOCK_SECTOR,
		.buffer = c->s.buffer, .done = request_done, .opaque = c,
	};
	c->requested = d->block;
	block_submit(d->block, &c->request);
}

void ide_repeat_request(struct ide_channel *c)
{
	if (c->s.goal == IDE_FLUSH)
		start_request(c, BLOCK_FLUSH, 0);
	else
		start_request(c, goal_is_write(c->s.goal) ? BLOCK_WRITE : BLOCK_READ,
			      c->s.sector - c->s.bytes / BLOCK_SECTOR);
}

void ide_forget_request(struct ide_channel *c)
{
	/* Not the selected drive's: a state that was loaded may have another selected. */
	if (c->requested)
		block_cancel(c->requested, &c->request);
	c->requested = NULL;
}

/* ---- transfers ---- */

static void read_piece(struct ide_channel *c, uint32_t sectors)
{
	c->s.bytes = sectors * BLOCK_SECTOR;
	c->s.sector += sectors;
	c->s.left -= sectors;
	start_request(c, BLOCK_READ, c->s.sector - sectors);
}

/* The host is asked for what will be written; its first block it may write without interrupt. */
static void want_from_host(struct ide_channel *c, uint32_t sectors, bool first)
{
	c->s.bytes = sectors * BLOCK_SECTOR;
	c->s.position = 0;
	c->s.phase = IDE_DATA_OUT;
	ide_selected(c)->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
	if (!first)
		ide_interrupt(c, true);
}

void ide_write_piece(struct ide_channel *c)
{
	const uint32_t sectors = c->s.bytes / BLOCK_SECTOR;

	c->s.sector += sectors;
	c->s.left -= sectors;
	start_request(c, BLOCK_WRITE, c->s.sector - sectors);
}

static void dma_write_piece(struct ide_channel *c, uint32_t sectors)
{
	c->s.bytes = sectors * BLOCK_SECTOR;
	if (bus_master_move(c, ide_bytes(c), c->s.bytes))
		ide_write_piece(c);
	else
		memory_failed(c);
}

static uint32_t piece_size(const struct ide_channel *c)
{
	const bool by_port = c->s.goal == IDE_PIO_READ || c->s.goal == IDE_PIO_WRITE;
	const uint32_t most = by_port ? c->s.block : IDE_BUFFER / BLOCK_SECTOR;

	return c->s.left < most ? c->s.left : most;
}

/* All sectors have been moved. */
static void transfer_done(struct ide_channel *c)
{
	if (goal_is_dma(c->s.goal))
		bus_master_end(c);
	if (ide_selected(c)->kind == IDE_CD && (c->s.chunk || goal_is_dma(c->s.goal)))
		atapi_done(c);
	else if (c->s.goal == IDE_PIO_READ) { /* the last data request was the last interrupt */
		ide_selected(c)->s.status = ATA_DRDY | ATA_DSC;
		c->s.phase = IDE_IDLE;
	} else {
		ide_done(c);
	}
}

static void next_piece(struct ide_channel *c, bool first)
{
	const uint32_t sectors = piece_size(c);

	if (!sectors)
		transfer_done(c);
	else if (c->s.goal == IDE_PIO_WRITE)
		want_from_host(c, sectors, first);
	else if (c->s.goal == IDE_DMA_WRITE)
		dma_write_piece(c, sectors);
	else
		read_piece(c, sectors);
}

/* What waits for the bus master goes on when it runs: bus_master_write() comes here again. */
void ide_continue(struct ide_channel *c)
{
	if (goal_is_dma(c->s.goal) && !bus_master_runs(c)) {
		c->s.phase = IDE_DMA_WAIT;
		ide_selected(c)->s.status = ATA_DRDY | ATA_DSC | ATA_DRQ;
		return;
	}
	if (c->s.goal != IDE_DMA_REPLY) {
		next_piece(c, false);
		return;
	}
	if (bus_master_move(c, ide_bytes(c), c->s.bytes))
		transfer_done(c);
	else
		memory_failed(c);
}

void ide_next_piece(struct ide_channel *c)
{
	next_piece(c, false);
}

void ide_transfer(struct ide_channel *c, enum ide_goal goal, uint64_t sector, uint32_t left,
		  uint32_t block)
{
	struct ide_drive *d = ide_selected(c);

	assert(sector <= d->block->sectors && left <= d->block->sectors - sector);
	assert(block && block <= IDE_BUFFER / BLOCK_SECTOR);
	c->s.goal = goal;
	c->s.sector = sector;
	c->s.left = left;
	c->s.block = block;
	c->s.bytes = 0;
	if (goal == IDE_FLUSH)
		start_request(c, BLOCK_FLUSH, 0);
	else if (goal_is_write(goal) && d->block->read_only)
		ide_fail(c, ATA_ABRT);
	else if (goal == IDE_PIO_WRITE)
		next_piece(c, true);
	else
		ide_continue(c);
}

void ide_reply(struct ide_channel *c, uint32_t bytes)
{
	assert(bytes && bytes <= IDE_BUFFER);
	c->s.left = c->s.position = 0;
	c->s.sector = 0;
	c->s.bytes = bytes;
	if (c->s.goal == IDE_DMA_REPLY)
		ide_continue(c);
	else if (ide_selected(c)->kind == IDE_CD && c->s.chunk)
		atapi_offer(c);
	else
		offer_to_host(c);
}
