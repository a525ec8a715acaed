/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image over another: sectors that were written, and are not to reach the one below. They are at
 * the same offsets of an unlinked file; a bit for each says whether it is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "block_image.h"

struct block_overlay {
	struct block_image image; /* first */
	struct block_image *base;
	int fd;
	uint64_t *map;
};

static struct block_overlay *overlay_of(struct block_image *image)
{
	return rf_container_of(image, struct block_overlay, image);
}

/* In TMPDIR, or where temporary files are that may become large. */
static int open_unlinked(void)
{
	const char *folder = getenv("TMPDIR");
	char name[] = "/var/tmp/ringfence-XXXXXX";
	int fd = open(folder && *folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC,
		      0600);

	if (fd >= 0)
		return fd;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static bool is_there(const struct block_overlay *o, uint64_t sector)
{
	return o->map[sector / 64] >> (sector % 64) & 1;
}

/* How many sectors from sector on, at most count, are alike: in the file or not. */
static uint32_t run_of(const struct block_overlay *o, uint64_t sector, uint32_t count, bool *there)
{
	uint32_t n = 1;

	*there = is_there(o, sector);
	while (n < count && is_there(o, sector + n) == *there)
		n++;
	return n;
}

static int overlay_read(struct block_image *image, uint64_t sector, uint32_t count, void *to)
{
	struct block_overlay *o = overlay_of(image);
	int err = 0;

	for (uint32_t n; count && !err; count -= n, sector += n) {
		bool there;

		n = run_of(o, sector, count, &there);
		if (there)
			err = block_read_fully(o->fd, to, (size_t)n * BLOCK_SECTOR,
					       (off_t)(sector * BLOCK_SECTOR));
		else
			err = o->base->ops->read(o->base, sector, n, to);
		to = (uint8_t *)to + (size_t)n * BLOCK_SECTOR;
	}
	return err;
}

static int overlay_write(struct block_image *image, uint64_t sector, uint32_t count,
			 const void *from)
{
	struct block_overlay *o = overlay_of(image);
	int err = block_write_fully(o->fd, from, (size_t)count * BLOCK_SECTOR,
				    (off_t)(sector * BLOCK_SECTOR));

	for (; !err && count; count--, sector++)
		o->map[sector / 64] |= 1ull << (sector % 64);
	return err;
}

/* Nobody relies on it being there later. */
static int overlay_flush(struct block_image *image)
{
	return 0;
}

static void overlay_give_up(struct block_image *image)
{
	struct block_image *base = overlay_of(image)->base;

	base->ops->give_up(base);
}

static void overlay_free(struct block_overlay *o)
{
	free(o->map);
	if (o->fd >= 0)
		close(o->fd);
	free(o);
}

static void overlay_close(struct block_image *image)
{
	struct block_overlay *o = overlay_of(image);

	o->base->ops->close(o->base);
	overlay_free(o);
}

static const struct block_image_ops overlay_ops = {
	.read = overlay_read, .write = overlay_write, .flush = overlay_flush,
	.give_up = overlay_give_up, .close = overlay_close,
};

int block_overlay_open(struct block_image *base, struct block_image **out)
{
	struct block_overlay *o = calloc(1, sizeof(*o));
	int err = 0;

	if (!o)
		return -ENOMEM;
	o->image = (struct block_image){
		.ops = &overlay_ops, .sectors = base->sectors, .may_hang = base->may_hang,
	};
	o->base = base;
	o->map = calloc(base->sectors / 64 + 1, sizeof(*o->map));
	o->fd = open_unlinked();
	if (o->fd < 0)
		err = -errno;
	else if (!o->map)
		err = -ENOMEM;
	if (err) {
		overlay_free(o);
		return err;
	}
	*out = &o->image;
	return 0;
}
