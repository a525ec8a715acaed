/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AML writer. */
#include "aml.h"

#include <assert.h>
#include <string.h>

enum {
	AML_ZERO = 0x00, AML_ONE = 0x01, AML_NAME = 0x08, AML_BYTE_PREFIX = 0x0a,
	AML_WORD_PREFIX = 0x0b, AML_DWORD_PREFIX = 0x0c, AML_SCOPE = 0x10, AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12, AML_EXT = 0x5b, AML_EXT_DEVICE = 0x82,
};

void aml_byte(struct aml *a, uint8_t byte)
{
	if (a->size == a->capacity)
		a->overflow = true;
	else
		a->bytes[a->size++] = byte;
}

static void little_endian(struct aml *a, uint32_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		aml_byte(a, (uint8_t)(value >> (8 * i)));
}

void aml_name_string(struct aml *a, const char *name)
{
	while (*name)
		aml_byte(a, (uint8_t)*name++);
}

static void begin(struct aml *a)
{
	assert(a->depth < AML_DEPTH);
	a->open[a->depth++] = a->size;
}

/*
 * PkgLength counts itself: one byte up to 63, else a lead byte with four bits of it and one or two
 * more bytes.
 */
static unsigned encode_length(size_t content, uint8_t out[3])
{
	size_t total = content + 1;

	if (total <= 0x3f) {
		out[0] = (uint8_t)total;
		return 1;
	}
	total = content + 2;
	if (total <= 0xfff) {
		out[0] = (uint8_t)(0x40 | (total & 15));
		out[1] = (uint8_t)(total >> 4);
		return 2;
	}
	total = content + 3;
	out[0] = (uint8_t)(0x80 | (total & 15));
	out[1] = (uint8_t)(total >> 4);
	out[2] = (uint8_t)(total >> 12);
	return 3;
}

void aml_end(struct aml *a)
{
	size_t start = a->open[--a->depth], content = a->size - start;
	uint8_t length[3];
	unsigned n = encode_length(content, length);

	if (a->size + n > a->capacity) {
		a->overflow = true;
		return;
	}
	memmove(a->bytes + start + n, a->bytes + start, content);
	memcpy(a->bytes + start, length, n);
	a->size += n;
}

void aml_scope(struct aml *a, const char *name)
{
	aml_byte(a, AML_SCOPE);
	begin(a);
	aml_name_string(a, name);
}

void aml_device(struct aml *a, const char *name)
{
	aml_byte(a, AML_EXT);
	aml_byte(a, AML_EXT_DEVICE);
	begin(a);
	aml_name_string(a, name);
}

void aml_package(struct aml *a, uint8_t elements)
{
	aml_byte(a, AML_PACKAGE);
	begin(a);
	aml_byte(a, elements);
}

void aml_buffer(struct aml *a, uint8_t size)
{
	aml_byte(a, AML_BUFFER);
	begin(a);
	aml_integer(a, size);
}

void aml_name(struct aml *a, const char *name)
{
	aml_byte(a, AML_NAME);
	aml_name_string(a, name);
}

void aml_integer(struct aml *a, uint32_t value)
{
	if (value <= 1) {
		aml_byte(a, value ? AML_ONE : AML_ZERO);
	} else if (value <= 0xff) {
		aml_byte(a, AML_BYTE_PREFIX);
		little_endian(a, value, 1);
	} else if (value <= 0xffff) {
		aml_byte(a, AML_WORD_PREFIX);
		little_endian(a, value, 2);
	} else {
		aml_byte(a, AML_DWORD_PREFIX);
		little_endian(a, value, 4);
	}
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/*
 * Three letters of five bits and four hexadecimal digits, big-endian (ACPI 1.0b, 6.1.4 and the EISA
 * specification).
 */
void aml_eisa_id(struct aml *a, const char *id)
{
	uint32_t letters = (uint32_t)(id[0] - '@') << 10 | (uint32_t)(id[1] - '@') << 5 |
			   (uint32_t)(id[2] - '@');
	uint32_t digits = hex_digit(id[3]) << 12 | hex_digit(id[4]) << 8 | hex_digit(id[5]) << 4 |
			  hex_digit(id[6]);

	aml_byte(a, AML_DWORD_PREFIX);
	little_endian(a, __builtin_bswap32(letters << 16 | digits), 4);
}

void aml_resource_io(struct aml *r, uint16_t base, uint8_t length)
{
	aml_byte(r, 0x47); /* I/O port descriptor */
	aml_byte(r, 0x01); /* decodes 16 bits */
	little_endian(r, base, 2);
	little_endian(r, base, 2);
	aml_byte(r, 1);
	aml_byte(r, length);
}

void aml_resource_memory(struct aml *r, uint32_t base, uint32_t length)
{
	aml_byte(r, 0x86); /* 32-bit fixed location memory range descriptor */
	little_endian(r, 9, 2);
	aml_byte(r, 0x00); /* read-only */
	little_endian(r, base, 4);
	little_endian(r, length, 4);
}

void aml_resource_irq(struct aml *r, unsigned irq)
{
	aml_byte(r, 0x22); /* IRQ descriptor without flags: edge, active high, exclusive */
	little_endian(r, 1u << irq, 2);
}

void aml_resource_window(struct aml *r, enum aml_window type, uint32_t first, uint32_t last)
{
	unsigned width = type == AML_WINDOW_MEMORY ? 4 : 2;
	uint8_t specific = type == AML_WINDOW_MEMORY ? 0x01 /* read-write */ :
			   type == AML_WINDOW_IO     ? 0x03 :
						       0x00;

	aml_byte(r, width == 4 ? 0x87 : 0x88); /* (d)word address space descriptor */
	little_endian(r, 3 + 5 * width, 2);
	aml_byte(r, (uint8_t)type);
	aml_byte(r, 0x0c); /* producer, minimum and maximum fixed */
	aml_byte(r, specific);
	little_endian(r, 0, width); /* granularity */
	little_endian(r, first, width);
	little_endian(r, last, width);
	little_endian(r, 0, width); /* translation */
	little_endian(r, last - first + 1, width);
}

void aml_resources(struct aml *a, struct aml *r)
{
	aml_byte(r, 0x79); /* end tag; a checksum of zero is "none" */
	aml_byte(r, 0x00);
	assert(r->size <= 0xff);
	if (r->overflow)
		a->overflow = true;
	aml_name(a, "_CRS");
	aml_buffer(a, (uint8_t)r->size);
	for (size_t i = 0; i < r->size; i++)
		aml_byte(a, r->bytes[i]);
	aml_end(a);
}
