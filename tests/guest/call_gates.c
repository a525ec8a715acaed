/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Call gates, far RET to outer rings and what it does to segment registers, SYSENTER and SYSEXIT.
 */
#include "guest.h"
#include "groups.h"

#define GATE SCRATCH(4)
#define TARGET SCRATCH(5)
#define EXTRA SCRATCH(6)

/* ---- call gates ---- */

SNIPPET(cg_call,
	"pushl $0x3333; pushl $0x2222; pushl $0x1111\n cg_call_at: lcall *(%ebx)\n cg_call_back:");
SNIPPET(cg_callw, "pushw $0x3333; pushw $0x2222; pushw $0x1111\n cg_callw_at: lcall *(%ebx); int "
		  "$0x81\n cg_callw_end:");
SNIPPET(cg_jump, "ljmp *(%ebx)");
SNIPPET(cg_look, "movl %esp, %esi; movl (%esp), %ecx; movl 8(%esp), %edx; movl 16(%esp), %edi; "
		 "movl 20(%esp), %eax");
SNIPPET(cg_return, "movl 8(%esp), %eax; lret $12");
SNIPPET(cg_return0, "movl %cs, %eax; lret");
SNIPPET(cg_return16, "movw 4(%esp), %ax; lretw $6");
extern char cg_call_at[], cg_call_back[], cg_callw_at[], cg_callw_end[];

static struct regs calling(const void *code, unsigned ring, uint16_t selector)
{
	struct regs regs = start_at(code, ring);

	regs.ebx = ADDR(user_data);
	user_data[0] = 0xdeadbeef; /* the offset, which a gate ignores */
	user_data[1] = selector;
	return regs;
}

/* To every inner ring (or the same), with three parameters, and back. */
static void parameters(unsigned ring, unsigned inner)
{
	struct regs regs = calling(cg_call, ring, GATE | 3);
	const struct trap *trap;
	bool changes = inner != ring;

	gdt_set(GATE, gate(CODE(inner) & ~3u, ADDR(cg_look), GATE_CALL32 | DPL(3), 3));
	trap = run(&regs);
	if (inner > ring) {
		check_trap(trap, GP, CODE(inner) & ~3u, cg_call_at, "to%u.ring%u", inner, ring);
		return;
	}
	check_done(trap, "to%u.ring%u", inner, ring);
	check(trap->regs.cs, CODE(inner), "to%u.cs.ring%u", inner, ring);
	check(trap->regs.ecx, ADDR(cg_call_back), "to%u.eip.ring%u", inner, ring);
	check(trap->regs.edx, 0x1111, "to%u.first.ring%u", inner, ring);
	check(trap->regs.edi, 0x3333, "to%u.third.ring%u", inner, ring);
	check(trap->regs.esi, changes ? main_tss.stack[inner].esp - 28 : regs.esp - 20,
	      "to%u.esp.ring%u", inner, ring);
	if (changes)
		check(trap->regs.eax, regs.esp - 12, "to%u.caller.esp.ring%u", inner, ring);
	gdt_set(GATE, gate(CODE(inner) & ~3u, ADDR(cg_return), GATE_CALL32 | DPL(3), 3));
	trap = run(&regs);
	check_done(trap, "to%u.back.ring%u", inner, ring);
	check(trap->regs.eax, 0x1111, "to%u.back.parameter.ring%u", inner, ring);
	check(trap->regs.cs, CODE(ring), "to%u.back.cs.ring%u", inner, ring);
	check(trap->regs.esp, regs.esp, "to%u.back.esp.ring%u", inner, ring);
	check(trap->regs.ss, ring ? DATA(ring) : KDATA, "to%u.back.ss.ring%u", inner, ring);
	/* 31 parameters: the most. */
	regs.esp -= 128;
	gdt_set(GATE, gate(CODE(inner) & ~3u, ADDR(cg_look), GATE_CALL32 | DPL(3), 31));
	trap = run(&regs);
	check(trap->regs.esi, changes ? main_tss.stack[inner].esp - 16 - 124 : regs.esp - 20,
	      "to%u.31.ring%u", inner, ring);
}

/*
 * The same by a 16-bit gate. Both code segments start at their snippets, since offsets have 16
 * bits.
 */
static void parameters16(unsigned ring, unsigned inner)
{
	struct regs regs = calling(cg_callw, ring, GATE | 3);
	const struct trap *trap;

	gdt_set(TARGET, segment(ADDR(cg_return16), 0xfffff, ATTR_CODE | ATTR_FLAT | DPL(inner)));
	gdt_set(EXTRA, segment(ADDR(cg_callw), 0xfffff, ATTR_CODE | ATTR_FLAT | DPL(ring)));
	gdt_set(GATE, gate(TARGET, 0, GATE_CALL16 | DPL(3), 3));
	regs.cs = EXTRA | ring;
	regs.eip = 0;
	regs.esp &= 0xffff;
	gdt_set(SCRATCH(7),
		segment(STACK_TOP(ring) & ~0xffffu, 0xfffff, ATTR_DATA | ATTR_FLAT | DPL(ring)));
	regs.ss = SCRATCH(7) | ring;
	trap = run(&regs);
	if (inner > ring) {
		check_trap(trap, GP, TARGET, (void *)(cg_callw_at - cg_callw), "to%u.16.ring%u",
			   inner, ring);
		return;
	}
	check_done(trap, "to%u.16.ring%u", inner, ring);
	check(trap->regs.eax & 0xffff, 0x1111, "to%u.16.parameter.ring%u", inner, ring);
	check(trap->regs.cs, EXTRA | ring, "to%u.16.cs.ring%u", inner, ring);
	check(trap->regs.eip, cg_callw_end - cg_callw, "to%u.16.eip.ring%u", inner, ring);
	check(trap->regs.esp, regs.esp, "to%u.16.esp.ring%u", inner, ring);
}

static void call_checks(unsigned ring)
{
	struct regs regs = calling(cg_jump, ring, GATE | 3);
	struct regs call = calling(cg_call, ring, GATE | 3);

	for (unsigned dpl = 0; dpl < 4; dpl++)
		for (unsigned rpl = 0; rpl < 4; rpl++) {
			bool allowed = ring <= dpl && rpl <= dpl;

			user_data[1] = GATE | rpl;
			gdt_set(GATE, gate(CODE(ring) & ~3u, ADDR(cg_return0),
					   GATE_CALL32 | DPL(dpl), 0));
			if (allowed)
				check_done(run(&call), "dpl%u.rpl%u.ring%u", dpl, rpl, ring);
			else
				check_trap(run(&call), GP, GATE, cg_call_at, "dpl%u.rpl%u.ring%u",
					   dpl, rpl, ring);
			/* Privilege comes before presence. */
			gdt_set(GATE, gate(CODE(ring) & ~3u, ADDR(cg_return0),
					   (GATE_CALL32 & ~ATTR_P) | DPL(dpl), 0));
			check_trap(run(&call), allowed ? NP : GP, GATE, cg_call_at,
				   "absent.dpl%u.rpl%u.ring%u", dpl, rpl, ring);
		}
	user_data[1] = GATE | 3;
	/* A jump stays at its level. */
	for (unsigned inner = 0; inner <= ring; inner++) {
		gdt_set(GATE, gate(CODE(inner) & ~3u, ADDR(cg_look), GATE_CALL32 | DPL(3), 0));
		if (inner == ring)
			check(run(&regs)->regs.cs, CODE(ring), "jump.same.ring%u", ring);
		else
			check_trap(run(&regs), GP, CODE(inner) & ~3u, cg_jump, "jump.to%u.ring%u",
				   inner, ring);
		gdt_set(TARGET, segment(0, 0xfffff, ATTR_CONFORMING | ATTR_FLAT | DPL(inner)));
		gdt_set(GATE, gate(TARGET, ADDR(cg_look), GATE_CALL32 | DPL(3), 0));
		check(run(&regs)->regs.cs, TARGET | ring, "jump.conforming%u.ring%u", inner, ring);
		check(run(&call)->regs.cs, TARGET | ring, "call.conforming%u.ring%u", inner, ring);
	}
	gdt_set(GATE, gate(0, ADDR(cg_look), GATE_CALL32 | DPL(3), 0));
	check_trap(run(&call), GP, 0, cg_call_at, "code.null.ring%u", ring);
	gdt_set(GATE, gate(KDATA, ADDR(cg_look), GATE_CALL32 | DPL(3), 0));
	check_trap(run(&call), GP, KDATA, cg_call_at, "code.data.ring%u", ring);
	gdt_set(GATE, gate(MAIN_TSS, ADDR(cg_look), GATE_CALL32 | DPL(3), 0));
	check_trap(run(&call), GP, MAIN_TSS, cg_call_at, "code.tss.ring%u", ring);
	gdt_set(TARGET, segment(0, 0xfffff, (ATTR_CODE & ~ATTR_P) | ATTR_FLAT));
	gdt_set(GATE, gate(TARGET, ADDR(cg_look), GATE_CALL32 | DPL(3), 0));
	check_trap(run(&call), NP, TARGET, cg_call_at, "code.absent.ring%u", ring);
	gdt_set(TARGET, segment(0, 0xfff, ATTR_CODE | ATTR_DB));
	check_trap(run(&call), GP, 0, cg_call_at, "code.limit.ring%u", ring);
	check(gdt[TARGET / 8] >> 40 & 1, 0, "code.limit.accessed.ring%u", ring);
}

/* Stacks in the TSS, as for interrupts. */
static void call_stacks(void)
{
	static const struct { const char *name; uint32_t selector, attr, limit, vector; } ways[] = {
		{ "null", 0, 0, 0, TS },
		{ "rpl", EXTRA, ATTR_DATA | ATTR_FLAT | DPL(1), 0xfffff, TS },
		{ "dpl", EXTRA | 1, ATTR_DATA | ATTR_FLAT, 0xfffff, TS },
		{ "readonly", EXTRA | 1, ATTR_DATA_RO | ATTR_FLAT | DPL(1), 0xfffff, TS },
		{ "absent", EXTRA | 1, (ATTR_DATA & ~ATTR_P) | ATTR_FLAT | DPL(1), 0xfffff, SS },
		{ "limit", EXTRA | 1, ATTR_DATA | ATTR_DB | DPL(1), 0x7f, SS },
	};
	struct regs regs = calling(cg_call, 3, GATE | 3);

	gdt_set(GATE, gate(CODE(1) & ~3u, ADDR(cg_look), GATE_CALL32 | DPL(3), 3));
	for (unsigned i = 0; i < COUNT(ways); i++) {
		const struct trap *trap;

		gdt_set(EXTRA, segment(0, ways[i].limit, ways[i].attr));
		main_tss.stack[1].ss = ways[i].selector;
		trap = run(&regs);
		check_trap(trap, ways[i].vector, ways[i].selector & ~3u, cg_call_at, "stack.%s",
			ways[i].name);
		check(trap->regs.esp, regs.esp - 12, "stack.%s.esp", ways[i].name);
	}
	machine_reset();
}

/* ---- far RET to an outer ring ---- */

SNIPPET(fr_return, "pushl %ecx; pushl %edx; pushl %ebx; pushl $fr_to\n fr_return_at: lret\n fr_to: "
		   "movl %ds, %eax");
SNIPPET(fr_return_imm, "pushl %ecx; pushl %edx; pushl $2; pushl $1; pushl %ebx; pushl $fr_imm_to; "
		       "lret $8\n fr_imm_to:");
extern char fr_return_at[], fr_to[];

static struct regs returning(const void *code, unsigned from, unsigned to)
{
	struct regs regs = start_at(code, from);

	regs.ebx = CODE(to);
	regs.ecx = DATA(to);
	regs.edx = STACK_TOP(to) - 512;
	return regs;
}

static void far_returns(unsigned from, unsigned to)
{
	static const struct {
		const char *name;
		uint32_t selector, attr;
		bool keeps;
	} segments[] = {
		{ "data3", EXTRA | 3, ATTR_DATA | ATTR_FLAT | DPL(3), true },
		{ "code3", EXTRA | 3, ATTR_CODE | ATTR_FLAT | DPL(3), true },
		{ "conforming0", EXTRA, ATTR_CONFORMING | ATTR_FLAT, true },
		{ "data0", EXTRA, ATTR_DATA | ATTR_FLAT, false },
		{ "code0", EXTRA, ATTR_CODE | ATTR_FLAT, false },
	};
	struct regs regs = returning(fr_return, from, to);
	const struct trap *trap = run(&regs);

	check_done(trap, "return.from%u.to%u", from, to);
	check(trap->regs.cs, CODE(to), "return.from%u.to%u.cs", from, to);
	check(trap->regs.ss, DATA(to), "return.from%u.to%u.ss", from, to);
	check(trap->regs.esp, regs.edx, "return.from%u.to%u.esp", from, to);
	regs.eip = ADDR(fr_return_imm);
	check(run(&regs)->regs.esp, regs.edx + 8, "return.imm.from%u.to%u.esp", from, to);
	regs.eip = ADDR(fr_return);
	/* Registers that the outer ring could not have loaded become null. */
	for (unsigned i = 0; i < COUNT(segments) && !from; i++) {
		gdt_set(EXTRA, segment(0, 0xfffff, segments[i].attr));
		regs.ds = regs.es = regs.fs = regs.gs = segments[i].selector;
		trap = run(&regs);
		check(trap->regs.ds, segments[i].keeps ? segments[i].selector : 0,
		      "return.%s.ds.to%u", segments[i].name, to);
		check(trap->regs.es & 0xffff, segments[i].keeps ? segments[i].selector : 0,
		      "return.%s.es.to%u", segments[i].name, to);
		check(trap->regs.fs & 0xffff, segments[i].keeps ? segments[i].selector : 0,
		      "return.%s.fs.to%u", segments[i].name, to);
		check(trap->regs.gs & 0xffff, segments[i].keeps ? segments[i].selector : 0,
		      "return.%s.gs.to%u", segments[i].name, to);
	}
}

static void bad_returns(void)
{
	static const struct { const char *name; uint32_t cs, cs_attr, ss, ss_attr, vector,
		error; } ways[] = {
		{ "cs.null", 0, 0, 0, 0, GP, 0 }, { "cs.null3", 3, 0, 0, 0, GP, 0 },
		{ "cs.data", DATA(3), 0, DATA(3), 0, GP, DATA(3) & ~3u },
		{ "cs.behind", sizeof(gdt) | 3, 0, DATA(3), 0, GP, sizeof(gdt) },
		{ "cs.dpl", TARGET | 3, ATTR_CODE | DPL(2), DATA(3), 0, GP, TARGET },
		/* RPL below the current level */
		{ "cs.inner", TARGET, ATTR_CODE, DATA(3), 0, GP, TARGET },
		{ "cs.absent", TARGET | 3, (ATTR_CODE & ~ATTR_P) | DPL(3), DATA(3), 0, NP, TARGET },
		{ "cs.conforming", TARGET | 2, ATTR_CONFORMING | DPL(3), DATA(2), 0, GP, TARGET },
		{ "ss.null", CODE(3), 0, 0, 0, GP, 0 }, { "ss.null3", CODE(3), 0, 3, 0, GP, 0 },
		{ "ss.rpl", CODE(3), 0, EXTRA | 2, ATTR_DATA | DPL(3), GP, EXTRA },
		{ "ss.dpl", CODE(3), 0, EXTRA | 3, ATTR_DATA | DPL(2), GP, EXTRA },
		{ "ss.readonly", CODE(3), 0, EXTRA | 3, ATTR_DATA_RO | DPL(3), GP, EXTRA },
		{ "ss.absent", CODE(3), 0, EXTRA | 3, (ATTR_DATA & ~ATTR_P) | DPL(3), SS, EXTRA },
		{ "ss.behind", CODE(3), 0, sizeof(gdt) | 3, 0, GP, sizeof(gdt) },
	};

	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs = returning(fr_return, 1, 3);
		const struct trap *trap;

		gdt_set(TARGET, segment(0, 0xfffff, ways[i].cs_attr | ATTR_FLAT));
		gdt_set(EXTRA, segment(0, 0xfffff, ways[i].ss_attr | ATTR_FLAT));
		regs.ebx = ways[i].cs;
		regs.ecx = ways[i].ss;
		trap = run(&regs);
		check_trap(trap, ways[i].vector, ways[i].error, fr_return_at, "return.%s",
			ways[i].name);
		check(trap->regs.esp, regs.esp - 16, "return.%s.esp", ways[i].name);
		check(trap->regs.cs, CODE(1), "return.%s.cs", ways[i].name);
	}
	/* EIP outside the segment: #GP(0), still in the old ring. */
	gdt_set(TARGET, segment(0, 0xff, ATTR_CODE | ATTR_DB | DPL(3)));
	{
		struct regs regs = returning(fr_return, 1, 3);

		regs.ebx = TARGET | 3;
		check_trap(run(&regs), GP, 0, fr_return_at, "return.limit");
	}
}

/* ---- SYSENTER, SYSEXIT ---- */

enum { MSR_CS = 0x174, MSR_ESP, MSR_EIP };

SNIPPET(se_enter, "sysenter");
SNIPPET(se_entered, "pushfl; popl %eax; movl %cs, %ebx; movl %ss, %ebp; movl %esp, %esi");
SNIPPET(se_exit, "sysexit");
SNIPPET(se_back, "movl $0xe11, %eax");
SNIPPET(se_round, "movl $5, %ebx; xorl %eax, %eax; 1: movl %esp, %ecx; movl $2f, %edx; sysenter; "
		  "2: incl %eax; decl %ebx; jnz 1b");

static void fast_calls(unsigned ring)
{
	struct regs regs = start_at(se_enter, ring);
	const struct trap *trap;

	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t attrs[] = { ATTR_CODE, ATTR_DATA, ATTR_CODE | DPL(3),
						  ATTR_DATA | DPL(3) };

		gdt_set(SCRATCH(8 + i), segment(0, 0xfffff, attrs[i] | ATTR_FLAT));
	}
	write_msr(MSR_CS, sparing_qemu ? 0 : 3); /* null is null with any RPL; QEMU wants zero */
	check_trap(run(&regs), GP, 0, se_enter, "sysenter.null.ring%u", ring);
	write_msr(MSR_CS, SCRATCH(8) | 3);
	write_msr(MSR_ESP, STACK_TOP(0) - 64);
	write_msr(MSR_EIP, ADDR(se_entered));
	regs.eflags |= FLAG_IF | FLAG_CF | FLAG_DF;
	trap = run(&regs);
	check_done(trap, "sysenter.ring%u", ring);
	check(trap->regs.eax, FLAG_CF | FLAG_DF | FLAG_1, "sysenter.eflags.ring%u", ring);
	check(trap->regs.ebx, SCRATCH(8), "sysenter.cs.ring%u", ring);
	check(trap->regs.ebp, SCRATCH(9), "sysenter.ss.ring%u", ring);
	check(trap->regs.esi, STACK_TOP(0) - 64, "sysenter.esp.ring%u", ring);
	check(trap->regs.ds, DATA(ring), "sysenter.ds.ring%u", ring);
	regs.eip = ADDR(se_exit);
	regs.ecx = STACK_TOP(3) - 32;
	regs.edx = ADDR(se_back);
	trap = run(&regs);
	if (ring) {
		check_trap(trap, GP, 0, se_exit, "sysexit.ring%u", ring);
	} else {
		check_done(trap, "sysexit");
		check(trap->regs.eax, 0xe11, "sysexit.eax");
		check(trap->regs.cs, SCRATCH(10) | 3, "sysexit.cs");
		check(trap->regs.ss, SCRATCH(11) | 3, "sysexit.ss");
		check(trap->regs.esp, STACK_TOP(3) - 32, "sysexit.esp");
		write_msr(MSR_CS, 0);
		check_trap(run(&regs), GP, 0, se_exit, "sysexit.null");
		write_msr(MSR_CS, SCRATCH(8));
	}
	if (ring == 3) {
		write_msr(MSR_EIP, ADDR(se_exit));
		regs.eip = ADDR(se_round);
		regs.eflags &= ~FLAG_DF;
		trap = run(&regs);
		check_done(trap, "sysenter.sysexit");
		check(trap->regs.eax, 5, "sysenter.sysexit.rounds");
		check(trap->regs.cs, SCRATCH(10) | 3, "sysenter.sysexit.cs");
	}
}

void group_call_gates(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		for (unsigned inner = 0; inner < 4; inner++) {
			parameters(ring, inner);
			parameters16(ring, inner);
		}
		call_checks(ring);
		for (unsigned to = ring + 1; to < 4; to++)
			far_returns(ring, to);
		fast_calls(ring);
	}
	call_stacks();
	bad_returns();
}
