/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's text screen in the terminal of this process, whose keys are the guest's keyboard.
 *
 * The terminal is in raw mode already, and whoever put it there takes it back afterwards. While it
 * is another's (job control) nothing is read from it or written to it. There is one display at
 * most, for curses has one terminal. All is called under the device lock.
 */
#ifndef RF_MONITOR_SCREEN_CURSES_DISPLAY_H
#define RF_MONITOR_SCREEN_CURSES_DISPLAY_H

#include "devices/bus/display.h"
#include "monitor/vm/vm.h"
#include "x86/error.h"

struct curses_display;

struct curses_display_config {
	struct event_loop *loop;
	struct display display;
	/* Scan codes of a key that was pressed or released (keys.h). */
	void (*key)(void *opaque, const uint8_t *bytes, size_t count);
	bool (*terminal_is_ours)(void);
	/* The user wants to leave: Ctrl-A x. */
	void (*quit)(void *opaque);
	void *opaque;
};

/* 0 or a negative errno with error: no terminal, or one of a kind that is not known. */
int curses_display_open(const struct curses_display_config *config, struct curses_display **out,
			struct error *error) RF_MUST_CHECK;
/* The terminal is ours again, and may show anything. */
void curses_display_resume(struct curses_display *display);
/* Gives the terminal back what it showed before. display may be NULL. */
void curses_display_close(struct curses_display *display);

#endif
