/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The drives of a machine and what is in them, as who changes disks sees it: the monitor's commands
 * on one side, what opens images on the other.
 */
#ifndef RF_DEVICES_BUS_MEDIA_H
#define RF_DEVICES_BUS_MEDIA_H

#include "x86/error.h"
#include "x86/types.h"

struct media_drive {
	char name[32];    /* "ide1-cd0", "floppy0" */
	const char *file; /* NULL: nothing is in it; valid until the drive is changed */
	bool removable;
	bool read_only;
	bool locked, tray_open; /* of a CD-ROM */
};

/* Both are called on the vCPU's thread, without the device lock. */
struct media {
	/* Of drive n, from 0 on. False: there are no more. NULL: there are none at all. */
	bool (*query)(void *opaque, unsigned n, struct media_drive *drive);
	/*
	 * Puts another image into drive n; file NULL: takes out what is there. force: also if the
	 * guest has locked the tray, which is otherwise asked to open it. 0, or a negative errno
	 * with error, and nothing has changed.
	 */
	int (*change)(void *opaque, unsigned n, const char *file, bool force,
		      struct error *error);
	void *opaque;
};

#endif
