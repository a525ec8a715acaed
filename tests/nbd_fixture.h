/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small NBD server, a thread of the test's, that can be told to do badly. It speaks the oldest
 * handshake (the NBD project's doc/proto.md, "Oldstyle negotiation") and serves one client.
 */
#ifndef RF_TESTS_NBD_FIXTURE_H
#define RF_TESTS_NBD_FIXTURE_H

#include <pthread.h>
#include <stdint.h>

#define NBD_SERVER_SIZE 0x20000u

#define NBD_HAS_FLAGS  0x01
#define NBD_READ_ONLY  0x02
#define NBD_CAN_FLUSH  0x04

struct nbd_test_server {
	/* How it is to behave, set before nbd_server_begin() or between requests. */
	uint16_t flags;
	uint64_t size;
	uint32_t error;      /* an errno of the protocol: what it answers to each request */
	int silent, leaves;  /* it does not answer the next request; it goes away instead */
	int mute;            /* it says nothing from the start */
	/* What came of it. */
	char name[128];      /* for block_backend_open(): nbd:unix:... */
	uint8_t bytes[NBD_SERVER_SIZE];
	unsigned flushes, requests;
	int disconnected;    /* the client said so */

	char folder[32], path[64];
	int listener, connection;
	pthread_t thread;
};

void nbd_server_begin(struct nbd_test_server *server);
/* After the client has gone, or while the server is silent. */
void nbd_server_finish(struct nbd_test_server *server);

#endif
