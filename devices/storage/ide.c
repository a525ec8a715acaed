/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The IDE controller's PCI function, and the drives at its channels. */
#include <stdio.h>
#include <string.h>

#include "ide_internal.h"

#define BUS_MASTER_BAR  4
#define BUS_MASTER_SIZE 16
#define TIMING 0x40 /* to 43h: remembered; the ports answer whatever they say */

#define PHYSICAL_HEADS   16u
#define PHYSICAL_SECTORS 63u
#define MOST_CYLINDERS   16383u
#define BIOS_CYLINDERS   1024u

void ide_guess_geometry(uint64_t sectors, struct ide_geometry *geometry, unsigned *translation)
{
	uint64_t cylinders = sectors / (PHYSICAL_HEADS * PHYSICAL_SECTORS);

	if (cylinders > MOST_CYLINDERS)
		cylinders = MOST_CYLINDERS;
	*geometry = (struct ide_geometry){ cylinders < 2 ? 2 : (uint32_t)cylinders, PHYSICAL_HEADS,
					   PHYSICAL_SECTORS };
	*translation = cylinders > BIOS_CYLINDERS;
}

static void drive_init(struct ide_drive *d, const struct ide_drive_config *config, unsigned number)
{
	unsigned translation;

	d->kind = config->kind;
	d->block = config->block;
	snprintf(d->serial, sizeof(d->serial), "RF%05u", number + 1);
	if (d->kind == IDE_DISK)
		ide_guess_geometry(d->block->sectors, &d->geometry, &translation);
}

void ide_init(struct ide *ide, const struct ide_drive_config drives[IDE_CHANNELS * IDE_DRIVES],
	      const struct guest_memory *memory, const struct irq_line irq[IDE_CHANNELS])
{
	static const struct pci_identity identity = { 0x8086, 0x7010, 0, 0x80, 0x0101 };
	static const struct bus_ops bus_master = { bus_master_read, bus_master_write, 1, 4 };
	struct pci_function *f = &ide->function;

	memset(ide, 0, sizeof(*ide));
	pci_function_init(f, "PIIX3 IDE", PCI_DEVFN(1, 1), &identity, ide);
	pci_set16(f->writable, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	pci_set16(f->initial, PCI_STATUS, 0x0280);
	f->writable[PCI_INTERRUPT_LINE] = 0;
	memset(&f->writable[TIMING], 0xff, 4);
	pci_function_bar(f, BUS_MASTER_BAR, BUS_PIO, BUS_MASTER_SIZE, &bus_master);
	pci_function_reset(f);
	for (unsigned i = 0; i < IDE_CHANNELS; i++) {
		struct ide_channel *c = &ide->channel[i];

		c->index = i;
		c->irq = irq[i];
		c->memory = *memory;
		for (unsigned n = 0; n < IDE_DRIVES; n++)
			drive_init(&c->drive[n], &drives[IDE_DRIVES * i + n], IDE_DRIVES * i + n);
	}
}

void ide_destroy(struct ide *ide)
{
	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		ide_forget_request(&ide->channel[i]);
}

void ide_set_disc(struct ide *ide, unsigned n, struct block_device *block)
{
	struct ide_channel *c = &ide->channel[n / IDE_DRIVES];

	atapi_set_disc(c, &c->drive[n % IDE_DRIVES], block);
}

void ide_ask_to_eject(struct ide *ide, unsigned n)
{
	atapi_ask_to_eject(&ide->channel[n / IDE_DRIVES].drive[n % IDE_DRIVES]);
}

static void ide_reset(void *opaque)
{
	pci_function_reset(&((struct ide *)opaque)->function);
}

static const char *state_check(const void *opaque)
{
	const struct ide *ide = opaque;

	return pci_function_config_valid(&ide->function) ? NULL : "function.config";
}

static void loaded(void *opaque)
{
	pci_function_update_bars(&((struct ide *)opaque)->function);
}

static const struct state_field state[] = {
	STATE_ANY_ARRAY(struct ide, function.config),
	STATE_END,
};

const struct device_desc ide_desc = {
	.name = "ide",
	.reset = ide_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct ide),
	.state_check = state_check,
	.loaded = loaded,
};
