/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptor tables, and running a snippet until something is delivered (guest.h). */
#include "guest.h"

/* Shared with entry.S. */
struct regs entry, trapped;
struct { uint32_t esp; uint16_t ss; } __attribute__((packed)) entry_stack;
uint32_t resume_esp, trapped_vector, trapped_cs, trapped_ss, trapped_esp, trapped_eflags;
extern char trap_stack_end[];
void trap_record(void);

uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(4096)));
uint64_t idt[256] __attribute__((aligned(4096)));
struct tss main_tss __attribute__((aligned(4096)));
USER uint8_t ring_stacks[4][STACK_SIZE] __attribute__((aligned(4096))) = { { 1 } };
USER uint32_t user_data[1024] __attribute__((aligned(4096))) = { 1 };

static struct trap trap;
static bool trap_is_software, trap_is_gate16;

/* ---- descriptors ---- */

uint64_t segment(uint32_t base, uint32_t limit, uint32_t attr)
{
	uint32_t low = base << 16 | (limit & 0xffff);
	uint32_t high = (base & 0xff000000) | (base >> 16 & 0xff) | (attr & 0xf0ff) << 8 |
			(limit & 0xf0000);

	return (uint64_t)high << 32 | low;
}

uint64_t gate(uint16_t selector, uint32_t offset, uint32_t attr, unsigned params)
{
	uint32_t low = (uint32_t)selector << 16 | (offset & 0xffff);
	uint32_t high = (offset & 0xffff0000) | attr << 8 | params;

	return (uint64_t)high << 32 | low;
}

void gdt_set(uint16_t selector, uint64_t descriptor)
{
	gdt[selector / 8] = descriptor;
}

void load_tr(uint16_t selector)
{
	gdt[selector / 8] &= ~(2ull << 40);
	__asm__ volatile("ltr %0" :: "r"(selector) : "memory");
}

void load_ldt(uint16_t selector)
{
	__asm__ volatile("lldt %0" :: "r"(selector) : "memory");
}

static void load_tables(void)
{
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) gdtr = { sizeof(gdt) - 1,
		ADDR(gdt) },
									  idtr = { sizeof(idt) - 1,
									  	ADDR(idt) };

	__asm__ volatile(
		"lgdt %0\n\tlidt %1\n\t"
		"ljmp %2, $1f\n1:\n\t"
		"mov %3, %%ds\n\tmov %3, %%es\n\tmov %3, %%fs\n\tmov %3, %%gs\n\tmov %3, %%ss" ::
			"m"(gdtr),
		"m"(idtr), "i"(KCODE), "r"(KDATA)
		: "memory");
}

void machine_reset(void)
{
	/* No interrupt but those a test asks for. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	__builtin_memset(gdt, 0, sizeof(gdt));
	for (unsigned ring = 0; ring < 4; ring++) {
		gdt_set(CODE(ring), segment(0, 0xfffff, ATTR_CODE | ATTR_FLAT | DPL(ring)));
		gdt_set(DATA(ring), segment(0, 0xfffff, ATTR_DATA | ATTR_FLAT | DPL(ring)));
	}
	__builtin_memset(&main_tss, 0, sizeof(main_tss));
	main_tss.io_map = sizeof(main_tss);
	main_tss.cr3 = read_cr3();
	for (unsigned ring = 0; ring < 3; ring++) {
		main_tss.stack[ring].esp = ring ? STACK_TOP(ring) - 1024 :
						  ADDR(trap_stack_end) - 4096;
		main_tss.stack[ring].ss = DATA(ring);
	}
	gdt_set(MAIN_TSS, segment(ADDR(&main_tss), sizeof(main_tss) - 1, ATTR_TSS32));
	for (unsigned vector = 0; vector < 256; vector++) {
		bool open = vector == BP || vector == OF || vector == DONE;

		idt[vector] = gate(KCODE, STUB(vector), GATE_INT32 | DPL(open ? 3 : 0), 0);
	}
	load_tables();
	load_ldt(0);
	load_tr(MAIN_TSS);
	write_dr7(0x400);
	write_dr6(0xffff0ff0);
	write_cr0((read_cr0() & CR0_PG) | CR0_PE | CR0_ET | CR0_NE | CR0_WP);
	__asm__ volatile("fninit");
}

/* ---- running ---- */

struct regs start_at(const void *where, unsigned ring)
{
	return (struct regs){
		.eax = 0xa0a1a2a3, .ecx = 0xc0c1c2c3, .edx = 0xd0d1d2d3, .ebx = 0xb0b1b2b3,
		.esp = STACK_TOP(ring), .ebp = 0xe0e1e2e3, .esi = 0x50515253, .edi = 0x60616263,
		.eip = ADDR(where), .eflags = FLAG_1, .cs = CODE(ring), .ss = DATA(ring),
		.ds = DATA(ring), .es = DATA(ring), .fs = DATA(ring), .gs = DATA(ring),
	};
}

static uint32_t selector_base(uint16_t selector)
{
	uint64_t d = selector & 4 ? 0 : gdt[selector / 8];

	return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}

static bool selector_big(uint16_t selector)
{
	return selector & 4 || gdt[selector / 8] >> 54 & 1;
}

static uint32_t stack_linear(uint16_t ss, uint32_t esp)
{
	return selector_base(ss) + (selector_big(ss) ? esp : esp & 0xffff);
}

/*
 * The IRET frame lies on the target's own stack if the ring stays, since its ESP is not in the
 * frame then.
 */
static void entry_frame(const struct regs *regs)
{
	static uint32_t frame[9];
	const uint32_t items[] = { regs->eip, regs->cs, regs->eflags, regs->esp, regs->ss,
				   regs->es,  regs->ds, regs->fs,     regs->gs };
	bool v86 = regs->eflags & FLAG_VM;

	if (v86 || (regs->cs & 3)) {
		__builtin_memcpy(frame, items, sizeof(frame));
		entry_stack.ss = KDATA;
		entry_stack.esp = ADDR(frame);
	} else {
		uint32_t at = selector_big(regs->ss) ?
				      regs->esp - 12 :
				      (regs->esp & 0xffff0000) | ((regs->esp - 12) & 0xffff);

		for (unsigned i = 0; i < 3; i++)
			*(uint32_t *)stack_linear(regs->ss, at + 4 * i) = items[i];
		entry_stack.ss = regs->ss;
		entry_stack.esp = at;
	}
	entry = *regs;
	if (v86)
		entry.ds = entry.es = entry.fs = entry.gs = KDATA;
}

static bool vector_has_error(uint32_t vector)
{
	return vector == DF || vector == AC || (vector >= TS && vector <= PF);
}

/* Called by entry.S on the kernel's own stack. */
void trap_record(void)
{
	unsigned size = trap_is_gate16 ? 2 : 4, n = 0;
	uint32_t item[10];

	trap.regs = trapped;
	trap.vector = trapped_vector;
	trap.handler_cs = trapped_cs & 0xffff;
	trap.handler_ss = trapped_ss;
	trap.handler_esp = trapped_esp;
	trap.handler_eflags = trapped_eflags;
	trap.stack = stack_linear(trapped_ss, trapped_esp);
	__asm__ volatile("mov %%cr2, %0" : "=r"(trap.cr2));
	__builtin_memcpy(trap.frame, (void *)trap.stack, sizeof(trap.frame));
	for (unsigned i = 0; i < 10; i++) {
		item[i] = 0;
		__builtin_memcpy(&item[i], (void *)stack_linear(trapped_ss, trapped_esp + i * size),
			size);
	}
	trap.has_error = vector_has_error(trap.vector) && !trap_is_software;
	trap.error = trap.has_error ? item[n++] : 0;
	trap.regs.eip = item[n++];
	trap.regs.cs = item[n++] & 0xffff;
	trap.regs.eflags = item[n++];
	if ((trap.regs.cs & 3) != (trap.handler_cs & 3) || (trap.regs.eflags & FLAG_VM)) {
		trap.regs.esp = item[n++];
		trap.regs.ss = item[n++] & 0xffff;
	} else {
		trap.regs.esp = trap.handler_esp + n * size;
		trap.regs.ss = trap.handler_ss;
	}
	trap.regs.ds &= 0xffff;
	trap_is_software = trap_is_gate16 = false;
}

const struct trap *run(const struct regs *regs)
{
	entry_frame(regs);
	enter_guest();
	return &trap;
}

const struct trap *run_software(const struct regs *regs)
{
	trap_is_software = true;
	return run(regs);
}

const struct trap *run_gate16(const struct regs *regs)
{
	trap_is_gate16 = true;
	return run(regs);
}
