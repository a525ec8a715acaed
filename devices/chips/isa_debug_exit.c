/* SPDX-License-Identifier: GPL-2.0-or-later */
/* isa-debug-exit. Reads give zero, as on QEMU. */
#include "isa_debug_exit.h"

static uint64_t exit_read(void *opaque, uint64_t offset, unsigned size)
{
	return 0;
}

static void exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct isa_debug_exit *device = opaque;

	signal_raise(&device->exit, (uint32_t)value);
}

int isa_debug_exit_map(struct isa_debug_exit *device, struct bus *bus, uint16_t iobase,
		       uint16_t iosize, struct error *error)
{
	const struct bus_range range = { BUS_PIO, iobase, iosize, { exit_read, exit_write, 1, 4 } };

	return bus_map(bus, "isa-debug-exit", &range, device, &device->mapping, error);
}
