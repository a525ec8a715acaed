/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT: how to enter S5, the PCI root bridge with its windows and interrupt routing, and the
 * ISA devices that operating systems look for by name.
 */
#include "acpi_tables.h"
#include "aml.h"
#include "devices/chips/hpet.h"

static const uint16_t serial_base[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };
static const uint8_t serial_irq[] = { 4, 3, 4, 3 };
static const uint8_t pirq_gsi[] = { 10, 10, 11, 11 }; /* as piix3.c routes them at reset */

/* A resource list under construction. */
struct resources {
	uint8_t bytes[256];
	struct aml list;
};

static struct aml *resources_begin(struct resources *r)
{
	r->list = (struct aml){ .bytes = r->bytes, .capacity = sizeof(r->bytes) };
	return &r->list;
}

static void sleep_states(struct aml *a)
{
	aml_name(a, "_S5_");
	aml_package(a, 4);
	for (unsigned i = 0; i < 4; i++)
		aml_integer(a, 0);
	aml_end(a);
}

static void root_windows(struct aml *a, uint64_t ram_size)
{
	uint32_t hole = (uint32_t)((ram_size + 0xffffff) & ~0xffffffull);
	struct resources r;
	struct aml *list = resources_begin(&r);

	aml_resource_window(list, AML_WINDOW_BUS, 0, 0xff);
	aml_resource_io(list, 0xcf8, 8);
	aml_resource_window(list, AML_WINDOW_IO, 0, 0xcf7);
	aml_resource_window(list, AML_WINDOW_IO, 0xd00, 0xffff);
	aml_resource_window(list, AML_WINDOW_MEMORY, 0xa0000, 0xbffff);
	aml_resource_window(list, AML_WINDOW_MEMORY, hole, 0xfebfffff);
	aml_resources(a, list);
}

/* Package(4){ device << 16 | ffffh, pin, 0: a fixed interrupt, gsi } for each pin of each slot. */
static void interrupt_routing(struct aml *a)
{
	aml_name(a, "_PRT");
	aml_package(a, 32 * 4);
	for (unsigned device = 0; device < 32; device++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			aml_package(a, 4);
			aml_integer(a, device << 16 | 0xffff);
			aml_integer(a, pin);
			aml_integer(a, 0);
			/* The PIIX4's own event, INTA of slot 1, is wired to the SCI. */
			aml_integer(a,
				    device == 1 && pin == 0 ? 9 : pirq_gsi[(device + pin + 3) % 4]);
			aml_end(a);
		}
	}
	aml_end(a);
}

struct isa_device {
	const char *name, *id;
	uint16_t io[2];
	uint8_t length;
	int irq; /* -1: none */
};

static void isa_device(struct aml *a, const struct isa_device *d, unsigned uid)
{
	struct resources r;
	struct aml *list = resources_begin(&r);

	aml_device(a, d->name);
	aml_name(a, "_HID");
	aml_eisa_id(a, d->id);
	aml_name(a, "_UID");
	aml_integer(a, uid);
	for (unsigned i = 0; i < 2; i++)
		if (d->io[i])
			aml_resource_io(list, d->io[i], d->length);
	if (d->irq >= 0)
		aml_resource_irq(list, (unsigned)d->irq);
	aml_resources(a, list);
	aml_end(a);
}

static void isa_bridge(struct aml *a, unsigned serial_ports)
{
	static const struct isa_device fixed[] = {
		{ "RTC_", "PNP0B00", { 0x70, 0 }, 2, 8 },
		{ "KBD_", "PNP0303", { 0x60, 0x64 }, 1, 1 },
		{ "MOU_", "PNP0F13", { 0, 0 }, 0, 12 },
	};

	aml_device(a, "ISA_");
	aml_name(a, "_ADR");
	aml_integer(a, 0x00010000);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(fixed); i++)
		isa_device(a, &fixed[i], 0);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(serial_base); i++) {
		char name[] = { 'C', 'O', 'M', (char)('1' + i), 0 };
		struct isa_device com = {
			name, "PNP0501", { serial_base[i], 0 }, 8, serial_irq[i]
		};

		if (serial_ports >> i & 1)
			isa_device(a, &com, i + 1);
	}
	aml_end(a);
}

static void hpet_device(struct aml *a)
{
	struct resources r;

	aml_device(a, "HPET");
	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0103");
	aml_name(a, "_UID");
	aml_integer(a, 0);
	aml_resource_memory(resources_begin(&r), HPET_BASE, HPET_SIZE);
	aml_resources(a, &r.list);
	aml_end(a);
}

size_t acpi_build_dsdt(const struct acpi_config *config, uint8_t *body, size_t capacity)
{
	struct aml a = { .bytes = body, .capacity = capacity };

	sleep_states(&a);
	aml_scope(&a, "\\_SB_");
	aml_device(&a, "PCI0");
	aml_name(&a, "_HID");
	aml_eisa_id(&a, "PNP0A03");
	aml_name(&a, "_UID");
	aml_integer(&a, 0);
	root_windows(&a, config->ram_size);
	interrupt_routing(&a);
	isa_bridge(&a, config->serial_ports);
	aml_end(&a);
	if (config->hpet)
		hpet_device(&a);
	aml_end(&a);
	return a.overflow ? 0 : a.size;
}
