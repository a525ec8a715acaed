/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands for registers and memory, and those that let the guest go on (appendix E.2). */
#include <errno.h>
#include <string.h>
#include "internal.h"
#include "monitor/control/control.h"
#include "registers.h"

#define SIGNAL_INT 2
#define SIGNAL_TRAP 5

enum gdb_answer gdb_ok(struct gdb_call *call)
{
	gdb_text_add(call->reply, "OK");
	return GDB_ANSWERED;
}

enum gdb_answer gdb_error(struct gdb_call *call, int err)
{
	gdb_text_add(call->reply, "E%02x", (err < 0 ? -err : err) & 0xff);
	return GDB_ANSWERED;
}

/* --- why it stands --- */

void gdb_stop_reply(const struct vcpu *vcpu, struct gdb_text *reply)
{
	static const char *const watch[] = { [DEBUGGER_WRITES] = "watch",
					     [DEBUGGER_READS] = "rwatch",
					     [DEBUGGER_ACCESSES] = "awatch" };
	const struct debugger *d = &vcpu->debugger;

	gdb_text_add(reply, "T%02xthread:01;",
		     d->why == DEBUGGER_PAUSED ? SIGNAL_INT : SIGNAL_TRAP);
	if (d->why == DEBUGGER_WATCHPOINT)
		gdb_text_add(reply, "%s:%x;", watch[d->hit_kind], d->hit);
}

static enum gdb_answer command_why(struct gdb_call *call)
{
	gdb_stop_reply(call->vcpu, call->reply);
	return GDB_ANSWERED;
}

/* --- registers --- */

static enum gdb_answer command_get_all(struct gdb_call *call)
{
	uint8_t value[GDB_REGISTER_MOST];

	for (unsigned n = 0; n < gdb_register_count(); n++) {
		gdb_register_get(&call->vcpu->cpu, n, value);
		gdb_text_add_hex(call->reply, value, gdb_register_size(n));
	}
	return GDB_ANSWERED;
}

/* All that can be set are; the others are no error, since gdb sends them all. */
static enum gdb_answer command_set_all(struct gdb_call *call)
{
	uint8_t value[GDB_REGISTER_MOST];
	const char *text = call->args;

	for (unsigned n = 0; n < gdb_register_count() && *text; n++) {
		if (!gdb_take_bytes(&text, value, gdb_register_size(n)))
			return gdb_error(call, EINVAL);
		if (gdb_register_set(call->vcpu, n, value))
			continue;
	}
	return *text ? gdb_error(call, EINVAL) : gdb_ok(call);
}

static enum gdb_answer command_get_one(struct gdb_call *call)
{
	uint8_t value[GDB_REGISTER_MOST];
	const char *text = call->args;
	uint64_t n;

	if (!gdb_take_number(&text, &n) || *text || n >= gdb_register_count())
		return gdb_error(call, EINVAL);
	gdb_register_get(&call->vcpu->cpu, n, value);
	gdb_text_add_hex(call->reply, value, gdb_register_size(n));
	return GDB_ANSWERED;
}

static enum gdb_answer command_set_one(struct gdb_call *call)
{
	uint8_t value[GDB_REGISTER_MOST];
	const char *text = call->args;
	uint64_t n;
	int err;

	if (!gdb_take_number(&text, &n) || !gdb_take_char(&text, '=') ||
	    n >= gdb_register_count() || !gdb_take_bytes(&text, value, gdb_register_size(n)) ||
	    *text)
		return gdb_error(call, EINVAL);
	err = gdb_register_set(call->vcpu, n, value);
	return err ? gdb_error(call, err) : gdb_ok(call);
}

/* --- memory --- */

/* "ADDR,LENGTH" */
static bool take_range(const char **text, uint64_t *address, uint64_t *len)
{
	return gdb_take_number(text, address) && gdb_take_char(text, ',') &&
	       gdb_take_number(text, len);
}

static enum gdb_answer command_read(struct gdb_call *call)
{
	uint8_t bytes[GDB_PACKET_MOST / 2];
	const char *text = call->args;
	uint64_t address, len;
	size_t done;

	if (!take_range(&text, &address, &len) || *text)
		return gdb_error(call, EINVAL);
	len = len < sizeof(bytes) ? len : sizeof(bytes);
	done = command_read_memory(call->vcpu, call->gdb->physical, address, bytes, len);
	if (len && !done)
		return gdb_error(call, EFAULT);
	gdb_text_add_hex(call->reply, bytes, done);
	return GDB_ANSWERED;
}

static enum gdb_answer write_memory(struct gdb_call *call, uint64_t address, const void *bytes,
				    size_t len)
{
	const size_t done = command_write_memory(call->vcpu, call->gdb->physical, address, bytes,
						 len);

	return done < len ? gdb_error(call, EFAULT) : gdb_ok(call);
}

static enum gdb_answer command_write_hex(struct gdb_call *call)
{
	uint8_t bytes[GDB_PACKET_MOST / 2];
	const char *text = call->args;
	uint64_t address, len;

	if (!take_range(&text, &address, &len) || !gdb_take_char(&text, ':') ||
	    len > sizeof(bytes) || !gdb_take_bytes(&text, bytes, len) || *text)
		return gdb_error(call, EINVAL);
	return write_memory(call, address, bytes, len);
}

static enum gdb_answer command_write_binary(struct gdb_call *call)
{
	const char *text = call->args;
	uint64_t address, len;

	if (!take_range(&text, &address, &len) || !gdb_take_char(&text, ':') ||
	    len != call->len - (size_t)(text - call->args))
		return gdb_error(call, EINVAL);
	return write_memory(call, address, text, len);
}

/* --- going on --- */

/* Signals are for programs of an operating system's: the processor gets none. */
static enum gdb_answer go_on(struct gdb_call *call, bool signal, enum gdb_answer how)
{
	const char *text = call->args;
	uint8_t value[GDB_REGISTER_MOST] = { 0 };
	uint64_t number, address;

	if (signal && !gdb_take_number(&text, &number))
		return gdb_error(call, EINVAL);
	if (signal && *text && !gdb_take_char(&text, ';'))
		return gdb_error(call, EINVAL);
	if (!*text)
		return how;
	if (!gdb_take_number(&text, &address) || *text)
		return gdb_error(call, EINVAL);
	memcpy(value, &address, sizeof(address));
	return gdb_register_set(call->vcpu, 8, value) ? gdb_error(call, EINVAL) : how;
}

static enum gdb_answer command_continue(struct gdb_call *call)
{
	return go_on(call, false, GDB_RESUME);
}

static enum gdb_answer command_continue_signal(struct gdb_call *call)
{
	return go_on(call, true, GDB_RESUME);
}

static enum gdb_answer command_step(struct gdb_call *call)
{
	return go_on(call, false, GDB_STEP);
}

static enum gdb_answer command_step_signal(struct gdb_call *call)
{
	return go_on(call, true, GDB_STEP);
}

static enum gdb_answer command_how(struct gdb_call *call)
{
	gdb_text_add(call->reply, "vCont;c;C;s;S");
	return GDB_ANSWERED;
}

/* ";ACTION[:THREAD]...": there is one thread, so the first is its. */
static enum gdb_answer command_go(struct gdb_call *call)
{
	switch (call->args[0]) {
	case 'c': case 'C': return GDB_RESUME;
	case 's': case 'S': return GDB_STEP;
	default: return gdb_error(call, EINVAL);
	}
}

/* --- the rest --- */

static enum gdb_answer command_detach(struct gdb_call *call)
{
	gdb_ok(call);
	return GDB_DETACH;
}

static void locked(struct vm *vm, void (*command)(struct vm *vm))
{
	pthread_mutex_lock(&vm->device_lock);
	command(vm);
	pthread_mutex_unlock(&vm->device_lock);
}

static enum gdb_answer command_kill(struct gdb_call *call)
{
	locked(call->vcpu->vm, command_quit);
	return GDB_QUIET;
}

static enum gdb_answer command_kill_process(struct gdb_call *call)
{
	locked(call->vcpu->vm, command_quit);
	return gdb_ok(call);
}

/* The guest stands at its first instruction afterwards. */
static enum gdb_answer command_restart(struct gdb_call *call)
{
	locked(call->vcpu->vm, command_system_reset);
	return GDB_QUIET;
}

/* Threads: there is one. */
static enum gdb_answer command_ok(struct gdb_call *call)
{
	return gdb_ok(call);
}

static enum gdb_answer command_nothing(struct gdb_call *call)
{
	return GDB_ANSWERED;
}

static const struct gdb_command commands[] = {
	{ "?", command_why },
	{ "!", command_ok },
	{ "g", command_get_all },
	{ "G", command_set_all },
	{ "p", command_get_one },
	{ "P", command_set_one },
	{ "m", command_read },
	{ "M", command_write_hex },
	{ "X", command_write_binary },
	{ "Z", gdb_insert_point },
	{ "z", gdb_remove_point },
	{ "c", command_continue },
	{ "C", command_continue_signal },
	{ "s", command_step },
	{ "S", command_step_signal },
	{ "vCont?", command_how },
	{ "vCont;", command_go },
	{ "vKill", command_kill_process },
	{ "vMustReplyEmpty", command_nothing },
	{ "D", command_detach },
	{ "k", command_kill },
	{ "R", command_restart },
	{ "H", command_ok },
	{ "T", command_ok },
};

const struct gdb_command *gdb_find(const struct gdb_command *table, size_t count,
				   struct gdb_call *call)
{
	for (size_t i = 0; i < count; i++) {
		const size_t len = strlen(table[i].name);

		if (strncmp(call->args, table[i].name, len))
			continue;
		call->args += len;
		call->len -= len;
		return &table[i];
	}
	return NULL;
}

enum gdb_answer gdb_execute(struct gdb_call *call)
{
	const struct gdb_command *found = gdb_find(gdb_queries, gdb_query_count, call);

	if (!found)
		found = gdb_find(commands, RF_ARRAY_SIZE(commands), call);
	return found ? found->run(call) : GDB_ANSWERED;
}
