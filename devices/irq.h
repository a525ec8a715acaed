/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt line: the output pin of one device, wired to input n of another. Levels are
 * reported, not edges; setting a line to the level it already has is allowed and does nothing.
 */
#ifndef RF_DEVICES_IRQ_H
#define RF_DEVICES_IRQ_H

#include "x86/types.h"

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

#endif
