/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors, interrupt controllers, the timer, and the ways to end. */
#include "layout.h"
#include "nano.h"

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2;
	uint32_t cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt, io_map;
};

struct pointer {
	uint16_t limit;
	const void *base;
} __attribute__((packed));

struct cpu_facts cpu;
static uint64_t gdt[10], idt[256];
static struct tss main_tss, other_tss;

extern char trap_stubs[], trap_stack_end[], other_stack_end[], other_task[];
extern char handle_syscall[], handle_sysenter[], handle_de[], handle_bp[], handle_pf[],
	handle_self[], handle_timer[], handle_done[];

static uint64_t segment(uint32_t base, uint32_t limit, uint32_t attributes)
{
	return (uint64_t)(base >> 24) << 56 | (uint64_t)(attributes & 0xf000) << 40 |
	       (uint64_t)(limit >> 16) << 48 | (uint64_t)(attributes & 0xff) << 40 |
	       (uint64_t)(base & 0xffffff) << 16 | (limit & 0xffff);
}

static void set_gate(unsigned vector, const char *handler, unsigned privilege)
{
	uint32_t offset = (uint32_t)handler;

	idt[vector] = (uint64_t)(offset >> 16) << 48 | (uint64_t)(0x8e | privilege << 5) << 40 |
		      (uint64_t)KCODE << 16 | (offset & 0xffff);
}

static void load_descriptors(void)
{
	struct pointer gdtr = { sizeof(gdt) - 1, gdt }, idtr = { sizeof(idt) - 1, idt };

	gdt[KCODE / 8] = segment(0, 0xfffff, 0xc09b);
	gdt[KDATA / 8] = segment(0, 0xfffff, 0xc093);
	gdt[UCODE / 8] = segment(0, 0xfffff, 0xc0fb);
	gdt[UDATA / 8] = segment(0, 0xfffff, 0xc0f3);
	gdt[CODE16 / 8] = segment(CODE286_BASE, 0xffff, 0x9b);
	gdt[DATA16 / 8] = segment(DATA286_BASE, 0xffff, 0x93);
	gdt[REAL_CODE / 8] = segment(CODE16_BASE, 0xffff, 0x9b);
	gdt[MAIN_TSS / 8] = segment((uint32_t)&main_tss, sizeof(main_tss) - 1, 0x89);
	gdt[OTHER_TSS / 8] = segment((uint32_t)&other_tss, sizeof(other_tss) - 1, 0x89);
	__asm__ volatile("lgdt %0\n\t"
			 "lidt %1\n\t"
			 "ljmp %2, $1f\n"
			 "1:\tmovw %w3, %%ds\n\t"
			 "movw %w3, %%es\n\t"
			 "movw %w3, %%ss\n\t"
			 "movw %w4, %%fs\n\t"
			 "movw %w4, %%gs\n\t"
			 "lldt %w4"
			 :: "m"(gdtr), "m"(idtr), "i"(KCODE), "r"(KDATA), "r"(0) : "memory");
}

static void set_tasks(void)
{
	main_tss = (struct tss){
		.esp0 = (uint32_t)trap_stack_end, .ss0 = KDATA, .cr3 = (uint32_t)main_directory,
		.io_map = sizeof(struct tss) << 16,
	};
	other_tss = (struct tss){
		.cr3 = (uint32_t)main_directory, .eip = (uint32_t)other_task, .eflags = 2,
		.esp = (uint32_t)other_stack_end, .es = KDATA, .cs = KCODE, .ss = KDATA,
		.ds = KDATA, .io_map = sizeof(struct tss) << 16,
	};
	__asm__ volatile("ltr %w0" :: "r"(MAIN_TSS) : "memory");
}

static void set_gates(void)
{
	for (unsigned vector = 0; vector < COUNT(idt); vector++)
		set_gate(vector, trap_stubs + 16 * vector, 0);
	set_gate(VECTOR_DE, handle_de, 0);
	set_gate(VECTOR_BP, handle_bp, 0);
	set_gate(VECTOR_PF, handle_pf, 0);
	set_gate(VECTOR_TIMER, handle_timer, 0);
	set_gate(VECTOR_SELF, handle_self, 0);
	set_gate(VECTOR_SYSCALL, handle_syscall, 3);
	set_gate(VECTOR_DONE, handle_done, 3);
}

static void cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(0));
}

static void copy_name(char *name, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t words[3] = { a, b, c };

	for (unsigned i = 0; i < 12; i++)
		name[i] = (char)(words[i / 4] >> i % 4 * 8);
}

static void look_at_cpu(void)
{
	uint32_t r[4];

	cpuid(0, r);
	copy_name(cpu.vendor, r[1], r[3], r[2]);
	cpuid(1, r);
	cpu.signature = r[0];
	cpu.features = r[3];
	if (r[2] & 1u << 31) {
		cpuid(0x40000000, r);
		copy_name(cpu.hypervisor, r[1], r[2], r[3]);
	}
}

static void write_msr(uint32_t msr, uint32_t value)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"(value), "d"(0));
}

/* The 8259s at 20h and 28h, all masked but the timer. */
static void set_pics(void)
{
	static const struct { uint8_t port, value; } writes[] = {
		{ 0x20, 0x11 }, { 0x21, VECTOR_TIMER }, { 0x21, 4 }, { 0x21, 1 },
		{ 0xa0, 0x11 }, { 0xa1, VECTOR_TIMER + 8 }, { 0xa1, 2 }, { 0xa1, 1 },
		{ 0x21, 0xfe }, { 0xa1, 0xff },
	};

	for (size_t i = 0; i < COUNT(writes); i++)
		outb(writes[i].port, writes[i].value);
}

/* Software-enabled, so that it can interrupt itself; the 8259s come in through LINT0. */
static void set_apic(void)
{
	volatile uint32_t *apic = (volatile uint32_t *)APIC_BASE;

	apic[0xf0 / 4] = 0x1ff;
	apic[0x350 / 4] = 0x700;
	apic[0x80 / 4] = 0;
}

void timer_stop(void)
{
	outb(0x43, 0x30); /* channel 0 waits for a count that does not come */
	__asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

void machine_start(void)
{
	look_at_cpu();
	load_descriptors();
	set_gates();
	paging_start();
	set_tasks();
	set_pics();
	if (cpu.features & CPU_SEP) {
		write_msr(MSR_SYSENTER_CS, KCODE);
		write_msr(MSR_SYSENTER_ESP, (uint32_t)trap_stack_end);
		write_msr(MSR_SYSENTER_EIP, (uint32_t)handle_sysenter);
	}
	if (cpu.features & CPU_APIC)
		set_apic();
	timer_stop();
}

void machine_recover(void)
{
	write_cr3(main_directory);
	load_descriptors();
	set_tasks();
	if (cpu.features & CPU_APIC)
		((volatile uint32_t *)APIC_BASE)[0xb0 / 4] = 0;
}

/* Channel 0, mode 0: the output rises count + 1 clocks later. */
uint64_t timer_start(uint16_t count)
{
	uint64_t start;

	outb(0x43, 0x30);
	outb(0x40, count & 0xff);
	start = rdtsc();
	outb(0x40, count >> 8);
	return start;
}

/* Channel 2, whose output port 61h shows. */
uint64_t timer_wait_polled(uint16_t count)
{
	uint64_t start;

	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb0);
	outb(0x42, count & 0xff);
	outb(0x42, count >> 8);
	start = rdtsc();
	while (!(inb(0x61) & 0x20))
		;
	return rdtsc() - start;
}

/*
 * Bochs reads the word "Shutdown" at port 8900h, and panics at 501h, where elsewhere isa-debug-exit
 * turns a value v into the exit status 2 v + 1.
 */
void machine_end(bool ok)
{
	static const char word[] = "Shutdown";

	for (size_t i = 0; word[i]; i++)
		outb(0x8900, word[i]);
	outw(0x501, ok ? 0x10 : 0x11);
	for (;;)
		__asm__ volatile("cli; hlt");
}
