/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys by name, as QEMU's sendkey calls them ("ctrl-alt-delete"), and the bytes that a PS/2
 * keyboard sends for them (scan code set 2; IBM PS/2 keyboard technical reference).
 */
#ifndef RF_MONITOR_SCREEN_KEYS_H
#define RF_MONITOR_SCREEN_KEYS_H

#include "x86/error.h"
#include "x86/types.h"

struct key; /* constant, one for each key */

#define KEY_BYTES_MOST 8  /* of one press or release */
#define KEYS_MOST      16 /* pressed together */

/* NULL: there is no key of that name (length bytes of it). */
const struct key *key_by_name(const char *name, size_t length);
/* The key's name; n-th of all keys, NULL after the last. */
const char *key_name_at(unsigned n);
/*
 * Keys to press together: names with '-' between them. Their number, or -EINVAL with an error that
 * says which is not one, or that there are more than KEYS_MOST.
 */
int keys_parse(const char *text, const struct key *keys[KEYS_MOST], struct error *error)
	RF_MUST_CHECK;
/*
 * The key that types character on a US keyboard, and whether Shift is held for it. NULL: none does.
 */
const struct key *key_of_character(char character, bool *shift);
/* Bytes of a press, or of a release, stored at bytes; how many. A release may have none. */
size_t key_bytes(const struct key *key, bool down, uint8_t bytes[KEY_BYTES_MOST]);

#endif
