/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What newer processors have: UMIP, SMEP, SMAP (SDM vol. 3, 2.5 and 4.6), RDTSCP, RDPID, LZCNT
 * (vol. 2). Checks of what CPUID does not show are left out.
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

#define CR4_UMIP 0x000800u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u
#define MSR_TSC_AUX 0xc0000103u

enum word { EAX, EBX, ECX, EDX };

static bool has(uint32_t leaf, enum word word, unsigned bit)
{
	uint32_t r[4] = { leaf, 0, 0, 0 };

	__asm__ volatile("cpuid" : "+a"(r[EAX]), "=b"(r[EBX]), "+c"(r[ECX]), "=d"(r[EDX]));
	return r[word] >> bit & 1;
}

/* What runs has bits of CR4 set that this file's own code need not be fit for. */
static const struct trap *run_under(const struct regs *regs, uint32_t cr4)
{
	const struct trap *trap;

	write_cr4(read_cr4() | cr4);
	trap = run(regs);
	write_cr4(read_cr4() & ~cr4);
	return trap;
}

/* ---- RDTSCP, RDPID, LZCNT ---- */

SNIPPET(new_rdtscp, ".byte 0x0f, 0x01, 0xf9; movl %ecx, %ebp; movl %eax, %esi; movl %edx, %edi\n"
		    ".byte 0x0f, 0x01, 0xf9; subl %esi, %eax; sbbl %edi, %edx");
SNIPPET(new_rdpid, ".byte 0xf3, 0x0f, 0xc7, 0xf8"); /* rdpid eax */
SNIPPET(new_lzcnt, ".byte 0xf3, 0x0f, 0xbd, 0xc1"); /* lzcnt eax, ecx */
SNIPPET(new_lzcntw, ".byte 0x66, 0xf3, 0x0f, 0xbd, 0x05; .long user_data");

static void rdtscp(unsigned ring)
{
	struct regs regs = start_at(new_rdtscp, ring);
	const struct trap *trap;

	write_msr(MSR_TSC_AUX, 0x600d0000 + ring);
	trap = run(&regs);
	check_done(trap, "rdtscp.ring%u", ring);
	check(trap->regs.ebp, 0x600d0000 + ring, "rdtscp.aux.ring%u", ring);
	check(trap->regs.ecx, 0x600d0000 + ring, "rdtscp.aux.again.ring%u", ring);
	check(trap->regs.edx < 0x80000000, 1, "rdtscp.runs.on.ring%u", ring);
	trap = run_under(&regs, CR4_TSD);
	if (ring)
		check_trap(trap, GP, 0, new_rdtscp, "rdtscp.tsd.ring%u", ring);
	else
		check_done(trap, "rdtscp.tsd.ring%u", ring);
}

static void rdpid(unsigned ring)
{
	struct regs regs = start_at(new_rdpid, ring);

	write_msr(MSR_TSC_AUX, 0xb00c0000 + ring);
	check(run(&regs)->regs.eax, 0xb00c0000 + ring, "rdpid.ring%u", ring);
	check(run_under(&regs, CR4_TSD)->regs.eax, 0xb00c0000 + ring, "rdpid.tsd.ring%u", ring);
}

static void lzcnt(unsigned ring)
{
	static const struct { uint32_t source, count, count16, flags, flags16; } cases[] = {
		{ 0x00010001, 15, 15, 0, 0 }, { 0, 32, 16, FLAG_CF, FLAG_CF },
		{ 0xffff8000, 0, 0, FLAG_ZF, FLAG_ZF }, { 0xffff0000, 0, 16, FLAG_ZF, FLAG_CF },
	};

	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct regs regs = start_at(new_lzcnt, ring);
		const struct trap *trap;

		regs.ecx = user_data[0] = cases[i].source;
		trap = run(&regs);
		check(trap->regs.eax, cases[i].count, "lzcnt.%x.ring%u", cases[i].source, ring);
		check(trap->regs.eflags & (FLAG_CF | FLAG_ZF), cases[i].flags,
		      "lzcnt.%x.flags.ring%u", cases[i].source, ring);
		regs.eip = ADDR(new_lzcntw);
		trap = run(&regs);
		check(trap->regs.eax, 0xa0a10000 | cases[i].count16, "lzcntw.%x.ring%u",
		      cases[i].source, ring);
		check(trap->regs.eflags & (FLAG_CF | FLAG_ZF), cases[i].flags16,
		      "lzcntw.%x.flags.ring%u", cases[i].source, ring);
	}
}

void group_new_instructions(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		if (has(0x80000001, EDX, 27))
			rdtscp(ring);
		if (has(7, ECX, 22))
			rdpid(ring);
		if (has(0x80000001, ECX, 5))
			lzcnt(ring);
	}
}

/* ---- UMIP ---- */

SNIPPET(umip_sgdt, "sgdt user_data");
SNIPPET(umip_sidt, "sidt user_data");
SNIPPET(umip_sldt, "sldt %eax");
SNIPPET(umip_sldt_m, "sldt user_data");
SNIPPET(umip_str, "str %eax");
SNIPPET(umip_str_m, "str user_data");
SNIPPET(umip_smsw, "smsw %eax");
SNIPPET(umip_smsw_m, "smsw user_data");

static const struct { const char *name; const void *code; } umip_codes[] = {
	{ "sgdt", umip_sgdt }, { "sidt", umip_sidt }, { "sldt", umip_sldt },
	{ "sldt.memory", umip_sldt_m }, { "str", umip_str }, { "str.memory", umip_str_m },
	{ "smsw", umip_smsw }, { "smsw.memory", umip_smsw_m },
};

static void umip(unsigned ring)
{
	for (unsigned i = 0; i < COUNT(umip_codes); i++) {
		struct regs regs = start_at(umip_codes[i].code, ring);
		const struct trap *trap;

		user_data[0] = 0xeeeeeeee;
		trap = run_under(&regs, CR4_UMIP);
		if (ring) {
			check_trap(trap, GP, 0, umip_codes[i].code, "%s.ring%u", umip_codes[i].name,
				   ring);
			check(trap->regs.eax, regs.eax, "%s.kept.ring%u", umip_codes[i].name, ring);
			check(user_data[0], 0xeeeeeeee, "%s.stored.ring%u", umip_codes[i].name,
			      ring);
		} else {
			check_done(trap, "%s.ring%u", umip_codes[i].name, ring);
		}
		check_done(run(&regs), "%s.off.ring%u", umip_codes[i].name, ring);
	}
}

/* Virtual-8086 mode is ring 3: what exists there is refused, SLDT and STR do not exist. */
#define V86_PAGE 0x20000u
SNIPPET(umip_v86_smsw, ".code16; smsw %ax; .code32");
SNIPPET(umip_v86_sgdt, ".code16; sgdt (%bx); .code32");
SNIPPET(umip_v86_sidt, ".code16; sidt (%bx); .code32");
SNIPPET(umip_v86_str, ".code16; str %ax; .code32");

static void umip_v86(void)
{
	static const struct { const char *name, *code; uint32_t vector, error; } ways[] = {
		{ "smsw", umip_v86_smsw, GP, 0 }, { "sgdt", umip_v86_sgdt, GP, 0 },
		{ "sidt", umip_v86_sidt, GP, 0 }, { "str", umip_v86_str, UD, NO_ERROR },
	};

	if (paging != PAGING_OFF)
		map(V86_PAGE, V86_PAGE | PTE_ALL);
	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs = {
			.eip = 0x100, .cs = V86_PAGE >> 4, .ss = V86_PAGE >> 4, .esp = 0x800,
			.ds = V86_PAGE >> 4, .ebx = 0x400, .eflags = FLAG_VM | FLAG_1 | IOPL(3),
		};

		__builtin_memcpy((void *)(V86_PAGE + 0x100), ways[i].code, 8);
		check_trap(run_under(&regs, CR4_UMIP), ways[i].vector, ways[i].error,
			   (void *)0x100, "v86.%s", ways[i].name);
	}
}

void group_umip(void)
{
	if (!has(7, ECX, 2))
		return;
	for (unsigned ring = 0; ring < 4; ring++)
		umip(ring);
	umip_v86();
}

/* ---- code and stacks of the supervisor's ---- */

#define SUPER_CODE  OTHER_PAGE
#define SUPER_STACK (OTHER_PAGE + 0x10000)

SNIPPET(pr_nop, "nop");
SNIPPET(pr_read, "movl (%ebx), %eax");
SNIPPET(pr_write, "movl %ecx, (%ebx)");
SNIPPET(pr_update, "addl %ecx, (%ebx)");
SNIPPET(pr_fs, "movw %cx, %fs");
SNIPPET(pr_sgdt, "sgdt (%ebx)");
SNIPPET(pr_movs, "movl %ebx, %esi; movl %edx, %edi; movl $1, %ecx; rep movsl");
SNIPPET(pr_stac, ".byte 0x0f, 0x01, 0xcb");
SNIPPET(pr_clac, ".byte 0x0f, 0x01, 0xca");
SNIPPET(pr_stac_clac, ".byte 0x0f, 0x01, 0xcb; movl (%ebx), %eax; .byte 0x0f, 0x01, 0xca\n"
		      "pr_stac_clac_at: movl (%ebx), %ecx");
SNIPPET(pr_popf, "pushfl; popl %edx; orl $0x40000, %edx; pushl %edx; popfl; movl (%ebx), %eax\n"
		 "andl $~0x40000, %edx; pushl %edx; popfl\n pr_popf_at: movl (%ebx), %ecx");
extern char pr_stac_clac_at[], pr_popf_at[];

/* The snippet where it is a supervisor's page, which goes on into the next. */
static uint32_t super_code(const void *code)
{
	uint32_t page = ADDR(code) & ~0xfffu;

	map(SUPER_CODE, page | PTE_P | PTE_W);
	map(SUPER_CODE + 0x1000, (page + 0x1000) | PTE_P | PTE_W);
	return SUPER_CODE + (ADDR(code) & 0xfff);
}

/* In the supervisor's rings on code and a stack of its own. */
static struct regs super_start(const void *code, unsigned ring)
{
	struct regs regs = start_at((void *)super_code(code), ring);

	regs.esp = SUPER_STACK + 0x800;
	return regs;
}

static void super_stack(void)
{
	map(SUPER_STACK, page_alloc() | PTE_P | PTE_W);
}

/* ---- SMEP ---- */

static void smep(unsigned ring)
{
	const bool super = ring < 3;
	uint32_t nx = super ? 0x10 : 0x14; /* I/D, and U */
	struct regs regs = start_at(pr_nop, ring);

	/* The stack is not touched before ring 0's: SMEP is about code. */
	if (super)
		check_trap(run_under(&regs, CR4_SMEP), PF, 0x11, pr_nop, "user.ring%u", ring);
	else
		check_done(run_under(&regs, CR4_SMEP), "user.ring%u", ring);
	check_done(run(&regs), "user.off.ring%u", ring);
	regs.eip = super_code(pr_nop);
	if (super)
		check_done(run_under(&regs, CR4_SMEP), "supervisor.ring%u", ring);
	else
		check_trap(run_under(&regs, CR4_SMEP), PF, 0x15, (void *)regs.eip,
			   "supervisor.ring%u", ring);
	regs.eip = TEST_PAGE;
	map(TEST_PAGE, 0);
	check_trap(run_under(&regs, CR4_SMEP), PF, nx, (void *)TEST_PAGE, "absent.ring%u", ring);
	check_trap(run(&regs), PF, nx & ~0x10u, (void *)TEST_PAGE, "absent.off.ring%u", ring);
	regs.eip = ADDR(pr_read);
	regs.ebx = TEST_PAGE;
	if (!super)
		check_trap(run_under(&regs, CR4_SMEP), PF, 4, pr_read, "read.absent.ring%u", ring);
}

/* A page of code becomes the user's, and the supervisor's again. */
static void smep_changes(void)
{
	uint32_t frame = page_alloc();
	struct regs regs = super_start(pr_nop, 0);

	regs.eip = TEST_PAGE;
	for (unsigned round = 0; round < 3; round++) {
		write_code(frame, 0x1000 + round);
		map(TEST_PAGE, frame | PTE_P | PTE_W);
		check(run_under(&regs, CR4_SMEP)->regs.eax, 0x1000 + round, "changed.runs%u",
		      round);
		map(TEST_PAGE, frame | PTE_ALL);
		check_trap(run_under(&regs, CR4_SMEP), PF, 0x11, (void *)TEST_PAGE,
			   "changed.faults%u", round);
		check(run(&regs)->regs.eax, 0x1000 + round, "changed.off%u", round);
	}
}

void group_smep(void)
{
	if (!has(7, EBX, 7))
		return;
	super_stack();
	for (unsigned ring = 0; ring < 4; ring++)
		smep(ring);
	smep_changes();
}

/* ---- SMAP ---- */

static const struct { const char *name; const void *code; uint32_t error; } smap_ways[] = {
	{ "read", pr_read, 1 }, { "write", pr_write, 3 }, { "update", pr_update, 3 },
	{ "sgdt", pr_sgdt, 3 }, { "movs", pr_movs, 1 },
};

/* Every kind of access of a ring to a page of either kind, with AC clear and set. */
static void smap_access(unsigned way, unsigned ring, bool user, bool ac, bool wp)
{
	struct regs regs = super_start(smap_ways[way].code, ring);
	const bool barred = user && !ac && ring < 3;
	const struct trap *trap;

	if (ring == 3) {
		regs.eip = ADDR(smap_ways[way].code);
		regs.esp = STACK_TOP(3);
	}
	map(TEST_PAGE, page_alloc() | PTE_P | PTE_W | (user ? PTE_U : 0));
	regs.ebx = TEST_PAGE + 0x10;
	regs.edx = user ? TEST_PAGE + 0x20 : SUPER_STACK;
	regs.eflags |= ac ? FLAG_AC : 0;
	if (!wp)
		write_cr0(read_cr0() & ~CR0_WP);
	trap = run_under(&regs, CR4_SMAP);
	write_cr0(read_cr0() | CR0_WP);
	if (!barred) {
		check_done(trap, "%s.user%u.ac%u.wp%u.ring%u", smap_ways[way].name, user, ac, wp,
			   ring);
		return;
	}
	check(trap->vector, PF, "%s.user%u.ac%u.wp%u.ring%u", smap_ways[way].name, user, ac, wp,
	      ring);
	check(trap->error, smap_ways[way].error, "%s.error.ac%u.wp%u.ring%u", smap_ways[way].name,
	      ac, wp, ring);
	check(trap->cr2, regs.ebx, "%s.cr2.ac%u.wp%u.ring%u", smap_ways[way].name, ac, wp, ring);
}

static void smap_accesses(void)
{
	for (unsigned way = 0; way < COUNT(smap_ways); way++)
		for (unsigned ring = 0; ring < 4; ring++)
			for (unsigned ac = 0; ac < 2; ac++) {
				smap_access(way, ring, true, ac, true);
				smap_access(way, ring, true, ac, false);
				if (ring < 3)
					smap_access(way, ring, false, ac, true);
			}
}

/* AC as STAC, CLAC and POPF change it, many times by the same code. */
static void smap_flag(void)
{
	static const struct { const char *name; const void *code, *at; } codes[] = {
		{ "stac.clac", pr_stac_clac, pr_stac_clac_at }, { "popf", pr_popf, pr_popf_at },
	};

	map(TEST_PAGE, page_alloc() | PTE_ALL);
	*(uint32_t *)TEST_PAGE = 0x5eed5eed;
	for (unsigned i = 0; i < COUNT(codes); i++)
		for (unsigned round = 0; round < 20; round++) {
			struct regs regs = super_start(codes[i].code, 0);
			const struct trap *trap;

			regs.ebx = TEST_PAGE;
			trap = run_under(&regs, CR4_SMAP);
			/* the snippet may go on into the second page */
			check_trap(trap, PF, 1,
				   (void *)(super_code(codes[i].code) + ADDR(codes[i].at) -
					    ADDR(codes[i].code)), "%s.%u", codes[i].name, round);
			check(trap->regs.eax, 0x5eed5eed, "%s.read%u", codes[i].name, round);
			check(trap->regs.eflags & FLAG_AC, 0, "%s.flag%u", codes[i].name, round);
			check_done(run(&regs), "%s.off%u", codes[i].name, round);
		}
}

static void stac_and_clac(unsigned ring)
{
	struct regs regs = start_at(pr_stac, ring);
	const struct trap *trap = run(&regs);

	if (ring)
		check_trap(trap, UD, NO_ERROR, pr_stac, "stac.ring%u", ring);
	else
		check(trap->regs.eflags, regs.eflags | FLAG_AC, "stac.ring%u", ring);
	regs.eip = ADDR(pr_clac);
	regs.eflags |= FLAG_AC | FLAG_ID | FLAGS_ARITH;
	trap = run(&regs);
	if (ring)
		check_trap(trap, UD, NO_ERROR, pr_clac, "clac.ring%u", ring);
	else
		check(trap->regs.eflags, regs.eflags & ~FLAG_AC, "clac.ring%u", ring);
}

/* The processor's own accesses to a descriptor table in a user page: AC does not count. */
static void smap_descriptor_tables(void)
{
	uint64_t *ldt = (uint64_t *)page_alloc();

	ldt[1] = segment(0, 0xfffff, ATTR_DATA | ATTR_ACCESSED | ATTR_FLAT | DPL(3));
	map(TEST_PAGE, (uint32_t)ldt | PTE_ALL);
	gdt_set(SCRATCH(0), segment(TEST_PAGE, 0xfff, ATTR_LDT));
	load_ldt(SCRATCH(0));
	for (unsigned ac = 0; ac < 2; ac++)
		for (unsigned ring = 0; ring < 4; ring += 3) {
			struct regs regs = super_start(pr_fs, ring);
			const struct trap *trap;

			if (ring)
				regs.eip = ADDR(pr_fs);
			regs.ecx = 8 | 4 | ring;
			regs.eflags |= ac ? FLAG_AC : 0;
			trap = run_under(&regs, CR4_SMAP);
			check_trap(trap, PF, 1, (void *)regs.eip, "ldt.ac%u.ring%u", ac, ring);
			check(trap->cr2, TEST_PAGE + 8, "ldt.cr2.ac%u.ring%u", ac, ring);
			check_done(run(&regs), "ldt.off.ac%u.ring%u", ac, ring);
		}
	load_ldt(0);
}

/* A page changes sides. */
static void smap_changes(void)
{
	uint32_t frame = page_alloc();

	for (unsigned round = 0; round < 6; round++) {
		struct regs regs = super_start(pr_update, 0);

		regs.ebx = TEST_PAGE;
		map(TEST_PAGE, frame | PTE_P | PTE_W);
		check_done(run_under(&regs, CR4_SMAP), "changed.supervisor%u", round);
		map(TEST_PAGE, frame | PTE_ALL);
		check_trap(run_under(&regs, CR4_SMAP), PF, 3, (void *)regs.eip, "changed.user%u",
			   round);
		regs.eflags |= FLAG_AC;
		check_done(run_under(&regs, CR4_SMAP), "changed.ac%u", round);
		check_done(run(&regs), "changed.off%u", round);
	}
	check(*(uint32_t *)frame, 18 * 0xc0c1c2c3u, "changed.sum");
}

void group_smap(void)
{
	if (!has(7, EBX, 20))
		return;
	super_stack();
	for (unsigned ring = 0; ring < 4; ring++)
		stac_and_clac(ring);
	smap_accesses();
	smap_flag();
	smap_descriptor_tables();
	smap_changes();
}
