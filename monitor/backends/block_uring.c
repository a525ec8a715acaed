/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A runner for images that are files: io_uring. Requests go to the kernel in the thread that makes
 * them; of their end an eventfd tells the event loop.
 *
 * All is done under the device lock, so nothing here needs another. A request has a slot while the
 * kernel has it; what is beyond the slots waits in a queue. Who cancels a request asks the kernel
 * to drop it and waits until it has: no buffer is used afterwards. What else ended meanwhile is
 * told later, from the event loop, as always.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "block_image.h"

#define SLOTS 32
#define ROUNDS 32 /* in which devices are told at one wakeup; then others get their turn */
#define OTHER SLOTS /* user data of what is no request: a cancellation, nothing */

struct slot {
	bool taken, over;
	struct block_request *request; /* NULL: cancelled */
	uint32_t bytes, moved;
	int result;                    /* when it is over: 0 or a negative errno */
};

struct block_uring {
	struct block_backend backend; /* first */
	struct io_uring ring;
	bool ring_made;
	int event_fd;
	struct event_source *source;
	struct slot slot[SLOTS];
	struct block_request *queue;
};

static struct block_uring *uring_of(struct block_device *device)
{
	return rf_container_of(device, struct block_uring, backend.device);
}

static void ring_event(struct block_uring *u)
{
	const uint64_t one = 1;

	if (write(u->event_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

/* ---- to the kernel ---- */

static void prepare(struct block_uring *u, struct io_uring_sqe *sqe, const struct slot *s)
{
	const struct block_request *r = s->request;
	uint8_t *at = (uint8_t *)r->buffer + s->moved;
	const uint64_t offset = r->sector * BLOCK_SECTOR + s->moved;
	const unsigned left = s->bytes - s->moved;

	if (r->kind == BLOCK_READ)
		io_uring_prep_read(sqe, u->backend.image->fd, at, left, offset);
	else if (r->kind == BLOCK_WRITE)
		io_uring_prep_write(sqe, u->backend.image->fd, at, left, offset);
	else
		io_uring_prep_fsync(sqe, u->backend.image->fd, IORING_FSYNC_DATASYNC);
}

/* 0, or a negative errno: the kernel has not taken it, and will not. */
static int hand_over(struct block_uring *u, struct io_uring_sqe *sqe, unsigned data)
{
	int n;

	io_uring_sqe_set_data64(sqe, data);
	do
		n = io_uring_submit(&u->ring);
	while (n == -EINTR);
	if (n >= 0)
		return 0;
	/* It is still in the ring, and goes with the next. */
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, OTHER);
	return n;
}

/* There are more entries than slots, and each is handed over at once. */
static struct io_uring_sqe *entry(struct block_uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	assert(sqe);
	return sqe;
}

static void end_slot(struct block_uring *u, struct slot *s, int result)
{
	s->over = true;
	s->result = result;
	ring_event(u);
}

static void start(struct block_uring *u, struct slot *s)
{
	struct io_uring_sqe *sqe = entry(u);
	int err;

	prepare(u, sqe, s);
	err = hand_over(u, sqe, (unsigned)(s - u->slot));
	if (err)
		end_slot(u, s, err);
}

static struct slot *free_slot(struct block_uring *u)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (!u->slot[i].taken)
			return &u->slot[i];
	return NULL;
}

static void uring_submit(struct block_device *device, struct block_request *r)
{
	struct block_uring *u = uring_of(device);
	struct block_request **link = &u->queue;
	struct slot *s = free_slot(u);

	assert(r->kind == BLOCK_FLUSH || (r->count && r->sector < device->sectors &&
					  r->count <= device->sectors - r->sector));
	r->next = NULL;
	if (!s || u->queue) {
		while (*link)
			link = &(*link)->next;
		*link = r;
		return;
	}
	*s = (struct slot){
		.taken = true, .request = r,
		.bytes = r->kind == BLOCK_FLUSH ? 0 : r->count * BLOCK_SECTOR,
	};
	if (r->kind == BLOCK_WRITE && device->read_only)
		end_slot(u, s, -EROFS);
	else
		start(u, s);
}

/* ---- from the kernel ---- */

/* A part of it may have been done: then the rest is asked for. */
static void slot_came(struct block_uring *u, struct slot *s, int n)
{
	assert(s->taken && !s->over);
	if (n > 0)
		s->moved += (uint32_t)n;
	if (n == 0 && s->moved < s->bytes)
		end_slot(u, s, -EIO); /* the file's end */
	else if ((n == -EINTR || n == -EAGAIN || (n > 0 && s->moved < s->bytes)) && s->request)
		start(u, s);
	else
		end_slot(u, s, n < 0 ? n : 0);
}

static void take_all(struct block_uring *u)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		const uint64_t data = io_uring_cqe_get_data64(cqe);
		const int n = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		if (data < SLOTS)
			slot_came(u, &u->slot[data], n);
	}
}

static void wait_and_take(struct block_uring *u)
{
	struct io_uring_cqe *cqe;

	while (io_uring_wait_cqe(&u->ring, &cqe) == -EINTR)
		;
	take_all(u);
}

static void submit_queued(struct block_uring *u)
{
	while (u->queue && free_slot(u)) {
		struct block_request *r = u->queue, *rest = r->next;

		u->queue = NULL;
		uring_submit(&u->backend.device, r);
		u->queue = rest;
	}
}

static bool something_is_over(const struct block_uring *u)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (u->slot[i].taken && u->slot[i].over)
			return true;
	return false;
}

/* Devices may make requests, and cancel some, meanwhile. */
static void tell_all(struct block_uring *u)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct slot s = u->slot[i];

		if (!s.taken || !s.over)
			continue;
		u->slot[i].taken = false;
		if (s.request)
			s.request->done(s.request->opaque, s.request, s.result);
	}
	submit_queued(u);
}

/*
 * A device that is told may ask for the next piece, and a piece that the host has in memory is
 * there at once: that is looked for before the loop sleeps.
 */
static void on_event(void *opaque)
{
	struct block_uring *u = opaque;
	uint64_t n;

	if (read(u->event_fd, &n, sizeof(n)) < 0)
		return;
	take_all(u);
	for (unsigned i = 0; i < ROUNDS && something_is_over(u); i++) {
		tell_all(u);
		take_all(u);
	}
	if (something_is_over(u))
		ring_event(u);
}

/* ---- giving up, and the end ---- */

static struct slot *slot_of(struct block_uring *u, const struct block_request *r)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (u->slot[i].taken && u->slot[i].request == r)
			return &u->slot[i];
	return NULL;
}

static void uring_cancel(struct block_device *device, struct block_request *r)
{
	struct block_uring *u = uring_of(device);
	struct slot *s = slot_of(u, r);

	for (struct block_request **link = &u->queue; *link; link = &(*link)->next) {
		if (*link != r)
			continue;
		*link = r->next;
		return;
	}
	if (!s)
		return;
	s->request = NULL;
	take_all(u);
	if (!s->over) {
		struct io_uring_sqe *sqe = entry(u);

		io_uring_prep_cancel64(sqe, (uint64_t)(s - u->slot), 0);
		(void)hand_over(u, sqe, OTHER); /* if not, it ends by itself */
	}
	while (!s->over)
		wait_and_take(u);
	s->taken = false;
	ring_event(u); /* for the queue */
}

static const struct block_ops uring_ops = { .submit = uring_submit, .cancel = uring_cancel };

static bool is_idle(const struct block_uring *u)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (u->slot[i].taken)
			return false;
	return !u->queue;
}

static void uring_free(struct block_uring *u)
{
	event_source_destroy(u->source);
	if (u->ring_made)
		io_uring_queue_exit(&u->ring);
	if (u->event_fd >= 0)
		close(u->event_fd);
	free(u);
}

static void uring_close(struct block_backend *backend)
{
	struct block_uring *u = uring_of(&backend->device);
	pthread_mutex_t *lock = &u->backend.vm->device_lock;

	pthread_mutex_lock(lock);
	for (tell_all(u); !is_idle(u); tell_all(u))
		if (!something_is_over(u))
			wait_and_take(u);
	uring_free(u);
	pthread_mutex_unlock(lock);
}

/* The loop may be running. */
static int watch(struct block_uring *u)
{
	struct vm *vm = u->backend.vm;
	int err;

	pthread_mutex_lock(&vm->device_lock);
	err = event_source_create(vm->loop, u->event_fd, on_event, u, &u->source);
	if (!err)
		event_source_enable(u->source, true);
	pthread_mutex_unlock(&vm->device_lock);
	return err;
}

static int make(struct block_uring *u)
{
	/* Room for a cancellation of each. */
	int err = io_uring_queue_init(4 * SLOTS, &u->ring, 0);

	u->ring_made = !err;
	if (err)
		return err;
	u->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->event_fd < 0)
		return -errno;
	err = io_uring_register_eventfd(&u->ring, u->event_fd);
	return err ? err : watch(u);
}

int block_uring_create(struct vm *vm, struct block_image *image, struct block_backend **out)
{
	struct block_uring *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->backend = (struct block_backend){
		.device = { &uring_ops, image->sectors, image->read_only },
		.vm = vm, .image = image, .close = uring_close,
	};
	u->event_fd = -1;
	err = make(u);
	if (err) {
		uring_free(u);
		return err;
	}
	*out = &u->backend;
	return 0;
}
