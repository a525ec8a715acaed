/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8254 interval timer (Intel 8254 data sheet), ports 40h-43h, clocked at 1.193182 MHz. Channel
 * 0 drives ISA IRQ 0, channel 2 is gated by port 61h. Counts are computed from the clock when
 * somebody looks; only channel 0 has a timer.
 */
#ifndef RF_DEVICES_CHIPS_I8254_H
#define RF_DEVICES_CHIPS_I8254_H

#include "devices/bus/bus.h"
#include "devices/bus/clock.h"
#include "devices/bus/owed_ticks.h"
#include "devices/bus/wires.h"

#define I8254_HZ 1193182u

struct i8254_channel {
	uint64_t start_ns;   /* when the count was loaded, moved on by pauses */
	uint64_t held_ticks; /* while the gate is low: ticks counted before */
	uint32_t count;      /* loaded: 1..0x10000 */
	uint32_t next_count; /* modes 2 and 3: takes over at the end of the period; 0: none */
	uint16_t latch;
	uint8_t mode;        /* 0..5 */
	uint8_t mode_bit2;   /* modes 2 and 3: written as 6 or 7, for the status */
	uint8_t access;      /* 1 LSB, 2 MSB, 3 both */
	uint8_t status_latch;
	uint8_t write_low;   /* LSB waiting for its MSB */
	uint8_t latched_bytes; /* of latch still to be read */
	uint8_t bcd, gate;
	uint8_t loaded;         /* a count has been written since the mode was */
	uint8_t running;        /* triggered (modes 1, 5), or loaded (others) */
	uint8_t status_latched;
	uint8_t write_msb, read_msb; /* access 3: the next byte is the MSB */
};

struct i8254 {
	struct clock clock;
	struct irq_line irq;
	struct clock_timer *timer;
	/* Where channel 0's last interrupt is. NULL: always taken. Set by the board. */
	enum tick_interrupt (*irq_state)(void *opaque);
	void *irq_state_opaque;
	struct i8254_state {
		struct i8254_channel channel[3];
		/* periodic: edges of channel 0 that were due, but not given yet */
		struct owed_ticks owed;
		uint64_t deadline_ns; /* next rising edge of channel 0; 0: none */
		uint64_t wake_ns;     /* what the timer is armed for; 0: it is not */
		uint8_t irq_level;    /* as last reported */
		uint8_t disconnected; /* its interrupts go nowhere */
	} s;
};

extern const struct device_desc i8254_desc;

/* irq: channel 0's OUT. 0 or -ENOMEM. */
int i8254_init(struct i8254 *pit, const struct clock *clock, struct irq_line irq) RF_MUST_CHECK;
void i8254_destroy(struct i8254 *pit);
void i8254_reset(void *pit);
/*
 * The CPU has taken an interrupt: it gets the next edge that is due, if any, at once. It need not
 * wait for the clock's thread, which a busy host may keep from running while the guest measures its
 * timer by the time-stamp counter.
 */
void i8254_interrupt_taken(struct i8254 *pit);
/*
 * The CPU looks at a clock, with interrupts off since it last did so since_ns ago (0: it did not).
 * Whether a tick waits to be taken.
 */
bool i8254_watched(struct i8254 *pit, uint64_t since_ns);
/* Whether channel 0's OUT is wanted: not while another timer has IRQ 0. As irq_line.set. */
void i8254_connect(void *pit, unsigned n, bool connected);
/* The gate of channel 2. */
void i8254_set_gate2(struct i8254 *pit, bool level);
/* OUT of channel 2 right now. */
bool i8254_out2(struct i8254 *pit);

#endif
