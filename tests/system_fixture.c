/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of the system-architecture tests, and a device that notes what reaches it.
 */
#include <stdlib.h>
#include <string.h>
#include "devices/bus/bus.h"
#include "system_fixture.h"

struct fx_record fx_record;
struct vm *fx_vm;

/* ---- a device that answers everywhere ---- */

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
	fx_record.mmio_reads++;
	fx_record.mmio_gpa = offset;
	fx_record.mmio_size = size;
	return 0x1122334455667788ull;
}

static void mmio_write(void *device, uint64_t offset, uint64_t value, unsigned size)
{
	fx_record.mmio_writes++;
	fx_record.mmio_gpa = offset;
	fx_record.mmio_value = value;
	fx_record.mmio_size = size;
}

static uint64_t pio_read(void *device, uint64_t offset, unsigned size)
{
	fx_record.pio_reads++;
	fx_record.port = offset;
	fx_record.pio_size = size;
	return 0x44332211;
}

static void pio_write(void *device, uint64_t offset, uint64_t value, unsigned size)
{
	fx_record.pio_writes++;
	fx_record.port = offset;
	fx_record.pio_size = size;
	fx_record.pio_value = value;
}

static const struct bus_range everywhere[] = {
	{ BUS_PIO, 0, 0x10000, { pio_read, pio_write, 1, 4 } },
	{ BUS_MMIO, 0, 1ull << 36, { mmio_read, mmio_write, 1, 8 } },
};

static const struct device_desc recorder = {
	.name = "recorder", .ranges = everywhere, .nranges = RF_ARRAY_SIZE(everywhere),
};

bool fx_shut_down(void)
{
	return atomic_load(&CPU.events) & EVENT_RESET;
}

/* ---- memory ---- */

void fx_write8(uint32_t at, uint8_t value) { memcpy(fx_vm->ram.flat + at, &value, sizeof(value)); }
void fx_write16(uint32_t at, uint16_t value)
{
	memcpy(fx_vm->ram.flat + at, &value, sizeof(value));
}

void fx_write32(uint32_t at, uint32_t value)
{
	memcpy(fx_vm->ram.flat + at, &value, sizeof(value));
}

void fx_write64(uint32_t at, uint64_t value)
{
	memcpy(fx_vm->ram.flat + at, &value, sizeof(value));
}

uint16_t fx_read16(uint32_t at)
{
	uint16_t value;

	memcpy(&value, fx_vm->ram.flat + at, sizeof(value));
	return value;
}

uint32_t fx_read32(uint32_t at)
{
	uint32_t value;

	memcpy(&value, fx_vm->ram.flat + at, sizeof(value));
	return value;
}

uint64_t fx_read64(uint32_t at)
{
	uint64_t value;

	memcpy(&value, fx_vm->ram.flat + at, sizeof(value));
	return value;
}

/* limit: what goes into the descriptor's field, in units of G. */
uint64_t fx_descriptor(uint32_t base, uint32_t limit, uint16_t attr)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)attr << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;
}

uint64_t fx_gate(uint16_t selector, uint32_t offset, unsigned type, unsigned dpl, unsigned params)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)params << 32 |
	       (uint64_t)(type | dpl << 5 | 0x80) << 40 | (uint64_t)(offset >> 16) << 48;
}

void fx_set_gate(unsigned vector, uint16_t selector, uint32_t offset, unsigned type, unsigned dpl)
{
	fx_write64(FX_IDT + vector * 8, fx_gate(selector, offset, type, dpl, 0));
}

/* ---- the machine ---- */

static void set_descriptor(uint16_t selector, uint32_t base, uint32_t limit, uint16_t attr)
{
	fx_write64(FX_GDT + (selector & ~7), fx_descriptor(base, limit, attr));
}

static void build_gdt(void)
{
	set_descriptor(KCODE, 0, 0xfffff, 0xc09a);
	set_descriptor(KDATA, 0, 0xfffff, 0xc092);
	set_descriptor(UCODE, 0, 0xfffff, 0xc0fa);
	set_descriptor(UDATA, 0, 0xfffff, 0xc0f2);
	set_descriptor(TSS_A, FX_TSS_A, 0x67 + 0x10, 0x008b);
	set_descriptor(TSS_B, FX_TSS_B, 0x67, 0x0089);
	set_descriptor(CODE16, 0, 0xffff, 0x009a);
	set_descriptor(DATA16, 0, 0xffff, 0x0092);
	set_descriptor(CONFORMING, 0, 0xfffff, 0xc09e);
	set_descriptor(ABSENT_DATA, 0, 0xfffff, 0xc012);
	fx_write64(FX_GDT + CALL_GATE, fx_gate(KCODE, 0x12345678, SYS_CALL_GATE32, 3, 2));
	set_descriptor(LDT, FX_LDT, 0x0f, 0x0082);
	set_descriptor(TSS_16, FX_TSS_16, 0x2b, 0x0081);
	fx_write64(FX_GDT + TASK_GATE, fx_gate(TSS_B, 0, SYS_TASK_GATE, 3, 0));
	set_descriptor(ABSENT_CODE, 0, 0xfffff, 0xc01a);
	set_descriptor(EXPAND_DOWN, 0, 0x0fff, 0x4096);
	fx_write64(FX_GDT + CALL_GATE16, fx_gate(KCODE, 0x4321, SYS_CALL_GATE16, 3, 1));
	set_descriptor(SHORT_TSS, FX_TSS_B, 0x50, 0x0089);
	set_descriptor(UDATA16, 0, 0xffff, 0x00f2);
	set_descriptor(SMALL_CODE, 0, 0x0fff, 0x409a);
	set_descriptor(READONLY_DATA, 0, 0xfffff, 0xc090);
	set_descriptor(EXECUTE_ONLY, 0, 0xfffff, 0xc098);
}

static void build_tss(void)
{
	fx_write32(FX_TSS_A + 4, FX_KERNEL_STACK);
	fx_write16(FX_TSS_A + 8, KDATA);
	fx_write16(FX_TSS_A + 0x66, 0x68);
	fx_write8(FX_TSS_A + 0x77, 0xff);
}

static void set_segment(enum x86_seg seg, uint16_t selector)
{
	CPU.seg[seg] =
		segment_from_descriptor(selector, fx_read64(FX_GDT + (selector & ~7)) | 1ull << 40);
}

void fx_setup(void)
{
	fx_vm = calloc(1, sizeof(*fx_vm));
	vm_init(fx_vm);
	memset(&fx_record, 0, sizeof(fx_record));
	cr_assert_eq(guest_ram_init(&fx_vm->ram, FX_RAM_SIZE), 0);
	cr_assert_eq(bus_create(&fx_vm->bus), 0);
	cr_assert_eq(bus_attach(fx_vm->bus, &recorder, NULL, 0, NULL), 0);
	cr_assert_eq(vcpu_init(VCPU, fx_vm), 0);
	build_gdt();
	build_tss();
	CPU.a20_mask = 0xffffffff;
	CPU.cr0 = CR0_PE | CR0_ET;
	CPU.eflags = X86_F1;
	CPU.gdtr = (struct table_register){ FX_GDT, FX_GDT_LIMIT };
	CPU.idtr = (struct table_register){ FX_IDT, 0x7ff };
	CPU.tr = segment_from_descriptor(TSS_A, fx_read64(FX_GDT + TSS_A));
	CPU.apic_base = 0xfee00900;
	for (unsigned i = 0; i < X86_NSEG; i++)
		set_segment(i, i == X86_CS ? KCODE : KDATA);
	CPU.regs[X86_ESP] = FX_KERNEL_STACK - 0x800;
	CPU.eip = FX_CODE;
	for (unsigned vector = 0; vector < 256; vector++)
		fx_set_gate(vector, KCODE, 0xc0100000 + vector * 16, SYS_INT_GATE32, 0);
}

void fx_teardown(void)
{
	vcpu_destroy(VCPU);
	bus_destroy(fx_vm->bus);
	guest_ram_destroy(&fx_vm->ram);
	free(fx_vm);
	fx_vm = NULL;
}

void fx_enter_ring3(void)
{
	for (unsigned i = 0; i < X86_NSEG; i++)
		set_segment(i, i == X86_CS ? UCODE : UDATA);
	CPU.cpl = 3;
	CPU.regs[X86_ESP] = FX_USER_STACK;
	CPU.eip = 0x400000;
	CPU.eflags = X86_F1 | X86_IF;
}

void fx_enter_v86(unsigned iopl)
{
	static const uint16_t selectors[X86_NSEG] = { 0x100, 0x200, 0x300, 0x400, 0x500, 0x600 };

	CPU.eflags = X86_F1 | X86_VM | X86_IF | iopl << 12;
	segments_set_v86(&CPU, selectors);
	CPU.regs[X86_ESP] = 0x800;
	CPU.eip = 0x10;
}

void fx_enter_real(void)
{
	CPU.cr0 &= ~CR0_PE;
	for (unsigned i = 0; i < X86_NSEG; i++) {
		CPU.seg[i] = (struct segment){ .limit = 0xffff, .attr = 0x93 };
		segment_set_real(&CPU, i, 0x100 * (i + 1));
	}
	CPU.cpl = 0;
	CPU.idtr = (struct table_register){ 0, 0x3ff };
	CPU.regs[X86_ESP] = 0xabcd0800;
	CPU.eip = 0x10;
	CPU.eflags = X86_F1 | X86_IF;
}

void fx_enable_paging(void)
{
	fx_write32(FX_PAGE_DIR, FX_PAGE_TABLE | PTE_P | PTE_W | PTE_U);
	for (unsigned i = 0; i < 1024; i++)
		fx_write32(FX_PAGE_TABLE + 4 * i, i * GUEST_PAGE_SIZE | PTE_P | PTE_W | PTE_U);
	CPU.cr3 = FX_PAGE_DIR;
	CPU.cr0 |= CR0_PG | CR0_WP;
	soft_tlb_flush(VCPU, true);
}
