/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disk images: what requests do to the file, and files that will not do. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

static void teardown(void) { unlink(path); }

TestSuite(block, .init = setup, .fini = teardown, .timeout = 120);

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

Test(block, read_write_flush)
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

Test(block, read_only)
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

Test(block, an_image_that_shrinks)
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
Test(block, a_write_that_fails)
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
Test(block, cancelled_requests)
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
