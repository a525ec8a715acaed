/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port 92h, system control port A: fast A20 gate (bit 1) and fast reset (bit 0). */
#ifndef RF_DEVICES_PORT92_H
#define RF_DEVICES_PORT92_H

#include "bus.h"

struct port92 {
	void *opaque; /* first argument of the callbacks */
	void (*a20)(void *opaque, bool enabled);
	bool (*a20_level)(void *opaque); /* the keyboard controller shares the gate */
	void (*reset_request)(void *opaque);
	struct port92_state {
		uint8_t value;
	} s;
};

/* The instance needs no more than its callbacks set. */
extern const struct device_desc port92_desc;

#endif
