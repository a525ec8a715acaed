/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layout of saved state: sections, fields and their limits, and that no member is forgotten. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chips/hpet.h"
#include "devices/chips/i8042.h"
#include "devices/chips/i8237.h"
#include "devices/chips/i8254.h"
#include "devices/chips/i8259.h"
#include "devices/chips/io_apic.h"
#include "devices/chips/local_apic.h"
#include "devices/chips/mc146818.h"
#include "devices/chips/piix3.h"
#include "devices/chips/piix4_pm.h"
#include "devices/chips/uart16550.h"

struct thing {
	uint8_t a;
	uint32_t b;
	struct part {
		uint16_t c;
		bool d;
	} parts[2];
	int64_t e;
};

static const struct state_field part_state[] = {
	STATE_FLAG(struct part, d),
	STATE_BITS(struct part, c, 0xfff),
	STATE_END,
};

static const struct state_field thing_state[] = {
	STATE_MOST(struct thing, a, 9),
	STATE_STRUCT_ARRAY(struct thing, parts, part_state),
	STATE_SIGNED(struct thing, e, 1000),
	STATE_TIME(struct thing, b),
	STATE_END,
};

static const struct state_section thing_section = { "thing", 2, 7, thing_state };

Test(state_layout, the_layout_is_as_described)
{
	static const uint8_t expected[] = {
		't', 'h', 'i', 'n', 'g', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		2, 0, 0, 0, 7, 0, 0, 0, 19, 0, 0, 0,
		5, 1, 0x23, 0x01, 0, 0x56, 0x04,
		0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x78, 0x56, 0x34, 0x12,
	};
	const struct thing thing = { 5, 0x12345678, { { 0x123, true }, { 0x456, false } }, -2 };
	struct thing loaded = { 0 };
	struct error error = { 0 };
	struct state_reader reader = {
		.bytes = expected, .left = sizeof(expected), .error = &error
	};
	uint8_t bytes[sizeof(expected)];

	cr_assert_eq(state_section_size(&thing_section), sizeof(expected));
	state_put_section(&thing_section, &thing, bytes);
	cr_expect_arr_eq(bytes, expected, sizeof(expected));
	cr_assert_eq(state_get_section(&reader, &thing_section, &loaded), 0, "%s", error.text);
	cr_expect_eq(reader.left, 0);
	cr_expect(loaded.a == 5 && loaded.b == 0x12345678 && loaded.parts[0].c == 0x123 &&
		  loaded.parts[0].d && loaded.parts[1].c == 0x456 && !loaded.parts[1].d &&
		  loaded.e == -2);
}

static int load_thing(struct thing thing)
{
	uint8_t bytes[128];
	struct state_reader reader = { .bytes = bytes, .left = state_section_size(&thing_section) };

	state_put_section(&thing_section, &thing, bytes);
	return state_get_section(&reader, &thing_section, &thing);
}

Test(state_layout, limits_are_inclusive)
{
	cr_expect_eq(load_thing((struct thing){ .a = 9 }), 0);
	cr_expect_eq(load_thing((struct thing){ .a = 10 }), -EINVAL);
	cr_expect_eq(load_thing((struct thing){ .e = 1000 }), 0);
	cr_expect_eq(load_thing((struct thing){ .e = -1000 }), 0);
	cr_expect_eq(load_thing((struct thing){ .e = 1001 }), -EINVAL);
	cr_expect_eq(load_thing((struct thing){ .e = -1001 }), -EINVAL);
	cr_expect_eq(load_thing((struct thing){ .e = INT64_MIN }), -EINVAL);
	cr_expect_eq(load_thing((struct thing){ .parts = { { 0xfff, false } } }), 0);
	cr_expect_eq(load_thing((struct thing){ .parts = { { 0x1000, false } } }), -EINVAL);
}

/* A device is told before what it holds is overwritten, and only if that will be. */

static uint8_t held_before;

static void note_held(void *device)
{
	held_before = ((struct thing *)device)->a;
}

Test(state_layout, devices_are_told_before)
{
	static const struct device_desc desc = {
		.name = "thing", .state = thing_state, .state_version = 1,
		.size = sizeof(struct thing), .before_load = note_held,
	};
	struct thing thing = { .a = 5 };
	struct error error = { 0 };
	struct bus *bus;
	void *data;
	size_t size;

	cr_assert_eq(bus_create(&bus), 0);
	cr_assert_eq(bus_attach(bus, &desc, &thing, 0, &error), 0);
	cr_assert_eq(bus_save(bus, 0, &data, &size), 0);
	thing.a = 7;
	cr_expect_eq(bus_load(bus, data, size - 1, &error), -EINVAL);
	cr_expect_eq(held_before, 0);
	cr_expect_eq(bus_load(bus, data, size, &error), 0, "%s", error.text);
	cr_expect_eq(held_before, 7);
	cr_expect_eq(thing.a, 5);
	free(data);
	bus_destroy(bus);
}

/* No member is forgotten: what no field covers is padding, which alignment explains. */

static void cover(const struct state_field *f, size_t base, uint8_t *covered)
{
	for (; f->name; f++)
		for (unsigned i = 0; i < f->count; i++) {
			const size_t at = base + f->offset + i * f->size;

			if (f->kind == STATE_STRUCT_KIND)
				cover(f->fields, at, covered);
			else
				memset(covered + at, 1, f->size);
		}
}

static const struct {
	const struct device_desc *desc;
	size_t offset, size, padding;
} states[] = {
	{ &i8259_desc, offsetof(struct i8259, s), sizeof(struct i8259_state), 0 },
	{ &i8254_desc, offsetof(struct i8254, s), sizeof(struct i8254_state), 3 * 1 + 6 },
	{ &hpet_desc, offsetof(struct hpet, timer[1].s), sizeof(struct hpet_timer_state), 4 },
	{ &hpet_desc, offsetof(struct hpet, s), sizeof(struct hpet_state), 5 },
	{ &lapic_desc, offsetof(struct lapic, s), sizeof(struct lapic_state), 4 },
	{ &io_apic_desc, offsetof(struct io_apic, s), sizeof(struct io_apic_state), 7 },
	{ &mc146818_desc, offsetof(struct mc146818, s), sizeof(struct mc146818_state), 6 },
	{ &uart16550_desc, offsetof(struct uart16550, s), sizeof(struct uart16550_state), 10 },
	{ &i8042_desc, offsetof(struct i8042, s), sizeof(struct i8042_state), 0 },
	{ &i8237_desc, offsetof(struct i8237, s), sizeof(struct i8237_state), 11 },
	{ &piix3_desc, offsetof(struct piix3, s), sizeof(struct piix3_state), 1 },
	{ &piix4_pm_desc, offsetof(struct piix4_pm, s), sizeof(struct piix4_pm_state), 4 },
};

Test(state_layout, every_member_is_saved)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(states); i++) {
		const struct device_desc *desc = states[i].desc;
		uint8_t *covered = calloc(1, desc->size);
		size_t gaps = 0;

		cover(desc->state, 0, covered);
		for (size_t at = 0; at < states[i].size; at++)
			gaps += !covered[states[i].offset + at];
		cr_expect_eq(gaps, states[i].padding, "%s: %zu bytes are not saved", desc->name,
			     gaps);
		free(covered);
	}
}
