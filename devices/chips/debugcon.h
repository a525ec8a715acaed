/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The debug console of Bochs and QEMU: bytes written to a port (e9h) go to a character backend. */
#ifndef RF_DEVICES_CHIPS_DEBUGCON_H
#define RF_DEVICES_CHIPS_DEBUGCON_H

#include "devices/bus/bus.h"
#include "devices/bus/chardev.h"

struct debugcon {
	struct chardev *chardev;
	struct bus_mapping *mapping;
};

/* 0, or an error of bus_map(). */
int debugcon_map(struct debugcon *console, struct bus *bus, uint16_t iobase,
		 struct error *error) RF_MUST_CHECK;

#endif
