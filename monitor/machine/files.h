/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that a configuration names: those that are read, and those that are written. */
#ifndef RF_MONITOR_MACHINE_FILES_H
#define RF_MONITOR_MACHINE_FILES_H

#include "monitor/vm/vm.h"
#include "x86/error.h"

/*
 * Whether no file that will be written is read as well, or written twice: 0, or -EINVAL and error.
 * Opens nothing. What is no regular file (/dev/null, a terminal) may be named as often as one
 * likes.
 */
int files_check(const struct vm_config *config, struct error *error) RF_MUST_CHECK;

#endif
