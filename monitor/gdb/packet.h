/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of gdb's remote serial protocol (Debugging with GDB, appendix E.1): $BODY#SUM, with two
 * hexadecimal digits of checksum. Nothing here knows what is in them.
 */
#ifndef RF_MONITOR_GDB_PACKET_H
#define RF_MONITOR_GDB_PACKET_H

#include "x86/types.h"

#define GDB_PACKET_MOST 0x4000u /* bytes of a body */

/* --- reading --- */

enum gdb_got {
	GDB_NOTHING,   /* yet */
	GDB_PACKET,    /* body has it */
	GDB_BAD,       /* a packet with a wrong checksum: it is to be sent again */
	GDB_OVERLONG,  /* a packet that has no room: to send it again would not help */
	GDB_ACK, GDB_NAK,
	GDB_INTERRUPT, /* Ctrl-C, between packets */
};

struct gdb_reader {
	/* The body, which may be binary, with a NUL after it. */
	char body[GDB_PACKET_MOST + 1];
	size_t len;
	enum { GDB_BETWEEN, GDB_IN_BODY, GDB_ESCAPED, GDB_REPEAT, GDB_SUM_HIGH, GDB_SUM_LOW } state;
	uint8_t sum, told;
	bool overlong, broken;
};

/* What is begun is forgotten. */
void gdb_reader_reset(struct gdb_reader *reader);
/*
 * Takes the next byte of input. Any will do: what is no packet is passed over, and a '$' in a body
 * begins another one.
 */
enum gdb_got gdb_reader_take(struct gdb_reader *reader, uint8_t byte);

/* --- writing --- */

/* A body in the making. What has no room is left out, and noted. */
struct gdb_text {
	char body[GDB_PACKET_MOST];
	size_t len;
	bool full;
};

void gdb_text_clear(struct gdb_text *text);
void gdb_text_add(struct gdb_text *text, const char *fmt, ...) RF_PRINTF(2, 3);
/* Two digits a byte. */
void gdb_text_add_hex(struct gdb_text *text, const void *bytes, size_t count);
/* As binary data: with the bytes that mean something escaped. */
void gdb_text_add_binary(struct gdb_text *text, const void *bytes, size_t count);

#define GDB_FRAME_MOST (GDB_PACKET_MOST + 4)
/* The packet of a body, runs of one character shortened. Returns its length. */
size_t gdb_frame(const struct gdb_text *text, char frame[GDB_FRAME_MOST]);

/* --- parts of bodies --- */

/* Takes 1 to 16 hexadecimal digits. False: there are none, or more. */
bool gdb_take_number(const char **text, uint64_t *value) RF_MUST_CHECK;
/* Takes exactly count bytes of two digits each. False: there are fewer. */
bool gdb_take_bytes(const char **text, void *bytes, size_t count) RF_MUST_CHECK;
/* Takes this character. */
bool gdb_take_char(const char **text, char c) RF_MUST_CHECK;

#endif
