/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening files that are written (outputs.h). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "outputs.h"

#define READER_STEP_MS 50 /* how often a FIFO is looked at for a reader */

/* open() gives ENXIO for a FIFO without a reader, and for other things that nobody waits for. */
static bool lacks_reader(const char *path)
{
	struct stat st;

	return errno == ENXIO && !stat(path, &st) && S_ISFIFO(st.st_mode);
}

static int open_for_writing(const struct outputs *outputs, const char *path)
{
	struct pollfd p = { .fd = cancel_fd(outputs->cancel), .events = POLLIN };
	int fd;

	while ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			  0666)) < 0) {
		if (!lacks_reader(path))
			return -errno;
		poll(&p, 1, READER_STEP_MS);
		if (cancel_wanted(outputs->cancel))
			return -EINTR;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

int outputs_open(struct outputs *outputs, const char *path)
{
	const int fd = open_for_writing(outputs, path);

	if (fd < 0)
		return fd;
	if (outputs->held && outputs->count < OUTPUTS_MOST)
		outputs->fd[outputs->count++] = fd;
	else
		(void)!ftruncate(fd, 0); /* only what has a size has something to lose */
	return fd;
}

void outputs_begin(struct outputs *outputs)
{
	outputs->held = false;
	while (outputs->count)
		(void)!ftruncate(outputs->fd[--outputs->count], 0);
}
