/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is sensitive to IOPL in virtual-8086 mode, without and with CR4.VME, and CR4.PVI's virtual
 * interrupt flag in protected mode (SDM vol. 3, 20.2.7, 20.3.3 and 20.4; vol. 2, CLI, STI, PUSHF,
 * POPF, INT n, IRET). INT 40h goes to the program's own vector at 3000:180h, where the interrupt
 * redirection bitmap counts; all others go through the IDT.
 */
#include "modes.h"

#define CASE(kind, text) SNIPPET(".v86_cases", kind, text)
#define VIRTUAL(kind, text) SNIPPET(".virtual_cases", kind, text)
extern const struct snippet v86_cases[], virtual_cases[];

enum { CR4_VME = 1, CR4_PVI = 2, OWN_VECTOR = 0x40, OWN_HANDLER = 0x180 };

CASE(0, "cli; pushfl; popl %eax");
CASE(0, "sti; nop; pushfl; popl %eax");
CASE(0, "sti; cli");
CASE(0, "pushfw");
CASE(0, "pushfl");
CASE(0, "pushw $0x0202; popfw; nop");
CASE(0, "pushw $0x0002; popfw; nop");
CASE(0, "pushw $0x7ed7; popfw; nop");
CASE(0, "pushw $0x0102; popfw; nop");
CASE(0, "pushl $0x00000202; popfl; nop");
CASE(0, "pushl $0x003f7ed7; popfl; nop");
CASE(0, "int $0x40");
CASE(0, "int $0x41");
CASE(0, "int3");
CASE(0, "int $3");
CASE(0, "movb $0x7f, %al; incb %al; into");
CASE(0, ".byte 0xf1");
CASE(0, "pushl $0x302; popfl; int $0x40");
CASE(0, "pushw $0x0202; pushw %cs; pushw $0x1c0; iretw");
CASE(0, "pushw $0x0002; pushw %cs; pushw $0x1c0; iretw");
CASE(0, "pushw $0x7ed7; pushw %cs; pushw $0x1c0; iretw");
CASE(0, "pushw $0x0102; pushw %cs; pushw $0x1c0; iretw");
CASE(0, "pushl $0x00000202; pushl $0x3000; pushl $0x1c0; iretl");
CASE(0, "pushl $0x003d7ed7; pushl $0x3000; pushl $0x1c0; iretl");
CASE(0, "hlt");
CASE(0, "inb $0x61, %al; movb $0, %al");
CASE(0, "movw $0x300, %dx; inb %dx, %al");
CASE(0, "movw $0x2ff, %dx; inw %dx, %ax");
CASE(0, ".byte 0xf0, 0x90");
CASE(0, "movl %cr0, %eax");
CASE(0, "movl %dr0, %eax");
CASE(0, "clts");
CASE(0, "lgdtw (%bx)");
CASE(0, "smsw %ax");
CASE(0, "movw $0xffff, %ax; movw %ax, %fs");
CASE(0, "lcallw $0x3000, $0x1c0");

VIRTUAL(0, "cli; pushfl; popl %eax");
VIRTUAL(0, "sti; nop; pushfl; popl %eax");
VIRTUAL(0, "pushfl; popl %eax");
VIRTUAL(0, "pushl $0x00000202; popfl; nop");
VIRTUAL(0, "pushl $0x003f7ed7; popfl; nop");
VIRTUAL(0, "int $0x40");

static const struct { const char *name; uint32_t iopl, cr4, flags; } ways[] = {
	{ "v86 iopl 3", 3, 0, 0 },
	{ "v86 iopl 3 vip", 3, 0, FLAG_VIP },
	{ "v86 iopl 0", 0, 0, 0 },
	{ "v86 iopl 0 vif vip", 0, 0, FLAG_VIP | FLAG_VIF },
	{ "v86 iopl 3 vme", 3, CR4_VME, 0 },
	{ "v86 iopl 3 vme vip", 3, CR4_VME, FLAG_VIP },
	{ "v86 iopl 3 vme vif vip", 3, CR4_VME, FLAG_VIF | FLAG_VIP },
	{ "v86 iopl 0 vme", 0, CR4_VME, 0 },
	{ "v86 iopl 0 vme vif", 0, CR4_VME, FLAG_VIF },
	{ "v86 iopl 0 vme vip", 0, CR4_VME, FLAG_VIP },
	{ "v86 iopl 0 vme vif if", 0, CR4_VME, FLAG_VIF | FLAG_IF },
	{ "v86 iopl 2 vme", 2, CR4_VME, 0 },
}, protected_ways[] = {
	{ "p32 iopl 0 pvi", 0, CR4_PVI, 0 },
	{ "p32 iopl 0 pvi vif", 0, CR4_PVI, FLAG_VIF },
	{ "p32 iopl 0 pvi vip", 0, CR4_PVI, FLAG_VIP },
	{ "p32 iopl 3 pvi vip", 3, CR4_PVI, FLAG_VIP },
	{ "p32 iopl 0 vme", 0, CR4_VME, FLAG_VIP },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]),
       PROTECTED_WAYS = sizeof(protected_ways) / sizeof(protected_ways[0]) };

/* PUSHF; POP AX; INT3 at 3000:180h; only INT 40h is the program's own, only port 300h is barred. */
static void prepare(const uint8_t *s, const uint8_t *e)
{
	static const uint8_t handler[] = { 0x9c, 0x58, 0xcc };

	machine_reset();
	for (unsigned vector = 0; vector < 256; vector++)
		redirect_interrupts(vector, vector != OWN_VECTOR);
	((volatile uint32_t *)0)[OWN_VECTOR] = CODE_BASE >> 4 << 16 | OWN_HANDLER;
	bar_port(0x300);
	place_code(s, e, CODE_AT);
	__builtin_memcpy((void *)(CODE_BASE + OWN_HANDLER), handler, sizeof(handler));
}

void run_v86(void)
{
	struct regs r;

	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[i].cr4 && !has_vme())
			continue;
		for (const struct snippet *s = v86_cases; s->text; s++) {
			prepare(s->start16, s->end16);
			v86_segments(&r, ways[i].iopl);
			r.eflags |= ways[i].flags;
			write_cr4(ways[i].cr4);
			run(&r);
			report(ways[i].name, s->text, &r);
		}
	}
	for (unsigned i = 0; i < PROTECTED_WAYS && has_vme(); i++) {
		for (const struct snippet *s = virtual_cases; s->text; s++) {
			prepare(s->start32, s->end32);
			usual_segments(&r, 3, true);
			r.eflags |= protected_ways[i].flags | FLAG_IOPL(protected_ways[i].iopl);
			write_cr4(protected_ways[i].cr4);
			run(&r);
			report(protected_ways[i].name, s->text, &r);
		}
	}
}
