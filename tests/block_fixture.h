/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM without anything but its device lock, and requests to a disk image that are waited for. */
#ifndef RF_TESTS_BLOCK_FIXTURE_H
#define RF_TESTS_BLOCK_FIXTURE_H

#include "monitor/backends/backends.h"

struct waited {
	struct block_request request;
	struct vm *vm;
	pthread_cond_t done;
	int err;
	bool over;
};

/* With vm->device_lock held. */
void block_start(struct vm *vm, struct block_backend *b, struct waited *w, enum block_kind kind,
		 uint64_t sector, uint32_t count, void *buffer);
void block_wait(struct waited *w);
/* Without it: what the request ended with. */
int block_carry_out(struct vm *vm, struct block_backend *b, enum block_kind kind, uint64_t sector,
		    uint32_t count, void *buffer);

#endif
