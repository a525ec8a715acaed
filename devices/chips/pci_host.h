/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The i440FX host bridge (82441FX data sheet): configuration mechanism 1 at ports cf8h-cffh for bus
 * 0, and function 0:0.0. What its PAM registers say of C0000h to FFFFFh whoever has the memory is
 * told; the SMRAM register is stored and changes nothing, for there is no system management mode.
 */
#ifndef RF_DEVICES_CHIPS_PCI_HOST_H
#define RF_DEVICES_CHIPS_PCI_HOST_H

#include "devices/bus/pci.h"
#include "devices/bus/wires.h"

/* PAM registers: a nibble for each segment of memory, of which two bits count. */
#define PCI_HOST_PAMS 7
#define PAM_READ_RAM  1u /* reads see RAM; else what is on the PCI bus, ROM or nothing */
#define PAM_WRITE_RAM 2u

struct pci_host {
	struct bus *bus;
	struct signal_line pam_changed;
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

/*
 * As firmware leaves it, also after a reset: C0000h to FFFFFh are RAM. Where there is firmware to
 * set it up, it begins with all of that on the PCI bus instead.
 */
void pci_host_init(struct pci_host *host, struct bus *bus);
void pci_host_needs_firmware(struct pci_host *host);
/* PAM registers 0 to 6, at 59h to 5fh. */
void pci_host_pam(const struct pci_host *host, uint8_t pam[PCI_HOST_PAMS]);
/* Enters f at its devfn, which must be free. */
void pci_host_add(struct pci_host *host, struct pci_function *f);

#endif
