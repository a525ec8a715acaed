/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Port 61h, system control port B: gate of PIT channel 2, speaker, refresh toggle (PIIX data sheet,
 * NMISC).
 */
#ifndef RF_DEVICES_CHIPS_PORT61_H
#define RF_DEVICES_CHIPS_PORT61_H

#include "i8254.h"

struct port61 {
	struct i8254 *pit;
	struct port61_state {
		uint8_t control; /* bits 3..0 as written */
	} s;
};

extern const struct device_desc port61_desc;

void port61_init(struct port61 *port, struct i8254 *pit);

#endif
