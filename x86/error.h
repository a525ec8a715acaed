/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is said to the user when something fails: one line that names what was wrong, with its
 * value, and what to do. No program name in front, no newline.
 *
 * A function that may fail so takes a struct error last and returns a negative errno. Who fails
 * says why, and who knows more puts that in front on the way up:
 *
 *	return error_set(error, -ENOENT, "cannot open kernel '%s'", path);
 *	...
 *	return err ? error_prefix(error, err, "-accel %s", name) : 0;
 *
 * Nothing is allocated, so none of these can fail. A text without room ends in "...". error may be
 * NULL: the text is not wanted. Arguments may point into error->text.
 */
#ifndef RF_X86_ERROR_H
#define RF_X86_ERROR_H

#include "types.h"

#define ERROR_TEXT_SIZE 1024

/* Begins as { 0 }: no text. */
struct error {
	char text[ERROR_TEXT_SIZE];
};

/* All return err, which is a negative errno. */

/* Says so, instead of what was said before. */
int error_set(struct error *error, int err, const char *fmt, ...) RF_PRINTF(3, 4);
/* Puts fmt and ": " before what was said; without that, it is error_set(). */
int error_prefix(struct error *error, int err, const char *fmt, ...) RF_PRINTF(3, 4);
/* Says so if nothing was said yet: what failed may have told its errno alone. */
int error_default(struct error *error, int err, const char *fmt, ...) RF_PRINTF(3, 4);

/*
 * What strerror() says of an errno, which may be negative, and for a limit that was met how to
 * raise it. The text stays as it is until the thread asks again.
 */
const char *error_reason(int err);

#endif
