/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every exception from every ring: where it says it happened, its error code, and that nothing else
 * changed (SDM vol. 3, 6.15). Segment and gate faults are in other files, page faults too; here is
 * what single instructions raise.
 */
#include "guest.h"
#include "groups.h"

#define LABEL(name) extern char name[]

SNIPPET(exc_div, "xorl %ecx, %ecx\n exc_div_at: divl %ecx"); LABEL(exc_div_at);
SNIPPET(exc_div_big, "movl $2, %edx; movl $1, %ecx\n exc_div_big_at: divl %ecx");
LABEL(exc_div_big_at);
SNIPPET(exc_idiv, "movl $0x80000000, %eax; cltd; movl $-1, %ecx\n exc_idiv_at: idivl %ecx");
LABEL(exc_idiv_at);
SNIPPET(exc_div8, "movw $0x1000, %ax; movb $1, %bl\n exc_div8_at: divb %bl"); LABEL(exc_div8_at);
SNIPPET(exc_div16, "movw $0, user_data\n exc_div16_at: divw user_data"); LABEL(exc_div16_at);
SNIPPET(exc_aam, "aam $0");
SNIPPET(exc_int3, "int3\n exc_int3_next:"); LABEL(exc_int3_next);
SNIPPET(exc_int3_long, ".byte 0xcd, 3\n exc_int3_long_next:"); LABEL(exc_int3_long_next);
SNIPPET(exc_into, "movb $0x7f, %al; addb $1, %al\n exc_into_at: into\n exc_into_next:");
LABEL(exc_into_at);
LABEL(exc_into_next);
SNIPPET(exc_bound, "movl $5, user_data; movl $9, user_data + 4; movl $10, %eax\n exc_bound_at: "
		   BOUND_EAX);
LABEL(exc_bound_at);
SNIPPET(exc_bound16, "movw $-5, user_data; movw $9, user_data + 2; movl $0x1fffa, %eax\n "
		     "exc_bound16_at: " BOUND_AX);
LABEL(exc_bound16_at);
SNIPPET(exc_ud2, "ud2");
SNIPPET(exc_ud1, ".byte 0x0f, 0xb9, 0xc0");
SNIPPET(exc_ff7, ".byte 0xff, 0xf8");
SNIPPET(exc_lock_nop, ".byte 0xf0, 0x90");
SNIPPET(exc_lock_mov, ".byte 0xf0, 0x89, 0x08");
SNIPPET(exc_lock_add_reg, ".byte 0xf0, 0x01, 0xc8");
SNIPPET(exc_lock_cmp, ".byte 0xf0, 0x39, 0x0d; .long user_data");
SNIPPET(exc_lea_reg, ".byte 0x8d, 0xc0");
SNIPPET(exc_les_reg, ".byte 0xc4, 0xc0, 0, 0"); /* also what VEX looks like */
SNIPPET(exc_cmpxchg8b_reg, ".byte 0x0f, 0xc7, 0xc8");
SNIPPET(exc_rsm, "rsm");
SNIPPET(exc_bound_reg, ".byte 0x62, 0xc0");
SNIPPET(exc_jmp_far_reg, ".byte 0xff, 0xe8");
SNIPPET(exc_long_jump, ".fill 13, 1, 0x2e; nop; .fill 15, 1, 0x2e; nop");

SNIPPET(exc_hlt, "hlt");
SNIPPET(exc_clts, "clts");
SNIPPET(exc_lgdt, "lgdt user_data");
SNIPPET(exc_lidt, "lidt user_data");
SNIPPET(exc_lldt, "xorl %eax, %eax\n exc_lldt_at: lldt %ax"); LABEL(exc_lldt_at);
SNIPPET(exc_ltr, "xorl %eax, %eax\n exc_ltr_at: ltr %ax"); LABEL(exc_ltr_at);
SNIPPET(exc_lmsw, "lmsw %ax");
SNIPPET(exc_mov_from_cr0, "movl %cr0, %eax");
SNIPPET(exc_mov_to_cr3, "movl %eax, %cr3");
SNIPPET(exc_mov_from_cr4, "movl %cr4, %eax");
SNIPPET(exc_rdpmc, "rdpmc"); /* with CR4.PCE clear */
SNIPPET(exc_mov_from_dr7, "movl %dr7, %eax");
SNIPPET(exc_mov_to_dr0, "movl %eax, %dr0");
SNIPPET(exc_invlpg, "invlpg user_data");
SNIPPET(exc_invd, "wbinvd");
SNIPPET(exc_rdmsr, "movl $0x10, %ecx\n exc_rdmsr_at: rdmsr"); LABEL(exc_rdmsr_at);
SNIPPET(exc_wrmsr, "movl $0x174, %ecx\n exc_wrmsr_at: wrmsr"); LABEL(exc_wrmsr_at);
SNIPPET(exc_cli, "cli");
SNIPPET(exc_sti, "sti");
SNIPPET(exc_in, "inb $0x80, %al");
SNIPPET(exc_out, "outl %eax, %dx");
SNIPPET(exc_insb, "insb");
SNIPPET(exc_outsb, "outsb");
SNIPPET(exc_sysexit, "sysexit");

SNIPPET(exc_ro_code, "movl %eax, %cs:user_data");
SNIPPET(exc_null_read, "movl %fs:user_data, %eax");
SNIPPET(exc_null_write, "movl %eax, %fs:user_data");
SNIPPET(exc_bad_msr, "movl $0x4b564d7f, %ecx\n exc_bad_msr_at: rdmsr"); LABEL(exc_bad_msr_at);
SNIPPET(exc_bad_wrmsr, "movl $0x4b564d7f, %ecx\n exc_bad_wrmsr_at: wrmsr"); LABEL(exc_bad_wrmsr_at);
SNIPPET(exc_cr0_pg_only, "movl $0x80000000, %eax\n exc_cr0_pg_only_at: movl %eax, %cr0");
LABEL(exc_cr0_pg_only_at);
SNIPPET(exc_cr0_nw_only,
	"movl %cr0, %eax; orl $0x20000000, %eax\n exc_cr0_nw_only_at: movl %eax, %cr0");
LABEL(exc_cr0_nw_only_at);
SNIPPET(exc_cr4_bad, "movl %cr4, %eax; orl $0x8000, %eax; orl $0x80000000, %eax\n exc_cr4_bad_at: "
		     "movl %eax, %cr4");
LABEL(exc_cr4_bad_at);
SNIPPET(exc_cr1, ".byte 0x0f, 0x20, 0xc8");
SNIPPET(exc_cr5, ".byte 0x0f, 0x22, 0xe8");

SNIPPET(exc_ac_load, "movl user_data + 1, %eax");
SNIPPET(exc_ac_store16, "movw %ax, user_data + 3");
SNIPPET(exc_ac_push, "subl $2, %esp\n exc_ac_push_at: pushl %eax"); LABEL(exc_ac_push_at);
SNIPPET(exc_ac_rep, "movl $user_data + 8, %esi; movl $user_data + 257, %edi; movl $4, %ecx\n "
		    "exc_ac_rep_at: rep movsl");
LABEL(exc_ac_rep_at);
SNIPPET(exc_ac_aligned,
	"movl user_data + 4, %eax; movb user_data + 3, %al; movw %ax, user_data + 2");

enum { RINGS_ALL = 15, RING0 = 1, RINGS_OUTER = 14 };

struct raising { const char *name; const void *code, *at; uint32_t vector, error; unsigned rings; };

static const struct raising raising[] = {
	{ "de.zero", exc_div, exc_div_at, DE, NO_ERROR, RINGS_ALL },
	{ "de.overflow", exc_div_big, exc_div_big_at, DE, NO_ERROR, RINGS_ALL },
	{ "de.idiv", exc_idiv, exc_idiv_at, DE, NO_ERROR, RINGS_ALL },
	{ "de.byte", exc_div8, exc_div8_at, DE, NO_ERROR, RINGS_ALL },
	{ "de.word.memory", exc_div16, exc_div16_at, DE, NO_ERROR, RINGS_ALL },
	{ "de.aam", exc_aam, exc_aam, DE, NO_ERROR, RINGS_ALL },
	{ "bp", exc_int3, exc_int3_next, BP, NO_ERROR, RINGS_ALL },
	{ "bp.int", exc_int3_long, exc_int3_long_next, BP, NO_ERROR, RINGS_ALL },
	{ "of", exc_into, exc_into_next, OF, NO_ERROR, RINGS_ALL },
	{ "br", exc_bound, exc_bound_at, BR, NO_ERROR, RINGS_ALL },
	{ "br.16", exc_bound16, exc_bound16_at, BR, NO_ERROR, RINGS_ALL },
	{ "ud.ud2", exc_ud2, exc_ud2, UD, NO_ERROR, RINGS_ALL },
	{ "ud.ud1", exc_ud1, exc_ud1, UD, NO_ERROR, RINGS_ALL },
	{ "ud.ff7", exc_ff7, exc_ff7, UD, NO_ERROR, RINGS_ALL },
	{ "ud.lock.nop", exc_lock_nop, exc_lock_nop, UD, NO_ERROR, RINGS_ALL },
	{ "ud.lock.mov", exc_lock_mov, exc_lock_mov, UD, NO_ERROR, RINGS_ALL },
	{ "ud.lock.register", exc_lock_add_reg, exc_lock_add_reg, UD, NO_ERROR, RINGS_ALL },
	{ "ud.lock.cmp", exc_lock_cmp, exc_lock_cmp, UD, NO_ERROR, RINGS_ALL },
	{ "ud.lea", exc_lea_reg, exc_lea_reg, UD, NO_ERROR, RINGS_ALL },
	{ "ud.les", exc_les_reg, exc_les_reg, UD, NO_ERROR, RINGS_ALL },
	{ "ud.cmpxchg8b", exc_cmpxchg8b_reg, exc_cmpxchg8b_reg, UD, NO_ERROR, RINGS_ALL },
	{ "ud.rsm", exc_rsm, exc_rsm, UD, NO_ERROR, RINGS_ALL },
	{ "ud.bound", exc_bound_reg, exc_bound_reg, UD, NO_ERROR, RINGS_ALL },
	{ "ud.jmp.far", exc_jmp_far_reg, exc_jmp_far_reg, UD, NO_ERROR, RINGS_ALL },
	{ "gp.length", exc_long_jump, (const char *)exc_long_jump + 14, GP, 0, RINGS_ALL },
	{ "gp.hlt", exc_hlt, exc_hlt, GP, 0, RINGS_OUTER },
	{ "gp.clts", exc_clts, exc_clts, GP, 0, RINGS_OUTER },
	{ "gp.lgdt", exc_lgdt, exc_lgdt, GP, 0, RINGS_OUTER },
	{ "gp.lidt", exc_lidt, exc_lidt, GP, 0, RINGS_OUTER },
	{ "gp.lldt", exc_lldt, exc_lldt_at, GP, 0, RINGS_OUTER },
	{ "gp.ltr", exc_ltr, exc_ltr_at, GP, 0, RINGS_OUTER },
	{ "gp.lmsw", exc_lmsw, exc_lmsw, GP, 0, RINGS_OUTER },
	{ "gp.from.cr0", exc_mov_from_cr0, exc_mov_from_cr0, GP, 0, RINGS_OUTER },
	{ "gp.to.cr3", exc_mov_to_cr3, exc_mov_to_cr3, GP, 0, RINGS_OUTER },
	{ "gp.from.cr4", exc_mov_from_cr4, exc_mov_from_cr4, GP, 0, RINGS_OUTER },
	{ "gp.from.dr7", exc_mov_from_dr7, exc_mov_from_dr7, GP, 0, RINGS_OUTER },
	{ "gp.to.dr0", exc_mov_to_dr0, exc_mov_to_dr0, GP, 0, RINGS_OUTER },
	{ "gp.invlpg", exc_invlpg, exc_invlpg, GP, 0, RINGS_OUTER },
	{ "gp.wbinvd", exc_invd, exc_invd, GP, 0, RINGS_OUTER },
	{ "gp.rdmsr", exc_rdmsr, exc_rdmsr_at, GP, 0, RINGS_OUTER },
	{ "gp.wrmsr", exc_wrmsr, exc_wrmsr_at, GP, 0, RINGS_OUTER },
	{ "gp.rdpmc", exc_rdpmc, exc_rdpmc, GP, 0, RINGS_OUTER },
	{ "gp.cli", exc_cli, exc_cli, GP, 0, RINGS_OUTER },
	{ "gp.sti", exc_sti, exc_sti, GP, 0, RINGS_OUTER },
	{ "gp.in", exc_in, exc_in, GP, 0, RINGS_OUTER },
	{ "gp.out", exc_out, exc_out, GP, 0, RINGS_OUTER },
	{ "gp.ins", exc_insb, exc_insb, GP, 0, RINGS_OUTER },
	{ "gp.outs", exc_outsb, exc_outsb, GP, 0, RINGS_OUTER },
	{ "gp.sysexit", exc_sysexit, exc_sysexit, GP, 0, RINGS_OUTER },
	{ "gp.code.write", exc_ro_code, exc_ro_code, GP, 0, RINGS_ALL },
	{ "gp.msr", exc_bad_msr, exc_bad_msr_at, GP, 0, RINGS_ALL },
	{ "gp.msr.write", exc_bad_wrmsr, exc_bad_wrmsr_at, GP, 0, RINGS_ALL },
	{ "gp.cr0.pg", exc_cr0_pg_only, exc_cr0_pg_only_at, GP, 0, RINGS_OUTER },
	{ "ud.cr1", exc_cr1, exc_cr1, UD, NO_ERROR, RING0 },
	{ "ud.cr5", exc_cr5, exc_cr5, UD, NO_ERROR, RING0 },
};

/*
 * A fault at the first instruction leaves every register as it was; RF is set in the image of a
 * fault's EFLAGS only.
 */
static void check_untouched(const struct raising *r, const struct trap *trap,
			    const struct regs *regs, unsigned ring)
{
	const uint32_t *got = &trap->regs.eax, *want = &regs->eax;
	bool fault = r->vector != BP && r->vector != OF;

	check(trap->regs.eflags & FLAG_RF, fault ? FLAG_RF : 0, "%s.%s.rf.ring%u", r->name,
	      fault ? "fault" : "trap", ring);
	check(trap->regs.cs, CODE(ring), "%s.cs.ring%u", r->name, ring);
	check(trap->regs.ss, ring ? DATA(ring) : KDATA, "%s.ss.ring%u", r->name, ring);
	check(trap->regs.esp, regs->esp, "%s.esp.ring%u", r->name, ring);
	check(trap->handler_eflags,
	      FLAG_1 | (trap->regs.eflags & (FLAGS_ARITH | FLAG_AC | FLAG_ID)),
	      "%s.handler.eflags.ring%u", r->name, ring);
	if (r->at != r->code)
		return;
	for (unsigned i = 0; i < 8; i++)
		if (i != 4)
			check(got[i], want[i], "%s.reg%u.ring%u", r->name, i, ring);
	check(trap->regs.eflags & ~FLAG_RF, regs->eflags, "%s.eflags.ring%u", r->name, ring);
}

/* Its translator fails on the operands that these must not have. */
static bool aborts_unicorn(const void *code)
{
	return code == exc_lock_cmp || code == exc_jmp_far_reg;
}

static void raise_all(void)
{
	for (unsigned i = 0; i < COUNT(raising); i++)
		for (unsigned ring = 0; ring < 4; ring++) {
			struct regs regs = start_at(raising[i].code, ring);
			const struct trap *trap;

			if (!(raising[i].rings >> ring & 1) ||
			    (sparing_unicorn && aborts_unicorn(raising[i].code)))
				continue;
			regs.eflags |= FLAG_IF | FLAG_ID | FLAG_CF | FLAG_SF;
			trap = run(&regs);
			check_trap(trap, raising[i].vector, raising[i].error, raising[i].at,
				"%s.ring%u", raising[i].name, ring);
			check_untouched(&raising[i], trap, &regs, ring);
		}
}

/* INT n to an exception's vector pushes no error code, and needs a gate of sufficient DPL. */
SNIPPET(exc_int_gp, "int $13\n exc_int_gp_next:"); LABEL(exc_int_gp_next);
SNIPPET(exc_int_df, "int $8\n exc_int_df_next:"); LABEL(exc_int_df_next);

static void software_vectors(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		struct regs regs = start_at(exc_int_gp, ring);

		if (ring)
			check_trap(run(&regs), GP, GP * 8 + 2, exc_int_gp, "int13.ring%u", ring);
		idt[GP] |= (uint64_t)DPL(3) << 40;
		check_trap(run_software(&regs), GP, NO_ERROR, exc_int_gp_next, "int13.open.ring%u",
			ring);
		idt[GP] &= ~((uint64_t)DPL(3) << 40);
		idt[DF] |= (uint64_t)DPL(3) << 40;
		regs.eip = ADDR(exc_int_df);
		check_trap(run_software(&regs), DF, NO_ERROR, exc_int_df_next, "int8.open.ring%u",
			ring);
		idt[DF] &= ~((uint64_t)DPL(3) << 40);
		idt[BP] &= ~((uint64_t)DPL(3) << 40);
		idt[OF] &= ~((uint64_t)DPL(3) << 40);
		regs.eip = ADDR(exc_int3);
		if (ring)
			check_trap(run(&regs), GP, BP * 8 + 2, exc_int3, "int3.dpl.ring%u", ring);
		regs.eip = ADDR(exc_into);
		if (ring)
			check_trap(run(&regs), GP, OF * 8 + 2, exc_into_at, "into.dpl.ring%u",
				ring);
		idt[BP] |= (uint64_t)DPL(3) << 40;
		idt[OF] |= (uint64_t)DPL(3) << 40;
	}
}

static void null_segments(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		struct regs regs = start_at(exc_null_read, ring);

		regs.fs = ring & 1 ? 0 : 3;
		check_trap(run(&regs), GP, 0, exc_null_read, "gp.null.read.ring%u", ring);
		regs.eip = ADDR(exc_null_write);
		check_trap(run(&regs), GP, 0, exc_null_write, "gp.null.write.ring%u", ring);
	}
}

SNIPPET(exc_fit15, ".fill 14, 1, 0x2e; nop; movl $1, %eax");

/* #AC: ring 3 only, with CR0.AM and EFLAGS.AC (SDM vol. 3, 6.15). */
static void alignment(void)
{
	static const struct { const char *name; const void *code, *at; } checks[] = {
		{ "load", exc_ac_load, exc_ac_load }, { "store16", exc_ac_store16, exc_ac_store16 },
		{ "push", exc_ac_push, exc_ac_push_at }, { "rep", exc_ac_rep, exc_ac_rep_at },
	};

	for (unsigned i = 0; i < COUNT(checks); i++)
		for (unsigned ring = 0; ring < 4; ring++) {
			struct regs regs = start_at(checks[i].code, ring);

			check_done(run(&regs), "ac.none.%s.ring%u", checks[i].name, ring);
			regs.eflags |= FLAG_AC;
			check_done(run(&regs), "ac.flag.%s.ring%u", checks[i].name, ring);
			write_cr0(read_cr0() | CR0_AM);
			if (ring == 3)
				check_trap(run(&regs), AC, 0, checks[i].at, "ac.%s.ring3",
					checks[i].name);
			else
				check_done(run(&regs), "ac.%s.ring%u", checks[i].name, ring);
			regs.eip = ADDR(exc_ac_aligned);
			check_done(run(&regs), "ac.aligned.%s.ring%u", checks[i].name, ring);
			regs.eip = ADDR(checks[i].code);
			regs.eflags &= ~FLAG_AC;
			check_done(run(&regs), "ac.mask.%s.ring%u", checks[i].name, ring);
			write_cr0(read_cr0() & ~CR0_AM);
		}
}

/*
 * CR0.AM and EFLAGS.AC hold for the user's accesses, not for what the processor does itself, and AC
 * survives delivery.
 */
static void alignment_delivery(void)
{
	struct regs regs = start_at(exc_int3, 3);
	const struct trap *trap;

	write_cr0(read_cr0() | CR0_AM);
	regs.eflags |= FLAG_AC;
	regs.esp -= 1;
	main_tss.stack[0].esp -= 1;
	trap = run(&regs);
	check_trap(trap, BP, NO_ERROR, exc_int3_next, "ac.delivery");
	check(trap->regs.eflags & FLAG_AC, FLAG_AC, "ac.delivery.saved");
	check(trap->handler_eflags & FLAG_AC, FLAG_AC, "ac.delivery.handler");
	main_tss.stack[0].esp += 1;
	write_cr0(read_cr0() & ~CR0_AM);
}

void group_exceptions(void)
{
	raise_all();
	software_vectors();
	null_segments();
	alignment();
	alignment_delivery();
	for (unsigned ring = 0; ring < 4; ring++) {
		struct regs regs = start_at(exc_fit15, ring);

		check(run(&regs)->regs.eax, 1, "length15.ring%u", ring);
	}
}

/*
 * In ring 0 as well: a null selector is none for LTR, there is no paging without protection, and so
 * on.
 */
void group_refused(void)
{
	struct regs regs = start_at(exc_ltr, 0);

	check_trap(run(&regs), GP, 0, exc_ltr_at, "ltr.null");
	regs.eip = ADDR(exc_cr0_pg_only);
	check_trap(run(&regs), GP, 0, exc_cr0_pg_only_at, "cr0.pg");
	regs.eip = ADDR(exc_cr0_nw_only);
	check_trap(run(&regs), GP, 0, exc_cr0_nw_only_at, "cr0.nw");
	regs.eip = ADDR(exc_cr4_bad);
	check_trap(run(&regs), GP, 0, exc_cr4_bad_at, "cr4.reserved");
}
