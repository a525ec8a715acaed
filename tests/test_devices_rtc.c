/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The RTC and the PM timer. */
#include <assert.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/bus/state.h"
#include "devices/chips/mc146818.h"
#include "devices/chips/piix4_pm.h"
#include "fake_clock.h"

static struct {
	struct bus *bus;
	struct fake_clock time;
	struct mc146818 rtc;
	struct piix4_pm pm;
	bool level;
	unsigned rises, poweroffs;
} t;

static void line_set(void *opaque, unsigned n, bool level)
{
	t.rises += level && !t.level;
	t.level = level;
}

static const struct irq_line line = { line_set, NULL, 0 };

static void out(uint16_t port, uint8_t value) { bus_pio_write(t.bus, port, value, 1); }
static uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(t.bus, port, 1); }

static void common_setup(void)
{
	memset(&t, 0, sizeof(t));
	t.time.now = 5000000000ull;
	cr_assert_eq(bus_create(&t.bus), 0);
}

/* RTC. */

#define BASE 1700000000 /* 2023-11-14 22:13:20 */

static void rtc_setup(void)
{
	struct clock clock;

	common_setup();
	t.time.now = 0;
	clock = fake_clock_interface(&t.time);
	cr_assert_eq(mc146818_init(&t.rtc, &clock, line, 256u << 20, BASE), 0);
	cr_assert_eq(bus_attach(t.bus, &mc146818_desc, &t.rtc, 0, NULL), 0);
	bus_reset_all(t.bus);
}

static void rtc_teardown(void)
{
	mc146818_destroy(&t.rtc);
	bus_destroy(t.bus);
	assert(!t.time.timers); /* Criterion counts no expectation here */
}

TestSuite(rtc, .init = rtc_setup, .fini = rtc_teardown);

static uint8_t cmos(uint8_t index) { out(0x70, index); return in(0x71); }
static void cmos_write(uint8_t index, uint8_t value) { out(0x70, index); out(0x71, value); }

static void expect_time(const char *what, unsigned h, unsigned m, unsigned s)
{
	cr_expect(cmos(4) == h && cmos(2) == m && cmos(0) == s, "%s: %02x:%02x:%02x", what, cmos(4),
		  cmos(2), cmos(0));
}

Test(rtc, date_in_bcd_and_binary)
{
	expect_time("bcd", 0x22, 0x13, 0x20);
	cr_expect_eq(cmos(6), 3); /* Tuesday */
	cr_expect_eq(cmos(7), 0x14);
	cr_expect_eq(cmos(8), 0x11);
	cr_expect_eq(cmos(9), 0x23);
	cr_expect_eq(cmos(0x32), 0x20);
	cmos_write(0xb, 0x06);
	expect_time("binary", 22, 13, 20);
	cmos_write(0xb, 0x04);
	expect_time("binary 12 h", 0x80 | 10, 13, 20);
	cmos_write(0xb, 0x00);
	expect_time("bcd 12 h", 0x90, 0x13, 0x20);
	cmos_write(0xb, 0x02);
	fake_clock_advance(&t.time, 41 * NS_PER_SECOND);
	expect_time("later", 0x22, 0x14, 0x01);
	cr_expect_eq(cmos(0xd), 0x80);
}

Test(rtc, setting_the_time)
{
	cmos_write(0xb, 0x82);
	cmos_write(0, 0x58);
	cmos_write(2, 0x59);
	cmos_write(4, 0x23);
	cmos_write(7, 0x31);
	cmos_write(8, 0x12);
	cmos_write(9, 0x99);
	fake_clock_advance(&t.time, 10 * NS_PER_SECOND);
	expect_time("held", 0x23, 0x59, 0x58);
	cmos_write(0xb, 0x02);
	fake_clock_advance(&t.time, 3 * NS_PER_SECOND);
	expect_time("over midnight", 0x00, 0x00, 0x01);
	cr_expect_eq(cmos(7), 0x01);
	cr_expect_eq(cmos(8), 0x01);
	cr_expect_eq(cmos(9), 0x00);
	cr_expect_eq(cmos(0x32), 0x20, "the century is memory, the chip does not count it");
	cr_expect_eq(cmos(6), 4, "the day of the week goes on from what it was");
	cmos_write(2, 0x30); /* without SET */
	expect_time("minute", 0x00, 0x30, 0x01);
}

static void set_date(uint8_t year, uint8_t month, uint8_t day, uint8_t weekday)
{
	cmos_write(0xb, 0x82);
	cmos_write(9, year);
	cmos_write(8, month);
	cmos_write(7, day);
	cmos_write(6, weekday);
	cmos_write(4, 0x23);
	cmos_write(0xb, 0x02);
}

static void expect_date(const char *what, uint8_t year, uint8_t month, uint8_t day, uint8_t weekday)
{
	cr_expect(cmos(9) == year && cmos(8) == month && cmos(7) == day && cmos(6) == weekday,
		  "%s: %02x-%02x-%02x, weekday %x", what, cmos(9), cmos(8), cmos(7), cmos(6));
}

Test(rtc, no_memory_moves_the_date)
{
	for (unsigned index = 0x0e; index < 0x80; index++)
		for (unsigned value = 0; value < 256; value += 5) {
			cmos_write((uint8_t)index, (uint8_t)value);
			expect_date("running", 0x23, 0x11, 0x14, 3);
			expect_time("running", 0x22, 0x13, 0x20);
			cr_expect_eq(cmos((uint8_t)index), value);
		}
	cmos_write(0, 0x30); /* a new time, with any century there */
	expect_date("set", 0x23, 0x11, 0x14, 3);
	cmos_write(0xb, 0x82);
	cmos_write(0x32, 0x77);
	cmos_write(0xb, 0x02);
	expect_date("held and let go", 0x23, 0x11, 0x14, 3);
	cr_expect_eq(cmos(0x32), 0x77);
}

Test(rtc, every_fourth_year_is_a_leap_year)
{
	cmos_write(0x32, 0x19);
	set_date(0x99, 0x12, 0x31, 6);
	fake_clock_advance(&t.time, 3600 * NS_PER_SECOND);
	expect_date("2000", 0x00, 0x01, 0x01, 7);
	set_date(0x00, 0x02, 0x28, 2);
	fake_clock_advance(&t.time, 3600 * NS_PER_SECOND);
	expect_date("2000", 0x00, 0x02, 0x29, 3);
	/* after two turns of the century, without being set */
	set_date(0x99, 0x12, 0x31, 6);
	fake_clock_advance(&t.time, ((36525ull + 59) * 24 + 1) * 3600 * NS_PER_SECOND);
	expect_date("00 again", 0x00, 0x02, 0x29, 2);
	set_date(0x01, 0x02, 0x28, 2);
	fake_clock_advance(&t.time, 3600 * NS_PER_SECOND);
	expect_date("2001", 0x01, 0x03, 0x01, 3);
}

Test(rtc, every_hour_of_the_day_in_each_mode)
{
	static const struct { uint8_t b, noon, eleven_pm, midnight, one; } modes[] = {
		{ 0x00, 0x92, 0x91, 0x12, 0x01 }, { 0x04, 0x8c, 0x8b, 12, 1 },
		{ 0x02, 0x12, 0x23, 0x00, 0x01 }, { 0x06, 12, 23, 0, 1 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(modes); i++) {
		static const uint8_t hour[] = { 0x12, 0x23, 0x00, 0x01 };
		const uint8_t expected[] = { modes[i].noon, modes[i].eleven_pm, modes[i].midnight,
					     modes[i].one };

		for (unsigned n = 0; n < RF_ARRAY_SIZE(hour); n++) {
			cmos_write(0xb, 0x02);
			cmos_write(4, hour[n]);
			cmos_write(0xb, modes[i].b);
			cr_expect_eq(cmos(4), expected[n], "B %x, hour %x: %x", modes[i].b,
				     hour[n], cmos(4));
			cmos_write(4, expected[n]); /* as it is written it is read */
			cmos_write(0xb, 0x02);
			cr_expect_eq(cmos(4), hour[n], "B %x, hour %x: %x", modes[i].b, hour[n],
				     cmos(4));
		}
	}
}

Test(rtc, alarm_in_12_hour_mode)
{
	cmos_write(0xb, 0x00);
	cmos_write(1, 0x21);
	cmos_write(3, 0x13);
	cmos_write(5, 0x10); /* 10 in the morning; it is 10 in the evening */
	cmos(0xc);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(cmos(0xc) & 0x20, 0);
	cmos_write(1, 0x22);
	cmos_write(5, 0x90);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(cmos(0xc) & 0x20, 0x20);
}

Test(rtc, absurd_dates_do_no_harm)
{
	static const uint8_t registers[] = { 0, 2, 4, 6, 7, 8, 9, 0x32 };

	for (unsigned value = 0; value < 256; value++) {
		cmos_write(0xb, 0x82 | (value & 4));
		for (unsigned i = 0; i < RF_ARRAY_SIZE(registers); i++)
			cmos_write(registers[i], (uint8_t)(value + i * 37));
		cmos_write(0x32, (uint8_t)value);
		cmos_write(0xb, 0x32 | (value & 4));
		fake_clock_advance(&t.time, 3 * NS_PER_SECOND);
		cmos(0xc);
	}
	cmos_write(0xb, 0x82);
	cmos_write(0x32, 0x20);
	cmos_write(9, 0x24);
	cmos_write(8, 0x02);
	cmos_write(7, 0x29);
	cmos_write(0xb, 0x02);
	cr_expect_eq(cmos(7), 0x29, "and it can be set right again");
}

Test(rtc, update_in_progress)
{
	fake_clock_advance(&t.time, NS_PER_SECOND / 2);
	cr_expect_eq(cmos(0xa) & 0x80, 0);
	fake_clock_advance(&t.time, NS_PER_SECOND / 2 - 200000);
	cr_expect_eq(cmos(0xa) & 0x80, 0x80);
	fake_clock_advance(&t.time, 200000);
	cr_expect_eq(cmos(0xa) & 0x80, 0);
}

Test(rtc, flags_without_interrupts)
{
	cmos(0xc);
	cr_expect_eq(fake_clock_next(&t.time), UINT64_MAX, "no host timer for flags alone");
	fake_clock_advance(&t.time, 1100000000);
	cr_expect_eq(cmos(0xc) & 0x50, 0x50);
	cr_expect_eq(cmos(0xc), 0);
	cr_expect_eq(t.rises, 0);
}

Test(rtc, update_interrupt)
{
	cmos(0xc);
	cmos_write(0xb, 0x12);
	fake_clock_advance(&t.time, NS_PER_SECOND - 1);
	cr_expect_not(t.level);
	fake_clock_advance(&t.time, 1);
	cr_expect(t.level);
	cr_expect_eq(cmos(0xc) & 0x90, 0x90);
	cr_expect_not(t.level, "reading C lowers the line");
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(t.rises, 2);
}

Test(rtc, periodic_interrupt_rates)
{
	static const struct {
		uint8_t rate;
		unsigned hz;
	} rates[] = { { 6, 1024 }, { 15, 2 }, { 3, 8192 }, { 1, 256 }, { 2, 128 } };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(rates); i++) {
		cmos_write(0xa, 0x20 | rates[i].rate);
		cmos_write(0xb, 0x42);
		cmos(0xc);
		t.rises = 0;
		for (uint64_t end = t.time.now + NS_PER_SECOND; t.time.now < end;) {
			uint64_t next = fake_clock_next(&t.time);

			fake_clock_advance(&t.time, (next < end ? next : end) - t.time.now);
			if (t.level)
				cmos(0xc);
		}
		cr_expect(t.rises >= rates[i].hz - 1 && t.rises <= rates[i].hz + 1, "rate %u: %u",
			  rates[i].rate, t.rises);
		cmos_write(0xb, 0x02);
	}
}

Test(rtc, alarm)
{
	cmos(0xc);
	cmos_write(1, 0x25);
	cmos_write(3, 0x13);
	cmos_write(5, 0x22);
	cmos_write(0xb, 0x22);
	fake_clock_advance(&t.time, 4 * NS_PER_SECOND);
	cr_expect_not(t.level);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect(t.level);
	cr_expect_eq(cmos(0xc) & 0xa0, 0xa0);
	/* Don't care: every minute at :25. */
	cmos_write(3, 0xc0);
	cmos_write(5, 0xff);
	fake_clock_advance(&t.time, 59 * NS_PER_SECOND);
	cr_expect_not(t.level);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect(t.level);
}

/* A saved clock may be ahead by the last second that dates are made of and one more. */
/* Setting the time moves the moment of the alarm. */
Test(rtc, an_alarm_after_the_time_is_set)
{
	cmos_write(1, 0x00);
	cmos_write(3, 0x30);
	cmos_write(5, 0x22);
	cmos_write(0xb, 0x22);
	cmos(0xc);
	cmos_write(2, 0x29);
	cmos_write(0, 0x58);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(t.rises, 0);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(t.rises, 1);
	cr_expect_eq(cmos(0xc) & 0xa0, 0xa0);
}

/* The host is late, and the guest sets the time before the timer has its turn. */
Test(rtc, a_second_that_is_over_interrupts_though_the_time_is_set)
{
	cmos_write(0xb, 0x12);
	cmos(0xc);
	fake_clock_stall(&t.time, NS_PER_SECOND);
	cmos_write(0, 0x10);
	cr_expect(t.level);
	fake_clock_advance(&t.time, 0);
	cr_expect_eq(cmos(0xc) & 0x90, 0x90);
	cr_expect_not(t.level);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect(t.level);
	expect_time("later", 0x22, 0x13, 0x11);
}

Test(rtc, a_saved_clock_too_far_ahead_is_refused)
{
	static const int64_t last = 9000000001000000000;
	struct error error;
	uint8_t *field;
	size_t size;
	void *saved;

	cr_assert_eq(bus_save(t.bus, t.time.now, &saved, &size), 0);
	field = (uint8_t *)saved + 24 + STATE_HEADER_SIZE + 1 + 128;
	cr_assert_eq(state_get64(field), (uint64_t)t.rtc.s.offset_ns);
	for (unsigned over = 0; over < 2; over++) {
		state_put64(field, (uint64_t)(last + over));
		state_put64(field + 8, (uint64_t)(last + over) / NS_PER_SECOND);
		cr_expect_eq(bus_load(t.bus, saved, size, &error), over ? -EINVAL : 0);
	}
	cr_expect_not_null(strstr(error.text, "s.offset_ns"), "%s", error.text);
	free(saved);
}

Test(rtc, cmos_memory)
{
	cr_expect_eq(cmos(0x14), 0x06, "an FPU and a PS/2 mouse, no floppy");
	cr_expect_eq(cmos(0x15) | cmos(0x16) << 8, 640);
	cr_expect_eq(cmos(0x17) | cmos(0x18) << 8, 0xffff);
	cr_expect_eq(cmos(0x34) | cmos(0x35) << 8, (240u << 20) >> 16);
	cmos_write(0x0f, 0x0a);
	cmos_write(0x8f & 0x7f, 0x55);
	cr_expect_eq(cmos(0x8f), 0x55, "bit 7 of the index is the NMI mask");
	cr_expect_eq(in(0x70), 0xff);
}

Test(rtc, reset_keeps_the_date_and_drops_enables)
{
	cmos_write(0xb, 0x72);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	bus_reset_all(t.bus);
	cr_expect_not(t.level);
	cr_expect_eq(cmos(0xb), 0x02);
	expect_time("after reset", 0x22, 0x13, 0x21);
}

/* PM timer and events. */

static void off(void *opaque, unsigned n, uint32_t value) { t.poweroffs++; }

static void pm_setup(void)
{
	struct clock clock;

	common_setup();
	t.time.now = 0;
	clock = fake_clock_interface(&t.time);
	cr_assert_eq(piix4_pm_init(&t.pm, &clock, line, (struct signal_line){ .raise = off }), 0);
	t.pm.function.bus = t.bus;
	cr_assert_eq(bus_attach(t.bus, &piix4_pm_desc, &t.pm, 0, NULL), 0);
	bus_reset_all(t.bus);
}

static void pm_teardown(void)
{
	piix4_pm_destroy(&t.pm);
	bus_destroy(t.bus);
	assert(!t.time.timers); /* Criterion counts no expectation here */
}

TestSuite(pm, .init = pm_setup, .fini = pm_teardown);

static void out16(uint16_t port, uint16_t value) { bus_pio_write(t.bus, port, value, 2); }
static uint16_t in16(uint16_t port) { return (uint16_t)bus_pio_read(t.bus, port, 2); }

Test(pm, timer_counts_at_its_rate)
{
	cr_expect_eq(bus_pio_read(t.bus, 0x608, 4), 0);
	fake_clock_advance(&t.time, NS_PER_SECOND);
	cr_expect_eq(bus_pio_read(t.bus, 0x608, 4), 3579545);
	fake_clock_advance(&t.time, 4 * NS_PER_SECOND);
	cr_expect_eq(bus_pio_read(t.bus, 0x608, 4), (5ull * 3579545) & 0xffffff, "24 bits");
	cr_expect_eq(bus_pio_read(t.bus, 0x609, 1), (5ull * 3579545) >> 8 & 0xff);
}

Test(pm, timer_carry_event)
{
	cr_expect_eq(in16(0x600), 0);
	fake_clock_advance(&t.time, 2400000000ull); /* past 2^23 ticks */
	cr_expect_eq(in16(0x600), 0x0001);
	cr_expect_eq(t.rises, 0);
	out16(0x600, 0x0001);
	cr_expect_eq(in16(0x600), 0);
	out16(0x602, 0x0001);
	fake_clock_advance(&t.time, 2300000000ull);
	cr_expect(t.level, "SCI");
	out16(0x600, 0x0001);
	cr_expect_not(t.level);
}

/* The carry that nobody has looked at yet counts when status or enables are written. */
Test(pm, a_carry_before_a_write)
{
	fake_clock_advance(&t.time, 2400000000ull);
	out16(0x600, 0x0001);
	cr_expect_eq(in16(0x600), 0, "cleared");
	fake_clock_advance(&t.time, 2400000000ull);
	out16(0x602, 0x0001);
	cr_expect(t.level, "at once");
	cr_expect_eq(in16(0x600), 1);
}

Test(pm, both_words_at_once)
{
	bus_pio_write(t.bus, 0x600, 0x05210000, 4);
	cr_expect_eq(bus_pio_read(t.bus, 0x600, 4), 0x05210000);
	piix4_pm_power_button(&t.pm);
	cr_expect(t.level);
	bus_pio_write(t.bus, 0x600, 0x00200100, 4);
	cr_expect_eq(bus_pio_read(t.bus, 0x600, 4), 0x00200000);
	cr_expect_not(t.level);
	out(0x603, 0x04);
	cr_expect_eq(in16(0x602), 0x0420, "the other byte stays");
	out(0x602, 0x01);
	cr_expect_eq(in16(0x602), 0x0401);
}

Test(pm, acpi_mode_through_the_smi_port)
{
	cr_expect_eq(in16(0x604) & 1, 0);
	out16(0x604, 0x0001);
	cr_expect_eq(in16(0x604) & 1, 0, "SCI_EN is firmware's");
	out(0xb2, 0xf1);
	cr_expect_eq(in16(0x604) & 1, 1);
	out16(0x604, 0x0000);
	cr_expect_eq(in16(0x604) & 1, 1);
	out(0xb2, 0xf0);
	cr_expect_eq(in16(0x604) & 1, 0);
}

Test(pm, power_button_and_power_off)
{
	out16(0x602, 0x0100);
	piix4_pm_power_button(&t.pm);
	cr_expect(t.level);
	out(0x601, 0x01); /* by byte */
	cr_expect_not(t.level);
	cr_expect_eq(in16(0x600) & 0x100, 0);
	out16(0x604, 0x0400 | 0x2000);
	cr_expect_eq(t.poweroffs, 0, "S5 only");
	cr_expect_eq(in16(0x600) & 0x8000, 0x8000, "awake again");
	out16(0x604, 0x2000);
	cr_expect_eq(t.poweroffs, 1);
	cr_expect_eq(in16(0x604) & 0x2000, 0, "write-only");
}

Test(pm, block_moves_with_pmbase)
{
	pci_config_write(&t.pm.function, 0x40, 0xb001, 4);
	cr_expect_eq(in16(0x600), 0xffff);
	cr_expect_eq(in16(0xb000), 0);
	pci_config_write(&t.pm.function, 0x80, 0, 1);
	cr_expect_eq(in16(0xb000), 0xffff);
}

Test(pm, general_purpose_events)
{
	cr_expect_eq(bus_pio_read(t.bus, 0xafe0, 4), 0);
	out16(0xafe2, 0xffff);
	cr_expect_eq(in16(0xafe2), 0xffff);
	cr_expect_not(t.level);
}
