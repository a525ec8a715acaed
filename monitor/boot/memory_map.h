/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest physical memory map as firmware reports it to an operating system (INT 15h AX=E820h:
 * ACPI specification, "System Address Map Interfaces"), for loaders that stand in for firmware.
 */
#ifndef RF_MONITOR_BOOT_MEMORY_MAP_H
#define RF_MONITOR_BOOT_MEMORY_MAP_H

#include "x86/types.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct e820_entry {
	uint64_t base, size;
	uint32_t type;
} __attribute__((packed));

#define MEMORY_MAP_MAX 16

struct memory_map {
	struct e820_entry entry[MEMORY_MAP_MAX];
	unsigned count;
};

/* conventional memory ends where the extended BIOS data area starts */
#define MEMORY_MAP_LOW_END  0x9fc00u
#define MEMORY_MAP_HIGH     0x100000u /* extended memory starts */

/*
 * The pc's map for ram_size bytes of which [acpi_base, acpi_base + acpi_size) at the top holds ACPI
 * tables (size 0: none).
 */
void memory_map_build(struct memory_map *map, uint64_t ram_size, gpa_t acpi_base,
		      uint64_t acpi_size);

/* End of the usable memory that starts at 1 MiB; 1 MiB if there is none. */
gpa_t memory_map_high_end(const struct memory_map *map);

/* The same as kernels are told it: the KiB from 1 MiB on. */
uint64_t memory_map_high_kib(const struct memory_map *map);

#endif
