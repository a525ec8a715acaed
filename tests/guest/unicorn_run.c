/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the test guest on Unicorn (QEMU's processor emulation as a library).
 *
 *   unicorn_run GUEST COMMAND-LINE
 *
 * Unicorn has no machine: there are RAM, the debug console and isa-debug-exit here, no interrupt
 * controllers, timers or APIC. Nor does it deliver exceptions. It tells the vector, and what the
 * guest's IDT says is done here, for interrupt and trap gates of 32 bits: so what happens in a
 * delivery says nothing about Unicorn, all else does.
 *
 * Its interface shows neither error codes nor the hidden parts of segment registers, and cannot
 * change CPL. So the processor's state is read and written as a saved context has it, struct
 * state_at being where things are. Those places are the library's own affair: find_state() looks
 * for values that it has put there, and another version that has them elsewhere is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unicorn/unicorn.h>
#include "monitor/boot/loader.h"
#include "shadowmmu/walker.h"

#define RAM_SIZE   (32u << 20)
#define ACPI_SIZE  0x4000u
#define DEBUGCON   0xe9
#define DEBUG_EXIT 0xf4
/* an address that the guest maps and executes nothing at; each stop of Unicorn's looks it up */
#define NEVER      0x1000

enum { ES, CS, SS, DS, FS, GS, SEGMENTS };

/* A segment register in a context; flags are the descriptor's upper half. */
struct hidden {
	uint32_t selector;
	uint64_t base;
	uint32_t limit, flags;
};
#define FLAGS_DPL(flags) ((flags) >> 13 & 3)
#define FLAGS_P          0x8000u
#define FLAGS_CODE       0x1800u
#define FLAGS_CONFORMING 0x400u
#define FLAGS_B          0x400000u

enum { GATE_INT32 = 0xe, GATE_TRAP32 = 0xf };

/* hflags: what a translation of Unicorn's depends on. */
#define H_CPL    0x03u
#define H_CS32   0x10u
#define H_SS32   0x20u
#define H_ADDSEG 0x40u

struct state_at { size_t eip, hflags, segment, error, is_int, next_eip, in_flight; };

struct run {
	uc_engine *uc;
	uc_context *context;
	uint8_t *saved; /* the same */
	struct state_at at;
	struct guest_ram ram;
	int vector, status;
	const char *why; /* it cannot go on */
};

/* ---- the processor's state ---- */

static uint32_t reg(struct run *r, int name)
{
	uint32_t value = 0;

	uc_reg_read(r->uc, name, &value);
	return value;
}

static void set_reg(struct run *r, int name, uint32_t value)
{
	uc_reg_write(r->uc, name, &value);
}

static struct uc_x86_mmr table(struct run *r, int name)
{
	struct uc_x86_mmr value = { 0 };

	uc_reg_read(r->uc, name, &value);
	return value;
}

static uint32_t saved_word(const struct run *r, size_t at)
{
	uint32_t value;

	memcpy(&value, r->saved + at, sizeof(value));
	return value;
}

static void put_word(struct run *r, size_t at, uint32_t value)
{
	memcpy(r->saved + at, &value, sizeof(value));
}

static bool find_word(const struct run *r, const void *word, size_t len, size_t from, size_t *at)
{
	size_t size = uc_context_size(r->uc);

	for (*at = from; *at + len <= size; *at += 4)
		if (!memcmp(r->saved + *at, word, len))
			return true;
	return false;
}

/* Puts odd values into registers, and finds them: then their neighbours are known as well. */
static bool find_state(struct run *r)
{
	const uint64_t general = 0x0badcafe, gdtr = 0x1badcafe, debug = 0x2badcafe;
	struct uc_x86_mmr gdt = { .base = gdtr, .limit = 0xffff }, none = { 0 };
	size_t regs, gdt_base, dr = 0;
	bool found;

	set_reg(r, UC_X86_REG_EAX, general);
	set_reg(r, UC_X86_REG_DR0, debug);
	uc_reg_write(r->uc, UC_X86_REG_GDTR, &gdt);
	uc_context_save(r->uc, r->context);
	found = find_word(r, &general, 8, 0, &regs) && find_word(r, &gdtr, 8, regs, &gdt_base) &&
		find_word(r, &debug, 8, gdt_base, &dr);
	uc_reg_write(r->uc, UC_X86_REG_GDTR, &none);
	set_reg(r, UC_X86_REG_EAX, 0);
	set_reg(r, UC_X86_REG_DR0, 0);
	/*
	 *  16 registers, EIP, EFLAGS and four words of condition codes; hflags and hflags2; six
	 *  segments, LDTR, TR, GDTR.
	 */
	r->at.eip = regs + 16 * 8;
	r->at.hflags = r->at.eip + 48;
	r->at.segment = r->at.hflags + 8;
	/* Error code, whether it was INT, and where that leads stand before the debug registers. */
	r->at.error = dr - 16;
	r->at.is_int = dr - 12;
	r->at.next_eip = dr - 8;
	/*
	 * Behind them and four pointers: the exception under way, for double faults. There is none
	 * yet.
	 */
	r->at.in_flight = dr + 8 * 8 + 4 * 8;
	return found && saved_word(r, r->at.in_flight) == ~0u &&
	       gdt_base == r->at.segment + (SEGMENTS + 2) * sizeof(struct hidden) +
				   offsetof(struct hidden, base);
}

static struct hidden get_segment(const struct run *r, unsigned n)
{
	struct hidden h;

	memcpy(&h, r->saved + r->at.segment + n * sizeof(h), sizeof(h));
	return h;
}

static void put_segment(struct run *r, unsigned n, struct hidden h)
{
	memcpy(r->saved + r->at.segment + n * sizeof(h), &h, sizeof(h));
}

/* What Unicorn derives from segment registers when it loads them itself. */
static void put_hflags(struct run *r, unsigned cpl)
{
	uint32_t hflags = saved_word(r, r->at.hflags) & ~(H_CPL | H_CS32 | H_SS32 | H_ADDSEG);

	hflags |= cpl | (get_segment(r, CS).flags & FLAGS_B ? H_CS32 : 0) |
		  (get_segment(r, SS).flags & FLAGS_B ? H_SS32 : 0);
	if (!(hflags & H_CS32) || get_segment(r, DS).base || get_segment(r, ES).base ||
	    get_segment(r, SS).base)
		hflags |= H_ADDSEG;
	put_word(r, r->at.hflags, hflags);
}

/* ---- memory ---- */

static bool translate(struct run *r, uint32_t linear, uint32_t access, uint64_t *physical)
{
	struct paging paging = {
		.cr0 = reg(r, UC_X86_REG_CR0), .cr3 = reg(r, UC_X86_REG_CR3),
		.cr4 = reg(r, UC_X86_REG_CR4), .nxe = true, .a20_mask = ~0u,
	};
	struct walk walk;

	if (paging.cr0 & CR0_PG && paging.cr4 & CR4_PAE &&
	    !walk_load_pdptes(&r->ram, paging.cr3, ~0u, paging.pdpte))
		return false;
	*physical = walk_guest(&r->ram, &paging, linear, access, &walk) ? walk.gpa.v : 0;
	return *physical && guest_ram_backs(&r->ram, GPA(*physical));
}

/* In a page. */
static bool load(struct run *r, uint32_t linear, void *to, uint32_t len)
{
	uint64_t physical;

	if (!translate(r, linear, ACCESS_READ, &physical))
		return false;
	memcpy(to, r->ram.flat + physical, len);
	return true;
}

static bool push(struct run *r, uint64_t base, uint32_t *esp, bool big, uint32_t value)
{
	uint32_t at = *esp - 4;
	uint64_t physical;

	*esp = big ? at : (*esp & 0xffff0000) | (at & 0xffff);
	return translate(r, base + (big ? at : at & 0xffff), ACCESS_WRITE, &physical) &&
	       !uc_mem_write(r->uc, physical, &value, 4);
}

/* ---- delivery ---- */

static bool load_descriptor(struct run *r, uint32_t selector, struct hidden *h)
{
	struct uc_x86_mmr gdt = table(r, selector & 4 ? UC_X86_REG_LDTR : UC_X86_REG_GDTR);
	uint32_t d[2];

	if ((selector | 7) > gdt.limit || !(selector & ~3u) ||
	    !load(r, gdt.base + (selector & ~7u), d, 8))
		return false;
	*h = (struct hidden){
		.selector = selector,
		.base = d[0] >> 16 | (d[1] & 0xff) << 16 | (d[1] & 0xff000000),
		.limit = (d[0] & 0xffff) | (d[1] & 0xf0000), .flags = d[1],
	};
	if (d[1] & 1u << 23)
		h->limit = h->limit << 12 | 0xfff;
	return h->flags & FLAGS_P;
}

/* Vectors whose frame has an error code. */
static bool has_error(int vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* Of the instruction that ends before eip and is INT, INT3 or INTO. */
static uint32_t int_length(struct run *r, uint32_t eip)
{
	uint8_t last = 0;

	load(r, get_segment(r, CS).base + eip - 1, &last, 1);
	return (r->vector == 3 && last == 0xcc) || (r->vector == 4 && last == 0xce) ? 1 : 2;
}

/* One exception, or INT, on its way. */
struct delivery {
	bool is_int, to_inner;
	unsigned cpl, to; /* rings */
	uint32_t error, eip, eflags, esp, old_esp, handler;
	bool clears_if;
	struct hidden code, stack;
};

/*
 * The vector's gate. INT through a gate that is not for its ring becomes #GP. What could not be
 * done, or NULL.
 */
static const char *find_gate(struct run *r, struct delivery *d, uint32_t gate[2])
{
	struct uc_x86_mmr idt = table(r, UC_X86_REG_IDTR);

	if (r->vector * 8u + 7 > idt.limit || !load(r, idt.base + r->vector * 8, gate, 8))
		return "no gate";
	if (d->is_int && FLAGS_DPL(gate[1]) < d->cpl) {
		d->error = r->vector * 8 + 2;
		d->eip -= int_length(r, d->eip);
		d->is_int = false;
		r->vector = 13;
		return find_gate(r, d, gate);
	}
	return NULL;
}

/* Where it leads, and to which ring and stack. */
static const char *find_handler(struct run *r, struct delivery *d)
{
	struct uc_x86_mmr tr = table(r, UC_X86_REG_TR);
	uint32_t gate[2] = { 0 }, ring_stack[2];
	const char *why = find_gate(r, d, gate);
	unsigned type = gate[1] >> 8 & 0x1f;

	if (why)
		return why;
	if (!(gate[1] & FLAGS_P) || (type != GATE_INT32 && type != GATE_TRAP32))
		return "a gate that is neither an interrupt nor a trap gate of 32 bits";
	d->clears_if = type == GATE_INT32;
	d->handler = (gate[0] & 0xffff) | (gate[1] & 0xffff0000);
	if (!load_descriptor(r, gate[0] >> 16, &d->code) ||
	    (d->code.flags & FLAGS_CODE) != FLAGS_CODE)
		return "no code segment in the gate";
	d->to = d->code.flags & FLAGS_CONFORMING ? d->cpl : FLAGS_DPL(d->code.flags);
	if (d->to > d->cpl)
		return "a gate to an outer ring";
	d->to_inner = d->to < d->cpl; /* always so from virtual-8086 mode, which is in ring 3 */
	d->stack = get_segment(r, SS);
	d->esp = d->old_esp = reg(r, UC_X86_REG_ESP);
	if (!d->to_inner)
		return NULL;
	if (!load(r, tr.base + 4 + 8 * d->to, ring_stack, 8) ||
	    !load_descriptor(r, ring_stack[1] & 0xffff, &d->stack))
		return "no stack in the TSS";
	d->esp = ring_stack[0];
	return NULL;
}

static bool push_frame(struct run *r, struct delivery *d)
{
	static const unsigned data[] = { GS, FS, DS, ES };
	uint32_t frame[10];
	unsigned n = 0;

	for (unsigned i = 0; d->eflags & X86_VM && i < 4; i++) {
		frame[n++] = get_segment(r, data[i]).selector;
		put_segment(r, data[i], (struct hidden){ 0 });
	}
	if (d->to_inner) {
		frame[n++] = get_segment(r, SS).selector;
		frame[n++] = d->old_esp;
	}
	frame[n++] = d->eflags;
	frame[n++] = get_segment(r, CS).selector;
	frame[n++] = d->eip;
	if (!d->is_int && has_error(r->vector))
		frame[n++] = d->error;
	for (unsigned i = 0; i < n; i++)
		if (!push(r, d->stack.base, &d->esp, d->stack.flags & FLAGS_B, frame[i]))
			return false;
	return true;
}

/* Returns what could not be done, or NULL. */
static const char *deliver(struct run *r)
{
	struct delivery d = {
		.cpl = saved_word(r, r->at.hflags) & H_CPL, .error = saved_word(r, r->at.error),
		.is_int = saved_word(r, r->at.is_int), .eflags = reg(r, UC_X86_REG_EFLAGS),
	};
	const char *why;

	d.eip = saved_word(r, d.is_int ? r->at.next_eip : r->at.eip);
	why = find_handler(r, &d);
	if (why)
		return why;
	if (!push_frame(r, &d))
		return "a stack that cannot be written";
	d.code.selector = (d.code.selector & ~3u) | d.to;
	put_segment(r, CS, d.code);
	put_segment(r, SS, d.stack);
	put_hflags(r, d.to);
	put_word(r, r->at.in_flight, -1);
	/* Unicorn goes on where INT would return to. */
	put_word(r, r->at.eip, d.handler);
	put_word(r, r->at.next_eip, d.handler);
	uc_context_restore(r->uc, r->context);
	set_reg(r, UC_X86_REG_EFLAGS,
		d.eflags & ~(X86_TF | X86_NT | X86_RF | X86_VM | (d.clears_if ? X86_IF : 0)));
	set_reg(r, UC_X86_REG_ESP, d.esp);
	return NULL;
}

/* ---- what Unicorn tells ---- */

static void take(struct run *r, int vector)
{
	r->vector = vector;
	uc_context_save(r->uc, r->context);
	r->why = deliver(r);
}

static void on_interrupt(uc_engine *uc, uint32_t vector, void *opaque)
{
	struct run *r = opaque;

	take(r, vector);
	if (r->why)
		uc_emu_stop(uc);
}

static uint32_t on_in(uc_engine *uc, uint32_t port, int size, void *opaque)
{
	return ~0u;
}

static void on_out(uc_engine *uc, uint32_t port, int size, uint32_t value, void *opaque)
{
	struct run *r = opaque;

	if (port == DEBUGCON)
		putchar(value & 0xff);
	if (port != DEBUG_EXIT)
		return;
	r->status = (value & 0xff) << 1 | 1;
	uc_emu_stop(uc);
}

static void run_guest(struct run *r)
{
	while (r->status < 0 && !r->why) {
		uc_err err = uc_emu_start(r->uc, reg(r, UC_X86_REG_EIP), NEVER, 0, 0);

		if (err == UC_ERR_INSN_INVALID)
			take(r, 6);
		else if (r->status < 0 && !r->why)
			r->why = err ? uc_strerror(err) : "HLT";
	}
	if (r->status < 0)
		printf("unicorn: vector %d last, at %08x: %s\n", r->vector, reg(r, UC_X86_REG_EIP),
		       r->why);
}

/* ---- setting up ---- */

/*
 * The state that the Multiboot Specification asks for: 32-bit flat segments, which Unicorn starts
 * with but for their limits.
 */
static void start_state(struct run *r, const struct cpu *cpu)
{
	uc_context_save(r->uc, r->context);
	for (unsigned n = 0; n < SEGMENTS; n++)
		put_segment(r, n,
			    (struct hidden){ .selector = n == CS ? 0x10 : 0x18,
					     .limit = 0xffffffff,
					     .flags = n == CS ? 0xcf9b00 : 0xcf9300 });
	put_hflags(r, 0);
	uc_context_restore(r->uc, r->context);
	set_reg(r, UC_X86_REG_EAX, cpu->regs[X86_EAX]);
	set_reg(r, UC_X86_REG_EBX, cpu->regs[X86_EBX]);
	set_reg(r, UC_X86_REG_EIP, cpu->eip);
}

/*
 * Memory for every physical address. Behind RAM it is there because Unicorn 2.0 looks a linear
 * address up among the physical ones before it translates it, and takes those where nothing is for
 * an error.
 */
static bool map_memory(struct run *r)
{
	const size_t rest = (1ull << 32) - RAM_SIZE;
	void *nothing = mmap(NULL, rest, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return nothing != MAP_FAILED &&
	       !uc_mem_map_ptr(r->uc, 0, RAM_SIZE, UC_PROT_ALL, r->ram.flat) &&
	       !uc_mem_map_ptr(r->uc, RAM_SIZE, rest, UC_PROT_ALL, nothing);
}

int main(int argc, char **argv)
{
	static struct cpu cpu;
	struct run r = { .status = -1 };
	struct memory_map map;
	struct error error = { 0 };
	struct boot_request boot = { .ram = &r.ram, .cpu = &cpu, .map = &map, .error = &error };
	uc_hook hooks[3];

	if (argc != 3) {
		fprintf(stderr, "usage: unicorn_run GUEST COMMAND-LINE\n");
		return 2;
	}
	boot.kernel = argv[1];
	boot.append = argv[2];
	if (guest_ram_init(&r.ram, RAM_SIZE)) {
		fprintf(stderr, "unicorn_run: no memory\n");
		return 2;
	}
	memory_map_build(&map, RAM_SIZE, GPA(RAM_SIZE - ACPI_SIZE), ACPI_SIZE);
	if (loader_load(&boot)) {
		fprintf(stderr, "unicorn_run: %s\n", error.text);
		return 2;
	}
	if (uc_open(UC_ARCH_X86, UC_MODE_32, &r.uc) || !map_memory(&r) ||
	    uc_context_alloc(r.uc, &r.context)) {
		fprintf(stderr, "unicorn_run: Unicorn does not start\n");
		return 2;
	}
	r.saved = (uint8_t *)r.context;
	if (!find_state(&r)) {
		fprintf(stderr, "unicorn_run: this version of Unicorn lays its contexts out in "
				"another way\n");
		return 2;
	}
	uc_hook_add(r.uc, &hooks[0], UC_HOOK_INTR, on_interrupt, &r, 1, 0);
	uc_hook_add(r.uc, &hooks[1], UC_HOOK_INSN, on_in, &r, 1, 0, UC_X86_INS_IN);
	uc_hook_add(r.uc, &hooks[2], UC_HOOK_INSN, on_out, &r, 1, 0, UC_X86_INS_OUT);
	setvbuf(stdout, NULL, _IOLBF, 0); /* Unicorn may abort */
	start_state(&r, &cpu);
	run_guest(&r);
	uc_context_free(r.context);
	uc_close(r.uc);
	guest_ram_destroy(&r.ram);
	return r.status < 0 ? 4 : r.status;
}
