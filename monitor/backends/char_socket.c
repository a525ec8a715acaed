/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets of any kind (char_socket.h): serving, connecting, hanging up. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "char_socket.h"

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define LOOK_MS 50            /* how often a connection in the making is looked at */
#define CONNECT_MS 10000      /* how long it is waited for before the machine is made */
#define RECONNECT_MOST 86400u /* seconds */

/* --- Telnet --- */

static struct char_socket *socket_of(struct char_stream *stream)
{
	return rf_container_of(stream, struct char_socket, stream);
}

/* Commands are few and small; one that has no room is lost, as on any line. */
static void socket_telnet_reply(void *opaque, const uint8_t *bytes, size_t count)
{
	const struct char_socket *s = opaque;

	if (s->stream.out_fd >= 0 &&
	    send(s->stream.out_fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static void socket_telnet_break(void *opaque)
{
	struct char_socket *s = opaque;

	chardev_event(&s->stream.backend.chardev, CHARDEV_BREAK);
}

static size_t socket_telnet_decode(struct char_stream *stream, uint8_t *bytes, size_t count)
{
	return telnet_decode(&socket_of(stream)->telnet, bytes, count);
}

static void socket_telnet_write(struct chardev *chardev, const uint8_t *bytes, size_t count)
{
	struct char_socket *s =
		rf_container_of(chardev, struct char_socket, stream.backend.chardev);
	uint8_t out[128 * TELNET_WORST + 1];

	for (size_t n; count && s->stream.out_fd >= 0; bytes += n, count -= n) {
		n = count < 128 ? count : 128;
		char_stream_write(chardev, out, telnet_encode(&s->telnet, bytes, n, out));
	}
}

static void socket_use_telnet(struct char_socket *s)
{
	static const struct chardev_ops ops = { .write = socket_telnet_write,
						.accept_input = char_stream_accept_input };

	s->telnet.reply = socket_telnet_reply;
	s->telnet.got_break = socket_telnet_break;
	s->telnet.opaque = s;
	s->stream.decode = socket_telnet_decode;
	s->stream.backend.chardev.ops = &ops;
}

/* --- A peer --- */

static void socket_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The descriptor of a peer, which is closed if it cannot be watched. */
static int socket_attach(struct char_socket *s, int fd)
{
	const int one = 1;
	int err;

	assert(s->stream.in_fd < 0);
	if (s->options.nodelay)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->stream.in_fd = s->stream.out_fd = fd;
	err = char_stream_start_input(&s->stream);
	if (err) {
		s->stream.out_fd = -1;
		socket_close_fd(&s->stream.in_fd);
		return err;
	}
	if (s->options.telnet)
		telnet_begin(&s->telnet, s->options.server);
	chardev_event(&s->stream.backend.chardev, CHARDEV_OPENED);
	return 0;
}

static void socket_try_later(struct char_socket *s, uint64_t ns)
{
	struct clock clock = event_loop_clock(s->stream.vm->loop);

	if (s->timer)
		clock_timer_arm(&clock, s->timer, clock_now(&clock) + ns);
}

static void socket_hung_up(struct char_stream *stream)
{
	struct char_socket *s = socket_of(stream);

	stream->out_fd = -1;
	socket_close_fd(&stream->in_fd);
	stream->stalled = false;
	chardev_event(&stream->backend.chardev, CHARDEV_CLOSED);
	if (s->listener)
		event_source_enable(s->listener, true);
	else
		socket_try_later(s, s->options.reconnect * NS_PER_S);
}

/* --- A server --- */

static void socket_accept(void *opaque)
{
	struct char_socket *s = opaque;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || socket_attach(s, fd))
		return;
	event_source_enable(s->listener, false); /* the next peer waits in the backlog */
}

/* Until fd is ready, time is over (-1: never), or nobody wants it any more (-EINTR). */
static int socket_poll(const struct char_socket *s, int fd, short events, int timeout_ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
			       { .fd = cancel_fd(s->cancel), .events = POLLIN } };

	for (;;) {
		const int n = poll(p, 2, timeout_ms);

		if (cancel_wanted(s->cancel))
			return -EINTR;
		if (!n || p[0].revents)
			return n ? 0 : -ETIMEDOUT;
	}
}

static int socket_wait(struct char_socket *s, struct error *error)
{
	fprintf(stderr, "ringfence: waiting for a connection to %s (wait=off: do not wait)\n",
		s->name);
	if (socket_poll(s, s->listen_fd, POLLIN, -1))
		return error_set(error, -EINTR, "nothing has connected to %s", s->name);
	socket_accept(s);
	return 0;
}

static int socket_serve(struct char_socket *s, struct error *error)
{
	int err;

	s->listen_fd = s->family->listen(s, error);
	if (s->listen_fd < 0)
		return s->listen_fd;
	err = event_source_create(s->stream.vm->loop, s->listen_fd, socket_accept, s,
				  &s->listener);
	if (err)
		return error_set(error, err, "cannot watch a socket: %s", error_reason(-err));
	event_source_enable(s->listener, true);
	return s->options.wait ? socket_wait(s, error) : 0;
}

/* --- A client --- */

/* It can be written to, or has failed: a connection that is ours, or a negative errno. */
static int socket_connected(struct char_socket *s)
{
	int err = 0, fd = s->connecting_fd;
	socklen_t size = sizeof(err);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
	if (err) {
		socket_close_fd(&s->connecting_fd);
		return -err;
	}
	s->connecting_fd = -1;
	return socket_attach(s, fd);
}

static int socket_connect(struct char_socket *s)
{
	int fd = s->family->connect(s);

	if (fd < 0)
		return fd;
	s->connecting_fd = fd;
	return 0;
}

/* Waits for it, within reason. */
static int socket_connect_now(struct char_socket *s)
{
	int err = socket_connect(s);

	if (!err)
		err = socket_poll(s, s->connecting_fd, POLLOUT, CONNECT_MS);
	if (!err)
		return socket_connected(s);
	socket_close_fd(&s->connecting_fd);
	return err;
}

static void socket_next_try(void *opaque)
{
	struct char_socket *s = opaque;
	int err = s->connecting_fd < 0 ? socket_connect(s) : 0;
	struct pollfd p = { .fd = s->connecting_fd, .events = POLLOUT };

	if (!err && poll(&p, 1, 0) <= 0) {
		socket_try_later(s, LOOK_MS * NS_PER_MS);
		return;
	}
	if (!err)
		err = socket_connected(s);
	if (err)
		socket_try_later(s, s->options.reconnect * NS_PER_S);
}

static int socket_be_client(struct char_socket *s, struct error *error)
{
	struct clock clock = event_loop_clock(s->stream.vm->loop);
	int err;

	if (s->options.reconnect && clock_timer_create(&clock, socket_next_try, s, &s->timer))
		return error_set(error, -ENOMEM, "no memory");
	err = socket_connect_now(s);
	if (!err)
		return 0;
	if (!s->timer || err == -EINTR)
		return error_set(error, err,
				 "cannot connect to %s: %s; start what listens there first, or add "
				 "reconnect=SECONDS, or server,nowait to listen",
				 s->name, error_reason(-err));
	socket_try_later(s, s->options.reconnect * NS_PER_S);
	return 0;
}

/* --- As a backend --- */

static void socket_close(struct char_backend *backend)
{
	struct char_socket *s = rf_container_of(backend, struct char_socket, stream.backend);
	struct clock clock = event_loop_clock(s->stream.vm->loop);

	char_stream_stop_input(&s->stream);
	event_source_destroy(s->listener);
	if (s->timer)
		clock_timer_destroy(&clock, s->timer);
	socket_close_fd(&s->stream.in_fd);
	socket_close_fd(&s->connecting_fd);
	if (s->listen_fd >= 0 && s->family->unlisten)
		s->family->unlisten(s);
	socket_close_fd(&s->listen_fd);
	s->family->destroy(s);
}

int char_socket_open(struct char_socket *s, const struct char_open *how, struct char_backend **out)
{
	int err;

	s->listen_fd = s->connecting_fd = -1;
	s->cancel = how->cancel;
	char_stream_init(&s->stream, how->vm, -1, -1, CHAR_DROP);
	s->stream.backend.close = socket_close;
	s->stream.at_end = socket_hung_up;
	if (s->options.telnet)
		socket_use_telnet(s);
	err = s->options.server ? socket_serve(s, how->error) : socket_be_client(s, how->error);
	s->cancel = NULL;
	if (err) {
		socket_close(&s->stream.backend);
		return err;
	}
	*out = &s->stream.backend;
	return 0;
}

/* --- Options --- */

static bool word_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}

/* "KEY", "KEY=on", "KEY=off", or "noKEY". */
static bool switch_is(const char *text, size_t len, const char *key, bool *on)
{
	const size_t n = strlen(key);

	if (len == n + 2 && !memcmp(text, "no", 2) && !memcmp(text + 2, key, n)) {
		*on = false;
		return true;
	}
	if (len < n || memcmp(text, key, n) || (len > n && text[n] != '='))
		return false;
	if (len > n && !word_is(text + n, len - n, "=on") && !word_is(text + n, len - n, "=off"))
		return false;
	*on = !word_is(text + n, len - n, "=off");
	return true;
}

static bool socket_take_reconnect(struct char_socket_options *o, const char *text, size_t len)
{
	static const char key[] = "reconnect=";
	const size_t n = strlen(key);
	char *end;

	if (len <= n || memcmp(text, key, n) || text[n] < '0' || text[n] > '9')
		return false;
	o->reconnect = strtoul(text + n, &end, 10);
	return end == text + len && o->reconnect <= RECONNECT_MOST;
}

int char_socket_parse(const char *list, struct char_socket_options *o, struct error *error)
{
	bool wait = true;

	while (*list) {
		const char *text = list + 1;
		const size_t len = strcspn(text, ",");

		if (!switch_is(text, len, "server", &o->server) &&
		    !switch_is(text, len, "wait", &wait) &&
		    !switch_is(text, len, "telnet", &o->telnet) &&
		    !switch_is(text, len, "nodelay", &o->nodelay) &&
		    !socket_take_reconnect(o, text, len))
			return error_set(error, -EINVAL,
					 "'%.*s' is not an option of sockets; known: "
					 "server[=on|off], wait=on|off (nowait), telnet=on|off, "
					 "nodelay=on|off, reconnect=SECONDS",
					 (int)len, text);
		list = text + len;
	}
	o->wait = o->server && wait;
	if (o->server && o->reconnect)
		return error_set(error, -EINVAL,
				 "reconnect= is for clients; a server listens all the time");
	return 0;
}
