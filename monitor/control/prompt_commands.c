/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of commands, help, and the commands without an answer. */
#include <errno.h>
#include <string.h>
#include "commands.h"
#include "prompt_commands.h"

static int answer_help(struct prompt_call *call);
static int answer_info(struct prompt_call *call);

static int answer_log(struct prompt_call *call)
{
	if (strcmp(call->args, "help") && *call->args)
		return command_set_log(call->vcpu, call->args, &call->error);
	log_list_items(call->out);
	fprintf(call->out, "%-15s log nothing\n", "none");
	return 0;
}

static const struct prompt_command general_commands[] = {
	{ "help", "[COMMAND]", "list the commands", .answer = answer_help },
	{ "quit", NULL, "end ringfence", .run = command_quit },
	{ "stop", NULL, "stop the guest", .run = command_stop },
	{ "cont", NULL, "let it run again", .run = command_cont },
	{ "system_reset", NULL, "reset the machine", .run = command_system_reset },
	{ "system_powerdown", NULL, "press the power button", .run = command_system_powerdown },
	{ "nmi", NULL, "send a non-maskable interrupt", .run = command_nmi },
	{ "log", "[ITEM,...|none]", "choose what is logged (-d), or list what can be",
	  .answer = answer_log },
	{ "info", "[WORD]", "list what info can show", .answer = answer_info },
	{ "?", "[COMMAND]", NULL, .answer = answer_help },
	{ "q", NULL, NULL, .run = command_quit },
	{ "c", NULL, NULL, .run = command_cont },
	{ "s", NULL, NULL, .run = command_stop },
};

/* --- finding --- */

/* The rest of line after the words of name; NULL: it does not begin with them. */
static const char *after_name(const char *line, const char *name)
{
	while (*name) {
		if (*name == ' ') {
			if (*line != ' ')
				return NULL;
			line += strspn(line, " ");
			name++;
		} else if (*line++ != *name++) {
			return NULL;
		}
	}
	return !*line || *line == ' ' || *line == '/' ? line + strspn(line, " ") : NULL;
}

static const struct prompt_command *find_in(const struct prompt_command *table, size_t count,
					    const char *line, const char **args)
{
	for (size_t i = 0; i < count; i++) {
		*args = after_name(line, table[i].name);
		if (*args)
			return &table[i];
	}
	return NULL;
}

static const struct prompt_command *find(const char *line, const char **args)
{
	const struct prompt_command *found =
		find_in(prompt_info_commands, prompt_info_count, line, args);

	if (!found)
		found = find_in(prompt_memory_commands, prompt_memory_count, line, args);
	if (!found)
		found = find_in(prompt_screen_commands, prompt_screen_count, line, args);
	if (!found)
		found = find_in(prompt_media_commands, prompt_media_count, line, args);
	return found ? found : find_in(general_commands, RF_ARRAY_SIZE(general_commands), line,
				       args);
}

const struct prompt_command *prompt_command_find(const char *line, const char **args,
						 struct error *error)
{
	const struct prompt_command *found = find(line, args);

	if (!found)
		error_set(error, -EINVAL, "unknown command: '%s' (help lists them)", line);
	else if (!found->args && **args)
		error_set(error, -EINVAL, "%s takes no argument, and is given '%s'", found->name,
			  *args);
	else
		return found;
	return NULL;
}

/* --- help --- */

static void list_command(FILE *out, const struct prompt_command *command)
{
	char usage[64];

	snprintf(usage, sizeof(usage), "%s%s%s", command->name, command->args ? " " : "",
		 command->args ? command->args : "");
	if (command->help)
		fprintf(out, "%-28s %s\n", usage, command->help);
}

static void list_commands(FILE *out, const struct prompt_command *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		list_command(out, &table[i]);
}

static int answer_help(struct prompt_call *call)
{
	const char *args;
	const struct prompt_command *of;

	if (!*call->args) {
		list_commands(call->out, general_commands, RF_ARRAY_SIZE(general_commands));
		list_commands(call->out, prompt_memory_commands, prompt_memory_count);
		list_commands(call->out, prompt_screen_commands, prompt_screen_count);
		list_commands(call->out, prompt_media_commands, prompt_media_count);
		list_commands(call->out, prompt_info_commands, prompt_info_count);
		return 0;
	}
	of = find(call->args, &args);
	if (!of)
		return error_set(&call->error, -EINVAL, "'%s' is not a command", call->args);
	if (of->answer == answer_info)
		return answer_info(&(struct prompt_call){ .out = call->out, .args = "" });
	list_command(call->out, of);
	return 0;
}

/* Words that it knows are commands of their own. */
static int answer_info(struct prompt_call *call)
{
	if (*call->args)
		return error_set(&call->error, -EINVAL,
				 "'%s' is not what it can show (info lists that)", call->args);
	list_commands(call->out, prompt_info_commands, prompt_info_count);
	return 0;
}
