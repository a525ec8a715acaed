/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments that are not flat: bases, limits of both granularities at their edges, expand-down,
 * types, stacks of 16 bits, code of 16 bits (SDM vol. 3, 3.4 and 5.3 to 5.5). What loading them
 * needs is in sensitive.c.
 */
#include "guest.h"
#include "groups.h"

/* Accesses at EBX through each register. */
SNIPPET(seg_read_ds, "movl (%ebx), %eax");
SNIPPET(seg_read_es, "movl %es:(%ebx), %eax");
SNIPPET(seg_read_fs, "movl %fs:(%ebx), %eax");
SNIPPET(seg_read_gs, "movl %gs:(%ebx), %eax");
SNIPPET(seg_write_ds, "movl %ecx, (%ebx)");
SNIPPET(seg_write_es, "movl %ecx, %es:(%ebx)");
SNIPPET(seg_write_fs, "movl %ecx, %fs:(%ebx)");
SNIPPET(seg_write_gs, "movl %ecx, %gs:(%ebx)");
SNIPPET(seg_write8_fs, "movb %cl, %fs:(%ebx)");
SNIPPET(seg_write16_fs, "movw %cx, %fs:(%ebx)");
SNIPPET(seg_write64_fs, "fninit; fldz\n seg_write64_fs_at: fistpll %fs:(%ebx)");
SNIPPET(seg_add_fs, "addl %ecx, %fs:(%ebx)");
SNIPPET(seg_stos, "movl %ebx, %edi; stosl");
SNIPPET(seg_lods, "movl %ebx, %esi; lodsl");
SNIPPET(seg_lods_fs, "movl %ebx, %esi; lodsl %fs:(%esi)");
/* looks at the byte 0xfff further */
SNIPPET(seg_bt_fs, "movl $0x7ff8, %ecx\n seg_bt_fs_at: btl %ecx, %fs:(%ebx)");
extern char seg_write64_fs_at[], seg_bt_fs_at[];

static struct regs start_in(const void *code, unsigned ring, uint16_t selector)
{
	struct regs regs = start_at(code, ring);

	regs.ds = regs.es = regs.fs = regs.gs = selector;
	return regs;
}

/* One access of size bytes at offset through FS, allowed or not. */
static void one_access(const void *code, const void *at, unsigned ring, uint16_t selector,
		       uint32_t offset, bool allowed, const char *name)
{
	struct regs regs = start_at(code, ring);

	regs.fs = selector;
	regs.ebx = offset;
	if (sparing_qemu && !allowed)
		return; /* it would store over whatever is there */
	if (allowed)
		check_done(run(&regs), "%s.%x.ring%u", name, offset, ring);
	else
		check_trap(run(&regs), GP, 0, at, "%s.%x.ring%u", name, offset, ring);
}

/* The last byte that may be had is at limit. */
static void edges(unsigned ring, uint16_t selector, uint32_t limit, const char *name)
{
	one_access(seg_read_fs, seg_read_fs, ring, selector, limit - 3, true, name);
	one_access(seg_read_fs, seg_read_fs, ring, selector, limit - 2, false, name);
	one_access(seg_write_fs, seg_write_fs, ring, selector, limit - 3, true, name);
	one_access(seg_write_fs, seg_write_fs, ring, selector, limit - 2, false, name);
	one_access(seg_write_fs, seg_write_fs, ring, selector, limit + 1, false, name);
	one_access(seg_write8_fs, seg_write8_fs, ring, selector, limit, true, name);
	one_access(seg_write8_fs, seg_write8_fs, ring, selector, limit + 1, false, name);
	one_access(seg_write16_fs, seg_write16_fs, ring, selector, limit - 1, true, name);
	one_access(seg_write16_fs, seg_write16_fs, ring, selector, limit, false, name);
	one_access(seg_write64_fs, seg_write64_fs_at, ring, selector, limit - 7, true, name);
	one_access(seg_write64_fs, seg_write64_fs_at, ring, selector, limit - 6, false, name);
	one_access(seg_add_fs, seg_add_fs, ring, selector, limit - 2, false, name);
	/* which wraps around */
	one_access(seg_write_fs, seg_write_fs, ring, selector, 0xfffffffd, false, name);
	one_access(seg_write_fs, seg_write_fs, ring, selector, 0x80000000, false, name);
}

static void limits(unsigned ring)
{
	uint32_t base = ADDR(user_data);

	for (unsigned limit = 20; limit < 0x1000; limit = limit * 7 + 3) {
		gdt_set(SCRATCH(0), segment(base, limit, ATTR_DATA | ATTR_DB | DPL(3)));
		edges(ring, SCRATCH(0) | 3, limit, "limit.bytes");
	}
	gdt_set(SCRATCH(0), segment(base, 0, ATTR_DATA | ATTR_G | DPL(3)));
	edges(ring, SCRATCH(0) | 3, 0xfff, "limit.page");
	gdt_set(SCRATCH(0), segment(base, 3, ATTR_DATA | ATTR_DB | DPL(3)));
	one_access(seg_read_fs, seg_read_fs, ring, SCRATCH(0) | 3, 0, true, "limit.four");
	one_access(seg_read_fs, seg_read_fs, ring, SCRATCH(0) | 3, 1, false, "limit.four");
	gdt_set(SCRATCH(0), segment(base, 0, ATTR_DATA | ATTR_DB | DPL(3)));
	one_access(seg_write8_fs, seg_write8_fs, ring, SCRATCH(0) | 3, 0, true, "limit.one");
	one_access(seg_write16_fs, seg_write16_fs, ring, SCRATCH(0) | 3, 0, false, "limit.one");
	/* A bit string's address is checked where it is. */
	gdt_set(SCRATCH(0), segment(base, 0xfff, ATTR_DATA | ATTR_DB | DPL(3)));
	one_access(seg_bt_fs, seg_bt_fs_at, ring, SCRATCH(0) | 3, 0, true, "limit.bt");
	one_access(seg_bt_fs, seg_bt_fs_at, ring, SCRATCH(0) | 3, 4, false, "limit.bt");
}

/* Expand-down: offsets above the limit, up to 64 KiB or 4 GiB by the B flag. */
static void expand_down(unsigned ring)
{
	uint32_t base = ADDR(user_data);
	struct regs regs;

	/* 16 bits: 8004 to ffff */
	gdt_set(SCRATCH(0), segment(base - 0x8000, 0x8003, ATTR_DATA_DOWN | DPL(3)));
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0x8003, false, "down");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0x8004, true, "down");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0x8ffc, true, "down");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0x8000, false, "down");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0, false, "down");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0xfffd, false, "down");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0x10000, false, "down");
	one_access(seg_write8_fs, seg_write8_fs, ring, SCRATCH(0) | 3, 0x18004, false, "down");
	/* the last page */
	gdt_set(SCRATCH(0), segment(base + 0x1000, 0xffffe, ATTR_DATA_DOWN | ATTR_FLAT | DPL(3)));
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0xfffff000, true, "down.page");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0xfffffffc, true, "down.page");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0xffffeffc, false,
		   "down.page");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0xffffefff, false,
		   "down.page");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0, false, "down.page");
	/* The value arrives where base and offset say. */
	user_data[0] = 0;
	regs = start_at(seg_write_fs, ring);
	regs.fs = SCRATCH(0) | 3;
	regs.ebx = 0xfffff000;
	regs.ecx = 0x13572468;
	run(&regs);
	check(user_data[0], 0x13572468, "down.page.stored.ring%u", ring);
}

/* Every register with a base of its own; sums wrap at 4 GiB. */
static void bases(unsigned ring)
{
	static const struct { const char *name; const void *code; bool writes; } all[] = {
		{ "read.ds", seg_read_ds, false }, { "read.es", seg_read_es, false },
		{ "read.fs", seg_read_fs, false }, { "read.gs", seg_read_gs, false },
		{ "write.ds", seg_write_ds, true }, { "write.es", seg_write_es, true },
		{ "write.fs", seg_write_fs, true }, { "write.gs", seg_write_gs, true },
		{ "lods", seg_lods, false }, { "lods.fs", seg_lods_fs, false },
		{ "stos", seg_stos, true },
	};
	static const struct { uint32_t below, limit, flags; } ways[] = {
		{ 0, 0xfff, ATTR_DB }, { 0, 0xfffff, ATTR_FLAT }, { 0x100, 0xfffff, ATTR_FLAT },
		{ 0x90000000, 0xfffff, ATTR_FLAT }, { 0x7fffffff, 0xfffff, ATTR_FLAT },
		{ 1, 0xfff, ATTR_DB },
	};

	for (unsigned w = 0; w < COUNT(ways); w++) {
		gdt_set(SCRATCH(0), segment(ADDR(user_data) - ways[w].below, ways[w].limit,
					    ATTR_DATA | ways[w].flags | DPL(3)));
		for (unsigned i = 0; i < COUNT(all); i++) {
			struct regs regs = start_in(all[i].code, ring, SCRATCH(0) | 3);
			const struct trap *trap;

			for (unsigned k = 0; k < 64; k++)
				user_data[k] = 0xe000 + k;
			regs.ebx = ways[w].below + 0x40;
			regs.eax = regs.ecx = 0x2468ace0;
			trap = run(&regs);
			if (all[i].writes)
				check(user_data[16], 0x2468ace0, "base%u.%s.ring%u", w, all[i].name,
				      ring);
			else
				check(trap->regs.eax, 0xe010, "base%u.%s.ring%u", w, all[i].name,
				      ring);
			check(user_data[15] == 0xe00f && user_data[17] == 0xe011, 1,
			      "base%u.%s.around.ring%u", w, all[i].name, ring);
		}
	}
}

/* Types: what may be read and written. */
static void types(unsigned ring)
{
	uint32_t base = ADDR(user_data);

	gdt_set(SCRATCH(0), segment(base, 0xfff, ATTR_DATA_RO | ATTR_DB | DPL(3)));
	one_access(seg_read_fs, seg_read_fs, ring, SCRATCH(0) | 3, 0, true, "type.ro");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, 0, false, "type.ro.write");
	one_access(seg_add_fs, seg_add_fs, ring, SCRATCH(0) | 3, 0, false, "type.ro.add");
	gdt_set(SCRATCH(0), segment(0, 0xfffff, ATTR_DATA_RO | ATTR_FLAT | DPL(3)));
	one_access(seg_read_fs, seg_read_fs, ring, SCRATCH(0) | 3, base, true, "type.ro.flat");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, base, false,
		   "type.ro.flat.write");
	gdt_set(SCRATCH(0), segment(0, 0xfffff, ATTR_CODE | ATTR_FLAT | DPL(3)));
	one_access(seg_read_fs, seg_read_fs, ring, SCRATCH(0) | 3, base, true, "type.code");
	one_access(seg_write_fs, seg_write_fs, ring, SCRATCH(0) | 3, base, false,
		   "type.code.write");
	/* The same in DS and ES, for which flat segments are the rule. */
	for (unsigned i = 0; i < 2; i++) {
		struct regs regs = start_at(i ? seg_write_es : seg_write_ds, ring);
		const void *code = (void *)regs.eip;

		regs.ds = regs.es = SCRATCH(0) | 3;
		regs.ebx = base;
		check_trap(run(&regs), GP, 0, code, "type.code.%s.ring%u", i ? "es" : "ds", ring);
		regs.ds = regs.es = 0;
		check_trap(run(&regs), GP, 0, code, "type.null.%s.ring%u", i ? "es" : "ds", ring);
	}
}

/* A segment that changes in the table counts when it is loaded again, and not before. */
SNIPPET(seg_cached, "movl %fs:(%ebx), %eax; movl $0, (%edx); movl $0, 4(%edx); movl %fs:(%ebx), "
		    "%ecx; addl %ecx, %eax; movw %fs, %cx; movw %cx, %fs");

static void cached(void)
{
	struct regs regs = start_at(seg_cached, 0);
	const struct trap *trap;

	gdt_set(SCRATCH(0), segment(ADDR(user_data), 0xfff, ATTR_DATA | ATTR_DB));
	user_data[0] = 0x111;
	regs.fs = SCRATCH(0);
	regs.ebx = 0;
	regs.edx = ADDR(&gdt[SCRATCH(0) / 8]);
	trap = run(&regs);
	check(trap->regs.eax, 0x222, "cached");
	check(trap->vector == GP ? trap->error : 0xbad, SCRATCH(0), "cached.reload");
}

/* ---- stacks ---- */

SNIPPET(seg_push, "pushl %ecx; popl %eax");
SNIPPET(seg_push16, "pushw %cx; popw %ax");
SNIPPET(seg_call, "call 1f; jmp 2f; 1: movl $0x5150, %eax; ret; 2:");
SNIPPET(seg_pusha, "pushal; popal; movl %ecx, %eax");
SNIPPET(seg_enter, "enter $8, $0; movl %ebp, %eax; leave");
SNIPPET(seg_ebp, "movl (%ebp), %eax");
SNIPPET(seg_ebp_ds, "movl %ds:(%ebp), %eax");
SNIPPET(seg_esp_write, "movl %ecx, 4(%esp)");
SNIPPET(seg_pushf, "pushfl; popfl; pushfl; popl %eax");
SNIPPET(seg_ret_imm, "pushl $1; pushl $2; pushl $1f; ret $8; 1: movl $0x77, %eax");
SNIPPET(seg_push_seg, "pushl %fs; popl %fs; movl $0x88, %eax");

/* With B clear the stack pointer is SP: it wraps at 64 KiB, and the upper half of ESP stays. */
static void stack16(unsigned ring)
{
	uint32_t base = ADDR(user_data) - 0x8000;
	struct regs regs = start_at(seg_push, ring);
	const struct trap *trap;

	gdt_set(SCRATCH(1), segment(base, 0xffff, ATTR_DATA | DPL(ring)));
	regs.ss = SCRATCH(1) | ring;
	regs.esp = 0x12348800;
	trap = run(&regs);
	check(trap->regs.eax, regs.ecx, "stack16.push.ring%u", ring);
	check(trap->regs.esp & 0xffff, 0x8800, "stack16.esp.ring%u", ring);
	check(user_data[0x800 / 4 - 1] == regs.ecx || !ring, 1, "stack16.pushed.ring%u", ring);
	regs.eip = ADDR(seg_push16);
	check(run(&regs)->regs.eax & 0xffff, regs.ecx & 0xffff, "stack16.push16.ring%u", ring);
	regs.eip = ADDR(seg_call);
	check(run(&regs)->regs.eax, 0x5150, "stack16.call.ring%u", ring);
	regs.eip = ADDR(seg_pusha);
	check(run(&regs)->regs.eax, regs.ecx, "stack16.pusha.ring%u", ring);
	regs.eip = ADDR(seg_enter);
	trap = run(&regs);
	check(trap->regs.eax & 0xffff, 0x87fc, "stack16.enter.ring%u", ring);
	check(trap->regs.ebp, regs.ebp, "stack16.leave.ring%u", ring);
	regs.eip = ADDR(seg_pushf);
	check(run(&regs)->regs.eax & 0xff, 2, "stack16.pushf.ring%u", ring);
	regs.eip = ADDR(seg_ret_imm);
	check(run(&regs)->regs.eax, 0x77, "stack16.ret.ring%u", ring);
	regs.eip = ADDR(seg_push_seg);
	check(run(&regs)->regs.eax, 0x88, "stack16.push.seg.ring%u", ring);
}

/*
 * A 32-bit push at SP 2 has its halves at the two ends of the segment; so it does at SP 0 lie at
 * the top.
 */
SNIPPET(seg_wrap_to, "pushl %ecx; movl %esp, %eax; movl %ebp, %esp; movw %bx, %ss");

static void stack16_wrap(unsigned ring)
{
	uint32_t base = 0x700000; /* 64 KiB that nothing else uses */
	struct regs regs = start_at(seg_wrap_to, ring);
	const struct trap *trap;

	if (paging != PAGING_OFF && ring == 3)
		return; /* those are the supervisor's */
	gdt_set(SCRATCH(1), segment(base, 0xffff, ATTR_DATA | DPL(ring)));
	regs.ss = SCRATCH(1) | ring;
	regs.ebx = DATA(ring);
	regs.ebp = regs.esp;
	for (uint32_t sp = 0; sp < 16; sp += 4) {
		regs.esp = 0xabcd0000 | sp;
		trap = run(&regs);
		check_done(trap, "stack16.wrap%u.ring%u", sp, ring);
		/*
		 * IRET to an outer ring loads SP alone for such a stack, so the upper half is
		 * whatever the kernel had.
		 */
		check(ring ? trap->regs.eax & 0xffff : trap->regs.eax,
		      (ring ? 0 : 0xabcd0000) | ((sp - 4) & 0xffff), "stack16.wrap%u.esp.ring%u",
		      sp, ring);
		check(*(uint32_t *)(base + ((sp - 4) & 0xffff)), regs.ecx,
		      "stack16.wrap%u.pushed.ring%u", sp, ring);
	}
}

/* Stacks with limits: #SS, with error 0, for anything through SS. */
static void stack_limits(unsigned ring)
{
	static const struct { const char *name; const void *code; uint32_t low, high; } ways[] = {
		{ "push", seg_push, 4, 0x400 }, { "call", seg_call, 4, 0x400 },
		{ "pusha", seg_pusha, 32, 0x400 }, { "pushf", seg_pushf, 4, 0x400 },
	};
	uint32_t base = ADDR(user_data);

	if (!ring || sparing_qemu)
		return; /* there would be no stack for the fault */
	gdt_set(SCRATCH(1), segment(base, 0x3ff, ATTR_DATA | ATTR_DB | DPL(ring)));
	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct regs regs = start_at(ways[i].code, ring);

		regs.ss = SCRATCH(1) | ring;
		regs.esp = ways[i].high;
		check_done(run(&regs), "ss.%s.top.ring%u", ways[i].name, ring);
		regs.esp = ways[i].low;
		check_done(run(&regs), "ss.%s.bottom.ring%u", ways[i].name, ring);
		regs.esp = ways[i].low - 1;
		check_trap(run(&regs), SS, 0, ways[i].code, "ss.%s.below.ring%u", ways[i].name,
			   ring);
		regs.esp = ways[i].high + 1;
		check_trap(run(&regs), SS, 0, ways[i].code, "ss.%s.above.ring%u", ways[i].name,
			   ring);
		check(run(&regs)->regs.esp, regs.esp, "ss.%s.esp.ring%u", ways[i].name, ring);
	}
	{
		struct regs regs = start_at(seg_ebp, ring);

		regs.ss = SCRATCH(1) | ring;
		regs.esp = 0x200;
		regs.ebp = 0x3fc;
		check_done(run(&regs), "ss.ebp.top.ring%u", ring);
		regs.ebp++;
		check_trap(run(&regs), SS, 0, seg_ebp, "ss.ebp.above.ring%u", ring);
		regs.eip = ADDR(seg_ebp_ds);
		regs.ebp = base;
		check_done(run(&regs), "ss.ebp.ds.ring%u", ring);
		regs.eip = ADDR(seg_esp_write);
		regs.esp = 0x3fc;
		check_trap(run(&regs), SS, 0, seg_esp_write, "ss.esp.above.ring%u", ring);
	}
	/* Expand-down, the way stacks were meant to be. */
	gdt_set(SCRATCH(1), segment(base - 0x8000, 0x81ff, ATTR_DATA_DOWN | DPL(ring)));
	{
		struct regs regs = start_at(seg_push, ring);

		regs.ss = SCRATCH(1) | ring;
		regs.esp = 0x8204;
		check_done(run(&regs), "ss.down.bottom.ring%u", ring);
		regs.esp = 0x8203;
		check_trap(run(&regs), SS, 0, seg_push, "ss.down.below.ring%u", ring);
	}
	gdt_set(SCRATCH(1), segment(base - 0x2000, 1, ATTR_DATA_DOWN | ATTR_FLAT | DPL(ring)));
	{
		struct regs regs = start_at(seg_call, ring);

		regs.ss = SCRATCH(1) | ring;
		regs.esp = 0x2100;
		check(run(&regs)->regs.eax, 0x5150, "ss.down.page.ring%u", ring);
		regs.esp = 0x2002;
		check_trap(run(&regs), SS, 0, seg_call, "ss.down.page.below.ring%u", ring);
	}
}

/* A flat stack with a base: SS differs from DS. */
static void stack_based(unsigned ring)
{
	struct regs regs = start_at(seg_call, ring);
	static const struct { const char *name; const void *code; uint32_t want; } ways[] = {
		{ "call", seg_call, 0x5150 }, { "pusha", seg_pusha, 0xc0c1c2c3 },
		{ "push", seg_push, 0xc0c1c2c3 }, { "ret", seg_ret_imm, 0x77 },
		{ "push.seg", seg_push_seg, 0x88 },
	};

	gdt_set(SCRATCH(1), segment(0x1000, 0xfffff, ATTR_DATA | ATTR_FLAT | DPL(ring)));
	for (unsigned i = 0; i < COUNT(ways); i++) {
		regs = start_at(ways[i].code, ring);
		regs.ss = SCRATCH(1) | ring;
		regs.esp -= 0x1000;
		check(run(&regs)->regs.eax, ways[i].want, "ss.base.%s.ring%u", ways[i].name, ring);
	}
	user_data[9] = 0x99;
	regs = start_at(seg_ebp, ring);
	regs.ss = SCRATCH(1) | ring;
	regs.esp -= 0x1000;
	regs.ebp = ADDR(&user_data[9]) - 0x1000;
	check(run(&regs)->regs.eax, 0x99, "ss.base.ebp.ring%u", ring);
	regs.eip = ADDR(seg_ebp_ds);
	regs.ebp += 0x1000;
	check(run(&regs)->regs.eax, 0x99, "ss.base.ds.ring%u", ring);
}

void group_segments(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		limits(ring);
		expand_down(ring);
		bases(ring);
		types(ring);
		stack16(ring);
		stack16_wrap(ring);
		stack_limits(ring);
		stack_based(ring);
	}
	cached();
}
