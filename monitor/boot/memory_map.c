/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the e820 map of the pc. Entries are in ascending order and do not overlap. */
#include <assert.h>
#include "memory_map.h"

static void memory_map_add(struct memory_map *map, uint64_t base, uint64_t end, enum e820_type type)
{
	if (end <= base)
		return;
	assert(map->count < MEMORY_MAP_MAX);
	assert(!map->count || base >= map->entry[map->count - 1].base +
					      map->entry[map->count - 1].size);
	map->entry[map->count++] =
		(struct e820_entry){ .base = base, .size = end - base, .type = type };
}

void memory_map_build(struct memory_map *map, uint64_t ram_size, gpa_t acpi_base,
		      uint64_t acpi_size)
{
	uint64_t high_end;

	if (acpi_base.v < MEMORY_MAP_HIGH) /* in the area that is reserved anyway */
		acpi_size = 0;
	high_end = acpi_size ? acpi_base.v : ram_size;

	map->count = 0;
	memory_map_add(map, 0, ram_size < MEMORY_MAP_LOW_END ? ram_size : MEMORY_MAP_LOW_END,
		       E820_RAM);
	memory_map_add(map, MEMORY_MAP_LOW_END, 0xa0000, E820_RESERVED);
	memory_map_add(map, 0xf0000, MEMORY_MAP_HIGH, E820_RESERVED);
	memory_map_add(map, MEMORY_MAP_HIGH, high_end, E820_RAM);
	if (acpi_size) {
		memory_map_add(map, acpi_base.v, acpi_base.v + acpi_size, E820_ACPI);
		memory_map_add(map, acpi_base.v + acpi_size, ram_size, E820_RESERVED);
	}
	memory_map_add(map, 0xfffc0000u, 0x100000000ull, E820_RESERVED);
}

gpa_t memory_map_high_end(const struct memory_map *map)
{
	for (unsigned i = 0; i < map->count; i++) {
		if (map->entry[i].base == MEMORY_MAP_HIGH && map->entry[i].type == E820_RAM)
			return GPA(map->entry[i].base + map->entry[i].size);
	}
	return GPA(MEMORY_MAP_HIGH);
}

uint64_t memory_map_high_kib(const struct memory_map *map)
{
	return (memory_map_high_end(map).v - MEMORY_MAP_HIGH) >> 10;
}
