/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character backends: where the bytes of a serial port, the debug console or the monitor prompt go
 * on the host.
 *
 *   stdio       the terminal (in raw mode), or whatever standard input and output are
 *   file:PATH   output only
 *   pty         a new pseudo terminal, whose name is printed
 *   pipe:PATH   named pipes
 *   unix:PATH   a local socket: a client, or a server of one peer at a time
 *   tcp:HOST:PORT, telnet:HOST:PORT   the same over TCP
 *   vc          a console on a display that is not there: as null
 *   null        nothing
 *
 * They are in char_stdio.c, char_stream.c, char_pty.c, char_pipe.c, char_unix.c, char_tcp.c (the
 * last two by way of char_socket.c) and char_backend.c.
 *
 * "mon:" in front shares the backend between the device and the monitor prompt (char_mux.c).
 * All but open and close run under the VM's device lock, on whichever thread.
 */
#ifndef RF_MONITOR_BACKENDS_CHAR_BACKEND_H
#define RF_MONITOR_BACKENDS_CHAR_BACKEND_H

#include <stdio.h>
#include "devices/bus/chardev.h"
#include "monitor/vm/vm.h"
#include "x86/cancel.h"
#include "x86/error.h"

struct char_backend {
	struct chardev chardev; /* first; the device or the mux attaches here */
	const char *name; /* for people, if the specification does not say all; else NULL */
	void (*close)(struct char_backend *backend);
	/*
	 * Input that comes while a write waits, no more than can_receive() says. A device in the
	 * middle of its write can take none; who shares the backend keeps it, and sees a request to
	 * quit. NULL: such input is left unread.
	 */
	void (*input_waits)(void *opaque, const uint8_t *bytes, size_t count);
	void *input_waits_opaque;
};

/*
 * Whether spec (not "none", without "mon:") is of a kind that there is, and its argument one that
 * the kind understands, without opening it: 0, or a negative errno and error.
 */
int char_backend_check(const char *spec, struct error *error) RF_MUST_CHECK;
/* A line for each kind. */
void char_backend_list(FILE *out);

/*
 * Opens spec (not "none", without "mon:"). 0, or a negative errno with error telling what to do.
 * signals: stdio leaves Ctrl-C and the like to the terminal. cancel: of waiting for a peer, or
 * NULL.
 */
int char_backend_open(struct vm *vm, const char *spec, bool signals, const struct cancel *cancel,
		      struct char_backend **out, struct error *error) RF_MUST_CHECK;
/* backend may be NULL. The device must not use it any more. */
void char_backend_close(struct char_backend *backend);

/* The kinds; arg is what follows "kind:" in the specification. */
struct char_open {
	struct vm *vm;
	const char *arg;
	bool signals;
	const struct cancel *cancel; /* of waiting for a peer; or NULL */
	struct error *error;
};

int char_stdio_open(const struct char_open *how, struct char_backend **out);
int char_file_open(const struct char_open *how, struct char_backend **out);
int char_pty_open(const struct char_open *how, struct char_backend **out);
int char_pipe_open(const struct char_open *how, struct char_backend **out);
int char_unix_open(const struct char_open *how, struct char_backend **out);
int char_tcp_open(const struct char_open *how, struct char_backend **out);
int char_telnet_open(const struct char_open *how, struct char_backend **out);
int char_unix_check(const char *arg, struct error *error);
int char_tcp_check(const char *arg, struct error *error);
int char_telnet_check(const char *arg, struct error *error);

#endif
