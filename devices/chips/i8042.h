/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboard controller, an 8042 with PS/2 firmware, ports 60h and 64h: keyboard on IRQ 1, mouse
 * on IRQ 12, A20 gate and processor reset on its output port (IBM PS/2 Hardware Interface Technical
 * Reference, keyboard and auxiliary device controller).
 */
#ifndef RF_DEVICES_CHIPS_I8042_H
#define RF_DEVICES_CHIPS_I8042_H

#include "a20_gate.h"
#include "devices/bus/bus.h"
#include "devices/bus/wires.h"
#include "ps2_device.h"

struct i8042_config {
	struct irq_line keyboard_irq, mouse_irq;
	struct a20_gate *a20;
	struct signal_line reset;
};

struct i8042 {
	struct i8042_config config;
	struct ps2_device keyboard, mouse;
	struct i8042_state {
		uint8_t ram[32];    /* ram[0]: the command byte */
		uint8_t status;     /* SYS, CMD, AUX and OBF bits as port 64h shows them */
		uint8_t data;       /* output buffer */
		uint8_t command;    /* that waits for a byte at port 60h; 0: none */
		uint8_t output_port;
		uint8_t after_break; /* 0x80 when translation has swallowed F0h */
		struct ps2_state keyboard, mouse;
	} s;
};

extern const struct device_desc i8042_desc;

void i8042_init(struct i8042 *kbc, const struct i8042_config *config);

#endif
