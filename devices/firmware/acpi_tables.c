/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables, put together in a buffer that is then copied to the top of RAM; only the RSDP lies
 * where software scans for it. Offsets in the buffer are kept on 64-byte boundaries, which the FACS
 * needs.
 */
#include "acpi_tables.h"
#include "devices/chips/hpet.h"
#include "devices/chips/io_apic.h"
#include "devices/chips/local_apic.h"
#include "devices/chips/piix4_pm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PACKED __attribute__((packed))

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
} PACKED;

struct acpi_rsdt {
	struct acpi_header header;
	uint32_t table[3]; /* the last: HPET, if there is one */
} PACKED;

/* ACPI 1.0b, table 5-5. */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t interrupt_model, reserved1;
	uint16_t sci_interrupt;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios_request, reserved2;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0,
		gpe1;
	uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
	uint8_t gpe0_length, gpe1_length, gpe1_base, reserved3;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century, reserved4[3];
	uint32_t flags;
} PACKED;

#define FADT_WBINVD 0x01u
#define FADT_C1     0x04u
#define FADT_NO_FIXED_SLEEP_BUTTON 0x20u
#define FADT_NO_FIXED_RTC_WAKE 0x40u
#define LATENCY_UNSUPPORTED 0x0fff

struct acpi_facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint8_t reserved[40];
} PACKED;

struct madt_lapic { uint8_t type, length, processor, id; uint32_t flags; } PACKED;
struct madt_ioapic { uint8_t type, length, id, reserved; uint32_t address, gsi_base; } PACKED;
struct madt_override { uint8_t type, length, bus, irq; uint32_t gsi; uint16_t flags; } PACKED;
struct madt_nmi { uint8_t type, length, processor; uint16_t flags; uint8_t lint; } PACKED;

#define NOVERRIDES 5
#define LEVEL_ACTIVE_HIGH 0x000d

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address, flags;
	struct madt_lapic lapic;
	struct madt_ioapic ioapic;
	struct madt_override override[NOVERRIDES];
	struct madt_nmi nmi;
} PACKED;

struct acpi_hpet {
	struct acpi_header header;
	uint32_t block_id;
	uint8_t address_space, register_bits, register_offset, reserved;
	uint64_t address;
	uint8_t number;
	uint16_t minimum_ticks;
	uint8_t page_protection;
} PACKED;

/* The area under construction. */
struct builder {
	uint8_t *area;
	uint32_t base; /* its guest physical address */
	uint32_t used;
};

uint8_t acpi_checksum(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	uint8_t sum = 0;

	while (size--)
		sum += *p++;
	return (uint8_t)-sum;
}

static void *reserve(struct builder *b, uint32_t size, uint32_t *address)
{
	void *at = b->area + b->used;

	*address = b->base + b->used;
	b->used = (b->used + size + 63) & ~63u;
	return at;
}

static void finish(struct acpi_header *h, const char *signature, uint8_t revision, uint32_t length)
{
	memcpy(h->signature, signature, 4);
	h->length = length;
	h->revision = revision;
	memcpy(h->oem_id, "RNGFNC", 6);
	memcpy(h->oem_table_id, "RINGFENC", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "RNGF", 4);
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = acpi_checksum(h, length);
}

static uint32_t build_facs(struct builder *b)
{
	uint32_t address;
	struct acpi_facs *facs = reserve(b, sizeof(*facs), &address);

	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	return address;
}

static uint32_t build_fadt(struct builder *b, uint32_t facs, uint32_t dsdt)
{
	uint32_t address;
	struct acpi_fadt *fadt = reserve(b, sizeof(*fadt), &address);

	fadt->facs = facs;
	fadt->dsdt = dsdt;
	fadt->interrupt_model = 1; /* multiple APIC */
	fadt->sci_interrupt = PM_SCI_IRQ;
	fadt->smi_command = PM_SMI_PORT;
	fadt->acpi_enable = PM_ACPI_ENABLE;
	fadt->acpi_disable = PM_ACPI_DISABLE;
	fadt->pm1a_event = PM_DEFAULT_BASE;
	fadt->pm1a_control = PM_DEFAULT_BASE + 4;
	fadt->pm_timer = PM_DEFAULT_BASE + 8;
	fadt->gpe0 = PM_GPE0_BASE;
	fadt->pm1_event_length = 4;
	fadt->pm1_control_length = 2;
	fadt->pm_timer_length = 4;
	fadt->gpe0_length = PM_GPE0_SIZE;
	fadt->c2_latency = fadt->c3_latency = LATENCY_UNSUPPORTED;
	fadt->century = 0x32;
	fadt->flags = FADT_WBINVD | FADT_C1 | FADT_NO_FIXED_SLEEP_BUTTON | FADT_NO_FIXED_RTC_WAKE;
	finish(&fadt->header, "FACP", 1, sizeof(*fadt));
	return address;
}

static uint32_t build_madt(struct builder *b)
{
	static const uint8_t level_irqs[NOVERRIDES - 1] = { 5, 9, 10, 11 };
	uint32_t address;
	struct acpi_madt *madt = reserve(b, sizeof(*madt), &address);

	madt->lapic_address = LAPIC_DEFAULT_BASE;
	madt->flags = 1; /* there are 8259s too */
	madt->lapic = (struct madt_lapic){ .type = 0, .length = sizeof(madt->lapic), .flags = 1 };
	madt->ioapic = (struct madt_ioapic){ .type = 1,
					     .length = sizeof(madt->ioapic),
					     .address = IO_APIC_BASE };
	madt->override[0] = (struct madt_override){ 2, sizeof(madt->override[0]), 0, 0, 2, 0 };
	for (unsigned i = 1; i < NOVERRIDES; i++)
		madt->override[i] = (struct madt_override){
			2, sizeof(madt->override[i]), 0, level_irqs[i - 1], level_irqs[i - 1],
			LEVEL_ACTIVE_HIGH,
		};
	madt->nmi = (struct madt_nmi){ 4, sizeof(madt->nmi), 0xff, 0, 1 };
	finish(&madt->header, "APIC", 1, sizeof(*madt));
	return address;
}

static uint32_t build_hpet(struct builder *b)
{
	uint32_t address;
	struct acpi_hpet *hpet = reserve(b, sizeof(*hpet), &address);

	hpet->block_id = HPET_ID;
	hpet->address = HPET_BASE; /* in memory, address space 0 */
	hpet->minimum_ticks = OWED_TICKS_MIN_PERIOD_NS / HPET_TICK_NS;
	finish(&hpet->header, "HPET", 1, sizeof(*hpet));
	return address;
}

/* 0 if it does not fit. */
static uint32_t build_dsdt(struct builder *b, const struct acpi_config *config)
{
	const size_t size = acpi_build_dsdt(config, b->area + b->used, ACPI_AREA_SIZE - b->used);
	uint32_t address;

	if (!size)
		return 0;
	reserve(b, (uint32_t)size, &address);
	return address;
}

_Static_assert(offsetof(struct acpi_rsdt, table[0]) == ACPI_RSDT_FADT &&
	       offsetof(struct acpi_rsdt, table[1]) == ACPI_RSDT_MADT &&
	       offsetof(struct acpi_rsdt, table[2]) == ACPI_RSDT_HPET &&
	       offsetof(struct acpi_fadt, facs) == ACPI_FADT_FACS &&
	       offsetof(struct acpi_fadt, dsdt) == ACPI_FADT_DSDT &&
	       offsetof(struct acpi_rsdp, rsdt) == ACPI_RSDP_RSDT &&
	       offsetof(struct acpi_rsdp, checksum) == ACPI_RSDP_CHECKSUM_AT &&
	       offsetof(struct acpi_header, checksum) == ACPI_CHECKSUM_AT &&
	       sizeof(struct acpi_rsdp) == ACPI_RSDP_SIZE, "as the header says");

/* Everything but the RSDP; the RSDT is first. */
static int build_area(struct builder *b, const struct acpi_config *config,
		      struct acpi_layout *layout)
{
	uint32_t rsdt_address, facs, fadt, madt, dsdt, used;
	struct acpi_rsdt *rsdt = reserve(b, sizeof(*rsdt), &rsdt_address);

	facs = build_facs(b);
	madt = build_madt(b);
	if (config->hpet)
		rsdt->table[2] = build_hpet(b);
	/* The FADT holds the DSDT's address and is the smaller: it goes before. */
	fadt = b->base + b->used;
	b->used += (sizeof(struct acpi_fadt) + 63) & ~63u;
	dsdt = build_dsdt(b, config);
	if (!dsdt)
		return -ENOMEM;
	used = b->used;
	b->used = fadt - b->base;
	build_fadt(b, facs, dsdt);
	rsdt->table[0] = fadt;
	rsdt->table[1] = madt;
	finish(&rsdt->header, "RSDT", 1,
	       (uint32_t)(sizeof(*rsdt) - (config->hpet ? 0 : sizeof(rsdt->table[2]))));
	*layout = (struct acpi_layout){ rsdt_address - b->base, facs - b->base, fadt - b->base,
					madt - b->base, dsdt - b->base, config->hpet, used };
	return 0;
}

int acpi_tables_build(const struct acpi_config *config, uint32_t base, uint8_t *area,
		      struct acpi_layout *layout, uint8_t rsdp_bytes[ACPI_RSDP_SIZE])
{
	struct acpi_rsdp rsdp = { .signature = "RSD PTR ", .oem_id = "RNGFNC" };
	struct builder b = { .area = area, .base = base };
	int err = build_area(&b, config, layout);

	if (err)
		return err;
	rsdp.rsdt = base + layout->rsdt;
	rsdp.checksum = acpi_checksum(&rsdp, sizeof(rsdp));
	memcpy(rsdp_bytes, &rsdp, sizeof(rsdp));
	return 0;
}

int acpi_tables_write(const struct acpi_config *config, const struct guest_memory *memory)
{
	const uint32_t base = (uint32_t)(config->ram_size - ACPI_AREA_SIZE);
	uint8_t rsdp[ACPI_RSDP_SIZE], *area;
	struct acpi_layout layout;
	int err;

	if (config->ram_size < (1u << 20) + ACPI_AREA_SIZE)
		return -EFAULT;
	area = calloc(1, ACPI_AREA_SIZE);
	if (!area)
		return -ENOMEM;
	err = acpi_tables_build(config, base, area, &layout, rsdp);
	if (!err)
		err = memory->write(memory->opaque, GPA(base), area, ACPI_AREA_SIZE);
	free(area);
	if (err)
		return err;
	return memory->write(memory->opaque, GPA(ACPI_RSDP_ADDRESS), rsdp, sizeof(rsdp));
}
