/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system side of x87, MMX and SSE: #NM and #UD by CR0.TS, EM, MP and CR4.OSFXSR; #MF at the
 * next waiting instruction, or IRQ 13 with CR0.NE clear; #XM or #UD (SDM vol. 3, 2.5, 6.15, 12.1,
 * 13.1; vol. 1, 8.7).
 */
#include "guest.h"
#include "groups.h"

SNIPPET(fp_x87, "fld1");
SNIPPET(fp_fninit, "fninit");
SNIPPET(fp_fnstsw, "fnstsw %ax");
SNIPPET(fp_wait, "fwait");
SNIPPET(fp_fxsave, "fxsave user_data");
SNIPPET(fp_fxrstor, "fxrstor user_data + 1024");
SNIPPET(fp_mmx, "paddb %mm1, %mm0");
SNIPPET(fp_emms, "emms");
SNIPPET(fp_sse, "addps %xmm1, %xmm0");
SNIPPET(fp_sse_load, "movaps user_data, %xmm0");
SNIPPET(fp_sse2, "pxor %xmm0, %xmm0");
SNIPPET(fp_ldmxcsr, "ldmxcsr user_data");
SNIPPET(fp_prefetch, "prefetcht0 user_data"); /* no SSE state: never asks */
SNIPPET(fp_movnti, "movnti %eax, user_data");
SNIPPET(fp_sfence, "sfence; mfence");

enum needs { X87, WAIT, MMX, SSE_STATE, SAVE, NOTHING };

static const struct { const char *name; const void *code; enum needs needs; } kinds[] = {
	{ "fld1", fp_x87, X87 }, { "fninit", fp_fninit, X87 }, { "fnstsw", fp_fnstsw, X87 },
	{ "fwait", fp_wait, WAIT }, { "fxsave", fp_fxsave, SAVE }, { "fxrstor", fp_fxrstor, SAVE },
	{ "mmx", fp_mmx, MMX }, { "emms", fp_emms, MMX }, { "addps", fp_sse, SSE_STATE },
	{ "movaps", fp_sse_load, SSE_STATE }, { "pxor", fp_sse2, SSE_STATE },
	{ "ldmxcsr", fp_ldmxcsr, SSE_STATE }, { "prefetch", fp_prefetch, NOTHING },
	{ "movnti", fp_movnti, NOTHING }, { "sfence", fp_sfence, NOTHING },
};

static uint32_t want_vector(enum needs needs, uint32_t cr0, uint32_t cr4)
{
	switch (needs) {
	case X87:
		return cr0 & (CR0_EM | CR0_TS) ? NM : DONE;
	case WAIT:
		return (cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS) ? NM : DONE;
	case MMX:
		return cr0 & CR0_EM ? UD : cr0 & CR0_TS ? NM : DONE;
	case SAVE:
		return cr0 & (CR0_EM | CR0_TS) ? NM : DONE;
	case SSE_STATE:
		return cr0 & CR0_EM || !(cr4 & CR4_OSFXSR) ? UD : cr0 & CR0_TS ? NM : DONE;
	default:
		return DONE;
	}
}

/*
 * Every combination, over and over with the same code, so that what was found out for one does not
 * serve another.
 */
static void availability(unsigned ring)
{
	uint32_t cr0 = read_cr0() & ~(CR0_MP | CR0_EM | CR0_TS), cr4 = read_cr4() & ~CR4_OSFXSR;

	for (unsigned i = 0; i < 16; i++) {
		uint32_t bits = (i & 1 ? CR0_MP : 0) | (i & 2 ? CR0_EM : 0) | (i & 4 ? CR0_TS : 0);

		write_cr4(i & 8 ? cr4 : cr4 | CR4_OSFXSR);
		user_data[0] = 0x1f80;
		__asm__ volatile("fninit; fxsave (%0)" :: "r"(user_data + 256) : "memory");
		write_cr0(cr0 | bits);
		for (unsigned k = 0; k < COUNT(kinds); k++) {
			struct regs regs = start_at(kinds[k].code, ring);
			uint32_t want = want_vector(kinds[k].needs, bits, read_cr4());
			const struct trap *trap;

			user_data[0] = 0x1f80;
			trap = run(&regs);
			if (want == DONE)
				check_done(trap, "%s.mp%u.em%u.ts%u.fxsr%u.ring%u", kinds[k].name,
					   i & 1, i >> 1 & 1, i >> 2 & 1, !(i >> 3 & 1), ring);
			else
				check_trap(trap, want, NO_ERROR, kinds[k].code,
					   "%s.mp%u.em%u.ts%u.fxsr%u.ring%u", kinds[k].name, i & 1,
					   i >> 1 & 1, i >> 2 & 1, !(i >> 3 & 1), ring);
		}
		write_cr0(cr0);
	}
	write_cr4(cr4);
	machine_reset();
}

/* #NM comes before faults of the operand; alignment is #GP. */
SNIPPET(fp_bad_operand, "fldl (%ebx)");
SNIPPET(fp_bad_sse, "movaps (%ebx), %xmm0");
SNIPPET(fp_bad_save, "fxsave (%ebx)");

static void priorities(unsigned ring)
{
	struct regs regs = start_at(fp_bad_operand, ring);

	write_cr4(read_cr4() | CR4_OSFXSR);
	regs.ebx = ADDR(user_data) + 1;
	regs.eip = ADDR(fp_bad_sse);
	check_trap(run(&regs), GP, 0, fp_bad_sse, "sse.misaligned.ring%u", ring);
	regs.eip = ADDR(fp_bad_save);
	check_trap(run(&regs), GP, 0, fp_bad_save, "fxsave.misaligned.ring%u", ring);
	write_cr0(read_cr0() | CR0_TS);
	regs.eip = ADDR(fp_bad_sse);
	check_trap(run(&regs), NM, NO_ERROR, fp_bad_sse, "sse.misaligned.ts.ring%u", ring);
	regs.ebx = 0x40000000; /* mapped nowhere when paging is on */
	check_trap(run(&regs), NM, NO_ERROR, fp_bad_sse, "sse.ts.ring%u", ring);
	regs.eip = ADDR(fp_bad_operand);
	check_trap(run(&regs), NM, NO_ERROR, fp_bad_operand, "x87.ts.ring%u", ring);
	write_cr0(read_cr0() & ~CR0_TS);
	if (paging != PAGING_OFF)
		check_trap(run(&regs), PF, ring == 3 ? 4 : 0, fp_bad_operand, "x87.pf.ring%u",
			   ring);
	write_cr4(read_cr4() & ~CR4_OSFXSR);
}

/* ---- #MF ---- */

SNIPPET(fp_unmasked,
	"fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz; fdivrp\n fp_unmasked_at: fld1");
SNIPPET(fp_unmasked_wait, "fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz; fdivrp\n "
			  "fp_unmasked_wait_at: fwait");
SNIPPET(fp_unmasked_quiet, "fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz; fdivrp; "
			   "fnstsw %ax; fnstcw user_data; fnclex; fld1");
SNIPPET(fp_unmasked_mmx, "fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz; fdivrp\n "
			 "fp_unmasked_mmx_at: paddb %mm0, %mm0");
SNIPPET(fp_masked, "fninit; fld1; fldz; fdivrp; fld1; fnstsw %ax");
/* unmasked afterwards */
SNIPPET(fp_later,
	"fninit; fld1; fldz; fdivrp; pushl $0x37b; fldcw (%esp); popl %eax\n fp_later_at: fwait");
SNIPPET(fp_reload, "fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz; fdivrp; fnsave "
		   "user_data; fninit; frstor user_data\n fp_reload_at: fld1");
extern char fp_unmasked_at[], fp_unmasked_wait_at[], fp_unmasked_mmx_at[], fp_later_at[],
	fp_reload_at[];

static void numeric_errors(unsigned ring)
{
	static const struct { const char *name; const void *code, *at; } ways[] = {
		{ "load", fp_unmasked, fp_unmasked_at },
		{ "wait", fp_unmasked_wait, fp_unmasked_wait_at },
		{ "mmx", fp_unmasked_mmx, fp_unmasked_mmx_at }, { "later", fp_later, fp_later_at },
		{ "reload", fp_reload, fp_reload_at },
	};
	struct regs regs;

	for (unsigned i = 0; i < COUNT(ways); i++) {
		regs = start_at(ways[i].code, ring);
		check_trap(run(&regs), MF, NO_ERROR, ways[i].at, "mf.%s.ring%u", ways[i].name,
			   ring);
		__asm__ volatile("fnclex; fninit");
	}
	regs = start_at(fp_unmasked_quiet, ring);
	check_done(run(&regs), "mf.quiet.ring%u", ring);
	regs = start_at(fp_unmasked_quiet, ring);
	check(run(&regs)->regs.eax & 0x80ff, 0x8084, "mf.quiet.status.ring%u", ring);
	regs = start_at(fp_masked, ring);
	check(run(&regs)->regs.eax & 0x80ff, 0x04, "mf.masked.status.ring%u", ring);
	__asm__ volatile("fninit");
}

/* ---- what a handler learns of the instruction that raised it (SDM vol. 1, 8.1.8, 8.1.9) ---- */

SNIPPET(fp_get_eip, "fninit\n fp_get_eip_at: fldz; fnstenv -12(%esp); movl (%esp), %eax");
SNIPPET(fp_culprit, "fninit; pushl $0x37b; fldcw (%esp); popl %eax; fldz; fstps user_data; fld1\n "
		    "fp_culprit_at: fdivs user_data; movl $1, %eax; fwait");
SNIPPET(fp_culprit_reg, "fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz\n "
			"fp_culprit_reg_at: fdivrp; movl $1, %eax; call 1f\n "
			"1: addl $4, %esp; fwait");
extern char fp_get_eip_at[], fp_culprit_at[], fp_culprit_reg_at[];

/*
 * The handler's look. Processors that have deprecated the selectors store zero; those that have not
 * have the code's.
 */
static void check_pointers(const void *at, uint32_t opcode, const void *operand, uint32_t cs,
			   const char *name, unsigned ring)
{
	uint32_t environment[7];

	__asm__ volatile("fnstenv %0" : "=m"(environment));
	check(environment[3], ADDR(at), "mf.%s.fip.ring%u", name, ring);
	check(environment[4] >> 16 & 0x7ff, opcode, "mf.%s.fop.ring%u", name, ring);
	check((uint16_t)environment[4] && (uint16_t)environment[4] != cs, false,
	      "mf.%s.fcs.ring%u", name, ring);
	if (operand)
		check(environment[5], ADDR(operand), "mf.%s.fdp.ring%u", name, ring);
	__asm__ volatile("fnclex; fninit");
}

static void last_instruction(unsigned ring)
{
	struct regs regs = start_at(fp_get_eip, ring);
	const struct trap *trap;

	check(run(&regs)->regs.eax, ADDR(fp_get_eip_at), "mf.get_eip.ring%u", ring);
	regs.eip = ADDR(fp_culprit);
	trap = run(&regs);
	check(trap->vector, MF, "mf.culprit.ring%u", ring);
	check_pointers(fp_culprit_at, 0x035, user_data, trap->regs.cs, "culprit", ring);
	regs.eip = ADDR(fp_culprit_reg);
	trap = run(&regs);
	check(trap->vector, MF, "mf.culprit_reg.ring%u", ring);
	check_pointers(fp_culprit_reg_at, 0x6f9, NULL, trap->regs.cs, "culprit_reg", ring);
}

/* CR0.NE clear: the error goes to IRQ 13 by way of the chipset; port F0h takes the request back. */
SNIPPET(fp_ferr,
	"fninit; pushl $0x37b; fldcw (%esp); popl %eax; fld1; fldz; fdivrp\n fp_ferr_at: fld1");
extern char fp_ferr_at[];

static void by_interrupt(unsigned ring)
{
	static const struct { uint8_t port, value; } steps[] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 }, { 0xa1, 0x28 }, { 0x21, 4 },
		{ 0xa1, 2 }, { 0x21, 1 }, { 0xa1, 1 }, { 0x21, 0xfb }, { 0xa1, 0xdf },
	};
	struct regs regs = start_at(fp_ferr, ring);
	const struct trap *trap;

	for (unsigned i = 0; i < COUNT(steps); i++)
		outb(steps[i].port, steps[i].value);
	write_cr0(read_cr0() & ~CR0_NE);
	regs.eflags |= FLAG_IF;
	trap = run(&regs);
	check_trap(trap, 0x2d, NO_ERROR, fp_ferr_at, "irq13.ring%u", ring);
	outb(0xf0, 0);
	__asm__ volatile("fnclex");
	outb(0xa0, 0x20);
	outb(0x20, 0x20);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	__asm__ volatile("fninit");
	write_cr0(read_cr0() | CR0_NE);
}

/* ---- #XM ---- */

SNIPPET(fp_xm, "ldmxcsr user_data; xorps %xmm0, %xmm0; movl $0x3f800000, %eax; movd %eax, %xmm1\n "
	       "fp_xm_at: divss %xmm0, %xmm1");
SNIPPET(fp_xm_pd,
	"ldmxcsr user_data; movupd user_data + 16, %xmm1\n fp_xm_pd_at: sqrtpd %xmm1, %xmm2");
SNIPPET(fp_bad_mxcsr, "ldmxcsr user_data");
extern char fp_xm_at[], fp_xm_pd_at[];

static void simd_errors(unsigned ring)
{
	struct regs regs = start_at(fp_xm, ring);

	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	user_data[0] = 0x1f80 & ~0x200u; /* ZM clear */
	check_trap(run(&regs), XM, NO_ERROR, fp_xm_at, "xm.ring%u", ring);
	user_data[0] = 0x1f80;
	check_done(run(&regs), "xm.masked.ring%u", ring);
	write_cr4(read_cr4() & ~CR4_OSXMMEXCPT);
	user_data[0] = 0x1f80 & ~0x200u;
	check_trap(run(&regs), UD, NO_ERROR, fp_xm_at, "xm.ud.ring%u", ring);
	write_cr4(read_cr4() | CR4_OSXMMEXCPT);
	user_data[0] = 0x1f80 & ~0x80u; /* IM clear: the root of -1 */
	user_data[4] = user_data[6] = 0;
	user_data[5] = 0x3ff00000;
	user_data[7] = 0xbff00000;
	regs.eip = ADDR(fp_xm_pd);
	check_trap(run(&regs), XM, NO_ERROR, fp_xm_pd_at, "xm.sqrtpd.ring%u", ring);
	user_data[0] = 0x10000 | 0x1f80;
	regs.eip = ADDR(fp_bad_mxcsr);
	check_trap(run(&regs), GP, 0, fp_bad_mxcsr, "mxcsr.reserved.ring%u", ring);
	user_data[0] = 0x1f80;
	check_done(run(&regs), "mxcsr.ring%u", ring);
	write_cr4(read_cr4() & ~(CR4_OSXMMEXCPT | CR4_OSFXSR));
}

void group_fpu(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		availability(ring);
		priorities(ring);
		numeric_errors(ring);
		last_instruction(ring);
		by_interrupt(ring);
		simd_errors(ring);
	}
	write_cr4(read_cr4() & ~(CR4_OSXMMEXCPT | CR4_OSFXSR));
	machine_reset();
}
