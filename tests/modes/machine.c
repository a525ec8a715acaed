/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptor tables, the way into a case, and what is noted when something was delivered. */
#include "modes.h"

struct frame {
	uint32_t esp;
	uint16_t ss;
} __attribute__((packed));

struct descriptor_table {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

/* What protected_stubs leaves on the stack, then what the processor pushed. */
struct pushed {
	uint32_t gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error;
	uint32_t eip, cs, eflags;
	uint32_t outer_esp, outer_ss, v86_es, v86_ds, v86_fs, v86_gs;
};

/* The tasks that take faults, and what they are for. */
static const uint8_t fault_vectors[] = { 8, 10, 11, 12, 13, 14 };
enum { FAULTS = sizeof(fault_vectors) };

struct outcome outcome;
uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(8))), idt[256] __attribute__((aligned(8)));
static struct { struct tss tss; uint8_t rest[64 + 8192]; } whole_tss __attribute__((aligned(16)));
static struct tss fault_tss[FAULTS];
static uint32_t fault_stacks[FAULTS][64];

void enter_protected(const struct regs *regs, const struct frame *frame);
void enter_real(const struct regs *regs, const struct caches *caches);
extern uint8_t protected_stubs[], real_stubs[], fault_task[];
extern uint16_t real_idtr_now;

uint32_t read_cr0(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr0, %0" : "=r"(value));
	return value;
}

void write_cr4(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr4" : : "r"(value));
}

bool has_vme(void)
{
	uint32_t eax = 1, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return edx & 2;
}

void set_descriptor(unsigned selector, uint32_t base, uint32_t limit, unsigned attr)
{
	gdt[selector / 8] = (uint64_t)(base >> 24) << 56 | (uint64_t)attr << 40 |
			    (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base & 0xffffff) << 16 |
			    (limit & 0xffff);
}

void set_gate(uint64_t *where, unsigned selector, uint32_t offset, unsigned attr)
{
	*where = (uint64_t)(offset >> 16) << 48 | (uint64_t)attr << 40 |
		 (uint64_t)selector << 16 | (offset & 0xffff);
}

static void load_tables(void)
{
	const struct descriptor_table gdtr = { sizeof(gdt) - 1, (uint32_t)gdt },
				      idtr = { sizeof(idt) - 1, (uint32_t)idt };

	__asm__ volatile("lgdt %0; lidt %1" : : "m"(gdtr), "m"(idtr));
	set_descriptor(KERNEL_TSS, (uint32_t)&whole_tss, sizeof(whole_tss) - 1, ATTR_TSS32);
	__asm__ volatile("lldt %w0; ltr %w1" : : "r"(0), "r"(KERNEL_TSS));
}

static void reset_gdt(void)
{
	for (unsigned i = 0; i < GDT_ENTRIES; i++)
		gdt[i] = 0;
	set_descriptor(KERNEL_CODE, 0, 0xfffff, ATTR_CODE0 | ATTR_B | ATTR_G);
	set_descriptor(KERNEL_DATA, 0, 0xfffff, ATTR_DATA0 | ATTR_B | ATTR_G);
	set_descriptor(REAL_CODE, 0, 0xffff, ATTR_CODE0);
	set_descriptor(REAL_DATA, 0, 0xffff, ATTR_DATA0);
	set_descriptor(RING3_CODE, CODE_BASE, 0xffff, ATTR_CODE3 | ATTR_B);
	set_descriptor(RING3_DATA, 0, 0xfffff, ATTR_DATA3 | ATTR_B | ATTR_G);
}

static void reset_idt(void)
{
	for (unsigned i = 0; i < 256; i++)
		set_gate(&idt[i], KERNEL_CODE, (uint32_t)protected_stubs + 16 * i,
			 ATTR_INT32 | ATTR_RING3);
	for (unsigned i = 0; i < 256; i++)
		((volatile uint32_t *)0)[i] = (uint32_t)real_stubs + 8 * i;
}

static void reset_fault_tasks(void)
{
	for (unsigned i = 0; i < FAULTS; i++) {
		struct tss *tss = &fault_tss[i];

		__builtin_memset(tss, 0, sizeof(*tss));
		tss->eip = (uint32_t)fault_task;
		tss->eflags = 2;
		tss->regs[0] = fault_vectors[i];
		tss->regs[4] = (uint32_t)&fault_stacks[i][60];
		tss->cs = KERNEL_CODE;
		tss->ss = tss->ds = tss->es = tss->fs = tss->gs = KERNEL_DATA;
		set_descriptor(FAULT_TSS + 8 * i, (uint32_t)tss, sizeof(*tss) - 1, ATTR_TSS32);
	}
	set_gate(&idt[8], FAULT_TSS, 0, ATTR_TASK_GATE);
}

void faults_by_task(void)
{
	for (unsigned i = 0; i < FAULTS; i++)
		set_gate(&idt[fault_vectors[i]], FAULT_TSS + 8 * i, 0, ATTR_TASK_GATE);
}

static void reset_tss(void)
{
	__builtin_memset(&whole_tss, 0, sizeof(whole_tss.tss) + 32 + 0x100);
	whole_tss.tss.ss0 = KERNEL_DATA;
	whole_tss.tss.esp0 = (uint32_t)kernel_stack_top - 4096;
	whole_tss.tss.map = sizeof(whole_tss.tss) + 32;
	whole_tss.rest[sizeof(whole_tss.rest) - 1] = 0xff;
}

struct tss *current_tss(void)
{
	return &whole_tss.tss;
}

void redirect_interrupts(uint8_t vector, bool to_gate)
{
	uint8_t *map = whole_tss.rest;

	map[vector / 8] = (map[vector / 8] & ~(1 << (vector & 7))) | to_gate << (vector & 7);
}

void bar_port(uint16_t port)
{
	whole_tss.rest[32 + port / 8] |= 1 << (port & 7);
}

void machine_reset(void)
{
	__asm__ volatile("movl %0, %%cr0" : : "r"(0x11));
	__asm__ volatile("movl %0, %%dr7" : : "r"(0x400));
	write_cr4(0);
	reset_gdt();
	reset_idt();
	reset_fault_tasks();
	reset_tss();
	load_tables();
	memory_fill();
}

/* No interrupts but those that cases make. */
static void mask_interrupts(void)
{
	__asm__ volatile("outb %b0, $0x21; outb %b0, $0xa1" : : "a"(0xff));
}

void machine_init(void)
{
	mask_interrupts();
	__builtin_memset((void *)CODE_BASE, 0xcc, 0x10000);
	__builtin_memset((void *)DATA_BASE, 0, 0x30000);
	machine_reset();
}

void place_code(const void *start, const void *end, uint32_t at)
{
	uint8_t *to = (uint8_t *)CODE_BASE + at;
	const uint32_t size = (const uint8_t *)end - (const uint8_t *)start;

	__builtin_memset((void *)(CODE_BASE + 0x100), 0xcc, 0x100);
	__builtin_memset((void *)(CODE_BASE + 0xffc0), 0xcc, 0x40);
	__builtin_memcpy(to, start, size);
	to[size] = 0xcc;
}

void usual_segments(struct regs *r, unsigned ring, bool code32)
{
	const unsigned more = (ring ? ATTR_RING3 : 0) | (code32 ? ATTR_B : 0);

	set_descriptor(CASE_CS, CODE_BASE, 0xffff, ATTR_CODE0 | more);
	set_descriptor(CASE_DS, DATA_BASE, 0xffff, ATTR_DATA0 | more);
	set_descriptor(CASE_ES, EXTRA_BASE, 0xffff, ATTR_DATA0 | more);
	set_descriptor(CASE_SS, STACK_BASE, 0xffff, ATTR_DATA0 | more);
	*r = (struct regs){
		.eax = 0xa0a0a0a0, .ecx = 0xc1c1c1c1, .edx = 0xd2d2d2d2, .ebx = 0xb3b3b3b3,
		.esp = 0x800, .ebp = 0xe5e5e5e5, .esi = 0x56565656, .edi = 0xd7d7d7d7,
		.eip = CODE_AT, .eflags = 2, .es = CASE_ES | ring, .cs = CASE_CS | ring,
		.ss = CASE_SS | ring, .ds = CASE_DS | ring, .fs = CASE_DS | ring, .gs = 0,
	};
}

void v86_segments(struct regs *r, unsigned iopl)
{
	usual_segments(r, 0, false);
	r->es = EXTRA_BASE >> 4;
	r->cs = CODE_BASE >> 4;
	r->ss = STACK_BASE >> 4;
	r->ds = r->fs = r->gs = DATA_BASE >> 4;
	r->eflags |= FLAG_VM | FLAG_IOPL(iopl);
}

static uint64_t descriptor_of(uint16_t selector)
{
	return gdt[selector / 8];
}

static uint32_t base_of(uint64_t d)
{
	return (d >> 16 & 0xffffff) | d >> 56 << 24;
}

/* The frame for IRETD: on the case's own stack if the privilege stays 0, else on a static one. */
void run(const struct regs *r)
{
	static uint32_t items[9];
	const uint64_t ss = descriptor_of(r->ss);
	struct frame frame = { (uint32_t)items, KERNEL_DATA };
	uint32_t *to = items;

	if (!(r->eflags & FLAG_VM) && !(r->cs & 3)) {
		uint32_t esp = r->esp - 12;

		if (!(ss >> 54 & 1))
			esp &= 0xffff;
		to = (uint32_t *)(base_of(ss) + esp);
		frame.esp = r->esp - 12;
		frame.ss = r->ss;
	}
	to[0] = r->eip;
	to[1] = r->cs;
	to[2] = r->eflags;
	if (to == items) {
		to[3] = r->esp;
		to[4] = r->ss;
		to[5] = r->es;
		to[6] = r->ds;
		to[7] = r->fs;
		to[8] = r->gs;
	}
	memory_snapshot();
	if (!(r->eflags & FLAG_VM)) {
		enter_protected(r, &frame);
		return;
	}
	{
		struct regs flat = *r;

		flat.es = flat.ds = flat.fs = flat.gs = KERNEL_DATA;
		enter_protected(&flat, &frame);
	}
}

void run_real(const struct regs *r, const struct caches *caches)
{
	memory_snapshot();
	enter_real(r, caches);
}

/* ---- what was delivered ---- */

static uint16_t task_register(void)
{
	uint16_t tr;

	__asm__ volatile("str %0" : "=rm"(tr));
	return tr;
}

static bool has_error(uint32_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* Back in the program's own segments and tables. */
static void settle(void)
{
	outcome.tr = task_register();
	outcome.cr0 = read_cr0();
	__asm__ volatile("pushl %0; popfl" : : "r"(2) : "cc");
	__asm__ volatile("movl %0, %%cr0" : : "r"(0x11));
	__asm__ volatile("movl %0, %%fs; movl %0, %%gs" : : "r"(KERNEL_DATA));
}

void note_protected(uint32_t esp, uint32_t ss)
{
	const uint64_t d = descriptor_of(ss);
	const struct pushed *p =
		(void *)(base_of(d) + (d >> 54 & 1 ? esp : esp & 0xffff));
	struct regs *r = &outcome.regs;
	const bool v86 = p->eflags & FLAG_VM, outer = v86 || p->cs & 3;

	*r = (struct regs){
		p->eax, p->ecx, p->edx, p->ebx, 0, p->ebp, p->esi, p->edi, p->eip, p->eflags,
		.cs = p->cs, .ss = outer ? p->outer_ss : ss, .es = v86 ? p->v86_es : p->es,
		.ds = v86 ? p->v86_ds : p->ds, .fs = v86 ? p->v86_fs : p->fs,
		.gs = v86 ? p->v86_gs : p->gs,
	};
	r->esp = outer ? p->outer_esp : esp + __builtin_offsetof(struct pushed, outer_esp);
	outcome.vector = p->vector;
	outcome.error = p->error;
	outcome.has_error = has_error(p->vector);
	outcome.task = outcome.real = false;
	settle();
}

void note_real(const struct regs *regs, uint32_t vector, uint32_t cr0)
{
	outcome.regs = *regs;
	outcome.regs.eflags &= 0xffff;
	outcome.regs.eip &= 0xffff;
	outcome.vector = vector;
	outcome.has_error = outcome.task = false;
	outcome.real = true;
	load_tables();
	settle();
	outcome.cr0 = cr0;
}

static void registers_of_task(uint16_t selector, struct regs *r)
{
	const uint64_t d = descriptor_of(selector);
	const struct tss *t = (void *)base_of(d);
	const struct tss16 *s = (void *)t;

	if (d >> 43 & 1) {
		*r = (struct regs){
			t->regs[0], t->regs[1], t->regs[2], t->regs[3], t->regs[4], t->regs[5],
			t->regs[6], t->regs[7], t->eip, t->eflags,
			t->es, t->cs, t->ss, t->ds, t->fs, t->gs,
		};
		return;
	}
	*r = (struct regs){
		s->regs[0], s->regs[1], s->regs[2], s->regs[3], s->regs[4], s->regs[5], s->regs[6],
		s->regs[7], s->ip, s->flags, s->es, s->cs, s->ss, s->ds, 0, 0,
	};
}

void note_task(uint32_t vector, const uint32_t *esp)
{
	const struct tss *mine;

	outcome.vector = vector;
	outcome.error = *esp;
	outcome.has_error = outcome.task = true;
	outcome.real = false;
	settle();
	mine = (void *)base_of(descriptor_of(outcome.tr));
	outcome.tr = mine->link;
	registers_of_task(mine->link, &outcome.regs);
	outcome.cr0 &= ~8u;
}
