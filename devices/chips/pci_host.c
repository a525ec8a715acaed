/* SPDX-License-Identifier: GPL-2.0-or-later */
/* i440FX: configuration ports and host bridge function. */
#include "pci_host.h"

#include <assert.h>
#include <string.h>

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BUS    0x00ff0000u
#define ADDRESS_WRITABLE 0x80fffffcu

#define PAM_FIRST 0x59
#define PAM_LAST  0x5f
#define SMRAM     0x72

/* The function and offset a data port access names, or NULL: nobody is there. */
static struct pci_function *addressed(const struct pci_host *host, uint64_t port_offset,
				      unsigned *offset)
{
	uint32_t address = host->s.address;

	*offset = (address & 0xfc) | (unsigned)(port_offset & 3);
	if (!(address & ADDRESS_ENABLE) || (address & ADDRESS_BUS))
		return NULL;
	return host->function[address >> 8 & 0xff];
}

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
	struct pci_host *host = opaque;
	uint64_t value = 0;

	if (size == 4)
		return host->s.address;
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = host->narrow_read ? host->narrow_read(host->narrow_opaque,
								     (unsigned)offset + i) :
						   0xff;

		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct pci_host *host = opaque;

	if (size == 4) {
		host->s.address = (uint32_t)value & ADDRESS_WRITABLE;
		return;
	}
	for (unsigned i = 0; i < size && host->narrow_write; i++)
		host->narrow_write(host->narrow_opaque, (unsigned)offset + i,
				   (uint8_t)(value >> (8 * i)));
}

static uint64_t data_read(void *opaque, uint64_t port_offset, unsigned size)
{
	unsigned offset;
	const struct pci_function *f = addressed(opaque, port_offset, &offset);

	return f ? pci_config_read(f, offset, size) : ~0ull;
}

static void data_write(void *opaque, uint64_t port_offset, uint64_t value, unsigned size)
{
	unsigned offset;
	struct pci_function *f = addressed(opaque, port_offset, &offset);

	if (f)
		pci_config_write(f, offset, (uint32_t)value, size);
}

static void host_reset(void *opaque)
{
	((struct pci_host *)opaque)->s.address = 0;
}

void pci_host_add(struct pci_host *host, struct pci_function *f)
{
	assert(!host->function[f->devfn] && !f->bus);
	f->bus = host->bus;
	host->function[f->devfn] = f;
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
	struct pci_host *host = opaque;

	if (offset <= PAM_LAST && offset + size > PAM_FIRST)
		signal_raise(&host->pam_changed, 0);
}

void pci_host_pam(const struct pci_host *host, uint8_t pam[PCI_HOST_PAMS])
{
	memcpy(pam, &host->bridge.config[PAM_FIRST], PCI_HOST_PAMS);
}

void pci_host_needs_firmware(struct pci_host *host)
{
	memset(&host->bridge.initial[PAM_FIRST], 0, PCI_HOST_PAMS);
	pci_function_reset(&host->bridge);
}

void pci_host_init(struct pci_host *host, struct bus *bus)
{
	static const struct pci_identity identity = { 0x8086, 0x1237, 2, 0, 0x0600 };
	struct pci_function *f = &host->bridge;

	memset(host, 0, sizeof(*host));
	host->bus = bus;
	pci_function_init(f, "i440FX", PCI_DEVFN(0, 0), &identity, host);
	f->config_written = config_written;
	pci_set16(f->initial, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* hardwired but for SERR# and parity, which have no effect here */
	pci_set16(f->writable, PCI_COMMAND, 0);
	pci_set16(f->initial, PCI_STATUS, 0x0280);
	memset(&f->writable[PAM_FIRST], 0x33, PAM_LAST - PAM_FIRST + 1);
	f->writable[PAM_FIRST] = 0x30; /* F0000h-FFFFFh only in the upper half */
	/* As firmware leaves them: reads and writes of C0000h-FFFFFh go to RAM. */
	memset(&f->initial[PAM_FIRST], 0x33, PAM_LAST - PAM_FIRST + 1);
	f->initial[PAM_FIRST] = 0x30;
	f->initial[SMRAM] = 0x02;
	f->writable[SMRAM] = 0x78;
	pci_function_reset(f);
	pci_host_add(host, f);
}

static const struct state_field state[] = {
	STATE_BITS(struct pci_host, s.address, ADDRESS_WRITABLE),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0xcf8, 4, { address_read, address_write, 1, 4 } },
	{ BUS_PIO, 0xcfc, 4, { data_read, data_write, 1, 4 } },
};

const struct device_desc pci_host_desc = {
	.name = "pci-host",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = host_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct pci_host),
};

/* The bridge's instance is its function, in the host; both tell of it. */
static void bridge_tells_pam(struct pci_function *f)
{
	config_written(f->device, PAM_FIRST, PCI_HOST_PAMS);
}

static void bridge_reset(void *opaque)
{
	pci_function_reset(opaque);
	bridge_tells_pam(opaque);
}

static const char *bridge_state_check(const void *opaque)
{
	return pci_function_config_valid(opaque) ? NULL : "config";
}

static void bridge_loaded(void *opaque)
{
	pci_function_update_bars(opaque);
	bridge_tells_pam(opaque);
}

static const struct state_field bridge_state[] = {
	STATE_ANY_ARRAY(struct pci_function, config),
	STATE_END,
};

const struct device_desc pci_bridge_desc = {
	.name = "i440FX",
	.reset = bridge_reset,
	.state = bridge_state,
	.state_version = 1,
	.size = sizeof(struct pci_function),
	.state_check = bridge_state_check,
	.loaded = bridge_loaded,
};
