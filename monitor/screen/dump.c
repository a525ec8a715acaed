/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dump.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>

#include "cp437.h"

int screen_picture_take(const struct display *display, struct screen_picture *out)
{
	const struct display_size size = display->size(display->opaque);

	*out = (struct screen_picture){ size.width, size.height, NULL };
	out->pixels = malloc((size_t)size.width * size.height * sizeof(*out->pixels));
	if (!out->pixels)
		return -ENOMEM;
	display->render(display->opaque, out->pixels, size.width);
	return 0;
}

/* PNG wants three bytes a pixel. */
static void pack(const struct screen_picture *picture, uint8_t *rgb)
{
	const size_t n = (size_t)picture->width * picture->height;

	for (size_t i = 0; i < n; i++) {
		*rgb++ = (uint8_t)(picture->pixels[i] >> 16);
		*rgb++ = (uint8_t)(picture->pixels[i] >> 8);
		*rgb++ = (uint8_t)picture->pixels[i];
	}
}

int screen_picture_write_png(const struct screen_picture *picture, FILE *file, struct error *error)
{
	png_image image = {
		.version = PNG_IMAGE_VERSION, .width = picture->width, .height = picture->height,
		.format = PNG_FORMAT_RGB,
	};
	uint8_t *rgb = malloc((size_t)picture->width * picture->height * 3);
	int ok;

	if (!rgb)
		return error_set(error, -ENOMEM, "no memory for a picture of %u by %u pixels",
				 picture->width, picture->height);
	pack(picture, rgb);
	ok = png_image_write_to_stdio(&image, file, 0, rgb, 0, NULL);
	free(rgb);
	return ok ? 0 : error_set(error, -EIO, "libpng: %s", image.message);
}

/* Text. */

static char *put_row(char *out, const struct display_cell *cells, unsigned columns)
{
	while (columns && cp437_unicode(cells[columns - 1].character) == ' ')
		columns--;
	for (unsigned x = 0; x < columns; x++)
		out = cp437_put_utf8(out, cells[x].character);
	*out++ = '\n';
	return out;
}

static char *to_utf8(const struct display_cell *cells, struct display_size size)
{
	char *text = malloc((size_t)size.rows * (size.columns * CP437_UTF8_MOST + 1) + 1);
	char *end = text;

	if (!text)
		return NULL;
	for (unsigned row = 0; row < size.rows; row++)
		end = put_row(end, cells + (size_t)row * size.columns, size.columns);
	*end = '\0';
	return text;
}

int screen_text(const struct display *display, char **out, struct error *error)
{
	const struct display_size size = display->size(display->opaque);
	struct display_cell *cells = calloc((size_t)size.columns * size.rows + 1, sizeof(*cells));
	struct display_cursor cursor;
	int err = 0;

	*out = NULL;
	if (!cells)
		return -ENOMEM;
	if (!display->text(display->opaque, cells, &cursor))
		err = error_set(error, -ENOTSUP, "the screen shows graphics (%u by %u), no text",
				size.width, size.height);
	else if (!(*out = to_utf8(cells, size)))
		err = -ENOMEM;
	free(cells);
	return err;
}
