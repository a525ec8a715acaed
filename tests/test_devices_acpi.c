/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ACPI's byte code says of the board, as ACPICA's interpreter evaluates it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board_fixture.h"
#include "devices/chips/hpet.h"

TestSuite(acpi, .init = board_setup, .fini = board_teardown);

static uint32_t ram32(uint64_t at)
{
	uint32_t value;

	memcpy(&value, b.ram + at, sizeof(value));
	return value;
}

/* A file with the DSDT that a guest finds. */
static void write_dsdt(char *name)
{
	const uint32_t fadt = ram32(ram32(0xf6010) + 36), dsdt = ram32(fadt + 40);
	const int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, b.ram + dsdt, ram32(dsdt + 4)), (ssize_t)ram32(dsdt + 4));
	close(fd);
}

/* The integers of an object that is evaluated, and the bytes of a buffer: at most most. */
static unsigned evaluate(const char *object, uint32_t *values, unsigned most)
{
	char name[] = "/tmp/dsdt-XXXXXX", command[256], line[256], *text;
	unsigned n = 0, at;
	FILE *out;

	cr_assert_eq(pc_board_write_tables(b.board), 0);
	write_dsdt(name);
	snprintf(command, sizeof(command), "acpiexec -b 'evaluate %s' %s 2>&1", object, name);
	out = popen(command, "r");
	cr_assert_not_null(out);
	while (n < most && fgets(line, sizeof(line), out)) {
		int used = 0;

		n += sscanf(line, " [Integer] = %*8x%8x", &values[n]) == 1;
		text = strchr(line, '='); /* short buffers are on the line of their length */
		text = text ? text + 1 : line;
		if (sscanf(text, " %4x:%n", &at, &used) != 1 || !used)
			continue;
		for (const char *p = text + used; n < most && sscanf(p, " %2x%n", &values[n],
								     &used) == 1; p += used)
			n++;
	}
	pclose(out);
	unlink(name);
	return n;
}

static uint32_t evaluate_one(const char *object)
{
	uint32_t value;

	cr_assert_eq(evaluate(object, &value, 1), 1, "%s", object);
	return value;
}

/* PIRQA to D are lines 10, 10, 11, 11; pin INTx of slot n is PIRQ (n + x - 1) mod 4 (PIIX3). */
Test(acpi, interrupt_routing)
{
	static const uint32_t line[] = { 10, 10, 11, 11 };
	uint32_t v[128 * 4 + 1];

	cr_assert_eq(evaluate("\\_SB.PCI0._PRT", v, 128 * 4 + 1), 128 * 4);
	for (unsigned i = 0; i < 128; i++) {
		const unsigned slot = i / 4, pin = i % 4;

		cr_expect_eq(v[i * 4], slot << 16 | 0xffff);
		cr_expect_eq(v[i * 4 + 1], pin);
		cr_expect_eq(v[i * 4 + 2], 0);
		cr_expect_eq(v[i * 4 + 3], i == 4 ? 9 : line[(slot + pin + 3) % 4], "%u", i);
	}
}

/* COM1 and COM2 are there. */
Test(acpi, what_is_there)
{
	cr_expect_eq(evaluate_one("\\_SB.PCI0.ISA.COM1._STA"), 0xf);
	cr_expect_eq(evaluate_one("\\_SB.PCI0.ISA.COM2._STA"), 0xf);
	cr_expect_eq(evaluate_one("\\_SB.PCI0.ISA.COM3._STA"), 0);
	cr_expect_eq(evaluate_one("\\_SB.PCI0.ISA.COM4._STA"), 0);
	cr_expect_eq(evaluate_one("\\_SB.HPET._STA"), 0xf);
}

/* A 32-bit fixed memory range (ACPI 1.0b, 6.4.3.4). */
Test(acpi, the_hpet_is_where_it_says)
{
	const uint32_t base = HPET_BASE, size = HPET_SIZE;
	uint32_t v[32];
	uint8_t bytes[12];

	cr_assert_geq(evaluate("\\_SB.HPET._CRS", v, 32), 12);
	for (unsigned i = 0; i < 12; i++)
		bytes[i] = (uint8_t)v[i];
	cr_expect_eq(bytes[0], 0x86);
	cr_expect_eq(memcmp(bytes + 4, &base, 4), 0);
	cr_expect_eq(memcmp(bytes + 8, &size, 4), 0);
}

/* The last window of PCI's memory begins where RAM ends (ACPI 1.0b, 6.4.3.5.3). */
Test(acpi, windows)
{
	const uint32_t first = RAM_SIZE, last = 0xfebfffff, size = last - first + 1;
	uint32_t v[256];
	uint8_t bytes[256];
	unsigned n = evaluate("\\_SB.PCI0._CRS", v, 256);

	cr_assert_geq(n, 28);
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)v[i];
	cr_expect_eq(bytes[n - 2], 0x79, "an end tag");
	cr_expect_eq(bytes[n - 28], 0x87, "a window of 32 bits");
	cr_expect_eq(memcmp(bytes + n - 18, &first, 4), 0);
	cr_expect_eq(memcmp(bytes + n - 14, &last, 4), 0);
	cr_expect_eq(memcmp(bytes + n - 6, &size, 4), 0);
}
