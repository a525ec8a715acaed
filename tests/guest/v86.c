/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual-8086 mode, IRET of every other kind, and code segments of 16 bits (SDM vol. 3, chapter
 * 20; vol. 2, IRET).
 */
#include "guest.h"
#include "groups.h"

/* Where v86 code and its stack are: one page each below 1 MiB. */
#define V86_CODE 0x20000u
#define V86_STACK 0x30000u

static void v86_memory(void)
{
	if (paging == PAGING_OFF)
		return;
	map(V86_CODE, V86_CODE | PTE_ALL);
	map(V86_STACK, V86_STACK | PTE_ALL);
}

/*
 * Copies code (of `size` bytes, 16-bit) to offset 0x100 of the segment and gives registers that
 * start there.
 */
static struct regs v86_start(const char *code, unsigned size, unsigned iopl)
{
	__builtin_memcpy((void *)(V86_CODE + 0x100), code, size);
	return (struct regs){
		.eip = 0x100, .cs = V86_CODE >> 4, .ss = V86_STACK >> 4, .esp = 0x800,
		.eflags = FLAG_VM | FLAG_1 | IOPL(iopl), .ds = V86_CODE >> 4, .es = 0x1111,
		.fs = 0x2222, .gs = 0x3333, .eax = 0x12345678, .ebx = 0x400,
	};
}

#define V86(name, code) \
	SNIPPET(name, ".code16\n" code "\n" #name "_end: .code32"); \
	extern char name##_end[]
#define START(name, iopl) v86_start(name, name##_end - name, iopl)

V86(v86_int3, "int3");
V86(v86_int, "int $0x81");
V86(v86_hlt, "hlt");
V86(v86_cli, "cli");
V86(v86_sti, "sti");
V86(v86_pushf, "pushf");
V86(v86_popf, "popf");
V86(v86_iret, "iret");
V86(v86_lgdt, "lgdt (%bx)");
V86(v86_cr0, "mov %cr0, %eax");
V86(v86_lar, "lar %ax, %ax");
V86(v86_sldt, "sldt %ax");
V86(v86_arpl, "arpl %ax, %ax");
V86(v86_ud2, "ud2");
V86(v86_segments,
    "movw $0x2345, %ax; movw %ax, %ds; movw %ds, %cx; pushw %cs; popw %es; int $0x81");
V86(v86_memory_code,
    "movw (%bx), %ax; addw $1, %ax; movw %ax, 2(%bx); movw %cs:(%bx), %dx; int $0x81");
V86(v86_limit, "movw 0xffff, %ax");
V86(v86_limit32, "movl $0x10000, %ebx; movb (%ebx), %al");
V86(v86_calls, "call 1f; jmp 2f; 1: movw $0x55aa, %cx; ret; 2: lcall $0x2000, $(0x100 + "
	       "v86_calls_far - v86_calls); int $0x81\n v86_calls_far: movw $0x66bb, %dx; lret");
V86(v86_flags, "pushfw; popw %cx; pushfl; popl %edx; int $0x81");
V86(v86_popf_ok, "pushw $0x7ed7; popfw; pushfl; popl %edx; int $0x81");
V86(v86_in, "inb $0x80, %al");
V86(v86_smsw, "smsw %ax; sgdt (%bx); sidt 8(%bx); int $0x81");
V86(v86_iret_ok, "pushw $0x0203; pushw %cs; pushw $(0x100 + v86_iret_to - v86_iret_ok); iretw\n "
		 "v86_iret_to: pushfl; popl %edx; int $0x81");

static void check_v86_frame(const struct trap *trap, const struct regs *regs, const char *name)
{
	const uint32_t *rest = trap->frame + (trap->has_error ? 6 : 5);

	check(trap->regs.cs, regs->cs, "%s.cs", name);
	check(trap->regs.ss, regs->ss, "%s.ss", name);
	check(trap->regs.eflags & (FLAG_VM | FLAG_IOPL), regs->eflags & (FLAG_VM | FLAG_IOPL),
	      "%s.eflags", name);
	check(rest[0] & 0xffff, regs->es, "%s.es", name);
	check(rest[1] & 0xffff, regs->ds, "%s.ds", name);
	check(rest[2] & 0xffff, regs->fs, "%s.fs", name);
	check(rest[3] & 0xffff, regs->gs, "%s.gs", name);
	check(trap->regs.ds | (trap->regs.es & 0xffff) | (trap->regs.fs & 0xffff) |
		      (trap->regs.gs & 0xffff),
	      0, "%s.nulled", name);
	check(trap->handler_eflags & (FLAG_VM | FLAG_IF | FLAG_NT | FLAG_TF), 0, "%s.handler",
	      name);
	check(trap->handler_esp, main_tss.stack[0].esp - (trap->has_error ? 40 : 36),
	      "%s.handler.esp", name);
}

/* What faults in v86 mode, by IOPL. */
static void v86_faults(unsigned iopl)
{
	static const struct {
		const char *name, *code, *end;
		uint32_t vector, error;
		bool iopl3_too;
	} ways[] = {
		{ "hlt", v86_hlt, v86_hlt_end, GP, 0, true },
		{ "cli", v86_cli, v86_cli_end, GP, 0, false },
		{ "sti", v86_sti, v86_sti_end, GP, 0, false },
		{ "pushf", v86_pushf, v86_pushf_end, GP, 0, false },
		{ "popf", v86_popf, v86_popf_end, GP, 0, false },
		{ "iret", v86_iret, v86_iret_end, GP, 0, false },
		{ "int", v86_int, v86_int_end, GP, 0, false },
		{ "lgdt", v86_lgdt, v86_lgdt_end, GP, 0, true },
		{ "cr0", v86_cr0, v86_cr0_end, GP, 0, true },
		{ "lar", v86_lar, v86_lar_end, UD, NO_ERROR, true },
		{ "sldt", v86_sldt, v86_sldt_end, UD, NO_ERROR, true },
		{ "arpl", v86_arpl, v86_arpl_end, UD, NO_ERROR, true },
		{ "ud2", v86_ud2, v86_ud2_end, UD, NO_ERROR, true },
		{ "in", v86_in, v86_in_end, GP, 0, true },
		{ "limit", v86_limit, v86_limit_end, GP, 0, true },
	};

	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs = v86_start(ways[i].code, ways[i].end - ways[i].code, iopl);
		const struct trap *trap;

		if ((iopl == 3 && !ways[i].iopl3_too) ||
		    (sparing_qemu && ways[i].code == v86_limit))
			continue;
		trap = run(&regs);
		check_trap(trap, ways[i].vector, ways[i].error, (void *)0x100, "%s.iopl%u",
			   ways[i].name, iopl);
		check_v86_frame(trap, &regs, ways[i].name);
	}
	{
		struct regs regs = START(v86_int3, iopl);
		const struct trap *trap = run(&regs);

		/* INT3 does not ask for IOPL. */
		check_trap(trap, BP, NO_ERROR, (void *)0x101, "int3.iopl%u", iopl);
		check_v86_frame(trap, &regs, "int3");
	}
}

static void v86_works(void)
{
	struct regs regs = START(v86_int, 3);
	const struct trap *trap = run(&regs);

	check_trap(trap, DONE, NO_ERROR, (void *)0x102, "int");
	check_v86_frame(trap, &regs, "int");
	regs = START(v86_segments, 3);
	trap = run(&regs);
	check(trap->regs.ecx & 0xffff, 0x2345, "segments.mov");
	check(trap->frame[6] & 0xffff, 0x2345, "segments.ds");
	check(trap->frame[5] & 0xffff, V86_CODE >> 4, "segments.es");
	regs = START(v86_memory_code, 3);
	*(uint16_t *)(V86_CODE + 0x400) = 0x4321;
	trap = run(&regs);
	check(*(uint16_t *)(V86_CODE + 0x402), 0x4322, "memory");
	check(trap->regs.edx & 0xffff, 0x4321, "memory.cs");
	check(trap->regs.eax, 0x12344322, "memory.upper.half");
	regs = START(v86_limit32, 3);
	if (!sparing_qemu)
		check_trap(run(&regs), GP, 0, (void *)0x106, "limit32");
	regs = START(v86_calls, 3);
	trap = run(&regs);
	check_done(trap, "calls");
	check(trap->regs.ecx & 0xffff, 0x55aa, "calls.near");
	check(trap->regs.edx & 0xffff, 0x66bb, "calls.far");
	check(trap->regs.esp, regs.esp, "calls.esp");
	regs = START(v86_flags, 3);
	regs.eflags |= FLAG_CF | FLAG_IF | FLAG_ID;
	trap = run(&regs);
	check(trap->regs.ecx & 0xffff, FLAG_CF | FLAG_IF | FLAG_1 | IOPL(3), "flags.word");
	check(trap->regs.edx, FLAG_CF | FLAG_IF | FLAG_1 | FLAG_ID | IOPL(3), "flags.long");
	regs = START(v86_popf_ok, 3);
	trap = run(&regs);
	check(trap->regs.edx & 0xffff, 0x7ed7, "popf");
	regs = START(v86_smsw, 3);
	trap = run(&regs);
	check_done(trap, "smsw");
	check(trap->regs.eax & 0xffff, read_cr0() & 0xffff, "smsw.value");
	check(*(uint32_t *)(V86_CODE + 0x402), ADDR(gdt), "sgdt");
	check(*(uint32_t *)(V86_CODE + 0x40a), ADDR(idt), "sidt");
	regs = START(v86_iret_ok, 3);
	trap = run(&regs);
	check(trap->regs.edx, 0x203 | IOPL(3), "iret"); /* IOPL stays, IF goes in */
	/* A handler for v86 code must be in ring 0. */
	idt[DONE] = gate(CODE(1) & ~3u, STUB(DONE), GATE_INT32 | DPL(3), 0);
	regs = START(v86_int, 3);
	check_trap(run(&regs), GP, CODE(1) & ~3u, (void *)0x100, "int.ring1");
	gdt_set(SCRATCH(0), segment(0, 0xfffff, ATTR_CONFORMING | ATTR_FLAT));
	idt[DONE] = gate(SCRATCH(0), STUB(DONE), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), GP, SCRATCH(0), (void *)0x100, "int.conforming");
	idt[DONE] = gate(KCODE, STUB(DONE), GATE_INT32, 0);
	check_trap(run(&regs), GP, DONE * 8 + 2, (void *)0x100, "int.dpl");
	machine_reset();
}

/* EIP beyond 64 KiB in the image is refused in ring 0. */
SNIPPET(v86_iret_in, "pushl $0; pushl $0; pushl $0; pushl $0; pushl $0x3000; pushl $0x800; pushl "
		     "$0x20002; pushl $0x2000; pushl %ecx\n v86_iret_in_at: iretl");
extern char v86_iret_in_at[];

static void v86_entry(void)
{
	struct regs regs = start_at(v86_iret_in, 0);

	START(v86_int3, 0);
	regs.ecx = 0x100;
	check_trap(run(&regs), BP, NO_ERROR, (void *)0x101, "entry");
	regs.ecx = 0x10000;
	check_trap(run(&regs), GP, 0, v86_iret_in_at, "entry.eip");
}

void group_v86(void)
{
	v86_memory();
	for (unsigned iopl = 0; iopl < 4; iopl++)
		v86_faults(iopl);
	v86_works();
	v86_entry();
}

/* ---- IRET in protected mode ---- */

SNIPPET(ir_outer, "pushl %ecx; pushl %edx; pushl %esi; pushl %ebx; pushl $ir_to\n ir_at: iretl\n "
		  "ir_to: pushfl; popl %eax");
SNIPPET(ir_word, "pushw %cx; pushw %dx; pushw %si; pushw %bx; pushw %di; iretw");
SNIPPET(ir_word_to, "movl $0x16161616, %eax");
extern char ir_at[], ir_to[];

static void iret_outer(unsigned from, unsigned to, unsigned iopl)
{
	struct regs regs = start_at(ir_outer, from);
	uint32_t mask = FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;
	const struct trap *trap;

	if (from <= iopl)
		mask |= FLAG_IF;
	if (!from)
		mask |= FLAG_IOPL;
	regs.ebx = CODE(to);
	regs.ecx = DATA(to);
	regs.edx = STACK_TOP(to) - 512;
	regs.esi = FLAGS_ARITH | FLAG_IF | FLAG_ID | FLAG_IOPL | FLAG_AC | FLAG_1;
	regs.eflags = IOPL(iopl) | FLAG_1;
	trap = run(&regs);
	check_done(trap, "iret.from%u.to%u.iopl%u", from, to, iopl);
	check(trap->regs.eax, (IOPL(iopl) & ~mask) | (regs.esi & mask) | FLAG_1,
	      "iret.eflags.from%u.to%u.iopl%u", from, to, iopl);
	check(trap->regs.cs, CODE(to), "iret.cs.from%u.to%u.iopl%u", from, to, iopl);
	check(trap->regs.ss, DATA(to), "iret.ss.from%u.to%u.iopl%u", from, to, iopl);
	check(trap->regs.esp, regs.edx, "iret.esp.from%u.to%u.iopl%u", from, to, iopl);
	check(trap->regs.ds, from ? DATA(from) * (DATA(from) / 16 >= to + 1) : 0,
	      "iret.ds.from%u.to%u.iopl%u", from, to, iopl);
}

static void iret_word(unsigned from, unsigned to)
{
	struct regs regs = start_at(ir_word, from);
	const struct trap *trap;

	gdt_set(SCRATCH(0), segment(ADDR(ir_word_to), 0xfffff, ATTR_CODE | ATTR_FLAT | DPL(to)));
	gdt_set(SCRATCH(1),
		segment(STACK_TOP(to) & ~0xffffu, 0xfffff, ATTR_DATA | ATTR_FLAT | DPL(to)));
	regs.ebx = SCRATCH(0) | to;
	regs.ecx = SCRATCH(1) | to;
	regs.edx = STACK_TOP(to) & 0xffff;
	regs.edi = 0;
	regs.esi = FLAG_CF | FLAG_SF | FLAG_1;
	trap = run(&regs);
	check(trap->regs.eax, 0x16161616, "iretw.from%u.to%u", from, to);
	check(trap->regs.cs, SCRATCH(0) | to, "iretw.cs.from%u.to%u", from, to);
	if (from != to)
		check(trap->regs.esp, STACK_TOP(to) & 0xffff, "iretw.esp.from%u.to%u", from, to);
	check(trap->regs.eflags, regs.esi, "iretw.eflags.from%u.to%u", from, to);
}

static void bad_irets(void)
{
	static const struct { const char *name; uint32_t cs, cs_attr, ss, ss_attr, vector,
		error; } ways[] = {
		{ "cs.null", 3, 0, DATA(3), 0, GP, 0 },
		{ "cs.data", DATA(3), 0, DATA(3), 0, GP, DATA(3) & ~3u },
		{ "cs.inner", SCRATCH(0), ATTR_CODE, DATA(3), 0, GP, SCRATCH(0) },
		{ "cs.dpl", SCRATCH(0) | 3, ATTR_CODE | DPL(2), DATA(3), 0, GP, SCRATCH(0) },
		{ "cs.absent", SCRATCH(0) | 3, (ATTR_CODE & ~ATTR_P) | DPL(3), DATA(3), 0, NP,
			SCRATCH(0) },
			{ "cs.gate", SCRATCH(0) | 3, GATE_CALL32 | DPL(3), DATA(3), 0, GP,
				SCRATCH(0) },
		{ "ss.null", CODE(3), 0, 3, 0, GP, 0 },
		{ "ss.rpl", CODE(3), 0, SCRATCH(1), ATTR_DATA | DPL(3), GP, SCRATCH(1) },
		{ "ss.dpl", CODE(3), 0, SCRATCH(1) | 3, ATTR_DATA, GP, SCRATCH(1) },
		{ "ss.code", CODE(3), 0, SCRATCH(1) | 3, ATTR_CODE | DPL(3), GP, SCRATCH(1) },
		{ "ss.absent", CODE(3), 0, SCRATCH(1) | 3, (ATTR_DATA & ~ATTR_P) | DPL(3), SS,
			SCRATCH(1) },
	};

	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs = start_at(ir_outer, 1);
		const struct trap *trap;

		gdt_set(SCRATCH(0), segment(0, 0xfffff, ways[i].cs_attr | ATTR_FLAT));
		gdt_set(SCRATCH(1), segment(0, 0xfffff, ways[i].ss_attr | ATTR_FLAT));
		regs.ebx = ways[i].cs;
		regs.ecx = ways[i].ss;
		regs.edx = STACK_TOP(3);
		regs.esi = FLAG_1;
		trap = run(&regs);
		check_trap(trap, ways[i].vector, ways[i].error, ir_at, "iret.%s", ways[i].name);
		check(trap->regs.esp, regs.esp - 20, "iret.%s.esp", ways[i].name);
		check(trap->regs.cs, CODE(1), "iret.%s.still", ways[i].name);
	}
}

void group_iret(void)
{
	for (unsigned from = 0; from < 4; from++) {
		for (unsigned to = from; to < 4; to++)
			iret_word(from, to);
		for (unsigned to = from + 1; to < 4; to++)
			for (unsigned iopl = 0; iopl < 4; iopl++)
				iret_outer(from, to, iopl);
	}
	bad_irets();
}

/* ---- 16-bit code ---- */

V86(c16_plain, "movw $0x1234, %ax; incl %ecx; addl $0x10001, %edx; pushw %ax; popw %bx; movw "
	       "$0x5678, 8(%si); int $0x81");
V86(c16_call, "call 1f; int $0x81; 1: movw $0x99, %ax; ret");
V86(c16_calll, "calll 1f; int $0x81; 1: movw $0x98, %ax; retl");
V86(c16_loop, "movw $5, %cx; xorw %ax, %ax; 1: incw %ax; loop 1b; jcxz 2f; incw %ax; 2: int $0x81");
V86(c16_string, "movw $4, %cx; cld; rep stosb; int $0x81");
V86(c16_ud, "nop; ud2");

static struct regs start16(const char *code, unsigned ring)
{
	struct regs regs = start_at(0, ring);

	gdt_set(SCRATCH(0), segment(ADDR(code), 0xffff, ATTR_CODE | DPL(ring)));
	regs.cs = SCRATCH(0) | ring;
	regs.eip = 0;
	return regs;
}

static void code16(unsigned ring)
{
	struct regs regs = start16(c16_plain, ring);
	const struct trap *trap;

	gdt_set(SCRATCH(1), segment(ADDR(user_data), 0xffff, ATTR_DATA | DPL(3)));
	regs.ds = regs.es = SCRATCH(1) | 3;
	regs.esi = 0xffff0010; /* only SI counts in an address of 16 bits */
	regs.ecx = 0xffff;
	regs.edx = 0xffff;
	user_data[6] = 0;
	trap = run(&regs);
	check_done(trap, "code16.ring%u", ring);
	check(trap->regs.eax, 0xa0a11234, "code16.eax.ring%u", ring);
	check(trap->regs.ecx, 0x10000, "code16.ecx.ring%u", ring);
	check(trap->regs.edx, 0x20000, "code16.edx.ring%u", ring);
	check(trap->regs.ebx, 0xb0b11234, "code16.ebx.ring%u", ring);
	check(user_data[6], 0x5678, "code16.stored.ring%u", ring);
	check(trap->regs.eip, c16_plain_end - c16_plain, "code16.eip.ring%u", ring);
	regs.eip = c16_call - c16_plain;
	check(run(&regs)->regs.eax & 0xffff, 0x99, "code16.call.ring%u", ring);
	check(run(&regs)->regs.esp, regs.esp, "code16.call.esp.ring%u", ring);
	regs.eip = c16_calll - c16_plain;
	check(run(&regs)->regs.eax & 0xffff, 0x98, "code16.calll.ring%u", ring);
	regs.eip = c16_loop - c16_plain;
	check(run(&regs)->regs.eax & 0xffff, 5, "code16.loop.ring%u", ring);
	check(run(&regs)->regs.ecx, 0, "code16.loop.ecx.ring%u", ring);
	regs.eip = c16_string - c16_plain;
	regs.edi = 0x7fff0020;
	trap = run(&regs);
	check(trap->regs.edi, 0x7fff0024, "code16.stos.edi.ring%u", ring);
	check(((uint8_t *)user_data)[0x23], 0xa3, "code16.stos.ring%u", ring);
	regs.eip = c16_ud - c16_plain;
	check_trap(run(&regs), UD, NO_ERROR, (void *)(c16_ud - c16_plain + 1), "code16.ud.ring%u",
		   ring);
	if (sparing_qemu)
		return;
	/* EIP beyond the limit. */
	gdt_set(SCRATCH(0), segment(ADDR(c16_plain), 1, ATTR_CODE | DPL(ring)));
	regs.eip = 0;
	check_trap(run(&regs), GP, 0, (void *)0, "code16.limit.ring%u", ring);
}

/* 32-bit code with a limit, or a base: what runs over the limit does not run. */
SNIPPET(c32_limit, "movl $1, %eax; nop; nop; nop; nop; nop; nop; movl $2, %eax; nop");
SNIPPET(c32_jump, "jmp *%ebx");
SNIPPET(c32_call, "call *%ebx");

static void code32(unsigned ring)
{
	struct regs regs = start_at(c32_limit, ring);
	const struct trap *trap;

	for (unsigned limit = 4; limit < 17; limit++) {
		gdt_set(SCRATCH(0),
			segment(ADDR(c32_limit), limit, ATTR_CODE | ATTR_DB | DPL(ring)));
		regs.cs = SCRATCH(0) | ring;
		regs.eip = 0;
		trap = run(&regs);
		if (limit >= 10)
			check_trap(trap, GP, 0,
				   (void *)(limit < 15  ? 11 :
					    limit == 15 ? 16 :
							  17),
				   "code32.limit%u.ring%u", limit, ring);
		else
			check_trap(trap, GP, 0, (void *)(limit + 1), "code32.limit%u.ring%u", limit,
				   ring);
	}
	/* The target of a jump is judged before the jump, so EIP is the jump's. */
	gdt_set(SCRATCH(0), segment(0, ADDR(c32_call) >> 12, ATTR_CODE | ATTR_FLAT | DPL(ring)));
	for (unsigned i = 0; i < 2; i++) {
		regs = start_at(i ? c32_call : c32_jump, ring);
		regs.cs = SCRATCH(0) | ring;
		regs.ebx = 0x40000000;
		trap = run(&regs);
		check_trap(trap, GP, 0, i ? c32_call : c32_jump, "code32.%s.ring%u",
			   i ? "call" : "jump", ring);
		check(trap->regs.esp, regs.esp, "code32.%s.esp.ring%u", i ? "call" : "jump", ring);
	}
}

void group_code_segments(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		code16(ring);
		if (!sparing_qemu)
			code32(ring);
	}
}
