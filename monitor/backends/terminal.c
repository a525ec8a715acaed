/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raw mode and back (termios(3)). */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "terminal.h"

static struct termios terminal_saved;
static atomic_bool terminal_taken, terminal_is_raw;

int terminal_take(bool signals)
{
	struct termios raw;

	if (atomic_exchange(&terminal_taken, true))
		return -EBUSY;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_saved))
		return 0;
	raw = terminal_saved;
	raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
	if (!signals)
		raw.c_lflag &= ~ISIG;
	raw.c_cflag = (raw.c_cflag & ~(CSIZE | PARENB)) | CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal_is_raw = true;
	atexit(terminal_restore);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return 0;
}

void terminal_restore(void)
{
	if (atomic_exchange(&terminal_is_raw, false))
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal_saved);
	terminal_taken = false;
}
