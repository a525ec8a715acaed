/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw mode and back (termios(3)). A process in the background that sets modes would be stopped by
 * SIGTTOU (tcsetattr(3), "EIO" and job control), so each change is made in the foreground only.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "terminal.h"

/* Zero at first, so that their padding can be compared. */
static struct termios terminal_saved, terminal_raw;
static atomic_bool terminal_taken, terminal_is_raw;
static bool terminal_is_tty, terminal_signals, terminal_away;
static bool (*terminal_back)(void *opaque);
static void *terminal_back_opaque;

bool terminal_is_ours(void)
{
	pid_t owner = tcgetpgrp(STDIN_FILENO);

	return owner <= 0 || owner == getpgrp(); /* no job control: everybody's */
}

static void terminal_make_raw(struct termios *modes)
{
	modes->c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	modes->c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
	if (!terminal_signals)
		modes->c_lflag &= ~ISIG;
	modes->c_cflag = (modes->c_cflag & ~(CSIZE | PARENB)) | CS8;
	modes->c_cc[VMIN] = 1;
	modes->c_cc[VTIME] = 0;
}

/* What is found is what comes back later, unless nobody has changed what was set here. */
static void terminal_set_raw(void)
{
	static struct termios now;

	if (tcgetattr(STDIN_FILENO, &now))
		return;
	if (memcmp(&now, &terminal_raw, sizeof(now))) {
		terminal_saved = now;
		terminal_make_raw(&now);
		terminal_is_raw = true;
		tcsetattr(STDIN_FILENO, TCSANOW, &now);
		tcgetattr(STDIN_FILENO, &terminal_raw);
	}
	terminal_is_raw = true;
}

bool terminal_enter(void)
{
	if (!terminal_taken || !terminal_is_tty)
		return true;
	if (!terminal_is_ours()) {
		terminal_is_raw = false; /* whoever has it sets the modes */
		terminal_away = true;
		return false;
	}
	terminal_set_raw();
	terminal_away = terminal_away && !terminal_back(terminal_back_opaque);
	return !terminal_away;
}

int terminal_take(bool signals, bool (*back)(void *opaque), void *opaque)
{
	if (atomic_exchange(&terminal_taken, true))
		return -EBUSY;
	terminal_is_tty = isatty(STDIN_FILENO);
	terminal_signals = signals;
	terminal_away = false;
	terminal_back = back;
	terminal_back_opaque = opaque;
	memset(&terminal_raw, 0, sizeof(terminal_raw));
	if (terminal_is_tty)
		atexit(terminal_restore);
	terminal_enter();
	return 0;
}

void terminal_leave(void)
{
	if (atomic_exchange(&terminal_is_raw, false) && terminal_is_ours())
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal_saved);
}

void terminal_restore(void)
{
	terminal_leave();
	terminal_taken = false;
}
