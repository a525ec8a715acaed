/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The byte queue of a PS/2 device. */
#include "ps2_device.h"

void ps2_put(struct ps2_device *device, const uint8_t *bytes, size_t count)
{
	struct ps2_state *s = device->s;

	if (count > (size_t)(PS2_QUEUE - s->count))
		return;
	for (size_t i = 0; i < count; i++)
		s->queue[(s->head + s->count++) % PS2_QUEUE] = bytes[i];
	if (count)
		device->ready(device->opaque);
}

bool ps2_get(struct ps2_device *device, uint8_t *byte)
{
	struct ps2_state *s = device->s;

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

bool ps2_state_valid(const struct ps2_state *s)
{
	return s->head < PS2_QUEUE && s->count <= PS2_QUEUE;
}
