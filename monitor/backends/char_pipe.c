/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipe: backend: named pipes, PATH.in for the guest's input and PATH.out for its output, or
 * PATH for both. Each is opened for reading and writing, so that it is open at once, whether there
 * is anybody at the other end, and does not end when nobody is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "char_stream.h"

static void pipe_close(struct char_backend *backend)
{
	struct char_stream *s = rf_container_of(backend, struct char_stream, backend);

	char_stream_stop_input(s);
	if (s->in_fd >= 0)
		close(s->in_fd);
	if (s->out_fd >= 0 && s->out_fd != s->in_fd)
		close(s->out_fd);
	free(s);
}

/* A negative errno: there is none there, or it is something else (-ENOSTR). */
static int pipe_open_one(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;
	int fd;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	if (stat(name, &st))
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -ENOSTR;
	fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int pipe_open_both(struct char_stream *s, const char *path)
{
	s->in_fd = pipe_open_one(path, ".in");
	s->out_fd = pipe_open_one(path, ".out");
	if (s->in_fd >= 0 && s->out_fd >= 0)
		return 0;
	if (s->in_fd >= 0)
		close(s->in_fd);
	if (s->out_fd >= 0)
		close(s->out_fd);
	s->in_fd = s->out_fd = pipe_open_one(path, "");
	return s->in_fd < 0 ? s->in_fd : 0;
}

int char_pipe_open(const struct char_open *how, struct char_backend **out)
{
	struct char_stream *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return error_set(how->error, -ENOMEM, "no memory");
	char_stream_init(s, how->vm, -1, -1, CHAR_DROP);
	s->backend.close = pipe_close;
	err = pipe_open_both(s, how->arg);
	if (err) {
		free(s);
		return error_set(how->error, err,
				 "no named pipes %s.in and %s.out that can be opened, and no %s: "
				 "%s; make them: mkfifo %s.in %s.out",
				 how->arg, how->arg, how->arg,
				 err == -ENOSTR ? "not a pipe" : error_reason(-err), how->arg,
				 how->arg);
	}
	err = char_stream_start_input(s);
	if (err) {
		pipe_close(&s->backend);
		return error_set(how->error, err, "cannot watch a pipe: %s", error_reason(-err));
	}
	*out = &s->backend;
	return 0;
}
