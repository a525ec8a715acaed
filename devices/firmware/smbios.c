/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS tables. Each is a formatted part, whose strings are numbered from 1, and the strings after
 * it; an empty string ends them.
 */
#include "smbios.h"

#include <assert.h>
#include <string.h>

#include "acpi_tables.h"

#define PACKED __attribute__((packed))

struct smbios_header { uint8_t type, length; uint16_t handle; } PACKED;

struct smbios_system { /* type 1 */
	struct smbios_header header;
	uint8_t manufacturer, product, version, serial, uuid[16], wake_up, sku, family;
} PACKED;

struct smbios_enclosure { /* type 3 */
	struct smbios_header header;
	uint8_t manufacturer, type, version, serial, asset, boot_state, power_state, thermal_state,
		security;
	uint32_t oem;
	uint8_t height, power_cords, contained, contained_size, sku;
} PACKED;

struct smbios_processor { /* type 4 */
	struct smbios_header header;
	uint8_t socket, type, family, manufacturer;
	uint64_t id;
	uint8_t version, voltage;
	uint16_t clock, max_mhz, mhz;
	uint8_t status, upgrade;
	uint16_t cache[3];
	uint8_t serial, asset, part, cores, cores_on, threads;
	uint16_t characteristics, family2;
} PACKED;

struct smbios_memory_array { /* type 16 */
	struct smbios_header header;
	uint8_t location, use, correction;
	uint32_t kib;
	uint16_t error_handle, devices;
	uint64_t bytes;
} PACKED;

struct smbios_memory_device { /* type 17 */
	struct smbios_header header;
	uint16_t array, error_handle, width, data_width, mib;
	uint8_t form, set, locator, bank, type;
	uint16_t detail, speed;
	uint8_t manufacturer, serial, asset, part, attributes;
	uint32_t extended_mib;
	uint16_t clock, voltage[3];
} PACKED;

struct smbios_memory_address { /* type 19 */
	struct smbios_header header;
	uint32_t first_kib, last_kib;
	uint16_t array;
	uint8_t width;
	uint64_t first, last;
} PACKED;

struct smbios_boot { /* type 32 */
	struct smbios_header header;
	uint8_t reserved[6], status;
} PACKED;

struct smbios_anchor {
	char anchor[4];
	uint8_t checksum, length, major, minor;
	uint16_t largest;
	uint8_t revision, formatted[5];
	char intermediate[5];
	uint8_t intermediate_checksum;
	uint16_t size;
	uint32_t address;
	uint16_t count;
	uint8_t bcd_revision;
} PACKED;

_Static_assert(sizeof(struct smbios_anchor) == SMBIOS_ANCHOR_SIZE, "SMBIOS 2.8, 5.2.1");

#define NONE_GIVEN 0xfffe /* there is no handle: SMBIOS 2.8, 7.17.4 */
#define UNKNOWN 2
#define OTHER   1
#define ARRAY_HANDLE 0x1000

struct builder {
	uint8_t *tables;
	uint32_t used, count, largest;
};

/* The handle is the type's number shifted, one of each. */
static void add(struct builder *b, unsigned type, void *table, unsigned size, const char *strings,
		unsigned strings_size)
{
	struct smbios_header *header = table;
	uint32_t total = size + (strings ? strings_size : 1) + 1;

	assert(b->used + total <= SMBIOS_TABLES_MAX);
	*header = (struct smbios_header){ (uint8_t)type, (uint8_t)size, (uint16_t)(type << 8) };
	memset(b->tables + b->used, 0, total);
	memcpy(b->tables + b->used, table, size);
	if (strings)
		memcpy(b->tables + b->used + size, strings, strings_size);
	b->used += total;
	b->count++;
	b->largest = total > b->largest ? total : b->largest;
}

/* Strings have their own zero at the end; the empty one comes by itself. */
#define ADD(b, type, table, strings) add(b, type, &(table), sizeof(table), strings, sizeof(strings))

/* The first three fields have their low byte first (7.2.1), which the text has last. */
static void put_uuid(uint8_t to[16], const uint8_t uuid[16])
{
	static const uint8_t from[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++)
		to[i] = uuid[from[i]];
}

static void add_system(struct builder *b, const uint8_t uuid[16])
{
	struct smbios_system system = {
		.manufacturer = 1, .product = 2, .version = 3, .wake_up = 6, /* power switch */
	};
	struct smbios_enclosure enclosure = {
		.manufacturer = 1, .type = OTHER, .version = 2, .boot_state = 3, .power_state = 3,
		.thermal_state = 3, .security = UNKNOWN,
	};

	put_uuid(system.uuid, uuid);
	ADD(b, 1, system, "ringfence\0Standard PC (i440FX + PIIX)\0pc");
	ADD(b, 3, enclosure, "ringfence\0pc");
}

static void add_processor(struct builder *b)
{
	struct smbios_processor processor = {
		.socket = 1, .type = 3, .family = OTHER, .manufacturer = 2, .version = 3,
		.max_mhz = 2000, .mhz = 2000, .status = 0x41, .upgrade = OTHER,
		.cache = { 0xffff, 0xffff, 0xffff }, .cores = 1, .cores_on = 1, .threads = 1,
		.characteristics = UNKNOWN, .family2 = OTHER,
	};

	ADD(b, 4, processor, "CPU 0\0ringfence\0pc");
}

static void add_memory(struct builder *b, uint64_t ram_size)
{
	const uint32_t kib = (uint32_t)(ram_size >> 10);
	struct smbios_memory_array array = {
		.location = OTHER, .use = 3, .correction = 6, .kib = kib,
		.error_handle = NONE_GIVEN, .devices = 1,
	};
	struct smbios_memory_device device = {
		.array = ARRAY_HANDLE, .error_handle = NONE_GIVEN, .width = 0xffff,
		.data_width = 0xffff, .mib = (uint16_t)(ram_size >> 20), .form = 9, /* DIMM */
		.locator = 1, .manufacturer = 2, .type = 7, /* RAM */ .detail = UNKNOWN,
	};
	struct smbios_memory_address address = {
		.last_kib = kib - 1, .array = ARRAY_HANDLE, .width = 1,
	};

	ADD(b, 16, array, "");
	ADD(b, 17, device, "DIMM 0\0ringfence");
	ADD(b, 19, address, "");
}

static void build_anchor(const struct builder *b, uint8_t bytes[SMBIOS_ANCHOR_SIZE])
{
	struct smbios_anchor a = {
		.anchor = { '_', 'S', 'M', '_' }, .length = sizeof(a), .major = 2, .minor = 8,
		.largest = (uint16_t)b->largest, .intermediate = { '_', 'D', 'M', 'I', '_' },
		.size = (uint16_t)b->used, .count = (uint16_t)b->count, .bcd_revision = 0x28,
	};

	a.intermediate_checksum =
		acpi_checksum(a.intermediate, sizeof(a) - offsetof(struct smbios_anchor,
								    intermediate));
	a.checksum = acpi_checksum(&a, sizeof(a));
	memcpy(bytes, &a, sizeof(a));
}

uint32_t smbios_build(uint64_t ram_size, const uint8_t uuid[16],
		      uint8_t tables[SMBIOS_TABLES_MAX], uint8_t anchor[SMBIOS_ANCHOR_SIZE])
{
	struct builder b = { .tables = tables };
	struct smbios_boot boot = { .status = 0 };
	struct smbios_header end;

	add_system(&b, uuid);
	add_processor(&b);
	add_memory(&b, ram_size);
	ADD(&b, 32, boot, "");
	ADD(&b, 127, end, "");
	build_anchor(&b, anchor);
	return b.used;
}
