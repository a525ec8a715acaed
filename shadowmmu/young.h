/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When an address space is worth a window.
 *
 * A window costs host calls and signals for each page that comes into it and goes again: on some
 * hosts a few microseconds, on others (those that are guests themselves) fifty. A *young* space has
 * none: ring 3 runs in the soft mode (translate_soft.c), which is some times slower and costs
 * nothing to set up or to take down. It grows up when it has run for so long that a window would
 * have been cheaper; and one that is grown up becomes young again when what its window loses takes
 * a good part of all time, as a shell's does that forks all day.
 *
 * Pure functions of costs and times, in cycles of the host's TSC.
 */
#ifndef RF_SHADOWMMU_YOUNG_H
#define RF_SHADOWMMU_YOUNG_H

#include "x86/types.h"

/* What the host takes for each, in nanoseconds: with the first touch of what was mapped. */
struct host_costs {
	uint32_t signal, map, protect, unmap;
};

enum young_choice { YOUNG_ADAPTIVE, YOUNG_ALWAYS, YOUNG_OFF };

struct young_policy {
	/* page tables cost so much on this host that it is worth an effort to do without */
	bool dear;
	bool on;          /* spaces begin young */
	bool forever;     /* and stay so, even where page tables are cheap: for tests */
	uint64_t grow;    /* cycles in ring 3 after which a space has grown up */
	uint64_t shrink;  /* cycles that a window costs before its share of all time is judged */
	uint64_t period;  /* cycles after which its costs are counted anew */
	uint64_t signal, map, protect, unmap; /* the costs in cycles */
};

/* A space's; all zero: has not begun. */
struct young {
	bool begun, is;    /* is: it is young */
	uint8_t patience;  /* the time to grow up is doubled so often */
	uint64_t ran;      /* cycles in ring 3 since it became young */
	uint64_t last;     /* grown up: when it was last charged */
	/* how long its costs have been counted, less what the host may have given others */
	uint64_t time;
	uint64_t cost;     /* in that time */
};

/* The policy for a host with these costs whose TSC makes so many cycles in a microsecond. */
struct young_policy young_policy_make(const struct host_costs *costs, uint32_t cycles_per_us,
				      enum young_choice choice);

/*
 * A program begins in the space. able: the guest's kernel has a window that does not depend on the
 * space.
 */
void young_begin(const struct young_policy *policy, struct young *y, bool able, uint64_t now);
/* It ran in ring 3 for so many cycles; true: it has grown up. */
bool young_ran(const struct young_policy *policy, struct young *y, uint64_t cycles, uint64_t now);
/* Its window lost what so many cycles had gone into; true: it has become young again. */
bool young_charge(const struct young_policy *policy, struct young *y, uint64_t cycles,
		  uint64_t now);

#endif
