/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Screen dumps, as picture and as text; keys by name. */
#include <criterion/criterion.h>
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/screen/cp437.h"
#include "monitor/screen/screen.h"

/* A display of 3 by 2 characters, or of 3 by 2 pixels. */
struct fake_display {
	bool graphics;
	struct display_cell cells[6];
};

static struct display_size fake_size(void *opaque)
{
	const struct fake_display *fake = opaque;

	return (struct display_size){ 3, 2, fake->graphics ? 0 : 3, fake->graphics ? 0 : 2 };
}

static void fake_render(void *opaque, uint32_t *pixels, size_t stride)
{
	for (unsigned y = 0; y < 2; y++)
		for (unsigned x = 0; x < 3; x++)
			pixels[y * stride + x] = 0x112233 * (y + 1) + x;
}

static bool fake_text(void *opaque, struct display_cell *cells, struct display_cursor *cursor)
{
	const struct fake_display *fake = opaque;

	memcpy(cells, fake->cells, fake->graphics ? 0 : sizeof(fake->cells));
	return !fake->graphics;
}

static struct display display_of(struct fake_display *fake)
{
	return (struct display){ .size = fake_size, .render = fake_render, .text = fake_text,
				 .opaque = fake };
}

Test(screen, picture)
{
	struct fake_display fake = { .graphics = true };
	const struct display display = display_of(&fake);
	struct screen_picture picture;
	struct error error = { 0 };
	png_image image = { .version = PNG_IMAGE_VERSION };
	uint8_t rgb[3 * 6];
	FILE *file = tmpfile();

	cr_assert_eq(screen_picture_take(&display, &picture), 0);
	cr_assert_eq(screen_picture_write_png(&picture, file, &error), 0, "%s", error.text);
	free(picture.pixels);
	rewind(file);
	cr_assert(png_image_begin_read_from_stdio(&image, file), "%s", image.message);
	cr_expect(image.width == 3 && image.height == 2);
	image.format = PNG_FORMAT_RGB;
	cr_assert(png_image_finish_read(&image, NULL, rgb, 0, NULL));
	cr_expect_arr_eq(rgb, "\x11\x22\x33\x11\x22\x34\x11\x22\x35", 9);
	cr_expect_arr_eq(rgb + 9, "\x22\x44\x66\x22\x44\x67\x22\x44\x68", 9);
	fclose(file);
}

Test(screen, picture_on_a_full_disk)
{
	uint32_t pixel = 0;
	const struct screen_picture picture = { 1, 1, &pixel };
	struct error error = { 0 };
	FILE *full = fopen("/dev/full", "w");

	setvbuf(full, NULL, _IONBF, 0);
	cr_expect_lt(screen_picture_write_png(&picture, full, &error), 0);
	cr_expect(error.text[0]);
	fclose(full);
}

Test(screen, text)
{
	struct fake_display fake = {
		.cells = { { 'A' }, { 0xc4 }, { 0x81 }, { 0x01 }, { ' ' }, { 0 } },
	};
	const struct display display = display_of(&fake);
	struct error error = { 0 };
	char *text;

	cr_assert_eq(screen_text(&display, &text, &error), 0);
	cr_expect_str_eq(text, "A─ü\n☺\n");
	free(text);
	fake.graphics = true;
	cr_expect_eq(screen_text(&display, &text, &error), -ENOTSUP);
	cr_expect(strstr(error.text, "graphics (3 by 2)"), "%s", error.text);
	cr_expect_null(text);
}

Test(keys, names)
{
	const struct key *keys[KEYS_MOST];
	struct error error = { 0 };
	uint8_t bytes[KEY_BYTES_MOST];

	cr_assert_eq(keys_parse("ctrl-alt-delete", keys, &error), 3);
	cr_expect_eq(key_bytes(keys[0], true, bytes), 1);
	cr_expect_eq(bytes[0], 0x14);
	cr_expect_eq(key_bytes(keys[2], true, bytes), 2);
	cr_expect_arr_eq(bytes, "\xe0\x71", 2);
	cr_expect_eq(key_bytes(keys[2], false, bytes), 3);
	cr_expect_arr_eq(bytes, "\xe0\xf0\x71", 3);
	cr_expect_eq(keys_parse("ctrl-boss", keys, &error), -EINVAL);
	cr_expect(strstr(error.text, "'boss'"), "%s", error.text);
	cr_expect_eq(keys_parse("", keys, &error), -EINVAL);
	cr_expect_eq(keys_parse("a-", keys, &error), -EINVAL);
	cr_expect_eq(keys_parse("a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", keys, &error), -EINVAL);
}

Test(keys, every_key_has_a_name_of_its_own)
{
	for (unsigned n = 0; key_name_at(n); n++) {
		uint8_t bytes[KEY_BYTES_MOST];
		const struct key *key = key_by_name(key_name_at(n), strlen(key_name_at(n)));

		cr_expect_geq(key_bytes(key, true, bytes), 1);
		cr_expect_leq(key_bytes(key, false, bytes), KEY_BYTES_MOST);
		cr_expect(!n || strcmp(key_name_at(n - 1), key_name_at(n)) < 0, "%s",
			  key_name_at(n));
	}
}

Test(keys, of_characters)
{
	static const struct { char character; const char *key; bool shift; } expected[] = {
		{ 'a', "a", false }, { 'Z', "z", true }, { '0', "0", false }, { ')', "0", true },
		{ '|', "backslash", true }, { '\n', "ret", false }, { ' ', "spc", false },
	};
	bool shift;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(expected); i++) {
		const char *name = expected[i].key;

		cr_expect_eq(key_of_character(expected[i].character, &shift),
			     key_by_name(name, strlen(name)), "%s", name);
		cr_expect_eq(shift, expected[i].shift, "%s", name);
	}
	for (char c = ' '; c < 0x7f; c++)
		cr_expect(key_of_character(c, &shift), "'%c'", c);
	cr_expect_null(key_of_character('\0', &shift));
	cr_expect_null(key_of_character('\xe4', &shift));
}

/* Unicode Consortium, CP437.TXT; IBM's symbols in place of control characters. */
Test(screen, code_page_437)
{
	static const char expected[] =
		" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼"
		"►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
		" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"
		"`abcdefghijklmnopqrstuvwxyz{|}~⌂"
		"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ"
		"áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
		"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒"
		"╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε"
		"∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";
	const uint8_t *at = (const uint8_t *)expected;

	for (unsigned c = 0; c < 256; c++) {
		char text[CP437_UTF8_MOST + 1] = { 0 };
		const unsigned length = (unsigned)(cp437_put_utf8(text, (uint8_t)c) - text);
		const unsigned code = length == 1 ? at[0] :
				      length == 2 ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3f) :
						    (at[0] & 0x0fu) << 12 |
						    (at[1] & 0x3fu) << 6 | (at[2] & 0x3f);

		cr_expect(!memcmp(text, at, length), "%02x is '%s'", c, text);
		cr_expect_eq(cp437_unicode((uint8_t)c), code, "%02x", c);
		at += length;
	}
	cr_expect_eq(*at, 0);
}
