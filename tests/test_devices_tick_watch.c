/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticks that a guest waits for with interrupts off by watching a clock are lost; those that the
 * host or a slow engine made it miss are owed. The 8254, the HPET and the local APIC's timer tick
 * once a millisecond, one at a time.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "board_fixture.h"
#include "devices/chips/hpet.h"
#include "devices/chips/local_apic.h"

#define MS       1000000ull
#define PERIODS  20
#define PIC_BASE 0x30
#define LAPIC_VECTOR 0x61
#define IO_APIC_VECTOR 0x51

static bool flag; /* the CPU's interrupt flag */

static bool interrupt_flag(void *opaque) { return flag; }

static void setup(void)
{
	struct error error = { 0 };

	board_setup();
	pc_board_destroy(b.board);
	b.time.now = 5 * NS_PER_SECOND;
	b.config.interrupt_flag = interrupt_flag;
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
	flag = false;
}

TestSuite(tick_watch, .init = setup, .fini = board_teardown);

static void look_and_tick(void)
{
	for (unsigned i = 0; i < 50; i++) {
		in(0x40);
		fake_clock_advance(&b.time, NS_PER_SECOND / 10000);
	}
}

Test(tick_watch, without_an_hpet)
{
	struct error error = { 0 };

	pc_board_destroy(b.board);
	b.config.hpet = false;
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
	out(0x21, 0xfe);
	out(0x43, 0x34);
	out(0x40, 0xa9);
	out(0x40, 0x04);
	look_and_tick();
}

static void apic(uint32_t offset, uint32_t value)
{
	bus_mmio_write(b.bus, GPA(0xfee00000 + offset), value, 4);
}

static void hpet(uint32_t offset, uint32_t value)
{
	bus_mmio_write(b.bus, GPA(HPET_BASE + offset), value, 4);
}

static void pics(uint8_t masked)
{
	static const uint8_t writes[][2] = {
		{ 0x20, 0x11 }, { 0x21, PIC_BASE }, { 0x21, 0x04 }, { 0x21, 0x01 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++)
		out(writes[i][0], writes[i][1]);
	out(0x21, masked);
	out(0xa1, 0xff);
}

static unsigned take_one(void)
{
	int vector = pc_board_acknowledge(b.board);

	if (vector == LAPIC_VECTOR || vector == IO_APIC_VECTOR)
		apic(0xb0, 0);
	else if (vector >= 0)
		out(0x20, 0x20);
	return vector >= 0;
}

static unsigned taken(void)
{
	unsigned n = 0;

	while (take_one())
		n++;
	return n;
}

/* Whatever is owed yet comes while the clock stands. */
static unsigned all_taken(void)
{
	unsigned n = taken(), more;

	do {
		fake_clock_advance(&b.time, 0);
		more = taken();
		n += more;
	} while (more);
	return n;
}

/* Timers. */

static void start_pit(void)
{
	pics(0xfe);
	out(0x43, 0x34);
	taken();
	out(0x40, 0xa9);
	out(0x40, 0x04);
}

static void start_hpet(void)
{
	out(0x43, 0x30);
	pics(0xff);
	apic(0xf0, 0x1ff);
	bus_mmio_write(b.bus, GPA(0xfec00000), 0x14, 4);
	bus_mmio_write(b.bus, GPA(0xfec00010), IO_APIC_VECTOR, 4);
	hpet(0x120, 0x54c); /* timer 1, pin 2 */
	hpet(0x128, MS / HPET_TICK_NS);
	hpet(0x10, 1);
}

static void start_lapic(void)
{
	out(0x43, 0x30);
	pics(0xff);
	apic(0xf0, 0x1ff);
	apic(0x3e0, 0xb);
	apic(0x320, 0x20000 | LAPIC_VECTOR);
	apic(0x380, MS / LAPIC_TICK_NS);
}

static const struct {
	const char *name;
	void (*start)(void);
} timers[] = { { "8254", start_pit }, { "HPET", start_hpet }, { "LAPIC", start_lapic } };

/* Clocks. */

static void look_pit(void) { in(0x42); }
static void look_latch(void)
{
	out(0x43, 0x00);
	in(0x40);
	in(0x40);
}

static void look_port61(void) { in(0x61); }
static void look_pm(void) { bus_pio_read(b.bus, 0x608, 4); }
static void look_lapic(void) { bus_mmio_read(b.bus, GPA(0xfee00390), 4); }
static void look_hpet(void) { bus_mmio_read(b.bus, GPA(HPET_BASE + 0xf0), 4); }
static void look_rtc(void)
{
	out(0x70, 0x0a);
	in(0x71);
}

static void look_tsc(void)
{
	struct signal_line look = pc_board_look(b.board);

	signal_raise(&look, 0);
}

static const struct {
	const char *name;
	void (*look)(void);
} clocks[] = {
	{ "8254", look_pit }, { "8254 latched", look_latch }, { "port 61h", look_port61 },
	{ "PM timer", look_pm }, { "LAPIC", look_lapic }, { "HPET", look_hpet },
	{ "RTC", look_rtc }, { "TSC", look_tsc },
};

/* The clock's thread comes in time, or not before the end. */
enum host { IN_TIME, LATE, NHOSTS };

static void pass(uint64_t ns, enum host host)
{
	if (host == IN_TIME)
		fake_clock_advance(&b.time, ns);
	else
		fake_clock_stall(&b.time, ns);
}

static void poll(uint64_t ns, uint64_t step, void (*look)(void), enum host host)
{
	for (uint64_t at = 0; at < ns; at += step) {
		pass(step, host);
		look();
	}
}

static void restart(unsigned timer)
{
	board_teardown();
	setup();
	timers[timer].start();
}

#define EACH_TIMER(t) for (unsigned t = 0; t < RF_ARRAY_SIZE(timers); t++)
#define EACH_CLOCK(c) for (unsigned c = 0; c < RF_ARRAY_SIZE(clocks); c++)
#define EACH_HOST(h) for (enum host h = 0; h < NHOSTS; h++)

Test(tick_watch, whoever_watches_a_clock_gets_one)
{
	EACH_TIMER(t)
		EACH_CLOCK(c)
			EACH_HOST(h) {
				restart(t);
				poll(PERIODS * MS + MS / 2, MS / 20, clocks[c].look, h);
				cr_expect_eq(all_taken(), 1, "%s by %s, %d", timers[t].name,
					     clocks[c].name, h);
				fake_clock_advance(&b.time, 3 * MS);
				cr_expect_eq(all_taken(), 3, "%s goes on", timers[t].name);
			}
}

Test(tick_watch, whoever_does_not_gets_all)
{
	EACH_TIMER(t)
		EACH_HOST(h) {
			restart(t);
			pass(PERIODS * MS + MS / 2, h);
			cr_expect_eq(all_taken(), PERIODS, "%s, %d", timers[t].name, h);
		}
}

/* As the tick handlers of old kernels do. */
Test(tick_watch, one_look_loses_none)
{
	EACH_TIMER(t)
		EACH_CLOCK(c)
			EACH_HOST(h) {
				restart(t);
				pass(PERIODS / 2 * MS, h);
				clocks[c].look();
				pass(PERIODS / 2 * MS + MS / 2, h);
				cr_expect_eq(all_taken(), PERIODS, "%s by %s, %d", timers[t].name,
					     clocks[c].name, h);
			}
}

/* What comes between may be the host's or the engine's. */
Test(tick_watch, looks_far_apart_lose_none)
{
	EACH_TIMER(t)
		EACH_HOST(h) {
			restart(t);
			poll(PERIODS * MS + MS / 2, 2 * MS, look_tsc, h);
			look_tsc();
			look_pit();
			cr_expect_eq(all_taken(), PERIODS + 2, "%s, %d", timers[t].name, h);
		}
}

Test(tick_watch, the_host_stops_a_guest_that_watches)
{
	EACH_TIMER(t)
		EACH_HOST(h) {
			restart(t);
			poll(5 * MS + MS / 2, MS / 20, look_tsc, h);
			pass(10 * MS, h);
			poll(5 * MS, MS / 20, look_tsc, h);
			cr_expect_eq(all_taken(), 1 + 10, "%s, %d", timers[t].name, h);
		}
}

/* Its handler reads two clocks; the host stops now and then between them. */
Test(tick_watch, a_handler_with_two_looks_loses_none)
{
	EACH_TIMER(t) {
		unsigned ticks = 0;
		uint64_t due;

		restart(t);
		for (unsigned round = 0; round < 200; round++) {
			pass(MS, round % 3 ? IN_TIME : LATE);
			for (unsigned n = 0, got; (got = take_one()); n++) {
				ticks += got;
				look_tsc();
				pass(round % 7 || n % 4 ? 2000 : 3 * MS, LATE);
				look_pit();
			}
		}
		due = (b.time.now - 5 * NS_PER_SECOND) / MS;
		ticks += all_taken();
		cr_expect_eq(ticks, due, "%s: %u of %lu", timers[t].name, ticks, due);
	}
}

Test(tick_watch, letting_an_interrupt_in_ends_it)
{
	EACH_TIMER(t) {
		restart(t);
		poll(5 * MS + MS / 2, MS / 20, look_tsc, IN_TIME);
		cr_expect_eq(taken(), 1, "%s", timers[t].name);
		pass(3 * MS, LATE); /* the next waits, and no clock has been looked at */
		look_tsc();
		look_tsc();
		cr_expect_eq(all_taken(), 3, "%s", timers[t].name);
	}
}

/* An engine is late to take what it could take. */
Test(tick_watch, looks_with_interrupts_on_lose_none)
{
	EACH_TIMER(t)
		EACH_HOST(h) {
			restart(t);
			flag = true;
			poll(PERIODS * MS + MS / 2, MS / 20, look_pm, h);
			cr_expect_eq(all_taken(), PERIODS, "%s, %d", timers[t].name, h);
		}
}

Test(tick_watch, a_look_with_interrupts_on_ends_it)
{
	EACH_TIMER(t) {
		restart(t);
		fake_clock_advance(&b.time, MS);
		for (unsigned n = 0; n < 200; n++) {
			flag = n % 2;
			pass(MS / 10, IN_TIME);
			look_pm();
		}
		cr_expect_eq(all_taken(), 1 + 20, "%s", timers[t].name);
	}
}

/* With its interrupt in service the CPU may have its flag set. */
Test(tick_watch, a_handler_that_watches_before_its_end_gets_one_more)
{
	EACH_TIMER(t) {
		int vector;

		restart(t);
		fake_clock_advance(&b.time, MS + MS / 2);
		vector = pc_board_acknowledge(b.board);
		cr_assert_geq(vector, 0);
		flag = true;
		poll(PERIODS * MS, MS / 20, look_port61, IN_TIME);
		if (vector == PIC_BASE)
			out(0x20, 0x20);
		else
			apic(0xb0, 0);
		cr_expect_eq(all_taken(), 1, "%s", timers[t].name);
	}
}

/* Another interrupt comes and goes; NMIs do not ask the board at all. */
Test(tick_watch, another_interrupt_begins_it_anew)
{
	start_pit();
	apic(0xf0, 0x1ff);
	apic(0x350, 0x700);
	poll(5 * MS + MS / 2, MS / 20, look_tsc, IN_TIME);
	apic(0x300, 0x40071);
	cr_expect_eq(pc_board_acknowledge(b.board), 0x71);
	pass(MS, LATE);
	look_tsc();
	apic(0xb0, 0);
	cr_expect_eq(all_taken(), 2);
}

Test(tick_watch, short_periods_need_closer_looks)
{
	start_lapic();
	apic(0x380, MS / 10 / LAPIC_TICK_NS);
	poll(10 * MS, MS / 5, look_tsc, LATE);
	cr_expect_eq(all_taken(), 100);
	poll(10 * MS, MS / 20, look_tsc, LATE);
	cr_expect_eq(all_taken(), 1);
}
