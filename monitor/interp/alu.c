/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: integer arithmetic and logic. The operation itself is the host's instruction, whose
 * flags are captured.
 *
 * Handlers are instantiated per operation, operand form and size from inline templates; tables at
 * the end of each part pick among them.
 */
#include "internal.h"

#define INLINE static __attribute__((always_inline)) inline

enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };

#define HOST_BINARY(mnemonic, type, a, b, ax) \
	({ type a_ = (a), b_ = (b); \
	   asm(mnemonic " %[src], %[dst]" ASM_SAVE_FLAGS \
	       : [dst] "+q" (a_), "=a" (ax) : [src] "q" (b_) : "cc"); a_; })
#define HOST_BINARY_CARRY(mnemonic, type, a, b, ax, carry) \
	({ type a_ = (a), b_ = (b); \
	   asm("bt $0, %[cf]; " mnemonic " %[src], %[dst]" ASM_SAVE_FLAGS \
	       : [dst] "+q" (a_), "=a" (ax) : [src] "q" (b_), [cf] "r" (carry) : "cc"); a_; })

#define BY_SIZE(m, name, size, ...) \
	((size) == 1   ? m(name "b", uint8_t, __VA_ARGS__) \
	 : (size) == 2 ? m(name "w", uint16_t, __VA_ARGS__) \
		       : m(name "l", uint32_t, __VA_ARGS__))

/* a op b with flags; op and size are constants at every use. */
INLINE uint32_t alu(struct cpu *cpu, enum alu_op op, unsigned size, uint32_t a, uint32_t b)
{
	uint32_t ax = 0, carry = cpu->eflags;

	switch (op) {
	case ALU_ADD: a = BY_SIZE(HOST_BINARY, "add", size, a, b, ax); break;
	case ALU_OR:  a = BY_SIZE(HOST_BINARY, "or", size, a, b, ax); break;
	case ALU_ADC: a = BY_SIZE(HOST_BINARY_CARRY, "adc", size, a, b, ax, carry); break;
	case ALU_SBB: a = BY_SIZE(HOST_BINARY_CARRY, "sbb", size, a, b, ax, carry); break;
	case ALU_AND: a = BY_SIZE(HOST_BINARY, "and", size, a, b, ax); break;
	case ALU_SUB: a = BY_SIZE(HOST_BINARY, "sub", size, a, b, ax); break;
	case ALU_XOR: a = BY_SIZE(HOST_BINARY, "xor", size, a, b, ax); break;
	case ALU_CMP: a = BY_SIZE(HOST_BINARY, "cmp", size, a, b, ax); break;
	case ALU_TEST: a = BY_SIZE(HOST_BINARY, "test", size, a, b, ax); break;
	}
	flags_from_ax(cpu, ax);
	return a;
}

INLINE bool alu_discards(enum alu_op op)
{
	return op == ALU_CMP || op == ALU_TEST;
}

/* r/m op= b */
INLINE enum x86_status alu_to_rm(struct vcpu *vcpu, const struct insn *i, enum alu_op op,
				 unsigned size, uint32_t b)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t a = 0, result;
	struct rmw rmw;

	if (!i->mem) {
		result = alu(cpu, op, size, reg_get(cpu, insn_rm(i), size), b);
		if (!alu_discards(op))
			reg_set(cpu, insn_rm(i), result, size);
		return X86_OK;
	}
	if (alu_discards(op)) {
		RETURN_IF_FAULT(seg_read(vcpu, i->seg, insn_ea(cpu, i), size, &a));
		alu(cpu, op, size, a, b);
		return X86_OK;
	}
	RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &a));
	result = alu(cpu, op, size, a, b);
	return rmw_end(vcpu, &rmw, size, &result);
}

INLINE enum x86_status alu_rm_r(struct vcpu *vcpu, const struct insn *i, enum alu_op op,
				unsigned size)
{
	return alu_to_rm(vcpu, i, op, size, reg_get(&vcpu->cpu, insn_reg(i), size));
}

INLINE enum x86_status alu_r_rm(struct vcpu *vcpu, const struct insn *i, enum alu_op op,
				unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t b, result;

	RETURN_IF_FAULT(rm_read(vcpu, i, size, &b));
	result = alu(cpu, op, size, reg_get(cpu, insn_reg(i), size), b);
	if (!alu_discards(op))
		reg_set(cpu, insn_reg(i), result, size);
	return X86_OK;
}

INLINE enum x86_status alu_acc_imm(struct vcpu *vcpu, const struct insn *i, enum alu_op op,
				   unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t result = alu(cpu, op, size, reg_get(cpu, X86_EAX, size), i->imm);

	if (!alu_discards(op))
		reg_set(cpu, X86_EAX, result, size);
	return X86_OK;
}

INLINE enum x86_status alu_rm_imm(struct vcpu *vcpu, const struct insn *i, enum alu_op op,
				  unsigned size)
{
	return alu_to_rm(vcpu, i, op, size, i->imm);
}

#define ALU_HANDLER(form, op, size) \
	static enum x86_status form##_##op##_##size(struct vcpu *vcpu, const struct insn *i) \
	{ return form(vcpu, i, op, size); }
#define ALU_SIZES(form, op) \
	ALU_HANDLER(form, op, 1) ALU_HANDLER(form, op, 2) ALU_HANDLER(form, op, 4)
#define ALU_FORMS(op) \
	ALU_SIZES(alu_rm_r, op) ALU_SIZES(alu_r_rm, op) \
	ALU_SIZES(alu_acc_imm, op) ALU_SIZES(alu_rm_imm, op)
ALU_FORMS(ALU_ADD) ALU_FORMS(ALU_OR) ALU_FORMS(ALU_ADC) ALU_FORMS(ALU_SBB)
ALU_FORMS(ALU_AND) ALU_FORMS(ALU_SUB) ALU_FORMS(ALU_XOR) ALU_FORMS(ALU_CMP)
ALU_SIZES(alu_rm_r, ALU_TEST) ALU_SIZES(alu_acc_imm, ALU_TEST) ALU_SIZES(alu_rm_imm, ALU_TEST)

enum alu_form { FORM_RM_R, FORM_R_RM, FORM_ACC_IMM, FORM_RM_IMM };

#define NAMES(form, op) { form##_##op##_1, form##_##op##_2, form##_##op##_4 }
#define ALL_NAMES(op) \
	[op] = { NAMES(alu_rm_r, op), NAMES(alu_r_rm, op), \
		 NAMES(alu_acc_imm, op), NAMES(alu_rm_imm, op) }
static const insn_handler alu_handlers[9][4][3] = {
	ALL_NAMES(ALU_ADD), ALL_NAMES(ALU_OR), ALL_NAMES(ALU_ADC), ALL_NAMES(ALU_SBB),
	ALL_NAMES(ALU_AND), ALL_NAMES(ALU_SUB), ALL_NAMES(ALU_XOR), ALL_NAMES(ALU_CMP),
	[ALU_TEST] = { NAMES(alu_rm_r, ALU_TEST), { NULL }, NAMES(alu_acc_imm, ALU_TEST),
		NAMES(alu_rm_imm, ALU_TEST) },
};

/* 00..3D, 80..83, 84, 85, A8, A9 */
insn_handler pick_alu(const struct insn *i)
{
	unsigned size = size_index(i);

	if (i->opcode >= 0xa8)
		return alu_handlers[ALU_TEST][FORM_ACC_IMM][size];
	if (i->opcode >= 0x84)
		return alu_handlers[ALU_TEST][FORM_RM_R][size];
	if (i->opcode >= 0x80)
		return alu_handlers[insn_reg(i)][FORM_RM_IMM][size];
	return alu_handlers[i->opcode >> 3][(i->opcode & 7) >> 1][size];
}

/* --- INC, DEC: ADD and SUB that keep CF --- */

INLINE uint32_t step_by_one(struct cpu *cpu, bool down, unsigned size, uint32_t a)
{
	uint32_t carry = cpu->eflags & X86_CF;
	uint32_t result = down ? alu(cpu, ALU_SUB, size, a, 1) : alu(cpu, ALU_ADD, size, a, 1);

	cpu->eflags = (cpu->eflags & ~X86_CF) | carry;
	return result;
}

INLINE enum x86_status incdec_rm(struct vcpu *vcpu, const struct insn *i, bool down, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t value = 0;
	struct rmw rmw;

	if (!i->mem) {
		reg_set(cpu, insn_rm(i),
			step_by_one(cpu, down, size, reg_get(cpu, insn_rm(i), size)), size);
		return X86_OK;
	}
	RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &value));
	value = step_by_one(cpu, down, size, value);
	return rmw_end(vcpu, &rmw, size, &value);
}

INLINE enum x86_status incdec_reg(struct vcpu *vcpu, const struct insn *i, bool down, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;

	reg_set(cpu, i->opcode & 7, step_by_one(cpu, down, size, reg_get(cpu, i->opcode & 7, size)),
		size);
	return X86_OK;
}

#define INCDEC(form, size) \
	static enum x86_status inc_##form##_##size(struct vcpu *vcpu, const struct insn *i) \
	{ return incdec_##form(vcpu, i, false, size); } \
	static enum x86_status dec_##form##_##size(struct vcpu *vcpu, const struct insn *i) \
	{ return incdec_##form(vcpu, i, true, size); }
INCDEC(rm, 1) INCDEC(rm, 2) INCDEC(rm, 4) INCDEC(reg, 2) INCDEC(reg, 4)

/* 40..4F, FE /0 /1, FF /0 /1 */
insn_handler pick_incdec(const struct insn *i)
{
	static const insn_handler rm[2][3] = { { inc_rm_1, inc_rm_2, inc_rm_4 },
					       { dec_rm_1, dec_rm_2, dec_rm_4 } };

	if (i->opcode < 0x48)
		return i->op_size == 4 ? inc_reg_4 : inc_reg_2;
	if (i->opcode < 0x50)
		return i->op_size == 4 ? dec_reg_4 : dec_reg_2;
	return rm[insn_reg(i) & 1][size_index(i)];
}

/* --- F6, F7 --- */

INLINE enum x86_status not_neg(struct vcpu *vcpu, const struct insn *i, bool neg, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t value = 0;
	struct rmw rmw;

	if (i->mem)
		RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &value));
	else
		value = reg_get(cpu, insn_rm(i), size);
	value = neg ? alu(cpu, ALU_SUB, size, 0, value) : ~value;
	if (i->mem)
		return rmw_end(vcpu, &rmw, size, &value);
	reg_set(cpu, insn_rm(i), value, size);
	return X86_OK;
}

static enum x86_status op_not(struct vcpu *vcpu, const struct insn *i)
{
	return not_neg(vcpu, i, false, insn_size(i));
}

static enum x86_status op_neg(struct vcpu *vcpu, const struct insn *i)
{
	return not_neg(vcpu, i, true, insn_size(i));
}

/* MUL and IMUL of the accumulator. */
#define HOST_MUL(mnemonic, source) \
	asm(ASM_LOAD_FLAGS "mov %[lo], %%eax; " mnemonic " %[src]; mov %%eax, %[lo]" \
	    ASM_SAVE_FLAGS \
	    : [lo] "+r" (lo), "+&a" (ax), "+d" (hi) : [src] "q" (source) : "cc")

static enum x86_status op_mul(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t lo = cpu->regs[X86_EAX], hi = cpu->regs[X86_EDX], ax = flags_to_ax(cpu), source;
	bool is_signed = insn_reg(i) == 5;

	RETURN_IF_FAULT(rm_read(vcpu, i, insn_size(i), &source));
	switch (insn_size(i)) {
	case 1:
		if (is_signed)
			HOST_MUL("imulb", (uint8_t)source);
		else
			HOST_MUL("mulb", (uint8_t)source);
		break;
	case 2:
		if (is_signed)
			HOST_MUL("imulw", (uint16_t)source);
		else
			HOST_MUL("mulw", (uint16_t)source);
		break;
	default:
		if (is_signed)
			HOST_MUL("imull", source);
		else
			HOST_MUL("mull", source);
		break;
	}
	cpu->regs[X86_EAX] = lo;
	cpu->regs[X86_EDX] = hi;
	flags_from_ax(cpu, ax);
	return X86_OK;
}

/* Whether the quotient fits (SDM vol. 2, DIV and IDIV): else #DE. */
static bool divide_fits(const struct cpu *cpu, uint32_t divisor, unsigned size, bool is_signed)
{
	uint32_t eax = cpu->regs[X86_EAX], edx = cpu->regs[X86_EDX];
	uint64_t dividend = size == 1 ? (uint16_t)eax :
			    size == 2 ? (uint32_t)(edx << 16 | (uint16_t)eax) :
					(uint64_t)edx << 32 | eax;
	int64_t sdividend = size == 1 ? (int16_t)dividend :
			    size == 2 ? (int32_t)dividend :
					(int64_t)dividend;
	int64_t sdivisor = size == 1 ? (int8_t)divisor :
			   size == 2 ? (int16_t)divisor :
				       (int32_t)divisor;
	int64_t limit = 1ll << (8 * size - 1), quotient;

	if (divisor == 0)
		return false;
	if (!is_signed)
		return dividend / divisor >> (8 * size) == 0;
	if (sdividend == INT64_MIN && sdivisor == -1)
		return false;
	quotient = sdividend / sdivisor;
	return quotient >= -limit && quotient < limit;
}

static enum x86_status op_div(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t lo = cpu->regs[X86_EAX], hi = cpu->regs[X86_EDX], ax = flags_to_ax(cpu), source;
	bool is_signed = insn_reg(i) == 7;

	RETURN_IF_FAULT(rm_read(vcpu, i, insn_size(i), &source));
	if (!divide_fits(cpu, source, insn_size(i), is_signed))
		return fault_raise(cpu, EXC_DE);
	switch (insn_size(i)) {
	case 1:
		if (is_signed)
			HOST_MUL("idivb", (uint8_t)source);
		else
			HOST_MUL("divb", (uint8_t)source);
		break;
	case 2:
		if (is_signed)
			HOST_MUL("idivw", (uint16_t)source);
		else
			HOST_MUL("divw", (uint16_t)source);
		break;
	default:
		if (is_signed)
			HOST_MUL("idivl", source);
		else
			HOST_MUL("divl", source);
		break;
	}
	cpu->regs[X86_EAX] = lo;
	cpu->regs[X86_EDX] = hi;
	flags_from_ax(cpu, ax);
	return X86_OK;
}

insn_handler pick_unary(const struct insn *i)
{
	static const insn_handler handlers[8] = { NULL,   NULL,   op_not, op_neg,
						  op_mul, op_mul, op_div, op_div };

	if (insn_reg(i) < 2)
		return alu_handlers[ALU_TEST][FORM_RM_IMM][size_index(i)];
	return handlers[insn_reg(i)];
}

static uint32_t host_imul(struct cpu *cpu, unsigned size, uint32_t a, uint32_t b)
{
	uint32_t ax = flags_to_ax(cpu);

	if (size == 2)
		asm(ASM_LOAD_FLAGS "imulw %w[src], %w[dst]" ASM_SAVE_FLAGS
		    : [dst] "+r"(a), "+&a"(ax)
		    : [src] "r"(b)
		    : "cc");
	else
		asm(ASM_LOAD_FLAGS "imull %[src], %[dst]" ASM_SAVE_FLAGS
		    : [dst] "+r"(a), "+&a"(ax)
		    : [src] "r"(b)
		    : "cc");
	flags_from_ax(cpu, ax);
	return a;
}

/* 69, 6B */
enum x86_status op_imul3(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t source;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &source));
	reg_set(&vcpu->cpu, insn_reg(i), host_imul(&vcpu->cpu, i->op_size, source, i->imm),
		i->op_size);
	return X86_OK;
}

/* 0F AF */
enum x86_status op_imul2(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t source;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &source));
	reg_set(cpu, insn_reg(i),
		host_imul(cpu, i->op_size, reg_get(cpu, insn_reg(i), i->op_size), source),
		i->op_size);
	return X86_OK;
}

/* The flags of a compare with a size known only now. */
static void compare(struct cpu *cpu, unsigned size, uint32_t a, uint32_t b)
{
	if (size == 1)
		alu(cpu, ALU_CMP, 1, a, b);
	else if (size == 2)
		alu(cpu, ALU_CMP, 2, a, b);
	else
		alu(cpu, ALU_CMP, 4, a, b);
}

/* 0F B0, B1. Memory is written either way (SDM vol. 2, CMPXCHG). */
enum x86_status op_cmpxchg(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = insn_size(i);
	uint32_t acc = reg_get(cpu, X86_EAX, size), old = 0, new = reg_get(cpu, insn_reg(i), size);
	struct rmw rmw;

	if (i->mem)
		RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &old));
	else
		old = reg_get(cpu, insn_rm(i), size);
	if (i->mem)
		RETURN_IF_FAULT(rmw_end(vcpu, &rmw, size, acc == old ? &new : &old));
	else if (acc == old)
		reg_set(cpu, insn_rm(i), new, size);
	compare(cpu, size, acc, old);
	if (acc != old)
		reg_set(cpu, X86_EAX, old, size);
	return X86_OK;
}

/* 0F C0, C1 */
enum x86_status op_xadd(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = insn_size(i);
	uint32_t add = reg_get(cpu, insn_reg(i), size), old = 0, sum;
	struct rmw rmw;

	if (i->mem)
		RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &old));
	else
		old = reg_get(cpu, insn_rm(i), size);
	sum = size == 1 ? alu(cpu, ALU_ADD, 1, old, add) :
	      size == 2 ? alu(cpu, ALU_ADD, 2, old, add) :
			  alu(cpu, ALU_ADD, 4, old, add);
	if (i->mem)
		RETURN_IF_FAULT(rmw_end(vcpu, &rmw, size, &sum));
	reg_set(cpu, insn_reg(i), old, size);
	if (!i->mem)
		reg_set(cpu, insn_rm(i), sum, size);
	return X86_OK;
}

/* 0F C7 /1 */
enum x86_status op_cmpxchg8b(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t old = 0, expected = (uint64_t)cpu->regs[X86_EDX] << 32 | cpu->regs[X86_EAX];
	uint64_t new = (uint64_t)cpu->regs[X86_ECX] << 32 | cpu->regs[X86_EBX];
	struct rmw rmw;

	RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), 8, &rmw, &old));
	RETURN_IF_FAULT(rmw_end(vcpu, &rmw, 8, old == expected ? &new : &old));
	if (old == expected) {
		cpu->eflags |= X86_ZF;
	} else {
		cpu->eflags &= ~X86_ZF;
		cpu->regs[X86_EAX] = old;
		cpu->regs[X86_EDX] = old >> 32;
	}
	return X86_OK;
}
