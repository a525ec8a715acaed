/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In a build without liburing. */
#include <errno.h>
#include "block_image.h"

int block_uring_create(struct vm *vm, struct block_image *image, struct block_backend **out)
{
	return -ENOSYS;
}
