/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unix: backend: listens at a path and serves one peer at a time. Without a peer output is
 * dropped. "wait" (QEMU's default for servers) is not offered: it would have to be asked for by
 * name, so that a script does not hang unawares.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "char_stream.h"

#define LOCK_TRIES 50
#define LOCK_STEP_US 20000

struct char_unix {
	struct char_stream stream; /* first */
	int listen_fd;
	struct event_source *listener;
	dev_t device; /* of the socket at path: another's is not ours to remove */
	ino_t inode;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/*
 * While the directory is locked no other VM makes or removes sockets there, and a look at one stays
 * true. Who cannot have the lock soon goes on without.
 */
static int unix_lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
	int fd;

	if (slash)
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB); i++)
		usleep(LOCK_STEP_US);
	return fd;
}

static void unix_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void unix_remove(const struct char_unix *u)
{
	int lock = unix_lock(u->path);
	struct stat st;

	if (!lstat(u->path, &st) && st.st_dev == u->device && st.st_ino == u->inode)
		unlink(u->path);
	unix_unlock(lock);
}

static void unix_close(struct char_backend *backend)
{
	struct char_unix *u = rf_container_of(backend, struct char_unix, stream.backend);

	char_stream_stop_input(&u->stream);
	event_source_destroy(u->listener);
	if (u->stream.in_fd >= 0)
		close(u->stream.in_fd);
	if (u->listen_fd >= 0) {
		unix_remove(u);
		close(u->listen_fd);
	}
	free(u);
}

static void unix_hung_up(struct char_stream *stream)
{
	struct char_unix *u = rf_container_of(stream, struct char_unix, stream);

	close(stream->in_fd);
	stream->in_fd = stream->out_fd = -1;
	stream->stalled = false;
	chardev_event(&stream->backend.chardev, CHARDEV_CLOSED);
	event_source_enable(u->listener, true);
}

static void unix_accept(void *opaque)
{
	struct char_unix *u = opaque;
	int fd;

	assert(u->stream.in_fd < 0); /* else it does not listen */
	fd = accept4(u->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	u->stream.in_fd = u->stream.out_fd = fd;
	if (char_stream_start_input(&u->stream)) {
		u->stream.in_fd = u->stream.out_fd = -1;
		close(fd);
		return;
	}
	event_source_enable(u->listener, false); /* the next peer waits in the backlog */
	chardev_event(&u->stream.backend.chardev, CHARDEV_OPENED);
}

/* PATH,server[=on],nowait|wait=off in any order. */
static int unix_parse(const struct char_open *how, struct char_unix *u)
{
	bool server = false, nowait = false;
	const char *rest = how->arg;
	size_t len = strcspn(rest, ",");

	if (!len || len >= sizeof(u->path))
		return error_set(how->error, -EINVAL, "unix: needs a path of 1 to %zu characters",
				 sizeof(u->path) - 1);
	memcpy(u->path, rest, len);
	while (rest[len]) {
		rest += len + 1;
		len = strcspn(rest, ",");
		if ((len == 6 && !memcmp(rest, "server", len)) || (len == 9 && !memcmp(rest,
			"server=on", len)))
			server = true;
		else if ((len == 6 && !memcmp(rest, "nowait", len)) || (len == 8 && !memcmp(rest,
			"wait=off", len)))
			nowait = true;
		else
			return error_set(
				how->error, -EINVAL,
				"'%.*s' is not an option of unix:; use unix:PATH,server,nowait",
				(int)len, rest);
	}
	if (!server || !nowait)
		return error_set(
			how->error, -EINVAL,
			"unix: only listens, without waiting for a peer; use unix:%s,server,nowait",
			u->path);
	return 0;
}

/* Whether somebody listens there: a full backlog (EAGAIN) shows it as well. */
static bool unix_is_served(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served;

	if (fd < 0)
		return true;
	served = !connect(fd, (const struct sockaddr *)address, sizeof(*address)) ||
		 errno == EAGAIN || errno == EINPROGRESS;
	close(fd);
	return served;
}

/* A socket left over from an earlier run is in the way of bind(); nothing else may be removed. */
static int unix_remove_stale(const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return 0;
	if (unix_is_served(address))
		return -EADDRINUSE;
	unlink(address->sun_path);
	return 0;
}

static int unix_bind(struct char_unix *u, int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	int err;

	strcpy(address.sun_path, u->path);
	err = unix_remove_stale(&address);
	if (err)
		return err;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ||
	    lstat(u->path, &st))
		return -errno;
	u->device = st.st_dev;
	u->inode = st.st_ino;
	return 0;
}

static int unix_listen(const struct char_open *how, struct char_unix *u)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int lock, err;

	if (fd < 0)
		return error_set(how->error, -errno, "cannot make a socket: %s",
				 error_reason(errno));
	lock = unix_lock(u->path);
	err = unix_bind(u, fd);
	unix_unlock(lock);
	if (err) {
		close(fd);
		return error_set(how->error, err, "cannot listen at '%s': %s", u->path,
				 err == -EADDRINUSE ?
					 "another program does; give each its own path" :
					 error_reason(-err));
	}
	u->listen_fd = fd;
	return 0;
}

int char_unix_open(const struct char_open *how, struct char_backend **out)
{
	struct char_unix *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return error_set(how->error, -ENOMEM, "no memory");
	u->listen_fd = -1;
	char_stream_init(&u->stream, how->vm, -1, -1, CHAR_DROP);
	u->stream.backend.close = unix_close;
	u->stream.at_end = unix_hung_up;
	err = unix_parse(how, u);
	if (!err)
		err = unix_listen(how, u);
	if (!err) {
		err = event_source_create(how->vm->loop, u->listen_fd, unix_accept, u,
					  &u->listener);
		if (err)
			error_set(how->error, err, "cannot watch a socket: %s", error_reason(-err));
	}
	if (err) {
		unix_close(&u->stream.backend);
		return err;
	}
	event_source_enable(u->listener, true);
	*out = &u->stream.backend;
	return 0;
}
