/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The assembled board: keyboard controller, A20 and resets, PCI, interrupt wiring, tables in RAM.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/acpi_tables.h"
#include "devices/aml.h"
#include "devices/pc_board.h"
#include "devices/piix3.h"
#include "fake_clock.h"

#define RAM_SIZE (32u << 20)

static struct {
	struct bus *bus;
	struct fake_clock time;
	struct pc_board *board;
	struct pc_board_config config;
	struct chardev chardev[3];
	uint8_t *ram;
	bool intr, a20;
	unsigned nmis, resets, poweroffs, exits, ignnes;
	uint32_t exit_code;
} b;

static int ram_read(void *opaque, gpa_t gpa, void *buf, size_t len)
{
	if (gpa + len > RAM_SIZE)
		return -EFAULT;
	memcpy(buf, b.ram + gpa, len);
	return 0;
}

static int ram_write(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	if (gpa + len > RAM_SIZE)
		return -EFAULT;
	memcpy(b.ram + gpa, buf, len);
	return 0;
}

static void on_intr(void *opaque, unsigned n, bool level) { b.intr = level; }
static void on_nmi(void *opaque, unsigned n, uint32_t value) { b.nmis++; }
static void on_reset(void *opaque, unsigned n, uint32_t value) { b.resets++; }
static void on_poweroff(void *opaque, unsigned n, uint32_t value) { b.poweroffs++; }
static void on_ignne(void *opaque, unsigned n, uint32_t value) { b.ignnes++; }
static void on_a20(void *opaque, unsigned n, bool enabled) { b.a20 = enabled; }
static void on_exit_port(void *opaque, unsigned n, uint32_t code)
{
	b.exits++;
	b.exit_code = code;
}

static void drop(struct chardev *chardev, const uint8_t *bytes, size_t count) { }
static const struct chardev_ops drop_ops = { .write = drop };

static void setup(void)
{
	memset(&b, 0, sizeof(b));
	b.ram = calloc(1, RAM_SIZE);
	for (unsigned i = 0; i < 3; i++)
		b.chardev[i].ops = &drop_ops;
	cr_assert_eq(bus_create(&b.bus), 0);
	b.config = (struct pc_board_config){
		.bus = b.bus,
		.clock = fake_clock_interface(&b.time),
		.memory = { ram_read, ram_write, NULL },
		.ram_size = RAM_SIZE,
		.intr = { on_intr }, .nmi = { on_nmi }, .reset = { on_reset },
		.poweroff = { on_poweroff }, .ignne = { on_ignne }, .a20 = { on_a20 },
		.debug_exit = { on_exit_port },
		.serial = { &b.chardev[0], &b.chardev[1] },
		.debugcon = &b.chardev[2],
		.debug_exit_iobase = 0xf4, .debug_exit_iosize = 4,
		.rtc_base = 1700000000,
	};
	cr_assert_eq(pc_board_create(&b.config, &b.board), 0, "%s", bus_error(b.bus));
}

static void teardown(void)
{
	pc_board_destroy(b.board);
	bus_destroy(b.bus);
	free(b.ram);
}

TestSuite(board, .init = setup, .fini = teardown);
TestSuite(i8042, .init = setup, .fini = teardown);
TestSuite(pci, .init = setup, .fini = teardown);
TestSuite(tables, .init = setup, .fini = teardown);

static void out(uint16_t port, uint8_t value) { bus_pio_write(b.bus, port, value, 1); }
static uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(b.bus, port, 1); }

/* Keyboard controller. */

/* Next byte with the status it came with, or -1. */
static int next(uint8_t *status)
{
	*status = in(0x64);
	return *status & 1 ? in(0x60) : -1;
}

static void expect_bytes(bool aux, const uint8_t *bytes, unsigned count, const char *what)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t status;
		int byte = next(&status);

		cr_expect(byte == bytes[i] && !!(status & 0x20) == aux,
			  "%s: byte %u is %x, status %x", what, i, byte, status);
	}
	cr_expect_eq(in(0x64) & 1, 0, "%s: more bytes than expected", what);
}

#define EXPECT(aux, ...) \
	do { \
		const uint8_t bytes_[] = { __VA_ARGS__ }; \
		expect_bytes(aux, bytes_, sizeof(bytes_), #__VA_ARGS__); \
	} while (0)

Test(i8042, controller_commands)
{
	out(0x64, 0xaa);
	EXPECT(false, 0x55);
	out(0x64, 0xab);
	EXPECT(false, 0x00);
	out(0x64, 0xa9);
	EXPECT(false, 0x00);
	out(0x64, 0x20);
	EXPECT(false, 0x47);
	out(0x64, 0x60);
	out(0x60, 0x74);
	out(0x64, 0x20);
	EXPECT(false, 0x74);
	out(0x64, 0xae);
	out(0x64, 0x20);
	EXPECT(false, 0x64);
	out(0x64, 0xa8);
	out(0x64, 0x20);
	EXPECT(false, 0x44);
	out(0x64, 0xa7);
	out(0x64, 0x20);
	EXPECT(false, 0x64);
	/* The loops Linux's driver probes with. */
	out(0x64, 0xd3);
	out(0x60, 0x5a);
	EXPECT(true, 0x5a);
	out(0x64, 0xd2);
	out(0x60, 0xa5);
	EXPECT(false, 0xa5);
	out(0x64, 0x7f);
	out(0x60, 0x33);
	out(0x64, 0x3f);
	EXPECT(false, 0x33);
}

Test(i8042, keyboard_commands)
{
	out(0x64, 0x60);
	out(0x60, 0x04); /* no interrupts, no translation */
	out(0x60, 0xff);
	EXPECT(false, 0xfa, 0xaa);
	out(0x60, 0xf2);
	EXPECT(false, 0xfa, 0xab, 0x83);
	out(0x60, 0xed);
	EXPECT(false, 0xfa);
	out(0x60, 0x07);
	EXPECT(false, 0xfa);
	out(0x60, 0xee);
	EXPECT(false, 0xee);
	out(0x60, 0xf0);
	out(0x60, 0x00);
	EXPECT(false, 0xfa, 0xfa, 0x02);
	out(0x60, 0xf3);
	out(0x60, 0x00);
	EXPECT(false, 0xfa, 0xfa);
	out(0x60, 0xf5);
	EXPECT(false, 0xfa);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	cr_expect_eq(in(0x64) & 1, 0, "scanning is off");
	out(0x60, 0xf4);
	EXPECT(false, 0xfa);
	out(0x60, 0xfe);
	EXPECT(false, 0xfa);
	out(0x60, 0x00);
	EXPECT(false, 0xfe);
}

Test(i8042, keys_are_translated)
{
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c, 0xf0, 0x1c }, 3);
	EXPECT(false, 0x1e, 0x9e);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0xe0, 0x75, 0xe0, 0xf0, 0x75 }, 5);
	EXPECT(false, 0xe0, 0x48, 0xe0, 0xc8);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x83, 0x76 }, 2);
	EXPECT(false, 0x41, 0x01);
	out(0x60, 0xf2);
	EXPECT(false, 0xfa, 0xab, 0x41);
	out(0x64, 0x60);
	out(0x60, 0x07);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c, 0xf0, 0x1c }, 3);
	EXPECT(false, 0x1c, 0xf0, 0x1c);
}

Test(i8042, full_queue_drops_whole_sequences)
{
	const uint8_t key[] = { 0x1c, 0xf0, 0x1c };
	unsigned makes = 0, breaks = 0;
	uint8_t status;
	int byte;

	for (unsigned i = 0; i < 100; i++)
		pc_board_keyboard_put(b.board, key, sizeof(key));
	while ((byte = next(&status)) >= 0) {
		makes += byte == 0x1e;
		breaks += byte == 0x9e;
	}
	cr_expect_gt(makes, 5);
	cr_expect_eq(makes, breaks);
}

Test(i8042, mouse_answers)
{
	const uint8_t reset[] = { 0xff }, rate[] = { 0xf3, 0x64 }, status[] = { 0xe9 };
	out(0x64, 0xd4);
	out(0x60, reset[0]);
	EXPECT(true, 0xfa, 0xaa, 0x00);
	out(0x64, 0xd4);
	out(0x60, 0xf2);
	EXPECT(true, 0xfa, 0x00);
	for (unsigned i = 0; i < 2; i++) {
		out(0x64, 0xd4);
		out(0x60, rate[i]);
	}
	EXPECT(true, 0xfa, 0xfa);
	out(0x64, 0xd4);
	out(0x60, 0xf4);
	EXPECT(true, 0xfa);
	out(0x64, 0xd4);
	out(0x60, status[0]);
	EXPECT(true, 0xfa, 0x20, 0x02, 0x64);
	out(0x64, 0xd4);
	out(0x60, 0x0a);
	EXPECT(true, 0xfe);
}

Test(i8042, a20_and_reset_lines)
{
	cr_expect(b.a20);
	out(0x64, 0xd1);
	out(0x60, 0xdd);
	cr_expect_not(b.a20);
	cr_expect_eq(in(0x92) & 2, 0);
	out(0x64, 0xdf);
	cr_expect(b.a20);
	out(0x92, 0x00);
	cr_expect_not(b.a20);
	out(0x64, 0xd0);
	cr_expect_eq(in(0x60) & 2, 0);
	out(0x92, 0x02);
	cr_expect(b.a20);
	cr_expect_eq(b.resets, 0);
	out(0x64, 0xfe);
	cr_expect_eq(b.resets, 1);
	out(0x64, 0xff);
	cr_expect_eq(b.resets, 1);
	out(0x64, 0xd1);
	out(0x60, 0xfe);
	cr_expect_eq(b.resets, 2);
	out(0x92, 0x03);
	cr_expect_eq(b.resets, 3);
	pc_board_reset(b.board);
	cr_expect(b.a20);
}

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
	bus_mmio_write(b.bus, 0xfee000f0, 0x1ff, 4);
	bus_mmio_write(b.bus, 0xfee00350, 0x10700, 4);
	bus_mmio_write(b.bus, 0xfec00000, 0x10 + 2 * 2, 4); /* IRQ 0 is pin 2 */
	bus_mmio_write(b.bus, 0xfec00010, 0x50, 4);
	bus_mmio_write(b.bus, 0xfec00000, 0x10 + 2 * 9, 4);
	bus_mmio_write(b.bus, 0xfec00010, 0x8059, 4);
	out(0x43, 0x30); /* the timer's own output is up */
	pc_board_set_irq(b.board, 0, true);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x50);
	bus_mmio_write(b.bus, 0xfee000b0, 0, 4);
	/* The power button raises the SCI, level triggered, until it is cleared. */
	bus_pio_write(b.bus, 0x602, 0x0100, 2);
	pc_board_power_button(b.board);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x59);
	bus_mmio_write(b.bus, 0xfee000b0, 0, 4);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x59);
	bus_pio_write(b.bus, 0x600, 0x0100, 2);
	bus_mmio_write(b.bus, 0xfee000b0, 0, 4);
	cr_expect_eq(pc_board_acknowledge(b.board), -1);
	cr_expect_not(b.intr);
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
	cr_expect_eq(bus_mmio_read(b.bus, 0xfee00080, 4), 0x20);
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
	for (gpa_t gpa = 0xfec00000; gpa < 0xfec02000; gpa++)
		bus_mmio_read(b.bus, gpa, 1);
	cr_expect_eq(in(0x3c0), 0xff, "no VGA");
}

Test(board, conflicting_option_is_an_error_that_names_both)
{
	struct pc_board *second = NULL;
	struct bus *bus;

	cr_assert_eq(bus_create(&bus), 0);
	b.config.bus = bus;
	b.config.debug_exit_iobase = 0x64;
	cr_expect_eq(pc_board_create(&b.config, &second), -EEXIST);
	cr_expect_null(second);
	cr_expect(strstr(bus_error(bus), "isa-debug-exit") && strstr(bus_error(bus), "i8042"), "%s",
		  bus_error(bus));
	cr_expect_eq(bus_pio_read(bus, 0x64, 1), 0xff, "everything is detached");
	bus_destroy(bus);
}

Test(board, reset_and_saved_state)
{
	void *saved, *again;
	size_t size, size2;

	program_pics();
	out(0x43, 0x34);
	out(0x40, 0x9c);
	out(0x40, 0x2e);
	bus_mmio_write(b.bus, 0xfee000f0, 0x1ff, 4);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	cr_assert_eq(bus_save(b.bus, b.time.now, &saved, &size), 0);
	cr_expect(b.intr);
	pc_board_reset(b.board);
	cr_expect_not(b.intr);
	cr_expect_eq(bus_mmio_read(b.bus, 0xfee000f0, 4), 0xff);
	cr_assert_eq(bus_load(b.bus, saved, size), 0, "%s", bus_error(b.bus));
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
		{ 0xb2, 2 }, { 0xcf8, 8 }, { 0xe9, 1 },
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
			gpa_t gpa = which == RF_ARRAY_SIZE(ports) ?
					    0xfee00000 + ((gpa_t)rand() % 64) * 16 :
					    0xfec00000 + ((gpa_t)rand() % 2) * 16;

			if (rand() & 1)
				bus_mmio_write(b.bus, gpa, value, 4);
			else
				bus_mmio_read(b.bus, gpa, 4);
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

/* PCI. */

static uint32_t config_read(unsigned devfn, unsigned offset)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
	return bus_pio_read(b.bus, 0xcfc, 4);
}

static void config_write(unsigned devfn, unsigned offset, uint32_t value)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
	bus_pio_write(b.bus, 0xcfc, value, 4);
}

Test(pci, functions_of_the_chipset)
{
	unsigned present = 0;

	cr_expect_eq(config_read(0x00, 0), 0x12378086);
	cr_expect_eq(config_read(0x08, 0), 0x70008086);
	cr_expect_eq(config_read(0x0b, 0), 0x71138086);
	cr_expect_eq(config_read(0x08, 0x0c) >> 16 & 0x80, 0x80, "multifunction");
	cr_expect_eq(config_read(0x00, 8) >> 16, 0x0600);
	cr_expect_eq(config_read(0x08, 8) >> 16, 0x0601);
	cr_expect_eq(config_read(0x0b, 8) >> 16, 0x0680);
	for (unsigned devfn = 0; devfn < 256; devfn++)
		present += config_read(devfn, 0) != 0xffffffff;
	cr_expect_eq(present, 3);
	bus_pio_write(b.bus, 0xcf8, 0x80010000, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfc, 4), 0xffffffff, "only bus 0");
	bus_pio_write(b.bus, 0xcf8, 0x00000000, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfc, 4), 0xffffffff, "not enabled");
}

Test(pci, narrow_data_accesses)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfe, 2), 0x1237);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfd, 1), 0x80);
	cr_expect_eq(bus_pio_read(b.bus, 0xcf8, 4), 0x80000000);
	bus_pio_write(b.bus, 0xcf8, 0x80000058, 4);
	bus_pio_write(b.bus, 0xcfe, 0xff, 1);
	cr_expect_eq(config_read(0, 0x58) >> 16 & 0xff, 0x33, "PAM bits that exist");
	config_write(0, 0, 0xffffffff);
	cr_expect_eq(config_read(0, 0), 0x12378086, "read-only");
	config_write(0x0b, 0x3c, 0xff05);
	cr_expect_eq(config_read(0x0b, 0x3c) & 0xffff, 0x0105);
}

Test(pci, reset_control_register)
{
	out(0xcf9, 0x02);
	cr_expect_eq(in(0xcf9), 0x02);
	cr_expect_eq(b.resets, 0);
	out(0xcf9, 0x06);
	cr_expect_eq(b.resets, 1);
	cr_expect_eq(bus_pio_read(b.bus, 0xcf8, 4), 0);
}

struct test_bar {
	uint32_t value;
};

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
	return ((struct test_bar *)opaque)->value;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size) { }

Test(pci, bars_are_sized_and_mapped)
{
	static const struct pci_identity identity = { 0x1234, 0x5678, 0, 0, 0x0200 };
	const struct bus_ops ops = { bar_read, bar_write, 1, 4 };
	struct test_bar device = { 0xcafe };
	struct pci_function f;

	pci_function_init(&f, "test", 0x18, &identity, &device);
	pci_function_bar(&f, 0, BUS_MMIO, 0x1000, &ops);
	pci_function_bar(&f, 1, BUS_PIO, 0x20, &ops);
	f.bus = b.bus;
	pci_config_write(&f, 0x10, 0xffffffff, 4);
	pci_config_write(&f, 0x14, 0xffffffff, 4);
	cr_expect_eq(pci_config_read(&f, 0x10, 4), 0xfffff000);
	cr_expect_eq(pci_config_read(&f, 0x14, 4), 0xffffffe1);
	pci_config_write(&f, 0x18, 0xffffffff, 4);
	cr_expect_eq(pci_config_read(&f, 0x18, 4), 0, "not implemented");
	pci_config_write(&f, 0x10, 0xe0000000, 4);
	pci_config_write(&f, 0x14, 0xc000, 4);
	cr_expect_eq(bus_mmio_read(b.bus, 0xe0000000, 2), 0xffff);
	pci_config_write(&f, 4, 3, 2);
	cr_expect_eq(bus_mmio_read(b.bus, 0xe0000ffe, 2), 0xcafe);
	cr_expect_eq(bus_pio_read(b.bus, 0xc01e, 2), 0xcafe);
	pci_config_write(&f, 0x10, 0xe1000000, 4);
	cr_expect_eq(bus_mmio_read(b.bus, 0xe0000000, 2), 0xffff);
	cr_expect_eq(bus_mmio_read(b.bus, 0xe1000000, 2), 0xcafe);
	pci_config_write(&f, 0x14, 0x60, 4);
	cr_expect_eq(in(0x64) & 0x10, 0x10, "on top of the keyboard controller: that one answers");
	pci_function_reset(&f);
	cr_expect_eq(bus_mmio_read(b.bus, 0xe1000000, 2), 0xffff);
}

static uint16_t isa_levels;

static void isa_set(void *opaque, unsigned n, bool level)
{
	isa_levels = level ? isa_levels | 1u << n : isa_levels & ~(1u << n);
}

Test(pci, pirq_routing)
{
	struct irq_line lines[16];
	struct piix3 piix;

	isa_levels = 0;
	for (unsigned n = 0; n < 16; n++)
		lines[n] = (struct irq_line){ isa_set, NULL, n };
	piix3_init(&piix, lines, (struct signal_line){ .raise = on_reset });
	piix3_set_intx(&piix, PCI_DEVFN(3, 0), 0, true); /* PIRQC */
	cr_expect_eq(isa_levels, 1u << 11);
	piix3_set_intx(&piix, PCI_DEVFN(7, 0), 0, true); /* shares it */
	piix3_set_intx(&piix, PCI_DEVFN(3, 0), 0, false);
	cr_expect_eq(isa_levels, 1u << 11);
	pci_config_write(&piix.function, 0x62, 5, 1);
	cr_expect_eq(isa_levels, 1u << 5, "rerouted while asserted");
	pci_config_write(&piix.function, 0x62, 0x80, 1);
	cr_expect_eq(isa_levels, 0);
	pci_config_write(&piix.function, 0x62, 1, 1);
	cr_expect_eq(isa_levels, 0, "IRQ 1 is not routable");
}

/* Tables. */

static uint32_t ram32(gpa_t gpa)
{
	uint32_t value;

	memcpy(&value, b.ram + gpa, 4);
	return value;
}

static void expect_table(gpa_t gpa, const char *signature)
{
	uint32_t length = ram32(gpa + 4);

	cr_expect_eq(memcmp(b.ram + gpa, signature, 4), 0, "%s", signature);
	cr_assert_lt(length, 0x4000u);
	cr_expect_eq(acpi_checksum(b.ram + gpa, length), 0, "%s", signature);
}

Test(tables, acpi)
{
	gpa_t base, rsdt, fadt;
	uint64_t size;

	pc_board_acpi_area(RAM_SIZE, &base, &size);
	cr_expect_eq(base + size, RAM_SIZE);
	cr_expect_eq(base % 4096, 0);
	cr_assert_eq(pc_board_write_tables(b.board), 0);
	cr_expect_eq(memcmp(b.ram + 0xf6000, "RSD PTR ", 8), 0);
	cr_expect_eq(acpi_checksum(b.ram + 0xf6000, 20), 0);
	rsdt = ram32(0xf6010);
	cr_assert_geq(rsdt, base);
	expect_table(rsdt, "RSDT");
	fadt = ram32(rsdt + 36);
	expect_table(fadt, "FACP");
	expect_table(ram32(rsdt + 40), "APIC");
	expect_table(ram32(fadt + 40), "DSDT");
	cr_expect_eq(memcmp(b.ram + ram32(fadt + 36), "FACS", 4), 0);
	cr_expect_eq(ram32(fadt + 36) % 64, 0);
	/* The DSDT names S5, and only the serial ports that exist. */
	gpa_t dsdt = ram32(fadt + 40);
	uint32_t length = ram32(dsdt + 4);

	cr_expect_not_null(memmem(b.ram + dsdt, length, "_S5_", 4));
	cr_expect_not_null(memmem(b.ram + dsdt, length, "COM2", 4));
	cr_expect_null(memmem(b.ram + dsdt, length, "COM3", 4));
}

Test(tables, mp)
{
	gpa_t table;

	cr_assert_eq(pc_board_write_tables(b.board), 0);
	cr_expect_eq(memcmp(b.ram + 0xf6100, "_MP_", 4), 0);
	cr_expect_eq(acpi_checksum(b.ram + 0xf6100, 16), 0);
	table = ram32(0xf6104);
	cr_expect_eq(memcmp(b.ram + table, "PCMP", 4), 0);
	cr_expect_eq(acpi_checksum(b.ram + table, ram32(table + 4) & 0xffff), 0);
	/* Walk the entries: they must fill the table exactly. */
	gpa_t at = table + 44;
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

Test(tables, aml_lengths)
{
	uint8_t bytes[8192];
	struct aml a = { .bytes = bytes, .capacity = sizeof(bytes) };

	aml_package(&a, 0);
	aml_end(&a);
	cr_expect_eq(memcmp(bytes, "\x12\x02\x00", 3), 0);
	a.size = 0;
	aml_package(&a, 0);
	for (unsigned i = 0; i < 100; i++)
		aml_byte(&a, 1);
	aml_end(&a);
	cr_expect_eq(memcmp(bytes, "\x12\x47\x06", 3), 0, "103 = 7 + 6 * 16");
	a.size = 0;
	aml_package(&a, 0);
	for (unsigned i = 0; i < 5000; i++)
		aml_byte(&a, 1);
	aml_end(&a);
	cr_expect_eq(memcmp(bytes, "\x12\x8c\x38\x01", 4), 0, "5004 = 12 + 0x38 * 16 + 1 * 4096");
	a.size = 0;
	aml_eisa_id(&a, "PNP0A03");
	cr_expect_eq(memcmp(bytes, "\x0c\x41\xd0\x0a\x03", 5), 0);
	a.capacity = 3;
	a.size = 0;
	aml_eisa_id(&a, "PNP0A03");
	cr_expect(a.overflow);
}
