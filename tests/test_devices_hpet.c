/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The high precision event timers, on the assembled board. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "board_fixture.h"
#include "devices/chips/hpet.h"

#define MS       1000000ull
#define TICKS_MS (MS / HPET_TICK_NS)
#define VECTOR   0x51 /* pin 2 of the I/O APIC */
#define PIC_BASE 0x30

#define CONFIG     0x010
#define STATUS     0x020
#define COUNTER    0x0f0
#define TIMER(n)   (0x100 + 0x20 * (n))
#define COMPARATOR(n) (TIMER(n) + 8)

#define LEVEL      0x0002u
#define INTERRUPTS 0x0004u
#define PERIODIC   0x0008u
#define SET_VALUE  0x0040u
#define BITS_32    0x0100u
#define ROUTE_2    (2u << 9)

TestSuite(hpet, .init = board_setup, .fini = board_teardown);

static uint64_t rd(uint32_t offset) { return bus_mmio_read(b.bus, GPA(HPET_BASE + offset), 8); }
static void wr(uint32_t offset, uint64_t value)
{
	bus_mmio_write(b.bus, GPA(HPET_BASE + offset), value, 8);
}

static uint32_t rd32(uint32_t offset)
{
	return (uint32_t)bus_mmio_read(b.bus, GPA(HPET_BASE + offset), 4);
}

static void wr32(uint32_t offset, uint32_t value)
{
	bus_mmio_write(b.bus, GPA(HPET_BASE + offset), value, 4);
}

static void apic(uint32_t offset, uint32_t value)
{
	bus_mmio_write(b.bus, GPA(0xfee00000 + offset), value, 4);
}

static void pin2(uint32_t entry)
{
	bus_mmio_write(b.bus, GPA(0xfec00000), 0x14, 4);
	bus_mmio_write(b.bus, GPA(0xfec00010), entry, 4);
}

/* Only pin 2 of the I/O APIC is listened to; the 8254 stands. */
static void listen_to_pin2(uint32_t entry)
{
	out(0x43, 0x30);
	apic(0xf0, 0x1ff);
	apic(0x350, 0x10700);
	pin2(entry);
}

/* Only the 8259s are, IRQ 0 and 8. */
static void listen_to_pics(void)
{
	static const uint8_t writes[][2] = {
		{ 0x20, 0x11 }, { 0x21, PIC_BASE }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xa0, 0x11 }, { 0xa1, PIC_BASE + 8 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
		{ 0x21, 0xfa }, { 0xa1, 0xfe },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++)
		out(writes[i][0], writes[i][1]);
}

/* Interrupts the CPU can take now, each of that vector. */
static unsigned taken(int vector)
{
	unsigned n = 0;
	int got;

	while ((got = pc_board_acknowledge(b.board)) >= 0) {
		cr_assert_eq(got, vector, "%x", got);
		n++;
		if (got == VECTOR)
			apic(0xb0, 0);
		if (got >= PIC_BASE + 8 && got < PIC_BASE + 16)
			out(0xa0, 0x20);
		if (got >= PIC_BASE && got < PIC_BASE + 16)
			out(0x20, 0x20);
	}
	return n;
}

static void pass(uint64_t ns) { fake_clock_advance(&b.time, ns); }

Test(hpet, it_says_what_it_is)
{
	cr_expect_eq(rd(0), 10000000ull << 32 | 0x8086a201);
	cr_expect_eq(rd32(0), 0x8086a201);
	cr_expect_eq(rd32(4), 10000000, "femtoseconds");
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		cr_expect_eq(rd(TIMER(n)), 4ull << 32 | 0x30, "%lx", rd(TIMER(n)));
		cr_expect_eq(rd(COMPARATOR(n)), UINT64_MAX);
	}
	cr_expect_eq(rd(TIMER(3)), 0);
	cr_expect_eq(rd(0x3f8), 0);
	wr(0, 0);
	wr(TIMER(3), UINT64_MAX);
	cr_expect_eq(rd(0), 10000000ull << 32 | 0x8086a201);
}

Test(hpet, the_counter_counts_while_it_is_enabled)
{
	pass(MS);
	cr_expect_eq(rd(COUNTER), 0);
	wr(CONFIG, 1);
	pass(3 * MS + 9);
	cr_expect_eq(rd(COUNTER), 3 * TICKS_MS);
	pass(1);
	cr_expect_eq(rd(COUNTER), 3 * TICKS_MS + 1);
	wr(COUNTER, 5);
	cr_expect_eq(rd(COUNTER), 3 * TICKS_MS + 1, "not to be set while it counts");
	wr32(CONFIG, 0);
	pass(MS);
	cr_expect_eq(rd(COUNTER), 3 * TICKS_MS + 1);
	wr32(COUNTER, 0xfffffff0);
	wr32(COUNTER + 4, 6);
	wr32(CONFIG, 1);
	pass(160);
	cr_expect_eq(rd(COUNTER), 7ull << 32);
	cr_expect_eq(rd32(COUNTER), 0);
	cr_expect_eq(rd32(COUNTER + 4), 7);
}

Test(hpet, one_shot)
{
	listen_to_pin2(VECTOR);
	wr(TIMER(2), INTERRUPTS | ROUTE_2);
	wr(COMPARATOR(2), 2 * TICKS_MS);
	pass(MS);
	wr(CONFIG, 1);
	pass(2 * MS - 1);
	cr_expect_eq(taken(VECTOR), 0);
	pass(1);
	cr_expect_eq(taken(VECTOR), 1);
	cr_expect_eq(rd(STATUS), 0, "an edge leaves none");
	pass(100 * NS_PER_SECOND);
	cr_expect_eq(taken(VECTOR), 0);
	cr_expect_eq(fake_clock_next(&b.time), UINT64_MAX, "nothing is waited for");
	wr(COMPARATOR(2), rd(COUNTER) + 5);
	pass(50);
	cr_expect_eq(taken(VECTOR), 1);
}

Test(hpet, a_timer_of_32_bits_meets_each_wrap)
{
	listen_to_pin2(VECTOR);
	wr(TIMER(0), INTERRUPTS | ROUTE_2 | BITS_32);
	wr(COMPARATOR(0), 0x1200000064);
	cr_expect_eq(rd(COMPARATOR(0)), 100);
	wr(COUNTER, 0x5fffffff0);
	wr(CONFIG, 1);
	pass(1159);
	cr_expect_eq(taken(VECTOR), 0);
	pass(1);
	cr_expect_eq(taken(VECTOR), 1);
	pass((10ull << 32) - 1);
	cr_expect_eq(taken(VECTOR), 0);
	pass(1);
	cr_expect_eq(taken(VECTOR), 1);
}

/* Specification, 2.3.9.2.2. */
Test(hpet, periodic)
{
	listen_to_pin2(VECTOR);
	wr(CONFIG, 1);
	wr32(TIMER(1), INTERRUPTS | ROUTE_2 | PERIODIC | SET_VALUE);
	wr(COMPARATOR(1), 5 * TICKS_MS);
	cr_expect_eq(rd32(TIMER(1)), (INTERRUPTS | ROUTE_2 | PERIODIC | 0x30),
		     "VAL_SET clears itself");
	wr(COMPARATOR(1), 2 * TICKS_MS);
	cr_expect_eq(rd(COMPARATOR(1)), 5 * TICKS_MS, "only the period");
	pass(5 * MS - 1);
	cr_expect_eq(taken(VECTOR), 0);
	pass(1);
	cr_expect_eq(taken(VECTOR), 1);
	cr_expect_eq(rd(COMPARATOR(1)), 7 * TICKS_MS);
	for (unsigned n = 0; n < 10; n++) {
		pass(2 * MS);
		cr_expect_eq(taken(VECTOR), 1);
	}
	cr_expect_eq(rd(COMPARATOR(1)), 27 * TICKS_MS);
	wr(COMPARATOR(1), 3 * TICKS_MS); /* from the next match on */
	pass(2 * MS);
	cr_expect_eq(taken(VECTOR), 1);
	pass(3 * MS - 1);
	cr_expect_eq(taken(VECTOR), 0);
	pass(1);
	cr_expect_eq(taken(VECTOR), 1);
}

Test(hpet, a_first_match_alone_is_the_period_too)
{
	listen_to_pin2(VECTOR);
	wr(TIMER(0), INTERRUPTS | ROUTE_2 | PERIODIC | SET_VALUE);
	wr32(COMPARATOR(0), TICKS_MS);
	wr32(TIMER(0), INTERRUPTS | ROUTE_2 | PERIODIC | SET_VALUE);
	wr32(COMPARATOR(0) + 4, 0);
	wr(CONFIG, 1);
	pass(10 * MS);
	cr_expect_geq(taken(VECTOR), 1);
	pass(10 * MS);
	cr_expect_eq(rd(COMPARATOR(0)), 21 * TICKS_MS);
}

Test(hpet, a_level_stays_until_its_status_is_cleared)
{
	listen_to_pin2(VECTOR | 0x8000);
	wr(TIMER(0), INTERRUPTS | ROUTE_2 | LEVEL);
	wr(TIMER(1), ROUTE_2 | LEVEL);
	wr(COMPARATOR(0), TICKS_MS);
	wr(COMPARATOR(1), TICKS_MS);
	wr(CONFIG, 1);
	pass(MS);
	cr_expect_eq(rd(STATUS), 3, "that of a timer without interrupts too");
	cr_expect_eq(pc_board_acknowledge(b.board), VECTOR);
	apic(0xb0, 0);
	cr_expect_eq(pc_board_acknowledge(b.board), VECTOR, "sent again after its end");
	wr32(STATUS, 2);
	cr_expect_eq(rd(STATUS), 1);
	apic(0xb0, 0);
	cr_expect_eq(pc_board_acknowledge(b.board), VECTOR);
	wr32(STATUS + 4, 1);
	cr_expect_eq(rd(STATUS), 1, "the upper half clears nothing");
	wr32(STATUS, 1);
	apic(0xb0, 0);
	cr_expect_eq(taken(VECTOR), 0);
	cr_expect_eq(rd(STATUS), 0);
}

Test(hpet, a_level_falls_with_its_enables)
{
	static const struct { uint32_t at, off, on; } enables[] = {
		{ CONFIG, 0, 1 },
		{ TIMER(0), ROUTE_2 | LEVEL, ROUTE_2 | LEVEL | INTERRUPTS },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(enables); i++) {
		board_teardown();
		board_setup();
		listen_to_pin2(VECTOR | 0x18000);
		wr(TIMER(0), INTERRUPTS | ROUTE_2 | LEVEL);
		wr(COMPARATOR(0), 1);
		wr(CONFIG, 1);
		pass(MS);
		wr(enables[i].at, enables[i].off);
		pin2(VECTOR | 0x8000);
		cr_expect_eq(taken(VECTOR), 0);
		wr(enables[i].at, enables[i].on);
		cr_expect_eq(pc_board_acknowledge(b.board), VECTOR);
	}
}

Test(hpet, an_edge_has_no_status)
{
	wr(TIMER(0), LEVEL);
	wr(COMPARATOR(0), 1);
	wr(CONFIG, 1);
	pass(MS);
	cr_expect_eq(rd(STATUS), 1);
	wr(TIMER(0), 0);
	cr_expect_eq(rd(STATUS), 0);
}

Test(hpet, legacy_timers_take_the_place_of_8254_and_rtc)
{
	listen_to_pics();
	out(0x43, 0x34);
	out(0x40, 0xa9);
	out(0x40, 0x04); /* 1 kHz */
	out(0x70, 0x0b);
	out(0x71, 0x42); /* 1024 Hz */
	out(0x70, 0x0c);
	wr(TIMER(0), INTERRUPTS | PERIODIC | SET_VALUE);
	wr(COMPARATOR(0), 100 * TICKS_MS);
	wr(CONFIG, 3);
	while (pc_board_acknowledge(b.board) >= 0) {
		out(0xa0, 0x20);
		out(0x20, 0x20);
	}
	in(0x71);
	b.time.fired = 0;
	pass(100 * MS);
	in(0x71);
	cr_expect_eq(taken(PIC_BASE), 1);
	cr_expect_lt(b.time.fired, 10, "no timer runs for the 8254");
	wr(TIMER(0), 0);
	wr(TIMER(1), INTERRUPTS);
	wr(COMPARATOR(1), 101 * TICKS_MS);
	pass(MS);
	cr_expect_eq(taken(PIC_BASE + 8), 1);
	out(0x70, 0x0b);
	out(0x71, 0x02);
	wr(CONFIG, 1);
	taken(PIC_BASE); /* OUT may be high */
	pass(100 * MS);
	cr_expect_geq(taken(PIC_BASE), 1, "the 8254 again");
}

Test(hpet, legacy_timers_have_no_route)
{
	listen_to_pics();
	wr(TIMER(0), INTERRUPTS);
	wr(COMPARATOR(0), TICKS_MS);
	out(0x43, 0x30);
	taken(PIC_BASE);
	wr(CONFIG, 1);
	pass(2 * MS);
	cr_expect_eq(taken(PIC_BASE), 0, "neither legacy nor routed");
	wr(COMPARATOR(0), 3 * TICKS_MS);
	wr(CONFIG, 3);
	pass(2 * MS);
	cr_expect_eq(taken(PIC_BASE), 1);
}

Test(hpet, a_route_that_is_not_there_is_not_taken)
{
	for (uint32_t route = 0; route < 32; route++) {
		wr(TIMER(1), ROUTE_2);
		wr(TIMER(1), route << 9 | INTERRUPTS);
		cr_expect_eq(rd32(TIMER(1)), (ROUTE_2 | INTERRUPTS | 0x30), "%u", route);
	}
	wr(TIMER(1), UINT64_MAX);
	cr_expect_eq(rd(TIMER(1)), 4ull << 32 | 0x17e | ROUTE_2, "%lx", rd(TIMER(1)));
}

/* A guest that counts ticks has as many as came due, however late the host is. */
Test(hpet, ticks_of_a_late_host_are_owed)
{
	static const uint32_t kinds[] = { 0, LEVEL };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(kinds); i++) {
		unsigned ticks = 0;

		board_teardown();
		board_setup();
		listen_to_pin2(VECTOR | (kinds[i] ? 0x8000 : 0));
		wr(TIMER(0), INTERRUPTS | ROUTE_2 | PERIODIC | SET_VALUE | kinds[i]);
		wr(COMPARATOR(0), TICKS_MS);
		wr(CONFIG, 1);
		fake_clock_stall(&b.time, 20 * MS);
		pass(0);
		while (pc_board_acknowledge(b.board) >= 0) {
			ticks++;
			wr32(STATUS, 1);
			apic(0xb0, 0);
		}
		cr_expect_eq(ticks, 20, "%u", ticks);
	}
}

Test(hpet, ticks_are_owed_on_the_legacy_route)
{
	listen_to_pics();
	wr(TIMER(0), INTERRUPTS | PERIODIC | SET_VALUE);
	wr(COMPARATOR(0), TICKS_MS);
	wr(CONFIG, 3);
	while (pc_board_acknowledge(b.board) >= 0)
		out(0x20, 0x20);
	pass(7 * MS);
	fake_clock_stall(&b.time, 13 * MS);
	cr_expect_eq(taken(PIC_BASE), 20);
	wr(TIMER(0), INTERRUPTS | PERIODIC | ROUTE_2); /* a write settles nothing */
	wr(TIMER(0), PERIODIC);
	fake_clock_stall(&b.time, 13 * MS);
	wr(TIMER(0), INTERRUPTS | PERIODIC);
	cr_expect_eq(taken(PIC_BASE), 0, "none of those that came without interrupts");
}

Test(hpet, a_short_period_keeps_nobody_busy)
{
	listen_to_pin2(VECTOR);
	wr(TIMER(0), INTERRUPTS | ROUTE_2 | PERIODIC | SET_VALUE);
	wr(COMPARATOR(0), 1);
	wr(CONFIG, 1);
	b.time.fired = 0;
	pass(10 * MS);
	cr_expect_leq(b.time.fired, 10 * MS / OWED_TICKS_MIN_PERIOD_NS + 1, "%u", b.time.fired);
}

Test(hpet, nothing_is_waited_for_without_interrupts)
{
	listen_to_pin2(VECTOR);
	wr(TIMER(0), ROUTE_2 | PERIODIC | SET_VALUE | LEVEL);
	wr(COMPARATOR(0), TICKS_MS);
	wr(CONFIG, 1);
	b.time.fired = 0;
	pass(100 * MS);
	cr_expect_eq(b.time.fired, 0);
	cr_expect_eq(rd(STATUS), 1);
	cr_expect_eq(rd(COMPARATOR(0)), 101 * TICKS_MS);
}

Test(hpet, a_reset_stops_it)
{
	listen_to_pics();
	wr(TIMER(0), INTERRUPTS | PERIODIC | SET_VALUE);
	wr(COMPARATOR(0), TICKS_MS);
	wr(CONFIG, 3);
	pass(MS);
	pc_board_reset(b.board);
	cr_expect_eq(rd(CONFIG), 0);
	cr_expect_eq(rd(COUNTER), 0);
	cr_expect_eq(rd(COMPARATOR(0)), UINT64_MAX);
	listen_to_pics();
	while (pc_board_acknowledge(b.board) >= 0)
		out(0x20, 0x20);
	pass(55 * MS);
	cr_expect_eq(taken(PIC_BASE), 1, "the 8254, as firmware leaves it");
}

Test(hpet, a_board_without_one)
{
	struct error error = { 0 };

	pc_board_destroy(b.board);
	b.config.hpet = false;
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
	cr_expect_eq(rd(0), UINT64_MAX);
	listen_to_pics();
	out(0x43, 0x34);
	out(0x40, 0xa9);
	out(0x40, 0x04);
	pass(10 * MS);
	cr_expect_gt(taken(PIC_BASE), 5);
}

/* Nonsense: whatever is written, the clock's thread is not kept busy and the state can be saved. */

static uint64_t random64(uint32_t *seed)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		*seed = *seed * 1664525u + 1013904223u;
		value = value << 16 | *seed >> 16;
	}
	return value;
}

static void nonsense(uint32_t *seed)
{
	static const uint32_t likely[] = { CONFIG, STATUS, COUNTER, TIMER(0), COMPARATOR(0),
					   TIMER(1), COMPARATOR(1), TIMER(2), COMPARATOR(2) };
	unsigned size = 1u << random64(seed) % 4;
	uint32_t at = random64(seed) % 4 ? likely[random64(seed) % RF_ARRAY_SIZE(likely)] +
						   (random64(seed) % 8 & -size) :
					   random64(seed) % HPET_SIZE & -size;
	uint64_t value = random64(seed) >> random64(seed) % 64;

	if (random64(seed) % 8)
		bus_mmio_write(b.bus, GPA(HPET_BASE + at), value, size);
	else
		bus_mmio_read(b.bus, GPA(HPET_BASE + at), size);
}

static void expect_loads(void)
{
	struct error error = { 0 };
	size_t size;
	void *saved;

	cr_assert_eq(bus_save(b.bus, b.time.now, &saved, &size), 0);
	cr_expect_eq(bus_load(b.bus, saved, size, &error), 0, "%s", error.text);
	free(saved);
}

Test(hpet, nonsense_does_no_harm)
{
	uint32_t seed = 1;

	listen_to_pin2(VECTOR);
	for (unsigned round = 0; round < 20000; round++) {
		uint64_t ns = random64(&seed) >> (random64(&seed) % 24 + 36);
		unsigned fired = b.time.fired;

		nonsense(&seed);
		if (random64(&seed) % 4)
			pass(ns);
		else
			fake_clock_stall(&b.time, ns << random64(&seed) % 8);
		cr_assert_leq(b.time.fired - fired,
			      6 + HPET_TIMERS * 2 * (ns / OWED_TICKS_MIN_PERIOD_NS + 1),
			      "round %u: %u callbacks in %lu ns", round, b.time.fired - fired, ns);
		if (round % 16 == 0)
			apic(0xb0, (uint32_t)pc_board_acknowledge(b.board));
		if (round % 500 == 0)
			expect_loads();
	}
}

/* ACPI (specification, 3.2.4). */

static const uint8_t *table(const char *signature)
{
	uint32_t rsdt, length, address;

	cr_assert_eq(pc_board_write_tables(b.board), 0);
	memcpy(&rsdt, b.ram + 0xf6000 + 16, 4);
	memcpy(&length, b.ram + rsdt + 4, 4);
	for (uint32_t at = 36; at < length; at += 4) {
		memcpy(&address, b.ram + rsdt + at, 4);
		if (!memcmp(b.ram + address, signature, 4))
			return b.ram + address;
	}
	return NULL;
}

Test(hpet, acpi_tells_of_it)
{
	static const uint8_t body[] = {
		0x01, 0xa2, 0x86, 0x80, 0, 0, 0, 0, 0, 0, 0xd0, 0xfe, 0, 0, 0, 0, 0,
		2000 & 0xff, 2000 >> 8, 0,
	};
	const uint8_t *hpet = table("HPET");
	uint8_t sum = 0;

	cr_assert_not_null(hpet);
	cr_expect_eq(hpet[4], 56);
	for (unsigned i = 0; i < 56; i++)
		sum += hpet[i];
	cr_expect_eq(sum, 0);
	cr_expect_arr_eq(hpet + 36, body, sizeof(body));
}

Test(hpet, acpi_tells_of_none_where_there_is_none)
{
	struct error error = { 0 };

	pc_board_destroy(b.board);
	b.config.hpet = false;
	cr_assert_eq(pc_board_create(&b.config, &b.board, &error), 0, "%s", error.text);
	cr_expect_not_null(table("APIC"));
	cr_expect_null(table("HPET"));
}
