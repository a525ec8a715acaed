/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telnet (char_telnet.h). Numbers are RFC 854's and those of the options' own RFCs. */
#include "char_telnet.h"

enum {
	SE = 240, BRK = 243, SB = 250, WILL = 251, WONT = 252, DO = 253, DONT = 254, IAC = 255,
};
enum telnet_state { DATA, AFTER_CR, COMMAND, OPTION, INSIDE, INSIDE_COMMAND };
enum telnet_option { BINARY = 1, ECHO = 2, NO_GO_AHEAD = 4 };

static const struct {
	uint8_t code;
	enum telnet_option bit;
} telnet_options[] = { { 0, BINARY }, { 1, ECHO }, { 3, NO_GO_AHEAD } };

static void telnet_say(struct telnet *t, uint8_t verb, uint8_t code)
{
	const uint8_t bytes[] = { IAC, verb, code };

	t->reply(t->opaque, bytes, sizeof(bytes));
}

static uint8_t option_bit(uint8_t code)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(telnet_options); i++) {
		if (telnet_options[i].code == code)
			return telnet_options[i].bit;
	}
	return 0;
}

/* What we can, and want, of one side is asked for. */
static void telnet_ask(struct telnet *t, struct telnet_side *side, uint8_t verb)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(telnet_options); i++) {
		if (!(side->can & telnet_options[i].bit))
			continue;
		side->asked |= telnet_options[i].bit;
		telnet_say(t, verb, telnet_options[i].code);
	}
}

void telnet_begin(struct telnet *t, bool server)
{
	const uint8_t both = BINARY | NO_GO_AHEAD;

	t->local = (struct telnet_side){ .can = server ? both | ECHO : both };
	t->remote = (struct telnet_side){ .can = server ? both : both | ECHO };
	t->state = DATA;
	t->wrote_cr = false;
	if (!server)
		return;
	telnet_ask(t, &t->local, WILL);
	telnet_ask(t, &t->remote, DO);
}

/* The peer wants an option on or off. What was asked for is an answer, and needs none. */
static void telnet_wants(struct telnet *t, struct telnet_side *side, uint8_t code, bool on,
			 uint8_t yes, uint8_t no)
{
	const uint8_t bit = option_bit(code);
	const bool asked = side->asked & bit, is_on = side->on & bit;

	side->asked &= ~bit;
	if (on && !(side->can & bit)) {
		telnet_say(t, no, code);
		return;
	}
	side->on = on ? side->on | bit : side->on & ~bit;
	if (!asked && on != is_on)
		telnet_say(t, on ? yes : no, code);
}

static void telnet_option(struct telnet *t, uint8_t code)
{
	const bool on = t->verb == WILL || t->verb == DO;

	if (t->verb == DO || t->verb == DONT)
		telnet_wants(t, &t->local, code, on, WILL, WONT);
	else
		telnet_wants(t, &t->remote, code, on, DO, DONT);
}

static void telnet_command(struct telnet *t, uint8_t byte)
{
	t->verb = byte;
	t->state = byte >= WILL ? OPTION : byte == SB ? INSIDE : DATA;
	if (byte == BRK)
		t->got_break(t->opaque);
}

/* True: the byte is data. A line ends in CR LF or CR NUL, which is one key. */
static bool telnet_data(struct telnet *t, uint8_t byte)
{
	const bool after_cr = t->state == AFTER_CR;

	t->state = DATA;
	if (byte == IAC) {
		t->state = COMMAND;
		return false;
	}
	if (after_cr && (byte == '\n' || byte == '\0'))
		return false;
	if (byte == '\r' && !(t->remote.on & BINARY))
		t->state = AFTER_CR;
	return true;
}

static bool telnet_take(struct telnet *t, uint8_t byte)
{
	switch (t->state) {
	case COMMAND:
		if (byte == IAC) {
			t->state = DATA;
			return true;
		}
		telnet_command(t, byte);
		return false;
	case OPTION:
		t->state = DATA;
		telnet_option(t, byte);
		return false;
	case INSIDE:
		t->state = byte == IAC ? INSIDE_COMMAND : INSIDE;
		return false;
	case INSIDE_COMMAND:
		t->state = byte == SE ? DATA : INSIDE;
		return false;
	default:
		return telnet_data(t, byte);
	}
}

size_t telnet_decode(struct telnet *t, uint8_t *bytes, size_t count)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t byte = bytes[i];

		if (telnet_take(t, byte))
			bytes[left++] = byte;
	}
	return left;
}

/* FFh is doubled; CR that is not before LF is followed by NUL, unless all is binary. */
size_t telnet_encode(struct telnet *t, const uint8_t *bytes, size_t count, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (t->wrote_cr && bytes[i] != '\n')
			out[n++] = '\0';
		t->wrote_cr = bytes[i] == '\r' && !(t->local.on & BINARY);
		if (bytes[i] == IAC)
			out[n++] = IAC;
		out[n++] = bytes[i];
	}
	return n;
}
