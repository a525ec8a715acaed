/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hardware tasks (SDM vol. 3, chapter 7): task switches of all four kinds with 16- and 32-bit TSSs.
 *
 * A switch has two halves. Up to the commit everything is checked and every page that will be
 * written is probed: a fault leaves the old task as it was. From the commit on the new task is the
 * current one: what is wrong with its segments is its own fault, raised with cpu->eip naming its
 * first instruction.
 */
#include <assert.h>
#include <string.h>
#include "x86/fpu_spill.h"
#include "stack_frame.h"
#include "tss.h"

union tss {
	struct tss32 t32;
	struct tss16 t16;
};

/* The new task's state, whatever the size of its TSS. */
struct task_image {
	uint32_t cr3, eip, eflags, regs[8];
	uint16_t seg[X86_NSEG], ldt;
	bool trap;
};

/* ---- before the commit ---- */

static gva_t gdt_type_byte(const struct cpu *cpu, uint16_t selector)
{
	return cpu->gdtr.base + (selector & SELECTOR_INDEX) + 5;
}

/*
 * The incoming TSS's descriptor. IRET complains with #TS, the others with #GP (SDM vol. 3, table
 * 7-1).
 */
static enum x86_status incoming_tss_check(struct vcpu *vcpu, uint16_t selector,
					  enum task_switch_kind kind, uint64_t *descriptor)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_vector vector = kind == TASK_SWITCH_IRET ? EXC_TS : EXC_GP;
	uint32_t busy = kind == TASK_SWITCH_IRET ? TSS_BUSY : 0;
	enum x86_status status;
	uint16_t attr;

	status = gdt_fetch(vcpu, selector, vector, descriptor);
	if (status)
		return status;
	attr = descriptor_attr(*descriptor);
	if (!attr_is_system(attr, SYS_TSS16_AVAIL | busy) &&
	    !attr_is_system(attr, SYS_TSS32_AVAIL | busy))
		return fault_raise_error(cpu, vector, selector_error(selector));
	if (!(attr & SEG_P))
		return fault_raise_error(cpu, EXC_NP, selector_error(selector));
	if (descriptor_limit(*descriptor) < tss_size(attr_is_tss32(attr)) - 1)
		return fault_raise_error(cpu, EXC_TS, selector_error(selector));
	return X86_OK;
}

/* Everything that the commit will write must be writable now. */
static enum x86_status probe_switch(struct vcpu *vcpu, uint16_t selector,
				    enum task_switch_kind kind, gva_t new_base)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = mem_probe_write(
		vcpu, cpu->tr.base, tss_size(attr_is_tss32(cpu->tr.attr)), ACCESS_WRITE);

	if (!status && (kind == TASK_SWITCH_JMP || kind == TASK_SWITCH_IRET))
		status = mem_probe_write(vcpu, gdt_type_byte(cpu, cpu->tr.selector), 1,
					 ACCESS_WRITE);
	if (!status && kind != TASK_SWITCH_IRET)
		status = mem_probe_write(vcpu, gdt_type_byte(cpu, selector), 1, ACCESS_WRITE);
	if (!status && (kind == TASK_SWITCH_CALL || kind == TASK_SWITCH_GATE))
		status = mem_probe_write(vcpu, new_base, 2, ACCESS_WRITE);
	return status;
}

static void image_from_tss(struct task_image *image, const union tss *tss, bool is32)
{
	memset(image, 0, sizeof(*image));
	if (is32) {
		image->cr3 = tss->t32.cr3;
		image->eip = tss->t32.eip;
		image->eflags = tss->t32.eflags;
		memcpy(image->regs, tss->t32.regs, sizeof(image->regs));
		for (unsigned i = 0; i < X86_NSEG; i++)
			image->seg[i] = tss->t32.seg[i].selector;
		image->ldt = tss->t32.ldt;
		image->trap = tss->t32.trap & 1;
		return;
	}
	image->eip = tss->t16.ip;
	image->eflags = tss->t16.flags;
	/*
	 * A 16-bit TSS leaves the upper halves of the registers undefined; all ones show a guest
	 * that relies on them.
	 */
	for (unsigned i = 0; i < 8; i++)
		image->regs[i] = tss->t16.regs[i] | 0xffff0000;
	memcpy(image->seg, tss->t16.seg, sizeof(tss->t16.seg));
	image->ldt = tss->t16.ldt;
}

/* ---- the commit ---- */

static enum x86_status save_outgoing(struct vcpu *vcpu, uint32_t eip, uint32_t eflags)
{
	struct cpu *cpu = &vcpu->cpu;
	bool is32 = attr_is_tss32(cpu->tr.attr);
	uint32_t size = tss_size(is32);
	union tss tss;
	enum x86_status status = mem_read(vcpu, cpu->tr.base, &tss, size, ACCESS_READ);

	if (status)
		return status;
	if (is32) {
		tss.t32.eip = eip;
		tss.t32.eflags = eflags;
		memcpy(tss.t32.regs, cpu->regs, sizeof(cpu->regs));
		for (unsigned i = 0; i < X86_NSEG; i++)
			tss.t32.seg[i].selector = cpu->seg[i].selector;
		return mem_write(vcpu, cpu->tr.base + offsetof(struct tss32, eip), &tss.t32.eip,
				 offsetof(struct tss32, ldt) - offsetof(struct tss32, eip),
				 ACCESS_WRITE);
	}
	tss.t16.ip = eip;
	tss.t16.flags = eflags;
	for (unsigned i = 0; i < 8; i++)
		tss.t16.regs[i] = cpu->regs[i];
	for (unsigned i = 0; i < RF_ARRAY_SIZE(tss.t16.seg); i++)
		tss.t16.seg[i] = cpu->seg[i].selector;
	return mem_write(vcpu, cpu->tr.base + offsetof(struct tss16, ip), &tss.t16.ip,
			 offsetof(struct tss16, ldt) - offsetof(struct tss16, ip), ACCESS_WRITE);
}

static enum x86_status set_busy(struct vcpu *vcpu, uint16_t selector, bool busy)
{
	gva_t gva = gdt_type_byte(&vcpu->cpu, selector);
	uint8_t type;
	enum x86_status status = mem_read(vcpu, gva, &type, 1, ACCESS_READ);

	if (status)
		return status;
	type = busy ? type | TSS_BUSY : type & ~TSS_BUSY;
	return mem_write(vcpu, gva, &type, 1, ACCESS_WRITE);
}

/*
 * Registers that need no descriptors; the segment registers get their selectors and stay unusable
 * for now.
 */
static void load_registers(struct cpu *cpu, const struct task_image *image)
{
	cpu->eip = image->eip;
	cpu->eflags = (image->eflags & EFLAGS_IMPLEMENTED) | X86_F1;
	memcpy(cpu->regs, image->regs, sizeof(cpu->regs));
	for (unsigned i = 0; i < X86_NSEG; i++)
		segment_set_null(cpu, i, image->seg[i]);
	cpu->ldtr = (struct segment){ .selector = image->ldt };
	cpu->cr0 |= CR0_TS;
	cpu->dr[7] &= ~DR7_LOCAL_ENABLES;
	cpu->inhibit = 0;
	cpu->halted = false;
}

static enum x86_status commit_switch(struct vcpu *vcpu, uint16_t selector, uint64_t descriptor,
				     enum task_switch_kind kind, struct task_image *image,
				     uint32_t next_eip, uint32_t saved_eflags)
{
	struct cpu *cpu = &vcpu->cpu;
	bool nested = kind == TASK_SWITCH_CALL || kind == TASK_SWITCH_GATE;
	uint16_t old = cpu->tr.selector;
	enum x86_status status;

	if (kind == TASK_SWITCH_IRET)
		saved_eflags &= ~X86_NT;
	status = save_outgoing(vcpu, next_eip, saved_eflags);
	if (!status && !nested)
		status = set_busy(vcpu, old, false);
	if (!status && kind != TASK_SWITCH_IRET)
		status = set_busy(vcpu, selector, true);
	if (!status && nested)
		status = mem_write(vcpu, descriptor_base(descriptor), &old, sizeof(old),
				   ACCESS_WRITE);
	if (status)
		return status;
	if (nested)
		image->eflags |= X86_NT;
	cpu->tr = segment_from_descriptor(selector, descriptor);
	cpu->tr.attr |= TSS_BUSY;
	load_registers(cpu, image);
	if (attr_is_tss32(cpu->tr.attr) && (cpu->cr0 & CR0_PG))
		return paging_load_cr3(vcpu, image->cr3);
	return X86_OK;
}

/* ---- after the commit: the new task's segments ---- */

static enum x86_status load_task_ldt(struct vcpu *vcpu, uint16_t selector)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	enum x86_status status;

	if (selector_is_null(selector))
		return X86_OK;
	status = gdt_fetch(vcpu, selector, EXC_TS, &descriptor);
	if (status)
		return status;
	if (!attr_is_system(descriptor_attr(descriptor), SYS_LDT) ||
	    !(descriptor_attr(descriptor) & SEG_P))
		return fault_raise_error(cpu, EXC_TS, selector_error(selector));
	cpu->ldtr = segment_from_descriptor(selector, descriptor);
	return X86_OK;
}

static enum x86_status load_task_cs(struct vcpu *vcpu, uint16_t selector)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned rpl = selector_rpl(selector);
	uint64_t descriptor;
	uint16_t attr;
	enum x86_status status = descriptor_fetch(vcpu, selector, EXC_TS, &descriptor);

	if (status)
		return status;
	attr = descriptor_attr(descriptor);
	if (!attr_is_code(attr) ||
	    (attr_is_conforming(attr) ? attr_dpl(attr) > rpl : attr_dpl(attr) != rpl))
		return fault_raise_error(cpu, EXC_TS, selector_error(selector));
	if (!(attr & SEG_P))
		return fault_raise_error(cpu, EXC_NP, selector_error(selector));
	status = descriptor_set_accessed(vcpu, selector, &descriptor);
	if (!status)
		cs_commit(cpu, selector, descriptor, rpl);
	return status;
}

static enum x86_status load_task_segments(struct vcpu *vcpu, const struct task_image *image)
{
	static const enum x86_seg data[] = { X86_DS, X86_ES, X86_FS, X86_GS };
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	enum x86_status status = load_task_ldt(vcpu, image->ldt);

	if (status)
		return status;
	if (cpu_is_v86(cpu)) {
		segments_set_v86(cpu, image->seg);
		return X86_OK;
	}
	status = load_task_cs(vcpu, image->seg[X86_CS]);
	if (!status)
		status = stack_segment_check(vcpu, image->seg[X86_SS], cpu->cpl, EXC_TS,
					     &descriptor);
	if (status)
		return status;
	cpu->seg[X86_SS] = segment_from_descriptor(image->seg[X86_SS], descriptor);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(data); i++) {
		uint16_t selector = image->seg[data[i]];

		if (selector_is_null(selector))
			continue;
		status = data_segment_check(vcpu, selector, cpu->cpl, EXC_TS, &descriptor);
		if (status)
			return status;
		cpu->seg[data[i]] = segment_from_descriptor(selector, descriptor);
	}
	return X86_OK;
}

static enum x86_status push_task_error(struct vcpu *vcpu, uint32_t error)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	enum x86_status status =
		stack_push_frame(vcpu, &stack, &error, 1, attr_is_tss32(cpu->tr.attr) ? 4 : 2);

	if (!status)
		cpu->regs[X86_ESP] = stack.esp;
	return status;
}

static enum x86_status start_task(struct vcpu *vcpu, const struct task_image *image,
				  const uint32_t *error)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status;

	/*
	 * The selector's RPL rules until CS is loaded: faults before that are delivered from the
	 * new task's level.
	 */
	cpu->cpl = cpu_is_v86(cpu) ? 3 : selector_rpl(image->seg[X86_CS]);
	status = load_task_segments(vcpu, image);
	if (!status && error)
		status = push_task_error(vcpu, *error);
	if (!status && cpu->eip > cpu->seg[X86_CS].limit)
		status = fault_raise_error(cpu, EXC_GP, 0);
	if (!status && image->trap) {
		status = fault_raise(cpu, EXC_DB);
		cpu->fault.dr6 = DR6_BT;
	}
	return status;
}

enum x86_status task_switch_saving(struct vcpu *vcpu, uint16_t tss_selector,
				   enum task_switch_kind kind, uint32_t next_eip,
				   uint32_t saved_eflags, const uint32_t *error)
{
	struct cpu *cpu = &vcpu->cpu;
	struct task_image image;
	uint64_t descriptor;
	union tss tss;
	bool is32;
	enum x86_status status;

	assert(cpu_is_protected(cpu) && (!error || kind == TASK_SWITCH_GATE));
	fpu_spill(cpu);
	status = incoming_tss_check(vcpu, tss_selector, kind, &descriptor);
	if (status)
		return status;
	/*
	 * There is nowhere to save the old task to before the first LTR, or if the TSS is too
	 * small.
	 */
	if (!(cpu->tr.attr & SEG_P) || cpu->tr.limit < tss_size(attr_is_tss32(cpu->tr.attr)) - 1)
		return fault_raise_error(cpu, EXC_TS, selector_error(cpu->tr.selector));
	is32 = attr_is_tss32(descriptor_attr(descriptor));
	status = mem_read(vcpu, descriptor_base(descriptor), &tss, tss_size(is32), ACCESS_READ);
	if (!status)
		status = probe_switch(vcpu, tss_selector, kind, descriptor_base(descriptor));
	if (status)
		return status;
	image_from_tss(&image, &tss, is32);
	status =
		commit_switch(vcpu, tss_selector, descriptor, kind, &image, next_eip, saved_eflags);
	return status ? status : start_task(vcpu, &image, error);
}

enum x86_status task_switch(struct vcpu *vcpu, uint16_t tss_selector, enum task_switch_kind kind,
			    uint32_t next_eip, bool push_error, uint32_t error)
{
	return task_switch_saving(vcpu, tss_selector, kind, next_eip, vcpu->cpu.eflags,
				  push_error ? &error : NULL);
}
