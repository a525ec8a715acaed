/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far control transfers (SDM vol. 2: CALL, JMP, RET, SYSENTER, SYSEXIT; vol. 3, 5.8): to code
 * segments, through call gates, and back. Transfers to a TSS or task gate go on to task_switch.c,
 * IRET is in iret.c.
 *
 * Invariant: the order of checks is the manual's, and nothing of the guest changes before the last
 * of them but accessed bits.
 */
#include <assert.h>
#include "far_transfer.h"

static enum x86_status eip_check(struct cpu *cpu, uint32_t limit, uint32_t eip)
{
	return eip > limit ? fault_raise_error(cpu, EXC_GP, 0) : X86_OK;
}

static uint32_t offset_truncate(uint32_t offset, unsigned opsize)
{
	return opsize == 2 ? offset & 0xffff : offset;
}

/* ---- targets that are code segments ---- */

/* Direct transfer to a code segment: it must run at the current privilege level. */
static enum x86_status direct_target_check(struct cpu *cpu, uint16_t selector, uint64_t descriptor)
{
	uint16_t attr = descriptor_attr(descriptor);
	bool allowed = attr_is_conforming(attr) ?
			       attr_dpl(attr) <= cpu->cpl :
			       selector_rpl(selector) <= cpu->cpl && attr_dpl(attr) == cpu->cpl;

	if (!allowed)
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	return attr & SEG_P ? X86_OK : fault_raise_error(cpu, EXC_NP, selector_error(selector));
}

static enum x86_status jump_to_code(struct vcpu *vcpu, uint16_t selector, uint64_t descriptor,
				    uint32_t eip)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = eip_check(cpu, descriptor_limit(descriptor), eip);

	if (!status)
		status = descriptor_set_accessed(vcpu, selector, &descriptor);
	if (status)
		return status;
	cs_commit(cpu, selector, descriptor, cpu->cpl);
	cpu->eip = eip;
	return X86_OK;
}

/*
 * Pushes the return address on the current stack and enters the code segment at the current
 * privilege level.
 */
static enum x86_status call_to_code(struct vcpu *vcpu, uint16_t selector, uint64_t descriptor,
				    uint32_t eip, uint32_t next_eip, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	const uint32_t frame[] = { cpu->seg[X86_CS].selector, next_eip };
	enum x86_status status = stack_check_push(cpu, &stack, RF_ARRAY_SIZE(frame), opsize);

	if (!status)
		status = stack_check_alignment(cpu, &stack, opsize);
	if (!status)
		status = eip_check(cpu, descriptor_limit(descriptor), eip);
	if (!status)
		status = descriptor_set_accessed(vcpu, selector, &descriptor);
	if (!status)
		status = stack_push_frame(vcpu, &stack, frame, RF_ARRAY_SIZE(frame), opsize);
	if (status)
		return status;
	cpu->regs[X86_ESP] = stack.esp;
	cs_commit(cpu, selector, descriptor, cpu->cpl);
	cpu->eip = eip;
	return X86_OK;
}

/* ---- call gates (SDM vol. 3, 5.8.3 to 5.8.5) ---- */

static enum x86_status gate_access_check(struct cpu *cpu, uint16_t selector, uint16_t attr)
{
	if (attr_dpl(attr) < cpu->cpl || attr_dpl(attr) < selector_rpl(selector))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	return attr & SEG_P ? X86_OK : fault_raise_error(cpu, EXC_NP, selector_error(selector));
}

static enum x86_status call_gate_target(struct vcpu *vcpu, uint64_t gate, bool call, uint64_t *code)
{
	struct cpu *cpu = &vcpu->cpu;
	uint16_t selector = gate_selector(gate), attr;
	enum x86_status status = descriptor_fetch(vcpu, selector, EXC_GP, code);

	if (status)
		return status;
	attr = descriptor_attr(*code);
	/* A jump never changes the privilege level; a call may raise it. */
	if (!attr_is_code(attr) || attr_dpl(attr) > cpu->cpl ||
	    (!call && !attr_is_conforming(attr) && attr_dpl(attr) != cpu->cpl))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	return attr & SEG_P ? X86_OK : fault_raise_error(cpu, EXC_NP, selector_error(selector));
}

/*
 * A call gate into a more privileged code segment: the TSS's stack, with the caller's parameters
 * copied onto it.
 */
static enum x86_status call_inner(struct vcpu *vcpu, uint64_t gate, uint64_t code,
				  uint32_t next_eip, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned params = gate >> 32 & 0x1f, n = 0, new_cpl = attr_dpl(descriptor_attr(code));
	struct stack_frame old = stack_current(cpu), stack;
	struct segment ss;
	uint32_t frame[31 + 4], esp;
	uint64_t ss_descriptor;
	uint16_t ss_selector;
	enum x86_status status = tss_stack(vcpu, new_cpl, &ss_selector, &esp);

	if (!status)
		status = stack_segment_check(vcpu, ss_selector, new_cpl, EXC_TS, &ss_descriptor);
	if (status)
		return status;
	ss = segment_from_descriptor(ss_selector, ss_descriptor);
	stack = (struct stack_frame){ .ss = &ss,
				      .esp = esp,
				      .access = stack_inner_access(cpu),
				      .ss_error = selector_error(ss_selector) };
	status = stack_check_push(cpu, &stack, params + 4, opsize);
	if (!status)
		status = eip_check(cpu, descriptor_limit(code), gate_offset(gate, opsize == 4));
	frame[n++] = cpu->seg[X86_SS].selector;
	frame[n++] = cpu->regs[X86_ESP];
	for (unsigned i = params; i-- && !status; n++)
		status = stack_read(vcpu, &old, i * opsize, opsize, &frame[n]);
	if (!status)
		status = descriptor_set_accessed(vcpu, gate_selector(gate), &code);
	if (status)
		return status;
	frame[n++] = cpu->seg[X86_CS].selector;
	frame[n++] = next_eip;
	status = stack_push_frame(vcpu, &stack, frame, n, opsize);
	if (status)
		return status;
	cpu->seg[X86_SS] = ss;
	stack_commit_esp(cpu, &ss, stack.esp);
	cs_commit(cpu, gate_selector(gate), code, new_cpl);
	cpu->eip = gate_offset(gate, opsize == 4);
	return X86_OK;
}

static enum x86_status through_call_gate(struct vcpu *vcpu, uint64_t gate, bool call,
					 uint32_t next_eip)
{
	struct cpu *cpu = &vcpu->cpu;
	bool gate32 = (descriptor_attr(gate) & SEG_TYPE) == SYS_CALL_GATE32;
	unsigned opsize = gate32 ? 4 : 2;
	uint64_t code;
	enum x86_status status = call_gate_target(vcpu, gate, call, &code);

	if (status)
		return status;
	if (!call)
		return jump_to_code(vcpu, gate_selector(gate), code, gate_offset(gate, gate32));
	if (!attr_is_conforming(descriptor_attr(code)) &&
	    attr_dpl(descriptor_attr(code)) < cpu->cpl)
		return call_inner(vcpu, gate, code, next_eip, opsize);
	return call_to_code(vcpu, gate_selector(gate), code, gate_offset(gate, gate32), next_eip,
			    opsize);
}

/* ---- far JMP and CALL ---- */

static enum x86_status to_system_descriptor(struct vcpu *vcpu, uint16_t selector,
					    uint64_t descriptor, bool call, uint32_t next_eip)
{
	struct cpu *cpu = &vcpu->cpu;
	uint16_t attr = descriptor_attr(descriptor);
	enum task_switch_kind kind = call ? TASK_SWITCH_CALL : TASK_SWITCH_JMP;
	enum x86_status status;

	switch (attr & SEG_TYPE) {
	case SYS_CALL_GATE16:
	case SYS_CALL_GATE32:
		status = gate_access_check(cpu, selector, attr);
		return status ? status : through_call_gate(vcpu, descriptor, call, next_eip);
	case SYS_TASK_GATE:
		status = gate_access_check(cpu, selector, attr);
		return status ? status :
				task_switch(vcpu, gate_selector(descriptor), kind, next_eip, false,
					    0);
	case SYS_TSS16_AVAIL:
	case SYS_TSS32_AVAIL:
		if (attr_dpl(attr) < cpu->cpl || attr_dpl(attr) < selector_rpl(selector))
			break;
		return task_switch(vcpu, selector, kind, next_eip, false, 0);
	}
	return fault_raise_error(cpu, EXC_GP, selector_error(selector));
}

static enum x86_status far_jump_real(struct cpu *cpu, uint16_t selector, uint32_t eip)
{
	enum x86_status status = eip_check(cpu, cpu->seg[X86_CS].limit, eip);

	if (status)
		return status;
	segment_set_real(cpu, X86_CS, selector);
	cpu->eip = eip;
	return X86_OK;
}

enum x86_status far_jump(struct vcpu *vcpu, uint16_t selector, uint32_t offset, uint32_t next_eip,
			 unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	enum x86_status status;

	assert(opsize == 2 || opsize == 4);
	offset = offset_truncate(offset, opsize);
	if (!cpu_uses_descriptors(cpu))
		return far_jump_real(cpu, selector, offset);
	status = descriptor_fetch(vcpu, selector, EXC_GP, &descriptor);
	if (status)
		return status;
	if (!(descriptor_attr(descriptor) & SEG_S))
		return to_system_descriptor(vcpu, selector, descriptor, false, next_eip);
	if (!attr_is_code(descriptor_attr(descriptor)))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	status = direct_target_check(cpu, selector, descriptor);
	return status ? status : jump_to_code(vcpu, selector, descriptor, offset);
}

static enum x86_status far_call_real(struct vcpu *vcpu, uint16_t selector, uint32_t eip,
				     uint32_t next_eip, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	const uint32_t frame[] = { cpu->seg[X86_CS].selector, next_eip };
	enum x86_status status = stack_check_push(cpu, &stack, RF_ARRAY_SIZE(frame), opsize);

	if (!status)
		status = eip_check(cpu, cpu->seg[X86_CS].limit, eip);
	if (!status)
		status = stack_push_frame(vcpu, &stack, frame, RF_ARRAY_SIZE(frame), opsize);
	if (status)
		return status;
	cpu->regs[X86_ESP] = stack.esp;
	segment_set_real(cpu, X86_CS, selector);
	cpu->eip = eip;
	return X86_OK;
}

enum x86_status far_call(struct vcpu *vcpu, uint16_t selector, uint32_t offset, uint32_t next_eip,
			 unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t descriptor;
	enum x86_status status;

	assert(opsize == 2 || opsize == 4);
	offset = offset_truncate(offset, opsize);
	if (!cpu_uses_descriptors(cpu))
		return far_call_real(vcpu, selector, offset, next_eip, opsize);
	status = descriptor_fetch(vcpu, selector, EXC_GP, &descriptor);
	if (status)
		return status;
	if (!(descriptor_attr(descriptor) & SEG_S))
		return to_system_descriptor(vcpu, selector, descriptor, true, next_eip);
	if (!attr_is_code(descriptor_attr(descriptor)))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	status = direct_target_check(cpu, selector, descriptor);
	return status ? status : call_to_code(vcpu, selector, descriptor, offset, next_eip, opsize);
}

/* ---- returning, shared by RET and IRET ---- */

enum x86_status return_code_check(struct vcpu *vcpu, uint16_t selector, uint64_t *descriptor)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned rpl = selector_rpl(selector);
	enum x86_status status = descriptor_fetch(vcpu, selector, EXC_GP, descriptor);
	uint16_t attr;

	if (status)
		return status;
	attr = descriptor_attr(*descriptor);
	if (!attr_is_code(attr) || rpl < cpu->cpl ||
	    (attr_is_conforming(attr) ? attr_dpl(attr) > rpl : attr_dpl(attr) != rpl))
		return fault_raise_error(cpu, EXC_GP, selector_error(selector));
	return attr & SEG_P ? X86_OK : fault_raise_error(cpu, EXC_NP, selector_error(selector));
}

/*
 * A less privileged level must not inherit segments it could not have loaded (SDM vol. 3, 5.8.6).
 */
static void drop_privileged_segments(struct cpu *cpu)
{
	static const enum x86_seg data[] = { X86_ES, X86_FS, X86_GS, X86_DS };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(data); i++) {
		uint16_t attr = cpu->seg[data[i]].attr;

		if (attr && !attr_is_conforming(attr) && attr_dpl(attr) < cpu->cpl)
			segment_set_null(cpu, data[i], 0);
	}
}

enum x86_status return_same_level(struct vcpu *vcpu, const struct return_target *to, uint64_t code,
				  uint32_t esp)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = eip_check(cpu, descriptor_limit(code), to->eip);

	if (!status)
		status = descriptor_set_accessed(vcpu, to->cs, &code);
	if (status)
		return status;
	stack_commit_esp(cpu, &cpu->seg[X86_SS], esp);
	cs_commit(cpu, to->cs, code, cpu->cpl);
	cpu->eip = to->eip;
	return X86_OK;
}

enum x86_status return_outer_level(struct vcpu *vcpu, const struct return_target *to, uint64_t code)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned cpl = selector_rpl(to->cs);
	uint64_t ss;
	enum x86_status status = stack_segment_check(vcpu, to->ss, cpl, EXC_GP, &ss);

	assert(cpl > cpu->cpl);
	if (!status)
		status = eip_check(cpu, descriptor_limit(code), to->eip);
	if (!status)
		status = descriptor_set_accessed(vcpu, to->cs, &code);
	if (status)
		return status;
	cpu->seg[X86_SS] = segment_from_descriptor(to->ss, ss);
	stack_commit_esp(cpu, &cpu->seg[X86_SS], to->esp);
	cs_commit(cpu, to->cs, code, cpl);
	cpu->eip = to->eip;
	drop_privileged_segments(cpu);
	return X86_OK;
}

/* ---- far RET ---- */

enum x86_status far_return(struct vcpu *vcpu, uint16_t release_bytes, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	struct return_target to = { 0 };
	uint32_t cs, ss;
	uint64_t code;
	enum x86_status status = stack_check_pop(cpu, &stack, 2 * opsize);

	if (!status)
		status = stack_read(vcpu, &stack, opsize, opsize, &cs);
	if (!status)
		status = stack_read(vcpu, &stack, 0, opsize, &to.eip);
	if (status)
		return status;
	to.cs = cs;
	if (!cpu_uses_descriptors(cpu)) {
		status = far_jump_real(cpu, to.cs, to.eip);
		if (!status)
			stack_commit_esp(cpu, stack.ss, stack.esp + 2 * opsize + release_bytes);
		return status;
	}
	status = return_code_check(vcpu, to.cs, &code);
	if (status)
		return status;
	if (selector_rpl(to.cs) == cpu->cpl)
		return return_same_level(vcpu, &to, code, stack.esp + 2 * opsize + release_bytes);
	status = stack_check_pop(cpu, &stack, 4 * opsize + release_bytes);
	if (!status)
		status = stack_read(vcpu, &stack, 3 * opsize + release_bytes, opsize, &ss);
	if (!status)
		status = stack_read(vcpu, &stack, 2 * opsize + release_bytes, opsize, &to.esp);
	if (status)
		return status;
	to.ss = ss;
	to.esp += release_bytes;
	return return_outer_level(vcpu, &to, code);
}

/* ---- SYSENTER and SYSEXIT ---- */

static struct segment flat_segment(uint16_t selector, bool code, unsigned dpl)
{
	return (struct segment){
		.selector = selector,
		.attr = SEG_G | SEG_DB | SEG_P | dpl << SEG_DPL_SHIFT | SEG_S |
			(code ? SEG_CODE : 0) | SEG_WRITABLE | SEG_ACCESSED,
		.limit = 0xffffffff,
	};
}

static void load_flat_segments(struct cpu *cpu, uint16_t cs, unsigned cpl)
{
	cpu->seg[X86_CS] = flat_segment(cs | cpl, true, cpl);
	cpu->seg[X86_SS] = flat_segment((cs + 8) | cpl, false, cpl);
	cpu->cpl = cpl;
}

enum x86_status sysenter(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	if (!cpu_is_protected(cpu) || selector_is_null(cpu->sysenter_cs))
		return fault_raise_error(cpu, EXC_GP, 0);
	cpu->eflags &= ~(X86_VM | X86_IF | X86_RF);
	load_flat_segments(cpu, cpu->sysenter_cs & ~SELECTOR_RPL, 0);
	cpu->regs[X86_ESP] = cpu->sysenter_esp;
	cpu->eip = cpu->sysenter_eip;
	return X86_OK;
}

enum x86_status sysexit(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	if (!cpu_is_protected(cpu) || selector_is_null(cpu->sysenter_cs) || cpu->cpl)
		return fault_raise_error(cpu, EXC_GP, 0);
	load_flat_segments(cpu, (cpu->sysenter_cs & ~SELECTOR_RPL) + 16, 3);
	cpu->regs[X86_ESP] = cpu->regs[X86_ECX];
	cpu->eip = cpu->regs[X86_EDX];
	return X86_OK;
}
