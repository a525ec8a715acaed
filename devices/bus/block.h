/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks as devices see them: a number of sectors of 512 bytes that are read, written and flushed,
 * one request after the other. The other side of it is the monitor's (monitor/backends/block_*.c).
 *
 * Requests are started, and end, under the VM's device lock. A request always ends later, never
 * within the call that started it. Several may be under way at once, in no order; a device that
 * needs an order waits.
 */
#ifndef RF_DEVICES_BUS_BLOCK_H
#define RF_DEVICES_BUS_BLOCK_H

#include "x86/types.h"

#define BLOCK_SECTOR 512u

struct block_device;

enum block_kind { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/* The device's, which keeps it and the buffer as they are until done is called. */
struct block_request {
	enum block_kind kind;
	uint64_t sector; /* the first; with count within the device */
	uint32_t count;  /* sectors, at least 1; nothing to a flush */
	void *buffer;
	/*
	 * err: 0, or a negative errno: of a read nothing is known to be in the buffer then, of a
	 * write nothing of the sectors. May start the next request, this one included.
	 */
	void (*done)(void *opaque, struct block_request *request, int err);
	void *opaque;
	struct block_request *next; /* the block device's */
};

struct block_ops {
	void (*submit)(struct block_device *block, struct block_request *request);
	/*
	 * Forgets a request that is under way: done is not called, and the buffer is not used any
	 * more, once this returns. Of a write some sectors may have been written.
	 */
	void (*cancel)(struct block_device *block, struct block_request *request);
};

struct block_device {
	const struct block_ops *ops;
	uint64_t sectors;
	bool read_only; /* writes fail with -EROFS */
};

static inline void block_submit(struct block_device *block, struct block_request *request)
{
	block->ops->submit(block, request);
}

static inline void block_cancel(struct block_device *block, struct block_request *request)
{
	block->ops->cancel(block, request);
}

#endif
