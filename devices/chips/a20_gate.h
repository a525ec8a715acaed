/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The A20 gate: address bit 20 of the CPU, or zero in its place. The keyboard controller and port
 * 92h share it; the last one to speak wins, and both read back what is.
 * After a reset the bit passes.
 */
#ifndef RF_DEVICES_CHIPS_A20_GATE_H
#define RF_DEVICES_CHIPS_A20_GATE_H

#include "devices/bus/bus.h"
#include "devices/bus/wires.h"

struct a20_gate {
	struct irq_line out; /* the CPU's A20M# pin, high while address bit 20 passes */
	bool enabled;
};

extern const struct device_desc a20_gate_desc;

void a20_gate_set(struct a20_gate *gate, bool enabled);

#endif
