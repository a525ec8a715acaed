/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a bus is made of: for bus.c, and for bus_state.c, which goes through the devices. */
#ifndef RF_DEVICES_BUS_BUS_INTERNAL_H
#define RF_DEVICES_BUS_BUS_INTERNAL_H

#include "bus.h"

#define NPORTS 0x10000u

struct bus_mapping {
	const char *name;
	struct bus_range range; /* base absolute */
	void *device;
	bool attached;   /* by bus_attach(): goes with the device */
	unsigned slot;   /* ports: index in slots[] */
};

struct attached_device {
	const struct device_desc *desc;
	void *device;
};

struct bus {
	uint16_t ports[NPORTS];
	struct bus_mapping **slots;
	unsigned nslots;
	struct bus_mapping **mmio;
	unsigned nmmio;
	struct attached_device *devices;
	unsigned ndevices;
};

#endif
