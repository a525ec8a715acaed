/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port F0h; see fpu_error.h. */
#include "fpu_error.h"

static void fpu_error_set(struct fpu_error *port, bool latched)
{
	port->s.latched = latched;
	irq_set(&port->irq, latched);
}

void fpu_error_assert(void *port, unsigned n, uint32_t value)
{
	fpu_error_set(port, true);
}

static uint64_t fpu_error_read(void *opaque, uint64_t offset, unsigned size)
{
	return 0xff;
}

/* The value does not matter. Without an error there is nothing to ignore. */
static void fpu_error_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct fpu_error *port = opaque;

	if (!port->s.latched)
		return;
	fpu_error_set(port, false);
	signal_raise(&port->ignne, 0);
}

static void fpu_error_reset(void *opaque)
{
	fpu_error_set(opaque, false);
}

static void fpu_error_loaded(void *opaque)
{
	struct fpu_error *port = opaque;

	irq_set(&port->irq, port->s.latched);
}

static const struct state_field state[] = {
	STATE_FLAG(struct fpu_error, s.latched),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0xf0, 1, { fpu_error_read, fpu_error_write, 1, 1 } },
};

const struct device_desc fpu_error_desc = {
	.name = "fpu-error",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = fpu_error_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct fpu_error),
	.loaded = fpu_error_loaded,
};
