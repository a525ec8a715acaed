/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer (SDM vol. 3, 10.5.4): one-shot and periodic.
 *
 * State is the time at which the count reaches zero. The host timer is armed only while the LVT
 * entry is unmasked; what expired while it was masked is lost, as on the chip.
 * A period that ends while the interrupt of the one before is still requested is owed
 * (owed_ticks.h).
 */
#include "local_apic.h"

/* Nanoseconds of a count. The divide configuration has bits 0, 1 and 3. */
static uint64_t count_ns(const struct lapic *apic)
{
	uint32_t d = apic->s.divide;

	return (uint64_t)LAPIC_TICK_NS << ((((d & 3) | (d >> 1 & 4)) + 1) & 7);
}

static bool is_periodic(const struct lapic *apic)
{
	return apic->s.lvt[LVT_TIMER] & LVT_PERIODIC;
}

static uint64_t period_ns(const struct lapic *apic)
{
	return apic->s.initial_count * count_ns(apic);
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

static void set_timer(struct lapic *apic, uint64_t wake_ns)
{
	apic->s.wake_ns = wake_ns;
	if (wake_ns)
		clock_timer_arm(&apic->config.clock, apic->timer, wake_ns);
	else
		clock_timer_cancel(&apic->config.clock, apic->timer);
}

static void timer_arm(struct lapic *apic, uint64_t now)
{
	uint64_t deadline = apic->s.deadline_ns;

	if (!deadline || (apic->s.lvt[LVT_TIMER] & LVT_MASKED)) {
		set_timer(apic, 0);
		return;
	}
	if (is_periodic(apic))
		deadline = owed_ticks_wake(&apic->s.owed, deadline, period_ns(apic), now);
	set_timer(apic, deadline);
}

static enum tick_interrupt last_interrupt(const struct lapic *apic)
{
	return lapic_is_requested(apic, (uint8_t)apic->s.lvt[LVT_TIMER]) ? TICK_REQUESTED :
									   TICK_TAKEN;
}

/* What came due meets the LVT entry as it is: to be called before that changes, too. */
static void timer_expire(struct lapic *apic, uint64_t now)
{
	uint64_t passed = timer_sync(apic, now);

	if (apic->s.lvt[LVT_TIMER] & LVT_MASKED)
		owed_ticks_forgive(&apic->s.owed);
	else if (is_periodic(apic) ? owed_ticks_due(&apic->s.owed, passed, period_ns(apic),
						    last_interrupt(apic), now) :
				     passed)
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
	if (!apic->s.deadline_ns || !is_periodic(apic) || (apic->s.lvt[LVT_TIMER] & LVT_MASKED))
		return;
	if (owed_ticks_follow(&apic->s.owed, apic->s.deadline_ns, period_ns(apic),
			      clock_now(&apic->config.clock)))
		lapic_timer_fired(apic);
}

bool lapic_timer_watched(struct lapic *apic, uint64_t since_ns)
{
	if (!apic->s.wake_ns || !is_periodic(apic))
		return false;
	if (clock_now(&apic->config.clock) >= apic->s.deadline_ns)
		lapic_timer_fired(apic);
	owed_ticks_watched(&apic->s.owed, since_ns, period_ns(apic));
	return last_interrupt(apic) != TICK_TAKEN;
}

void lapic_timer_set_initial(struct lapic *apic, uint32_t count)
{
	uint64_t now = clock_now(&apic->config.clock);

	timer_expire(apic, now);
	apic->s.initial_count = count;
	apic->s.deadline_ns = count ? now + period_ns(apic) : 0;
	owed_ticks_forgive(&apic->s.owed);
	timer_arm(apic, now);
}

uint32_t lapic_timer_current(struct lapic *apic)
{
	uint64_t now = clock_now(&apic->config.clock);
	uint64_t d = count_ns(apic);

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
		apic->s.deadline_ns = now + left * count_ns(apic);
	timer_arm(apic, now);
}

void lapic_timer_set_lvt(struct lapic *apic, uint32_t value)
{
	uint64_t now = clock_now(&apic->config.clock);

	timer_expire(apic, now);
	apic->s.lvt[LVT_TIMER] = value;
	if (!is_periodic(apic))
		owed_ticks_forgive(&apic->s.owed);
	timer_arm(apic, now);
}

void lapic_timer_loaded(struct lapic *apic)
{
	set_timer(apic, apic->s.wake_ns);
}
