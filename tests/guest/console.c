/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest says on the debug console, one line a check, and how it counts. */
#include <stdarg.h>
#include "report.h"

static struct { unsigned passed, failed; const char *group, *mode; bool quiet; } report;
static struct { char text[256]; unsigned length; } line;

/* Lines go out in one piece, which costs an emulator less. */
static void put(char c)
{
	const char *from = line.text;

	line.text[line.length++] = c;
	if (c != '\n' && line.length < sizeof(line.text))
		return;
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(line.length) : "d"(0xe9) : "memory");
}

static void put_number(uint32_t value, unsigned base)
{
	char digits[10];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		put(digits[--n]);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

static void put_format(const char *format, va_list args)
{
	for (; *format; format++) {
		if (*format != '%') {
			put(*format);
			continue;
		}
		switch (*++format) {
		case 's': put_text(va_arg(args, const char *)); break;
		case 'u': put_number(va_arg(args, uint32_t), 10); break;
		case 'x': put_number(va_arg(args, uint32_t), 16); break;
		default: put('?');
		}
	}
}

void note(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	put_format(text, args);
	va_end(args);
	put('\n');
}

void report_quietly(void)
{
	report.quiet = true;
}

void report_group(const char *group, const char *mode)
{
	report.group = group;
	report.mode = mode;
}

unsigned report_end(void)
{
	note("%u passed, %u failed", report.passed, report.failed);
	return report.failed;
}

/* Counts; false if that is all that is wanted. */
static bool put_name(bool ok, const char *name, va_list args)
{
	*(ok ? &report.passed : &report.failed) += 1;
	if (ok && report.quiet)
		return false;
	put_text(ok ? "ok " : "FAILED ");
	put_text(report.group);
	put('.');
	put_text(report.mode);
	put('.');
	put_format(name, args);
	if (ok)
		put('\n');
	return !ok;
}

void check(uint32_t got, uint32_t want, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	if (put_name(got == want, name, args))
		note(": got %x want %x", got, want);
	va_end(args);
}

static void put_trap(uint32_t vector, uint32_t error, uint32_t eip)
{
	put_text("vector ");
	put_number(vector, 10);
	if (error != NO_ERROR) {
		put_text(" error ");
		put_number(error, 16);
	}
	put_text(" eip ");
	put_number(eip, 16);
}

void check_trap(const struct trap *trap, uint32_t vector, uint32_t error, const void *eip,
		const char *name, ...)
{
	uint32_t got = trap->has_error ? trap->error : NO_ERROR;
	va_list args;

	va_start(args, name);
	if (put_name(trap->vector == vector && got == error && trap->regs.eip == ADDR(eip), name,
		     args)) {
		put_text(": got ");
		put_trap(trap->vector, got, trap->regs.eip);
		put_text(" want ");
		put_trap(vector, error, ADDR(eip));
		if (trap->vector == PF)
			note(" (cr2 %x)", trap->cr2);
		else
			put('\n');
	}
	va_end(args);
}

void check_done(const struct trap *trap, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	if (put_name(trap->vector == DONE, name, args)) {
		put_text(": got ");
		put_trap(trap->vector, trap->has_error ? trap->error : NO_ERROR, trap->regs.eip);
		note(" cr2 %x want the end", trap->cr2);
	}
	va_end(args);
}
