/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The DMA controllers: registers as the 8237A's data sheet has them, and what is moved where. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/chips/i8237.h"

#define RAM 0x100000u

static struct {
	struct bus *bus;
	struct i8237 dma;
	struct dma_channel channel[8];
	uint8_t ram[RAM];
	unsigned told[8];
} t;

static int ram_read(void *opaque, gpa_t gpa, void *buf, size_t len)
{
	if (gpa.v > RAM || len > RAM - gpa.v)
		return -EFAULT;
	memcpy(buf, t.ram + gpa.v, len);
	return 0;
}

static int ram_write(void *opaque, gpa_t gpa, const void *buf, size_t len)
{
	if (gpa.v > RAM || len > RAM - gpa.v)
		return -EFAULT;
	memcpy(t.ram + gpa.v, buf, len);
	return 0;
}

static void on_dack(void *opaque, unsigned n, uint32_t value) { t.told[n]++; }

static void out(uint16_t port, uint8_t value) { bus_pio_write(t.bus, port, value, 1); }
static uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(t.bus, port, 1); }

static void setup(void)
{
	const struct guest_memory memory = { ram_read, ram_write, NULL };

	memset(&t, 0, sizeof(t));
	cr_assert_eq(bus_create(&t.bus), 0);
	i8237_init(&t.dma, &memory);
	for (unsigned n = 0; n < 8; n++)
		if (n != 4)
			t.channel[n] = i8237_connect(&t.dma, n,
						     (struct signal_line){ on_dack, NULL, n });
	cr_assert_eq(bus_attach(t.bus, &i8237_desc, &t.dma, 0, NULL), 0);
	bus_reset_all(t.bus);
	out(0xd6, 0xc0); /* what firmware does: channel 4 cascades, and is served */
	out(0xd4, 0x00);
}

static void teardown(void) { bus_destroy(t.bus); }

TestSuite(i8237, .init = setup, .fini = teardown);

/* Channel 0 to 3 with its page, unmasked. mode without the channel. */
static void program(unsigned n, uint8_t mode, uint32_t address, uint16_t count)
{
	static const uint16_t pages[] = { 0x87, 0x83, 0x81, 0x82 };

	out(0x0c, 0);
	out((uint16_t)(2 * n), (uint8_t)address);
	out((uint16_t)(2 * n), (uint8_t)(address >> 8));
	out((uint16_t)(2 * n + 1), (uint8_t)count);
	out((uint16_t)(2 * n + 1), (uint8_t)(count >> 8));
	out(pages[n], (uint8_t)(address >> 16));
	out(0x0b, (uint8_t)(mode | n));
	out(0x0a, (uint8_t)n);
}

static uint16_t read16(uint16_t port)
{
	const uint8_t low = in(port);

	return (uint16_t)(low | in(port) << 8);
}

Test(i8237, registers_are_written_and_read_in_halves)
{
	bool end;
	uint8_t bytes[16] = { 0 };

	program(2, 0x44, 0x12345, 0x6789);
	out(0x0c, 0);
	cr_expect_eq(read16(0x04), 0x2345);
	cr_expect_eq(read16(0x05), 0x6789);
	cr_expect_eq(in(0x81), 0x01);
	in(0x04);
	out(0x0c, 0);
	cr_expect_eq(in(0x04), 0x45, "the flip-flop was cleared");
	in(0x04);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 16, &end), 16);
	cr_expect_eq(read16(0x04), 0x2355, "the current registers are read");
	cr_expect_eq(read16(0x05), 0x6779);
	/* a half alone: of base and current each by itself */
	out(0x04, 0x00);
	out(0x0c, 0);
	cr_expect_eq(read16(0x04), 0x2300);
}

Test(i8237, pages_are_all_remembered)
{
	for (uint16_t port = 0x80; port < 0x90; port++)
		out(port, (uint8_t)(port * 3));
	for (uint16_t port = 0x80; port < 0x90; port++)
		cr_expect_eq(in(port), (uint8_t)(port * 3));
	cr_expect_eq(in(0x90), 0xff);
	cr_expect_eq(in(0x481), 0xff, "there are no pages above 16 MiB");
}

Test(i8237, to_memory)
{
	const uint8_t bytes[6] = { 1, 2, 3, 4, 5, 6 };
	uint8_t copy[6];
	bool end;

	memcpy(copy, bytes, 6);
	program(2, 0x44, 0x20000, 5);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, copy, 4, &end), 4);
	cr_expect_not(end);
	cr_expect_eq(in(0x08), 0x00);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, copy + 4, 4, &end), 2, "no more");
	cr_expect(end);
	cr_expect_arr_eq(t.ram + 0x20000, bytes, 6);
	cr_expect_eq(t.ram[0x20006], 0);
	cr_expect_eq(in(0x0f), 0x0f, "the channel has masked itself");
	cr_expect_eq(in(0x08), 0x04, "it reached the end");
	cr_expect_eq(in(0x08), 0x00, "told once");
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, copy, 4, &end), 0);
	cr_expect_not(end);
	out(0x0c, 0);
	cr_expect_eq(read16(0x05), 0xffff);
}

Test(i8237, from_memory)
{
	uint8_t bytes[4] = { 0 };
	bool end;

	memcpy(t.ram + 0x30ffe, "abcd", 4);
	program(1, 0x48, 0x30ffe, 3);
	cr_expect_eq(dma_transfer(&t.channel[1], DMA_FROM_MEMORY, bytes, 4, &end), 4);
	cr_expect(end);
	cr_expect_arr_eq(bytes, "abcd", 4);
	cr_expect_eq(in(0x08), 0x02);
}

Test(i8237, verify_and_the_wrong_way_leave_memory_alone)
{
	static const uint8_t modes[] = { 0x40, 0x48, 0x4c };
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	bool end;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(modes); i++) {
		program(2, modes[i], 0x20000, 3);
		cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 4);
		cr_expect(end);
		cr_expect_eq(t.ram[0x20000], 0);
	}
	program(2, 0x44, 0x20000, 3);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_FROM_MEMORY, bytes, 4, &end), 4);
	cr_expect_arr_eq(bytes, "\xff\xff\xff\xff", 4);
}

Test(i8237, downwards)
{
	uint8_t bytes[3] = { 1, 2, 3 };
	bool end;

	program(2, 0x64, 0x20001, 2);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 3, &end), 3);
	cr_expect_eq(t.ram[0x20001], 1);
	cr_expect_eq(t.ram[0x20000], 2);
	cr_expect_eq(t.ram[0x2ffff], 3, "the page stays");
	cr_expect(end);
}

Test(i8237, wraps_at_64_kib)
{
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	bool end;

	program(2, 0x44, 0x2fffe, 99);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 4);
	cr_expect_eq(t.ram[0x2ffff], 2);
	cr_expect_eq(t.ram[0x20000], 3);
	cr_expect_eq(t.ram[0x30000], 0);
	cr_expect_eq(in(0x81), 2);
}

Test(i8237, autoinit_begins_again)
{
	uint8_t bytes[6] = { 1, 2, 3, 4, 5, 6 };
	bool end;

	program(2, 0x54, 0x20000, 3);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 6, &end), 4);
	cr_expect(end);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes + 4, 2, &end), 2);
	cr_expect_not(end);
	cr_expect_eq(t.ram[0x20000], 5);
	cr_expect_eq(t.ram[0x20002], 3);
	cr_expect_eq(in(0x0f), 0x0b, "it is not masked");
}

Test(i8237, words)
{
	uint8_t bytes[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	bool end;

	/* channel 5: words at 2 * address in pages of 128 KiB, of which bit 0 does not count */
	out(0xd8, 0);
	out(0xc4, 0xff);
	out(0xc4, 0xff);
	out(0xc6, 0x02);
	out(0xc6, 0x00);
	out(0x8b, 0x05);
	out(0xd6, 0x45);
	out(0xd4, 0x01);
	cr_expect_eq(dma_transfer(&t.channel[5], DMA_TO_MEMORY, bytes, 9, &end), 6);
	cr_expect(end);
	cr_expect_arr_eq(t.ram + 0x5fffe, bytes, 2);
	cr_expect_arr_eq(t.ram + 0x40000, bytes + 2, 4);
	cr_expect_eq(in(0xd0), 0x02);
	out(0xd8, 0);
	in(0xc5);
	cr_expect_eq(in(0xc4), 0x00, "each register is at two ports");
}

Test(i8237, who_is_served)
{
	uint8_t bytes[4] = { 0 };
	bool end;

	program(2, 0x44, 0x20000, 99);
	out(0x0a, 0x06);
	dma_request(&t.channel[2], true);
	cr_expect_eq(t.told[2], 0, "masked");
	cr_expect_eq(in(0x08), 0x40, "and it asks");
	out(0x0a, 0x02);
	cr_expect_eq(t.told[2], 1);
	out(0x08, 0x04);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 0,
		     "the controller is off");
	out(0x08, 0x00);
	cr_expect_eq(t.told[2], 2);
	out(0xd4, 0x04);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 0,
		     "the cascade is masked");
	out(0xdc, 0);
	cr_expect_eq(t.told[2], 3);
	out(0xd6, 0x40);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 0,
		     "channel 4 is no cascade");
	out(0xd6, 0xc0);
	dma_request(&t.channel[2], false);
	out(0x0f, 0x00);
	cr_expect_eq(t.told[2], 4, "who asks for nothing is told nothing");
	dma_request(&t.channel[2], true);
	dma_request(&t.channel[2], true);
	cr_expect_eq(t.told[2], 5);
}

Test(i8237, masks_requests_and_master_clear)
{
	cr_expect_eq(in(0x0f), 0x0f);
	out(0x0f, 0x05);
	cr_expect_eq(in(0x0f), 0x05);
	out(0x0a, 0x05);
	cr_expect_eq(in(0x0f), 0x07);
	out(0x0a, 0x02);
	cr_expect_eq(in(0x0f), 0x03);
	out(0x0e, 0);
	cr_expect_eq(in(0x0f), 0x00);
	out(0x09, 0x07);
	cr_expect_eq(in(0x08), 0x80, "a request by software");
	out(0x09, 0x03);
	cr_expect_eq(in(0x08), 0x00);
	out(0x09, 0x05);
	in(0x00);
	out(0x0d, 0);
	cr_expect_eq(in(0x0f), 0x0f);
	cr_expect_eq(in(0x08), 0x00);
	cr_expect_eq(in(0x0d), 0x00, "the temporary register");
	out(0x00, 0x34);
	out(0x00, 0x12);
	cr_expect_eq(read16(0x00), 0x1234, "the flip-flop was cleared");
	cr_expect_eq(in(0xde), 0x0e, "the other controller was not");
}

Test(i8237, memory_that_is_not_there)
{
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	bool end;

	program(2, 0x44, RAM, 3);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 4);
	cr_expect(end);
	program(2, 0x48, RAM, 3);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_FROM_MEMORY, bytes, 4, &end), 4);
	cr_expect_eq(bytes[3], 0xff);
}

Test(i8237, saved_in_the_middle)
{
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	struct error error = { 0 };
	void *data;
	size_t size;
	bool end;

	program(2, 0x44, 0x20000, 7);
	cr_assert_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 4);
	in(0x00); /* the flip-flop too */
	cr_assert_eq(bus_save(t.bus, 0, &data, &size), 0);
	bus_reset_all(t.bus);
	cr_assert_eq(bus_load(t.bus, data, size, &error), 0, "%s", error.text);
	free(data);
	in(0x00);
	cr_expect_eq(read16(0x05), 3);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 4);
	cr_expect(end);
	cr_expect_eq(t.ram[0x20007], 4);
}

Test(i8237, any_programming_is_survived)
{
	unsigned seed = 5;
	uint8_t bytes[0x1000];
	bool end;

	for (unsigned i = 0; i < 200000; i++) {
		static const uint16_t bases[] = { 0x00, 0x80, 0xc0, 0xd0 };
		const uint16_t port = bases[(unsigned)rand_r(&seed) % 4] + rand_r(&seed) % 16;
		const unsigned n = (unsigned)rand_r(&seed) % 4 + rand_r(&seed) % 2 * 4;
		const struct dma_channel *channel = &t.channel[n == 4 ? 2 : n];

		if (rand_r(&seed) % 3)
			bus_pio_write(t.bus, port, (uint32_t)rand_r(&seed),
				      1u << rand_r(&seed) % 3);
		else
			bus_pio_read(t.bus, port, 1u << rand_r(&seed) % 3);
		if (i % 4 == 0)
			dma_request(channel, rand_r(&seed) % 2);
		if (i % 16 == 0)
			cr_assert_leq(dma_transfer(channel, rand_r(&seed) % 2, bytes,
						   (uint32_t)rand_r(&seed) % sizeof(bytes), &end),
				      sizeof(bytes));
	}
	bus_reset_all(t.bus);
	out(0xd6, 0xc0);
	out(0xd4, 0x00);
	program(2, 0x44, 0x20000, 1);
	cr_expect_eq(dma_transfer(&t.channel[2], DMA_TO_MEMORY, bytes, 4, &end), 2);
}
