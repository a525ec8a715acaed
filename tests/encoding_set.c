/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of instruction encodings (encoding_set.h). */
#include "encoding_set.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct encoding_set {
	uint8_t columns[4][256][256]; /* by map, opcode and ModRM: a bit for each prefix */
};

static const uint8_t escapes[4][2] = { { 0 }, { 0x0f }, { 0x0f, 0x38 }, { 0x0f, 0x3a } };
static const uint8_t prefix_bytes[4] = { 0, 0x66, 0xf3, 0xf2 };

/* --- Reading --- */

struct reader {
	const char *at;
	unsigned columns;
	enum insn_map map;
	struct encoding_set *set;
};

static bool skip(struct reader *r, const char *word)
{
	const size_t length = strlen(word);

	if (strncmp(r->at, word, length))
		return false;
	r->at += length;
	return true;
}

static unsigned number(struct reader *r, int digits)
{
	unsigned value;
	int used = 0;
	char format[] = { '%', (char)('0' + digits), 'x', '%', 'n', 0 };

	cr_assert(sscanf(r->at, format, &value, &used) == 1 && used == digits, "a number at '%s'",
		  r->at);
	r->at += used;
	return value;
}

static void range(struct reader *r, int digits, unsigned *first, unsigned *last)
{
	*first = *last = number(r, digits);
	if (skip(r, "-"))
		*last = number(r, digits);
	cr_assert_leq(*first, *last, "before '%s'", r->at);
}

static bool read_columns(struct reader *r)
{
	static const char *const names[] = { "np:", "66:", "f3:", "f2:" };
	unsigned columns = 0;

	if (skip(r, "all:"))
		columns = 15;
	for (unsigned i = 0; i < 4; i++) {
		while (skip(r, names[i])) {
			columns |= 1 << i;
			i = 0;
		}
	}
	if (columns)
		r->columns = columns;
	return columns;
}

static void read_map(struct reader *r)
{
	r->map = skip(r, "1b.") ? MAP_1BYTE :
		 skip(r, "0f.") ? MAP_0F :
		 skip(r, "38.") ? MAP_0F38 :
		 skip(r, "3a.") ? MAP_0F3A :
				  r->map;
}

static void read_opcodes(struct reader *r)
{
	unsigned opcode, last, reg = 0, last_reg = 7, modrm = 0, last_modrm = 255;
	bool memory, registers;

	read_map(r);
	range(r, 2, &opcode, &last);
	if (skip(r, "/"))
		range(r, 1, &reg, &last_reg);
	if (skip(r, "="))
		range(r, 2, &modrm, &last_modrm);
	memory = !skip(r, "r");
	registers = !memory || !skip(r, "m");
	for (; opcode <= last; opcode++)
	for (unsigned i = modrm; i <= last_modrm; i++) {
		if ((i >> 3 & 7) >= reg && (i >> 3 & 7) <= last_reg &&
		    (i < 0xc0 ? memory : registers))
			r->set->columns[r->map][opcode][i] |= r->columns;
	}
}

struct encoding_set *encoding_set_parse(const char *text)
{
	struct reader r = { .at = text, .columns = 15, .set = calloc(1, sizeof(*r.set)) };

	cr_assert(r.set);
	while (*r.at) {
		if (!read_columns(&r))
			read_opcodes(&r);
		cr_assert(*r.at == ' ' || !*r.at, "at '%s'", r.at);
		while (*r.at == ' ')
			r.at++;
	}
	return r.set;
}

bool encoding_set_has(const struct encoding_set *set, const struct encoding *e)
{
	return set->columns[e->map][e->opcode][e->modrm] >> e->column & 1;
}

/* --- Going through --- */

static bool is_prefix_or_escape(const struct encoding *e)
{
	const uint8_t o = e->opcode;

	if (e->map == MAP_1BYTE)
		return (o & 0xe7) == 0x26 || (o >= 0x64 && o <= 0x67) || o == 0x0f || o == 0xf0 ||
		       o == 0xf2 || o == 0xf3;
	return e->map == MAP_0F && (o == 0x38 || o == 0x3a);
}

static void step_opcode(struct encoding *e)
{
	e->modrm = 0;
	if (++e->opcode)
		return;
	e->map = (e->map + 1) & 3;
	if (e->map == MAP_1BYTE)
		e->column++;
}

bool encoding_next(struct encoding *e)
{
	struct insn insn;

	encoding_decode(e, 1, false, &insn);
	if (insn.has_modrm && e->modrm < 0x38)
		e->modrm += 8;
	else if (insn.has_modrm && e->modrm < 0xff)
		e->modrm = e->modrm < 0xc0 ? 0xc0 : e->modrm + 1;
	else
		step_opcode(e);
	while (is_prefix_or_escape(e))
		step_opcode(e);
	return e->column < 4;
}

enum decode_result encoding_decode(const struct encoding *e, uint8_t fill, bool lock,
				   struct insn *insn)
{
	uint8_t bytes[INSN_MAX_LEN];
	unsigned n = 0;

	memset(bytes, fill, sizeof(bytes));
	if (lock)
		bytes[n++] = 0xf0;
	if (e->column)
		bytes[n++] = prefix_bytes[e->column];
	for (unsigned i = 0; i < 2 && escapes[e->map][i]; i++)
		bytes[n++] = escapes[e->map][i];
	bytes[n++] = e->opcode;
	bytes[n] = e->modrm;
	if (insn_decode(bytes, sizeof(bytes), true, insn) == DECODE_OK && !insn->has_modrm)
		bytes[n] = fill;
	return insn_decode(bytes, sizeof(bytes), true, insn);
}

const char *encoding_text(const struct encoding *e)
{
	static const char *const prefixes[] = { "", "66 ", "f3 ", "f2 " };
	static const char *const maps[] = { "", "0f ", "0f 38 ", "0f 3a " };
	static char text[32];

	snprintf(text, sizeof(text), "%s%s%02x /%02x", prefixes[e->column], maps[e->map], e->opcode,
		 e->modrm);
	return text;
}
