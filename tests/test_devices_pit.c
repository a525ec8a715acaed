/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 8254 with port 61h. */
#include <assert.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chips/i8254.h"
#include "devices/chips/port61.h"
#include "fake_clock.h"

static struct {
	struct bus *bus;
	struct fake_clock time;
	struct i8254 pit;
	struct port61 port61;
	bool level;
	unsigned rises;
} t;

static void line_set(void *opaque, unsigned n, bool level)
{
	t.rises += level && !t.level;
	t.level = level;
}

static const struct irq_line line = { line_set, NULL, 0 };

static void out(uint16_t port, uint8_t value) { bus_pio_write(t.bus, port, value, 1); }
static uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(t.bus, port, 1); }

static uint64_t tick_ns(uint64_t ticks) { return muldiv64_up(ticks, NS_PER_SECOND, I8254_HZ); }
/* To tick n since 0, and a little. */
static void to_tick(uint64_t base, uint64_t ticks)
{
	fake_clock_advance(&t.time, base + tick_ns(ticks) - t.time.now);
}

static void common_setup(void)
{
	memset(&t, 0, sizeof(t));
	t.time.now = 5000000000ull;
	cr_assert_eq(bus_create(&t.bus), 0);
}

static void pit_setup(void)
{
	struct clock clock;

	common_setup();
	clock = fake_clock_interface(&t.time);
	cr_assert_eq(i8254_init(&t.pit, &clock, line), 0);
	port61_init(&t.port61, &t.pit);
	cr_assert_eq(bus_attach(t.bus, &i8254_desc, &t.pit, 0, NULL), 0);
	cr_assert_eq(bus_attach(t.bus, &port61_desc, &t.port61, 0, NULL), 0);
}

static void pit_teardown(void)
{
	i8254_destroy(&t.pit);
	bus_destroy(t.bus);
	assert(!t.time.timers); /* Criterion counts no expectation here */
}

TestSuite(pit, .init = pit_setup, .fini = pit_teardown);

static void load(unsigned channel, uint8_t mode, uint16_t count)
{
	out(0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	out(0x40 + channel, (uint8_t)count);
	out(0x40 + channel, (uint8_t)(count >> 8));
	t.rises = 0; /* setting a mode may have raised OUT */
}

static uint16_t latched(unsigned channel)
{
	uint8_t low;

	out(0x43, (uint8_t)(channel << 6));
	low = in(0x40 + channel);
	return (uint16_t)(low | in(0x40 + channel) << 8);
}

static uint8_t status(unsigned channel)
{
	out(0x43, 0xe0 | 2 << channel);
	return in(0x40 + channel);
}

Test(pit, mode0_terminal_count)
{
	uint64_t start = t.time.now;

	load(0, 0, 1000);
	cr_expect_not(t.level);
	cr_expect_eq(status(0), 0x30);
	to_tick(start, 400);
	cr_expect_eq(latched(0), 600);
	to_tick(start, 999);
	cr_expect_eq(t.rises, 0);
	to_tick(start, 1000);
	cr_expect_eq(t.rises, 1);
	cr_expect(t.level, "OUT stays high");
	cr_expect_eq(status(0), 0xb0);
	to_tick(start, 1002);
	cr_expect_eq(latched(0), 0xfffe, "and the count wraps");
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(t.rises, 1);
}

Test(pit, status_shows_the_mode_as_it_was_programmed)
{
	for (unsigned channel = 0; channel < 3; channel++)
		for (unsigned mode = 0; mode < 8; mode++) {
			load(channel, (uint8_t)mode, 1000);
			cr_expect_eq(status(channel) & 0x3f, 0x30 | mode << 1, "channel %u: %x",
				     channel, mode);
		}
	load(0, 6, 1000);
	fake_clock_advance(&t.time, tick_ns(3000) + 1);
	cr_expect_eq(t.rises, 3, "6 is 2");
}

/* What firmware leaves: a square wave, low byte then high byte. */
Test(pit, status_after_a_reset)
{
	for (unsigned channel = 0; channel < 3; channel++) {
		out(0x43, (uint8_t)(0xe0 | 2 << channel)); /* read back the status alone */
		cr_expect_eq(in((uint16_t)(0x40 + channel)) & 0x3f, 0x36, "channel %u", channel);
	}
}

Test(pit, mode2_rate_without_drift)
{
	uint64_t start = t.time.now;

	load(0, 2, 11932); /* 100 Hz */
	for (unsigned i = 1; i <= 100; i++) {
		to_tick(start, 11932ull * i - 1);
		cr_expect_eq(t.rises, i - 1, "period %u", i);
		to_tick(start, 11932ull * i);
		cr_expect_eq(t.rises, i);
	}
	to_tick(start, 11932ull * 100 + 32);
	cr_expect_eq(latched(0), 11900);
	/* Edges a late host has missed come at double rate; the phase stays. */
	fake_clock_stall(&t.time, tick_ns(11932 * 3));
	fake_clock_advance(&t.time, 0);
	cr_expect_eq(t.rises, 101);
	to_tick(start, 11932ull * 104);
	cr_expect_eq(t.rises, 103);
	to_tick(start, 11932ull * 110 + 10);
	cr_expect_eq(t.rises, 110);
	cr_expect_eq(latched(0), 11922);
}

static enum tick_interrupt waits(void *opaque)
{
	return *(bool *)opaque ? TICK_REQUESTED : TICK_TAKEN;
}

Test(pit, edges_a_slow_guest_misses_are_owed)
{
	bool waiting = true;

	t.pit.irq_state = waits;
	t.pit.irq_state_opaque = &waiting;
	load(0, 2, 11932);
	fake_clock_advance(&t.time, 100000000);
	cr_expect_eq(t.rises, 0);
	waiting = false;
	fake_clock_advance(&t.time, 100000000);
	cr_expect_geq(t.rises, 18);
	fake_clock_advance(&t.time, 100000000);
	cr_expect(t.rises == 29 || t.rises == 30, "%u", t.rises);
	/* Programming it anew forgives all debts. */
	waiting = true;
	fake_clock_advance(&t.time, 100000000);
	waiting = false;
	load(0, 2, 11932);
	fake_clock_advance(&t.time, 9000000);
	cr_expect_eq(t.rises, 0);
}

Test(pit, edges_due_come_as_they_are_taken)
{
	load(0, 2, 11932);
	fake_clock_stall(&t.time, tick_ns(11932 * 5)); /* the clock's thread does not run */
	for (unsigned i = 1; i <= 5; i++) {
		i8254_interrupt_taken(&t.pit);
		cr_expect_eq(t.rises, i);
	}
	i8254_interrupt_taken(&t.pit);
	cr_expect_eq(t.rises, 5, "no more than are due");
	fake_clock_advance(&t.time, tick_ns(11932));
	cr_expect_eq(t.rises, 6);
	/* A period that no host keeps up with stays limited. */
	load(0, 2, 2);
	t.rises = 0;
	fake_clock_stall(&t.time, 1000000);
	for (unsigned i = 0; i < 5; i++)
		i8254_interrupt_taken(&t.pit);
	cr_expect_eq(t.rises, 0);
}

Test(pit, mode2_new_count_waits_for_the_period)
{
	uint64_t start = t.time.now;

	load(0, 2, 1000);
	to_tick(start, 500);
	out(0x40, 0xf4);
	out(0x40, 0x01); /* 500 */
	cr_expect_eq(latched(0), 500);
	to_tick(start, 1000);
	cr_expect_eq(t.rises, 1);
	to_tick(start, 1500);
	fake_clock_advance(&t.time, 2); /* the new period starts at a rounded nanosecond */
	cr_expect_eq(t.rises, 2);
	to_tick(start, 2000);
	fake_clock_advance(&t.time, 2);
	cr_expect_eq(t.rises, 3);
}

Test(pit, mode2_new_count_waits_for_a_later_period)
{
	uint64_t start = t.time.now;

	load(0, 2, 1000);
	to_tick(start, 5500);
	cr_expect_eq(t.rises, 5);
	out(0x40, 0xf4);
	out(0x40, 0x01); /* 500 */
	cr_expect_eq(latched(0), 500);
	to_tick(start, 5998);
	cr_expect_eq(t.rises, 5);
	cr_expect_eq(latched(0), 2);
	to_tick(start, 6000);
	fake_clock_advance(&t.time, 2);
	cr_expect_eq(t.rises, 6);
	to_tick(start, 6499);
	cr_expect_eq(t.rises, 6);
	to_tick(start, 6500);
	fake_clock_advance(&t.time, 2);
	cr_expect_eq(t.rises, 7);
	/*
	 * The host is late meanwhile: what is due in the old period and in the new ones comes all
	 * the same.
	 */
	fake_clock_stall(&t.time, tick_ns(1250));
	out(0x40, 0xe8);
	out(0x40, 0x03);
	fake_clock_stall(&t.time, tick_ns(2250));
	for (unsigned i = 0; i < 10; i++)
		i8254_interrupt_taken(&t.pit);
	cr_expect_eq(t.rises, 7 + 2 + 1 + 2, "%u", t.rises);
}

Test(pit, mode3_square_wave)
{
	uint64_t start = t.time.now;

	load(0, 3, 1000);
	cr_expect_eq(status(0), 0xb6);
	to_tick(start, 100);
	cr_expect_eq(latched(0), 800, "counts by two");
	to_tick(start, 499);
	cr_expect_eq(status(0) & 0x80, 0x80);
	to_tick(start, 500);
	cr_expect_eq(status(0) & 0x80, 0);
	cr_expect_eq(latched(0), 1000);
	to_tick(start, 1000);
	cr_expect_eq(t.rises, 1);
	/* An odd count is high for one tick more than low. */
	start = t.time.now;
	load(0, 3, 5);
	to_tick(start, 2);
	cr_expect_eq(status(0) & 0x80, 0x80);
	to_tick(start, 3);
	cr_expect_eq(status(0) & 0x80, 0);
}

Test(pit, mode4_strobe)
{
	uint64_t start = t.time.now;

	load(0, 4, 1000);
	cr_expect(t.level);
	t.rises = 0;
	to_tick(start, 1001);
	cr_expect_eq(t.rises, 1);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(t.rises, 1);
}

Test(pit, latch_holds_until_read)
{
	uint64_t start = t.time.now;

	load(0, 2, 10000);
	to_tick(start, 100);
	out(0x43, 0x00);
	to_tick(start, 200);
	out(0x43, 0x00); /* ignored: one is pending */
	cr_expect_eq(in(0x40), 9900 & 0xff);
	to_tick(start, 700);
	cr_expect_eq(in(0x40), 9900 >> 8);
	cr_expect_eq(in(0x40), 9300 & 0xff, "then the running count");
	cr_expect_eq(in(0x40), 9300 >> 8);
}

Test(pit, read_back_status_then_count)
{
	uint64_t start = t.time.now;

	out(0x43, 0x34);
	out(0x43, 0xe2);
	cr_expect_eq(in(0x40), 0xf4, "null count until loaded");
	out(0x40, 0x10);
	out(0x40, 0x27);
	to_tick(start, 10);
	out(0x43, 0xc2); /* both */
	cr_expect_eq(in(0x40), 0xb4);
	uint8_t low = in(0x40);

	cr_expect_eq(low | in(0x40) << 8, 9990);
}

Test(pit, byte_access_modes)
{
	uint64_t start = t.time.now;

	out(0x43, 0x14); /* LSB only, mode 2 */
	out(0x40, 200);
	to_tick(start, 50);
	cr_expect_eq(in(0x40), 150);
	cr_expect_eq(in(0x40), 150);
	start = t.time.now;
	out(0x43, 0x24); /* MSB only */
	out(0x40, 2);
	t.rises = 0;
	to_tick(start, 100);
	cr_expect_eq(in(0x40), (512 - 100) >> 8);
	to_tick(start, 511);
	cr_expect_eq(t.rises, 0);
	to_tick(start, 512);
	cr_expect_eq(t.rises, 1);
}

Test(pit, bcd)
{
	uint64_t start = t.time.now;

	out(0x43, 0x35);
	out(0x40, 0x00);
	out(0x40, 0x10); /* 1000 */
	to_tick(start, 1);
	cr_expect_eq(latched(0), 0x0999);
	t.rises = 0;
	to_tick(start, 999);
	cr_expect_eq(t.rises, 0);
	to_tick(start, 1000);
	cr_expect_eq(t.rises, 1);
	out(0x43, 0x31);
	out(0x40, 0);
	out(0x40, 0);
	start = t.time.now;
	to_tick(start, 1);
	cr_expect_eq(latched(0), 0x9999, "zero is 10000");
}

Test(pit, count_zero_is_65536)
{
	uint64_t start = t.time.now;

	load(0, 2, 0);
	to_tick(start, 65535);
	cr_expect_eq(t.rises, 0);
	to_tick(start, 65536);
	cr_expect_eq(t.rises, 1);
}

Test(pit, one_tick_period_does_not_flood)
{
	load(0, 2, 1);
	fake_clock_advance(&t.time, 1000000);
	cr_expect_leq(t.time.fired, 60);
	cr_expect_geq(t.time.fired, 10);
}

Test(pit, channel2_gate_as_operating_systems_calibrate)
{
	uint64_t start;

	out(0x61, 0x01);
	load(2, 0, 5000);
	start = t.time.now;
	to_tick(start, 4999);
	cr_expect_eq(in(0x61) & 0x20, 0);
	to_tick(start, 5000);
	cr_expect_eq(in(0x61) & 0x20, 0x20);
	/* Mode 0 stops while the gate is low. */
	load(2, 0, 5000);
	start = t.time.now;
	to_tick(start, 1000);
	out(0x61, 0x00);
	to_tick(start, 50000);
	cr_expect_eq(latched(2), 4000);
	out(0x61, 0x01);
	start = t.time.now;
	to_tick(start, 3998);
	cr_expect_eq(in(0x61) & 0x20, 0);
	to_tick(start, 4001);
	cr_expect_eq(in(0x61) & 0x20, 0x20);
}

Test(pit, channel2_one_shot_and_retrigger)
{
	uint64_t start;

	load(2, 1, 1000);
	cr_expect_eq(in(0x61) & 0x20, 0x20);
	fake_clock_advance(&t.time, 10000000);
	cr_expect_eq(in(0x61) & 0x20, 0x20, "waits for the trigger");
	out(0x61, 1);
	start = t.time.now;
	cr_expect_eq(in(0x61) & 0x20, 0);
	to_tick(start, 900);
	out(0x61, 0);
	cr_expect_eq(in(0x61) & 0x20, 0, "the gate's level does not matter");
	out(0x61, 1);
	start = t.time.now;
	to_tick(start, 999);
	cr_expect_eq(in(0x61) & 0x20, 0);
	to_tick(start, 1000);
	cr_expect_eq(in(0x61) & 0x20, 0x20);
}

Test(pit, port61_refresh_toggles)
{
	unsigned changes = 0;
	uint8_t last = in(0x61) & 0x10;

	for (unsigned i = 0; i < 1000; i++) {
		fake_clock_advance(&t.time, 1000);
		changes += (in(0x61) & 0x10) != last;
		last = in(0x61) & 0x10;
	}
	cr_expect_eq(changes, 66); /* 1 ms / 15.085 us */
	out(0x61, 0xff);
	cr_expect_eq(in(0x61) & 0x0f, 0x0f);
}

Test(pit, saved_state_continues)
{
	uint64_t start = t.time.now;
	void *saved;
	size_t size;

	load(0, 2, 1000);
	to_tick(start, 300);
	cr_assert_eq(bus_save(t.bus, t.time.now, &saved, &size), 0);
	bus_reset_all(t.bus);
	cr_assert_eq(bus_load(t.bus, saved, size, NULL), 0);
	t.rises = 0;
	to_tick(start, 999);
	cr_expect_eq(t.rises, 0);
	to_tick(start, 1000);
	cr_expect_eq(t.rises, 1);
	free(saved);
}

Test(pit, nothing_is_waited_for_once_it_stands)
{
	load(0, 2, 1000);
	cr_expect_neq(fake_clock_next(&t.time), UINT64_MAX);
	out(0x43, 0x30);
	cr_expect_eq(fake_clock_next(&t.time), UINT64_MAX);
	load(0, 0, 1000);
	cr_expect_neq(fake_clock_next(&t.time), UINT64_MAX);
	fake_clock_advance(&t.time, tick_ns(1001));
	cr_expect_eq(t.rises, 1);
	cr_expect_eq(fake_clock_next(&t.time), UINT64_MAX);
}

/* Only channel 0 interrupts, and only periodic ticks can be lost. */
Test(pit, channel_0_alone_is_watched)
{
	bool waiting = true;

	t.pit.irq_state = waits;
	t.pit.irq_state_opaque = &waiting;
	load(0, 2, 1000);
	load(1, 0, 1000);
	cr_expect(i8254_watched(&t.pit, t.time.now));
	waiting = false;
	cr_expect_not(i8254_watched(&t.pit, t.time.now));
	waiting = true;
	load(0, 0, 1000);
	load(1, 2, 1000);
	cr_expect_not(i8254_watched(&t.pit, t.time.now));
}
