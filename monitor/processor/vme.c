/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual interrupt flags (SDM vol. 3, 20.3 and 20.4): what CLI, STI, PUSHF, POPF, IRET and INT n
 * do under CR4.VME in virtual-8086 mode, and CLI and STI under CR4.PVI in ring 3, where IOPL would
 * have them fault. VIF stands for IF; VIP makes an attempt to set it fault.
 *
 * VIF and VIP are not looked at otherwise: an image of EFLAGS with both set can be loaded.
 */
#include "stack_frame.h"
#include "tss.h"

bool virtual_flags_in_v86(const struct cpu *cpu)
{
	return cpu_is_v86(cpu) && cpu->cr4 & CR4_VME && cpu_iopl(cpu) < 3;
}

bool virtual_interrupt_flag(const struct cpu *cpu)
{
	if (cpu_is_v86(cpu))
		return virtual_flags_in_v86(cpu);
	return cpu->cr4 & CR4_PVI && cpu->cpl == 3 && cpu_iopl(cpu) < 3;
}

enum x86_status virtual_interrupt_flag_set(struct cpu *cpu, bool value)
{
	if (value && cpu->eflags & X86_VIP)
		return fault_raise_error(cpu, EXC_GP, 0);
	cpu->eflags = value ? cpu->eflags | X86_VIF : cpu->eflags & ~X86_VIF;
	return X86_OK;
}

uint16_t virtual_flags(const struct cpu *cpu)
{
	uint32_t flags = (cpu->eflags & ~X86_IF) | X86_IOPL | X86_F1;

	return cpu->eflags & X86_VIF ? flags | X86_IF : flags;
}

enum x86_status virtual_flags_check(struct cpu *cpu, uint16_t flags)
{
	const bool pending = flags & X86_IF && cpu->eflags & X86_VIP;

	return pending || flags & X86_TF ? fault_raise_error(cpu, EXC_GP, 0) : X86_OK;
}

void virtual_flags_load(struct cpu *cpu, uint16_t flags)
{
	const uint32_t loaded = X86_ARITH_FLAGS | X86_DF | X86_NT;

	cpu->eflags = (cpu->eflags & ~(loaded | X86_TF | X86_RF | X86_VIF)) | (flags & loaded) |
		      (flags & X86_IF ? X86_VIF : 0) | X86_F1;
}

/*
 * Whether the redirection bitmap, the 32 bytes below the I/O permission bitmap, leaves the vector
 * to the program (SDM vol. 3, 20.3.3; its bit is clear).
 */
static enum x86_status left_to_program(struct vcpu *vcpu, uint8_t vector, bool *is)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t offset;
	uint16_t map;
	uint8_t bits;
	enum x86_status status;

	if (!attr_is_tss32(cpu->tr.attr) || cpu->tr.limit < sizeof(struct tss32) - 1)
		return fault_raise_error(cpu, EXC_GP, 0);
	status = mem_load(vcpu, cpu->tr.base + offsetof(struct tss32, io_map), &map, 2, 0);
	if (status)
		return status;
	offset = map - 32u + vector / 8;
	if (offset > cpu->tr.limit)
		return fault_raise_error(cpu, EXC_GP, 0);
	status = mem_load(vcpu, cpu->tr.base + offset, &bits, 1, 0);
	*is = !(bits >> (vector & 7) & 1);
	return status;
}

/* As real mode would, through the vector table at linear address 0. */
static enum x86_status enter_own_handler(struct vcpu *vcpu, uint8_t vector, uint32_t next_eip)
{
	struct cpu *cpu = &vcpu->cpu;
	const bool own_if = cpu_iopl(cpu) == 3;

	return enter_by_vector_table(vcpu, vector * 4u,
				     own_if ? cpu->eflags : virtual_flags(cpu), next_eip,
				     X86_TF | X86_RF | (own_if ? X86_IF : X86_VIF));
}

enum x86_status interrupt_n(struct vcpu *vcpu, uint8_t vector, uint32_t next_eip)
{
	struct cpu *cpu = &vcpu->cpu;
	bool own = false;
	enum x86_status status;

	if (cpu_is_v86(cpu) && cpu->cr4 & CR4_VME) {
		status = left_to_program(vcpu, vector, &own);
		if (status)
			return status;
	}
	if (own)
		return enter_own_handler(vcpu, vector, next_eip);
	if (cpu_is_v86(cpu) && cpu_iopl(cpu) < 3)
		return fault_raise_error(cpu, EXC_GP, 0);
	return software_interrupt(vcpu, vector, next_eip, true);
}
