/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * External interrupts: between which instructions they come, what holds them off (SDM vol. 3, 6.8),
 * that they disturb nothing, and NMIs. The 8254 interrupts through the first 8259; the local APIC
 * sends to itself.
 */
#include "guest.h"
#include "apic.h"
#include "groups.h"

enum { PIC1 = 0x20, PIC2 = 0xa0, PIT = 0x40, IRQ0_VECTOR = 0x20 };

USER static volatile uint32_t irq_count = 1, nmi_count = 1, nmi_nested = 1;
extern char irq_counter[], nmi_handler[], just_return[];

/* Counts, acknowledges, and uses registers and stack as handlers do. */
__asm__(".text\n"
	"irq_counter: pushal; incl irq_count; movb $0x20, %al; outb %al, $0x20; popal; iretl\n"
	/* Sends itself another while NMIs are blocked, which comes after IRET and not before. */
	"nmi_handler: incl nmi_count; cmpl $2, nmi_count; jae 1f; movl $0x44400, 0xfee00300\n"
	"movl $10000, %ecx; 2: loop 2b; movl nmi_count, %ecx; movl %ecx, nmi_nested; 1: iretl\n"
	"just_return: iretl\n");

static void pic_init(uint8_t mask)
{
	static const struct { uint8_t port, value; } steps[] = {
		{ PIC1, 0x11 }, { PIC2, 0x11 }, { PIC1 + 1, IRQ0_VECTOR },
		{ PIC2 + 1, IRQ0_VECTOR + 8 }, { PIC1 + 1, 4 }, { PIC2 + 1, 2 }, { PIC1 + 1, 1 },
		{ PIC2 + 1, 1 },
	};

	for (unsigned i = 0; i < COUNT(steps); i++)
		outb(steps[i].port, steps[i].value);
	outb(PIC1 + 1, mask);
	outb(PIC2 + 1, 0xff);
}

static void pit_start(uint8_t mode, uint16_t count)
{
	outb(PIT + 3, 0x30 | mode << 1);
	outb(PIT, count & 0xff);
	outb(PIT, count >> 8);
}

static void pit_stop(void)
{
	outb(PIC1 + 1, 0xff);
	outb(PIT + 3, 0x30);
}

/* An interrupt that waits for IF. */
static void make_pending(void)
{
	pic_init(0xfe);
	pit_start(0, 100);
	do
		outb(PIC1, 0x0a);
	while (!(inb(PIC1) & 1));
}

/* ---- at which instruction ---- */

SNIPPET(iq_sti, "sti\n iq_sti_1: nop\n iq_sti_2: nop");
SNIPPET(iq_sti_cli, "sti; cli; nop; nop");
SNIPPET(iq_sti_sti, "sti\n sti\n iq_sti_sti_2: nop; nop");
SNIPPET(iq_popf, "pushl %ecx; popfl\n iq_popf_1: nop");
SNIPPET(iq_iret, "pushl %ecx; pushl %cs; pushl $iq_iret_1; iretl\n iq_iret_1: nop");
SNIPPET(iq_sti_ret, "pushl $iq_sti_ret_1; sti; ret\n iq_sti_ret_1: nop");
SNIPPET(iq_sti_hlt, "sti; hlt\n iq_sti_hlt_1: nop");
SNIPPET(iq_sti_jump, "sti; jmp iq_sti_jump_to; nop\n iq_sti_jump_to: nop");
SNIPPET(iq_sti_store, "sti; movl $0x77, user_data\n iq_sti_store_1: nop");
SNIPPET(iq_sti_int, "sti; int $0x92\n iq_sti_int_1: nop");
SNIPPET(iq_mov_ss, "sti; movw %cx, %ss\n iq_mov_ss_1: nop\n iq_mov_ss_2: nop");
SNIPPET(iq_pop_ss, "pushl %ecx; sti; popl %ss\n iq_pop_ss_1: nop\n iq_pop_ss_2: nop");
SNIPPET(iq_nothing, "iq_nothing_at: nop; nop");
extern char iq_sti_2[], iq_sti_sti_2[], iq_popf_1[], iq_iret_1[], iq_sti_ret_1[], iq_sti_hlt_1[],
	iq_sti_jump_to[], iq_sti_store_1[], iq_sti_int_1[], iq_mov_ss_1[], iq_mov_ss_2[],
	iq_pop_ss_1[], iq_pop_ss_2[];

static void pending_through(const void *code, const void *at, uint32_t ecx, uint32_t eflags,
			    const char *name, unsigned ring)
{
	struct regs regs = start_at(code, ring);
	const struct trap *trap;

	make_pending();
	regs.ecx = ecx;
	regs.eflags |= IOPL(3) | eflags;
	trap = run(&regs);
	if (at)
		check_trap(trap, IRQ0_VECTOR, NO_ERROR, at, "%s.ring%u", name, ring);
	else
		check_done(trap, "%s.ring%u", name, ring);
	if (at)
		check(trap->regs.eflags & FLAG_IF, FLAG_IF, "%s.if.ring%u", name, ring);
	pit_stop();
}

/*
 * In the shadow of STI. Of instructions in a row that hold interrupts off only the first need do so
 * (SDM vol. 2, POP).
 */
static void loads_of_ss(const void *code, const void *behind, const void *next, const char *name,
			unsigned ring)
{
	struct regs regs = start_at(code, ring);
	const struct trap *trap;

	make_pending();
	regs.ecx = DATA(ring);
	regs.eflags |= IOPL(3);
	trap = run(&regs);
	check_trap(trap, IRQ0_VECTOR, NO_ERROR, trap->regs.eip == ADDR(behind) ? behind : next,
		   "%s.ring%u", name, ring);
	check(trap->regs.ss, DATA(ring), "%s.ss.ring%u", name, ring);
	pit_stop();
}

static void boundaries(unsigned ring)
{
	pending_through(iq_sti, iq_sti_2, 0, 0, "sti", ring);
	pending_through(iq_sti_cli, NULL, 0, 0, "sti.cli", ring);
	/* the second STI has no shadow: IF was set */
	pending_through(iq_sti_sti, iq_sti_sti_2, 0, 0, "sti.sti", ring);
	pending_through(iq_popf, iq_popf_1, FLAG_1 | FLAG_IF | IOPL(3), 0, "popf", ring);
	pending_through(iq_iret, iq_iret_1, FLAG_1 | FLAG_IF | IOPL(3), 0, "iret", ring);
	pending_through(iq_sti_ret, iq_sti_ret_1, 0, 0, "sti.ret", ring);
	pending_through(iq_sti_jump, iq_sti_jump_to, 0, 0, "sti.jump", ring);
	pending_through(iq_sti_store, iq_sti_store_1, 0, 0, "sti.store", ring);
	loads_of_ss(iq_mov_ss, iq_mov_ss_1, iq_mov_ss_2, "mov.ss", ring);
	loads_of_ss(iq_pop_ss, iq_pop_ss_1, iq_pop_ss_2, "pop.ss", ring);
	pending_through(iq_nothing, iq_nothing, 0, FLAG_IF, "first", ring);
	pending_through(iq_nothing, NULL, 0, 0, "masked", ring);
	if (!ring)
		pending_through(iq_sti_hlt, iq_sti_hlt_1, 0, 0, "sti.hlt", ring);
	/* INT in the shadow: its gate clears IF, so the interrupt waits for its handler's IRET. */
	idt[0x92] = gate(KCODE, ADDR(just_return), GATE_INT32 | DPL(3), 0);
	pending_through(iq_sti_int, iq_sti_int_1, 0, 0, "sti.int", ring);
}

/* HLT with nothing pending: time passes, then it goes on after it. */
static void halted(void)
{
	struct regs regs = start_at(iq_sti_hlt, 0);

	pic_init(0xfe);
	pit_start(0, 3000);
	check_trap(run(&regs), IRQ0_VECTOR, NO_ERROR, iq_sti_hlt_1, "hlt");
	pit_stop();
}

/* ---- at a high rate, everything goes on as if there were none ---- */

SNIPPET(iq_strings,
	"cld; xorl %eax, %eax; movl $3000000, %ebp\n"
	"1: movl $user_data, %esi; movl $user_data + 2048, %edi; movl $500, %ecx; rep movsl\n"
	"movl $user_data, %esi; movl $user_data + 2048, %edi; movl $2000, %ecx; repe cmpsb; setne "
	"%bl; movzbl %bl, %ebx; orl %ebx, %eax\n"
	"orl %ecx, %eax; movl $user_data + 2048, %edi; movl $500, %ecx; pushl %eax; movl $0x55, "
	"%eax; rep stosl; popl %eax\n"
	"decl %ebp; jz 2f; cmpl $60, irq_count; jb 1b; 2:");
SNIPPET(iq_arithmetic, "xorl %eax, %eax; movl $30000000, %ebp; 1: movl $1000, %ecx; xorl %ebx, "
		       "%ebx; clc; 3: adcl %ecx, %ebx; pushfl; popfl; loop 3b\n"
		       "cmpl $500500, %ebx; setne %bl; movzbl %bl, %ebx; orl %ebx, %eax; decl "
		       "%ebp; jz 2f; cmpl $60, irq_count; jb 1b; 2:");
SNIPPET(iq_calls, "xorl %eax, %eax; movl $30000000, %ebp; 1: xorl %ebx, %ebx; movl $100, %ecx; 3: "
		  "call 4f; call *%edx; loop 3b; cmpl $200, %ebx\n"
		  "setne %bl; movzbl %bl, %ebx; orl %ebx, %eax; decl %ebp; jz 2f; cmpl $60, "
		  "irq_count; jb 1b; jmp 2f\n"
		  "iq_calls_to: 4: incl %ebx; ret; 2:");
SNIPPET(iq_fpu, "xorl %eax, %eax; movl $30000000, %ebp; 1: fninit; fldz; fld1; movl $100, %ecx; 3: "
		"fadd %st, %st(1); loop 3b; fstp %st; fistpl user_data\n"
		"cmpl $100, user_data; setne %bl; movzbl %bl, %ebx; orl %ebx, %eax; decl %ebp; jz "
		"2f; cmpl $60, irq_count; jb 1b; 2:");
SNIPPET(iq_calls_kernel,
	"xorl %eax, %eax; movl $3000000, %ebp; 1: fninit; fldz; fld1; movl $50, %ecx; 3: fadd %st, "
	"%st(1); int $0x92; loop 3b; fstp %st; fistpl user_data\n"
	"cmpl $50, user_data; setne %bl; movzbl %bl, %ebx; orl %ebx, %eax; decl %ebp; jz 2f; cmpl "
	"$60, irq_count; jb 1b; 2:");
extern char iq_calls_to[];

static void at_high_rate(unsigned ring)
{
	static const struct { const char *name; const void *code; } ways[] = {
		{ "strings", iq_strings }, { "arithmetic", iq_arithmetic }, { "calls", iq_calls },
		{ "fpu", iq_fpu }, { "calls.kernel", iq_calls_kernel },
	};

	idt[IRQ0_VECTOR] = gate(KCODE, ADDR(irq_counter), GATE_INT32, 0);
	idt[0x92] = gate(KCODE, ADDR(just_return), GATE_INT32 | DPL(3), 0);
	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs = start_at(ways[i].code, ring);
		const struct trap *trap;

		for (unsigned k = 0; k < 1024; k++)
			user_data[k] = k * 0x01234567;
		irq_count = 0;
		pic_init(0xfe);
		pit_start(2, 119); /* 10 kHz */
		regs.edx = ADDR(iq_calls_to);
		regs.eflags |= FLAG_IF;
		trap = run(&regs);
		pit_stop();
		check_done(trap, "rate.%s.ring%u", ways[i].name, ring);
		check(trap->regs.eax, 0, "rate.%s.errors.ring%u", ways[i].name, ring);
		check(irq_count >= 60, 1, "rate.%s.interrupts.ring%u", ways[i].name, ring);
		check(trap->regs.esp, regs.esp, "rate.%s.esp.ring%u", ways[i].name, ring);
	}
	idt[IRQ0_VECTOR] = gate(KCODE, STUB(IRQ0_VECTOR), GATE_INT32, 0);
}

/* Mappings change all the time meanwhile. */
static void while_mappings_change(void)
{
	uint32_t frames[2] = { page_alloc(), page_alloc() }, errors = 0, rounds = 0;
	volatile uint32_t *at = (uint32_t *)0x40000000;

	*(uint32_t *)frames[0] = 0;
	*(uint32_t *)frames[1] = 1;
	idt[IRQ0_VECTOR] = gate(KCODE, ADDR(irq_counter), GATE_INT32, 0);
	irq_count = 0;
	pic_init(0xfe);
	pit_start(2, 119);
	__asm__ volatile("sti");
	while (irq_count < 60 && rounds < 3000000) {
		map(0x40000000, frames[rounds & 1] | PTE_ALL);
		errors += *at != (rounds & 1);
		if (!(rounds % 16))
			flush_tlb();
		rounds++;
	}
	__asm__ volatile("cli");
	pit_stop();
	check(errors, 0, "mappings.errors");
	check(irq_count >= 60, 1, "mappings.interrupts");
	idt[IRQ0_VECTOR] = gate(KCODE, STUB(IRQ0_VECTOR), GATE_INT32, 0);
}

/* ---- the local APIC: interrupts and NMIs to itself ---- */

SNIPPET(iq_self, "movl %ecx, 0xfee00300; nop; nop; nop; nop\n movl $100000, %ecx; 1: loop 1b");

static void by_apic(void)
{
	struct regs regs = start_at(iq_self, 0);
	const struct trap *trap;

	if (!apic_start())
		return;
	regs.ecx = 0x40060; /* to self, fixed, vector 60h */
	regs.eflags |= FLAG_IF;
	trap = run(&regs);
	check(trap->vector, 0x60, "apic.self");
	*apic(APIC_EOI) = 0;
	/* The task priority holds it off. */
	*apic(APIC_TPR) = 0x60;
	check_done(run(&regs), "apic.tpr");
	*apic(APIC_TPR) = 0;
	regs = start_at(iq_nothing, 0);
	regs.eflags |= FLAG_IF;
	check(run(&regs)->vector, 0x60, "apic.tpr.lowered");
	*apic(APIC_EOI) = 0;
	/* An NMI asks for no IF. */
	regs = start_at(iq_self, 0);
	regs.ecx = 0x44400;
	trap = run(&regs);
	check(trap->vector, NMI, "nmi");
	/* It was not returned from: another waits for an IRET, and run() makes one. */
	nmi_count = nmi_nested = 0;
	idt[NMI] = gate(KCODE, ADDR(nmi_handler), GATE_INT32, 0);
	check_done(run(&regs), "nmi.nested");
	check(nmi_nested, 1, "nmi.blocked");
	check(nmi_count, 2, "nmi.count");
	idt[NMI] = gate(KCODE, STUB(NMI), GATE_INT32, 0);
	apic_stop();
}

void group_interrupts(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		boundaries(ring);
		at_high_rate(ring);
	}
	halted();
	if (paging != PAGING_OFF)
		while_mappings_change();
	by_apic();
	pit_stop();
	pic_init(0xff);
}
