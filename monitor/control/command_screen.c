/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The screen and the keyboard (commands.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "commands.h"
#include "monitor/screen/screen.h"

#define TEXT_SUFFIX ".txt"

static int no_adapter(struct error *error)
{
	return error_set(error, -ENODEV, "the machine has no display adapter (-vga std)");
}

int command_query_screen(struct vcpu *vcpu, struct display_size *size, struct error *error)
{
	struct vm *vm = vcpu->vm;
	struct display display;
	bool there;

	pthread_mutex_lock(&vm->device_lock);
	there = vm->board && pc_board_display(vm->board, &display);
	if (there)
		*size = display.size(display.opaque);
	pthread_mutex_unlock(&vm->device_lock);
	return there ? 0 : no_adapter(error);
}

int command_screen_text(struct vcpu *vcpu, char **text, struct error *error)
{
	struct vm *vm = vcpu->vm;
	struct display display;
	int err;

	*text = NULL;
	pthread_mutex_lock(&vm->device_lock);
	if (!vm->board || !pc_board_display(vm->board, &display))
		err = no_adapter(error);
	else
		err = screen_text(&display, text, error);
	pthread_mutex_unlock(&vm->device_lock);
	return err == -ENOMEM ? error_default(error, err, "no memory") : err;
}

static int take_picture(struct vm *vm, struct screen_picture *picture, struct error *error)
{
	struct display display;
	int err;

	*picture = (struct screen_picture){ 0 };
	pthread_mutex_lock(&vm->device_lock);
	if (!vm->board || !pc_board_display(vm->board, &display))
		err = no_adapter(error);
	else
		err = screen_picture_take(&display, picture);
	pthread_mutex_unlock(&vm->device_lock);
	return err ? error_default(error, err, "no memory") : 0;
}

static bool is_text_file(const char *path)
{
	const size_t len = strlen(path), end = strlen(TEXT_SUFFIX);

	return len >= end && !strcmp(path + len - end, TEXT_SUFFIX);
}

/* Either picture or text. */
static int write_to(FILE *file, const struct screen_picture *picture, const char *text,
		    struct error *error)
{
	if (picture)
		return screen_picture_write_png(picture, file, error);
	return fputs(text, file) < 0 ? -errno : 0;
}

static int write_file(const char *path, const struct screen_picture *picture, const char *text,
		      struct error *error)
{
	/* O_NONBLOCK: a FIFO without a reader is an error rather than a wait. */
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			    0666);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int err = -errno;

	if (!file) {
		if (fd >= 0)
			close(fd);
		return error_set(error, err, "cannot write '%s': %s", path, error_reason(err));
	}
	err = write_to(file, picture, text, error);
	if (fclose(file) && !err)
		err = -errno;
	return err ? error_default(error, err, "cannot write '%s': %s", path, error_reason(err)) :
		     0;
}

int command_dump_screen(struct vcpu *vcpu, const char *path, struct error *error)
{
	struct screen_picture picture = { 0 };
	char *text = NULL;
	const bool as_text = is_text_file(path);
	int err = as_text ? command_screen_text(vcpu, &text, error) :
			    take_picture(vcpu->vm, &picture, error);

	if (!err)
		err = write_file(path, as_text ? NULL : &picture, text, error);
	free(picture.pixels);
	free(text);
	return err;
}

/* Keys. */

int command_send_keys(struct vcpu *vcpu, const char *names, struct error *error)
{
	struct vm *vm = vcpu->vm;
	const struct key *keys[KEYS_MOST];
	uint8_t bytes[2 * KEYS_MOST * KEY_BYTES_MOST];
	int n = keys_parse(names, keys, error);
	size_t count = 0;
	bool room;

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		count += key_bytes(keys[i], true, bytes + count);
	while (n--)
		count += key_bytes(keys[n], false, bytes + count);
	if (count > PC_KEYBOARD_QUEUE)
		return error_set(error, -E2BIG, "'%s' are more keys at once than a keyboard tells "
				 "of; press fewer together", names);
	pthread_mutex_lock(&vm->device_lock);
	room = !vm->board || pc_board_keyboard_put(vm->board, bytes, count);
	pthread_mutex_unlock(&vm->device_lock);
	return room ? 0 : -EAGAIN;
}
