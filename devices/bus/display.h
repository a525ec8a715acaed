/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a display adapter shows, as those see it who show it to the user: a window, a terminal, a
 * screen dump.
 *
 * They ask when they want a picture; the adapter does not push. Everything is called under the VM's
 * device lock.
 */
#ifndef RF_DEVICES_BUS_DISPLAY_H
#define RF_DEVICES_BUS_DISPLAY_H

#include "wires.h"
#include "x86/types.h"

#define DISPLAY_MOST_PIXELS  (4096u * 4096u)
#define DISPLAY_MOST_COLUMNS 256u
#define DISPLAY_MOST_ROWS    1024u

struct display_size {
	unsigned width, height; /* pixels, both at least 1; width * height <= DISPLAY_MOST_PIXELS */
	/* Characters, in a text mode; in a graphics mode both 0. */
	unsigned columns, rows;
};

/* A character of code page 437, and its attribute: background << 4 | foreground. */
struct display_cell {
	uint8_t character, attribute;
};

struct display_cursor {
	bool visible;
	unsigned column, row;
};

/* size bytes of an adapter's memory, from byte at on, at bus address start; size 0: nothing. */
#define DISPLAY_VIEWS 2
#define DISPLAY_CHUNK 0x80000u /* bytes; a store has 64 at most */
struct display_view {
	uint32_t start, size, at; /* whole pages */
};

/*
 * What the machine gives an adapter, so that the guest can reach memory of the adapter's as it
 * reaches RAM, past the bus.
 */
struct display_memory {
	uint8_t *store; /* zeroed, as large as the adapter asks; NULL: all accesses use the bus */
	/*
	 * The adapter's views are others. By the guest's next instruction memory follows them; the
	 * change came from an instruction of the guest's or a reset.
	 */
	struct signal_line views_changed;
	/*
	 * The chunks of the store, a bit for each, that the guest may have stored to past the bus
	 * since the last call. NULL: nobody could tell, and there are no views.
	 */
	uint64_t (*stores)(void *opaque);
	void *stores_opaque;
};

/* Rows of pixels from first on and below end; none if they are equal. */
struct display_rows {
	unsigned first, end;
};

struct display {
	/* What the next calls give, unless the guest runs in between. */
	struct display_size (*size)(void *opaque);
	/* The picture, a pixel as 0x00RRGGBB; rows are stride pixels apart. */
	void (*render)(void *opaque, uint32_t *pixels, size_t stride);
	/*
	 * columns * rows cells of a text mode, row by row, and the cursor. False in a graphics
	 * mode, and then nothing is stored.
	 */
	bool (*text)(void *opaque, struct display_cell *cells, struct display_cursor *cursor);
	/*
	 * The rows of the picture, text included, that may show something else than when this was
	 * last called; all of them at first, and when the size is another. One asks for all who
	 * want to know. What blinks by itself does not count. Of a screen that nobody stores to
	 * there are none soon, and then asking costs nothing; while the guest stores, it costs a
	 * page fault of the guest's for each chunk and call.
	 */
	struct display_rows (*changed)(void *opaque);
	void *opaque;
};

#endif
