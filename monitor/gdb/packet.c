/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of gdb's remote serial protocol (packet.h). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "packet.h"

#define ESCAPE 0x7d      /* the next byte is xored with the following */
#define ESCAPE_XOR 0x20
#define REPEAT_BIAS 29   /* "*c": the character before c - 29 times more */
#define REPEAT_LEAST 3   /* fewer are no shorter */
#define REPEAT_MOST 97   /* c is 126 then */
#define INTERRUPT 0x03

/* --- digits --- */

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool gdb_take_number(const char **text, uint64_t *value)
{
	unsigned digits = 0;

	*value = 0;
	for (; digit_value(**text) >= 0; digits++, ++*text)
		*value = *value << 4 | digit_value(**text);
	return digits && digits <= 16;
}

bool gdb_take_bytes(const char **text, void *bytes, size_t count)
{
	uint8_t *to = bytes;

	for (; count; count--, *text += 2) {
		const int high = digit_value((*text)[0]),
			  low = high < 0 ? -1 : digit_value((*text)[1]);

		if (low < 0)
			return false;
		*to++ = high << 4 | low;
	}
	return true;
}

bool gdb_take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}

/* --- reading --- */

static void reader_begin(struct gdb_reader *r, int state)
{
	r->state = state;
	r->len = 0;
	r->sum = 0;
	r->overlong = r->broken = false;
}

void gdb_reader_reset(struct gdb_reader *r)
{
	reader_begin(r, GDB_BETWEEN);
}

static void reader_add(struct gdb_reader *r, uint8_t byte)
{
	if (r->len < GDB_PACKET_MOST)
		r->body[r->len++] = (char)byte;
	else
		r->overlong = true;
}

static void reader_repeat(struct gdb_reader *r, uint8_t byte)
{
	if (!r->len || byte < REPEAT_BIAS + REPEAT_LEAST || byte > REPEAT_BIAS + REPEAT_MOST) {
		r->broken = true;
		return;
	}
	for (unsigned n = byte - REPEAT_BIAS; n; n--)
		reader_add(r, r->body[r->len - 1]);
}

static enum gdb_got take_between(struct gdb_reader *r, uint8_t byte)
{
	switch (byte) {
	case '$':
		reader_begin(r, GDB_IN_BODY);
		return GDB_NOTHING;
	case '+': return GDB_ACK;
	case '-': return GDB_NAK;
	case INTERRUPT: return GDB_INTERRUPT;
	default: return GDB_NOTHING;
	}
}

static enum gdb_got take_in_body(struct gdb_reader *r, uint8_t byte)
{
	if (byte == '$') {
		reader_begin(r, GDB_IN_BODY);
		return GDB_NOTHING;
	}
	if (byte == '#') {
		r->state = r->state == GDB_IN_BODY ? GDB_SUM_HIGH : GDB_BETWEEN;
		return r->state == GDB_SUM_HIGH ? GDB_NOTHING : GDB_BAD;
	}
	r->sum += byte;
	if (r->state == GDB_ESCAPED)
		reader_add(r, byte ^ ESCAPE_XOR);
	else if (r->state == GDB_REPEAT)
		reader_repeat(r, byte);
	else if (byte != ESCAPE && byte != '*')
		reader_add(r, byte);
	if (r->state != GDB_IN_BODY)
		r->state = GDB_IN_BODY;
	else if (byte == ESCAPE)
		r->state = GDB_ESCAPED;
	else if (byte == '*')
		r->state = GDB_REPEAT;
	return GDB_NOTHING;
}

static enum gdb_got take_sum(struct gdb_reader *r, uint8_t byte)
{
	const int digit = digit_value((char)byte);

	if (digit < 0) {
		/* Perhaps the one that follows is whole. */
		reader_begin(r, byte == '$' ? GDB_IN_BODY : GDB_BETWEEN);
		return GDB_BAD;
	}
	if (r->state == GDB_SUM_HIGH) {
		r->told = digit << 4;
		r->state = GDB_SUM_LOW;
		return GDB_NOTHING;
	}
	r->state = GDB_BETWEEN;
	r->body[r->len] = '\0';
	if ((r->told | digit) != r->sum || r->broken)
		return GDB_BAD;
	return r->overlong ? GDB_OVERLONG : GDB_PACKET;
}

enum gdb_got gdb_reader_take(struct gdb_reader *r, uint8_t byte)
{
	switch (r->state) {
	case GDB_BETWEEN: return take_between(r, byte);
	case GDB_SUM_HIGH: case GDB_SUM_LOW: return take_sum(r, byte);
	default: return take_in_body(r, byte);
	}
}

/* --- writing --- */

void gdb_text_clear(struct gdb_text *text)
{
	text->len = 0;
	text->full = false;
}

void gdb_text_add(struct gdb_text *text, const char *fmt, ...)
{
	const size_t room = sizeof(text->body) - text->len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->body + text->len, room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		text->full = true;
	else
		text->len += n;
}

static void text_add_byte(struct gdb_text *text, char byte)
{
	if (text->len < sizeof(text->body))
		text->body[text->len++] = byte;
	else
		text->full = true;
}

void gdb_text_add_hex(struct gdb_text *text, const void *bytes, size_t count)
{
	static const char digit[] = "0123456789abcdef";

	for (const uint8_t *from = bytes; count; count--, from++) {
		text_add_byte(text, digit[*from >> 4]);
		text_add_byte(text, digit[*from & 15]);
	}
}

void gdb_text_add_binary(struct gdb_text *text, const void *bytes, size_t count)
{
	for (const char *from = bytes; count; count--, from++) {
		if (*from && strchr("#$*}", *from)) {
			text_add_byte(text, ESCAPE);
			text_add_byte(text, *from ^ ESCAPE_XOR);
		} else {
			text_add_byte(text, *from);
		}
	}
}

/* How many characters follow that are the same as the first; '#' and '$' may not stand for it. */
static unsigned repeats(const char *from, size_t len)
{
	unsigned n = 0;

	while (n < REPEAT_MOST && n + 1 < len && from[n + 1] == *from)
		n++;
	while (n + REPEAT_BIAS == '#' || n + REPEAT_BIAS == '$')
		n--;
	return n < REPEAT_LEAST ? 0 : n;
}

size_t gdb_frame(const struct gdb_text *text, char frame[GDB_FRAME_MOST])
{
	uint8_t sum = 0;
	size_t len = 0;

	frame[len++] = '$';
	for (size_t i = 0; i < text->len; i++) {
		const unsigned more = repeats(text->body + i, text->len - i);

		frame[len++] = text->body[i];
		if (more) {
			frame[len++] = '*';
			frame[len++] = (char)(more + REPEAT_BIAS);
			i += more;
		}
	}
	for (size_t i = 1; i < len; i++)
		sum += (uint8_t)frame[i];
	frame[len++] = '#';
	frame[len++] = "0123456789abcdef"[sum >> 4];
	frame[len++] = "0123456789abcdef"[sum & 15];
	return len;
}
