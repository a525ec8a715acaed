/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel of the DMA controller as the device on it sees it. The device raises its request, and
 * is told whenever it is served, over a wire that the board makes: then it moves as much as it has,
 * and lowers the request when it wants no more.
 */
#ifndef RF_DEVICES_BUS_DMA_CHANNEL_H
#define RF_DEVICES_BUS_DMA_CHANNEL_H

#include "x86/types.h"

enum dma_way { DMA_TO_MEMORY, DMA_FROM_MEMORY };

struct dma_channel {
	/* DREQ. If it rises and can be served the device is told before this returns. */
	void (*request)(void *opaque, unsigned n, bool level);
	/*
	 * Moves len bytes. Returns how many were moved: fewer if the channel is masked, or came to
	 * its end, for which *end is set (terminal count).
	 */
	uint32_t (*transfer)(void *opaque, unsigned n, enum dma_way way, uint8_t *bytes,
			     uint32_t len, bool *end);
	void *opaque;
	unsigned n;
};

static inline void dma_request(const struct dma_channel *channel, bool level)
{
	channel->request(channel->opaque, channel->n, level);
}

static inline uint32_t dma_transfer(const struct dma_channel *channel, enum dma_way way,
				    uint8_t *bytes, uint32_t len, bool *end)
{
	return channel->transfer(channel->opaque, channel->n, way, bytes, len, end);
}

#endif
