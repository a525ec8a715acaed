/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The screen as a file or a string. All is called under the device lock. */
#ifndef RF_MONITOR_SCREEN_DUMP_H
#define RF_MONITOR_SCREEN_DUMP_H

#include <stdio.h>

#include "devices/bus/display.h"
#include "x86/error.h"

/* A picture that is nobody's but the caller's. */
struct screen_picture {
	unsigned width, height;
	uint32_t *pixels; /* 0x00RRGGBB, row by row; free() it */
};

/* 0 or -ENOMEM. */
int screen_picture_take(const struct display *display, struct screen_picture *out) RF_MUST_CHECK;
/*
 * Writes it to file as PNG: after the device lock was given back, for this takes long. 0, or a
 * negative errno with error.
 */
int screen_picture_write_png(const struct screen_picture *picture, FILE *file,
			     struct error *error) RF_MUST_CHECK;

/*
 * The text on the screen in UTF-8: a line for each row, without the spaces at its end. *out is to
 * be freed. 0; -ENOTSUP with error: a graphics mode; -ENOMEM.
 */
int screen_text(const struct display *display, char **out, struct error *error) RF_MUST_CHECK;

#endif
