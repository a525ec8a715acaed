/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line editing (backspace, Ctrl-U) and the command table. Commands run under the device lock on the
 * loop's thread; the answer of one that needs the vCPU's registers comes on that thread, after the
 * next prompt was due: the answer then prints the prompt.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "prompt.h"

#define PROMPT_LINE 128

struct prompt {
	struct vm *vm;
	struct chardev *chardev;
	char line[PROMPT_LINE];
	size_t len;
	bool greeted, busy;
	struct command_registers registers;
};

struct prompt_command {
	const char *name, *help;
	/* One of them: a command without an answer; one whose answer is printed. */
	void (*run)(struct vm *vm);
	void (*print)(struct prompt *p);
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

static void prompt_status(struct prompt *p)
{
	prompt_print(p, "VM status: %s\n",
		     command_query_status(p->vm).paused ? "paused" : "running");
}

static void prompt_uuid(struct prompt *p)
{
	char text[COMMAND_UUID_SIZE];
	const bool given = command_query_uuid(p->vm, text);

	prompt_print(p, "%s%s\n", text, given ? "" : " (none was given: -uuid)");
}

static void prompt_registers_done(struct command_registers *query)
{
	struct prompt *p = rf_container_of(query, struct prompt, registers);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		vcpu_report_print(&query->report, out);
		fclose(out);
	}
	pthread_mutex_lock(&p->vm->device_lock);
	prompt_write_lines(p, text ? text : "no memory\n");
	prompt_ready(p);
	pthread_mutex_unlock(&p->vm->device_lock);
	free(text);
}

static void prompt_registers(struct prompt *p)
{
	assert(!p->busy);
	p->busy = true;
	p->registers.done = prompt_registers_done;
	command_query_registers(p->vm, &p->registers);
}

static void prompt_help(struct prompt *p);

static const struct prompt_command prompt_commands[] = {
	{ "help", "list the commands", .print = prompt_help },
	{ "quit", "end ringfence", .run = command_quit },
	{ "info registers", "the processor's registers", .print = prompt_registers },
	{ "info status", "whether the guest is running", .print = prompt_status },
	{ "info uuid", "the machine's UUID", .print = prompt_uuid },
	{ "stop", "stop the guest", .run = command_stop },
	{ "cont", "let it run again", .run = command_cont },
	{ "system_reset", "reset the machine", .run = command_system_reset },
	{ "system_powerdown", "press the power button", .run = command_system_powerdown },
	{ "?", NULL, .print = prompt_help },
	{ "q", NULL, .run = command_quit },
	{ "c", NULL, .run = command_cont },
	{ "s", NULL, .run = command_stop },
};

static void prompt_help(struct prompt *p)
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
	assert(p->len < PROMPT_LINE && !p->busy);
	p->line[p->len] = '\0';
	p->len = 0;
	prompt_normalise(p->line);
	prompt_write(p, "\r\n", 2);
	for (size_t i = 0; i < RF_ARRAY_SIZE(prompt_commands); i++) {
		if (!strcmp(prompt_commands[i].name, p->line)) {
			if (prompt_commands[i].run)
				prompt_commands[i].run(p->vm);
			else
				prompt_commands[i].print(p);
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
