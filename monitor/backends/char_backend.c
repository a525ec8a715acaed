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
	bool takes_arg;
	int (*open)(const struct char_open *how, struct char_backend **out);
} kinds[] = {
	{ "stdio", false, char_stdio_open },
	{ "file", true, char_file_open },
	{ "pty", false, char_pty_open },
	{ "unix", true, char_unix_open },
	{ "null", false, char_null_open },
};

static const struct char_kind *char_kind_find(const char *spec)
{
	size_t len = strcspn(spec, ":");

	for (size_t i = 0; i < RF_ARRAY_SIZE(kinds); i++) {
		if (strlen(kinds[i].name) == len && !memcmp(kinds[i].name, spec, len) &&
		    kinds[i].takes_arg == (spec[len] == ':'))
			return &kinds[i];
	}
	return NULL;
}

int char_backend_check(const char *spec, struct error *error)
{
	if (char_kind_find(spec))
		return 0;
	return error_set(error, -EINVAL,
			 "'%s' is not a character device; known: stdio, mon:stdio, file:PATH, pty, "
			 "unix:PATH,server,nowait, null, none",
			 spec);
}

int char_backend_open(struct vm *vm, const char *spec, bool signals, struct char_backend **out,
		      struct error *error)
{
	struct char_open how = { .vm = vm, .signals = signals, .error = error };
	const char *colon = strchr(spec, ':');
	int err = char_backend_check(spec, error);

	if (err)
		return err;
	how.arg = colon ? colon + 1 : "";
	return char_kind_find(spec)->open(&how, out);
}

void char_backend_close(struct char_backend *backend)
{
	if (backend)
		backend->close(backend);
}
