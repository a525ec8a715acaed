/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens the images that -hda, -fda, -drive and the like name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "disks.h"

int disks_open_image(struct vm *vm, const struct vm_config *config, const struct vm_drive *drive,
		     struct block_backend **out, struct error *error)
{
	const bool read_only = drive->cd || drive->read_only;
	const struct block_open how = {
		.path = drive->file, .read_only = read_only,
		.snapshot = !read_only && (drive->snapshot || config->snapshot),
		.format = drive->format, .aio = drive->aio, .cancel = config->cancel,
	};

	return block_backend_open(vm, &how, out, error);
}

int disks_check_floppy(enum floppy_drive_type type, const char *path, uint64_t sectors,
		       struct error *error)
{
	const struct floppy_format *format = floppy_format_find(sectors);

	if (!format)
		return error_set(error, -EINVAL, "image '%s' has %llu bytes, which is no floppy's "
				 "size: " FLOPPY_SIZES ", or less; give a disk's image with -hda",
				 path,
				 (unsigned long long)sectors * BLOCK_SECTOR);
	if (!floppy_drive_takes(type, format))
		return error_set(error, -EINVAL, "image '%s' is of a disk of %llu KiB, which a %s "
				 "drive does not take; start the machine with it (-fda, -fdb)",
				 path, (unsigned long long)sectors / 2, floppy_drive_name(type));
	return 0;
}

static int open_floppy(struct disks *disks, unsigned n, struct vm *vm,
		       const struct vm_config *config, struct error *error)
{
	const struct vm_drive *drive = &config->floppy[n];
	struct floppy_drive_config *floppy = &disks->floppy[n];
	const struct floppy_format *format;
	int err;

	floppy->type = FLOPPY_2880K;
	if (!drive->file)
		return 0;
	err = disks_open_image(vm, config, drive, &disks->floppy_backend[n], error);
	if (err)
		return err;
	floppy->block = block_backend_device(disks->floppy_backend[n]);
	format = floppy_format_find(floppy->block->sectors);
	floppy->type = format ? format->type : FLOPPY_NONE;
	return disks_check_floppy(floppy->type, drive->file, floppy->block->sectors, error);
}

static int open_drive(struct disks *disks, unsigned n, struct vm *vm,
		      const struct vm_config *config, struct error *error)
{
	const struct vm_drive *drive = &config->ide[n];
	int err;

	disks->ide[n].kind = drive->cd ? IDE_CD : IDE_DISK;
	if (!drive->file)
		return 0;
	err = disks_open_image(vm, config, drive, &disks->backend[n], error);
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
	for (unsigned n = 0; n < VM_FLOPPY_DRIVES && !err; n++)
		if (config->floppy[n].there)
			err = open_floppy(disks, n, vm, config, error);
	return err;
}

void disks_close(struct disks *disks)
{
	for (unsigned n = 0; n < VM_IDE_DRIVES; n++) {
		block_backend_close(disks->backend[n]);
		disks->backend[n] = NULL;
	}
	for (unsigned n = 0; n < VM_FLOPPY_DRIVES; n++) {
		block_backend_close(disks->floppy_backend[n]);
		disks->floppy_backend[n] = NULL;
	}
	for (unsigned n = 0; n < VM_IDE_DRIVES + VM_FLOPPY_DRIVES; n++) {
		free(disks->changed[n].file);
		disks->changed[n].file = NULL;
	}
}
