/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IRET (SDM vol. 2, "IRET/IRETD"): in real and virtual-8086 mode, to the same and to an outer
 * level, into virtual-8086 mode, and back from a nested task.
 */
#include <assert.h>
#include "far_transfer.h"

#define IRET_FLAGS (X86_ARITH_FLAGS | X86_TF | X86_DF | X86_NT)

static uint32_t flags_replace(const struct cpu *cpu, uint32_t popped, uint32_t mask,
			      unsigned opsize)
{
	if (opsize == 2)
		mask &= 0xffff;
	return (cpu->eflags & ~mask) | (popped & mask) | X86_F1;
}

/* EFLAGS after an IRET in protected mode that was executed at the current CPL. */
static uint32_t iret_eflags(const struct cpu *cpu, uint32_t popped, unsigned opsize)
{
	uint32_t mask = IRET_FLAGS | X86_RF | X86_AC | X86_ID;

	if (cpu->cpl <= cpu_iopl(cpu))
		mask |= X86_IF;
	if (cpu->cpl == 0)
		mask |= X86_IOPL | X86_VIF | X86_VIP;
	return flags_replace(cpu, popped, mask, opsize);
}

/* EIP, CS and EFLAGS from the top of the stack. */
static enum x86_status iret_pop(struct vcpu *vcpu, const struct stack_frame *stack, unsigned opsize,
				struct return_target *to, uint32_t *eflags)
{
	uint32_t cs = 0, items[3];
	bool whole = false;
	enum x86_status status = X86_OK;

	if (opsize == 4)
		status = stack_read_dwords(vcpu, stack, 0, 3, items, &whole);
	if (whole && !status) {
		*to = (struct return_target){ .eip = items[0], .cs = items[1] };
		*eflags = items[2];
	}
	if (whole || status)
		return status;
	status = stack_check_pop(&vcpu->cpu, stack, 3 * opsize);
	if (!status)
		status = stack_read(vcpu, stack, 0, opsize, &to->eip);
	if (!status)
		status = stack_read(vcpu, stack, opsize, opsize, &cs);
	if (!status)
		status = stack_read(vcpu, stack, 2 * opsize, opsize, eflags);
	to->cs = cs;
	return status;
}

/* ESP and SS of an outer level, which lie above those three. */
static enum x86_status iret_pop_stack(struct vcpu *vcpu, const struct stack_frame *stack,
				      unsigned opsize, struct return_target *to)
{
	uint32_t items[2] = { 0 };
	bool whole = false;
	enum x86_status status = X86_OK;

	if (opsize == 4 && stack_contiguous(stack, 0, 5 * 4))
		status = stack_read_dwords(vcpu, stack, 3 * 4, 2, items, &whole);
	if (!whole && !status) {
		status = stack_check_pop(&vcpu->cpu, stack, 5 * opsize);
		if (!status)
			status = stack_read(vcpu, stack, 3 * opsize, opsize, &items[0]);
		if (!status)
			status = stack_read(vcpu, stack, 4 * opsize, opsize, &items[1]);
	}
	to->esp = items[0];
	to->ss = items[1];
	return status;
}

static enum x86_status iret_real(struct vcpu *vcpu, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	uint32_t mask = IRET_FLAGS | X86_IF | X86_IOPL | X86_RF | X86_AC | X86_ID, eflags;
	struct return_target to;
	const bool virtual = opsize == 2 && virtual_flags_in_v86(cpu);
	enum x86_status status;

	if (cpu_is_v86(cpu)) {
		if (cpu_iopl(cpu) < 3 && !virtual)
			return fault_raise_error(cpu, EXC_GP, 0);
		mask &= ~X86_IOPL;
	}
	status = iret_pop(vcpu, &stack, opsize, &to, &eflags);
	if (!status && virtual)
		status = virtual_flags_check(cpu, eflags);
	if (status)
		return status;
	if (to.eip > cpu->seg[X86_CS].limit)
		return fault_raise_error(cpu, EXC_GP, 0);
	stack_commit_esp(cpu, stack.ss, stack.esp + 3 * opsize);
	segment_set_real(cpu, X86_CS, to.cs);
	cpu->eip = to.eip;
	if (virtual)
		virtual_flags_load(cpu, eflags);
	else
		cpu->eflags = flags_replace(cpu, eflags, mask, opsize);
	return X86_OK;
}

/* The popped EFLAGS has VM set at CPL 0: ESP, SS, ES, DS, FS and GS follow. */
static enum x86_status iret_to_v86(struct vcpu *vcpu, const struct stack_frame *stack,
				   const struct return_target *to, uint32_t eflags)
{
	static const enum x86_seg order[] = { X86_SS, X86_ES, X86_DS, X86_FS, X86_GS };
	struct cpu *cpu = &vcpu->cpu;
	uint16_t selectors[X86_NSEG];
	uint32_t esp, value;
	enum x86_status status = stack_check_pop(cpu, stack, 36);

	if (!status)
		status = stack_read(vcpu, stack, 12, 4, &esp);
	for (unsigned i = 0; i < RF_ARRAY_SIZE(order) && !status; i++) {
		status = stack_read(vcpu, stack, 16 + 4 * i, 4, &value);
		selectors[order[i]] = value;
	}
	if (status)
		return status;
	if (to->eip > 0xffff)
		return fault_raise_error(cpu, EXC_GP, 0);
	selectors[X86_CS] = to->cs;
	cpu->eflags = (eflags & EFLAGS_IMPLEMENTED) | X86_F1;
	segments_set_v86(cpu, selectors);
	cpu->regs[X86_ESP] = esp;
	cpu->eip = to->eip;
	return X86_OK;
}

/* NT is set: back to the task whose TSS the current one links to. */
static enum x86_status iret_task(struct vcpu *vcpu, uint32_t next_eip)
{
	uint16_t link;
	enum x86_status status =
		mem_read(vcpu, vcpu->cpu.tr.base, &link, sizeof(link), ACCESS_READ);

	return status ? status : task_switch(vcpu, link, TASK_SWITCH_IRET, next_eip, false, 0);
}

static enum x86_status iret_protected(struct vcpu *vcpu, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	struct stack_frame stack = stack_current(cpu);
	struct return_target to;
	uint32_t eflags;
	uint64_t code;
	enum x86_status status = iret_pop(vcpu, &stack, opsize, &to, &eflags);

	if (status)
		return status;
	if (opsize == 4 && (eflags & X86_VM) && cpu->cpl == 0)
		return iret_to_v86(vcpu, &stack, &to, eflags);
	eflags = iret_eflags(cpu, eflags, opsize);
	status = return_code_check(vcpu, to.cs, &code);
	if (status)
		return status;
	if (selector_rpl(to.cs) == cpu->cpl) {
		status = return_same_level(vcpu, &to, code, stack.esp + 3 * opsize);
	} else {
		status = iret_pop_stack(vcpu, &stack, opsize, &to);
		if (!status)
			status = return_outer_level(vcpu, &to, code);
	}
	if (!status)
		cpu->eflags = eflags;
	return status;
}

enum x86_status iret(struct vcpu *vcpu, uint32_t next_eip, unsigned opsize)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status;

	assert(opsize == 2 || opsize == 4);
	if (!cpu_uses_descriptors(cpu))
		status = iret_real(vcpu, opsize);
	else if (cpu->eflags & X86_NT)
		status = iret_task(vcpu, next_eip);
	else
		status = iret_protected(vcpu, opsize);
	/* NMIs are let through again even if the IRET faults (SDM vol. 3, 6.7.1). */
	cpu->nmi_blocked = false;
	return status;
}
