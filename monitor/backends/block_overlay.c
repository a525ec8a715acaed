/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sectors that were written and are not to reach the image. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "block_backend.h"

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

int block_overlay_create(uint64_t sectors, struct block_overlay *overlay)
{
	*overlay = (struct block_overlay){ .fd = open_unlinked(), .sectors = sectors };
	if (overlay->fd < 0)
		return -errno;
	overlay->map = calloc(sectors / 64 + 1, sizeof(*overlay->map));
	return overlay->map ? 0 : -ENOMEM;
}

void block_overlay_destroy(struct block_overlay *overlay)
{
	free(overlay->map);
	overlay->map = NULL;
	if (overlay->fd >= 0)
		close(overlay->fd);
	overlay->fd = -1;
}

static bool is_there(const struct block_overlay *overlay, uint64_t sector)
{
	return overlay->map[sector / 64] >> (sector % 64) & 1;
}

uint32_t block_overlay_run(const struct block_overlay *overlay, uint64_t sector, uint32_t count,
			   bool *there)
{
	uint32_t n = 1;

	*there = is_there(overlay, sector);
	while (n < count && is_there(overlay, sector + n) == *there)
		n++;
	return n;
}

void block_overlay_note(struct block_overlay *overlay, uint64_t sector, uint32_t count)
{
	for (; count; count--, sector++)
		overlay->map[sector / 64] |= 1ull << (sector % 64);
}
