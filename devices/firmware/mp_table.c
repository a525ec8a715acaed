/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MP configuration table (MP specification 1.4, chapter 4): one processor, one I/O APIC, the
 * ISA bus.
 */
#include "acpi_tables.h"
#include "devices/chips/io_apic.h"
#include "devices/chips/local_apic.h"

#include <string.h>

#define PACKED __attribute__((packed))

#define ISA_BUS 0
#define IO_APIC_ID 1
#define ALL_LAPICS 0xff

enum { INT = 0, NMI = 1, EXTINT = 3 };

struct mp_floating {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, features[5];
} PACKED;

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem_id[8], product_id[12];
	uint32_t oem_table;
	uint16_t oem_table_size, entries;
	uint32_t lapic_address;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} PACKED;

struct mp_processor {
	uint8_t type, lapic_id, lapic_version, flags;
	uint32_t signature, features, reserved[2];
} PACKED;

struct mp_bus { uint8_t type, id; char name[6]; } PACKED;
struct mp_ioapic { uint8_t type, id, version, flags; uint32_t address; } PACKED;
struct mp_interrupt {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic, pin;
} PACKED;

#define NISA 15 /* IRQs 0-15 without the cascade */

struct mp_table {
	struct mp_header header;
	struct mp_processor processor;
	struct mp_bus isa;
	struct mp_ioapic ioapic;
	struct mp_interrupt irq[NISA];
	struct mp_interrupt lint[2];
} PACKED;

static void fill_interrupts(struct mp_table *t)
{
	unsigned n = 0;

	for (uint8_t irq = 0; irq < 16; irq++) {
		/*
		 *  5, 9, 10 and 11 carry PCI interrupts and the SCI: level, active high. Others
		 *  conform to the bus.
		 */
		uint16_t flags = irq == 5 || (irq >= 9 && irq <= 11) ? 0x000d : 0;

		if (irq != 2)
			t->irq[n++] = (struct mp_interrupt){ 3,   INT,        flags,        ISA_BUS,
							     irq, IO_APIC_ID, irq ? irq : 2 };
	}
	t->lint[0] = (struct mp_interrupt){ 4, EXTINT, 0, ISA_BUS, 0, ALL_LAPICS, 0 };
	t->lint[1] = (struct mp_interrupt){ 4, NMI, 0, ISA_BUS, 0, ALL_LAPICS, 1 };
}

int mp_table_write(const struct guest_memory *memory)
{
	const uint32_t table_address = MP_FLOATING_POINTER_ADDRESS + 0x100;
	struct mp_floating floating = {
		.signature = "_MP_", .table = table_address, .length = 1, .revision = 4,
	};
	struct mp_table t = {
		.header = {
			.signature = "PCMP", .length = sizeof(t), .revision = 4,
			.oem_id = "RINGFENC", .product_id = "PC          ", .entries = 3 + NISA + 2,
			.lapic_address = LAPIC_DEFAULT_BASE,
		},
		.processor = { .type = 0, .lapic_version = 0x14, .flags = 3, .signature = 0x600,
			.features = 0x201 },
		.isa = { 1, ISA_BUS, "ISA   " },
		.ioapic = { 2, IO_APIC_ID, 0x11, 1, IO_APIC_BASE },
	};
	int err;

	fill_interrupts(&t);
	t.header.checksum = acpi_checksum(&t, sizeof(t));
	err = memory->write(memory->opaque, GPA(table_address), &t, sizeof(t));
	if (err)
		return err;
	floating.checksum = acpi_checksum(&floating, sizeof(floating));
	return memory->write(memory->opaque, GPA(MP_FLOATING_POINTER_ADDRESS), &floating,
			     sizeof(floating));
}
