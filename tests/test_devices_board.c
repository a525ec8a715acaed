/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The assembled board: interrupt wiring, tables in RAM. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "board_fixture.h"
#include "devices/firmware/acpi_tables.h"

TestSuite(board, .init = board_setup, .fini = board_teardown);
TestSuite(tables, .init = board_setup, .fini = board_teardown);

/* Wiring. */

static void program_pics(void)
{
	static const struct { uint16_t port; uint8_t value; } sequence[] = {
		{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0x00 },
		{ 0xa0, 0x11 }, { 0xa1, 0x38 }, { 0xa1, 0x02 }, { 0xa1, 0x01 }, { 0xa1, 0x00 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(sequence); i++)
		out(sequence[i].port, sequence[i].value);
}

static void end_both(void)
{
	out(0xa0, 0x20);
	out(0x20, 0x20);
}

Test(board, irqs_through_the_8259s)
{
	program_pics();
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	cr_expect(b.intr);
	cr_expect(pc_board_intr_level(b.board));
	cr_expect_eq(pc_board_acknowledge(b.board), 0x31);
	cr_expect_not(b.intr);
	in(0x60);
	out(0x20, 0x20);
	cr_expect_eq(pc_board_acknowledge(b.board), -1);
	/* PIT at 100 Hz. */
	out(0x43, 0x34);
	out(0x40, 0x9c);
	out(0x40, 0x2e);
	if (b.intr) { /* the edge of setting the mode */
		cr_expect_eq(pc_board_acknowledge(b.board), 0x30);
		out(0x20, 0x20);
	}
	for (unsigned i = 0; i < 5; i++) {
		fake_clock_advance(&b.time, 10000000 - (i ? 0 : 100));
		cr_expect_eq(pc_board_acknowledge(b.board), i ? 0x30 : -1, "%u", i);
		out(0x20, 0x20);
	}
	/* COM2 and the RTC. */
	out(0x2f9, 0x02);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x33);
	out(0x20, 0x20);
	out(0x70, 0x0b);
	out(0x71, 0x12);
	fake_clock_advance(&b.time, NS_PER_SECOND);
	end_both();
	cr_expect(b.intr);
}

/*
 * A kernel that waits for the timer before it sets it (Linux without a TSC does) must not wait for
 * ever.
 */
Test(board, timer_runs_after_reset)
{
	uint16_t before, after;

	for (unsigned round = 0; round < 2; round++) {
		out(0x43, 0xc2); /* read back: status and count */
		cr_expect_eq(in(0x40) & 0x40, 0, "the count is not valid");
		before = in(0x40);
		before |= in(0x40) << 8;
		fake_clock_advance(&b.time, 1000000);
		out(0x43, 0x00);
		after = in(0x40);
		after |= in(0x40) << 8;
		cr_expect_eq((uint16_t)(before - after), 1193);
		cr_expect_eq(pc_board_acknowledge(b.board), -1, "and nothing is interrupted by it");
		pc_board_reset(b.board);
	}
}

/*
 * FERR# is IRQ 13 until port F0h is written, which asserts IGNNE#; without an error the port does
 * nothing.
 */
static void ferr(void)
{
	const struct signal_line pin = pc_board_ferr(b.board);

	signal_raise(&pin, 0);
}

Test(board, x87_errors)
{
	program_pics();
	out(0xf0, 0);
	cr_expect_eq(b.ignnes, 0);
	cr_expect_not(b.intr);
	for (unsigned round = 1; round <= 2; round++) {
		ferr();
		cr_expect_eq(pc_board_acknowledge(b.board), 0x38 + 5);
		cr_expect_eq(b.ignnes, round - 1);
		out(0xf0, 0);
		cr_expect_eq(b.ignnes, round);
		end_both();
		cr_expect_eq(pc_board_acknowledge(b.board), -1);
	}
	ferr();
	pc_board_reset(b.board);
	out(0xf0, 0);
	cr_expect_eq(b.ignnes, 2, "reset forgets the error");
}

Test(board, irqs_through_the_io_apic)
{
	bus_mmio_write(b.bus, GPA(0xfee000f0), 0x1ff, 4);
	bus_mmio_write(b.bus, GPA(0xfee00350), 0x10700, 4);
	bus_mmio_write(b.bus, GPA(0xfec00000), 0x10 + 2 * 2, 4); /* IRQ 0 is pin 2 */
	bus_mmio_write(b.bus, GPA(0xfec00010), 0x50, 4);
	bus_mmio_write(b.bus, GPA(0xfec00000), 0x10 + 2 * 9, 4);
	bus_mmio_write(b.bus, GPA(0xfec00010), 0x8059, 4);
	out(0x43, 0x30); /* the timer's own output is up */
	pc_board_set_irq(b.board, 0, true);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x50);
	bus_mmio_write(b.bus, GPA(0xfee000b0), 0, 4);
	/* The power button raises the SCI, level triggered, until it is cleared. */
	bus_pio_write(b.bus, 0x602, 0x0100, 2);
	pc_board_power_button(b.board);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x59);
	bus_mmio_write(b.bus, GPA(0xfee000b0), 0, 4);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x59);
	bus_pio_write(b.bus, 0x600, 0x0100, 2);
	bus_mmio_write(b.bus, GPA(0xfee000b0), 0, 4);
	cr_expect_eq(pc_board_acknowledge(b.board), -1);
	cr_expect_not(b.intr);
}

/* Pin 2 is IRQ 0's. */
Test(board, lines_that_are_nobodys)
{
	bus_mmio_write(b.bus, GPA(0xfee000f0), 0x1ff, 4);
	bus_mmio_write(b.bus, GPA(0xfee00350), 0x10700, 4);
	for (unsigned pin = 0; pin < 24; pin++) {
		bus_mmio_write(b.bus, GPA(0xfec00000), 0x10 + 2 * pin, 4);
		bus_mmio_write(b.bus, GPA(0xfec00010), 0x50 + pin, 4);
	}
	out(0x43, 0x30);
	pc_board_set_irq(b.board, 2, true);
	pc_board_set_irq(b.board, 24, true);
	pc_board_set_irq(b.board, UINT_MAX, true);
	cr_expect_eq(pc_board_acknowledge(b.board), -1);
	pc_board_set_irq(b.board, 23, true);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x50 + 23);
}

Test(board, shared_lines_are_ored)
{
	program_pics();
	bus_pio_write(b.bus, 0x602, 0x0100, 2);
	pc_board_power_button(b.board);
	pc_board_set_irq(b.board, 9, true);
	bus_pio_write(b.bus, 0x600, 0x0100, 2);
	cr_expect(b.intr, "the other source still holds the line");
	pc_board_set_irq(b.board, 9, false);
	cr_expect_not(b.intr);
}

Test(board, apic_base)
{
	cr_expect_eq(pc_board_apic_base_get(b.board), 0xfee00900);
	cr_expect_not(pc_board_apic_base_set(b.board, 0xfee00d00));
	pc_board_tpr_set(b.board, 0x20);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xfee00080), 4), 0x20);
	cr_expect_eq(pc_board_tpr_get(b.board), 0x20);
}

Test(board, debug_exit_and_power_off)
{
	bus_pio_write(b.bus, 0xf4, 0x31, 4);
	cr_expect_eq(b.exits, 1);
	cr_expect_eq(b.exit_code, 0x31);
	cr_expect_eq(bus_pio_read(b.bus, 0xf4, 1), 0);
	bus_pio_write(b.bus, 0x604, 0x2000, 2);
	cr_expect_eq(b.poweroffs, 1);
	cr_expect_eq(in(0xe9), 0xe9);
}

Test(board, absent_ports_are_harmless)
{
	for (uint32_t port = 0; port < 0x10000; port++) {
		if (port == 0x64 || port == 0x92 || port == 0xcf9 || (port >= 0xf4 && port < 0xf8))
			continue;
		bus_pio_read(b.bus, (uint16_t)port, 1);
		bus_pio_write(b.bus, (uint16_t)port, 0, 1);
		bus_pio_read(b.bus, (uint16_t)port, 4);
	}
	for (uint64_t gpa = 0xfec00000; gpa < 0xfec02000; gpa++)
		bus_mmio_read(b.bus, GPA(gpa), 1);
	cr_expect_eq(in(0x3c0), 0xff, "no VGA");
}

Test(board, conflicting_option_is_an_error_that_names_both)
{
	struct pc_board *second = b.board;
	struct error error = { 0 };
	struct bus *bus;

	cr_assert_eq(bus_create(&bus), 0);
	b.config.bus = bus;
	b.config.debug_exit_iobase = 0x64;
	cr_expect_eq(pc_board_create(&b.config, &second, &error), -EEXIST);
	cr_expect_null(second);
	cr_expect(strstr(error.text, "isa-debug-exit") && strstr(error.text, "i8042"), "%s",
		  error.text);
	cr_expect_eq(bus_pio_read(bus, 0x64, 1), 0xff, "everything is detached");
	bus_destroy(bus);
}

static uint8_t cmos_of(struct bus *bus, uint8_t at)
{
	bus_pio_write(bus, 0x70, at, 1);
	return (uint8_t)bus_pio_read(bus, 0x71, 1);
}

Test(board, floppy_drives)
{
	struct pc_board *second;
	struct error error = { 0 };
	struct bus *bus;

	cr_expect_eq(cmos_of(b.bus, 0x10), 0);
	cr_expect_eq(cmos_of(b.bus, 0x14), 0x06, "no floppy");
	cr_assert_eq(bus_create(&bus), 0);
	b.config.bus = bus;
	b.config.floppy[0].type = FLOPPY_2880K;
	b.config.floppy[1].type = FLOPPY_360K;
	cr_assert_eq(pc_board_create(&b.config, &second, &error), 0, "%s", error.text);
	cr_expect_eq(cmos_of(bus, 0x10), 0x51);
	cr_expect_eq(cmos_of(bus, 0x14), 0x47, "two");
	bus_pio_write(bus, 0x3f2, 0x0c, 1);
	fake_clock_advance(&b.time, 1000000);
	cr_expect(pc_board_pic(second)->s.chip[0].irr & 0x40, "IRQ 6");
	pc_board_destroy(second);
	bus_destroy(bus);
}

Test(board, reset_and_saved_state)
{
	struct error error = { 0 };
	void *saved, *again;
	size_t size, size2;

	program_pics();
	out(0x43, 0x34);
	out(0x40, 0x9c);
	out(0x40, 0x2e);
	bus_mmio_write(b.bus, GPA(0xfee000f0), 0x1ff, 4);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	cr_assert_eq(bus_save(b.bus, b.time.now, &saved, &size), 0);
	cr_expect(b.intr);
	pc_board_reset(b.board);
	cr_expect_not(b.intr);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xfee000f0), 4), 0xff);
	cr_assert_eq(bus_load(b.bus, saved, size, &error), 0, "%s", error.text);
	cr_expect(b.intr);
	cr_assert_eq(bus_save(b.bus, b.time.now, &again, &size2), 0);
	cr_expect(size == size2 && !memcmp(saved, again, size),
		  "what was loaded is what was saved");
	cr_expect_eq(in(0x60), 0x1e);
	free(saved);
	free(again);
}

/*
 * A guest gone mad: nothing breaks, the INTR pin tells the truth, and the host is not flooded with
 * timers.
 */
Test(board, random_accesses_do_no_harm)
{
	static const struct { uint16_t base, size; } ports[] = {
		{ 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 }, { 0x40, 4 }, { 0x61, 1 }, { 0x60, 5 },
		{ 0x70, 2 }, { 0x92, 1 }, { 0x3f8, 8 }, { 0x2f8, 8 }, { 0x600, 12 }, { 0xafe0, 4 },
		{ 0xb2, 2 }, { 0xcf8, 8 }, { 0xe9, 1 }, { 0x00, 0x10 }, { 0x80, 0x10 },
		{ 0xc0, 0x20 }, { 0x3f2, 4 }, { 0x3f7, 1 },
	};
	uint64_t simulated = 0;

	srand(7);
	for (unsigned i = 0; i < 400000; i++) {
		unsigned which = (unsigned)rand() % (RF_ARRAY_SIZE(ports) + 2);
		unsigned size = 1u << rand() % 3;
		uint32_t value = (uint32_t)rand() ^ (uint32_t)rand() << 16;

		if (which < RF_ARRAY_SIZE(ports)) {
			uint16_t port = ports[which].base +
					(uint16_t)((unsigned)rand() % ports[which].size);

			if (rand() & 1)
				bus_pio_write(b.bus, port, value, size);
			else
				bus_pio_read(b.bus, port, size);
		} else {
			uint64_t gpa = which == RF_ARRAY_SIZE(ports) ?
					    0xfee00000 + ((uint64_t)rand() % 64) * 16 :
					    0xfec00000 + ((uint64_t)rand() % 2) * 16;

			if (rand() & 1)
				bus_mmio_write(b.bus, GPA(gpa), value, 4);
			else
				bus_mmio_read(b.bus, GPA(gpa), 4);
		}
		if (rand() % 4 == 0) {
			uint64_t ns = (uint64_t)rand() % 100000;

			fake_clock_advance(&b.time, ns);
			simulated += ns;
		}
		if (rand() % 64 == 0)
			cr_expect(pc_board_apic_base_set(b.board,
							 rand() % 4 ? 0xfee00900 : 0xfee00100));
		cr_assert_eq(b.intr, pc_board_intr_level(b.board), "step %u", i);
		if (rand() % 4 == 0) {
			bool promised = b.intr;
			int vector = pc_board_acknowledge(b.board);

			cr_assert(promised == (vector >= 0) && vector < 256, "step %u: %d", i,
				  vector);
		}
	}
	/* PIT and APIC at their fastest are 50000 a second each, the RTC 8192. */
	cr_expect_leq(b.time.fired, simulated / 1000 * 120 / 1000 + 1000);
	pc_board_reset(b.board);
	cr_expect_not(b.intr);
	cr_expect(b.a20);
}

/* Tables. */

static uint32_t ram32(uint64_t gpa)
{
	uint32_t value;

	memcpy(&value, b.ram + gpa, 4);
	return value;
}

static void expect_table(uint64_t gpa, const char *signature)
{
	uint32_t length = ram32(gpa + 4);

	cr_expect_eq(memcmp(b.ram + gpa, signature, 4), 0, "%s", signature);
	cr_assert_lt(length, 0x4000u);
	cr_expect_eq(acpi_checksum(b.ram + gpa, length), 0, "%s", signature);
}

Test(tables, acpi)
{
	uint64_t rsdt, fadt;
	gpa_t base;
	uint64_t size;

	pc_board_acpi_area(RAM_SIZE, &base, &size);
	cr_expect_eq(base.v + size, RAM_SIZE);
	cr_expect_eq(gpa_offset(base), 0);
	cr_assert_eq(pc_board_write_tables(b.board), 0);
	cr_expect_eq(memcmp(b.ram + 0xf6000, "RSD PTR ", 8), 0);
	cr_expect_eq(acpi_checksum(b.ram + 0xf6000, 20), 0);
	rsdt = ram32(0xf6010);
	cr_assert_geq(rsdt, base.v);
	expect_table(rsdt, "RSDT");
	fadt = ram32(rsdt + 36);
	expect_table(fadt, "FACP");
	expect_table(ram32(rsdt + 40), "APIC");
	expect_table(ram32(fadt + 40), "DSDT");
	cr_expect_eq(memcmp(b.ram + ram32(fadt + 36), "FACS", 4), 0);
	cr_expect_eq(ram32(fadt + 36) % 64, 0);
	uint64_t dsdt = ram32(fadt + 40);

	cr_expect_not_null(memmem(b.ram + dsdt, ram32(dsdt + 4), "_S5_", 4));
}

Test(tables, mp)
{
	uint64_t table;

	cr_assert_eq(pc_board_write_tables(b.board), 0);
	cr_expect_eq(memcmp(b.ram + 0xf6100, "_MP_", 4), 0);
	cr_expect_eq(acpi_checksum(b.ram + 0xf6100, 16), 0);
	table = ram32(0xf6104);
	cr_expect_eq(memcmp(b.ram + table, "PCMP", 4), 0);
	cr_expect_eq(acpi_checksum(b.ram + table, ram32(table + 4) & 0xffff), 0);
	/* Walk the entries: they must fill the table exactly. */
	uint64_t at = table + 44;
	unsigned entries = ram32(table + 34) & 0xffff;

	for (unsigned i = 0; i < entries; i++)
		at += b.ram[at] == 0 ? 20 : 8;
	cr_expect_eq(at - table, ram32(table + 4) & 0xffff);
}

Test(tables, no_room_is_an_error)
{
	const struct acpi_config config = { .ram_size = 1u << 20 };

	cr_expect_eq(acpi_tables_write(&config, &b.config.memory), -EFAULT);
}
