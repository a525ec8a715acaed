/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the backend by its specification; the null backend. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "char_backend.h"

static void null_write(struct chardev *chardev, const uint8_t *bytes, size_t count)
{
}

static void null_close(struct char_backend *backend)
{
	free(backend);
}

static int char_null_open(const struct char_open *how, struct char_backend **out)
{
	static const struct chardev_ops ops = { .write = null_write };
	struct char_backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return error_set(how->error, -ENOMEM, "no memory");
	backend->chardev.ops = &ops;
	backend->close = null_close;
	*out = backend;
	return 0;
}

static const struct char_kind {
	const char *name;
	enum { NO_ARG, MAY_HAVE_ARG, NEEDS_ARG } arg;
	int (*open)(const struct char_open *how, struct char_backend **out);
	int (*check)(const char *arg, struct error *error); /* NULL: any argument will do */
	const char *syntax, *text;
} kinds[] = {
	{ "stdio", NO_ARG, char_stdio_open, NULL, "stdio", "standard input and output" },
	{ "pty", NO_ARG, char_pty_open, NULL, "pty", "a new pseudo terminal" },
	{ "file", NEEDS_ARG, char_file_open, NULL, "file:PATH", "a file, for output" },
	{ "pipe", NEEDS_ARG, char_pipe_open, NULL, "pipe:PATH", "named pipes PATH.in, PATH.out" },
	{ "unix", NEEDS_ARG, char_unix_open, char_unix_check, "unix:PATH[,server,nowait]",
	  "a local socket" },
	{ "tcp", NEEDS_ARG, char_tcp_open, char_tcp_check, "tcp:[HOST]:PORT[,server,nowait]",
	  "a TCP connection" },
	{ "telnet", NEEDS_ARG, char_telnet_open, char_telnet_check,
	  "telnet:[HOST]:PORT[,server,nowait]", "the same for telnet(1)" },
	{ "vc", MAY_HAVE_ARG, char_null_open, NULL, "vc", "as null: there is no display" },
	{ "null", NO_ARG, char_null_open, NULL, "null", "nothing" },
};

static const struct char_kind *char_kind_find(const char *spec)
{
	size_t len = strcspn(spec, ":");

	for (size_t i = 0; i < RF_ARRAY_SIZE(kinds); i++) {
		const struct char_kind *kind = &kinds[i];

		if (strlen(kind->name) == len && !memcmp(kind->name, spec, len) &&
		    (kind->arg == MAY_HAVE_ARG || (kind->arg == NEEDS_ARG) == (spec[len] == ':')))
			return kind;
	}
	return NULL;
}

static const char *char_kind_arg(const char *spec)
{
	const char *colon = strchr(spec, ':');

	return colon ? colon + 1 : "";
}

int char_backend_check(const char *spec, struct error *error)
{
	const struct char_kind *kind = char_kind_find(spec);

	if (kind)
		return kind->check ? kind->check(char_kind_arg(spec), error) : 0;
	return error_set(error, -EINVAL,
			 "'%s' is not a character device; known: stdio, mon:stdio, pty, file:PATH, "
			 "pipe:PATH, unix:PATH,server,nowait, tcp:HOST:PORT, telnet:HOST:PORT, vc, "
			 "null, none (-serial help)",
			 spec);
}

void char_backend_list(FILE *out)
{
	fprintf(out, "Character devices (-serial DEV, -monitor DEV, -debugcon DEV):\n");
	for (size_t i = 0; i < RF_ARRAY_SIZE(kinds); i++)
		fprintf(out, "%-35s %s\n", kinds[i].syntax, kinds[i].text);
	fprintf(out, "%-35s %s\n%-35s %s\n%-35s %s\n", "mon:DEV",
		"one of these, shared with the monitor prompt", "chardev:ID",
		"what -chardev KIND,id=ID defines", "none", "no device");
}

int char_backend_open(struct vm *vm, const char *spec, bool signals, const struct cancel *cancel,
		      struct char_backend **out, struct error *error)
{
	struct char_open how = { .vm = vm, .signals = signals, .cancel = cancel, .error = error };
	int err = char_backend_check(spec, error);

	if (err)
		return err;
	how.arg = char_kind_arg(spec);
	return char_kind_find(spec)->open(&how, out);
}

void char_backend_close(struct char_backend *backend)
{
	if (backend)
		backend->close(backend);
}
