/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading files: in pieces, so that the user can end it and sees how far it is, and no further than
 * is asked for. The memory that they go to is made with each piece.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "loader.h"
#include "x86/ahead.h"

#define PROGRESS_AFTER_MS 1000
#define PROGRESS_STEP_MS  200
#define CLEAR_LINE "\r\033[K"

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int file_image_examine(struct boot_request *boot, struct file_image *image)
{
	const char *what = image->what, *path = image->path;
	struct stat st;

	if (fstat(image->fd, &st) < 0)
		return error_set(boot->error, -errno, "cannot examine %s '%s': %s", what, path,
				 error_reason(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(boot->error, -EISDIR,
				 "%s '%s' is a directory; name the file in it", what, path);
	if (!S_ISREG(st.st_mode))
		return error_set(boot->error, -EINVAL,
				 "%s '%s' is not a regular file; copy it to one first", what, path);
	if (st.st_size == 0)
		return error_set(boot->error, -EINVAL, "%s '%s' is empty", what, path);
	if ((uint64_t)st.st_size > GUEST_RAM_MAX)
		return error_set(boot->error, -EFBIG,
				 "%s '%s' has %lld bytes, more than any guest's memory", what, path,
				 (long long)st.st_size);
	image->size = st.st_size;
	return 0;
}

int file_image_open(struct boot_request *boot, const char *what, const char *path,
		    struct file_image *image)
{
	int err;

	*image = (struct file_image){ .path = path, .what = what, .fd = -1, .began = clock_ms() };
	/* O_NONBLOCK: a FIFO must give an error below rather than wait for a writer. */
	image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (image->fd < 0)
		return error_set(boot->error, -errno, "cannot open %s '%s': %s", what, path,
				 error_reason(errno));
	err = file_image_examine(boot, image);
	if (err)
		file_image_free(image);
	return err;
}

/* Now and then, of what takes long enough for somebody to wonder. */
static void file_image_show_progress(const struct boot_request *boot, struct file_image *image)
{
	int64_t now;

	if (!boot->progress)
		return;
	now = clock_ms();
	if (now - image->began < PROGRESS_AFTER_MS || now - image->shown < PROGRESS_STEP_MS)
		return;
	image->shown = now;
	fprintf(stderr, CLEAR_LINE "ringfence: reading %s '%s': %u%%", image->what, image->path,
		(unsigned)(100ull * image->done / image->size));
}

static void file_image_end_progress(struct file_image *image)
{
	if (image->shown)
		fputs(CLEAR_LINE, stderr);
	image->shown = 0;
}

static int file_image_read_piece(struct boot_request *boot, struct file_image *image, uint8_t *to,
				 size_t bytes)
{
	ssize_t n;

	if (cancel_wanted(boot->cancel))
		return error_set(boot->error, -EINTR, "reading %s '%s' was given up", image->what,
				 image->path);
	n = read(image->fd, to, bytes);
	if (n < 0 && errno != EINTR)
		return error_set(boot->error, -errno, "cannot read %s '%s': %s", image->what,
				 image->path, error_reason(errno));
	if (n == 0)
		return error_set(boot->error, -EIO,
				 "%s '%s' shrank to %zu bytes while it was read; try again",
				 image->what, image->path, image->done);
	image->done += n > 0 ? n : 0;
	return 0;
}

int file_image_read(struct boot_request *boot, struct file_image *image, uint8_t *to, size_t bytes)
{
	const size_t begin = image->done;
	size_t made = 0;
	int err = 0;

	assert(image->fd >= 0 && bytes <= image->size - image->done);
	while (image->done - begin < bytes && !err) {
		const size_t at = image->done - begin;
		const size_t piece = bytes - at < LOADER_PIECE ? bytes - at : LOADER_PIECE;

		if (at + piece > made) {
			memory_make(to + at, piece);
			made = at + piece;
		}
		err = file_image_read_piece(boot, image, to + at, piece);
		file_image_show_progress(boot, image);
	}
	if (err || image->done == image->size)
		file_image_end_progress(image);
	return err;
}

int file_image_make(struct boot_request *boot, struct file_image *image)
{
	assert(!image->data);
	image->data = calloc(1, image->size); /* a large one gets its pages as they are read */
	return image->data ? 0 :
			     error_set(boot->error, -ENOMEM,
				       "no memory to read %s '%s' (%zu bytes)", image->what,
				       image->path, image->size);
}

void file_image_free(struct file_image *image)
{
	file_image_end_progress(image);
	free(image->data);
	if (image->fd >= 0)
		close(image->fd);
	*image = (struct file_image){ .fd = -1 };
}
