/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts for the user; see error.h. */
#include "error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char cut_short[] = "...";

/* fmt, then ": " and tail, unless that is empty. */
static void error_compose(struct error *error, const char *tail, const char *fmt, va_list args)
{
	struct error text;
	int len = vsnprintf(text.text, ERROR_TEXT_SIZE, fmt, args);

	if (len < 0) /* an argument that cannot be printed */
		len = snprintf(text.text, ERROR_TEXT_SIZE, "%s", fmt);
	if (*tail && len < ERROR_TEXT_SIZE)
		len += snprintf(text.text + len, ERROR_TEXT_SIZE - len, ": %s", tail);
	if (len >= ERROR_TEXT_SIZE)
		strcpy(text.text + ERROR_TEXT_SIZE - sizeof(cut_short), cut_short);
	*error = text;
}

int error_set(struct error *error, int err, const char *fmt, ...)
{
	va_list args;

	assert(err < 0);
	va_start(args, fmt);
	if (error)
		error_compose(error, "", fmt, args);
	va_end(args);
	return err;
}

int error_prefix(struct error *error, int err, const char *fmt, ...)
{
	va_list args;

	assert(err < 0);
	va_start(args, fmt);
	if (error)
		error_compose(error, error->text, fmt, args);
	va_end(args);
	return err;
}

int error_default(struct error *error, int err, const char *fmt, ...)
{
	va_list args;

	assert(err < 0);
	va_start(args, fmt);
	if (error && !error->text[0])
		error_compose(error, "", fmt, args);
	va_end(args);
	return err;
}

const char *error_reason(int err)
{
	switch (err < 0 ? -err : err) {
	case EMFILE:
		return "Too many open files; allow more (ulimit -n)";
	case ENFILE:
		return "Too many open files in system; allow more (sysctl fs.file-max)";
	case EFBIG:
		return "File too large (see ulimit -f)";
	default:
		return strerror(err < 0 ? -err : err);
	}
}
