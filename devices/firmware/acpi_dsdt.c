/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT is what iasl made of dsdt.asl, with the values of this machine put in: each is the value
 * of an integer's Name() term, whose bytes are found by the integer's name.
 */
#include <assert.h>
#include <string.h>
#include "acpi_tables.h"
#include <dsdt.hex> /* made of dsdt.asl */

#define AML_NAME  0x08 /* ACPI 1.0b, 16.2.3.2 */
#define AML_DWORD 0x0c /* 16.2.4 */

static void set_integer(uint8_t *aml, const char name[4], uint32_t value)
{
	uint8_t term[6] = { AML_NAME, name[0], name[1], name[2], name[3], AML_DWORD };
	uint8_t *at = memmem(aml, sizeof(dsdt_aml_code), term, sizeof(term));

	assert(at);
	memcpy(at + sizeof(term), &value, sizeof(value));
}

size_t acpi_build_dsdt(const struct acpi_config *config, uint8_t *table, size_t capacity)
{
	if (capacity < sizeof(dsdt_aml_code))
		return 0;
	memcpy(table, dsdt_aml_code, sizeof(dsdt_aml_code));
	set_integer(table, "HOLE", (uint32_t)((config->ram_size + 0xffffff) & ~0xffffffull));
	set_integer(table, "COMS", config->serial_ports);
	set_integer(table, "TIMR", config->hpet);
	table[ACPI_CHECKSUM_AT] = 0;
	table[ACPI_CHECKSUM_AT] = acpi_checksum(table, sizeof(dsdt_aml_code));
	return sizeof(dsdt_aml_code);
}
