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

Test(i8042, keys_that_do_not_fit_are_refused)
{
	const uint8_t key[] = { 0x1c, 0xf0, 0x1c };
	unsigned fit = 0;

	out(0x64, 0xad); /* the controller takes none */
	while (pc_board_keyboard_put(b.board, key, sizeof(key)))
		fit++;
	cr_expect_eq(fit, PC_KEYBOARD_QUEUE / sizeof(key));
	cr_expect(pc_board_keyboard_put(b.board, key, 2));
	cr_expect_not(pc_board_keyboard_put(b.board, key, 1));
	out(0x60, 0xf5); /* without scanning keys are nobody's */
	cr_expect(pc_board_keyboard_put(b.board, key, sizeof(key)));
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

/* ---- each command of the controller (IBM PS/2 technical reference, "Keyboard Controller") ---- */

#define STATUS_OBF    0x01
#define STATUS_SYSTEM 0x04
#define STATUS_COMMAND 0x08
#define STATUS_UNLOCKED 0x10
#define STATUS_AUX    0x20

/* What a command answers at once; -1: nothing. After a reset, with 33h in the last byte of RAM. */
static int expected_answer(uint8_t command)
{
	switch (command) {
	case 0x20: return 0x47;
	case 0x21 ... 0x3e: return 0;
	case 0x3f: return 0x33;
	case 0xa9: case 0xab: return 0;
	case 0xaa: return 0x55;
	case 0xc0: return 0x80;
	case 0xd0: return 0xcf;
	default: return -1;
	}
}

Test(i8042, each_controller_command)
{
	for (unsigned command = 0; command < 256; command++) {
		const bool resets = command >= 0xf0 && !(command & 1);
		uint8_t status;

		pc_board_reset(b.board);
		out(0x64, 0x7f);
		out(0x60, 0x33);
		b.resets = 0;
		out(0x64, (uint8_t)command);
		cr_expect(in(0x64) & STATUS_COMMAND, "%02x", command);
		cr_expect_eq(next(&status), expected_answer((uint8_t)command), "%02x", command);
		cr_expect_eq(in(0x64) & ~STATUS_COMMAND, STATUS_UNLOCKED | STATUS_SYSTEM, "%02x",
			     command);
		cr_expect_eq(b.resets, resets, "%02x", command);
		cr_expect_eq(b.a20, command != 0xdd, "%02x", command);
	}
}

Test(i8042, all_of_its_memory)
{
	for (unsigned i = 1; i < 32; i++) {
		out(0x64, (uint8_t)(0x60 + i));
		out(0x60, (uint8_t)(i * 7));
	}
	for (unsigned i = 1; i < 32; i++) {
		uint8_t status;

		out(0x64, (uint8_t)(0x20 + i));
		cr_expect_eq(next(&status), (int)(i * 7), "%u", i);
	}
}

Test(i8042, bits_of_the_status)
{
	/* A byte of the mouse's that nobody reads, and an answer in its place. */
	mouse_send(0xea);
	cr_expect_eq(in(0x64), STATUS_UNLOCKED | STATUS_SYSTEM | STATUS_AUX | STATUS_OBF);
	out(0x64, 0xaa);
	cr_expect_eq(in(0x64), STATUS_UNLOCKED | STATUS_COMMAND | STATUS_SYSTEM | STATUS_OBF);
	EXPECT(false, 0x55);
	/* The system flag is the mode's; the self-test sets it. */
	out(0x64, 0x60);
	cr_expect_eq(in(0x64) & STATUS_COMMAND, STATUS_COMMAND);
	out(0x60, 0x43);
	cr_expect_eq(in(0x64), STATUS_UNLOCKED);
	out(0x64, 0xaa);
	cr_expect_eq(in(0x64), STATUS_UNLOCKED | STATUS_COMMAND | STATUS_SYSTEM | STATUS_OBF);
	EXPECT(false, 0x55);
	out(0x64, 0x60);
	out(0x60, 0x47);
	cr_expect_eq(in(0x64), STATUS_UNLOCKED | STATUS_SYSTEM);
}

Test(i8042, bits_of_the_output_port)
{
	out(0x64, 0xd0);
	EXPECT(false, 0xcf);
	pc_board_keyboard_put(b.board, (const uint8_t[]){ 0x1c }, 1);
	out(0x64, 0xd0);
	EXPECT(false, 0xdf); /* the keyboard's interrupt */
	mouse_send(0xea);
	out(0x64, 0xd0);
	EXPECT(false, 0xef); /* the mouse's */
	out(0x64, 0xdd);
	out(0x64, 0xd0);
	EXPECT(false, 0xcd); /* no A20 */
	out(0x64, 0xd1);
	out(0x60, 0x03);
	out(0x64, 0xd0);
	EXPECT(false, 0x03);
	cr_expect(b.a20);
	cr_expect_eq(b.resets, 0);
}

/* Scan code set 2 to set 1: the ROM's table. */
Test(i8042, every_scan_code_is_translated)
{
	static const uint8_t expected[] = {
		0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f,
		0x29, 0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f,
		0x1e, 0x11, 0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39,
		0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e,
		0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b,
		0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74,
		0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56,
		0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
		0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49,
		0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
	};

	for (unsigned code = 0; code < 256; code++) {
		const uint8_t keys[] = { 0xf0, (uint8_t)code, (uint8_t)code };
		const uint8_t to = code < sizeof(expected) ? expected[code] : (uint8_t)code;
		uint8_t status;

		if (code == 0xf0)
			continue;
		pc_board_keyboard_put(b.board, keys, sizeof(keys));
		cr_expect_eq(next(&status), code < sizeof(expected) ? to | 0x80 : to, "%02x", code);
		cr_expect_eq(next(&status), to, "%02x", code);
	}
}
