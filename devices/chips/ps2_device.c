/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The byte queue of a PS/2 device. */
#include "ps2_device.h"

#include <assert.h>

bool ps2_put(struct ps2_device *device, const uint8_t *bytes, size_t count)
{
	struct ps2_state *s = device->s;

	assert(s->head < PS2_QUEUE && s->count <= PS2_QUEUE);
	if (count > (size_t)(PS2_QUEUE - s->count))
		return false;
	for (size_t i = 0; i < count; i++)
		s->queue[(s->head + s->count++) % PS2_QUEUE] = bytes[i];
	if (count)
		device->ready(device->opaque);
	return true;
}

bool ps2_get(struct ps2_device *device, uint8_t *byte)
{
	struct ps2_state *s = device->s;

	assert(s->head < PS2_QUEUE && s->count <= PS2_QUEUE);
	if (!s->count)
		return false;
	*byte = s->last_sent = s->queue[s->head];
	s->head = (s->head + 1) % PS2_QUEUE;
	s->count--;
	return true;
}

void ps2_clear(struct ps2_device *device)
{
	device->s->head = device->s->count = 0;
}

const struct state_field ps2_state_fields[] = {
	STATE_ANY_ARRAY(struct ps2_state, queue),
	STATE_MOST(struct ps2_state, head, PS2_QUEUE - 1),
	STATE_MOST(struct ps2_state, count, PS2_QUEUE),
	STATE_ANY(struct ps2_state, last_sent),
	STATE_ANY(struct ps2_state, command),
	STATE_FLAG(struct ps2_state, enabled),
	STATE_BITS(struct ps2_state, leds, 7),
	STATE_MOST(struct ps2_state, scan_set, 3),
	STATE_ANY(struct ps2_state, rate),
	STATE_BITS(struct ps2_state, delay_or_resolution, 3),
	STATE_FLAG(struct ps2_state, wrap),
	STATE_ANY(struct ps2_state, mode),
	STATE_ANY(struct ps2_state, rate_before),
	STATE_MOST(struct ps2_state, protocol, 2),
	STATE_END,
};
