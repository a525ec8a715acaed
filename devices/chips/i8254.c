/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 8254. A channel is a start time and a count; everything else follows from the ticks elapsed. One
 * tick of latency after writing a count, which the chip has, is not modelled.
 *
 * Channel 0's interrupt is an event per rising edge of OUT: the line is pulsed low and high at the
 * end of each period (modes 2, 3) or raised at the terminal count (mode 0, 4). Periodic edges that
 * come while the last interrupt still waits to be taken, or all at once because the host was late,
 * are owed (owed_ticks.h). While the line is disconnected edges are nobody's and no timer runs.
 */
#include "i8254.h"

#include <assert.h>
#include <string.h>

static uint64_t ticks_to_ns(uint64_t ticks)
{
	return muldiv64_up(ticks, NS_PER_SECOND, I8254_HZ);
}

static bool is_periodic(const struct i8254_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static bool is_triggered_mode(const struct i8254_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

/* A low gate stops modes 0, 2, 3 and 4; in 1 and 5 only its rising edge matters. */
static bool is_counting(const struct i8254_channel *c)
{
	return c->running && (c->gate || is_triggered_mode(c));
}

static uint64_t elapsed_ticks(const struct i8254_channel *c, uint64_t now)
{
	if (!is_counting(c))
		return c->held_ticks;
	assert(now >= c->start_ns);
	return muldiv64(now - c->start_ns, I8254_HZ, NS_PER_SECOND);
}

/* A new count of mode 2 or 3 takes over when the period it was written in is over. */
static void channel_sync(struct i8254_channel *c, uint64_t now)
{
	if (c->next_count && is_periodic(c) && is_counting(c) &&
	    elapsed_ticks(c, now) >= c->count) {
		c->start_ns += ticks_to_ns(c->count);
		c->count = c->next_count;
		c->next_count = 0;
	}
}

static bool channel_out(const struct i8254_channel *c, uint64_t now)
{
	uint64_t ticks = elapsed_ticks(c, now);

	if (!c->running)
		return c->mode != 0;
	assert(c->count && c->mode <= 5);
	switch (c->mode) {
	case 0:
	case 1:
		return ticks >= c->count;
	case 2:
		return !c->gate || ticks % c->count != c->count - 1;
	case 3:
		return !c->gate || ticks % c->count < (c->count + 1) / 2;
	default:
		return ticks != c->count;
	}
}

static uint16_t to_bcd(uint32_t n)
{
	n %= 10000;
	return (uint16_t)(n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

static uint32_t from_bcd(uint16_t v)
{
	return (v >> 12 & 15) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
}

/* What the counting element holds. */
static uint16_t channel_count(const struct i8254_channel *c, uint64_t now)
{
	uint64_t ticks = elapsed_ticks(c, now);
	uint32_t modulus = c->bcd ? 10000 : 0x10000;
	uint32_t n = c->count ? c->count : modulus;
	uint32_t position, value;

	switch (c->mode) {
	case 2:
		value = n - (uint32_t)(ticks % n);
		break;
	case 3: /* counts by two, twice a period; an odd count starts one lower */
		position = (uint32_t)(ticks % n);
		if (position >= (n + 1) / 2)
			position -= (n + 1) / 2;
		value = (n & ~1u) - 2 * position;
		break;
	default:
		value = (n + modulus - (uint32_t)(ticks % modulus)) % modulus;
		break;
	}
	return c->bcd ? to_bcd(value) : (uint16_t)value;
}

/* Channel 0's interrupt. */

/* Ticks after start at which OUT next rises, counted from ticks; 0: never. */
static uint64_t next_rise(const struct i8254_channel *c, uint64_t ticks)
{
	if (!is_counting(c))
		return 0;
	assert(c->count);
	switch (c->mode) {
	case 0:
		return ticks < c->count ? c->count : 0;
	case 2:
	case 3:
		return (ticks / c->count + 1) * c->count;
	case 4:
		return ticks <= c->count ? c->count + 1 : 0;
	default:
		return 0; /* modes 1 and 5 need a trigger, and channel 0's gate is tied high */
	}
}

static void set_irq(struct i8254 *pit, bool level)
{
	pit->s.irq_level = level;
	irq_set(&pit->irq, level);
}

static void set_timer(struct i8254 *pit, uint64_t wake_ns)
{
	pit->s.wake_ns = wake_ns;
	if (wake_ns)
		clock_timer_arm(&pit->clock, pit->timer, wake_ns);
	else
		clock_timer_cancel(&pit->clock, pit->timer);
}

/* Finds the next edge and arms the timer for it, or for an owed one. */
static void schedule(struct i8254 *pit, uint64_t now)
{
	struct i8254_channel *c = &pit->s.channel[0];
	uint64_t rise, wake;

	channel_sync(c, now);
	rise = pit->s.disconnected ? 0 : next_rise(c, elapsed_ticks(c, now));
	if (!rise) {
		pit->s.deadline_ns = 0;
		owed_ticks_forgive(&pit->s.owed);
		set_timer(pit, 0);
		return;
	}
	pit->s.deadline_ns = wake = c->start_ns + ticks_to_ns(rise);
	if (is_periodic(c))
		wake = owed_ticks_wake(&pit->s.owed, wake, ticks_to_ns(c->count), now);
	set_timer(pit, wake);
}

/* Edges of channel 0 due since its deadline. */
static uint64_t edges_due(struct i8254 *pit, uint64_t now)
{
	struct i8254_channel *c = &pit->s.channel[0];

	if (now < pit->s.deadline_ns)
		return 0;
	if (!is_periodic(c))
		return 1;
	channel_sync(c, now); /* the period that ended may have been the last of the old count */
	return 1 + elapsed_ticks(c, now) / c->count -
	       elapsed_ticks(c, pit->s.deadline_ns) / c->count;
}

static enum tick_interrupt last_interrupt(const struct i8254 *pit)
{
	return is_periodic(&pit->s.channel[0]) && pit->irq_state ?
		       pit->irq_state(pit->irq_state_opaque) :
		       TICK_TAKEN;
}

static void timer_fired(void *opaque)
{
	struct i8254 *pit = opaque;
	uint64_t now = clock_now(&pit->clock), due;

	if (!pit->s.deadline_ns)
		return;
	due = edges_due(pit, now);
	if (owed_ticks_due(&pit->s.owed, due, ticks_to_ns(pit->s.channel[0].count),
			   last_interrupt(pit), now)) {
		set_irq(pit, false);
		set_irq(pit, true);
	}
	schedule(pit, now);
}

void i8254_interrupt_taken(struct i8254 *pit)
{
	const struct i8254_channel *c = &pit->s.channel[0];

	if (!pit->s.deadline_ns || !is_periodic(c))
		return;
	owed_ticks_seen(&pit->s.owed, last_interrupt(pit));
	if (owed_ticks_follow(&pit->s.owed, pit->s.deadline_ns, ticks_to_ns(c->count),
			      clock_now(&pit->clock)))
		timer_fired(pit);
}

bool i8254_watched(struct i8254 *pit, uint64_t since_ns)
{
	if (!pit->s.deadline_ns || !is_periodic(&pit->s.channel[0]))
		return false;
	if (clock_now(&pit->clock) >= pit->s.deadline_ns)
		timer_fired(pit);
	owed_ticks_watched(&pit->s.owed, since_ns, ticks_to_ns(pit->s.channel[0].count));
	return last_interrupt(pit) != TICK_TAKEN;
}

/* The mode or count of channel n changed. */
static void channel_changed(struct i8254 *pit, unsigned n, uint64_t now)
{
	if (n)
		return;
	owed_ticks_forgive(&pit->s.owed);
	set_irq(pit, channel_out(&pit->s.channel[0], now));
	schedule(pit, now);
}

void i8254_connect(void *opaque, unsigned n, bool connected)
{
	struct i8254 *pit = opaque;

	if (pit->s.disconnected == !connected)
		return;
	pit->s.disconnected = !connected;
	channel_changed(pit, 0, clock_now(&pit->clock));
}

/* Programming. */

/*
 * The period that a new count waits for the end of is the one under way, however many went before:
 * the channel starts with it.
 */
static void begin_with_this_period(struct i8254 *pit, unsigned n, uint64_t now)
{
	struct i8254_channel *c = &pit->s.channel[n];

	if (!n && pit->s.deadline_ns && now >= pit->s.deadline_ns)
		timer_fired(pit); /* what is due is owed */
	c->start_ns += ticks_to_ns(elapsed_ticks(c, now) / c->count * c->count);
	if (!n)
		schedule(pit, now);
}

static void channel_load(struct i8254 *pit, unsigned n, uint16_t raw)
{
	struct i8254_channel *c = &pit->s.channel[n];
	uint64_t now = clock_now(&pit->clock);
	uint32_t count = c->bcd ? from_bcd(raw) : raw;

	if (!count)
		count = c->bcd ? 10000 : 0x10000;
	channel_sync(c, now);
	c->loaded = true;
	if (is_periodic(c) && c->running) {
		if (is_counting(c))
			begin_with_this_period(pit, n, now);
		c->next_count = count;
		if (is_counting(c))
			return; /* the period under way and its deadline stand */
	}
	if (is_triggered_mode(c)) { /* a new count waits for the next trigger */
		c->next_count = count;
		return;
	}
	c->count = count;
	c->next_count = 0;
	c->start_ns = now;
	c->held_ticks = 0;
	c->running = true;
	channel_changed(pit, n, now);
}

static void channel_write(struct i8254 *pit, unsigned n, uint8_t value)
{
	struct i8254_channel *c = &pit->s.channel[n];

	switch (c->access) {
	case 1:
		channel_load(pit, n, value);
		break;
	case 2:
		channel_load(pit, n, (uint16_t)(value << 8));
		break;
	default:
		if (c->write_msb) {
			c->write_msb = false;
			channel_load(pit, n, (uint16_t)(value << 8 | c->write_low));
			break;
		}
		c->write_low = value;
		c->write_msb = true;
		if (c->mode == 0) { /* the first byte stops the count (data sheet, mode 0) */
			c->running = false;
			channel_changed(pit, n, clock_now(&pit->clock));
		}
		break;
	}
}

static uint8_t channel_read(struct i8254 *pit, unsigned n)
{
	struct i8254_channel *c = &pit->s.channel[n];
	uint16_t value;
	bool msb;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status_latch;
	}
	if (c->latched_bytes) {
		msb = c->access == 2 || (c->access == 3 && c->latched_bytes == 1);
		c->latched_bytes--;
		return (uint8_t)(msb ? c->latch >> 8 : c->latch);
	}
	channel_sync(c, clock_now(&pit->clock));
	value = channel_count(c, clock_now(&pit->clock));
	msb = c->access == 2 || (c->access == 3 && c->read_msb);
	if (c->access == 3)
		c->read_msb = !c->read_msb;
	return (uint8_t)(msb ? value >> 8 : value);
}

static void latch_count(struct i8254_channel *c, uint64_t now)
{
	if (c->latched_bytes)
		return; /* an earlier latch stands until it is read */
	channel_sync(c, now);
	c->latch = channel_count(c, now);
	c->latched_bytes = c->access == 3 ? 2 : 1;
}

static void latch_status(struct i8254_channel *c, uint64_t now)
{
	bool null_count = !c->loaded || (c->next_count && !is_triggered_mode(c));

	if (c->status_latched)
		return;
	channel_sync(c, now);
	c->status_latch = (uint8_t)(channel_out(c, now) << 7 | null_count << 6 | c->access << 4 |
				    (c->mode | c->mode_bit2 << 2) << 1 | c->bcd);
	c->status_latched = true;
}

static void set_mode(struct i8254 *pit, unsigned n, uint8_t control)
{
	struct i8254_channel *c = &pit->s.channel[n];

	c->access = control >> 4 & 3;
	c->mode = control >> 1 & 7;
	c->mode_bit2 = c->mode > 5; /* 6 and 7 are 2 and 3 */
	if (c->mode_bit2)
		c->mode -= 4;
	c->bcd = control & 1;
	c->loaded = c->running = c->write_msb = c->read_msb = false;
	c->next_count = 0;
	c->held_ticks = 0;
	c->latched_bytes = 0;
	c->status_latched = false;
	channel_changed(pit, n, clock_now(&pit->clock));
}

static void control_write(struct i8254 *pit, uint8_t value)
{
	uint64_t now = clock_now(&pit->clock);
	unsigned n = value >> 6;

	/* read-back: bits 5 and 4 low latch count and status, bits 3..1 choose channels */
	if (n == 3) {
		for (n = 0; n < 3; n++) {
			if (!(value & (2u << n)))
				continue;
			if (!(value & 0x20))
				latch_count(&pit->s.channel[n], now);
			if (!(value & 0x10))
				latch_status(&pit->s.channel[n], now);
		}
	} else if (!(value & 0x30)) {
		latch_count(&pit->s.channel[n], now);
	} else {
		set_mode(pit, n, value);
	}
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
	const struct i8254 *pit = opaque;

	clock_tell(&pit->clock);
	return offset == 3 ? 0xff : channel_read(opaque, (unsigned)offset);
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	if (offset == 3)
		control_write(opaque, (uint8_t)value);
	else
		channel_write(opaque, (unsigned)offset, (uint8_t)value);
}

/* Channel 2's gate. */

static void gate_rises(struct i8254_channel *c, uint64_t now)
{
	if (is_triggered_mode(c)) {
		if (c->next_count)
			c->count = c->next_count;
		c->next_count = 0;
		if (!c->loaded)
			return;
		c->start_ns = now;
		c->running = true;
	} else if (is_periodic(c)) { /* starts a new period */
		if (c->next_count)
			c->count = c->next_count;
		c->next_count = 0;
		c->start_ns = now;
	} else { /* goes on where it stopped */
		c->start_ns = now - ticks_to_ns(c->held_ticks);
	}
	c->held_ticks = 0;
}

void i8254_set_gate2(struct i8254 *pit, bool level)
{
	struct i8254_channel *c = &pit->s.channel[2];
	uint64_t now = clock_now(&pit->clock);

	if (level == c->gate)
		return;
	channel_sync(c, now);
	if (!level) {
		if (!is_triggered_mode(c))
			c->held_ticks = elapsed_ticks(c, now);
		c->gate = false;
		return;
	}
	gate_rises(c, now);
	c->gate = true;
}

bool i8254_out2(struct i8254 *pit)
{
	uint64_t now = clock_now(&pit->clock);

	channel_sync(&pit->s.channel[2], now);
	return channel_out(&pit->s.channel[2], now);
}

void i8254_reset(void *opaque)
{
	struct i8254 *pit = opaque;

	memset(&pit->s, 0, sizeof(pit->s));
	for (unsigned i = 0; i < 3; i++) {
		struct i8254_channel *c = &pit->s.channel[i];

		c->mode = 3;
		c->access = 3;
		c->gate = i != 2;
	}
	set_timer(pit, 0);
	set_irq(pit, false);
}

static const char *channel_check(const struct i8254_channel *c)
{
	if (c->running && !c->count)
		return "running";
	if (c->mode_bit2 && !is_periodic(c))
		return "mode_bit2";
	/* its gate would set it going */
	if (c->loaded && is_triggered_mode(c) && !c->count && !c->next_count)
		return "loaded";
	return NULL;
}

static const char *state_check(const void *opaque)
{
	const struct i8254 *pit = opaque;

	for (unsigned i = 0; i < 3; i++) {
		const char *wrong = channel_check(&pit->s.channel[i]);

		if (wrong)
			return wrong;
	}
	if (pit->s.deadline_ns && (!is_counting(&pit->s.channel[0]) ||
				   pit->s.deadline_ns < pit->s.channel[0].start_ns))
		return "s.deadline_ns";
	return NULL;
}

static void loaded(void *opaque)
{
	struct i8254 *pit = opaque;

	set_timer(pit, pit->s.wake_ns);
	set_irq(pit, pit->s.irq_level);
}

int i8254_init(struct i8254 *pit, const struct clock *clock, struct irq_line irq)
{
	int err;

	memset(pit, 0, sizeof(*pit));
	pit->clock = *clock;
	pit->irq = irq;
	err = clock_timer_create(clock, timer_fired, pit, &pit->timer);
	if (!err)
		i8254_reset(pit);
	return err;
}

void i8254_destroy(struct i8254 *pit)
{
	clock_timer_destroy(&pit->clock, pit->timer);
	pit->timer = NULL;
}

static const struct state_field channel_state[] = {
	STATE_PAST(struct i8254_channel, start_ns),
	STATE_ANY(struct i8254_channel, held_ticks),
	STATE_MOST(struct i8254_channel, count, 0x10000),
	STATE_MOST(struct i8254_channel, next_count, 0x10000),
	STATE_ANY(struct i8254_channel, latch),
	STATE_MOST(struct i8254_channel, mode, 5),
	STATE_MOST(struct i8254_channel, access, 3),
	STATE_ANY(struct i8254_channel, status_latch),
	STATE_ANY(struct i8254_channel, write_low),
	STATE_MOST(struct i8254_channel, latched_bytes, 2),
	STATE_FLAG(struct i8254_channel, bcd),
	STATE_FLAG(struct i8254_channel, gate),
	STATE_FLAG(struct i8254_channel, loaded),
	STATE_FLAG(struct i8254_channel, running),
	STATE_FLAG(struct i8254_channel, status_latched),
	STATE_FLAG(struct i8254_channel, write_msb),
	STATE_FLAG(struct i8254_channel, read_msb),
	STATE_FLAG(struct i8254_channel, mode_bit2),
	STATE_END,
};

static const struct state_field state[] = {
	STATE_STRUCT_ARRAY(struct i8254, s.channel, channel_state),
	STATE_STRUCT(struct i8254, s.owed, owed_ticks_state),
	STATE_TIME(struct i8254, s.deadline_ns),
	STATE_TIME(struct i8254, s.wake_ns),
	STATE_FLAG(struct i8254, s.irq_level),
	STATE_FLAG(struct i8254, s.disconnected),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x40, 4, { pit_read, pit_write, 1, 1 } },
};

const struct device_desc i8254_desc = {
	.name = "i8254",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = i8254_reset,
	.state = state,
	.state_version = 4,
	.size = sizeof(struct i8254),
	.state_check = state_check,
	.loaded = loaded,
};
