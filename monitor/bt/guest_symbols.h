/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of the guest's functions, for those who study it: read from files that the user names,
 * never from the guest.
 *
 * A file is the symbol table of a 32-bit x86 ELF file, or text in the format of System.map and
 * /proc/kallsyms: an address in hexadecimal digits, a type letter, a name, and perhaps a module in
 * brackets. Only functions are kept. Symbols know no address spaces: a name is found wherever the
 * address is used.
 */
#ifndef RF_MONITOR_BT_GUEST_SYMBOLS_H
#define RF_MONITOR_BT_GUEST_SYMBOLS_H

#include "x86/error.h"
#include "x86/types.h"

struct guest_symbols;

/*
 * paths: one or more files with colons between them. 0, or a negative errno and error, which names
 * the file, and the line in it if it is text.
 */
int guest_symbols_load(const char *paths, struct guest_symbols **out,
		       struct error *error) RF_MUST_CHECK;
void guest_symbols_destroy(struct guest_symbols *symbols);

size_t guest_symbols_count(const struct guest_symbols *symbols);
/*
 * The function that address lies in, and where that starts; NULL: none is known. Async-signal-safe.
 * symbols may be NULL.
 */
const char *guest_symbols_find(const struct guest_symbols *symbols, gva_t address, gva_t *start);

#endif
