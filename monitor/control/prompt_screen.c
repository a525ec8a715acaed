/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands for the screen and the keyboard: info vga, screendump, sendkey, waitfor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "prompt_commands.h"

#define WAIT_MOST_SECONDS 86400ul
#define KEYS_PATIENCE_NS (5 * NS_PER_SECOND)

static int answer_vga(struct prompt_call *call)
{
	struct display_size size;
	char *text;
	int err = command_query_screen(call->vcpu, &size, &call->error);

	if (err)
		return err;
	fprintf(call->out, "%u by %u pixels", size.width, size.height);
	if (!size.columns) {
		fprintf(call->out, ", graphics\n");
		return 0;
	}
	fprintf(call->out, ", text of %u by %u characters:\n", size.columns, size.rows);
	err = command_screen_text(call->vcpu, &text, &call->error);
	if (!err)
		fputs(text, call->out);
	free(text);
	return err;
}

static int answer_screendump(struct prompt_call *call)
{
	if (!*call->args)
		return error_set(&call->error, -EINVAL, "it needs a file: NAME.png, or NAME.txt "
							"for the text of a text mode");
	return command_dump_screen(call->vcpu, call->args, &call->error);
}

static int answer_sendkey(struct prompt_call *call)
{
	int err = command_send_keys(call->vcpu, call->args, &call->error);

	if (err == -EAGAIN && call->waited_ns >= KEYS_PATIENCE_NS)
		return error_set(&call->error, -ETIMEDOUT, "the guest does not take the keys that "
				 "were sent before");
	return err;
}

/* SECONDS TEXT */
static int take_wait(struct prompt_call *call, unsigned long *seconds)
{
	char *end;

	*seconds = strtoul(call->args, &end, 10);
	if (*call->args < '0' || *call->args > '9' || *end != ' ' || *seconds > WAIT_MOST_SECONDS)
		return error_set(&call->error, -EINVAL, "'%s' is not SECONDS TEXT, as in: waitfor "
							"60 login:", call->args);
	call->args = end + strspn(end, " ");
	return 0;
}

static int answer_waitfor(struct prompt_call *call)
{
	unsigned long seconds;
	char *text;
	int err = take_wait(call, &seconds);
	bool found;

	if (err)
		return err;
	err = command_screen_text(call->vcpu, &text, &call->error);
	if (err && err != -ENOTSUP) /* graphics may give way to text */
		return err;
	found = text && strstr(text, call->args);
	free(text);
	if (found)
		return 0;
	if (call->waited_ns < seconds * NS_PER_SECOND)
		return -EAGAIN;
	return error_set(&call->error, -ETIMEDOUT, "'%s' was not on the screen within %lu s",
			 call->args, seconds);
}

const struct prompt_command prompt_screen_commands[] = {
	{ "info vga", NULL, "the screen's size, and its text", .answer = answer_vga },
	{ "screendump", "FILE", "write the screen as PNG, or its text to NAME.txt",
	  .answer = answer_screendump },
	{ "sendkey", "KEY[-KEY]...", "press keys together: ctrl-alt-delete",
	  .answer = answer_sendkey },
	{ "waitfor", "SECONDS TEXT", "wait until the screen has this text",
	  .answer = answer_waitfor },
};

const size_t prompt_screen_count = RF_ARRAY_SIZE(prompt_screen_commands);
