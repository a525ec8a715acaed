/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PIIX3 ISA bridge. An ISA IRQ is asserted by the bridge while any PIRQ routed to it is. Slots are
 * wired so that INTA of device d is PIRQ (d + 3) mod 4, as on QEMU's board.
 */
#include "piix3.h"

#include <assert.h>
#include <string.h>

#define PIRQ_ROUTE    0x60
#define ROUTE_DISABLED 0x80

#define RESET_CPU     0x04
#define RESET_WRITABLE 0x06

/* IRQs a PIRQ may go to: 3-7, 9-12, 14, 15. */
#define ROUTABLE 0xdef8u

static uint16_t wanted_levels(const struct piix3 *piix)
{
	uint16_t levels = 0;

	for (unsigned i = 0; i < PIIX3_NPIRQ; i++) {
		uint8_t route = piix->function.config[PIRQ_ROUTE + i];

		if (piix->s.asserted[i] && !(route & ROUTE_DISABLED))
			levels |= 1u << (route & 15);
	}
	return levels & ROUTABLE;
}

static void update_routing(struct piix3 *piix)
{
	uint16_t levels = wanted_levels(piix), changed = levels ^ piix->s.isa_levels;

	piix->s.isa_levels = levels;
	for (unsigned n = 0; n < 16; n++)
		if (changed >> n & 1)
			irq_set(&piix->isa_irq[n], levels >> n & 1);
}

void piix3_set_intx(struct piix3 *piix, uint8_t devfn, unsigned pin, bool level)
{
	unsigned device = devfn >> 3, pirq = (device + pin + 3) % PIIX3_NPIRQ;
	/*
	 * The pins of one device reach four different PIRQs, so a bit per device and PIRQ keeps the
	 * sharers apart.
	 */
	uint32_t *asserted = &piix->s.asserted[pirq];

	assert(pin < 4);
	*asserted = level ? *asserted | 1u << device : *asserted & ~(1u << device);
	update_routing(piix);
}

uint8_t piix3_narrow_read(void *opaque, unsigned offset)
{
	struct piix3 *piix = opaque;

	return offset == 1 ? piix->s.reset_control : 0xff;
}

/*
 * The reset happens when RCPU rises (82371SB, reset control register); SRST chooses hard or soft,
 * alike here.
 */
void piix3_narrow_write(void *opaque, unsigned offset, uint8_t value)
{
	struct piix3 *piix = opaque;
	bool rises = (value & ~piix->s.reset_control) & RESET_CPU;

	if (offset != 1)
		return;
	piix->s.reset_control = value & RESET_WRITABLE;
	if (rises)
		signal_raise(&piix->reset, 0);
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
	update_routing(opaque);
}

static void piix3_reset(void *opaque)
{
	struct piix3 *piix = opaque;

	memset(&piix->s, 0, sizeof(piix->s));
	pci_function_reset(&piix->function);
}

static const char *state_check(const void *opaque)
{
	const struct piix3 *piix = opaque;

	return pci_function_config_valid(&piix->function) ? NULL : "function.config";
}

static void loaded(void *opaque)
{
	struct piix3 *piix = opaque;

	pci_function_update_bars(&piix->function);
	for (unsigned n = 0; n < 16; n++)
		if (ROUTABLE >> n & 1)
			irq_set(&piix->isa_irq[n], piix->s.isa_levels >> n & 1);
	update_routing(piix);
}

void piix3_init(struct piix3 *piix, const struct irq_line isa_irq[16],
		struct signal_line reset)
{
	static const struct pci_identity identity = { 0x8086, 0x7000, 0, 0, 0x0601 };
	static const uint8_t routes[PIIX3_NPIRQ] = { 10, 10, 11, 11 }; /* as SeaBIOS sets them */
	struct pci_function *f = &piix->function;

	memset(piix, 0, sizeof(*piix));
	memcpy(piix->isa_irq, isa_irq, sizeof(piix->isa_irq));
	piix->reset = reset;
	pci_function_init(f, "PIIX3", PCI_DEVFN(1, 0), &identity, piix);
	f->config_written = config_written;
	f->initial[PCI_HEADER_TYPE] = PCI_HEADER_MULTIFUNCTION;
	pci_set16(f->initial, PCI_COMMAND,
		  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_set16(f->writable, PCI_COMMAND, 0);
	pci_set16(f->initial, PCI_STATUS, 0x0200);
	memcpy(&f->initial[PIRQ_ROUTE], routes, sizeof(routes));
	memset(&f->writable[PIRQ_ROUTE], 0x8f, PIIX3_NPIRQ);
	/* X-bus, DMA and bridge timing registers: remembered for who reads them back. */
	f->initial[0x4c] = 0x4d;
	f->initial[0x4e] = 0x03;
	memset(&f->writable[0x4c], 0xff, 4);
	piix3_reset(piix);
}

void piix3_needs_firmware(struct piix3 *piix)
{
	memset(&piix->function.initial[PIRQ_ROUTE], ROUTE_DISABLED, PIIX3_NPIRQ);
	piix3_reset(piix);
}

static const struct state_field state[] = {
	STATE_BITS(struct piix3, s.reset_control, RESET_WRITABLE),
	STATE_BITS(struct piix3, s.isa_levels, ROUTABLE),
	STATE_ANY_ARRAY(struct piix3, s.asserted),
	STATE_ANY_ARRAY(struct piix3, function.config),
	STATE_END,
};

const struct device_desc piix3_desc = {
	.name = "piix3",
	.reset = piix3_reset,
	.state = state,
	.state_version = 1,
	.size = sizeof(struct piix3),
	.state_check = state_check,
	.loaded = loaded,
};
