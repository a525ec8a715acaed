/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MC146818 real-time clock and CMOS memory, ports 70h and 71h (Motorola MC146818A data sheet),
 * with the bytes a PC's firmware looks for (memory sizes, equipment) and the century
 * of the date that the clock began with at 32h.
 */
#ifndef RF_DEVICES_CHIPS_MC146818_H
#define RF_DEVICES_CHIPS_MC146818_H

#include "devices/bus/bus.h"
#include "devices/bus/clock.h"
#include "devices/bus/wires.h"

struct mc146818 {
	struct clock clock;
	struct irq_line irq;
	struct clock_timer *timer;
	uint64_t ram_size;
	int64_t base; /* seconds since 1970 when the clock reads 0 */
	struct mc146818_state {
		uint8_t index;       /* port 70h, with the NMI mask in bit 7 */
		uint8_t weekday_shift; /* day of the week = days since 1970 + shift, modulo 7 */
		uint8_t cmos[128];   /* time registers valid only while halted; C holds the flags */
		int64_t offset_ns;   /* RTC time in ns since 1970 = clock + offset, while running */
		int64_t seen_second; /* updates up to this RTC second are in the flags */
		uint64_t seen_tick;  /* periodic ticks likewise */
	} s;
};

extern const struct device_desc mc146818_desc;

/* base: the date at clock 0, seconds since 1970. 0 or -ENOMEM. */
int mc146818_init(struct mc146818 *rtc, const struct clock *clock, struct irq_line irq,
		  uint64_t ram_size, int64_t base) RF_MUST_CHECK;
/* The date goes forward by ns; what it passes (an alarm, the seconds' updates) has happened. */
void mc146818_advance(struct mc146818 *rtc, uint64_t ns);
/* A byte of setup's (10h to 7fh, but no century), which the battery keeps. */
void mc146818_set_cmos(struct mc146818 *rtc, unsigned index, uint8_t value);
void mc146818_destroy(struct mc146818 *rtc);

#endif
