/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pieces that arguments of options are made of: lists of keys and values, numbers. */
#ifndef RF_MONITOR_MACHINE_OPTION_ITEMS_H
#define RF_MONITOR_MACHINE_OPTION_ITEMS_H

#include "x86/types.h"

/* One "key=value" or "word" of a comma-separated list, not terminated. */
struct option_item {
	const char *text, *value; /* value NULL: there is no '=' */
	int key_len, value_len, len;
};

/* Takes the first item off *list, which is NULL after the last. False: there was none. */
bool option_next_item(const char **list, struct option_item *item);
bool option_key_is(const struct option_item *item, const char *key);
bool option_value_is(const struct option_item *item, const char *value);
/* "KEY=on", "KEY=off" or "KEY" alone, which is on. False: another value. */
bool option_switch(const struct option_item *item, bool *on) RF_MUST_CHECK;
/* Decimal, or with 0x or 0 before it as in C; no sign. False: no such number, or above max. */
bool option_number(const char *text, int len, uint64_t max, uint64_t *number) RF_MUST_CHECK;

#endif
