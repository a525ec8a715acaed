/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interpreter: data movement without arithmetic, and single-flag instructions. */
#include "internal.h"

#define INLINE static __attribute__((always_inline)) inline

/* --- MOV: 88..8B, A0..A3, B0..BF, C6, C7 --- */

INLINE enum x86_status mov_store(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	return rm_write(vcpu, i, size, reg_get(&vcpu->cpu, insn_reg(i), size));
}

INLINE enum x86_status mov_load(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	uint32_t value;

	RETURN_IF_FAULT(rm_read(vcpu, i, size, &value));
	reg_set(&vcpu->cpu, insn_reg(i), value, size);
	return X86_OK;
}

INLINE enum x86_status mov_load_acc(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	uint32_t value;

	RETURN_IF_FAULT(seg_read(vcpu, i->seg, i->disp, size, &value));
	reg_set(&vcpu->cpu, X86_EAX, value, size);
	return X86_OK;
}

INLINE enum x86_status mov_store_acc(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	return seg_write(vcpu, i->seg, i->disp, size, reg_get(&vcpu->cpu, X86_EAX, size));
}

INLINE enum x86_status mov_reg_imm(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	reg_set(&vcpu->cpu, i->opcode & 7, i->imm, size);
	return X86_OK;
}

INLINE enum x86_status mov_rm_imm(struct vcpu *vcpu, const struct insn *i, unsigned size)
{
	return rm_write(vcpu, i, size, i->imm);
}

#define MOV_HANDLER(form, size) \
	static enum x86_status form##_##size(struct vcpu *vcpu, const struct insn *i) \
	{ return form(vcpu, i, size); }
#define MOV_SIZES(form) \
	MOV_HANDLER(form, 1) MOV_HANDLER(form, 2) MOV_HANDLER(form, 4) \
	static const insn_handler form##_handlers[3] = { form##_1, form##_2, form##_4 };
MOV_SIZES(mov_store) MOV_SIZES(mov_load)
MOV_SIZES(mov_store_acc) MOV_SIZES(mov_load_acc)
MOV_SIZES(mov_reg_imm) MOV_SIZES(mov_rm_imm)

/* The commonest by far: 32-bit registers and memory. */
static enum x86_status mov_r32_r32(struct vcpu *vcpu, const struct insn *i)
{
	unsigned to = i->opcode == 0x8b ? insn_reg(i) : insn_rm(i),
		 from = i->opcode == 0x8b ? insn_rm(i) : insn_reg(i);

	vcpu->cpu.regs[to] = vcpu->cpu.regs[from];
	return X86_OK;
}

insn_handler pick_mov(const struct insn *i)
{
	unsigned size = size_index(i);

	if ((i->opcode == 0x89 || i->opcode == 0x8b) && !i->mem && i->op_size == 4)
		return mov_r32_r32;
	switch (i->opcode) {
	case 0x88: case 0x89: return mov_store_handlers[size];
	case 0x8a: case 0x8b: return mov_load_handlers[size];
	case 0xa0: case 0xa1: return mov_load_acc_handlers[size];
	case 0xa2: case 0xa3: return mov_store_acc_handlers[size];
	case 0xc6: case 0xc7: return mov_rm_imm_handlers[size];
	default:              return mov_reg_imm_handlers[size];
	}
}

/* 0F B6, B7, BE, BF: MOVZX, MOVSX */
enum x86_status op_movx(struct vcpu *vcpu, const struct insn *i)
{
	unsigned size = i->opcode & 1 ? 2 : 1;
	uint32_t value;

	RETURN_IF_FAULT(rm_read(vcpu, i, size, &value));
	if (i->opcode >= 0xbe)
		value = size == 1 ? (uint32_t)(int8_t)value : (uint32_t)(int16_t)value;
	reg_set(&vcpu->cpu, insn_reg(i), value, i->op_size);
	return X86_OK;
}

enum x86_status op_movnti(struct vcpu *vcpu, const struct insn *i)
{
	return rm_write(vcpu, i, 4, vcpu->cpu.regs[insn_reg(i)]);
}

enum x86_status op_lea(struct vcpu *vcpu, const struct insn *i)
{
	reg_set(&vcpu->cpu, insn_reg(i), insn_ea(&vcpu->cpu, i), i->op_size);
	return X86_OK;
}

/* 86, 87 */
enum x86_status op_xchg_rm(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = insn_size(i);
	uint32_t value = reg_get(cpu, insn_reg(i), size), old = 0;
	struct rmw rmw;

	if (!i->mem) {
		old = reg_get(cpu, insn_rm(i), size);
		reg_set(cpu, insn_rm(i), value, size);
		reg_set(cpu, insn_reg(i), old, size);
		return X86_OK;
	}
	RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &old));
	RETURN_IF_FAULT(rmw_end(vcpu, &rmw, size, &value));
	reg_set(cpu, insn_reg(i), old, size);
	return X86_OK;
}

/* 91..97 */
enum x86_status op_xchg_acc(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t acc = reg_get(cpu, X86_EAX, i->op_size);

	reg_set(cpu, X86_EAX, reg_get(cpu, i->opcode & 7, i->op_size), i->op_size);
	reg_set(cpu, i->opcode & 7, acc, i->op_size);
	return X86_OK;
}

/* 0F 40..4F. The load happens, and may fault, whatever the condition. */
enum x86_status op_cmov(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t value;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &value));
	if (condition(vcpu->cpu.eflags, i->opcode & 15))
		reg_set(&vcpu->cpu, insn_reg(i), value, i->op_size);
	return X86_OK;
}

enum x86_status op_setcc(struct vcpu *vcpu, const struct insn *i)
{
	return rm_write(vcpu, i, 1, condition(vcpu->cpu.eflags, i->opcode & 15));
}

/* 98: CBW, CWDE */
enum x86_status op_cbw(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t eax = vcpu->cpu.regs[X86_EAX];

	reg_set(&vcpu->cpu, X86_EAX,
		i->op_size == 4 ? (uint32_t)(int16_t)eax : (uint32_t)(int8_t)eax, i->op_size);
	return X86_OK;
}

/* 99: CWD, CDQ */
enum x86_status op_cwd(struct vcpu *vcpu, const struct insn *i)
{
	bool negative = vcpu->cpu.regs[X86_EAX] >> (8 * i->op_size - 1) & 1;

	reg_set(&vcpu->cpu, X86_EDX, negative ? 0xffffffffu : 0, i->op_size);
	return X86_OK;
}

/* D7 */
enum x86_status op_xlat(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t offset = cpu->regs[X86_EBX] + *reg8(cpu, 0), value;

	RETURN_IF_FAULT(
		seg_read(vcpu, i->seg, i->addr_size == 4 ? offset : offset & 0xffff, 1, &value));
	*reg8(cpu, 0) = value;
	return X86_OK;
}

/* D6 */
enum x86_status op_salc(struct vcpu *vcpu, const struct insn *i)
{
	*reg8(&vcpu->cpu, 0) = vcpu->cpu.eflags & X86_CF ? 0xff : 0;
	return X86_OK;
}

#define AH_FLAGS (X86_SF | X86_ZF | X86_AF | X86_PF | X86_CF)

enum x86_status op_lahf(struct vcpu *vcpu, const struct insn *i)
{
	*reg8(&vcpu->cpu, 4) = (vcpu->cpu.eflags & AH_FLAGS) | X86_F1;
	return X86_OK;
}

enum x86_status op_sahf(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	cpu->eflags = (cpu->eflags & ~AH_FLAGS) | (*reg8(cpu, 4) & AH_FLAGS);
	return X86_OK;
}

/* CMC, CLC, STC, CLD, STD */
enum x86_status op_flag(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;

	switch (i->opcode) {
	case 0xf5: cpu->eflags ^= X86_CF; break;
	case 0xf8: cpu->eflags &= ~X86_CF; break;
	case 0xf9: cpu->eflags |= X86_CF; break;
	case 0xfc: cpu->eflags &= ~X86_DF; break;
	case 0xfd: cpu->eflags |= X86_DF; break;
	}
	return X86_OK;
}

enum x86_status op_nop(struct vcpu *vcpu, const struct insn *i)
{
	return X86_OK;
}

/* 0F AE /7: touches its byte as a load does (SDM vol. 2, CLFLUSH); guest memory is coherent. */
enum x86_status op_clflush(struct vcpu *vcpu, const struct insn *i)
{
	const struct segment *s = &vcpu->cpu.seg[i->seg];
	const uint32_t ea = insn_ea(&vcpu->cpu, i);
	uint32_t value;

	/*
	 * Subject to all the checks of a byte load, but that it may be in a segment that can only
	 * be executed (SDM vol. 2, CLFLUSH).
	 */
	if ((s->attr & (SEG_P | SEG_S | SEG_CODE | SEG_WRITABLE)) != (SEG_P | SEG_S | SEG_CODE))
		return seg_read(vcpu, i->seg, ea, 1, &value);
	return ea > s->limit ? raise_gp(vcpu) : lin_read(vcpu, s->base + ea, &value, 1);
}
