/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pair of 8237A DMA controllers of a PC/AT with its page registers (8237A data sheet; IBM PC/AT
 * Technical Reference, "System Board": DMA). Channels 0 to 3 move bytes, 5 to 7 words of 16 bits
 * from even addresses; channel 4 cascades the first controller.
 */
#ifndef RF_DEVICES_CHIPS_I8237_H
#define RF_DEVICES_CHIPS_I8237_H

#include "devices/bus/bus.h"
#include "devices/bus/dma_channel.h"
#include "devices/bus/guest_memory.h"
#include "devices/bus/wires.h"

#define I8237_CHIPS    2
#define I8237_CHANNELS 4 /* of a chip */
#define I8237_PAGES    16

struct i8237 {
	struct guest_memory memory;
	/* By channel, 0 to 7: the device is told that its DREQ is served. */
	struct signal_line dack[I8237_CHIPS * I8237_CHANNELS];
	bool telling; /* a device is being told */
	struct i8237_state {
		struct i8237_chip {
			struct i8237_channel {
				uint16_t base_address, base_count, address, count;
				uint8_t mode;
			} channel[I8237_CHANNELS];
			uint8_t command, mask, status; /* status: channels that reached the end */
			uint8_t request;   /* by software */
			bool second_byte;  /* the flip-flop: the upper half is next */
		} chip[I8237_CHIPS];
		uint8_t dreq; /* by channel 0 to 7 */
		uint8_t page[I8237_PAGES]; /* ports 80h to 8Fh; some belong to no channel */
	} s;
};

extern const struct device_desc i8237_desc;

/* memory: what is read and written. No channel has a device yet. */
void i8237_init(struct i8237 *dma, const struct guest_memory *memory);

/*
 * What the device on channel n, 0 to 7, is to have; dack: where it is told that it is served.
 * Channels 5 to 7 move whole words. A channel that was programmed the other way, or to verify,
 * counts but leaves memory alone, and what comes from it is ones; so is memory that is not there.
 */
struct dma_channel i8237_connect(struct i8237 *dma, unsigned n, struct signal_line dack);

#endif
