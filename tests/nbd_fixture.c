/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "nbd_fixture.h"

#define MAGIC         0x4e42444d41474943ull /* NBDMAGIC */
#define OLD_MAGIC     0x00420281861253ull
#define REQUEST_MAGIC 0x25609513u
#define REPLY_MAGIC   0x67446698u

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH };

struct request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t cookie, offset;
	uint32_t length;
} __attribute__((packed));

struct reply {
	uint32_t magic, error;
	uint64_t cookie;
} __attribute__((packed));

static int take(int fd, void *to, size_t len)
{
	return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static void greet(struct nbd_test_server *s)
{
	struct {
		uint64_t magic, old, size;
		uint16_t global, flags;
		uint8_t zeros[124];
	} __attribute__((packed)) hello = {
		.magic = htobe64(MAGIC), .old = htobe64(OLD_MAGIC), .size = htobe64(s->size),
		.flags = htobe16(s->flags | NBD_HAS_FLAGS),
	};

	send(s->connection, &hello, sizeof(hello), MSG_NOSIGNAL);
}

static void answer(struct nbd_test_server *s, const struct request *q)
{
	const struct reply reply = { htobe32(REPLY_MAGIC), htobe32(s->error), q->cookie };

	send(s->connection, &reply, sizeof(reply), MSG_NOSIGNAL);
	if (be16toh(q->type) == CMD_READ && !s->error)
		send(s->connection, s->bytes + be64toh(q->offset), be32toh(q->length),
		     MSG_NOSIGNAL);
}

/* Zero: there is no next. */
static int serve_one(struct nbd_test_server *s)
{
	struct request q;

	if (!take(s->connection, &q, sizeof(q)) || be32toh(q.magic) != REQUEST_MAGIC)
		return 0;
	s->requests++;
	s->disconnected = be16toh(q.type) == CMD_DISC;
	if (s->disconnected || s->leaves)
		return 0;
	if (be16toh(q.type) == CMD_WRITE &&
	    !take(s->connection, s->bytes + be64toh(q.offset), be32toh(q.length)))
		return 0;
	s->flushes += be16toh(q.type) == CMD_FLUSH;
	if (!s->silent)
		answer(s, &q);
	return 1;
}

static void *body(void *opaque)
{
	struct nbd_test_server *s = opaque;

	s->connection = accept(s->listener, NULL, NULL);
	if (!s->mute)
		greet(s);
	while (serve_one(s))
		;
	shutdown(s->connection, SHUT_RDWR);
	return NULL;
}

void nbd_server_begin(struct nbd_test_server *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	for (unsigned i = 0; i < NBD_SERVER_SIZE; i++)
		s->bytes[i] = (uint8_t)(i / 512);
	if (!s->size)
		s->size = NBD_SERVER_SIZE;
	strcpy(s->folder, "/tmp/test-nbd-XXXXXX");
	cr_assert_not_null(mkdtemp(s->folder));
	snprintf(s->path, sizeof(s->path), "%s/socket", s->folder);
	snprintf(s->name, sizeof(s->name), "nbd:unix:%s", s->path);
	strcpy(address.sun_path, s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(s->listener, 1), 0);
	s->connection = -1;
	cr_assert_eq(pthread_create(&s->thread, NULL, body, s), 0);
}

void nbd_server_finish(struct nbd_test_server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	if (s->connection >= 0)
		shutdown(s->connection, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	close(s->connection);
	unlink(s->path);
	rmdir(s->folder);
}
