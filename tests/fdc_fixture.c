/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fdc_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fdc_fixture x;

static void disk_submit(struct block_device *device, struct block_request *r)
{
	struct memory_floppy *disk = (struct memory_floppy *)device;

	cr_assert_null(disk->pending, "one request at a time");
	cr_assert(r->kind == BLOCK_FLUSH ||
		  (r->count && r->sector < device->sectors &&
		   r->count <= device->sectors - r->sector));
	disk->pending = r;
}

static void disk_cancel(struct block_device *device, struct block_request *r)
{
	struct memory_floppy *disk = (struct memory_floppy *)device;

	cr_assert_eq(disk->pending, r);
	disk->pending = NULL;
	disk->cancels++;
}

static const struct block_ops disk_ops = { disk_submit, disk_cancel };

void floppy_make(struct memory_floppy *disk, uint64_t sectors, bool read_only)
{
	disk->device = (struct block_device){ &disk_ops, sectors, read_only };
	disk->bytes = malloc(sectors * BLOCK_SECTOR);
	for (uint64_t i = 0; i < sectors * BLOCK_SECTOR; i++)
		disk->bytes[i] = (uint8_t)(i / BLOCK_SECTOR * 3 + i * 7);
}

static int carry_out(struct memory_floppy *disk, const struct block_request *r)
{
	uint8_t *at = disk->bytes + r->sector * BLOCK_SECTOR;

	if (r->kind == BLOCK_READ) {
		memcpy(r->buffer, at, (size_t)r->count * BLOCK_SECTOR);
	} else if (r->kind == BLOCK_WRITE) {
		if (disk->device.read_only)
			return -EROFS;
		memcpy(at, r->buffer, (size_t)r->count * BLOCK_SECTOR);
		disk->writes++;
	} else {
		disk->flushes++;
	}
	return 0;
}

static bool settle_one(struct memory_floppy *disk)
{
	struct block_request *r = disk->pending;

	if (!r)
		return false;
	disk->pending = NULL;
	r->done(r->opaque, r, disk->fail ? disk->fail : carry_out(disk, r));
	return true;
}

void fdc_settle(void)
{
	for (;;) {
		const uint64_t next = fake_clock_next(&x.time);

		if (settle_one(&x.disk) || settle_one(&x.second))
			continue;
		if (next == UINT64_MAX)
			return;
		fake_clock_advance(&x.time, next > x.time.now ? next - x.time.now : 0);
	}
}

static int ram_read(void *opaque, gpa_t gpa, void *buf, size_t len)
{
	if (gpa.v > FDC_RAM || len > FDC_RAM - gpa.v)
		return -EFAULT;
	memcpy(buf, x.ram + gpa.v, len);
	return 0;
}

static int ram_write(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	if (gpa.v > FDC_RAM || len > FDC_RAM - gpa.v)
		return -EFAULT;
	memcpy(x.ram + gpa.v, buf, len);
	return 0;
}

static void on_irq(void *opaque, unsigned n, bool level)
{
	x.edges += level && !x.irq;
	x.irq = level;
}

static void start(void)
{
	fdc_out(2, 0x3c);
	fdc_settle();
	for (unsigned i = 0; i < 4; i++) {
		COMMAND(0x08);
		cr_assert_eq(fdc_result_take(), 2);
	}
	fdc_out(7, 0);           /* 500 kbit/s */
	COMMAND(0x03, 0xaf, 0x02); /* SPECIFY, with DMA */
	bus_pio_write(x.bus, 0xd6, 0xc0, 1);
	bus_pio_write(x.bus, 0xd4, 0, 1);
}

void fdc_setup(void)
{
	const struct guest_memory memory = { ram_read, ram_write, NULL };
	struct clock clock;

	memset(&x, 0, sizeof(x));
	x.time.now = 1000000000;
	clock = fake_clock_interface(&x.time);
	floppy_make(&x.disk, 2880, false);
	floppy_make(&x.second, 720, true);
	const struct floppy_drive_config drives[2] = { { FLOPPY_1440K, &x.disk.device },
						       { FLOPPY_360K, &x.second.device } };
	cr_assert_eq(bus_create(&x.bus), 0);
	i8237_init(&x.dma, &memory);
	cr_assert_eq(fdc_init(&x.fdc, &clock, (struct irq_line){ on_irq, NULL, 0 },
			      i8237_connect(&x.dma, 2,
					    (struct signal_line){ fdc_served, &x.fdc, 0 }),
			      drives), 0);
	cr_assert_eq(bus_attach(x.bus, &i8237_desc, &x.dma, 0, NULL), 0);
	cr_assert_eq(bus_attach(x.bus, &fdc_desc, &x.fdc, FDC_PORTS, NULL), 0);
	bus_reset_all(x.bus);
	start();
}

void fdc_teardown(void)
{
	fdc_destroy(&x.fdc);
	bus_destroy(x.bus);
	free(x.disk.bytes);
	free(x.second.bytes);
}

void fdc_command(const uint8_t *bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		cr_assert_eq(MSR & 0xd0, i ? 0x90 : 0x80, "byte %u: %02x", i, MSR);
		fdc_out(5, bytes[i]);
	}
}

unsigned fdc_result_take(void)
{
	unsigned n = 0;

	for (; (MSR & 0xd0) == 0xd0; n++) {
		cr_assert_lt(n, sizeof(x.result));
		x.result[n] = fdc_in_reg(5);
	}
	cr_assert_eq(MSR & 0xf0, 0x80);
	return n;
}

void fdc_dma(bool to_memory, unsigned bytes)
{
	bus_pio_write(x.bus, 0x0a, 0x06, 1);
	bus_pio_write(x.bus, 0x0c, 0, 1);
	bus_pio_write(x.bus, 0x0b, to_memory ? 0x46 : 0x4a, 1);
	bus_pio_write(x.bus, 0x04, 0, 1);
	bus_pio_write(x.bus, 0x04, 0, 1);
	bus_pio_write(x.bus, 0x05, (uint8_t)(bytes - 1), 1);
	bus_pio_write(x.bus, 0x05, (uint8_t)((bytes - 1) >> 8), 1);
	bus_pio_write(x.bus, 0x81, FDC_BUFFER >> 16, 1);
	bus_pio_write(x.bus, 0x0a, 0x02, 1);
}

void fdc_seek(unsigned unit, uint8_t track)
{
	COMMAND(0x0f, (uint8_t)unit, track);
	fdc_settle();
	COMMAND(0x08);
	cr_assert_eq(fdc_result_take(), 2);
	cr_assert_eq(x.result[0], 0x20 | unit);
	cr_assert_eq(x.result[1], track);
}
