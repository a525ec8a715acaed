/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VGA with the Bochs VBE extension: QEMU's "VGA" (PCI 1234:1111). IBM VGA/XGA Technical Reference
 * (May 1992), chapter 2; QEMU docs/specs/standard-vga.
 *
 * The four planes lie byte by byte beside each other in video memory: byte n of plane p is at
 * 4 * n + p. In the modes of the extension with eight bits per pixel and more, video memory is one
 * linear frame buffer.
 */
#ifndef RF_DEVICES_VIDEO_VGA_H
#define RF_DEVICES_VIDEO_VGA_H

#include "devices/bus/clock.h"
#include "devices/bus/display.h"
#include "devices/bus/pci.h"

#define VGA_MEMORY_SIZE (16u << 20)
#define VGA_DISPI_REGISTERS 10

struct vga {
	struct pci_function function;
	struct clock clock;
	uint8_t *memory; /* VGA_MEMORY_SIZE bytes */
	struct vga_state {
		uint8_t misc, feature;
		uint8_t sequencer_index, sequencer[8];
		uint8_t crtc_index, crtc[0x19];
		uint8_t graphics_index, graphics[9];
		uint8_t attribute_index; /* bit 5: the palette is in use, the screen is on */
		uint8_t attribute[0x15];
		bool attribute_data;     /* the next write of port 3c0h is data */
		uint8_t dac_mask, dac_write, dac_read, dac_component;
		bool dac_reading;
		uint8_t dac[256 * 3];
		uint32_t latch; /* plane p in byte p */
		uint16_t dispi_index, dispi[VGA_DISPI_REGISTERS];
		uint8_t dispi_low; /* low byte of what is being written to port 1cfh */
	} s;
};

extern const struct device_desc vga_desc;

/* 0 or -ENOMEM. An option ROM is given to vga->function (pci_function_rom()). */
int vga_init(struct vga *vga, uint8_t devfn, const struct clock *clock) RF_MUST_CHECK;
void vga_destroy(struct vga *vga);
struct display vga_display(struct vga *vga);

#endif
