/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An MF2 keyboard (IBM PS/2 Hardware Interface Technical Reference, keyboard). Keys are put in as
 * scan code set 2, what a keyboard speaks after power-on; the controller translates them for the
 * host. Other sets can be selected and read back but change nothing.
 */
#include "ps2_device.h"

#include <string.h>

enum {
	KBD_SET_LEDS = 0xed, KBD_ECHO = 0xee, KBD_SCAN_SET = 0xf0, KBD_IDENTIFY = 0xf2,
	KBD_RATE = 0xf3, KBD_ENABLE = 0xf4, KBD_DISABLE = 0xf5, KBD_DEFAULTS = 0xf6,
	KBD_ALL_KEYS_FIRST = 0xf7, KBD_KEY_TYPE_FIRST = 0xfb, KBD_KEY_TYPE_LAST = 0xfd,
	KBD_RESEND = 0xfe, KBD_RESET = 0xff,
};

static void set_defaults(struct ps2_state *s)
{
	s->rate = 0x2b; /* 10.9 characters a second, 500 ms delay */
	s->leds = 0;
	s->scan_set = 2;
	s->command = 0;
}

void ps2_keyboard_reset(struct ps2_device *keyboard)
{
	memset(keyboard->s, 0, sizeof(*keyboard->s));
	set_defaults(keyboard->s);
	keyboard->s->enabled = 1;
}

bool ps2_keyboard_key(struct ps2_device *keyboard, const uint8_t *scancodes, size_t count)
{
	return !keyboard->s->enabled || ps2_put(keyboard, scancodes, count);
}

static void parameter(struct ps2_device *keyboard, uint8_t value)
{
	struct ps2_state *s = keyboard->s;
	uint8_t command = s->command;

	s->command = 0;
	ps2_put1(keyboard, PS2_ACK);
	switch (command) {
	case KBD_SET_LEDS:
		s->leds = value & 7;
		break;
	case KBD_RATE:
		s->rate = value & 0x7f;
		break;
	case KBD_SCAN_SET:
		if (!value)
			ps2_put1(keyboard, s->scan_set);
		else if (value <= 3)
			s->scan_set = value;
		break;
	default: /* a key whose type is set: taken note of */
		break;
	}
}

static void command(struct ps2_device *keyboard, uint8_t byte)
{
	static const uint8_t identity[] = { PS2_ACK, 0xab, 0x83 };
	static const uint8_t passed[] = { PS2_ACK, PS2_SELF_TEST_PASSED };
	struct ps2_state *s = keyboard->s;

	switch (byte) {
	case KBD_SET_LEDS:
	case KBD_SCAN_SET:
	case KBD_RATE:
	case KBD_KEY_TYPE_FIRST ... KBD_KEY_TYPE_LAST:
		s->command = byte;
		ps2_put1(keyboard, PS2_ACK);
		break;
	case KBD_ECHO:
		ps2_put1(keyboard, KBD_ECHO);
		break;
	case KBD_IDENTIFY:
		ps2_put(keyboard, identity, sizeof(identity));
		break;
	case KBD_ENABLE:
		ps2_clear(keyboard);
		s->enabled = 1;
		ps2_put1(keyboard, PS2_ACK);
		break;
	case KBD_DISABLE:
	case KBD_DEFAULTS:
		ps2_clear(keyboard);
		set_defaults(s);
		s->enabled = byte == KBD_DEFAULTS;
		ps2_put1(keyboard, PS2_ACK);
		break;
	case KBD_ALL_KEYS_FIRST ... KBD_KEY_TYPE_FIRST - 1:
		ps2_put1(keyboard, PS2_ACK);
		break;
	case KBD_RESEND:
		ps2_put1(keyboard, s->last_sent);
		break;
	case KBD_RESET:
		ps2_keyboard_reset(keyboard);
		ps2_put(keyboard, passed, sizeof(passed));
		break;
	default:
		ps2_put1(keyboard, PS2_RESEND);
		break;
	}
}

void ps2_keyboard_write(struct ps2_device *keyboard, uint8_t byte)
{
	/* A command, recognizable by its value, also ends the wait for a parameter. */
	if (keyboard->s->command && byte < 0xed)
		parameter(keyboard, byte);
	else
		command(keyboard, byte);
}
