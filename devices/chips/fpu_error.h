/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's way to report x87 errors (PIIX3 data sheet, "Coprocessor Error Register"; SDM vol. 1,
 * appendix D): FERR# of the CPU is latched as IRQ 13; a write to port F0h ends the interrupt and
 * asserts IGNNE#, so that the handler may use the FPU.
 */
#ifndef RF_DEVICES_CHIPS_FPU_ERROR_H
#define RF_DEVICES_CHIPS_FPU_ERROR_H

#include "devices/bus/bus.h"
#include "devices/bus/wires.h"

struct fpu_error {
	struct irq_line irq;
	/* IGNNE# is asserted; the CPU knows itself when FERR#, and so IGNNE#, goes away */
	struct signal_line ignne;
	struct fpu_error_state {
		bool latched;
	} s;
};

/* The instance needs no more than its wires set. */
extern const struct device_desc fpu_error_desc;

/* The CPU asserts FERR#. As signal_line.raise. */
void fpu_error_assert(void *port, unsigned n, uint32_t value);

#endif
