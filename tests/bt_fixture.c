/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine of the engines' tests; see bt_fixture.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bt_fixture.h"
#include "devices/bus/bus.h"
#include "monitor/processor/cpu_models.h"
#include "monitor/processor/processor.h"

#define PATIENCE_MS 60000
#define WATCHDOG_TICK_MS 20

/* --- building --- */

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

static void put32(struct bf *bf, uint32_t at, uint32_t value)
{
	memcpy(bf->ram + at, &value, 4);
}

static void put64(struct bf *bf, uint32_t at, uint64_t value)
{
	memcpy(bf->ram + at, &value, 8);
}

static void build_gdt(struct bf *bf)
{
	const struct { uint16_t selector; uint32_t base, limit; uint16_t attr; } all[] = {
		{ BF_KCODE, 0, 0xfffff, 0xc09b }, { BF_KDATA, 0, 0xfffff, 0xc093 },
		{ BF_UCODE, 0, 0xfffff, 0xc0fb }, { BF_UDATA, 0, 0xfffff, 0xc0f3 },
		{ BF_TSS_SEL, BF_TSS, BF_TSS_LIMIT, 0x008b },
		{ BF_DF_TSS_SEL, BF_DF_TSS, 0x67, 0x0089 },
		{ BF_BASED, BF_DATA + 0x2000, 0xfffff, 0xc0f3 },
		{ BF_LIMITED, BF_DATA, 0x5fff, 0x40f3 }, { BF_EXPAND_DOWN, 0, 0x102, 0xc0f7 },
		{ BF_READONLY, 0, 0xfffff, 0xc0f1 }, { BF_BASED_HIGH, 0xfffff000, 0xfffff, 0xc0f3 },
		{ BF_STACK16, BF_DATA, 0xffff, 0x00f3 },
	};

	for (unsigned i = 0; i < RF_ARRAY_SIZE(all); i++)
		put64(bf, BF_GDT + (all[i].selector & ~7),
		      descriptor(all[i].base, all[i].limit, all[i].attr));
}

static void build_tss(struct bf *bf)
{
	put32(bf, BF_TSS + 4, BF_STACK0_TOP);
	put32(bf, BF_TSS + 8, BF_KDATA);
	put32(bf, BF_TSS + 0x64, 0x680000);
	bf->ram[BF_TSS + 0x68 + 0x20] = 0xff; /* ports below 0x100 are open to ring 3 */
	put32(bf, BF_DF_TSS + 0x1c, BF_PAGE_DIR);
	put32(bf, BF_DF_TSS + 0x20, BF_STUBS + 16 * EXC_DF);
	put32(bf, BF_DF_TSS + 0x24, X86_F1);
	put32(bf, BF_DF_TSS + 0x38, BF_DF_STACK_TOP);
	for (unsigned seg = 0; seg < X86_NSEG; seg++)
		put32(bf, BF_DF_TSS + 0x48 + 4 * seg, seg == X86_CS ? BF_KCODE : BF_KDATA);
	put32(bf, BF_DF_TSS + 0x64, 0x680000);
}

/*
 * Vectors from 0x20 are INT n to anyone; #DF has a task of its own, so that a bad stack in ring 0
 * can be told.
 */
static void build_idt(struct bf *bf)
{
	static const uint8_t stop[] = { BF_STOP, 0xeb, 0xfe };

	for (unsigned v = 0; v < 256; v++) {
		memcpy(bf->ram + BF_STUBS + 16 * v, stop, sizeof(stop));
		put64(bf, BF_IDT + 8 * v,
		      gate(BF_KCODE, BF_STUBS + 16 * v, SYS_INT_GATE32,
			   v == 3 || v == 4 || v >= 0x20 ? 3 : 0));
	}
	put64(bf, BF_IDT + 8 * EXC_DF, gate(BF_DF_TSS_SEL, 0, SYS_TASK_GATE, 0));
}

/*
 * Identity, ring 3 everywhere but in the system part. A and D are set: setting them is not under
 * test here.
 */
static void build_page_tables(struct bf *bf)
{
	for (uint32_t page = 0; page < BF_RAM_SIZE / GUEST_PAGE_SIZE; page++) {
		uint32_t gpa = page * GUEST_PAGE_SIZE, pte = gpa | BF_PTE_USER;

		if (gpa >= BF_SYSTEM && gpa < BF_FREE)
			pte &= ~PTE_U;
		if (gpa == BF_DATA + BF_ABSENT_PAGE * GUEST_PAGE_SIZE)
			pte &= ~PTE_P;
		if (gpa == BF_DATA + BF_READONLY_PAGE * GUEST_PAGE_SIZE)
			pte &= ~PTE_W;
		if (gpa == BF_DATA + BF_SUPERVISOR_PAGE * GUEST_PAGE_SIZE)
			pte &= ~PTE_U;
		put32(bf, BF_PTE_AT(gpa), pte);
	}
	put32(bf, BF_PAGE_DIR, BF_PAGE_TABLES | BF_PTE_USER);
	put32(bf, BF_PAGE_DIR + 4, (BF_PAGE_TABLES + GUEST_PAGE_SIZE) | BF_PTE_USER);
}

/* --- the port --- */

static void stop_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
	struct bf *bf = opaque;

	bf->stops++;
	vcpu_raise_event(&bf->vm.vcpu, EVENT_STOP);
}

static uint64_t stop_read(void *opaque, uint64_t offset, unsigned size)
{
	return 0;
}

static const struct bus_range stop_range = {
	BUS_PIO, BF_STOP_PORT, 1, { stop_read, stop_write, 1, 4 }
};
static const struct device_desc stop_device = { .name = "stop",
						.ranges = &stop_range,
						.nranges = 1 };

/* --- life --- */

/* Wakes what has been running the same guest program for too long. */
static void *watchdog_run(void *opaque)
{
	struct bf *bf = opaque;
	unsigned run = 0, ticks = 0;

	while (!bf->ending) {
		usleep(1000 * WATCHDOG_TICK_MS);
		if (bf->running != run || !run) {
			run = bf->running;
			ticks = 0;
		} else if (++ticks == bf->patience_ms / WATCHDOG_TICK_MS) {
			bf->hung = true;
			vcpu_raise_event(&bf->vm.vcpu, EVENT_STOP);
		}
	}
	return NULL;
}

struct bf *bf_create(const char *engine, const char *options)
{
	return bf_create_model(engine, options, "max");
}

struct bf *bf_create_model(const char *engine, const char *options, const char *model)
{
	struct bf *bf = calloc(1, sizeof(*bf));
	struct vm *vm = &bf->vm;
	const bool bt = !strcmp(engine, "bt");
	struct error error = { 0 };
	char text[256];

	/* Whatever a test runs is verified too. */
	snprintf(text, sizeof(text), "verify=on%s%s", options ? "," : "", options ? options : "");
	vm_init(vm);
	cr_assert_eq(guest_ram_init(&vm->ram, BF_RAM_SIZE), 0);
	cr_assert_eq(vcpu_init(&vm->vcpu, vm), 0);
	processor_reset(&vm->vcpu);
	/* Two engines that are compared tell the same rate: none. */
	vm->vcpu.tsc_measured = true;
	cr_assert_eq(bus_create(&vm->bus), 0);
	cr_assert_eq(bus_attach(vm->bus, &stop_device, bf, 0, NULL), 0);
	bf->cpu = &vm->vcpu.cpu;
	bf->patience_ms = PATIENCE_MS;
	snprintf(bf->options, sizeof(bf->options), "%s", options ? options : "");
	bf->ram = vm->ram.flat;
	vm->vcpu.model = cpu_model_find(model);
	build_gdt(bf);
	build_tss(bf);
	build_idt(bf);
	build_page_tables(bf);
	memcpy(bf->system, bf->ram + BF_SYSTEM, BF_SYSTEM_SIZE);
	vm->vcpu.engine = bt ? &engine_bt : &engine_interp;
	cr_assert_eq(vm->vcpu.engine->create(&vm->vcpu, bt ? text : options, &error), 0, "%s: %s",
		     engine, error.text);
	cr_assert_eq(pthread_create(&bf->watchdog, NULL, watchdog_run, bf), 0);
	return bf;
}

void bf_destroy(struct bf *bf)
{
	bf->ending = true;
	pthread_join(bf->watchdog, NULL);
	bf->vm.vcpu.engine->destroy(&bf->vm.vcpu);
	bus_destroy(bf->vm.bus);
	vcpu_destroy(&bf->vm.vcpu);
	guest_ram_destroy(&bf->vm.ram);
	free(bf);
}

void bf_flush(struct bf *bf)
{
	struct vcpu *vcpu = &bf->vm.vcpu;

	soft_tlb_flush(vcpu, true);
	if (vcpu->engine->flush && vcpu->engine_data)
		vcpu->engine->flush(vcpu, TLB_FLUSH_ALL);
}

void bf_map_page(struct bf *bf, uint32_t gva, uint32_t gpa)
{
	bf_write32(bf, BF_PTE_AT(gva), gpa | BF_PTE_USER);
	bf_flush(bf);
}

void bf_set_segment(struct bf *bf, enum x86_seg seg, uint16_t selector)
{
	uint64_t raw;

	memcpy(&raw, bf->ram + BF_GDT + (selector & ~7), 8);
	bf->cpu->seg[seg] = selector & ~3 ? segment_from_descriptor(selector, raw) :
					    (struct segment){ .selector = selector };
}

/* Writes only what changed, so that translations of the handlers live on. */
bool bf_restore_system(struct bf *bf)
{
	bool tables = false;

	for (uint32_t page = 0; page < BF_SYSTEM_SIZE; page += GUEST_PAGE_SIZE) {
		if (!memcmp(bf->ram + BF_SYSTEM + page, bf->system + page, GUEST_PAGE_SIZE))
			continue;
		bf_write(bf, BF_SYSTEM + page, bf->system + page, GUEST_PAGE_SIZE);
		tables = tables || BF_SYSTEM + page >= BF_PAGE_DIR;
	}
	return tables;
}

void bf_reset(struct bf *bf, unsigned cpl, bool paging)
{
	struct cpu *cpu = bf->cpu;
	const uint32_t cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | (paging ? CR0_PG | CR0_WP : 0),
		       cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	const bool changed = cpu->cr0 != cr0 || cpu->cr3 != BF_PAGE_DIR || cpu->cr4 != cr4;
	const bool tables = bf_restore_system(bf);

	memset(cpu->regs, 0, sizeof(cpu->regs));
	cpu->cr0 = cr0;
	cpu->cr4 = cr4;
	cpu->cr3 = BF_PAGE_DIR;
	cpu->cr2 = 0;
	cpu->cpl = cpl;
	cpu->eflags = X86_F1;
	cpu->halted = cpu->nmi_blocked = false;
	cpu->inhibit = 0;
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->gdtr = (struct table_register){ BF_GDT, BF_GDT_LIMIT };
	cpu->idtr = (struct table_register){ BF_IDT, 0x7ff };
	cpu->ldtr = (struct segment){ 0 };
	for (unsigned i = 0; i < X86_NSEG; i++)
		bf_set_segment(bf, i,
			       cpl == 3    ? (i == X86_CS ? BF_UCODE : BF_UDATA) :
			       i == X86_CS ? BF_KCODE :
					     BF_KDATA);
	cpu->tr = segment_from_descriptor(BF_TSS_SEL, descriptor(BF_TSS, BF_TSS_LIMIT, 0x008b));
	cpu->regs[X86_ESP] = BF_DATA + 0x2800;
	cpu->eip = BF_CODE;
	cpu->fpu.fcw = 0x37f;
	cpu->fpu.mxcsr = 0x1f80;
	atomic_store(&cpu->events, 0);
	if (changed || tables)
		bf_flush(bf);
}

void bf_write(struct bf *bf, uint64_t gpa, const void *data, uint32_t len)
{
	memcpy(bf->ram + gpa, data, len);
	guest_ram_written_slow(&bf->vm.ram, GPA(gpa), len);
}

void bf_write32(struct bf *bf, uint64_t gpa, uint32_t value)
{
	bf_write(bf, gpa, &value, 4);
}

uint32_t bf_read32(const struct bf *bf, uint64_t gpa)
{
	uint32_t value;

	memcpy(&value, bf->ram + gpa, 4);
	return value;
}

/* --- running --- */

enum bf_outcome bf_run(struct bf *bf, int *vector)
{
	struct cpu *cpu = bf->cpu;
	struct vcpu *vcpu = &bf->vm.vcpu;
	uint32_t offset, events;

	vcpu_thread_begins(vcpu);
	bf->hung = false;
	bf->running = ++bf->runs;
	vcpu->engine->run(vcpu);
	bf->running = 0;
	vcpu_thread_ends(vcpu);
	events = atomic_fetch_and(&cpu->events, ~(EVENT_STOP | EVENT_RESET));
	*vector = -1;
	if (bf->vm.end != VM_RUNNING)
		return BF_DEAD;
	if (bf->hung)
		return BF_HUNG;
	if (events & EVENT_RESET)
		return BF_TRIPLE_FAULT;
	offset = cpu->eip - 2 - BF_STUBS;
	if (offset >= 256 * 16 || offset % 16)
		return BF_STOPPED;
	*vector = offset / 16;
	return BF_EXCEPTION;
}

long bf_stat(struct bf *bf, const char *part, const char *name)
{
	json_t *root = json_object();
	long value;

	bf->vm.vcpu.engine->stats(&bf->vm.vcpu, root);
	value = json_integer_value(json_object_get(json_object_get(root, part), name));
	json_decref(root);
	return value;
}
