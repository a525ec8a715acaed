/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug exceptions: single steps, breakpoints on code, data and ports, general detect, ICEBP, RF
 * (SDM vol. 3, chapter 17).
 */
#include "guest.h"
#include "groups.h"

enum { DR6_BD = 0x2000, DR6_BS = 0x4000, DR6_BITS = 0xe00f };
/* DR7: breakpoint n enabled (globally), with its kind and length. */
#define ENABLE(n, rw, len) \
	(0x400u | 2u << (2 * (n)) | (uint32_t)((rw) | (len) << 2) << (16 + 4 * (n)))
enum { ON_EXECUTE, ON_WRITE, ON_IO, ON_ACCESS };
enum { LENGTH_1, LENGTH_2, LENGTH_8, LENGTH_4 };

static const struct trap *debugged(const struct regs *regs, uint32_t dr7)
{
	const struct trap *trap;

	write_dr6(0xffff0ff0);
	write_dr7(dr7);
	trap = run(regs);
	write_dr7(0x400);
	return trap;
}

static void check_db(const struct trap *trap, uint32_t dr6, const void *eip, const char *name,
		     unsigned ring)
{
	check_trap(trap, DB, NO_ERROR, eip, "%s.ring%u", name, ring);
	check(read_dr6() & DR6_BITS, dr6, "%s.dr6.ring%u", name, ring);
}

/* ---- single steps ---- */

SNIPPET(db_step, "incl %eax\n db_step_1: incl %eax");
SNIPPET(db_jump, "jmp db_jump_to; nop\n db_jump_to: nop");
SNIPPET(db_jcc, "jz db_jcc_to\n db_jcc_not: nop\n db_jcc_to: nop");
SNIPPET(db_call, "call db_call_to; nop\n db_call_to: nop");
SNIPPET(db_loop, "1: loop 1b\n db_loop_end: nop");
SNIPPET(db_rep, "rep stosb\n db_rep_end: nop");
SNIPPET(db_int, "int $0x90\n db_int_next: nop");
SNIPPET(db_fault, "ud2");
SNIPPET(db_popf, "pushl %ecx\n db_popf_at: popfl\n db_popf_1: nop\n db_popf_2: nop");
SNIPPET(db_popf_off, "pushl $2\n db_popf_off_at: popfl\n db_popf_off_1: nop");
SNIPPET(db_pushf, "pushfl\n db_pushf_1: nop");
SNIPPET(db_mov_ss, "movw %cx, %ss\n db_mov_ss_1: nop\n db_mov_ss_2: nop");
SNIPPET(db_pop_ss, "popl %ss\n db_pop_ss_1: nop\n db_pop_ss_2: nop");
SNIPPET(db_pop_ss_int, "popl %ss");
SNIPPET(db_mov_ds, "movw %cx, %ds\n db_mov_ds_1: nop");
SNIPPET(db_sti, "sti\n db_sti_1: nop\n db_sti_2: nop");
SNIPPET(db_iret,
	"pushl %ecx; pushl %cs; pushl $db_iret_to; iretl\n db_iret_to: nop\n db_iret_1: nop");
SNIPPET(db_icebp, ".byte 0xf1\n db_icebp_next: nop");
SNIPPET(db_sysenter, "sysenter");
SNIPPET(db_sysentered, "nop\n db_sysentered_1: nop");
SNIPPET(db_cpuid, "cpuid\n db_cpuid_1: nop");
SNIPPET(db_mov_cr, "movl %cr0, %eax\n db_mov_cr_1: nop");
extern char db_step_1[], db_jump_to[], db_jcc_to[], db_jcc_not[], db_call_to[], db_loop_end[],
	db_rep_end[], db_int_next[], db_popf_at[], db_popf_1[], db_popf_2[], db_popf_off_at[],
	db_popf_off_1[], db_pushf_1[], db_mov_ss_1[], db_mov_ss_2[], db_pop_ss_2[], db_mov_ds_1[],
	db_sti_1[], db_sti_2[], db_iret_to[], db_iret_1[], db_icebp_next[], db_sysentered_1[],
	db_cpuid_1[], db_mov_cr_1[];

static const struct trap *stepped(const void *code, unsigned ring, uint32_t ecx, uint32_t eflags)
{
	struct regs regs = start_at(code, ring);

	regs.ecx = ecx;
	regs.edi = ADDR(user_data);
	regs.eflags |= FLAG_TF | eflags;
	return debugged(&regs, 0x400);
}

static void single_steps(unsigned ring)
{
	static const struct {
		const char *name;
		const void *code, *then;
		uint32_t ecx, eflags;
	} steps[] = {
		{ "step", db_step, db_step_1, 0, 0 },
		{ "jump", db_jump, db_jump_to, 0, 0 },
		{ "jcc.taken", db_jcc, db_jcc_to, 0, FLAG_ZF },
		{ "jcc.not", db_jcc, db_jcc_not, 0, 0 },
		{ "call", db_call, db_call_to, 0, 0 },
		{ "loop", db_loop, db_loop, 3, 0 },
		{ "loop.last", db_loop, db_loop_end, 1, 0 },
		{ "rep", db_rep, db_rep, 3, 0 },
		{ "rep.last", db_rep, db_rep_end, 1, 0 },
		{ "pushf", db_pushf, db_pushf_1, 0, 0 },
		{ "cpuid", db_cpuid, db_cpuid_1, 0, 0 },
	};
	const struct trap *trap;

	for (unsigned i = 0; i < COUNT(steps); i++) {
		trap = stepped(steps[i].code, ring, steps[i].ecx, steps[i].eflags);
		check_db(trap, DR6_BS, steps[i].then, steps[i].name, ring);
		check(trap->regs.eflags & FLAG_TF, FLAG_TF, "%s.tf.saved.ring%u", steps[i].name,
		      ring);
		check(trap->regs.eflags & FLAG_RF, steps[i].then == (void *)db_rep ? FLAG_RF : 0,
		      "%s.rf.ring%u", steps[i].name, ring);
		check(trap->handler_eflags & FLAG_TF, 0, "%s.tf.handler.ring%u", steps[i].name,
		      ring);
	}
	trap = stepped(db_rep, ring, 3, 0);
	check(trap->regs.ecx, 2, "rep.ecx.ring%u", ring);
	check(trap->regs.edi, ADDR(user_data) + 1, "rep.edi.ring%u", ring);
	/* What PUSHF stores has TF (in ring 0 the trap's frame lies below it). */
	stepped(db_pushf, ring, 0, 0);
	check(*(uint32_t *)(STACK_TOP(ring) - 4) & FLAG_TF, FLAG_TF, "pushf.stored.ring%u", ring);
	/*
	 * INT n clears TF before there could be a step, and IRET of its handler brings it back; a
	 * fault goes to its handler alone.
	 */
	idt[0x90] = gate(KCODE, STUB(0x90), GATE_INT32 | DPL(3), 0);
	trap = stepped(db_int, ring, 0, 0);
	check_trap(trap, 0x90, NO_ERROR, db_int_next, "int.ring%u", ring);
	check(trap->regs.eflags & FLAG_TF, FLAG_TF, "int.tf.saved.ring%u", ring);
	check(trap->handler_eflags & FLAG_TF, 0, "int.tf.handler.ring%u", ring);
	check(read_dr6() & DR6_BITS, 0, "int.dr6.ring%u", ring);
	trap = stepped(db_fault, ring, 0, 0);
	check_trap(trap, UD, NO_ERROR, db_fault, "fault.ring%u", ring);
	check(read_dr6() & DR6_BITS, 0, "fault.dr6.ring%u", ring);
}

/* Where TF starts and stops to count, and what holds a step off. */
static void step_edges(unsigned ring)
{
	struct regs regs = start_at(db_popf, ring);
	const struct trap *trap;

	regs.ecx = FLAG_TF | FLAG_1;
	/* not after the POPF itself */
	check_db(debugged(&regs, 0x400), DR6_BS, db_popf_2, "popf.sets", ring);
	regs.eip = ADDR(db_popf_off_at);
	regs.esp -= 4;
	*(uint32_t *)regs.esp = FLAG_1;
	if (ring) { /* in ring 0 the frame to start with would lie over it */
		regs.eflags |= FLAG_TF;
		trap = debugged(&regs, 0x400);
		/* after it, once more */
		check_db(trap, DR6_BS, db_popf_off_1, "popf.clears", ring);
		check(trap->regs.eflags & FLAG_TF, 0, "popf.clears.saved.ring%u", ring);
	}
	trap = stepped(db_mov_ss, ring, DATA(ring), 0);
	check_db(trap, DR6_BS, db_mov_ss_2, "mov.ss", ring);
	trap = stepped(db_mov_ds, ring, DATA(ring), 0);
	check_db(trap, DR6_BS, db_mov_ds_1, "mov.ds", ring);
	if (!ring) {
		trap = stepped(db_sti, ring, 0, 0);
		/* which holds interrupts off, not steps */
		check_db(trap, DR6_BS, db_sti_1, "sti", ring);
		trap = stepped(db_mov_cr, ring, 0, 0);
		check_db(trap, DR6_BS, db_mov_cr_1, "mov.cr", ring);
	}
	regs = start_at(db_iret, ring);
	regs.ecx = FLAG_TF | FLAG_1;
	check_db(debugged(&regs, 0x400), DR6_BS, db_iret_1, "iret.sets", ring);
	/* ICEBP is #DB without a bit in DR6, and asks for no DPL. */
	regs = start_at(db_icebp, ring);
	trap = debugged(&regs, 0x400);
	check_db(trap, 0, db_icebp_next, "icebp", ring);
	check(trap->regs.eflags & FLAG_RF, 0, "icebp.rf.ring%u", ring);
	/* SYSENTER keeps TF: the step comes in the kernel. */
	write_msr(0x174, KCODE);
	write_msr(0x175, STACK_TOP(0) - 512);
	write_msr(0x176, ADDR(db_sysentered));
	trap = stepped(db_sysenter, ring, 0, 0);
	check_db(trap, DR6_BS, db_sysentered, "sysenter", ring);
	check(trap->regs.cs, KCODE, "sysenter.cs.ring%u", ring);
}

/* ---- breakpoints on code ---- */

SNIPPET(db_code, "nop\n db_code_1: incl %eax\n db_code_2: nop");
SNIPPET(db_code_ud, "nop\n db_code_ud_1: ud2");
SNIPPET(db_code_call, "call db_code_call_to; int $0x81\n db_code_call_to: movl $0x55, %edx; ret");
extern char db_code_1[], db_code_2[], db_code_ud_1[], db_code_call_to[];

static void code_breakpoints(unsigned ring)
{
	struct regs regs = start_at(db_code, ring);
	const struct trap *trap;

	for (unsigned n = 0; n < 4; n++) {
		static void (*const set[])(uint32_t) = { write_dr0, write_dr1, write_dr2,
							 write_dr3 };

		set[n](ADDR(db_code_1));
		trap = debugged(&regs, ENABLE(n, ON_EXECUTE, LENGTH_1));
		check_db(trap, 1u << n, db_code_1, "code", ring);
		check(trap->regs.eax, regs.eax, "code.eax%u.ring%u", n, ring);
		/* RF in EFLAGS lets the instruction pass once. */
		trap = debugged(&regs, 0x400 | 1u << (2 * n)); /* by the local bit */
		check_db(trap, 1u << n, db_code_1, "code.local", ring);
		check_done(debugged(&regs, 0x400), "code.disabled%u.ring%u", n, ring);
		set[n](0);
	}
	write_dr0(ADDR(db_code_1));
	regs.eip = ADDR(db_code_1);
	regs.eflags |= FLAG_RF;
	trap = debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1));
	check_done(trap, "code.rf.ring%u", ring);
	check(trap->regs.eflags & FLAG_RF, 0, "code.rf.cleared.ring%u", ring);
	regs.eip = ADDR(db_code); /* RF is spent on the instruction before */
	check_db(debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1)), 1, db_code_1, "code.rf.spent",
		 ring);
	regs.eflags &= ~FLAG_RF;
	/* A breakpoint comes before the instruction's own fault, and before a step. */
	write_dr0(ADDR(db_code_ud_1));
	regs.eip = ADDR(db_code_ud_1);
	check_db(debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1)), 1, db_code_ud_1, "code.ud",
		 ring);
	regs.eflags |= FLAG_RF;
	check_trap(debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1)), UD, NO_ERROR, db_code_ud_1,
		   "code.ud.rf.ring%u", ring);
	/* Only the first byte counts. */
	regs = start_at(db_code_call, ring);
	write_dr0(ADDR(db_code_call_to) + 1);
	check_done(debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1)), "code.middle.ring%u", ring);
	write_dr0(ADDR(db_code_call_to));
	check_db(debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1)), 1, db_code_call_to, "code.call",
		 ring);
	/* Several at once, of which one is not enabled: its bit may show its match. */
	write_dr3(ADDR(db_code_call_to));
	trap = debugged(&regs, ENABLE(0, ON_EXECUTE, LENGTH_1) | ENABLE(3, ON_EXECUTE, LENGTH_1));
	check_db(trap, 9, db_code_call_to, "code.two", ring);
	write_dr3(0);
	write_dr0(0);
}

/* ---- breakpoints on data ---- */

SNIPPET(db_load, "movl user_data + 64, %eax\n db_load_next: nop");
SNIPPET(db_store, "movl %eax, user_data + 64\n db_store_next: nop");
SNIPPET(db_store8, "movb %al, user_data + 67\n db_store8_next: nop");
SNIPPET(db_store_at, "movl %eax, (%ebx)\n db_store_at_next: nop");
SNIPPET(db_add, "addl %eax, user_data + 64\n db_add_next: nop");
SNIPPET(db_stos,
	"movl $user_data + 60, %edi; movl $4, %ecx\n db_stos_at: rep stosl\n db_stos_next: nop");
SNIPPET(db_mov_ss_store,
	"movw user_data + 64, %ss\n db_mov_ss_store_1: nop\n db_mov_ss_store_2: nop");
SNIPPET(db_both, "movl %eax, user_data + 64\n db_both_next: nop");
extern char db_load_next[], db_store_next[], db_store8_next[], db_store_at_next[], db_add_next[],
	db_stos_at[], db_stos_next[], db_mov_ss_store_1[], db_mov_ss_store_2[], db_both_next[];

/*
 * POP SS holds off a step and its own data breakpoint (which is not lost), and what comes for them
 * lies after the next instruction; if that is an INT, before the first of its handler.
 */
static void behind_pop_ss(unsigned ring)
{
	struct regs regs = start_at(db_pop_ss, ring);
	const struct trap *trap;

	regs.esp = ADDR(user_data) + 2048;
	user_data[512] = DATA(ring);
	regs.eflags |= FLAG_TF;
	check_db(debugged(&regs, 0x400), DR6_BS, db_pop_ss_2, "pop.ss", ring);
	regs.eflags &= ~FLAG_TF;
	if (!ring)
		return; /* what is delivered would be pushed where the breakpoint is */
	user_data[512] = DATA(ring);
	write_dr1(ADDR(user_data) + 2048);
	trap = debugged(&regs, ENABLE(1, ON_ACCESS, LENGTH_4));
	check_db(trap, 2, db_pop_ss_2, "pop.ss.data", ring);
	check(trap->regs.esp, ADDR(user_data) + 2052, "pop.ss.data.esp.ring%u", ring);
	user_data[512] = DATA(ring);
	regs.eflags |= FLAG_TF;
	check_db(debugged(&regs, ENABLE(1, ON_ACCESS, LENGTH_4)), DR6_BS | 2, db_pop_ss_2,
		 "pop.ss.both", ring);
	user_data[512] = DATA(ring);
	regs.eflags &= ~FLAG_TF;
	regs.eip = ADDR(db_pop_ss_int);
	trap = debugged(&regs, ENABLE(1, ON_ACCESS, LENGTH_4));
	check_trap(trap, DB, NO_ERROR, (void *)STUB(DONE), "pop.ss.int.ring%u", ring);
	check(trap->regs.cs, KCODE, "pop.ss.int.cs.ring%u", ring);
	write_dr1(0);
}

static void data_breakpoints(unsigned ring)
{
	static const struct {
		const char *name;
		const void *code, *next;
		bool on_write, on_access;
	} ways[] = {
		{ "load", db_load, db_load_next, false, true },
		{ "store", db_store, db_store_next, true, true },
		{ "store8", db_store8, db_store8_next, true, true },
		{ "add", db_add, db_add_next, true, true },
	};
	struct regs regs;
	const struct trap *trap;

	write_dr1(ADDR(user_data) + 64);
	for (unsigned i = 0; i < COUNT(ways); i++) {
		regs = start_at(ways[i].code, ring);
		trap = debugged(&regs, ENABLE(1, ON_ACCESS, LENGTH_4));
		check_db(trap, 2, ways[i].next, ways[i].name, ring);
		check(trap->regs.eflags & FLAG_RF, 0, "%s.rf.ring%u", ways[i].name, ring);
		trap = debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4));
		if (ways[i].on_write)
			check_db(trap, 2, ways[i].next, ways[i].name, ring);
		else
			check_done(trap, "%s.write.only.ring%u", ways[i].name, ring);
		trap = debugged(&regs, ENABLE(1, ON_ACCESS, LENGTH_1));
		if (ways[i].code == (void *)db_store8)
			check_done(trap, "%s.length1.ring%u", ways[i].name, ring);
		else
			check_db(trap, 2, ways[i].next, ways[i].name, ring);
	}
	/*
	 * Overlaps: the bytes of the access with those of the breakpoint, whose address is cut to
	 * its length.
	 */
	for (int offset = -4; offset <= 4; offset++) {
		regs = start_at(db_store_at, ring);
		regs.ebx = ADDR(user_data) + 64 + offset;
		trap = debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4));
		check(trap->vector, offset > -4 && offset < 4 ? DB : DONE, "overlap%u.ring%u",
		      offset + 4, ring);
		trap = debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_2));
		check(trap->vector, offset > -4 && offset < 2 ? DB : DONE, "overlap2.%u.ring%u",
		      offset + 4, ring);
	}
	write_dr1(ADDR(user_data) + 66); /* with length 4: 64 to 67 */
	regs = start_at(db_store_at, ring);
	regs.ebx = ADDR(user_data) + 60;
	check_done(debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4)), "cut.below.ring%u", ring);
	regs.ebx = ADDR(user_data) + 68;
	check_done(debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4)), "cut.above.ring%u", ring);
	regs.ebx = ADDR(user_data) + 64;
	check(debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4))->vector, DB, "cut.at.ring%u", ring);
	write_dr1(ADDR(user_data) + 64);
	/* REP: after the iteration that did it, with ECX as it is then. */
	regs = start_at(db_stos, ring);
	trap = debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4));
	check_db(trap, 2, db_stos_at, "rep.stos", ring);
	check(trap->regs.ecx, 2, "rep.stos.ecx.ring%u", ring);
	check(trap->regs.eflags & FLAG_RF, FLAG_RF, "rep.stos.rf.ring%u", ring);
	/* Held off by MOV SS, but not lost. */
	user_data[16] = DATA(ring);
	regs = start_at(db_mov_ss_store, ring);
	trap = debugged(&regs, ENABLE(1, ON_ACCESS, LENGTH_4));
	check_db(trap, 2, db_mov_ss_store_2, "mov.ss.data", ring);
	/* A step and a breakpoint in one. */
	regs = start_at(db_both, ring);
	regs.eflags |= FLAG_TF;
	check_db(debugged(&regs, ENABLE(1, ON_WRITE, LENGTH_4)), DR6_BS | 2, db_both_next, "both",
		 ring);
	write_dr1(0);
}

/* ---- ports, general detect, DR4 and DR5 ---- */

SNIPPET(db_out, "outb %al, $0x80\n db_out_next: nop");
SNIPPET(db_in, "inb $0x80, %al\n db_in_next: nop");
SNIPPET(db_read_dr, "movl %dr0, %eax");
SNIPPET(db_write_dr, "movl %eax, %dr3");
SNIPPET(db_read_dr4, ".byte 0x0f, 0x21, 0xe0"); /* movl %dr4, %eax */
extern char db_out_next[], db_in_next[];

static void other_kinds(void)
{
	struct regs regs = start_at(db_out, 0);
	const struct trap *trap;

	write_dr2(0x80);
	write_cr4(read_cr4() | CR4_DE);
	check_db(debugged(&regs, ENABLE(2, ON_IO, LENGTH_1)), 4, db_out_next, "out", 0);
	regs.eip = ADDR(db_in);
	check_db(debugged(&regs, ENABLE(2, ON_IO, LENGTH_1)), 4, db_in_next, "in", 0);
	write_dr2(0x81);
	check_done(debugged(&regs, ENABLE(2, ON_IO, LENGTH_1)), "in.other");
	check_db(debugged(&regs, ENABLE(2, ON_IO, LENGTH_2)), 4, db_in_next, "in.length2", 0);
	regs.eip = ADDR(db_read_dr4);
	check_trap(run(&regs), UD, NO_ERROR, db_read_dr4, "dr4.de");
	write_cr4(read_cr4() & ~CR4_DE);
	check_done(run(&regs), "dr4");
	check(run(&regs)->regs.eax & 0xffff0ff0, 0xffff0ff0, "dr4.is.dr6");
	write_dr2(0);
	/* General detect: a fault at the MOV; DR7.GD is clear in the handler. */
	for (unsigned i = 0; i < 2; i++) {
		regs = start_at(i ? db_write_dr : db_read_dr, 0);
		write_dr6(0xffff0ff0);
		write_dr7(0x2400);
		trap = run(&regs);
		check(read_dr7(), 0x400, "detect%u.dr7", i);
		check_db(trap, DR6_BD, (void *)regs.eip, "detect", 0);
		check(trap->regs.eax, regs.eax, "detect%u.eax", i);
		check(trap->regs.eflags & FLAG_RF, FLAG_RF, "detect%u.rf", i);
	}
	/* Above ring 0 the privilege comes first. */
	regs = start_at(db_read_dr, 3);
	write_dr7(0x2400);
	check_trap(run(&regs), GP, 0, db_read_dr, "detect.ring3");
	regs = start_at(db_read_dr, 0); /* by which the detection ends */
	check(run(&regs)->vector, DB, "detect.still");
}

/*
 * What reads back: fixed bits. DR6 keeps what was there: bits are never cleared by the processor.
 */
static void registers(void)
{
	struct regs regs = start_at(db_step, 0);

	write_dr6(0);
	check(read_dr6(), 0xffff0ff0, "dr6.zero");
	write_dr7(0xffffffff & ~0x2000u);
	check(read_dr7() & 0xd7ff, 0x7ff, "dr7.ones"); /* bits 12, 14, 15 are zero */
	write_dr7(0);
	check(read_dr7(), 0x400, "dr7.zero");
	write_dr6(0xffff0ff1);
	regs.eflags |= FLAG_TF;
	run(&regs);
	check(read_dr6() & DR6_BITS, DR6_BS | 1, "dr6.sticks");
	write_dr6(0xffff0ff0);
}

void group_debug(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		single_steps(ring);
		step_edges(ring);
		code_breakpoints(ring);
		data_breakpoints(ring);
		behind_pop_ss(ring);
	}
	other_kinds();
	registers();
}
