/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task switches by CALL, JMP, task gates, interrupts and IRET, with TSSs of both sizes: what is
 * saved and loaded, busy and nested flags, CR0.TS, LDT and CR3, the debug trap, and what goes wrong
 * (SDM vol. 3, chapter 7).
 *
 * The other task runs a snippet that ends with INT DONE, so that its registers are seen; then the
 * main task is put back.
 */
#include "guest.h"
#include "groups.h"

#define OTHER SCRATCH(8)
#define GATE SCRATCH(9)
#define LDT SCRATCH(10)
#define BAD SCRATCH(11)

struct tss16 {
	uint16_t link;
	struct { uint16_t sp, ss; } stack[3];
	uint16_t ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};

/* In a page of its own each, so that one can be taken away. */
static struct tss other __attribute__((aligned(4096)));
static struct tss16 other16 __attribute__((aligned(4096)));
static uint64_t ldt[4];

SNIPPET(ts_jump, "ljmp *(%ebx)\n ts_jump_next: nop");
SNIPPET(ts_call, "lcall *(%ebx)\n ts_call_next: nop");
SNIPPET(ts_int, "int $0x91\n ts_int_next: nop");
SNIPPET(ts_there, "nop");
SNIPPET(ts_there_back, "movl $0x7777, %eax; iretl\n ts_there_again: movl $0x8888, %eax");
SNIPPET(ts_error, "popl %ecx; movl %esp, %edx");
SNIPPET(ts_ud, "ud2");
extern char ts_jump_next[], ts_call_next[], ts_int_next[], ts_there_again[];

static bool is_busy(uint16_t selector)
{
	return gdt[selector / 8] >> 41 & 1;
}

/* The other task as it starts in every test: ring `ring`, flat, at `where`. */
static void prepare(const void *where, unsigned ring)
{
	machine_reset();
	__builtin_memset(&other, 0, 104);
	other.eip = ADDR(where);
	other.eflags = FLAG_1 | FLAG_CF | FLAG_SF;
	other.eax = 0xa;
	other.ecx = 0xc;
	other.edx = 0xd;
	other.ebx = 0xb;
	other.esp = STACK_TOP(ring) - 2048;
	other.ebp = 0xebb;
	other.esi = 0x51;
	other.edi = 0xd1;
	other.es = other.ds = other.fs = other.gs = other.ss = DATA(ring);
	other.cs = CODE(ring);
	other.cr3 = read_cr3();
	other.io_map = sizeof(other);
	other.stack[0].esp = main_tss.stack[0].esp - 1024;
	other.stack[0].ss = KDATA;
	gdt_set(OTHER, segment(ADDR(&other), 0x67, ATTR_TSS32 | DPL(3)));
	gdt_set(GATE, gate(OTHER, 0, GATE_TASK | DPL(3), 0));
	idt[0x91] = gate(OTHER, 0, GATE_TASK | DPL(3), 0);
	user_data[0] = 0xdeadbeef;
	user_data[1] = OTHER;
}

static struct regs start_task(const void *code, unsigned ring, uint16_t selector)
{
	struct regs regs = start_at(code, ring);

	user_data[1] = selector;
	regs.ebx = ADDR(user_data);
	regs.eflags |= FLAG_PF | FLAG_ID;
	return regs;
}

/* The outgoing task's TSS holds what it had. */
static void check_saved(const struct regs *regs, const void *next, uint32_t eflags,
			const char *name, unsigned ring)
{
	check(main_tss.eip, ADDR(next), "%s.saved.eip.ring%u", name, ring);
	check(main_tss.eflags, eflags, "%s.saved.eflags.ring%u", name, ring);
	check(main_tss.eax == regs->eax && main_tss.ecx == regs->ecx && main_tss.edx == regs->edx &&
		      main_tss.ebx == regs->ebx,
	      1, "%s.saved.registers.ring%u", name, ring);
	check(main_tss.esp, regs->esp, "%s.saved.esp.ring%u", name, ring);
	check(main_tss.ebp == regs->ebp && main_tss.esi == regs->esi && main_tss.edi == regs->edi,
	      1, "%s.saved.pointers.ring%u", name, ring);
	check(main_tss.cs & 0xffff, CODE(ring), "%s.saved.cs.ring%u", name, ring);
	check(main_tss.ss & 0xffff, ring ? DATA(ring) : KDATA, "%s.saved.ss.ring%u", name, ring);
	check(main_tss.ds & 0xffff, DATA(ring), "%s.saved.ds.ring%u", name, ring);
	check(main_tss.gs & 0xffff, DATA(ring), "%s.saved.gs.ring%u", name, ring);
}

static void check_loaded(const struct trap *trap, uint32_t eflags, const char *name, unsigned ring)
{
	check_done(trap, "%s.ring%u", name, ring);
	check(trap->regs.eax == 0xa && trap->regs.ecx == 0xc && trap->regs.edx == 0xd &&
		      trap->regs.ebx == 0xb,
	      1, "%s.registers.ring%u", name, ring);
	check(trap->regs.ebp == 0xebb && trap->regs.esi == 0x51 && trap->regs.edi == 0xd1, 1,
	      "%s.pointers.ring%u", name, ring);
	check(trap->regs.esp, other.esp, "%s.esp.ring%u", name, ring);
	check(trap->regs.cs, other.cs, "%s.cs.ring%u", name, ring);
	check(trap->regs.eflags, eflags, "%s.eflags.ring%u", name, ring);
	check(read_cr0() & CR0_TS, CR0_TS, "%s.ts.ring%u", name, ring);
	write_cr0(read_cr0() & ~CR0_TS);
}

/* All ways in, from every ring to every ring. */
static void ways_in(unsigned ring, unsigned to)
{
	static const struct {
		const char *name;
		const void *code, *next;
		uint16_t selector;
		bool nested;
	} ways[] = {
		{ "jump.tss", ts_jump, ts_jump_next, OTHER, false },
		{ "jump.gate", ts_jump, ts_jump_next, GATE, false },
		{ "call.tss", ts_call, ts_call_next, OTHER, true },
		{ "call.gate", ts_call, ts_call_next, GATE, true },
		{ "int", ts_int, ts_int_next, 0, true },
	};

	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs;
		const struct trap *trap;

		prepare(ts_there, to);
		regs = start_task(ways[i].code, ring, ways[i].selector);
		trap = run(&regs);
		check_loaded(trap, other.eflags | (ways[i].nested ? FLAG_NT : 0), ways[i].name,
			     ring);
		check_saved(&regs, ways[i].next, regs.eflags, ways[i].name, ring);
		check(is_busy(OTHER), true, "%s.busy.ring%u", ways[i].name, ring);
		check(is_busy(MAIN_TSS), ways[i].nested, "%s.busy.old.ring%u", ways[i].name, ring);
		check(other.link & 0xffff, ways[i].nested ? MAIN_TSS : 0, "%s.link.ring%u",
		      ways[i].name, ring);
	}
}

/* There by CALL and back by IRET; the second time it goes on where it left. */
static void there_and_back(unsigned ring)
{
	struct regs regs;
	const struct trap *trap;

	prepare(ts_there_back, 0);
	regs = start_task(ts_call, ring, OTHER);
	trap = run(&regs);
	check_trap(trap, DONE, NO_ERROR, ts_call_next + 3, "back.ring%u", ring);
	check(trap->regs.eax, regs.eax, "back.eax.ring%u", ring);
	check(trap->regs.esp, regs.esp, "back.esp.ring%u", ring);
	check(trap->regs.cs, CODE(ring), "back.cs.ring%u", ring);
	check(trap->regs.eflags, regs.eflags, "back.eflags.ring%u", ring);
	check(is_busy(OTHER), false, "back.busy.ring%u", ring);
	check(is_busy(MAIN_TSS), true, "back.busy.main.ring%u", ring);
	check(other.eax, 0x7777, "back.saved.eax.ring%u", ring);
	check(other.eip, ADDR(ts_there_again), "back.saved.eip.ring%u", ring);
	check(other.eflags & FLAG_NT, 0, "back.saved.nt.ring%u", ring);
	trap = run(&regs);
	check(trap->regs.eax, 0x8888, "again.ring%u", ring);
	write_cr0(read_cr0() & ~CR0_TS);
	/* An interrupt's task gate: the same. */
	prepare(ts_there_back, 0);
	regs = start_task(ts_int, ring, 0);
	trap = run(&regs);
	check_trap(trap, DONE, NO_ERROR, ts_int_next + 3, "int.back.ring%u", ring);
	check(trap->regs.eflags, regs.eflags, "int.back.eflags.ring%u", ring);
	write_cr0(read_cr0() & ~CR0_TS);
}

/* TSSs of 16 bits. */
static void word_sized(void)
{
	struct regs regs;
	const struct trap *trap;
	uint32_t base = ADDR(ts_there);

	prepare(ts_there, 0);
	__builtin_memset(&other16, 0, sizeof(other16));
	gdt_set(SCRATCH(12), segment(base, 0xfffff, ATTR_CODE | ATTR_FLAT));
	/* A stack of 16 bits as well: the upper half of ESP is anybody's. */
	gdt_set(SCRATCH(13), segment(STACK_TOP(0) & ~0xffffu, 0xffff, ATTR_DATA));
	other16 = (struct tss16){
		.ip = 0, .flags = FLAG_1 | FLAG_CF, .ax = 0x1a, .cx = 0x1c, .dx = 0x1d, .bx = 0x1b,
		.sp = STACK_TOP(0) & 0xffff, .bp = 0x1bb, .si = 0x151, .di = 0x1d1, .es = KDATA,
		.cs = SCRATCH(12), .ss = SCRATCH(13), .ds = KDATA,
	};
	gdt_set(OTHER, segment(ADDR(&other16), sizeof(other16) - 1, ATTR_TSS16 | DPL(3)));
	regs = start_task(ts_call, 0, OTHER);
	trap = run(&regs);
	check_done(trap, "tss16");
	check(trap->regs.eax & 0xffff, 0x1a, "tss16.ax");
	check(trap->regs.edi & 0xffff, 0x1d1, "tss16.di");
	check(trap->regs.cs, SCRATCH(12), "tss16.cs");
	check(trap->regs.ds, KDATA, "tss16.ds");
	check((trap->regs.fs | trap->regs.gs) & 0xffff, 0, "tss16.fs.gs");
	check(trap->regs.eflags & 0xffff, FLAG_1 | FLAG_CF | FLAG_NT, "tss16.flags");
	check(other16.link, MAIN_TSS, "tss16.link");
	check(main_tss.eip, ADDR(ts_call_next), "tss16.saved.eip");
	/* And out of one: 16 bits of each register are saved, and nothing else. */
	prepare(ts_there, 0);
	__builtin_memset(&other16, 0, sizeof(other16));
	gdt_set(SCRATCH(14), segment(ADDR(&other16), sizeof(other16) - 1, ATTR_TSS16));
	load_tr(SCRATCH(14));
	regs = start_task(ts_jump, 0, OTHER);
	trap = run(&regs);
	check_loaded(trap, other.eflags, "from.tss16", 0);
	check(other16.ax, regs.eax & 0xffff, "from.tss16.ax");
	check(other16.sp, regs.esp & 0xffff, "from.tss16.sp");
	check(other16.ip, ADDR(ts_jump_next) & 0xffff, "from.tss16.ip");
	check(other16.ds, KDATA, "from.tss16.ds");
	check(other16.ldt, 0, "from.tss16.ldt");
	machine_reset();
	write_cr0(read_cr0() & ~CR0_TS);
}

/* What is found wrong in the old task: nothing has changed. */
static void refused(unsigned ring)
{
	static const struct {
		const char *name;
		uint32_t descriptor_attr, limit;
		uint32_t vector;
	} ways[] = {
		{ "busy", ATTR_TSS32_BUSY, 0x67, GP },
		{ "absent", ATTR_TSS32 & ~ATTR_P, 0x67, NP },
		{ "limit", ATTR_TSS32, 0x66, TS },
		{ "limit16", ATTR_TSS16, 0x2a, TS },
	};

	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs;
		const struct trap *trap;

		for (unsigned g = 0; g < 3; g++) {
			static const void *const codes[] = { ts_jump, ts_call, ts_call };

			prepare(ts_there, 0);
			gdt_set(OTHER, segment(ADDR(&other), ways[i].limit,
					       ways[i].descriptor_attr | DPL(3)));
			regs = start_task(codes[g], ring, g == 2 ? GATE : OTHER);
			trap = run(&regs);
			check_trap(trap, ways[i].vector, OTHER, codes[g], "refused.%s.way%u.ring%u",
				   ways[i].name, g, ring);
			check(is_busy(MAIN_TSS), true, "refused.%s.way%u.busy.ring%u", ways[i].name,
			      g, ring);
			check(other.link, 0, "refused.%s.way%u.link.ring%u", ways[i].name, g, ring);
		}
		regs = start_task(ts_int, ring, 0);
		check_trap(run(&regs), ways[i].vector, OTHER, ts_int, "refused.%s.int.ring%u",
			   ways[i].name, ring);
	}
	/* Privilege: the descriptor's, or the gate's. */
	for (unsigned dpl = 0; dpl < 4; dpl++) {
		struct regs regs;

		prepare(ts_there, 0);
		gdt_set(OTHER, segment(ADDR(&other), 0x67, ATTR_TSS32 | DPL(dpl)));
		regs = start_task(ts_jump, ring, OTHER);
		if (dpl < ring)
			check_trap(run(&regs), GP, OTHER, ts_jump, "dpl%u.tss.ring%u", dpl, ring);
		else
			check_done(run(&regs), "dpl%u.tss.ring%u", dpl, ring);
		prepare(ts_there, 0);
		gdt_set(GATE, gate(OTHER, 0, GATE_TASK | DPL(dpl), 0));
		/* whose own does not matter then */
		gdt_set(OTHER, segment(ADDR(&other), 0x67, ATTR_TSS32));
		regs = start_task(ts_jump, ring, GATE);
		if (dpl < ring)
			check_trap(run(&regs), GP, GATE, ts_jump, "dpl%u.gate.ring%u", dpl, ring);
		else
			check_done(run(&regs), "dpl%u.gate.ring%u", dpl, ring);
		prepare(ts_there, 0);
		gdt_set(GATE, gate(OTHER, 0, (GATE_TASK & ~ATTR_P) | DPL(dpl), 0));
		regs = start_task(ts_jump, ring, GATE);
		check_trap(run(&regs), dpl < ring ? GP : NP, GATE, ts_jump,
			   "dpl%u.gate.absent.ring%u", dpl, ring);
	}
	/* A gate whose selector is no TSS, is null, or is in the LDT. */
	{
		static const struct {
			uint16_t selector;
			uint32_t error;
		} bad[] = { { 0, 0 },
			    { KDATA, KDATA },
			    { OTHER | 4, OTHER | 4 },
			    { sizeof(gdt), sizeof(gdt) } };

		for (unsigned i = 0; i < COUNT(bad); i++) {
			struct regs regs;

			prepare(ts_there, 0);
			gdt_set(GATE, gate(bad[i].selector, 0, GATE_TASK | DPL(3), 0));
			regs = start_task(ts_call, ring, GATE);
			check_trap(run(&regs), GP, bad[i].error, ts_call, "gate.to.%x.ring%u",
				   bad[i].selector, ring);
		}
	}
}

/* IRET with NT: #TS for a link that is no busy TSS, in the task that returns. */
SNIPPET(ts_iret, "iretl\n ts_iret_next: nop");
extern char ts_iret_next[];

static void bad_links(void)
{
	struct regs regs;

	for (unsigned i = 0; i < 4; i++) {
		static const uint16_t links[] = { OTHER, KDATA, 0, OTHER | 4 };

		prepare(ts_there, 0);
		main_tss.link = links[i];
		regs = start_at(ts_iret, 0);
		regs.eflags |= FLAG_NT;
		check_trap(run(&regs), TS, links[i], ts_iret, "iret.link.%x", links[i]);
	}
	/* A busy one will do, whoever made it so. */
	prepare(ts_there, 3);
	gdt_set(OTHER, segment(ADDR(&other), 0x67, ATTR_TSS32_BUSY));
	main_tss.link = OTHER;
	regs = start_at(ts_iret, 0);
	regs.eflags |= FLAG_NT;
	check_loaded(run(&regs), other.eflags, "iret.busy", 3);
	check(is_busy(MAIN_TSS), false, "iret.busy.main");
	check(main_tss.eip, ADDR(ts_iret_next), "iret.saved.eip");
	check(main_tss.eflags & FLAG_NT, 0, "iret.saved.nt");
	/* Above ring 0 as well. */
	prepare(ts_there, 3);
	gdt_set(OTHER, segment(ADDR(&other), 0x67, ATTR_TSS32_BUSY));
	main_tss.link = OTHER;
	regs = start_at(ts_iret, 3);
	regs.eflags |= FLAG_NT;
	check_loaded(run(&regs), other.eflags, "iret.ring3", 3);
}

/*
 * Runs with the handlers of the segment faults in a task of its own, whose stack then holds the
 * error code.
 */
static struct tss handler_tss __attribute__((aligned(4096)));
SNIPPET(ts_handler, "popl %ecx");

static uint32_t run_to_handler_task(const struct regs *regs, uint32_t vector, uint32_t *error)
{
	const struct trap *trap;

	handler_tss = other;
	handler_tss.eip = ADDR(ts_handler);
	handler_tss.esp = STACK_TOP(0) - 3000;
	handler_tss.cs = KCODE;
	handler_tss.es = handler_tss.ds = handler_tss.fs = handler_tss.gs = handler_tss.ss = KDATA;
	handler_tss.ldt = 0;
	gdt_set(SCRATCH(15), segment(ADDR(&handler_tss), 0x67, ATTR_TSS32));
	idt[vector] = gate(SCRATCH(15), 0, GATE_TASK, 0);
	trap = run(regs);
	*error = trap->regs.ecx;
	return trap->vector == DONE && trap->regs.cs == KCODE && handler_tss.link == OTHER ?
		       vector :
		       0xbad00000 | trap->vector;
}

/*
 * What is found wrong with the new task's segments is its own fault: EIP is its first instruction,
 * TR is its.
 */
static void bad_new_task(void)
{
	static const struct { const char *name; uint32_t field, selector, attr, vector; } ways[] = {
		{ "ldt.data", 0x60, BAD, ATTR_DATA, TS },
		{ "ldt.absent", 0x60, BAD, ATTR_LDT & ~ATTR_P, TS },
		{ "ldt.in.ldt", 0x60, 4, 0, TS }, { "cs.null", 0x4c, 0, 0, TS },
		{ "cs.data", 0x4c, BAD, ATTR_DATA, TS },
		{ "cs.dpl", 0x4c, BAD, ATTR_CODE | DPL(3), TS },
		{ "cs.absent", 0x4c, BAD, ATTR_CODE & ~ATTR_P, NP },
		{ "cs.behind", 0x4c, sizeof(gdt), 0, TS }, { "ss.null", 0x50, 0, 0, TS },
		{ "ss.rpl", 0x50, BAD | 3, ATTR_DATA | DPL(3), TS },
		{ "ss.readonly", 0x50, BAD, ATTR_DATA_RO, TS },
		{ "ss.absent", 0x50, BAD, ATTR_DATA & ~ATTR_P, SS },
		{ "ds.dpl", 0x54, BAD | 3, ATTR_DATA, TS },
		{ "ds.absent", 0x54, BAD, ATTR_DATA & ~ATTR_P, NP },
		{ "ds.execute", 0x54, BAD, ATTR_CODE_XO, TS },
		{ "es.absent", 0x48, BAD, ATTR_DATA & ~ATTR_P, NP },
		{ "fs.system", 0x58, BAD, ATTR_LDT, TS }, { "gs.behind", 0x5c, sizeof(gdt), 0, TS },
	};

	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs;
		uint32_t error;

		prepare(ts_there, 0);
		gdt_set(BAD, segment(0, 0xfffff, ways[i].attr | ATTR_FLAT));
		*(uint32_t *)((char *)&other + ways[i].field) = ways[i].selector;
		regs = start_task(ts_jump, 0, OTHER);
		/*
		 * CS is not there yet, or SS: a handler that needs neither is one in a task of its
		 * own.
		 */
		check(run_to_handler_task(&regs, ways[i].vector, &error), ways[i].vector, "new.%s",
			ways[i].name);
		check(error, ways[i].selector & 0xfffc, "new.%s.error", ways[i].name);
		check(other.eip, ADDR(ts_there), "new.%s.eip", ways[i].name);
		check(main_tss.eip, ADDR(ts_jump_next), "new.%s.saved.eip", ways[i].name);
		check(is_busy(OTHER), true, "new.%s.busy", ways[i].name);
	}
	machine_reset();
}

/* LDT and CR3 come with the task; the T bit traps before its first instruction. */
SNIPPET(ts_look, "movl %fs:8, %eax; sldt %ecx; str %edx");

static void carried(void)
{
	struct regs regs;
	const struct trap *trap;

	prepare(ts_look, 0);
	ldt[1] = segment(ADDR(user_data), 0xfff, ATTR_DATA | ATTR_DB);
	gdt_set(LDT, segment(ADDR(ldt), sizeof(ldt) - 1, ATTR_LDT));
	other.ldt = LDT;
	other.fs = 0x0c; /* LDT, entry 1 */
	user_data[2] = 0x1d7;
	regs = start_task(ts_jump, 0, OTHER);
	trap = run(&regs);
	check(trap->regs.eax, 0x1d7, "ldt.segment");
	check(trap->regs.ecx, LDT, "ldt");
	check(trap->regs.edx, OTHER, "tr");
	prepare(ts_there, 0);
	other.trap = 1;
	regs = start_task(ts_jump, 0, OTHER);
	write_dr6(0xffff0ff0);
	trap = run(&regs);
	check_trap(trap, DB, NO_ERROR, ts_there, "t.bit");
	check(read_dr6() & 0xe00f, 0x8000, "t.bit.dr6");
	/* DR7's local enables do not survive a switch. */
	prepare(ts_there, 0);
	write_dr7(0x7aa);
	regs = start_task(ts_jump, 0, OTHER);
	run(&regs);
	check(read_dr7(), 0x6aa & ~0x155u, "dr7.local");
	write_dr7(0x400);
	if (paging == PAGING_OFF)
		return;
	{
		uint32_t frame = page_alloc(), before = read_cr3();

		prepare(ts_there, 0);
		other.cr3 = tables_build();
		*(uint32_t *)frame = 0xc3c3;
		entry_write(entry_at(other.cr3, 0x40000000), frame | PTE_ALL);
		regs = start_task(ts_jump, 0, OTHER);
		run(&regs);
		check(read_cr3(), other.cr3, "cr3");
		check(*(volatile uint32_t *)0x40000000, 0xc3c3, "cr3.mapped");
		write_cr3(before);
	}
}

/* An exception by a task gate: its error code is on the new task's stack. */
SNIPPET(ts_gp, "movw %ax, %ss"); /* with EAX 0 */

static void exception_tasks(unsigned ring)
{
	struct regs regs;
	const struct trap *trap;

	prepare(ts_error, 0);
	idt[GP] = gate(OTHER, 0, GATE_TASK, 0);
	regs = start_at(ts_gp, ring);
	regs.eax = 0;
	trap = run(&regs);
	check_done(trap, "exception.ring%u", ring);
	check(trap->regs.ecx, 0, "exception.error.ring%u", ring);
	check(trap->regs.edx, other.esp, "exception.esp.ring%u", ring);
	check(main_tss.eip, ADDR(ts_gp), "exception.eip.ring%u", ring);
	check(main_tss.cs & 0xffff, CODE(ring), "exception.cs.ring%u", ring);
	check(main_tss.eflags & FLAG_RF, FLAG_RF, "exception.rf.ring%u", ring);
	/* A double fault, which is what task gates are for: there is no stack. */
	prepare(ts_error, 0);
	idt[DF] = gate(OTHER, 0, GATE_TASK, 0);
	idt[UD] = gate(CODE(0), STUB(UD), (GATE_INT32 & ~ATTR_P), 0);
	idt[NP] = gate(CODE(0), STUB(NP), (GATE_INT32 & ~ATTR_P), 0);
	regs = start_at(ts_ud, ring);
	trap = run(&regs);
	check_done(trap, "double.ring%u", ring);
	check(trap->regs.ecx, 0, "double.error.ring%u", ring);
	check(main_tss.eip, ADDR(ts_ud), "double.eip.ring%u", ring);
	machine_reset();
	write_cr0(read_cr0() & ~CR0_TS);
}

void group_tasks(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		for (unsigned to = 0; to < 4; to++)
			ways_in(ring, to);
		there_and_back(ring);
		refused(ring);
		exception_tasks(ring);
	}
	word_sized();
	bad_links();
	bad_new_task();
	carried();
	machine_reset();
	write_cr0(read_cr0() & ~CR0_TS);
}
