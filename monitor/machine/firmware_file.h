/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Firmware files: where they are looked for, and what is said of bad ones. */
#ifndef RF_MONITOR_MACHINE_FIRMWARE_FILE_H
#define RF_MONITOR_MACHINE_FIRMWARE_FILE_H

#include "monitor/vm/vm.h"
#include "x86/error.h"

struct firmware_file_kind {
	const char *name;    /* of the file if none is given */
	const char *option;  /* that gives one, without the dash; NULL: none does */
	const char *instead; /* what else can be done without it: ", or ..."; NULL: nothing */
	uint32_t unit, most; /* bytes: a whole number of units */
};

struct firmware_file {
	uint8_t *data;
	size_t size;
};

/*
 * Reads the file given, or that of the kind's name, from the path itself, the folders of -L and the
 * usual ones. 0, or a negative errno with error and nothing to free.
 */
int firmware_file_read(const struct vm_config *config, const struct firmware_file_kind *kind,
		       const char *given, struct firmware_file *out,
		       struct error *error) RF_MUST_CHECK;
void firmware_file_free(struct firmware_file *file);

#endif
