/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers and memory for people (format.h). */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "format.h"
#include "translator/disasm.h"

#define LINE_BYTES 16
#define BYTES_A_LINE 8 /* when they are printed one by one */
#define INSN_MOST 15

static bool format_letter(char letter, struct format *format)
{
	static const char sizes[] = "bhwg";
	const char *size = strchr(sizes, letter);

	if (letter && size)
		format->size = 1u << (size - sizes);
	else if (letter && strchr("xduoci", letter))
		format->kind = letter;
	else
		return false;
	return true;
}

int format_parse(const char **text, struct format *format, struct error *error)
{
	const char *at = *text;
	unsigned long count = 1;
	char *end;

	if (isdigit((unsigned char)*at)) {
		count = strtoul(at, &end, 10);
		at = end;
	}
	for (; *at && *at != ' '; at++) {
		if (!format_letter(*at, format))
			return error_set(error, -EINVAL,
					 "'%c' in '/%.*s' is neither a format (x d u o c i) nor a "
					 "size (b h w g)",
					 *at, (int)strcspn(*text, " "), *text);
	}
	if (format->kind == 'c')
		format->size = 1;
	if (!count || count > FORMAT_MOST_BYTES / format->size)
		return error_set(error, -EINVAL, "'/%.*s' counts to none or too many; 1 to %u",
				 (int)strcspn(*text, " "), *text, FORMAT_MOST_BYTES / format->size);
	format->count = count;
	*text = at;
	return 0;
}

static void format_character(FILE *out, uint8_t c)
{
	static const char letters[] = "n\nr\rt\t";

	for (const char *letter = letters; *letter; letter += 2) {
		if (letter[1] == c) {
			fprintf(out, "'\\%c'", letter[0]);
			return;
		}
	}
	if (c == '\'' || c == '\\')
		fprintf(out, "'\\%c'", c);
	else if (c >= 0x20 && c < 0x7f)
		fprintf(out, "'%c'", c);
	else
		fprintf(out, "'\\x%02x'", c);
}

/* Of size bytes, with their sign. */
static int64_t format_signed(uint64_t value, unsigned size)
{
	const unsigned shift = 64 - 8 * size;

	return (int64_t)(value << shift) >> shift;
}

void format_value(FILE *out, const struct format *format, uint64_t value, bool width)
{
	const unsigned bits = 8 * format->size;
	const int octal = width ? (bits + 2) / 3 + 1 : 0, decimal = width ? bits * 10 / 33 + 2 : 0;

	switch (format->kind) {
	case 'o': fprintf(out, "%#*" PRIo64, octal, value); break;
	case 'u': fprintf(out, "%*" PRIu64, decimal, value); break;
	case 'd': fprintf(out, "%*" PRId64, decimal, format_signed(value, format->size)); break;
	case 'c': format_character(out, value); break;
	default: fprintf(out, "0x%0*" PRIx64, width ? (int)bits / 4 : 1, value); break;
	}
}

static void format_address(FILE *out, bool physical, uint64_t address)
{
	fprintf(out, "%0*" PRIx64 ":", physical ? 16 : 8, address);
}

/* --- instructions --- */

/* False: there is no memory. */
static bool format_instruction(FILE *out, struct disasm *disasm, struct vcpu *vcpu, bool physical,
			       uint64_t *address)
{
	const bool wide = vcpu->cpu.seg[X86_CS].attr & SEG_DB;
	uint8_t bytes[INSN_MOST];
	char text[96];
	size_t got = command_read_memory(vcpu, physical, *address, bytes, sizeof(bytes));
	unsigned len;

	fprintf(out, "0x%08" PRIx64 ": ", *address);
	if (!got) {
		fprintf(out, " Cannot access memory\n");
		return false;
	}
	len = disasm_format(disasm, wide ? DISASM_32 : DISASM_16, bytes, got, *address, text,
			    sizeof(text));
	len = len ? len : 1;
	for (unsigned i = 0; i < len; i++)
		fprintf(out, " %02x", bytes[i]);
	fprintf(out, "%*s  %s\n", len < 8 ? (int)(8 - len) * 3 : 0, "", text);
	*address += len;
	return true;
}

static void format_instructions(FILE *out, struct vcpu *vcpu, uint32_t count, bool physical,
				uint64_t address)
{
	struct disasm *disasm;

	if (disasm_create(&disasm)) {
		fprintf(out, "no memory for the disassembler\n");
		return;
	}
	while (count-- && format_instruction(out, disasm, vcpu, physical, &address))
		;
	disasm_destroy(disasm);
}

/* --- data --- */

static bool format_line(FILE *out, struct vcpu *vcpu, const struct format *format, bool physical,
			uint64_t address, unsigned bytes)
{
	uint8_t line[LINE_BYTES];

	format_address(out, physical, address);
	if (command_read_memory(vcpu, physical, address, line, bytes) < bytes) {
		fprintf(out, " Cannot access memory\n");
		return false;
	}
	for (unsigned i = 0; i < bytes; i += format->size) {
		uint64_t value = 0;

		memcpy(&value, line + i, format->size);
		fputc(' ', out);
		format_value(out, format, value, true);
	}
	fputc('\n', out);
	return true;
}

void format_memory(FILE *out, struct vcpu *vcpu, const struct format *format, bool physical,
		   uint64_t address)
{
	const uint32_t line = format->size == 1 ? BYTES_A_LINE : LINE_BYTES;
	uint32_t left = format->count * format->size;

	if (format->kind == 'i') {
		format_instructions(out, vcpu, format->count, physical, address);
		return;
	}
	while (left) {
		const uint32_t bytes = left < line ? left : line;

		if (!format_line(out, vcpu, format, physical, address, bytes))
			return;
		left -= bytes;
		address += bytes;
	}
}
