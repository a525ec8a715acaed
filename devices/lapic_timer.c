/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer (SDM vol. 3, 10.5.4): one-shot and periodic.
 *
 * State is the time at which the count reaches zero. The host timer is armed only while the LVT
 * entry is unmasked; what expired while it was masked is lost, as on the chip.
 *
 * A period that ends while the interrupt of the one before is still requested would be lost on the
 * chip too, but there it takes a guest that is broken; here a slow engine or a busy host suffices,
 * and clocks that count ticks would lose time. Such ticks are owed, and each is requested when the
 * CPU takes the one before, or at double rate. So those taken, owed and requested are all that came
 * due, as long as no more than MAX_OWED are owed: then the rest is lost.
 */
#include "local_apic.h"

/* No guest may keep the monitor busy with a period of a few nanoseconds. */
#define MIN_PERIOD_NS 20000u
#define MAX_OWED 10000u /* see i8254.c */

/* Divide configuration: bits 0, 1 and 3; one tick before the divider is a nanosecond. */
static uint64_t divisor(const struct lapic *apic)
{
	uint32_t d = apic->s.divide;

	return 1ull << ((((d & 3) | (d >> 1 & 4)) + 1) & 7);
}

static bool is_periodic(const struct lapic *apic)
{
	return apic->s.lvt[LVT_TIMER] & LVT_PERIODIC;
}

static uint64_t period_ns(const struct lapic *apic)
{
	return apic->s.initial_count * divisor(apic);
}

/* Brings the deadline up to date: stopped, or the first one after now. Returns how many passed. */
static uint64_t timer_sync(struct lapic *apic, uint64_t now)
{
	uint64_t period = period_ns(apic), passed = 1;

	if (!apic->s.deadline_ns || now < apic->s.deadline_ns)
		return 0;
	if (is_periodic(apic) && period) {
		passed = (now - apic->s.deadline_ns) / period + 1;
		apic->s.deadline_ns += passed * period;
	} else {
		apic->s.deadline_ns = 0;
	}
	return passed;
}

static void timer_arm(struct lapic *apic, uint64_t now)
{
	uint64_t deadline = apic->s.deadline_ns;

	if (!deadline || (apic->s.lvt[LVT_TIMER] & LVT_MASKED)) {
		clock_timer_cancel(&apic->config.clock, apic->timer);
		return;
	}
	if (apic->s.owed_ticks && deadline > now + period_ns(apic) / 2)
		deadline = now + period_ns(apic) / 2;
	if (is_periodic(apic) && deadline < now + MIN_PERIOD_NS &&
	    (apic->s.owed_ticks || period_ns(apic) < MIN_PERIOD_NS))
		deadline = now + MIN_PERIOD_NS;
	clock_timer_arm(&apic->config.clock, apic->timer, deadline);
}

/* Requests one owed tick if the last one has been taken. */
static void deliver_tick(struct lapic *apic, uint64_t passed)
{
	uint64_t owed = apic->s.owed_ticks + passed;
	/* No guest that asks for more than the host timer gives is owed anything. */
	uint64_t most = period_ns(apic) < MIN_PERIOD_NS ? 1 : MAX_OWED;

	apic->s.owed_ticks = (uint32_t)(owed < most ? owed : most);
	if (!apic->s.owed_ticks || lapic_is_requested(apic, (uint8_t)apic->s.lvt[LVT_TIMER]))
		return;
	apic->s.owed_ticks--;
	lapic_local_event(apic, LVT_TIMER);
}

/* What came due meets the LVT entry as it is: to be called before that changes, too. */
static void timer_expire(struct lapic *apic, uint64_t now)
{
	uint64_t passed = timer_sync(apic, now);

	if (apic->s.lvt[LVT_TIMER] & LVT_MASKED)
		apic->s.owed_ticks = 0;
	else if (is_periodic(apic))
		deliver_tick(apic, passed);
	else if (passed)
		lapic_local_event(apic, LVT_TIMER);
}

void lapic_timer_fired(void *opaque)
{
	struct lapic *apic = opaque;
	uint64_t now = clock_now(&apic->config.clock);

	timer_expire(apic, now);
	timer_arm(apic, now);
}

void lapic_timer_interrupt_taken(struct lapic *apic)
{
	if (!apic->s.deadline_ns || !is_periodic(apic) || (apic->s.lvt[LVT_TIMER] & LVT_MASKED) ||
	    period_ns(apic) < MIN_PERIOD_NS)
		return;
	if (apic->s.owed_ticks || clock_now(&apic->config.clock) >= apic->s.deadline_ns)
		lapic_timer_fired(apic);
}

void lapic_timer_set_initial(struct lapic *apic, uint32_t count)
{
	uint64_t now = clock_now(&apic->config.clock);

	timer_expire(apic, now);
	apic->s.initial_count = count;
	apic->s.deadline_ns = count ? now + period_ns(apic) : 0;
	apic->s.owed_ticks = 0;
	timer_arm(apic, now);
}

uint32_t lapic_timer_current(struct lapic *apic)
{
	uint64_t now = clock_now(&apic->config.clock);
	uint64_t d = divisor(apic);

	/* Not synchronized if an interrupt is due: the callback must still find it expired. */
	if (apic->s.deadline_ns && now >= apic->s.deadline_ns) {
		uint64_t period = period_ns(apic);

		if (!is_periodic(apic) || !period)
			return 0;
		return (uint32_t)((period - (now - apic->s.deadline_ns) % period + d - 1) / d);
	}
	return apic->s.deadline_ns ? (uint32_t)((apic->s.deadline_ns - now + d - 1) / d) : 0;
}

void lapic_timer_set_divide(struct lapic *apic, uint32_t value)
{
	uint64_t now = clock_now(&apic->config.clock);
	uint32_t left;

	timer_expire(apic, now);
	left = lapic_timer_current(apic);
	apic->s.divide = value & 0xb;
	if (apic->s.deadline_ns && left)
		apic->s.deadline_ns = now + left * divisor(apic);
	timer_arm(apic, now);
}

void lapic_timer_set_lvt(struct lapic *apic, uint32_t value)
{
	uint64_t now = clock_now(&apic->config.clock);

	timer_expire(apic, now);
	apic->s.lvt[LVT_TIMER] = value;
	if (!is_periodic(apic))
		apic->s.owed_ticks = 0;
	timer_arm(apic, now);
}

void lapic_timer_restored(struct lapic *apic)
{
	uint64_t now = clock_now(&apic->config.clock);

	timer_sync(apic, now);
	apic->s.owed_ticks = 0;
	timer_arm(apic, now);
}
