/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disk images: what requests do to the file, and files that will not do. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "block_fixture.h"

#define SECTORS 256u

static struct vm vm;
static char path[] = "/tmp/test-block-XXXXXX";
static struct error error;

static void setup(void)
{
	uint8_t sector[BLOCK_SECTOR];
	int fd = mkstemp(path);

	vm_init(&vm);
	error = (struct error){ 0 };
	for (unsigned i = 0; i < SECTORS; i++) {
		memset(sector, (int)i, sizeof(sector));
		cr_assert_eq(write(fd, sector, sizeof(sector)), (ssize_t)sizeof(sector));
	}
	close(fd);
}

static void teardown(void)
{
	event_loop_destroy(vm.loop);
	unlink(path);
}

TestSuite(block, .init = setup, .fini = teardown, .timeout = 120);

/* By io_uring, which needs an event loop. */
static void setup_uring(void)
{
	const struct block_open how = { .path = path, .aio = BLOCK_AIO_URING };
	struct block_backend *b;
	int err;

	setup();
	cr_assert_eq(event_loop_create(&vm.device_lock, &vm.loop), 0);
	err = block_backend_open(&vm, &how, &b, &error);
	/* Built without, an old or a forbidding kernel, too little that may be locked. */
	if (err == -ENOSYS || err == -EPERM || err == -EACCES || err == -ENOMEM)
		cr_skip_test("%s", error.text);
	cr_assert_eq(err, 0, "%s", error.text);
	block_backend_close(b);
	cr_assert_eq(event_loop_start(vm.loop), 0);
}

TestSuite(block_uring, .init = setup_uring, .fini = teardown, .timeout = 120);

/* A test of both: block, by a thread; block_uring. */
#define TEST_BOTH(name)                     \
	static void name(void);             \
	Test(block, name) { name(); }       \
	Test(block_uring, name) { name(); } \
	static void name(void)

static struct block_backend *open_image(bool read_only, bool snapshot)
{
	const struct block_open how = {
		.path = path, .read_only = read_only, .snapshot = snapshot,
	};
	struct block_backend *b;

	cr_assert_eq(block_backend_open(&vm, &how, &b, &error), 0, "%s", error.text);
	return b;
}

static int carry_out(struct block_backend *b, enum block_kind kind, uint64_t sector,
		     uint32_t count, void *buffer)
{
	return block_carry_out(&vm, b, kind, sector, count, buffer);
}

/* The first byte of a sector in the file. */
static int in_file(unsigned sector)
{
	uint8_t byte;
	int fd = open(path, O_RDONLY);
	ssize_t n = pread(fd, &byte, 1, (off_t)sector * BLOCK_SECTOR);

	close(fd);
	return n == 1 ? byte : -1;
}

TEST_BOTH(read_write_flush)
{
	struct block_backend *b = open_image(false, false);
	uint8_t bytes[3 * BLOCK_SECTOR];

	cr_expect_eq(block_backend_device(b)->sectors, SECTORS);
	cr_expect_not(block_backend_device(b)->read_only);
	cr_assert_eq(carry_out(b, BLOCK_READ, 5, 3, bytes), 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		cr_assert_eq(bytes[i], 5 + i / BLOCK_SECTOR);
	memset(bytes, 0x77, sizeof(bytes));
	cr_assert_eq(carry_out(b, BLOCK_WRITE, SECTORS - 3, 3, bytes), 0);
	cr_assert_eq(carry_out(b, BLOCK_FLUSH, 0, 0, NULL), 0);
	cr_expect_eq(in_file(SECTORS - 1), 0x77);
	cr_expect_eq(in_file(SECTORS - 4), SECTORS - 4);
	block_backend_close(b);
}

Test(block, a_snapshot_leaves_the_file_alone)
{
	struct block_backend *b = open_image(false, true);
	uint8_t bytes[4 * BLOCK_SECTOR];

	memset(bytes, 0xee, sizeof(bytes));
	cr_assert_eq(carry_out(b, BLOCK_WRITE, 10, 1, bytes), 0);
	cr_assert_eq(carry_out(b, BLOCK_WRITE, 12, 1, bytes), 0);
	cr_assert_eq(carry_out(b, BLOCK_FLUSH, 0, 0, NULL), 0);
	cr_assert_eq(carry_out(b, BLOCK_READ, 10, 4, bytes), 0);
	cr_expect_eq(bytes[0], 0xee);
	cr_expect_eq(bytes[BLOCK_SECTOR], 11);
	cr_expect_eq(bytes[2 * BLOCK_SECTOR], 0xee);
	cr_expect_eq(bytes[3 * BLOCK_SECTOR], 13);
	block_backend_close(b);
	cr_expect_eq(in_file(10), 10);
}

TEST_BOTH(read_only)
{
	struct block_backend *b = open_image(true, false), *other = open_image(true, false);
	uint8_t bytes[BLOCK_SECTOR] = { 0 };

	cr_expect(block_backend_device(b)->read_only);
	cr_expect_eq(carry_out(b, BLOCK_WRITE, 1, 1, bytes), -EROFS);
	cr_expect_eq(carry_out(b, BLOCK_READ, 1, 1, bytes), 0);
	cr_expect_eq(bytes[0], 1);
	block_backend_close(b);
	block_backend_close(other);
}

TEST_BOTH(an_image_that_shrinks)
{
	struct block_backend *b = open_image(false, false);
	uint8_t bytes[2 * BLOCK_SECTOR];

	cr_assert_eq(truncate(path, 100 * BLOCK_SECTOR + 5), 0);
	cr_expect_eq(carry_out(b, BLOCK_READ, 99, 1, bytes), 0);
	cr_expect_eq(carry_out(b, BLOCK_READ, 99, 2, bytes), -EIO);
	cr_expect_eq(carry_out(b, BLOCK_READ, 200, 1, bytes), -EIO);
	block_backend_close(b);
}

/* As a full disk, an image that may not grow back. */
TEST_BOTH(a_write_that_fails)
{
	const struct rlimit limit = { 100 * BLOCK_SECTOR, RLIM_INFINITY };
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct block_backend *b = open_image(false, false);
	uint8_t bytes[2 * BLOCK_SECTOR] = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(truncate(path, 100 * BLOCK_SECTOR), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(carry_out(b, BLOCK_WRITE, 99, 2, bytes), -EFBIG);
	cr_expect_eq(carry_out(b, BLOCK_WRITE, 99, 1, bytes), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	block_backend_close(b);
}

/* Whatever the moment: done is not called afterwards, and the buffer is left alone. */
TEST_BOTH(cancelled_requests)
{
	struct block_backend *b = open_image(false, false);
	struct waited first, second;
	uint8_t *bytes = malloc(SECTORS * BLOCK_SECTOR), other[BLOCK_SECTOR];

	for (unsigned round = 0; round < 2000; round++) {
		pthread_mutex_lock(&vm.device_lock);
		block_start(&vm, b, &first, BLOCK_READ, 0, SECTORS, bytes);
		block_start(&vm, b, &second, BLOCK_READ, 3, 1, other);
		for (volatile unsigned n = round * 37 % 40000; n; n--)
			;
		block_cancel(block_backend_device(b), &first.request);
		memset(bytes, 0x5a, SECTORS * BLOCK_SECTOR);
		block_wait(&second);
		pthread_mutex_unlock(&vm.device_lock);
		cr_assert_not(first.over);
		cr_assert_eq(bytes[SECTORS * BLOCK_SECTOR - 1], 0x5a);
		cr_assert_eq(bytes[0], 0x5a);
		cr_assert_eq(other[0], 3);
	}
	block_backend_close(b);
	free(bytes);
}

#define MANY 100

/* More than a runner takes at a time; every other one is cancelled while it waits. */
TEST_BOTH(many_requests)
{
	struct block_backend *b = open_image(false, false);
	static struct waited w[MANY];
	static uint8_t bytes[MANY][BLOCK_SECTOR];

	pthread_mutex_lock(&vm.device_lock);
	for (unsigned i = 0; i < MANY; i++)
		block_start(&vm, b, &w[i], BLOCK_READ, i, 1, bytes[i]);
	for (unsigned i = 1; i < MANY; i += 2)
		block_cancel(block_backend_device(b), &w[i].request);
	for (unsigned i = 0; i < MANY; i += 2)
		block_wait(&w[i]);
	pthread_mutex_unlock(&vm.device_lock);
	block_backend_close(b);
	for (unsigned i = 0; i < MANY; i++) {
		cr_assert_eq(w[i].over, i % 2 == 0);
		cr_assert(i % 2 || (!w[i].err && bytes[i][0] == i), "%u", i);
	}
}

/* What is under way when the image is closed still ends. */
TEST_BOTH(closed_meanwhile)
{
	struct block_backend *b = open_image(false, false);
	static struct waited w[MANY];
	static uint8_t bytes[MANY][BLOCK_SECTOR];

	pthread_mutex_lock(&vm.device_lock);
	for (unsigned i = 0; i < MANY; i++)
		block_start(&vm, b, &w[i], BLOCK_READ, i, 1, bytes[i]);
	pthread_mutex_unlock(&vm.device_lock);
	block_backend_close(b);
	for (unsigned i = 0; i < MANY; i++)
		cr_assert(w[i].over && !w[i].err && bytes[i][0] == i, "%u", i);
}

/* From now on the test's process gets EPERM from io_uring_setup(), as in a container. */
static void forbid_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { RF_ARRAY_SIZE(filter), filter };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(block_uring, a_host_that_forbids_it)
{
	struct block_open how = { .path = path, .aio = BLOCK_AIO_URING };
	uint8_t bytes[BLOCK_SECTOR];
	struct block_backend *b;

	forbid_uring();
	cr_expect_eq(block_backend_open(&vm, &how, &b, &error), -EPERM);
	cr_expect_not_null(strstr(error.text, "aio=threads"), "%s", error.text);
	b = open_image(false, false);
	cr_expect_eq(carry_out(b, BLOCK_READ, 9, 1, bytes), 0);
	cr_expect_eq(bytes[0], 9);
	block_backend_close(b);
}

/* ---- files that will not do ---- */

static void refused(const char *file, bool read_only, int err, const char *said)
{
	const struct block_open how = { .path = file, .read_only = read_only };
	struct block_backend *b;

	error = (struct error){ 0 };
	cr_expect_eq(block_backend_open(&vm, &how, &b, &error), err, "%s: %s", file, error.text);
	cr_expect_null(b);
	cr_expect_not_null(strstr(error.text, said), "%s: %s", file, error.text);
}

Test(block, locked_images)
{
	struct block_backend *b = open_image(false, false);

	refused(path, false, -EBUSY, "in use");
	refused(path, true, -EBUSY, "in use");
	block_backend_close(b);
	b = open_image(true, false);
	refused(path, false, -EBUSY, "in use");
	block_backend_close(b);
	b = open_image(false, true);
	refused(path, false, -EBUSY, "in use");
	block_backend_close(open_image(true, false));
	block_backend_close(b);
	block_backend_close(open_image(false, false));
}

Test(block, wrong_files)
{
	refused("/nodir/image", false, -ENOENT, "'/nodir/image'");
	refused("/tmp", false, -EISDIR, "is a directory");
	refused("/tmp", true, -EISDIR, "is a directory");
	refused("/dev/null", false, -EINVAL, "neither a file nor a disk");
	cr_assert_eq(truncate(path, 0), 0);
	refused(path, false, -EINVAL, "is empty");
	cr_assert_eq(truncate(path, 511), 0);
	refused(path, false, -EINVAL, "has 511 bytes");
	cr_assert_eq(truncate(path, 1025), 0);
	refused(path, true, -EINVAL, "has 1025 bytes");
}

static void begin_with(const char *magic, size_t len)
{
	int fd = open(path, O_WRONLY);

	cr_assert_eq(pwrite(fd, magic, len, 0), (ssize_t)len);
	close(fd);
}

/* Which it is, the user has to say; raw too. */
Test(block, other_formats)
{
	const struct block_open how = { .path = path, .format = "raw" };
	struct block_backend *b;

	begin_with("QFI\xfb", 4);
	refused(path, false, -EINVAL, "format=qcow2");
	cr_assert_eq(block_backend_open(&vm, &how, &b, &error), 0, "%s", error.text);
	block_backend_close(b);
	begin_with("KDMV", 4);
	refused(path, false, -EINVAL, "format=vmdk");
	begin_with("conectix", 8);
	refused(path, false, -EINVAL, "format=vpc");
	begin_with("<<< Oracle", 10);
	refused(path, true, -EINVAL, "format=vdi");
	begin_with("\x1f\x8b", 2);
	refused(path, true, -EINVAL, "unpack it");
}

/* Root heeds the permissions of files as others do; the test's process alone. */
static void heed_permissions(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	cr_assert_eq(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	cr_assert_eq(syscall(SYS_capset, &header, data), 0);
}

Test(block, images_that_may_not_be_written)
{
	heed_permissions();
	cr_assert_eq(chmod(path, 0444), 0);
	refused(path, false, -EACCES, "readonly=on");
	block_backend_close(open_image(true, false));
	block_backend_close(open_image(false, true));
}
