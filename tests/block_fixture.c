/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include "block_fixture.h"

static void on_done(void *opaque, struct block_request *request, int err)
{
	struct waited *w = opaque;

	cr_assert_eq(request, &w->request);
	cr_assert_eq(pthread_mutex_trylock(&w->vm->device_lock), EBUSY);
	w->err = err;
	w->over = true;
	pthread_cond_signal(&w->done);
}

void block_start(struct vm *vm, struct block_backend *b, struct waited *w, enum block_kind kind,
		 uint64_t sector, uint32_t count, void *buffer)
{
	*w = (struct waited){
		.request = { kind, sector, count, buffer, on_done, w, NULL },
		.vm = vm, .done = PTHREAD_COND_INITIALIZER,
	};
	block_submit(block_backend_device(b), &w->request);
}

void block_wait(struct waited *w)
{
	while (!w->over)
		pthread_cond_wait(&w->done, &w->vm->device_lock);
}

int block_carry_out(struct vm *vm, struct block_backend *b, enum block_kind kind, uint64_t sector,
		    uint32_t count, void *buffer)
{
	struct waited w;

	pthread_mutex_lock(&vm->device_lock);
	block_start(vm, b, &w, kind, sector, count, buffer);
	block_wait(&w);
	pthread_mutex_unlock(&vm->device_lock);
	return w.err;
}
