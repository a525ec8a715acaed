/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "keys.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* code: the scan code; e0xxh for one that a prefix comes before. */
struct key {
	char name[14];
	uint16_t code;
};

#define PAUSE 0xe114 /* a sequence of its own, with the release in it */
#define PRINT 0xe07c /* comes with a Shift of its own */

/* In the order of their names. */
static const struct key table[] = {
	{ "0", 0x45 }, { "1", 0x16 }, { "2", 0x1e }, { "3", 0x26 }, { "4", 0x25 }, { "5", 0x2e },
	{ "6", 0x36 }, { "7", 0x3d }, { "8", 0x3e }, { "9", 0x46 }, { "a", 0x1c },
	{ "alt", 0x11 }, { "alt_r", 0xe011 }, { "apostrophe", 0x52 }, { "asterisk", 0x7c },
	{ "b", 0x32 }, { "backslash", 0x5d }, { "backspace", 0x66 }, { "bracket_left", 0x54 },
	{ "bracket_right", 0x5b }, { "c", 0x21 }, { "caps_lock", 0x58 }, { "comma", 0x41 },
	{ "compose", 0xe02f }, { "ctrl", 0x14 }, { "ctrl_r", 0xe014 }, { "d", 0x23 },
	{ "delete", 0xe071 }, { "dot", 0x49 }, { "down", 0xe072 }, { "e", 0x24 },
	{ "end", 0xe069 }, { "equal", 0x55 }, { "esc", 0x76 }, { "f", 0x2b }, { "f1", 0x05 },
	{ "f10", 0x09 }, { "f11", 0x78 }, { "f12", 0x07 }, { "f2", 0x06 }, { "f3", 0x04 },
	{ "f4", 0x0c }, { "f5", 0x03 }, { "f6", 0x0b }, { "f7", 0x83 }, { "f8", 0x0a },
	{ "f9", 0x01 }, { "g", 0x34 }, { "grave_accent", 0x0e }, { "h", 0x33 },
	{ "home", 0xe06c }, { "i", 0x43 }, { "insert", 0xe070 }, { "j", 0x3b }, { "k", 0x42 },
	{ "kp_0", 0x70 }, { "kp_1", 0x69 }, { "kp_2", 0x72 }, { "kp_3", 0x7a }, { "kp_4", 0x6b },
	{ "kp_5", 0x73 }, { "kp_6", 0x74 }, { "kp_7", 0x6c }, { "kp_8", 0x75 }, { "kp_9", 0x7d },
	{ "kp_add", 0x79 }, { "kp_decimal", 0x71 }, { "kp_divide", 0xe04a },
	{ "kp_enter", 0xe05a }, { "kp_multiply", 0x7c }, { "kp_subtract", 0x7b }, { "l", 0x4b },
	{ "left", 0xe06b }, { "less", 0x61 }, { "m", 0x3a }, { "menu", 0xe02f },
	{ "meta_l", 0xe01f }, { "meta_r", 0xe027 }, { "minus", 0x4e }, { "n", 0x31 },
	{ "num_lock", 0x77 }, { "o", 0x44 }, { "p", 0x4d }, { "pause", 0xe114 },
	{ "pgdn", 0xe07a }, { "pgup", 0xe07d }, { "print", 0xe07c }, { "q", 0x15 }, { "r", 0x2d },
	{ "ret", 0x5a }, { "right", 0xe074 }, { "s", 0x1b }, { "scroll_lock", 0x7e },
	{ "semicolon", 0x4c }, { "shift", 0x12 }, { "shift_r", 0x59 }, { "slash", 0x4a },
	{ "spc", 0x29 }, { "sysrq", 0xe07c }, { "t", 0x2c }, { "tab", 0x0d }, { "u", 0x3c },
	{ "up", 0xe075 }, { "v", 0x2a }, { "w", 0x1d }, { "x", 0x22 }, { "y", 0x35 },
	{ "z", 0x1a },
};

const struct key *key_by_name(const char *name, size_t length)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(table); i++)
		if (strlen(table[i].name) == length && !memcmp(table[i].name, name, length))
			return &table[i];
	return NULL;
}

const char *key_name_at(unsigned n)
{
	return n < RF_ARRAY_SIZE(table) ? table[n].name : NULL;
}

int keys_parse(const char *text, const struct key *keys[KEYS_MOST], struct error *error)
{
	int n = 0;

	for (;;) {
		const size_t length = strcspn(text, "-");

		if (n == KEYS_MOST)
			return error_set(error, -EINVAL, "more than %d keys at once", KEYS_MOST);
		keys[n] = key_by_name(text, length);
		if (!keys[n])
			return error_set(error, -EINVAL,
					 "no key is called '%.*s'; keys are called a, ret, spc, "
					 "shift, ctrl, f1, up, kp_1 and the like, with '-' between "
					 "those pressed together", (int)length, text);
		n++;
		if (!text[length])
			return n;
		text += length + 1;
	}
}

/* Characters. */

static const struct {
	char plain, shifted;
	const char *key;
} characters[] = {
	{ '1', '!', "1" }, { '2', '@', "2" }, { '3', '#', "3" }, { '4', '$', "4" },
	{ '5', '%', "5" }, { '6', '^', "6" }, { '7', '&', "7" }, { '8', '*', "8" },
	{ '9', '(', "9" }, { '0', ')', "0" }, { '-', '_', "minus" }, { '=', '+', "equal" },
	{ '[', '{', "bracket_left" }, { ']', '}', "bracket_right" }, { ';', ':', "semicolon" },
	{ '\'', '"', "apostrophe" }, { '`', '~', "grave_accent" }, { '\\', '|', "backslash" },
	{ ',', '<', "comma" }, { '.', '>', "dot" }, { '/', '?', "slash" }, { ' ', 0, "spc" },
	{ '\n', 0, "ret" }, { '\r', 0, "ret" }, { '\t', 0, "tab" }, { '\b', 0, "backspace" },
	{ 0x7f, 0, "backspace" }, { 0x1b, 0, "esc" },
};

const struct key *key_of_character(char character, bool *shift)
{
	const char lower = (char)tolower((unsigned char)character);

	*shift = lower != character;
	if (lower >= 'a' && lower <= 'z')
		return key_by_name(&lower, 1);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(characters); i++) {
		*shift = character == characters[i].shifted;
		if (character && (*shift || character == characters[i].plain))
			return key_by_name(characters[i].key, strlen(characters[i].key));
	}
	return NULL;
}

/* Scan codes. */

static size_t put(uint8_t *bytes, const char *from, size_t length)
{
	memcpy(bytes, from, length);
	return length;
}

size_t key_bytes(const struct key *key, bool down, uint8_t bytes[KEY_BYTES_MOST])
{
	size_t n = 0;

	if (key->code == PAUSE)
		return down ? put(bytes, "\xe1\x14\x77\xe1\xf0\x14\xf0\x77", 8) : 0;
	if (key->code == PRINT)
		return down ? put(bytes, "\xe0\x12\xe0\x7c", 4) :
			      put(bytes, "\xe0\xf0\x7c\xe0\xf0\x12", 6);
	if (key->code > 0xff)
		bytes[n++] = (uint8_t)(key->code >> 8);
	if (!down)
		bytes[n++] = 0xf0;
	bytes[n++] = (uint8_t)key->code;
	return n;
}
