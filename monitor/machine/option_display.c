/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which screen there is, and what shows it: -vga, -display, -curses. */
#include <string.h>
#include "option_args.h"

enum options_result opt_vga(struct option_parser *p, const char *arg)
{
	if (!strcmp(arg, "std") || !strcmp(arg, "none")) {
		p->config->vga = *arg == 's';
		p->vga_chosen = true;
		return OPTIONS_RUN;
	}
	return option_fail(p, "-vga %s: there is no such adapter; -vga std is a VGA with the Bochs "
			      "VBE extension, which most systems have a driver for, and -vga none "
			      "leaves it out", arg);
}

static enum options_result show_by(struct option_parser *p, enum vm_display display)
{
	p->display_chosen = true;
	p->config->display = display;
	return OPTIONS_RUN;
}

enum options_result opt_display(struct option_parser *p, const char *arg)
{
	if (!strcmp(arg, "none"))
		return show_by(p, VM_DISPLAY_NONE);
	if (!strcmp(arg, "curses"))
		return show_by(p, VM_DISPLAY_CURSES);
	p->display_chosen = true;
	return option_fail(p, "-display %s: there is no such display; -display curses shows the "
			      "text screen in this terminal, -nographic puts the serial console "
			      "there, -display none shows nothing", arg);
}

enum options_result opt_curses(struct option_parser *p, const char *arg)
{
	return show_by(p, VM_DISPLAY_CURSES);
}

void option_check_display(struct option_parser *p)
{
	struct vm_config *c = p->config;
	const bool curses = c->display == VM_DISPLAY_CURSES;

	/* Firmware has a screen; a kernel that starts without firmware would find none set up. */
	if (!p->vga_chosen)
		c->vga = curses || (!c->kernel && !p->nodefaults);
	if (curses && p->nographic)
		option_fail(p, "-nographic puts the serial console on the terminal, where -display "
			       "curses would show the screen; leave out one of the two");
	if (curses && !c->vga)
		option_fail(p, "-display curses: with -vga none there is no screen to show");
	if (!p->display_chosen && !p->serial_count)
		option_fail(p, "there is no window; add -display curses (the text screen in this "
			       "terminal), -nographic (serial console on the terminal) or "
			       "-display none");
	else if (!p->display_chosen)
		option_note(p, "there is no window: what the guest writes to its screen is not "
			       "shown (-display none: no note)");
}
