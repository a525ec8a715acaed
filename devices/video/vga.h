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
/* Video memory, and 128 KiB that the window uses in some modes (vga_map.c). */
#define VGA_STORE_SIZE (VGA_MEMORY_SIZE + 0x20000u)
#define VGA_DISPI_REGISTERS 10

/*
 * What the window at a0000h is now: through the bus only, or size bytes of it, from byte first on,
 * are as memory, and lie in the store from byte at on.
 */
struct vga_window {
	enum vga_form { VGA_UNMAPPED, VGA_ODD_EVEN, VGA_CHAIN4, VGA_LINEAR } form;
	uint32_t first, size, at;
};

struct vga {
	struct pci_function function;
	struct clock clock;
	uint8_t *memory; /* VGA_STORE_SIZE bytes */
	bool blank;      /* all of them are 0 */
	struct display_memory shared;
	uint64_t stored; /* chunks, through the bus, since vga_changed() */
	bool looks_new;  /* all of the screen may have changed since then */
	struct vga_window window, window_wanted; /* as it is; as the registers allow it */
	uint32_t frame_base; /* where the frame buffer is as memory; 0: nowhere */
	unsigned window_accesses, frame_accesses; /* through the bus, lately */
	unsigned patience;     /* so many of the window's before it is as memory */
	uint64_t window_since; /* when it last became so */
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

/*
 * shared: its store has VGA_STORE_SIZE bytes; NULL: there is none. 0 or -ENOMEM. An option ROM is
 * given to vga->function (pci_function_rom()).
 */
int vga_init(struct vga *vga, uint8_t devfn, const struct clock *clock,
	     const struct display_memory *shared) RF_MUST_CHECK;
void vga_destroy(struct vga *vga);
/* What of the store is to be as memory, and where. */
void vga_views(const struct vga *vga, struct display_view view[DISPLAY_VIEWS]);
struct display vga_display(struct vga *vga);

#endif
