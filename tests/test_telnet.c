/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telnet on a line: what is data, what is quoted, and that negotiation comes to an end. */
#include <criterion/criterion.h>
#include <string.h>
#include "monitor/backends/char_telnet.h"

enum { BINARY = 0, ECHO = 1, NO_GO_AHEAD = 3, TERMINAL = 24 };
enum { SE = 240, BRK = 243, AYT = 246, SB = 250, WILL = 251, WONT, DO, DONT, IAC };

/* One end, and what it has said and not been heard yet. */
struct end {
	struct telnet telnet;
	uint8_t said[512];
	size_t count;
	unsigned breaks;
};

static void hear(void *opaque, const uint8_t *bytes, size_t count)
{
	struct end *end = opaque;

	cr_assert_leq(end->count + count, sizeof(end->said));
	memcpy(end->said + end->count, bytes, count);
	end->count += count;
}

static void count_break(void *opaque)
{
	((struct end *)opaque)->breaks++;
}

static void begin(struct end *end, bool server)
{
	*end = (struct end){ .telnet = { hear, count_break, end } };
	telnet_begin(&end->telnet, server);
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static size_t decode(struct end *end, const uint8_t *bytes, size_t count, uint8_t *data)
{
	memcpy(data, bytes, count);
	return telnet_decode(&end->telnet, data, count);
}

static void expect_data(struct end *end, const char *text, const uint8_t *bytes, size_t count)
{
	uint8_t data[64], one[64];
	size_t left = decode(end, bytes, count, data), n = 0;

	cr_expect_eq(left, strlen(text));
	cr_expect_arr_eq(data, text, left);
	/* a byte at a time it is the same */
	for (size_t i = 0; i < count; i++)
		n += decode(end, bytes + i, 1, one + n);
	cr_expect_eq(n, left);
	cr_expect_arr_eq(one, text, left);
}

static void expect_said(struct end *end, const uint8_t *bytes, size_t count)
{
	cr_expect_eq(end->count, count);
	if (count && end->count == count)
		cr_expect_arr_eq(end->said, bytes, count);
	end->count = 0;
}

Test(telnet, what_is_data)
{
	struct end end;

	begin(&end, true);
	expect_data(&end, "ab", BYTES('a', IAC, AYT, 'b'));
	expect_data(&end, "a\xff" "b", BYTES('a', IAC, IAC, 'b'));
	expect_data(&end, "b", BYTES(IAC, SB, TERMINAL, 'x', IAC, IAC, 'y', IAC, SE, 'b'));
	expect_data(&end, "\r\r\rx\n", BYTES('\r', '\n', '\r', 0, '\r', 'x', '\n'));
	expect_data(&end, "", BYTES(IAC, BRK));
	cr_expect_eq(end.breaks, 2);
	decode(&end, BYTES(IAC, WILL, BINARY), (uint8_t[3]){ 0 });
	expect_data(&end, "\r\n", BYTES('\r', '\n'));
}

static void expect_encoded(struct end *end, const char *text, const uint8_t *bytes, size_t count)
{
	uint8_t out[64];
	size_t n = telnet_encode(&end->telnet, (const uint8_t *)text, strlen(text), out);

	cr_expect_eq(n, count);
	cr_expect_arr_eq(out, bytes, n < count ? n : count);
}

Test(telnet, what_is_quoted)
{
	struct end end;

	begin(&end, true);
	expect_encoded(&end, "a\xff", BYTES('a', IAC, IAC));
	expect_encoded(&end, "\r\n\rx\r", BYTES('\r', '\n', '\r', 0, 'x', '\r'));
	expect_encoded(&end, "\nx", BYTES('\n', 'x'));
	decode(&end, BYTES(IAC, DO, BINARY), (uint8_t[3]){ 0 });
	expect_encoded(&end, "\rx", BYTES('\r', 'x'));
}

Test(telnet, a_server_offers_and_answers_once)
{
	struct end end;
	uint8_t data[16];

	begin(&end, true);
	expect_said(&end, BYTES(IAC, WILL, BINARY, IAC, WILL, ECHO, IAC, WILL, NO_GO_AHEAD, IAC, DO,
				BINARY, IAC, DO, NO_GO_AHEAD));
	decode(&end, BYTES(IAC, DO, ECHO, IAC, DO, ECHO, IAC, WILL, BINARY, IAC, WONT, NO_GO_AHEAD),
	       data);
	expect_said(&end, NULL, 0);
	decode(&end, BYTES(IAC, DONT, ECHO, IAC, DONT, ECHO), data);
	expect_said(&end, BYTES(IAC, WONT, ECHO));
	decode(&end, BYTES(IAC, WILL, TERMINAL, IAC, DO, TERMINAL, IAC, WILL, ECHO, IAC, WONT,
			   TERMINAL), data);
	expect_said(&end, BYTES(IAC, DONT, TERMINAL, IAC, WONT, TERMINAL, IAC, DONT, ECHO));
	begin(&end, false);
	expect_said(&end, NULL, 0);
	decode(&end, BYTES(IAC, WILL, ECHO, IAC, WILL, ECHO), data);
	expect_said(&end, BYTES(IAC, DO, ECHO));
}

/* Whoever they are, two ends of ours fall silent, and what both can is on. */
Test(telnet, two_ends_come_to_an_end)
{
	for (int servers = 0; servers < 4; servers++) {
		struct end ends[2];
		unsigned rounds = 0;

		begin(&ends[0], servers & 1);
		begin(&ends[1], servers & 2);
		for (; ends[0].count || ends[1].count; rounds++) {
			struct end *from = &ends[!ends[0].count], *to = &ends[from == &ends[0]];
			uint8_t heard[512];
			size_t n = from->count;

			cr_assert_lt(rounds, 20);
			memcpy(heard, from->said, n);
			from->count = 0;
			cr_expect_eq(telnet_decode(&to->telnet, heard, n), 0);
		}
		cr_expect_eq(ends[0].telnet.local.on, ends[1].telnet.remote.on);
		cr_expect_eq(ends[0].telnet.remote.on, ends[1].telnet.local.on);
		cr_expect_eq(ends[0].telnet.local.on & 1, servers != 0);
	}
}
