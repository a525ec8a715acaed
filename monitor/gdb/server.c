/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection. Input comes on the loop's thread, under the device lock. A command is carried out
 * on the vCPU's thread, where registers and memory can be looked at, and the server is busy until
 * it is done. While the guest runs the client waits for it to stop, and may send Ctrl-C.
 *
 * What a client left behind - breakpoints, a guest that stands for its sake - is undone when it
 * has gone.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/* --- sending, under the device lock --- */

static void write_bytes(struct gdb *gdb, const char *bytes, size_t count)
{
	gdb->chardev->ops->write(gdb->chardev, (const uint8_t *)bytes, count);
}

static void send_locked(struct gdb *gdb, const struct gdb_text *text)
{
	assert(lock_is_held(&gdb->vm->device_lock));
	gdb->frame_len = gdb_frame(text, gdb->frame);
	write_bytes(gdb, gdb->frame, gdb->frame_len);
}

void gdb_send(struct gdb *gdb, const struct gdb_text *text)
{
	pthread_mutex_lock(&gdb->vm->device_lock);
	if (!gdb->stale)
		send_locked(gdb, text);
	pthread_mutex_unlock(&gdb->vm->device_lock);
}

/* --- commands, on the vCPU's thread --- */

static void process_input(struct gdb *gdb);

static enum gdb_answer execute(struct gdb *gdb, struct vcpu *vcpu)
{
	struct gdb_call call = { .gdb = gdb, .vcpu = vcpu, .args = gdb->reader.body,
				 .len = gdb->reader.len, .reply = &gdb->reply };
	enum gdb_answer answer;

	gdb_text_clear(&gdb->reply);
	answer = gdb_execute(&call);
	if (gdb->reply.full) {
		gdb_text_clear(&gdb->reply);
		gdb_error(&call, E2BIG);
	}
	return answer;
}

/* False: the client has gone. */
static bool answer_locked(struct gdb *gdb, enum gdb_answer answer)
{
	const bool no_ack = gdb->wants_no_ack;

	gdb->wants_no_ack = false;
	if (gdb->stale)
		return false;
	gdb->no_ack |= no_ack;
	if (answer == GDB_ANSWERED || answer == GDB_DETACH)
		send_locked(gdb, &gdb->reply);
	if (answer == GDB_RESUME || answer == GDB_STEP)
		gdb->resumed = gdb->stands_for_client = true;
	if (answer == GDB_DETACH)
		gdb->stands_for_client = false;
	return true;
}

/* The next command may come. */
static void ready_locked(struct gdb *gdb)
{
	if (gdb->stale)
		gdb_reader_reset(&gdb->reader);
	gdb->busy = gdb->stale = false;
	process_input(gdb);
	if (gdb->chardev->ops->accept_input)
		gdb->chardev->ops->accept_input(gdb->chardev);
}

static void leave_guest(struct vcpu *vcpu, bool goes_on)
{
	debugger_remove_all(vcpu);
	if (goes_on)
		debugger_resume(vcpu, false);
}

/* Under the lock, so that who stops the guest from now on is not overtaken. */
static void go_on_locked(struct vcpu *vcpu, enum gdb_answer answer)
{
	if (answer == GDB_RESUME || answer == GDB_STEP)
		debugger_resume(vcpu, answer == GDB_STEP);
	else if (answer == GDB_DETACH)
		debugger_resume(vcpu, false);
}

/* A Ctrl-C that has come already is looked at last, so that it stops what goes on here. */
static void run_command(struct vcpu *vcpu, struct vm_work *work)
{
	struct gdb *gdb = rf_container_of(work, struct gdb, work);
	const enum gdb_answer answer = execute(gdb, vcpu);

	if (answer == GDB_DETACH)
		debugger_remove_all(vcpu);
	pthread_mutex_lock(&gdb->vm->device_lock);
	if (answer_locked(gdb, answer))
		go_on_locked(vcpu, answer);
	ready_locked(gdb);
	pthread_mutex_unlock(&gdb->vm->device_lock);
}

/* --- stops, on the vCPU's thread --- */

/* struct debugger.stopped */
static void guest_stopped(void *opaque)
{
	struct gdb *gdb = opaque;

	pthread_mutex_lock(&gdb->vm->device_lock);
	if (gdb->resumed) {
		gdb->resumed = false;
		gdb_text_clear(&gdb->reply);
		gdb_stop_reply(&gdb->vm->vcpu, &gdb->reply);
		send_locked(gdb, &gdb->reply);
	}
	pthread_mutex_unlock(&gdb->vm->device_lock);
}

/*
 * Follows a pause. Usually the stop has been told then; but who pauses a VM that was about to leave
 * a pause finds it standing still, and nothing stops.
 */
static void tell_of_stop(struct vcpu *vcpu, struct vm_work *work)
{
	struct gdb *gdb = rf_container_of(work, struct gdb, tell);

	pthread_mutex_lock(&gdb->vm->device_lock);
	gdb->telling = false;
	pthread_mutex_unlock(&gdb->vm->device_lock);
	if (gdb->vm->paused)
		guest_stopped(gdb);
}

/* The client has gone. If another has come meanwhile, the guest goes on standing for that. */
static void undo_client(struct vcpu *vcpu, struct vm_work *work)
{
	struct gdb *gdb = rf_container_of(work, struct gdb, leave);
	bool goes_on;

	pthread_mutex_lock(&gdb->vm->device_lock);
	gdb->leaving = false;
	goes_on = !gdb->connected && gdb->stands_for_client;
	if (goes_on)
		gdb->stands_for_client = false;
	pthread_mutex_unlock(&gdb->vm->device_lock);
	gdb->physical = false;
	leave_guest(vcpu, goes_on);
}

/* --- input, under the device lock --- */

static void interrupt_guest(struct gdb *gdb)
{
	if (!gdb->resumed)
		return;
	vm_pause(gdb->vm);
	if (gdb->telling)
		return;
	gdb->telling = true;
	vm_queue_work(gdb->vm, &gdb->tell);
}

static void acknowledge(struct gdb *gdb, const char *sign)
{
	if (!gdb->no_ack)
		write_bytes(gdb, sign, 1);
}

static void refuse_overlong(struct gdb *gdb)
{
	static const struct gdb_text refusal = { .body = "E07", .len = 3 }; /* E2BIG */

	acknowledge(gdb, "+");
	send_locked(gdb, &refusal);
}

static void got(struct gdb *gdb, enum gdb_got what)
{
	switch (what) {
	case GDB_PACKET:
		acknowledge(gdb, "+");
		gdb->busy = true;
		vm_queue_work(gdb->vm, &gdb->work);
		break;
	case GDB_BAD:
		acknowledge(gdb, "-");
		break;
	case GDB_OVERLONG:
		refuse_overlong(gdb);
		break;
	case GDB_NAK:
		if (!gdb->no_ack && gdb->frame_len)
			write_bytes(gdb, gdb->frame, gdb->frame_len);
		break;
	case GDB_INTERRUPT:
		interrupt_guest(gdb);
		break;
	case GDB_NOTHING: case GDB_ACK:
		break;
	}
}

static void process_input(struct gdb *gdb)
{
	while (!gdb->busy && gdb->used < gdb->have)
		got(gdb, gdb_reader_take(&gdb->reader, gdb->input[gdb->used++]));
	if (gdb->used == gdb->have)
		gdb->used = gdb->have = 0;
}

static size_t can_receive(void *opaque)
{
	const struct gdb *gdb = opaque;

	return gdb->busy ? 0 : GDB_INPUT - gdb->have;
}

static void receive(void *opaque, const uint8_t *bytes, size_t count)
{
	struct gdb *gdb = opaque;

	assert(count <= GDB_INPUT - gdb->have);
	memcpy(gdb->input + gdb->have, bytes, count);
	gdb->have += count;
	process_input(gdb);
}

/* --- clients, under the device lock --- */

/* It expects the guest to stand. */
static void client_came(struct gdb *gdb)
{
	gdb->connected = true;
	gdb->no_ack = gdb->resumed = false;
	gdb->used = gdb->have = gdb->frame_len = 0;
	if (!gdb->busy)
		gdb_reader_reset(&gdb->reader);
	gdb->stands_for_client |= !gdb->vm->paused;
	vm_pause(gdb->vm);
}

static void client_went(struct gdb *gdb)
{
	gdb->connected = gdb->resumed = false;
	gdb->used = gdb->have = 0;
	gdb->stale = gdb->busy;
	if (gdb->leaving)
		return;
	gdb->leaving = true;
	vm_queue_work(gdb->vm, &gdb->leave);
}

static void event(void *opaque, enum chardev_event event)
{
	switch (event) {
	case CHARDEV_OPENED: client_came(opaque); break;
	case CHARDEV_CLOSED: client_went(opaque); break;
	case CHARDEV_BREAK: interrupt_guest(opaque); break;
	}
}

/* --- life --- */

int gdb_create(struct vm *vm, struct chardev *chardev, bool connected, struct gdb **out)
{
	static const struct chardev_device device = { can_receive, receive, event };
	struct gdb *gdb = calloc(1, sizeof(*gdb));

	if (!gdb)
		return -ENOMEM;
	gdb->vm = vm;
	gdb->chardev = chardev;
	gdb->work.run = run_command;
	gdb->tell.run = tell_of_stop;
	gdb->leave.run = undo_client;
	gdb_reader_reset(&gdb->reader);
	vm->vcpu.debugger.stopped = guest_stopped;
	vm->vcpu.debugger.opaque = gdb;
	if (connected)
		client_came(gdb);
	chardev_attach(chardev, &device, gdb);
	*out = gdb;
	return 0;
}

/* What a wait() would say of a program: it has exited. */
static void tell_end(struct gdb *gdb)
{
	pthread_mutex_lock(&gdb->vm->device_lock);
	gdb_text_clear(&gdb->reply);
	gdb_text_add(&gdb->reply, "W%02x", gdb->vm->exit_code & 0xff);
	send_locked(gdb, &gdb->reply);
	pthread_mutex_unlock(&gdb->vm->device_lock);
}

void gdb_destroy(struct gdb *gdb)
{
	if (!gdb)
		return;
	if (gdb->connected)
		tell_end(gdb);
	gdb->vm->vcpu.debugger.stopped = NULL;
	chardev_attach(gdb->chardev, NULL, NULL);
	free(gdb);
}
