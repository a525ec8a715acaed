/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the VGA share: names of registers and of their bits. */
#ifndef RF_DEVICES_VIDEO_VGA_INTERNAL_H
#define RF_DEVICES_VIDEO_VGA_INTERNAL_H

#include "vga.h"

#define MISC_COLOR      0x01 /* CRTC at 3d4h, not at 3b4h */
#define MISC_RAM_ENABLE 0x02

enum sequencer_register {
	SEQ_RESET, SEQ_CLOCKING, SEQ_MAP_MASK, SEQ_FONT, SEQ_MEMORY_MODE,
};
#define CLOCKING_8DOTS      0x01
#define CLOCKING_SCREEN_OFF 0x20
#define MEMORY_SEQUENTIAL   0x04 /* not odd/even */
#define MEMORY_CHAIN4       0x08

enum crtc_register {
	CRTC_HORIZONTAL_END = 0x01, CRTC_OVERFLOW = 0x07, CRTC_PRESET_ROW = 0x08,
	CRTC_MAX_SCAN = 0x09, CRTC_CURSOR_START = 0x0a, CRTC_CURSOR_END = 0x0b,
	CRTC_START_HIGH = 0x0c, CRTC_START_LOW = 0x0d, CRTC_CURSOR_HIGH = 0x0e,
	CRTC_CURSOR_LOW = 0x0f, CRTC_RETRACE_END = 0x11, CRTC_VERTICAL_END = 0x12,
	CRTC_OFFSET = 0x13, CRTC_UNDERLINE = 0x14, CRTC_MODE = 0x17, CRTC_LINE_COMPARE = 0x18,
};
#define RETRACE_END_PROTECT 0x80 /* registers 0 to 7 are read-only */
#define CURSOR_OFF          0x20
#define UNDERLINE_DWORD     0x40 /* addresses count in double words */
#define MODE_ROW_SCAN13     0x01 /* 0: row scan bit 0 is address bit 13 */
#define MODE_ROW_SCAN14     0x02
#define MODE_WRAP_15        0x20
#define MODE_BYTE           0x40

enum graphics_register {
	GC_SET_RESET, GC_ENABLE_SET_RESET, GC_COLOR_COMPARE, GC_ROTATE, GC_READ_MAP, GC_MODE,
	GC_MISC, GC_COLOR_CARE, GC_BIT_MASK,
};
#define GC_MODE_WRITE    0x03
#define GC_MODE_COMPARE  0x08
#define GC_MODE_ODD_EVEN 0x10
#define GC_MODE_CGA      0x20 /* two bits of a pixel beside each other */
#define GC_MODE_256      0x40
#define GC_MISC_GRAPHICS 0x01

enum attribute_register {
	AR_MODE = 0x10, AR_OVERSCAN, AR_PLANES, AR_PANNING, AR_COLOR_SELECT,
};
#define AR_MODE_MONO          0x02
#define AR_MODE_LINE_GRAPHICS 0x04
#define AR_MODE_BLINK         0x08
#define AR_MODE_P54           0x80 /* bits 4 and 5 of a colour from AR_COLOR_SELECT */
#define AR_INDEX_SCREEN_ON    0x20

enum dispi_register {
	DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK, DISPI_VIRT_WIDTH,
	DISPI_VIRT_HEIGHT, DISPI_X_OFFSET, DISPI_Y_OFFSET, DISPI_MEMORY_64K,
};
#define DISPI_ENABLED    0x01
#define DISPI_CAPS       0x02 /* reads of resolution and depth give the most there is */
#define DISPI_8BIT_DAC   0x20
#define DISPI_LFB        0x40
#define DISPI_NO_CLEAR   0x80

/* vga_memory.c: the window at a0000h. */
#define VGA_WINDOW_BASE 0xa0000u
#define VGA_WINDOW_SIZE 0x20000u
uint64_t vga_window_read(void *vga, uint64_t offset, unsigned size);
void vga_window_write(void *vga, uint64_t offset, uint64_t value, unsigned size);

/* vga_map.c: where video memory is. */

/* Byte at of video memory, below VGA_MEMORY_SIZE. */
uint8_t *vga_at(const struct vga *vga, uint32_t at);
/* The bytes of all planes at an address: plane p in byte p, at is that of plane 0. */
uint32_t vga_planes_load(const struct vga *vga, uint32_t at);
void vga_planes_store(struct vga *vga, uint32_t at, uint32_t planes);
/* The window goes through the bus, and vga->memory is all of video memory. */
void vga_map_leave(struct vga *vga);
/* Registers that the window depends on may have changed, or where BAR 0 is. */
void vga_map_follow(struct vga *vga);
void vga_frame_follow(struct vga *vga);
/* There was an access through the bus. */
void vga_window_accessed(struct vga *vga);
void vga_frame_accessed(struct vga *vga);
/* The registers were reset; what was in memory is of no interest. */
void vga_map_reset(struct vga *vga);

/* vga_changes.c */
/* The byte of memory, or of the store, was stored to through the bus. */
void vga_stored(struct vga *vga, uint32_t at);
struct display_rows vga_changed(void *vga);

/* vga_dispi.c */
uint16_t vga_dispi_read(const struct vga *vga);
void vga_dispi_write(struct vga *vga, uint16_t value);
void vga_dispi_reset(struct vga *vga);
/* Whether registers from a file are as software could have made them. */
bool vga_dispi_valid(const struct vga *vga);
static inline bool vga_dispi_on(const struct vga *vga)
{
	return vga->s.dispi[DISPI_ENABLE] & DISPI_ENABLED;
}
/* Whether the extension shows a linear frame buffer; else the planes are shown. */
static inline bool vga_is_linear(const struct vga *vga)
{
	return vga_dispi_on(vga) && vga->s.dispi[DISPI_BPP] > 4;
}
/* Bytes from one row of pixels to the next. */
uint32_t vga_dispi_pitch(const struct vga *vga);

/* vga.c: the registers at 3b0h to 3dfh; port counts from 3b0h. */
uint8_t vga_port_read(struct vga *vga, unsigned port);
void vga_port_write(struct vga *vga, unsigned port, uint8_t value);

/* vga_pci.c */
void vga_pci_init(struct vga *vga, uint8_t devfn);

/* vga_screen.c: what is shown. */

/* How the CRTC shows the planes. */
struct vga_raster {
	bool text;
	unsigned columns;   /* characters across, or groups of eight pixels */
	unsigned dots;      /* pixels across of one of them */
	unsigned scans;     /* scan lines */
	unsigned row_scans; /* of them to a character, or to a row of pixels */
};
struct vga_raster vga_raster(const struct vga *vga);
/* Bytes that the CRTC fetches at address counter ma and row scan rs: that of plane p in byte p. */
uint32_t vga_fetch(const struct vga *vga, uint32_t ma, unsigned rs);
/* Address counter at the left end of scan line scan, and its row scan. */
uint32_t vga_scan_address(const struct vga *vga, const struct vga_raster *raster, unsigned scan,
			  unsigned *rs);
/* 0x00RRGGBB of a pixel of four bits, and of eight. */
uint32_t vga_color16(const struct vga *vga, unsigned pixel);
uint32_t vga_color256(const struct vga *vga, unsigned pixel);

struct display_size vga_size(void *vga);
void vga_render(void *vga, uint32_t *pixels, size_t stride);

/* vga_text.c */
void vga_render_text(const struct vga *vga, const struct vga_raster *raster, uint32_t *pixels,
		     size_t stride);
bool vga_text(void *vga, struct display_cell *cells, struct display_cursor *cursor);

#endif
