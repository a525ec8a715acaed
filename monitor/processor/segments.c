/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment registers: loads with their descriptor checks (SDM vol. 3, 3.4 and 5.6 to 5.8; vol. 2,
 * MOV, LLDT, LTR), and the instructions that look at descriptors (LAR, LSL, VERR, VERW; SDM vol. 3,
 * 5.10).
 *
 * Invariant: a register changes only after every check passed and the accessed bit is in memory.
 * Descriptor tables are read and written with supervisor rights whatever the CPL (SDM vol. 3,
 * 4.6.1).
 */
#include <assert.h>
#include <string.h>
#include "tss.h"

bool segment_contains_slow(const struct segment *s, uint32_t offset, uint32_t len)
{
	uint32_t last = offset + len - 1;

	if (!(s->attr & SEG_P))
		return false;
	if (attr_is_data(s->attr) && (s->attr & SEG_EXPAND_DOWN)) {
		uint32_t top = s->attr & SEG_DB ? 0xffffffff : 0xffff;

		return offset > s->limit && last >= offset && last <= top;
	}
	return s->limit == 0xffffffff || (last >= offset && last <= s->limit);
}

static gva_t descriptor_address(const struct cpu *cpu, uint16_t selector)
{
	return (selector & SELECTOR_TI ? cpu->ldtr.base : cpu->gdtr.base) +
	       (selector & SELECTOR_INDEX);
}

enum x86_status descriptor_read(struct vcpu *vcpu, uint16_t selector, uint64_t *descriptor,
				bool *in_table)
{
	const struct cpu *cpu = &vcpu->cpu;
	uint32_t limit = selector & SELECTOR_TI ? cpu->ldtr.limit : cpu->gdtr.limit;

	*in_table = (selector & SELECTOR_INDEX) + 7u <= limit &&
		    (!(selector & SELECTOR_TI) || (cpu->ldtr.attr & SEG_P));
	if (!*in_table)
		return X86_OK;
	return mem_load(vcpu, descriptor_address(cpu, selector), descriptor, sizeof(*descriptor),
			0);
}

enum x86_status descriptor_fetch(struct vcpu *vcpu, uint16_t selector, enum x86_vector vector,
				 uint64_t *descriptor)
{
	bool in_table;
	enum x86_status status;

	if (selector_is_null(selector))
		return fault_raise_error(&vcpu->cpu, vector, 0);
	status = descriptor_read(vcpu, selector, descriptor, &in_table);
	if (status)
		return status;
	return in_table ? X86_OK : fault_raise_error(&vcpu->cpu, vector, selector_error(selector));
}

enum x86_status gdt_fetch(struct vcpu *vcpu, uint16_t selector, enum x86_vector vector,
			  uint64_t *descriptor)
{
	if (selector & SELECTOR_TI)
		return fault_raise_error(&vcpu->cpu, vector, selector_error(selector));
	return descriptor_fetch(vcpu, selector, vector, descriptor);
}

enum x86_status descriptor_set_accessed(struct vcpu *vcpu, uint16_t selector, uint64_t *descriptor)
{
	uint8_t type;

	if (descriptor_attr(*descriptor) & SEG_ACCESSED)
		return X86_OK;
	*descriptor |= (uint64_t)SEG_ACCESSED << 40;
	type = *descriptor >> 40;
	return mem_write(vcpu, descriptor_address(&vcpu->cpu, selector) + 5, &type, 1,
			 ACCESS_WRITE);
}

enum x86_status stack_segment_check(struct vcpu *vcpu, uint16_t selector, unsigned cpl,
				    enum x86_vector vector, uint64_t *descriptor)
{
	enum x86_status status = descriptor_fetch(vcpu, selector, vector, descriptor);
	uint16_t attr;

	if (status)
		return status;
	attr = descriptor_attr(*descriptor);
	if (selector_rpl(selector) != cpl || !attr_is_writable_data(attr) || attr_dpl(attr) != cpl)
		return fault_raise_error(&vcpu->cpu, vector, selector_error(selector));
	if (!(attr & SEG_P))
		return fault_raise_error(&vcpu->cpu, EXC_SS, selector_error(selector));
	return descriptor_set_accessed(vcpu, selector, descriptor);
}

enum x86_status data_segment_check(struct vcpu *vcpu, uint16_t selector, unsigned cpl,
				   enum x86_vector vector, uint64_t *descriptor)
{
	enum x86_status status = descriptor_fetch(vcpu, selector, vector, descriptor);
	uint16_t attr;

	assert(!selector_is_null(selector));
	if (status)
		return status;
	attr = descriptor_attr(*descriptor);
	if (!attr_is_readable(attr) ||
	    (!attr_is_conforming(attr) &&
	     (selector_rpl(selector) > attr_dpl(attr) || cpl > attr_dpl(attr))))
		return fault_raise_error(&vcpu->cpu, vector, selector_error(selector));
	if (!(attr & SEG_P))
		return fault_raise_error(&vcpu->cpu, EXC_NP, selector_error(selector));
	return descriptor_set_accessed(vcpu, selector, descriptor);
}

void segment_set_null(struct cpu *cpu, enum x86_seg seg, uint16_t selector)
{
	cpu->seg[seg] = (struct segment){ .selector = selector };
}

/*
 * In real mode a load changes selector and base only, so that limits set up in protected mode last
 * ("unreal" mode); a register left unusable by protected mode becomes usable again. In v86 mode the
 * whole cache is set (SDM vol. 3, 20.1.1 and 20.2).
 */
void segment_set_real(struct cpu *cpu, enum x86_seg seg, uint16_t selector)
{
	struct segment *s = &cpu->seg[seg];

	s->selector = selector;
	s->base = (uint32_t)selector << 4;
	if (cpu_is_v86(cpu)) {
		s->limit = 0xffff;
		s->attr = SEG_P | SEG_DPL | SEG_S | SEG_WRITABLE | SEG_ACCESSED;
		return;
	}
	if (!(s->attr & SEG_P))
		s->limit = 0xffff;
	s->attr = (s->attr & (SEG_DB | SEG_G | SEG_AVL)) | SEG_P | SEG_S | SEG_WRITABLE |
		  SEG_ACCESSED;
}

void segments_set_v86(struct cpu *cpu, const uint16_t selectors[X86_NSEG])
{
	assert(cpu_is_v86(cpu));
	for (unsigned i = 0; i < X86_NSEG; i++)
		segment_set_real(cpu, i, selectors[i]);
	cpu->cpl = 3;
}

enum x86_status segment_load(struct vcpu *vcpu, enum x86_seg seg, uint16_t selector)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	enum x86_status status;

	assert(seg < X86_NSEG && seg != X86_CS);
	if (!cpu_uses_descriptors(cpu)) {
		segment_set_real(cpu, seg, selector);
		return X86_OK;
	}
	if (seg == X86_SS) {
		status = stack_segment_check(vcpu, selector, cpu->cpl, EXC_GP, &descriptor);
	} else if (selector_is_null(selector)) {
		segment_set_null(cpu, seg, selector);
		return X86_OK;
	} else {
		status = data_segment_check(vcpu, selector, cpu->cpl, EXC_GP, &descriptor);
	}
	if (!status)
		cpu->seg[seg] = segment_from_descriptor(selector, descriptor);
	return status;
}

/* LLDT and LTR: #UD outside protected mode, #GP(0) above ring 0 (SDM vol. 2). */
static enum x86_status system_register_privilege(struct cpu *cpu)
{
	if (!cpu_uses_descriptors(cpu))
		return fault_raise(cpu, EXC_UD);
	return cpu->cpl ? fault_raise_error(cpu, EXC_GP, 0) : X86_OK;
}

enum x86_status ldt_load(struct vcpu *vcpu, uint16_t selector)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	enum x86_status status = system_register_privilege(cpu);

	if (status)
		return status;
	if (selector_is_null(selector)) {
		cpu->ldtr = (struct segment){ .selector = selector };
		return X86_OK;
	}
	status = gdt_fetch(vcpu, selector, EXC_GP, &descriptor);
	if (status)
		return status;
	if (!attr_is_system(descriptor_attr(descriptor), SYS_LDT))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	if (!(descriptor_attr(descriptor) & SEG_P))
		return fault_raise_error(cpu, EXC_NP, selector_error(selector));
	cpu->ldtr = segment_from_descriptor(selector, descriptor);
	return X86_OK;
}

enum x86_status task_register_load(struct vcpu *vcpu, uint16_t selector)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	uint8_t type;
	enum x86_status status = system_register_privilege(cpu);

	if (!status)
		status = gdt_fetch(vcpu, selector, EXC_GP, &descriptor);
	if (status)
		return status;
	if (!attr_is_system(descriptor_attr(descriptor), SYS_TSS16_AVAIL) &&
	    !attr_is_system(descriptor_attr(descriptor), SYS_TSS32_AVAIL))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	if (!(descriptor_attr(descriptor) & SEG_P))
		return fault_raise_error(cpu, EXC_NP, selector_error(selector));
	descriptor |= (uint64_t)TSS_BUSY << 40;
	type = descriptor >> 40;
	status = mem_write(vcpu, descriptor_address(cpu, selector) + 5, &type, 1, ACCESS_WRITE);
	if (!status)
		cpu->tr = segment_from_descriptor(selector, descriptor);
	return status;
}

/*
 * System descriptor types that LAR and LSL accept, as a bit mask (SDM vol. 2, tables 3-53 and
 * 3-56).
 */
#define LSL_SYSTEM_TYPES \
	(1u << SYS_LDT | 1u << SYS_TSS16_AVAIL | 1u << SYS_TSS16_BUSY | \
	 1u << SYS_TSS32_AVAIL | 1u << SYS_TSS32_BUSY)
#define LAR_SYSTEM_TYPES \
	(LSL_SYSTEM_TYPES | 1u << SYS_TASK_GATE | 1u << SYS_CALL_GATE16 | 1u << SYS_CALL_GATE32)

/*
 * The descriptor if it exists, has a fitting type and is visible at CPL and RPL; else *visible is
 * false.
 */
static enum x86_status descriptor_look(struct vcpu *vcpu, uint16_t selector, uint32_t system_types,
				       uint64_t *descriptor, bool *visible)
{
	enum x86_status status;
	uint16_t attr;

	*visible = false;
	if (selector_is_null(selector))
		return X86_OK;
	status = descriptor_read(vcpu, selector, descriptor, visible);
	if (status || !*visible)
		return status;
	attr = descriptor_attr(*descriptor);
	if (!(attr & SEG_S) && !(system_types >> (attr & SEG_TYPE) & 1))
		*visible = false;
	if (!attr_is_conforming(attr) &&
	    (vcpu->cpu.cpl > attr_dpl(attr) || selector_rpl(selector) > attr_dpl(attr)))
		*visible = false;
	return X86_OK;
}

enum x86_status descriptor_lar(struct vcpu *vcpu, uint16_t selector, bool *zf, uint32_t *value)
{
	uint64_t descriptor;
	enum x86_status status = descriptor_look(vcpu, selector, LAR_SYSTEM_TYPES, &descriptor, zf);

	if (!status && *zf)
		/* bits 16 to 19 are undefined: as processors have them */
		*value = (descriptor >> 32) & 0x00ffff00;
	return status;
}

enum x86_status descriptor_lsl(struct vcpu *vcpu, uint16_t selector, bool *zf, uint32_t *value)
{
	uint64_t descriptor;
	enum x86_status status = descriptor_look(vcpu, selector, LSL_SYSTEM_TYPES, &descriptor, zf);

	if (!status && *zf)
		*value = descriptor_limit(descriptor);
	return status;
}

enum x86_status descriptor_verify(struct vcpu *vcpu, uint16_t selector, bool write, bool *zf)
{
	uint64_t descriptor;
	enum x86_status status = descriptor_look(vcpu, selector, 0, &descriptor, zf);

	if (!status && *zf)
		*zf = write ? attr_is_writable_data(descriptor_attr(descriptor)) :
			      attr_is_readable(descriptor_attr(descriptor));
	return status;
}
