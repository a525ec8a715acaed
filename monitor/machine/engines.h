/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engines of this build, best first: what -accel may name. */
#ifndef RF_MONITOR_MACHINE_ENGINES_H
#define RF_MONITOR_MACHINE_ENGINES_H

#include <stdio.h>
#include "monitor/vm/vm.h"

const struct engine *engine_default(void);
/* NULL: there is none of that name. */
const struct engine *engine_find(const char *name);
/* Prints "name  description" lines for -accel help. */
void engine_list(FILE *out);
/* And its options, for -accel NAME,help. */
void engine_list_options(const struct engine *engine, FILE *out);

#endif
