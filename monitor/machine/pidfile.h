/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file with the process's number: locked as long as the process has it, so that a second one
 * with the same file is refused, and what one that crashed left behind is not in the way.
 */
#ifndef RF_MONITOR_MACHINE_PIDFILE_H
#define RF_MONITOR_MACHINE_PIDFILE_H

#include "x86/error.h"

struct pidfile {
	const char *path; /* NULL: there is none */
	int fd;
};

/*
 * Opens and locks the file, and does not change it. path must outlive the file. 0, or a negative
 * errno and error; -EBUSY: another process has it.
 */
int pidfile_open(struct pidfile *file, const char *path, struct error *error) RF_MUST_CHECK;
/* Writes the number of this process. 0, or a negative errno and error. */
int pidfile_write(struct pidfile *file, struct error *error) RF_MUST_CHECK;
/* Removes the file, if there is one. */
void pidfile_remove(struct pidfile *file);

#endif
