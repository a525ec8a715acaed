/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A UART (National PC16550D data sheet) at eight ports, in front of a character backend.
 * Sending takes no time; receiving is paced by the guest: the backend may deliver only what
 * can_receive() allows, so nothing overruns.
 */
#ifndef RF_DEVICES_CHIPS_UART16550_H
#define RF_DEVICES_CHIPS_UART16550_H

#include "devices/bus/bus.h"
#include "devices/bus/chardev.h"
#include "devices/bus/clock.h"
#include "devices/bus/wires.h"

#define UART_FIFO_SIZE 16

struct uart16550 {
	struct clock clock;
	struct irq_line irq;
	struct chardev *chardev;
	struct clock_timer *timer; /* character timeout */
	struct uart16550_state {
		uint8_t ier, fcr, lcr, mcr, msr, scr;
		uint8_t lsr;       /* only the error bits OE, PE, FE, BI: the others are computed */
		uint16_t divisor;
		uint8_t fifo[UART_FIFO_SIZE];
		uint8_t errors[UART_FIFO_SIZE]; /* PE, FE, BI of each character */
		uint8_t head, count;
		uint64_t timeout_at; /* what the timer is armed for; 0: it is not */
		uint8_t thre_pending; /* transmitter-empty interrupt waiting to be identified */
		uint8_t timeout_pending;
		uint8_t irq_level;
	} s;
};

extern const struct device_desc uart16550_desc;

/* chardev may be NULL: what is sent is lost. 0 or -ENOMEM. */
int uart16550_init(struct uart16550 *uart, const struct clock *clock, struct irq_line irq,
		   struct chardev *chardev) RF_MUST_CHECK;
void uart16550_destroy(struct uart16550 *uart);

#endif
