/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's pair of 8259A interrupt controllers (Intel 8259A data sheet) with the edge/level
 * registers of the PIIX (ports 4d0h and 4d1h). The slave hangs on input 2 of the master.
 */
#ifndef RF_DEVICES_CHIPS_I8259_H
#define RF_DEVICES_CHIPS_I8259_H

#include "devices/bus/bus.h"
#include "devices/bus/wires.h"

struct i8259_chip {
	uint8_t lines;      /* input levels */
	uint8_t irr, imr, isr;
	uint8_t elcr;       /* 1: level triggered */
	uint8_t icw1, icw2, icw3, icw4;
	uint8_t init_step;  /* next ICW expected: 2, 3, 4; 0: initialized */
	uint8_t lowest;     /* input with the lowest priority */
	uint8_t read_isr, poll, special_mask, rotate_on_aeoi;
	uint8_t int_out;
};

struct i8259 {
	struct irq_line out;
	struct i8259_state {
		struct i8259_chip chip[2]; /* master, slave */
	} s;
	uint64_t taken[16]; /* interrupts that were acknowledged, by input, for people to look at */
};

extern const struct device_desc i8259_desc;

/* out: the INT pin of the master. */
void i8259_init(struct i8259 *pic, struct irq_line out);
void i8259_reset(void *pic);
/* Input n, 0..15; 2 is the cascade and ignored. As irq_line.set. */
void i8259_set_irq(void *pic, unsigned n, bool level);
/*
 * As interrupt_source.acknowledge. Always yields a vector, that of input 7 of a chip which had
 * nothing any more (spurious).
 */
int i8259_acknowledge(void *pic);
/* Whether input n holds a request that it has not acknowledged; whether its mask is set. */
bool i8259_is_latched(const struct i8259 *pic, unsigned n);
bool i8259_is_masked(const struct i8259 *pic, unsigned n);
static inline bool i8259_int(const struct i8259 *pic) { return pic->s.chip[0].int_out; }

#endif
