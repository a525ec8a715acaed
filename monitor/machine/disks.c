/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens the images that -hda, -drive and the like name. */
#include <string.h>
#include "disks.h"

static int open_drive(struct disks *disks, unsigned n, struct vm *vm,
		      const struct vm_config *config, struct error *error)
{
	const struct vm_drive *drive = &config->ide[n];
	const bool read_only = drive->cd || drive->read_only;
	const struct block_open how = {
		.path = drive->file, .read_only = read_only,
		.snapshot = !read_only && (drive->snapshot || config->snapshot),
		.format = drive->format, .cancel = config->cancel,
	};
	int err;

	disks->ide[n].kind = drive->cd ? IDE_CD : IDE_DISK;
	if (!drive->file)
		return 0;
	err = block_backend_open(vm, &how, &disks->backend[n], error);
	if (!err)
		disks->ide[n].block = block_backend_device(disks->backend[n]);
	return err;
}

int disks_open(struct disks *disks, struct vm *vm, const struct vm_config *config,
	       struct error *error)
{
	int err = 0;

	memset(disks, 0, sizeof(*disks));
	for (unsigned n = 0; n < VM_IDE_DRIVES && !err; n++)
		if (config->ide[n].there)
			err = open_drive(disks, n, vm, config, error);
	return err;
}

void disks_close(struct disks *disks)
{
	for (unsigned n = 0; n < VM_IDE_DRIVES; n++) {
		block_backend_close(disks->backend[n]);
		disks->backend[n] = NULL;
	}
}
