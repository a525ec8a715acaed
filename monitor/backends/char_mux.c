/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mux. Escape sequences are recognised before flow control: input is taken from the backend
 * even when the device takes none, as far as a small buffer reaches, so that Ctrl-A x works with a
 * guest that hangs.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "char_mux.h"
#include "monitor/vm/vm.h"

#define ESCAPE 0x01 /* Ctrl-A */
/* what may be typed ahead of a guest that hangs before Ctrl-A x is not seen any more */
#define MUX_BUFFER 256

struct mux_port {
	struct chardev chardev;
	struct char_mux *mux;
};

struct char_mux {
	struct vm *vm;
	struct chardev *backend;
	struct mux_port port[MUX_NPORTS];
	enum char_mux_port focus;
	bool escaped;
	uint8_t pending[MUX_BUFFER]; /* input the focused port has not taken yet */
	size_t npending;
	uint8_t waiting[MUX_BUFFER]; /* input that came while a write waited: not looked at yet */
	size_t nwaiting;
	bool waiting_escaped;
	struct clock_timer *flush_timer;
};

static void mux_print(struct char_mux *mux, const char *text)
{
	mux->backend->ops->write(mux->backend, (const uint8_t *)text, strlen(text));
}

static void mux_help(struct char_mux *mux)
{
	mux_print(mux, "\r\n"
		  "C-a h    print this help\r\n"
		  "C-a x    exit ringfence\r\n"
		  "C-a b    send break\r\n"
		  "C-a c    switch between console and monitor\r\n"
		  "C-a C-a  send C-a\r\n");
}

static void mux_switch(struct char_mux *mux)
{
	chardev_event(&mux->port[mux->focus].chardev, CHARDEV_CLOSED);
	mux->focus = !mux->focus;
	mux->npending = 0;
	chardev_event(&mux->port[mux->focus].chardev, CHARDEV_OPENED);
}

static void mux_put(struct char_mux *mux, uint8_t byte)
{
	if (mux->npending < MUX_BUFFER)
		mux->pending[mux->npending++] = byte;
}

static void mux_flush(struct char_mux *mux)
{
	struct chardev *port = &mux->port[mux->focus].chardev;
	size_t done = 0;

	assert(mux->npending <= MUX_BUFFER);
	while (done < mux->npending) {
		size_t room = chardev_can_receive(port);
		size_t n = mux->npending - done < room ? mux->npending - done : room;

		if (!n)
			break;
		chardev_receive(port, mux->pending + done, n);
		done += n;
	}
	memmove(mux->pending, mux->pending + done, mux->npending - done);
	mux->npending -= done;
}

static void mux_escape(struct char_mux *mux, uint8_t byte)
{
	switch (byte) {
	case ESCAPE:
		mux_put(mux, ESCAPE);
		break;
	case 'x':
		vm_end(mux->vm, VM_QUIT, 0); /* first: the print then does not wait for a reader */
		mux_print(mux, "ringfence: terminated\r\n");
		break;
	case 'b':
		chardev_event(&mux->port[mux->focus].chardev, CHARDEV_BREAK);
		break;
	case 'c':
		mux_switch(mux);
		break;
	case 'h':
	case '?':
		mux_help(mux);
		break;
	}
}

static size_t mux_can_receive(void *opaque)
{
	struct char_mux *mux = opaque;

	return MUX_BUFFER - mux->npending - mux->nwaiting;
}

static void mux_take(struct char_mux *mux, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (mux->escaped) {
			mux->escaped = false;
			mux_escape(mux, bytes[i]);
		} else if (bytes[i] == ESCAPE) {
			mux->escaped = true;
		} else {
			mux_put(mux, bytes[i]);
		}
	}
}

/* A copy: what it makes us print may wait, and more come. */
static void mux_take_waiting(struct char_mux *mux)
{
	uint8_t bytes[MUX_BUFFER];
	const size_t count = mux->nwaiting;

	memcpy(bytes, mux->waiting, count);
	mux->nwaiting = 0;
	mux_take(mux, bytes, count);
}

static void mux_receive(void *opaque, const uint8_t *bytes, size_t count)
{
	struct char_mux *mux = opaque;

	mux_take_waiting(mux);
	mux_take(mux, bytes, count);
	mux_flush(mux);
}

/* A reader that does not read, and so makes the write wait, must not keep us from quitting. */
static void mux_input_waits(void *opaque, const uint8_t *bytes, size_t count)
{
	struct char_mux *mux = opaque;
	struct clock clock = event_loop_clock(mux->vm->loop);

	assert(mux->npending + mux->nwaiting + count <= MUX_BUFFER);
	if (!mux->nwaiting)
		mux->waiting_escaped = mux->escaped;
	for (size_t i = 0; i < count; i++) {
		if (mux->waiting_escaped && bytes[i] == 'x')
			vm_end(mux->vm, VM_QUIT, 0);
		mux->waiting_escaped = !mux->waiting_escaped && bytes[i] == ESCAPE;
		mux->waiting[mux->nwaiting++] = bytes[i];
	}
	clock_timer_arm(&clock, mux->flush_timer, 0);
}

static void mux_event(void *opaque, enum chardev_event event)
{
	struct char_mux *mux = opaque;

	chardev_event(&mux->port[mux->focus].chardev, event);
}

static void mux_write(struct chardev *chardev, const uint8_t *bytes, size_t count)
{
	struct mux_port *port = rf_container_of(chardev, struct mux_port, chardev);

	port->mux->backend->ops->write(port->mux->backend, bytes, count);
}

/*
 * The device has room again. It may not be given input from inside this call: a timer does it at
 * once on the loop's thread.
 */
static void mux_accept_input(struct chardev *chardev)
{
	struct char_mux *mux = rf_container_of(chardev, struct mux_port, chardev)->mux;
	struct clock clock = event_loop_clock(mux->vm->loop);

	if (mux->npending && chardev == &mux->port[mux->focus].chardev)
		clock_timer_arm(&clock, mux->flush_timer, 0);
}

static void mux_flush_later(void *arg)
{
	struct char_mux *mux = arg;
	bool full = !mux_can_receive(mux);

	mux_take_waiting(mux);
	mux_flush(mux);
	if (full && mux->backend->ops->accept_input)
		mux->backend->ops->accept_input(mux->backend);
}

int char_mux_create(struct vm *vm, struct char_backend *backend, struct char_mux **out)
{
	static const struct chardev_ops port_ops = { .write = mux_write,
						     .accept_input = mux_accept_input };
	static const struct chardev_device device = { .can_receive = mux_can_receive,
						      .receive = mux_receive,
						      .event = mux_event };
	struct char_mux *mux = calloc(1, sizeof(*mux));
	struct clock clock = event_loop_clock(vm->loop);

	if (!mux)
		return -ENOMEM;
	if (clock_timer_create(&clock, mux_flush_later, mux, &mux->flush_timer)) {
		free(mux);
		return -ENOMEM;
	}
	mux->vm = vm;
	mux->backend = &backend->chardev;
	backend->input_waits = mux_input_waits;
	backend->input_waits_opaque = mux;
	for (int i = 0; i < MUX_NPORTS; i++) {
		mux->port[i].chardev.ops = &port_ops;
		mux->port[i].mux = mux;
	}
	chardev_attach(mux->backend, &device, mux);
	*out = mux;
	return 0;
}

void char_mux_destroy(struct char_mux *mux)
{
	struct clock clock;

	if (!mux)
		return;
	clock = event_loop_clock(mux->vm->loop);
	clock_timer_destroy(&clock, mux->flush_timer);
	chardev_attach(mux->backend, NULL, NULL);
	free(mux);
}

struct chardev *char_mux_port(struct char_mux *mux, enum char_mux_port port)
{
	return &mux->port[port].chardev;
}
