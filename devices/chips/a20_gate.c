/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The A20 gate; see a20_gate.h. */
#include "a20_gate.h"

void a20_gate_set(struct a20_gate *gate, bool enabled)
{
	if (enabled == gate->enabled)
		return;
	gate->enabled = enabled;
	irq_set(&gate->out, enabled);
}

/* The CPU is told whatever it was told before. */
static void a20_gate_reset(void *opaque)
{
	struct a20_gate *gate = opaque;

	gate->enabled = true;
	irq_set(&gate->out, true);
}

static void a20_gate_loaded(void *opaque)
{
	struct a20_gate *gate = opaque;

	irq_set(&gate->out, gate->enabled);
}

static const struct state_field state[] = {
	STATE_FLAG(struct a20_gate, enabled),
	STATE_END,
};

const struct device_desc a20_gate_desc = {
	.name = "a20-gate",
	.reset = a20_gate_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct a20_gate),
	.loaded = a20_gate_loaded,
};
