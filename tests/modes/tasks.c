/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task switches (SDM vol. 3, chapter 7): by far JMP, CALL and INT, and IRET, between TSSs of 286
 * and 386, and each way they fail. Task A runs, and is to go to task B. Faults are taken by tasks,
 * so that the line says in which of the two the fault was: its registers are those of the faulting
 * task's TSS.
 */
#include "modes.h"

enum way { JUMP, CALL, JUMP_GATE, CALL_GATE, INTERRUPT, IRET, WAYS };

static const char *const way_names[WAYS] = {
	"jmp", "call", "jmp by gate", "call by gate", "int", "iret",
};
static const char *const size_names[2] = { "286", "386" };

/* Task B's image, whatever its size, before it is written. */
static struct tss b;
static uint32_t b_limit;
static unsigned b_attr;
static uint8_t room_a[256] __attribute__((aligned(16))), room_b[256] __attribute__((aligned(16)));

enum { A_LIMIT_16 = 0x2b, A_LIMIT_32 = 0x67 };

/* Task B's segments: descriptors of its own, which start out as if never accessed. */
enum { B_CS = 0x68, B_SS = 0x70, B_DS = 0x78, B_ES = 0xf0 };
enum { UNUSED_CODE = 0x9a, UNUSED_DATA = 0x92 };

/* Conversion and back. */
static void write_tss(void *to, const struct tss *t, bool is32)
{
	struct tss16 *s = to;

	if (is32) {
		__builtin_memcpy(to, t, sizeof(*t));
		return;
	}
	*s = (struct tss16){
		.link = t->link, .sp0 = t->esp0, .ss0 = t->ss0, .ip = t->eip, .flags = t->eflags,
		.es = t->es, .cs = t->cs, .ss = t->ss, .ds = t->ds, .ldt = t->ldt,
	};
	for (unsigned i = 0; i < 8; i++)
		s->regs[i] = t->regs[i];
}

/* ---- what can be wrong ---- */

struct flaw {
	const char *name;
	void (*make)(void);
};

static void none(void) {}
static void not_present(void) { b_attr &= ~0x80; }
static void busy(void) { b_attr ^= ATTR_BUSY; }
static void short_limit(void) { b_limit--; }
static void is_data(void) { b_attr = ATTR_DATA0; }
static void is_ldt(void) { b_attr = ATTR_LDT; }
static void ldt_null(void) { b.ldt = 0; }
static void ldt_good(void) { b.ldt = KERNEL_LDT; }
static void ldt_is_data(void) { b.ldt = B_DS; }
static void ldt_local(void) { b.ldt = KERNEL_LDT | 4; }
static void ldt_beyond(void) { b.ldt = 0x1000; }

static void ldt_absent(void)
{
	b.ldt = KERNEL_LDT;
	set_descriptor(KERNEL_LDT, DATA_BASE, 0xff, ATTR_LDT & ~0x80);
}

static void cs_null(void) { b.cs = 0; }
static void cs_data(void) { b.cs = B_DS; }
static void cs_beyond(void) { b.cs = 0x1000; }
static void cs_system(void) { b.cs = CASE_GATE; }
static void cs_rpl(void)
{
	b.cs |= 3;
	b.ss = RING3_DATA | 3;
}

static void cs_ring3(void) { b.cs = RING3_CODE; }
static void cs_absent(void) { set_descriptor(B_CS, CODE_BASE, 0xffff, ATTR_CODE0 & ~0x80); }
static void cs_limit(void) { set_descriptor(B_CS, CODE_BASE, 0x17f, ATTR_CODE0); }
static void cs_local(void) { b.cs |= 4; }

static void cs_conforming(void)
{
	set_descriptor(INNER_CODE, CODE_BASE, 0xffff, 0x9e);
	b.cs = INNER_CODE;
}

static void ss_null(void) { b.ss = 0; }
static void ss_code(void) { b.ss = B_CS; }
static void ss_rpl(void) { b.ss |= 3; }
static void ss_ring3(void) { b.ss = RING3_DATA; }
static void ss_beyond(void) { b.ss = 0x1000; }
static void ss_absent(void) { set_descriptor(B_SS, STACK_BASE, 0xffff, ATTR_DATA0 & ~0x80); }
static void ss_readonly(void) { set_descriptor(B_SS, STACK_BASE, 0xffff, 0x91); }
static void ds_absent(void) { set_descriptor(B_DS, DATA_BASE, 0xffff, ATTR_DATA0 & ~0x80); }
static void ds_execute(void) { set_descriptor(B_DS, DATA_BASE, 0xffff, 0x99); }
static void ds_beyond(void) { b.ds = 0x1000; }
static void ds_system(void) { b.ds = CASE_GATE; }
static void es_absent(void) { set_descriptor(B_ES, DATA_BASE, 0xffff, ATTR_DATA0 & ~0x80); }
static void es_null(void) { b.es = 3; }

static void ring3(void)
{
	b.cs = RING3_CODE | 3;
	b.ss = b.ds = b.es = b.fs = b.gs = RING3_DATA | 3;
}

static void ring3_ds(void)
{
	ring3();
	b.ds = B_DS;
}

static void ring3_ss(void)
{
	ring3();
	b.ss = B_SS;
}

static void fs_absent(void)
{
	set_descriptor(CASE_X, DATA_BASE, 0xffff, ATTR_DATA0 & ~0x80);
	b.fs = CASE_X;
}

static void v86(void)
{
	b.eflags |= FLAG_VM;
	b.cs = CODE_BASE >> 4;
	b.ss = STACK_BASE >> 4;
	b.ds = b.es = b.fs = b.gs = DATA_BASE >> 4;
}

static void v86_offset(void)
{
	v86();
	b.eip |= 0x10000;
}

static void trap(void) { b.trap = 1; }

static void trap_ring3(void)
{
	ring3();
	trap();
}

static void nested(void) { b.eflags |= FLAG_NT; }
static void step(void) { b.eflags |= FLAG_TF; }

static const struct flaw flaws[] = {
	{ "good", none }, { "not present", not_present }, { "busy", busy },
	{ "limit", short_limit }, { "data", is_data }, { "ldt for tss", is_ldt },
	{ "ldt null", ldt_null }, { "ldt good", ldt_good }, { "ldt data", ldt_is_data },
	{ "ldt local", ldt_local }, { "ldt beyond", ldt_beyond }, { "ldt absent", ldt_absent },
	{ "cs null", cs_null }, { "cs data", cs_data }, { "cs beyond", cs_beyond },
	{ "cs system", cs_system }, { "cs rpl", cs_rpl }, { "cs ring3", cs_ring3 },
	{ "cs absent", cs_absent }, { "cs limit", cs_limit }, { "cs local", cs_local },
	{ "cs conforming", cs_conforming }, { "ss null", ss_null }, { "ss code", ss_code },
	{ "ss rpl", ss_rpl }, { "ss ring3", ss_ring3 }, { "ss beyond", ss_beyond },
	{ "ss absent", ss_absent }, { "ss readonly", ss_readonly }, { "ds absent", ds_absent },
	{ "ds execute", ds_execute }, { "ds beyond", ds_beyond }, { "ds system", ds_system },
	{ "es absent", es_absent }, { "es null", es_null }, { "fs absent", fs_absent },
	{ "ring3", ring3 }, { "ring3 ds", ring3_ds }, { "ring3 ss", ring3_ss },
	{ "trap", trap }, { "trap ring3", trap_ring3 },
	{ "nested", nested }, { "step", step },
	/* a 286 has neither */
	{ "v86", v86 }, { "v86 offset", v86_offset },
};

enum { FLAWS = sizeof(flaws) / sizeof(flaws[0]) };

/* ---- a case ---- */

/* Task A's code, 32 bits wide, and what follows it: INT3. Task B's is INT3 at 200h. */
static void place_way(enum way way)
{
	static const uint8_t code[WAYS][7] = {
		{ 0xea, 0, 0, 0, 0, CASE_TSS_B, 0 }, { 0x9a, 0, 0, 0, 0, CASE_TSS_B, 0 },
		{ 0xea, 0, 0, 0, 0, CASE_GATE, 0 }, { 0x9a, 0, 0, 0, 0, CASE_GATE, 0 },
		{ 0xcd, 0x50, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc },
		{ 0xcf, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc },
	};

	place_code(code[way], code[way] + 7, CODE_AT);
	*(uint8_t *)(CODE_BASE + 0x200) = 0xcc;
}

static void prepare_b(void)
{
	b = (struct tss){
		.link = 0xbeef, .esp0 = 0xf00, .ss0 = B_SS, .eip = 0x200, .eflags = 0x97,
		.regs = { 0xb0b0, 0xb1b1, 0xb2b2, 0xb3b3, 0xc00, 0xb5b5, 0xb6b6, 0xb7b7 },
		.es = B_ES, .cs = B_CS, .ss = B_SS, .ds = B_DS, .fs = B_DS,
		.gs = B_ES,
	};
	set_descriptor(B_CS, CODE_BASE, 0xffff, UNUSED_CODE);
	set_descriptor(B_SS, STACK_BASE, 0xffff, UNUSED_DATA);
	set_descriptor(B_DS, DATA_BASE, 0xffff, UNUSED_DATA);
	set_descriptor(B_ES, EXTRA_BASE, 0xffff, UNUSED_DATA);
	set_descriptor(KERNEL_LDT, DATA_BASE, 0xff, ATTR_LDT);
}

static void prepare_a(enum way way, bool is32, struct regs *r)
{
	usual_segments(r, 0, true);
	__builtin_memset(room_a, 0, sizeof(room_a));
	set_descriptor(CASE_TSS_A, (uint32_t)room_a, is32 ? A_LIMIT_32 : A_LIMIT_16,
		       is32 ? ATTR_TSS32 : ATTR_TSS16);
	__asm__ volatile("ltr %w0" : : "r"(CASE_TSS_A));
	if (way == IRET) {
		*(uint16_t *)room_a = CASE_TSS_B;
		r->eflags |= FLAG_NT;
	}
	set_gate(&gdt[CASE_GATE / 8], CASE_TSS_B, 0, ATTR_TASK_GATE);
	set_gate(&idt[0x50], CASE_TSS_B, 0, ATTR_TASK_GATE);
}

static unsigned attr_byte(unsigned selector)
{
	return gdt[selector / 8] >> 40 & 0xff;
}

/* The TSSs as the switch left them, and their descriptors' types. */
static void report_tasks(bool a32)
{
	print(" tr=%w a=%b b=%b", outcome.tr, attr_byte(CASE_TSS_A), attr_byte(CASE_TSS_B));
	print(" link=%w", *(uint16_t *)room_b);
	if (a32)
		report_words("saved", (uint32_t)room_a + 0x20, (uint32_t)room_a + 0x28, 4);
	else
		report_words("saved", (uint32_t)room_a + 0xe, (uint32_t)room_a + 0x12, 2);
	report_words("stack", STACK_BASE + 0xbf8, STACK_BASE + 0xc00, 4);
	if (outcome.task) /* in which order segments are checked and marked is left open */
		return;
	print(" seg=%b%b%b%b", attr_byte(B_CS), attr_byte(B_SS), attr_byte(B_DS), attr_byte(B_ES));
}

static void run_task(enum way way, bool a32, bool b32, const struct flaw *flaw)
{
	struct regs r, start;

	machine_reset();
	faults_by_task();
	prepare_b();
	prepare_a(way, a32, &r);
	b_limit = b32 ? A_LIMIT_32 : A_LIMIT_16;
	b_attr = (b32 ? ATTR_TSS32 : ATTR_TSS16) | (way == IRET ? ATTR_BUSY : 0);
	place_way(way);
	__builtin_memset((void *)(STACK_BASE + 0xbf8), 0, 8);
	flaw->make();
	write_tss(room_b, &b, b32);
	set_descriptor(CASE_TSS_B, (uint32_t)room_b, b_limit, b_attr);
	start = r;
	run(&r);
	print("%s %s to %s ", way_names[way], size_names[a32], size_names[b32]);
	report_start("task", flaw->name, &start);
	report_tasks(a32);
	report_end();
}

void run_tasks(void)
{
	for (unsigned way = 0; way < WAYS; way++) {
		for (unsigned sizes = 0; sizes < 4; sizes++)
			for (unsigned i = 0; i < (sizes & 2 ? FLAWS : FLAWS - 2); i++)
				run_task(way, sizes & 1, sizes & 2, &flaws[i]);
	}
}
