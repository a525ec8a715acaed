/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that boots from a disk and runs thousands of short pieces of code, each in a mode of
 * the processor, until the processor delivers something. It prints a line for each: what was
 * delivered and where, and what changed. Nobody is judged here: the lines are compared with others.
 *
 * Memory: the program below 30000h; segments of 64 KiB for the cases: code at 30000h, data at
 * 40000h (DS, FS, GS) and 50000h (ES), stack at 60000h.
 */
#ifndef MODES_H
#define MODES_H

#include <stdbool.h>
#include <stdint.h>

#define CODE_BASE 0x30000u
#define DATA_BASE 0x40000u
#define EXTRA_BASE 0x50000u
#define STACK_BASE 0x60000u

#define FLAG_CF 0x1u
#define FLAG_TF 0x100u
#define FLAG_IF 0x200u
#define FLAG_NT 0x4000u
#define FLAG_VM 0x20000u
#define FLAG_VIF 0x80000u
#define FLAG_VIP 0x100000u
#define FLAG_IOPL(n) ((n) << 12)

/* GDT: the program's own, then what cases fill in. Selectors are for ring 0. */
enum {
	KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, KERNEL_TSS = 0x18,
	REAL_CODE = 0x28, REAL_DATA = 0x30, KERNEL_LDT = 0x38,
	CASE_CS = 0x40, CASE_DS = 0x48, CASE_ES = 0x50, CASE_SS = 0x58, CASE_X = 0x60,
	CASE_TSS_A = 0x80, CASE_TSS_B = 0x88, CASE_GATE = 0x90, CASE_GATE_B = 0x98,
	RING3_CODE = 0xa0, RING3_DATA = 0xa8, INNER_CODE = 0xb0, CASE_Y = 0xb8,
	FAULT_TSS = 0xc0, /* and five more */ CASE_LAST = 0xf8,
	GDT_ENTRIES = 32,
};

/* Attributes as in bits 40 to 55 of a descriptor. */
enum {
	ATTR_DATA0 = 0x93, ATTR_DATA3 = 0xf3, ATTR_CODE0 = 0x9b, ATTR_CODE3 = 0xfb,
	ATTR_B = 0x4000, ATTR_G = 0x8000, ATTR_DOWN = 0x04,
	ATTR_TSS16 = 0x81, ATTR_TSS32 = 0x89, ATTR_LDT = 0x82, ATTR_BUSY = 2,
	ATTR_TASK_GATE = 0x85, ATTR_CALL16 = 0x84, ATTR_CALL32 = 0x8c,
	ATTR_INT16 = 0x86, ATTR_TRAP16 = 0x87, ATTR_INT32 = 0x8e, ATTR_TRAP32 = 0x8f,
	ATTR_RING3 = 0x60,
};

/* Offsets are known to entry.S. */
struct regs {
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi, eip, eflags;
	uint16_t es, cs, ss, ds, fs, gs;
};

/* What is in the registers' hidden parts when real mode is entered: selectors of the GDT. */
struct caches {
	uint16_t es, cs, ss, ds, fs, gs;
};

struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t regs[8], es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, map;
};

struct tss16 {
	uint16_t link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, regs[8], es, cs, ss, ds, ldt;
};

/* The last delivery. task: it came by a task gate, and the registers are those in the TSS. */
struct outcome {
	struct regs regs;
	uint32_t vector, error, cr0;
	uint16_t tr;
	bool has_error, task, real;
};

extern struct outcome outcome;
extern uint64_t gdt[GDT_ENTRIES], idt[256];

extern uint8_t kernel_stack_top[];

/* machine.c */
void machine_init(void);
/* All as it is at the start of each case: tables, TSS, CR4, memory of the segments. */
void machine_reset(void);
struct tss *current_tss(void);
void bar_port(uint16_t port);
/* Whether INT n in v86 mode goes to a gate, or to the vector at 4n (CR4.VME). */
void redirect_interrupts(uint8_t vector, bool to_gate);
void set_descriptor(unsigned selector, uint32_t base, uint32_t limit, unsigned attr);
void set_gate(uint64_t *where, unsigned selector, uint32_t offset, unsigned attr);
/* Exceptions 8 and 10 to 13 go to a task of their own. */
void faults_by_task(void);
/* Copies code to CODE_BASE + at, and an INT3 after it. */
void place_code(const void *start, const void *end, uint32_t at);
/* Runs from these registers in protected or v86 mode until something is delivered. */
void run(const struct regs *regs);
/* Registers for 32-bit code of this ring at 3000:100h: CASE_CS and so on, all of 64 KiB. */
void usual_segments(struct regs *regs, unsigned ring, bool code32);
void v86_segments(struct regs *regs, unsigned iopl);
void run_real(const struct regs *regs, const struct caches *caches);
uint32_t read_cr0(void);
void write_cr4(uint32_t value);
bool has_vme(void);

/* print.c */
void memory_fill(void);
void memory_snapshot(void);
void print_init(void);
void print(const char *format, ...); /* %s, %b, %w, %x: 2, 4, 8 digits */
void finish(void) __attribute__((noreturn));
/* "AREA: NAME", the delivery, and what is not as in `before`; ends the line. */
void report(const char *area, const char *name, const struct regs *before);
void report_start(const char *area, const char *name, const struct regs *before);
void report_memory(void);
void report_end(void);
/* " NAME=" and memory from lower to higher addresses, in words of so many bytes */
void report_words(const char *name, uint32_t start, uint32_t end, unsigned size);

/* "A B" to a place of 40 bytes. */
void join(char *to, const char *a, const char *b);

/*
 * A piece of code, assembled for 16 and for 32 bits. kind: where it is not to run, and in the upper
 * half its offset in CS, if that is not 100h.
 */
struct snippet {
	const char *text;
	const uint8_t *start16, *end16, *start32, *end32;
	uint32_t kind;
};

#define NOT_REAL 1
#define NOT_V86 2
#define NOT_PROTECTED 4
#define NOT_32 8
#define NOT_16 16
#define NOT_RING0 32
#define AT(offset) ((offset) << 16)
#define CODE_AT 0x100u

#define WORD_OF(x) #x
#define SNIPPET(section, kind, text) \
	__asm__(".pushsection .snippets, \"ax\"\n .code16\n 1: " text "\n 2: .code32\n 3: " text \
		"\n 4: .code32\n .pushsection .rodata\n 5: .string \"" text "\"\n .popsection\n" \
		".popsection\n .pushsection " section ", \"a\"\n .long 5b, 1b, 2b, 3b, 4b, " \
		WORD_OF(kind) "\n .popsection")

/* A file each: edges.c, v86.c, tasks.c, gates.c, look.c, switches.c */
void run_edges(void);
void run_v86(void);
void run_tasks(void);
void run_gates(void);
void run_looks(void);
void run_switches(void);

#endif
