/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ide_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ide_fixture x;

static void disk_submit(struct block_device *device, struct block_request *r)
{
	struct memory_disk *disk = (struct memory_disk *)device;

	cr_assert_null(disk->pending, "one request at a time");
	cr_assert(r->kind == BLOCK_FLUSH ||
		  (r->count && r->sector < device->sectors &&
		   r->count <= device->sectors - r->sector));
	disk->pending = r;
	disk->requests++;
}

static void disk_cancel(struct block_device *device, struct block_request *r)
{
	struct memory_disk *disk = (struct memory_disk *)device;

	cr_assert_eq(disk->pending, r);
	disk->pending = NULL;
	disk->cancels++;
}

static const struct block_ops disk_ops = { disk_submit, disk_cancel };

static void disk_make(struct memory_disk *disk, uint64_t sectors, bool read_only)
{
	disk->device = (struct block_device){ &disk_ops, sectors, read_only };
	disk->bytes = malloc(sectors * BLOCK_SECTOR);
	for (uint64_t i = 0; i < sectors * BLOCK_SECTOR; i++)
		disk->bytes[i] = (uint8_t)(i / BLOCK_SECTOR + i * 7);
}

static void carry_out(struct memory_disk *disk, const struct block_request *r)
{
	uint8_t *at = disk->bytes + r->sector * BLOCK_SECTOR;

	if (r->kind == BLOCK_READ)
		memcpy(r->buffer, at, (size_t)r->count * BLOCK_SECTOR);
	else if (r->kind == BLOCK_WRITE)
		memcpy(at, r->buffer, (size_t)r->count * BLOCK_SECTOR);
	else
		disk->flushes++;
}

static bool settle_one(struct memory_disk *disk)
{
	struct block_request *r = disk->pending;

	if (!r)
		return false;
	disk->pending = NULL;
	if (!disk->fail)
		carry_out(disk, r);
	r->done(r->opaque, r, disk->fail);
	return true;
}

void ide_settle(void)
{
	while (settle_one(&x.disk) || settle_one(&x.cd) || settle_one(&x.second))
		;
}

static int ram_read(void *opaque, gpa_t gpa, void *buf, size_t len)
{
	if (gpa.v > IDE_RAM || len > IDE_RAM - gpa.v)
		return -EFAULT;
	memcpy(buf, x.ram + gpa.v, len);
	return 0;
}

static int ram_write(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	if (gpa.v > IDE_RAM || len > IDE_RAM - gpa.v)
		return -EFAULT;
	memcpy(x.ram + gpa.v, buf, len);
	return 0;
}

static void on_irq(void *opaque, unsigned n, bool level) { x.irq[n] = level; }

void ide_setup(void)
{
	const struct irq_line irq[2] = { { on_irq, NULL, 0 }, { on_irq, NULL, 1 } };
	const struct guest_memory memory = { ram_read, ram_write, NULL };
	struct error error = { 0 };

	memset(&x, 0, sizeof(x));
	disk_make(&x.disk, DISK_SECTORS, false);
	disk_make(&x.cd, CD_SECTORS_512, true);
	disk_make(&x.second, 64, true);
	const struct ide_drive_config drives[4] = {
		{ IDE_DISK, &x.disk.device }, { IDE_CD, &x.cd.device },
		{ IDE_DISK, &x.second.device }, { IDE_NONE, NULL },
	};
	cr_assert_eq(bus_create(&x.bus), 0);
	ide_init(&x.ide, drives, &memory, irq);
	cr_assert_eq(bus_attach(x.bus, &ide_desc, &x.ide, 0, &error), 0, "%s", error.text);
	cr_assert_eq(bus_attach(x.bus, &ide_channel_desc, &x.ide.channel[0], 0x1f0, &error), 0);
	cr_assert_eq(bus_attach(x.bus, &ide_channel_desc, &x.ide.channel[1], 0x170, &error), 0);
	bus_reset_all(x.bus);
	x.ide.function.bus = x.bus;
	pci_config_write(&x.ide.function, PCI_BAR0 + 16, 0xc001, 4);
	pci_config_write(&x.ide.function, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
}

void ide_teardown(void)
{
	ide_destroy(&x.ide);
	bus_destroy(x.bus);
	free(x.disk.bytes);
	free(x.cd.bytes);
	free(x.second.bytes);
}

void ide_command28(unsigned drive, uint8_t command, uint32_t sector, uint8_t count)
{
	ide_out(6, (uint8_t)(0xe0 | drive << 4 | (sector >> 24 & 15)));
	ide_out(2, count);
	ide_out(3, (uint8_t)sector);
	ide_out(4, (uint8_t)(sector >> 8));
	ide_out(5, (uint8_t)(sector >> 16));
	ide_out(7, command);
}

void ide_command48(unsigned drive, uint8_t command, uint64_t sector, uint16_t count)
{
	ide_out(6, (uint8_t)(0x40 | drive << 4));
	ide_out(2, (uint8_t)(count >> 8));
	ide_out(3, (uint8_t)(sector >> 24));
	ide_out(4, (uint8_t)(sector >> 32));
	ide_out(5, (uint8_t)(sector >> 40));
	ide_out(2, (uint8_t)count);
	ide_out(3, (uint8_t)sector);
	ide_out(4, (uint8_t)(sector >> 8));
	ide_out(5, (uint8_t)(sector >> 16));
	ide_out(7, command);
}
