/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keyboard controller, its devices, A20 and resets, on the board. */
#include <criterion/criterion.h>

#include "board_fixture.h"

TestSuite(i8042, .init = board_setup, .fini = board_teardown);

/* Keyboard controller. */

/* Next byte with the status it came with, or -1. */
static int next(uint8_t *status)
{
	*status = in(0x64);
	return *status & 1 ? in(0x60) : -1;
}

static void expect_bytes(bool aux, const uint8_t *bytes, unsigned count, const char *what)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t status;
		int byte = next(&status);

		cr_expect(byte == bytes[i] && !!(status & 0x20) == aux,
			  "%s: byte %u is %x, status %x", what, i, byte, status);
	}
	cr_expect_eq(in(0x64) & 1, 0, "%s: more bytes than expected", what);
}

#define EXPECT(aux, ...) \
	do { \
		const uint8_t bytes_[] = { __VA_ARGS__ }; \
		expect_bytes(aux, bytes_, sizeof(bytes_), #__VA_ARGS__); \
	} while (0)

Test(i8042, controller_commands)
{
	out(0x64, 0xaa);
	EXPECT(false, 0x55);
	out(0x64, 0xab);
	EXPECT(false, 0x00);
	out(0x64, 0xa9);
	EXPECT(false, 0x00);
	out(0x64, 0x20);
	EXPECT(false, 0x47);
	out(0x64, 0x60);
	out(0x60, 0x74);
	out(0x64, 0x20);
	EXPECT(false, 0x74);
	out(0x64, 0xae);
	out(0x64, 0x20);
	EXPECT(false, 0x64);
	out(0x64, 0xa8);
	out(0x64, 0x20);
	EXPECT(false, 0x44);
	out(0x64, 0xa7);
	out(0x64, 0x20);
	EXPECT(false, 0x64);
	/* The loops Linux's driver probes with. */
	out(0x64, 0xd3);
	out(0x60, 0x5a);
	EXPECT(true, 0x5a);
	out(0x64, 0xd2);
	out(0x60, 0xa5);
	EXPECT(false, 0xa5);
	out(0x64, 0x7f);
	out(0x60, 0x33);
	out(0x64, 0x3f);
	EXPECT(false, 0x33);
}

Test(i8042, keyboard_commands)
{
	out(0x64, 0x60);
	out(0x60, 0x04); /* no interrupts, no translation */
	out(0x60, 0xff);
	EXPECT(false, 0xfa, 0xaa);
	out(0x60, 0xf2);
	EXPECT(false, 0xfa, 0xab, 0x83);
	out(0x60, 0xed);
	EXPECT(false, 0xfa);
	out(0x60, 0x07);
	EXPECT(false, 0xfa);
	out(0x60, 0xee);
	EXPECT(false, 0xee);
	out(0x60, 0xf0);
	out(0x60, 0x00);
	EXPECT(false, 0xfa, 0xfa, 0x02);
	out(0x60, 0xf3);
	out(0x60, 0x00);
	EXPECT(false, 0xfa, 0xfa);
	out(0x60, 0xf5);
	EXPECT(false, 0xfa);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	cr_expect_eq(in(0x64) & 1, 0, "scanning is off");
	out(0x60, 0xf4);
	EXPECT(false, 0xfa);
	out(0x60, 0xfe);
	EXPECT(false, 0xfa);
	out(0x60, 0x00);
	EXPECT(false, 0xfe);
}

Test(i8042, keys_are_translated)
{
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c, 0xf0, 0x1c }, 3);
	EXPECT(false, 0x1e, 0x9e);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0xe0, 0x75, 0xe0, 0xf0, 0x75 }, 5);
	EXPECT(false, 0xe0, 0x48, 0xe0, 0xc8);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x83, 0x76 }, 2);
	EXPECT(false, 0x41, 0x01);
	out(0x60, 0xf2);
	EXPECT(false, 0xfa, 0xab, 0x41);
	out(0x64, 0x60);
	out(0x60, 0x07);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c, 0xf0, 0x1c }, 3);
	EXPECT(false, 0x1c, 0xf0, 0x1c);
}

Test(i8042, full_queue_drops_whole_sequences)
{
	const uint8_t key[] = { 0x1c, 0xf0, 0x1c };
	unsigned makes = 0, breaks = 0;
	uint8_t status;
	int byte;

	for (unsigned i = 0; i < 100; i++)
		pc_board_keyboard_put(b.board, key, sizeof(key));
	while ((byte = next(&status)) >= 0) {
		makes += byte == 0x1e;
		breaks += byte == 0x9e;
	}
	cr_expect_gt(makes, 5);
	cr_expect_eq(makes, breaks);
}

Test(i8042, mouse_answers)
{
	const uint8_t reset[] = { 0xff }, rate[] = { 0xf3, 0x64 }, status[] = { 0xe9 };
	out(0x64, 0xd4);
	out(0x60, reset[0]);
	EXPECT(true, 0xfa, 0xaa, 0x00);
	out(0x64, 0xd4);
	out(0x60, 0xf2);
	EXPECT(true, 0xfa, 0x00);
	for (unsigned i = 0; i < 2; i++) {
		out(0x64, 0xd4);
		out(0x60, rate[i]);
	}
	EXPECT(true, 0xfa, 0xfa);
	out(0x64, 0xd4);
	out(0x60, 0xf4);
	EXPECT(true, 0xfa);
	out(0x64, 0xd4);
	out(0x60, status[0]);
	EXPECT(true, 0xfa, 0x20, 0x02, 0x64);
	out(0x64, 0xd4);
	out(0x60, 0x0a);
	EXPECT(true, 0xfe);
}

static void mouse_send(uint8_t byte)
{
	out(0x64, 0xd4);
	out(0x60, byte);
}

static void set_rates(uint8_t first, uint8_t second, uint8_t third)
{
	const uint8_t rates[] = { first, second, third };

	for (unsigned i = 0; i < 3; i++) {
		mouse_send(0xf3);
		mouse_send(rates[i]);
		EXPECT(true, 0xfa, 0xfa);
	}
}

static void expect_identity(uint8_t id, const char *what)
{
	uint8_t status;

	mouse_send(0xf2);
	cr_expect_eq(next(&status), 0xfa, "%s", what);
	cr_expect_eq(next(&status), id, "%s", what);
	mouse_send(0xeb);
	for (unsigned i = 0; i < (id ? 5 : 4); i++)
		cr_expect_eq(next(&status), ((int[]){ 0xfa, 0x08, 0, 0, 0 })[i], "%s: %u", what, i);
	cr_expect_eq(in(0x64) & 1, 0, "%s: more bytes than expected", what);
}

Test(i8042, intellimouse)
{
	set_rates(100, 200, 80);
	expect_identity(0, "not the sequence");
	set_rates(200, 60, 80);
	expect_identity(0, "nor that");
	set_rates(200, 100, 81);
	expect_identity(0, "nor this");
	set_rates(200, 100, 80);
	expect_identity(3, "a wheel");
	mouse_send(0xe9);
	EXPECT(true, 0xfa, 0x00, 0x02, 80);
	set_rates(200, 200, 80);
	expect_identity(4, "five buttons");
	mouse_send(0xf6);
	EXPECT(true, 0xfa);
	expect_identity(4, "defaults leave it");
	mouse_send(0xff);
	EXPECT(true, 0xfa, 0xaa, 0x00);
	expect_identity(0, "a reset does not");
	/* What the last rates were is forgotten with the defaults. */
	set_rates(60, 200, 100);
	mouse_send(0xf6);
	EXPECT(true, 0xfa);
	set_rates(80, 80, 80);
	expect_identity(0, "begun anew");
}

Test(i8042, intellimouse_state_is_saved)
{
	size_t size;
	void *saved;

	mouse_send(0xf3);
	mouse_send(200);
	mouse_send(0xf3);
	mouse_send(200);
	EXPECT(true, 0xfa, 0xfa, 0xfa, 0xfa);
	cr_assert_eq(bus_save(b.bus, b.time.now, &saved, &size), 0);
	pc_board_reset(b.board);
	cr_assert_eq(bus_load(b.bus, saved, size, NULL), 0);
	free(saved);
	mouse_send(0xf3);
	mouse_send(80);
	EXPECT(true, 0xfa, 0xfa);
	expect_identity(4, "the rates before were kept");
	cr_assert_eq(bus_save(b.bus, b.time.now, &saved, &size), 0);
	pc_board_reset(b.board);
	expect_identity(0, "reset");
	cr_assert_eq(bus_load(b.bus, saved, size, NULL), 0);
	free(saved);
	expect_identity(4, "and the protocol");
}

Test(i8042, a_byte_for_the_keyboard_enables_it)
{
	out(0x64, 0xad);
	out(0x64, 0x20);
	EXPECT(false, 0x57);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	cr_expect_eq(in(0x64) & 1, 0, "disabled: the key waits");
	out(0x60, 0xee);
	EXPECT(false, 0x1e, 0xee);
	out(0x64, 0x20);
	EXPECT(false, 0x47);
	/* Neither a parameter of the controller's nor a byte for the mouse does it. */
	out(0x64, 0xad);
	out(0x64, 0x7f);
	out(0x60, 0x33);
	mouse_send(0xea);
	EXPECT(true, 0xfa);
	out(0x64, 0x20);
	EXPECT(false, 0x57);
}

Test(i8042, a20_and_reset_lines)
{
	cr_expect(b.a20);
	out(0x64, 0xd1);
	out(0x60, 0xdd);
	cr_expect_not(b.a20);
	cr_expect_eq(in(0x92) & 2, 0);
	out(0x64, 0xdf);
	cr_expect(b.a20);
	out(0x92, 0x00);
	cr_expect_not(b.a20);
	out(0x64, 0xd0);
	cr_expect_eq(in(0x60) & 2, 0);
	out(0x92, 0x02);
	cr_expect(b.a20);
	cr_expect_eq(b.resets, 0);
	out(0x64, 0xfe);
	cr_expect_eq(b.resets, 1);
	out(0x64, 0xff);
	cr_expect_eq(b.resets, 1);
	out(0x64, 0xd1);
	out(0x60, 0xfe);
	cr_expect_eq(b.resets, 2);
	out(0x92, 0x03);
	cr_expect_eq(b.resets, 3);
	pc_board_reset(b.board);
	cr_expect(b.a20);
}
