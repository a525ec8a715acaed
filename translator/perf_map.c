/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /tmp/perf-PID.map; see perf_map.h. */
#include "perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct perf_map {
	FILE *file;
};

void perf_map_path(char path[32])
{
	snprintf(path, 32, "/tmp/perf-%d.map", (int)getpid());
}

int perf_map_create(struct perf_map **out)
{
	struct perf_map *map = calloc(1, sizeof(*map));
	char path[32];
	int fd, err;

	if (!map)
		return -ENOMEM;
	perf_map_path(path);
	/* Anybody may have put a link there. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	map->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!map->file) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		free(map);
		return err;
	}
	/* Whole lines, for who looks while we run. */
	setvbuf(map->file, NULL, _IOLBF, BUFSIZ);
	*out = map;
	return 0;
}

void perf_map_destroy(struct perf_map *map)
{
	if (!map)
		return;
	fclose(map->file);
	free(map);
}

void perf_map_add(struct perf_map *map, cache_pc start, size_t bytes, const char *name)
{
	fprintf(map->file, "%llx %zx %s\n", (unsigned long long)start, bytes, name);
}

void perf_map_restart(struct perf_map *map, const struct translator *tr)
{
	struct tc_stub stub;
	char name[48];

	fflush(map->file);
	/* If the host refuses, old lines stay before the new ones: no worse than a map can be. */
	(void)!ftruncate(fileno(map->file), 0);
	rewind(map->file);
	for (unsigned i = 0; translator_stub(tr, i, &stub); i++) {
		snprintf(name, sizeof(name), "stub:%s", stub.name);
		perf_map_add(map, stub.start, stub.end - stub.start, name);
	}
}
