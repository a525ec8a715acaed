/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "firmware_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const default_folders[] = { "/usr/share/seabios", "/usr/share/qemu" };

/* A malloc'd path of name in folder, if there is such a file; else NULL. */
static char *path_in(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return NULL;
	if (!access(path, F_OK))
		return path;
	free(path);
	return NULL;
}

/* The file itself, or of that name in the folders of -L and the usual ones. */
static char *find_file(const struct vm_config *config, const char *name)
{
	char *path = NULL;

	if (!access(name, F_OK))
		return strdup(name);
	if (strchr(name, '/'))
		return NULL;
	for (unsigned i = 0; i < config->firmware_folders && !path; i++)
		path = path_in(config->firmware_folder[i], name);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(default_folders) && !path; i++)
		path = path_in(default_folders[i], name);
	return path;
}

static int not_found(const struct firmware_file_kind *kind, const char *given, struct error *error)
{
	if (given)
		return error_set(error, -ENOENT, "-%s %s: there is no such file, and none of that "
				 "name in the folders of -L or in %s", kind->option, given,
				 default_folders[0]);
	return error_set(error, -ENOENT, "there is no firmware: %s is in none of the folders of "
			 "-L nor in %s; install Debian's package seabios%s%s%s", kind->name,
			 default_folders[0], kind->option ? ", give a file with -" : "",
			 kind->option ? kind->option : "", kind->instead ? kind->instead : "");
}

static int check_size(const struct firmware_file_kind *kind, const char *path,
		      const struct stat *st, struct error *error)
{
	if (S_ISDIR(st->st_mode))
		return error_set(error, -EISDIR, "firmware '%s' is a directory; name the file in "
				 "it", path);
	if (!S_ISREG(st->st_mode))
		return error_set(error, -EINVAL, "firmware '%s' is not a regular file", path);
	if (!st->st_size || st->st_size % kind->unit || st->st_size > (off_t)kind->most)
		return error_set(error, -EINVAL, "firmware '%s' has %lld bytes; it is to be a "
				 "multiple of %u, up to %u", path, (long long)st->st_size,
				 kind->unit, kind->most);
	return 0;
}

static int read_all(int fd, const char *path, uint8_t *data, size_t size, struct error *error)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(error, -errno, "cannot read firmware '%s': %s", path,
					 strerror(errno));
		if (!n)
			return error_set(error, -EIO, "firmware '%s' shrank while it was read",
					 path);
		done += n;
	}
	return 0;
}

static int read_file(const struct firmware_file_kind *kind, const char *path,
		     struct firmware_file *out, struct error *error)
{
	/* O_NONBLOCK: a FIFO is an error rather than a wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct stat st;

	if (fd < 0)
		return error_set(error, -errno, "cannot open firmware '%s': %s", path,
				 strerror(errno));
	err = fstat(fd, &st) ? error_set(error, -errno, "cannot examine firmware '%s': %s", path,
					 strerror(errno)) :
			       check_size(kind, path, &st, error);
	out->size = err ? 0 : st.st_size;
	out->data = err ? NULL : malloc(out->size);
	if (!err && !out->data)
		err = error_set(error, -ENOMEM, "no memory to read firmware '%s'", path);
	if (!err)
		err = read_all(fd, path, out->data, out->size, error);
	close(fd);
	return err;
}

int firmware_file_read(const struct vm_config *config, const struct firmware_file_kind *kind,
		       const char *given, struct firmware_file *out, struct error *error)
{
	char *path = find_file(config, given ? given : kind->name);
	int err;

	*out = (struct firmware_file){ 0 };
	if (!path)
		return not_found(kind, given, error);
	err = read_file(kind, path, out, error);
	free(path);
	if (err)
		firmware_file_free(out);
	return err;
}

void firmware_file_free(struct firmware_file *file)
{
	free(file->data);
	*file = (struct firmware_file){ 0 };
}
