/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Video memory as memory: which parts the adapter asks to have mapped, and that a guest cannot tell
 * by what it reads and what the screen shows. Two adapters get the same registers and accesses; one
 * of them has its memory mapped where and when it asks for it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chips/pci_host.h"
#include "devices/video/vga.h"
#include "fake_clock.h"
#include "random_state.h"

#define FRAME 0xfd000000u
#define ENOUGH 300 /* accesses after which everything is mapped that can be */

struct adapter {
	struct bus *bus;
	struct pci_host host;
	struct fake_clock time;
	struct vga vga;
	uint8_t *store;
	uint64_t stored; /* chunks, for the next time it asks */
	bool stale;
	struct display_view view[DISPLAY_VIEWS];
};

/* The one with memory mapped, and the one without. */
static struct adapter mapped, plain;

/* Nanoseconds before each access to a port: nothing is mapped for too short. */
static uint64_t passes = 20000000;

static void views_changed(void *opaque, unsigned n, uint32_t value)
{
	((struct adapter *)opaque)->stale = true;
}

static uint64_t stores(void *opaque)
{
	struct adapter *a = opaque;
	const uint64_t stored = a->stored;

	a->stored = 0;
	return stored;
}

static void set_config(struct adapter *a, unsigned offset, uint32_t value)
{
	pci_config_write(&a->vga.function, offset, value, 4);
}

static void make(struct adapter *a, bool with_store)
{
	struct display_memory shared = { .views_changed = { views_changed, a, 0 },
					 .stores = stores, .stores_opaque = a };
	struct error error = { 0 };
	struct clock clock;

	memset(a, 0, sizeof(*a));
	clock = fake_clock_interface(&a->time);
	a->store = shared.store = with_store ? calloc(1, VGA_STORE_SIZE) : NULL;
	cr_assert_eq(bus_create(&a->bus), 0);
	pci_host_init(&a->host, a->bus);
	cr_assert_eq(vga_init(&a->vga, PCI_DEVFN(2, 0), &clock, &shared), 0);
	pci_host_add(&a->host, &a->vga.function);
	cr_assert_eq(bus_attach(a->bus, &vga_desc, &a->vga, 0, &error), 0, "%s", error.text);
	bus_reset_all(a->bus);
	bus_pio_write(a->bus, 0x3c2, 0x67, 1);
	set_config(a, PCI_BAR0, FRAME);
	set_config(a, PCI_COMMAND, PCI_COMMAND_MEMORY);
}

static void unmake(struct adapter *a)
{
	bus_detach(a->bus, &a->vga);
	vga_destroy(&a->vga);
	bus_destroy(a->bus);
	free(a->store);
}

static void setup(void)
{
	make(&mapped, true);
	make(&plain, false);
}

static void teardown(void)
{
	unmake(&mapped);
	unmake(&plain);
}

TestSuite(vga_map, .init = setup, .fini = teardown);

/* As the machine does before the guest's next instruction. */
static void follow(void)
{
	cr_assert_not(plain.stale, "it has no memory to map");
	if (mapped.stale)
		vga_views(&mapped.vga, mapped.view);
	mapped.stale = false;
}

/* Where a mapped access goes, if it does. */
static uint8_t *memory_at(uint32_t at, unsigned size)
{
	for (unsigned i = 0; i < DISPLAY_VIEWS; i++) {
		const struct display_view *view = &mapped.view[i];

		if (at - view->start < view->size && at + size - view->start <= view->size)
			return mapped.store + view->at + (at - view->start);
	}
	return NULL;
}

static void out(uint16_t port, uint32_t value, unsigned size)
{
	mapped.time.now = plain.time.now += passes;
	bus_pio_write(mapped.bus, port, value, size);
	bus_pio_write(plain.bus, port, value, size);
	follow();
}

static void indexed(uint16_t port, uint8_t index, uint8_t value)
{
	out(port, (uint32_t)value << 8 | index, 2);
}

static void seq(uint8_t index, uint8_t value) { indexed(0x3c4, index, value); }
static void gc(uint8_t index, uint8_t value) { indexed(0x3ce, index, value); }

static void dispi(uint16_t index, uint16_t value)
{
	out(0x1ce, index, 2);
	out(0x1d0, value, 2);
}

static void store(uint32_t at, uint32_t value, unsigned size)
{
	uint8_t *memory = memory_at(at, size);

	if (memory)
		memcpy(memory, &value, size);
	else
		bus_mmio_write(mapped.bus, GPA(at), value, size);
	bus_mmio_write(plain.bus, GPA(at), value, size);
	follow();
}

/* A mapped read does not load the latches: the one difference there is. */
static uint32_t load(uint32_t at, unsigned size)
{
	uint8_t *memory = memory_at(at, size);
	uint32_t value = 0, expected = (uint32_t)bus_mmio_read(plain.bus, GPA(at), size);

	if (memory)
		memcpy(&value, memory, size);
	else
		value = (uint32_t)bus_mmio_read(mapped.bus, GPA(at), size);
	cr_assert_eq(value, expected, "%u bytes at %xh: %x, not %x", size, at, value, expected);
	if (memory)
		mapped.vga.s.latch = plain.vga.s.latch;
	follow();
	return value;
}

static void touch(uint32_t at)
{
	for (unsigned i = 0; i < ENOUGH; i++)
		load(at, 1);
}

static void set_all(const uint8_t sequencer[5], const uint8_t graphics[9])
{
	for (uint8_t i = 0; i < 5; i++)
		seq(i, sequencer[i]);
	for (uint8_t i = 0; i < 9; i++)
		gc(i, graphics[i]);
}

static void text_mode(void)
{
	set_all((uint8_t[]){ 3, 0, 3, 0, 2 }, (uint8_t[]){ 0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff });
}

static void mode_13h(void)
{
	set_all((uint8_t[]){ 3, 1, 15, 0, 14 }, (uint8_t[]){ 0, 0, 0, 0, 0, 0x40, 5, 15, 0xff });
}

static void planar_mode(void)
{
	set_all((uint8_t[]){ 3, 1, 15, 0, 6 }, (uint8_t[]){ 0, 0, 0, 0, 0, 0, 5, 15, 0xff });
}

static void linear_mode(uint16_t bpp)
{
	dispi(4, 0);
	dispi(1, 640);
	dispi(2, 400);
	dispi(3, bpp);
	dispi(4, 0xc1); /* what is in memory stays */
}

static void expect_view(unsigned i, uint32_t start, uint32_t size, uint32_t at)
{
	cr_expect_eq(mapped.view[i].size, size, "view %u: %x bytes", i, mapped.view[i].size);
	if (size)
		cr_expect(mapped.view[i].start == start && mapped.view[i].at == at,
			  "view %u: %x at %x", i, mapped.view[i].at, mapped.view[i].start);
}

/* What is mapped. */

Test(vga_map, text_is_mapped_once_it_is_used)
{
	text_mode();
	load(0xb8000, 1);
	expect_view(0, 0, 0, 0);
	touch(0xb8000);
	expect_view(0, 0xb8000, 0x8000, VGA_MEMORY_SIZE + 0x18000);
	gc(6, 0x0a);
	expect_view(0, 0, 0, 0);
	touch(0xb0000);
	expect_view(0, 0xb0000, 0x8000, VGA_MEMORY_SIZE + 0x10000);
	gc(6, 0x02); /* 128 KiB show each byte twice */
	touch(0xb0000);
	expect_view(0, 0, 0, 0);
}

Test(vga_map, what_changes_bytes_on_their_way_is_not_mapped)
{
	static const struct { bool gc; uint8_t index, value, back; } registers[] = {
		{ false, 2, 1, 3 }, { false, 2, 7, 3 }, { false, 4, 6, 2 }, { true, 1, 1, 0 },
		{ true, 3, 1, 0 }, { true, 3, 0x18, 0 }, { true, 4, 2, 0 }, { true, 5, 0x11, 0x10 },
		{ true, 5, 0x18, 0x10 }, { true, 5, 0, 0x10 }, { true, 8, 0xfe, 0xff },
	};

	text_mode();
	for (unsigned i = 0; i < RF_ARRAY_SIZE(registers); i++) {
		void (*set)(uint8_t, uint8_t) = registers[i].gc ? gc : seq;

		touch(0xb8000);
		cr_expect_eq(mapped.view[0].size, 0x8000, "register %u", i);
		set(registers[i].index, registers[i].value);
		touch(0xb8000);
		expect_view(0, 0, 0, 0);
		set(registers[i].index, registers[i].back);
	}
	touch(0xb8000);
	out(0x3c2, 0x65, 1); /* no memory there */
	touch(0xb8000);
	expect_view(0, 0, 0, 0);
}

Test(vga_map, chained_planes_and_banks_are_mapped)
{
	mode_13h();
	touch(0xa0000);
	expect_view(0, 0xa0000, 0x10000, VGA_MEMORY_SIZE);
	linear_mode(8);
	expect_view(0, 0, 0, 0);
	touch(0xa0000);
	expect_view(0, 0xa0000, 0x10000, 0);
	dispi(5, 3);
	expect_view(0, 0, 0, 0);
	touch(0xa0000);
	expect_view(0, 0xa0000, 0x10000, 0x30000);
	linear_mode(4);
	touch(0xa0000);
	expect_view(0, 0, 0, 0);
}

Test(vga_map, the_frame_buffer_is_mapped_where_it_is)
{
	linear_mode(32);
	touch(FRAME);
	expect_view(1, FRAME, VGA_MEMORY_SIZE, 0);
	set_config(&mapped, PCI_BAR0, 0xfb000000);
	follow();
	expect_view(1, 0, 0, 0);
	set_config(&plain, PCI_BAR0, 0xfb000000);
	touch(0xfb000000);
	expect_view(1, 0xfb000000, VGA_MEMORY_SIZE, 0);
	set_config(&mapped, PCI_COMMAND, 0);
	follow();
	expect_view(1, 0, 0, 0);
}

Test(vga_map, while_text_has_its_own_store_the_frame_buffer_is_not_mapped)
{
	text_mode();
	touch(FRAME);
	expect_view(1, FRAME, VGA_MEMORY_SIZE, 0);
	touch(0xb8000);
	expect_view(1, 0, 0, 0);
	store(0xb8000, 0x0741, 2);
	load(FRAME, 4);
	store(FRAME, 0x12345678, 4);
	load(0xb8000, 4);
}

Test(vga_map, a_reset_takes_all_back)
{
	text_mode();
	touch(0xb8000);
	store(0xb8000, 0x0741, 2);
	bus_reset_all(mapped.bus);
	cr_expect(mapped.stale);
	follow();
	expect_view(0, 0, 0, 0);
	expect_view(1, 0, 0, 0);
	bus_reset_all(plain.bus);
	set_config(&mapped, PCI_BAR0, FRAME);
	set_config(&plain, PCI_BAR0, FRAME);
	out(0x3c2, 0x67, 1);
	text_mode();
	cr_expect_eq(load(0xb8000, 4), 0, "memory is empty");
}

/* Modes that come and go. */

static unsigned accesses_until_mapped(void)
{
	unsigned n = 0;

	for (; !mapped.view[0].size && n < 10000; n++)
		load(0xb8000, 1);
	return n;
}

Test(vga_map, who_changes_modes_often_has_to_wait)
{
	unsigned first, later = 0;

	text_mode();
	first = accesses_until_mapped();
	passes = 0;
	for (unsigned i = 0; i < 8; i++) {
		gc(5, 0);
		gc(5, 0x10);
		later = accesses_until_mapped();
	}
	cr_expect(later > 4 * first && later < 10000, "%u, then %u", first, later);
	passes = 20000000;
	gc(5, 0);
	gc(5, 0x10);
	cr_expect_eq(accesses_until_mapped(), first, "it kept its mode");
}

Test(vga_map, a_font_is_loaded_beside_text)
{
	text_mode();
	touch(0xb8000);
	for (unsigned i = 0; i < 4000; i += 2)
		store(0xb8000 + i, 0x0700 + i % 251, 2);
	seq(2, 4);
	seq(4, 6);
	gc(5, 0);
	gc(6, 5);
	for (unsigned i = 0; i < 8192; i++)
		store(0xa0000 + i, i * 7, 1);
	gc(4, 2);
	for (unsigned i = 0; i < 8192; i++)
		load(0xa0000 + i, 1);
	text_mode();
	for (unsigned i = 0; i < 4000; i += 2)
		load(0xb8000 + i, 2);
}

static void compare_memory(void)
{
	for (uint32_t at = 0; at < 0x60000; at += 8) {
		const uint64_t a = bus_mmio_read(mapped.bus, GPA(FRAME + at), 8),
			       b = bus_mmio_read(plain.bus, GPA(FRAME + at), 8);

		cr_assert_eq(a, b, "byte %x of video memory: %llx, not %llx", at,
			     (unsigned long long)a, (unsigned long long)b);
	}
	follow();
}

static void compare_screens(void)
{
	struct display a = vga_display(&mapped.vga), b = vga_display(&plain.vga);
	const struct display_size size = a.size(a.opaque);
	const size_t bytes = (size_t)size.width * size.height * sizeof(uint32_t);
	uint32_t *pixels = malloc(bytes), *expected = malloc(bytes);

	a.render(a.opaque, pixels, size.width);
	b.render(b.opaque, expected, size.width);
	cr_assert_eq(memcmp(pixels, expected, bytes), 0, "the pictures differ");
	free(pixels);
	free(expected);
}

static void random_register(struct random_source *r)
{
	static const uint8_t sequencer[] = { 3, 15, 4, 2, 6, 14 }, memory[] = { 2, 6, 14, 0 };
	static const uint8_t modes[] = { 0x10, 0, 0x40, 1, 2, 3, 8 }, maps[] = { 5, 14, 10, 2 };
	const uint8_t any = (uint8_t)random_next(r);

	switch (random_next(r) % 10) {
	case 0: seq(2, sequencer[any % 6]); break;
	case 1: seq(4, memory[any % 4]); break;
	case 2: gc(5, modes[any % 7]); break;
	case 3: gc(6, maps[any % 4]); break;
	case 4: gc(random_next(r) % 9, any); break;
	case 5: gc(4, any & 3); break;
	case 6: dispi(4, any & 1 ? 0xc1 : 0); break;
	case 7: dispi(5, any & 3); break;
	case 8: dispi(3, any & 1 ? 4 : 8); break;
	default: seq(2, any & 15); break;
	}
}

static void random_accesses(struct random_source *r)
{
	static const uint32_t starts[] = { 0xb8000, 0xa0000, 0xb0000, FRAME };
	const uint32_t start = starts[random_next(r) % 4];
	const uint32_t spread = random_next(r) % 2 ? 256 : 0x8000;

	for (unsigned n = random_next(r) % 600; n; n--) {
		const unsigned size = 1u << random_next(r) % 3;
		const uint32_t at = start + (random_next(r) % spread & ~(size - 1));

		if (random_next(r) % 2)
			store(at, random_next(r), size);
		else
			load(at, size);
	}
}

static void random_mode(struct random_source *r)
{
	dispi(4, 0);
	switch (random_next(r) % 6) {
	case 0: mode_13h(); break;
	case 1: planar_mode(); break;
	case 2: linear_mode(random_next(r) % 2 ? 8 : 16); break;
	default: text_mode(); break;
	}
}

static void run_random(uint64_t seed)
{
	struct random_source r;

	random_seed(&r, seed);
	for (unsigned i = 0; i < 250; i++) {
		if (random_next(&r) % 3 == 0)
			random_mode(&r);
		else if (random_next(&r) % 3 == 0)
			random_register(&r);
		random_accesses(&r);
		if (i % 32 == 31)
			compare_memory();
		if (i % 8 == 7)
			compare_screens();
	}
}

Test(vga_map, random_registers_and_accesses)
{
	dispi(1, 640);
	dispi(2, 400);
	dispi(3, 8);
	for (uint64_t seed = 1; seed <= 12; seed++)
		run_random(seed);
}

/* What may have changed on the screen. */

static struct display_rows changed(void)
{
	struct display display = vga_display(&mapped.vga);

	return display.changed(display.opaque);
}

static void expect_none(void)
{
	const struct display_rows rows = changed();

	cr_expect_eq(rows.first, rows.end, "%u to %u", rows.first, rows.end);
}

static void expect_changed(unsigned first, unsigned end)
{
	const struct display_rows rows = changed();

	cr_expect(rows.first == first && rows.end == end, "%u to %u, not %u to %u", rows.first,
		  rows.end, first, end);
	expect_none();
}

Test(vga_map, rows_that_changed)
{
	linear_mode(32); /* 2560 bytes a row: a chunk is 204.8 rows */
	expect_changed(0, 400);
	store(FRAME + 0x100000, 1, 4);
	expect_none();
	mapped.stored = 1 << 1;
	expect_changed(204, 400);
	mapped.stored = 1;
	expect_changed(0, 205);
	dispi(9, 300); /* shown from row 300 on */
	expect_changed(0, 400);
	mapped.stored = 1 << 2;
	expect_changed(109, 315);
	load(FRAME, 4);
	dispi(5, 1);
	expect_none();
	out(0x3c8, 0, 1);
	expect_none();
	out(0x3c9, 63, 1);
	expect_changed(0, 400);
}

Test(vga_map, text_that_changed)
{
	struct display display = vga_display(&mapped.vga);
	unsigned height;

	text_mode();
	changed();
	height = display.size(display.opaque).height;
	touch(0xb8000);
	expect_none();
	mapped.stored = 1ull << VGA_MEMORY_SIZE / DISPLAY_CHUNK;
	expect_changed(0, height);
	seq(2, 3);
	gc(4, 0);
	expect_none();
	gc(5, 0);
	expect_changed(0, height);
	store(0xa0000, 1, 1);
	expect_none();
	gc(6, 5);
	changed();
	store(0xa0000, 1, 1);
	expect_changed(0, height);
	bus_reset_all(mapped.bus);
	cr_expect_neq(changed().end, 0);
}
