/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test guest: what groups of checks build on.
 *
 * A check runs a snippet of assembly in some ring, with registers of its choice, until the
 * processor delivers something: an exception, an interrupt, or the INT DONE at the snippet's end.
 * run() returns with what was delivered and the registers at that point, and the check compares
 * them with what the manual says.
 *
 *     SNIPPET(sgdt_there, "sgdt (%eax)");
 *
 *     struct regs regs = start_at(sgdt_there, 3);
 *     const struct trap *trap = run(&regs);
 *     check_done(trap, "sgdt.ring3");
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "selectors.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ADDR(thing) ((uint32_t)(uintptr_t)(thing))

/* ---- EFLAGS, control registers, vectors ---- */

enum {
	FLAG_CF = 1, FLAG_1 = 2, FLAG_PF = 4, FLAG_AF = 0x10, FLAG_ZF = 0x40, FLAG_SF = 0x80,
	FLAG_TF = 0x100, FLAG_IF = 0x200, FLAG_DF = 0x400, FLAG_OF = 0x800, FLAG_IOPL = 0x3000,
	FLAG_NT = 0x4000, FLAG_RF = 0x10000, FLAG_VM = 0x20000, FLAG_AC = 0x40000,
	FLAG_ID = 0x200000, FLAGS_ARITH = 0x8d5,
};
#define IOPL(n) ((uint32_t)(n) << 12)

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_PG 0x80000000u
#define CR4_TSD 0x004u
#define CR4_DE 0x008u
#define CR4_PSE 0x010u
#define CR4_PAE 0x020u
#define CR4_PGE 0x080u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u

enum {
	DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM,
};

/* ---- running code ---- */

struct regs {
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t eip, eflags, cs, ss, ds, es, fs, gs;
};

struct trap {
	uint32_t vector;
	bool has_error;
	uint32_t error;
	/* of the code that was left; ESP and SS from the frame if it holds them */
	struct regs regs;
	uint32_t cr2;
	/* with which the handler started */
	uint32_t handler_cs, handler_ss, handler_esp, handler_eflags;
	uint32_t stack;           /* linear address of the handler's stack */
	uint32_t frame[16];       /* what was found there */
};

#define SNIPPET(name, code) \
	extern char name[]; \
	__asm__(".pushsection .snippets, \"awx\", @progbits\n" \
		#name ":\n" code "\nint $0x81\n.popsection")
/* BOUND EAX, user_data: no two assemblers agree on how it is written. */
#define BOUND_EAX ".byte 0x62, 0x05; .long user_data"
#define BOUND_AX ".byte 0x66; " BOUND_EAX
#define USER __attribute__((section(".user"))) /* data in user pages */

#define STACK_SIZE 4096
extern uint8_t ring_stacks[4][STACK_SIZE];
#define STACK_TOP(ring) (ADDR(ring_stacks[ring]) + STACK_SIZE - 256)
extern uint32_t user_data[1024]; /* scratch memory of snippets: a page */

/*
 * Registers to start at `where` in a ring: flat segments, a stack, general registers with odd
 * values, interrupts off.
 */
struct regs start_at(const void *where, unsigned ring);
const struct trap *run(const struct regs *regs);
/* As run(), for INT n of a vector that has an error code as an exception: the frame has none. */
const struct trap *run_software(const struct regs *regs);
/* As run(), when what comes back goes through a 16-bit gate. */
const struct trap *run_gate16(const struct regs *regs);
void enter_guest(void);

/* ---- descriptors ---- */

enum {
	ATTR_P = 0x80, ATTR_S = 0x10, ATTR_DB = 0x4000, ATTR_G = 0x8000, ATTR_AVL = 0x1000,
	ATTR_ACCESSED = 1, ATTR_DATA_RO = 0x90, ATTR_DATA = 0x92, ATTR_DATA_DOWN = 0x96,
	ATTR_CODE_XO = 0x98, ATTR_CODE = 0x9a, ATTR_CONFORMING = 0x9e, ATTR_LDT = 0x82,
	ATTR_TSS16 = 0x81, ATTR_TSS32 = 0x89, ATTR_TSS32_BUSY = 0x8b, ATTR_FLAT = 0xc000,
};
enum {
	GATE_CALL16 = 0x84, GATE_TASK = 0x85, GATE_INT16 = 0x86, GATE_TRAP16 = 0x87,
	GATE_CALL32 = 0x8c, GATE_INT32 = 0x8e, GATE_TRAP32 = 0x8f,
};
#define DPL(n) ((n) << 5)

extern uint64_t gdt[GDT_ENTRIES], idt[256];
extern char trap_stubs[];
#define STUB(vector) (ADDR(trap_stubs) + 16 * (vector))

struct tss {
	uint32_t link;
	struct { uint32_t esp, ss; } stack[3];
	uint32_t cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_map;
	uint8_t io_bits[8192 + 8];
};
extern struct tss main_tss;

/* limit is the 20-bit field; attr as above, DPL() and flags (bits 12 up) included. */
uint64_t segment(uint32_t base, uint32_t limit, uint32_t attr);
uint64_t gate(uint16_t selector, uint32_t offset, uint32_t attr, unsigned params);
void gdt_set(uint16_t selector, uint64_t descriptor);
/* GDT, IDT, TSS, control and debug registers as every group finds them. */
void machine_reset(void);
void load_tr(uint16_t selector);
void load_ldt(uint16_t selector);

static inline uint32_t read_cr0(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static inline uint32_t read_cr3(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

static inline uint32_t read_cr4(void)
{
	uint32_t v;
	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static inline uint32_t read_dr6(void)
{
	uint32_t v;
	__asm__ volatile("mov %%dr6, %0" : "=r"(v));
	return v;
}

static inline uint32_t read_dr7(void)
{
	uint32_t v;
	__asm__ volatile("mov %%dr7, %0" : "=r"(v));
	return v;
}

static inline void write_cr0(uint32_t v) { __asm__ volatile("mov %0, %%cr0" :: "r"(v) : "memory"); }
static inline void write_cr2(uint32_t v) { __asm__ volatile("mov %0, %%cr2" :: "r"(v) : "memory"); }
static inline void write_cr3(uint32_t v) { __asm__ volatile("mov %0, %%cr3" :: "r"(v) : "memory"); }
static inline void write_cr4(uint32_t v) { __asm__ volatile("mov %0, %%cr4" :: "r"(v) : "memory"); }
static inline void write_dr0(uint32_t v) { __asm__ volatile("mov %0, %%dr0" :: "r"(v)); }
static inline void write_dr1(uint32_t v) { __asm__ volatile("mov %0, %%dr1" :: "r"(v)); }
static inline void write_dr2(uint32_t v) { __asm__ volatile("mov %0, %%dr2" :: "r"(v)); }
static inline void write_dr3(uint32_t v) { __asm__ volatile("mov %0, %%dr3" :: "r"(v)); }
static inline void write_dr6(uint32_t v) { __asm__ volatile("mov %0, %%dr6" :: "r"(v)); }
static inline void write_dr7(uint32_t v) { __asm__ volatile("mov %0, %%dr7" :: "r"(v)); }
static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void write_msr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static inline uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

/* ---- paging ---- */

enum paging { PAGING_OFF, PAGING_32, PAGING_PAE };

#define PTE_P  0x001u
#define PTE_W  0x002u
#define PTE_U  0x004u
#define PTE_A  0x020u
#define PTE_D  0x040u
#define PTE_PS 0x080u
#define PTE_G  0x100u
#define PTE_NX (1ull << 63)
#define PTE_ALL (PTE_P | PTE_W | PTE_U)

extern enum paging paging;  /* what is in force */
/*
 * Builds tables that map the guest's memory one to one, and switches paging to this kind; global:
 * with CR4.PGE and a global kernel.
 */
void paging_start(enum paging kind, bool global);
/*
 * A physical page (zeroed) for a test to use, at its own linear address; taken back at the next
 * paging_start().
 */
uint32_t page_alloc(void);
/* Tables as paging_start() builds them; returns what goes into CR3. */
uint32_t tables_build(void);
/*
 * Where the entry for a linear address is in the tables of cr3; a page table is made if there is
 * none.
 */
void *entry_at(uint32_t cr3, uint32_t linear);
void *directory_entry_at(uint32_t cr3, uint32_t linear);
uint64_t entry_read(const void *entry);
void entry_write(void *entry, uint64_t value);
/* Maps in the current tables and invalidates. */
void map(uint32_t linear, uint64_t entry);
static inline void invlpg(uint32_t linear)
{
	__asm__ volatile("invlpg (%0)" ::"r"(linear) : "memory");
}

static inline void flush_tlb(void) { write_cr3(read_cr3()); }
void flush_global(void);

/* ---- checks ---- */

/*
 * All print "ok GROUP.MODE.NAME" or "FAILED GROUP.MODE.NAME: got X want Y". NAME is a format: %s,
 * %u, %x.
 */
#define CHECK_FORMAT(at) __attribute__((format(printf, at, at + 1)))
void check(uint32_t got, uint32_t want, const char *name, ...) CHECK_FORMAT(3);
#define NO_ERROR 0xffffffffu
void check_trap(const struct trap *trap, uint32_t vector, uint32_t error, const void *eip,
		const char *name, ...) CHECK_FORMAT(5);
/* The snippet came to its INT DONE. */
void check_done(const struct trap *trap, const char *name, ...) CHECK_FORMAT(2);
/* A note for people, which is neither. */
void note(const char *text, ...) CHECK_FORMAT(1);

#define MODE_OFF 1u
#define MODE_32  2u
#define MODE_PAE 4u
#define MODE_PAE_PGE 8u
#define MODES_ALL 15u
#define MODES_PAGED 14u
struct group {
	const char *name;
	void (*run)(void);
	uint32_t modes;
	/*
	 * Ends in a triple fault: a run of its own. QEMU 7.2 does not survive it. May take a host
	 * seconds: a run of its own, but on QEMU.
	 */
	enum { SHUTS_DOWN = 1, KILLS_QEMU = 2, LOCKS_BUS = 4 } needs_care;
};
/* Single checks that it does not survive are left out; of KVM those that it cannot see. */
extern bool sparing_kvm, sparing_qemu, sparing_unicorn;
extern const struct group groups[];
extern const unsigned group_count;

#endif
