/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /tmp/perf-PID.map: what lies where in the code cache, for Linux' perf. A line is the start and
 * the length of a piece of code in hexadecimal digits, and its name. perf looks there for addresses
 * in memory that belongs to no file.
 *
 * A process has one such file, so only one translator of a process can have it.
 */
#ifndef RF_TRANSLATOR_PERF_MAP_H
#define RF_TRANSLATOR_PERF_MAP_H

#include "translator.h"

struct perf_map;

/*
 * Makes the file, in place of one that an earlier process of the same number left. 0 or a negative
 * errno. It is not removed at the end.
 */
int perf_map_create(struct perf_map **out) RF_MUST_CHECK;
void perf_map_destroy(struct perf_map *map);
/* The name of this process' file. */
void perf_map_path(char path[32]);

void perf_map_add(struct perf_map *map, cache_pc start, size_t bytes, const char *name);
/*
 * Starts again with tr's stubs alone: when that is new, and when its cache was flushed and
 * addresses get other meanings.
 */
void perf_map_restart(struct perf_map *map, const struct translator *tr);

#endif
