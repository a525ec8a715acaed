/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw images, and the thread that carries out requests.
 *
 * A request is in the queue or is the current one. The thread takes it from the queue under the
 * queue's lock, and works without any lock; then it takes the device lock, looks whether the
 * request has been cancelled meanwhile, and tells the device. Who cancels the current request waits
 * until its buffer is not used any more. Lock order: device lock, then the queue's.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include "block_backend.h"

struct block_backend {
	struct block_device device; /* first */
	struct vm *vm;
	int fd;
	bool snapshot;
	struct block_overlay overlay; /* of a snapshot */

	pthread_t thread;
	bool thread_runs;
	pthread_mutex_t lock;     /* of what follows */
	pthread_cond_t changed;
	struct block_request *queue;
	struct block_request *current; /* NULL too when it was cancelled */
	bool working;             /* on a request's buffer */
	bool ending;
};

static struct block_backend *backend_of(struct block_device *device)
{
	return rf_container_of(device, struct block_backend, device);
}

/* ---- the file ---- */

/* All of it, or a negative errno; the file's end comes too early for -EIO. */
static int read_full(int fd, uint8_t *to, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pread(fd, to, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		to += n;
		len -= n;
		at += n;
	}
	return 0;
}

static int write_full(int fd, const uint8_t *from, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, from, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		len -= n;
		at += n;
	}
	return 0;
}

static int snapshot_read(struct block_backend *b, const struct block_request *r)
{
	int err = 0;

	for (uint32_t done = 0, n; done < r->count && !err; done += n) {
		const uint64_t sector = r->sector + done;
		bool there;

		n = block_overlay_run(&b->overlay, sector, r->count - done, &there);
		err = read_full(there ? b->overlay.fd : b->fd,
				(uint8_t *)r->buffer + (size_t)done * BLOCK_SECTOR,
				(size_t)n * BLOCK_SECTOR, (off_t)(sector * BLOCK_SECTOR));
	}
	return err;
}

static int do_write(struct block_backend *b, const struct block_request *r)
{
	const int fd = b->snapshot ? b->overlay.fd : b->fd;
	int err;

	if (b->device.read_only)
		return -EROFS;
	err = write_full(fd, r->buffer, (size_t)r->count * BLOCK_SECTOR,
			 (off_t)(r->sector * BLOCK_SECTOR));
	if (!err && b->snapshot)
		block_overlay_note(&b->overlay, r->sector, r->count);
	return err;
}

static int carry_out(struct block_backend *b, const struct block_request *r)
{
	switch (r->kind) {
	case BLOCK_READ:
		if (b->snapshot)
			return snapshot_read(b, r);
		return read_full(b->fd, r->buffer, (size_t)r->count * BLOCK_SECTOR,
				 (off_t)(r->sector * BLOCK_SECTOR));
	case BLOCK_WRITE:
		return do_write(b, r);
	default:
		/* Nobody relies on a snapshot being there later. */
		return b->snapshot || !fdatasync(b->fd) ? 0 : -errno;
	}
}

/* ---- the thread ---- */

/* The next request, with the queue's lock held; NULL: the backend is closed. */
static struct block_request *next_request_locked(struct block_backend *b)
{
	struct block_request *r;

	while (!b->queue && !b->ending)
		pthread_cond_wait(&b->changed, &b->lock);
	r = b->queue;
	if (r)
		b->queue = r->next;
	b->current = r;
	b->working = r != NULL;
	return r;
}

static void finish(struct block_backend *b, struct block_request *r, int err)
{
	bool wanted;

	pthread_mutex_lock(&b->lock);
	b->working = false;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	pthread_mutex_lock(&b->vm->device_lock);
	pthread_mutex_lock(&b->lock);
	wanted = b->current == r;
	b->current = NULL;
	pthread_mutex_unlock(&b->lock);
	if (wanted)
		r->done(r->opaque, r, err);
	pthread_mutex_unlock(&b->vm->device_lock);
}

static void *thread_body(void *opaque)
{
	struct block_backend *b = opaque;

	for (;;) {
		struct block_request *r;

		pthread_mutex_lock(&b->lock);
		r = next_request_locked(b);
		pthread_mutex_unlock(&b->lock);
		if (!r)
			return NULL;
		finish(b, r, carry_out(b, r));
	}
}

static void raw_submit(struct block_device *device, struct block_request *r)
{
	struct block_backend *b = backend_of(device);
	struct block_request **link = &b->queue;

	assert(r->kind == BLOCK_FLUSH || (r->count && r->sector < device->sectors &&
					  r->count <= device->sectors - r->sector));
	pthread_mutex_lock(&b->lock);
	for (; *link; link = &(*link)->next)
		assert(*link != r);
	r->next = NULL;
	*link = r;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void raw_cancel(struct block_device *device, struct block_request *r)
{
	struct block_backend *b = backend_of(device);

	pthread_mutex_lock(&b->lock);
	for (struct block_request **link = &b->queue; *link; link = &(*link)->next) {
		if (*link != r)
			continue;
		*link = r->next;
		break;
	}
	if (b->current == r) {
		b->current = NULL;
		while (b->working)
			pthread_cond_wait(&b->changed, &b->lock);
	}
	pthread_mutex_unlock(&b->lock);
}

static const struct block_ops raw_ops = { .submit = raw_submit, .cancel = raw_cancel };

/* Signals are for other threads. */
static int start_thread(struct block_backend *b)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&b->thread, NULL, thread_body, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	b->thread_runs = !err;
	return err;
}

/* ---- opening ---- */

static int open_file(struct block_backend *b, const struct block_open *how, struct error *error)
{
	const bool writes = !how->read_only && !how->snapshot;

	/* O_NONBLOCK: a FIFO is an error rather than a wait. */
	b->fd = open(how->path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (b->fd >= 0)
		return 0;
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

static int measure(struct block_backend *b, const char *path, struct error *error)
{
	struct stat st;
	uint64_t size;
	int err;

	if (fstat(b->fd, &st))
		return error_set(error, -errno, "cannot examine image '%s': %s", path,
				 strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(error, -EISDIR, "image '%s' is a directory; name the file in it",
				 path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(error, -EINVAL, "image '%s' is neither a file nor a disk", path);
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(b->fd, BLKGETSIZE64, &size))
		return error_set(error, -errno, "cannot measure image '%s': %s", path,
				 strerror(errno));
	err = check_size(path, size, error);
	b->device.sectors = size / BLOCK_SECTOR;
	return err;
}

/* Other formats begin with something that is no boot sector. */
static int check_format(struct block_backend *b, const char *path, struct error *error)
{
	static const struct { const char *magic, *name; uint8_t len; } formats[] = {
		{ "QFI\xfb", "qcow2", 4 }, { "KDMV", "VMDK", 4 }, { "conectix", "VPC", 8 },
		{ "<<< ", "VDI", 4 }, { "vhdxfile", "VHDX", 8 }, { "\x1f\x8b", "gzip", 2 },
		{ "\xfd" "7zXZ", "xz", 5 },
	};
	uint8_t start[BLOCK_SECTOR];
	int err = read_full(b->fd, start, sizeof(start), 0);

	if (err)
		return error_set(error, err, "cannot read image '%s': %s", path, strerror(-err));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(formats); i++)
		if (!memcmp(start, formats[i].magic, formats[i].len))
			return error_set(error, -EINVAL, "image '%s' is of the format %s; only raw "
					 "images can be used in this build", path, formats[i].name);
	return 0;
}

/* The lock goes with the open file, whoever closes another. */
static int lock_file(struct block_backend *b, const struct block_open *how, struct error *error)
{
	struct flock lock = {
		.l_type = how->read_only || how->snapshot ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
	};

	if (!fcntl(b->fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return error_set(error, -EBUSY, "image '%s' is in use by another virtual machine, "
				 "or twice by this one; make a copy of it", how->path);
	return error_set(error, -errno, "cannot lock image '%s': %s", how->path, strerror(errno));
}

static int prepare(struct block_backend *b, const struct block_open *how, struct error *error)
{
	int err = open_file(b, how, error);

	if (!err)
		err = measure(b, how->path, error);
	if (!err)
		err = check_format(b, how->path, error);
	if (!err)
		err = lock_file(b, how, error);
	if (err)
		return err;
	if (how->snapshot) {
		err = block_overlay_create(b->device.sectors, &b->overlay);
		if (err)
			return error_set(error, err, "cannot make a temporary file for what is "
					 "written to image '%s': %s", how->path, strerror(-err));
	}
	err = start_thread(b);
	return err ? error_set(error, err, "cannot start a thread for image '%s': %s", how->path,
			       strerror(-err)) : 0;
}

int block_backend_open(struct vm *vm, const struct block_open *how, struct block_backend **out,
		       struct error *error)
{
	struct block_backend *b = calloc(1, sizeof(*b));
	int err;

	*out = NULL;
	if (!b)
		return error_set(error, -ENOMEM, "no memory for image '%s'", how->path);
	b->vm = vm;
	b->fd = b->overlay.fd = -1;
	b->snapshot = how->snapshot;
	b->device = (struct block_device){ .ops = &raw_ops, .read_only = how->read_only };
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	err = prepare(b, how, error);
	if (err) {
		block_backend_close(b);
		return err;
	}
	*out = b;
	return 0;
}

struct block_device *block_backend_device(struct block_backend *b)
{
	return &b->device;
}

void block_backend_close(struct block_backend *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->ending = true;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	if (b->thread_runs)
		pthread_join(b->thread, NULL);
	block_overlay_destroy(&b->overlay);
	if (b->fd >= 0)
		close(b->fd);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
