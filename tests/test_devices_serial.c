/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 16550A and the debug console. */
#include <assert.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chips/debugcon.h"
#include "devices/chips/uart16550.h"
#include "fake_clock.h"

static struct {
	struct bus *bus;
	struct fake_clock time;
	struct uart16550 uart;
	struct chardev chardev;
	char sent[64];
	unsigned nsent, accepts, breaks, rises;
	bool level;
} u;

static void sink_write(struct chardev *chardev, const uint8_t *bytes, size_t count)
{
	memcpy(u.sent + u.nsent, bytes, count);
	u.nsent += count;
}

static void sink_accept(struct chardev *chardev) { u.accepts++; }
static void sink_break(struct chardev *chardev) { u.breaks++; }

static const struct chardev_ops sink_ops = { sink_write, sink_accept, sink_break };

static void line_set(void *opaque, unsigned n, bool level)
{
	u.rises += level && !u.level;
	u.level = level;
}

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, THR = 0, FCR = 2 };

static void out(unsigned reg, uint8_t value)
{
	bus_pio_write(u.bus, (uint16_t)(0x3f8 + reg), value, 1);
}

static uint8_t in(unsigned reg) { return (uint8_t)bus_pio_read(u.bus, (uint16_t)(0x3f8 + reg), 1); }

static void setup(void)
{
	struct clock clock;

	memset(&u, 0, sizeof(u));
	clock = fake_clock_interface(&u.time);
	u.chardev.ops = &sink_ops;
	cr_assert_eq(bus_create(&u.bus), 0);
	cr_assert_eq(uart16550_init(&u.uart, &clock, (struct irq_line){ line_set, NULL, 0 },
		&u.chardev), 0);
	cr_assert_eq(bus_attach(u.bus, &uart16550_desc, &u.uart, 0x3f8, NULL), 0);
	out(LCR, 0x83);
	out(0, 1); /* 115200 */
	out(1, 0);
	out(LCR, 0x03);
	u.accepts = 0;
}

static void teardown(void)
{
	uart16550_destroy(&u.uart);
	bus_destroy(u.bus);
	assert(!u.time.timers); /* Criterion counts no expectation here */
}

TestSuite(uart, .init = setup, .fini = teardown);

static void receive(const char *text)
{
	cr_assert_leq(strlen(text), chardev_can_receive(&u.chardev));
	chardev_receive(&u.chardev, (const uint8_t *)text, strlen(text));
}

Test(uart, registers)
{
	cr_expect_eq(in(IIR), 0x01);
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(in(MSR) & 0xf0, 0xb0);
	out(SCR, 0x5a);
	cr_expect_eq(in(SCR), 0x5a);
	out(IER, 0xff);
	cr_expect_eq(in(IER), 0x0f, "the upper bits do not exist");
	out(IER, 0);
	out(LCR, 0x83);
	out(0, 0x34);
	out(1, 0x12);
	cr_expect_eq(in(0), 0x34);
	cr_expect_eq(in(1), 0x12);
	out(LCR, 0x03);
	cr_expect_eq(in(IER), 0);
	out(MCR, 0xff);
	cr_expect_eq(in(MCR), 0x1f);
}

Test(uart, sends)
{
	out(THR, 'o');
	out(THR, 'k');
	cr_expect_str_eq(u.sent, "ok");
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(u.rises, 0);
	out(LCR, 0x43);
	cr_expect_eq(u.breaks, 1);
}

Test(uart, transmitter_empty_interrupt)
{
	out(IER, 0x02);
	cr_expect(u.level, "enabling it with the transmitter empty raises it");
	cr_expect_eq(in(IIR), 0x02);
	cr_expect_not(u.level, "identifying it clears it");
	cr_expect_eq(in(IIR), 0x01);
	out(THR, 'x');
	cr_expect(u.level);
	cr_expect_eq(u.rises, 2);
	out(THR, 'y');
	cr_expect_eq(u.rises, 3, "every completion is an edge");
	out(IER, 0x00);
	cr_expect_not(u.level);
	out(IER, 0x02);
	cr_expect_eq(in(IIR), 0x02);
	out(IER, 0x02);
	cr_expect_eq(in(IIR), 0x01, "only a rising enable raises it");
}

Test(uart, receives_without_fifo)
{
	out(IER, 0x01);
	cr_expect_eq(chardev_can_receive(&u.chardev), 1);
	receive("a");
	cr_expect_eq(chardev_can_receive(&u.chardev), 0);
	cr_expect(u.level);
	cr_expect_eq(in(IIR), 0x04);
	cr_expect_eq(in(LSR), 0x61);
	cr_expect_eq(in(RBR), 'a');
	cr_expect_eq(u.accepts, 1);
	cr_expect_not(u.level);
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(in(IIR), 0x01);
}

Test(uart, fifo_trigger_level_and_timeout)
{
	out(FCR, 0x81); /* 8 */
	out(IER, 0x01);
	cr_expect_eq(in(IIR), 0xc1);
	receive("1234567");
	cr_expect_not(u.level, "below the trigger level");
	fake_clock_advance(&u.time, 340000);
	cr_expect_not(u.level);
	fake_clock_advance(&u.time, 10000); /* four characters at 115200 8N1 are 347 us */
	cr_expect(u.level);
	cr_expect_eq(in(IIR), 0xcc);
	cr_expect_eq(in(RBR), '1');
	cr_expect_not(u.level, "reading clears the timeout");
	receive("89");
	cr_expect_eq(in(IIR), 0xc4);
	cr_expect_eq(in(RBR), '2');
	cr_expect_eq(in(IIR), 0xc1, "seven left");
	for (char c = '3'; c <= '9'; c++)
		cr_expect_eq(in(RBR), c);
	cr_expect_eq(in(LSR), 0x60);
	fake_clock_advance(&u.time, NS_PER_SECOND);
	cr_expect_not(u.level, "an empty FIFO does not time out");
}

Test(uart, four_trigger_levels)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	out(IER, 0x01);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(levels); i++) {
		out(FCR, (uint8_t)(i << 6 | 0x03));
		for (unsigned n = 1; n <= 16; n++) {
			receive("x");
			cr_expect_eq(u.level, n >= levels[i], "level %u, %u characters", levels[i],
				     n);
		}
		for (unsigned n = 15; n < 16; n--) {
			in(RBR);
			cr_expect_eq(u.level, n >= levels[i], "level %u, %u left", levels[i], n);
		}
	}
	out(FCR, 0xc2); /* bits 6 and 7 mean nothing without FIFOs */
	receive("x");
	cr_expect(u.level);
}

/* What a full FIFO held back comes when it is cleared, and not before. */
Test(uart, clearing_a_full_fifo_lets_input_in)
{
	out(FCR, 0x01);
	receive("0123456789abcdef");
	cr_expect_eq(u.accepts, 0);
	out(FCR, 0x05); /* the transmitter's alone */
	cr_expect_eq(u.accepts, 0);
	cr_expect_eq(chardev_can_receive(&u.chardev), 0);
	out(FCR, 0x03);
	cr_expect_eq(u.accepts, 1);
	receive("0");
	out(FCR, 0x03);
	cr_expect_eq(u.accepts, 1, "it was not full");
	fake_clock_advance(&u.time, NS_PER_SECOND);
	cr_expect_eq(in(IIR), 0xc1, "nothing to time out");
}

Test(uart, changing_the_fifo_mode_clears_it)
{
	out(IER, 0x03);
	in(IIR);
	out(FCR, 0x01);
	cr_expect_eq(in(IIR), 0xc2, "the transmitter's FIFO is empty anew");
	cr_expect_eq(in(IIR), 0xc1);
	receive("abcd");
	out(FCR, 0x01);
	cr_expect_eq(in(LSR), 0x61, "no change");
	cr_expect_eq(in(RBR), 'a');
	out(FCR, 0x00);
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(in(IIR), 0x02);
	cr_expect_eq(chardev_can_receive(&u.chardev), 1);
	receive("x");
	out(FCR, 0x00);
	cr_expect_eq(in(LSR), 0x61);
	cr_expect_eq(u.accepts, 0);
	out(FCR, 0x01);
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(u.accepts, 1, "one character filled it");
	cr_expect_eq(chardev_can_receive(&u.chardev), 16);
}

Test(uart, flow_control)
{
	out(FCR, 0x01);
	receive("0123456789abcdef");
	cr_expect_eq(chardev_can_receive(&u.chardev), 0);
	cr_expect_eq(u.accepts, 0);
	cr_expect_eq(in(RBR), '0');
	cr_expect_eq(u.accepts, 1);
	cr_expect_eq(chardev_can_receive(&u.chardev), 1);
	out(FCR, 0x03);
	cr_expect_eq(in(LSR), 0x60, "cleared");
	cr_expect_eq(chardev_can_receive(&u.chardev), 16);
}

Test(uart, fifo_wraps)
{
	out(FCR, 0x01);
	for (unsigned i = 0; i < 10; i++) {
		receive("abcdefg");
		for (char c = 'a'; c <= 'g'; c++)
			cr_expect_eq(in(RBR), c);
	}
}

Test(uart, interrupt_priorities)
{
	out(FCR, 0x01);
	out(IER, 0x0f);
	out(MCR, 0x10);
	out(MCR, 0x00); /* modem lines change */
	receive("a");
	chardev_event(&u.chardev, CHARDEV_BREAK);
	cr_expect_eq(in(RBR), 'a');
	cr_expect_eq(in(IIR), 0xc6);
	cr_expect_eq(in(LSR), 0xf1, "break, with its character in the FIFO");
	cr_expect_eq(in(LSR), 0x61, "reading clears the error");
	cr_expect_eq(in(IIR), 0xc4);
	cr_expect_eq(in(RBR), 0);
	cr_expect_eq(in(IIR), 0xc2);
	cr_expect_eq(in(IIR), 0xc0);
	in(MSR);
	cr_expect_eq(in(IIR), 0xc1);
	cr_expect_not(u.level);
}

Test(uart, break_waits_for_its_turn)
{
	out(FCR, 0x01);
	receive("ab");
	chardev_event(&u.chardev, CHARDEV_BREAK);
	cr_expect_eq(in(LSR), 0xe1, "an error is in the FIFO, not at its head");
	in(RBR);
	in(RBR);
	cr_expect_eq(in(LSR) & 0x10, 0x10);
}

Test(uart, loopback)
{
	out(MCR, 0x1f);
	cr_expect_eq(in(MSR) & 0xf0, 0xf0);
	out(MCR, 0x11);
	cr_expect_eq(in(MSR) & 0xf0, 0x20);
	out(MCR, 0x12);
	cr_expect_eq(in(MSR), 0x10 | 0x01 | 0x02);
	cr_expect_eq(in(MSR), 0x10, "deltas are cleared");
	out(MCR, 0x14);
	in(MSR);
	out(MCR, 0x10);
	cr_expect_eq(in(MSR), 0x04, "the trailing edge of RI");
	out(THR, 'l');
	cr_expect_eq(u.nsent, 0);
	cr_expect_eq(in(RBR), 'l');
	cr_expect_eq(chardev_can_receive(&u.chardev), 0, "the pin is disconnected");
	out(THR, 'm');
	out(THR, 'n');
	cr_expect_eq(in(LSR) & 0x02, 0x02, "overrun");
	cr_expect_eq(in(RBR), 'n');
	u.accepts = 0;
	out(MCR, 0);
	cr_expect_eq(u.accepts, 1);
}

/* Each input line that changed interrupts, alone. */
Test(uart, modem_status_interrupts)
{
	static const struct { uint8_t mcr, delta; } lines[] = {
		{ 0x02, 0x01 }, { 0x01, 0x02 }, { 0x04, 0x04 }, { 0x08, 0x08 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(lines); i++) {
		out(MCR, 0x10 | lines[i].mcr);
		in(MSR);
		out(IER, 0x08);
		cr_expect_not(u.level, "%u", i);
		out(MCR, 0x10);
		cr_expect(u.level, "%u", i);
		cr_expect_eq(in(IIR), 0x00, "%u", i);
		cr_expect_eq(in(MSR), lines[i].delta, "%u", i);
		cr_expect_not(u.level, "%u", i);
		cr_expect_eq(in(IIR), 0x01, "%u", i);
		out(IER, 0);
	}
}

Test(uart, fifo_overrun_in_loopback_keeps_the_fifo)
{
	out(FCR, 0x01);
	out(MCR, 0x10);
	for (char c = 'a'; c <= 'q'; c++)
		out(THR, (uint8_t)c);
	cr_expect_eq(in(LSR) & 0x02, 0x02);
	for (char c = 'a'; c <= 'p'; c++)
		cr_expect_eq(in(RBR), c);
	cr_expect_eq(in(LSR) & 0x01, 0);
}

Test(uart, reset_and_saved_state)
{
	void *saved;
	size_t size;

	out(FCR, 0x01);
	out(IER, 0x01);
	receive("xyz");
	cr_assert_eq(bus_save(u.bus, u.time.now, &saved, &size), 0);
	bus_reset_all(u.bus);
	cr_expect_not(u.level);
	cr_expect_eq(in(LSR), 0x60);
	cr_assert_eq(bus_load(u.bus, saved, size, NULL), 0);
	cr_expect(u.level);
	cr_expect_eq(in(RBR), 'x');
	free(saved);
}

Test(debugcon, port_e9)
{
	struct chardev chardev = { .ops = &sink_ops };
	struct debugcon console = { .chardev = &chardev };

	memset(&u, 0, sizeof(u));
	cr_assert_eq(bus_create(&u.bus), 0);
	cr_assert_eq(debugcon_map(&console, u.bus, 0xe9, NULL), 0);
	cr_expect_eq(bus_pio_read(u.bus, 0xe9, 1), 0xe9);
	bus_pio_write(u.bus, 0xe9, '!', 1);
	cr_expect_str_eq(u.sent, "!");
	bus_destroy(u.bus);
}
