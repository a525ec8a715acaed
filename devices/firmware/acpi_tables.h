/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables firmware would leave in RAM: ACPI 1.0b (RSDP, RSDT, FADT, FACS, MADT, DSDT), the
 * HPET's (IA-PC HPET specification 1.0a, 3.2.4) and, for kernels run with ACPI off, the MP
 * configuration table (MP specification 1.4).
 */
#ifndef RF_DEVICES_FIRMWARE_ACPI_TABLES_H
#define RF_DEVICES_FIRMWARE_ACPI_TABLES_H

#include "devices/bus/guest_memory.h"

#define ACPI_AREA_SIZE 0x4000u  /* at the top of RAM */
#define ACPI_RSDP_ADDRESS 0xf6000u
#define MP_FLOATING_POINTER_ADDRESS 0xf6100u

struct acpi_config {
	uint64_t ram_size;
	unsigned serial_ports; /* bit n: COM n+1 is there */
	bool hpet;             /* there is one */
};

/* Where the tables are in the area; a table's checksum is its byte 9. */
struct acpi_layout {
	uint32_t rsdt, facs, fadt, madt, dsdt; /* offsets */
	bool hpet;                             /* its table is there too */
	uint32_t size;                         /* of all */
};

#define ACPI_RSDP_SIZE 20

/* Where tables' addresses stand, for whoever moves them: in the RSDT, the FADT, the RSDP. */
#define ACPI_RSDT_FADT 36
#define ACPI_RSDT_MADT 40
#define ACPI_RSDT_HPET 44
#define ACPI_FADT_FACS 36
#define ACPI_FADT_DSDT 40
#define ACPI_RSDP_RSDT 16
#define ACPI_CHECKSUM_AT 9
#define ACPI_RSDP_CHECKSUM_AT 8

/*
 * Builds the tables, as they are at guest physical address base, in area, which has ACPI_AREA_SIZE
 * zeros; and the RSDP that leads to them, wherever it will be. 0 or -ENOMEM.
 */
int acpi_tables_build(const struct acpi_config *config, uint32_t base, uint8_t *area,
		      struct acpi_layout *layout, uint8_t rsdp[ACPI_RSDP_SIZE]) RF_MUST_CHECK;
/* Builds them and writes them into RAM. 0, -EFAULT where RAM is too small, -ENOMEM. */
int acpi_tables_write(const struct acpi_config *config,
		      const struct guest_memory *memory) RF_MUST_CHECK;
/* mp_table.c */
int mp_table_write(const struct guest_memory *memory) RF_MUST_CHECK;

/*
 * acpi_dsdt.c: the DSDT, its header and checksum included. Returns its length, or 0 if it does not
 * fit into capacity.
 */
size_t acpi_build_dsdt(const struct acpi_config *config, uint8_t *table, size_t capacity);

/* What makes the bytes sum to zero. */
uint8_t acpi_checksum(const void *bytes, size_t size);

#endif
