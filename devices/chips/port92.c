/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port 92h; see port92.h. */
#include "port92.h"

#define FAST_RESET 0x01
#define A20        0x02

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
	struct port92 *port = opaque;

	return (port->s.value & ~A20) | (port->a20->enabled ? A20 : 0);
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct port92 *port = opaque;
	bool resets = (value & ~port->s.value) & FAST_RESET;

	port->s.value = (uint8_t)value;
	a20_gate_set(port->a20, value & A20);
	if (resets)
		signal_raise(&port->reset, 0);
}

static void port92_reset(void *opaque)
{
	((struct port92 *)opaque)->s.value = 0;
}

static const struct state_field state[] = {
	STATE_ANY(struct port92, s.value),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x92, 1, { port92_read, port92_write, 1, 1 } },
};

const struct device_desc port92_desc = {
	.name = "port92",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = port92_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct port92),
};
