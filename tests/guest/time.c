/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: that a processor which watches a clock with interrupts off gets one tick of many (which
 * timer by which clock is the devices' tests' business; here it is that the engine tells of the
 * look), and the HPET.
 *
 * The host may stop the guest meanwhile. Ticks that come due then are owed to it, and so are those
 * that come where it looks too seldom: how long that was is what the clock itself shows.
 */
#include "apic.h"
#include "groups.h"
#include "guest.h"

enum { PIC1 = 0x20, PIC2 = 0xa0, PIT = 0x40, IRQ0_VECTOR = 0x20 };
enum { PIT_HZ = 1193182, HPET_PER_100_COUNTS = 8381 };
enum { PERIOD = 2000, PERIODS = 20 }; /* in counts of the 8254 */

USER static volatile uint32_t ticks = 1;
extern char tick_counter[];

__asm__(".text\n"
	"tick_counter: pushl %eax; incl ticks; movb $0x20, %al; outb %al, $0x20\n"
	"popl %eax; iretl\n");

static void pic_start(void)
{
	static const struct { uint8_t port, value; } steps[] = {
		{ PIC1, 0x11 }, { PIC2, 0x11 }, { PIC1 + 1, IRQ0_VECTOR },
		{ PIC2 + 1, IRQ0_VECTOR + 8 }, { PIC1 + 1, 4 }, { PIC2 + 1, 2 }, { PIC1 + 1, 1 },
		{ PIC2 + 1, 1 }, { PIC1 + 1, 0xfe }, { PIC2 + 1, 0xff },
	};

	for (unsigned i = 0; i < COUNT(steps); i++)
		outb(steps[i].port, steps[i].value);
	idt[IRQ0_VECTOR] = gate(KCODE, ADDR(tick_counter), GATE_INT32, 0);
}

static void all_stop(void)
{
	outb(PIC1 + 1, 0xff);
	outb(PIT + 3, 0x30);
	idt[IRQ0_VECTOR] = gate(KCODE, STUB(IRQ0_VECTOR), GATE_INT32, 0);
}

static void pit_program(unsigned channel, uint8_t mode, uint16_t count)
{
	outb(PIT + 3, channel << 6 | 0x30 | mode << 1);
	outb(PIT + channel, count & 0xff);
	outb(PIT + channel, count >> 8);
}

static void interrupts(bool on)
{
	if (on)
		__asm__ volatile("sti");
	else
		__asm__ volatile("cli");
}

static uint64_t rdtsc(void)
{
	uint64_t tsc;

	__asm__ volatile("rdtsc" : "=A"(tsc));
	return tsc;
}

/* ---- the HPET's registers ---- */

#define HPET 0xfed00000u
enum { H_ID = 0, H_PERIOD = 4, H_CONFIG = 0x10, H_STATUS = 0x20, H_COUNTER = 0xf0,
       H_TIMER0 = 0x100, H_COMPARATOR0 = 0x108 };
enum { T_LEVEL = 2, T_INTERRUPTS = 4, T_PERIODIC = 8, T_SET_VALUE = 0x40, T_32 = 0x100 };

static volatile uint32_t *hpet(unsigned offset)
{
	return (uint32_t *)(HPET + offset);
}

/* 10 ns each. */
static uint32_t hpet_now(void)
{
	return *hpet(H_COUNTER);
}

/* ---- clocks to watch, as counts of the 8254; each is read often ---- */

static uint32_t tsc_per_count;
static uint64_t tsc_base;

static uint32_t by_pit(void)
{
	static uint16_t last;
	static uint32_t sum;
	uint16_t now;

	outb(PIT + 3, 0x80); /* channel 2 counts down from 65536 */
	now = inb(PIT + 2);
	now |= (uint16_t)(inb(PIT + 2) << 8);
	sum += (uint16_t)(last - now);
	last = now;
	return sum;
}

static uint32_t by_tsc(void)
{
	return (uint32_t)((rdtsc() - tsc_base) >> 4) / (tsc_per_count >> 4);
}

/* Both at one time, or nearly. */
static void sample(uint32_t *at, uint64_t *tsc)
{
	uint32_t before;

	do {
		before = hpet_now();
		*tsc = rdtsc();
		*at = hpet_now();
	} while (*at - before > 10000);
}

static void measure_tsc(void)
{
	uint32_t from, to;
	uint64_t begin, end;

	sample(&from, &begin);
	do
		sample(&to, &end);
	while (to - from < 2000000);
	tsc_per_count = (uint32_t)(end - begin) / ((to - from) / HPET_PER_100_COUNTS * 100);
	tsc_base = end;
}

/* Interrupts off for PERIODS by the clock. */
struct watched {
	uint32_t counts; /* while it was looked at, again and again */
	uint32_t gaps;   /* times when it was not */
};

static struct watched watch(uint32_t (*clock)(void))
{
	const uint32_t begin = clock();
	struct watched watched = { 0, 1 };
	uint32_t last = begin, now;

	while ((now = clock()) - begin < PERIODS * PERIOD) {
		if (now - last > PIT_HZ / 4000)
			watched.gaps++;
		else
			watched.counts += now - last;
		last = now;
	}
	return watched;
}

/* Ticks that were owed come at once. */
static void take_ticks(void)
{
	interrupts(true);
	for (volatile unsigned n = 0; n < 100; n++)
		;
	interrupts(false);
}

/*
 * Of all ticks that come due those are lost that do while the clock is watched, less one for each
 * time that this begins anew. Returns how many more came; 0: no more than that.
 */
static uint32_t too_many(struct watched lost, uint32_t hpet_ticks)
{
	uint32_t not_watched = hpet_ticks - lost.counts / 100 * HPET_PER_100_COUNTS;
	uint32_t most = not_watched / (PERIOD / 100 * HPET_PER_100_COUNTS) + lost.gaps + 3;

	return ticks <= most ? 0 : ticks - most;
}

/* A busy host leaves little that is watched; a few more tries may find it less busy. */
static void watched(const char *name, uint32_t (*clock)(void))
{
	struct watched lost = { 0, 0 };
	uint32_t excess = 0, begin;

	for (unsigned n = 0; n < 20 && lost.counts < PERIODS * PERIOD * 3 / 4; n++) {
		begin = hpet_now();
		pic_start();
		ticks = 0;
		pit_program(0, 2, PERIOD);
		interrupts(true);
		while (ticks < 3)
			;
		interrupts(false);
		lost = watch(clock);
		take_ticks();
		excess += too_many(lost, hpet_now() - begin);
		all_stop();
	}
	check(excess, 0, "watched.%s", name);
}

/* ---- the HPET's timers ---- */

/* Waits for ticks up to that many; how many came by then. */
static uint32_t await(uint32_t most)
{
	const uint32_t begin = *hpet(H_COUNTER);

	interrupts(true);
	while (ticks < most && *hpet(H_COUNTER) - begin < 400000000)
		;
	interrupts(false);
	return ticks;
}

static void hpet_counts(void)
{
	uint32_t first = *hpet(H_COUNTER), begin, from;

	check(*hpet(H_COUNTER), first, "hpet.stopped");
	*hpet(H_CONFIG) = 1;
	begin = *hpet(H_COUNTER);
	from = by_pit();
	while (by_pit() - from < 12000) /* 10 ms */
		;
	check(*hpet(H_COUNTER) - begin >= 1000000, 1, "hpet.counts");
	*hpet(H_CONFIG) = 0;
}

/* A match to come, in 1 ms; again if the host let it pass before it was set. */
static void hpet_arm(void)
{
	uint32_t match;

	do {
		match = hpet_now() + 100000;
		*hpet(H_COMPARATOR0) = match;
	} while ((int32_t)(match - hpet_now()) < 0);
}

static void hpet_interrupts(void)
{
	pic_start();
	*hpet(H_TIMER0) = T_INTERRUPTS | T_PERIODIC | T_SET_VALUE | T_32;
	*hpet(H_COMPARATOR0) = *hpet(H_COUNTER) + 100000; /* 1 ms */
	*hpet(H_COMPARATOR0) = 100000;
	ticks = 0;
	*hpet(H_CONFIG) = 3;
	check(await(20) >= 20, 1, "hpet.periodic");
	*hpet(H_TIMER0) = T_INTERRUPTS | T_32;
	await(0); /* what was owed */
	ticks = 0;
	hpet_arm();
	check(await(1) >= 1, 1, "hpet.once");
	*hpet(H_TIMER0) = T_INTERRUPTS | T_32 | T_LEVEL;
	hpet_arm();
	while (!(*hpet(H_STATUS) & 1))
		;
	ticks = 0;
	check(await(1) >= 1, 1, "hpet.level");
	*hpet(H_STATUS) = 1;
	check(*hpet(H_STATUS) & 1, 0, "hpet.level.cleared");
	*hpet(H_TIMER0) = 0;
	*hpet(H_CONFIG) = 0;
	all_stop();
}

void group_time(void)
{
	const uint8_t gate2 = inb(0x61);

	outb(0x61, (gate2 & 0x0c) | 1);
	pit_program(2, 0, 0);
	if (paging != PAGING_OFF)
		map(HPET, HPET | PTE_ALL);
	check(*hpet(H_ID), 0x8086a201, "hpet.id");
	check(*hpet(H_PERIOD), 10000000, "hpet.period");
	hpet_counts();
	hpet_interrupts();
	*hpet(H_CONFIG) = 1;
	measure_tsc();
	watched("pit", by_pit);
	if (!sparing_kvm) /* which reads it without anyone's notice */
		watched("tsc", by_tsc);
	*hpet(H_CONFIG) = 0;
	if (paging != PAGING_OFF)
		map(HPET, 0);
	outb(0x61, gate2 & 0x0c);
}
