/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes between a device and file descriptors; the file: backend. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "char_stream.h"

#define WAIT_STEP_MS 50  /* how often a wait looks whether the VM is ending */
#define DROP_AFTER_MS 100
#define INPUT_CHUNK 256

static bool stream_may_read(struct char_stream *s)
{
	return !s->may_read || s->may_read(s);
}

static void stream_read_while_waiting(struct char_stream *s, size_t room)
{
	struct char_backend *backend = &s->backend;
	uint8_t bytes[INPUT_CHUNK];
	ssize_t n = 0;

	if (stream_may_read(s))
		n = read(s->in_fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
	if (n > 0)
		backend->input_waits(backend->input_waits_opaque, bytes,
				     s->decode ? s->decode(s, bytes, n) : (size_t)n);
	else
		usleep(WAIT_STEP_MS * 1000); /* its end, or not ours: the loop sees to it */
}

/* Sleeps until there may be room. True: there is, or never will be (*gone). */
static bool stream_poll(struct char_stream *s, bool *gone)
{
	const size_t room = s->backend.input_waits && s->input ?
				    chardev_can_receive(&s->backend.chardev) :
				    0;
	struct pollfd p[2] = { { .fd = s->out_fd, .events = POLLOUT },
			       { .fd = room ? s->in_fd : -1, .events = POLLIN } };
	int n = poll(p, 2, s->stalled ? 0 : WAIT_STEP_MS);

	*gone = n > 0 && p[0].revents & POLLERR;
	if (n > 0 && !p[0].revents)
		stream_read_while_waiting(s, room);
	return n > 0 && p[0].revents;
}

/* Waits for room to write. False: give up on these bytes. */
static bool stream_wait(struct char_stream *s)
{
	int waited = 0;
	bool gone;

	while (!stream_poll(s, &gone)) {
		if (!vm_is_running(s->vm) || s->stalled)
			return false;
		waited += WAIT_STEP_MS;
		if (s->patience == CHAR_DROP && waited >= DROP_AFTER_MS) {
			s->stalled = true;
			return false;
		}
	}
	return !gone;
}

/* Who read does not any more: the other end of a pipe, or of a terminal. */
static bool stream_reader_is_gone(const struct char_stream *s, int error_number)
{
	struct stat st;

	if (s->patience == CHAR_DROP || error_number == EPIPE)
		return true;
	return error_number == EIO && !fstat(s->out_fd, &st) && S_ISCHR(st.st_mode);
}

static void stream_lose(struct char_stream *s, size_t count, int error_number)
{
	if (stream_reader_is_gone(s, error_number))
		return;
	lost_output_add(&s->lost, count, error_number);
	s->vm->output_lost = true;
}

void char_stream_write(struct chardev *chardev, const uint8_t *bytes, size_t count)
{
	struct char_stream *s = rf_container_of(chardev, struct char_stream, backend.chardev);

	while (count && s->out_fd >= 0) {
		/*
		 * Small pieces: room as poll() reports it may be no more than that, and a write
		 * must not block.
		 */
		size_t piece = count < INPUT_CHUNK ? count : INPUT_CHUNK;
		ssize_t n;

		if (!stream_wait(s))
			return;
		s->stalled = false;
		n = write(s->out_fd, bytes, piece);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			stream_lose(s, count, errno);
			return;
		}
		if (n > 0) {
			bytes += n;
			count -= n;
		}
	}
}

void char_stream_accept_input(struct chardev *chardev)
{
	struct char_stream *s = rf_container_of(chardev, struct char_stream, backend.chardev);

	if (s->input)
		event_source_enable(s->input, true);
}

static void stream_input(void *opaque)
{
	struct char_stream *s = opaque;
	struct chardev *chardev = &s->backend.chardev;
	uint8_t bytes[INPUT_CHUNK];
	size_t room = chardev_can_receive(chardev);
	ssize_t n;

	if (!room || !stream_may_read(s)) {
		event_source_enable(s->input, false); /* accept_input() goes on, or may_read() */
		return;
	}
	n = read(s->in_fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
	if (n > 0) {
		chardev_receive(chardev, bytes, s->decode ? s->decode(s, bytes, n) : (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		char_stream_stop_input(s);
		if (s->at_end)
			s->at_end(s);
	}
}

static const struct chardev_ops stream_ops = { .write = char_stream_write,
					       .accept_input = char_stream_accept_input };

void char_stream_init(struct char_stream *stream, struct vm *vm, int in_fd, int out_fd,
		      enum char_patience patience)
{
	stream->backend.chardev.ops = &stream_ops;
	stream->vm = vm;
	stream->in_fd = in_fd;
	stream->out_fd = out_fd;
	stream->patience = patience;
}

int char_stream_start_input(struct char_stream *stream)
{
	int err;

	assert(!stream->input);
	err = event_source_create(stream->vm->loop, stream->in_fd, stream_input, stream,
				  &stream->input);
	if (!err)
		event_source_enable(stream->input, true);
	return err;
}

void char_stream_stop_input(struct char_stream *stream)
{
	event_source_destroy(stream->input);
	stream->input = NULL;
}

void char_stream_end_output(struct char_stream *s, int closed)
{
	if (closed)
		stream_lose(s, 0, errno);
	lost_output_end(&s->lost);
}

/* file:PATH */

static void file_close(struct char_backend *backend)
{
	struct char_stream *s = rf_container_of(backend, struct char_stream, backend);

	char_stream_end_output(s, close(s->out_fd));
	free(s);
}

int char_file_open(const struct char_open *how, struct char_backend **out)
{
	struct char_stream *s;
	int fd;

	if (!*how->arg)
		return error_set(how->error, -EINVAL, "file: needs a path: file:PATH");
	fd = outputs_open(&how->vm->outputs, how->arg);
	if (fd < 0)
		return error_set(how->error, fd, "cannot write '%s': %s", how->arg,
				 error_reason(fd));
	s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return error_set(how->error, -ENOMEM, "no memory");
	}
	char_stream_init(s, how->vm, -1, fd, CHAR_WAIT);
	s->lost.path = how->arg;
	s->backend.close = file_close;
	*out = &s->backend;
	return 0;
}
