/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PS/2 mouse that lies still (IBM PS/2 Hardware Interface Technical Reference, mouse): it answers
 * every command, so that drivers find it and never wait for a timeout, and reports no movement.
 *
 * It is an IntelliMouse (Microsoft's extensions of the protocol): a driver that sets the rates 200,
 * 100 and 80 one after the other gets the wheel, 200, 200 and 80 two more buttons too. The identity
 * tells of it, and a report has a fourth byte, until the mouse is reset.
 */
#include "ps2_device.h"

#include <string.h>

enum {
	MOUSE_SCALE_1 = 0xe6, MOUSE_SCALE_2 = 0xe7, MOUSE_RESOLUTION = 0xe8, MOUSE_STATUS = 0xe9,
	MOUSE_STREAM = 0xea, MOUSE_READ = 0xeb, MOUSE_WRAP_OFF = 0xec, MOUSE_WRAP = 0xee,
	MOUSE_REMOTE = 0xf0, MOUSE_IDENTIFY = 0xf2, MOUSE_RATE = 0xf3, MOUSE_ENABLE = 0xf4,
	MOUSE_DISABLE = 0xf5, MOUSE_DEFAULTS = 0xf6, MOUSE_RESEND = 0xfe, MOUSE_RESET = 0xff,
};

/* Bits of the status byte. */
#define MODE_REMOTE  0x40
#define MODE_ENABLED 0x20
#define MODE_SCALE_2 0x10

enum { PROTOCOL_PLAIN, PROTOCOL_WHEEL, PROTOCOL_FIVE_BUTTONS };

static void set_defaults(struct ps2_state *s)
{
	s->rate = 100;
	s->rate_before = 0;
	s->delay_or_resolution = 2; /* 4 counts a millimetre */
	s->mode = 0;
	s->enabled = 0;
	s->wrap = 0;
	s->command = 0;
}

void ps2_mouse_reset(struct ps2_device *mouse)
{
	memset(mouse->s, 0, sizeof(*mouse->s));
	set_defaults(mouse->s);
}

/* Commands that only set state. */
static void set(struct ps2_state *s, uint8_t byte)
{
	switch (byte) {
	case MOUSE_SCALE_1: s->mode &= ~MODE_SCALE_2; break;
	case MOUSE_SCALE_2: s->mode |= MODE_SCALE_2; break;
	case MOUSE_STREAM: s->mode &= ~MODE_REMOTE; break;
	case MOUSE_REMOTE: s->mode |= MODE_REMOTE; break;
	case MOUSE_WRAP: s->wrap = 1; break;
	case MOUSE_WRAP_OFF: s->wrap = 0; break;
	case MOUSE_ENABLE: s->enabled = 1; break;
	case MOUSE_DISABLE: s->enabled = 0; break;
	case MOUSE_DEFAULTS: set_defaults(s); break;
	case MOUSE_RESOLUTION:
	case MOUSE_RATE: s->command = byte; break;
	}
}

static void set_rate(struct ps2_state *s, uint8_t rate)
{
	if (rate == 80 && s->rate_before == 200 && s->rate == 100)
		s->protocol = PROTOCOL_WHEEL;
	else if (rate == 80 && s->rate_before == 200 && s->rate == 200)
		s->protocol = PROTOCOL_FIVE_BUTTONS;
	s->rate_before = s->rate;
	s->rate = rate;
}

static void identify(struct ps2_device *mouse)
{
	static const uint8_t identity[] = { 0, 3, 4 };
	const uint8_t answer[] = { PS2_ACK, identity[mouse->s->protocol] };

	ps2_put(mouse, answer, sizeof(answer));
}

static void report(struct ps2_device *mouse)
{
	static const uint8_t still[] = { PS2_ACK, 0x08, 0, 0, 0 };

	ps2_put(mouse, still, mouse->s->protocol == PROTOCOL_PLAIN ? 4 : 5);
}

static void command(struct ps2_device *mouse, uint8_t byte)
{
	static const uint8_t passed[] = { PS2_ACK, PS2_SELF_TEST_PASSED, 0x00 };
	struct ps2_state *s = mouse->s;
	uint8_t status[] = { PS2_ACK, s->mode | (s->enabled ? MODE_ENABLED : 0),
			     s->delay_or_resolution, s->rate };

	switch (byte) {
	case MOUSE_STATUS:
		ps2_put(mouse, status, sizeof(status));
		break;
	case MOUSE_READ:
		report(mouse);
		break;
	case MOUSE_IDENTIFY:
		identify(mouse);
		break;
	case MOUSE_RESEND:
		ps2_put1(mouse, s->last_sent);
		break;
	case MOUSE_RESET:
		ps2_mouse_reset(mouse);
		ps2_put(mouse, passed, sizeof(passed));
		break;
	case MOUSE_SCALE_1 ... MOUSE_RESOLUTION:
	case MOUSE_STREAM:
	case MOUSE_WRAP_OFF:
	case MOUSE_WRAP:
	case MOUSE_REMOTE:
	case MOUSE_RATE ... MOUSE_DEFAULTS:
		set(s, byte);
		ps2_put1(mouse, PS2_ACK);
		break;
	default:
		ps2_put1(mouse, PS2_RESEND);
		break;
	}
}

void ps2_mouse_write(struct ps2_device *mouse, uint8_t byte)
{
	struct ps2_state *s = mouse->s;

	if (s->wrap && byte != MOUSE_WRAP_OFF && byte != MOUSE_RESET) {
		ps2_put1(mouse, byte);
	} else if (s->command) {
		if (s->command == MOUSE_RATE)
			set_rate(s, byte);
		else
			s->delay_or_resolution = byte & 3;
		s->command = 0;
		ps2_put1(mouse, PS2_ACK);
	} else {
		command(mouse, byte);
	}
}
