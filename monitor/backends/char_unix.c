/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unix: backend: local sockets, by their path. */
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
#include "char_socket.h"

#define LOCK_TRIES 50
#define LOCK_STEP_US 20000

struct char_unix {
	struct char_socket socket; /* first */
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

static struct char_unix *unix_of(struct char_socket *s)
{
	return rf_container_of(s, struct char_unix, socket);
}

static void unix_unlisten(struct char_socket *s)
{
	const struct char_unix *u = unix_of(s);
	int lock = unix_lock(u->path);
	struct stat st;

	if (!lstat(u->path, &st) && st.st_dev == u->device && st.st_ino == u->inode)
		unlink(u->path);
	unix_unlock(lock);
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

static int unix_listen(struct char_socket *s, struct error *error)
{
	struct char_unix *u = unix_of(s);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int lock, err;

	if (fd < 0)
		return error_set(error, -errno, "cannot make a socket: %s", error_reason(errno));
	lock = unix_lock(u->path);
	err = unix_bind(u, fd);
	unix_unlock(lock);
	if (err) {
		close(fd);
		return error_set(error, err, "cannot listen at '%s': %s", u->path,
				 err == -EADDRINUSE ?
					 "another program does; give each its own path" :
					 error_reason(-err));
	}
	return fd;
}

/* A full backlog is the server's business: the next try may find room. */
static int unix_connect(struct char_socket *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	strcpy(address.sun_path, unix_of(s)->path);
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static void unix_destroy(struct char_socket *s)
{
	free(unix_of(s));
}

/* PATH[,OPTION]... */
static int unix_parse(const char *arg, struct char_unix *u, struct error *error)
{
	const size_t len = strcspn(arg, ",");

	if (!len || len >= sizeof(u->path))
		return error_set(error, -EINVAL, "unix: needs a path of 1 to %zu characters",
				 sizeof(u->path) - 1);
	memcpy(u->path, arg, len);
	snprintf(u->socket.name, sizeof(u->socket.name), "'%s'", u->path);
	return char_socket_parse(arg + len, &u->socket.options, error);
}

int char_unix_check(const char *arg, struct error *error)
{
	struct char_unix u = { 0 };

	return unix_parse(arg, &u, error);
}

int char_unix_open(const struct char_open *how, struct char_backend **out)
{
	static const struct char_socket_family family = {
		.listen = unix_listen,
		.connect = unix_connect,
		.unlisten = unix_unlisten,
		.destroy = unix_destroy,
	};
	struct char_unix *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return error_set(how->error, -ENOMEM, "no memory");
	err = unix_parse(how->arg, u, how->error);
	if (err) {
		free(u);
		return err;
	}
	u->socket.family = &family;
	return char_socket_open(&u->socket, how, out);
}
