/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The debug console. It reads as e9h, by which software finds out that it is there. */
#include "debugcon.h"

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
	return 0xe9;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct debugcon *console = opaque;
	uint8_t byte = (uint8_t)value;

	console->chardev->ops->write(console->chardev, &byte, 1);
}

int debugcon_map(struct debugcon *console, struct bus *bus, uint16_t iobase, struct error *error)
{
	const struct bus_range range = {
		BUS_PIO, iobase, 1, { debugcon_read, debugcon_write, 1, 1 }
	};

	return bus_map(bus, "debugcon", &range, console, &console->mapping, error);
}
