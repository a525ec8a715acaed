/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Breakpoints and watchpoints: "TYPE,ADDR,KIND" (appendix E.2, 'z'). */
#include <errno.h>
#include "internal.h"

/* Software and hardware breakpoints are the same here: neither is seen by the guest. */
enum point { POINT_SOFTWARE, POINT_HARDWARE, POINT_WRITE, POINT_READ, POINT_ACCESS };

static bool take_point(const char *text, uint64_t *type, struct debugger_watchpoint *w)
{
	static const enum debugger_watch kind[] = { [POINT_WRITE] = DEBUGGER_WRITES,
						    [POINT_READ] = DEBUGGER_READS,
						    [POINT_ACCESS] = DEBUGGER_ACCESSES };
	uint64_t address, len;

	if (!gdb_take_number(&text, type) || !gdb_take_char(&text, ',') ||
	    !gdb_take_number(&text, &address) || !gdb_take_char(&text, ',') ||
	    !gdb_take_number(&text, &len) || *text || *type > POINT_ACCESS || len > UINT32_MAX ||
	    (*type >= POINT_WRITE && !len))
		return false;
	*w = (struct debugger_watchpoint){ .start = (gva_t)address, .len = (uint32_t)len,
					   .kind = kind[*type] };
	return true;
}

/* The engine may have room for fewer than there is here. */
static int heed(struct vcpu *vcpu)
{
	const struct engine *engine = vcpu->engine;

	return engine && engine->debug_check ? engine->debug_check(vcpu) : 0;
}

/* What is there already is no error: a client that lost an answer asks again. */
enum gdb_answer gdb_insert_point(struct gdb_call *call)
{
	struct vcpu *vcpu = call->vcpu;
	struct debugger_watchpoint w;
	uint64_t type;
	int err;

	if (!take_point(call->args, &type, &w))
		return gdb_error(call, EINVAL);
	err = w.kind ? debugger_insert_watchpoint(vcpu, &w) :
		       debugger_insert_breakpoint(vcpu, w.start);
	if (!err && (err = heed(vcpu)) &&
	    (w.kind ? debugger_remove_watchpoint(vcpu, &w) :
		      debugger_remove_breakpoint(vcpu, w.start)))
		return gdb_error(call, EIO);
	return err && err != -EEXIST ? gdb_error(call, err) : gdb_ok(call);
}

enum gdb_answer gdb_remove_point(struct gdb_call *call)
{
	struct vcpu *vcpu = call->vcpu;
	struct debugger_watchpoint w;
	uint64_t type;
	int err;

	if (!take_point(call->args, &type, &w))
		return gdb_error(call, EINVAL);
	err = w.kind ? debugger_remove_watchpoint(vcpu, &w) :
		       debugger_remove_breakpoint(vcpu, w.start);
	return err && err != -ENOENT ? gdb_error(call, err) : gdb_ok(call);
}
