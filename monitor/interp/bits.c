/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interpreter: shifts, rotates, bit tests and scans, byte swaps, CRC32. As in alu.c the
 * host's instruction computes.
 */
#include "internal.h"

#define HOST_SHIFT(mnemonic, reg) \
	asm(ASM_LOAD_FLAGS mnemonic " %%cl, %[dst]" ASM_SAVE_FLAGS \
	    : [dst] "+q" (reg), "+&a" (ax) : "c" (count) : "cc")

#define SHIFT(name, type, mnemonic) \
	static uint32_t name(uint32_t value, uint32_t count, uint32_t *flags) \
	{ \
		type v = value; \
		uint32_t ax = *flags; \
		HOST_SHIFT(mnemonic, v); \
		*flags = ax; \
		return v; \
	}
#define SHIFT_SIZES(name, mnemonic) \
	SHIFT(name##_1, uint8_t, mnemonic "b") \
	SHIFT(name##_2, uint16_t, mnemonic "w") \
	SHIFT(name##_4, uint32_t, mnemonic "l")
SHIFT_SIZES(rol, "rol") SHIFT_SIZES(ror, "ror") SHIFT_SIZES(rcl, "rcl") SHIFT_SIZES(rcr, "rcr")
SHIFT_SIZES(shl, "shl") SHIFT_SIZES(shr, "shr") SHIFT_SIZES(sar, "sar")

typedef uint32_t (*shift_fn)(uint32_t value, uint32_t count, uint32_t *flags);
#define SHIFT_ROW(name) { name##_1, name##_2, name##_4 }
static const shift_fn shift_table[8][3] = {
	SHIFT_ROW(rol), SHIFT_ROW(ror), SHIFT_ROW(rcl), SHIFT_ROW(rcr), SHIFT_ROW(shl),
	SHIFT_ROW(shr), SHIFT_ROW(shl), SHIFT_ROW(sar),
};

/*
 * ROL and ROR of a register by an immediate. What they make of OF when they rotate by more than one
 * is undefined (SDM vol. 2), and Intel's processors do not do here what they do for CL or for
 * memory. Translated code has the immediate; so it is that form that is executed here: one copy for
 * each count, 16 bytes apart.
 */
#define HOST_ROTATE(mnemonic, reg) \
	asm("lea 1f(%%rip), %[to]; add %[count], %[to]; " \
	    ASM_LOAD_FLAGS "jmp *%[to]; .balign 16; 1: .set count_, 0; " \
	    ".rept 32; " mnemonic " $count_, %[dst]; jmp 2f; .balign 16; " \
	    ".set count_, count_ + 1; .endr; 2:" ASM_SAVE_FLAGS \
	    : [dst] "+q" (reg), "+&a" (ax), [to] "=&r" (to) \
	    : [count] "r" ((uint64_t)(count & 31) * 16) : "cc")

#define ROTATE(name, type, mnemonic) \
	static uint32_t name(uint32_t value, uint32_t count, uint32_t *flags) \
	{ \
		type v = value; \
		uint32_t ax = *flags; \
		uint64_t to; \
		HOST_ROTATE(mnemonic, v); \
		*flags = ax; \
		return v; \
	}
#define ROTATE_SIZES(name, mnemonic) \
	ROTATE(name##_imm_1, uint8_t, mnemonic "b") \
	ROTATE(name##_imm_2, uint16_t, mnemonic "w") \
	ROTATE(name##_imm_4, uint32_t, mnemonic "l")
ROTATE_SIZES(rol, "rol") ROTATE_SIZES(ror, "ror")

static const shift_fn rotate_imm_table[2][3] = { SHIFT_ROW(rol_imm), SHIFT_ROW(ror_imm) };

static enum x86_status shift(struct vcpu *vcpu, const struct insn *i, shift_fn fn, uint32_t count)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = insn_size(i);
	uint32_t ax = flags_to_ax(cpu), value = 0;
	struct rmw rmw;

	if (i->mem)
		RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &value));
	else
		value = reg_get(cpu, insn_rm(i), size);
	value = fn(value, count, &ax);
	if (i->mem)
		RETURN_IF_FAULT(rmw_end(vcpu, &rmw, size, &value));
	else
		reg_set(cpu, insn_rm(i), value, size);
	flags_from_ax(cpu, ax);
	return X86_OK;
}

static shift_fn shift_function(const struct insn *i)
{
	return shift_table[insn_reg(i)][size_index(i)];
}

static enum x86_status shift_one(struct vcpu *vcpu, const struct insn *i)
{
	return shift(vcpu, i, shift_function(i), 1);
}

static enum x86_status shift_cl(struct vcpu *vcpu, const struct insn *i)
{
	return shift(vcpu, i, shift_function(i), vcpu->cpu.regs[X86_ECX] & 0xff);
}

static enum x86_status shift_imm(struct vcpu *vcpu, const struct insn *i)
{
	const bool rotate = !i->mem && insn_reg(i) < 2;

	return shift(vcpu, i,
		     rotate ? rotate_imm_table[insn_reg(i)][size_index(i)] : shift_function(i),
		     i->imm);
}

/* C0, C1, D0..D3 */
insn_handler pick_shift(const struct insn *i)
{
	return i->opcode < 0xd0 ? shift_imm : i->opcode < 0xd2 ? shift_one : shift_cl;
}

/* 0F A4, A5, AC, AD */
enum x86_status op_shld_shrd(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned size = i->op_size;
	uint32_t ax = flags_to_ax(cpu), value = 0, source = reg_get(cpu, insn_reg(i), size);
	uint32_t count = i->imm_size ? i->imm : cpu->regs[X86_ECX];
	bool left = i->opcode < 0xa8;
	struct rmw rmw;

	if (i->mem)
		RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, insn_ea(cpu, i), size, &rmw, &value));
	else
		value = reg_get(cpu, insn_rm(i), size);
#define HOST_DOUBLE(mnemonic, w) \
	asm(ASM_LOAD_FLAGS mnemonic " %%cl, %" w "[src], %" w "[dst]" ASM_SAVE_FLAGS \
	    : [dst] "+r" (value), "+&a" (ax) : [src] "r" (source), "c" (count) : "cc")
	if (size == 4 && left)
		HOST_DOUBLE("shldl", "");
	else if (size == 4)
		HOST_DOUBLE("shrdl", "");
	else if (left)
		HOST_DOUBLE("shldw", "w");
	else
		HOST_DOUBLE("shrdw", "w");
	if (i->mem)
		RETURN_IF_FAULT(rmw_end(vcpu, &rmw, size, &value));
	else
		reg_set(cpu, insn_rm(i), value, size);
	flags_from_ax(cpu, ax);
	return X86_OK;
}

/* BT, BTS, BTR, BTC: 0F A3, AB, B3, BB, and 0F BA /4../7 with an immediate. */
enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static uint32_t bit_apply(struct cpu *cpu, enum bit_op op, uint32_t value, uint32_t bit)
{
	uint32_t ax = flags_to_ax(cpu);

#define HOST_BIT(mnemonic) \
	asm(ASM_LOAD_FLAGS mnemonic " %[bit], %[dst]" ASM_SAVE_FLAGS \
	    : [dst] "+r" (value), "+&a" (ax) : [bit] "r" (bit) : "cc")
	switch (op) {
	case BIT_TEST: HOST_BIT("btl"); break;
	case BIT_SET: HOST_BIT("btsl"); break;
	case BIT_RESET: HOST_BIT("btrl"); break;
	case BIT_COMPLEMENT: HOST_BIT("btcl"); break;
	}
	flags_from_ax(cpu, ax);
	return value;
}

enum x86_status op_bt(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	bool immediate = i->opcode == 0xba;
	enum bit_op op = immediate ? insn_reg(i) & 3 : (i->opcode >> 3) & 3;
	unsigned size = i->op_size;
	uint32_t bit = immediate ? i->imm : reg_get(cpu, insn_reg(i), size), value = 0, ea;
	struct rmw rmw;

	if (!i->mem) {
		value = bit_apply(cpu, op, reg_get(cpu, insn_rm(i), size), bit & (8 * size - 1));
		if (op != BIT_TEST)
			reg_set(cpu, insn_rm(i), value, size);
		return X86_OK;
	}
	ea = insn_ea(cpu, i);
	/* A register bit offset is signed and reaches beyond the operand. */
	if (!immediate)
		ea += size == 4 ? (uint32_t)((int32_t)bit >> 5) * 4 :
				  (uint32_t)((int16_t)bit >> 4) * 2;
	if (i->addr_size == 2)
		ea &= 0xffff;
	bit &= 8 * size - 1;
	if (op == BIT_TEST) {
		RETURN_IF_FAULT(seg_read(vcpu, i->seg, ea, size, &value));
		bit_apply(cpu, op, value, bit);
		return X86_OK;
	}
	RETURN_IF_FAULT(rmw_begin(vcpu, i->seg, ea, size, &rmw, &value));
	value = bit_apply(cpu, op, value, bit);
	return rmw_end(vcpu, &rmw, size, &value);
}

static enum x86_status bit_scan(struct vcpu *vcpu, const struct insn *i, bool reverse)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t ax = flags_to_ax(cpu), result = reg_get(cpu, insn_reg(i), i->op_size), source;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &source));
#define HOST_SCAN(mnemonic, w) \
	asm(ASM_LOAD_FLAGS mnemonic " %" w "[src], %" w "[dst]" ASM_SAVE_FLAGS \
	    : [dst] "+r" (result), "+&a" (ax) : [src] "r" (source) : "cc")
	if (i->op_size == 4 && reverse)
		HOST_SCAN("bsrl", "");
	else if (i->op_size == 4)
		HOST_SCAN("bsfl", "");
	else if (reverse)
		HOST_SCAN("bsrw", "w");
	else
		HOST_SCAN("bsfw", "w");
	flags_from_ax(cpu, ax);
	reg_set(cpu, insn_reg(i), result, i->op_size);
	return X86_OK;
}

enum x86_status op_bsf(struct vcpu *vcpu, const struct insn *i)
{
	return bit_scan(vcpu, i, false);
}

uint32_t interp_lzcnt(uint32_t source, unsigned size, uint32_t *ax)
{
	const uint32_t bits = 8 * size, result = source ? __builtin_clz(source) + bits - 32 : bits;

	*ax &= ~((uint32_t)X86_CF << 8 | X86_ZF << 8);
	*ax |= source ? 0 : X86_CF << 8;
	*ax |= result ? 0 : X86_ZF << 8;
	return result;
}

/* The host's own gives the flags that are undefined too, as translated code finds them. */
static uint32_t lzcnt(uint32_t source, unsigned size, uint32_t *ax)
{
	uint32_t result = source;

	if (!__builtin_cpu_supports("lzcnt"))
		return interp_lzcnt(source, size, ax);
#define HOST_LZCNT_OF(width) \
	asm(ASM_LOAD_FLAGS "lzcnt %" width "[dst], %" width "[dst]" ASM_SAVE_FLAGS \
	    : [dst] "+r" (result), "+&a" (*ax) : : "cc")
	if (size == 4)
		HOST_LZCNT_OF("");
	else
		HOST_LZCNT_OF("w");
	return result & (size == 4 ? 0xffffffff : 0xffff);
}

static enum x86_status op_lzcnt(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t ax = flags_to_ax(cpu), source;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &source));
	reg_set(cpu, insn_reg(i), lzcnt(source, i->op_size, &ax), i->op_size);
	flags_from_ax(cpu, ax);
	return X86_OK;
}

enum x86_status op_bsr(struct vcpu *vcpu, const struct insn *i)
{
	if (insn_is_lzcnt(i, cpu_features(&vcpu->cpu)))
		return op_lzcnt(vcpu, i);
	return bit_scan(vcpu, i, true);
}

/* 0F C8..CF. With a 16-bit operand the result is undefined; processors clear the word. */
enum x86_status op_bswap(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	unsigned n = i->opcode & 7;

	reg_set(cpu, n, i->op_size == 4 ? __builtin_bswap32(cpu->regs[n]) : 0, i->op_size);
	return X86_OK;
}

enum x86_status op_popcnt(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t source;

	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &source));
	cpu->eflags = (cpu->eflags & ~X86_ARITH_FLAGS) | (source ? 0 : X86_ZF);
	reg_set(cpu, insn_reg(i), __builtin_popcount(source), i->op_size);
	return X86_OK;
}

/* CRC-32C (polynomial 11EDC6F41h reflected), bit by bit: no host feature is needed. */
enum x86_status op_crc32(struct vcpu *vcpu, const struct insn *i)
{
	uint32_t source, crc = vcpu->cpu.regs[insn_reg(i)];
	unsigned size = insn_size(i);

	RETURN_IF_FAULT(rm_read(vcpu, i, size, &source));
	crc ^= source;
	for (unsigned bit = 0; bit < 8 * size; bit++)
		crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	vcpu->cpu.regs[insn_reg(i)] = crc;
	return X86_OK;
}

static uint32_t swap_bytes(uint32_t value, unsigned size)
{
	return size == 4 ? __builtin_bswap32(value) : __builtin_bswap16(value);
}

/* 0F 38 F0, F1 */
enum x86_status op_movbe(struct vcpu *vcpu, const struct insn *i)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t value;

	if (i->opcode == 0xf1)
		return rm_write(vcpu, i, i->op_size,
				swap_bytes(reg_get(cpu, insn_reg(i), i->op_size), i->op_size));
	RETURN_IF_FAULT(rm_read(vcpu, i, i->op_size, &value));
	reg_set(cpu, insn_reg(i), swap_bytes(value, i->op_size), i->op_size);
	return X86_OK;
}
