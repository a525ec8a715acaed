/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An engine as executor: the machine of bt_fixture.h with the fuzzer's LDT and page tables. Ring 3
 * ends each case with an exception, whose frame tells the state; so does the stop, since no port is
 * open to it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "executor.h"
#include "monitor/processor/cpu_models.h"
#include "monitor/interp/interp.h"
#include "monitor/vm/soft_tlb.h"
#include "monitor/processor/processor.h"
#include "tests/random_state.h"

#define LDT_AT      (BF_GDT + 0x800)
#define LINUX_LDT   0x50 /* the LDT's selector under Linux, which SLDT shows */
#define MAX_STEPS   5000
#define DISTURBANCE 0xf0 /* vector of the interrupts */
#define PATIENCE_MS 200
#define LONG_PATIENCE_MS 3000

struct machine {
	struct executor x;
	struct bf *bf;
	struct segment ldtr, tr;
	uint32_t cr4;
	/* machine_disturb() */
	pthread_t disturber;
	_Atomic bool ending;
};

static struct machine *of(struct executor *x)
{
	return (struct machine *)x;
}

/* --- the system part: written once, to RAM and to the fixture's pristine copy --- */

static void put(struct bf *bf, uint32_t at, const void *data, uint32_t len)
{
	memcpy(bf->ram + at, data, len);
	memcpy(bf->system + (at - BF_SYSTEM), data, len);
}

static uint64_t pack(const struct world_descriptor *d)
{
	return (d->limit & 0xffff) | (uint64_t)(d->base & 0xffffff) << 16 |
	       (uint64_t)d->attr << 40 | (uint64_t)(d->limit & 0xf0000) << 32 |
	       (uint64_t)(d->base & 0xff000000) << 32;
}

static bool is_special(uint32_t gpa, unsigned page)
{
	return gpa == BF_DATA + page * GUEST_PAGE_SIZE;
}

/* Identity of the three regions and the system part; nothing else is mapped. */
static void map_world(struct bf *bf)
{
	for (uint32_t gpa = 0; gpa < BF_RAM_SIZE; gpa += GUEST_PAGE_SIZE) {
		uint32_t pte = gpa | PTE_P | PTE_W | PTE_A | PTE_D;

		if (gpa - BF_CODE < REGION_SIZE || gpa - BF_DATA < REGION_SIZE)
			pte |= PTE_U;
		else if (gpa >= BF_LOW + REGION_SIZE && gpa - BF_SYSTEM >= BF_SYSTEM_SIZE)
			pte = 0;
		if (is_special(gpa, BF_ABSENT_PAGE))
			pte = 0;
		if (is_special(gpa, BF_READONLY_PAGE))
			pte &= ~PTE_W;
		if (is_special(gpa, BF_SUPERVISOR_PAGE))
			pte &= ~PTE_U;
		put(bf, BF_PAGE_TABLES + 4 * (gpa / GUEST_PAGE_SIZE), &pte, 4);
	}
}

static void build_system(struct bf *bf)
{
	uint8_t closed[0x20], gate[8];

	for (unsigned n = GDT_LINUX; n < GDT_ENTRIES; n++) {
		uint64_t d = pack(&world_gdt[n]);

		put(bf, BF_GDT + 8 * n, &d, 8);
	}
	put(bf, BF_IDT + 8 * EXC_DF + 2, &(uint16_t){ GDT_SELECTOR(GDT_DF_TSS, 0) }, 2);
	memset(closed, 0xff, sizeof(closed));
	put(bf, BF_TSS + 0x68, closed, sizeof(closed));
	for (unsigned n = 0; n < WORLD_SEGMENTS; n++) {
		uint64_t d = pack(&world_ldt[n]);

		put(bf, LDT_AT + 8 * n, &d, 8);
	}
	/* As under Linux: of the software interrupts only INT3 and INTO are for ring 3. */
	for (unsigned v = 0x20; v < 256; v++) {
		memcpy(gate, bf->ram + BF_IDT + 8 * v, 8);
		gate[5] &= ~0x60;
		put(bf, BF_IDT + 8 * v, gate, 8);
	}
	map_world(bf);
}

/* --- a run --- */

static struct segment segment_for(struct machine *m, uint16_t selector)
{
	uint32_t table = selector & 4 ? LDT_AT : BF_GDT;
	uint64_t raw;

	if (!(selector & ~3))
		return (struct segment){ .selector = selector };
	memcpy(&raw, m->bf->ram + table + (selector & ~7), 8);
	return segment_from_descriptor(selector, raw);
}

static void prepare(struct machine *m, const struct fuzz_case *c)
{
	const uint8_t stop[] = { BF_STOP };
	const uint32_t cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG | CR0_WP | CR0_AM,
		       cr4 = m->cr4;
	struct bf *bf = m->bf;
	struct cpu *cpu = bf->cpu;
	const uint32_t at = world_base(c->seg[X86_CS]) + c->eip;

	if (case_is_supervisor(c) && bf_restore_system(bf))
		bf_flush(bf);
	if ((cpu->cr0 & ~CR0_TS) != cr0 || cpu->cr3 != BF_PAGE_DIR || cpu->cr4 != cr4) {
		cpu->cr0 = cr0;
		cpu->cr3 = BF_PAGE_DIR;
		cpu->cr4 = cr4;
		bf_flush(bf);
	}
	cpu->cr0 = cr0 | (c->no_fpu ? CR0_TS : 0);
	cpu->cr2 = 0;
	cpu->cpl = c->ring;
	/* Nobody is to be told what the model lacks. */
	bf->vm.vcpu.lack = (struct cpu_lack){ .told = true };
	bf->vm.end = VM_RUNNING;
	cpu->halted = cpu->nmi_blocked = false;
	cpu->inhibit = 0;
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->gdtr = (struct table_register){ BF_GDT, 8 * GDT_ENTRIES - 1 };
	cpu->idtr = (struct table_register){ BF_IDT, 0x7ff };
	cpu->ldtr = m->ldtr;
	cpu->tr = m->tr;
	memcpy(cpu->regs, c->regs, sizeof(cpu->regs));
	cpu->eip = c->eip;
	cpu->eflags = c->eflags;
	for (unsigned s = 0; s < X86_NSEG; s++)
		cpu->seg[s] = segment_for(m, c->seg[s]);
	cpu->fpu = c->fpu;
	atomic_store(&cpu->events, 0);
	/* The code may end at the region's end. */
	bf_write(bf, at, c->bytes, c->len);
	if (at + c->len + CASE_STOP_BYTES <= BF_CODE + BF_CODE_SIZE)
		bf_write(bf, at + c->len, stop, sizeof(stop));
}

static bool has_error_code(unsigned vector)
{
	return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

/* #DF is a task of its own: what it interrupted is in the old TSS. */
static void read_task(const struct bf *bf, struct outcome *out)
{
	out->eip = bf_read32(bf, BF_TSS + 0x20);
	out->eflags = bf_read32(bf, BF_TSS + 0x24);
	memcpy(out->regs, bf->ram + BF_TSS + 0x28, sizeof(out->regs));
	for (unsigned s = 0; s < X86_NSEG; s++)
		out->seg[s] = bf_read32(bf, BF_TSS + 0x48 + 4 * s);
}

/* The state the exception's frame tells of. */
static void read_frame(struct machine *m, struct outcome *out)
{
	const struct bf *bf = m->bf;
	uint32_t frame = bf->cpu->regs[X86_ESP];

	if (out->vector == EXC_DF) {
		read_task(bf, out);
		return;
	}
	if (frame >= BF_RAM_SIZE - 32)
		return;
	if (has_error_code(out->vector)) {
		out->error = bf_read32(bf, frame);
		frame += 4;
	}
	out->eip = bf_read32(bf, frame);
	out->seg[X86_CS] = bf_read32(bf, frame + 4);
	out->eflags = bf_read32(bf, frame + 8);
	out->regs[X86_ESP] = frame + 12;
	if (out->seg[X86_CS] & 3) {
		out->regs[X86_ESP] = bf_read32(bf, frame + 12);
		out->seg[X86_SS] = bf_read32(bf, frame + 16);
	}
	if (out->vector == EXC_PF)
		out->cr2 = bf->cpu->cr2;
}

static void machine_run(struct executor *x, const struct fuzz_case *c, struct outcome *out)
{
	static const enum outcome_kind kinds[] = {
		[BF_STOPPED] = OUTCOME_STOP, [BF_EXCEPTION] = OUTCOME_EXCEPTION,
		[BF_TRIPLE_FAULT] = OUTCOME_SHUTDOWN, [BF_HUNG] = OUTCOME_HUNG,
		[BF_DEAD] = OUTCOME_DEAD,
	};
	struct machine *m = of(x);
	const struct cpu *cpu = m->bf->cpu;
	enum bf_outcome how;
	int vector;

	prepare(m, c);
	m->bf->patience_ms = x->patient ? LONG_PATIENCE_MS : PATIENCE_MS;
	how = bf_run(m->bf, &vector);
	memset(out, 0, offsetof(struct outcome, fpu));
	out->kind = kinds[how];
	out->vector = vector;
	memcpy(out->regs, cpu->regs, sizeof(out->regs));
	out->eip = cpu->eip;
	out->eflags = cpu->eflags;
	for (unsigned s = 0; s < X86_NSEG; s++)
		out->seg[s] = cpu->seg[s].selector;
	out->fpu = cpu->fpu;
	if (how == BF_EXCEPTION)
		read_frame(m, out);
	else
		out->vector = 0;
	if (how == BF_EXCEPTION && vector == EXC_GP && c->ring && out->eip == c->eip + c->len &&
	    !out->error)
		out->kind = OUTCOME_STOP;
}

bool machine_trace(struct executor *x, const struct fuzz_case *c, machine_see_fn see, void *opaque)
{
	struct machine *m = of(x);
	struct vcpu *vcpu = &m->bf->vm.vcpu;
	const struct cpu *cpu = &vcpu->cpu;
	uint8_t bytes[15];
	struct insn i;

	prepare(m, c);
	for (unsigned n = 0; n < MAX_STEPS; n++) {
		const unsigned avail =
			mem_peek(vcpu, cpu->seg[X86_CS].base + cpu->eip, bytes, sizeof(bytes));

		if (!see(opaque, cpu, &i,
			 insn_decode(bytes, avail, cpu->seg[X86_CS].attr & SEG_DB, &i)))
			return true;
		if (interp_step(vcpu) != INTERP_OK || cpu->cpl != c->ring)
			return false;
	}
	return false;
}

/* --- memory --- */

static const uint8_t *machine_region(struct executor *x, enum region region)
{
	return of(x)->bf->ram + region_base(region);
}

static void machine_store(struct executor *x, uint32_t at, const void *data, uint32_t len)
{
	bf_write(of(x)->bf, at, data, len);
}

static void machine_load(struct executor *x, const struct memory *memory)
{
	for (unsigned n = 0; n < REGIONS; n++)
		for (uint32_t at = 0; at < REGION_SIZE; at += GUEST_PAGE_SIZE)
			if (memcmp(machine_region(x, n) + at, memory->region[n] + at,
				   GUEST_PAGE_SIZE))
				bf_write(of(x)->bf, region_base(n) + at, memory->region[n] + at,
					 GUEST_PAGE_SIZE);
}

/* --- life --- */

static void nothing(struct executor *x)
{
}

static void machine_destroy(struct executor *x)
{
	if (x->interrupted) {
		of(x)->ending = true;
		pthread_join(of(x)->disturber, NULL);
	}
	bf_destroy(of(x)->bf);
	free(x);
}

static const struct executor_ops machine_ops = {
	nothing, nothing, machine_load, machine_region, machine_store, machine_run, machine_destroy,
};

struct executor *machine_create(const char *engine, const char *options, const char *model)
{
	struct machine *m = calloc(1, sizeof(*m));
	const struct world_descriptor ldt = { LDT_AT, 8 * WORLD_SEGMENTS - 1, 0x82 };
	feature_set features;

	if (!m)
		return NULL;
	m->x.name = engine;
	m->x.ops = &machine_ops;
	m->x.model = model;
	m->bf = bf_create_model(engine, options, model ? model : "max");
	features = cpu_features(m->bf->cpu);
	m->cr4 = (features & FEATURE_FXSR ? CR4_OSFXSR : 0) |
		 (features & FEATURE_SSE ? CR4_OSXMMEXCPT : 0);
	build_system(m->bf);
	m->ldtr = segment_from_descriptor(LINUX_LDT, pack(&ldt));
	m->tr = segment_from_descriptor(GDT_SELECTOR(GDT_TSS, 0), pack(&world_gdt[GDT_TSS]));
	bf_flush(m->bf);
	return &m->x;
}

/* --- interrupts --- */

static int acknowledge(void *opaque)
{
	struct machine *m = opaque;

	vcpu_clear_event(&m->bf->vm.vcpu, EVENT_INTR);
	return DISTURBANCE;
}

static void *disturb(void *opaque)
{
	struct machine *m = opaque;
	struct random_source random;

	random_seed(&random, 1);
	while (!m->ending) {
		const struct timespec pause = { 0, random_next(&random) % 40000 };

		nanosleep(&pause, NULL);
		if (m->bf->running)
			vcpu_raise_event(&m->bf->vm.vcpu, EVENT_INTR);
	}
	return NULL;
}

/*
 * The handler returns at once. Ring 3 sees nothing of that; in ring 0 the frame would go to the
 * stack that is compared.
 */
int machine_disturb(struct executor *x)
{
	static const uint8_t iret[] = { 0xcf };
	struct machine *m = of(x);

	put(m->bf, BF_STUBS + 16 * DISTURBANCE, iret, sizeof(iret));
	m->bf->vm.interrupt_source = (struct interrupt_source){ acknowledge, m };
	if (pthread_create(&m->disturber, NULL, disturb, m))
		return -EAGAIN;
	x->interrupted = true;
	return 0;
}
