/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DMA controllers. A channel counts from its count register down to FFFFh, so it moves one more
 * than was written. Its address counts within 16 bits; the page register holds what is above, and
 * never changes by itself: a transfer wraps at 64 KiB (128 KiB by words).
 *
 * Transfers from memory to memory, for which channels 0 and 1 would be needed, are not wired on a
 * PC/AT. A request by software has no device to serve: it is kept, and nothing moves.
 */
#include "i8237.h"

#include <assert.h>
#include <string.h>

#define COMMAND_DISABLE 0x04u

#define MODE_CHANNEL  0x03u
#define MODE_TRANSFER 0x0cu
#define MODE_WRITE    0x04u /* to memory */
#define MODE_READ     0x08u
#define MODE_AUTOINIT 0x10u
#define MODE_DOWN     0x20u
#define MODE_KIND     0xc0u
#define MODE_CASCADE  0xc0u

#define SET 0x04u /* of single bits of the request and mask registers */

#define PAGES_BASE 0x80
#define CASCADE    4u /* the channel that the first chip is on */
#define PIECE      512u

enum {
	REG_COMMAND = 8, REG_REQUEST, REG_MASK_ONE, REG_MODE, REG_CLEAR_FLIP_FLOP, REG_CLEAR,
	REG_CLEAR_MASK, REG_MASK,
};

static struct i8237_channel *channel_of(struct i8237 *dma, unsigned n)
{
	return &dma->s.chip[n / I8237_CHANNELS].channel[n % I8237_CHANNELS];
}

static bool chip_serves(const struct i8237_chip *chip, unsigned n)
{
	return !(chip->command & COMMAND_DISABLE) && !(chip->mask >> n & 1);
}

/* The first chip is served while channel 4 of the second is there for it. */
static bool is_served(const struct i8237 *dma, unsigned n)
{
	const unsigned unit = n % I8237_CHANNELS;

	if (n == CASCADE)
		return false;
	if (!chip_serves(&dma->s.chip[n / I8237_CHANNELS], unit))
		return false;
	return n > CASCADE || (chip_serves(&dma->s.chip[1], 0) &&
			       (dma->s.chip[1].channel[0].mode & MODE_KIND) == MODE_CASCADE);
}

/* ---- requests ---- */

/* A device may change requests and, by what it does then, come here again: once is enough. */
static void tell_devices(struct i8237 *dma)
{
	if (dma->telling)
		return;
	dma->telling = true;
	for (unsigned n = 0; n < I8237_CHIPS * I8237_CHANNELS; n++)
		if (dma->s.dreq >> n & 1 && is_served(dma, n))
			signal_raise(&dma->dack[n], 0);
	dma->telling = false;
}

static void set_dreq(void *opaque, unsigned n, bool level)
{
	struct i8237 *dma = opaque;
	const bool was = dma->s.dreq >> n & 1;

	dma->s.dreq = (uint8_t)(level ? dma->s.dreq | 1u << n : dma->s.dreq & ~(1u << n));
	if (level && !was)
		tell_devices(dma);
}

/* ---- transfers ---- */

static gpa_t address_of(const struct i8237 *dma, unsigned n, const struct i8237_channel *c)
{
	/* which of the page registers is channel n's; 8Fh, that of refresh, is channel 4's */
	static const uint8_t pages[] = { 7, 3, 1, 2, 15, 11, 9, 10 };
	const uint32_t page = dma->s.page[pages[n]];

	return n < CASCADE ? GPA(page << 16 | c->address) :
			     GPA((page & ~1u) << 16 | (uint32_t)c->address << 1);
}

static void move_unit(struct i8237 *dma, const struct i8237_channel *c, gpa_t at,
		      enum dma_way way, uint8_t *bytes, uint32_t size)
{
	const struct guest_memory *memory = &dma->memory;
	const unsigned kind = c->mode & MODE_TRANSFER;

	if (way == DMA_FROM_MEMORY) {
		if (kind != MODE_READ || memory->read(memory->opaque, at, bytes, size))
			memset(bytes, 0xff, size);
	} else if (kind == MODE_WRITE) {
		memory->write(memory->opaque, at, bytes, size); /* or nobody listens */
	}
}

/* How many units can be moved at once: upwards, and not beyond the end. */
static uint32_t run_length(const struct i8237_channel *c, uint32_t units)
{
	const uint32_t left = c->count + 1u, room = 0x10000u - c->address;
	uint32_t run = units < left ? units : left;

	if (c->mode & MODE_DOWN)
		return 1;
	run = run < room ? run : room;
	return run < PIECE ? run : PIECE;
}

static void reach_end(struct i8237_chip *chip, unsigned unit)
{
	struct i8237_channel *c = &chip->channel[unit];

	chip->status |= 1u << unit;
	chip->request &= ~(1u << unit);
	if (c->mode & MODE_AUTOINIT) {
		c->address = c->base_address;
		c->count = c->base_count;
	} else {
		chip->mask |= 1u << unit;
	}
}

static uint32_t transfer(void *opaque, unsigned n, enum dma_way way, uint8_t *bytes, uint32_t len,
			 bool *end)
{
	struct i8237 *dma = opaque;
	struct i8237_chip *chip = &dma->s.chip[n / I8237_CHANNELS];
	struct i8237_channel *c = channel_of(dma, n);
	const unsigned size = n < CASCADE ? 1 : 2;
	uint32_t units = len / size, moved = 0;

	*end = false;
	while (units && !*end && is_served(dma, n)) {
		const uint32_t run = run_length(c, units);

		move_unit(dma, c, address_of(dma, n, c), way, bytes + moved, run * size);
		c->address = (uint16_t)(c->mode & MODE_DOWN ? c->address - run : c->address + run);
		*end = run > c->count;
		c->count = (uint16_t)(c->count - run);
		if (*end)
			reach_end(chip, n % I8237_CHANNELS);
		units -= run;
		moved += run * size;
	}
	return moved;
}

struct dma_channel i8237_connect(struct i8237 *dma, unsigned n, struct signal_line dack)
{
	assert(n < I8237_CHIPS * I8237_CHANNELS && n != CASCADE);
	dma->dack[n] = dack;
	return (struct dma_channel){ set_dreq, transfer, dma, n };
}

/* ---- registers ---- */

static void chip_clear(struct i8237_chip *chip)
{
	chip->command = chip->status = chip->request = 0;
	chip->second_byte = false;
	chip->mask = 0x0f;
}

static uint16_t with_half(uint16_t old, bool upper, uint8_t value)
{
	return (uint16_t)(upper ? (old & 0xff) | value << 8 : (old & 0xff00) | value);
}

/* Addresses and counts come in two halves. The base registers are written with the current ones. */
static void half_write(struct i8237_chip *chip, unsigned reg, uint8_t value)
{
	struct i8237_channel *c = &chip->channel[reg / 2];
	uint16_t *base = reg & 1 ? &c->base_count : &c->base_address,
		 *current = reg & 1 ? &c->count : &c->address;

	*base = with_half(*base, chip->second_byte, value);
	*current = with_half(*current, chip->second_byte, value);
	chip->second_byte = !chip->second_byte;
}

static uint8_t half_read(struct i8237_chip *chip, unsigned reg)
{
	const struct i8237_channel *c = &chip->channel[reg / 2];
	const uint16_t value = reg & 1 ? c->count : c->address;
	const bool second = chip->second_byte;

	chip->second_byte = !second;
	return (uint8_t)(second ? value >> 8 : value);
}

static void set_bit(uint8_t *bits, uint8_t value)
{
	const unsigned bit = 1u << (value & 3);

	*bits = (uint8_t)(value & SET ? *bits | bit : *bits & ~bit);
}

static void chip_write(struct i8237_chip *chip, unsigned reg, uint8_t value)
{
	switch (reg) {
	case REG_COMMAND: chip->command = value; break;
	case REG_REQUEST: set_bit(&chip->request, value); break;
	case REG_MASK_ONE: set_bit(&chip->mask, value); break;
	case REG_MODE: chip->channel[value & MODE_CHANNEL].mode = value; break;
	case REG_CLEAR_FLIP_FLOP: chip->second_byte = false; break;
	case REG_CLEAR: chip_clear(chip); break;
	case REG_CLEAR_MASK: chip->mask = 0; break;
	case REG_MASK: chip->mask = value & 0x0f; break;
	default: half_write(chip, reg, value);
	}
}

/* Reading forgets who reached the end. Requests are those of devices and of software. */
static uint8_t status_read(struct i8237_chip *chip, uint8_t dreq)
{
	const uint8_t value = chip->status | (uint8_t)((dreq | chip->request) << 4);

	chip->status = 0;
	return value;
}

static uint8_t chip_read(struct i8237_chip *chip, unsigned reg, uint8_t dreq)
{
	switch (reg) {
	case REG_COMMAND: return status_read(chip, dreq);
	case REG_CLEAR: return 0; /* the temporary register, of transfers that there are not */
	case REG_MASK: return chip->mask;
	case REG_REQUEST: case REG_MASK_ONE: case REG_MODE: case REG_CLEAR_FLIP_FLOP:
	case REG_CLEAR_MASK: return 0xff;
	default: return half_read(chip, reg);
	}
}

static void registers_write(struct i8237 *dma, unsigned n, unsigned reg, uint8_t value)
{
	chip_write(&dma->s.chip[n], reg, value);
	if (reg >= REG_COMMAND)
		tell_devices(dma);
}

static uint64_t first_read(void *opaque, uint64_t offset, unsigned size)
{
	struct i8237 *dma = opaque;

	return chip_read(&dma->s.chip[0], (unsigned)offset, dma->s.dreq & 0x0f);
}

static void first_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	registers_write(opaque, 0, (unsigned)offset, (uint8_t)value);
}

/* The second chip is on address lines 1 to 4: each register is at two ports. */
static uint64_t second_read(void *opaque, uint64_t offset, unsigned size)
{
	struct i8237 *dma = opaque;

	return chip_read(&dma->s.chip[1], (unsigned)offset / 2, dma->s.dreq >> 4);
}

static void second_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	registers_write(opaque, 1, (unsigned)offset / 2, (uint8_t)value);
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
	return ((struct i8237 *)opaque)->s.page[offset];
}

static void page_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	((struct i8237 *)opaque)->s.page[offset] = (uint8_t)value;
}

/* ---- the device ---- */

void i8237_init(struct i8237 *dma, const struct guest_memory *memory)
{
	*dma = (struct i8237){ .memory = *memory };
}

static void i8237_reset(void *opaque)
{
	struct i8237 *dma = opaque;
	const uint8_t dreq = dma->s.dreq; /* the devices' */

	memset(&dma->s, 0, sizeof(dma->s));
	dma->s.dreq = dreq;
	for (unsigned i = 0; i < I8237_CHIPS; i++)
		chip_clear(&dma->s.chip[i]);
}

static const struct state_field channel_state[] = {
	STATE_ANY(struct i8237_channel, base_address),
	STATE_ANY(struct i8237_channel, base_count),
	STATE_ANY(struct i8237_channel, address),
	STATE_ANY(struct i8237_channel, count),
	STATE_ANY(struct i8237_channel, mode),
	STATE_END,
};

static const struct state_field chip_state[] = {
	STATE_STRUCT_ARRAY(struct i8237_chip, channel, channel_state),
	STATE_ANY(struct i8237_chip, command),
	STATE_BITS(struct i8237_chip, mask, 0x0f),
	STATE_BITS(struct i8237_chip, status, 0x0f),
	STATE_BITS(struct i8237_chip, request, 0x0f),
	STATE_FLAG(struct i8237_chip, second_byte),
	STATE_END,
};

static const struct state_field state[] = {
	STATE_STRUCT_ARRAY(struct i8237, s.chip, chip_state),
	STATE_ANY(struct i8237, s.dreq),
	STATE_ANY_ARRAY(struct i8237, s.page),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x00, 0x10, { first_read, first_write, 1, 1 } },
	{ BUS_PIO, PAGES_BASE, I8237_PAGES, { page_read, page_write, 1, 1 } },
	{ BUS_PIO, 0xc0, 0x20, { second_read, second_write, 1, 1 } },
};

const struct device_desc i8237_desc = {
	.name = "i8237",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = i8237_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct i8237),
};
