/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How commands print numbers and memory: the /FORMAT of QEMU's human monitor (and of gdb). */
#ifndef RF_MONITOR_CONTROL_FORMAT_H
#define RF_MONITOR_CONTROL_FORMAT_H

#include <stdio.h>
#include "monitor/vm/vm.h"

#define FORMAT_MOST_BYTES (1u << 20) /* of memory that one command prints */

/* "4xb": count, then a letter of each kind in any order. */
struct format {
	uint32_t count;
	char kind;     /* x d u o c, or i: instructions */
	unsigned size; /* bytes: b 1, h 2, w 4, g 8 */
};

/*
 * Parses what follows a slash, up to a space, into *format, which holds what is not said there, and
 * moves *text after it. 0, or -EINVAL and error.
 */
int format_parse(const char **text, struct format *format, struct error *error) RF_MUST_CHECK;

/* One value, without a line's end. width: as wide as the widest of that size. */
void format_value(FILE *out, const struct format *format, uint64_t value, bool width);

/*
 * Memory from address on, in lines, as far as there is any: linear addresses or physical ones. On
 * the vCPU's thread.
 */
void format_memory(FILE *out, struct vcpu *vcpu, const struct format *format, bool physical,
		   uint64_t address);

#endif
