/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Within the room: images that a server has, spoken to by NBD (libnbd). The server is the user's
 * ("nbd:" names), or a qemu-nbd of ours, which reads another format or shows a folder as a disk.
 *
 *   block_nbd_name.c   which images these are, and what their names mean
 *   block_nbd_server.c qemu-nbd, from its start to its end
 *   block_nbd.c        the image: the connection, requests
 *   block_nbd_absent.c in place of both in a build without libnbd
 */
#ifndef RF_MONITOR_BACKENDS_BLOCK_NBD_H
#define RF_MONITOR_BACKENDS_BLOCK_NBD_H

#include <sys/types.h>
#include "block_image.h"

/* What an image's name means. Strings are malloc'd or NULL. */
struct nbd_name {
	char *uri;                      /* of a server */
	char *unix_path, *host, *port;  /* where one is, in the older way of writing */
	char *export;                   /* what it is asked for then */
	char *options;                  /* what a qemu-nbd of ours shows (its --image-opts) */
	bool read_only;                 /* it can only be read, whoever asks */
};

/* Whether the image is a server's. */
bool nbd_is_wanted(const struct block_open *how);
/* 0, or a negative errno with error set; nbd_name_free() after either. */
int nbd_name_parse(const struct block_open *how, struct nbd_name *name,
		   struct error *error) RF_MUST_CHECK;
void nbd_name_free(struct nbd_name *name);

/* A running qemu-nbd. Begins as { 0, -1 }: none. */
struct nbd_server {
	pid_t pid;
	int said_fd; /* a file in memory: what it says on standard error */
};

/*
 * Starts it for one connection, which it returns: a file descriptor of the caller's. It ends when
 * that is closed, and when this process ends. A negative errno with error set if it cannot be
 * started; whether it can open the image, the connection tells.
 */
int nbd_server_start(struct nbd_server *server, const char *options, bool read_only,
		     struct error *error) RF_MUST_CHECK;
/* What it said last, without names that the caller knows; empty: nothing. At most size bytes. */
void nbd_server_said(const struct nbd_server *server, const char *options, char *text,
		     size_t size);
/* After the connection has been closed: waits until it has written everything, and ended. */
void nbd_server_end(struct nbd_server *server);

#endif
