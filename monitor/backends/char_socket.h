/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A character backend over a stream socket: what unix:, tcp: and telnet: have in common. A server
 * serves one peer at a time, and the next after it; a client connects when the machine is made, and
 * again when the peer has gone if it is to. Without a peer output is dropped.
 */
#ifndef RF_MONITOR_BACKENDS_CHAR_SOCKET_H
#define RF_MONITOR_BACKENDS_CHAR_SOCKET_H

#include "char_stream.h"
#include "char_telnet.h"

struct char_socket_options {
	bool server;
	bool wait;          /* a server: the machine is made when the first peer has come */
	bool telnet, nodelay;
	unsigned reconnect; /* a client: seconds until the next try; 0: there is none */
};

struct char_socket;

/* The kind of address. All may use stream.vm and options. */
struct char_socket_family {
	/* A listening socket, or a negative errno with error. */
	int (*listen)(struct char_socket *s, struct error *error);
	/* A non-blocking socket that connects or has connected, or a negative errno. */
	int (*connect)(struct char_socket *s);
	/* Before the listening socket is closed. May be NULL. */
	void (*unlisten)(struct char_socket *s);
	void (*destroy)(struct char_socket *s);
};

struct char_socket {
	struct char_stream stream; /* first */
	const struct char_socket_family *family;
	struct char_socket_options options;
	char name[320]; /* of the address, for messages */
	int listen_fd, connecting_fd; /* -1: none */
	struct event_source *listener;
	struct clock_timer *timer; /* a client: the next try, or look at a connection */
	struct telnet telnet;
	const struct cancel *cancel; /* while it is opened */
};

/*
 * Parses what follows the address: "", or ",server,nowait,..." in any order. 0, or -EINVAL and
 * error. What is not said is QEMU's default: a client, or a server that waits.
 */
int char_socket_parse(const char *list, struct char_socket_options *options,
		      struct error *error) RF_MUST_CHECK;

/*
 * socket: family, name and options are set, all else is zero. 0; or a negative errno with error,
 * and socket has been destroyed.
 */
int char_socket_open(struct char_socket *socket, const struct char_open *how,
		     struct char_backend **out) RF_MUST_CHECK;

#endif
