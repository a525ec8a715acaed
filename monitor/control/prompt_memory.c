/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands for memory, ports and numbers: x, xp, print, i, o, memsave, pmemsave. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "commands.h"
#include "expression.h"
#include "format.h"
#include "prompt_commands.h"

/* --- arguments --- */

static void skip_spaces(struct prompt_call *call)
{
	call->args += strspn(call->args, " ");
}

/* "/FMT" in front, if it is there. */
static int take_format(struct prompt_call *call, struct format *format)
{
	int err = 0;

	if (*call->args == '/') {
		call->args++;
		err = format_parse(&call->args, format, &call->error);
	}
	skip_spaces(call);
	return err;
}

/* what names the argument in errors. */
static int take_value(struct prompt_call *call, const char *what, int64_t *value)
{
	int err = expression_parse(&call->vcpu->cpu, &call->args, value, &call->error);

	return err ? error_prefix(&call->error, err, "%s", what) : 0;
}

static int take_end(struct prompt_call *call)
{
	return *call->args ? error_set(&call->error, -EINVAL, "'%s' is one argument too many",
				       call->args) :
			     0;
}

/* --- x, xp, print --- */

static int answer_dump(struct prompt_call *call, bool physical)
{
	struct format format = { .count = 1, .kind = 'x', .size = 4 };
	int64_t address;
	int err = take_format(call, &format);

	if (!err)
		err = take_value(call, "ADDRESS", &address);
	if (!err)
		err = take_end(call);
	if (!err)
		format_memory(call->out, call->vcpu, &format, physical,
			      physical ? (uint64_t)address : (uint32_t)address);
	return err;
}

static int answer_x(struct prompt_call *call)
{
	return answer_dump(call, false);
}

static int answer_xp(struct prompt_call *call)
{
	return answer_dump(call, true);
}

static int answer_print(struct prompt_call *call)
{
	struct format format = { .count = 1, .kind = 'd', .size = 8 };
	int64_t value;
	int err = take_format(call, &format);

	if (!err && format.kind == 'i')
		err = error_set(&call->error, -EINVAL,
				"'/i' is for memory; print takes x, d, u, o and c");
	if (!err)
		err = take_value(call, "EXPRESSION", &value);
	if (!err)
		err = take_end(call);
	if (err)
		return err;
	format.size = format.kind == 'c' ? 1 : 8;
	format_value(call->out, &format, value, false);
	fputc('\n', call->out);
	return 0;
}

/* --- ports --- */

/* "/b 0x60": letters other than sizes are for i to print with. */
static int take_port(struct prompt_call *call, struct format *format, uint16_t *port)
{
	int64_t value;
	int err = take_format(call, format);

	if (!err && (format->size > 4 || format->count != 1 || format->kind == 'i'))
		err = error_set(&call->error, -EINVAL,
				"a port is read and written as /b, /h or /w, once");
	if (!err)
		err = take_value(call, "PORT", &value);
	if (!err && (value < 0 || value > 0xffff))
		err = error_set(&call->error, -EINVAL, "PORT: 0x%llx is above 0xffff",
				(unsigned long long)value);
	*port = err ? 0 : value;
	return err;
}

/* ".INDEX", or -1. */
static int take_index(struct prompt_call *call, int64_t *index)
{
	int err;

	*index = -1;
	if (*call->args != '.')
		return 0;
	call->args++;
	err = take_value(call, "INDEX", index);
	if (!err && (*index < 0 || *index > 0xff))
		err = error_set(&call->error, -EINVAL, "INDEX: 0x%llx is above 0xff",
				(unsigned long long)*index);
	return err;
}

static int answer_i(struct prompt_call *call)
{
	struct format format = { .count = 1, .kind = 'x', .size = 4 };
	int64_t index;
	uint16_t port;
	int err = take_port(call, &format, &port);

	if (!err)
		err = take_index(call, &index);
	if (!err)
		err = take_end(call);
	if (err)
		return err;
	if (index >= 0) /* of a pair of an index and a data port: reads the latter */
		command_write_port(call->vcpu, port++, index, 1);
	fprintf(call->out, "port%c[0x%04x] = ", " bw l"[format.size], port);
	format_value(call->out, &format, command_read_port(call->vcpu, port, format.size), true);
	fputc('\n', call->out);
	return 0;
}

static int answer_o(struct prompt_call *call)
{
	struct format format = { .count = 1, .kind = 'x', .size = 4 };
	int64_t value;
	uint16_t port;
	int err = take_port(call, &format, &port);

	if (!err)
		err = take_value(call, "VALUE", &value);
	if (!err)
		err = take_end(call);
	if (!err && (value < -(1ll << (8 * format.size - 1)) || value >> 8 * format.size > 0))
		err = error_set(&call->error, -EINVAL, "VALUE: 0x%llx has more than %u bytes",
				(unsigned long long)value, format.size);
	if (!err)
		command_write_port(call->vcpu, port, value, format.size);
	return err;
}

/* --- memsave, pmemsave --- */

/* A file's name, in quotes if it has spaces: in *path, which is malloc'd. */
static int take_path(struct prompt_call *call, char **path)
{
	const char *from = call->args;
	size_t len;

	if (*from == '"') {
		len = strcspn(++from, "\"");
		call->args = from + len + (from[len] == '"');
		if (from[len] != '"' || !len)
			return error_set(&call->error, -EINVAL, "FILE: \"%s %s", from,
					 len ? "has no second quote" : "is no name");
	} else {
		len = strcspn(from, " ");
		call->args = from + len;
		if (!len)
			return error_set(&call->error, -EINVAL, "FILE is missing");
	}
	skip_spaces(call);
	*path = strndup(from, len);
	return *path ? take_end(call) : error_set(&call->error, -ENOMEM, "no memory");
}

static int answer_save(struct prompt_call *call, bool physical)
{
	int64_t address, size;
	char *path = NULL;
	int err = take_value(call, "ADDRESS", &address);

	if (!err)
		err = take_value(call, "SIZE", &size);
	if (!err)
		err = take_path(call, &path);
	if (!err)
		err = command_save_memory(call->vcpu, physical, address, size, path, &call->error);
	free(path);
	return err;
}

static int answer_memsave(struct prompt_call *call)
{
	return answer_save(call, false);
}

static int answer_pmemsave(struct prompt_call *call)
{
	return answer_save(call, true);
}

const struct prompt_command prompt_memory_commands[] = {
	{ "x", "/FMT ADDRESS", "show memory: COUNT, x d u o c i, b h w g", .answer = answer_x },
	{ "xp", "/FMT ADDRESS", "the same, by physical address", .answer = answer_xp },
	{ "print", "/FMT EXPRESSION", "show a value; $eax and so on", .answer = answer_print },
	{ "p", "/FMT EXPRESSION", NULL, .answer = answer_print },
	{ "i", "/FMT PORT[.INDEX]", "read a port", .answer = answer_i },
	{ "o", "/FMT PORT VALUE", "write a port", .answer = answer_o },
	{ "memsave", "ADDRESS SIZE FILE", "write memory to a file", .answer = answer_memsave },
	{ "pmemsave", "ADDRESS SIZE FILE", "the same, by physical address",
	  .answer = answer_pmemsave },
};

const size_t prompt_memory_count = RF_ARRAY_SIZE(prompt_memory_commands);
