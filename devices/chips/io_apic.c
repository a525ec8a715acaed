/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O APIC. An edge on a masked pin is lost; a level pin sends once, sets its remote IRR, and sends
 * again after the EOI if the line is still up. Polarity is not modelled: lines report "asserted",
 * and so a pin programmed active low or high behaves alike.
 */
#include "io_apic.h"

#include <assert.h>
#include <string.h>

#define REG_ID      0
#define REG_VERSION 1
#define REG_ARB     2
#define REG_ENTRY   16

#define VERSION 0x00170011u

#define ENTRY_LOGICAL    (1ull << 11)
#define ENTRY_STATUS     (1ull << 12)
#define ENTRY_REMOTE_IRR (1ull << 14)
#define ENTRY_LEVEL      (1ull << 15)
#define ENTRY_MASKED     (1ull << 16)
#define ENTRY_READ_ONLY  (ENTRY_STATUS | ENTRY_REMOTE_IRR)
#define ENTRY_WRITABLE   (0xff0000000001ffffull & ~ENTRY_READ_ONLY)

static void send(struct io_apic *apic, unsigned pin)
{
	uint64_t *entry = &apic->s.entry[pin];
	enum apic_delivery mode = (enum apic_delivery)(*entry >> 8 & 7);
	bool level = (*entry & ENTRY_LEVEL) && (mode == APIC_FIXED || mode == APIC_LOWEST);

	apic->sent[pin]++;
	if (level)
		*entry |= ENTRY_REMOTE_IRR;
	if (!lapic_message(apic->lapic, (uint8_t)(*entry >> 56), *entry & ENTRY_LOGICAL, mode,
			   (uint8_t)*entry, level))
		*entry &= ~ENTRY_REMOTE_IRR; /* nobody took it, so nobody will end it */
}

static void service_level(struct io_apic *apic, unsigned pin)
{
	uint64_t entry = apic->s.entry[pin];

	if ((apic->s.lines >> pin & 1) && (entry & ENTRY_LEVEL) &&
	    !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		send(apic, pin);
}

void io_apic_set_pin(void *opaque, unsigned n, bool level)
{
	struct io_apic *apic = opaque;
	bool rising;

	if (n >= IO_APIC_PINS)
		return;
	rising = level && !(apic->s.lines >> n & 1);
	apic->s.lines = level ? apic->s.lines | 1u << n : apic->s.lines & ~(1u << n);
	if (apic->s.entry[n] & ENTRY_LEVEL)
		service_level(apic, n);
	else if (rising && !(apic->s.entry[n] & ENTRY_MASKED))
		send(apic, n);
}

bool io_apic_is_requested(const struct io_apic *apic, unsigned n)
{
	uint64_t entry = apic->s.entry[n];

	return !(entry & ENTRY_MASKED) && lapic_is_requested(apic->lapic, (uint8_t)entry);
}

bool io_apic_sends_nmis(const struct io_apic *apic)
{
	for (unsigned pin = 0; pin < IO_APIC_PINS; pin++) {
		enum apic_delivery mode = (enum apic_delivery)(apic->s.entry[pin] >> 8 & 7);

		if (!io_apic_is_masked(apic, pin) && mode != APIC_FIXED && mode != APIC_LOWEST &&
		    mode != APIC_EXTINT)
			return true;
	}
	return false;
}

void io_apic_eoi(void *opaque, unsigned n, uint32_t vector)
{
	struct io_apic *apic = opaque;

	for (unsigned pin = 0; pin < IO_APIC_PINS; pin++) {
		uint64_t *entry = &apic->s.entry[pin];

		if ((uint8_t)*entry != vector || !(*entry & ENTRY_REMOTE_IRR))
			continue;
		assert(*entry & ENTRY_LEVEL); /* only level pins have one */
		*entry &= ~ENTRY_REMOTE_IRR;
		service_level(apic, pin);
	}
}

static uint32_t register_read(const struct io_apic *apic)
{
	unsigned index = apic->s.select;

	switch (index) {
	case REG_ID:
	case REG_ARB:
		return apic->s.id;
	case REG_VERSION:
		return VERSION;
	default:
		if (index < REG_ENTRY || index >= REG_ENTRY + 2 * IO_APIC_PINS)
			return 0;
		index -= REG_ENTRY;
		return (uint32_t)(apic->s.entry[index / 2] >> (index & 1 ? 32 : 0));
	}
}

static void write_entry(struct io_apic *apic, unsigned index, uint32_t value)
{
	uint64_t *entry = &apic->s.entry[index / 2];
	uint64_t old = *entry, new;

	if (index & 1)
		new = (uint64_t)value << 32 | (uint32_t)old;
	else
		new = (old & ~0xffffffffull) | value;
	*entry = (new & ENTRY_WRITABLE) | (old & ENTRY_READ_ONLY);
	/*
	 * Turning to edge-triggered forgets the remote IRR: operating systems clear a stuck one so.
	 */
	if (!(*entry & ENTRY_LEVEL))
		*entry &= ~ENTRY_REMOTE_IRR;
	service_level(apic, index / 2);
}

static void register_write(struct io_apic *apic, uint32_t value)
{
	unsigned index = apic->s.select;

	if (index == REG_ID)
		apic->s.id = value & 0x0f000000;
	else if (index >= REG_ENTRY && index < REG_ENTRY + 2 * IO_APIC_PINS)
		write_entry(apic, index - REG_ENTRY, value);
}

static uint64_t io_apic_read(void *opaque, uint64_t offset, unsigned size)
{
	struct io_apic *apic = opaque;

	if (offset == 0)
		return apic->s.select;
	return offset == 0x10 ? register_read(apic) : 0;
}

static void io_apic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct io_apic *apic = opaque;

	if (offset == 0)
		apic->s.select = (uint8_t)value;
	else if (offset == 0x10)
		register_write(apic, (uint32_t)value);
}

static void io_apic_reset(void *opaque)
{
	struct io_apic *apic = opaque;

	memset(&apic->s, 0, sizeof(apic->s));
	for (unsigned pin = 0; pin < IO_APIC_PINS; pin++)
		apic->s.entry[pin] = ENTRY_MASKED;
}

void io_apic_init(struct io_apic *apic, struct lapic *lapic)
{
	apic->lapic = lapic;
	io_apic_reset(apic);
}

static const char *state_check(const void *opaque)
{
	const struct io_apic *apic = opaque;

	for (unsigned pin = 0; pin < IO_APIC_PINS; pin++)
		if ((apic->s.entry[pin] & (ENTRY_REMOTE_IRR | ENTRY_LEVEL)) == ENTRY_REMOTE_IRR)
			return "s.entry";
	return NULL;
}

static const struct state_field state[] = {
	STATE_BITS_ARRAY(struct io_apic, s.entry, ENTRY_WRITABLE | ENTRY_REMOTE_IRR),
	STATE_BITS(struct io_apic, s.lines, (1u << IO_APIC_PINS) - 1),
	STATE_BITS(struct io_apic, s.id, 0x0f000000),
	STATE_ANY(struct io_apic, s.select),
	STATE_END,
};

static const struct bus_range ranges[] = {
	{ BUS_MMIO, IO_APIC_BASE, 0x1000, { io_apic_read, io_apic_write, 4, 4 } },
};

const struct device_desc io_apic_desc = {
	.name = "io-apic",
	.ranges = ranges,
	.nranges = RF_ARRAY_SIZE(ranges),
	.reset = io_apic_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct io_apic),
	.state_check = state_check,
};
