/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: decimal adjustment (SDM vol. 2, AAA, AAD, AAM, AAS, DAA, DAS). 64-bit mode has none of these, so the host cannot do
 * them; flags the manual leaves undefined follow what processors do: SF, ZF and PF from the result.
 */
#include "interp_internal.h"

/* SF, ZF, PF of AL; clears OF, leaves CF and AF. */
static void flags_of_al(struct cpu *cpu)
{
	uint8_t al = cpu->regs[X86_EAX];

	cpu->eflags &= ~(X86_SF | X86_ZF | X86_PF | X86_OF);
	cpu->eflags |= (al & 0x80 ? X86_SF : 0) | (al ? 0 : X86_ZF) | (__builtin_parity(al) ? 0 : X86_PF);
}

static void set_flag(struct cpu *cpu, uint32_t flag, bool value)
{
	cpu->eflags = value ? cpu->eflags | flag : cpu->eflags & ~flag;
}

static enum x86_status decimal_adjust(struct cpu *cpu, int sign)
{
	uint8_t *al = reg8(cpu, 0), old = *al;
	bool carry = cpu->eflags & X86_CF, low = (old & 0xf) > 9 || cpu->eflags & X86_AF;
	bool high = old > 0x99 || carry, borrow = false;

	if (low) {
		borrow = sign < 0 && old < 6;
		*al += sign * 6;
	}
	if (high)
		*al += sign * 0x60;
	set_flag(cpu, X86_AF, low);
	set_flag(cpu, X86_CF, high || (low && carry) || borrow);
	flags_of_al(cpu);
	return X86_OK;
}

enum x86_status op_daa(struct vcpu *vcpu, const struct insn *i)
{
	return decimal_adjust(&vcpu->cpu, 1);
}

enum x86_status op_das(struct vcpu *vcpu, const struct insn *i)
{
	return decimal_adjust(&vcpu->cpu, -1);
}

static enum x86_status ascii_adjust(struct cpu *cpu, int sign)
{
	bool adjust = (cpu->regs[X86_EAX] & 0xf) > 9 || cpu->eflags & X86_AF;

	if (adjust)
		*reg16(cpu, X86_EAX) += sign * 0x106;
	*reg8(cpu, 0) &= 0xf;
	set_flag(cpu, X86_AF, adjust);
	set_flag(cpu, X86_CF, adjust);
	flags_of_al(cpu);
	return X86_OK;
}

enum x86_status op_aaa(struct vcpu *vcpu, const struct insn *i)
{
	return ascii_adjust(&vcpu->cpu, 1);
}

enum x86_status op_aas(struct vcpu *vcpu, const struct insn *i)
{
	return ascii_adjust(&vcpu->cpu, -1);
}

enum x86_status op_aam(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint8_t al = cpu->regs[X86_EAX], base = i->imm;

	if (base == 0)
		return fault_raise(cpu, EXC_DE);
	*reg16(cpu, X86_EAX) = (al / base) << 8 | al % base;
	cpu->eflags &= ~(X86_CF | X86_AF);
	flags_of_al(cpu);
	return X86_OK;
}

enum x86_status op_aad(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint16_t ax = cpu->regs[X86_EAX];

	*reg16(cpu, X86_EAX) = (uint8_t)((ax & 0xff) + (ax >> 8) * i->imm);
	cpu->eflags &= ~(X86_CF | X86_AF);
	flags_of_al(cpu);
	return X86_OK;
}
