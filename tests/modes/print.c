/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines on the debug console where there is one (port E9h reads E9h), else on the first serial
 * port; and which memory of the cases' segments changed.
 */
#include "modes.h"

#define PORT 0x3f8
#define CONSOLE 0xe9

static bool console;

static void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* 8 data bits; the fastest rate. */
void print_init(void)
{
	console = inb(CONSOLE) == CONSOLE;
	outb(PORT + 3, 0x83);
	outb(PORT, 1);
	outb(PORT + 1, 0);
	outb(PORT + 3, 3);
}

static void put(char c)
{
	while (!console && !(inb(PORT + 5) & 0x20))
		;
	outb(console ? CONSOLE : PORT, c);
}

static void put_hex(uint32_t value, unsigned digits)
{
	while (digits--)
		put("0123456789abcdef"[value >> 4 * digits & 15]);
}

void print(const char *format, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			put(*format);
			continue;
		}
		switch (*++format) {
		case 's':
			for (const char *s = __builtin_va_arg(args, const char *); *s; s++)
				put(*s);
			break;
		case 'b': put_hex(__builtin_va_arg(args, uint32_t), 2); break;
		case 'w': put_hex(__builtin_va_arg(args, uint32_t), 4); break;
		case 'x': put_hex(__builtin_va_arg(args, uint32_t), 8); break;
		}
	}
	__builtin_va_end(args);
}

/* Ringfence ends by its debug exit, Bochs by the word to its shutdown port. */
void finish(void)
{
	while (!(inb(PORT + 5) & 0x40))
		;
	outb(0xf4, 0);
	for (const char *s = "Shutdown"; *s; s++)
		outb(0x8900, *s);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- memory ---- */

/* Where cases store: around the ends of segments, and of the smaller limits. */
static const struct { uint32_t start, size; } watched[] = {
	{ 0x3ffe0, 0x40 }, { 0x40fe0, 0x40 }, { 0x41fe0, 0x40 }, { 0x4ffe0, 0x40 },
	{ 0x50fe0, 0x40 }, { 0x51fe0, 0x40 }, { 0x5ffe0, 0x40 }, { 0x607d0, 0x60 },
	{ 0x60fe0, 0x40 }, { 0x6ffd0, 0x50 },
};
enum { WATCHED = sizeof(watched) / sizeof(watched[0]) };
static uint8_t before[0x300];

/* Words that say where they are from; never a selector of the table. */
void memory_fill(void)
{
	for (unsigned i = 0; i < WATCHED; i++)
		for (uint32_t n = 0; n < watched[i].size; n++) {
			uint32_t at = watched[i].start + n;

			*(uint8_t *)at = at & 1 ? 0x80 | (at >> 12 & 15) : at & 0xff;
		}
}

void memory_snapshot(void)
{
	uint8_t *to = before;

	for (unsigned i = 0; i < WATCHED; i++) {
		__builtin_memcpy(to, (void *)watched[i].start, watched[i].size);
		to += watched[i].size;
	}
}

void report_memory(void)
{
	const uint8_t *was = before;
	uint32_t last = 0;

	for (unsigned i = 0; i < WATCHED; i++) {
		for (uint32_t n = 0; n < watched[i].size; n++, was++) {
			uint32_t at = watched[i].start + n;

			if (*(uint8_t *)at == *was)
				continue;
			if (at != last)
				print(" [%x]=", at);
			print("%b", *(uint8_t *)at);
			last = at + 1;
		}
	}
}

/* ---- lines ---- */

static void changed(const char *name, uint32_t was, uint32_t is)
{
	if (was != is)
		print(is >> 16 ? " %s=%x" : " %s=%w", name, is);
}

static void changed_registers(const struct regs *a, const struct regs *b)
{
	static const char names[8][4] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
	static const char segments[6][3] = { "es", "cs", "ss", "ds", "fs", "gs" };

	for (unsigned i = 0; i < 8; i++)
		changed(names[i], (&a->eax)[i], (&b->eax)[i]);
	for (unsigned i = 0; i < 6; i++)
		changed(segments[i], (&a->es)[i], (&b->es)[i]);
}

void report_start(const char *area, const char *name, const struct regs *was)
{
	const struct regs *r = &outcome.regs;

	print("%s: %s: %b", area, name, outcome.vector);
	if (outcome.has_error)
		print("(%w)", outcome.error);
	print(outcome.task ? " by task at %w:" : " at %w:", r->cs);
	print(r->eip >> 16 ? "%x" : "%w", r->eip);
	print(r->eflags >> 16 ? " flags %x" : " flags %w", r->eflags);
	changed_registers(was, r);
	changed("cr0", 0x11, outcome.cr0 | 1);
}

void report_end(void)
{
	print("\n");
}

void report(const char *area, const char *name, const struct regs *was)
{
	report_start(area, name, was);
	report_memory();
	report_end();
}

void report_words(const char *name, uint32_t start, uint32_t end, unsigned size)
{
	const char *between = "";

	print(" %s=", name);
	for (; start + size <= end; start += size) {
		print("%s", between);
		print(size == 2 ? "%w" : "%x", size == 2 ? *(uint16_t *)start : *(uint32_t *)start);
		between = ",";
	}
}

/* "A B" to a place of 40 bytes. */
void join(char *to, const char *a, const char *b)
{
	while (*a)
		*to++ = *a++;
	*to++ = ' ';
	do
		*to++ = *b;
	while (*b++);
}
