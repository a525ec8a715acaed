/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character line between a device (UART, debug console) and a backend of the monitor (terminal,
 * file, socket).
 *
 * A backend embeds a struct chardev and fills in ops; a device attaches itself with
 * chardev_attach(). Everything is called under the VM's device lock.
 */
#ifndef RF_DEVICES_BUS_CHARDEV_H
#define RF_DEVICES_BUS_CHARDEV_H

#include <assert.h>
#include "x86/types.h"

enum chardev_event {
	CHARDEV_BREAK,  /* the other end sent a break */
	CHARDEV_OPENED, /* a peer connected */
	CHARDEV_CLOSED, /* the peer is gone */
};

struct chardev;

/* The device's side, called by the backend. */
struct chardev_device {
	/* How many bytes receive() would take right now. */
	size_t (*can_receive)(void *device);
	/* Input; never more than can_receive() just said. */
	void (*receive)(void *device, const uint8_t *bytes, size_t count);
	void (*event)(void *device, enum chardev_event event); /* may be NULL */
};

/* The backend's side, called by the device. */
struct chardev_ops {
	/*
	 * Takes all bytes: what the peer does not take at once is buffered or dropped. Does not
	 * wait for the guest.
	 */
	void (*write)(struct chardev *chardev, const uint8_t *bytes, size_t count);
	/*
	 * can_receive() grew from nothing: the backend may go on reading. May be NULL. Must not
	 * call receive() from inside.
	 */
	void (*accept_input)(struct chardev *chardev);
	/* The device sends a break. May be NULL. */
	void (*send_break)(struct chardev *chardev);
};

struct chardev {
	const struct chardev_ops *ops;
	/* Filled in by chardev_attach(). NULL until then: backends keep or drop input. */
	const struct chardev_device *device;
	void *device_opaque;
};

static inline void chardev_attach(struct chardev *chardev, const struct chardev_device *device,
				  void *opaque)
{
	chardev->device = device;
	chardev->device_opaque = opaque;
}

static inline size_t chardev_can_receive(const struct chardev *chardev)
{
	return chardev->device ? chardev->device->can_receive(chardev->device_opaque) : 0;
}

static inline void chardev_receive(struct chardev *chardev, const uint8_t *bytes, size_t count)
{
	assert(count <= chardev_can_receive(chardev) || !chardev->device);
	if (chardev->device)
		chardev->device->receive(chardev->device_opaque, bytes, count);
}

static inline void chardev_event(struct chardev *chardev, enum chardev_event event)
{
	if (chardev->device && chardev->device->event)
		chardev->device->event(chardev->device_opaque, event);
}

#endif
