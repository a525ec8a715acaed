/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bus: claims, overlaps, splitting and merging of accesses, saved state. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <stdio.h>
#include "devices/bus/bus.h"

/* Memory that notes what accesses reach it. */
struct memory {
	uint8_t bytes[32];
	char log[256];
	unsigned resets;
	bool refuse;
};

static void note(struct memory *m, char kind, uint64_t offset, unsigned size)
{
	size_t n = strlen(m->log);

	snprintf(m->log + n, sizeof(m->log) - n, "%c%llu/%u ", kind, (unsigned long long)offset,
		 size);
}

static uint64_t memory_read(void *opaque, uint64_t offset, unsigned size)
{
	struct memory *m = opaque;
	uint64_t value = 0;

	note(m, 'r', offset, size);
	memcpy(&value, m->bytes + offset, size);
	return value;
}

static void memory_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct memory *m = opaque;

	note(m, 'w', offset, size);
	memcpy(m->bytes + offset, &value, size);
}

static void memory_reset(void *opaque)
{
	((struct memory *)opaque)->resets++;
}

static const struct state_field memory_state[] = {
	STATE_ANY_ARRAY(struct memory, bytes),
	STATE_END,
};

static const char *memory_check(const void *opaque)
{
	return ((const struct memory *)opaque)->refuse ? "bytes" : NULL;
}

static const struct bus_range byte_ports[] = {
	{ BUS_PIO, 0, 4, { memory_read, memory_write, 1, 1 } },
};
static const struct bus_range dword_memory[] = {
	{ BUS_MMIO, 0xfec00000, 16, { memory_read, memory_write, 4, 4 } },
};
static const struct bus_range two_ranges[] = {
	{ BUS_PIO, 0x10, 1, { memory_read, memory_write, 1, 1 } },
	{ BUS_PIO, 0x13, 1, { memory_read, memory_write, 1, 1 } },
};

static const struct device_desc bytes_desc = {
	.name = "bytes", .ranges = byte_ports, .nranges = 1, .reset = memory_reset,
	.state = memory_state, .state_version = 3, .size = sizeof(struct memory),
	.state_check = memory_check,
};
static const struct device_desc dword_desc = { .name = "dwords",
					       .ranges = dword_memory,
					       .nranges = 1 };
static const struct device_desc two_desc = { .name = "two", .ranges = two_ranges, .nranges = 2 };

static struct bus *new_bus(void)
{
	struct bus *bus;

	cr_assert_eq(bus_create(&bus), 0);
	return bus;
}

Test(bus, unclaimed_reads_ones_and_swallows_writes)
{
	struct bus *bus = new_bus();

	cr_expect_eq(bus_pio_read(bus, 0x1234, 1), 0xff);
	cr_expect_eq(bus_pio_read(bus, 0x1234, 2), 0xffff);
	cr_expect_eq(bus_pio_read(bus, 0xffff, 4), 0xffffffff);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xd0000000), 8), ~0ull);
	bus_pio_write(bus, 0xffff, 0, 4);
	bus_mmio_write(bus, GPA(~0ull), 0, 8);
	bus_destroy(bus);
}

Test(bus, wide_port_access_splits_into_bytes_lowest_first)
{
	struct memory m = { .bytes = { 0x11, 0x22, 0x33, 0x44 } };
	struct bus *bus = new_bus();

	cr_assert_eq(bus_attach(bus, &bytes_desc, &m, 0x100, NULL), 0);
	cr_expect_eq(bus_pio_read(bus, 0x100, 4), 0x44332211);
	cr_expect_str_eq(m.log, "r0/1 r1/1 r2/1 r3/1 ");
	m.log[0] = 0;
	bus_pio_write(bus, 0x102, 0xaabb, 2);
	cr_expect_str_eq(m.log, "w2/1 w3/1 ");
	cr_expect_eq(m.bytes[2], 0xbb);
	cr_expect_eq(m.bytes[3], 0xaa);
	/* Over the range's end: the rest is nobody's. */
	cr_expect_eq(bus_pio_read(bus, 0x103, 2), 0xffaa);
	cr_expect_eq(bus_pio_read(bus, 0xff, 2), 0x11ff);
	bus_destroy(bus);
}

Test(bus, narrow_memory_access_uses_an_aligned_wider_one)
{
	struct memory m = { .bytes = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct bus *bus = new_bus();

	cr_assert_eq(bus_attach(bus, &dword_desc, &m, 0, NULL), 0);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xfec00002), 1), 3);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xfec00006), 2), 0x0807);
	cr_expect_str_eq(m.log, "r0/4 r4/4 ");
	m.log[0] = 0;
	cr_expect_eq(bus_mmio_read(bus, GPA(0xfec00000), 8), 0x0807060504030201ull);
	cr_expect_str_eq(m.log, "r0/4 r4/4 ");
	m.log[0] = 0;
	bus_mmio_write(bus, GPA(0xfec00001), 0xee, 1);
	cr_expect_str_eq(m.log, "w0/4 ");
	cr_expect_eq(m.bytes[1], 0xee);
	cr_expect_eq(m.bytes[0], 0);
	cr_expect(bus_mmio_claimed(bus, GPA(0xfec0000f)));
	cr_expect_not(bus_mmio_claimed(bus, GPA(0xfec00010)));
	bus_destroy(bus);
}

Test(bus, overlap_is_refused_by_name_and_leaves_nothing)
{
	struct memory m = { .log = "" }, other = { .log = "" };
	struct error error = { 0 };
	struct bus *bus = new_bus();

	cr_assert_eq(bus_attach(bus, &bytes_desc, &m, 0x10 + 3, NULL), 0); /* 0x13-0x16 */
	cr_expect_eq(bus_attach(bus, &two_desc, &other, 0, &error), -EEXIST);
	cr_expect_str_eq(error.text, "two (ports 0x13-0x13) overlaps bytes (0x13-0x16)");
	cr_expect_eq(bus_pio_read(bus, 0x10, 1), 0xff,
		     "the first range of a refused device must be gone");
	bus_detach(bus, &m);
	cr_expect_eq(bus_attach(bus, &two_desc, &other, 0, NULL), 0);
	cr_expect_eq(bus_pio_read(bus, 0x13, 1), 0);
	bus_destroy(bus);
}

Test(bus, malformed_ranges_are_refused)
{
	struct bus *bus = new_bus();
	struct bus_mapping *mapping;
	struct bus_range r = byte_ports[0];
	struct error error = { 0 };

	r.base = 0xfffe;
	cr_expect_eq(bus_map(bus, "past the end", &r, NULL, &mapping, &error), -EINVAL);
	cr_expect_str_eq(error.text, "past the end (ports 0xfffe-0x10001): malformed range");
	r.base = 0;
	r.size = 0;
	cr_expect_eq(bus_map(bus, "empty", &r, NULL, &mapping, NULL), -EINVAL);
	r.size = 1;
	r.ops.max_size = 3;
	cr_expect_eq(bus_map(bus, "odd", &r, NULL, &mapping, NULL), -EINVAL);
	bus_destroy(bus);
}

Test(bus, mappings_come_and_go)
{
	struct memory a = { .bytes = { 0xa } }, b = { .bytes = { 0xb } };
	struct bus *bus = new_bus();
	struct bus_mapping *ma, *mb;
	struct bus_range r = dword_memory[0];

	r.base = 0xe0000000;
	cr_assert_eq(bus_map(bus, "b", &r, &b, &mb, NULL), 0);
	r.base = 0xc0000000;
	cr_assert_eq(bus_map(bus, "a", &r, &a, &ma, NULL), 0);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xc0000000), 1), 0xa);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xe0000000), 1), 0xb);
	bus_unmap(bus, ma);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xc0000000), 1), 0xff);
	cr_expect_eq(bus_mmio_read(bus, GPA(0xe0000000), 1), 0xb);
	r.base = 0xe0000008;
	cr_expect_eq(bus_map(bus, "a", &r, &a, &ma, NULL), -EEXIST);
	bus_unmap(bus, mb);
	cr_expect_eq(bus_map(bus, "a", &r, &a, &ma, NULL), 0);
	bus_destroy(bus);
}

Test(bus, reset_and_saved_state)
{
	struct memory m = { .bytes = { 1, 2, 3 } };
	struct bus *bus = new_bus();
	struct error error = { 0 };
	void *saved;
	size_t size;

	cr_assert_eq(bus_attach(bus, &bytes_desc, &m, 0, NULL), 0);
	bus_reset_all(bus);
	cr_expect_eq(m.resets, 1);
	cr_assert_eq(bus_save(bus, 0, &saved, &size), 0);
	m.bytes[1] = 99;
	cr_expect_eq(bus_load(bus, saved, size, NULL), 0);
	cr_expect_eq(m.bytes[1], 2);
	cr_expect_eq(bus_load(bus, saved, size - 1, NULL), -EINVAL);
	m.bytes[1] = 99;
	m.refuse = true;
	cr_expect_eq(bus_load(bus, saved, size, &error), -EINVAL);
	cr_expect_str_eq(error.text, "saved state of bytes 0: bytes is not valid");
	cr_expect_eq(m.bytes[1], 99, "what is refused changes nothing");
	m.refuse = false;
	((char *)saved)[0] ^= 1;
	cr_expect_eq(bus_load(bus, saved, size, NULL), -EINVAL);
	free(saved);
	bus_destroy(bus);
}

static void note_entry(void *opaque, const struct bus_entry *entry)
{
	char *log = opaque;

	if (entry->range)
		sprintf(log + strlen(log), "%s/%s %llx+%llx ", entry->device, entry->name,
			(unsigned long long)entry->range->base,
			(unsigned long long)entry->range->size);
	else
		sprintf(log + strlen(log), "%s ", entry->device);
}

/* Devices in their order, each with its ranges, then what none has. */
Test(bus, visit)
{
	static const struct device_desc none_desc = { .name = "none" };
	const struct bus_range bar = { BUS_MMIO, 0xc0000000, 8,
				       { memory_read, memory_write, 1, 1 } };
	struct memory bytes = { 0 }, dwords = { 0 }, two = { 0 }, none = { 0 }, other = { 0 };
	struct bus *bus = new_bus();
	struct bus_mapping *mapping, *others;
	struct bus_range moved = bar;
	char log[512] = "";

	cr_assert_eq(bus_attach(bus, &two_desc, &two, 0, NULL), 0);
	cr_assert_eq(bus_attach(bus, &none_desc, &none, 0, NULL), 0);
	cr_assert_eq(bus_attach(bus, &dword_desc, &dwords, 0, NULL), 0);
	cr_assert_eq(bus_attach(bus, &bytes_desc, &bytes, 0x20, NULL), 0);
	cr_assert_eq(bus_map(bus, "bar", &bar, &two, &mapping, NULL), 0);
	moved.base = 0xd0000000;
	cr_assert_eq(bus_map(bus, "others", &moved, &other, &others, NULL), 0);
	bus_visit(bus, note_entry, log);
	cr_expect_str_eq(log, "two/two 10+1 two/two 13+1 two/bar c0000000+8 none "
			      "dwords/dwords fec00000+10 bytes/bytes 20+4 "
			      "others/others d0000000+8 ");
	bus_destroy(bus);
}
