/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk images of one VM as the configuration wants them, opened and closed together. */
#ifndef RF_MONITOR_MACHINE_DISKS_H
#define RF_MONITOR_MACHINE_DISKS_H

#include "devices/storage/fdc.h"
#include "devices/storage/ide.h"
#include "monitor/backends/backends.h"
#include "options.h"

struct disks {
	struct block_backend *backend[VM_IDE_DRIVES];
	struct block_backend *floppy_backend[VM_FLOPPY_DRIVES];
	struct ide_drive_config ide[VM_IDE_DRIVES]; /* for the board */
	struct floppy_drive_config floppy[VM_FLOPPY_DRIVES];
	/* Since then: media.c. Floppy drives come last. */
	struct disks_change {
		char *file;   /* malloc'd; NULL: as it was, unless it is empty */
		bool emptied;
	} changed[VM_IDE_DRIVES + VM_FLOPPY_DRIVES];
};

/* 0, or a negative errno with error set; disks_close() undoes either. */
int disks_open(struct disks *disks, struct vm *vm, const struct vm_config *config,
	       struct error *error) RF_MUST_CHECK;
/* The image of a drive that names one. As block_backend_open(). */
int disks_open_image(struct vm *vm, const struct vm_config *config, const struct vm_drive *drive,
		     struct block_backend **out, struct error *error) RF_MUST_CHECK;
/* Whether an image of so many sectors goes into such a drive: 0, or -EINVAL and error. */
int disks_check_floppy(enum floppy_drive_type type, const char *path, uint64_t sectors,
		       struct error *error) RF_MUST_CHECK;
/* After the board has been destroyed. */
void disks_close(struct disks *disks);

#endif
