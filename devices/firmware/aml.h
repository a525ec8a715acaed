/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small writer of AML, ACPI's byte code (ACPI 1.0b, chapter 16): terms are appended to a buffer;
 * those with a length are opened and closed, and the length is put in when they are closed.
 *
 *   aml_scope(a, "\\_SB_");  aml_name(a, "_UID"); aml_integer(a, 0);  aml_end(a);
 */
#ifndef RF_DEVICES_FIRMWARE_AML_H
#define RF_DEVICES_FIRMWARE_AML_H

#include "x86/types.h"

#define AML_DEPTH 8

struct aml {
	uint8_t *bytes;
	size_t size, capacity;
	size_t open[AML_DEPTH]; /* where the lengths of the open terms belong */
	unsigned depth;
	bool overflow; /* something did not fit: the result is not to be used */
};

void aml_byte(struct aml *a, uint8_t byte);
/* A name of four characters, or "\\XXXX" with a root prefix. */
void aml_name_string(struct aml *a, const char *name);

/* Terms with a length: to be closed with aml_end(). */
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_package(struct aml *a, uint8_t elements);
void aml_buffer(struct aml *a, uint8_t size); /* size: bytes that follow */
void aml_end(struct aml *a);

/* Name(name, <next term>) */
void aml_name(struct aml *a, const char *name);
void aml_integer(struct aml *a, uint32_t value);
/* A compressed EISA id, "PNP0A03". */
void aml_eisa_id(struct aml *a, const char *id);

/*
 * Resource templates (ACPI 1.0b, 6.4): Name(_CRS, Buffer) from descriptors collected in a struct
 * aml of their own.
 */
void aml_resource_io(struct aml *r, uint16_t base, uint8_t length);
void aml_resource_memory(struct aml *r, uint32_t base, uint32_t length); /* to be read */
void aml_resource_irq(struct aml *r, unsigned irq);
enum aml_window { AML_WINDOW_MEMORY = 0, AML_WINDOW_IO = 1, AML_WINDOW_BUS = 2 };
void aml_resource_window(struct aml *r, enum aml_window type, uint32_t first, uint32_t last);
/* Appends Name(_CRS, ResourceTemplate) with the descriptors of r. */
void aml_resources(struct aml *a, struct aml *r);

#endif
