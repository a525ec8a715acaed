/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pair of 8259s. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/i8259.h"

static struct {
	struct bus *bus;
	struct i8259 pic;
	bool intr;
	unsigned changes;
} w;

static void pin_set(void *opaque, unsigned n, bool level)
{
	w.intr = level;
	w.changes++;
}

static void out(uint16_t port, uint8_t value) { bus_pio_write(w.bus, port, value, 1); }
static uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(w.bus, port, 1); }

static void program(uint16_t base, uint8_t vector, uint8_t icw3, uint8_t icw4)
{
	out(base, 0x11);
	out(base + 1, vector);
	out(base + 1, icw3);
	out(base + 1, icw4);
	out(base + 1, 0x00);
}

static void pic_setup(void)
{
	memset(&w, 0, sizeof(w));
	cr_assert_eq(bus_create(&w.bus), 0);
	i8259_init(&w.pic, (struct irq_line){ pin_set, NULL, 0 });
	cr_assert_eq(bus_attach(w.bus, &i8259_desc, &w.pic, 0, NULL), 0);
	program(0x20, 0x30, 0x04, 0x01);
	program(0xa0, 0x38, 0x02, 0x01);
	w.changes = 0;
}

static void teardown(void)
{
	bus_destroy(w.bus);
}

TestSuite(pic, .init = pic_setup, .fini = teardown);

static void irq(unsigned n, bool level) { i8259_set_irq(&w.pic, n, level); }
static void pulse(unsigned n) { irq(n, false); irq(n, true); }

Test(pic, edge_is_acknowledged_once)
{
	irq(4, true);
	cr_expect(w.intr);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x34);
	cr_expect_not(w.intr);
	out(0x20, 0x20);
	cr_expect_not(w.intr, "the line staying high is no new edge");
	pulse(4);
	cr_expect(w.intr);
}

/* For people: spurious interrupts are none. */
Test(pic, what_is_taken_is_counted)
{
	i8259_set_irq(&w.pic, 3, true);
	i8259_acknowledge(&w.pic);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x37, "spurious");
	i8259_set_irq(&w.pic, 0, true);
	i8259_acknowledge(&w.pic);
	out(0x20, 0x20);
	out(0x20, 0x20);
	i8259_set_irq(&w.pic, 12, true);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x3c);
	cr_expect_eq(w.pic.taken[0], 1);
	cr_expect_eq(w.pic.taken[3], 1);
	cr_expect_eq(w.pic.taken[7], 0);
	cr_expect_eq(w.pic.taken[2], 1);
	cr_expect_eq(w.pic.taken[12], 1);
}

Test(pic, priorities_and_nesting)
{
	pulse(5);
	pulse(3);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x33);
	cr_expect_not(w.intr, "5 waits behind 3");
	pulse(1);
	cr_expect(w.intr, "1 nests in 3");
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x31);
	out(0x20, 0x20); /* non-specific: ends 1 */
	cr_expect_not(w.intr);
	out(0x20, 0x20);
	cr_expect(w.intr);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x35);
}

Test(pic, slave_through_the_cascade)
{
	pulse(12);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x3c);
	out(0x20, 0x0b);
	cr_expect_eq(in(0x20), 0x04);
	out(0xa0, 0x0b);
	cr_expect_eq(in(0xa0), 0x10);
	pulse(3);
	cr_expect_not(w.intr, "3 is below the cascade");
	pulse(9);
	cr_expect_not(w.intr, "without special fully nested mode the slave cannot nest in itself");
	out(0xa0, 0x20);
	out(0x20, 0x20);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x39);
}

Test(pic, special_fully_nested_mode)
{
	program(0x20, 0x30, 0x04, 0x11);
	pulse(12);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x3c);
	pulse(9);
	cr_expect(w.intr);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x39);
}

Test(pic, mask_holds_back_but_remembers)
{
	out(0x21, 0x10);
	pulse(4);
	cr_expect_not(w.intr);
	cr_expect_eq(in(0x20), 0x10, "IRR shows it");
	out(0x21, 0x00);
	cr_expect(w.intr);
	cr_expect_eq(in(0x21), 0x00);
}

Test(pic, spurious_7_and_15)
{
	pulse(4);
	out(0x21, 0xff);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x37);
	out(0x20, 0x0b);
	cr_expect_eq(in(0x20), 0x00, "a spurious interrupt is not in service");
	out(0x21, 0x00);
	i8259_acknowledge(&w.pic);
	out(0x20, 0x20);
	/* A level line of the slave that drops before the acknowledge. */
	out(0x4d1, 0x08);
	irq(11, true);
	irq(11, false);
	cr_expect_not(w.intr, "the request goes with the level");
}

Test(pic, level_triggered_requests_while_high)
{
	out(0x4d1, 0x0c);
	irq(10, true);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x3a);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	cr_expect(w.intr, "still high: requests again");
	irq(10, false);
	cr_expect_not(w.intr);
}

Test(pic, elcr_keeps_system_lines_edge)
{
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	cr_expect_eq(in(0x4d0), 0xf8);
	cr_expect_eq(in(0x4d1), 0xde);
}

Test(pic, all_inputs_stay_level_triggered_whatever_the_elcr)
{
	out(0x20, 0x19);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, 0x01);
	irq(5, true);
	out(0x4d0, 0x20);
	out(0x4d0, 0x00);
	cr_expect_eq(in(0x20), 0x20, "it is up, so it requests");
	irq(5, true);
	cr_expect_eq(in(0x20), 0x20);
	irq(5, false);
	cr_expect_eq(in(0x20), 0x00);
}

/* ICW1's bit 3 makes all inputs of one chip level triggered; without it the ELCR says which are. */
Test(pic, level_lines_of_the_elcr_outlast_icw1)
{
	out(0x4d0, 0x20);
	out(0x4d1, 0x04);
	irq(5, true);
	irq(10, true);
	irq(4, true);
	program(0x20, 0x30, 0x04, 0x01);
	program(0xa0, 0x38, 0x02, 0x01);
	cr_expect_eq(in(0x4d0), 0x20);
	cr_expect_eq(in(0x4d1), 0x04);
	cr_expect(w.intr, "the lines are still up");
	cr_expect_eq(in(0x20), 0x24, "both level lines, and no edge: %x", in(0x20));
	cr_expect_eq(in(0xa0), 0x04);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x3a);
	irq(10, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x35);
	out(0x20, 0x20);
	cr_expect(w.intr, "5 is high still");
	irq(5, false);
	cr_expect_not(w.intr);
}

/* As a BIOS leaves them: lines 0 to 7 at 08h, 8 to 15 at 70h. */
Test(pic, vectors_after_a_reset)
{
	bus_reset_all(w.bus);
	out(0x21, 0xfa);
	out(0xa1, 0xfe);
	pulse(0);
	pulse(8);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x08);
	out(0x20, 0x20);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x70);
}

/* Without IC4 in ICW1 there is no ICW4: what comes after ICW3 is the mask. */
Test(pic, initialized_without_icw4)
{
	out(0x20, 0x10);
	out(0x21, 0x40);
	out(0x21, 0x04);
	out(0x21, 0xab);
	cr_expect_eq(in(0x21), 0xab);
	out(0x20, 0x12); /* single: nor is there an ICW3 */
	out(0x21, 0x40);
	out(0x21, 0xcd);
	cr_expect_eq(in(0x21), 0xcd);
}

Test(pic, specific_eoi_and_rotation)
{
	pulse(5);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x35);
	out(0x20, 0xe5); /* rotate on specific EOI: 5 becomes the lowest */
	pulse(5);
	pulse(6);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x36, "6 is now the highest");
	out(0x20, 0x66);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x35);
	out(0x20, 0x65);
	out(0x20, 0xc7); /* set priority: 7 lowest again */
	pulse(6);
	pulse(5);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x35);
}

Test(pic, rotate_on_nonspecific_eoi)
{
	pulse(0);
	i8259_acknowledge(&w.pic);
	out(0x20, 0xa0);
	pulse(0);
	pulse(7);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x37, "0 went to the end");
}

Test(pic, automatic_eoi)
{
	program(0x20, 0x30, 0x04, 0x03);
	pulse(3);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x33);
	out(0x20, 0x0b);
	cr_expect_eq(in(0x20), 0);
	out(0x20, 0x80); /* rotate in AEOI mode */
	pulse(3);
	i8259_acknowledge(&w.pic);
	pulse(3);
	pulse(4);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x34);
}

Test(pic, special_mask_mode_lets_lower_ones_in)
{
	pulse(2 + 1);
	i8259_acknowledge(&w.pic);
	pulse(6);
	cr_expect_not(w.intr);
	out(0x21, 0x08);
	out(0x20, 0x68);
	cr_expect(w.intr);
	cr_expect_eq(i8259_acknowledge(&w.pic), 0x36);
	out(0x20, 0x20);
	out(0x20, 0x0b);
	cr_expect_eq(in(0x20), 0x08, "the EOI ended 6, not the masked 3");
}

Test(pic, poll)
{
	pulse(4);
	out(0x20, 0x0c);
	cr_expect_eq(in(0x20), 0x84);
	cr_expect_not(w.intr);
	out(0x20, 0x0b);
	cr_expect_eq(in(0x20), 0x10, "polling acknowledges");
	out(0x20, 0x20);
	out(0x20, 0x0c);
	cr_expect_eq(in(0x20), 0x00);
}

Test(pic, initialization_forgets_edges)
{
	out(0x21, 0xff);
	irq(4, true);
	program(0x20, 0x30, 0x04, 0x01);
	cr_expect_not(w.intr);
	cr_expect_eq(in(0x20), 0);
	pulse(4);
	cr_expect(w.intr);
}

Test(pic, output_is_reported_only_on_changes)
{
	irq(4, true);
	irq(4, true);
	pulse(6);
	cr_expect_eq(w.changes, 1);
}
