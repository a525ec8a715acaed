/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PIIX3's ISA bridge (82371SB data sheet), function 0:1.0: routing of the PCI interrupts
 * PIRQA..PIRQD to ISA IRQs, and the reset control register at port cf9h.
 */
#ifndef RF_DEVICES_CHIPS_PIIX3_H
#define RF_DEVICES_CHIPS_PIIX3_H

#include "devices/bus/pci.h"
#include "devices/bus/wires.h"

#define PIIX3_NPIRQ 4

struct piix3 {
	struct pci_function function;
	/* ISA IRQ 0..15. Several PCI devices and one ISA device may share one: the board ORs. */
	struct irq_line isa_irq[16];
	struct signal_line reset;
	struct piix3_state {
		uint8_t reset_control;
		uint16_t isa_levels; /* as last reported */
		uint32_t asserted[PIIX3_NPIRQ]; /* who asserts PIRQ n: bit per PCI device number */
	} s;
};

extern const struct device_desc piix3_desc;

void piix3_init(struct piix3 *piix, const struct irq_line isa_irq[16],
		struct signal_line reset);
/* PIRQs are routed nowhere after a reset: firmware is to see to it. */
void piix3_needs_firmware(struct piix3 *piix);
/* INTA..INTD (pin 0..3) of the function at devfn. */
void piix3_set_intx(struct piix3 *piix, uint8_t devfn, unsigned pin, bool level);
/*
 * Port cf8h + offset when accessed by bytes: the reset control register is at offset 1. For struct
 * pci_host's narrow_*.
 */
uint8_t piix3_narrow_read(void *piix, unsigned offset);
void piix3_narrow_write(void *piix, unsigned offset, uint8_t value);

#endif
