/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: control transfers. cpu->eip is the next instruction on entry. Far ones put it back
 * to their own address first (internal.h says why) and leave the rest to processor/processor.h.
 */
#include "internal.h"

#define INLINE static __attribute__((always_inline)) inline

/* --- Jcc --- */

INLINE enum x86_status jcc(struct vcpu *vcpu, const struct insn *i, unsigned cc)
{
	if (!condition(vcpu->cpu.eflags, cc))
		return X86_OK;
	return jump_near(vcpu, vcpu->cpu.eip + i->imm, i->op_size);
}

#define JCC(cc) \
	static enum x86_status jcc_##cc(struct vcpu *vcpu, const struct insn *i) \
	{ return jcc(vcpu, i, 0x##cc); }
JCC(0) JCC(1) JCC(2) JCC(3) JCC(4) JCC(5) JCC(6) JCC(7)
JCC(8) JCC(9) JCC(a) JCC(b) JCC(c) JCC(d) JCC(e) JCC(f)

insn_handler pick_jcc(const struct insn *i)
{
	static const insn_handler handlers[16] = {
		jcc_0, jcc_1, jcc_2, jcc_3, jcc_4, jcc_5, jcc_6, jcc_7, jcc_8, jcc_9, jcc_a, jcc_b,
		jcc_c, jcc_d, jcc_e, jcc_f,
	};

	return handlers[i->opcode & 15];
}

/* E0..E3: the counter's width is the address size. */
enum x86_status op_loop(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t count = reg_get(cpu, X86_ECX, i->addr_size), zf = cpu->eflags & X86_ZF;
	bool taken;

	if (i->opcode == 0xe3)
		return count ? X86_OK : jump_near(vcpu, cpu->eip + i->imm, i->op_size);
	count--;
	if (i->addr_size == 2)
		count &= 0xffff;
	taken = count && (i->opcode == 0xe2 || (i->opcode == 0xe1 ? zf : !zf));
	if (taken)
		RETURN_IF_FAULT(jump_near(vcpu, cpu->eip + i->imm, i->op_size));
	reg_set(cpu, X86_ECX, count, i->addr_size);
	return X86_OK;
}

enum x86_status op_jmp_rel(struct vcpu *vcpu, const struct insn *i)
{
	return jump_near(vcpu, vcpu->cpu.eip + i->imm, i->op_size);
}

/* Pushes the return address and goes to target; the target is judged before anything is stored. */
static enum x86_status call_near(struct vcpu *vcpu, uint32_t target, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t next = cpu->eip;
	enum x86_status status;

	RETURN_IF_FAULT(jump_near(vcpu, target, size));
	status = push_value(vcpu, next, size);
	if (status)
		cpu->eip = next;
	return status;
}

enum x86_status op_call_rel(struct vcpu *vcpu, const struct insn *i)
{
	return call_near(vcpu, vcpu->cpu.eip + i->imm, i->op_size);
}

/* C2, C3 */
enum x86_status op_ret(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t target;

	RETURN_IF_FAULT(peek_value(vcpu, 0, i->op_size, &target));
	RETURN_IF_FAULT(jump_near(vcpu, target, i->op_size));
	stack_set(cpu, cpu->regs[X86_ESP] + i->op_size + i->imm);
	return X86_OK;
}

/* --- Far transfers --- */

/* Puts eip back and returns where the next instruction is. */
static uint32_t rewind_eip(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t next = vcpu->cpu.eip;

	vcpu->cpu.eip = next - i->len;
	return next;
}

/* 9A, EA */
enum x86_status op_far_direct(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t next = rewind_eip(vcpu, i);

	return i->opcode == 0x9a ? far_call(vcpu, i->imm2, i->imm, next, i->op_size) :
				   far_jump(vcpu, i->imm2, i->imm, next, i->op_size);
}

/* FF /3, /5 */
static enum x86_status far_indirect(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t next = rewind_eip(vcpu, i), offset;
	uint16_t selector;

	RETURN_IF_FAULT(interp_read_pointer(vcpu, i->seg, insn_ea(&vcpu->cpu, i), i->op_size,
					    &offset, &selector));
	return (insn_reg(i) == 3 ? far_call : far_jump)(vcpu, selector, offset, next, i->op_size);
}

/* What comes after this reads the stack without regard to EFLAGS.AC, which seldom is set. */
static enum x86_status check_alignment_of_stack(struct vcpu *vcpu, unsigned opsize)
{
	uint32_t unused;

	return vcpu->cpu.eflags & X86_AC && !(vcpu->cpu.eflags & (X86_VM | X86_NT)) ?
		       peek_value(vcpu, 0, opsize, &unused) :
		       X86_OK;
}

enum x86_status op_retf(struct vcpu *vcpu, const struct insn *i)
{
	rewind_eip(vcpu, i);
	RETURN_IF_FAULT(check_alignment_of_stack(vcpu, i->op_size));
	return far_return(vcpu, i->imm, i->op_size);
}

enum x86_status op_iret(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t next = rewind_eip(vcpu, i);

	RETURN_IF_FAULT(check_alignment_of_stack(vcpu, i->op_size));
	return iret(vcpu, next, i->op_size);
}

enum x86_status op_sysenter(struct vcpu *vcpu, const struct insn *i)
{
	rewind_eip(vcpu, i);
	return sysenter(vcpu);
}

enum x86_status op_sysexit(struct vcpu *vcpu, const struct insn *i)
{
	rewind_eip(vcpu, i);
	return sysexit(vcpu);
}

/* CC, CD, F1. In v86 mode INT n, whatever n is, is judged by IOPL; INT3 is not (interrupt_n()). */
enum x86_status op_int(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t next = rewind_eip(vcpu, i);

	if (i->opcode == 0xf1)
		return software_interrupt(vcpu, EXC_DB, next, false);
	if (i->opcode == 0xcd)
		return interrupt_n(vcpu, i->imm, next);
	return software_interrupt(vcpu, EXC_BP, next, true);
}

/* CE */
enum x86_status op_into(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t next;

	if (!(vcpu->cpu.eflags & X86_OF))
		return X86_OK;
	next = rewind_eip(vcpu, i);
	return software_interrupt(vcpu, EXC_OF, next, true);
}

/* 62: the bounds are signed and both inclusive. */
static int32_t sign_extend(uint32_t value, unsigned size)
{
	return size == 4 ? (int32_t)value : (int16_t)value;
}

enum x86_status op_bound(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint32_t ea = insn_ea(cpu, i), mask = i->addr_size == 4 ? 0xffffffffu : 0xffffu;
	const unsigned size = i->op_size;
	uint32_t low, high, index = reg_get(cpu, insn_reg(i), size);

	/* An index below the lower bound does not ask for the upper one. */
	RETURN_IF_FAULT(seg_read(vcpu, i->seg, ea, size, &low));
	if (sign_extend(index, size) < sign_extend(low, size))
		return fault_raise(cpu, EXC_BR);
	RETURN_IF_FAULT(seg_read(vcpu, i->seg, (ea + size) & mask, size, &high));
	return sign_extend(index, size) > sign_extend(high, size) ? fault_raise(cpu, EXC_BR) :
								    X86_OK;
}

/* --- FF group --- */

static enum x86_status call_rm(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t target;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &target));
	return call_near(vcpu, target, i->op_size);
}

static enum x86_status jmp_rm(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t target;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &target));
	return jump_near(vcpu, target, i->op_size);
}

insn_handler pick_group_ff(const struct insn *i)
{
	switch (insn_reg(i)) {
	case 2: return call_rm;
	case 4: return jmp_rm;
	case 6: return pick_stack(i);
	case 3: case 5: return far_indirect;
	default: return pick_incdec(i);
	}
}
