/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Periodic ticks that a guest could not take in time: the 8254's and the local APIC timer's.
 *
 * A tick whose interrupt comes while that of the one before still waits would be lost. On a chip
 * that takes a guest that is broken; here a slow engine or a busy host suffices, and clocks that
 * count ticks would lose time. Such ticks are owed. The CPU gets the next one as soon as it takes
 * the last; a CPU that is not seen to do so gets them at double rate. So those taken, owed and
 * waiting are all that came due, as long as no more than OWED_TICKS_MOST are owed: then the rest is
 * lost.
 *
 * A handler may mask its interrupt while it runs, when the next tick has been latched already: what
 * is due meanwhile is owed as well. A mask that lasts longer is there to keep the interrupts away,
 * and everything owed is forgiven.
 *
 * A CPU that keeps interrupts off and watches a clock meanwhile has seen ticks go by: those are
 * lost, as they are on a chip (tick_watch.h).
 *
 * No guest may keep the monitor busy with a period of a few nanoseconds: below
 * OWED_TICKS_MIN_PERIOD_NS ticks come at that rate, and no more than one is owed.
 */
#ifndef RF_DEVICES_BUS_OWED_TICKS_H
#define RF_DEVICES_BUS_OWED_TICKS_H

#include "state.h"

/*
 * Ten seconds of a tick per millisecond with interrupts off, which an interpreter on a busy host
 * makes of a fraction of a second.
 */
#define OWED_TICKS_MOST 10000u
#define OWED_TICKS_MIN_PERIOD_NS 20000u
/* Longer than any handler takes, however slow the engine. */
#define OWED_TICKS_HANDLER_NS 100000000u

/* Readings of a clock that are farther apart than this, or than a period, are not watching it. */
#define OWED_TICKS_WATCH_NS 1000000u

/* Where the last tick's interrupt is. */
enum tick_interrupt {
	TICK_TAKEN,     /* the next tick makes an interrupt */
	TICK_REQUESTED, /* the CPU has not taken it yet */
	TICK_MASKED,    /* latched, but masked: another tick would be lost */
};

struct owed_ticks {
	/* since when ticks have met a masked request; 0: they have not */
	uint64_t masked_ns;
	uint32_t count;
	uint32_t seen; /* of these, how many there were when the CPU last looked at a clock */
};

/* What is saved of it. */
extern const struct state_field owed_ticks_state[];

void owed_ticks_forgive(struct owed_ticks *owed);
/* Somebody looked where the last interrupt is: a mask before this is another than one after it. */
void owed_ticks_seen(struct owed_ticks *owed, enum tick_interrupt last);
/* More ticks came due. True: one is to be given now, and no longer owed. */
bool owed_ticks_due(struct owed_ticks *owed, uint64_t due, uint64_t period_ns,
		    enum tick_interrupt last, uint64_t now);
/*
 * The CPU looks at a clock, with interrupts off since it last did so since_ns ago (0: it did not),
 * and what came due is owed. What it has watched come due is not.
 */
void owed_ticks_watched(struct owed_ticks *owed, uint64_t since_ns, uint64_t period_ns);
/* When the timer is to run, if the next tick is due at deadline. */
uint64_t owed_ticks_wake(const struct owed_ticks *owed, uint64_t deadline, uint64_t period_ns,
			 uint64_t now);
/* Whether an interrupt that the CPU takes makes room for the next tick, without the timer. */
bool owed_ticks_follow(const struct owed_ticks *owed, uint64_t deadline, uint64_t period_ns,
		       uint64_t now);

#endif
