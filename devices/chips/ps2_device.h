/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a keyboard and a mouse on PS/2 ports have in common: a queue of bytes to the host, and
 * commands of which some take a parameter byte. The controller (i8042.c) pulls bytes with ps2_get()
 * and is told through `ready` when there is one.
 */
#ifndef RF_DEVICES_CHIPS_PS2_DEVICE_H
#define RF_DEVICES_CHIPS_PS2_DEVICE_H

#include "devices/bus/state.h"

#define PS2_QUEUE 32

#define PS2_ACK    0xfa
#define PS2_RESEND 0xfe
#define PS2_SELF_TEST_PASSED 0xaa

/* Saved with the controller. */
struct ps2_state {
	uint8_t queue[PS2_QUEUE];
	uint8_t head, count;
	uint8_t last_sent;  /* for RESEND */
	uint8_t command;    /* that waits for its parameter; 0: none */
	uint8_t enabled;    /* scanning or reporting */
	uint8_t leds, scan_set, rate, delay_or_resolution, wrap, mode;
	uint8_t rate_before; /* mouse: what rate was before it was set; 0: it was not */
	uint8_t protocol;    /* mouse: 0 plain, 1 with a wheel, 2 with a wheel and five buttons */
};

struct ps2_device {
	struct ps2_state *s;
	void (*ready)(void *opaque); /* the queue is not empty any more */
	void *opaque;
};

/* Puts all bytes into the queue, or none and returns false if they do not fit. */
bool ps2_put(struct ps2_device *device, const uint8_t *bytes, size_t count);
static inline void ps2_put1(struct ps2_device *device, uint8_t byte) { ps2_put(device, &byte, 1); }
/* The next byte; false if there is none. */
bool ps2_get(struct ps2_device *device, uint8_t *byte);
void ps2_clear(struct ps2_device *device);
/* What is saved of struct ps2_state. */
extern const struct state_field ps2_state_fields[];

/* ps2_keyboard.c: an IBM MF2 keyboard. write: a byte from the host. */
void ps2_keyboard_reset(struct ps2_device *keyboard);
void ps2_keyboard_write(struct ps2_device *keyboard, uint8_t byte);
/* Keys in scan code set 2, dropped while scanning is disabled. False: there is no room for them. */
bool ps2_keyboard_key(struct ps2_device *keyboard, const uint8_t *scancodes, size_t count);

/* ps2_mouse.c: an IntelliMouse nobody moves. */
void ps2_mouse_reset(struct ps2_device *mouse);
void ps2_mouse_write(struct ps2_device *mouse, uint8_t byte);

#endif
