/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What surrounds the code of a hostile guest. Everything is sound at first and then spoilt here and
 * there, so that most guests get somewhere before it ends badly.
 */
#include <string.h>
#include "devices/bus/bus.h"
#include "hostile.h"
#include "monitor/processor/descriptors.h"

struct world {
	struct random_source *r;
	struct vm *vm;
	struct cpu *cpu;
	uint8_t *ram;
	unsigned chaos; /* of 64, how many things are spoilt */
};

static uint32_t below(struct world *w, uint32_t n)
{
	return random_next(w->r) % n;
}

static bool spoil(struct world *w)
{
	return below(w, 64) < w->chaos;
}

static void put32(struct world *w, uint32_t at, uint32_t value)
{
	memcpy(w->ram + at, &value, 4);
}

static void put64(struct world *w, uint32_t at, uint64_t value)
{
	memcpy(w->ram + at, &value, 8);
}

static uint64_t random64(struct world *w)
{
	return (uint64_t)random_next(w->r) << 32 | random_next(w->r);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint16_t attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)attr << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(uint16_t selector, uint32_t offset, unsigned type, unsigned dpl)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 |
	       (uint64_t)(type | dpl << 5 | 0x80) << 40 | (uint64_t)(offset >> 16) << 48;
}

static uint64_t odd_descriptor(struct world *w)
{
	switch (below(w, 4)) {
	case 0: return random64(w);
	case 1:
		return gate(hostile_selector(w->r), hostile_address(w->r), below(w, 16),
			    below(w, 4)) |
		       (uint64_t)below(w, 32) << 32;
	case 2:
		return descriptor(HX_TSS + 0x400 * below(w, 4),
				  below(w, 3) ? 0x67 : below(w, 0x200),
				  0x80 | below(w, 16) | below(w, 4) << 5);
	default:
		return descriptor(hostile_address(w->r), random_value(w->r) & 0xfffff,
				  random_next(w->r) & 0xf0ff);
	}
}

static void build_segments(struct world *w)
{
	const struct { uint16_t selector; uint64_t descriptor; } usual[] = {
		{ HX_SEL_CODE, descriptor(0, 0xfffff, 0xc09b) },
		{ HX_SEL_DATA, descriptor(0, 0xfffff, 0xc093) },
		{ HX_SEL_USER_CODE, descriptor(0, 0xfffff, 0xc0fb) },
		{ HX_SEL_USER_DATA, descriptor(0, 0xfffff, 0xc0f3) },
		{ HX_SEL_CODE16, descriptor(HX_CODE, 0xffff, 0x009b) },
		{ HX_SEL_DATA16, descriptor(HX_DATA, 0xffff, 0x0093) },
		{ HX_SEL_TSS, descriptor(HX_TSS, 0x3ff, 0x008b) },
		{ HX_SEL_TSS2, descriptor(HX_TSS + 0x400, 0x67, 0x0089) },
		{ HX_SEL_TSS3, descriptor(HX_TSS + 0x800, 0x2b, 0x0081) },
		{ HX_SEL_LDT, descriptor(HX_LDT, 8 * HX_LDT_ENTRIES - 1, 0x0082) },
		{ HX_SEL_GATE, gate(HX_SEL_CODE, HX_CODE, SYS_CALL_GATE32, 3) | 2ull << 32 },
		{ HX_SEL_CONFORMING, descriptor(0, 0xfffff, 0xc09f) },
		{ HX_SEL_LIMITED, descriptor(HX_DATA, 0xfff, 0x40f3) },
		{ HX_SEL_DOWN, descriptor(0, 0x100, 0xc0f7) },
		{ HX_SEL_RING1, descriptor(0, 0xfffff, 0xc0bb) },
	};

	for (unsigned n = 1; n < HX_GDT_ENTRIES; n++)
		put64(w, HX_GDT + 8 * n, odd_descriptor(w));
	for (unsigned n = 0; n < RF_ARRAY_SIZE(usual); n++) {
		if (!spoil(w))
			put64(w, HX_GDT + (usual[n].selector & ~7), usual[n].descriptor);
	}
	for (unsigned n = 0; n < HX_LDT_ENTRIES; n++)
		put64(w, HX_LDT + 8 * n,
		      below(w, 3) ? usual[below(w, RF_ARRAY_SIZE(usual))].descriptor :
				    odd_descriptor(w));
	for (unsigned n = 0; n < 16; n++) {
		static const struct { uint16_t limit; uint32_t base; } tables[] = {
			{ 8 * HX_GDT_ENTRIES - 1, HX_GDT }, { 0x7ff, HX_IDT },
			{ 8 * HX_LDT_ENTRIES - 1, HX_LDT }, { 0x3ff, 0 },
		};
		const bool usual_one = n < 12;
		const uint32_t limit = usual_one ? tables[n % 4].limit : random_value(w->r),
			       base = usual_one ? tables[n % 4].base : hostile_address(w->r);

		put64(w, HX_DESCRIPTOR_TABLES + 8 * n, (limit & 0xffff) | (uint64_t)base << 16);
	}
}

static void build_tasks(struct world *w)
{
	for (unsigned n = 0; n < 4; n++) {
		const uint32_t tss = HX_TSS + 0x400 * n;

		for (unsigned at = 0; at < 0x68; at += 4)
			put32(w, tss + at, spoil(w) ? random_value(w->r) : 0);
		for (unsigned ring = 0; ring < 3; ring++) {
			put32(w, tss + 4 + 8 * ring, HX_STACKS + 0x1000 * (ring + 1));
			put32(w, tss + 8 + 8 * ring,
			      spoil(w) ? hostile_selector(w->r) :
			      ring     ? HX_SEL_RING1 + ring - 1 :
					 HX_SEL_DATA);
		}
		put32(w, tss + 0x1c, below(w, 2) ? HX_PAGE_DIR : HX_PDPT);
		put32(w, tss + 0x20, HX_CODE + below(w, HX_CODE_SIZE));
		put32(w, tss + 0x24, X86_F1 | (random_next(w->r) & X86_IF));
		put32(w, tss + 0x38, HX_STACKS + 0x1000);
		for (unsigned s = 0; s < X86_NSEG; s++)
			put32(w, tss + 0x48 + 4 * s,
			      spoil(w)    ? hostile_selector(w->r) :
			      s == X86_CS ? HX_SEL_CODE :
					    HX_SEL_DATA);
		put32(w, tss + 0x64, below(w, 4) ? 0x680000 : random_next(w->r));
	}
}

/* Handlers that go on after what faulted, acknowledge what interrupted, or are nonsense. */
static void build_handler(struct world *w, unsigned vector)
{
	static const uint32_t with_error = 1 << EXC_DF | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS |
					   1 << EXC_GP | 1 << EXC_PF | 1 << EXC_AC;
	const bool fault = vector < 32 && vector != EXC_NMI && vector != EXC_DB &&
			   vector != EXC_BP && vector != EXC_OF;
	static const uint8_t acknowledge[] = { 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf };
	uint8_t code[16] = { 0xcf }, n = 0;

	if (vector < 32 && with_error >> vector & 1) {
		memcpy(code, "\x83\xc4\x04", 3); /* add esp, 4 */
		n = 3;
	}
	if (fault) {
		memcpy(code + n, "\x83\x04\x24", 3); /* add dword [esp], 1 to 8 */
		code[n + 3] = 1 + below(w, 8);
		n += 4;
	}
	code[n] = 0xcf;
	if (vector >= 32)
		memcpy(code, acknowledge, sizeof(acknowledge));
	if (spoil(w))
		hostile_code(w->r, code, sizeof(code), HX_HANDLERS + 16 * vector, 8);
	memcpy(w->ram + HX_HANDLERS + 16 * vector, code, sizeof(code));
}

static void build_interrupts(struct world *w)
{
	static const uint8_t types[] = { SYS_INT_GATE32, SYS_INT_GATE32, SYS_TRAP_GATE32,
					 SYS_INT_GATE16, SYS_TRAP_GATE16 };

	for (unsigned v = 0; v < 256; v++) {
		uint64_t entry = gate(HX_SEL_CODE, HX_HANDLERS + 16 * v, types[below(w, 3)],
				      below(w, 2) * 3);

		if (spoil(w))
			entry = gate(hostile_selector(w->r), hostile_address(w->r),
				     types[below(w, RF_ARRAY_SIZE(types))], below(w, 4));
		else if (spoil(w))
			entry = below(w, 2) ? gate(HX_SEL_TSS2 + 8 * below(w, 2), 0, SYS_TASK_GATE,
						   below(w, 4)) :
					      random64(w);
		put64(w, HX_IDT + 8 * v, entry);
		build_handler(w, v);
	}
	/* Real mode's table, at 0: to the same handlers. */
	for (unsigned v = 0; v < 256; v++)
		put32(w, 4 * v, spoil(w) ? random_next(w->r) : (HX_HANDLERS >> 4) << 16 | 16 * v);
}

static uint64_t spoilt_entry(struct world *w, bool pae)
{
	return hostile_pte(w->r) |
	       (pae && below(w, 4) == 0 ? (uint64_t)random_next(w->r) << 32 : 0);
}

static void build_page_tables(struct world *w)
{
	const uint32_t usual = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;

	for (unsigned n = 0; n < 1024; n++) {
		put32(w, HX_PAGE_DIR + 4 * n,
		      n < 3    ? (HX_PAGE_TABLES + 0x1000 * n) | usual :
		      spoil(w) ? hostile_pte(w->r) :
				 0);
		for (unsigned table = 0; table < 3; table++)
			put32(w, HX_PAGE_TABLES + 0x1000 * table + 4 * n,
			      spoil(w) && below(w, 2) ?
				      hostile_pte(w->r) :
				      (table << 22 | n << 12 | usual | (below(w, 4) ? 0 : PTE_G)) &
					      ~(below(w, 8) ? 0 : PTE_A | PTE_D));
	}
	/* The directory as a table of itself, and devices. */
	put32(w, HX_PAGE_DIR + 4 * 1023, HX_PAGE_DIR | usual);
	put32(w, HX_PAGE_DIR + 4 * 0x3fb, 0xfec00000 | usual | PTE_PS);
	for (unsigned n = 0; n < 4; n++)
		put64(w, HX_PDPT + 8 * n,
		      spoil(w) ? random64(w) : (HX_PAE_DIRS + 0x1000 * n) | PTE_P);
	for (unsigned n = 0; n < 4 * 512; n++) {
		const unsigned dir = n >> 9;

		put64(w, HX_PAE_DIRS + 8 * n,
		      n < 4    ? (HX_PAE_TABLES + 0x1000 * n) | usual :
		      spoil(w) ? spoilt_entry(w, true) :
				 0);
		put64(w, HX_PAE_TABLES + 8 * n,
		      spoil(w) && below(w, 2) ? spoilt_entry(w, true) :
						(dir << 21 | (n & 511) << 12 | usual));
	}
	put64(w, HX_PAE_DIRS + 8 * 2047, HX_PAE_DIRS | usual);
	put64(w, HX_PAE_DIRS + 8 * 2039, 0xfee00000 | usual | PTE_PS);
	for (uint32_t at = HX_SPOILT; at < HX_TABLES_END; at += 8)
		put64(w, at, spoilt_entry(w, below(w, 2)));
}

static void build_memory(struct world *w)
{
	const unsigned noise = below(w, 4) ? below(w, 3) : below(w, 17);

	build_segments(w);
	build_tasks(w);
	build_interrupts(w);
	build_page_tables(w);
	hostile_code(w->r, w->ram + HX_CODE, HX_CODE_SIZE, HX_CODE, noise);
	hostile_code(w->r, w->ram + HX_USER_CODE, HX_CODE_SIZE, HX_USER_CODE, noise);
	for (uint32_t at = HX_DATA; at < HX_DATA + HX_DATA_SIZE; at += 4)
		put32(w, at, at & 0x2000 ? random_value(w->r) : hostile_address(w->r));
	for (uint32_t at = HX_STACKS; at < HX_STACKS + 0x4000; at += 4)
		put32(w, at,
		      below(w, 2) ? HX_CODE + below(w, HX_CODE_SIZE) : hostile_selector(w->r));
}

/* --- devices --- */

static void port_write(struct world *w, const uint8_t *pairs, unsigned n)
{
	for (unsigned i = 0; i < n; i += 2)
		vm_pio_write(w->vm, pairs[i], pairs[i + 1], 1);
}

static void start_timers(struct world *w)
{
	const uint16_t divisor = 20 + below(w, 5000);
	const uint8_t pic[] = { 0x20, 0x11, 0x21, 0x20, 0x21,
				4,    0x21, 1,    0x21, random_next(w->r) & 0xfa,
				0xa0, 0x11, 0xa1, 0x28, 0xa1,
				2,    0xa1, 1,    0xa1, random_next(w->r) };
	const uint8_t pit[] = { 0x43, 0x34, 0x40, divisor & 0xff, 0x40, divisor >> 8 };

	if (below(w, 3))
		port_write(w, pic, sizeof(pic));
	if (below(w, 3))
		port_write(w, pit, sizeof(pit));
	if (below(w, 3) == 0) {
		vm_mmio_write(w->vm, GPA(0xfee000f0), 0x1ff, 4);
		vm_mmio_write(w->vm, GPA(0xfee003e0), below(w, 16), 4);
		vm_mmio_write(w->vm, GPA(0xfee00320), 0x20000 | (0x20 + below(w, 0xe0)), 4);
		vm_mmio_write(w->vm, GPA(0xfee00380), 1000 + below(w, 1000000), 4);
	}
}

/* --- the processor --- */

static void set_segments(struct world *w, uint16_t code, uint16_t data)
{
	uint64_t raw;

	for (unsigned s = 0; s < X86_NSEG; s++) {
		const uint16_t selector = s == X86_CS ? code : data;

		memcpy(&raw, w->ram + HX_GDT + (selector & ~7), 8);
		w->cpu->seg[s] = segment_from_descriptor(selector, raw);
	}
	w->cpu->cpl = code & 3;
}

/* What a processor could not have come to is put right. */
static void start_protected(struct world *w, bool user, unsigned paging)
{
	struct cpu *cpu = w->cpu;

	put64(w, HX_GDT + HX_SEL_CODE, descriptor(0, 0xfffff, 0xc09b));
	put64(w, HX_GDT + HX_SEL_DATA, descriptor(0, 0xfffff, 0xc093));
	put64(w, HX_GDT + (HX_SEL_USER_CODE & ~7), descriptor(0, 0xfffff, 0xc0fb));
	put64(w, HX_GDT + (HX_SEL_USER_DATA & ~7), descriptor(0, 0xfffff, 0xc0f3));
	set_segments(w, user ? HX_SEL_USER_CODE : HX_SEL_CODE,
		     user ? HX_SEL_USER_DATA : HX_SEL_DATA);
	cpu->tr = segment_from_descriptor(HX_SEL_TSS, descriptor(HX_TSS, 0x3ff, 0x008b));
	cpu->cr0 = CR0_PE | CR0_ET | (random_next(w->r) & (CR0_NE | CR0_MP | CR0_WP | CR0_AM)) |
		   (below(w, 8) ? 0 : CR0_TS);
	cpu->cr4 = random_next(w->r) &
		   (CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_TSD | CR4_DE);
	cpu->cr4 |= below(w, 4) ? CR4_OSFXSR | CR4_PSE : 0;
	cpu->eip = user ? HX_USER_CODE : HX_CODE;
	cpu->regs[X86_ESP] = HX_STACKS + (user ? 0x4000 : 0x1000) - 4 * below(w, 64);
	cpu->eflags = X86_F1 | (random_next(w->r) & (X86_ARITH_FLAGS | X86_IF)) |
		      (user && below(w, 4) == 0 ? X86_IOPL : 0);
	if (paging) {
		cpu->cr0 |= CR0_PG;
		cpu->cr3 = paging == 2 ? HX_PDPT : HX_PAGE_DIR;
		cpu->cr4 |= paging == 2 ? CR4_PAE : 0;
		cpu->efer = paging == 2 && below(w, 2) ? EFER_NXE : 0;
		for (unsigned n = 0; n < 4; n++) {
			uint64_t entry;

			memcpy(&entry, w->ram + HX_PDPT + 8 * n, 8);
			cpu->pdpte[n] = paging == 2 ? (HX_PAE_DIRS + 0x1000 * n) | PTE_P : entry;
		}
	}
}

static void start_16bit(struct world *w)
{
	struct cpu *cpu = w->cpu;
	const bool v86 = below(w, 2);

	if (v86) {
		start_protected(w, true, below(w, 3));
		cpu->eflags |= X86_VM | (random_next(w->r) & X86_IOPL);
		cpu->cr4 |= random_next(w->r) & CR4_VME;
	} else {
		cpu->cr0 = CR0_ET;
		cpu->cpl = 0;
		cpu->eflags = X86_F1 | (random_next(w->r) & X86_IF);
		cpu->idtr = (struct table_register){ 0, 0x3ff };
	}
	for (unsigned s = 0; s < X86_NSEG; s++) {
		const uint16_t selector = s == X86_CS ? HX_CODE >> 4 & 0xf000 :
					  s == X86_SS ? HX_STACKS >> 4 :
							(uint16_t)(HX_DATA >> 4);

		cpu->seg[s] = (struct segment){ selector,
						SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED |
							(v86 ? SEG_DPL : 0),
						selector << 4, 0xffff };
	}
	/* Below 1 MiB, where such code can live. */
	cpu->seg[X86_CS].selector = 0x4000;
	cpu->seg[X86_CS].base = 0x40000;
	hostile_code(w->r, w->ram + 0x40000, HX_CODE_SIZE, 0x40000, below(w, 4));
	cpu->eip = 0;
	cpu->regs[X86_ESP] = 0x3000 + 2 * below(w, 64);
}

static void start_processor(struct world *w)
{
	struct cpu *cpu = w->cpu;
	const unsigned mode = below(w, 16);

	for (unsigned n = 0; n < 8; n++)
		cpu->regs[n] = below(w, 2) ? hostile_address(w->r) : random_value(w->r);
	cpu->gdtr = (struct table_register){ HX_GDT, 8 * HX_GDT_ENTRIES - 1 };
	cpu->idtr = (struct table_register){ HX_IDT, 0x7ff };
	cpu->ldtr = segment_from_descriptor(HX_SEL_LDT,
					    descriptor(HX_LDT, 8 * HX_LDT_ENTRIES - 1, 0x0082));
	cpu->sysenter_cs = HX_SEL_CODE;
	cpu->sysenter_eip = HX_CODE + below(w, HX_CODE_SIZE);
	cpu->sysenter_esp = HX_STACKS + 0x1000;
	if (mode < 2)
		start_16bit(w);
	else
		start_protected(w, mode >= 11, mode % 3);
	random_fpu(w->r, &cpu->fpu, below(w, 4) == 0, below(w, 4) == 0);
	cpu->fpu.mxcsr_mask = 0xffff;
}

void hostile_world(struct random_source *r, struct machine *machine)
{
	static const unsigned chaos[] = { 0, 1, 1, 2, 4, 8, 16, 48 };
	struct vm *vm = &machine->vm;
	struct world w = { .r = r,
			   .vm = vm,
			   .cpu = &vm->vcpu.cpu,
			   .ram = vm->ram.flat,
			   .chaos = chaos[random_next(r) % RF_ARRAY_SIZE(chaos)] };

	build_memory(&w);
	start_processor(&w);
	start_timers(&w);
	soft_tlb_flush(&vm->vcpu, true);
	if (vm->vcpu.engine->flush)
		vm->vcpu.engine->flush(&vm->vcpu, TLB_FLUSH_ALL);
}
