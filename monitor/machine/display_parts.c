/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "display_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board/pc_board.h"
#include "monitor/backends/backends.h"

#define ROM_LEAST 2048u

/* A BAR for it has a power of two of bytes. */
static int round_up(struct firmware_file *file, struct error *error)
{
	size_t size = ROM_LEAST;
	uint8_t *data;

	while (size < file->size)
		size *= 2;
	data = realloc(file->data, size);
	if (!data)
		return error_set(error, -ENOMEM, "no memory for the display adapter's ROM");
	memset(data + file->size, 0, size - file->size);
	*file = (struct firmware_file){ data, size };
	return 0;
}

int display_parts_load(struct display_parts *parts, const struct vm_config *config,
		       struct error *error)
{
	static const struct firmware_file_kind kind = {
		.name = "vgabios-stdvga.bin", .unit = 512, .most = 0x10000,
		.instead = ", or do without a display adapter: -vga none",
	};
	int err;

	if (!config->vga || config->kernel)
		return 0;
	err = firmware_file_read(config, &kind, NULL, &parts->rom, error);
	return err ? err : round_up(&parts->rom, error);
}

static void key(void *opaque, const uint8_t *bytes, size_t count)
{
	struct vm *vm = opaque;

	pc_board_keyboard_put(vm->board, bytes, count);
}

static void quit(void *opaque)
{
	vm_end(opaque, VM_QUIT, 0);
}

/* On the main thread. */
static bool terminal_is_back(void *opaque)
{
	struct display_parts *parts = opaque;

	if (pthread_mutex_trylock(&parts->vm->device_lock))
		return false;
	if (parts->curses)
		curses_display_resume(parts->curses);
	pthread_mutex_unlock(&parts->vm->device_lock);
	return true;
}

int display_parts_open(struct display_parts *parts, struct vm *vm, const struct vm_config *config,
		       struct error *error)
{
	struct curses_display_config curses = {
		.loop = vm->loop, .key = key, .quit = quit, .opaque = vm,
		.terminal_is_ours = terminal_is_ours,
	};
	int err;

	if (config->display != VM_DISPLAY_CURSES)
		return 0;
	if (!pc_board_display(vm->board, &curses.display))
		return error_set(error, -ENODEV, "-display curses: there is no screen to show; add "
						 "-vga std");
	parts->vm = vm;
	if (terminal_take(false, terminal_is_back, parts))
		return error_set(error, -EBUSY, "-display curses: the terminal is in use already");
	err = curses_display_open(&curses, &parts->curses, error);
	if (!err)
		return 0;
	terminal_restore();
	return error_prefix(error, err, "-display curses");
}

void display_parts_close(struct display_parts *parts)
{
	if (!parts->curses)
		return;
	curses_display_close(parts->curses);
	parts->curses = NULL;
	terminal_restore();
}

void display_parts_free(struct display_parts *parts)
{
	firmware_file_free(&parts->rom);
}
