/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line editing (backspace, Ctrl-U), and carrying commands out. Those without an answer run under
 * the device lock on the loop's thread. An answer is made on the vCPU's thread, where registers and
 * memory can be looked at; the prompt is busy until it has come.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "prompt.h"
#include "prompt_commands.h"

#define PROMPT_LINE 512
#define AGAIN_NS    (NS_PER_SECOND / 20) /* between two looks for what is waited for */

struct prompt {
	struct vm *vm;
	struct chardev *chardev;
	char line[PROMPT_LINE];
	size_t len;
	bool greeted, busy;
	/* While it is busy. */
	struct vm_work work;
	const struct prompt_command *command;
	const char *args;  /* in line */
	struct clock clock;
	struct clock_timer *timer; /* for a command that waits */
	uint64_t since_ns; /* when the command was given */
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
	char text[ERROR_TEXT_SIZE + PROMPT_LINE];
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

/* Without spaces around it. */
static const char *prompt_trim(char *line)
{
	size_t len;

	line += strspn(line, " ");
	for (len = strlen(line); len && line[len - 1] == ' '; len--)
		;
	line[len] = '\0';
	return line;
}

static void answer_line(struct vcpu *vcpu, const struct prompt_command *command,
			const char *args, FILE *out)
{
	struct prompt_call call = { .vcpu = vcpu, .args = args, .out = out };
	int err = command->answer(&call);

	if (err == -EAGAIN)
		fprintf(out, "%s: waits for the guest, which the prompt alone can\n",
			command->name);
	else if (err)
		fprintf(out, "%s: %s\n", command->name, call.error.text);
}

void prompt_run_line(struct vcpu *vcpu, const char *text, FILE *out)
{
	const struct prompt_command *command;
	char copy[PROMPT_LINE];
	struct error error = { 0 };
	const char *line, *args;

	snprintf(copy, sizeof(copy), "%s", text);
	line = prompt_trim(copy);
	if (!*line)
		return;
	command = prompt_command_find(line, &args, &error);
	if (!command) {
		fprintf(out, "%s\n", error.text);
	} else if (command->answer) {
		answer_line(vcpu, command, args, out);
	} else {
		pthread_mutex_lock(&vcpu->vm->device_lock);
		command->run(vcpu->vm);
		pthread_mutex_unlock(&vcpu->vm->device_lock);
	}
}

/* What the command says; malloc'd, or NULL. *again: nothing yet. */
static char *prompt_make_answer(struct prompt *p, struct vcpu *vcpu, bool *again)
{
	struct prompt_call call = { .vcpu = vcpu, .args = p->args };
	char *text = NULL;
	size_t size;
	int err;

	call.out = open_memstream(&text, &size);
	if (!call.out)
		return NULL;
	pthread_mutex_lock(&p->vm->device_lock);
	call.waited_ns = clock_now(&p->clock) - p->since_ns;
	pthread_mutex_unlock(&p->vm->device_lock);
	err = p->command->answer(&call);
	if (err == -EAGAIN && p->vm->paused) /* its clock stands still, too */
		err = error_set(&call.error, -EBUSY, "the guest is stopped, and nothing is to be "
				"waited for; cont lets it run");
	*again = err == -EAGAIN;
	if (err && !*again)
		fprintf(call.out, "%s: %s\n", p->command->name, call.error.text);
	fclose(call.out);
	return text;
}

static void prompt_answer(struct vcpu *vcpu, struct vm_work *work)
{
	struct prompt *p = rf_container_of(work, struct prompt, work);
	bool again = false;
	char *text = prompt_make_answer(p, vcpu, &again);

	pthread_mutex_lock(&p->vm->device_lock);
	if (again) {
		clock_timer_arm(&p->clock, p->timer, clock_now(&p->clock) + AGAIN_NS);
	} else {
		prompt_write_lines(p, text ? text : "no memory\n");
		p->len = 0;
		prompt_ready(p);
	}
	pthread_mutex_unlock(&p->vm->device_lock);
	free(text);
}

static void prompt_ask(struct prompt *p)
{
	p->work.run = prompt_answer;
	vm_queue_work(p->vm, &p->work);
}

static void prompt_ask_again(void *opaque)
{
	prompt_ask(opaque);
}

static void prompt_carry_out(struct prompt *p, const char *line)
{
	struct error error = { 0 };

	p->command = prompt_command_find(line, &p->args, &error);
	if (!p->command) {
		prompt_print(p, "%s\n", error.text);
	} else if (p->command->run) {
		p->command->run(p->vm);
	} else {
		p->busy = true;
		p->since_ns = clock_now(&p->clock);
		prompt_ask(p);
	}
}

static void prompt_execute(struct prompt *p)
{
	const char *line;

	assert(p->len < PROMPT_LINE && !p->busy);
	p->line[p->len] = '\0';
	line = prompt_trim(p->line);
	prompt_write(p, "\r\n", 2);
	if (*line)
		prompt_carry_out(p, line);
	if (p->busy)
		return;
	p->len = 0;
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
	p->clock = event_loop_clock(vm->loop);
	if (clock_timer_create(&p->clock, prompt_ask_again, p, &p->timer)) {
		free(p);
		return -ENOMEM;
	}
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
	clock_timer_destroy(&prompt->clock, prompt->timer);
	free(prompt);
}
