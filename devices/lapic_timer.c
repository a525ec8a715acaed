/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer (SDM vol. 3, 10.5.4): one-shot and periodic.
 *
 * State is the time at which the count reaches zero. The host timer is armed only while the LVT entry is unmasked; what
 * expired while it was masked is lost, as on the chip.
 */
#include "local_apic.h"

/* No guest may keep the monitor busy with a period of a few nanoseconds. */
#define MIN_PERIOD_NS 20000u

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

/* Brings the deadline up to date: stopped, or the first one after now. True if one passed. */
static bool timer_sync(struct lapic *apic, uint64_t now)
{
	uint64_t period = period_ns(apic);

	if (!apic->s.deadline_ns || now < apic->s.deadline_ns)
		return false;
	if (is_periodic(apic) && period)
		apic->s.deadline_ns += ((now - apic->s.deadline_ns) / period + 1) * period;
	else
		apic->s.deadline_ns = 0;
	return true;
}

static void timer_arm(struct lapic *apic, uint64_t now)
{
	uint64_t deadline = apic->s.deadline_ns;

	if (!deadline || (apic->s.lvt[LVT_TIMER] & LVT_MASKED)) {
		clock_timer_cancel(&apic->config.clock, apic->timer);
		return;
	}
	if (is_periodic(apic) && deadline < now + MIN_PERIOD_NS && period_ns(apic) < MIN_PERIOD_NS)
		deadline = now + MIN_PERIOD_NS;
	clock_timer_arm(&apic->config.clock, apic->timer, deadline);
}

void lapic_timer_fired(void *opaque)
{
	struct lapic *apic = opaque;
	uint64_t now = clock_now(&apic->config.clock);
	bool expired = timer_sync(apic, now);

	timer_arm(apic, now);
	if (expired)
		lapic_local_event(apic, LVT_TIMER);
}

void lapic_timer_set_initial(struct lapic *apic, uint32_t count)
{
	uint64_t now = clock_now(&apic->config.clock);

	apic->s.initial_count = count;
	apic->s.deadline_ns = count ? now + period_ns(apic) : 0;
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
	uint32_t left = lapic_timer_current(apic);

	apic->s.divide = value & 0xb;
	if (apic->s.deadline_ns && left)
		apic->s.deadline_ns = now + left * divisor(apic);
	timer_arm(apic, now);
}

void lapic_timer_lvt_changed(struct lapic *apic, bool was_masked)
{
	uint64_t now = clock_now(&apic->config.clock);
	bool expired = timer_sync(apic, now);

	timer_arm(apic, now);
	if (expired && !was_masked) /* due before the change; only the callback was late */
		lapic_local_event(apic, LVT_TIMER);
}
