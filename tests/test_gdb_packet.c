/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets of gdb's remote protocol: whole ones, damaged ones, and input that is none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/gdb/packet.h"

TestSuite(gdb_packet, .timeout = 60);

static struct gdb_reader reader;
static struct gdb_text text;

static void setup(void)
{
	gdb_reader_reset(&reader);
	gdb_text_clear(&text);
}

/* What the last byte gave; all before it gave nothing. */
static enum gdb_got feed(const char *bytes, size_t count)
{
	for (size_t i = 0; i + 1 < count; i++)
		cr_assert_eq(gdb_reader_take(&reader, bytes[i]), GDB_NOTHING, "byte %zu", i);
	return gdb_reader_take(&reader, bytes[count - 1]);
}

#define FEED(literal) feed(literal, sizeof(literal) - 1)

Test(gdb_packet, a_whole_one, .init = setup)
{
	cr_expect_eq(FEED("$m100000,4#ee"), GDB_PACKET);
	cr_expect_str_eq(reader.body, "m100000,4");
	cr_expect_eq(FEED("$#00"), GDB_PACKET);
	cr_expect_eq(reader.len, 0);
	cr_expect_eq(FEED("$g#67"), GDB_PACKET);
	cr_expect_str_eq(reader.body, "g");
}

Test(gdb_packet, between_packets, .init = setup)
{
	cr_expect_eq(FEED("+"), GDB_ACK);
	cr_expect_eq(FEED("-"), GDB_NAK);
	cr_expect_eq(FEED("\x03"), GDB_INTERRUPT);
	cr_expect_eq(FEED("hello#12\r\n"), GDB_NOTHING);
	cr_expect_eq(FEED("$g#67"), GDB_PACKET);
}

Test(gdb_packet, a_wrong_sum_is_bad_and_forgotten, .init = setup)
{
	cr_expect_eq(FEED("$g#68"), GDB_BAD);
	cr_expect_eq(FEED("$g#x"), GDB_BAD);
	cr_expect_eq(FEED("$g#6z"), GDB_BAD);
	cr_expect_eq(FEED("$g#$"), GDB_BAD);
	cr_expect_eq(FEED("g#67"), GDB_PACKET); /* that '$' began one */
}

Test(gdb_packet, half_a_packet_ends_where_the_next_begins, .init = setup)
{
	cr_expect_eq(FEED("$m1000$g#67"), GDB_PACKET);
	cr_expect_str_eq(reader.body, "g");
	cr_expect_eq(FEED("$X}$g#67"), GDB_PACKET);
	cr_expect_str_eq(reader.body, "g");
}

Test(gdb_packet, binary_is_unescaped, .init = setup)
{
	cr_expect_eq(FEED("$X}\x03}\x04}]}\x0a#ba"), GDB_PACKET);
	cr_expect_eq(reader.len, 5);
	cr_expect_arr_eq(reader.body, "X#$}*", 5);
	/* a NUL, and an interrupt's byte, are data in a body */
	cr_expect_eq(FEED("$X\0\x03#5b"), GDB_PACKET);
	cr_expect_arr_eq(reader.body, "X\0\x03", 3);
	cr_expect_eq(FEED("$X}#"), GDB_BAD);
}

Test(gdb_packet, repetition_is_expanded, .init = setup)
{
	cr_expect_eq(FEED("$0* #7a"), GDB_PACKET);
	cr_expect_str_eq(reader.body, "0000");
	cr_expect_eq(FEED("$* #4a"), GDB_BAD); /* of nothing */
	cr_expect_eq(FEED("$0*\x1e#78"), GDB_BAD); /* less than any may be */
}

Test(gdb_packet, one_that_is_too_long_does_no_harm, .init = setup)
{
	uint8_t sum = 0;
	char end[4];

	cr_expect_eq(FEED("$"), GDB_NOTHING);
	for (unsigned i = 0; i < GDB_PACKET_MOST + 1000; i++, sum += 'a')
		cr_assert_eq(gdb_reader_take(&reader, 'a'), GDB_NOTHING);
	snprintf(end, sizeof(end), "#%02x", sum);
	cr_expect_eq(feed(end, 3), GDB_OVERLONG);
	cr_expect_eq(FEED("$g#67"), GDB_PACKET);
}

Test(gdb_packet, the_longest_one_fits, .init = setup)
{
	uint8_t sum = 0;
	char end[4];

	cr_expect_eq(FEED("$"), GDB_NOTHING);
	for (unsigned i = 0; i < GDB_PACKET_MOST; i++, sum += 'a')
		cr_assert_eq(gdb_reader_take(&reader, 'a'), GDB_NOTHING);
	snprintf(end, sizeof(end), "#%02x", sum);
	cr_expect_eq(feed(end, 3), GDB_PACKET);
	cr_expect_eq(reader.len, GDB_PACKET_MOST);
}

/* Whatever comes, a packet that follows two others is understood. */
Test(gdb_packet, garbage_is_survived, .init = setup)
{
	static const char likely[] = "$#+-}*\x03 0az~$#";

	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		for (unsigned n = rand() % 40; n; n--) {
			const int byte = rand() % 2 ? likely[rand() % (sizeof(likely) - 1)] :
						      rand();

			gdb_reader_take(&reader, (uint8_t)byte);
			cr_assert_leq(reader.len, GDB_PACKET_MOST);
		}
		for (const char *p = "$x#78$x#78$g#6"; *p; p++)
			gdb_reader_take(&reader, *p);
		cr_assert_eq(gdb_reader_take(&reader, '7'), GDB_PACKET, "round %u", round);
		cr_assert_str_eq(reader.body, "g");
	}
}

static void expect_frame(const char *body, const char *frame)
{
	char got[GDB_FRAME_MOST];
	size_t len;

	gdb_text_clear(&text);
	gdb_text_add(&text, "%s", body);
	len = gdb_frame(&text, got);
	cr_expect(len == strlen(frame) && !memcmp(got, frame, len), "%.*s is not %s", (int)len,
		  got, frame);
}

Test(gdb_packet, frames, .init = setup)
{
	expect_frame("", "$#00");
	expect_frame("OK", "$OK#9a");
	expect_frame("000", "$000#90");
	expect_frame("0000", "$0* #7a");
	/* six and seven more would be told by '#' and '$' */
	expect_frame("0000000", "$0*\"0#ac");
	expect_frame("00000000", "$0*\"00#dc");
	expect_frame("000000000", "$0*%#7f");
}

Test(gdb_packet, what_is_framed_is_read_as_it_was, .init = setup)
{
	uint8_t bytes[400];
	char frame[GDB_FRAME_MOST];

	srand(2);
	for (unsigned round = 0; round < 2000; round++) {
		const size_t count = rand() % sizeof(bytes);
		size_t len;

		for (size_t i = 0; i < count; i++)
			bytes[i] = rand() % 3 ? "#$*}0"[rand() % 5] : rand();
		if (count > 200)
			memset(bytes, bytes[0], 1 + rand() % 200);
		gdb_text_clear(&text);
		gdb_text_add_binary(&text, bytes, count);
		len = gdb_frame(&text, frame);
		cr_assert_eq(feed(frame, len), GDB_PACKET);
		cr_assert_eq(reader.len, count);
		cr_assert(!memcmp(reader.body, bytes, count));
	}
}

Test(gdb_packet, a_text_that_is_full_says_so, .init = setup)
{
	static const uint8_t bytes[GDB_PACKET_MOST / 2 + 1];

	gdb_text_add_hex(&text, bytes, sizeof(bytes) - 1);
	cr_expect_not(text.full);
	gdb_text_add(&text, "x");
	cr_expect(text.full);
	gdb_text_clear(&text);
	gdb_text_add_hex(&text, bytes, sizeof(bytes));
	cr_expect(text.full);
	cr_expect_eq(text.len, GDB_PACKET_MOST);
}

Test(gdb_packet, numbers_and_bytes)
{
	const char *at = "1fF,zz";
	uint64_t n;
	uint8_t bytes[2];

	cr_expect(gdb_take_number(&at, &n) && n == 0x1ff);
	cr_expect(gdb_take_char(&at, ',') && !gdb_take_char(&at, ','));
	cr_expect_not(gdb_take_number(&at, &n));
	at = "12345678123456781";
	cr_expect_not(gdb_take_number(&at, &n));
	at = "a1b";
	cr_expect_not(gdb_take_bytes(&at, bytes, 2));
	at = "a1b2";
	cr_expect(gdb_take_bytes(&at, bytes, 2) && bytes[0] == 0xa1 && bytes[1] == 0xb2);
}
