/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The i440FX host bridge (82441FX data sheet): configuration mechanism 1 at ports cf8h-cffh for bus
 * 0, and function 0:0.0 with its PAM and SMRAM registers, which are stored but change nothing:
 * below 1 MiB all is RAM.
 */
#ifndef RF_DEVICES_PCI_HOST_H
#define RF_DEVICES_PCI_HOST_H

#include "pci.h"

struct pci_host {
	struct bus *bus;
	struct pci_function bridge; /* 0:0.0 */
	struct pci_function *function[256];
	/*
	 * Byte and word accesses to cf8h-cfbh do not reach the address register: cf9h is the PIIX's
	 * reset control.
	 */
	uint8_t (*narrow_read)(void *opaque, unsigned offset);
	void (*narrow_write)(void *opaque, unsigned offset, uint8_t value);
	void *narrow_opaque;
	struct pci_host_state {
		uint32_t address;
	} s;
};

extern const struct device_desc pci_host_desc;
extern const struct device_desc pci_bridge_desc; /* instance: &host->bridge */

void pci_host_init(struct pci_host *host, struct bus *bus);
/* Enters f at its devfn, which must be free. */
void pci_host_add(struct pci_host *host, struct pci_function *f);

#endif
