/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stubs that enter and leave translated code and call C functions, run on the host: the guest's
 * registers, flags and FPU state are on each side what they were on the other. Judge: the
 * conventions (translator/conventions.h, translator.h).
 */
#include <criterion/criterion.h>
#include <string.h>
#include "stub_fixture.h"

/* --- Entering and leaving --- */

static void enter_and_leave(void)
{
	for (unsigned i = 0; i < some_nflags; i++) {
		prepare(some_flags[i]);
		expect_far_away("nothing", run(NULL, 0, RING0, 0));
		expect_registers("nothing", cpu->regs, initial);
		cr_expect_eq(cpu->eflags, some_flags[i] | X86_F1, "%x", cpu->eflags);
	}
}

Test(stubs, code_is_entered_and_left_with_all_state)
{
	on_each_host(enter_and_leave);
}

static void enter_with_event(void)
{
	prepare(0);
	atomic_store(&cpu->events, EVENT_STOP);
	cr_expect_eq(run(NULL, 0, RING0, 0), TC_LEAVE_RESUME);
	tc->tcw.event_mask = ~EVENT_STOP;
	expect_far_away("a masked event", run(NULL, 0, RING0, 0));
}

Test(stubs, code_is_not_entered_with_an_event_that_counts)
{
	on_each_host(enter_with_event);
}

/* --- Callouts --- */

#define BY_NOTHING (-1)
static const struct callout_case {
	const char *name;
	enum callout which;
	uint8_t code[4];
	unsigned len;
	uint32_t mode, adapt;
	int from; /* the register whose bits in mask the argument has */
	uint32_t mask, more;
	bool ends;
} callouts[] = {
	{ "cpuid", CALLOUT_INTEGER, { 0x0f, 0xa2 }, 2, RING3, 0, BY_NOTHING, 0, 0, false },
	{ "fxsave", CALLOUT_INTERPRET, { 0x0f, 0xae, 0x03 }, 3, RING0, 0, BY_NOTHING, 0, 0, false },
	{ "mov cr3, eax", CALLOUT_LOAD_CR3, { 0x0f, 0x22, 0xd8 }, 3, RING0, 0, X86_EAX, ~0u, 0,
	  false },
	{ "invlpg [ebx]", CALLOUT_INVLPG, { 0x0f, 0x01, 0x3b }, 3, RING0, 0, X86_EBX, ~0u, 0,
	  false },
	{ "mov es, eax", CALLOUT_LOAD_SEGMENT, { 0x8e, 0xc0 }, 2, RING0, 0, X86_EAX, 0xffff,
	  X86_ES << 16, false },
	{ "mov ds, ecx", CALLOUT_LOAD_SEGMENT, { 0x8e, 0xd9 }, 2, RING0, 0, X86_ECX, 0xffff,
	  X86_DS << 16, false },
	{ "mov fs, esi", CALLOUT_LOAD_SEGMENT, { 0x8e, 0xe6 }, 2, RING0, 0, X86_ESI, 0xffff,
	  X86_FS << 16, false },
	{ "mov gs, edi", CALLOUT_LOAD_SEGMENT, { 0x8e, 0xef }, 2, RING3, 0, X86_EDI, 0xffff,
	  X86_GS << 16, false },
	{ "mov [ebx], ebp", CALLOUT_STORE, { 0x89, 0x2b }, 2, RING3, ADAPT_INTERPRET, X86_EBP, ~0u,
	  0, false },
	{ "int 80h", CALLOUT_INT, { 0xcd, 0x80 }, 2, RING3, 0, BY_NOTHING, 0, 0x80, true },
	{ "iret", CALLOUT_IRET, { 0xcf }, 1, RING0, 0, BY_NOTHING, 0, 0, true },
	{ "sysenter", CALLOUT_SYSENTER, { 0x0f, 0x34 }, 2, RING3, 0, BY_NOTHING, 0, 0, true },
	{ "sysexit", CALLOUT_SYSEXIT, { 0x0f, 0x35 }, 2, RING0, 0, BY_NOTHING, 0, 0, true },
};

static enum tc_leave run_case(const struct callout_case *c, uint32_t eflags)
{
	prepare(eflags);
	return run(c->code, c->len, c->mode, c->adapt);
}

/* What C code was given. */
static void expect_seen(const struct callout_case *c, uint32_t eflags)
{
	const uint32_t value = c->from == BY_NOTHING ? 0 : initial[c->from],
		       argument = (value & c->mask) | c->more;

	cr_assert_eq(seen.times, 1, "%s: %u callouts", c->name, seen.times);
	cr_assert_eq(seen.which, c->which, "%s: callout %u", c->name, seen.which);
	expect_registers(c->name, seen.regs, initial);
	cr_expect_eq(seen.eflags, eflags | X86_F1, "%s: flags %x", c->name, seen.eflags);
	cr_expect_eq(seen.eip, CODE, "%s", c->name);
	cr_expect_eq(seen.next_eip, CODE + c->len, "%s: next %x", c->name, seen.next_eip);
	cr_expect_eq(seen.argument, argument, "%s: argument %x", c->name, seen.argument);
	cr_expect(!(seen.host_flags & X86_DF), "%s: DF is set", c->name);
	if (c->which <= CALLOUT_LOAD_CR3)
		cr_expect_eq(seen.mxcsr, MXCSR_FOR_C, "%s: MXCSR %x", c->name, seen.mxcsr);
	if (c->which == CALLOUT_STORE)
		cr_expect_eq(seen.linear, initial[X86_EBX], "%s", c->name);
}

/* What the callout left is the guest's, wherever that goes on. */
static void expect_done(const struct callout_case *c, uint32_t eflags)
{
	expect_registers(c->name, cpu->regs, todo.regs);
	cr_expect_eq(cpu->eflags, eflags | X86_F1, "%s: flags %x", c->name, cpu->eflags);
}

/* todo's flags are what the guest's are not. */
static void call_out(const struct callout_case *c, uint32_t eflags, int result, bool spill)
{
	const uint32_t other = eflags ^ (X86_ARITH_FLAGS | X86_DF | X86_IF | X86_AC);
	enum tc_leave why;

	todo.result = result;
	todo.eflags = other | X86_F1;
	todo.events = 0;
	todo.spill = spill;
	why = run_case(c, eflags);
	expect_seen(c, eflags);
	if (result == CALLOUT_NEXT)
		expect_far_away(c->name, why);
	else if (result == CALLOUT_JUMP)
		cr_expect(why == TC_LEAVE_LOOKUP && cpu->eip == TARGET, "%s: %u at %x", c->name,
			  why, cpu->eip);
	else
		cr_expect_eq(why, result - CALLOUT_LEAVE(0), "%s: left for %u", c->name, why);
	expect_done(c, other);
}

static void all_callouts(void)
{
	static const int results[] = { CALLOUT_NEXT, CALLOUT_JUMP, CALLOUT_LEAVE(TC_LEAVE_RESUME),
				       CALLOUT_LEAVE(TC_LEAVE_DEAD) };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(callouts); i++)
	for (unsigned r = callouts[i].ends; r < RF_ARRAY_SIZE(results); r++)
	for (unsigned f = 0; f < some_nflags; f++)
		call_out(&callouts[i], some_flags[f], results[r], f & 1);
}

Test(stubs, callouts_see_and_change_all_state)
{
	on_each_host(all_callouts);
}

/* An event that a callout raised; an interrupt counts only if the guest takes it. */
static void callouts_with_events(void)
{
	static const struct { uint32_t events, eflags; bool goes_on; } cases[] = {
		{ 0, 0, true }, { 0, X86_IF, true }, { EVENT_INTR, 0, true },
		{ EVENT_INTR, X86_IF, false }, { EVENT_STOP, 0, false },
		{ EVENT_INTR | EVENT_NMI, 0, false },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(callouts); i++)
	for (unsigned k = 0; !callouts[i].ends && k < RF_ARRAY_SIZE(cases); k++) {
		enum tc_leave why;

		todo.result = CALLOUT_NEXT;
		todo.eflags = cases[k].eflags | X86_F1;
		todo.events = cases[k].events;
		why = run_case(&callouts[i], 0);
		cr_expect_eq(why, cases[k].goes_on ? TC_LEAVE_LINK : TC_LEAVE_RESUME, "%s, %u: %u",
			     callouts[i].name, k, why);
		expect_done(&callouts[i], cases[k].eflags);
	}
}

Test(stubs, callouts_heed_events)
{
	on_each_host(callouts_with_events);
}

static void jumps_with_events(void)
{
	const struct callout_case *c = &callouts[RF_ARRAY_SIZE(callouts) - 3];

	todo.result = CALLOUT_JUMP;
	todo.events = EVENT_NMI;
	prepare(0);
	cr_expect_eq(run(c->code, c->len, c->mode, 0), TC_LEAVE_RESUME);
	cr_expect_eq(cpu->eip, TARGET);
	prepare(0);
	tc->tcw.event_mask = ~EVENT_NMI;
	cr_expect_eq(run(c->code, c->len, c->mode, 0), TC_LEAVE_LOOKUP);
	cr_expect_eq(cpu->eip, TARGET);
}

Test(stubs, jumps_heed_events_of_the_mask)
{
	on_each_host(jumps_with_events);
}

/* --- Look-ups --- */

/* jmp eax */
static const uint8_t jump_eax[] = { 0xff, 0xe0 };

/* To what the branch cache lacks, and to what it has: there a jump to FAR_AWAY is. */
static void branch_lookup(void)
{
	struct tu *target, *from;

	for (unsigned f = 0; f < some_nflags; f++) {
		prepare(some_flags[f]);
		cpu->regs[X86_EAX] = TARGET;
		cr_expect_eq(run(jump_eax, 2, RING3, 0), TC_LEAVE_LOOKUP);
		cr_expect(cpu->eip == TARGET && cpu->regs[X86_EAX] == TARGET);
		cr_expect_eq(cpu->eflags, some_flags[f] | X86_F1, "%x", cpu->eflags);
		cpu->regs[X86_EAX] = initial[X86_EAX];
		expect_registers("jmp eax", cpu->regs, initial);
	}
	from = translate_code(jump_eax, 2, RING3, 0);
	memcpy(guest_page + (TARGET - PAGE), "\xe9\x73\x3e\x34\x12", 5);
	target = translator_find(tr, space, TARGET, RING3);
	cr_assert_not_null(target);
	translator_cache_branch(tr, space, target);
	prepare(0);
	cpu->regs[X86_EAX] = TARGET;
	translator_use_space(tr, cpu, space, RING3);
	cr_expect_eq(translator_enter(tr, cpu, from), TC_LEAVE_LINK);
	cr_expect_eq(translator_exit_target(tr, translator_exit_taken(cpu)), FAR_AWAY);
	cpu->regs[X86_EAX] = initial[X86_EAX];
	expect_registers("jmp eax", cpu->regs, initial);
}

Test(stubs, branches_are_looked_up)
{
	on_each_host(branch_lookup);
}

/* --- In place --- */

/* Whether the first instruction of the unit calls C code. */
static bool calls_out(const struct tu *tu)
{
	const uint8_t *code = tr->write_base + (tu->entry - tr->exec_base);
	const uint32_t end = tu->ninsns > 1 ? tu->insn[1].host_offset : tu->body_len;

	for (uint32_t at = tu->insn[0].host_offset; at + 5 <= end; at++) {
		int32_t rel;

		memcpy(&rel, code + at + 1, 4);
		for (unsigned i = 0; code[at] == 0xe8 && i < CALLOUT_COUNT; i++) {
			if (tu->entry + at + 5 + rel == tr->stub_callout[i])
				return true;
		}
	}
	return false;
}

/* In ring 3, where these are frequent (docs/translation.md). */
static void in_place(void)
{
	static const uint8_t codes[][3] = {
		{ 0x50 }, { 0x54 }, { 0x5b }, { 0x5c }, { 0x60 }, { 0x61 }, { 0x68 }, { 0x6a },
		{ 0x74, 0x10 }, { 0x8c, 0xd8 }, { 0x8d, 0x03 }, { 0x8f, 0x03 }, { 0x9c },
		{ 0xa4 }, { 0xab }, { 0xc2 }, { 0xc3 }, { 0xc9 }, { 0xe2, 0x10 }, { 0xe8 },
		{ 0xe9 }, { 0xeb, 0x10 }, { 0xff, 0xd0 }, { 0xff, 0xe0 }, { 0xff, 0x33 },
		{ 0x0f, 0x85 }, { 0x0f, 0xbd, 0xc0 }, { 0x1e }, { 0x0f, 0xa0 }, { 0x01, 0x03 },
	};

	prepare(0);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(codes); i++)
		cr_expect(!calls_out(translate_code(codes[i], 3, RING3, 0)), "%02x %02x %02x",
			  codes[i][0], codes[i][1], codes[i][2]);
	cr_expect(calls_out(translate_code((const uint8_t[]){ 0x0f, 0xa2 }, 2, RING3, 0)), "cpuid");
}

Test(stubs, what_is_frequent_calls_nothing)
{
	on_each_host(in_place);
}
