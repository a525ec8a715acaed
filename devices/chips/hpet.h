/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The high precision event timers (IA-PC HPET specification 1.0a) at FED00000h: a counter of 100
 * MHz and 64 bits, and three timers that compare it, each periodic if so set. Timers 0 and 1 can
 * take over IRQ 0 and IRQ 8 (the legacy replacement route); the 8254 and the RTC, whose lines run
 * through here, are cut off then. Else a timer reaches pin 2 of the I/O APIC, as on QEMU's pc.
 */
#ifndef RF_DEVICES_CHIPS_HPET_H
#define RF_DEVICES_CHIPS_HPET_H

#include "devices/bus/bus.h"
#include "devices/bus/clock.h"
#include "devices/bus/owed_ticks.h"
#include "devices/bus/wires.h"

#define HPET_BASE 0xfed00000u
#define HPET_SIZE 0x400u
#define HPET_TIMERS 3
#define HPET_TICK_NS 10u
/* The lower half of the capability register: Intel's, three timers, 64 bits, legacy route. */
#define HPET_ID 0x8086a201u

enum hpet_wire { HPET_IRQ0, HPET_IRQ8, HPET_PIN2, HPET_WIRES };

struct hpet_timer {
	struct hpet *hpet;
	struct clock_timer *clock_timer;
	struct hpet_timer_state {
		uint64_t comparator;  /* periodic: of the match to come */
		uint64_t period;      /* ticks; what was last written to the comparator */
		uint64_t deadline_ns; /* the match to come; 0: none in sight */
		uint64_t wake_ns;     /* what the timer is armed for; 0: it is not */
		struct owed_ticks owed;
		uint32_t config;      /* its configuration register, bits that can be written */
	} s;
};

struct hpet {
	struct clock clock;
	struct hpet_timer timer[HPET_TIMERS];
	struct irq_line wire[HPET_WIRES];
	/* whether the 8254's interrupt is wanted; set when it changes */
	struct irq_line pit_counts;
	/* Where the last interrupt of a wire is. NULL: always taken. Set by the board. */
	enum tick_interrupt (*irq_state)(void *opaque, enum hpet_wire wire);
	void *irq_state_opaque;
	struct hpet_state {
		uint64_t counter;  /* at start_ns; while it stands, now */
		uint64_t start_ns;
		uint8_t config;    /* the general configuration */
		uint8_t status;    /* level-triggered timers that have asked for service */
		uint8_t inputs;    /* levels of the 8254's line (bit 0) and the RTC's (bit 1) */
	} s;
};

extern const struct device_desc hpet_desc;

/* The wires are the caller's to connect afterwards. 0 or -ENOMEM. */
int hpet_init(struct hpet *hpet, const struct clock *clock) RF_MUST_CHECK;
void hpet_destroy(struct hpet *hpet);
/* The 8254's line (n = 0) and the RTC's (n = 1), which go on to IRQ 0 and 8. As irq_line.set. */
void hpet_set_input(void *hpet, unsigned n, bool level);
/* As i8254_watched(). */
bool hpet_watched(struct hpet *hpet, uint64_t since_ns);
/* The CPU has taken an interrupt: timers with a tick that is due give it at once. */
void hpet_interrupt_taken(struct hpet *hpet);

#endif
