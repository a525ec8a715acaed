/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line editing (backspace, Ctrl-U) and the command table. Commands run under the device lock on the
 * loop's thread; what needs the vCPU's registers is queued as work for its thread, so its answer
 * comes after the next prompt was due: the prompt is then printed by the work.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "devices/pc_board.h"
#include "prompt.h"

#define PROMPT_LINE 128

struct prompt {
	struct vm *vm;
	struct chardev *chardev;
	char line[PROMPT_LINE];
	size_t len;
	bool greeted, busy;
	struct vm_work work;
};

struct prompt_command {
	const char *name, *help;
	void (*run)(struct prompt *p);
};

static void prompt_print(struct prompt *p, const char *fmt, ...) RF_PRINTF(2, 3);

static void prompt_write(struct prompt *p, const char *text, size_t len)
{
	p->chardev->ops->write(p->chardev, (const uint8_t *)text, len);
}

/* Lines end in \r\n: the terminal may be raw. */
static void prompt_write_lines(struct prompt *p, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		prompt_write(p, text, len);
		if (!text[len])
			return;
		prompt_write(p, "\r\n", 2);
		text += len + 1;
	}
}

static void prompt_print(struct prompt *p, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	prompt_write_lines(p, text);
}

static void prompt_ready(struct prompt *p)
{
	p->busy = false;
	prompt_print(p, "(ringfence) ");
	if (p->chardev->ops->accept_input)
		p->chardev->ops->accept_input(p->chardev);
}

static void command_quit(struct prompt *p)
{
	vm_end(p->vm, VM_QUIT, 0);
}

static void command_stop(struct prompt *p)
{
	vm_pause(p->vm);
}

static void command_continue(struct prompt *p)
{
	vm_continue(p->vm);
}

static void command_reset(struct prompt *p)
{
	vm_end(p->vm, VM_REBOOT, 0);
}

static void command_powerdown(struct prompt *p)
{
	if (p->vm->board)
		pc_board_power_button(p->vm->board);
}

static void command_status(struct prompt *p)
{
	prompt_print(p, "VM status: %s\n", p->vm->paused ? "paused" : "running");
}

static void registers_work(struct vcpu *vcpu, struct vm_work *work)
{
	struct prompt *p = rf_container_of(work, struct prompt, work);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		vcpu_print_state(vcpu, out);
		fclose(out);
	}
	pthread_mutex_lock(&p->vm->device_lock);
	prompt_write_lines(p, text ? text : "no memory\n");
	prompt_ready(p);
	pthread_mutex_unlock(&p->vm->device_lock);
	free(text);
}

static void command_registers(struct prompt *p)
{
	p->busy = true;
	p->work.run = registers_work;
	vm_queue_work(p->vm, &p->work);
}

static void command_help(struct prompt *p);

static const struct prompt_command prompt_commands[] = {
	{ "help", "list the commands", command_help },
	{ "quit", "end ringfence", command_quit },
	{ "info registers", "the processor's registers", command_registers },
	{ "info status", "whether the guest is running", command_status },
	{ "stop", "stop the guest", command_stop },
	{ "cont", "let it run again", command_continue },
	{ "system_reset", "reset the machine", command_reset },
	{ "system_powerdown", "press the power button", command_powerdown },
	{ "?", NULL, command_help },
	{ "q", NULL, command_quit },
	{ "c", NULL, command_continue },
	{ "s", NULL, command_stop },
};

static void command_help(struct prompt *p)
{
	for (size_t i = 0; i < RF_ARRAY_SIZE(prompt_commands); i++) {
		if (prompt_commands[i].help)
			prompt_print(p, "%-17s %s\n", prompt_commands[i].name,
				     prompt_commands[i].help);
	}
}

/* Single spaces between words, none around them. */
static void prompt_normalise(char *line)
{
	char *to = line;

	for (char *from = line; *from; from++) {
		if (*from != ' ' || (to != line && to[-1] != ' '))
			*to++ = *from;
	}
	if (to != line && to[-1] == ' ')
		to--;
	*to = '\0';
}

static void prompt_execute(struct prompt *p)
{
	p->line[p->len] = '\0';
	p->len = 0;
	prompt_normalise(p->line);
	prompt_write(p, "\r\n", 2);
	for (size_t i = 0; i < RF_ARRAY_SIZE(prompt_commands); i++) {
		if (!strcmp(prompt_commands[i].name, p->line)) {
			prompt_commands[i].run(p);
			goto done;
		}
	}
	if (p->line[0])
		prompt_print(p, "unknown command: '%s' (help lists them)\n", p->line);
done:
	if (!p->busy)
		prompt_ready(p);
}

static void prompt_key(struct prompt *p, uint8_t key)
{
	if (key == '\r' || key == '\n') {
		prompt_execute(p);
	} else if (key == 0x08 || key == 0x7f) {
		if (p->len) {
			p->len--;
			prompt_write(p, "\b \b", 3);
		}
	} else if (key == 0x15) {
		for (; p->len; p->len--)
			prompt_write(p, "\b \b", 3);
	} else if (key >= 0x20 && key < 0x7f && p->len < PROMPT_LINE - 1) {
		p->line[p->len++] = key;
		prompt_write(p, (const char *)&key, 1);
	}
}

/* One key at a time: a command may make the prompt busy. */
static size_t prompt_can_receive(void *opaque)
{
	struct prompt *p = opaque;

	return p->busy ? 0 : 1;
}

static void prompt_receive(void *opaque, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		prompt_key(opaque, bytes[i]);
}

static void prompt_greet(struct prompt *p)
{
	p->greeted = true;
	prompt_print(p, "ringfence monitor - 'help' lists the commands\n");
	prompt_ready(p);
}

static void prompt_event(void *opaque, enum chardev_event event)
{
	struct prompt *p = opaque;

	if (event != CHARDEV_OPENED || p->busy)
		return;
	p->len = 0;
	if (p->greeted)
		prompt_print(p, "\n(ringfence) ");
	else
		prompt_greet(p);
}

int prompt_create(struct vm *vm, struct chardev *chardev, bool greet, struct prompt **out)
{
	static const struct chardev_device device = {
		.can_receive = prompt_can_receive,
		.receive = prompt_receive,
		.event = prompt_event,
	};
	struct prompt *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->vm = vm;
	p->chardev = chardev;
	chardev_attach(chardev, &device, p);
	if (greet)
		prompt_greet(p);
	*out = p;
	return 0;
}

void prompt_destroy(struct prompt *prompt)
{
	if (!prompt)
		return;
	chardev_attach(prompt->chardev, NULL, NULL);
	free(prompt);
}
