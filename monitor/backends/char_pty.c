/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pty backend. This side keeps the other end open itself: reading never fails because nobody
 * has opened it yet, and what the guest prints before somebody does waits in the kernel's buffer
 * (and then is dropped).
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "char_stream.h"

struct char_pty {
	struct char_stream stream; /* first */
	int slave_fd;
	char name[64];
};

static void pty_close(struct char_backend *backend)
{
	struct char_pty *pty = rf_container_of(backend, struct char_pty, stream.backend);

	char_stream_stop_input(&pty->stream);
	close(pty->stream.in_fd);
	close(pty->slave_fd);
	free(pty);
}

int char_pty_open(const struct char_open *how, struct char_backend **out)
{
	struct char_pty *pty = calloc(1, sizeof(*pty));
	struct termios raw;
	int master, err;

	if (!pty)
		return error_set(how->error, -ENOMEM, "no memory");
	if (openpty(&master, &pty->slave_fd, NULL, NULL, NULL)) {
		err = errno;
		free(pty);
		return error_set(how->error, -err, "cannot make a pseudo terminal: %s",
				 error_reason(err));
	}
	if (!tcgetattr(pty->slave_fd, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(pty->slave_fd, TCSANOW, &raw);
	}
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(pty->slave_fd, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
	char_stream_init(&pty->stream, how->vm, master, master, CHAR_DROP);
	pty->stream.backend.close = pty_close;
	snprintf(pty->name, sizeof(pty->name), "pty:%s", ptsname(master));
	pty->stream.backend.name = pty->name;
	err = char_stream_start_input(&pty->stream);
	if (err) {
		pty_close(&pty->stream.backend);
		return error_set(how->error, err, "cannot watch a pseudo terminal: %s",
				 error_reason(-err));
	}
	fprintf(stderr, "ringfence: character device redirected to %s\n", ptsname(master));
	*out = &pty->stream.backend;
	return 0;
}
