/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What main.c and machine.c tell console.c, beyond guest.h. */
#ifndef GUEST_REPORT_H
#define GUEST_REPORT_H

#include "guest.h"

void report_quietly(void); /* only what failed, and the counts */
void report_group(const char *group, const char *mode);
unsigned report_end(void); /* prints "N passed, N failed"; returns how many failed */

#endif
