/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NMIs and task switches: an NMI through a task gate, and how long NMIs are held off: until the
 * next IRET, whatever tasks are switched to in between (SDM vol. 3, 6.7.1 and 7.3).
 */
#include "guest.h"
#include "apic.h"
#include "groups.h"

#define OTHER SCRATCH(8)

static struct tss other __attribute__((aligned(4096)));
static uint8_t other_stack[1024];
/*
 * How many NMIs came, how many had when a second had been asked for and when the other task ran,
 * and the first two came where.
 */
volatile uint32_t tn_count, tn_in_handler, tn_in_task, tn_came_at[4];
const struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) tn_far = { 0, OTHER };

#define ASK_FOR_NMI "movl $0x44400, 0xfee00300\n movl $1000, %ecx; 9: loop 9b\n"

extern char tn_task[], tn_gate[], tn_task_jumped_to[], tn_after_iret[];
__asm__(".text\n"
	/*
	 * As a task: notes where the task it comes from was, asks for another NMI, returns. The
	 * next time it goes on after IRET.
	 */
	"tn_task: movl tn_count, %eax; movl main_tss + 32, %edx; movl %edx, tn_came_at(, %eax, 4); "
	"incl tn_count; cmpl $2, tn_count; jae 1f\n" ASK_FOR_NMI
	"movl tn_count, %eax; movl %eax, tn_in_handler\n"
	"1: iretl; jmp tn_task\n"
	/*
	 * Through a gate: the first time asks for another, and goes to the other task by JMP, which
	 * is no return.
	 */
	"tn_gate: movl tn_count, %eax; movl (%esp), %edx; movl %edx, tn_came_at(, %eax, 4); incl "
	"tn_count; cmpl $2, tn_count; jae 1f\n" ASK_FOR_NMI
	"movl tn_count, %eax; movl %eax, tn_in_handler; ljmp *tn_far\n"
	"1: iretl\n"
	"tn_task_jumped_to: movl $1000, %ecx; 9: loop 9b; movl tn_count, %eax; movl %eax, "
	"tn_in_task\n"
	"pushfl; pushl %cs; pushl $tn_after_iret; iretl\n"
	"tn_after_iret: nop; int $0x81\n");
SNIPPET(tn_ask, "movl %ecx, 0xfee00300\n tn_asked: nop; nop; nop; movl $1000, %ecx; 1: loop 1b\n "
		"tn_ask_end:");
extern char tn_asked[], tn_ask_end[];

static void prepare(const void *where)
{
	machine_reset();
	__builtin_memset(&other, 0, 104);
	other.eip = ADDR(where);
	other.eflags = FLAG_1;
	other.esp = ADDR(other_stack) + sizeof(other_stack);
	other.es = other.ds = other.fs = other.gs = other.ss = KDATA;
	other.cs = KCODE;
	other.cr3 = read_cr3();
	other.io_map = sizeof(other);
	gdt_set(OTHER, segment(ADDR(&other), 0x67, ATTR_TSS32));
	tn_count = tn_in_handler = tn_in_task = 0;
}

static struct regs asking(unsigned ring)
{
	struct regs regs = start_at(tn_ask, ring);

	regs.ecx = APIC_SELF_NMI;
	return regs;
}

static void through_task_gate(unsigned ring)
{
	struct regs regs = asking(ring);
	const struct trap *trap;

	prepare(tn_task);
	idt[NMI] = gate(OTHER, 0, GATE_TASK, 0);
	trap = run(&regs);
	check_done(trap, "task.ring%u", ring);
	check(tn_in_handler, 1, "task.held.ring%u", ring);
	check(tn_count, 2, "task.count.ring%u", ring);
	check(tn_came_at[0] >= ADDR(tn_asked) && tn_came_at[0] < ADDR(tn_ask_end), 1,
	      "task.at.ring%u", ring);
	/* The one that waited comes before anything else is executed. */
	check(tn_came_at[1], tn_came_at[0], "task.again.at.ring%u", ring);
	check(trap->regs.cs, CODE(ring), "task.cs.ring%u", ring);
	check(trap->regs.esp, regs.esp, "task.esp.ring%u", ring);
	check(trap->regs.ebx, regs.ebx, "task.ebx.ring%u", ring);
	check(trap->regs.eflags & FLAG_NT, 0, "task.nt.ring%u", ring);
	check(gdt[OTHER / 8] >> 41 & 1, 0, "task.busy.ring%u", ring);
	check(read_cr0() & CR0_TS, CR0_TS, "task.ts.ring%u", ring);
	write_cr0(read_cr0() & ~CR0_TS);
}

static void jump_while_held(unsigned ring)
{
	struct regs regs = asking(ring);
	const struct trap *trap;

	prepare(tn_task_jumped_to);
	idt[NMI] = gate(KCODE, ADDR(tn_gate), GATE_INT32, 0);
	trap = run(&regs);
	check_trap(trap, DONE, NO_ERROR, tn_after_iret + 3, "jump.ring%u", ring);
	check(tn_in_handler, 1, "jump.held.ring%u", ring);
	check(tn_in_task, 1, "jump.held.task.ring%u", ring);
	check(tn_count, 2, "jump.count.ring%u", ring);
	check(tn_came_at[1], ADDR(tn_after_iret), "jump.at.ring%u", ring);
	write_cr0(read_cr0() & ~CR0_TS);
}

void group_task_nmi(void)
{
	if (!apic_start())
		return;
	for (unsigned ring = 0; ring < 4; ring++) {
		through_task_gate(ring);
		jump_while_held(ring);
	}
	machine_reset();
	apic_stop();
}
