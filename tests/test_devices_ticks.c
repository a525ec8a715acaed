/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clock ticks of a CPU that has its interrupts off for long, or a slow handler: the 8254 and the
 * local APIC's timer together on the assembled board. Whatever comes late, a guest that counts
 * ticks has counted all that came due once it has taken what is owed.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board/pc_board.h"
#include "devices/chips/i8254.h"
#include "devices/chips/local_apic.h"
#include "fake_clock.h"

#define MS          1000000ull
#define LAPIC_NS    MS
#define PIT_COUNT   1193u
#define OWED_MOST   10000u
#define PIC_VECTOR  0x30
#define LAPIC_VECTOR 0x61

enum way { PIC, PIC_MASKED_BY_HANDLER, IO_APIC_ABOVE, IO_APIC_BELOW, NWAYS };

static const char *const way_names[NWAYS] = { "8259", "8259, masked by its handler",
					      "I/O APIC, more urgent", "I/O APIC, less urgent" };
static const uint8_t io_apic_vectors[NWAYS] = { 0, 0, 0x71, 0x51 };

static struct {
	struct bus *bus;
	struct fake_clock time;
	struct pc_board *board;
	enum way way;
	uint64_t lapic_start, pit_start, handler_ns;
	unsigned lapic_ticks, pit_ticks, others;
	uint32_t seed;
} k;

static int no_memory(void *opaque, gpa_t gpa, void *buf, size_t len) { return -EFAULT; }
static int no_memory_either(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	return -EFAULT;
}

static void setup(void)
{
	struct pc_board_config config = {
		.memory = { no_memory, no_memory_either, NULL },
		.ram_size = 32u << 20,
	};
	struct error error = { 0 };

	memset(&k, 0, sizeof(k));
	k.seed = 1;
	k.time.now = 5 * NS_PER_SECOND;
	cr_assert_eq(bus_create(&k.bus), 0);
	config.bus = k.bus;
	config.clock = fake_clock_interface(&k.time);
	cr_assert_eq(pc_board_create(&config, &k.board, &error), 0, "%s", error.text);
}

static void teardown(void)
{
	pc_board_destroy(k.board);
	bus_destroy(k.bus);
}

TestSuite(ticks, .init = setup, .fini = teardown);

static void out(uint16_t port, uint8_t value) { bus_pio_write(k.bus, port, value, 1); }
static void apic_write(uint32_t offset, uint32_t value)
{
	bus_mmio_write(k.bus, GPA(0xfee00000 + offset), value, 4);
}

static void io_apic_write(uint32_t index, uint32_t value)
{
	bus_mmio_write(k.bus, GPA(0xfec00000), index, 4);
	bus_mmio_write(k.bus, GPA(0xfec00010), value, 4);
}

static uint32_t rnd(uint32_t below)
{
	k.seed = k.seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)k.seed * below >> 32);
}

static void start(enum way way)
{
	static const struct { uint16_t port; uint8_t value; } pics[] = {
		{ 0x20, 0x11 }, { 0x21, PIC_VECTOR }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xa1, 0xff },
	};
	const bool by_pic = !io_apic_vectors[way];

	k.way = way;
	for (unsigned n = 0; n < RF_ARRAY_SIZE(pics); n++)
		out(pics[n].port, pics[n].value);
	out(0x21, by_pic ? 0xfe : 0xff);
	apic_write(0xf0, 0x1ff);
	apic_write(0x350, by_pic ? 0x700 : 0x10700);
	io_apic_write(0x14, by_pic ? 0x10000 : io_apic_vectors[way]); /* IRQ 0 is pin 2 */
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x20000 | LAPIC_VECTOR);
	out(0x43, 0x34);
	while (pc_board_acknowledge(k.board) >= 0) { /* the edge of setting the mode */
		out(0x20, 0x20);
		apic_write(0xb0, 0);
	}
	apic_write(0x380, LAPIC_NS / LAPIC_TICK_NS);
	out(0x40, PIT_COUNT & 0xff);
	out(0x40, PIT_COUNT >> 8);
	k.lapic_start = k.pit_start = k.time.now;
	k.lapic_ticks = k.pit_ticks = k.others = 0;
}

static uint64_t lapic_due(void) { return (k.time.now - k.lapic_start) / LAPIC_NS; }
static uint64_t pit_due(void)
{
	return muldiv64(k.time.now - k.pit_start, I8254_HZ, NS_PER_SECOND) / PIT_COUNT;
}

static void pit_handler(void)
{
	k.pit_ticks++;
	if (k.way == PIC_MASKED_BY_HANDLER)
		out(0x21, 0xff);
	if (io_apic_vectors[k.way])
		apic_write(0xb0, 0);
	else
		out(0x20, 0x20);
	fake_clock_advance(&k.time, k.handler_ns);
	if (k.way == PIC_MASKED_BY_HANDLER)
		out(0x21, 0xfe);
}

/* Interrupts on until nothing is left, or that many are taken. */
static void take(unsigned most)
{
	int vector;

	while (most-- && (vector = pc_board_acknowledge(k.board)) >= 0) {
		if (vector == LAPIC_VECTOR) {
			k.lapic_ticks++;
			apic_write(0xb0, 0);
		} else if (vector ==
			   (io_apic_vectors[k.way] ? io_apic_vectors[k.way] : PIC_VECTOR)) {
			pit_handler();
		} else {
			k.others++;
		}
	}
}

static void take_all(void)
{
	take(UINT32_MAX);
	fake_clock_advance(&k.time, 0); /* the clock's thread has its turn at last */
	take(UINT32_MAX);
}

static void expect_all(const char *when)
{
	cr_assert_eq(k.lapic_ticks, lapic_due(), "%s, %s: %u LAPIC ticks, %lu came due",
		     way_names[k.way], when, k.lapic_ticks, lapic_due());
	cr_assert_eq(k.pit_ticks, pit_due(), "%s, %s: %u PIT ticks, %lu came due", way_names[k.way],
		     when, k.pit_ticks, pit_due());
	cr_assert_eq(k.others, 0);
}

/* Time with interrupts off; the clock's thread may be kept from running all the while. */
static void interrupts_off(uint64_t ns)
{
	if (rnd(2))
		fake_clock_stall(&k.time, ns);
	else
		fake_clock_advance(&k.time, ns);
}

Test(ticks, none_is_lost_or_made_while_interrupts_are_off)
{
	for (enum way way = 0; way < NWAYS; way++) {
		start(way);
		for (unsigned round = 0; round < 400; round++) {
			k.handler_ns = rnd(2) ? 0 : rnd(600000);
			interrupts_off(rnd(4)  ? rnd(5 * MS) :
				       rnd(20) ? rnd(300 * MS) :
						 rnd(3000 * MS));
			take_all();
			if (rnd(2))
				fake_clock_advance(&k.time, rnd(3 * MS));
			take_all();
			k.handler_ns = 0;
			take_all();
			expect_all("interrupts on again");
		}
	}
}

/*
 * A handler that takes longer than a period keeps the CPU busy; what it could not serve is there
 * when it gets faster.
 */
Test(ticks, a_slow_handler_loses_none)
{
	for (enum way way = 0; way < NWAYS; way++) {
		start(way);
		for (unsigned round = 0; round < 50; round++) {
			interrupts_off(MS);
			k.handler_ns = 3700000;
			take(5);
			k.handler_ns = 0;
			take_all();
			expect_all("after slow handlers");
		}
	}
}

/*
 * What is owed has an end, for each timer: guests that have their interrupts off for good need not
 * be told so afterwards.
 */
Test(ticks, more_than_the_most_are_lost)
{
	start(PIC);
	fake_clock_advance(&k.time, OWED_MOST / 2 * MS);
	fake_clock_stall(&k.time, OWED_MOST * MS);
	take_all();
	cr_expect_eq(k.lapic_ticks, OWED_MOST + 1, "%u: those owed, and the one that waited",
		     k.lapic_ticks);
	cr_expect_eq(k.pit_ticks, OWED_MOST + 1, "%u", k.pit_ticks);
	fake_clock_advance(&k.time, 10 * MS);
	take_all();
	cr_expect(k.lapic_ticks > OWED_MOST + 5 && k.lapic_ticks <= OWED_MOST + 11, "%u",
		  k.lapic_ticks);
	cr_expect(k.pit_ticks > OWED_MOST + 5 && k.pit_ticks <= OWED_MOST + 11, "%u", k.pit_ticks);
}

/*
 * An input of the 8259s that is masked has latched one edge when it is unmasked, as the chip has.
 */
Test(ticks, a_masked_timer_is_quiet)
{
	start(PIC);
	out(0x21, 0xff);
	for (unsigned n = 0; n < 5000; n++) {
		fake_clock_advance(&k.time, MS);
		take_all();
	}
	cr_expect_eq(k.pit_ticks, 0);
	cr_expect_eq(k.lapic_ticks, 5000);
	out(0x21, 0xfe);
	take_all();
	cr_expect_eq(k.pit_ticks, 1);
	fake_clock_advance(&k.time, 10 * MS);
	take_all();
	cr_expect_eq(k.pit_ticks, 11, "%u", k.pit_ticks);
}

/*
 * The 8259s have latched an edge that nobody will take: LINT0 is masked, and IRQ 0 comes through
 * the I/O APIC.
 */
Test(ticks, an_8259_nobody_listens_to_holds_nothing_up)
{
	start(IO_APIC_ABOVE);
	out(0x21, 0xfe);
	for (unsigned n = 0; n < 100; n++) {
		fake_clock_advance(&k.time, MS);
		take_all();
		expect_all("with the 8259 unmasked");
	}
}
