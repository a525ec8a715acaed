/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The telnet protocol (RFC 854) on a line: commands are taken out of what comes, and what goes is
 * quoted. Options are binary transmission (RFC 856), echo (RFC 857) and no go-aheads (RFC 858);
 * all others are declined. Nothing is answered twice, so that two ends never go on for ever (RFC
 * 1143).
 */
#ifndef RF_MONITOR_BACKENDS_CHAR_TELNET_H
#define RF_MONITOR_BACKENDS_CHAR_TELNET_H

#include "x86/types.h"

/* One side's options, bits by enum telnet_option (char_telnet.c). */
struct telnet_side {
	uint8_t can, on, asked;
};

struct telnet {
	/* Sends a few bytes at once, or never. */
	void (*reply)(void *opaque, const uint8_t *bytes, size_t count);
	void (*got_break)(void *opaque);
	void *opaque;
	struct telnet_side local, remote;
	uint8_t state, verb; /* of what came */
	bool wrote_cr;
};

/* A new peer. reply, got_break and opaque are set. server: offers what makes a raw terminal. */
void telnet_begin(struct telnet *t, bool server);
/* Takes the protocol out of what came, in place. How many bytes are left. */
size_t telnet_decode(struct telnet *t, uint8_t *bytes, size_t count);
/*
 * out has room for TELNET_WORST times count and one more byte, which a CR that came before may
 * want.
 * How many bytes are to be sent.
 */
#define TELNET_WORST 2
size_t telnet_encode(struct telnet *t, const uint8_t *bytes, size_t count, uint8_t *out);

#endif
