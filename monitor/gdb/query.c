/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the client asks about the target, and monitor commands (appendix E.4). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"
#include "monitor/control/control.h"
#include "registers.h"

#define OUTPUT_PIECE 1024 /* bytes of a monitor command's answer in one packet */

static enum gdb_answer query_supported(struct gdb_call *call)
{
	gdb_text_add(call->reply,
		     "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+",
		     GDB_PACKET_MOST);
	return GDB_ANSWERED;
}

/* On the vCPU thread; what comes in meanwhile waits, so the server looks at it afterwards only. */
static enum gdb_answer query_no_ack(struct gdb_call *call)
{
	call->gdb->wants_no_ack = true;
	return gdb_ok(call);
}

static enum gdb_answer query_attached(struct gdb_call *call)
{
	gdb_text_add(call->reply, "1");
	return GDB_ANSWERED;
}

static enum gdb_answer query_current_thread(struct gdb_call *call)
{
	gdb_text_add(call->reply, "QC01");
	return GDB_ANSWERED;
}

static enum gdb_answer query_first_threads(struct gdb_call *call)
{
	gdb_text_add(call->reply, "m01");
	return GDB_ANSWERED;
}

static enum gdb_answer query_more_threads(struct gdb_call *call)
{
	gdb_text_add(call->reply, "l");
	return GDB_ANSWERED;
}

static enum gdb_answer query_thread_text(struct gdb_call *call)
{
	const char *text = call->vcpu->cpu.halted ? "CPU#0 [halted]" : "CPU#0 [running]";

	gdb_text_add_hex(call->reply, text, strlen(text));
	return GDB_ANSWERED;
}

/* "target.xml:OFFSET,LENGTH" */
static enum gdb_answer query_description(struct gdb_call *call)
{
	static const char name[] = "target.xml:";
	const size_t size = strlen(gdb_target_xml);
	const char *text = call->args;
	uint64_t offset, len;

	if (strncmp(text, name, strlen(name)))
		return gdb_error(call, ENOENT);
	text += strlen(name);
	if (!gdb_take_number(&text, &offset) || !gdb_take_char(&text, ',') ||
	    !gdb_take_number(&text, &len) || *text || offset > size)
		return gdb_error(call, EINVAL);
	/* Room for bytes that have to be escaped. */
	len = len < GDB_PACKET_MOST / 2 ? len : GDB_PACKET_MOST / 2;
	len = len < size - offset ? len : size - offset;
	gdb_text_add(call->reply, offset + len < size ? "m" : "l");
	gdb_text_add_binary(call->reply, gdb_target_xml + offset, len);
	return GDB_ANSWERED;
}

/* --- memory by physical address, under the names that QEMU gave it --- */

static enum gdb_answer query_physical(struct gdb_call *call)
{
	gdb_text_add(call->reply, "%d", call->gdb->physical);
	return GDB_ANSWERED;
}

static enum gdb_answer query_set_physical(struct gdb_call *call)
{
	uint64_t on;
	const char *text = call->args;

	if (!gdb_take_number(&text, &on) || *text)
		return gdb_error(call, EINVAL);
	call->gdb->physical = on;
	return gdb_ok(call);
}

/* --- monitor commands --- */

static void send_output(struct gdb_call *call, const char *text, size_t size)
{
	for (size_t n; size; text += n, size -= n) {
		n = size < OUTPUT_PIECE ? size : OUTPUT_PIECE;
		gdb_text_clear(call->reply);
		gdb_text_add(call->reply, "O");
		gdb_text_add_hex(call->reply, text, n);
		gdb_send(call->gdb, call->reply);
	}
	gdb_text_clear(call->reply);
}

static enum gdb_answer query_monitor(struct gdb_call *call)
{
	char line[512] = "", *text = NULL;
	const size_t len = strlen(call->args) / 2;
	const char *args = call->args;
	size_t size;
	FILE *out;

	if (len >= sizeof(line) || !gdb_take_bytes(&args, line, len) || *args)
		return gdb_error(call, EINVAL);
	out = open_memstream(&text, &size);
	if (!out)
		return gdb_error(call, ENOMEM);
	prompt_run_line(call->vcpu, line, out);
	fclose(out);
	send_output(call, text, size);
	free(text);
	return gdb_ok(call);
}

const struct gdb_command gdb_queries[] = {
	{ "qSupported", query_supported },
	{ "QStartNoAckMode", query_no_ack },
	{ "qAttached", query_attached },
	{ "qC", query_current_thread },
	{ "qfThreadInfo", query_first_threads },
	{ "qsThreadInfo", query_more_threads },
	{ "qThreadExtraInfo,", query_thread_text },
	{ "qXfer:features:read:", query_description },
	{ "qRcmd,", query_monitor },
	{ "qqemu.PhyMemMode", query_physical },
	{ "Qqemu.PhyMemMode:", query_set_physical },
};

const size_t gdb_query_count = RF_ARRAY_SIZE(gdb_queries);
