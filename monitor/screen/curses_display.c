/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thirty times a second the screen's characters, if any may have changed, are given to curses,
 * which sends the terminal those that have. A terminal tells of characters, not of keys: each
 * becomes the presses and releases that type it.
 */
#define NCURSES_WIDECHAR 1
#include "curses_display.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cp437.h"
#include "keys.h"

#define REFRESH_NS (NS_PER_SECOND / 30)
#define CONTROL(letter) ((letter) & 0x1f)
#define ESCAPE CONTROL('a')
#define ALT 0x1b /* comes before a key that is pressed with Alt */

struct curses_display {
	struct curses_display_config config;
	SCREEN *screen;
	struct clock clock;
	struct clock_timer *timer;
	struct event_source *input;
	struct display_cell *cells; /* as many as a screen can have */
	bool escaped;               /* Ctrl-A was pressed */
	bool helping;               /* the last line shows what can come after it */
};

/* Output. */

/* Red and blue change places between a PC and a terminal. */
static short terminal_color(unsigned color)
{
	return (short)((color & 1) << 2 | (color & 2) | (color >> 2 & 1));
}

static short pair_of(uint8_t attribute)
{
	return (short)(1 + (attribute >> 4 & 7) * 8 + (attribute & 7));
}

static void define_colors(void)
{
	if (!has_colors())
		return;
	start_color();
	for (unsigned a = 0; a < 0x80; a++)
		if (!(a & 8))
			init_pair(pair_of((uint8_t)a), terminal_color(a & 7),
				  terminal_color(a >> 4));
}

static void put_cell(unsigned row, unsigned column, struct display_cell cell)
{
	const wchar_t text[] = { (wchar_t)cp437_unicode(cell.character), 0 };
	attr_t attributes = cell.attribute & 8 ? A_BOLD : A_NORMAL;
	cchar_t shown;

	if (setcchar(&shown, text, attributes, pair_of(cell.attribute), NULL) == OK)
		mvadd_wch((int)row, (int)column, &shown);
}

static unsigned at_most(unsigned value, int limit)
{
	return value < (unsigned)limit ? value : (unsigned)limit;
}

static void show_text(struct curses_display *d, struct display_size size)
{
	struct display_cursor cursor = { 0 };
	const unsigned columns = at_most(size.columns, COLS), rows = at_most(size.rows, LINES);

	if (!d->config.display.text(d->config.display.opaque, d->cells, &cursor))
		return;
	for (unsigned row = 0; row < rows; row++)
		for (unsigned column = 0; column < columns; column++)
			put_cell(row, column, d->cells[row * size.columns + column]);
	curs_set(cursor.visible);
	if (cursor.visible && cursor.row < rows && cursor.column < columns)
		move((int)cursor.row, (int)cursor.column);
}

static void show_that_it_is_graphics(struct display_size size)
{
	erase();
	mvprintw(LINES / 2, 2, "The screen shows graphics (%u by %u pixels).", size.width,
		 size.height);
	curs_set(0);
}

static void show(struct curses_display *d)
{
	const struct display_size size = d->config.display.size(d->config.display.opaque);

	if (!d->config.terminal_is_ours())
		return;
	set_term(d->screen);
	if (size.columns)
		show_text(d, size);
	else
		show_that_it_is_graphics(size);
	if (d->helping)
		mvprintw(LINES - 1, 0, "Ctrl-A x: leave   Ctrl-A Ctrl-A: send Ctrl-A   any key: "
				       "go on");
	refresh();
}

static void refresh_due(void *opaque)
{
	struct curses_display *d = opaque;
	const struct display *display = &d->config.display;
	struct display_rows rows = { 0 };

	if (d->config.terminal_is_ours())
		rows = display->changed(display->opaque);
	if (rows.first != rows.end)
		show(d);
	clock_timer_arm(&d->clock, d->timer, clock_now(&d->clock) + REFRESH_NS);
}

/* Input. */

static void send(struct curses_display *d, const struct key *key, bool down)
{
	uint8_t bytes[KEY_BYTES_MOST];

	if (key)
		d->config.key(d->config.opaque, bytes, key_bytes(key, down, bytes));
}

static const struct key *named(const char *name)
{
	return key_by_name(name, strlen(name));
}

/* with: a key that is held meanwhile, or NULL. */
static void type(struct curses_display *d, const struct key *key, const struct key *with)
{
	send(d, with, true);
	send(d, key, true);
	send(d, key, false);
	send(d, with, false);
}

static const char *name_of(int code)
{
	static const struct { int code; const char *name; } names[] = {
		{ KEY_UP, "up" }, { KEY_DOWN, "down" }, { KEY_LEFT, "left" },
		{ KEY_RIGHT, "right" }, { KEY_HOME, "home" }, { KEY_END, "end" },
		{ KEY_PPAGE, "pgup" }, { KEY_NPAGE, "pgdn" }, { KEY_IC, "insert" },
		{ KEY_DC, "delete" }, { KEY_BACKSPACE, "backspace" }, { KEY_ENTER, "kp_enter" },
		{ KEY_BTAB, "tab" }, { '\r', "ret" }, { '\n', "ret" }, { '\t', "tab" },
		{ '\b', "backspace" },
	};
	static const char *const function[] = {
		"f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12",
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(names); i++)
		if (names[i].code == code)
			return names[i].name;
	if (code >= KEY_F(1) && code <= KEY_F(12))
		return function[code - KEY_F(1)];
	return NULL;
}

static void type_code(struct curses_display *d, int code)
{
	bool shift = code == KEY_BTAB;
	const char letter = (char)(code + 'a' - 1);

	if (name_of(code)) {
		type(d, named(name_of(code)), shift ? named("shift") : NULL);
	} else if (code >= CONTROL('a') && code <= CONTROL('z')) {
		type(d, key_by_name(&letter, 1), named("ctrl"));
	} else if (code < 0x80) {
		const struct key *key = key_of_character((char)code, &shift);

		type(d, key, shift ? named("shift") : NULL);
	}
}

/* Whether the character was meant for us, not for the guest. */
static bool is_for_us(struct curses_display *d, int code)
{
	const bool escaped = d->escaped;

	d->helping = false;
	d->escaped = !escaped && code == ESCAPE;
	if (!escaped)
		return d->escaped;
	if (code == 'x')
		d->config.quit(d->config.opaque);
	d->helping = code != 'x' && code != ESCAPE;
	return code != ESCAPE;
}

static void take(struct curses_display *d, int code)
{
	int next;

	if (is_for_us(d, code))
		return;
	if (code != ALT || (next = getch()) == ERR) {
		type_code(d, code);
		return;
	}
	send(d, named("alt"), true);
	type_code(d, next);
	send(d, named("alt"), false);
}

static void input_ready(void *opaque)
{
	struct curses_display *d = opaque;
	int code, taken = 0;

	if (!d->config.terminal_is_ours()) {
		event_source_enable(d->input, false); /* up to curses_display_resume() */
		return;
	}
	set_term(d->screen);
	while ((code = getch()) != ERR) {
		take(d, code);
		taken++;
	}
	if (!taken) /* the terminal is gone */
		event_source_enable(d->input, false);
	show(d);
}

void curses_display_resume(struct curses_display *d)
{
	set_term(d->screen);
	clearok(curscr, TRUE);
	event_source_enable(d->input, true);
	show(d);
}

/* Beginning and end. */

static void set_up_curses(void)
{
	raw();
	noecho();
	nonl();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(25);
	define_colors();
}

static int open_terminal(struct curses_display *d, struct error *error)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return error_set(error, -ENOTTY,
				 "curses needs a terminal at standard input and output");
	setlocale(LC_CTYPE, ""); /* which bytes make up a character */
	d->screen = newterm(NULL, stdout, stdin);
	if (!d->screen)
		return error_set(error, -EINVAL,
				 "curses does not know the terminal TERM=%s; set TERM, or install "
				 "ncurses-term", term ? term : "(not set)");
	set_up_curses();
	return 0;
}

static int open_parts(struct curses_display *d, struct error *error)
{
	int err = open_terminal(d, error);

	if (err)
		return err;
	d->cells = malloc(DISPLAY_MOST_COLUMNS * DISPLAY_MOST_ROWS * sizeof(*d->cells));
	err = d->cells ? clock_timer_create(&d->clock, refresh_due, d, &d->timer) : -ENOMEM;
	if (!err)
		err = event_source_create(d->config.loop, STDIN_FILENO, input_ready, d, &d->input);
	return err ? error_set(error, err, "cannot watch the terminal: %s", strerror(-err)) : 0;
}

int curses_display_open(const struct curses_display_config *config, struct curses_display **out,
			struct error *error)
{
	struct curses_display *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return error_set(error, -ENOMEM, "no memory");
	d->config = *config;
	d->clock = event_loop_clock(config->loop);
	err = open_parts(d, error);
	if (err) {
		curses_display_close(d);
		return err;
	}
	event_source_enable(d->input, true);
	clock_timer_arm(&d->clock, d->timer, 0);
	*out = d;
	return 0;
}

void curses_display_close(struct curses_display *d)
{
	if (!d)
		return;
	event_source_destroy(d->input);
	clock_timer_destroy(&d->clock, d->timer);
	if (d->screen) {
		set_term(d->screen);
		endwin();
		delscreen(d->screen);
	}
	free(d->cells);
	free(d);
}
