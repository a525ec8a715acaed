/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PIIX4's power management function 0:1.3 (82371AB data sheet; ACPI 1.0b, 4.7): PM1 event and
 * control blocks, the PM timer, the SMI command port b2h that turns ACPI mode on and off, and
 * QEMU's general-purpose event block.
 */
#ifndef RF_DEVICES_CHIPS_PIIX4_PM_H
#define RF_DEVICES_CHIPS_PIIX4_PM_H

#include "devices/bus/clock.h"
#include "devices/bus/pci.h"
#include "devices/bus/wires.h"

#define PM_DEFAULT_BASE 0x600
#define PM_GPE0_BASE    0xafe0
#define PM_GPE0_SIZE    4
#define PM_SCI_IRQ      9
#define PM_SMI_PORT     0xb2
#define PM_ACPI_ENABLE  0xf1
#define PM_ACPI_DISABLE 0xf0
#define PM_TIMER_HZ     3579545u

struct piix4_pm {
	struct pci_function function;
	struct clock clock;
	struct clock_timer *timer;
	struct irq_line sci;
	struct bus_mapping *mapping; /* the I/O block at PMBASE, while enabled */
	struct signal_line poweroff;
	struct piix4_pm_state {
		/* halves of the PM timer's 24-bit round already accounted for */
		uint64_t seen_half;
		uint16_t status, enable, control;
		uint8_t gpe_status[PM_GPE0_SIZE / 2], gpe_enable[PM_GPE0_SIZE / 2];
		uint8_t apm_command, apm_status;
	} s;
};

extern const struct device_desc piix4_pm_desc;

/* 0 or -ENOMEM. poweroff: S5 was entered. */
int piix4_pm_init(struct piix4_pm *pm, const struct clock *clock, struct irq_line sci,
		  struct signal_line poweroff) RF_MUST_CHECK;
/*
 * The block has no base after a reset: firmware is to see to it. DEVACTB says that SMIs are set up
 * already, for there is no system management mode.
 */
void piix4_pm_needs_firmware(struct piix4_pm *pm);
void piix4_pm_destroy(struct piix4_pm *pm);
void piix4_pm_power_button(struct piix4_pm *pm);

#endif
