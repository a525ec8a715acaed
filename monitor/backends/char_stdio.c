/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stdio backend: this process's standard input and output. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "char_stream.h"
#include "terminal.h"

/*
 * A read while the terminal is another's would stop the process. SIGCONT has the program look for
 * the terminal's return.
 */
static bool stdio_may_read(struct char_stream *s)
{
	if (terminal_is_ours())
		return true;
	kill(getpid(), SIGCONT);
	return false;
}

/* A write that waits has the lock, perhaps until the VM ends, to which our caller must see. */
static bool stdio_terminal_is_back(void *opaque)
{
	struct char_stream *s = opaque;

	if (pthread_mutex_trylock(&s->vm->device_lock))
		return false;
	if (s->input)
		event_source_enable(s->input, true);
	pthread_mutex_unlock(&s->vm->device_lock);
	return true;
}

static void stdio_close(struct char_backend *backend)
{
	struct char_stream *s = rf_container_of(backend, struct char_stream, backend);

	char_stream_stop_input(s);
	terminal_restore();
	char_stream_end_output(s, 0);
	free(s);
}

int char_stdio_open(const struct char_open *how, struct char_backend **out)
{
	struct char_stream *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return error_set(how->error, -ENOMEM, "no memory");
	if (terminal_take(how->signals, stdio_terminal_is_back, s)) {
		free(s);
		return error_set(how->error, -EBUSY,
				 "stdio is used twice; use mon:stdio to share it with the monitor, "
				 "or another device");
	}
	char_stream_init(s, how->vm, STDIN_FILENO, STDOUT_FILENO, CHAR_WAIT);
	s->backend.close = stdio_close;
	s->may_read = stdio_may_read;
	err = char_stream_start_input(s);
	if (err && err != -EBADF) { /* no standard input at all: output only */
		stdio_close(&s->backend);
		return error_set(how->error, err, "cannot watch standard input: %s",
				 error_reason(-err));
	}
	*out = &s->backend;
	return 0;
}
