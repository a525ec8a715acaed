/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RTC. The date is the clock plus an offset, turned into registers when read. Flags of register C
 * are brought up to date lazily (rtc_sync), and a timer runs only while an interrupt is enabled.
 *
 * "Halted" means that software holds the time registers (B.SET, or the divider held in reset): they
 * then live in cmos[], and the offset is computed from them when the clock is let go.
 *
 * The chip knows two digits of the year, and counts days of the week and of the year apart. What
 * software writes means a year of 2000 to 2099; that of every fourth year, 00 included, has a
 * February 29th. The century is a byte of plain memory, which setup once filled in.
 */
#include "mc146818.h"

#include <assert.h>
#include <string.h>
#include <time.h>

enum {
	RTC_SECONDS = 0x00, RTC_SECONDS_ALARM, RTC_MINUTES, RTC_MINUTES_ALARM, RTC_HOURS,
	RTC_HOURS_ALARM, RTC_WEEKDAY, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
	CMOS_EQUIPMENT = 0x14, CMOS_BASE_LOW = 0x15, CMOS_EXT_LOW = 0x17, CMOS_EXT2_LOW = 0x30,
	CMOS_CENTURY = 0x32, CMOS_ABOVE16M = 0x34, CMOS_CENTURY_PS2 = 0x37,
};

#define A_UIP     0x80
#define A_DIVIDER 0x70
#define A_DIVIDER_32KHZ 0x20
#define B_SET     0x80
#define B_PIE     0x40
#define B_AIE     0x20
#define B_UIE     0x10
#define B_BINARY  0x04
#define B_24H     0x02
#define C_IRQF    0x80
#define C_PF      0x40
#define C_AF      0x20
#define C_UF      0x10
#define D_VALID   0x80

#define UIP_NS 244000 /* update-in-progress rises this long before the update (data sheet, t_BUC) */
#define RTC_HZ 32768u
/* Dates are counted in 64-bit nanoseconds: the clock ends in the year 2255. */
#define LAST_SECOND 9000000000ll
#define DAY 86400ll
#define YEAR_2000 946684800ll
#define CENTURY (36525 * DAY) /* what two digits of the year count through */

static bool is_halted(const struct mc146818 *rtc)
{
	return (rtc->s.cmos[RTC_B] & B_SET) || (rtc->s.cmos[RTC_A] & 0x60) == 0x60;
}

static int64_t rtc_time_ns(const struct mc146818 *rtc)
{
	return (int64_t)clock_now(&rtc->clock) + rtc->s.offset_ns;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t floor_mod(int64_t a, int64_t b)
{
	return a - floor_div(a, b) * b;
}

static int64_t rtc_second(const struct mc146818 *rtc)
{
	return floor_div(rtc_time_ns(rtc), (int64_t)NS_PER_SECOND);
}

/* Registers and dates. */

static uint8_t encode(const struct mc146818 *rtc, unsigned value)
{
	return (uint8_t)(rtc->s.cmos[RTC_B] & B_BINARY ? value :
							 (value / 10 % 10) << 4 | value % 10);
}

static unsigned decode(const struct mc146818 *rtc, uint8_t value)
{
	return rtc->s.cmos[RTC_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static uint8_t encode_hour(const struct mc146818 *rtc, unsigned hour)
{
	if (rtc->s.cmos[RTC_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const struct mc146818 *rtc, uint8_t value)
{
	if (rtc->s.cmos[RTC_B] & B_24H)
		return decode(rtc, value);
	return decode(rtc, value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

static void registers_from_time(struct mc146818 *rtc, int64_t seconds)
{
	time_t t = (time_t)(YEAR_2000 + floor_mod(seconds - YEAR_2000, CENTURY));
	int64_t weekday = floor_mod(floor_div(seconds, DAY) + rtc->s.weekday_shift, 7);
	uint8_t *r = rtc->s.cmos;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	r[RTC_SECONDS] = encode(rtc, (unsigned)tm.tm_sec);
	r[RTC_MINUTES] = encode(rtc, (unsigned)tm.tm_min);
	r[RTC_HOURS] = encode_hour(rtc, (unsigned)tm.tm_hour);
	r[RTC_WEEKDAY] = encode(rtc, (unsigned)weekday + 1);
	r[RTC_DAY] = encode(rtc, (unsigned)tm.tm_mday);
	r[RTC_MONTH] = encode(rtc, (unsigned)tm.tm_mon + 1);
	r[RTC_YEAR] = encode(rtc, (unsigned)tm.tm_year % 100);
}

static int64_t time_from_registers(const struct mc146818 *rtc)
{
	const uint8_t *r = rtc->s.cmos;
	struct tm tm = {
		.tm_sec = (int)decode(rtc, r[RTC_SECONDS]),
		.tm_min = (int)decode(rtc, r[RTC_MINUTES]),
		.tm_hour = (int)decode_hour(rtc, r[RTC_HOURS]),
		.tm_mday = (int)decode(rtc, r[RTC_DAY]),
		.tm_mon = (int)decode(rtc, r[RTC_MONTH]) - 1,
		.tm_year = 100 + (int)(decode(rtc, r[RTC_YEAR]) % 100),
	};

	return (int64_t)timegm(&tm);
}

static void refresh_registers(struct mc146818 *rtc)
{
	if (!is_halted(rtc))
		registers_from_time(rtc, rtc_second(rtc));
}

/* Time goes on from the registers; the fraction of the second is fraction_ns. */
static void set_time(struct mc146818 *rtc, int64_t fraction_ns)
{
	int64_t seconds = time_from_registers(rtc);

	assert(fraction_ns >= 0 && fraction_ns < (int64_t)NS_PER_SECOND);
	assert(seconds > 0 && seconds < LAST_SECOND); /* whatever the registers hold */
	rtc->s.weekday_shift = (uint8_t)floor_mod(decode(rtc, rtc->s.cmos[RTC_WEEKDAY]) - 1 -
						  floor_div(seconds, DAY), 7);
	rtc->s.offset_ns =
		seconds * (int64_t)NS_PER_SECOND + fraction_ns - (int64_t)clock_now(&rtc->clock);
	rtc->s.seen_second = seconds;
}

/* Flags. */

/*
 * Ticks of 32768 Hz in a periodic interrupt, 0 for none (data sheet, table 5: rates 1 and 2 repeat
 * 8 and 9).
 */
static uint32_t periodic_ticks(const struct mc146818 *rtc)
{
	unsigned rate = rtc->s.cmos[RTC_A] & 15;

	if (!rate || (rtc->s.cmos[RTC_A] & A_DIVIDER) != A_DIVIDER_32KHZ)
		return 0;
	return 1u << (rate <= 2 ? rate + 6 : rate - 1);
}

static uint64_t periodic_count(const struct mc146818 *rtc)
{
	uint32_t ticks = periodic_ticks(rtc);

	return ticks ? muldiv64(clock_now(&rtc->clock), RTC_HZ, NS_PER_SECOND) / ticks : 0;
}

static bool alarm_matches(const struct mc146818 *rtc, unsigned second_of_day)
{
	const uint8_t *r = rtc->s.cmos;

	assert(second_of_day < 86400);
	if (r[RTC_SECONDS_ALARM] < 0xc0 && decode(rtc, r[RTC_SECONDS_ALARM]) != second_of_day % 60)
		return false;
	if (r[RTC_MINUTES_ALARM] < 0xc0 &&
	    decode(rtc, r[RTC_MINUTES_ALARM]) != second_of_day / 60 % 60)
		return false;
	return r[RTC_HOURS_ALARM] >= 0xc0 ||
	       decode_hour(rtc, r[RTC_HOURS_ALARM]) == second_of_day / 3600;
}

/* Whether an update in (from, to] hit the alarm; it comes once a day at least, or never. */
static bool alarm_between(const struct mc146818 *rtc, int64_t from, int64_t to)
{
	if (to - from > 86400)
		from = to - 86400;
	for (int64_t s = from + 1; s <= to; s++)
		if (alarm_matches(rtc, (unsigned)floor_mod(s, DAY)))
			return true;
	return false;
}

static void rtc_sync(struct mc146818 *rtc)
{
	uint64_t tick = periodic_count(rtc);
	int64_t second;

	if (tick != rtc->s.seen_tick) {
		rtc->s.seen_tick = tick;
		if (tick)
			rtc->s.cmos[RTC_C] |= C_PF;
	}
	if (is_halted(rtc))
		return;
	second = rtc_second(rtc);
	if (second <= rtc->s.seen_second)
		return;
	rtc->s.cmos[RTC_C] |= C_UF;
	if (alarm_between(rtc, rtc->s.seen_second, second))
		rtc->s.cmos[RTC_C] |= C_AF;
	rtc->s.seen_second = second;
}

/* The interrupt pin follows the flags that are enabled. */
static void rtc_update_irq(struct mc146818 *rtc)
{
	uint8_t *c = &rtc->s.cmos[RTC_C];

	if (*c & rtc->s.cmos[RTC_B] & (C_PF | C_AF | C_UF))
		*c |= C_IRQF;
	else
		*c &= ~C_IRQF;
	irq_set(&rtc->irq, *c & C_IRQF);
}

/* The timer runs for the next event whose flag is not already up and whose interrupt is enabled. */
static void rtc_schedule(struct mc146818 *rtc)
{
	uint8_t wanted = rtc->s.cmos[RTC_B] & ~rtc->s.cmos[RTC_C];
	uint32_t ticks = periodic_ticks(rtc);
	uint64_t deadline = UINT64_MAX;

	if ((wanted & B_PIE) && ticks)
		deadline = muldiv64_up((rtc->s.seen_tick + 1) * ticks, NS_PER_SECOND, RTC_HZ);
	if ((wanted & (B_UIE | B_AIE)) && !is_halted(rtc)) {
		int64_t next = (rtc->s.seen_second + 1) * (int64_t)NS_PER_SECOND - rtc->s.offset_ns;

		if (next > 0 && (uint64_t)next < deadline)
			deadline = (uint64_t)next;
	}
	if (deadline == UINT64_MAX)
		clock_timer_cancel(&rtc->clock, rtc->timer);
	else
		clock_timer_arm(&rtc->clock, rtc->timer, deadline);
}

static void timer_fired(void *opaque)
{
	struct mc146818 *rtc = opaque;

	rtc_sync(rtc);
	rtc_update_irq(rtc);
	rtc_schedule(rtc);
}

/* Ports. */

static bool is_time_register(unsigned index)
{
	return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_HOURS ||
	       (index >= RTC_WEEKDAY && index <= RTC_YEAR);
}

static bool update_in_progress(const struct mc146818 *rtc)
{
	int64_t ns = rtc_time_ns(rtc);
	int64_t into = floor_mod(ns, (int64_t)NS_PER_SECOND);

	return !is_halted(rtc) && into >= (int64_t)NS_PER_SECOND - UIP_NS;
}

static uint8_t read_register(struct mc146818 *rtc, unsigned index)
{
	uint8_t value;

	if (is_time_register(index)) {
		refresh_registers(rtc);
		return rtc->s.cmos[index];
	}
	switch (index) {
	case RTC_A:
		return (rtc->s.cmos[RTC_A] & ~A_UIP) | (update_in_progress(rtc) ? A_UIP : 0);
	case RTC_C: /* reading clears all flags and the pin */
		rtc_sync(rtc);
		rtc_update_irq(rtc);
		value = rtc->s.cmos[RTC_C];
		rtc->s.cmos[RTC_C] = 0;
		rtc_update_irq(rtc);
		rtc_schedule(rtc);
		return value;
	case RTC_D:
		return D_VALID;
	default:
		return rtc->s.cmos[index];
	}
}

/* A or B changes: the clock may stop with its registers up to date, or go on from them. */
static void write_control(struct mc146818 *rtc, unsigned index, uint8_t value)
{
	bool was_halted = is_halted(rtc);
	uint8_t old_b = rtc->s.cmos[RTC_B];

	rtc_sync(rtc);
	refresh_registers(rtc);
	if (index == RTC_A) {
		rtc->s.cmos[RTC_A] = value & ~A_UIP;
		rtc->s.seen_tick = periodic_count(rtc);
	} else {
		if (value & B_SET)
			value &= ~B_UIE; /* data sheet: SET clears UIE */
		rtc->s.cmos[RTC_B] = value;
	}
	if (was_halted && !is_halted(rtc)) {
		/*
		 * Coming out of SET the registers speak the mode they were written in: the new one.
		 */
		set_time(rtc, index == RTC_A ? (int64_t)NS_PER_SECOND / 2 : 0);
	} else if (!is_halted(rtc) && (old_b ^ rtc->s.cmos[RTC_B]) & (B_BINARY | B_24H)) {
		registers_from_time(rtc, rtc_second(rtc));
	}
	rtc_update_irq(rtc);
	rtc_schedule(rtc);
}

static void write_time(struct mc146818 *rtc, unsigned index, uint8_t value)
{
	int64_t ns;

	if (is_halted(rtc)) {
		rtc->s.cmos[index] = value;
		return;
	}
	rtc_sync(rtc);
	refresh_registers(rtc);
	rtc->s.cmos[index] = value;
	ns = rtc_time_ns(rtc);
	/* Seconds go on to begin when they did, so the timer stands. */
	set_time(rtc, floor_mod(ns, (int64_t)NS_PER_SECOND));
	rtc_update_irq(rtc);
}

static void write_register(struct mc146818 *rtc, unsigned index, uint8_t value)
{
	if (is_time_register(index)) {
		write_time(rtc, index, value);
	} else if (index == RTC_A || index == RTC_B) {
		write_control(rtc, index, value);
	} else if (index != RTC_C && index != RTC_D) {
		/* an alarm register changes what passed seconds would have matched */
		rtc_sync(rtc);
		rtc->s.cmos[index] = value;
		rtc_update_irq(rtc);
	}
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
	struct mc146818 *rtc = opaque;

	if (!offset)
		return 0xff;
	if ((rtc->s.index & 0x7f) <= RTC_C)
		clock_tell(&rtc->clock);
	return read_register(rtc, rtc->s.index & 0x7f);
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct mc146818 *rtc = opaque;

	if (offset)
		write_register(rtc, rtc->s.index & 0x7f, (uint8_t)value);
	else
		rtc->s.index = (uint8_t)value;
}

static void put16(uint8_t *cmos, unsigned at, uint64_t value)
{
	cmos[at] = (uint8_t)value;
	cmos[at + 1] = (uint8_t)(value >> 8);
}

static uint64_t at_most_16_bits(uint64_t value)
{
	return value > 0xffff ? 0xffff : value;
}

/* The century of the date at clock 0. */
static uint8_t century(const struct mc146818 *rtc)
{
	time_t t = (time_t)rtc->base;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	return encode(rtc, (unsigned)(tm.tm_year + 1900) / 100 % 100);
}

/* What setup stored: where SeaBIOS and old kernels look for memory, and the century. */
static void fill_cmos(struct mc146818 *rtc)
{
	uint64_t ext_kib = rtc->ram_size > (1u << 20) ? (rtc->ram_size >> 10) - 1024 : 0;
	uint64_t above_64k = rtc->ram_size > (16u << 20) ? (rtc->ram_size - (16u << 20)) >> 16 : 0;
	uint8_t *r = rtc->s.cmos;

	r[CMOS_EQUIPMENT] = 0x06; /* FPU, PS/2 mouse; no floppy */
	put16(r, CMOS_BASE_LOW, 640);
	put16(r, CMOS_EXT_LOW, at_most_16_bits(ext_kib));
	put16(r, CMOS_EXT2_LOW, at_most_16_bits(ext_kib));
	put16(r, CMOS_ABOVE16M, at_most_16_bits(above_64k));
	r[CMOS_CENTURY] = r[CMOS_CENTURY_PS2] = century(rtc);
	r[0x5f] = 0; /* processors less one */
}

/* The clock is battery-backed: a reset of the machine clears only enables and flags. */
static void rtc_reset(void *opaque)
{
	struct mc146818 *rtc = opaque;

	rtc_sync(rtc);
	refresh_registers(rtc);
	rtc->s.cmos[RTC_B] &= ~(B_PIE | B_AIE | B_UIE | 0x08);
	rtc->s.cmos[RTC_C] = 0;
	rtc->s.index = 0;
	rtc_update_irq(rtc);
	rtc_schedule(rtc);
}

/* The flags are up to date with some moment between now and clock 0, or a second before it. */
static const char *state_check(const void *opaque)
{
	const struct mc146818 *rtc = opaque;
	const __int128 seen = (__int128)rtc->s.seen_second * NS_PER_SECOND - rtc->s.offset_ns;

	/* leaves the clock room to run */
	if (rtc->s.offset_ns > (LAST_SECOND + 1) * (int64_t)NS_PER_SECOND)
		return "s.offset_ns";
	if (seen > (__int128)clock_now(&rtc->clock) || seen < -(__int128)NS_PER_SECOND)
		return "s.seen_second";
	return rtc->s.cmos[RTC_C] & ~(C_IRQF | C_PF | C_AF | C_UF) ? "s.cmos" : NULL;
}

static void loaded(void *opaque)
{
	struct mc146818 *rtc = opaque;

	rtc_update_irq(rtc);
	rtc_schedule(rtc);
}

int mc146818_init(struct mc146818 *rtc, const struct clock *clock, struct irq_line irq,
		  uint64_t ram_size, int64_t base)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->clock = *clock;
	rtc->irq = irq;
	rtc->ram_size = ram_size;
	rtc->base = base;
	rtc->s.offset_ns = base * (int64_t)NS_PER_SECOND;
	rtc->s.weekday_shift = 4; /* 1970 began on a Thursday */
	rtc->s.cmos[RTC_A] = 0x26; /* 32.768 kHz, 1024 Hz */
	rtc->s.cmos[RTC_B] = B_24H;
	fill_cmos(rtc);
	rtc->s.seen_second = rtc_second(rtc);
	rtc->s.seen_tick = periodic_count(rtc);
	return clock_timer_create(clock, timer_fired, rtc, &rtc->timer);
}

void mc146818_advance(struct mc146818 *rtc, uint64_t ns)
{
	const int64_t most = LAST_SECOND * (int64_t)NS_PER_SECOND - rtc_time_ns(rtc);

	if (is_halted(rtc) || most < 0 || ns > (uint64_t)most)
		return;
	rtc_sync(rtc);
	rtc->s.offset_ns += (int64_t)ns;
	rtc_sync(rtc);
	rtc_update_irq(rtc);
	rtc_schedule(rtc);
}

void mc146818_set_cmos(struct mc146818 *rtc, unsigned index, uint8_t value)
{
	assert(index > RTC_D && index < sizeof(rtc->s.cmos));
	rtc->s.cmos[index] = value;
}

void mc146818_destroy(struct mc146818 *rtc)
{
	clock_timer_destroy(&rtc->clock, rtc->timer);
	rtc->timer = NULL;
}

static const struct state_field state[] = {
	STATE_ANY(struct mc146818, s.index),
	STATE_ANY_ARRAY(struct mc146818, s.cmos),
	STATE_SIGNED(struct mc146818, s.offset_ns, INT64_MAX),
	STATE_SIGNED(struct mc146818, s.seen_second, LAST_SECOND + 1),
	STATE_ANY(struct mc146818, s.seen_tick),
	STATE_MOST(struct mc146818, s.weekday_shift, 6),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x70, 2, { rtc_read, rtc_write, 1, 1 } },
};

const struct device_desc mc146818_desc = {
	.name = "mc146818",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = rtc_reset,
	.state = state,
	.state_version = 2,
	.size = sizeof(struct mc146818),
	.state_check = state_check,
	.loaded = loaded,
};
