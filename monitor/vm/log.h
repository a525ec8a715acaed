/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log that -d and -D choose: a set of items, each a stream of text lines about one aspect of
 * the guest's running. Checking whether an item is on is one load and one test, so that call sites
 * on hot paths cost nothing when it is off.
 */
#ifndef RF_MONITOR_VM_LOG_H
#define RF_MONITOR_VM_LOG_H

#include <stdio.h>
#include "lost_output.h"
#include "outputs.h"
#include "x86/error.h"
#include "x86/types.h"

enum log_item {
	LOG_IN_ASM = 1 << 0,       /* guest code as it is translated */
	LOG_OUT_ASM = 1 << 1,      /* host code that translation made */
	LOG_INT = 1 << 2,          /* exceptions and interrupts delivered */
	LOG_EXEC = 1 << 3,         /* every translation unit (or instruction) entered */
	LOG_CPU = 1 << 4,          /* registers with each LOG_EXEC line */
	LOG_GUEST_ERRORS = 1 << 5, /* the guest does something a correct one would not */
	LOG_UNIMP = 1 << 6,        /* the guest uses what no device has */
	LOG_CPU_RESET = 1 << 7,    /* registers when the machine is reset */
};

struct log {
	uint32_t items;
	FILE *out;
	bool owns_file;
	int fd; /* under out, if it owns that */
	struct lost_output lost;
};

/*
 * Parses "item,item,..." into *items. 0, or -EINVAL and error: an unknown item; an empty list is
 * unknown too.
 */
int log_parse_items(const char *list, uint32_t *items, struct error *error) RF_MUST_CHECK;
void log_list_items(FILE *out);

/*
 * path NULL: standard error; else it must outlive the log, which must not move. 0, or the negative
 * errno of opening path.
 */
int log_open(struct log *log, struct outputs *outputs, uint32_t items,
	     const char *path) RF_MUST_CHECK;
/* False: not all of it could be written, as the user has been told. */
bool log_close(struct log *log);

/* log may be NULL (tests): nothing is on. */
static inline bool log_on(const struct log *log, uint32_t items)
{
	return rf_unlikely(log && (log->items & items));
}

/* Writes without looking at the items: guard with log_on(). */
void log_write(struct log *log, const char *fmt, ...) RF_PRINTF(2, 3);

#define log_item(log, item, ...) \
	do { \
		if (log_on(log, item)) \
			log_write(log, __VA_ARGS__); \
	} while (0)

#endif
