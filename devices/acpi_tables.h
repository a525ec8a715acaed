/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables firmware would leave in RAM: ACPI 1.0b (RSDP, RSDT, FADT, FACS, MADT, DSDT), the
 * HPET's (IA-PC HPET specification 1.0a, 3.2.4) and, for kernels run with ACPI off, the MP
 * configuration table (MP specification 1.4).
 */
#ifndef RF_DEVICES_ACPI_TABLES_H
#define RF_DEVICES_ACPI_TABLES_H

#include "guest_memory.h"

#define ACPI_AREA_SIZE 0x4000u  /* at the top of RAM */
#define ACPI_RSDP_ADDRESS 0xf6000u
#define MP_FLOATING_POINTER_ADDRESS 0xf6100u

struct acpi_config {
	uint64_t ram_size;
	unsigned serial_ports; /* bit n: COM n+1 is there */
	bool hpet;             /* there is one */
};

/* Builds the tables and writes them into RAM. 0, -EFAULT where RAM is too small, -ENOMEM. */
int acpi_tables_write(const struct acpi_config *config,
		      const struct guest_memory *memory) RF_MUST_CHECK;
/* mp_table.c */
int mp_table_write(const struct guest_memory *memory) RF_MUST_CHECK;

/*
 * acpi_dsdt.c: the body of the DSDT, less its header. Returns its length, or 0 if it does not fit
 * into capacity.
 */
size_t acpi_build_dsdt(const struct acpi_config *config, uint8_t *body, size_t capacity);

/* What makes the bytes sum to zero. */
uint8_t acpi_checksum(const void *bytes, size_t size);

#endif
