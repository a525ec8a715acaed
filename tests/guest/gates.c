/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways between rings: interrupt and trap gates of both sizes, call gates with parameters, far RET
 * and IRET to outer rings, conforming code, SYSENTER and SYSEXIT (SDM vol. 3, 5.8 and 6.12; vol. 2,
 * CALL, RET, IRET).
 */
#include "guest.h"
#include "groups.h"

#define GATE SCRATCH(4)
#define TARGET SCRATCH(5)
#define EXTRA SCRATCH(6)

/* ---- interrupt and trap gates ---- */

SNIPPET(gt_int, "int $0x90\n gt_int_next:");
SNIPPET(gt_handler, "movl %cs, %eax; movl (%esp), %ecx; movl 4(%esp), %edx; movl 8(%esp), %ebx; "
		    "movl %esp, %esi; pushfl; popl %edi");
SNIPPET(gt_handler_back, "movl $0x1234, %eax; iretl");
extern char gt_int_next[];

static void gate_flags(unsigned ring)
{
	static const struct { const char *name; uint32_t type; bool keeps_if, is16; } types[] = {
		{ "int32", GATE_INT32, false, false }, { "trap32", GATE_TRAP32, true, false },
		{ "int16", GATE_INT16, false, true }, { "trap16", GATE_TRAP16, true, true },
	};

	for (unsigned i = 0; i < COUNT(types); i++) {
		struct regs regs = start_at(gt_int, ring);
		uint32_t stub = STUB(0x90),
			 in = FLAG_IF | FLAG_CF | FLAG_DF | FLAG_NT | FLAG_1 | IOPL(3);
		const struct trap *trap;

		if (types[i].is16) { /* their offsets have 16 bits */
			gdt_set(TARGET, segment(stub, 0xfffff, ATTR_CODE | ATTR_FLAT));
			idt[0x90] = gate(TARGET, 0, types[i].type | DPL(3), 0);
		} else {
			idt[0x90] = gate(KCODE, stub, types[i].type | DPL(3), 0);
		}
		regs.eflags = in;
		trap = types[i].is16 ? run_gate16(&regs) : run(&regs);
		check(trap->vector, 0x90, "%s.ring%u", types[i].name, ring);
		check(trap->regs.eip, ADDR(gt_int_next) & (types[i].is16 ? 0xffff : ~0u),
		      "%s.eip.ring%u", types[i].name, ring);
		check(trap->regs.cs, CODE(ring), "%s.cs.ring%u", types[i].name, ring);
		check(trap->regs.eflags, in & (types[i].is16 ? 0xffff : ~0u), "%s.saved.ring%u",
		      types[i].name, ring);
		check(trap->handler_eflags, (in & ~FLAG_NT & ~(types[i].keeps_if ? 0 : FLAG_IF)),
		      "%s.handler.ring%u", types[i].name, ring);
		if (ring) {
			check(trap->regs.esp, regs.esp & (types[i].is16 ? 0xffff : ~0u),
				"%s.esp.ring%u", types[i].name, ring);
			check(trap->regs.ss, DATA(ring), "%s.ss.ring%u", types[i].name, ring);
			check(trap->handler_esp, main_tss.stack[0].esp - (types[i].is16 ? 10 : 20),
				"%s.handler.esp.ring%u", types[i].name, ring);
			check(trap->handler_ss, KDATA, "%s.handler.ss.ring%u", types[i].name, ring);
		} else {
			check(trap->handler_esp, regs.esp - (types[i].is16 ? 6 : 12),
			      "%s.handler.esp.ring%u", types[i].name, ring);
		}
		/* Data segments stay as they were. */
		check(trap->regs.ds, DATA(ring), "%s.ds.ring%u", types[i].name, ring);
	}
}

/* A handler in ring `inner`, which looks at its frame and says DONE. */
static void handler_rings(unsigned ring, unsigned inner)
{
	struct regs regs = start_at(gt_int, ring);
	const struct trap *trap;

	idt[0x90] = gate(CODE(inner), ADDR(gt_handler), GATE_INT32 | DPL(3), 0);
	regs.eflags |= FLAG_IF | FLAG_CF;
	trap = run(&regs);
	if (ring < inner) {
		/* A handler must not be less privileged than what it interrupts. */
		check_trap(trap, GP, CODE(inner) & ~3u, gt_int, "handler%u.ring%u", inner, ring);
		return;
	}
	check_done(trap, "handler%u.ring%u", inner, ring);
	check(trap->regs.eax, CODE(inner), "handler%u.cs.ring%u", inner, ring);
	check(trap->regs.ecx, ADDR(gt_int_next), "handler%u.saved.eip.ring%u", inner, ring);
	check(trap->regs.edx & 0xffff, CODE(ring), "handler%u.saved.cs.ring%u", inner, ring);
	check(trap->regs.ebx, FLAG_IF | FLAG_CF | FLAG_1, "handler%u.saved.eflags.ring%u", inner,
	      ring);
	check(trap->regs.edi, FLAG_CF | FLAG_1, "handler%u.eflags.ring%u", inner, ring);
	check(trap->regs.esi, ring == inner ? regs.esp - 12 : main_tss.stack[inner].esp - 20,
	      "handler%u.esp.ring%u", inner, ring);
	idt[0x90] = gate(CODE(inner), ADDR(gt_handler_back), GATE_TRAP32 | DPL(3), 0);
	trap = run(&regs);
	check_done(trap, "handler%u.back.ring%u", inner, ring);
	check(trap->regs.eax, 0x1234, "handler%u.back.eax.ring%u", inner, ring);
	check(trap->regs.cs, CODE(ring), "handler%u.back.cs.ring%u", inner, ring);
	check(trap->regs.esp, regs.esp, "handler%u.back.esp.ring%u", inner, ring);
	check(trap->regs.eflags, regs.eflags, "handler%u.back.eflags.ring%u", inner, ring);
}

/*
 * Conforming code runs at the level it is entered from, if that is not more privileged than its
 * DPL.
 */
static void conforming_handler(unsigned ring)
{
	struct regs regs = start_at(gt_int, ring);
	const struct trap *trap;

	for (unsigned dpl = 0; dpl < 4; dpl++) {
		gdt_set(TARGET, segment(0, 0xfffff, ATTR_CONFORMING | ATTR_FLAT | DPL(dpl)));
		idt[0x90] = gate(TARGET, ADDR(gt_handler), GATE_INT32 | DPL(3), 0);
		trap = run(&regs);
		if (dpl > ring) {
			check_trap(trap, GP, TARGET, gt_int, "conforming%u.handler.ring%u", dpl,
				   ring);
			continue;
		}
		check_done(trap, "conforming%u.handler.ring%u", dpl, ring);
		check(trap->regs.eax, TARGET | ring, "conforming%u.handler.cs.ring%u", dpl, ring);
		check(trap->regs.esi, regs.esp - 12, "conforming%u.handler.esp.ring%u", dpl, ring);
	}
}

/* What can be wrong with a gate, its code and the stack. */
static void bad_gates(unsigned ring)
{
	struct regs regs = start_at(gt_int, ring);
	const uint32_t idt_error = 0x90 * 8 + 2;

	for (unsigned type = 0; type < 16; type++) {
		idt[0x90] = gate(KCODE, STUB(0x90), 0x80 | DPL(3) | type, 0);
		if (type != 5 && type != 6 && type != 7 && type != 14 && type != 15)
			check_trap(run(&regs), GP, idt_error, gt_int, "gate.type%u.ring%u", type,
				   ring);
	}
	idt[0x90] = gate(KCODE, STUB(0x90), 0x9e | DPL(3), 0); /* S set: no gate */
	check_trap(run(&regs), GP, idt_error, gt_int, "gate.s.ring%u", ring);
	idt[0x90] = gate(KCODE, STUB(0x90), (GATE_INT32 & ~ATTR_P) | DPL(3), 0);
	check_trap(run(&regs), NP, idt_error, gt_int, "gate.absent.ring%u", ring);
	for (unsigned dpl = 0; dpl < 4; dpl++) {
		idt[0x90] = gate(KCODE, STUB(0x90), (GATE_INT32 & ~ATTR_P) | DPL(dpl), 0);
		check_trap(run(&regs), dpl < ring ? GP : NP, idt_error, gt_int, "gate.dpl%u.ring%u",
			   dpl, ring);
	}
	idt[0x90] = gate(3, STUB(0x90), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), GP, 0, gt_int, "gate.null.ring%u", ring);
	idt[0x90] = gate(KDATA, STUB(0x90), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), GP, KDATA, gt_int, "gate.data.ring%u", ring);
	idt[0x90] = gate(sizeof(gdt), STUB(0x90), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), GP, sizeof(gdt), gt_int, "gate.behind.ring%u", ring);
	idt[0x90] = gate(TARGET | 4, STUB(0x90), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), GP, TARGET | 4, gt_int, "gate.noldt.ring%u", ring);
	gdt_set(TARGET, segment(0, 0xfffff, (ATTR_CODE & ~ATTR_P) | ATTR_FLAT));
	idt[0x90] = gate(TARGET, STUB(0x90), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), NP, TARGET, gt_int, "gate.code.absent.ring%u", ring);
	gdt_set(TARGET, segment(0, 0xfff, ATTR_CODE | ATTR_DB));
	check_trap(run(&regs), GP, 0, gt_int, "gate.code.limit.ring%u", ring);
	/* RPL of the gate's selector does not matter. */
	idt[0x90] = gate(KCODE | 3, STUB(0x90), GATE_INT32 | DPL(3), 0);
	check(run(&regs)->vector, 0x90, "gate.rpl.ring%u", ring);
}

/* The stacks in the TSS, for handlers in ring 1. */
static void bad_stacks(void)
{
	static const struct { const char *name; uint32_t selector, attr, limit, vector; } ways[] = {
		{ "null", 0, 0, 0, TS }, { "null.rpl", 1, 0, 0, TS },
		{ "rpl", EXTRA, ATTR_DATA | ATTR_FLAT | DPL(1), 0xfffff, TS },
		{ "dpl", EXTRA | 1, ATTR_DATA | ATTR_FLAT, 0xfffff, TS },
		{ "readonly", EXTRA | 1, ATTR_DATA_RO | ATTR_FLAT | DPL(1), 0xfffff, TS },
		{ "code", EXTRA | 1, ATTR_CODE | ATTR_FLAT | DPL(1), 0xfffff, TS },
		{ "system", EXTRA | 1, ATTR_LDT | DPL(1), 0xfffff, TS },
		{ "behind", sizeof(gdt) | 1, 0, 0, TS },
		{ "absent", EXTRA | 1, (ATTR_DATA & ~ATTR_P) | ATTR_FLAT | DPL(1), 0xfffff, SS },
		{ "limit", EXTRA | 1, ATTR_DATA | ATTR_DB | DPL(1), 0x7f, SS },
	};
	struct regs regs = start_at(gt_int, 3);

	idt[0x90] = gate(CODE(1), ADDR(gt_handler), GATE_INT32 | DPL(3), 0);
	for (unsigned i = 0; i < COUNT(ways); i++) {
		gdt_set(EXTRA, segment(0, ways[i].limit, ways[i].attr));
		main_tss.stack[1].ss = ways[i].selector;
		check_trap(run(&regs), ways[i].vector, ways[i].selector & ~3u, gt_int, "stack.%s",
			ways[i].name);
	}
	/* A frame that just fits, and one that does not. */
	gdt_set(EXTRA, segment(ADDR(user_data), 0xff, ATTR_DATA | ATTR_DB | DPL(1)));
	main_tss.stack[1].ss = EXTRA | 1;
	main_tss.stack[1].esp = 20;
	idt[0x90] = gate(CODE(1), ADDR(gt_handler_back), GATE_INT32 | DPL(3), 0);
	check(run(&regs)->regs.eax, 0x1234, "stack.fits");
	main_tss.stack[1].esp = 19;
	check_trap(run(&regs), SS, EXTRA, gt_int, "stack.too.small");
	main_tss.stack[1].esp = STACK_TOP(1) - 1024;
	main_tss.stack[1].ss = DATA(1);
	/*
	 * A TSS that ends before the stack it should hold. The handlers of ring 0 still find
	 * theirs.
	 */
	gdt_set(MAIN_TSS, segment(ADDR(&main_tss), 0x67, ATTR_TSS32));
	load_tr(MAIN_TSS);
	idt[0x90] = gate(CODE(2), ADDR(gt_handler_back), GATE_INT32 | DPL(3), 0);
	check(run(&regs)->regs.eax, 0x1234, "stack.tss.smallest");
	machine_reset();
}

void group_gates(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		gate_flags(ring);
		for (unsigned inner = 0; inner < 4; inner++)
			handler_rings(ring, inner);
		conforming_handler(ring);
		bad_gates(ring);
	}
	bad_stacks();
}
