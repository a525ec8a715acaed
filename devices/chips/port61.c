/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port 61h. The refresh bit toggles with the time, every 15.085 us as on the PC/AT: old delay loops
 * count its edges.
 */
#include "port61.h"

#define GATE2       0x01
#define WRITABLE    0x0f /* gate, speaker, parity and I/O-check enables */
#define REFRESH     0x10
#define OUT2        0x20
#define REFRESH_NS  15085u

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
	struct port61 *port = opaque;
	uint8_t value = port->s.control;

	clock_tell(&port->pit->clock);
	if (clock_now(&port->pit->clock) / REFRESH_NS & 1)
		value |= REFRESH;
	if (i8254_out2(port->pit))
		value |= OUT2;
	return value;
}

static void port61_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct port61 *port = opaque;

	port->s.control = value & WRITABLE;
	i8254_set_gate2(port->pit, value & GATE2);
}

static void port61_reset(void *opaque)
{
	struct port61 *port = opaque;

	port->s.control = 0;
	i8254_set_gate2(port->pit, false);
}

void port61_init(struct port61 *port, struct i8254 *pit)
{
	*port = (struct port61){ .pit = pit };
}

static const struct state_field state[] = {
	STATE_BITS(struct port61, s.control, WRITABLE),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x61, 1, { port61_read, port61_write, 1, 1 } },
};

const struct device_desc port61_desc = {
	.name = "port61",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = port61_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct port61),
};
