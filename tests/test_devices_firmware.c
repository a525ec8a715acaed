/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What firmware finds on the board: fw_cfg and its items, setup's bytes, chips after power-on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board_fixture.h"
#include "devices/firmware/fw_cfg.h"
#include "devices/firmware/smbios.h"

static struct pc_boot boot;
static unsigned map_changes;

static void on_memory_map(void *opaque, unsigned n, uint32_t value) { map_changes++; }

/* A board with firmware in place of the fixture's. */
static void setup(void)
{
	struct error error = { 0 };

	board_setup();
	pc_board_destroy(b.board);
	boot = (struct pc_boot){ .order = "dca", .once = "c", .retry_ms = -1, .menu = true,
				 .menu_wait_ms = 3000,
				 .uuid = { 0x55, 0x0e, 0x84, 0, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16,
					   0x44, 0x66, 0x55, 0x44, 1, 2 } };
	map_changes = 0;
	b.config.boot = &boot;
	b.config.memory_map = (struct signal_line){ .raise = on_memory_map };
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
}

TestSuite(firmware, .init = setup, .fini = board_teardown);

static void select_key(uint16_t key) { bus_pio_write(b.bus, 0x510, key, 2); }

static uint64_t item_number(uint16_t key, unsigned size)
{
	uint64_t value = 0;

	select_key(key);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)in(0x511) << 8 * i;
	return value;
}

static uint64_t big(const uint8_t *p, unsigned size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | *p++;
	return value;
}

/* The file's key; 0: it is not in the directory. */
static uint16_t find(const char *name, uint32_t *size)
{
	uint8_t count[4], entry[64];

	select_key(FW_CFG_FILE_DIR);
	for (unsigned i = 0; i < 4; i++)
		count[i] = in(0x511);
	for (unsigned left = (unsigned)big(count, 4); left; left--) {
		for (unsigned i = 0; i < sizeof(entry); i++)
			entry[i] = in(0x511);
		if (strcmp((char *)entry + 8, name))
			continue;
		*size = (uint32_t)big(entry, 4);
		return (uint16_t)big(entry + 4, 2);
	}
	return 0;
}

/* malloc'd. */
static uint8_t *file(const char *name, uint32_t *size)
{
	uint16_t key = find(name, size);
	uint8_t *bytes;

	cr_assert(key >= FW_CFG_FILE_FIRST, "%s", name);
	bytes = malloc(*size);
	select_key(key);
	for (uint32_t i = 0; i < *size; i++)
		bytes[i] = in(0x511);
	return bytes;
}

#define REQUEST 0x1000u /* where DMA requests are put */

/* The control word afterwards. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
	const uint8_t request[16] = {
		control >> 24, control >> 16, control >> 8, control, length >> 24, length >> 16,
		length >> 8, length, address >> 56, address >> 48, address >> 40, address >> 32,
		address >> 24, address >> 16, address >> 8, address,
	};

	memcpy(b.ram + REQUEST, request, sizeof(request));
	bus_pio_write(b.bus, 0x514, 0, 4);
	bus_pio_write(b.bus, 0x518, __builtin_bswap32(REQUEST), 4);
	return (uint32_t)big(b.ram + REQUEST, 4);
}

Test(firmware, items)
{
	cr_expect_eq(item_number(FW_CFG_SIGNATURE, 4), 0x554d4551u, "QEMU");
	cr_expect_eq(item_number(FW_CFG_ID, 4), 3);
	cr_expect_eq(item_number(FW_CFG_RAM_SIZE, 8), RAM_SIZE);
	cr_expect_eq(item_number(FW_CFG_NB_CPUS, 2), 1);
	cr_expect_eq(item_number(FW_CFG_BOOT_MENU, 2), 1);
	cr_expect_eq(item_number(FW_CFG_NOGRAPHIC, 2), 0);
	cr_expect_eq(item_number(0x7777, 8), 0, "what is not there is zeros");
	cr_expect_eq(item_number(FW_CFG_NB_CPUS, 8), 1, "and what is after the end");
}

Test(firmware, a_select_of_one_byte_is_none)
{
	select_key(FW_CFG_SIGNATURE);
	out(0x510, FW_CFG_ID);
	out(0x511, FW_CFG_ID);
	cr_expect_eq(in(0x511), 'Q');
}

Test(firmware, dma)
{
	const uint8_t ones[16] = { [0 ... 15] = 0xff };

	cr_expect_eq(bus_pio_read(b.bus, 0x514, 4), 0x554d4551u);
	cr_expect_eq(bus_pio_read(b.bus, 0x518, 4), 0x47464320u);
	memcpy(b.ram + 0x2000, ones, 16);
	cr_expect_eq(dma(0x0000000a, 4, 0x2000), 0, "select item 0 and read");
	cr_expect_arr_eq(b.ram + 0x2000, "QEMU\xff", 5);
	/* On from there, beyond the end: zeros. */
	cr_expect_eq(dma(2, 2, 0x2004), 0);
	cr_expect_arr_eq(b.ram + 0x2000, "QEMU\0\0\xff", 7);
	cr_expect_eq(dma(8 | 4, 2, 0), 0, "select and skip");
	cr_expect_eq(dma(2, 2, 0x2000), 0);
	cr_expect_arr_eq(b.ram + 0x2000, "MUMU", 4);
}

Test(firmware, dma_that_goes_wrong)
{
	cr_expect_eq(dma(0xa, 16, RAM_SIZE - 2), 1, "the answer does not fit");
	cr_expect_eq(dma(0xa, 4, UINT64_MAX - 1), 1);
	cr_expect_eq(dma(2, UINT32_MAX, 0), 1);
	cr_expect_eq(dma(8 | 0x10, 4, 0x2000), 1, "there is nothing to write");
	cr_expect_eq(dma(4, UINT32_MAX, 0), 0);
	cr_expect_eq(dma(4, UINT32_MAX, 0), 0, "the offset does not wrap");
	cr_expect_eq(in(0x511), 0);
	/* Requests that cannot be read: nothing happens. */
	bus_pio_write(b.bus, 0x514, 0xffffffff, 4);
	bus_pio_write(b.bus, 0x518, 0xffffffff, 4);
	bus_pio_write(b.bus, 0x518, __builtin_bswap32(RAM_SIZE - 8), 4);
	cr_expect_eq(item_number(FW_CFG_SIGNATURE, 4), 0x554d4551u);
}

Test(firmware, any_programming_is_survived)
{
	unsigned seed = 1;

	for (unsigned i = 0; i < 50000; i++) {
		uint16_t port = (uint16_t)(0x510 + rand_r(&seed) % 12);
		unsigned size = 1u << rand_r(&seed) % 3;

		/* Few addresses, so that requests are found there. */
		if (rand_r(&seed) % 2)
			bus_pio_write(b.bus, port, (uint32_t)rand_r(&seed) & 0x00ff3f7f, size);
		else
			bus_pio_read(b.bus, port, size);
		if (i % 16 == 0)
			b.ram[(unsigned)rand_r(&seed) % RAM_SIZE] = (uint8_t)rand_r(&seed);
	}
	cr_expect_eq(item_number(FW_CFG_ID, 4), 3);
}

/* What setup left, until the machine is reset, and then. */
static uint8_t cmos(uint8_t at)
{
	out(0x70, at);
	return in(0x71);
}

Test(firmware, boot_order)
{
	uint8_t byte38, byte3d;

	cr_expect_eq(cmos(0x3d), 0x02, "once");
	cr_expect_eq(cmos(0x38), 0x00);
	pc_board_reset(b.board);
	cr_expect_eq(cmos(0x3d), 0x23);
	cr_expect_eq(cmos(0x38), 0x10);
	boot.no_floppy_check = true;
	pc_board_reset(b.board);
	cr_expect_eq(cmos(0x38), 0x11);
	boot.no_floppy_check = false;
	pc_firmware_boot_order("nbd", &byte38, &byte3d);
	cr_expect_eq(byte3d, 0x14);
	cr_expect_eq(byte38, 0x30);
}

/* Two bits a disk of how its geometry is translated: not at all, or, beyond 1024 cylinders, LBA. */
Test(firmware, disks_in_the_cmos)
{
	static const uint64_t edge = 1025ull * 16 * 63;
	struct block_device small = { .sectors = edge - 1 }, large = { .sectors = edge };
	struct error error = { 0 };

	for (unsigned n = 0; n < 4; n++) {
		pc_board_destroy(b.board);
		memset(b.config.ide, 0, sizeof(b.config.ide));
		for (unsigned i = 0; i < 4; i++) {
			b.config.ide[i].kind = IDE_DISK;
			b.config.ide[i].block = i == n ? &large : &small;
		}
		cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
		cr_expect_eq(cmos(0x39), 1 << 2 * n, "%u", n);
		cr_expect_eq(cmos(0x12), 0xff, "of the type that is said elsewhere");
	}
	for (unsigned n = 0; n < 4; n++) {
		pc_board_destroy(b.board);
		memset(b.config.ide, 0, sizeof(b.config.ide));
		b.config.ide[n].kind = IDE_DISK;
		b.config.ide[n].block = &small;
		cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
		cr_expect_eq(cmos(0x39), 0, "%u", n);
		cr_expect_eq(cmos(0x12), n == 0 ? 0xf0 : n == 1 ? 0x0f : 0, "%u", n);
	}
}

Test(firmware, memory_in_the_cmos)
{
	cr_expect_eq(cmos(0x15) | cmos(0x16) << 8, 640);
	cr_expect_eq(cmos(0x30) | cmos(0x31) << 8, 31 * 1024);
	cr_expect_eq(cmos(0x34) | cmos(0x35) << 8, 256, "64 KiB above 16 MiB");
	cr_expect_eq(cmos(0x5b) | cmos(0x5c) | cmos(0x5d), 0, "nothing above 4 GiB");
}

Test(firmware, small_files)
{
	uint32_t size;
	uint8_t *e820 = file("etc/e820", &size);

	cr_assert_eq(size, 20);
	cr_expect_eq(state_get64(e820), 0);
	cr_expect_eq(state_get64(e820 + 8), RAM_SIZE);
	cr_expect_eq(state_get32(e820 + 16), 1);
	free(e820);
	e820 = file("etc/boot-menu-wait", &size);
	cr_expect_eq(size, 2);
	cr_expect_eq(e820[0] | e820[1] << 8, 3000);
	free(e820);
	e820 = file("etc/boot-fail-wait", &size);
	cr_expect_eq(state_get32(e820), UINT32_MAX);
	free(e820);
	cr_expect_eq(find("etc/nosuch", &size), 0);
}

/* Tables, placed as the firmware would by the list of commands. */

struct placed {
	uint8_t *bytes;
	uint32_t size, address;
};

static struct placed *placed(struct placed files[2], const char *name)
{
	cr_assert(!strcmp(name, "etc/acpi/tables") || !strcmp(name, "etc/acpi/rsdp"), "%s", name);
	return &files[!strcmp(name, "etc/acpi/rsdp")];
}

static void execute(struct placed files[2], const uint8_t *command)
{
	struct placed *at = placed(files, (const char *)command + 4), *target;
	const uint32_t offset = state_get32(command + 60);
	uint32_t start, length;

	switch (state_get32(command)) {
	case 1:
		at->bytes = file((const char *)command + 4, &at->size);
		at->address = at == files ? 0x1fe0040 : 0xf5000;
		cr_expect_eq(at->address % offset, 0, "the alignment");
		cr_expect_eq(command[64], at == files ? 1 : 2);
		return;
	case 2:
		target = placed(files, (const char *)command + 60);
		start = state_get32(command + 116);
		cr_assert_eq(command[120], 4);
		state_put32(at->bytes + start, state_get32(at->bytes + start) + target->address);
		return;
	case 3:
		start = state_get32(command + 64);
		length = state_get32(command + 68);
		cr_assert_leq(start + length, at->size);
		at->bytes[offset] = 0;
		at->bytes[offset] = acpi_checksum(at->bytes + start, length);
		return;
	default:
		cr_assert_fail("command %u", state_get32(command));
	}
}

/* A table at its address, its signature and its sum checked. */
static const uint8_t *table(const struct placed *tables, uint32_t address, const char *signature)
{
	const uint8_t *bytes = tables->bytes + (address - tables->address);

	cr_assert_lt(address - tables->address, tables->size, "%s", signature);
	cr_assert_arr_eq(bytes, signature, 4, "%s", signature);
	cr_assert_eq(address % 64, 0);
	if (strcmp(signature, "FACS"))
		cr_expect_eq(acpi_checksum(bytes, state_get32(bytes + 4)), 0, "%s", signature);
	return bytes;
}

Test(firmware, acpi_tables)
{
	struct placed files[2] = { 0 };
	const uint8_t *rsdt, *fadt;
	uint32_t size;
	uint8_t *commands = file("etc/table-loader", &size);

	cr_assert_eq(size % 128, 0);
	for (uint32_t i = 0; i < size; i += 128)
		execute(files, commands + i);
	cr_assert_eq(files[1].size, 20);
	cr_expect_arr_eq(files[1].bytes, "RSD PTR ", 8);
	cr_expect_eq(acpi_checksum(files[1].bytes, 20), 0);
	rsdt = table(files, state_get32(files[1].bytes + 16), "RSDT");
	fadt = table(files, state_get32(rsdt + 36), "FACP");
	table(files, state_get32(rsdt + 40), "APIC");
	table(files, state_get32(fadt + 36), "FACS");
	table(files, state_get32(fadt + 40), "DSDT");
	free(commands);
	free(files[0].bytes);
	free(files[1].bytes);
}

Test(firmware, smbios)
{
	static const uint8_t order[] = { 1, 3, 4, 16, 17, 19, 32, 127 };
	uint32_t size, anchor_size, at = 0;
	uint8_t *tables = file("etc/smbios/smbios-tables", &size),
		*anchor = file("etc/smbios/smbios-anchor", &anchor_size);

	static const uint8_t uuid[16] = { 0, 0x84, 0x0e, 0x55, 0x9b, 0xe2, 0xd4, 0x41, 0xa7, 0x16,
		0x44, 0x66, 0x55, 0x44, 1, 2 }; /* SMBIOS 2.8, 7.2.1 */

	cr_expect_arr_eq(tables + 8, uuid, 16);
	cr_assert_eq(anchor_size, SMBIOS_ANCHOR_SIZE);
	cr_expect_eq(acpi_checksum(anchor, 31), 0);
	cr_expect_eq(acpi_checksum(anchor + 16, 15), 0);
	cr_expect_eq(anchor[22] | anchor[23] << 8, size);
	cr_expect_eq(anchor[28], RF_ARRAY_SIZE(order));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(order); i++) {
		cr_assert_lt(at + 4, size);
		cr_expect_eq(tables[at], order[i]);
		at += tables[at + 1];
		while (tables[at] || tables[at + 1])
			at++;
		at += 2;
	}
	cr_expect_eq(at, size);
	free(tables);
	free(anchor);
}

/* -no-acpi */
Test(firmware, no_acpi)
{
	struct error error = { 0 };
	uint32_t size;

	cr_expect_neq(find("etc/acpi/tables", &size), 0);
	pc_board_destroy(b.board);
	b.config.no_acpi = true;
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
	cr_expect_eq(find("etc/acpi/tables", &size), 0);
	cr_expect_eq(find("etc/table-loader", &size), 0);
	cr_expect_neq(find("etc/smbios/smbios-tables", &size), 0);
	bus_pio_write(b.bus, 0xcf8, 0x80000b00, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfc, 4), 0xffffffff, "no power management");
}

/* Chips. */

static uint32_t config(unsigned function, unsigned offset)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000u | function << 8 | (offset & 0xfc), 4);
	return bus_pio_read(b.bus, 0xcfc, 4);
}

Test(firmware, chips_after_power_on)
{
	uint8_t pam[PCI_HOST_PAMS];
	unsigned before = map_changes;

	cr_expect_eq(config(8, 0x60), 0x80808080u, "PIRQs lead nowhere");
	cr_expect_eq(config(11, 0x40), 1, "PMBASE");
	cr_expect_eq(config(11, 0x80) & 1, 0);
	cr_expect_eq(config(11, 0x58) & 1u << 25, 1u << 25, "as if SMIs were set up");
	cr_expect_eq(bus_pio_read(b.bus, 0x608, 4), UINT32_MAX, "no PM timer");
	pc_board_pam(b.board, pam);
	for (unsigned i = 0; i < PCI_HOST_PAMS; i++)
		cr_expect_eq(pam[i], 0);
	config(0, 0x58);
	bus_pio_write(b.bus, 0xcfc, 0x33333300, 4);
	cr_expect_eq(map_changes, before + 1);
	pc_board_pam(b.board, pam);
	cr_expect_eq(pam[0], 0x30);
	cr_expect_eq(pam[2], 0x33);
	config(0, 0x70);
	bus_pio_write(b.bus, 0xcfc, 0x00080000, 4);
	cr_expect_eq(map_changes, before + 1, "SMRAM is another matter");
	pc_board_reset(b.board);
	cr_expect_gt(map_changes, before + 1);
	pc_board_pam(b.board, pam);
	cr_expect_eq(pam[0], 0);
}

/* The fixture's own board: what the firmware would have set up is there. */
Test(firmware, without_firmware_the_board_acts_it)
{
	struct error error = { 0 };
	uint8_t pam[PCI_HOST_PAMS];

	pc_board_destroy(b.board);
	b.config.boot = NULL;
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
	pc_board_pam(b.board, pam);
	cr_expect_eq(pam[0], 0x30);
	cr_expect_eq(pam[6], 0x33);
	cr_expect_eq(config(8, 0x60), 0x0b0b0a0au);
	cr_expect_eq(in(0x511), 0xff, "there is no fw_cfg");
}
