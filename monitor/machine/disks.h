/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The disk images of one VM as the configuration wants them, opened and closed together. */
#ifndef RF_MONITOR_MACHINE_DISKS_H
#define RF_MONITOR_MACHINE_DISKS_H

#include "devices/storage/ide.h"
#include "monitor/backends/backends.h"
#include "options.h"

struct disks {
	struct block_backend *backend[VM_IDE_DRIVES];
	struct ide_drive_config ide[VM_IDE_DRIVES]; /* for the board */
};

/* 0, or a negative errno with error set; disks_close() undoes either. */
int disks_open(struct disks *disks, struct vm *vm, const struct vm_config *config,
	       struct error *error) RF_MUST_CHECK;
/* After the board has been destroyed. */
void disks_close(struct disks *disks);

#endif
