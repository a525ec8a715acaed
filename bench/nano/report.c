/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nano.h"

#define COM1 0x3f8

/* 115200 baud, eight bits, no parity: nobody else has set the line up. */
void report_start_line(void)
{
	static const struct { uint8_t reg, value; } writes[] = { { 1, 0 }, { 3, 0x80 }, { 0, 1 },
		{ 1, 0 }, { 3, 3 }, { 2, 7 } };

	for (size_t i = 0; i < COUNT(writes); i++)
		outb(COM1 + writes[i].reg, writes[i].value);
}

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

uint64_t divide(uint64_t dividend, uint32_t divisor)
{
	uint32_t high = dividend >> 32, low = dividend, quotient_high = high / divisor,
		 rest = high % divisor;

	__asm__("divl %2" : "+a"(low), "+d"(rest) : "rm"(divisor) : "cc");
	return (uint64_t)quotient_high << 32 | low;
}

static void put_number(uint64_t value)
{
	char digits[20];
	unsigned n = 0;

	do {
		uint64_t tenth = divide(value, 10);

		digits[n++] = '0' + (char)(value - tenth * 10);
		value = tenth;
	} while (value);
	while (n)
		put(digits[--n]);
}

/*
 * The texts are our own or a CPU's name: nothing in them needs a backslash but what a CPU should
 * not have in its name.
 */
static void put_quoted(const char *text)
{
	put('"');
	for (; *text; text++)
		put(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text);
	put('"');
}

static void put_key(const char *key)
{
	put_text(", ");
	put_quoted(key);
	put_text(": ");
}

void report_open(const char *what)
{
	put_text("{\"nano\": ");
	put_quoted(what);
	report_number("tsc", rdtsc());
}

void report_text(const char *key, const char *value)
{
	put_key(key);
	put_quoted(value);
}

void report_number(const char *key, uint64_t value)
{
	put_key(key);
	put_number(value);
}

void report_hex(const char *key, uint32_t value)
{
	put_key(key);
	put_text("\"0x");
	for (int shift = 28; shift >= 0; shift -= 4)
		put("0123456789abcdef"[value >> shift & 15]);
	put('"');
}

void report_hundredths(const char *key, int64_t value)
{
	uint64_t size = value < 0 ? -value : value, whole = divide(size, 100);
	uint32_t rest = (uint32_t)(size - whole * 100);

	put_key(key);
	if (value < 0)
		put('-');
	put_number(whole);
	put('.');
	put('0' + rest / 10);
	put('0' + rest % 10);
}

/*
 * The line is out before anything else happens: the reader takes the time, and the machine may end.
 */
void report_close(void)
{
	put_text("}\r\n");
	while (!(inb(COM1 + 5) & 0x40))
		;
}
