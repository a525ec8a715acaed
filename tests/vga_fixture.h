/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VGA on a bus of its own, and the modes that a BIOS would set. */
#ifndef RF_TESTS_VGA_FIXTURE_H
#define RF_TESTS_VGA_FIXTURE_H

#include "devices/chips/pci_host.h"
#include "devices/video/vga.h"
#include "fake_clock.h"

struct vga_fixture {
	struct bus *bus;
	struct pci_host host;
	struct fake_clock time;
	struct vga vga;
	struct display display;
	uint8_t rom[4096];
};

extern struct vga_fixture v;

/* For a TestSuite. */
void vga_setup(void);
void vga_teardown(void);

static inline void out(uint16_t port, uint8_t value) { bus_pio_write(v.bus, port, value, 1); }
static inline uint8_t in(uint16_t port) { return (uint8_t)bus_pio_read(v.bus, port, 1); }
static inline void mmio_write(uint32_t at, uint32_t value, unsigned bytes)
{
	bus_mmio_write(v.bus, GPA(at), value, bytes);
}
static inline uint32_t mmio_read(uint32_t at, unsigned bytes)
{
	return (uint32_t)bus_mmio_read(v.bus, GPA(at), bytes);
}
static inline void poke(uint32_t at, uint8_t value) { mmio_write(at, value, 1); }
static inline uint8_t peek(uint32_t at) { return (uint8_t)mmio_read(at, 1); }

/* Registers. */
void seq(uint8_t index, uint8_t value);
void crtc(uint8_t index, uint8_t value);
void gc(uint8_t index, uint8_t value);
void attribute(uint8_t index, uint8_t value); /* and turns the screen on */
void dac(uint8_t index, uint8_t red, uint8_t green, uint8_t blue);
/* Row row of a character's glyph in the first font. */
void glyph(uint8_t character, unsigned row, uint8_t bits);

/* Sixteen-colour memory with nothing set up beyond it. */
void planar(void);
void text_mode(void);
void mode_12h(void);
void mode_13h(void);
void cga_mode_4(void);

/* Byte offset of all planes. */
uint32_t planes(uint32_t offset);
struct display_size size(void);
/* 0x00RRGGBB of what is shown there. */
uint32_t pixel(unsigned x, unsigned y);

#endif
