/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens the backends that -serial, -monitor and -debugcon name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "console.h"

static int console_fail(const char *option, const char *why, char *error, size_t size, int err)
{
	char text[400];

	snprintf(text, sizeof(text), "%s", why);
	snprintf(error, size, "-%s: %s", option, text);
	return err;
}

/* Opens one line. With "mon:" in front a prompt shares it; *chardev is the device's end. */
static int console_open_line(struct console *console, struct vm *vm, const struct vm_config *config,
			     const char *option, const char *spec, struct chardev **chardev,
			     char *error, size_t size)
{
	struct console_line *line = &console->line[console->count++];
	bool mux = !strncmp(spec, "mon:", 4);
	int err = char_backend_open(vm, spec + (mux ? 4 : 0), config->terminal_signals && !mux,
				    &line->backend, error, size);

	if (err)
		return console_fail(option, error, error, size, err);
	*chardev = &line->backend->chardev;
	if (!mux)
		return 0;
	err = char_mux_create(vm, *chardev, &line->mux);
	if (!err)
		err = prompt_create(vm, char_mux_port(line->mux, MUX_MONITOR), false,
				    &line->prompt);
	if (err)
		return console_fail(option, "no memory", error, size, err);
	*chardev = char_mux_port(line->mux, MUX_DEVICE);
	return 0;
}

static int console_open_monitor(struct console *console, struct vm *vm,
				const struct vm_config *config, char *error, size_t size)
{
	struct chardev *chardev;
	int err;

	if (!strncmp(config->monitor, "mon:", 4))
		return console_fail(
			"monitor",
			"'mon:' is for -serial; the monitor itself takes the device without it",
			error, size, -EINVAL);
	err = console_open_line(console, vm, config, "monitor", config->monitor, &chardev, error,
				size);
	if (err)
		return err;
	err = prompt_create(vm, chardev, true, &console->line[console->count - 1].prompt);
	return err ? console_fail("monitor", "no memory", error, size, err) : 0;
}

int console_open(struct console *console, struct vm *vm, const struct vm_config *config,
		 char *error, size_t size)
{
	int err = 0;

	memset(console, 0, sizeof(*console));
	for (int i = 0; i < VM_SERIAL_PORTS && !err; i++) {
		if (config->serial[i])
			err = console_open_line(console, vm, config, "serial", config->serial[i],
						&console->serial[i], error, size);
	}
	if (!err && config->debugcon && strcmp(config->debugcon, "none"))
		err = console_open_line(console, vm, config, "debugcon", config->debugcon,
					&console->debugcon, error, size);
	if (!err && config->monitor)
		err = console_open_monitor(console, vm, config, error, size);
	return err;
}

void console_close(struct console *console)
{
	while (console->count) {
		struct console_line *line = &console->line[--console->count];

		prompt_destroy(line->prompt);
		char_mux_destroy(line->mux);
		char_backend_close(line->backend);
		*line = (struct console_line){ 0 };
	}
}
