/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions: configuration accesses and BAR mapping. */
#include "pci.h"

#include <assert.h>
#include <string.h>

void pci_function_init(struct pci_function *f, const char *name, uint8_t devfn,
		       const struct pci_identity *identity, void *device)
{
	memset(f, 0, sizeof(*f));
	f->name = name;
	f->devfn = devfn;
	f->device = device;
	pci_set16(f->initial, PCI_VENDOR_ID, identity->vendor);
	pci_set16(f->initial, PCI_DEVICE_ID, identity->device);
	f->initial[PCI_REVISION] = identity->revision;
	f->initial[PCI_PROGRAMMING_INTERFACE] = identity->programming_interface;
	pci_set16(f->initial, PCI_CLASS, identity->class);
	pci_set16(f->initial, PCI_SUBSYSTEM_VENDOR_ID, 0x1af4);
	pci_set16(f->initial, PCI_SUBSYSTEM_ID, 0x1100);
	pci_set16(f->writable, PCI_COMMAND,
		  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	f->writable[PCI_LATENCY] = 0xff;
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
	memcpy(f->config, f->initial, sizeof(f->config));
}

void pci_function_bar(struct pci_function *f, unsigned n, enum bus_space space, uint32_t size,
		      const struct bus_ops *ops)
{
	unsigned at = PCI_BAR0 + 4 * n;

	assert(n < PCI_NBARS && size && !(size & (size - 1)) && !f->bus);
	f->bar[n] = (struct pci_bar){ .size = size, .ops = *ops, .space = space };
	pci_set32(f->writable, at, ~(size - 1));
	f->initial[at] = f->config[at] = space == BUS_PIO ? 1 : 0;
}

#define ROM_ENABLE 1u

void pci_function_rom(struct pci_function *f, const uint8_t *image, uint32_t size)
{
	assert(size >= 2048 && !(size & (size - 1)) && !f->bus);
	f->rom = (struct pci_rom){ .image = image, .size = size };
	pci_set32(f->writable, PCI_ROM, ~(size - 1) | ROM_ENABLE);
}

static uint64_t rom_read(void *opaque, uint64_t offset, unsigned size)
{
	const struct pci_rom *rom = opaque;
	uint64_t value = 0;

	memcpy(&value, rom->image + offset, size);
	return value;
}

static void rom_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static void unmap(struct pci_function *f, struct bus_mapping **mapping)
{
	if (*mapping)
		bus_unmap(f->bus, *mapping);
	*mapping = NULL;
}

static void map_rom(struct pci_function *f)
{
	const uint32_t value = pci_get32(f->config, PCI_ROM), base = value & ~(f->rom.size - 1);
	const struct bus_range range = { BUS_MMIO, base, f->rom.size,
					 { rom_read, rom_write, 1, 8 } };

	if (!f->rom.image || !(value & ROM_ENABLE) || !base || base == ~(f->rom.size - 1))
		return;
	if (bus_map(f->bus, f->name, &range, &f->rom, &f->rom.mapping, NULL))
		f->rom.mapping = NULL; /* as with BARs */
}

void pci_function_update_bars(struct pci_function *f)
{
	uint16_t command = (uint16_t)pci_get32(f->config, PCI_COMMAND);

	for (unsigned i = 0; i < PCI_NBARS; i++)
		unmap(f, &f->bar[i].mapping);
	unmap(f, &f->rom.mapping);
	for (unsigned i = 0; i < PCI_NBARS; i++) {
		struct pci_bar *bar = &f->bar[i];
		uint32_t base = pci_get32(f->config, PCI_BAR0 + 4 * i) & ~(bar->size - 1);
		const struct bus_range range = { bar->space, base, bar->size, bar->ops };
		uint16_t enable = bar->space == BUS_PIO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;

		/* All ones and zero are what sizing leaves behind, never a place to answer at. */
		if (!bar->size || !f->bus || !(command & enable) || !base ||
		    base == ~(bar->size - 1))
			continue;
		/*
		 * Where it would hide another device that one goes on answering: software put it
		 * there.
		 */
		if (bus_map(f->bus, f->name, &range, f->device, &bar->mapping, NULL))
			bar->mapping = NULL;
	}
	if (f->bus && (command & PCI_COMMAND_MEMORY))
		map_rom(f);
}

bool pci_function_config_valid(const struct pci_function *f)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		if ((f->config[i] ^ f->initial[i]) & ~(f->writable[i] | f->clear_by_one[i]))
			return false;
	return true;
}

void pci_function_reset(struct pci_function *f)
{
	memcpy(f->config, f->initial, sizeof(f->config));
	pci_function_update_bars(f);
}

uint32_t pci_config_read(const struct pci_function *f, unsigned offset, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)f->config[(offset + i) % PCI_CONFIG_SIZE] << (8 * i);
	return value;
}

static bool touches(unsigned offset, unsigned size, unsigned first, unsigned last)
{
	return offset <= last && offset + size > first;
}

void pci_config_write(struct pci_function *f, unsigned offset, uint32_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++) {
		unsigned at = (offset + i) % PCI_CONFIG_SIZE;
		uint8_t byte = (uint8_t)(value >> (8 * i)), mask = f->writable[at];

		f->config[at] = (f->config[at] & ~mask & ~(byte & f->clear_by_one[at])) |
				(byte & mask);
	}
	if (touches(offset, size, PCI_COMMAND, PCI_COMMAND + 1) ||
	    touches(offset, size, PCI_BAR0, PCI_BAR0 + 4 * PCI_NBARS - 1) ||
	    touches(offset, size, PCI_ROM, PCI_ROM + 3))
		pci_function_update_bars(f);
	if (f->config_written)
		f->config_written(f->device, offset, size);
}
