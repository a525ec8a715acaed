/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses at the ends of segments, in each mode (SDM vol. 3, 5.3 and 20.1; vol. 2, each
 * instruction). What a case relies on: EBX, ESI and EDI are the limit of DS and ES; ECX is the
 * least offset of the stack, EDX one more than its largest.
 */
#include "modes.h"

enum mode { REAL, V86, PROTECTED };

struct environment {
	const char *name;
	enum mode mode;
	bool code32;
	unsigned ring;
	uint32_t limit;              /* as the segments' offsets have it */
	unsigned data, stack;        /* attributes, without privilege */
	bool caches;                 /* real mode with these limits */
};

#define DATA 0x93
#define DOWN (DATA | ATTR_DOWN)
#define ONLY_READ 0x91
#define EXECUTE 0x99
#define EXECUTE_READ 0x9b

static const struct environment environments[] = {
	{ "real", REAL, .limit = 0xffff, .data = DATA, .stack = DATA },
	{ "unreal", REAL, .limit = 0xffffffff, .data = DATA | ATTR_G, .stack = DATA,
	  .caches = true },
	{ "real fff", REAL, .limit = 0xfff, .data = DATA, .stack = DATA, .caches = true },
	{ "real down", REAL, .limit = 0xfff, .data = DOWN, .stack = DATA, .caches = true },
	{ "real readonly", REAL, .limit = 0xffff, .data = ONLY_READ, .stack = DATA,
	  .caches = true },
	{ "real bigstack", REAL, .limit = 0x1ffff, .data = DATA | ATTR_G,
	  .stack = DATA | ATTR_B | ATTR_G, .caches = true },
	{ "v86", V86, .limit = 0xffff, .data = DATA, .stack = DATA },
	{ "p16 ring0", PROTECTED, .limit = 0xffff, .data = DATA, .stack = DATA },
	{ "p16 ring3", PROTECTED, .ring = 3, .limit = 0xffff, .data = DATA, .stack = DATA },
	{ "p16 fff", PROTECTED, .ring = 3, .limit = 0xfff, .data = DATA, .stack = DATA },
	{ "p16 down", PROTECTED, .ring = 3, .limit = 0xfff, .data = DOWN, .stack = DOWN },
	{ "p16 big", PROTECTED, .ring = 3, .limit = 0x11fff, .data = DATA | ATTR_G,
	  .stack = DATA | ATTR_G | ATTR_B },
	{ "p32 ring0", PROTECTED, true, .limit = 0xffff, .data = DATA | ATTR_B,
	  .stack = DATA | ATTR_B },
	{ "p32 ring3", PROTECTED, true, 3, .limit = 0xffff, .data = DATA | ATTR_B,
	  .stack = DATA | ATTR_B },
	{ "p32 fff", PROTECTED, true, 3, .limit = 0xfff, .data = DATA, .stack = DATA },
	{ "p32 page", PROTECTED, true, 3, .limit = 0x11fff, .data = DATA | ATTR_G,
	  .stack = DATA | ATTR_G | ATTR_B },
	{ "p32 down", PROTECTED, true, 3, .limit = 0xfff, .data = DOWN | ATTR_B,
	  .stack = DOWN | ATTR_B },
	{ "p32 down page", PROTECTED, true, 3, .limit = 0x1fff, .data = DOWN | ATTR_B | ATTR_G,
	  .stack = DOWN | ATTR_B | ATTR_G },
	{ "p32 readonly", PROTECTED, true, 3, .limit = 0xffff, .data = ONLY_READ, .stack = DATA },
	{ "p32 execute", PROTECTED, true, 3, .limit = 0xffff, .data = EXECUTE_READ,
	  .stack = DATA },
};

#define EDGE(kind, text) SNIPPET(".edge_cases", kind, text)
extern const struct snippet edge_cases[];

/* Loads and stores */
EDGE(0, "movb (%ebx), %al");
EDGE(0, "movb 1(%ebx), %al");
EDGE(0, "movb %al, (%ebx)");
EDGE(0, "movb %al, 1(%ebx)");
EDGE(0, "movw -1(%ebx), %ax");
EDGE(0, "movw (%ebx), %ax");
EDGE(0, "movw %ax, -1(%ebx)");
EDGE(0, "movw %ax, (%ebx)");
EDGE(0, "movl -3(%ebx), %eax");
EDGE(0, "movl -2(%ebx), %eax");
EDGE(0, "movl %eax, -3(%ebx)");
EDGE(0, "movl %eax, -2(%ebx)");
EDGE(0, "movl (%ebx), %eax");
EDGE(0, "movl 1(%ebx), %eax");
EDGE(0, "movb (%bx), %al");
EDGE(0, "movw -1(%bx), %ax");
EDGE(0, "movw (%bx), %ax");
EDGE(0, "movw %ax, (%bx)");
EDGE(0, "movw 1(%bx), %ax");
EDGE(0, "movl -3(%bx), %eax");
EDGE(0, "movl -2(%bx), %eax");
EDGE(0, "movl %eax, -2(%bx)");
EDGE(0, "movl %eax, %es:-2(%bx)");
EDGE(0, "movw %fs:(%bx), %ax");
EDGE(0, "movw %ss:(%bx), %ax");
EDGE(0, "movw %cs:(%bx), %ax");
EDGE(0, "movb %al, %cs:0x180");
EDGE(0, "movw 0xffff, %ax");
EDGE(0, "movl 0x1000, %eax");
/* Changes */
EDGE(0, "addw %ax, -1(%ebx)");
EDGE(0, "addw %ax, (%ebx)");
EDGE(0, "incl -2(%bx)");
EDGE(0, "xchgw %ax, (%ebx)");
EDGE(0, "lock xaddl %eax, -3(%ebx)");
EDGE(0, "cmpxchgw %ax, (%ebx)");
EDGE(0, "shlw $1, (%ebx)");
EDGE(0, "btsw $0, (%ebx)");
EDGE(0, "movl $24, %eax; btsl %eax, -3(%ebx)");
EDGE(0, "movl $32, %eax; btsl %eax, -3(%ebx)");
EDGE(0, "setc (%ebx)");
EDGE(0, "setc 1(%ebx)");
EDGE(0, "testw $1, (%ebx)");
EDGE(0, "notw (%ebx)");
EDGE(0, "divw (%ebx)");
/* Pairs */
EDGE(NOT_PROTECTED, "ldsw -3(%bx), %ax");
EDGE(0, "ldsw -2(%bx), %ax");
EDGE(NOT_PROTECTED, "lesl -5(%bx), %eax");
EDGE(0, "lesl -4(%bx), %eax");
EDGE(0, "lfsw -1(%ebx), %ax");
EDGE(0, "boundw %ax, -3(%bx)");
EDGE(0, "boundw %ax, -1(%bx)");
EDGE(0, "movw $0x7fff, %ax; boundw %ax, -1(%bx)");
EDGE(0, "movw $0x7fff, %ax; boundw %ax, -1(%ebx)");
EDGE(0, "ljmpw *-2(%ebx)");
EDGE(0, "lcallw *-1(%bx)");
EDGE(0, "jmpw *(%bx)");
EDGE(0, "callw *(%ebx)");
EDGE(0, "cmpxchg8b -7(%ebx)");
EDGE(0, "cmpxchg8b -6(%ebx)");
EDGE(0, "sidtl -5(%ebx)");
EDGE(0, "sidtl -4(%ebx)");
EDGE(0, "sidtw -4(%bx)");
EDGE(NOT_RING0, "lgdtl -4(%ebx)");
EDGE(0, "smsw -1(%ebx)");
EDGE(0, "smsw (%ebx)");
EDGE(0, "lmsw (%ebx)");
EDGE(0, "fnstcw -1(%ebx)");
EDGE(0, "fnstcw (%ebx)");
EDGE(0, "fldcw (%bx)");
EDGE(0, "fninit; fldz; fstpl -7(%ebx)");
EDGE(0, "fninit; fldz; fstpl -6(%ebx)");
EDGE(0, "fninit; fldz; fstpt -9(%bx)");
EDGE(0, "fninit; fldz; fstpt -8(%bx)");
EDGE(0, "fldt -8(%bx)");
EDGE(0, "fnstenv -12(%bx)");
/* Strings */
EDGE(0, "lodsb");
EDGE(0, "lodsw");
EDGE(0, "stosb");
EDGE(0, "stosw");
EDGE(0, "decl %edi; stosw");
EDGE(0, "movsb");
EDGE(0, "movsw");
EDGE(0, "cmpsw");
EDGE(0, "scasw");
EDGE(0, "subl $5, %edi; movl $4, %ecx; rep stosw");
EDGE(0, "subl $4, %edi; movl $4, %ecx; rep stosw");
EDGE(0, "subl $7, %esi; subl $5, %edi; movl $6, %ecx; rep movsw");
EDGE(0, "subl $2, %esi; movl $4, %ecx; rep lodsb");
EDGE(0, "movl $3, %edi; movl $4, %ecx; std; rep stosw");
EDGE(0, "movl $2, %esi; movl $3, %edi; movl $4, %ecx; std; rep movsb");
EDGE(0, "subl $3, %edi; movl $9, %ecx; repne scasb");
EDGE(0, "xlatb");
/* The stack */
EDGE(0, "leal -1(%edx), %esp; popw %ax");
EDGE(0, "leal -2(%edx), %esp; popw %ax");
EDGE(0, "leal -3(%edx), %esp; popl %eax");
EDGE(0, "leal -2(%edx), %esp; popl %eax");
EDGE(NOT_REAL, "leal 1(%ecx), %esp; pushw %ax");
EDGE(NOT_REAL, "leal 2(%ecx), %esp; pushw %ax");
EDGE(NOT_REAL, "leal 2(%ecx), %esp; pushl %eax");
EDGE(NOT_REAL, "leal 3(%ecx), %esp; pushl $1");
EDGE(NOT_REAL, "leal 2(%ecx), %esp; pushw %ds");
EDGE(NOT_REAL, "leal 2(%ecx), %esp; pushl %es");
EDGE(NOT_REAL, "leal 1(%ecx), %esp; pushfw");
EDGE(NOT_REAL, "leal 10(%ecx), %esp; pushaw");
EDGE(NOT_REAL, "leal 16(%ecx), %esp; pushaw");
EDGE(NOT_REAL, "leal 15(%ecx), %esp; pushal");
EDGE(0, "leal -15(%edx), %esp; popaw");
EDGE(0, "leal -16(%edx), %esp; popaw");
EDGE(0, "leal -7(%edx), %esp; popaw");
EDGE(0, "leal -31(%edx), %esp; popal");
EDGE(0, "leal -1(%edx), %ebp; leavew");
EDGE(0, "leal -2(%edx), %ebp; leavew");
EDGE(0, "leal -3(%edx), %ebp; leavel");
EDGE(NOT_REAL, "leal 6(%ecx), %esp; enterw $5, $0");
EDGE(NOT_REAL, "leal 4(%ecx), %esp; enterw $2, $0");
EDGE(NOT_REAL, "leal 1(%ecx), %esp; enterw $0, $0");
EDGE(NOT_REAL, "leal 8(%ecx), %esp; leal -1(%edx), %ebp; enterw $0, $3");
EDGE(0, "leal -1(%edx), %esp; ret");
EDGE(0, "leal -3(%edx), %esp; retl");
EDGE(0, "leal -3(%edx), %esp; lretw");
EDGE(0, "leal -5(%edx), %esp; lretl");
EDGE(0, "leal -5(%edx), %esp; iretw");
EDGE(0, "leal -11(%edx), %esp; iretl");
EDGE(0, "leal -1(%edx), %esp; popfw");
EDGE(0, "leal -3(%edx), %esp; popfl");
EDGE(0, "leal -1(%edx), %esp; popw %ds");
EDGE(NOT_REAL, "leal -2(%edx), %esp; popl %es");
EDGE(NOT_REAL, "leal 1(%ecx), %esp; call 7f; 7:");
EDGE(NOT_REAL, "leal 2(%ecx), %esp; call 7f; 7:");
EDGE(NOT_REAL, "leal 3(%ecx), %esp; lcallw $0x3000, $0x180");
EDGE(0, "popw (%ebx)");
EDGE(0, "pushw (%ebx)");
EDGE(0, "pushw -1(%ebx)");
EDGE(0, "popl -3(%ebx)");
EDGE(0, "movw -2(%ebp), %ax");
EDGE(0, "leal -1(%edx), %ebp; movw (%ebp), %ax");
EDGE(0, "leal -1(%edx), %ebp; movw %ax, (%bp)");
/* Code */
EDGE(AT(0xffff), "nop");
EDGE(AT(0xfffe), "nop");
EDGE(AT(0xffff), "pushw %cs");
EDGE(AT(0xffff), "movb $1, %al");
EDGE(AT(0xfffd), "movl $1, %eax");
EDGE(AT(0xfffe), "jmp .+0x20");
EDGE(AT(0xfff0), "jmp .+0x20");
EDGE(AT(0xfff0), "call .+0x20");
EDGE(AT(0xfffd), "call .+0x180");
EDGE(0, "jmp .-0x110");
EDGE(0, "clc; jnc .-0x112");
EDGE(AT(0xfff0), "jcxz .+0x20");
EDGE(AT(0xfff0), "loop .+0x20");
EDGE(0, "movl $0x10180, %eax; jmpl *%eax");
EDGE(0, "movl $0x10180, %eax; jmpw *%ax");
EDGE(0, "pushl $0x10180; retl");
EDGE(0, "pushl $0x10180; retw");
EDGE(0, "movl $0x10000, %eax; calll *%eax");
EDGE(AT(0xfffe), "int $0x40");
EDGE(AT(0xffff), "int3");
EDGE(AT(0xffff), "lock");
EDGE(AT(0xfff8), ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66");
EDGE(0, ".fill 15, 1, 0x66; nop");
EDGE(0, ".fill 14, 1, 0x66; nop");
EDGE(NOT_PROTECTED, "ljmpw $0x3000, $0x180");
EDGE(NOT_PROTECTED, "ljmpl $0x3000, $0x10000");
EDGE(NOT_PROTECTED, "lcallw $0x3000, $0xffff");
EDGE(NOT_PROTECTED, "lcalll $0x3000, $0x10000");
EDGE(NOT_PROTECTED, "pushw $0x3000; pushw $0x180; lretw");
EDGE(NOT_PROTECTED, "pushl $0x3000; pushl $0x10180; lretl");
EDGE(NOT_PROTECTED, "pushw $0x2; pushw $0x3000; pushw $0x180; iretw");
EDGE(NOT_PROTECTED, "pushl $2; pushl $0x3000; pushl $0x10180; iretl");
/* What other modes have not */
EDGE(NOT_PROTECTED, "sldt %ax");
EDGE(NOT_PROTECTED, "str %ax");
EDGE(NOT_PROTECTED, "lldt %ax");
EDGE(NOT_PROTECTED, "ltr %ax");
EDGE(NOT_PROTECTED, "verr %ax");
EDGE(NOT_PROTECTED, "larw %ax, %ax");
EDGE(NOT_PROTECTED, "lslw %ax, %ax");
EDGE(NOT_PROTECTED, "arpl %ax, %ax");
EDGE(0, "smsw %eax");
EDGE(NOT_32, "movl %cr0, %eax");
EDGE(0, "movw %ax, %cs");
EDGE(0, "sysenter");
EDGE(0, "sysexit");
/* Single steps: the trap comes after the instruction that follows POPF (SDM vol. 3, 17.3.1.4) */
#define TRAPPED "pushl $0x102; popfl; "
EDGE(0, TRAPPED "nop; nop");
EDGE(0, TRAPPED "movw %ds, %ax; movw %ax, %ds; nop");
EDGE(0, "movw %ss, %cx; " TRAPPED "movw %cx, %ss; incl %eax; nop");
EDGE(0, "pushw %ss; " TRAPPED "popw %ss; incl %eax; nop");
EDGE(0, "pushl $2; " TRAPPED "popfl; nop; nop");
EDGE(0, TRAPPED "pushfw; nop");
EDGE(0, TRAPPED "int $0x40; nop");
EDGE(0, TRAPPED "int3; nop");
EDGE(0, TRAPPED "into; nop");
EDGE(0, TRAPPED "jmp 7f; nop; 7: nop; nop");
EDGE(0, TRAPPED "call 7f; nop; 7: nop; nop");
EDGE(0, "xorl %esi, %esi; movl $3, %ecx; " TRAPPED "rep lodsb; nop");
EDGE(0, "movl $0, %ecx; " TRAPPED "rep stosb; nop");
EDGE(0, TRAPPED "movw 1(%ebx), %ax; nop");
EDGE(0, TRAPPED "ud2");
EDGE(0, "movw $0x0, %cx; " TRAPPED "divb %cl; nop");
EDGE(0, "pushw $2; pushw %cs; pushw $0x180; " TRAPPED "iretw; nop");
EDGE(0, "pushw $0x102; pushw %cs; pushw $0x180; iretw; nop");
EDGE(0, TRAPPED "sti; nop; nop");
EDGE(0, TRAPPED "cli; nop; nop");

/* The first and the last offset that a segment of these attributes has, and one more. */
static uint32_t lowest(const struct environment *e)
{
	return e->stack & ATTR_DOWN && e->stack < EXECUTE + ATTR_B ? e->limit + 1 : 0;
}

static uint32_t highest(const struct environment *e)
{
	if (e->mode != PROTECTED)
		return e->stack & ATTR_B ? e->limit : 0xffff;
	if ((e->stack & 0x0c) == ATTR_DOWN)
		return e->stack & ATTR_B ? 0xffffffff : 0xffff;
	return e->limit;
}

static void describe(const struct environment *e, unsigned selector, uint32_t base, unsigned attr)
{
	set_descriptor(selector, base, attr & ATTR_G ? e->limit >> 12 : e->limit,
		       attr | (e->ring ? ATTR_RING3 : 0));
}

static void prepare(const struct environment *e, struct regs *r)
{
	const uint32_t base = e->limit == 0xffffffff ? 0 : DATA_BASE;
	const uint16_t rpl = e->ring;

	*r = (struct regs){
		.eax = 0x12345678, .ecx = lowest(e), .edx = highest(e) + 1, .ebx = e->limit,
		.esp = 0x800, .ebp = 0x900, .esi = e->limit, .edi = e->limit, .eflags = 2,
		.es = CASE_ES | rpl, .cs = CASE_CS | rpl, .ss = CASE_SS | rpl, .ds = CASE_DS | rpl,
		.fs = CASE_DS | rpl, .gs = 0,
	};
	if ((e->stack & 0x0c) == ATTR_DOWN)
		r->esp = e->limit + 0x801;
	describe(e, CASE_DS, base, e->data);
	describe(e, CASE_ES, base ? EXTRA_BASE : 0, e->data);
	describe(e, CASE_SS, STACK_BASE, e->stack);
	if (e->mode == REAL && !(e->stack & ATTR_B)) /* an exception needs room there */
		set_descriptor(CASE_SS, STACK_BASE, 0xffff, e->stack);
	set_descriptor(CASE_CS, CODE_BASE, 0xffff,
		       (e->ring ? ATTR_CODE3 : ATTR_CODE0) | (e->code32 ? ATTR_B : 0));
	if (e->mode == PROTECTED)
		return;
	r->es = EXTRA_BASE >> 4;
	r->cs = CODE_BASE >> 4;
	r->ss = STACK_BASE >> 4;
	r->ds = r->fs = r->gs = DATA_BASE >> 4;
	if (e->mode == V86)
		r->eflags |= FLAG_VM | FLAG_IOPL(3);
}

static bool fits(const struct environment *e, uint32_t kind)
{
	static const uint32_t without[] = { NOT_REAL, NOT_V86, NOT_PROTECTED };

	if (kind & without[e->mode] || kind & (e->code32 ? NOT_32 : NOT_16))
		return false;
	/* A stack fault in ring 0 has no stack to go to. */
	return !(kind & (NOT_RING0 | NOT_REAL)) || e->ring || e->mode == V86;
}

static void run_edge(const struct environment *e, const struct snippet *s)
{
	static const struct caches usual = { REAL_DATA, REAL_CODE, REAL_DATA, REAL_DATA, REAL_DATA,
					     REAL_DATA },
				   own = { CASE_ES, REAL_CODE, CASE_SS, CASE_DS, CASE_DS, CASE_DS };
	struct regs r;

	machine_reset();
	prepare(e, &r);
	r.eip = s->kind >> 16 ? s->kind >> 16 : CODE_AT;
	place_code(e->code32 ? s->start32 : s->start16, e->code32 ? s->end32 : s->end16, r.eip);
	if (e->mode == REAL)
		run_real(&r, e->caches ? &own : &usual);
	else
		run(&r);
	report(e->name, s->text, &r);
}

void run_edges(void)
{
	for (unsigned i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
		for (const struct snippet *s = edge_cases; s->text; s++)
			if (fits(&environments[i], s->kind))
				run_edge(&environments[i], s);
	}
}
