/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line, in QEMU's dialect: what it says, checked, as plain data. Nothing is opened or
 * created here. An option that is not understood is an error, never passed over.
 */
#ifndef RF_MONITOR_MACHINE_OPTIONS_H
#define RF_MONITOR_MACHINE_OPTIONS_H

#include <errno.h>
#include "monitor/vm/vm.h"

enum options_result {
	OPTIONS_RUN, /* config describes a VM to run */
	OPTIONS_DONE, /* help or version was printed on standard output: exit with 0 */
	OPTIONS_ERROR = -EINVAL, /* config->refusals says what is wrong and what to do */
};

/*
 * Parses argv[1..argc). Strings in config point into argv and live as long as it does; free the
 * rest with options_free(), whatever the result.
 */
enum options_result options_parse(int argc, char **argv, struct vm_config *config);
void options_free(struct vm_config *config);

/* -help's text. */
void options_print_help(void *file);

#endif
