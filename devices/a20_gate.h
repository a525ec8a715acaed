/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The A20 gate: address bit 20 of the CPU, or zero in its place. The keyboard controller and port
 * 92h share it; the last one to speak wins, and both read back what is.
 */
#ifndef RF_DEVICES_A20_GATE_H
#define RF_DEVICES_A20_GATE_H

#include "wires.h"

struct a20_gate {
	struct irq_line out; /* the CPU's A20M# pin, high while address bit 20 passes */
	bool enabled;
};

static inline void a20_gate_set(struct a20_gate *gate, bool enabled)
{
	if (enabled == gate->enabled)
		return;
	gate->enabled = enabled;
	irq_set(&gate->out, enabled);
}

/* Address bit 20 passes; the CPU is told whatever it was told before. */
static inline void a20_gate_reset(struct a20_gate *gate)
{
	gate->enabled = true;
	irq_set(&gate->out, true);
}

#endif
