/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Within the room: what an image is, and who carries out requests to it.
 *
 *   block_backend.c  chooses the image and the runner, opens and closes them
 *   block_file.c     an image: a file of raw sectors
 *   block_overlay.c  an image over another: what is written stays in a temporary file
 *   block_nbd.h      images: what an NBD server has; other formats
 *   block_thread.c   a runner: a thread of the image's
 *   block_uring.c    a runner: io_uring, for files
 */
#ifndef RF_MONITOR_BACKENDS_BLOCK_IMAGE_H
#define RF_MONITOR_BACKENDS_BLOCK_IMAGE_H

#include "block_backend.h"

struct block_image;

/* Each waits until it is done: 0 or a negative errno. One call at a time. */
struct block_image_ops {
	int (*read)(struct block_image *image, uint64_t sector, uint32_t count, void *to);
	int (*write)(struct block_image *image, uint64_t sector, uint32_t count, const void *from);
	int (*flush)(struct block_image *image);
	/*
	 * Of an image that may hang, from another thread: the call under way, and each after it,
	 * fails at once.
	 */
	void (*give_up)(struct block_image *image);
	void (*close)(struct block_image *image);
};

struct block_image {
	const struct block_image_ops *ops;
	uint64_t sectors;
	bool read_only; /* write is not called */
	bool may_hang;  /* nobody knows whether a call ends */
	/* The image is this file, byte by byte, and requests may go to it directly. */
	bool is_file;
	int fd;
};

/* The image is the caller's, to be closed by ops->close. 0, or a negative errno with error set. */
int block_file_open(const struct block_open *how, struct block_image **out,
		    struct error *error) RF_MUST_CHECK;
/* The base is the overlay's from then on; if it fails, it is still the caller's. */
int block_overlay_open(struct block_image *base, struct block_image **out) RF_MUST_CHECK;

/* A server's image: block_nbd.h. As block_file_open(). */
int block_nbd_open(const struct block_open *how, struct block_image **out,
		   struct error *error) RF_MUST_CHECK;

/*
 * The file that an image is in, opened as it will be used: a file descriptor, or a negative errno
 * with error set.
 */
int block_open_path(const struct block_open *how, struct error *error) RF_MUST_CHECK;
/* All of it, or a negative errno; of reading, -EIO where the file ends too early. */
int block_read_fully(int fd, void *to, size_t len, off_t at) RF_MUST_CHECK;
int block_write_fully(int fd, const void *from, size_t len, off_t at) RF_MUST_CHECK;

/* What block_backend.c knows of a runner's. */
struct block_backend {
	struct block_device device;
	struct vm *vm;
	struct block_image *image;
	/* Waits for requests under way, and frees the backend, but not the image. */
	void (*close)(struct block_backend *backend);
};

/* The image remains the caller's. 0 or a negative errno. */
int block_thread_create(struct vm *vm, struct block_image *image,
			struct block_backend **out) RF_MUST_CHECK;
/*
 * Of an image that is_file, for a VM with an event loop; without the device lock.
 * -ENOSYS, -EPERM, -ENOMEM: this host, or this build, has no io_uring for us.
 */
int block_uring_create(struct vm *vm, struct block_image *image,
		       struct block_backend **out) RF_MUST_CHECK;

#endif
