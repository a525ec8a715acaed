/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires between devices, and from the board to the CPU. A wire ends at a function with its first
 * argument; one without a function is not connected, and using it does nothing.
 */
#ifndef RF_DEVICES_BUS_WIRES_H
#define RF_DEVICES_BUS_WIRES_H

#include "x86/types.h"

/*
 * A line with a level: an output pin of one device, wired to input n of another. Levels are
 * reported, not edges; setting a line to the level it already has is allowed and does nothing.
 */
struct irq_line {
	void (*set)(void *opaque, unsigned n, bool level); /* NULL: not connected */
	void *opaque;
	unsigned n;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
	if (line->set)
		line->set(line->opaque, line->n, level);
}

/*
 * Something that happens at one instant, at input n of whoever is told: an NMI, a reset request, an
 * end of interrupt. value says more about it; 0 where there is no more to say.
 */
struct signal_line {
	void (*raise)(void *opaque, unsigned n, uint32_t value); /* NULL: not connected */
	void *opaque;
	unsigned n;
};

static inline void signal_raise(const struct signal_line *line, uint32_t value)
{
	if (line->raise)
		line->raise(line->opaque, line->n, value);
}

/*
 * Whom the CPU's interrupt acknowledge cycle (INTA) asks. acknowledge returns the vector, which
 * must now be delivered, or -1 when nothing is deliverable any more.
 */
struct interrupt_source {
	int (*acknowledge)(void *opaque); /* NULL: there is none */
	void *opaque;
};

static inline int interrupt_acknowledge(const struct interrupt_source *source)
{
	return source->acknowledge ? source->acknowledge(source->opaque) : -1;
}

#endif
