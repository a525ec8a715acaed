/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: decimal adjustment (SDM vol. 2, AAA, AAD, AAM, AAS, DAA, DAS). 64-bit mode has none
 * of these, so they are done by hand. Flags the manual leaves undefined are those of the addition
 * or subtraction inside, as processors have it (the host, in 32-bit code, is the judge:
 * tests/test_interp_host.c).
 */
#include "internal.h"

static void set_flag(struct cpu *cpu, uint32_t flag, bool value)
{
	cpu->eflags = value ? cpu->eflags | flag : cpu->eflags & ~flag;
}

/* AL +- by, AX +- by, with all flags. */
#define HOST_ADJUST(cpu, mnemonic, reg, by) \
	({ uint32_t ax_; \
	   asm(mnemonic " %[src], %[dst]" ASM_SAVE_FLAGS \
	       : [dst] "+q" (*(reg)), "=a" (ax_) : [src] "q" (by) : "cc"); \
	   flags_from_ax(cpu, ax_); })

static enum x86_status decimal_adjust(struct cpu *cpu, bool subtract)
{
	uint8_t *al = reg8(cpu, 0), old = *al;
	bool carry = cpu->eflags & X86_CF, low = (old & 0xf) > 9 || cpu->eflags & X86_AF;
	bool high = old > 0x99 || carry, borrow = low && subtract && old < 6;
	uint8_t by = (low ? 6 : 0) + (high ? 0x60 : 0), result = old;

	if (subtract)
		HOST_ADJUST(cpu, "subb", &result, by);
	else
		HOST_ADJUST(cpu, "addb", &result, by);
	*al = result;
	set_flag(cpu, X86_AF, low);
	set_flag(cpu, X86_CF, high || borrow);
	return X86_OK;
}

enum x86_status op_daa(struct vcpu *vcpu, const struct insn *i)
{
	return decimal_adjust(&vcpu->cpu, false);
}

enum x86_status op_das(struct vcpu *vcpu, const struct insn *i)
{
	return decimal_adjust(&vcpu->cpu, true);
}

static enum x86_status ascii_adjust(struct cpu *cpu, bool subtract)
{
	bool adjust = (cpu->regs[X86_EAX] & 0xf) > 9 || cpu->eflags & X86_AF;
	uint16_t result = cpu->regs[X86_EAX], by = adjust ? 0x106 : 0;

	if (subtract)
		HOST_ADJUST(cpu, "subw", &result, by);
	else
		HOST_ADJUST(cpu, "addw", &result, by);
	*reg16(cpu, X86_EAX) = result & 0xff0f;
	set_flag(cpu, X86_AF, adjust);
	set_flag(cpu, X86_CF, adjust);
	return X86_OK;
}

enum x86_status op_aaa(struct vcpu *vcpu, const struct insn *i)
{
	return ascii_adjust(&vcpu->cpu, false);
}

enum x86_status op_aas(struct vcpu *vcpu, const struct insn *i)
{
	return ascii_adjust(&vcpu->cpu, true);
}

enum x86_status op_aam(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint8_t al = cpu->regs[X86_EAX], base = i->imm, remainder;

	if (base == 0)
		return fault_raise(cpu, EXC_DE);
	remainder = al % base;
	*reg16(cpu, X86_EAX) = (al / base) << 8 | remainder;
	HOST_ADJUST(cpu, "orb", &remainder, (uint8_t)0);
	return X86_OK;
}

enum x86_status op_aad(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint16_t ax = cpu->regs[X86_EAX];
	uint8_t al = ax, tens = (ax >> 8) * i->imm;

	HOST_ADJUST(cpu, "addb", &al, tens);
	*reg16(cpu, X86_EAX) = al;
	return X86_OK;
}
