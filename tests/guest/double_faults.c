/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions while an exception is delivered (SDM vol. 3, table 6-5): two contributory ones, or a
 * page fault and one of either kind, make a double fault; all else is delivered one after the
 * other. Then what a double fault cannot be delivered for.
 *
 * The first exception's gate leads to ring 1, whose stack in the TSS is spoilt where that is the
 * second fault; every other handler runs in ring 0 and is well.
 */
#include "guest.h"
#include "groups.h"

SNIPPET(df_de, "xorl %ecx, %ecx\n df_de_at: divl %ecx");
SNIPPET(df_ud, "ud2");
SNIPPET(df_bp, "int3\n df_bp_next:");
SNIPPET(df_gp, "hlt");
SNIPPET(df_np, "movw %cx, %fs");
SNIPPET(df_ss, "movl %ss:0xfffffff0(%ebp), %eax");
SNIPPET(df_pf, "movl 0x40000000, %eax");
SNIPPET(df_br, "movl $9, %eax; movl $1, user_data; movl $2, user_data + 4\n df_br_at: "
	       BOUND_EAX);
extern char df_de_at[], df_bp_next[], df_br_at[];

enum kind { BENIGN, CONTRIBUTORY, PAGE };

struct first {
	const char *name;
	const void *code, *at;
	uint32_t vector;
	enum kind kind;
	bool paged;
};
static const struct first firsts[] = {
	{ "de", df_de, df_de_at, DE, CONTRIBUTORY, false },
	{ "ud", df_ud, df_ud, UD, BENIGN, false },
	{ "bp", df_bp, df_bp, BP, BENIGN, false }, /* a failing INT3 is reported at itself */
	{ "br", df_br, df_br_at, BR, BENIGN, false },
	{ "gp", df_gp, df_gp, GP, CONTRIBUTORY, false },
	{ "np", df_np, df_np, NP, CONTRIBUTORY, false },
	{ "pf", df_pf, df_pf, PF, PAGE, true },
};

enum spoil {
	GATE_ABSENT, GATE_TYPE, GATE_NULL, CODE_ABSENT, STACK_NULL, STACK_ABSENT, STACK_LIMIT,
	STACK_UNMAPPED, SPOILS
};

static const struct { const char *name; uint32_t vector; enum kind kind; } seconds[SPOILS] = {
	[GATE_ABSENT] = { "gate.absent", NP, CONTRIBUTORY },
	[GATE_TYPE] = { "gate.type", GP, CONTRIBUTORY },
	[GATE_NULL] = { "gate.null", GP, CONTRIBUTORY },
	[CODE_ABSENT] = { "code.absent", NP, CONTRIBUTORY },
	[STACK_NULL] = { "stack.null", TS, CONTRIBUTORY },
	[STACK_ABSENT] = { "stack.absent", SS, CONTRIBUTORY },
	[STACK_LIMIT] = { "stack.limit", SS, CONTRIBUTORY },
	[STACK_UNMAPPED] = { "stack.unmapped", PF, PAGE },
};

#define UNMAPPED 0x40000000u

/*
 * Spoils the delivery of a vector; returns the error code of the fault that follows, without EXT.
 */
static uint32_t spoil_delivery(uint32_t vector, enum spoil spoil)
{
	uint64_t *g = &idt[vector];

	*g = gate(CODE(1), STUB(vector), GATE_INT32 | DPL(3), 0);
	switch (spoil) {
	case GATE_ABSENT:
		*g &= ~((uint64_t)ATTR_P << 40);
		return vector * 8 + 2;
	case GATE_TYPE:
		*g = gate(CODE(1), STUB(vector), GATE_CALL32 | DPL(3), 0);
		return vector * 8 + 2;
	case GATE_NULL:
		*g = gate(0, STUB(vector), GATE_INT32 | DPL(3), 0);
		return 0;
	case CODE_ABSENT:
		gdt_set(SCRATCH(0), segment(0, 0xfffff, (ATTR_CODE & ~ATTR_P) | ATTR_FLAT));
		*g = gate(SCRATCH(0), STUB(vector), GATE_INT32 | DPL(3), 0);
		return SCRATCH(0);
	case STACK_NULL:
		main_tss.stack[1].ss = 0;
		return 0;
	case STACK_ABSENT:
		gdt_set(SCRATCH(1),
			segment(0, 0xfffff, (ATTR_DATA & ~ATTR_P) | ATTR_FLAT | DPL(1)));
		main_tss.stack[1].ss = SCRATCH(1) | 1;
		return SCRATCH(1);
	case STACK_LIMIT:
		gdt_set(SCRATCH(1), segment(0, 0x10, ATTR_DATA | ATTR_DB | DPL(1)));
		main_tss.stack[1].ss = SCRATCH(1) | 1;
		return SCRATCH(1);
	default:
		main_tss.stack[1].esp = UNMAPPED + 0x1000;
		return 2; /* a supervisor's write to a page that is not there */
	}
}

static void one_pair(const struct first *first, enum spoil spoil)
{
	struct regs regs = start_at(first->code, 3);
	uint32_t second = seconds[spoil].vector, error;
	bool is_double = seconds[spoil].kind != BENIGN &&
			 (first->kind == PAGE ||
			  (first->kind == CONTRIBUTORY && seconds[spoil].kind == CONTRIBUTORY));
	const struct trap *trap;

	/*
	 * A vector that is spoilt for itself would fail without end; QEMU pushes below the limit,
	 * over whatever is there.
	 */
	if ((!is_double && second == first->vector) || (sparing_qemu && spoil == STACK_LIMIT))
		return;
	machine_reset();
	gdt_set(SCRATCH(2), segment(0, 0xfffff, (ATTR_DATA & ~ATTR_P) | ATTR_FLAT | DPL(3)));
	regs.ecx = SCRATCH(2);
	error = spoil_delivery(first->vector, spoil);
	if (second != PF && first->vector != BP)
		error |= 1; /* EXT: not the program asked for it */
	write_cr2(0);
	trap = run(&regs);
	if (is_double)
		check_trap(trap, DF, 0, first->at, "%s.then.%s", first->name, seconds[spoil].name);
	else
		check_trap(trap, second, error, first->at, "%s.then.%s", first->name,
			   seconds[spoil].name);
	check(trap->regs.esp, regs.esp, "%s.then.%s.esp", first->name, seconds[spoil].name);
	check(trap->regs.cs, CODE(3), "%s.then.%s.cs", first->name, seconds[spoil].name);
	/* Which byte of the frame faulted first is not said. */
	if (second == PF || first->vector == PF)
		check(trap->cr2 & ~0xfffu, UNMAPPED, "%s.then.%s.cr2", first->name,
		      seconds[spoil].name);
}

static void pairs(void)
{
	for (unsigned f = 0; f < COUNT(firsts); f++)
		for (enum spoil spoil = 0; spoil < SPOILS; spoil++)
			if (paging != PAGING_OFF ||
			    (!firsts[f].paged && seconds[spoil].kind != PAGE))
				one_pair(&firsts[f], spoil);
	machine_reset();
}

/* A vector beyond the IDT's limit: #GP with the IDT bit; EXT only if it was not INT n. */
SNIPPET(df_int_f0, "int $0xf0");

static void idt_limit(void)
{
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) idtr = { 0xf0 * 8 + 6,
		ADDR(idt) };
	struct regs regs = start_at(df_int_f0, 0);

	__asm__ volatile("lidt %0" :: "m"(idtr));
	check_trap(run(&regs), GP, 0xf0 * 8 + 2, df_int_f0, "idt.limit");
	idtr.limit++;
	__asm__ volatile("lidt %0" :: "m"(idtr));
	check(run(&regs)->vector, 0xf0, "idt.limit.edge");
	machine_reset();
}

void group_double_faults(void)
{
	pairs();
	idt_limit();
}

/* ---- triple faults ---- */

static void announce(void)
{
	note("expect shutdown");
}

void group_shutdown_no_idt(void)
{
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) idtr = { 0, 0 };

	announce();
	__asm__ volatile("lidt %0; int3" :: "m"(idtr));
}

/* #GP, then #NP through its gate: a double fault, whose own gate is absent. */
void group_shutdown_no_double_fault(void)
{
	struct regs regs = start_at(df_gp, 3);

	idt[GP] &= ~((uint64_t)ATTR_P << 40);
	idt[DF] &= ~((uint64_t)ATTR_P << 40);
	announce();
	run(&regs);
}

/* A kernel whose stack is gone: #PF pushes fail, #DF pushes fail. */
void group_shutdown_no_stack(void)
{
	announce();
	__asm__ volatile("mov %0, %%esp; push %%eax" :: "r"(UNMAPPED + 0x800));
}

/* From ring 3, with no stack for ring 0. */
void group_shutdown_no_ring0_stack(void)
{
	struct regs regs = start_at(df_ud, 3);

	main_tss.stack[0].ss = 0;
	announce();
	run(&regs);
}
