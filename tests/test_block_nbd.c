/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that a server has: what becomes of requests when it does well, badly, or nothing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "block_fixture.h"
#include "nbd_fixture.h"

static struct vm vm;
static struct error error;
static struct nbd_test_server server;

static void setup(void)
{
	struct block_backend *b;

	vm_init(&vm);
	server.flags = NBD_CAN_FLUSH;
	if (block_backend_open(&vm, &(struct block_open){ .path = "nbd:unix:/nodir/x" }, &b,
			       &error) == -ENOTSUP)
		cr_skip_test("this build has no libnbd");
}

TestSuite(block_nbd, .init = setup, .timeout = 120);

static struct block_backend *open_it(bool read_only, bool snapshot)
{
	const struct block_open how = {
		.path = server.name, .read_only = read_only, .snapshot = snapshot,
	};
	struct block_backend *b;

	nbd_server_begin(&server);
	cr_assert_eq(block_backend_open(&vm, &how, &b, &error), 0, "%s", error.text);
	return b;
}

static int carry_out(struct block_backend *b, enum block_kind kind, uint64_t sector,
		     uint32_t count, void *buffer)
{
	return block_carry_out(&vm, b, kind, sector, count, buffer);
}

Test(block_nbd, read_write_flush)
{
	struct block_backend *b = open_it(false, false);
	uint8_t bytes[3 * BLOCK_SECTOR];

	cr_expect_eq(block_backend_device(b)->sectors, NBD_SERVER_SIZE / BLOCK_SECTOR);
	cr_expect_not(block_backend_device(b)->read_only);
	cr_assert_eq(carry_out(b, BLOCK_READ, 5, 3, bytes), 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		cr_assert_eq(bytes[i], 5 + i / BLOCK_SECTOR);
	memset(bytes, 0x77, sizeof(bytes));
	cr_assert_eq(carry_out(b, BLOCK_WRITE, 9, 3, bytes), 0);
	cr_assert_eq(carry_out(b, BLOCK_FLUSH, 0, 0, NULL), 0);
	cr_expect_eq(server.flushes, 1);
	block_backend_close(b);
	nbd_server_finish(&server);
	cr_expect(server.disconnected);
	cr_expect_eq(server.bytes[9 * BLOCK_SECTOR], 0x77);
	cr_expect_eq(server.bytes[12 * BLOCK_SECTOR], 12);
}

Test(block_nbd, a_snapshot_reaches_no_server)
{
	struct block_backend *b = open_it(false, true);
	uint8_t bytes[2 * BLOCK_SECTOR] = { 0x99 };

	cr_assert_eq(carry_out(b, BLOCK_WRITE, 4, 1, bytes), 0);
	cr_assert_eq(carry_out(b, BLOCK_READ, 4, 2, bytes), 0);
	cr_expect_eq(bytes[0], 0x99);
	cr_expect_eq(bytes[BLOCK_SECTOR], 5);
	block_backend_close(b);
	nbd_server_finish(&server);
	cr_expect_eq(server.bytes[4 * BLOCK_SECTOR], 4);
}

/* The error is the command's: the next one may do better. */
Test(block_nbd, errors_of_the_server)
{
	struct block_backend *b = open_it(false, false);
	uint8_t bytes[BLOCK_SECTOR] = { 0 };

	server.error = 5;
	cr_expect_eq(carry_out(b, BLOCK_READ, 1, 1, bytes), -EIO);
	cr_expect_eq(carry_out(b, BLOCK_FLUSH, 0, 0, NULL), -EIO);
	server.error = 28;
	cr_expect_eq(carry_out(b, BLOCK_WRITE, 1, 1, bytes), -ENOSPC);
	server.error = 0;
	cr_expect_eq(carry_out(b, BLOCK_READ, 3, 1, bytes), 0);
	cr_expect_eq(bytes[0], 3);
	block_backend_close(b);
	nbd_server_finish(&server);
}

Test(block_nbd, a_server_that_goes_away)
{
	struct block_backend *b = open_it(false, false);
	uint8_t bytes[BLOCK_SECTOR] = { 0 };

	cr_expect_eq(carry_out(b, BLOCK_READ, 1, 1, bytes), 0);
	server.leaves = true;
	cr_expect_eq(carry_out(b, BLOCK_WRITE, 1, 1, bytes), -EIO);
	cr_expect_eq(carry_out(b, BLOCK_READ, 1, 1, bytes), -EIO);
	cr_expect_eq(carry_out(b, BLOCK_FLUSH, 0, 0, NULL), -EIO);
	block_backend_close(b);
	nbd_server_finish(&server);
	cr_expect_eq(server.requests, 2);
}

/* Whoever cancels does not wait for it, nor does the end for ever. */
static void given_up(enum block_kind kind)
{
	struct block_backend *b = open_it(false, false);
	uint8_t bytes[BLOCK_SECTOR];
	struct waited w;

	server.silent = true;
	memset(bytes, 0x5a, sizeof(bytes));
	pthread_mutex_lock(&vm.device_lock);
	block_start(&vm, b, &w, kind, 7, 1, bytes);
	while (!*(volatile unsigned *)&server.requests)
		usleep(1000);
	block_cancel(block_backend_device(b), &w.request);
	pthread_mutex_unlock(&vm.device_lock);
	block_backend_close(b);
	cr_expect_not(w.over);
	cr_expect_eq(bytes[0], 0x5a);
	nbd_server_finish(&server);
}

Test(block_nbd, a_silent_server_is_left_reading) { given_up(BLOCK_READ); }
Test(block_nbd, a_silent_server_is_left_writing) { given_up(BLOCK_WRITE); }

/* What the device still waits for ends with an error. */
Test(block_nbd, a_silent_server_when_the_image_is_closed)
{
	struct block_backend *b = open_it(false, false);
	uint8_t bytes[BLOCK_SECTOR];
	struct waited w;

	server.silent = true;
	pthread_mutex_lock(&vm.device_lock);
	block_start(&vm, b, &w, BLOCK_READ, 7, 1, bytes);
	pthread_mutex_unlock(&vm.device_lock);
	block_backend_close(b);
	cr_expect(w.over);
	cr_expect_eq(w.err, -EIO);
	nbd_server_finish(&server);
}

/* ---- what is said, and refused ---- */

/* What open_it() prints to standard error. */
static const char *said_at_opening(bool read_only)
{
	static char text[512];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	cr_assert_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	block_backend_close(open_it(read_only, false));
	dup2(saved, STDERR_FILENO);
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	nbd_server_finish(&server);
	return text;
}

Test(block_nbd, a_server_that_cannot_flush)
{
	server.flags = 0;
	cr_expect_not_null(strstr(said_at_opening(false), "cannot flush"));
	cr_expect_str_eq(said_at_opening(true), "");
	server.flags = NBD_CAN_FLUSH;
	cr_expect_str_eq(said_at_opening(false), "");
}

static void refused(const char *path, int err, const char *said)
{
	const struct block_open how = { .path = path };
	struct block_backend *b;

	error = (struct error){ 0 };
	cr_expect_eq(block_backend_open(&vm, &how, &b, &error), err, "%s: %s", path, error.text);
	cr_expect_not_null(strstr(error.text, said), "%s: %s", path, error.text);
}

static void server_refused(int err, const char *said)
{
	nbd_server_begin(&server);
	refused(server.name, err, said);
	nbd_server_finish(&server);
}

Test(block_nbd, servers_that_will_not_do)
{
	server.flags = NBD_READ_ONLY;
	server_refused(-EACCES, "readonly=on");
	block_backend_close(open_it(false, true));
	nbd_server_finish(&server);
	server.flags = NBD_CAN_FLUSH;
	server.size = 1000;
	server_refused(-EINVAL, "has 1000 bytes");
}

Test(block_nbd, names_that_will_not_do)
{
	refused("nbd:", -EINVAL, "nbd:HOST:PORT");
	refused("nbd:host", -EINVAL, "nbd:HOST:PORT");
	refused("nbd:host:", -EINVAL, "nbd:HOST:PORT");
	refused("nbd::10809", -EINVAL, "nbd:HOST:PORT");
	refused("nbd:[]:10809", -EINVAL, "nbd:HOST:PORT");
	refused("nbd:[::1]", -EINVAL, "nbd:HOST:PORT");
	refused("nbd:unix:", -EINVAL, "nbd:HOST:PORT");
	refused("nbd:unix:/nodir/socket", -ENOENT, "/nodir/socket");
	refused("nbd:127.0.0.1:1", -ECONNREFUSED, "refused");
	refused("nbd:[::1]:1:exportname=x", -ECONNREFUSED, "refused");
	refused("nbd+unix:///x?socket=/nodir/socket", -ENOENT, "cannot connect");
	refused("nbds://localhost", -EINVAL, "TLS");
	refused("fat:/nodir/x", -ENOENT, "'/nodir/x'");
	refused("fat:/etc/passwd", -ENOTDIR, "is no folder");
	refused("fat:rw:/tmp", -EINVAL, "snapshot=on");
}

static bool stopped(void *opaque) { return true; }

/* Ctrl-C while a server says nothing. */
Test(block_nbd, waiting_for_a_server_ends_when_told)
{
	int fd = open("/dev/zero", O_RDONLY);
	const struct cancel cancel = { fd, stopped, NULL };
	const struct block_open how = { .path = server.name, .cancel = &cancel };
	struct block_backend *b;

	server.mute = true;
	nbd_server_begin(&server);
	cr_expect_eq(block_backend_open(&vm, &how, &b, &error), -EINTR, "%s", error.text);
	nbd_server_finish(&server);
	close(fd);
}

/* ---- qemu-nbd ---- */

#define FOLDER_SECTORS 4096u

/* A folder as a disk with a partition, and its files on it. */
Test(block_nbd, a_folder)
{
	char folder[] = "/tmp/test-folder-XXXXXX", name[64], file[64];
	const struct block_open how = { .path = name };
	uint8_t *bytes = malloc(FOLDER_SECTORS * BLOCK_SECTOR);
	struct block_backend *b;
	FILE *f;
	int err;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "fat:%s", folder);
	snprintf(file, sizeof(file), "%s/hello.txt", folder);
	f = fopen(file, "w");
	fputs("from the host", f);
	fclose(f);
	err = block_backend_open(&vm, &how, &b, &error);
	if (err != -ENOENT) {
		cr_assert_eq(err, 0, "%s", error.text);
		cr_expect(block_backend_device(b)->read_only);
		cr_expect_eq(carry_out(b, BLOCK_WRITE, 0, 1, bytes), -EROFS);
		cr_assert_eq(carry_out(b, BLOCK_READ, 0, FOLDER_SECTORS, bytes), 0);
		cr_expect_eq(bytes[510], 0x55);
		cr_expect_not_null(memmem(bytes, FOLDER_SECTORS * BLOCK_SECTOR, "from the host",
					  13));
		block_backend_close(b);
	}
	unlink(file);
	rmdir(folder);
	free(bytes);
	if (err)
		cr_skip_test("%s", error.text);
}
