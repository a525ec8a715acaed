/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image that is a file of raw sectors, or a disk of the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include "block_image.h"

int block_read_fully(int fd, void *to, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pread(fd, to, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		to = (uint8_t *)to + n;
		len -= n;
		at += n;
	}
	return 0;
}

int block_write_fully(int fd, const void *from, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, from, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from = (const uint8_t *)from + n;
		len -= n;
		at += n;
	}
	return 0;
}

static int file_read(struct block_image *image, uint64_t sector, uint32_t count, void *to)
{
	return block_read_fully(image->fd, to, (size_t)count * BLOCK_SECTOR,
				(off_t)(sector * BLOCK_SECTOR));
}

static int file_write(struct block_image *image, uint64_t sector, uint32_t count,
		      const void *from)
{
	return block_write_fully(image->fd, from, (size_t)count * BLOCK_SECTOR,
				 (off_t)(sector * BLOCK_SECTOR));
}

static int file_flush(struct block_image *image)
{
	return fdatasync(image->fd) ? -errno : 0;
}

static void file_close(struct block_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	free(image);
}

static const struct block_image_ops file_ops = {
	.read = file_read, .write = file_write, .flush = file_flush, .close = file_close,
};

/* ---- opening ---- */

int block_open_path(const struct block_open *how, struct error *error)
{
	const bool writes = !how->read_only && !how->snapshot;
	/* O_NONBLOCK: a FIFO is an error rather than a wait. */
	const int fd = open(how->path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	if (errno == EISDIR)
		return error_set(error, -EISDIR, "image '%s' is a directory; name the file in it",
				 how->path);
	if (writes && (errno == EACCES || errno == EROFS || errno == EPERM))
		return error_set(error, -errno, "cannot write to image '%s': %s; give readonly=on "
				 "or snapshot=on", how->path, strerror(errno));
	return error_set(error, -errno, "cannot open image '%s': %s", how->path, strerror(errno));
}

static int check_size(const char *path, uint64_t size, struct error *error)
{
	if (!size)
		return error_set(error, -EINVAL, "image '%s' is empty", path);
	if (size % BLOCK_SECTOR)
		return error_set(error, -EINVAL, "image '%s' has %llu bytes, which is no whole "
				 "number of sectors; is it cut off? truncate -s %%512 fills it up",
				 path, (unsigned long long)size);
	return 0;
}

static int measure(struct block_image *f, const char *path, struct error *error)
{
	struct stat st;
	uint64_t size;
	int err;

	if (fstat(f->fd, &st))
		return error_set(error, -errno, "cannot examine image '%s': %s", path,
				 strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(error, -EISDIR, "image '%s' is a directory; name the file in it",
				 path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(error, -EINVAL, "image '%s' is neither a file nor a disk", path);
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(f->fd, BLKGETSIZE64, &size))
		return error_set(error, -errno, "cannot measure image '%s': %s", path,
				 strerror(errno));
	err = check_size(path, size, error);
	f->sectors = size / BLOCK_SECTOR;
	return err;
}

/* Other formats begin with something that is no boot sector. Which it is, the user has to say. */
static int check_format(struct block_image *f, const char *path, struct error *error)
{
	static const struct { const char *magic, *format, *name; uint8_t len; } formats[] = {
		{ "QFI\xfb", "qcow2", "qcow2", 4 }, { "KDMV", "vmdk", "VMDK", 4 },
		{ "conectix", "vpc", "VPC", 8 }, { "<<< ", "vdi", "VDI", 4 },
		{ "vhdxfile", "vhdx", "VHDX", 8 }, { "QED", "qed", "QED", 4 },
		{ "\x1f\x8b", NULL, "gzip", 2 }, { "\xfd" "7zXZ", NULL, "xz", 5 },
	};
	uint8_t start[BLOCK_SECTOR];
	int err = block_read_fully(f->fd, start, sizeof(start), 0);

	if (err)
		return error_set(error, err, "cannot read image '%s': %s", path, strerror(-err));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(formats); i++) {
		if (memcmp(start, formats[i].magic, formats[i].len))
			continue;
		if (formats[i].format)
			return error_set(error, -EINVAL, "image '%s' looks like one of the format "
					 "%s; give -drive file=%s,format=%s (format=raw: the disk "
					 "has these bytes)", path, formats[i].name, path,
					 formats[i].format);
		return error_set(error, -EINVAL, "image '%s' is compressed (%s); unpack it first "
				 "(-drive format=raw: the disk has these bytes)", path,
				 formats[i].name);
	}
	return 0;
}

/* The lock goes with the open file, whoever closes another. */
static int lock_file(struct block_image *f, const struct block_open *how, struct error *error)
{
	struct flock lock = {
		.l_type = how->read_only || how->snapshot ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
	};

	if (!fcntl(f->fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return error_set(error, -EBUSY, "image '%s' is in use by another virtual machine, "
				 "or twice by this one; make a copy of it", how->path);
	return error_set(error, -errno, "cannot lock image '%s': %s", how->path, strerror(errno));
}

static int prepare(struct block_image *f, const struct block_open *how, struct error *error)
{
	int err;

	f->fd = block_open_path(how, error);
	if (f->fd < 0)
		return f->fd;
	err = measure(f, how->path, error);
	if (!err && !how->format)
		err = check_format(f, how->path, error);
	return err ? err : lock_file(f, how, error);
}

int block_file_open(const struct block_open *how, struct block_image **out, struct error *error)
{
	struct block_image *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return error_set(error, -ENOMEM, "no memory for image '%s'", how->path);
	*f = (struct block_image){
		.ops = &file_ops, .read_only = how->read_only, .is_file = true, .fd = -1,
	};
	err = prepare(f, how, error);
	if (err) {
		file_close(f);
		return err;
	}
	*out = f;
	return 0;
}
