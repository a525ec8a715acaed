/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image and who carries out requests to it, opened and closed together. */
#include <string.h>
#include "block_nbd.h"

static int open_image(const struct block_open *how, struct block_image **image,
		      struct error *error)
{
	int err = nbd_is_wanted(how) ? block_nbd_open(how, image, error) :
				       block_file_open(how, image, error);

	if (err || !how->snapshot)
		return err;
	err = block_overlay_open(*image, image);
	if (!err)
		return 0;
	(*image)->ops->close(*image);
	return error_set(error, err, "cannot make a temporary file for what is written to image "
			 "'%s': %s", how->path, strerror(-err));
}

/* The runner that was asked for, or the best there is. */
static int start_runner(struct vm *vm, const struct block_open *how, struct block_image *image,
			struct block_backend **out, struct error *error)
{
	int err;

	if (how->aio != BLOCK_AIO_THREADS && image->is_file && vm->loop) {
		err = block_uring_create(vm, image, out);
		if (!err)
			return 0;
		if (how->aio == BLOCK_AIO_URING)
			return error_set(error, err, "image '%s': io_uring cannot be used here "
					 "(%s); give aio=threads", how->path, strerror(-err));
	}
	err = block_thread_create(vm, image, out);
	return err ? error_set(error, err, "cannot start a thread for image '%s': %s", how->path,
			       strerror(-err)) : 0;
}

int block_backend_open(struct vm *vm, const struct block_open *how, struct block_backend **out,
		       struct error *error)
{
	struct block_image *image;
	int err;

	*out = NULL;
	err = open_image(how, &image, error);
	if (err)
		return err;
	err = start_runner(vm, how, image, out, error);
	if (err)
		image->ops->close(image);
	return err;
}

struct block_device *block_backend_device(struct block_backend *backend)
{
	return &backend->device;
}

void block_backend_close(struct block_backend *backend)
{
	struct block_image *image;

	if (!backend)
		return;
	image = backend->image;
	backend->close(backend);
	image->ops->close(image);
}
