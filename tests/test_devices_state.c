/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saved state of the board: one that loads what another saved goes on exactly as that one does;
 * what is damaged is refused, or harmless.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board/pc_board.h"
#include "devices/chips/hpet.h"
#include "fake_clock.h"

#define RAM_SIZE (32u << 20)
#define LAPIC    0xfee00000u
#define IO_APIC  0xfec00000u
#define MS       1000000ull
#define SMALL_DEVICES 4096u /* bytes of saved state before the first large buffer */

/* A board and what is seen of it. */
struct machine {
	struct error error; /* of the last that failed */
	struct bus *bus;
	struct fake_clock time;
	struct pc_board *board;
	struct chardev chardev[2];
	bool intr, a20;
	unsigned nmis, resets, poweroffs, ignnes;
};

static void on_level(void *opaque, unsigned n, bool level) { *(bool *)opaque = level; }
static void on_signal(void *opaque, unsigned n, uint32_t value) { ++*(unsigned *)opaque; }
static int no_read(void *opaque, gpa_t gpa, void *buf, size_t len) { return -EFAULT; }
static int no_write(void *opaque, gpa_t gpa, const void *buf, size_t len) { return -EFAULT; }

static void swallow(struct chardev *chardev, const uint8_t *bytes, size_t count) { }
static const struct chardev_ops swallow_ops = { .write = swallow };

static bool interrupts_off(void *opaque) { return false; }

static struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct pc_board_config config = {
		.memory = { no_read, no_write, NULL },
		.ram_size = RAM_SIZE,
		.intr = { on_level, &m->intr, 0 }, .a20 = { on_level, &m->a20, 0 },
		.nmi = { on_signal, &m->nmis, 0 }, .reset = { on_signal, &m->resets, 0 },
		.poweroff = { on_signal, &m->poweroffs, 0 },
		.ignne = { on_signal, &m->ignnes, 0 },
		.interrupt_flag = interrupts_off,
		.hpet = true,
		.rtc_base = 1700000000,
	};

	m->time.now = 5 * NS_PER_SECOND;
	cr_assert_eq(bus_create(&m->bus), 0);
	config.bus = m->bus;
	config.clock = fake_clock_interface(&m->time);
	for (unsigned i = 0; i < 2; i++) {
		m->chardev[i].ops = &swallow_ops;
		config.serial[i] = &m->chardev[i];
	}
	cr_assert_eq(pc_board_create(&config, &m->board, &m->error), 0, "%s", m->error.text);
	return m;
}

static void machine_free(struct machine *m)
{
	pc_board_destroy(m->board);
	bus_destroy(m->bus);
	free(m);
}

struct saved {
	uint8_t *bytes;
	size_t size;
};

static struct saved save(struct machine *m)
{
	struct saved s;

	cr_assert_eq(bus_save(m->bus, m->time.now, (void **)&s.bytes, &s.size), 0);
	return s;
}

static int load(struct machine *m, const uint8_t *bytes, size_t size)
{
	uint64_t now;

	if (!bus_saved_clock(bytes, size, &now))
		m->time.now = now;
	return bus_load(m->bus, bytes, size, &m->error);
}

/* The name of the first section in which they differ, or NULL. */
static const char *difference(struct saved a, struct saved b)
{
	size_t at = 24;

	if (a.size != b.size || memcmp(a.bytes, b.bytes, at))
		return "header";
	while (at < a.size) {
		const size_t size = STATE_HEADER_SIZE +
				    state_get32(a.bytes + at + STATE_NAME_SIZE + 8);

		if (memcmp(a.bytes + at, b.bytes + at, size))
			return (const char *)a.bytes + at;
		at += size;
	}
	return NULL;
}

/* Where the section of a device begins, or NULL. */
static uint8_t *section_of(struct saved s, const char *name)
{
	size_t at = 24;

	while (at < s.size) {
		if (!strcmp((char *)s.bytes + at, name))
			return s.bytes + at;
		at += STATE_HEADER_SIZE + state_get32(s.bytes + at + STATE_NAME_SIZE + 8);
	}
	return NULL;
}

static void out(struct machine *m, uint16_t port, uint8_t value)
{
	bus_pio_write(m->bus, port, value, 1);
}

static uint8_t in(struct machine *m, uint16_t port)
{
	return (uint8_t)bus_pio_read(m->bus, port, 1);
}

static void apic(struct machine *m, unsigned reg, uint32_t value)
{
	bus_mmio_write(m->bus, GPA(LAPIC + reg), value, 4);
}

static void io_apic(struct machine *m, unsigned reg, uint32_t value)
{
	bus_mmio_write(m->bus, GPA(IO_APIC), reg, 4);
	bus_mmio_write(m->bus, GPA(IO_APIC + 0x10), value, 4);
}

static void wait_ns(struct machine *m, uint64_t ns) { fake_clock_advance(&m->time, ns); }

/* Two boards driven alike see the same. */

static uint32_t step(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static const uint16_t ports[] = {
	0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71,
	0x92, 0xb2, 0xb3, 0xf0, 0xcf8, 0xcf9, 0xcfc, 0xcfe, 0x600, 0x602, 0x604, 0x608, 0xafe0,
	0xafe2, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x2f8, 0x2f9, 0x2fa, 0x2fd,
};

static uint32_t touch_port(struct machine *m, uint32_t choice, uint32_t value)
{
	const uint16_t port = ports[value % RF_ARRAY_SIZE(ports)];
	const unsigned size = 1u << choice % 3;

	if (choice & 8)
		return bus_pio_read(m->bus, port, size);
	bus_pio_write(m->bus, port, value >> 6, size);
	return 0;
}

static uint32_t store_unlocked(struct machine *m, uint32_t value)
{
	void *opaque;
	const pc_board_store_fn store = pc_board_store_unlocked(m->board, &opaque);

	return store(opaque, GPA(LAPIC + 0x80), value);
}

static uint32_t touch_memory(struct machine *m, uint32_t choice, uint32_t value)
{
	const uint32_t gpa = value & 1 ? LAPIC + (value >> 1 & 0x3f0) :
			     value & 2 ? HPET_BASE + (value >> 2 & 0x17c) :
					 IO_APIC + (value & 0x10);

	if (choice % 8 == 7)
		return store_unlocked(m, value >> 6 & 0xff);
	if (choice & 8)
		return (uint32_t)bus_mmio_read(m->bus, GPA(gpa), 4);
	bus_mmio_write(m->bus, GPA(gpa), value >> 6, 4);
	return 0;
}

static uint32_t touch_rest(struct machine *m, uint32_t choice, uint32_t value)
{
	const uint8_t byte = (uint8_t)value;
	struct chardev *chardev = &m->chardev[value & 1];

	switch (choice % 6) {
	case 0: pc_board_set_irq(m->board, value % 24, value >> 8 & 1); break;
	case 1: pc_board_keyboard_put(m->board, &byte, 1); break;
	case 2:
		if (chardev_can_receive(chardev))
			chardev_receive(chardev, &byte, 1);
		break;
	case 3: pc_board_power_button(m->board); break;
	default: wait_ns(m, value % (2 * MS)); break;
	}
	return 0;
}

/* One step of a life; what is seen of it. */
static uint32_t live(struct machine *m, uint32_t *seed, bool writes)
{
	const uint32_t what = step(seed), value = step(seed);
	const uint32_t choice = writes ? what >> 4 : what >> 4 | 8;

	switch (what % 4) {
	case 0: return touch_port(m, choice, value);
	case 1: return touch_memory(m, choice, value);
	case 2: return writes ? touch_rest(m, choice, value) : (wait_ns(m, value % MS), 0);
	default: return (uint32_t)pc_board_acknowledge(m->board);
	}
}

static void copy_counts(struct machine *to, const struct machine *from)
{
	to->nmis = from->nmis;
	to->resets = from->resets;
	to->poweroffs = from->poweroffs;
	to->ignnes = from->ignnes;
}

static void expect_alike(struct machine *a, struct machine *b, const char *name, bool writes)
{
	uint32_t seed_a = 1, seed_b = 1;

	for (unsigned i = 0; i < 4000; i++) {
		const uint32_t seen = live(a, &seed_a, writes), other = live(b, &seed_b, writes);

		cr_assert_eq(seen, other, "%s: step %u: %x, not %x", name, i, other, seen);
		cr_assert(a->intr == b->intr && a->a20 == b->a20 && a->nmis == b->nmis &&
				  a->resets == b->resets && a->poweroffs == b->poweroffs &&
				  a->ignnes == b->ignnes,
			  "%s: step %u: a pin", name, i);
	}
}

/* For each device, a state that has something in each corner. */

static void program_pics(struct machine *m)
{
	static const uint8_t writes[][2] = {
		{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xa0, 0x11 }, { 0xa1, 0x38 }, { 0xa1, 0x02 }, { 0xa1, 0x01 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++)
		out(m, writes[i][0], writes[i][1]);
}

static void drive_pic(struct machine *m)
{
	program_pics(m);
	out(m, 0x21, 0x20);
	pc_board_set_irq(m->board, 5, true);
	pc_board_set_irq(m->board, 12, true);
	pc_board_acknowledge(m->board); /* one in service */
	pc_board_set_irq(m->board, 3, true);
	out(m, 0x20, 0xc2); /* priority */
	out(m, 0xa0, 0x11); /* half initialized */
	out(m, 0xa1, 0x70);
}

static void drive_pit(struct machine *m)
{
	program_pics(m);
	out(m, 0x43, 0x34);
	out(m, 0x40, 0xa9);
	out(m, 0x40, 0x04); /* 1 kHz */
	out(m, 0x61, 0x01);
	out(m, 0x43, 0xb1); /* channel 2: mode 0, BCD */
	out(m, 0x42, 0x34);
	out(m, 0x42, 0x12);
	wait_ns(m, 100 * MS + 7); /* ticks are owed */
	out(m, 0x61, 0x00);
	out(m, 0x43, 0x00); /* latched, half read */
	in(m, 0x40);
	out(m, 0x40, 0x55); /* half a count */
}

static void drive_lapic(struct machine *m)
{
	apic(m, 0xf0, 0x1ff);
	apic(m, 0xd0, 0x02000000);
	apic(m, 0xe0, 0x0fffffff);
	apic(m, 0x300, 0x40061);
	pc_board_acknowledge(m->board);
	apic(m, 0x300, 0x40071);
	apic(m, 0x080, 0x70);
	apic(m, 0x300, 0x40005); /* an illegal vector */
	apic(m, 0x3e0, 0x9);
	apic(m, 0x320, 0x20000 | 0x81);
	apic(m, 0x380, 20000);
	wait_ns(m, 20 * MS + 3);
}

/* A guest waits by the clock: ticks of both timers, one lost so, one owed. */
static void drive_watch(struct machine *m)
{
	drive_pit(m);
	drive_lapic(m);
	for (unsigned i = 0; i < 20; i++) {
		wait_ns(m, i == 10 ? 5 * MS : MS / 4);
		in(m, 0x61);
	}
}

static void drive_lapic_away(struct machine *m)
{
	cr_expect(pc_board_apic_base_set(m->board, 0xfeb00900));
}

static void drive_io_apic(struct machine *m)
{
	apic(m, 0xf0, 0x1ff);
	io_apic(m, 0, 0x03000000);
	io_apic(m, 0x10 + 2 * 5, 0x8045); /* level */
	io_apic(m, 0x10 + 2 * 7, 0x0047);
	io_apic(m, 0x10 + 2 * 20, 0x18050);
	pc_board_set_irq(m->board, 5, true);
	pc_board_set_irq(m->board, 7, true);
	pc_board_set_irq(m->board, 20, true);
	pc_board_acknowledge(m->board);
}

static void hpet(struct machine *m, unsigned reg, uint64_t value)
{
	bus_mmio_write(m->bus, GPA(HPET_BASE + reg), value, 8);
}

static void drive_hpet(struct machine *m)
{
	program_pics(m);
	hpet(m, 0x100, 0x4c); /* periodic */
	hpet(m, 0x108, 100000);
	hpet(m, 0x120, 0x506); /* level, 32 bits, pin 2 */
	hpet(m, 0x128, 12345);
	hpet(m, 0x140, 0x404);
	hpet(m, 0x148, 1ull << 40);
	hpet(m, 0x10, 3);
	wait_ns(m, 20 * MS + 3); /* ticks are owed */
}

static void drive_rtc(struct machine *m)
{
	static const uint8_t writes[][2] = {
		{ 0x0b, 0x82 }, { 0x04, 0x12 }, { 0x0b, 0x62 }, { 0x05, 0xc0 }, { 0x03, 0xc0 },
		{ 0x01, 0x30 }, { 0x0a, 0x27 }, { 0x55, 0xaa },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(writes); i++) {
		out(m, 0x70, writes[i][0]);
		out(m, 0x71, writes[i][1]);
	}
	wait_ns(m, 1234 * MS + 5);
	out(m, 0x70, 0x8c);
}

static void drive_uart(struct machine *m)
{
	out(m, 0x3fa, 0x81);
	out(m, 0x3f9, 0x0f);
	out(m, 0x3fc, 0x0b);
	out(m, 0x3ff, 0x5a);
	chardev_receive(&m->chardev[0], (const uint8_t *)"abcdef", 6);
	in(m, 0x3f8);
	chardev_event(&m->chardev[0], CHARDEV_BREAK);
	wait_ns(m, MS);
	out(m, 0x2fb, 0x80);
	out(m, 0x2f8, 0x03);
	chardev_receive(&m->chardev[1], (const uint8_t *)"x", 1);
}

static void drive_keyboard(struct machine *m)
{
	pc_board_keyboard_put(m->board, (const uint8_t[]){ 0x1c, 0xf0, 0x1c, 0xf0 }, 4);
	out(m, 0x60, 0xed); /* the LEDs' parameter is to come */
	out(m, 0x64, 0x65); /* and a byte of the controller's memory */
	out(m, 0x60, 0x42);
	out(m, 0x64, 0xd4);
	out(m, 0x60, 0xf4);
	out(m, 0x64, 0xd4);
	out(m, 0x60, 0xe8);
	out(m, 0x64, 0xd1);
}

static void drive_gates(struct machine *m)
{
	const struct signal_line ferr = pc_board_ferr(m->board);

	out(m, 0x92, 0x08);
	out(m, 0x61, 0x0b);
	signal_raise(&ferr, 0);
}

static void configure(struct machine *m, unsigned function, unsigned at, uint32_t value)
{
	bus_pio_write(m->bus, 0xcf8, 0x80000000 | function << 8 | at, 4);
	bus_pio_write(m->bus, 0xcfc, value, 4);
}

static void drive_pci(struct machine *m)
{
	configure(m, 0, 0x58, 0x30303000);
	configure(m, 8, 0x60, 0x0b0a0905);
	configure(m, 8 + 3, 0x40, 0x1000);
	out(m, 0xcf9, 0x02);
}

static void drive_pm(struct machine *m)
{
	out(m, 0xb2, 0xf1);
	out(m, 0xb3, 0x77);
	bus_pio_write(m->bus, 0x602, 0x0101, 2);
	pc_board_power_button(m->board);
	out(m, 0xafe2, 0x3c);
	wait_ns(m, 3 * NS_PER_SECOND);
}

/* Timers that will run, and nothing that is up already: only what is loaded makes them run. */

static void listen_to_pics(struct machine *m)
{
	program_pics(m);
	out(m, 0x21, 0x01); /* but for the 8254 */
	out(m, 0xa1, 0x00);
	pc_board_acknowledge(m->board);
	out(m, 0x20, 0x20);
}

static void drive_lapic_ahead(struct machine *m)
{
	apic(m, 0xf0, 0x1ff);
	apic(m, 0x3e0, 0xb);
	apic(m, 0x320, 0x81);
	apic(m, 0x380, 10 * MS);
	wait_ns(m, 3 * MS);
}

static void drive_rtc_ahead(struct machine *m)
{
	listen_to_pics(m);
	out(m, 0x70, 0x0a);
	out(m, 0x71, 0x2d); /* 8 Hz */
	out(m, 0x70, 0x0b);
	out(m, 0x71, 0x42);
	out(m, 0x70, 0x0c);
	in(m, 0x71);
	out(m, 0x70, 0x0d); /* a read of register C would set the timer */
}

static void drive_pm_ahead(struct machine *m)
{
	listen_to_pics(m);
	wait_ns(m, 2 * NS_PER_SECOND); /* 30 ms before the carry */
	bus_pio_write(m->bus, 0x600, 0xffff, 2);
	bus_pio_write(m->bus, 0x602, 0x0001, 2);
}

static const struct {
	const char *section; /* is not as after a reset then */
	void (*drive)(struct machine *m);
} drives[] = {
	{ "board-lines", drive_pic }, { "i8259", drive_pic }, { "i8254", drive_pit },
	{ "hpet", drive_hpet }, { "i8254", drive_hpet }, { "tick-watch", drive_watch },
	{ "local-apic", drive_lapic },
	{ "local-apic", drive_lapic_away }, { "io-apic", drive_io_apic }, { "mc146818", drive_rtc },
	{ "uart16550", drive_uart }, { "i8042", drive_keyboard }, { "a20-gate", drive_gates },
	{ "port61", drive_gates }, { "port92", drive_gates }, { "fpu-error", drive_gates },
	{ "pci-host", drive_pci }, { "i440FX", drive_pci }, { "piix3", drive_pci },
	{ "piix4-pm", drive_pm }, { "local-apic", drive_lapic_ahead },
	{ "mc146818", drive_rtc_ahead }, { "piix4-pm", drive_pm_ahead },
};

static bool section_differs(struct saved a, struct saved b, const char *name)
{
	const uint8_t *x = section_of(a, name), *y = section_of(b, name);

	cr_assert(x && y, "%s", name);
	return memcmp(x, y, STATE_HEADER_SIZE + state_get32(x + STATE_NAME_SIZE + 8));
}

/* Into a board as after a reset, or one that has led another life, of which no trace is left. */
static void drive_to_and_fro(unsigned n, bool writes, bool used)
{
	struct machine *a = machine_new(), *b = machine_new();
	struct saved fresh = save(b), saved, again;

	drives[n].drive(a);
	saved = save(a);
	for (unsigned i = 0; used && i < RF_ARRAY_SIZE(drives); i++)
		drives[i].drive(b);
	cr_expect(section_differs(fresh, saved, drives[n].section), "%s", drives[n].section);
	cr_assert_eq(load(b, saved.bytes, saved.size), 0, "%s", b->error.text);
	again = save(b);
	cr_expect_null(difference(saved, again), "%s: %s", drives[n].section,
		       difference(saved, again));
	copy_counts(b, a);
	cr_expect(a->intr == b->intr && a->a20 == b->a20, "%s", drives[n].section);
	cr_expect_eq(store_unlocked(a, 0x20), store_unlocked(b, 0x20), "%s", drives[n].section);
	expect_alike(a, b, drives[n].section, writes);
	free(fresh.bytes);
	free(saved.bytes);
	free(again.bytes);
	machine_free(a);
	machine_free(b);
}

Test(state, every_device_goes_on_alike)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(drives); i++)
		for (unsigned used = 0; used < 2; used++)
			drive_to_and_fro(i, false, used);
}

Test(state, and_does_what_it_is_told)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(drives); i++)
		for (unsigned used = 0; used < 2; used++)
			drive_to_and_fro(i, true, used);
}

Test(state, a_random_life_goes_on_alike)
{
	for (uint32_t life = 1; life <= 40; life++) {
		struct machine *a = machine_new(), *b = machine_new();
		struct saved saved, again;
		uint32_t seed = life;

		for (unsigned i = 0; i < 1000; i++)
			live(a, &seed, true);
		saved = save(a);
		cr_assert_eq(load(b, saved.bytes, saved.size), 0, "life %u: %s", life,
			     b->error.text);
		again = save(b);
		cr_expect_null(difference(saved, again), "life %u: %s", life,
			       difference(saved, again));
		copy_counts(b, a);
		expect_alike(a, b, "a life", true);
		free(saved.bytes);
		free(again.bytes);
		machine_free(a);
		machine_free(b);
	}
}

/* What is refused. */

static struct saved driven(struct machine *m)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(drives); i++)
		drives[i].drive(m);
	return save(m);
}

Test(state, what_is_cut_off_is_refused_and_changes_nothing)
{
	struct machine *a = machine_new(), *b = machine_new();
	struct saved saved = driven(a), before, after;
	uint8_t *copy = malloc(saved.size + 1);

	b->time.now = a->time.now;
	before = save(b);
	/* Each byte of the small devices; of the buffers of disks, some. */
	for (size_t size = 0; size < saved.size; size += size < SMALL_DEVICES ? 1 : 1021) {
		uint8_t *cut = malloc(size ? size : 1); /* so that a sanitizer sees its end */

		memcpy(cut, saved.bytes, size);
		cr_assert_eq(bus_load(b->bus, cut, size, &b->error), -EINVAL, "%zu bytes", size);
		free(cut);
	}
	memcpy(copy, saved.bytes, saved.size);
	copy[saved.size] = 0;
	cr_expect_eq(bus_load(b->bus, copy, saved.size + 1, &b->error), -EINVAL);
	after = save(b);
	cr_expect_null(difference(before, after));
	cr_expect_eq(bus_load(b->bus, copy, saved.size, &b->error), 0);
	free(before.bytes);
	free(after.bytes);
	free(saved.bytes);
	free(copy);
	machine_free(a);
	machine_free(b);
}

/* Where a field of one byte is in the section of its device, and a value that it cannot have. */
static const struct {
	const char *device, *field;
	unsigned at;
	uint8_t value;
} wrongs[] = {
	{ "i8259", "init_step", 9, 5 }, { "i8259", "lowest", 10, 8 },
	{ "i8254", "mode", 26, 6 }, { "i8254", "start_ns", 7, 0x80 },
	{ "i8254", "s.deadline_ns", 34, 0 }, { "i8254", "running", 39 + 34, 1 },
	{ "hpet", "config", 49, 0x40 }, { "hpet", "config", 49, 0x02 },
	{ "hpet", "deadline_ns", 16, 1 }, { "hpet", "s.start_ns", 156 + 15, 0x80 },
	{ "hpet", "s.config", 172, 4 }, { "hpet", "s.status", 173, 8 },
	{ "hpet", "s.inputs", 174, 4 }, { "tick-watch", "s.last_ns", 7, 0x80 },
	{ "uart16550", "s.head", 41, 3 }, { "uart16550", "s.count", 42, 2 },
	{ "uart16550", "s.head", 41, 16 }, { "uart16550", "s.count", 42, 17 },
	{ "i8042", "head", 37 + 32, 32 }, { "i8042", "count", 37 + 33, 33 },
	{ "i8042", "s.command", 34, 0x20 }, { "i8042", "protocol", 37 + 44, 3 },
	{ "i8042", "protocol", 37 + 45 + 44, 3 },
	{ "mc146818", "s.weekday_shift", 1 + 128 + 3 * 8, 7 },
	{ "io-apic", "s.entry", 1, 0x40 }, { "io-apic", "s.lines", 24 * 8 + 3, 1 },
	{ "local-apic", "s.lint_level", 201, 2 }, { "local-apic", "s.lvt", 104 + 3, 0x80 },
	{ "local-apic", "s.lvt", 104 + 4 + 3, 0x80 }, { "local-apic", "s.lvt", 104 + 20 + 3, 0x80 },
	{ "pci-host", "s.address", 3, 0x40 }, { "piix3", "function.config", 3 + 16, 0 },
	{ "board-lines", "sources", 3, 0x80 },
};

Test(state, values_out_of_range_are_refused_by_name)
{
	struct machine *m = machine_new();
	struct saved saved = save(m);

	for (unsigned i = 0; i < RF_ARRAY_SIZE(wrongs); i++) {
		uint8_t *byte = section_of(saved, wrongs[i].device) + STATE_HEADER_SIZE +
				wrongs[i].at;
		const uint8_t right = *byte;

		*byte = wrongs[i].value;
		cr_expect_eq(bus_load(m->bus, saved.bytes, saved.size, &m->error), -EINVAL, "%s.%s",
			     wrongs[i].device, wrongs[i].field);
		cr_expect(strstr(m->error.text, wrongs[i].device) &&
				  strstr(m->error.text, wrongs[i].field),
			  "%s.%s: %s", wrongs[i].device, wrongs[i].field, m->error.text);
		*byte = right;
	}
	cr_expect_eq(bus_load(m->bus, saved.bytes, saved.size, &m->error), 0);
	free(saved.bytes);
	machine_free(m);
}

static void expect_refused(struct machine *m, struct saved saved, uint8_t *byte, const char *why)
{
	*byte ^= 1;
	cr_expect_eq(bus_load(m->bus, saved.bytes, saved.size, &m->error), -EINVAL, "%s", why);
	cr_expect(strstr(m->error.text, why), "%s: %s", why, m->error.text);
	*byte ^= 1;
}

Test(state, another_version_or_device_is_refused)
{
	struct machine *m = machine_new();
	struct saved saved = save(m);
	uint8_t *section = section_of(saved, "i8254");

	expect_refused(m, saved, section, "another device where i8254");
	expect_refused(m, saved, section + 23, "another device where i8254");
	expect_refused(m, saved, section + 24, "another device where i8254");
	expect_refused(m, saved, section + 28, "i8254 has version 5, not 4");
	expect_refused(m, saved, section + 32, "i8254 has");
	expect_refused(m, saved, saved.bytes, "no saved state of devices");
	expect_refused(m, saved, saved.bytes + 8, "another version");
	expect_refused(m, saved, saved.bytes + 12, "other devices");
	saved.bytes[23] = 2;
	expect_refused(m, saved, saved.bytes + 23, "no saved state of devices");
	free(saved.bytes);
	machine_free(m);
}

/* Though the file has it wait while the keyboard is enabled, as no 8042 does. */
Test(state, a_key_that_waits_can_be_read)
{
	struct machine *m = machine_new();
	struct saved saved;

	out(m, 0x64, 0xad);
	pc_board_keyboard_put(m->board, (const uint8_t[]){ 0x1c }, 1);
	cr_expect_eq(in(m, 0x64) & 1, 0, "the keyboard is disabled");
	saved = save(m);
	section_of(saved, "i8042")[STATE_HEADER_SIZE] &= ~0x10; /* the mode: enabled */
	cr_assert_eq(load(m, saved.bytes, saved.size), 0, "%s", m->error.text);
	cr_expect_eq(in(m, 0x64) & 1, 1);
	free(saved.bytes);
	machine_free(m);
}

/* Damage that is not noticed makes another state, but one that a machine can live with. */
Test(state, random_damage_is_safe)
{
	struct machine *m = machine_new();
	struct saved saved = driven(m);
	uint8_t *copy = malloc(saved.size);
	unsigned accepted = 0;
	uint32_t seed = 1;

	for (unsigned i = 0; i < 3000; i++) {
		memcpy(copy, saved.bytes, saved.size);
		for (unsigned n = 1 + step(&seed) % 3; n; n--)
			copy[step(&seed) % (i % 2 ? saved.size : SMALL_DEVICES)] =
				(uint8_t)step(&seed);
		if (load(m, copy, saved.size))
			continue;
		accepted++;
		for (unsigned n = 0; n < 30; n++)
			live(m, &seed, true);
	}
	cr_expect_geq(accepted, 1000, "%u", accepted);
	cr_expect_eq(load(m, saved.bytes, saved.size), 0);
	free(saved.bytes);
	free(copy);
	machine_free(m);
}
