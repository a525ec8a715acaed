/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instructions that read or change system state without being privileged (Robin and Irvine,
 * USENIX Security 2000), from every ring: each gives the guest's own tables, flags and selectors
 * (SDM vol. 2).
 */
#include "guest.h"
#include "groups.h"

/* ---- SGDT, SIDT, SLDT, SMSW, STR ---- */

SNIPPET(sens_sgdt, "sgdt user_data");
SNIPPET(sens_sgdtw, "sgdtw user_data");
SNIPPET(sens_sidt, "sidt user_data");
SNIPPET(sens_sldt_r, "sldt %eax");
SNIPPET(sens_sldt_r16, "sldt %ax");
SNIPPET(sens_sldt_m, "sldt user_data");
SNIPPET(sens_smsw_r, "smsw %eax");
SNIPPET(sens_smsw_r16, "smsw %ax");
SNIPPET(sens_smsw_m, "smsw user_data");
SNIPPET(sens_str_r, "str %eax");
SNIPPET(sens_str_r16, "str %ax");
SNIPPET(sens_str_m, "str user_data");

static void table_registers(unsigned ring)
{
	static const struct {
		const char *name;
		const void *code;
		const void *base;
		uint32_t limit;
	} tables[] = {
		{ "sgdt", sens_sgdt, gdt, sizeof(gdt) - 1 },
		{ "sgdtw", sens_sgdtw, gdt, sizeof(gdt) - 1 },
		{ "sidt", sens_sidt, idt, sizeof(idt) - 1 },
	};

	for (unsigned i = 0; i < COUNT(tables); i++) {
		struct regs regs = start_at(tables[i].code, ring);

		user_data[0] = user_data[1] = 0xeeeeeeee;
		check_done(run(&regs), "%s.ring%u", tables[i].name, ring);
		check(user_data[0] & 0xffff, tables[i].limit, "%s.limit.ring%u", tables[i].name,
		      ring);
		check(user_data[0] >> 16 | user_data[1] << 16, ADDR(tables[i].base),
		      "%s.base.ring%u", tables[i].name, ring);
		check(user_data[1] >> 16, 0xeeee, "%s.behind.ring%u", tables[i].name, ring);
	}
}

/*
 * A 16-bit register operand keeps the upper half; a 32-bit one gets all of CR0, or zeros above a
 * selector.
 */
static void word_registers(unsigned ring)
{
	static const struct { const char *name; const void *reg32, *reg16, *memory; } words[] = {
		{ "sldt", sens_sldt_r, sens_sldt_r16, sens_sldt_m },
		{ "smsw", sens_smsw_r, sens_smsw_r16, sens_smsw_m },
		{ "str", sens_str_r, sens_str_r16, sens_str_m },
	};
	const uint32_t want[] = { SCRATCH(0), read_cr0(), MAIN_TSS };

	gdt_set(SCRATCH(0), segment(ADDR(user_data), 0xfff, ATTR_LDT));
	load_ldt(SCRATCH(0));
	for (unsigned i = 0; i < COUNT(words); i++) {
		struct regs regs = start_at(words[i].reg32, ring);

		check(run(&regs)->regs.eax, want[i], "%s.r32.ring%u", words[i].name, ring);
		regs = start_at(words[i].reg16, ring);
		check(run(&regs)->regs.eax, 0xa0a10000 | (want[i] & 0xffff), "%s.r16.ring%u",
		      words[i].name, ring);
		regs = start_at(words[i].memory, ring);
		user_data[0] = 0xeeeeeeee;
		check_done(run(&regs), "%s.m16.ring%u", words[i].name, ring);
		check(user_data[0], 0xeeee0000 | (want[i] & 0xffff), "%s.m16.value.ring%u",
		      words[i].name, ring);
	}
	load_ldt(0);
}

/* ---- LAR, LSL, VERR, VERW ---- */

SNIPPET(sens_lar, "lar %ecx, %eax");
SNIPPET(sens_larw, "lar %cx, %ax");
SNIPPET(sens_lsl, "lsl %ecx, %eax");
SNIPPET(sens_lslw, "lsl %cx, %ax");
SNIPPET(sens_verr, "verr %cx");
SNIPPET(sens_verw, "verw %cx");

struct looked_at {
	const char *name;
	uint32_t attr, limit;
	bool system_lar, system_lsl; /* or a segment */
	bool readable, writable;
};

static const struct looked_at looked_at[] = {
	{ "code", ATTR_CODE | ATTR_FLAT, 0xfffff, true, true, true, false },
	{ "xocode", ATTR_CODE_XO | ATTR_DB, 0x12345, true, true, false, false },
	{ "data", ATTR_DATA, 0x4321, true, true, true, true },
	{ "rodata", ATTR_DATA_RO | ATTR_G | ATTR_AVL, 0x12, true, true, true, false },
	{ "down", ATTR_DATA_DOWN | ATTR_DB, 0xfff, true, true, true, true },
	{ "absent", ATTR_DATA & ~ATTR_P, 0x99, true, true, true, true },
	{ "tss16", ATTR_TSS16, 0x2b, true, true, false, false },
	{ "ldt", ATTR_LDT, 0x17, true, true, false, false },
	{ "tss16busy", 0x83, 0x2b, true, true, false, false },
	{ "callgate16", GATE_CALL16, 0, true, false, false, false },
	{ "taskgate", GATE_TASK, 0, true, false, false, false },
	{ "intgate16", GATE_INT16, 0, false, false, false, false },
	{ "trapgate16", GATE_TRAP16, 0, false, false, false, false },
	{ "type0", 0x80, 0, false, false, false, false },
	{ "type8", 0x88, 0, false, false, false, false },
	{ "tss32", ATTR_TSS32, 0x67, true, true, false, false },
	{ "type10", 0x8a, 0, false, false, false, false },
	{ "tss32busy", ATTR_TSS32_BUSY, 0x67, true, true, false, false },
	{ "callgate32", GATE_CALL32, 0, true, false, false, false },
	{ "type13", 0x8d, 0, false, false, false, false },
	{ "intgate32", GATE_INT32, 0, false, false, false, false },
	{ "trapgate32", GATE_TRAP32, 0, false, false, false, false },
};

/* One of the four: ZF, and the register where there is one (unchanged if ZF is clear). */
static void look(const void *code, uint32_t selector, unsigned ring, bool zf, uint32_t eax,
		 const char *what, const char *name)
{
	const uint32_t undefined = code == sens_lar ? 0xf0000 : 0; /* SDM vol. 2, LAR */
	struct regs regs = start_at(code, ring);
	const struct trap *trap;

	regs.ecx = selector | 0x5a5a0000; /* of the source only 16 bits count */
	regs.eflags ^= zf ? 0 : FLAG_ZF;
	trap = run(&regs);
	check(trap->vector == DONE ? trap->regs.eflags & FLAG_ZF : 0xbad, zf ? FLAG_ZF : 0,
	      "%s.%s.zf.%x.ring%u", what, name, selector, ring);
	check(trap->regs.eax & ~undefined, (zf ? eax : 0xa0a1a2a3) & ~undefined, "%s.%s.%x.ring%u",
	      what, name, selector, ring);
}

static void look_all(const struct looked_at *at, unsigned ring, unsigned dpl, unsigned rpl)
{
	uint64_t descriptor = segment(0x12345678, at->limit, at->attr | DPL(dpl));
	uint32_t selector = SCRATCH(1) | rpl, attr = descriptor >> 32 & 0xf0ff00;
	uint32_t limit = at->attr & ATTR_G ? at->limit << 12 | 0xfff : at->limit;
	bool seen = ring <= dpl && rpl <= dpl;

	gdt_set(selector, descriptor);
	look(sens_lar, selector, ring, at->system_lar && seen, attr, "lar", at->name);
	look(sens_larw, selector, ring, at->system_lar && seen, 0xa0a10000 | (attr & 0xffff),
	     "lar16", at->name);
	look(sens_lsl, selector, ring, at->system_lsl && seen, limit, "lsl", at->name);
	look(sens_lslw, selector, ring, at->system_lsl && seen, 0xa0a10000 | (limit & 0xffff),
	     "lsl16", at->name);
	look(sens_verr, selector, ring, at->readable && seen, 0xa0a1a2a3, "verr", at->name);
	look(sens_verw, selector, ring, at->writable && seen, 0xa0a1a2a3, "verw", at->name);
}

static void descriptor_looks(unsigned ring)
{
	static const struct looked_at conforming = {
		"conforming", ATTR_CONFORMING, 0x77, true, true, true, false
	};
	uint64_t descriptor = segment(0, 0x77, ATTR_CONFORMING | ATTR_DB);

	for (unsigned i = 0; i < COUNT(looked_at); i++)
		look_all(&looked_at[i], ring, 3, 0);
	for (unsigned dpl = 0; dpl < 4; dpl++)
		for (unsigned rpl = 0; rpl < 4; rpl++)
			look_all(&looked_at[2], ring, dpl, rpl);
	/* Conforming code is seen from everywhere. */
	gdt_set(SCRATCH(1), descriptor);
	look(sens_lar, SCRATCH(1) | 3, ring, true, descriptor >> 32 & 0xf0ff00, "lar",
	     conforming.name);
	look(sens_lsl, SCRATCH(1) | 3, ring, true, 0x77, "lsl", conforming.name);
	look(sens_verr, SCRATCH(1) | 3, ring, true, 0xa0a1a2a3, "verr", conforming.name);
	look(sens_verw, SCRATCH(1) | 3, ring, false, 0, "verw", conforming.name);
	/* Null selectors, and what lies after the tables. */
	for (unsigned rpl = 0; rpl < 4; rpl += 3) {
		look(sens_lar, rpl, ring, false, 0, "lar", "null");
		look(sens_lsl, rpl, ring, false, 0, "lsl", "null");
		look(sens_verr, rpl, ring, false, 0, "verr", "null");
		look(sens_verw, rpl, ring, false, 0, "verw", "null");
	}
	look(sens_lar, sizeof(gdt) | 3, ring, false, 0, "lar", "behind");
	look(sens_lsl, sizeof(gdt) | 3, ring, false, 0, "lsl", "behind");
	look(sens_verr, 0xfffb, ring, false, 0, "verr", "behind");
	look(sens_verw, 4, ring, false, 0, "verw", "noldt");
	gdt_set(SCRATCH(1), 0);
}

/* ---- PUSHF, POPF ---- */

SNIPPET(sens_pushf, "pushfl; popl %eax");
SNIPPET(sens_pushfw, "pushfw; movw (%esp), %ax; addl $2, %esp");
SNIPPET(sens_popf, "pushl %ecx; popfl; pushfl; popl %eax");
SNIPPET(sens_popfw, "pushw %cx; popfw; pushfl; popl %eax");

static void pushed_flags(unsigned ring)
{
	static const uint32_t sets[] = {
		0, FLAGS_ARITH, FLAG_DF, FLAG_IF, FLAG_NT, FLAG_AC, FLAG_ID, IOPL(1), IOPL(3),
		FLAG_IF | IOPL(2) | FLAG_ID,
	};

	for (unsigned i = 0; i < COUNT(sets); i++) {
		struct regs regs = start_at(sens_pushf, ring);
		const struct trap *trap;

		regs.eflags |= sets[i];
		trap = run(&regs);
		check(trap->regs.eax, sets[i] | FLAG_1, "pushf.%x.ring%u", sets[i], ring);
		check(trap->regs.eflags, sets[i] | FLAG_1, "pushf.kept.%x.ring%u", sets[i], ring);
		regs.eip = ADDR(sens_pushfw);
		check(run(&regs)->regs.eax, 0xa0a10000 | (sets[i] & 0xffff) | FLAG_1,
		      "pushfw.%x.ring%u", sets[i], ring);
	}
}

/*
 * What POPF changes: IF only up to IOPL, IOPL only in ring 0, VM and RF never (SDM vol. 2, POPF).
 */
static void popped_flags(unsigned ring)
{
	static const uint32_t values[] = {
		FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_IF | FLAG_IOPL | FLAG_AC | FLAG_ID |
			FLAG_RF | FLAG_VM,
		0,
		FLAG_IF,
		IOPL(2),
		0x180000,
		FLAG_CF | FLAG_OF,
	};
	static const uint32_t starts[] = { 0, FLAG_IF | FLAG_NT | FLAG_ID | FLAGS_ARITH };

	for (unsigned iopl = 0; iopl < 4; iopl++)
		for (unsigned s = 0; s < COUNT(starts); s++)
			for (unsigned i = 0; i < COUNT(values); i++) {
				struct regs regs = start_at(sens_popf, ring);
				uint32_t mask = FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;
				uint32_t before = starts[s] | IOPL(iopl) | FLAG_1;

				if (ring <= iopl)
					mask |= FLAG_IF;
				if (ring == 0)
					mask |= FLAG_IOPL;
				regs.eflags = before;
				regs.ecx = values[i];
				check(run(&regs)->regs.eax, (before & ~mask) | (values[i] & mask),
				      "popf.%x.onto.%x.ring%u", values[i], before, ring);
				mask &= 0xffff;
				regs.eip = ADDR(sens_popfw);
				check(run(&regs)->regs.eax, (before & ~mask) | (values[i] & mask),
				      "popfw.%x.onto.%x.ring%u", values[i], before, ring);
			}
}

/* ---- segment registers ---- */

SNIPPET(sens_push_cs, "pushl %cs; movl (%esp), %eax");
SNIPPET(sens_push_ss, "pushl %ss; movl (%esp), %eax");
SNIPPET(sens_push_ds, "pushl %ds; movl (%esp), %eax");
SNIPPET(sens_push_es, "pushl %es; movl (%esp), %eax");
SNIPPET(sens_push_fs, "pushl %fs; movl (%esp), %eax");
SNIPPET(sens_push_gs, "pushl %gs; movl (%esp), %eax");
SNIPPET(sens_mov_cs, "movl %cs, %eax");
SNIPPET(sens_mov_ss, "movl %ss, %eax");
SNIPPET(sens_mov_ds, "movl %ds, %eax");
SNIPPET(sens_mov_fs_m, "movw %fs, user_data");
SNIPPET(sens_mov_fs_r16, "movw %fs, %ax");

static void read_segments(unsigned ring)
{
	static const struct { const char *name; const void *push, *mov; } segments[] = {
		{ "cs", sens_push_cs, sens_mov_cs }, { "ss", sens_push_ss, sens_mov_ss },
		{ "ds", sens_push_ds, sens_mov_ds }, { "es", sens_push_es, NULL },
		{ "fs", sens_push_fs, NULL }, { "gs", sens_push_gs, NULL },
	};
	struct regs regs;

	for (unsigned i = 0; i < COUNT(segments); i++) {
		uint32_t want = i ? DATA(ring) : CODE(ring);
		const struct trap *trap;

		regs = start_at(segments[i].push, ring);
		trap = run(&regs);
		check(trap->regs.esp, regs.esp - 4, "push.%s.esp.ring%u", segments[i].name, ring);
		check(trap->regs.eax & 0xffff, want, "push.%s.ring%u", segments[i].name, ring);
		if (!segments[i].mov)
			continue;
		regs = start_at(segments[i].mov, ring);
		check(run(&regs)->regs.eax, want, "mov.%s.ring%u", segments[i].name, ring);
	}
	/* A null selector keeps its RPL. */
	regs = start_at(sens_mov_fs_m, ring);
	regs.fs = 3;
	user_data[0] = 0xeeeeeeee;
	run(&regs);
	check(user_data[0], 0xeeee0003, "mov.fs.m16.ring%u", ring);
	regs.eip = ADDR(sens_mov_fs_r16);
	check(run(&regs)->regs.eax, 0xa0a10003, "mov.fs.r16.ring%u", ring);
}

SNIPPET(sens_load_ds, "movw %cx, %ds");
SNIPPET(sens_load_es, "movw %cx, %es");
SNIPPET(sens_load_fs, "movw %cx, %fs");
SNIPPET(sens_load_gs, "movw %cx, %gs");
SNIPPET(sens_load_ss, "movw %cx, %ss");
SNIPPET(sens_pop_ds, "pushl %ecx; sens_pop_ds_at: popl %ds");
SNIPPET(sens_pop_es, "pushl %ecx; sens_pop_es_at: popl %es");
SNIPPET(sens_pop_fs, "pushl %ecx; sens_pop_fs_at: popl %fs");
SNIPPET(sens_pop_gs, "pushl %ecx; sens_pop_gs_at: popl %gs");
SNIPPET(sens_pop_ss, "pushl %ecx; sens_pop_ss_at: popl %ss");
SNIPPET(sens_lds, "movw %cx, user_data + 4; sens_lds_at: lds user_data, %eax");
SNIPPET(sens_lss, "movw %cx, user_data + 4; sens_lss_at: lss user_data, %eax");
SNIPPET(sens_lgs, "movw %cx, user_data + 4; sens_lgs_at: lgs user_data, %eax");
extern char sens_pop_ds_at[], sens_pop_es_at[], sens_pop_fs_at[], sens_pop_gs_at[],
	sens_pop_ss_at[], sens_lds_at[], sens_lss_at[], sens_lgs_at[];

struct load { const char *name; const void *code, *at; bool is_ss; unsigned field; };

static const struct load loads[] = {
	{ "mov.ds", sens_load_ds, sens_load_ds, false, 12 },
	{ "mov.es", sens_load_es, sens_load_es, false, 13 },
	{ "mov.fs", sens_load_fs, sens_load_fs, false, 14 },
	{ "mov.gs", sens_load_gs, sens_load_gs, false, 15 },
	{ "mov.ss", sens_load_ss, sens_load_ss, true, 11 },
	{ "pop.ds", sens_pop_ds, sens_pop_ds_at, false, 12 },
	{ "pop.es", sens_pop_es, sens_pop_es_at, false, 13 },
	{ "pop.fs", sens_pop_fs, sens_pop_fs_at, false, 14 },
	{ "pop.gs", sens_pop_gs, sens_pop_gs_at, false, 15 },
	{ "pop.ss", sens_pop_ss, sens_pop_ss_at, true, 11 },
	{ "lds", sens_lds, sens_lds_at, false, 12 }, { "lss", sens_lss, sens_lss_at, true, 11 },
	{ "lgs", sens_lgs, sens_lgs_at, false, 15 },
};

/* What loading selector into the register gives: DONE, or a vector with an error code. */
static uint32_t load_result(uint32_t attr, unsigned dpl, unsigned ring, unsigned rpl, bool is_ss)
{
	bool code = (attr & 0x18) == 0x18, conforming = code && (attr & 4);

	if (!(attr & ATTR_S))
		return GP;
	if (is_ss) {
		if (rpl != ring || dpl != ring || code || !(attr & 2))
			return GP;
		return attr & ATTR_P ? DONE : SS;
	}
	if (code && !(attr & 2))
		return GP;
	if (!conforming && (ring > dpl || rpl > dpl))
		return GP;
	return attr & ATTR_P ? DONE : NP;
}

static void load_one(const struct load *load, uint32_t attr, unsigned dpl, unsigned rpl,
		     unsigned ring)
{
	uint32_t selector = SCRATCH(2) | rpl, want = load_result(attr, dpl, ring, rpl, load->is_ss);
	struct regs regs = start_at(load->code, ring);
	const struct trap *trap;

	gdt_set(selector, segment(0, 0xfffff, attr | ATTR_FLAT | DPL(dpl)));
	regs.ecx = selector;
	trap = run(&regs);
	if (want != DONE) {
		check_trap(trap, want, selector & ~3u, load->at, "%s.attr%x.dpl%u.rpl%u.ring%u",
			   load->name, attr, dpl, rpl, ring);
		check((&trap->regs.eax)[load->field] & 0xffff, DATA(ring),
		      "%s.kept.attr%x.dpl%u.rpl%u.ring%u", load->name, attr, dpl, rpl, ring);
	} else {
		check_done(trap, "%s.attr%x.dpl%u.rpl%u.ring%u", load->name, attr, dpl, rpl, ring);
		/*
		 * A handler in ring 0 finds SS in the frame when it came from elsewhere; else SS is
		 * what it runs on.
		 */
		check((&trap->regs.eax)[load->field] & 0xffff, selector,
		      "%s.loaded.attr%x.dpl%u.rpl%u.ring%u", load->name, attr, dpl, rpl, ring);
	}
	check(gdt[selector / 8] >> 40 & 1, (attr & 1) || want == DONE,
	      "%s.accessed.attr%x.dpl%u.rpl%u.ring%u", load->name, attr, dpl, rpl, ring);
}

static void load_segments(unsigned ring)
{
	static const uint32_t attrs[] = {
		ATTR_DATA, ATTR_DATA_RO, ATTR_CODE, ATTR_CODE_XO, ATTR_CONFORMING,
		ATTR_DATA & ~ATTR_P, ATTR_TSS32, GATE_CALL32, ATTR_LDT,
	};

	for (unsigned i = 0; i < COUNT(loads); i++) {
		struct regs regs = start_at(loads[i].code, ring);

		for (unsigned a = 0; a < COUNT(attrs); a++)
			load_one(&loads[i], attrs[a], ring, ring, ring);
		for (unsigned dpl = 0; dpl < 4; dpl++)
			load_one(&loads[i], ATTR_DATA, dpl, 3, ring);
		load_one(&loads[i], ATTR_DATA, 3, 0, ring);
		load_one(&loads[i], ATTR_DATA & ~ATTR_P, 3, 0, ring);
		regs.ecx = 3;
		if (loads[i].is_ss)
			check_trap(run(&regs), GP, 0, loads[i].at, "%s.null.ring%u", loads[i].name,
				   ring);
		else
			check((&run(&regs)->regs.eax)[loads[i].field] & 0xffff, 3, "%s.null.ring%u",
			      loads[i].name, ring);
		regs.ecx = sizeof(gdt) | ring;
		check_trap(run(&regs), GP, sizeof(gdt), loads[i].at, "%s.behind.ring%u",
			   loads[i].name, ring);
		regs.ecx = 0x2c | ring;
		check_trap(run(&regs), GP, 0x2c, loads[i].at, "%s.noldt.ring%u", loads[i].name,
			   ring);
	}
	gdt_set(SCRATCH(2), 0);
}

/* CS cannot be loaded by MOV; there are no segment registers 6 and 7. */
SNIPPET(sens_mov_to_cs, ".byte 0x8e, 0xc8");
SNIPPET(sens_mov_to_6, ".byte 0x8e, 0xf0");
SNIPPET(sens_mov_from_7, ".byte 0x8c, 0xf8");

/* ---- far transfers in the ring they start in, INT and IRET ---- */

SNIPPET(sens_far_jump_m, "ljmp *(%ebx)\n sens_far_jump_m_to: movl $0x12, %eax");
SNIPPET(sens_far_call_m,
	"lcall *(%ebx)\n sens_far_call_back: movl $0x13, %ecx; int $0x81\n"
	"sens_far_call_to: movl $0x14, %eax; movl (%esp), %edx; movl 4(%esp), %esi; lret");
SNIPPET(sens_far_ret_imm, "pushl $7; pushl $8; pushl %cs; pushl $sens_far_ret_to; lret $8\n "
			  "sens_far_ret_to: movl $0x15, %eax");
SNIPPET(sens_iret_same,
	"pushl %ecx; pushl %cs; pushl $sens_iret_to; iretl\n sens_iret_to: pushfl; popl %eax");
SNIPPET(sens_int, "int $0x82\n sens_int_next:");
extern char sens_far_jump_m_to[], sens_far_call_to[], sens_far_call_back[], sens_iret_to[],
	sens_int_next[];

static void transfers(unsigned ring)
{
	struct regs regs = start_at(sens_far_jump_m, ring);
	const struct trap *trap;

	regs.ebx = ADDR(user_data);
	user_data[0] = ADDR(sens_far_jump_m_to);
	user_data[1] = CODE(ring);
	trap = run(&regs);
	check(trap->regs.eax, 0x12, "far.jump.ring%u", ring);
	check(trap->regs.cs, CODE(ring), "far.jump.cs.ring%u", ring);
	/* The RPL of a selector that is jumped to does not become the CPL. */
	user_data[1] = CODE(ring) & ~3u;
	check(run(&regs)->regs.cs, CODE(ring), "far.jump.rpl.ring%u", ring);
	user_data[1] = CODE(ring ^ 1);
	check_trap(run(&regs), GP, CODE(ring ^ 1) & ~3u, sens_far_jump_m,
		   "far.jump.otherring.ring%u", ring);
	user_data[1] = DATA(ring);
	check_trap(run(&regs), GP, DATA(ring) & ~3u, sens_far_jump_m, "far.jump.data.ring%u", ring);
	user_data[1] = 3;
	check_trap(run(&regs), GP, 0, sens_far_jump_m, "far.jump.null.ring%u", ring);
	regs.eip = ADDR(sens_far_call_m);
	user_data[0] = ADDR(sens_far_call_to);
	user_data[1] = CODE(ring);
	trap = run(&regs);
	check(trap->regs.eax, 0x14, "far.call.ring%u", ring);
	check(trap->regs.ecx, 0x13, "far.call.back.ring%u", ring);
	check(trap->regs.esp, regs.esp, "far.call.esp.ring%u", ring);
	check(trap->regs.edx, ADDR(sens_far_call_back), "far.call.pushed.eip.ring%u", ring);
	check(trap->regs.esi & 0xffff, CODE(ring), "far.call.pushed.cs.ring%u", ring);
	regs.eip = ADDR(sens_far_ret_imm);
	trap = run(&regs);
	check(trap->regs.eax, 0x15, "far.ret.ring%u", ring);
	check(trap->regs.esp, regs.esp, "far.ret.esp.ring%u", ring);
	regs.eip = ADDR(sens_int);
	idt[0x82] = gate(KCODE, STUB(0x82), GATE_INT32 | DPL(3), 0);
	check_trap(run(&regs), 0x82, NO_ERROR, sens_int_next, "int.ring%u", ring);
	idt[0x82] = gate(KCODE, STUB(0x82), GATE_INT32, 0);
	trap = run(&regs);
	if (ring)
		check_trap(trap, GP, 0x82 * 8 + 2, sens_int, "int.dpl.ring%u", ring);
	else
		check_trap(trap, 0x82, NO_ERROR, sens_int_next, "int.dpl.ring%u", ring);
}

/* IRET to the same level: IF by IOPL, IOPL in ring 0, RF goes in, VM ignored outside ring 0. */
static void iret_flags(unsigned ring)
{
	for (unsigned iopl = 0; iopl < 4; iopl++) {
		struct regs regs = start_at(sens_iret_same, ring);
		uint32_t mask = FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_AC | FLAG_ID;

		if (ring <= iopl)
			mask |= FLAG_IF;
		if (!ring)
			mask |= FLAG_IOPL;
		regs.eflags = IOPL(iopl) | FLAG_1;
		regs.ecx = FLAGS_ARITH | FLAG_DF | FLAG_NT | FLAG_IF | FLAG_IOPL | FLAG_AC |
			   FLAG_ID;
		check(run(&regs)->regs.eax, (IOPL(iopl) & ~mask) | (regs.ecx & mask) | FLAG_1,
		      "iret.iopl%u.ring%u", iopl, ring);
		if (!ring)
			continue;
		regs.ecx = FLAG_VM | FLAG_CF;
		check(run(&regs)->regs.eax, (IOPL(iopl) & ~mask) | FLAG_CF | FLAG_1,
		      "iret.vm.iopl%u.ring%u", iopl, ring);
	}
}

static void no_such_segment(unsigned ring)
{
	struct regs regs = start_at(sens_mov_to_cs, ring);

	check_trap(run(&regs), UD, NO_ERROR, sens_mov_to_cs, "mov.cs.ring%u", ring);
	regs.eip = ADDR(sens_mov_to_6);
	check_trap(run(&regs), UD, NO_ERROR, sens_mov_to_6, "mov.seg6.ring%u", ring);
	regs.eip = ADDR(sens_mov_from_7);
	check_trap(run(&regs), UD, NO_ERROR, sens_mov_from_7, "mov.seg7.ring%u", ring);
}

void group_sensitive(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		table_registers(ring);
		word_registers(ring);
		descriptor_looks(ring);
		pushed_flags(ring);
		popped_flags(ring);
		read_segments(ring);
		load_segments(ring);
		no_such_segment(ring);
		transfers(ring);
		iret_flags(ring);
	}
}
