/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local APIC with the I/O APIC and the 8259s behind LINT0. */
#include <assert.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "devices/chips/i8259.h"
#include "devices/chips/io_apic.h"
#include "devices/chips/local_apic.h"
#include "fake_clock.h"

struct wires {
	struct bus *bus;
	struct fake_clock time;
	struct i8259 pic;
	struct lapic lapic;
	struct io_apic ioapic;
	bool intr;
	unsigned changes, nmis, eois;
	uint8_t last_eoi;
};

static struct wires w;

static void pin_set(void *opaque, unsigned n, bool level)
{
	w.intr = level;
	w.changes++;
}

static void out(uint16_t port, uint8_t value) { bus_pio_write(w.bus, port, value, 1); }

static void program(uint16_t base, uint8_t vector, uint8_t icw3, uint8_t icw4)
{
	out(base, 0x11);
	out(base + 1, vector);
	out(base + 1, icw3);
	out(base + 1, icw4);
	out(base + 1, 0x00);
}

static void irq(unsigned n, bool level) { i8259_set_irq(&w.pic, n, level); }
static void pulse(unsigned n) { irq(n, false); irq(n, true); }

#define APIC 0xfee00000u

static void apic_write(unsigned reg, uint32_t value)
{
	bus_mmio_write(w.bus, GPA(APIC + reg), value, 4);
}

static uint32_t apic_read(unsigned reg)
{
	return (uint32_t)bus_mmio_read(w.bus, GPA(APIC + reg), 4);
}

static void cpu_nmi(void *opaque, unsigned n, uint32_t value) { w.nmis++; }

static void eoi(void *opaque, unsigned n, uint32_t vector)
{
	w.eois++;
	w.last_eoi = (uint8_t)vector;
	io_apic_eoi(&w.ioapic, 0, vector);
}

#define COUNT(ns) ((ns) / LAPIC_TICK_NS)

/* Divided by 1. */
static void start_timer(uint32_t lvt, uint32_t ns)
{
	apic_write(0x3e0, 0xb);
	apic_write(0x320, lvt);
	apic_write(0x380, COUNT(ns));
}

static void apic_setup(void)
{
	struct lapic_config config = {
		.intr = { .set = pin_set }, .nmi = { .raise = cpu_nmi }, .eoi = { .raise = eoi },
		.pic = { i8259_acknowledge, &w.pic },
		.address_mask = 0xfffffffff,
	};

	memset(&w, 0, sizeof(w));
	cr_assert_eq(bus_create(&w.bus), 0);
	config.clock = fake_clock_interface(&w.time);
	config.bus = w.bus;
	cr_assert_eq(lapic_init(&w.lapic, &config), 0);
	cr_assert_eq(bus_attach(w.bus, &lapic_desc, &w.lapic, 0, NULL), 0);
	io_apic_init(&w.ioapic, &w.lapic);
	cr_assert_eq(bus_attach(w.bus, &io_apic_desc, &w.ioapic, 0, NULL), 0);
	i8259_init(&w.pic, (struct irq_line){ lapic_set_lint, &w.lapic, 0 });
	cr_assert_eq(bus_attach(w.bus, &i8259_desc, &w.pic, 0, NULL), 0);
	program(0x20, 0x30, 0x04, 0x01);
	program(0xa0, 0x38, 0x02, 0x01);
	apic_write(0xf0, 0x1ff);
	w.changes = 0;
}

static void apic_teardown(void)
{
	lapic_destroy(&w.lapic);
	bus_destroy(w.bus);
	assert(!w.time.timers); /* Criterion counts no expectation here */
}

TestSuite(lapic, .init = apic_setup, .fini = apic_teardown);
TestSuite(ioapic, .init = apic_setup, .fini = apic_teardown);

static void self_ipi(uint8_t vector) { apic_write(0x300, 0x40000 | vector); }

Test(lapic, identity_and_reset_values)
{
	lapic_reset(&w.lapic);
	cr_expect_eq(apic_read(0x30) & 0xff, 0x14);
	cr_expect_eq(apic_read(0x30) >> 16, 5);
	cr_expect_eq(apic_read(0xf0), 0xff);
	cr_expect_eq(apic_read(0xe0), 0xffffffff);
	cr_expect_eq(apic_read(0x320), 0x10000);
	cr_expect_eq(apic_read(0x350), 0x700, "virtual wire");
	cr_expect_eq(lapic_base_get(&w.lapic), 0xfee00900);
}

Test(lapic, priority_classes)
{
	self_ipi(0x51);
	self_ipi(0x61);
	self_ipi(0x52);
	cr_expect_eq(w.changes, 1);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x61);
	cr_expect_not(w.intr, "0x5x waits behind 0x6x");
	cr_expect_eq(apic_read(0xa0), 0x60);
	apic_write(0xb0, 0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x52);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1, "same class does not nest");
	self_ipi(0x71);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x71);
	apic_write(0xb0, 0);
	cr_expect_not(w.intr);
	apic_write(0xb0, 0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x51);
}

Test(lapic, task_priority)
{
	apic_write(0x80, 0x50);
	self_ipi(0x5f);
	cr_expect_not(w.intr);
	self_ipi(0x60);
	cr_expect(w.intr);
	apic_write(0x80, 0xf0);
	cr_expect_not(w.intr, "raising the TPR takes the request back");
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
	lapic_tpr_set(&w.lapic, 0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x60);
	cr_expect_eq(apic_read(0xa0), 0x60);
	apic_write(0x80, 0x73);
	cr_expect_eq(apic_read(0xa0), 0x73);
}

/* --- the TPR without the lock --- */

Test(lapic, task_priority_without_the_lock)
{
	cr_expect(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), 0xabcdef53));
	cr_expect_eq(apic_read(0x80), 0x53);
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x84), 0x20),
		      "no register is there");
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(APIC + 0xb0), 0), "EOI");
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x1080), 0x20));
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(0x80), 0x20));
	cr_expect_eq(apic_read(0x80), 0x53);
	self_ipi(0x5f);
	cr_expect_not(w.intr);
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), 0),
		      "it lets the request through");
	apic_write(0x80, 0);
	cr_expect(w.intr);
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), 0xf0),
		      "it takes the request back");
	apic_write(0x80, 0xf0);
	cr_expect_not(w.intr);
	apic_write(0x80, 0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x5f);
	cr_expect(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), 0x60),
		  "nothing is requested any more");
	cr_expect_eq(apic_read(0xa0), 0x60);
}

Test(lapic, task_priority_without_the_lock_follows_the_page)
{
	const uint64_t elsewhere = 0xfed01000;

	cr_assert(lapic_base_set(&w.lapic, elsewhere | LAPIC_BASE_ENABLE));
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), 0x20));
	cr_expect(lapic_store_unlocked(&w.lapic, GPA(elsewhere + 0x80), 0x30));
	cr_expect_eq(lapic_tpr_get(&w.lapic), 0x30);
	cr_assert(lapic_base_set(&w.lapic, elsewhere));
	cr_expect_not(lapic_store_unlocked(&w.lapic, GPA(elsewhere + 0x80), 0x40), "disabled");
	cr_expect_eq(lapic_tpr_get(&w.lapic), 0, "reset by that");
	lapic_reset(&w.lapic);
	cr_expect(lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), 0x50));
}

/*
 * The CPU lowers or raises the TPR just when another thread requests an interrupt: in the end the
 * pin has to be as if one had come after the other.
 */
#define RACES 30000

static struct {
	pthread_mutex_t lock;
	_Atomic unsigned round, done; /* rounds begun and done with by the device's thread */
} race = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *request_interrupts(void *opaque)
{
	for (unsigned round = 1; round <= RACES; round++) {
		while (atomic_load(&race.round) < round)
			sched_yield();
		for (volatile unsigned i = 0; i < round % 64; i++)
			;
		pthread_mutex_lock(&race.lock);
		lapic_message(&w.lapic, 0xff, false, APIC_FIXED, 0x61, false);
		pthread_mutex_unlock(&race.lock);
		atomic_store(&race.done, round);
	}
	return NULL;
}

static void store_tpr(uint8_t value)
{
	if (lapic_store_unlocked(&w.lapic, GPA(APIC + 0x80), value))
		return;
	pthread_mutex_lock(&race.lock);
	apic_write(0x80, value);
	pthread_mutex_unlock(&race.lock);
}

Test(lapic, task_priority_while_another_thread_requests, .timeout = 120)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, request_interrupts, NULL), 0);
	for (unsigned round = 1; round <= RACES; round++) {
		const bool lowers = round & 1;

		store_tpr(lowers ? 0xf0 : 0);
		atomic_store(&race.round, round);
		for (volatile unsigned i = 0; i < round * 7 % 64; i++)
			;
		store_tpr(lowers ? 0 : 0xf0);
		while (atomic_load(&race.done) < round)
			sched_yield();
		cr_assert_eq(w.intr, lowers, "round %u", round);
		store_tpr(0);
		cr_assert_eq(lapic_acknowledge(&w.lapic), 0x61);
		apic_write(0xb0, 0);
	}
	pthread_join(thread, NULL);
}

Test(lapic, irr_isr_registers)
{
	self_ipi(0x83);
	cr_expect_eq(apic_read(0x240), 1u << 3);
	lapic_acknowledge(&w.lapic);
	cr_expect_eq(apic_read(0x240), 0);
	cr_expect_eq(apic_read(0x140), 1u << 3);
	cr_expect_eq(apic_read(0x1c0), 0);
	apic_write(0xb0, 0);
	cr_expect_eq(apic_read(0x140), 0);
	cr_expect_eq(w.eois, 0, "an edge vector's EOI is not broadcast");
}

Test(lapic, icr_destinations)
{
	apic_write(0x20, 3u << 24);
	apic_write(0x310, 3u << 24);
	apic_write(0x300, 0x41);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
	apic_write(0x310, 2u << 24);
	apic_write(0x300, 0x42);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
	apic_write(0xd0, 4u << 24);
	apic_write(0x310, 6u << 24);
	apic_write(0x300, 0x843 | 0x10);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x53, "flat logical");
	apic_write(0xe0, 0x0fffffff);
	apic_write(0xd0, 0x12u << 24);
	apic_write(0x310, 0x13u << 24);
	apic_write(0x300, 0x863);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x63, "cluster");
	apic_write(0x300, 0xc0000 | 0x71);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1, "all but self is nobody");
	apic_write(0x300, 0x80000 | 0x81);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x81);
	apic_write(0x300, 0x40000 | 0x400);
	cr_expect_eq(w.nmis, 1);
}

Test(lapic, errors)
{
	self_ipi(5);
	cr_expect_eq(apic_read(0x280), 0, "shown only after a write");
	apic_write(0x280, 0);
	cr_expect_eq(apic_read(0x280), 0x20);
	apic_write(0x280, 0);
	cr_expect_eq(apic_read(0x280), 0);
	apic_write(0x370, 0xfe);
	apic_read(0x3f0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0xfe);
	apic_write(0xb0, 0);
	/* An error vector that is itself illegal must not recurse. */
	apic_write(0x280, 0);
	apic_write(0x370, 0x03);
	self_ipi(5);
	apic_write(0x280, 0);
	cr_expect_eq(apic_read(0x280), 0x60);
}

Test(lapic, extint_through_lint0)
{
	pulse(1);
	cr_expect(w.intr);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x31);
	cr_expect_not(w.intr);
	out(0x20, 0x20);
	apic_write(0x350, 0x10700);
	pulse(1);
	cr_expect_not(w.intr, "masked");
	apic_write(0x350, 0x00700);
	cr_expect(w.intr);
	self_ipi(0x91);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x91, "its own come first");
	cr_expect(w.intr, "ExtINT is not subject to priority");
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x31);
}

Test(lapic, lint0_as_fixed_vector)
{
	apic_write(0x350, 0x41);
	pulse(1);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
	apic_write(0xb0, 0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
}

/* SDM vol. 3, 10.8.4: the trigger mode register says how each vector came. */
Test(lapic, lint0_by_edge_or_level_in_the_trigger_mode_register)
{
	static const uint32_t lvt[] = { 0x41, 0x8041, 0x41 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(lvt); i++) {
		lapic_set_lint(&w.lapic, 0, false);
		apic_write(0x350, lvt[i]);
		lapic_set_lint(&w.lapic, 0, true);
		cr_expect_eq(apic_read(0x220), 2, "%u", i);
		cr_expect_eq(apic_read(0x1a0), lvt[i] & 0x8000 ? 2 : 0, "%u", i);
		lapic_set_lint(&w.lapic, 0, false);
		cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
		apic_write(0xb0, 0);
	}
}

Test(lapic, level_of_lint0_outlasts_the_end_of_interrupt)
{
	apic_write(0x350, 0x8041);
	lapic_set_lint(&w.lapic, 0, true);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41, "the line is still high");
		cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
		if (i == 2)
			lapic_set_lint(&w.lapic, 0, false);
		apic_write(0xb0, 0);
	}
	cr_expect_not(w.intr);
}

Test(lapic, lint1_nmi)
{
	lapic_set_lint(&w.lapic, 1, true);
	cr_expect_eq(w.nmis, 0, "masked");
	lapic_set_lint(&w.lapic, 1, false);
	apic_write(0x360, 0x400);
	lapic_set_lint(&w.lapic, 1, true);
	lapic_set_lint(&w.lapic, 1, true);
	cr_expect_eq(w.nmis, 1);
}

Test(lapic, software_disable)
{
	static const unsigned lvt[] = { 0x320, 0x330, 0x340, 0x350, 0x360, 0x370 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(lvt); i++)
		apic_write(lvt[i], 0x00041 + i);
	self_ipi(0x42);
	apic_write(0xf0, 0x0ff);
	cr_expect_not(w.intr);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(lvt); i++) {
		cr_expect_eq(apic_read(lvt[i]), 0x10041 + i, "%x is masked", lvt[i]);
		apic_write(lvt[i], 0x00051 + i);
		cr_expect_eq(apic_read(lvt[i]), 0x10051 + i, "%x stays so", lvt[i]);
	}
	self_ipi(0x50);
	apic_write(0xf0, 0x1ff);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x42, "what was pending is kept");
	apic_write(0xb0, 0);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1, "what came meanwhile is not");
}

Test(lapic, software_disable_lets_the_clock_sleep)
{
	start_timer(0x20041, 50000);
	cr_expect_neq(fake_clock_next(&w.time), UINT64_MAX);
	apic_write(0xf0, 0x0ff);
	cr_expect_eq(fake_clock_next(&w.time), UINT64_MAX);
}

Test(lapic, base_msr)
{
	cr_expect_not(lapic_base_set(&w.lapic, 0xfee00d00), "x2APIC is not offered");
	cr_expect_not(lapic_base_set(&w.lapic, 0x1000fee00900ull));
	cr_expect(lapic_base_set(&w.lapic, 0xfd000900));
	cr_expect_eq(bus_mmio_read(w.bus, GPA(0xfd000030), 4) & 0xff, 0x14);
	cr_expect_eq(apic_read(0x30), 0xffffffff);
	cr_expect(lapic_base_set(&w.lapic, 0xfee00800));
	cr_expect_eq(lapic_base_get(&w.lapic), 0xfee00900, "BSP is read-only");
	self_ipi(0x42);
	cr_expect(lapic_base_set(&w.lapic, 0xfee00100));
	cr_expect_not(w.intr);
	pulse(1);
	cr_expect(w.intr, "disabled: the 8259s reach the CPU directly");
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x31);
	cr_expect(lapic_base_set(&w.lapic, 0xfee00900));
	cr_expect_eq(apic_read(0xf0), 0xff, "as after reset");
	/* On top of the I/O APIC: refused quietly, nothing breaks. */
	cr_expect(lapic_base_set(&w.lapic, 0xfec00900));
	cr_expect_eq(bus_mmio_read(w.bus, GPA(0xfec00000), 4), 0);
}

Test(lapic, one_shot_timer)
{
	start_timer(0x41, 50000);
	fake_clock_advance(&w.time, 20000);
	cr_expect_eq(apic_read(0x390), COUNT(30000));
	cr_expect_not(w.intr);
	fake_clock_advance(&w.time, 30000);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
	apic_write(0xb0, 0);
	cr_expect_eq(apic_read(0x390), 0);
	fake_clock_advance(&w.time, 1000000);
	cr_expect_not(w.intr, "once");
}

Test(lapic, periodic_timer_and_divider)
{
	apic_write(0x3e0, 0x3); /* by 16 */
	apic_write(0x320, 0x20041);
	apic_write(0x380, COUNT(10000));
	for (unsigned i = 0; i < 3; i++) {
		fake_clock_advance(&w.time, 160000 - 1);
		cr_expect_not(w.intr);
		cr_expect_eq(apic_read(0x390), 1);
		fake_clock_advance(&w.time, 1);
		cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
		apic_write(0xb0, 0);
	}
	/* Ticks a late host has missed come at double rate, and the phase stays. */
	fake_clock_stall(&w.time, 160000 * 3 + 40000);
	unsigned ticks = 0;
	for (unsigned i = 0; i < 1000; i++) {
		fake_clock_advance(&w.time, 1000);
		if (lapic_acknowledge(&w.lapic) == 0x41)
			ticks++;
		apic_write(0xb0, 0);
	}
	cr_expect_eq(ticks, (160000 * 3 + 40000 + 1000000) / 160000);
	cr_expect_eq(apic_read(0x390), COUNT((160000 - (40000 + 1000000) % 160000) / 16));
	apic_write(0x380, 0);
	fake_clock_advance(&w.time, 1000000);
	cr_expect_not(w.intr, "an initial count of zero stops it");
	static const struct { uint32_t config; unsigned divide; } dividers[] = {
		{ 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 },
		{ 11, 1 },
	};
	for (unsigned i = 0; i < RF_ARRAY_SIZE(dividers); i++) {
		apic_write(0x3e0, dividers[i].config);
		apic_write(0x380, 1000000);
		fake_clock_advance(&w.time, 1280 * LAPIC_TICK_NS);
		cr_expect_eq(apic_read(0x390), 1000000 - 1280 / dividers[i].divide);
	}
}

Test(lapic, ticks_a_slow_guest_misses_are_owed)
{
	start_timer(0x20041, 1000000);
	fake_clock_advance(&w.time, 10000000); /* ten ticks with interrupts off */
	unsigned ticks = 0;
	for (unsigned i = 0; i < 100; i++) {
		if (lapic_acknowledge(&w.lapic) == 0x41)
			ticks++;
		apic_write(0xb0, 0);
		fake_clock_advance(&w.time, 100000);
	}
	cr_expect_geq(ticks, 17);
	for (unsigned i = 0; i < 100; i++) {
		if (lapic_acknowledge(&w.lapic) == 0x41)
			ticks++;
		apic_write(0xb0, 0);
		fake_clock_advance(&w.time, 100000);
	}
	cr_expect(ticks == 29 || ticks == 30, "%u", ticks);
	/* A new count forgives all debts but the one that is requested already. */
	fake_clock_advance(&w.time, 5000000);
	lapic_acknowledge(&w.lapic);
	apic_write(0xb0, 0);
	apic_write(0x380, COUNT(1000000));
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
	apic_write(0xb0, 0);
	fake_clock_advance(&w.time, 999999);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
}

Test(lapic, ticks_due_come_as_they_are_taken)
{
	start_timer(0x20041, 1000000);
	fake_clock_advance(&w.time, 1000000);
	fake_clock_stall(&w.time, 4000000); /* the clock's thread does not run */
	for (unsigned i = 0; i < 5; i++) {
		cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
		apic_write(0xb0, 0);
	}
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1, "no more than are due");
	fake_clock_advance(&w.time, 1000000);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
}

/*
 * What came due before a register was written, though the clock's thread was late, meets the timer
 * as it was then.
 */
Test(lapic, ticks_due_survive_a_new_lvt_entry)
{
	start_timer(0x20041, 1000000);
	fake_clock_stall(&w.time, 3000000);
	apic_write(0x320, 0x20042);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(lapic_acknowledge(&w.lapic), i ? 0x42 : 0x41, "%u", i);
		apic_write(0xb0, 0);
	}
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
}

Test(lapic, a_single_tick_due_survives_what_is_written)
{
	static const struct { uint32_t offset, value; } writes[] = {
		{ 0x320, 0x10041 }, /* masked */
		{ 0x320, 0x00042 }, /* another vector */
		{ 0x320, 0x20041 }, /* periodic from now on: stopped nevertheless */
		{ 0x380, 0 },       /* stopped */
		{ 0x380, COUNT(1000000) }, /* begun again */
		{ 0x3e0, 0x3 },     /* another divider */
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++) {
		start_timer(0x41, 1000);
		fake_clock_stall(&w.time, 3000);
		apic_write(writes[i].offset, writes[i].value);
		cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41, "write %u", i);
		apic_write(0xb0, 0);
		fake_clock_advance(&w.time, 10000);
		cr_expect_eq(lapic_acknowledge(&w.lapic), -1, "write %u", i);
	}
}

Test(lapic, a_tick_due_while_masked_is_lost)
{
	start_timer(0x10041, 1000);
	fake_clock_stall(&w.time, 3000);
	apic_write(0x320, 0x00041);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
}

/* Interrupts of the 8259s are a sign of life as well. */
Test(lapic, a_tick_that_is_due_comes_when_the_8259s_interrupt_is_taken)
{
	start_timer(0x20041, 1000000);
	fake_clock_stall(&w.time, 1000000);
	cr_expect_eq(lapic_acknowledge(&w.lapic), -1);
	pulse(1);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x31);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x41);
}

Test(lapic, masked_timer_counts_but_is_quiet)
{
	start_timer(0x10041, 50000);
	cr_expect_eq(fake_clock_next(&w.time), UINT64_MAX, "no host timer while masked");
	fake_clock_advance(&w.time, 10000);
	cr_expect_eq(apic_read(0x390), COUNT(40000));
	apic_write(0x320, 0x00041);
	fake_clock_advance(&w.time, 40000);
	cr_expect(w.intr);
}

Test(lapic, absurdly_fast_timer_does_not_flood)
{
	start_timer(0x20041, LAPIC_TICK_NS);
	fake_clock_advance(&w.time, 1000000);
	cr_expect_leq(w.time.fired, 60);
	cr_expect_geq(w.time.fired, 10);
}

/* I/O APIC. */

#define IOAPIC 0xfec00000u

static void ioapic_write(unsigned index, uint32_t value)
{
	bus_mmio_write(w.bus, GPA(IOAPIC), index, 4);
	bus_mmio_write(w.bus, GPA(IOAPIC + 0x10), value, 4);
}

static uint32_t ioapic_read(unsigned index)
{
	bus_mmio_write(w.bus, GPA(IOAPIC), index, 4);
	return (uint32_t)bus_mmio_read(w.bus, GPA(IOAPIC + 0x10), 4);
}

Test(ioapic, registers)
{
	cr_expect_eq(ioapic_read(1), 0x00170011);
	ioapic_write(0, 0x0f000000);
	cr_expect_eq(ioapic_read(0), 0x0f000000);
	cr_expect_eq(ioapic_read(0x10), 0x10000);
	ioapic_write(0x11, 0x05000000);
	cr_expect_eq(ioapic_read(0x11), 0x05000000);
	ioapic_write(0x10, 0xffffffff);
	cr_expect_eq(ioapic_read(0x10), 0x1afff, "status and remote IRR are read-only");
	cr_expect_eq(ioapic_read(0x40), 0);
}

Test(ioapic, edge)
{
	ioapic_write(0x10 + 2 * 4, 0x44);
	io_apic_set_pin(&w.ioapic, 4, true);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x44);
	apic_write(0xb0, 0);
	cr_expect_eq(w.eois, 0);
	io_apic_set_pin(&w.ioapic, 4, true);
	cr_expect_not(w.intr);
	io_apic_set_pin(&w.ioapic, 4, false);
	io_apic_set_pin(&w.ioapic, 4, true);
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x44);
}

Test(ioapic, masked_edge_is_lost_masked_level_is_not)
{
	ioapic_write(0x10 + 2 * 4, 0x10044);
	io_apic_set_pin(&w.ioapic, 4, true);
	ioapic_write(0x10 + 2 * 4, 0x00044);
	cr_expect_not(w.intr);
	ioapic_write(0x10 + 2 * 10, 0x18055);
	io_apic_set_pin(&w.ioapic, 10, true);
	cr_expect_not(w.intr);
	ioapic_write(0x10 + 2 * 10, 0x08055);
	cr_expect(w.intr);
}

Test(ioapic, level_with_remote_irr_and_eoi)
{
	ioapic_write(0x10 + 2 * 10, 0x8055);
	io_apic_set_pin(&w.ioapic, 10, true);
	cr_expect_eq(ioapic_read(0x10 + 2 * 10), 0xc055, "remote IRR");
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x55);
	cr_expect_eq(apic_read(0x1a0), 1u << 0x15, "TMR");
	apic_write(0xb0, 0);
	cr_expect_eq(w.last_eoi, 0x55);
	cr_expect(w.intr, "still high: again");
	cr_expect_eq(lapic_acknowledge(&w.lapic), 0x55);
	io_apic_set_pin(&w.ioapic, 10, false);
	apic_write(0xb0, 0);
	cr_expect_not(w.intr);
	cr_expect_eq(ioapic_read(0x10 + 2 * 10), 0x8055);
}

Test(ioapic, turning_to_edge_clears_a_stuck_remote_irr)
{
	ioapic_write(0x10 + 2 * 10, 0x8055);
	io_apic_set_pin(&w.ioapic, 10, true);
	ioapic_write(0x10 + 2 * 10, 0x10055);
	cr_expect_eq(ioapic_read(0x10 + 2 * 10), 0x10055);
	ioapic_write(0x10 + 2 * 10, 0x8055);
	cr_expect_eq(ioapic_read(0x10 + 2 * 10), 0xc055, "sent anew");
}

Test(ioapic, message_nobody_takes_does_not_stick)
{
	ioapic_write(0x11 + 2 * 10, 0x07000000);
	ioapic_write(0x10 + 2 * 10, 0x8055);
	io_apic_set_pin(&w.ioapic, 10, true);
	cr_expect_not(w.intr);
	cr_expect_eq(ioapic_read(0x10 + 2 * 10), 0x8055);
	ioapic_write(0x11 + 2 * 10, 0);
	cr_expect(w.intr);
}

Test(ioapic, nmi_delivery)
{
	ioapic_write(0x10 + 2 * 2, 0x400);
	io_apic_set_pin(&w.ioapic, 2, true);
	cr_expect_eq(w.nmis, 1);
}
