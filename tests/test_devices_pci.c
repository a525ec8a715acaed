/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions, BARs and interrupt routing, on the board. */
#include <criterion/criterion.h>

#include "board_fixture.h"
#include "devices/chips/piix3.h"

TestSuite(pci, .init = board_setup, .fini = board_teardown);

/* PCI. */

static uint32_t config_read(unsigned devfn, unsigned offset)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
	return bus_pio_read(b.bus, 0xcfc, 4);
}

static void config_write(unsigned devfn, unsigned offset, uint32_t value)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000 | devfn << 8 | (offset & 0xfc), 4);
	bus_pio_write(b.bus, 0xcfc, value, 4);
}

Test(pci, functions_of_the_chipset)
{
	unsigned present = 0;

	cr_expect_eq(config_read(0x00, 0), 0x12378086);
	cr_expect_eq(config_read(0x08, 0), 0x70008086);
	cr_expect_eq(config_read(0x09, 0), 0x70108086);
	cr_expect_eq(config_read(0x09, 8) >> 8, 0x010180);
	cr_expect_eq(config_read(0x0b, 0), 0x71138086);
	cr_expect_eq(config_read(0x08, 0x0c) >> 16 & 0x80, 0x80, "multifunction");
	cr_expect_eq(config_read(0x00, 8) >> 16, 0x0600);
	cr_expect_eq(config_read(0x08, 8) >> 16, 0x0601);
	cr_expect_eq(config_read(0x0b, 8) >> 16, 0x0680);
	for (unsigned devfn = 0; devfn < 256; devfn++)
		present += config_read(devfn, 0) != 0xffffffff;
	cr_expect_eq(present, 4);
	bus_pio_write(b.bus, 0xcf8, 0x80010000, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfc, 4), 0xffffffff, "only bus 0");
	bus_pio_write(b.bus, 0xcf8, 0x00000000, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfc, 4), 0xffffffff, "not enabled");
}

Test(pci, narrow_data_accesses)
{
	bus_pio_write(b.bus, 0xcf8, 0x80000000, 4);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfe, 2), 0x1237);
	cr_expect_eq(bus_pio_read(b.bus, 0xcfd, 1), 0x80);
	cr_expect_eq(bus_pio_read(b.bus, 0xcf8, 4), 0x80000000);
	bus_pio_write(b.bus, 0xcf8, 0x80000058, 4);
	bus_pio_write(b.bus, 0xcfe, 0xff, 1);
	cr_expect_eq(config_read(0, 0x58) >> 16 & 0xff, 0x33, "PAM bits that exist");
	config_write(0, 0, 0xffffffff);
	cr_expect_eq(config_read(0, 0), 0x12378086, "read-only");
	config_write(0x0b, 0x3c, 0xff05);
	cr_expect_eq(config_read(0x0b, 0x3c) & 0xffff, 0x0105);
}

Test(pci, reset_control_register)
{
	out(0xcf9, 0x02);
	cr_expect_eq(in(0xcf9), 0x02);
	cr_expect_eq(b.resets, 0);
	out(0xcf9, 0x06);
	cr_expect_eq(b.resets, 1);
	cr_expect_eq(bus_pio_read(b.bus, 0xcf8, 4), 0);
}

struct test_bar {
	uint32_t value;
};

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned size)
{
	return ((struct test_bar *)opaque)->value;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned size) { }

Test(pci, bars_are_sized_and_mapped)
{
	static const struct pci_identity identity = { 0x1234, 0x5678, 0, 0, 0x0200 };
	const struct bus_ops ops = { bar_read, bar_write, 1, 4 };
	struct test_bar device = { 0xcafe };
	struct pci_function f;

	pci_function_init(&f, "test", 0x18, &identity, &device);
	pci_function_bar(&f, 0, BUS_MMIO, 0x1000, &ops);
	pci_function_bar(&f, 1, BUS_PIO, 0x20, &ops);
	f.bus = b.bus;
	pci_config_write(&f, 0x10, 0xffffffff, 4);
	pci_config_write(&f, 0x14, 0xffffffff, 4);
	cr_expect_eq(pci_config_read(&f, 0x10, 4), 0xfffff000);
	cr_expect_eq(pci_config_read(&f, 0x14, 4), 0xffffffe1);
	pci_config_write(&f, 0x18, 0xffffffff, 4);
	cr_expect_eq(pci_config_read(&f, 0x18, 4), 0, "not implemented");
	pci_config_write(&f, 0x10, 0xe0000000, 4);
	pci_config_write(&f, 0x14, 0xc000, 4);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xe0000000), 2), 0xffff);
	pci_config_write(&f, 4, 3, 2);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xe0000ffe), 2), 0xcafe);
	cr_expect_eq(bus_pio_read(b.bus, 0xc01e, 2), 0xcafe);
	pci_config_write(&f, 0x10, 0xe1000000, 4);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xe0000000), 2), 0xffff);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xe1000000), 2), 0xcafe);
	pci_config_write(&f, 0x14, 0x60, 4);
	cr_expect_eq(in(0x64) & 0x10, 0x10, "on top of the keyboard controller: that one answers");
	pci_function_reset(&f);
	cr_expect_eq(bus_mmio_read(b.bus, GPA(0xe1000000), 2), 0xffff);
}

static uint16_t isa_levels;

static void isa_set(void *opaque, unsigned n, bool level)
{
	isa_levels = level ? isa_levels | 1u << n : isa_levels & ~(1u << n);
}

Test(pci, pirq_routing)
{
	struct irq_line lines[16];
	struct piix3 piix;

	isa_levels = 0;
	for (unsigned n = 0; n < 16; n++)
		lines[n] = (struct irq_line){ isa_set, NULL, n };
	piix3_init(&piix, lines, (struct signal_line){ 0 });
	piix3_set_intx(&piix, PCI_DEVFN(3, 0), 0, true); /* PIRQC */
	cr_expect_eq(isa_levels, 1u << 11);
	piix3_set_intx(&piix, PCI_DEVFN(7, 0), 0, true); /* shares it */
	piix3_set_intx(&piix, PCI_DEVFN(3, 0), 0, false);
	cr_expect_eq(isa_levels, 1u << 11);
	pci_config_write(&piix.function, 0x62, 5, 1);
	cr_expect_eq(isa_levels, 1u << 5, "rerouted while asserted");
	pci_config_write(&piix.function, 0x62, 0x80, 1);
	cr_expect_eq(isa_levels, 0);
	pci_config_write(&piix.function, 0x62, 1, 1);
	cr_expect_eq(isa_levels, 0, "IRQ 1 is not routable");
}
