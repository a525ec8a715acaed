/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HPET. The counter is a start time and a count; a timer is the time of its next match, found anew
 * when something changes that it depends on. A host timer runs only for a timer that may interrupt.
 *
 * A periodic timer's matches that come while the last interrupt still waits to be taken are owed
 * (owed_ticks.h). An edge is a pulse, so that timers can share a wire; a level is the status bit.
 *
 * Invariants: deadline_ns is 0 while the counter stands; comparator and period have no more bits
 * than the timer compares.
 */
#include "hpet.h"

#include <assert.h>
#include <string.h>

/* Registers (specification, table 2); a timer has three, 20h bytes apart. */
#define REG_CAPABILITIES 0x000
#define REG_CONFIG       0x010
#define REG_STATUS       0x020
#define REG_COUNTER      0x0f0
#define REG_TIMERS       0x100
#define TIMER_CONFIG     0x00
#define TIMER_COMPARATOR 0x08

#define FEMTOSECONDS_PER_TICK (HPET_TICK_NS * 1000000ull)

#define CONFIG_ENABLE 0x01u
#define CONFIG_LEGACY 0x02u

#define T_LEVEL        0x0002u
#define T_INTERRUPTS   0x0004u
#define T_PERIODIC     0x0008u
#define T_CAN_PERIODIC 0x0010u
#define T_CAN_64_BITS  0x0020u
#define T_SET_VALUE    0x0040u
#define T_32_BITS      0x0100u
#define T_ROUTE        0x3e00u
#define T_ROUTE_SHIFT  9
#define T_WRITABLE (T_LEVEL | T_INTERRUPTS | T_PERIODIC | T_SET_VALUE | T_32_BITS | T_ROUTE)
#define ROUTES         0x00000004u /* pins of the I/O APIC that there are: 2 alone */

/* A match farther away than the clock counts never comes. */
#define MOST_TICKS (STATE_CLOCK_MOST / HPET_TICK_NS)

static unsigned number_of(const struct hpet_timer *t)
{
	return (unsigned)(t - t->hpet->timer);
}

static uint8_t status_bit(const struct hpet_timer *t)
{
	return (uint8_t)(1u << number_of(t));
}

static bool is_periodic(const struct hpet_timer *t)
{
	return t->s.config & T_PERIODIC;
}

static bool counts(const struct hpet *hpet)
{
	return hpet->s.config & CONFIG_ENABLE;
}

static uint64_t counter(const struct hpet *hpet, uint64_t now)
{
	if (!counts(hpet))
		return hpet->s.counter;
	assert(now >= hpet->s.start_ns);
	return hpet->s.counter + (now - hpet->s.start_ns) / HPET_TICK_NS;
}

/* The bits that a timer compares. */
static uint64_t mask(const struct hpet_timer *t)
{
	return t->s.config & T_32_BITS ? UINT32_MAX : UINT64_MAX;
}

/* Wires. */

/* HPET_WIRES: the timer has none. */
static enum hpet_wire wire_of(const struct hpet_timer *t)
{
	if ((t->hpet->s.config & CONFIG_LEGACY) && number_of(t) < 2)
		return (enum hpet_wire)number_of(t);
	return (t->s.config & T_ROUTE) >> T_ROUTE_SHIFT == 2 ? HPET_PIN2 : HPET_WIRES;
}

static bool wire_level(const struct hpet *hpet, enum hpet_wire wire)
{
	if (wire != HPET_PIN2 && !(hpet->s.config & CONFIG_LEGACY))
		return hpet->s.inputs >> wire & 1;
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		const struct hpet_timer *t = &hpet->timer[n];

		if ((hpet->s.status & status_bit(t)) && (t->s.config & T_INTERRUPTS) &&
		    counts(hpet) && wire_of(t) == wire)
			return true;
	}
	return false;
}

static void drive_wires(struct hpet *hpet)
{
	for (enum hpet_wire wire = 0; wire < HPET_WIRES; wire++)
		irq_set(&hpet->wire[wire], wire_level(hpet, wire));
}

void hpet_set_input(void *opaque, unsigned n, bool level)
{
	struct hpet *hpet = opaque;
	uint8_t bit = (uint8_t)(1u << n);

	assert(n < 2);
	hpet->s.inputs = level ? hpet->s.inputs | bit : hpet->s.inputs & ~bit;
	irq_set(&hpet->wire[n], wire_level(hpet, (enum hpet_wire)n));
}

static void interrupt(struct hpet_timer *t)
{
	struct hpet *hpet = t->hpet;
	enum hpet_wire wire = wire_of(t);

	if (t->s.config & T_LEVEL) {
		hpet->s.status |= status_bit(t);
		drive_wires(hpet);
	} else if (wire < HPET_WIRES) {
		irq_set(&hpet->wire[wire], true);
		irq_set(&hpet->wire[wire], wire_level(hpet, wire));
	}
}

static enum tick_interrupt last_interrupt(const struct hpet_timer *t)
{
	const struct hpet *hpet = t->hpet;
	enum hpet_wire wire = wire_of(t);

	if (t->s.config & T_LEVEL)
		return hpet->s.status & status_bit(t) ? TICK_REQUESTED : TICK_TAKEN;
	return wire < HPET_WIRES && hpet->irq_state ?
		       hpet->irq_state(hpet->irq_state_opaque, wire) :
		       TICK_TAKEN;
}

/* Matches. */

/* Ticks from one match to the next; 0: there is no other. */
static uint64_t step(const struct hpet_timer *t)
{
	if (is_periodic(t) && t->s.period)
		return t->s.period;
	return t->s.config & T_32_BITS ? 1ull << 32 : 0;
}

static uint64_t period_ns(const struct hpet_timer *t)
{
	return (step(t) > MOST_TICKS ? MOST_TICKS : step(t)) * HPET_TICK_NS;
}

/* Brings the deadline up to date: none, or the first one after now. Returns how many passed. */
static uint64_t timer_sync(struct hpet_timer *t, uint64_t now)
{
	uint64_t passed = 1;

	if (!t->s.deadline_ns || now < t->s.deadline_ns)
		return 0;
	if (step(t) && step(t) <= MOST_TICKS) {
		passed = (now - t->s.deadline_ns) / period_ns(t) + 1;
		t->s.deadline_ns += passed * period_ns(t);
	} else {
		t->s.deadline_ns = 0;
	}
	if (is_periodic(t))
		t->s.comparator = (t->s.comparator + passed * t->s.period) & mask(t);
	return passed;
}

/* What came due meets the timer as it is: to be called before that changes. */
static void timer_expire(struct hpet_timer *t, uint64_t now)
{
	uint64_t passed = timer_sync(t, now);

	if (!(t->s.config & T_INTERRUPTS)) {
		owed_ticks_forgive(&t->s.owed);
		if (passed && (t->s.config & T_LEVEL))
			t->hpet->s.status |= status_bit(t);
	} else if (is_periodic(t) ? owed_ticks_due(&t->s.owed, passed, period_ns(t),
						   last_interrupt(t), now) :
				    passed) {
		interrupt(t);
	}
}

static void set_timer(struct hpet_timer *t, uint64_t wake_ns)
{
	t->s.wake_ns = wake_ns;
	if (wake_ns)
		clock_timer_arm(&t->hpet->clock, t->clock_timer, wake_ns);
	else
		clock_timer_cancel(&t->hpet->clock, t->clock_timer);
}

static void timer_arm(struct hpet_timer *t, uint64_t now)
{
	uint64_t wake = t->s.deadline_ns;

	if (!(t->s.config & T_INTERRUPTS))
		wake = 0;
	else if (wake && is_periodic(t))
		wake = owed_ticks_wake(&t->s.owed, wake, period_ns(t), now);
	if (wake || t->s.wake_ns)
		set_timer(t, wake);
}

/* The counter, or what it is compared with, has changed. */
static void timer_find_match(struct hpet_timer *t, uint64_t now)
{
	const struct hpet *hpet = t->hpet;
	uint64_t current = counter(hpet, now);
	uint64_t ticks = (t->s.comparator - current) & mask(t);

	t->s.deadline_ns = 0;
	if (counts(hpet) && ticks <= MOST_TICKS)
		t->s.deadline_ns = hpet->s.start_ns +
				   (current - hpet->s.counter + ticks) * HPET_TICK_NS;
	owed_ticks_forgive(&t->s.owed);
	timer_arm(t, now);
}

static void timer_runs(struct hpet_timer *t, uint64_t now)
{
	timer_expire(t, now);
	timer_arm(t, now);
}

static void timer_fired(void *opaque)
{
	struct hpet_timer *t = opaque;

	timer_runs(t, clock_now(&t->hpet->clock));
}

static void expire_all(struct hpet *hpet, uint64_t now)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (hpet->timer[n].s.deadline_ns && now >= hpet->timer[n].s.deadline_ns)
			timer_runs(&hpet->timer[n], now);
}

static void follow(struct hpet_timer *t, uint64_t now)
{
	if (!t->s.deadline_ns || !is_periodic(t) || !(t->s.config & T_INTERRUPTS))
		return;
	owed_ticks_seen(&t->s.owed, last_interrupt(t));
	if (owed_ticks_follow(&t->s.owed, t->s.deadline_ns, period_ns(t), now))
		timer_runs(t, now);
}

void hpet_interrupt_taken(struct hpet *hpet)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (hpet->timer[n].s.wake_ns)
			follow(&hpet->timer[n], clock_now(&hpet->clock));
}

bool hpet_watched(struct hpet *hpet, uint64_t since_ns)
{
	bool waits = false;

	if (!hpet->clock.ops) /* the board has none */
		return false;
	expire_all(hpet, clock_now(&hpet->clock));
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &hpet->timer[n];

		if (!t->s.wake_ns || !is_periodic(t))
			continue;
		owed_ticks_watched(&t->s.owed, since_ns, period_ns(t));
		waits |= last_interrupt(t) != TICK_TAKEN;
	}
	return waits;
}

/* Programming. Timers have met what came due before any register is written. */

static void write_config(struct hpet *hpet, uint8_t value, uint64_t now)
{
	uint8_t changed = (value ^ hpet->s.config) & (CONFIG_ENABLE | CONFIG_LEGACY);

	if (changed & CONFIG_ENABLE) {
		hpet->s.counter = counter(hpet, now);
		hpet->s.start_ns = now;
	}
	hpet->s.config ^= changed;
	if (changed & CONFIG_LEGACY)
		irq_set(&hpet->pit_counts, !(hpet->s.config & CONFIG_LEGACY));
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (changed & CONFIG_ENABLE)
			timer_find_match(&hpet->timer[n], now);
	drive_wires(hpet);
}

static void write_status(struct hpet *hpet, uint64_t value, uint64_t now)
{
	hpet->s.status &= ~value;
	drive_wires(hpet);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		if (value >> n & 1)
			follow(&hpet->timer[n], now);
}

/* A route that is not there is not taken: software sees that by reading it (2.3.8). */
static uint32_t config_written(const struct hpet_timer *t, uint32_t value)
{
	if (!(ROUTES >> ((value & T_ROUTE) >> T_ROUTE_SHIFT) & 1))
		value = (value & ~T_ROUTE) | (t->s.config & T_ROUTE);
	return value & T_WRITABLE;
}

static void write_timer_config(struct hpet_timer *t, uint32_t value, uint64_t now)
{
	uint32_t config = config_written(t, value), changed = config ^ t->s.config;

	t->s.config = config;
	t->s.comparator &= mask(t);
	t->s.period &= mask(t);
	if (!(config & T_LEVEL))
		t->hpet->s.status &= ~status_bit(t);
	if (changed & (T_PERIODIC | T_32_BITS))
		timer_find_match(t, now);
	else
		timer_runs(t, now);
	drive_wires(t->hpet);
}

/* size bytes of old, from byte at on, become value. */
static uint64_t deposit(uint64_t old, unsigned at, unsigned size, uint64_t value)
{
	uint64_t bits = size == 8 ? UINT64_MAX : 0xffffffffull << at * 8;

	return (old & ~bits) | (value << at * 8 & bits);
}

/* A periodic timer takes a new period, and its next match only if so told (2.3.9.2.2). */
static void write_comparator(struct hpet_timer *t, unsigned at, unsigned size, uint64_t value,
			     uint64_t now)
{
	bool set = !is_periodic(t) || (t->s.config & T_SET_VALUE);

	t->s.period = deposit(t->s.period, at, size, value) & mask(t);
	if (set)
		t->s.comparator = deposit(t->s.comparator, at, size, value) & mask(t);
	t->s.config &= ~T_SET_VALUE;
	if (set)
		timer_find_match(t, now);
	else
		timer_arm(t, now);
}

static uint64_t read_timer(const struct hpet_timer *t, uint64_t offset)
{
	switch (offset) {
	case TIMER_CONFIG:
		return (uint64_t)ROUTES << 32 | T_CAN_PERIODIC | T_CAN_64_BITS | t->s.config;
	case TIMER_COMPARATOR:
		return t->s.comparator;
	default:
		return 0;
	}
}

static void write_timer(struct hpet_timer *t, uint64_t offset, unsigned at, unsigned size,
			uint64_t value, uint64_t now)
{
	if (offset == TIMER_CONFIG)
		write_timer_config(t, (uint32_t)deposit(t->s.config, at, size, value), now);
	else if (offset == TIMER_COMPARATOR)
		write_comparator(t, at, size, value, now);
}

/* NULL: there is none with registers there. */
static struct hpet_timer *timer_at(struct hpet *hpet, uint64_t offset)
{
	uint64_t n = offset / 0x20 - REG_TIMERS / 0x20;

	return offset >= REG_TIMERS && n < HPET_TIMERS ? &hpet->timer[n] : NULL;
}

static uint64_t read_register(struct hpet *hpet, uint64_t offset, uint64_t now)
{
	struct hpet_timer *t = timer_at(hpet, offset);

	if (t)
		return read_timer(t, offset % 0x20);
	switch (offset) {
	case REG_CAPABILITIES:
		return FEMTOSECONDS_PER_TICK << 32 | HPET_ID;
	case REG_CONFIG:
		return hpet->s.config;
	case REG_STATUS:
		return hpet->s.status;
	case REG_COUNTER:
		return counter(hpet, now);
	default:
		return 0;
	}
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned size)
{
	struct hpet *hpet = opaque;
	uint64_t now, value;

	clock_tell(&hpet->clock);
	now = clock_now(&hpet->clock);
	if ((offset & ~7ull) != REG_COUNTER)
		expire_all(hpet, now);
	value = read_register(hpet, offset & ~7ull, now);
	return size == 8 ? value : (uint32_t)(value >> (offset & 4) * 8);
}

static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct hpet *hpet = opaque;
	uint64_t now = clock_now(&hpet->clock), reg = offset & ~7ull;
	struct hpet_timer *t = timer_at(hpet, reg);
	unsigned at = offset & 4;

	expire_all(hpet, now);
	if (t)
		write_timer(t, reg % 0x20, at, size, value, now);
	else if (reg == REG_CONFIG && !at)
		write_config(hpet, (uint8_t)value, now);
	else if (reg == REG_STATUS && !at)
		write_status(hpet, value, now);
	else if (reg == REG_COUNTER && !counts(hpet)) /* it is not set while it counts (2.3.7) */
		hpet->s.counter = deposit(hpet->s.counter, at, size, value);
}

/* The lines through it are their owners' to lower. */
static void hpet_reset(void *opaque)
{
	struct hpet *hpet = opaque;

	hpet->s = (struct hpet_state){ .inputs = hpet->s.inputs };
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		hpet->timer[n].s = (struct hpet_timer_state){ .comparator = UINT64_MAX };
		set_timer(&hpet->timer[n], 0);
	}
	irq_set(&hpet->pit_counts, true);
	drive_wires(hpet);
}

int hpet_init(struct hpet *hpet, const struct clock *clock)
{
	int err = 0;

	memset(hpet, 0, sizeof(*hpet));
	hpet->clock = *clock;
	for (unsigned n = 0; !err && n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &hpet->timer[n];

		t->hpet = hpet;
		err = clock_timer_create(clock, timer_fired, t, &t->clock_timer);
	}
	if (!err)
		hpet_reset(hpet);
	return err;
}

void hpet_destroy(struct hpet *hpet)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		clock_timer_destroy(&hpet->clock, hpet->timer[n].clock_timer);
		hpet->timer[n].clock_timer = NULL;
	}
}

static const char *timer_check(const struct hpet *hpet, const struct hpet_timer *t)
{
	uint32_t route = (t->s.config & T_ROUTE) >> T_ROUTE_SHIFT;

	if (route && !(ROUTES >> route & 1))
		return "config";
	if (t->s.comparator & ~mask(t))
		return "comparator";
	if (t->s.period & ~mask(t))
		return "period";
	return t->s.deadline_ns && !counts(hpet) ? "deadline_ns" : NULL;
}

static const char *state_check(const void *opaque)
{
	const struct hpet *hpet = opaque;
	const char *wrong = NULL;

	for (unsigned n = 0; !wrong && n < HPET_TIMERS; n++)
		wrong = timer_check(hpet, &hpet->timer[n]);
	return wrong;
}

static void loaded(void *opaque)
{
	struct hpet *hpet = opaque;

	for (unsigned n = 0; n < HPET_TIMERS; n++)
		set_timer(&hpet->timer[n], hpet->timer[n].s.wake_ns);
	drive_wires(hpet);
}

static const struct state_field timer_state[] = {
	STATE_ANY(struct hpet_timer, s.comparator),
	STATE_ANY(struct hpet_timer, s.period),
	STATE_TIME(struct hpet_timer, s.deadline_ns),
	STATE_TIME(struct hpet_timer, s.wake_ns),
	STATE_STRUCT(struct hpet_timer, s.owed, owed_ticks_state),
	STATE_BITS(struct hpet_timer, s.config, T_WRITABLE),
	STATE_END,
};

static const struct state_field state[] = {
	STATE_STRUCT_ARRAY(struct hpet, timer, timer_state),
	STATE_ANY(struct hpet, s.counter),
	STATE_PAST(struct hpet, s.start_ns),
	STATE_BITS(struct hpet, s.config, CONFIG_ENABLE | CONFIG_LEGACY),
	STATE_BITS(struct hpet, s.status, (1u << HPET_TIMERS) - 1),
	STATE_BITS(struct hpet, s.inputs, 3),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_MMIO, HPET_BASE, HPET_SIZE, { hpet_read, hpet_write, 4, 8 } },
};

const struct device_desc hpet_desc = {
	.name = "hpet",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = hpet_reset,
	.state = state,
	.state_version = 2,
	.size = sizeof(struct hpet),
	.state_check = state_check,
	.loaded = loaded,
};
