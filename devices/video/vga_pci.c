/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VGA as a PCI function: BAR 0 is the linear frame buffer, BAR 2 has the ports 3c0h to 3dfh at
 * 400h and the registers of the Bochs extension at 500h. Ports and window answer whatever the
 * command register says, as those of the adapter that firmware starts with do.
 */
#include "vga_internal.h"

#define REGISTERS_SIZE 0x1000u
#define AT_PORTS       0x400u
#define AT_DISPI       0x500u
#define PORT_FIRST     0x10u /* 3c0h, counted as vga_port_read() does */

static uint64_t frame_read(void *opaque, uint64_t offset, unsigned size)
{
	struct vga *vga = opaque;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)*vga_at(vga, (uint32_t)offset + i) << (8 * i);
	vga_frame_accessed(vga);
	return value;
}

static void frame_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct vga *vga = opaque;

	for (unsigned i = 0; i < size; i++)
		*vga_at(vga, (uint32_t)offset + i) = (uint8_t)(value >> (8 * i));
	vga_stored(vga, (uint32_t)offset);
	vga_frame_accessed(vga);
}

static void config_written(void *opaque, unsigned offset, unsigned size)
{
	vga_frame_follow(opaque);
}

static bool is_port(uint64_t offset)
{
	return offset >= AT_PORTS && offset < AT_PORTS + 32;
}

static bool is_dispi(uint64_t offset)
{
	return offset >= AT_DISPI && offset < AT_DISPI + 2 * (DISPI_MEMORY_64K + 1);
}

/* A register of the extension is chosen by its address; the index of port 1ceh stays. */
static uint16_t dispi_read_at(struct vga *vga, uint64_t offset)
{
	const uint16_t index = vga->s.dispi_index;
	uint16_t value;

	vga->s.dispi_index = (uint16_t)((offset - AT_DISPI) / 2);
	value = vga_dispi_read(vga);
	vga->s.dispi_index = index;
	return value;
}

static void dispi_write_at(struct vga *vga, uint64_t offset, uint16_t value)
{
	const uint16_t index = vga->s.dispi_index;

	vga->s.dispi_index = (uint16_t)((offset - AT_DISPI) / 2);
	vga_dispi_write(vga, value);
	vga->s.dispi_index = index;
}

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
	struct vga *vga = opaque;
	uint64_t value;

	if (is_dispi(offset))
		return size == 2 ? dispi_read_at(vga, offset) :
				   dispi_read_at(vga, offset & ~1ull) >> (8 * (offset & 1));
	if (!is_port(offset))
		return 0;
	value = vga_port_read(vga, PORT_FIRST + (unsigned)(offset - AT_PORTS));
	if (size == 2)
		value |= (uint64_t)vga_port_read(vga, PORT_FIRST + 1 +
						 (unsigned)(offset - AT_PORTS)) << 8;
	return value;
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct vga *vga = opaque;

	if (is_dispi(offset) && size == 2)
		dispi_write_at(vga, offset, (uint16_t)value);
	if (!is_port(offset))
		return;
	for (unsigned i = 0; i < size; i++)
		vga_port_write(vga, PORT_FIRST + i + (unsigned)(offset - AT_PORTS),
			       (uint8_t)(value >> (8 * i)));
}

void vga_pci_init(struct vga *vga, uint8_t devfn)
{
	static const struct pci_identity identity = { 0x1234, 0x1111, 2, 0, 0x0300 };
	static const struct bus_ops frame = { frame_read, frame_write, 1, 8 };
	static const struct bus_ops registers = { registers_read, registers_write, 1, 2 };

	pci_function_init(&vga->function, "vga", devfn, &identity, vga);
	vga->function.config_written = config_written;
	pci_function_bar(&vga->function, 0, BUS_MMIO, VGA_MEMORY_SIZE, &frame);
	vga->function.initial[PCI_BAR0] = vga->function.config[PCI_BAR0] = 8; /* prefetchable */
	pci_function_bar(&vga->function, 2, BUS_MMIO, REGISTERS_SIZE, &registers);
}
