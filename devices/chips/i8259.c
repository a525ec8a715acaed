/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 8259A pair. Invariants: int_out of each chip is the level last computed by pic_update(); the
 * master's input 2 follows the slave's int_out; an edge once latched in IRR stays until it is
 * acknowledged or the chip is initialized (the real chip would drop it with the line and
 * acknowledge input 7 instead; the PIT's pulses are shorter than a busy monitor's reaction, so
 * keeping it is the kinder choice).
 */
#include "i8259.h"

#include <assert.h>
#include <string.h>

#define MASTER 0
#define SLAVE  1
#define CASCADE 2

#define ICW1_IC4   0x01
#define ICW1_SNGL  0x02
#define ICW1_LTIM  0x08
#define ICW1_INIT  0x10
#define ICW4_AEOI  0x02
#define ICW4_SFNM  0x10
#define OCW3       0x08

/* Inputs 0, 1, 2, 8 and 13 cannot be level triggered (PIIX data sheet, ELCR). */
static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

static struct i8259_chip *master(struct i8259 *pic) { return &pic->s.chip[MASTER]; }
static struct i8259_chip *slave(struct i8259 *pic) { return &pic->s.chip[SLAVE]; }

/* How urgent input n is: 0 is highest. */
static unsigned rank(const struct i8259_chip *c, unsigned n)
{
	assert(n < 8 && c->lowest < 8);
	return (n - c->lowest - 1) & 7;
}

/* The most urgent input in set, or -1. */
static int most_urgent(const struct i8259_chip *c, uint8_t set)
{
	if (!set)
		return -1;
	for (unsigned i = 1; i <= 8; i++) {
		unsigned n = (c->lowest + i) & 7;

		if (set & (1u << n))
			return (int)n;
	}
	return -1;
}

/* The input the chip would acknowledge now, or -1. */
static int chip_pending(const struct i8259_chip *c, bool is_master)
{
	int request = most_urgent(c, c->irr & ~c->imr);
	uint8_t in_service = c->isr;
	int serviced;

	if (request < 0 || c->init_step)
		return -1;
	if (c->special_mask) /* masked levels in service hold nothing back */
		in_service &= ~c->imr;
	if (is_master && (c->icw4 & ICW4_SFNM)) /* the slave may nest in itself */
		in_service &= ~(1u << CASCADE);
	serviced = most_urgent(c, in_service);
	if (serviced >= 0 && rank(c, (unsigned)serviced) <= rank(c, (unsigned)request))
		return -1;
	return request;
}

static uint8_t level_inputs(const struct i8259_chip *c)
{
	return c->icw1 & ICW1_LTIM ? 0xff : c->elcr;
}

static bool is_level(const struct i8259_chip *c, unsigned n)
{
	return level_inputs(c) >> n & 1;
}

static void chip_set_input(struct i8259_chip *c, unsigned n, bool level)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (is_level(c, n))
		c->irr = level ? c->irr | bit : c->irr & ~bit;
	else if (level && !(c->lines & bit))
		c->irr |= bit;
	c->lines = level ? c->lines | bit : c->lines & ~bit;
}

static void pic_update(struct i8259 *pic)
{
	struct i8259_chip *m = master(pic), *s = slave(pic);
	bool was = m->int_out;

	assert(!(m->elcr & ~elcr_writable[MASTER]) && !(s->elcr & ~elcr_writable[SLAVE]));
	assert(!(m->lines & 1u << CASCADE)); /* it has no line of its own */
	s->int_out = chip_pending(s, false) >= 0;
	/* The cascade follows the slave's INT pin, whatever the master's trigger mode. */
	m->irr = s->int_out ? m->irr | (1u << CASCADE) : m->irr & ~(1u << CASCADE);
	m->int_out = chip_pending(m, true) >= 0;
	if (m->int_out != was)
		irq_set(&pic->out, m->int_out);
}

void i8259_set_irq(void *opaque, unsigned n, bool level)
{
	struct i8259 *pic = opaque;

	if (n == CASCADE || n > 15)
		return;
	chip_set_input(&pic->s.chip[n >> 3], n & 7, level);
	pic_update(pic);
}

bool i8259_is_latched(const struct i8259 *pic, unsigned n)
{
	return n < 16 && n != CASCADE && pic->s.chip[n >> 3].irr >> (n & 7) & 1;
}

bool i8259_is_masked(const struct i8259 *pic, unsigned n)
{
	return (pic->s.chip[n >> 3].imr >> (n & 7) & 1) ||
	       (n > 7 && (pic->s.chip[MASTER].imr >> CASCADE & 1));
}

/* Input n has been acknowledged. */
static void chip_begin_service(struct i8259 *pic, struct i8259_chip *c, unsigned n)
{
	pic->taken[(c - pic->s.chip) * 8 + n]++;
	assert((c->irr & ~c->imr) >> n & 1);
	if (c->icw4 & ICW4_AEOI) {
		if (c->rotate_on_aeoi)
			c->lowest = (uint8_t)n;
	} else {
		c->isr |= 1u << n;
	}
	if (!is_level(c, n))
		c->irr &= ~(1u << n);
}

static unsigned chip_acknowledge(struct i8259 *pic, struct i8259_chip *c, bool is_master)
{
	int n = chip_pending(c, is_master);

	if (n < 0)
		return 7; /* spurious: nothing goes into service */
	chip_begin_service(pic, c, (unsigned)n);
	return (unsigned)n;
}

int i8259_acknowledge(void *opaque)
{
	struct i8259 *pic = opaque;
	struct i8259_chip *m = master(pic), *s = slave(pic);
	int n = chip_pending(m, true);
	uint8_t vector;

	if (n == CASCADE) {
		chip_begin_service(pic, m, CASCADE);
		vector = (s->icw2 & 0xf8) | (uint8_t)chip_acknowledge(pic, s, false);
	} else {
		vector = (m->icw2 & 0xf8) | (uint8_t)chip_acknowledge(pic, m, true);
	}
	pic_update(pic);
	return vector;
}

/* Commands. */

static void chip_start_init(struct i8259_chip *c, uint8_t icw1)
{
	c->icw1 = icw1;
	c->icw4 = 0;
	c->imr = c->isr = c->irr = 0;
	c->lowest = 7;
	c->read_isr = c->poll = c->special_mask = c->rotate_on_aeoi = false;
	c->init_step = 2;
	/*
	 * The edge sense circuit is reset: a line must go low and high again. Level inputs request
	 * at once.
	 */
	c->irr = c->lines & level_inputs(c);
}

static void chip_icw(struct i8259_chip *c, uint8_t value)
{
	switch (c->init_step) {
	case 2:
		c->icw2 = value;
		c->init_step = !(c->icw1 & ICW1_SNGL) ? 3 : (c->icw1 & ICW1_IC4) ? 4 : 0;
		break;
	case 3:
		c->icw3 = value;
		c->init_step = (c->icw1 & ICW1_IC4) ? 4 : 0;
		break;
	default:
		assert(c->init_step == 4);
		c->icw4 = value;
		c->init_step = 0;
		break;
	}
}

/* OCW2: end of interrupt and rotation (data sheet, figure 8: R SL EOI in bits 7..5). */
static void chip_ocw2(struct i8259_chip *c, uint8_t value)
{
	unsigned level = value & 7;
	bool rotate = value & 0x80, specific = value & 0x40, eoi = value & 0x20;
	int n;

	if (!eoi) {
		if (!specific)
			c->rotate_on_aeoi = rotate;
		else if (rotate) /* set priority; without R it is a no-op */
			c->lowest = (uint8_t)level;
		return;
	}
	/*
	 * In special mask mode a non-specific EOI does not clear masked levels (data sheet, special
	 * mask mode).
	 */
	n = specific ? (int)level : most_urgent(c, c->special_mask ? c->isr & ~c->imr : c->isr);
	if (n < 0)
		return;
	c->isr &= ~(1u << n);
	if (rotate)
		c->lowest = (uint8_t)n;
}

static void chip_ocw3(struct i8259_chip *c, uint8_t value)
{
	if (value & 0x04)
		c->poll = true;
	if (value & 0x02)
		c->read_isr = value & 0x01;
	if (value & 0x40)
		c->special_mask = !!(value & 0x20);
}

static struct i8259_chip *chip_of(struct i8259 *pic, bool is_slave)
{
	return &pic->s.chip[is_slave];
}

static void pic_write(struct i8259 *pic, bool is_slave, uint64_t offset, uint64_t value)
{
	struct i8259_chip *c = chip_of(pic, is_slave);

	if (offset == 0) {
		if (value & ICW1_INIT)
			chip_start_init(c, (uint8_t)value);
		else if (value & OCW3)
			chip_ocw3(c, (uint8_t)value);
		else
			chip_ocw2(c, (uint8_t)value);
	} else if (c->init_step) {
		chip_icw(c, (uint8_t)value);
	} else {
		c->imr = (uint8_t)value;
	}
	pic_update(pic);
}

/* A read in poll mode acknowledges: bit 7 tells whether there was a request, bits 2..0 which. */
static uint8_t pic_poll(struct i8259 *pic, struct i8259_chip *c, bool is_slave)
{
	int n = chip_pending(c, !is_slave);

	c->poll = false;
	if (n < 0)
		return 0;
	chip_begin_service(pic, c, (unsigned)n);
	pic_update(pic);
	return (uint8_t)(0x80 | n);
}

static uint64_t pic_read(struct i8259 *pic, bool is_slave, uint64_t offset)
{
	struct i8259_chip *c = chip_of(pic, is_slave);

	if (c->poll)
		return pic_poll(pic, c, is_slave);
	if (offset == 1)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static uint64_t master_read(void *p, uint64_t offset, unsigned size)
{
	return pic_read(p, false, offset);
}

static uint64_t slave_read(void *p, uint64_t offset, unsigned size)
{
	return pic_read(p, true, offset);
}

static void master_write(void *p, uint64_t offset, uint64_t value, unsigned size)
{
	pic_write(p, false, offset, value);
}

static void slave_write(void *p, uint64_t offset, uint64_t value, unsigned size)
{
	pic_write(p, true, offset, value);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
	return ((struct i8259 *)opaque)->s.chip[offset].elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct i8259 *pic = opaque;
	struct i8259_chip *c = &pic->s.chip[offset];
	uint8_t changed = c->elcr ^ (uint8_t)(value & elcr_writable[offset]);

	c->elcr ^= changed;
	/*
	 * A level input requests exactly while its line is high; one turned to edges starts without
	 * a request.
	 */
	c->irr = (c->irr & ~changed) | (c->lines & changed & level_inputs(c));
	pic_update(pic);
}

void i8259_reset(void *opaque)
{
	struct i8259 *pic = opaque;
	bool was = master(pic)->int_out;

	memset(&pic->s, 0, sizeof(pic->s));
	for (unsigned i = 0; i < 2; i++) {
		pic->s.chip[i].lowest = 7;
		/* unspecified on the chip; quiet until somebody initializes it */
		pic->s.chip[i].imr = 0xff;
	}
	/* Where the BIOS leaves them, for kernels booted without one. */
	master(pic)->icw2 = 0x08;
	slave(pic)->icw2 = 0x70;
	master(pic)->icw4 = slave(pic)->icw4 = 0x01;
	if (was)
		irq_set(&pic->out, false);
}

static const char *state_check(const void *opaque)
{
	const struct i8259 *pic = opaque;

	for (unsigned i = 0; i < 2; i++) {
		if (pic->s.chip[i].init_step == 1)
			return "init_step";
		if (pic->s.chip[i].elcr & ~elcr_writable[i])
			return "elcr";
	}
	return pic->s.chip[MASTER].lines & 1u << CASCADE ? "lines" : NULL;
}

static void loaded(void *opaque)
{
	struct i8259 *pic = opaque;

	pic_update(pic);
	irq_set(&pic->out, i8259_int(pic));
}

void i8259_init(struct i8259 *pic, struct irq_line out)
{
	memset(pic, 0, sizeof(*pic));
	pic->out = out;
	i8259_reset(pic);
}

static const struct state_field chip_state[] = {
	STATE_ANY(struct i8259_chip, lines),
	STATE_ANY(struct i8259_chip, irr),
	STATE_ANY(struct i8259_chip, imr),
	STATE_ANY(struct i8259_chip, isr),
	STATE_ANY(struct i8259_chip, elcr),
	STATE_ANY(struct i8259_chip, icw1),
	STATE_ANY(struct i8259_chip, icw2),
	STATE_ANY(struct i8259_chip, icw3),
	STATE_ANY(struct i8259_chip, icw4),
	STATE_MOST(struct i8259_chip, init_step, 4),
	STATE_MOST(struct i8259_chip, lowest, 7),
	STATE_FLAG(struct i8259_chip, read_isr),
	STATE_FLAG(struct i8259_chip, poll),
	STATE_FLAG(struct i8259_chip, special_mask),
	STATE_FLAG(struct i8259_chip, rotate_on_aeoi),
	STATE_FLAG(struct i8259_chip, int_out),
	STATE_END,
};

static const struct state_field state[] = {
	STATE_STRUCT_ARRAY(struct i8259, s.chip, chip_state),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_PIO, 0x20, 2, { master_read, master_write, 1, 1 } },
	{ BUS_PIO, 0xa0, 2, { slave_read, slave_write, 1, 1 } },
	{ BUS_PIO, 0x4d0, 2, { elcr_read, elcr_write, 1, 1 } },
};

const struct device_desc i8259_desc = {
	.name = "i8259",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = i8259_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct i8259),
	.state_check = state_check,
	.loaded = loaded,
};
