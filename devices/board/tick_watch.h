/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticks that the guest itself keeps waiting, told from those of a late host.
 *
 * A CPU that keeps interrupts off through 20 ticks gets one of them on any board. Whether
 * interrupts were off does not tell such a guest from one that was late through no fault of its
 * own: what takes 0.1 ms on a processor may take an interpreter 5 ms, or as long as the host likes.
 * What the guest has seen does. One that looks at a clock again and again, with a tick waiting that
 * it could take if it let interrupts in, waits on purpose: ticks that come due between two such
 * looks are lost.
 *
 * Looks must follow each other within OWED_TICKS_WATCH_NS and within the period. A longer time
 * between two may be the host's or a slow engine's, and what comes due in it stays owed. So a
 * handler that reads the time-stamp counter and then the 8254 loses nothing when the host stops
 * between the two, nor does a driver that has some delays by the clock among other work.
 *
 * A look counts where no interrupt can come: the CPU's interrupt flag is clear, or its INTR is low,
 * since the tick is masked or an interrupt as urgent is in service. Whoever lets interrupts in
 * thereafter does so by an instruction, at which a waiting one is taken; and with that all looks
 * are forgotten. So none that counts is in another stretch than the one before it.
 */
#ifndef RF_DEVICES_BOARD_TICK_WATCH_H
#define RF_DEVICES_BOARD_TICK_WATCH_H

#include "devices/chips/hpet.h"
#include "devices/chips/i8254.h"
#include "devices/chips/local_apic.h"

struct tick_watch {
	struct clock clock;
	struct i8254 *pit;
	struct hpet *hpet;
	struct lapic *lapic;
	/* Whether the CPU's interrupt flag is set. NULL: it is. */
	bool (*interrupt_flag)(void *opaque);
	void *interrupt_flag_opaque;
	struct tick_watch_state {
		uint64_t last_ns; /* when the last look was that counts; 0: none does */
	} s;
};

extern const struct device_desc tick_watch_desc;

/* The CPU looks at a clock: a device's, or its time-stamp counter. As signal_line.raise. */
void tick_watch_look(void *watch, unsigned n, uint32_t value);
/* It has taken an interrupt: ticks that are owed follow. */
void tick_watch_taken(struct tick_watch *watch);

#endif
