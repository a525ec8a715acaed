/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions as devices implement them: 256 bytes of configuration space with masks that say
 * what software may write, and base address registers that are mapped on the VM's bus while the
 * command register enables them (PCI Local Bus Specification 3.0, chapter 6).
 */
#ifndef RF_DEVICES_BUS_PCI_H
#define RF_DEVICES_BUS_PCI_H

#include "bus.h"

#define PCI_CONFIG_SIZE 256
#define PCI_NBARS 6
#define PCI_DEVFN(device, function) ((uint8_t)((device) << 3 | (function)))

enum {
	PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, PCI_PROGRAMMING_INTERFACE = 0x09, PCI_CLASS = 0x0a, PCI_LATENCY = 0x0d,
	PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e, PCI_ROM = 0x30, PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
};

#define PCI_COMMAND_IO     0x0001
#define PCI_COMMAND_MEMORY 0x0002
#define PCI_COMMAND_MASTER 0x0004
#define PCI_COMMAND_NO_INTX 0x0400
#define PCI_HEADER_MULTIFUNCTION 0x80

struct pci_bar {
	uint32_t size; /* a power of two; 0: not implemented */
	struct bus_ops ops;
	enum bus_space space;
	struct bus_mapping *mapping; /* while decoded, unless it would hide another device */
};

/* The expansion ROM: decoded while its own enable bit and that for memory are set. */
struct pci_rom {
	const uint8_t *image; /* size bytes, the device's; NULL: none */
	uint32_t size;        /* a power of two, 2 KiB or more */
	struct bus_mapping *mapping;
};

struct pci_function {
	const char *name;
	uint8_t devfn;
	struct bus *bus; /* set by pci_host_add() */
	void *device;    /* argument of the BARs' handlers and of config_written */
	/*
	 * Software wrote [offset, offset + size) of the configuration space; already stored, BARs
	 * already moved. May be NULL.
	 */
	void (*config_written)(void *device, unsigned offset, unsigned size);
	struct pci_bar bar[PCI_NBARS];
	struct pci_rom rom;
	uint8_t writable[PCI_CONFIG_SIZE];      /* bits software may change */
	uint8_t clear_by_one[PCI_CONFIG_SIZE];  /* bits software clears by writing ones */
	uint8_t initial[PCI_CONFIG_SIZE];       /* state after reset */
	uint8_t config[PCI_CONFIG_SIZE];
};

struct pci_identity {
	uint16_t vendor, device;
	uint8_t revision, programming_interface;
	uint16_t class; /* base class and subclass */
};

/*
 * A function without BARs: identity in place, command register writable for I/O, memory and bus
 * master.
 */
void pci_function_init(struct pci_function *f, const char *name, uint8_t devfn,
		       const struct pci_identity *identity, void *device);
/* Declares BAR n (before pci_host_add()). */
void pci_function_bar(struct pci_function *f, unsigned n, enum bus_space space, uint32_t size,
		      const struct bus_ops *ops);
/* Gives it an expansion ROM (before pci_host_add()), which must outlive it. */
void pci_function_rom(struct pci_function *f, const uint8_t *image, uint32_t size);
void pci_function_reset(struct pci_function *f);
/* Whether config[], loaded from a file, is as software could have made it. */
bool pci_function_config_valid(const struct pci_function *f);
/* Maps and unmaps BARs according to config[] (after it was loaded). */
void pci_function_update_bars(struct pci_function *f);

uint32_t pci_config_read(const struct pci_function *f, unsigned offset, unsigned size);
void pci_config_write(struct pci_function *f, unsigned offset, uint32_t value, unsigned size);

static inline void pci_set16(uint8_t *space, unsigned offset, uint16_t value)
{
	space[offset] = (uint8_t)value;
	space[offset + 1] = (uint8_t)(value >> 8);
}

static inline void pci_set32(uint8_t *space, unsigned offset, uint32_t value)
{
	pci_set16(space, offset, (uint16_t)value);
	pci_set16(space, offset + 2, (uint16_t)(value >> 16));
}

static inline uint32_t pci_get32(const uint8_t *space, unsigned offset)
{
	return space[offset] | space[offset + 1] << 8 | space[offset + 2] << 16 |
	       (uint32_t)space[offset + 3] << 24;
}

#endif
