/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles: options, files, and the names of TUs; see profile.h. */
#include "profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest_symbols.h"
#include "translator/perf_map.h"

#define NAME_BYTES 256

/* --- options --- */

void profile_options_free(struct profile_options *o)
{
	free(o->profile);
	free(o->symbols);
	*o = (struct profile_options){ 0 };
}

/* --- the map for perf --- */

static void profile_tu_made(void *opaque, const struct tu *tu)
{
	struct bt *bt = opaque;
	const struct tu_description d = translator_tu_describe(tu);
	const char *whose = (d.mode & MODE_CPL) == 3 ? "guest-user" : "guest", *symbol;
	char name[NAME_BYTES];
	gva_t start;

	symbol = guest_symbols_find(bt->symbols, d.eip, &start);
	if (!symbol)
		snprintf(name, sizeof(name), "%s:0x%08x", whose, d.eip);
	else if (start == d.eip)
		snprintf(name, sizeof(name), "%s:%s", whose, symbol);
	else
		snprintf(name, sizeof(name), "%s:%s+0x%x", whose, symbol, d.eip - start);
	perf_map_add(bt->perf_map, d.entry, d.host_len, name);
}

static void profile_flushed(void *opaque)
{
	struct bt *bt = opaque;

	if (bt->perf_map)
		perf_map_restart(bt->perf_map, bt->translator);
}

void profile_translator_made(struct bt *bt)
{
	profile_flushed(bt);
}

static int profile_create_map(struct bt *bt, struct translator_callbacks *callbacks,
			      struct error *error)
{
	const int err = perf_map_create(&bt->perf_map);
	char path[32];

	if (!err) {
		callbacks->tu_made = profile_tu_made;
		callbacks->flushed = profile_flushed;
		return 0;
	}
	perf_map_path(path);
	return error_set(error, -EINVAL, "cannot write the map for perf, '%s': %s", path,
			 error_reason(-err));
}

/* --- life --- */

static void *profile_table(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int profile_open(struct bt *bt, FILE **file, const char *path, struct error *error)
{
	const int fd = outputs_open(&bt->vcpu->vm->outputs, path);

	if (fd < 0)
		return error_set(error, -EINVAL, "cannot write the profile '%s': %s", path,
				 error_reason(fd));
	*file = fdopen(fd, "w");
	if (*file)
		return 0;
	close(fd);
	return -ENOMEM;
}

static void profile_free(struct profile *profile)
{
	if (profile->timer_thread)
		timer_delete(profile->timer);
	if (profile->file)
		fclose(profile->file);
	if (profile->sites_file)
		fclose(profile->sites_file);
	if (profile->stacks)
		munmap(profile->stacks, PROFILE_STACKS * sizeof(*profile->stacks));
	if (profile->sites)
		munmap(profile->sites, PROFILE_SITES * sizeof(*profile->sites));
	free(profile->path);
	free(profile->sites_path);
	free(profile);
}

static int profile_fill(struct bt *bt, struct profile *profile, const char *path,
			struct error *error)
{
	int err;

	profile->path = strdup(path);
	if (asprintf(&profile->sites_path, "%s.sites", path) < 0)
		profile->sites_path = NULL;
	profile->stacks = profile_table(PROFILE_STACKS * sizeof(*profile->stacks));
	profile->sites = profile_table(PROFILE_SITES * sizeof(*profile->sites));
	if (!profile->path || !profile->sites_path || !profile->stacks || !profile->sites)
		return -ENOMEM;
	err = profile_open(bt, &profile->file, profile->path, error);
	return err ? err : profile_open(bt, &profile->sites_file, profile->sites_path, error);
}

static int profile_create_profile(struct bt *bt, const char *path,
				  struct translator_callbacks *callbacks, struct error *error)
{
	struct profile *profile = calloc(1, sizeof(*profile));
	int err = profile ? profile_fill(bt, profile, path, error) : -ENOMEM;

	if (err) {
		if (profile)
			profile_free(profile);
		return err;
	}
	profile_take_callouts(profile, callbacks);
	bt->profile = profile;
	return bt_signals_install_profile();
}

int profile_create(struct bt *bt, const struct profile_options *o,
		   struct translator_callbacks *callbacks, struct error *error)
{
	int err = o->symbols ? guest_symbols_load(o->symbols, &bt->symbols, error) : 0;

	/* A file that is not there is a wrong option, not a host that cannot run this engine. */
	if (err && err != -ENOMEM)
		err = -EINVAL;

	if (!err && o->perf_map)
		err = profile_create_map(bt, callbacks, error);
	if (!err && o->profile)
		err = profile_create_profile(bt, o->profile, callbacks, error);
	return err;
}

void profile_destroy(struct bt *bt)
{
	if (bt->profile) {
		if (!bt->vcpu->vm->outputs.held) /* else the guest never ran */
			profile_write(bt);
		profile_free(bt->profile);
		bt->profile = NULL;
	}
	/* What it says stays true for who looks later: the last flush is none that counts. */
	perf_map_destroy(bt->perf_map);
	bt->perf_map = NULL;
	guest_symbols_destroy(bt->symbols);
	bt->symbols = NULL;
}
