/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A debugger's connection.
 *
 *   packet.c     packets: framing, checksums, repetition; knows no VM
 *   registers.c  registers by gdb's numbers, and what gdb is told of them
 *   server.c     the connection: acknowledgements, Ctrl-C, commands to the vCPU's thread and
 *                answers from it, stops
 *   commands.c   commands: registers, memory, going on
 *   points.c     breakpoints and watchpoints
 *   query.c      'q' and 'Q': what is supported, threads, the description, monitor commands
 */
#ifndef RF_MONITOR_GDB_INTERNAL_H
#define RF_MONITOR_GDB_INTERNAL_H

#include "gdb.h"
#include "packet.h"

#define GDB_INPUT 4096u

struct gdb {
	struct vm *vm;
	struct chardev *chardev;

	/* Under the device lock. */
	uint8_t input[GDB_INPUT]; /* [used, have) waits until the command before it is done */
	size_t used, have;
	char frame[GDB_FRAME_MOST]; /* the last packet sent, for a client that asks again */
	size_t frame_len;
	bool connected, no_ack;
	bool wants_no_ack; /* the command under way does; the vCPU thread's */
	bool busy;      /* with the command in reader: nobody else touches that */
	bool stale;     /* the client who gave it has gone */
	bool resumed;   /* the client waits to hear of a stop */
	bool stands_for_client; /* the guest would run if there were no client */
	bool telling, leaving;  /* the work is queued */

	struct gdb_reader reader;
	struct vm_work work;  /* to carry out the command */
	struct vm_work tell;  /* to tell of a stop */
	struct vm_work leave; /* to undo what a client has left */

	/* The vCPU thread's. */
	struct gdb_text reply;
	bool physical;  /* memory commands are by physical address */
};

/* server.c: one more packet, in the middle of a command; on the vCPU thread. */
void gdb_send(struct gdb *gdb, const struct gdb_text *text);

/* A command being carried out, on the vCPU thread without the device lock. */
struct gdb_call {
	struct gdb *gdb;
	struct vcpu *vcpu;
	const char *args; /* what follows its name */
	size_t len;       /* of that: it may be binary */
	struct gdb_text *reply;
};

enum gdb_answer {
	GDB_ANSWERED, /* the reply is sent, empty or not */
	GDB_RESUME,   /* the guest goes on; the answer is that it stopped */
	GDB_STEP,     /* the same after one instruction */
	GDB_DETACH,   /* the reply is sent, and the guest goes on without the client */
	GDB_QUIET,    /* there is none */
};

struct gdb_command {
	const char *name; /* what the body begins with */
	enum gdb_answer (*run)(struct gdb_call *call);
};

/* commands.c: carries out what the body says. What is not known is answered by nothing. */
enum gdb_answer gdb_execute(struct gdb_call *call);
/* The command in a table, or NULL; call->args is moved behind its name. */
const struct gdb_command *gdb_find(const struct gdb_command *table, size_t count,
				   struct gdb_call *call);
/* "OK", or "E" and a number: an errno, negative or not. */
enum gdb_answer gdb_ok(struct gdb_call *call);
enum gdb_answer gdb_error(struct gdb_call *call, int err);
/* Why the guest stands: for '?', and when it stops. */
void gdb_stop_reply(const struct vcpu *vcpu, struct gdb_text *reply);

/* points.c */
enum gdb_answer gdb_insert_point(struct gdb_call *call);
enum gdb_answer gdb_remove_point(struct gdb_call *call);

/* query.c: parts of the table. */
extern const struct gdb_command gdb_queries[];
extern const size_t gdb_query_count;

#endif
