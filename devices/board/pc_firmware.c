/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Items for the firmware. Tables that hold addresses go with a list of commands, by which the
 * firmware places them and puts the addresses in (QEMU, "etc/table-loader": 128 bytes a command).
 */
#include "pc_firmware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/firmware/smbios.h"

#define RSDP_FILE   "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"

enum loader_command { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER, LOADER_ADD_CHECKSUM };
enum loader_zone { LOADER_HIGH = 1, LOADER_BELOW_1M };

#define LOADER_NAME 56
#define LOADER_COMMANDS 12

struct loader_entry {
	uint32_t command;
	union {
		struct {
			char file[LOADER_NAME];
			uint32_t align;
			uint8_t zone;
		} __attribute__((packed)) allocate;
		struct {
			char where[LOADER_NAME], target[LOADER_NAME];
			uint32_t offset;
			uint8_t size;
		} __attribute__((packed)) pointer;
		struct {
			char file[LOADER_NAME];
			uint32_t offset, start, length;
		} __attribute__((packed)) checksum;
		uint8_t bytes[124];
	};
};

_Static_assert(sizeof(struct loader_entry) == 128, "QEMU's table loader");

struct loader {
	struct loader_entry entry[LOADER_COMMANDS];
	unsigned count;
};

static struct loader_entry *next(struct loader *l, enum loader_command command)
{
	struct loader_entry *e = &l->entry[l->count++];

	e->command = command;
	return e;
}

static void allocate(struct loader *l, const char *file, uint32_t align, enum loader_zone zone)
{
	struct loader_entry *e = next(l, LOADER_ALLOCATE);

	strcpy(e->allocate.file, file);
	e->allocate.align = align;
	e->allocate.zone = zone;
}

static void add_pointer(struct loader *l, const char *where, uint32_t offset)
{
	struct loader_entry *e = next(l, LOADER_ADD_POINTER);

	strcpy(e->pointer.where, where);
	strcpy(e->pointer.target, TABLES_FILE);
	e->pointer.offset = offset;
	e->pointer.size = 4;
}

static void add_checksum(struct loader *l, const char *file, uint32_t at, uint32_t start,
			 uint32_t length)
{
	struct loader_entry *e = next(l, LOADER_ADD_CHECKSUM);

	strcpy(e->checksum.file, file);
	e->checksum.offset = at;
	e->checksum.start = start;
	e->checksum.length = length;
}

static void table_checksum(struct loader *l, const uint8_t *area, uint32_t table)
{
	/* The length is the second member of every header. */
	add_checksum(l, TABLES_FILE, table + ACPI_CHECKSUM_AT, table,
		     state_get32(area + table + 4));
}

static void make_commands(struct loader *l, const uint8_t *area, const struct acpi_layout *at)
{
	allocate(l, TABLES_FILE, 64, LOADER_HIGH);
	allocate(l, RSDP_FILE, 16, LOADER_BELOW_1M);
	add_pointer(l, TABLES_FILE, at->fadt + ACPI_FADT_FACS);
	add_pointer(l, TABLES_FILE, at->fadt + ACPI_FADT_DSDT);
	table_checksum(l, area, at->fadt);
	add_pointer(l, TABLES_FILE, at->rsdt + ACPI_RSDT_FADT);
	add_pointer(l, TABLES_FILE, at->rsdt + ACPI_RSDT_MADT);
	if (at->hpet)
		add_pointer(l, TABLES_FILE, at->rsdt + ACPI_RSDT_HPET);
	table_checksum(l, area, at->rsdt);
	add_pointer(l, RSDP_FILE, ACPI_RSDP_RSDT);
	add_checksum(l, RSDP_FILE, ACPI_RSDP_CHECKSUM_AT, 0, ACPI_RSDP_SIZE);
}

static int add_acpi(struct fw_cfg *cfg, const struct acpi_config *config, uint8_t *area)
{
	struct loader loader = { .count = 0 };
	uint8_t rsdp[ACPI_RSDP_SIZE];
	struct acpi_layout layout;
	int err = acpi_tables_build(config, 0, area, &layout, rsdp);

	if (err)
		return err;
	make_commands(&loader, area, &layout);
	err = fw_cfg_add_file(cfg, TABLES_FILE, area, layout.size);
	if (!err)
		err = fw_cfg_add_file(cfg, RSDP_FILE, rsdp, sizeof(rsdp));
	if (!err)
		err = fw_cfg_add_file(cfg, "etc/table-loader", loader.entry,
				      loader.count * (uint32_t)sizeof(loader.entry[0]));
	return err;
}

static int add_smbios(struct fw_cfg *cfg, uint64_t ram_size, const uint8_t uuid[16])
{
	uint8_t tables[SMBIOS_TABLES_MAX], anchor[SMBIOS_ANCHOR_SIZE];
	uint32_t size = smbios_build(ram_size, uuid, tables, anchor);
	int err = fw_cfg_add_file(cfg, "etc/smbios/smbios-tables", tables, size);

	return err ? err : fw_cfg_add_file(cfg, "etc/smbios/smbios-anchor", anchor, sizeof(anchor));
}

/* RAM alone: what the firmware itself takes or reserves it knows best. */
static int add_e820(struct fw_cfg *cfg, uint64_t ram_size)
{
	uint8_t entry[20] = { 0 };

	state_put64(entry + 8, ram_size);
	state_put32(entry + 16, 1);
	return fw_cfg_add_file(cfg, "etc/e820", entry, sizeof(entry));
}

static int add_numbers(struct fw_cfg *cfg, uint64_t ram_size, const struct pc_boot *boot)
{
	const struct { uint16_t key; uint8_t size; uint64_t value; } numbers[] = {
		{ FW_CFG_RAM_SIZE, 8, ram_size },
		{ FW_CFG_NOGRAPHIC, 2, boot->serial_screen },
		{ FW_CFG_NB_CPUS, 2, 1 },
		{ FW_CFG_MAX_CPUS, 2, 1 },
		{ FW_CFG_NUMA, 8, 0 }, /* no nodes */
		{ FW_CFG_BOOT_MENU, 2, boot->menu },
		{ FW_CFG_IRQ0_OVERRIDE, 4, 1 }, /* IRQ 0 is pin 2 of the I/O APIC */
	};
	uint8_t retry[4];
	int err = 0;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(numbers) && !err; i++)
		err = fw_cfg_add_number(cfg, numbers[i].key, numbers[i].value, numbers[i].size);
	state_put32(retry, (uint32_t)boot->retry_ms);
	if (!err)
		err = fw_cfg_add_file(cfg, "etc/boot-fail-wait", retry, sizeof(retry));
	if (!err && boot->menu_wait_ms) {
		const uint8_t wait[] = { (uint8_t)boot->menu_wait_ms,
					 (uint8_t)(boot->menu_wait_ms >> 8) };

		err = fw_cfg_add_file(cfg, "etc/boot-menu-wait", wait, sizeof(wait));
	}
	return err;
}

int pc_firmware_describe(struct fw_cfg *cfg, const struct acpi_config *acpi, bool has_acpi,
			 const struct pc_boot *boot)
{
	uint8_t *area = calloc(1, ACPI_AREA_SIZE);
	int err = area ? 0 : -ENOMEM;

	if (!err && has_acpi)
		err = add_acpi(cfg, acpi, area);
	free(area);
	if (!err)
		err = add_numbers(cfg, acpi->ram_size, boot);
	if (!err)
		err = add_e820(cfg, acpi->ram_size);
	return err ? err : add_smbios(cfg, acpi->ram_size, boot->uuid);
}

/* What setup calls a device; 0: there is no more. */
static uint8_t boot_nibble(char device)
{
	switch (device) {
	case 'a': case 'b': return 1;
	case 'c': return 2;
	case 'd': return 3;
	case 'n': case 'o': case 'p': return 4;
	default: return 0;
	}
}

void pc_firmware_boot_order(const char *order, uint8_t *byte38, uint8_t *byte3d)
{
	uint8_t nibble[3] = { 0 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(nibble) && order[i]; i++)
		nibble[i] = boot_nibble(order[i]);
	*byte3d = nibble[0] | nibble[1] << 4;
	*byte38 = nibble[2] << 4;
}
