/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the stubs are called, for profiles and maps of the code cache. Async-signal-safe. */
#include "tu.h"

static const char *const callout_names[CALLOUT_COUNT] = {
	[CALLOUT_INTERPRET] = "interpret", [CALLOUT_INTEGER] = "interpret-integer",
	[CALLOUT_LOAD_CR3] = "load-cr3", [CALLOUT_INT] = "int", [CALLOUT_IRET] = "iret",
	[CALLOUT_SYSENTER] = "sysenter", [CALLOUT_SYSEXIT] = "sysexit",
	[CALLOUT_LOAD_SEGMENT] = "load-segment", [CALLOUT_INVLPG] = "invlpg",
	[CALLOUT_FAR_JUMP] = "far-jump", [CALLOUT_FAR_CALL] = "far-call",
	[CALLOUT_FAR_RETURN] = "far-return",
	[CALLOUT_SOFT] = "soft-tlb", [CALLOUT_STORE] = "store",
	[CALLOUT_STORE_WORD] = "store-word", [CALLOUT_STORE_BYTE] = "store-byte",
	[CALLOUT_PUSH_WORD] = "push-word", [CALLOUT_PUSH_LONG] = "push-long",
};

_Static_assert(CALLOUT_COUNT == CALLOUT_PUSH_LONG + 1 && CALLOUT_COUNT == 18,
	       "each callout has a name above");

const char *translator_callout_name(enum callout which)
{
	return callout_names[which];
}

#define FIRST_CALLOUT 16u
#define STUBS (FIRST_CALLOUT + CALLOUT_COUNT)

/* Entry i of no particular order; false: there is none. */
static bool stub_entry(const struct translator *tr, unsigned i, struct tc_stub *stub)
{
	const struct tc_stub named[FIRST_CALLOUT] = {
		{ TC_STUB_ENTER, "enter", tr->stub_enter, 0 },
		{ TC_STUB_LEAVE, "leave", tr->stub_leave, 0 },
		{ TC_STUB_LINK, "link", tr->stub_link, 0 },
		{ TC_STUB_LOOKUP, "return-miss", tr->stub_return_miss, 0 },
		{ TC_STUB_LOOKUP, "lookup", tr->stub_lookup, 0 },
		{ TC_STUB_LOOKUP, "lookup-miss", tr->stub_lookup_miss, 0 },
		{ TC_STUB_CALLED, "soft-read", tr->stub_soft[ACCESS_READ], 0 },
		{ TC_STUB_CALLED, "soft-write", tr->stub_soft[ACCESS_WRITE], 0 },
		{ TC_STUB_CALLED, "dual-read", tr->stub_dual[ACCESS_READ], 0 },
		{ TC_STUB_CALLED, "dual-write", tr->stub_dual[ACCESS_WRITE], 0 },
		{ TC_STUB_CALLED, "load-es", tr->stub_segment[X86_ES], 0 },
		{ TC_STUB_CALLED, "load-ds", tr->stub_segment[X86_DS], 0 },
		{ TC_STUB_CALLED, "load-fs", tr->stub_segment[X86_FS], 0 },
		{ TC_STUB_CALLED, "load-gs", tr->stub_segment[X86_GS], 0 },
		{ TC_STUB_CALLED, "clac", tr->stub_ac[false], 0 },
		{ TC_STUB_CALLED, "stac", tr->stub_ac[true], 0 },
	};

	if (i < FIRST_CALLOUT)
		*stub = named[i];
	else if (i < STUBS)
		*stub = (struct tc_stub){ TC_STUB_CALLED, callout_names[i - FIRST_CALLOUT],
					  tr->stub_callout[i - FIRST_CALLOUT], 0 };
	else
		return false;
	return true;
}

/* The stub that starts next after pc, or at it. */
static bool stub_next(const struct translator *tr, cache_pc pc, struct tc_stub *next)
{
	struct tc_stub stub;
	bool found = false;

	for (unsigned i = 0; stub_entry(tr, i, &stub); i++) {
		if (stub.start < pc || (found && stub.start >= next->start))
			continue;
		*next = stub;
		found = true;
	}
	return found;
}

/* A stub ends where the next starts, the last one at the end of all. */
static void stub_complete(const struct translator *tr, struct tc_stub *stub)
{
	struct tc_stub next;

	stub->end = stub_next(tr, stub->start + 1, &next) ? next.start :
							    tr->exec_base + tr->stubs_len;
}

bool translator_stub(const struct translator *tr, unsigned i, struct tc_stub *stub)
{
	cache_pc from = tr->exec_base;

	do {
		if (!stub_next(tr, from, stub))
			return false;
		from = stub->start + 1;
	} while (i--);
	stub_complete(tr, stub);
	return true;
}

bool translator_stub_at(const struct translator *tr, cache_pc pc, struct tc_stub *stub)
{
	struct tc_stub other;
	bool found = false;

	if (pc < tr->exec_base || pc >= tr->exec_base + tr->stubs_len)
		return false;
	for (unsigned i = 0; stub_entry(tr, i, &other); i++) {
		if (other.start <= pc && other.start >= tr->exec_base &&
		    (!found || other.start > stub->start)) {
			*stub = other;
			found = true;
		}
	}
	if (found)
		stub_complete(tr, stub);
	return found;
}
