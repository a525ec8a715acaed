/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that would need libnbd, in a build without it. */
#include <errno.h>
#include "block_nbd.h"

int block_nbd_open(const struct block_open *how, struct block_image **out, struct error *error)
{
	return error_set(error, -ENOTSUP, "image '%s' needs libnbd, which this ringfence was built "
			 "without; install it (Debian: libnbd-dev) and build again, or convert the "
			 "image (qemu-img convert -O raw)", how->path);
}
