/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that carries out an image's requests, in the order in which they were made.
 *
 * A request is in the queue or is the current one. The thread takes it from the queue under the
 * queue's lock, and works without any lock; then it takes the device lock, looks whether the
 * request has been cancelled meanwhile, and tells the device. Who cancels the current request waits
 * until its buffer is not used any more. Lock order: device lock, then the queue's.
 *
 * An image that may hang must not make anybody wait who has the device lock. The thread works on a
 * buffer of its own then, of which the device's is filled, or was copied, under a lock.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "block_image.h"

#define LAST_SECONDS 5 /* in which a closed image that may hang can still write something */

struct block_thread {
	struct block_backend backend; /* first */

	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct block_request *queue;
	struct block_request *current; /* NULL too when it was cancelled */
	bool working;                  /* on a request's buffer */
	bool ending, ended;

	uint8_t *own; /* the thread's: the buffer for images that may hang */
	size_t own_size;
};

static struct block_thread *thread_of(struct block_device *device)
{
	return rf_container_of(device, struct block_thread, backend.device);
}

static int carry_out(struct block_image *image, const struct block_request *r)
{
	switch (r->kind) {
	case BLOCK_READ:
		return image->ops->read(image, r->sector, r->count, r->buffer);
	case BLOCK_WRITE:
		if (image->read_only)
			return -EROFS;
		return image->ops->write(image, r->sector, r->count, r->buffer);
	default:
		return image->ops->flush(image);
	}
}

static size_t bytes_of(const struct block_request *r)
{
	return r->kind == BLOCK_FLUSH ? 0 : (size_t)r->count * BLOCK_SECTOR;
}

/* Of an image that may hang: the request on the thread's buffer. 0 or -ENOMEM. */
static int use_own_buffer_locked(struct block_thread *t, struct block_request *what)
{
	const size_t bytes = bytes_of(what);

	if (bytes > t->own_size) {
		free(t->own);
		t->own = malloc(bytes);
		t->own_size = t->own ? bytes : 0;
	}
	if (bytes && !t->own)
		return -ENOMEM;
	if (what->kind == BLOCK_WRITE)
		memcpy(t->own, what->buffer, bytes);
	what->buffer = t->own;
	t->working = false;
	return 0;
}

/* The next request, NULL when the backend is closed; what is to be done for it; 0 or an error. */
static struct block_request *next_request(struct block_thread *t, struct block_request *what,
					  int *err)
{
	struct block_request *r;

	pthread_mutex_lock(&t->lock);
	while (!t->queue && !t->ending)
		pthread_cond_wait(&t->changed, &t->lock);
	r = t->queue;
	t->current = r;
	t->working = r != NULL;
	t->ended = !r;
	pthread_cond_broadcast(&t->changed);
	if (r) {
		t->queue = r->next;
		*what = *r;
		*err = t->backend.image->may_hang ? use_own_buffer_locked(t, what) : 0;
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static void finish(struct block_thread *t, struct block_request *r, int err)
{
	struct vm *vm = t->backend.vm;
	bool wanted;

	pthread_mutex_lock(&t->lock);
	t->working = false;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_lock(&vm->device_lock);
	pthread_mutex_lock(&t->lock);
	wanted = t->current == r;
	t->current = NULL;
	pthread_mutex_unlock(&t->lock);
	if (wanted && !err && t->own && r->kind == BLOCK_READ)
		memcpy(r->buffer, t->own, bytes_of(r));
	if (wanted)
		r->done(r->opaque, r, err);
	pthread_mutex_unlock(&vm->device_lock);
}

static void *thread_body(void *opaque)
{
	struct block_thread *t = opaque;
	struct block_request what, *r;
	int err;

	while ((r = next_request(t, &what, &err)))
		finish(t, r, err ? err : carry_out(t->backend.image, &what));
	return NULL;
}

static void thread_submit(struct block_device *device, struct block_request *r)
{
	struct block_thread *t = thread_of(device);
	struct block_request **link = &t->queue;

	assert(r->kind == BLOCK_FLUSH || (r->count && r->sector < device->sectors &&
					  r->count <= device->sectors - r->sector));
	pthread_mutex_lock(&t->lock);
	for (; *link; link = &(*link)->next)
		assert(*link != r);
	r->next = NULL;
	*link = r;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void thread_cancel(struct block_device *device, struct block_request *r)
{
	struct block_thread *t = thread_of(device);

	pthread_mutex_lock(&t->lock);
	for (struct block_request **link = &t->queue; *link; link = &(*link)->next) {
		if (*link != r)
			continue;
		*link = r->next;
		break;
	}
	if (t->current == r) {
		t->current = NULL;
		while (t->working)
			pthread_cond_wait(&t->changed, &t->lock);
	}
	pthread_mutex_unlock(&t->lock);
}

static const struct block_ops thread_ops = { .submit = thread_submit, .cancel = thread_cancel };

static void thread_free(struct block_thread *t)
{
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t->own);
	free(t);
}

/* Waits for the thread as long as the image may take, with the lock held. */
static void wait_for_end_locked(struct block_thread *t)
{
	struct block_image *image = t->backend.image;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LAST_SECONDS;
	while (!t->ended)
		if (pthread_cond_timedwait(&t->changed, &t->lock, &until) == ETIMEDOUT)
			break;
	if (!t->ended)
		image->ops->give_up(image);
}

static void thread_close(struct block_backend *backend)
{
	struct block_thread *t = thread_of(&backend->device);

	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_broadcast(&t->changed);
	if (t->backend.image->may_hang)
		wait_for_end_locked(t);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	thread_free(t);
}

/* Signals are for other threads. */
static int start_thread(struct block_thread *t)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&t->thread, NULL, thread_body, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int block_thread_create(struct vm *vm, struct block_image *image, struct block_backend **out)
{
	struct block_thread *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->backend = (struct block_backend){
		.device = { &thread_ops, image->sectors, image->read_only },
		.vm = vm, .image = image, .close = thread_close,
	};
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	err = start_thread(t);
	if (err) {
		thread_free(t);
		return err;
	}
	*out = &t->backend;
	return 0;
}
