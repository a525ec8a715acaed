/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of images that are no plain files, as QEMU has them:
 *
 *   nbd:HOST:PORT[:exportname=NAME]   nbd:unix:PATH[:exportname=NAME]
 *   nbd://...  nbd+unix://...         the NBD project's doc/uri.md
 *   fat:[floppy:][12:|16:|32:]FOLDER  a disk that is made of a folder's files
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block_nbd.h"

#define EXPORT ":exportname="

static const char *const formats[] = {
	"raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed", "qcow", "parallels", "dmg", "bochs",
	"cloop",
};

bool block_format_known(const char *format)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i], format))
			return true;
	return false;
}

static const char *after(const char *text, const char *prefix)
{
	const size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

static bool is_uri(const char *path)
{
	return after(path, "nbd://") || after(path, "nbd+unix://") || after(path, "nbds://") ||
	       after(path, "nbds+unix://");
}

static bool is_other_format(const struct block_open *how)
{
	return how->format && strcmp(how->format, "raw");
}

bool nbd_is_wanted(const struct block_open *how)
{
	return is_other_format(how) || is_uri(how->path) || after(how->path, "nbd:") ||
	       after(how->path, "fat:");
}

static int no_memory(const struct block_open *how, struct error *error)
{
	return error_set(error, -ENOMEM, "no memory for image '%s'", how->path);
}

/* ---- servers ---- */

static int parse_uri(const struct block_open *how, struct nbd_name *name, struct error *error)
{
	if (after(how->path, "nbds"))
		return error_set(error, -EINVAL, "image '%s': connections by TLS are not "
				 "available; give nbd:// or nbd+unix://", how->path);
	name->uri = strdup(how->path);
	return name->uri ? 0 : no_memory(how, error);
}

/* An address with colons stands in brackets. */
static int parse_host(const struct block_open *how, struct nbd_name *name, const char *at,
		      size_t len, struct error *error)
{
	const char *end = at + len, *colon = memrchr(at, ':', len);
	const bool brackets = *at == '[';

	if (!colon || colon - brackets <= at + brackets || colon + 1 == end ||
	    (brackets && colon[-1] != ']'))
		return error_set(error, -EINVAL, "image '%s': write nbd:HOST:PORT or "
				 "nbd:unix:PATH, with %sNAME after it if need be", how->path,
				 EXPORT);
	name->host = strndup(at + brackets, (size_t)(colon - at) - 2 * brackets);
	name->port = strndup(colon + 1, (size_t)(end - colon) - 1);
	return name->host && name->port ? 0 : no_memory(how, error);
}

static int parse_server(const struct block_open *how, struct nbd_name *name, struct error *error)
{
	const char *at = after(how->path, "nbd:"), *end = strstr(at, EXPORT);
	const size_t len = end ? (size_t)(end - at) : strlen(at);

	name->export = strdup(end ? end + strlen(EXPORT) : "");
	if (!name->export)
		return no_memory(how, error);
	if (!after(at, "unix:") || len <= strlen("unix:"))
		return parse_host(how, name, at, len, error);
	name->unix_path = strndup(at + strlen("unix:"), len - strlen("unix:"));
	return name->unix_path ? 0 : no_memory(how, error);
}

/* ---- what qemu-nbd reads ---- */

/* A copy in which commas are doubled, as lists of options have them. NULL: no memory. */
static char *double_commas(const char *text)
{
	char *copy = malloc(2 * strlen(text) + 1), *to = copy;

	if (!copy)
		return NULL;
	for (; *text; text++) {
		if (*text == ',')
			*to++ = ',';
		*to++ = *text;
	}
	*to = 0;
	return copy;
}

/* name->options: first, and the file's name after it. */
static int make_options(const struct block_open *how, struct nbd_name *name, const char *first,
			const char *file, struct error *error)
{
	char *doubled = double_commas(file);

	if (!doubled || asprintf(&name->options, "%s%s", first, doubled) < 0)
		name->options = NULL;
	free(doubled);
	return name->options ? 0 : no_memory(how, error);
}

static int parse_format(const struct block_open *how, struct nbd_name *name, struct error *error)
{
	int fd = block_open_path(how, error);
	struct stat st;
	char first[96];

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		st.st_mode = S_IFREG;
	close(fd);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(error, -EINVAL, "image '%s' is neither a file nor a disk",
				 how->path);
	snprintf(first, sizeof(first), "driver=%s,file.driver=%s,file.filename=", how->format,
		 S_ISBLK(st.st_mode) ? "host_device" : "file");
	return make_options(how, name, first, how->path, error);
}

/* One of the words before the folder's name; *at is moved on. */
static bool take_word(const char **at, const char *word)
{
	const char *rest = after(*at, word);

	if (rest)
		*at = rest;
	return rest != NULL;
}

/* The host's files are read when the machine starts: what changes later is not seen. */
static int parse_folder(const struct block_open *how, struct nbd_name *name, struct error *error)
{
	const char *at = after(how->path, "fat:");
	const bool floppy = take_word(&at, "floppy:");
	const int bits = take_word(&at, "12:") ? 12 : take_word(&at, "32:") ? 32 :
			 take_word(&at, "16:") ? 16 : 0;
	char first[64], type[24] = "";
	struct stat st;

	if (after(at, "rw:"))
		return error_set(error, -EINVAL, "image '%s': the guest cannot write to a folder "
				 "of the host's; give fat:FOLDER, with snapshot=on if it is to "
				 "write to a copy", how->path);
	if (stat(at, &st))
		return error_set(error, -errno, "cannot open folder '%s' of image '%s': %s", at,
				 how->path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error_set(error, -ENOTDIR, "'%s' of image '%s' is no folder", at,
				 how->path);
	if (bits)
		snprintf(type, sizeof(type), "fat-type=%d,", bits);
	snprintf(first, sizeof(first), "driver=vvfat,%s%sdir=", floppy ? "floppy=on," : "", type);
	name->read_only = true;
	return make_options(how, name, first, at, error);
}

int nbd_name_parse(const struct block_open *how, struct nbd_name *name, struct error *error)
{
	const bool server = is_uri(how->path) || after(how->path, "nbd:");

	*name = (struct nbd_name){ 0 };
	if (is_other_format(how) && (server || after(how->path, "fat:")))
		return error_set(error, -EINVAL, "image '%s': what is behind such a name is raw; "
				 "format=%s has no meaning", how->path, how->format);
	if (is_uri(how->path))
		return parse_uri(how, name, error);
	if (server)
		return parse_server(how, name, error);
	if (after(how->path, "fat:"))
		return parse_folder(how, name, error);
	return parse_format(how, name, error);
}

void nbd_name_free(struct nbd_name *name)
{
	free(name->uri);
	free(name->unix_path);
	free(name->host);
	free(name->port);
	free(name->export);
	free(name->options);
	*name = (struct nbd_name){ 0 };
}
