/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -pidfile (pidfile.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pidfile.h"

static bool pidfile_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

/* Not so if who had it removed it between our opening and locking it. */
static bool pidfile_is_at(int fd, const char *path)
{
	struct stat open_file, named;

	return !fstat(fd, &open_file) && !stat(path, &named) &&
	       open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

static int pidfile_busy(int fd, const char *path, struct error *error)
{
	char number[24];
	const ssize_t n = read(fd, number, sizeof(number) - 1);

	number[n > 0 ? n : 0] = '\0';
	number[strspn(number, "0123456789")] = '\0';
	return error_set(error, -EBUSY,
			 "-pidfile %s: a process that runs has it (%s); give each its own file",
			 path, *number ? number : "starting");
}

int pidfile_open(struct pidfile *file, const char *path, struct error *error)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644), err = errno;

		if (fd < 0)
			return error_set(error, -err,
					 "-pidfile %s: cannot write it: %s; give another file",
					 path, error_reason(err));
		if (!pidfile_lock(fd)) {
			err = errno == EAGAIN || errno == EACCES ?
				      pidfile_busy(fd, path, error) :
				      error_set(error, -errno, "-pidfile %s: cannot lock it: %s",
						path, error_reason(errno));
			close(fd);
			return err;
		}
		if (pidfile_is_at(fd, path)) {
			*file = (struct pidfile){ path, fd };
			return 0;
		}
		close(fd);
	}
}

int pidfile_write(struct pidfile *file, struct error *error)
{
	char text[24];
	const int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	int err = 0;

	if (ftruncate(file->fd, 0))
		err = errno;
	else if (pwrite(file->fd, text, len, 0) != len)
		err = errno ? errno : EIO;
	return err ? error_set(error, -err, "-pidfile %s: cannot write it: %s; give another file",
			       file->path, error_reason(err)) :
		     0;
}

void pidfile_remove(struct pidfile *file)
{
	if (!file->path)
		return;
	if (pidfile_is_at(file->fd, file->path))
		unlink(file->path);
	close(file->fd);
	file->path = NULL;
}
