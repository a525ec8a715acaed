/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk images: files of the host, as devices/bus/block.h has them. Requests are carried out by
 * io_uring, in no order, or by a thread of the image's, in the order in which they were made.
 * block_image.h says what is where.
 *
 * Other formats are read by a qemu-nbd of ours, which is given the path and ends when the image is
 * closed.
 *
 * A flush is done when what was written before is on the host's disk (fdatasync). An image is
 * locked while it is open: one that is written is nobody else's, one that is only read may be read
 * by others.
 */
#ifndef RF_MONITOR_BACKENDS_BLOCK_BACKEND_H
#define RF_MONITOR_BACKENDS_BLOCK_BACKEND_H

#include "devices/bus/block.h"
#include "monitor/vm/vm.h"
#include "x86/cancel.h"
#include "x86/error.h"

/* Who carries out requests to a file of raw sectors; all else has a thread. */
enum block_aio {
	BLOCK_AIO_BEST,    /* io_uring where the host has it */
	BLOCK_AIO_URING,   /* it is an error where it does not */
	BLOCK_AIO_THREADS,
};

/* How to open an image. */
struct block_open {
	const char *path; /* a file; or nbd:..., nbd://..., fat:... (block_nbd_name.c) */
	bool read_only;
	bool snapshot; /* what the guest writes goes to a temporary file, which nobody sees */
	/* block_format_known(); NULL: raw, unless the file begins like one of another format */
	const char *format;
	enum block_aio aio;
	const struct cancel *cancel; /* of opening it; NULL: never */
};

struct block_backend;

/* Whether it is a format that images may be said to have. */
bool block_format_known(const char *format);
/*
 * Without the device lock; a server may take its time to answer.
 * 0, or a negative errno with error saying what is wrong with the file. An image that is to be
 * written and may not be is an error.
 */
int block_backend_open(struct vm *vm, const struct block_open *how, struct block_backend **out,
		       struct error *error) RF_MUST_CHECK;
/* The device's end. */
struct block_device *block_backend_device(struct block_backend *backend);
/*
 * Waits for requests under way, whose done is still called. What was written is not flushed by
 * this. Without the device lock; backend may be NULL.
 */
void block_backend_close(struct block_backend *backend);

#endif
