/* SPDX-License-Identifier: GPL-2.0-or-later */
/* isa-debug-exit: a write to its ports ends the VM; the value is what the signal carries. */
#ifndef RF_DEVICES_CHIPS_ISA_DEBUG_EXIT_H
#define RF_DEVICES_CHIPS_ISA_DEBUG_EXIT_H

#include "devices/bus/bus.h"
#include "devices/bus/wires.h"

struct isa_debug_exit {
	struct signal_line exit;
	struct bus_mapping *mapping;
};

/* At [iobase, iobase + iosize). 0, or an error of bus_map(). */
int isa_debug_exit_map(struct isa_debug_exit *device, struct bus *bus, uint16_t iobase,
		       uint16_t iosize, struct error *error) RF_MUST_CHECK;

#endif
