/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens the backends that -serial, -monitor, -debugcon and -gdb name. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "console.h"

static void console_note_line(struct vm *vm, const char *label, const char *filename)
{
	struct vm_line *line = &vm->line[vm->nlines++];

	assert(vm->nlines <= VM_LINES);
	line->label = label;
	snprintf(line->filename, sizeof(line->filename), "%s", filename);
}

/* Opens one line. With "mon:" in front a prompt shares it; *chardev is the device's end. */
static int console_open_line(struct console *console, struct vm *vm, const struct vm_config *config,
			     const char *option, const char *label, const char *spec,
			     struct chardev **chardev, struct error *error)
{
	struct console_line *line = &console->line[console->count++];
	bool mux = !strncmp(spec, "mon:", 4);
	int err = char_backend_open(vm, spec + (mux ? 4 : 0), config->terminal_signals && !mux,
				    config->cancel, &line->backend, error);

	if (err)
		return error_prefix(error, err, "-%s", option);
	*chardev = &line->backend->chardev;
	console_note_line(vm, label, line->backend->name ? line->backend->name : spec);
	if (!mux)
		return 0;
	err = char_mux_create(vm, line->backend, &line->mux);
	if (!err)
		err = prompt_create(vm, char_mux_port(line->mux, MUX_MONITOR), false,
				    &line->prompt);
	if (err)
		return error_set(error, err, "-%s: no memory", option);
	*chardev = char_mux_port(line->mux, MUX_DEVICE);
	return 0;
}

static int console_open_monitor(struct console *console, struct vm *vm,
				const struct vm_config *config, struct error *error)
{
	struct chardev *chardev;
	int err;

	if (!strncmp(config->monitor, "mon:", 4))
		return error_set(error, -EINVAL,
				 "-monitor: 'mon:' is for -serial; the monitor itself takes the "
				 "device without it");
	err = console_open_line(console, vm, config, "monitor", "monitor", config->monitor,
				&chardev, error);
	if (err)
		return err;
	err = prompt_create(vm, chardev, true, &console->line[console->count - 1].prompt);
	return err ? error_set(error, err, "-monitor: no memory") : 0;
}

static int console_open_gdb(struct console *console, struct vm *vm, const struct vm_config *config,
			    struct error *error)
{
	struct chardev *chardev;
	int err = console_open_line(console, vm, config, "gdb", "gdb", config->gdb, &chardev,
				    error);

	if (err)
		return err;
	err = gdb_create(vm, chardev, !strcmp(config->gdb, "stdio"),
			 &console->line[console->count - 1].gdb);
	return err ? error_set(error, err, "-gdb: no memory") : 0;
}

int console_open(struct console *console, struct vm *vm, const struct vm_config *config,
		 struct error *error)
{
	static const char *const labels[VM_SERIAL_PORTS] = { "serial0", "serial1", "serial2",
							     "serial3" };
	int err = 0;

	memset(console, 0, sizeof(*console));
	for (int i = 0; i < VM_SERIAL_PORTS && !err; i++) {
		if (config->serial[i])
			err = console_open_line(console, vm, config, "serial", labels[i],
						config->serial[i], &console->serial[i], error);
	}
	if (!err && config->debugcon && strcmp(config->debugcon, "none"))
		err = console_open_line(console, vm, config, "debugcon", "debugcon",
					config->debugcon, &console->debugcon, error);
	if (!err && config->monitor)
		err = console_open_monitor(console, vm, config, error);
	if (!err && config->gdb)
		err = console_open_gdb(console, vm, config, error);
	return err;
}

const char *console_way_out(const struct vm_config *config)
{
	for (int i = 0; i < VM_SERIAL_PORTS; i++)
		if (config->serial[i] && !strcmp(config->serial[i], "mon:stdio"))
			return "Ctrl-A x leaves";
	if (config->monitor && !strcmp(config->monitor, "stdio"))
		return "quit leaves";
	return config->terminal_signals ? "Ctrl-C leaves" : NULL;
}

void console_close(struct console *console)
{
	while (console->count) {
		struct console_line *line = &console->line[--console->count];

		gdb_destroy(line->gdb);
		prompt_destroy(line->prompt);
		char_mux_destroy(line->mux);
		char_backend_close(line->backend);
		*line = (struct console_line){ 0 };
	}
}
