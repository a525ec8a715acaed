/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image that a server has. A server may be gone, or not answer: each wait ends when the backend
 * gives the image up, and what was lost is said once. The guest sees errors of its disk.
 */
#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "block_nbd.h"

#define MOST_BYTES 0x400000 /* of one command */

struct block_nbd {
	struct block_image image; /* first */
	char *path;               /* as the user named it */
	struct nbd_name name;
	struct nbd_handle *nbd;
	struct nbd_server server;
	int give_up_fd;           /* an eventfd */
	uint32_t most;            /* sectors of one command */
	bool flushes;
	bool lost;                /* nothing is asked any more */
};

static struct block_nbd *nbd_of(struct block_image *image)
{
	return rf_container_of(image, struct block_nbd, image);
}

/* What libnbd says of what failed last, without its function's name. */
static const char *why(void)
{
	const char *text = nbd_get_error(), *colon = text ? strstr(text, ": ") : NULL;

	return colon ? colon + 2 : text ? text : "it does not answer";
}

static int nbd_error(void)
{
	const int err = nbd_get_errno();

	return err > 0 ? -err : -EIO;
}

/* ---- waiting ---- */

/* Something has happened on the connection, or -EINTR: cancelled; or another negative errno. */
static int step(struct nbd_handle *nbd, const struct cancel *cancel)
{
	const unsigned wants = nbd_aio_get_direction(nbd);
	struct pollfd p[2] = {
		{ .fd = nbd_aio_get_fd(nbd),
		  .events = (wants & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
			    (wants & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0) },
		{ .fd = cancel_fd(cancel), .events = POLLIN },
	};
	int err = 0;

	if (poll(p, 2, -1) < 0)
		return errno == EINTR && !cancel_wanted(cancel) ? 0 : -errno;
	if (cancel_wanted(cancel))
		return -EINTR;
	if (p[0].revents & ~POLLOUT && wants & LIBNBD_AIO_DIRECTION_READ)
		err = nbd_aio_notify_read(nbd);
	else if (p[0].revents && wants & LIBNBD_AIO_DIRECTION_WRITE)
		err = nbd_aio_notify_write(nbd);
	return err ? nbd_error() : 0;
}

/* Asked only when the eventfd is readable. */
static bool is_given_up(void *opaque)
{
	struct pollfd p = { .fd = ((struct block_nbd *)opaque)->give_up_fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void nbd_give_up(struct block_image *image)
{
	const uint64_t one = 1;

	if (write(nbd_of(image)->give_up_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

/* ---- requests ---- */

/* err: what ended the wait; nothing is said where the backend did. */
static int lose(struct block_nbd *n, int err)
{
	char said[256];

	n->lost = true;
	if (err == -EINTR)
		return -EIO;
	nbd_server_said(&n->server, n->name.options ? n->name.options : "", said, sizeof(said));
	fprintf(stderr, "ringfence: image '%s': its server is gone (%s); the guest's accesses to "
		"the disk fail from now on\n", n->path, *said ? said : why());
	return -EIO;
}

static bool is_alive(struct block_nbd *n)
{
	return nbd_aio_is_ready(n->nbd) > 0 || nbd_aio_is_processing(n->nbd) > 0;
}

/*
 * The command's end: 0, or a negative errno, which of a lost server is -EIO. A command that has not
 * ended has its buffer for ever: nothing is received any more once the server is lost.
 */
static int wait_for(struct block_nbd *n, int64_t cookie)
{
	const struct cancel give_up = { n->give_up_fd, is_given_up, n };
	int done = cookie < 0 ? -1 : 0, failed, err = 0;

	while (!done && !err) {
		done = nbd_aio_command_completed(n->nbd, (uint64_t)cookie);
		if (!done)
			err = step(n->nbd, &give_up);
	}
	if (done > 0)
		return 0;
	failed = nbd_error();
	return done < 0 && is_alive(n) ? failed : lose(n, err);
}

static int nbd_read(struct block_image *image, uint64_t sector, uint32_t count, void *to)
{
	struct block_nbd *n = nbd_of(image);
	int err = n->lost ? -EIO : 0;

	for (uint32_t part; count && !err; count -= part, sector += part) {
		const size_t bytes = (size_t)(part = count < n->most ? count : n->most) *
				     BLOCK_SECTOR;

		err = wait_for(n, nbd_aio_pread(n->nbd, to, bytes, sector * BLOCK_SECTOR,
						NBD_NULL_COMPLETION, 0));
		to = (uint8_t *)to + bytes;
	}
	return err;
}

static int nbd_write(struct block_image *image, uint64_t sector, uint32_t count, const void *from)
{
	struct block_nbd *n = nbd_of(image);
	int err = n->lost ? -EIO : 0;

	for (uint32_t part; count && !err; count -= part, sector += part) {
		const size_t bytes = (size_t)(part = count < n->most ? count : n->most) *
				     BLOCK_SECTOR;

		err = wait_for(n, nbd_aio_pwrite(n->nbd, from, bytes, sector * BLOCK_SECTOR,
						 NBD_NULL_COMPLETION, 0));
		from = (const uint8_t *)from + bytes;
	}
	return err;
}

static int nbd_flush_image(struct block_image *image)
{
	struct block_nbd *n = nbd_of(image);

	if (n->lost)
		return -EIO;
	if (!n->flushes)
		return 0;
	return wait_for(n, nbd_aio_flush(n->nbd, NBD_NULL_COMPLETION, 0));
}

/* A server that was asked to go on is told that nothing more comes. */
static void nbd_close_image(struct block_image *image)
{
	struct block_nbd *n = nbd_of(image);

	if (n->nbd && !n->lost && nbd_aio_is_ready(n->nbd) > 0)
		nbd_aio_disconnect(n->nbd, 0);
	nbd_close(n->nbd);
	nbd_server_end(&n->server);
	if (n->give_up_fd >= 0)
		close(n->give_up_fd);
	nbd_name_free(&n->name);
	free(n->path);
	free(n);
}

static const struct block_image_ops nbd_ops = {
	.read = nbd_read, .write = nbd_write, .flush = nbd_flush_image,
	.give_up = nbd_give_up, .close = nbd_close_image,
};

/* ---- opening ---- */

static int begin_to_connect(struct block_nbd *n, int connection)
{
	const struct nbd_name *name = &n->name;

	if (connection >= 0)
		return nbd_aio_connect_socket(n->nbd, connection);
	if (nbd_set_uri_allow_tls(n->nbd, LIBNBD_TLS_DISABLE) ||
	    nbd_set_uri_allow_transports(n->nbd, LIBNBD_ALLOW_TRANSPORT_TCP |
						 LIBNBD_ALLOW_TRANSPORT_UNIX))
		return -1;
	if (name->uri)
		return nbd_aio_connect_uri(n->nbd, name->uri);
	if (nbd_set_export_name(n->nbd, name->export))
		return -1;
	return name->unix_path ? nbd_aio_connect_unix(n->nbd, name->unix_path) :
				 nbd_aio_connect_tcp(n->nbd, name->host, name->port);
}

static int connect_fully(struct block_nbd *n, int connection, const struct cancel *cancel)
{
	int err = begin_to_connect(n, connection) ? nbd_error() : 0;

	while (!err && (nbd_aio_is_connecting(n->nbd) > 0 || nbd_aio_is_negotiating(n->nbd) > 0))
		err = step(n->nbd, cancel);
	if (err)
		return err;
	return nbd_aio_is_ready(n->nbd) > 0 ? 0 : nbd_error();
}

static int connect_image(struct block_nbd *n, const struct block_open *how, struct error *error)
{
	const char *options = n->name.options;
	int connection = -1, err;
	char said[512] = "";

	if (options) {
		connection = nbd_server_start(&n->server, options, n->image.read_only, error);
		if (connection < 0)
			return error_prefix(error, connection, "image '%s'", n->path);
	}
	err = connect_fully(n, connection, how->cancel);
	if (!err)
		return 0;
	if (options && err != -EINTR)
		nbd_server_said(&n->server, options, said, sizeof(said));
	if (err == -EINTR)
		return error_set(error, err, "interrupted while opening image '%s'", n->path);
	if (options && how->format)
		return error_set(error, err, "cannot open image '%s' as format=%s: %s", n->path,
				 how->format, *said ? said : why());
	return error_set(error, err, options ? "cannot show image '%s': %s" :
			 "cannot connect to the server of image '%s': %s", n->path,
			 *said ? said : why());
}

static int check_size(struct block_nbd *n, struct error *error)
{
	const int64_t size = nbd_get_size(n->nbd);
	const int64_t least = nbd_get_block_size(n->nbd, LIBNBD_SIZE_MINIMUM);
	const int64_t most = nbd_get_block_size(n->nbd, LIBNBD_SIZE_MAXIMUM);

	if (size <= 0)
		return error_set(error, -EINVAL, "image '%s' is empty", n->path);
	if (size % BLOCK_SECTOR)
		return error_set(error, -EINVAL, "image '%s' has %lld bytes, which is no whole "
				 "number of sectors; is it cut off?", n->path, (long long)size);
	if (least > BLOCK_SECTOR)
		return error_set(error, -EINVAL, "the server of image '%s' has blocks of %lld "
				 "bytes; the guest's disk has 512", n->path, (long long)least);
	n->image.sectors = (uint64_t)size / BLOCK_SECTOR;
	n->most = (uint32_t)(most >= BLOCK_SECTOR && most < MOST_BYTES ? most : MOST_BYTES) /
		  BLOCK_SECTOR;
	return 0;
}

/* What the server can do, beside what is wanted of it. */
static int check_abilities(struct block_nbd *n, const struct block_open *how, struct error *error)
{
	if (!n->image.read_only && nbd_is_read_only(n->nbd) > 0)
		return error_set(error, -EACCES, "the server of image '%s' lets nobody write; give "
				 "readonly=on or snapshot=on", n->path);
	n->flushes = nbd_can_flush(n->nbd) > 0;
	if (!n->image.read_only && !n->flushes)
		fprintf(stderr, "ringfence: note: the server of image '%s' cannot flush; what the "
			"guest has written may be lost if the server's host fails\n", n->path);
	return check_size(n, error);
}

static int prepare(struct block_nbd *n, const struct block_open *how, struct error *error)
{
	int err = nbd_name_parse(how, &n->name, error);

	if (err)
		return err;
	n->path = strdup(how->path);
	n->give_up_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->nbd = nbd_create();
	if (!n->path || n->give_up_fd < 0 || !n->nbd)
		return error_set(error, -ENOMEM, "no memory or files for image '%s'", how->path);
	n->image.read_only = how->read_only || how->snapshot || n->name.read_only;
	err = connect_image(n, how, error);
	return err ? err : check_abilities(n, how, error);
}

int block_nbd_open(const struct block_open *how, struct block_image **out, struct error *error)
{
	struct block_nbd *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return error_set(error, -ENOMEM, "no memory for image '%s'", how->path);
	n->image.ops = &nbd_ops;
	n->image.may_hang = true;
	n->server = (struct nbd_server){ 0, -1 };
	n->give_up_fd = -1;
	err = prepare(n, how, error);
	if (err) {
		nbd_close_image(&n->image);
		return err;
	}
	*out = &n->image;
	return 0;
}
