/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that carries out an image's requests, in the order in which they were made.
 *
 * A request is in the queue or is the current one. The thread takes it from the queue under the
 * queue's lock, and works without any lock; then it takes the device lock, looks whether the
 * request has been cancelled meanwhile, and tells the device. Who cancels the current request waits
 * until its buffer is not used any more. Lock order: device lock, then the queue's.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "block_image.h"

struct block_thread {
	struct block_backend backend; /* first */

	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct block_request *queue;
	struct block_request *current; /* NULL too when it was cancelled */
	bool working;                  /* on a request's buffer */
	bool ending;
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

/* The next request, with the queue's lock held; NULL: the backend is closed. */
static struct block_request *next_request_locked(struct block_thread *t)
{
	struct block_request *r;

	while (!t->queue && !t->ending)
		pthread_cond_wait(&t->changed, &t->lock);
	r = t->queue;
	if (r)
		t->queue = r->next;
	t->current = r;
	t->working = r != NULL;
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
	if (wanted)
		r->done(r->opaque, r, err);
	pthread_mutex_unlock(&vm->device_lock);
}

static void *thread_body(void *opaque)
{
	struct block_thread *t = opaque;

	for (;;) {
		struct block_request *r;

		pthread_mutex_lock(&t->lock);
		r = next_request_locked(t);
		pthread_mutex_unlock(&t->lock);
		if (!r)
			return NULL;
		finish(t, r, carry_out(t->backend.image, r));
	}
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
	free(t);
}

static void thread_close(struct block_backend *backend)
{
	struct block_thread *t = thread_of(&backend->device);

	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_broadcast(&t->changed);
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
