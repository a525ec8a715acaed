/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the prompt's commands are called, and how their answers are printed. */
#ifndef RF_MONITOR_CONTROL_PROMPT_COMMANDS_H
#define RF_MONITOR_CONTROL_PROMPT_COMMANDS_H

#include <stdio.h>
#include "monitor/vm/vm.h"

/* A command being carried out. */
struct prompt_call {
	struct vcpu *vcpu;
	const char *args; /* what follows the name, without spaces around it */
	FILE *out;
	uint64_t waited_ns; /* of the guest's clock, since the command was given */
	struct error error;
};

struct prompt_command {
	const char *name; /* "x", "info pic" */
	const char *args; /* for help; NULL: it takes none */
	const char *help; /* NULL: another name of what is listed */
	/* One of them. Without an answer: under the device lock. */
	void (*run)(struct vm *vm);
	/*
	 * Prints to call->out, on the vCPU's thread without the device lock. 0, or a negative errno
	 * and call->error. -EAGAIN, and nothing printed: it is to be called again in a moment.
	 */
	int (*answer)(struct prompt_call *call);
};

/*
 * The command that line begins with; *args is set to what follows its name. NULL and error: there
 * is none, or it takes no arguments and is given some.
 */
const struct prompt_command *prompt_command_find(const char *line, const char **args,
						 struct error *error);

/* Parts of the table. */
extern const struct prompt_command prompt_info_commands[], prompt_memory_commands[],
	prompt_screen_commands[], prompt_media_commands[];
extern const size_t prompt_info_count, prompt_memory_count, prompt_screen_count,
	prompt_media_count;

#endif
