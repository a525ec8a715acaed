/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: the stack. SS.B says whether ESP or SP is used; the operand size says how much
 * moves. ESP changes only when all memory accesses have succeeded.
 */
#include "internal.h"

#define INLINE static __attribute__((always_inline)) inline

INLINE enum x86_status push_reg(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	return push_value(vcpu, reg_get(&vcpu->cpu, i->opcode & 7, size), size);
}

INLINE enum x86_status pop_reg(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t value;

	RETURN_IF_FAULT(peek_value(vcpu, 0, size, &value));
	stack_set(cpu, cpu->regs[X86_ESP] + size);
	reg_set(cpu, i->opcode & 7, value, size);
	return X86_OK;
}

static enum x86_status push_reg_2(struct vcpu *vcpu, const struct insn *i)
{
	return push_reg(vcpu, i, 2);
}

static enum x86_status push_reg_4(struct vcpu *vcpu, const struct insn *i)
{
	return push_reg(vcpu, i, 4);
}

static enum x86_status pop_reg_2(struct vcpu *vcpu, const struct insn *i)
{
	return pop_reg(vcpu, i, 2);
}

static enum x86_status pop_reg_4(struct vcpu *vcpu, const struct insn *i)
{
	return pop_reg(vcpu, i, 4);
}

/* 68, 6A */
static enum x86_status push_imm(struct vcpu *vcpu, const struct insn *i)
{
	return push_value(vcpu, i->imm, i->op_size);
}

/* FF /6 */
static enum x86_status push_rm(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t value;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &value));
	return push_value(vcpu, value, i->op_size);
}

/* 8F /0. An address based on ESP is computed with ESP already raised (SDM vol. 2, POP). */
static enum x86_status pop_rm(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t saved = cpu->regs[X86_ESP], value;
	enum x86_status status;

	RETURN_IF_FAULT(peek_value(vcpu, 0, i->op_size, &value));
	stack_set(cpu, saved + i->op_size);
	status = rm_write(vcpu, i, i->op_size, value);
	if (status)
		cpu->regs[X86_ESP] = saved;
	return status;
}

/* 60 */
static enum x86_status op_pusha(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t top = cpu->regs[X86_ESP], mask = stack_mask(cpu);

	for (unsigned n = 0; n < 8; n++)
		RETURN_IF_FAULT(seg_write(vcpu, X86_SS, (top - (n + 1) * i->op_size) & mask,
					  i->op_size, cpu->regs[n]));
	stack_set(cpu, top - 8 * i->op_size);
	return X86_OK;
}

/* 61: the saved ESP is skipped. */
static enum x86_status op_popa(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t values[8];

	for (unsigned n = 0; n < 8; n++)
		RETURN_IF_FAULT(peek_value(vcpu, n * i->op_size, i->op_size, &values[7 - n]));
	for (unsigned n = 0; n < 8; n++)
		if (n != X86_ESP)
			reg_set(cpu, n, values[n], i->op_size);
	stack_set(cpu, cpu->regs[X86_ESP] + 8 * i->op_size);
	return X86_OK;
}

/* Which segment register an opcode of the PUSH/POP families names. */
static enum x86_seg segment_of(const struct insn *i)
{
	return (i->opcode >> 3) & (i->map == MAP_0F ? 7 : 3);
}

static enum x86_status push_seg(struct vcpu *vcpu, const struct insn *i)
{
	return push_value(vcpu, vcpu->cpu.seg[segment_of(i)].selector, i->op_size);
}

static enum x86_status pop_seg(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t value, esp = cpu->regs[X86_ESP], mask = stack_mask(cpu);

	/*
	 * Only the selector is read, however far ESP moves: processors do so at the end of a page
	 * too.
	 */
	RETURN_IF_FAULT(peek_value(vcpu, 0, 2, &value));
	RETURN_IF_FAULT(segment_load(vcpu, segment_of(i), value));
	/* The width of the increment is that of the stack the value came from. */
	cpu->regs[X86_ESP] = (esp & ~mask) | ((esp + i->op_size) & mask);
	if (segment_of(i) == X86_SS)
		cpu->inhibit |= INHIBIT_MOVSS;
	return X86_OK;
}

/* 9C. VM and RF read as zero (SDM vol. 2, PUSHF). */
static enum x86_status op_pushf(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	if (cpu_is_v86(cpu) && (cpu->eflags & X86_IOPL) != X86_IOPL) {
		if (i->op_size == 2 && virtual_flags_in_v86(cpu))
			return push_value(vcpu, virtual_flags(cpu), 2);
		return raise_gp(vcpu);
	}
	return push_value(vcpu, (cpu->eflags & ~(X86_VM | X86_RF)) | X86_F1, i->op_size);
}

/* 9D */
static enum x86_status op_popf(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	const bool virtual = i->op_size == 2 && virtual_flags_in_v86(cpu);
	uint32_t value;

	if (cpu_is_v86(cpu) && cpu_iopl(cpu) < 3 && !virtual)
		return raise_gp(vcpu);
	RETURN_IF_FAULT(peek_value(vcpu, 0, i->op_size, &value));
	if (virtual)
		RETURN_IF_FAULT(virtual_flags_check(cpu, value));
	stack_set(cpu, cpu->regs[X86_ESP] + i->op_size);
	if (virtual)
		virtual_flags_load(cpu, value);
	else
		cpu->eflags = eflags_merge(cpu, value, i->op_size);
	return X86_OK;
}

/* C9: through EBP; ESP itself is only replaced at the end. */
static enum x86_status op_leave(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t mask = stack_mask(cpu), frame = cpu->regs[X86_EBP] & mask, value;

	RETURN_IF_FAULT(seg_read(vcpu, X86_SS, frame, i->op_size, &value));
	stack_set(cpu, frame + i->op_size);
	reg_set(cpu, X86_EBP, value, i->op_size);
	return X86_OK;
}

/*
 * C8 (SDM vol. 2, ENTER): the display of outer frames is copied, then room is made; the new top
 * must be writable.
 */
static enum x86_status op_enter(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = i->op_size, level = i->imm2 & 31;
	uint32_t mask = stack_mask(cpu), esp = cpu->regs[X86_ESP], ebp = cpu->regs[X86_EBP], frame,
		 value = 0;
	struct rmw probe;

	esp -= size;
	RETURN_IF_FAULT(seg_write(vcpu, X86_SS, esp & mask, size, ebp));
	frame = (cpu->regs[X86_ESP] & ~mask) | (esp & mask);
	for (unsigned n = 1; n < level; n++) {
		ebp -= size;
		esp -= size;
		RETURN_IF_FAULT(seg_read(vcpu, X86_SS, ebp & mask, size, &value));
		RETURN_IF_FAULT(seg_write(vcpu, X86_SS, esp & mask, size, value));
	}
	if (level) {
		esp -= size;
		RETURN_IF_FAULT(seg_write(vcpu, X86_SS, esp & mask, size, frame));
	}
	esp -= i->imm;
	RETURN_IF_FAULT(rmw_begin(vcpu, X86_SS, esp & mask, size, &probe, &value));
	stack_set(cpu, esp);
	reg_set(cpu, X86_EBP, frame, size);
	return X86_OK;
}

insn_handler pick_stack(const struct insn *i)
{
	if (i->map == MAP_0F)
		return i->opcode & 1 ? pop_seg : push_seg;
	switch (i->opcode) {
	case 0x50 ... 0x57: return i->op_size == 4 ? push_reg_4 : push_reg_2;
	case 0x58 ... 0x5f: return i->op_size == 4 ? pop_reg_4 : pop_reg_2;
	case 0x60: return op_pusha;
	case 0x61: return op_popa;
	case 0x68: case 0x6a: return push_imm;
	case 0x8f: return pop_rm;
	case 0x9c: return op_pushf;
	case 0x9d: return op_popf;
	case 0xc8: return op_enter;
	case 0xc9: return op_leave;
	case 0xff: return push_rm;
	default: return i->opcode & 1 ? pop_seg : push_seg;
	}
}
