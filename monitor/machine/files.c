/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening an output empties it, and so must not happen to a file that is read: the kernel's name
 * after "-serial file:" by mistake would destroy the kernel.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "files.h"

/* As on the command line: label "-serial file:", name "x". */
struct named_file {
	const char *label;
	char *name;
	bool written;
};

struct named_files {
	struct named_file *file;
	size_t count;
	bool no_memory;
};

/* What the name leads to: a regular file, or one that there will be, in its directory. */
struct identity {
	bool valid;
	dev_t device;
	ino_t inode;
	const char *base; /* in that directory; NULL: the file itself */
};

static struct identity identify(const char *name)
{
	const char *slash = strrchr(name, '/');
	char directory[PATH_MAX];
	struct stat st;

	if (!stat(name, &st))
		return (struct identity){ S_ISREG(st.st_mode), st.st_dev, st.st_ino, NULL };
	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - name) + 1 : 1,
		 slash ? name : ".");
	if (stat(directory, &st))
		return (struct identity){ 0 };
	return (struct identity){ true, st.st_dev, st.st_ino, slash ? slash + 1 : name };
}

static bool same_file(const char *a, const char *b)
{
	const struct identity x = identify(a), y = identify(b);

	return x.valid && y.valid && x.device == y.device && x.inode == y.inode &&
	       !x.base == !y.base && (!x.base || !strcmp(x.base, y.base));
}

static void files_add(struct named_files *files, const char *label, const char *name, size_t len,
		      bool written)
{
	struct named_file *longer = realloc(files->file, (files->count + 1) * sizeof(*longer));
	char *copy = strndup(name, len);

	if (longer)
		files->file = longer;
	if (longer && copy && *copy) {
		files->file[files->count++] = (struct named_file){ label, copy, written };
		return;
	}
	files->no_memory |= !longer || !copy;
	free(copy);
}

static void files_add_name(struct named_files *files, const char *label, const char *name,
			   bool written)
{
	if (name)
		files_add(files, label, name, strlen(name), written);
}

/* One file, or "FILE ARGS,FILE ARGS": which it is depends on the kernel. */
static void files_add_initrd(struct named_files *files, const char *list)
{
	files_add_name(files, "-initrd ", list, false);
	while (list && *list) {
		const size_t len = strcspn(list, ",");

		if (list[strcspn(list, ", ")])
			files_add(files, "-initrd ", list, strcspn(list, ", "), false);
		list += len + (list[len] == ',');
	}
}

static void files_add_line(struct named_files *files, const char *label, const char *spec)
{
	if (spec && !strncmp(spec, "mon:", 4))
		spec += 4;
	if (spec && !strncmp(spec, "file:", 5))
		files_add_name(files, label, spec + 5, true);
}

/* "FILE:FILE" */
static void files_add_symbols(struct named_files *files, const char *list, size_t len)
{
	while (len) {
		const char *colon = memchr(list, ':', len);
		const size_t name = colon ? (size_t)(colon - list) : len;

		files_add(files, "symbols=", list, name, false);
		list += name + !!colon;
		len -= name + !!colon;
	}
}

static void files_add_profile(struct named_files *files, const char *name, size_t len)
{
	char *sites;

	files_add(files, "profile=", name, len, true);
	if (asprintf(&sites, "%.*s.sites", (int)len, name) < 0)
		return;
	files_add_name(files, "profile=", sites, true);
	free(sites);
}

/* Those of the engine's options that name files. */
static void files_add_engine_options(struct named_files *files, const char *list)
{
	while (list && *list) {
		const size_t len = strcspn(list, ",");

		if (!strncmp(list, "symbols=", 8))
			files_add_symbols(files, list + 8, len - 8);
		else if (!strncmp(list, "profile=", 8) && len > 8)
			files_add_profile(files, list + 8, len - 8);
		list += len + (list[len] == ',');
	}
}

static void files_add_drive(struct named_files *files, const struct vm_config *config,
			    const struct vm_drive *drive)
{
	files_add_name(files, "image ", drive->file,
		       !drive->cd && !drive->read_only && !drive->snapshot && !config->snapshot);
}

static void files_add_all(struct named_files *files, const struct vm_config *config)
{
	files_add_name(files, "-kernel ", config->kernel, false);
	files_add_name(files, "-bios ", config->bios, false);
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++)
		files_add_drive(files, config, &config->ide[i]);
	for (unsigned i = 0; i < VM_FLOPPY_DRIVES; i++)
		files_add_drive(files, config, &config->floppy[i]);
	files_add_initrd(files, config->initrd);
	files_add_engine_options(files, config->engine_options);
	files_add_name(files, "-D ", config->log_path, true);
	files_add_name(files, "-pidfile ", config->pidfile, true);
	files_add_name(files, "stats=", config->stats_path, true);
	for (int i = 0; i < VM_SERIAL_PORTS; i++)
		files_add_line(files, "-serial file:", config->serial[i]);
	files_add_line(files, "-debugcon file:", config->debugcon);
	files_add_line(files, "-monitor file:", config->monitor);
}

static int files_compare(const struct named_file *a, const struct named_file *b,
			 struct error *error)
{
	if ((!a->written && !b->written) || !same_file(a->name, b->name))
		return 0;
	return error_set(error, -EINVAL, "%s%s is the same file as %s%s; write to another",
			 b->written ? b->label : a->label, b->written ? b->name : a->name,
			 b->written ? a->label : b->label, b->written ? a->name : b->name);
}

static void files_free(struct named_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->file[i].name);
	free(files->file);
}

int files_check(const struct vm_config *config, struct error *error)
{
	struct named_files files = { 0 };
	int err = 0;

	files_add_all(&files, config);
	if (files.no_memory)
		err = error_set(error, -ENOMEM, "no memory");
	for (size_t i = 1; i < files.count && !err; i++) {
		for (size_t j = 0; j < i && !err; j++)
			err = files_compare(&files.file[j], &files.file[i], error);
	}
	files_free(&files);
	return err;
}
