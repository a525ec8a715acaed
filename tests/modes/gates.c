/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gates and returns (SDM vol. 3, 5.8 and 6.12; vol. 2, CALL, JMP, RET, INT n, IRET): through
 * interrupt, trap and call gates of 286 and 386 from each mode, into code of each kind, onto stacks
 * that are no good; far returns to an outer ring, and what becomes of the data segments there.
 * Faults are taken by tasks, whose lines have the registers of the moment.
 */
#include "modes.h"

/* The inner stack's top and where the gates lead: INT3 at 200h of CASE_X. */
enum { INNER_TOP = 0x1000, HANDLER = 0x200, MOST = 160 };

enum origin { RING0, RING3, RING3_16, V86, ORIGINS };
static const char *const origin_names[ORIGINS] = { "p32 ring0", "p32 ring3", "p16 ring3", "v86" };

static const struct { const char *name; unsigned attr; } interrupt_gates[] = {
	{ "int286", ATTR_INT16 }, { "trap286", ATTR_TRAP16 }, { "int386", ATTR_INT32 },
	{ "trap386", ATTR_TRAP32 },
}, call_gates[] = {
	{ "gate286", ATTR_CALL16 }, { "gate386", ATTR_CALL32 },
};

/* ---- what is at the other end ---- */

static unsigned gate_attr, gate_selector, gate_offset, params;

static void target(unsigned attr)
{
	set_descriptor(CASE_X, CODE_BASE, 0xffff, attr);
}

static void good(void) {}
static void gate_ring3(void) { gate_attr |= ATTR_RING3; }
static void gate_ring0(void) { gate_attr &= ~ATTR_RING3; }
static void gate_absent(void) { gate_attr &= ~0x80; }
static void conforming(void) { target(0x9e); }
static void conforming3(void) { target(0x9e | ATTR_RING3); }
static void code3(void) { target(ATTR_CODE3); }
static void rpl3(void) { gate_selector |= 3; }
static void absent(void) { target(ATTR_CODE0 & ~0x80); }
static void data(void) { target(ATTR_DATA0); }
static void unreadable(void) { target(0x98); }
static void null(void) { gate_selector = 3; }
static void beyond(void) { gate_selector = 0x1000; }
static void local(void) { gate_selector |= 4; }
static void gate_to_gate(void) { gate_selector = CASE_GATE_B; }
static void limit(void) { set_descriptor(CASE_X, CODE_BASE, HANDLER - 1, ATTR_CODE0); }
static void high_offset(void) { gate_offset |= 0x10000; }
static void stack_null(void) { current_tss()->ss0 = 0; }
static void stack_rpl(void) { current_tss()->ss0 |= 3; }
static void stack_beyond(void) { current_tss()->ss0 = 0x1000; }
static void stack_readonly(void) { set_descriptor(CASE_Y, STACK_BASE, 0xffff, 0x91); }
static void stack_ring3(void) { current_tss()->ss0 = RING3_DATA; }
static void stack_absent(void) { set_descriptor(CASE_Y, STACK_BASE, 0xffff, 0x13); }
static void stack_limit(void) { set_descriptor(CASE_Y, STACK_BASE, INNER_TOP - 2, ATTR_DATA0); }
static void stack_bottom(void) { current_tss()->esp0 = 10; }
static void stack_wraps(void) { current_tss()->esp0 = 4; }
static void stack_big(void) { set_descriptor(CASE_Y, STACK_BASE, 0xffff, ATTR_DATA0 | ATTR_B); }
static void stack_down(void) { set_descriptor(CASE_Y, STACK_BASE, INNER_TOP - 9, 0x97); }
static void tss_limit(void) { gdt[KERNEL_TSS / 8] = (gdt[KERNEL_TSS / 8] & ~0xffffull) | 8; }
static void params3(void) { params = 3; }
static void params31(void) { params = 31; }

static const struct flaw { const char *name; void (*make)(void); } flaws[] = {
	{ "good", good }, { "gate ring3", gate_ring3 }, { "gate ring0", gate_ring0 },
	{ "gate absent", gate_absent },
	{ "conforming", conforming }, { "conforming ring3", conforming3 }, { "ring3", code3 },
	{ "rpl", rpl3 }, { "absent", absent }, { "data", data }, { "unreadable", unreadable },
	{ "null", null }, { "beyond", beyond }, { "local", local }, { "gate", gate_to_gate },
	{ "limit", limit }, { "high offset", high_offset }, { "stack null", stack_null },
	{ "stack rpl", stack_rpl }, { "stack beyond", stack_beyond },
	{ "stack readonly", stack_readonly }, { "stack ring3", stack_ring3 },
	{ "stack absent", stack_absent }, { "stack limit", stack_limit },
	{ "stack bottom", stack_bottom }, { "stack wraps", stack_wraps },
	{ "stack big", stack_big }, { "stack down", stack_down }, { "tss limit", tss_limit },
	/* only calls */
	{ "3 parameters", params3 }, { "31 parameters", params31 },
};
enum { FLAWS = sizeof(flaws) / sizeof(flaws[0]), INTERRUPT_FLAWS = FLAWS - 2 };

/* ---- through a gate ---- */

static void prepare(enum origin origin, struct regs *r)
{
	machine_reset();
	faults_by_task();
	if (origin == V86)
		v86_segments(r, 3);
	else
		usual_segments(r, origin == RING0 ? 0 : 3, origin != RING3_16);
	current_tss()->ss0 = CASE_Y;
	current_tss()->esp0 = INNER_TOP;
	target(ATTR_CODE0);
	set_descriptor(CASE_Y, STACK_BASE, 0xffff, ATTR_DATA0);
	__builtin_memset((void *)(STACK_BASE + INNER_TOP - 0xa0), 0, 0xa0);
	*(uint8_t *)(CODE_BASE + HANDLER) = 0xcc;
	gate_selector = CASE_X;
	gate_offset = HANDLER;
	params = 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The frame on the inner stack: what lies between the handler's ESP and the top. */
static void report_gate(const char *what, const char *name, const struct regs *r)
{
	const struct regs *now = &outcome.regs;
	const uint32_t base = STACK_BASE + (now->esp & 0xffff);

	report_start(what, name, r);
	if (!outcome.task && now->ss == CASE_Y && base <= STACK_BASE + INNER_TOP)
		report_words("frame", base, least(base + MOST, STACK_BASE + INNER_TOP), 2);
	else if (!outcome.task && !(now->cs & 3) && now->ss == CASE_SS)
		report_words("frame", base, STACK_BASE + 0x800, 2);
	print(" accessed=%b", (uint32_t)(gdt[CASE_X / 8] >> 40 & 0xff));
	report_end();
}

static void run_interrupt(enum origin origin, unsigned gate, unsigned flaw)
{
	static const uint8_t code[] = { 0xcd, 0x50 };
	static char what[40];
	struct regs r;

	prepare(origin, &r);
	place_code(code, code + 2, CODE_AT);
	gate_attr = interrupt_gates[gate].attr | ATTR_RING3;
	r.eflags |= FLAG_CF | FLAG_NT * (origin == RING3);
	flaws[flaw].make();
	set_gate(&idt[0x50], gate_selector, gate_offset, gate_attr);
	set_gate(&gdt[CASE_GATE_B / 8], CASE_X, HANDLER, ATTR_CALL32 | ATTR_RING3);
	run(&r);
	join(what, origin_names[origin], interrupt_gates[gate].name);
	report_gate(what, flaws[flaw].name, &r);
}

/* lcall or ljmp to the gate; 16 bits of offset in 16-bit code. */
static void run_call(enum origin origin, bool call, unsigned gate, unsigned flaw)
{
	static uint8_t code[7];
	static char what[40], both[40];
	struct regs r;
	unsigned n = 0;

	prepare(origin, &r);
	code[n++] = call ? 0x9a : 0xea;
	for (unsigned i = 0; i < (origin == RING3_16 ? 2 : 4); i++)
		code[n++] = 0x77;
	code[n++] = CASE_GATE | (origin == RING0 ? 0 : 3);
	code[n++] = 0;
	place_code(code, code + n, CODE_AT);
	gate_attr = call_gates[gate].attr | ATTR_RING3;
	flaws[flaw].make();
	set_gate(&gdt[CASE_GATE / 8], gate_selector, gate_offset, gate_attr);
	gdt[CASE_GATE / 8] |= (uint64_t)params << 32;
	set_gate(&gdt[CASE_GATE_B / 8], CASE_X, HANDLER, ATTR_CALL32 | ATTR_RING3);
	run(&r);
	join(both, call ? "call" : "jmp", call_gates[gate].name);
	join(what, origin_names[origin], both);
	report_gate(what, flaws[flaw].name, &r);
}

/* ---- returns ---- */

/* What CS and SS on the stack are, with ring 3's in CASE_CS and CASE_SS. */
static const struct { const char *name; uint16_t cs, ss, cs_attr, ss_attr; } returns[] = {
	{ "good", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "unused", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3 & ~1, ATTR_DATA3 & ~1 },
	{ "ring1", CASE_CS | 1, CASE_SS | 1, 0xbb, 0xb3 },
	{ "cs rpl 1", CASE_CS | 1, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "cs rpl 0", CASE_CS, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "cs null", 3, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "cs beyond", 0x1003, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "cs data", CASE_SS | 3, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "cs absent", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3 & ~0x80, ATTR_DATA3 },
	{ "cs conforming 0", CASE_CS | 3, CASE_SS | 3, 0x9e, ATTR_DATA3 },
	{ "cs conforming 3", CASE_CS | 1, CASE_SS | 1, 0xfe, 0xb3 },
	{ "ss null", CASE_CS | 3, 3, ATTR_CODE3, ATTR_DATA3 },
	{ "ss rpl 0", CASE_CS | 3, CASE_SS, ATTR_CODE3, ATTR_DATA3 },
	{ "ss ring0", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3, ATTR_DATA0 },
	{ "ss readonly", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3, 0xf1 },
	{ "ss code", CASE_CS | 3, CASE_CS | 3, ATTR_CODE3, ATTR_DATA3 },
	{ "ss absent", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 & ~0x80 },
	{ "ss beyond", CASE_CS | 3, 0x1003, ATTR_CODE3, ATTR_DATA3 },
	{ "ss big", CASE_CS | 3, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 | ATTR_B },
	{ "same ring", CASE_X, CASE_SS | 3, ATTR_CODE3, ATTR_DATA3 },
};

static const struct {
	const char *name;
	uint8_t code[4];
	bool flags, wide;
	unsigned extra;
} exits[] = {
	{ "lretw", { 0x66, 0xcb }, false, false, 0 },
	{ "lretl", { 0xcb }, false, true, 0 },
	{ "lretl 8", { 0xca, 8, 0 }, false, true, 8 },
	{ "iretw", { 0x66, 0xcf }, true, false, 0 },
	{ "iretl", { 0xcf }, true, true, 0 },
};
enum { EXITS = sizeof(exits) / sizeof(exits[0]), RETURNS = sizeof(returns) / sizeof(returns[0]) };

static uint8_t *push(uint8_t *top, uint32_t value, bool wide)
{
	top -= wide ? 4 : 2;
	__builtin_memcpy(top, &value, wide ? 4 : 2);
	return top;
}

/* DS is ring 0's, ES ring 3's, FS conforming code of ring 0, GS null. */
static void run_return(unsigned how, unsigned to)
{
	uint8_t *top = (uint8_t *)STACK_BASE + INNER_TOP;
	struct regs r;

	prepare(RING0, &r);
	set_descriptor(CASE_CS, CODE_BASE, 0xffff, returns[to].cs_attr);
	set_descriptor(CASE_SS, STACK_BASE, 0xffff, returns[to].ss_attr);
	set_descriptor(INNER_CODE, CODE_BASE, 0xffff, 0x9e);
	set_descriptor(CASE_X, CODE_BASE, 0xffff, ATTR_CODE0 | ATTR_B);
	r.cs = CASE_X;
	r.ss = CASE_Y;
	r.ds = KERNEL_DATA;
	r.es = RING3_DATA | 3;
	r.fs = INNER_CODE;
	r.gs = 0;
	place_code(exits[how].code, exits[how].code + 4, CODE_AT);
	top = push(top, returns[to].ss, exits[how].wide);
	top = push(top, 0x12340800, exits[how].wide);
	top -= exits[how].extra;
	if (exits[how].flags)
		top = push(top, 0x97 | FLAG_NT | FLAG_IOPL(1), exits[how].wide);
	top = push(top, returns[to].cs, exits[how].wide);
	top = push(top, HANDLER, exits[how].wide);
	r.esp = (uint32_t)top - STACK_BASE;
	run(&r);
	report_start(exits[how].name, returns[to].name, &r);
	print(" accessed=%b,%b", (uint32_t)(gdt[CASE_CS / 8] >> 40 & 0xff),
	      (uint32_t)(gdt[CASE_SS / 8] >> 40 & 0xff));
	report_end();
}

void run_gates(void)
{
	for (unsigned origin = 0; origin < ORIGINS; origin++) {
		for (unsigned gate = 0; gate < 4; gate++)
			for (unsigned flaw = 0; flaw < INTERRUPT_FLAWS; flaw++)
				run_interrupt(origin, gate, flaw);
	}
	for (unsigned origin = 0; origin < V86; origin++) {
		for (unsigned way = 0; way < 4; way++)
			for (unsigned flaw = 0; flaw < FLAWS; flaw++)
				run_call(origin, way & 1, way >> 1, flaw);
	}
	for (unsigned how = 0; how < EXITS; how++) {
		for (unsigned to = 0; to < RETURNS; to++)
			run_return(how, to);
	}
}
