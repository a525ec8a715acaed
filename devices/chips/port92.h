/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port 92h, system control port A: fast A20 gate (bit 1) and fast reset (bit 0). */
#ifndef RF_DEVICES_CHIPS_PORT92_H
#define RF_DEVICES_CHIPS_PORT92_H

#include "a20_gate.h"
#include "devices/bus/bus.h"

struct port92 {
	struct a20_gate *a20;
	struct signal_line reset;
	struct port92_state {
		uint8_t value;
	} s;
};

/* The instance needs no more than its wires set. */
extern const struct device_desc port92_desc;

#endif
