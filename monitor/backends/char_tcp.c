/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tcp: and telnet: backends. A server without a host listens for this computer alone: whoever
 * can reach a serial line may be root in the guest, and at the monitor prompt more than that.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "char_socket.h"

#define LOOPBACK "127.0.0.1"

struct char_tcp {
	struct char_socket socket; /* first */
	char host[256], port[32];
	struct addrinfo *addresses; /* NULL: not looked up */
	struct addrinfo *next;      /* to connect to */
};

static struct char_tcp *tcp_of(struct char_socket *s)
{
	return rf_container_of(s, struct char_tcp, socket);
}

static void tcp_destroy(struct char_socket *s)
{
	struct char_tcp *t = tcp_of(s);

	if (t->addresses)
		freeaddrinfo(t->addresses);
	free(t);
}

/* Once: looking up may take long, which the running machine has no time for. */
static int tcp_look_up(struct char_tcp *t, struct error *error)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int err = getaddrinfo(t->host, t->port, &hints, &t->addresses);

	if (err)
		return error_set(error, -EINVAL, "cannot look up %s: %s", t->socket.name,
				 gai_strerror(err));
	t->next = t->addresses;
	return 0;
}

static int tcp_socket(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int tcp_bind(const struct addrinfo *address)
{
	const int one = 1;
	int fd = tcp_socket(address), err;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, address->ai_addr, address->ai_addrlen) && !listen(fd, 1))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Port 0 is any that is free: which one, only the host knows. */
static void tcp_name_port(struct char_tcp *t, int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char port[32];

	if (strcmp(t->port, "0") || getsockname(fd, (struct sockaddr *)&address, &size) ||
	    getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof(port),
			NI_NUMERICSERV))
		return;
	snprintf(t->socket.name, sizeof(t->socket.name), "%s:%s", t->host, port);
	fprintf(stderr, "ringfence: character device redirected to %s\n", t->socket.name);
}

static int tcp_listen(struct char_socket *s, struct error *error)
{
	struct char_tcp *t = tcp_of(s);
	int fd = tcp_look_up(t, error);

	if (fd)
		return fd;
	fd = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = t->addresses; a && fd < 0; a = a->ai_next)
		fd = tcp_bind(a);
	if (fd < 0)
		return error_set(error, fd, "cannot listen at %s: %s", s->name,
				 fd == -EADDRINUSE ?
					 "another program does; give another port" :
					 error_reason(-fd));
	tcp_name_port(t, fd);
	return fd;
}

/* One of the host's addresses; the next try takes the next one. */
static int tcp_connect(struct char_socket *s)
{
	struct char_tcp *t = tcp_of(s);
	const struct addrinfo *a;
	int fd, err;

	a = t->next;
	t->next = a->ai_next ? a->ai_next : t->addresses;
	fd = tcp_socket(a);
	if (fd < 0 || !connect(fd, a->ai_addr, a->ai_addrlen) || errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* "HOST:PORT", "[HOST]:PORT" or ":PORT" */
static bool tcp_parse_address(struct char_tcp *t, const char *arg, size_t len)
{
	const bool quoted = len && *arg == '[';
	const char *host = arg + quoted;
	const char *colon = memrchr(arg, ':', len);
	size_t host_len, port_len;

	if (!colon || (quoted && (colon < arg + 2 || colon[-1] != ']')))
		return false;
	host_len = colon - host - quoted;
	port_len = arg + len - colon - 1;
	if (host_len >= sizeof(t->host) || !port_len || port_len >= sizeof(t->port) ||
	    (!quoted && memchr(host, ':', host_len)))
		return false;
	memcpy(t->host, host, host_len);
	memcpy(t->port, colon + 1, port_len);
	if (!host_len)
		strcpy(t->host, LOOPBACK);
	return true;
}

static int tcp_parse(struct char_tcp *t, const char *kind, const char *arg, struct error *error)
{
	const size_t len = strcspn(arg, ",");

	if (!tcp_parse_address(t, arg, len))
		return error_set(error, -EINVAL,
				 "%s: needs a host and a port: %s:HOST:PORT, %s::PORT (this "
				 "computer) or %s:[ADDRESS]:PORT",
				 kind, kind, kind, kind);
	snprintf(t->socket.name, sizeof(t->socket.name), "%s%.*s", *arg == ':' ? LOOPBACK : "",
		 (int)len, arg);
	t->socket.options.telnet = !strcmp(kind, "telnet");
	return char_socket_parse(arg + len, &t->socket.options, error);
}

static int tcp_check(const char *kind, const char *arg, struct error *error)
{
	struct char_tcp t = { 0 };

	return tcp_parse(&t, kind, arg, error);
}

static int tcp_open(const char *kind, const struct char_open *how, struct char_backend **out)
{
	static const struct char_socket_family family = {
		.listen = tcp_listen,
		.connect = tcp_connect,
		.destroy = tcp_destroy,
	};
	struct char_tcp *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return error_set(how->error, -ENOMEM, "no memory");
	t->socket.family = &family;
	err = tcp_parse(t, kind, how->arg, how->error);
	if (!err && !t->socket.options.server)
		err = tcp_look_up(t, how->error);
	if (err) {
		tcp_destroy(&t->socket);
		return err;
	}
	return char_socket_open(&t->socket, how, out);
}

int char_tcp_check(const char *arg, struct error *error)
{
	return tcp_check("tcp", arg, error);
}

int char_tcp_open(const struct char_open *how, struct char_backend **out)
{
	return tcp_open("tcp", how, out);
}

int char_telnet_check(const char *arg, struct error *error)
{
	return tcp_check("telnet", arg, error);
}

int char_telnet_open(const struct char_open *how, struct char_backend **out)
{
	return tcp_open("telnet", how, out);
}
