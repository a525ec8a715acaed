/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A character backend over file descriptors: the common part of all real ones. Input is read only
 * as far as the device takes it; output is written at once.
 */
#ifndef RF_MONITOR_BACKENDS_CHAR_STREAM_H
#define RF_MONITOR_BACKENDS_CHAR_STREAM_H

#include "char_backend.h"
#include "monitor/vm/vm.h"

enum char_patience {
	/* a reader that is slow slows the guest down, like a slow line: standard output, files */
	CHAR_WAIT,
	/* a reader may be absent: after a short wait bytes are dropped until it reads again */
	CHAR_DROP,
};

struct char_stream {
	struct char_backend backend; /* first */
	struct vm *vm;
	int in_fd, out_fd; /* -1: none */
	enum char_patience patience;
	bool stalled;      /* CHAR_DROP: dropping */
	struct lost_output lost; /* CHAR_WAIT */
	struct event_source *input;
	/* Whether in_fd may be read now; who says no enables input later. NULL: it may. */
	bool (*may_read)(struct char_stream *stream);
	/*
	 * The input ended (end of file, peer gone). Under the device lock, on the loop's thread.
	 * May be NULL.
	 */
	void (*at_end)(struct char_stream *stream);
	/*
	 * Takes what is not for the device out of bytes that were read, in place, and returns how
	 * many are left. May be NULL.
	 */
	size_t (*decode)(struct char_stream *stream, uint8_t *bytes, size_t count);
};

/*
 * Fills in stream->backend.chardev; the caller sets backend.close. in_fd and out_fd may be -1 and
 * the same.
 */
void char_stream_init(struct char_stream *stream, struct vm *vm, int in_fd, int out_fd,
		      enum char_patience patience);
/* The operations of stream->backend.chardev, for those that wrap them. */
void char_stream_write(struct chardev *chardev, const uint8_t *bytes, size_t count);
void char_stream_accept_input(struct chardev *chardev);
/* Starts reading in_fd. 0 or a negative errno. */
int char_stream_start_input(struct char_stream *stream) RF_MUST_CHECK;
/* Stops reading; the descriptors stay open. */
void char_stream_stop_input(struct char_stream *stream);
/* Writing has ended with this return value of close(), or 0: tells what was lost of it. */
void char_stream_end_output(struct char_stream *stream, int closed);

#endif
