/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's way to report x87 errors (PIIX3 data sheet, "Coprocessor Error Register"; SDM vol. 1,
 * appendix D): FERR# of the CPU is latched as IRQ 13; a write to port F0h ends the interrupt and
 * asserts IGNNE#, so that the handler may use the FPU.
 */
#ifndef RF_DEVICES_FPU_ERROR_H
#define RF_DEVICES_FPU_ERROR_H

#include "bus.h"
#include "irq.h"

struct fpu_error {
	struct irq_line irq;
	void *opaque;
	/* IGNNE# is asserted; the CPU knows itself when FERR#, and so IGNNE#, goes away */
	void (*ignne)(void *opaque);
	struct fpu_error_state {
		bool latched;
	} s;
};

/* The instance needs no more than irq and the callback set. */
extern const struct device_desc fpu_error_desc;

/* The CPU asserts FERR#. */
void fpu_error_assert(struct fpu_error *port);

#endif
