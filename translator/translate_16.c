/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16-bit code (MODE_CODE16): real mode, virtual-8086 mode, 16-bit code segments.
 *
 * Most instructions are copied, as those of 32-bit code are; their operands are made by
 * translate_16_address.c. Here is what is different: the stack, which is addressed by SP;
 * transfers, whose targets are offsets of 16 bits in CS; and parts of registers, which are written
 * by MOV of 16 bits. SP is never moved lazily: r14d is the guest's ESP at every instruction.
 *
 * A transfer to an offset beyond CS' limit, or beyond 64 KiB, is interpreted, and so is the last
 * instruction before that end: what comes after it faults.
 */
#include "guest_address.h"
#include "translate_16.h"

static struct opcode_bytes sized(uint8_t opcode, unsigned size)
{
	struct opcode_bytes op = OP1(opcode);

	if (size == 2)
		op.prefix[op.nprefix++] = 0x66;
	return op;
}

void code16_store(struct build *b, unsigned reg, unsigned size, struct memref m)
{
	const struct opcode_bytes op = sized(0x89, size);

	emit_op_mem(&b->e, &op, reg, &m);
}

void code16_load(struct build *b, unsigned reg, unsigned size, struct memref m)
{
	const struct opcode_bytes op = sized(0x8b, size);

	emit_op_mem(&b->e, &op, reg, &m);
}

void code16_load_r8(struct build *b, unsigned size, struct memref m)
{
	if (size == 2)
		emit_op_mem1(&b->e, OP2(0xb7), H_R8, m);
	else
		emit_load32(&b->e, H_R8, m);
}

void code16_set_word(struct build *b, unsigned reg, unsigned from)
{
	const struct opcode_bytes op = sized(0x8b, 2);

	emit_op_reg(&b->e, &op, reg, from);
}

void code16_set(struct build *b, unsigned reg, unsigned size, unsigned from)
{
	if (size == 2)
		code16_set_word(b, reg, from);
	else
		emit_mov32(&b->e, reg, from);
}

void code16_sp_add(struct build *b, int32_t n)
{
	emit_lea32(&b->e, H_R9, memref_plain(H_GUEST_ESP, n));
	code16_set_word(b, H_GUEST_ESP, H_R9);
}

/* --- the stack --- */

static void push_value(struct build *b, unsigned reg, unsigned size)
{
	code16_store(b, reg, size, stack16_slot(b, -(int32_t)size, size, ACCESS_WRITE));
	code16_set_word(b, H_GUEST_ESP, H_R9);
}

static void push_reg(struct build *b, const struct insn *i)
{
	push_value(b, host_reg_of(i->opcode & 7), i->op_size);
}

static void emit_push_imm(struct build *b, uint32_t value, unsigned size)
{
	const struct opcode_bytes op = sized(0xc7, size);
	const struct memref m = stack16_slot(b, -(int32_t)size, size, ACCESS_WRITE);

	emit_op_mem(&b->e, &op, 0, &m);
	emit_bytes(&b->e, &value, size);
	code16_set_word(b, H_GUEST_ESP, H_R9);
}

static void push_imm(struct build *b, const struct insn *i)
{
	emit_push_imm(b, i->imm, i->op_size);
}

unsigned code16_segment_of(const struct insn *i)
{
	if (i->map == MAP_0F)
		return i->opcode < 0xa8 ? X86_FS : X86_GS;
	return i->opcode >> 3;
}

void code16_selector(struct build *b, unsigned seg)
{
	emit_op_mem1(&b->e, OP2(0xb7), H_R8,
		     memref_cpu(CPU_SEG_OFF(seg) + (int32_t)offsetof(struct segment, selector)));
}

static void push_seg(struct build *b, const struct insn *i)
{
	code16_selector(b, code16_segment_of(i));
	push_value(b, H_R8, i->op_size);
}

static void push_rm(struct build *b, const struct insn *i)
{
	if (!i->mem)
		return push_value(b, host_reg_of(insn_rm(i)), i->op_size);
	code16_load_r8(b, i->op_size, operand16_prepare(b, i));
	push_value(b, H_R8, i->op_size);
}

static void pop_value(struct build *b, unsigned reg, unsigned size)
{
	code16_load(b, reg, size, stack16_slot(b, 0, size, ACCESS_READ));
	if (reg != H_GUEST_ESP)
		code16_sp_add(b, size);
}

static void pop_reg(struct build *b, const struct insn *i)
{
	pop_value(b, host_reg_of(i->opcode & 7), i->op_size);
}

/* A base of ESP would be ESP after the pop. */
static void pop_rm(struct build *b, const struct insn *i)
{
	if (!i->mem)
		return pop_value(b, host_reg_of(insn_rm(i)), i->op_size);
	if (i->base == X86_ESP)
		return translate_interpret(b, i);
	code16_load_r8(b, i->op_size, stack16_slot(b, 0, i->op_size, ACCESS_READ));
	code16_store(b, H_R8, i->op_size, operand16_prepare(b, i));
	code16_sp_add(b, i->op_size);
}

static void pushf(struct build *b, const struct insn *i)
{
	if (b->mode & MODE_CPL)
		return translate_interpret(b, i);
	emit_read_flags(b);
	push_value(b, H_R8, i->op_size);
}

/* SP = BP, then POP BP. */
static void leave(struct build *b, const struct insn *i)
{
	emit_movzx16(&b->e, H_R9, H_RBP);
	code16_load_r8(b, i->op_size, segment16_at_r9(b, X86_SS, i->op_size, ACCESS_READ));
	emit_lea32(&b->e, H_R9, memref_plain(H_RBP, i->op_size));
	code16_set_word(b, H_GUEST_ESP, H_R9);
	code16_set(b, H_RBP, i->op_size, H_R8);
}

static struct memref slot_at(struct memref m, unsigned n, unsigned size)
{
	m.disp += n * size;
	return m;
}

/* Two probes serve all: eight slots that wrap are interpreted. */
static void pusha(struct build *b, const struct insn *i)
{
	const unsigned size = i->op_size;
	const struct memref low = stack16_slot(b, -8 * (int32_t)size, 8 * size, ACCESS_WRITE);

	stack16_check_wrap(b, 8 * size);
	for (unsigned r = 0; r < 8; r++)
		code16_store(b, host_reg_of(r), size, slot_at(low, 7 - r, size));
	code16_set_word(b, H_GUEST_ESP, H_R9);
}

/* The ends are loaded first, so that no register changes if the second page is not there. */
static void popa(struct build *b, const struct insn *i)
{
	const unsigned size = i->op_size;
	const struct memref low = stack16_slot(b, 0, 8 * size, ACCESS_READ);

	stack16_check_wrap(b, 8 * size);
	code16_load_r8(b, size, low);
	code16_load_r8(b, size, slot_at(low, 7, size));
	for (unsigned r = 0; r < 8; r++) {
		if (r != X86_ESP)
			code16_load(b, r, size, slot_at(low, 7 - r, size));
	}
	code16_sp_add(b, 8 * size);
}

/* --- transfers --- */

/* r8d: an offset in CS, that is checked. */
static void emit_lookup_base(struct build *b)
{
	emit_lea32(&b->e, H_R8, memref_plain(H_R8, mode_lookup_base(b->mode)));
}

static void call(struct build *b, const struct insn *i)
{
	gva_t target;

	if (!near_target(b, i, &target)) {
		b->ended = true;
		return translate_interpret(b, i);
	}
	emit_push_imm(b, guest_eip(b, b->next_eip), i->op_size);
	if (!i->imm)
		return;
	emit_exit(b, target, BY_CALL, 0);
	emit_return_site(b);
}

static void ret(struct build *b, const struct insn *i)
{
	b->ended = true;
	code16_load_r8(b, i->op_size, stack16_slot(b, 0, i->op_size, ACCESS_READ));
	code16_check_target(b, i->op_size);
	code16_sp_add(b, i->op_size + (i->imm_size ? i->imm & 0xffff : 0));
	emit_lookup_base(b);
	emit_ret(&b->e);
}

static void emit_indirect(struct build *b, const struct insn *i)
{
	if (i->mem)
		code16_load_r8(b, i->op_size, operand16_prepare(b, i));
	else if (i->op_size == 2)
		emit_movzx16(&b->e, H_R8, host_reg_of(insn_rm(i)));
	else
		emit_mov32(&b->e, H_R8, host_reg_of(insn_rm(i)));
	code16_check_target(b, i->op_size);
}

static void jmp_rm(struct build *b, const struct insn *i)
{
	b->ended = true;
	emit_indirect(b, i);
	emit_lookup_base(b);
	emit_jmp_lookup(b);
}

static void call_rm(struct build *b, const struct insn *i)
{
	emit_indirect(b, i);
	emit_push_imm(b, guest_eip(b, b->next_eip), i->op_size);
	emit_lookup_base(b);
	emit_call_lookup(b);
	emit_return_site(b);
}

static void group_ff(struct build *b, const struct insn *i)
{
	switch (insn_reg(i)) {
	case 2: return call_rm(b, i);
	case 4: return jmp_rm(b, i);
	case 6: return push_rm(b, i);
	case 3: case 5: return translate_16_far_indirect(b, i);
	default: return translate_copy(b, i);
	}
}

/* ecx is the guest's again, but for its low half, which is r9w; it was saved in r11d. */
static void emit_count_back(struct build *b)
{
	emit_mov32(&b->e, H_RCX, H_R11);
	code16_set_word(b, H_RCX, H_R9);
}

/* Taken if r9w is zero. */
static uint8_t *emit_if_count_is_zero(struct build *b)
{
	emit_mov32(&b->e, H_R11, H_RCX);
	emit_movzx16(&b->e, H_RCX, H_R9);
	return emit_jrcxz_short(&b->e);
}

/* LOOPNE, LOOPE, LOOP with CX, and JCXZ. */
static void loop(struct build *b, const struct insn *i)
{
	struct emitter *e = &b->e;
	const bool counts = i->opcode != 0xe3;
	uint8_t *zero, *done = NULL;
	gva_t target;

	if (i->addr_size == 4)
		return translate_loop(b, i);
	if (!near_target(b, i, &target))
		return translate_interpret(b, i);
	if (counts)
		emit_lea32(e, H_R9, memref_plain(H_RCX, -1));
	else
		emit_movzx16(e, H_R9, H_RCX);
	zero = emit_if_count_is_zero(b);
	emit_count_back(b);
	if (i->opcode == 0xe2)
		emit_exit(b, target, BY_JMP, 0);
	else if (counts)
		emit_exit(b, target, BY_JCC, i->opcode == 0xe1 ? COND_Z : COND_NZ);
	if (i->opcode != 0xe2)
		done = emit_jmp_short(e);
	patch_short_here(e, zero);
	emit_count_back(b);
	if (!counts)
		emit_exit(b, target, BY_JMP, 0);
	if (done)
		patch_short_here(e, done);
}

/* --- segment registers --- */

static void mov_from_seg(struct build *b, const struct insn *i)
{
	if (insn_reg(i) > X86_GS)
		return translate_interpret(b, i);
	if (i->mem) {
		const struct memref m = operand16_prepare(b, i);

		code16_selector(b, insn_reg(i));
		return code16_store(b, H_R8, 2, m);
	}
	code16_selector(b, insn_reg(i));
	code16_set(b, host_reg_of(insn_rm(i)), i->op_size, H_R8);
}

/* --- which is translated by what --- */

#define RANGE(first, last) [first ... last]

static const translate_fn table_1byte[256] = {
	[0x06] = push_seg, [0x0e] = push_seg, [0x16] = push_seg, [0x1e] = push_seg,
	[0x07] = translate_16_pop_seg, [0x17] = translate_16_pop_seg,
	[0x1f] = translate_16_pop_seg,
	[0x27] = translate_interpret, [0x2f] = translate_interpret, [0x37] = translate_interpret,
	[0x3f] = translate_interpret, RANGE(0x50, 0x57) = push_reg, RANGE(0x58, 0x5f) = pop_reg,
	[0x60] = pusha, [0x61] = popa, [0x62] = translate_interpret, [0x63] = translate_interpret,
	[0x68] = push_imm, [0x6a] = push_imm, RANGE(0x70, 0x7f) = translate_jcc,
	[0x8c] = mov_from_seg, [0x8d] = translate_lea, [0x8e] = translate_16_mov_to_seg,
	[0x8f] = pop_rm,
	[0x9a] = translate_16_far_direct, [0x9c] = pushf, [0x9d] = translate_16_popf,
	RANGE(0xa4, 0xa7) = translate_16_string, RANGE(0xaa, 0xaf) = translate_16_string,
	[0xc2] = ret, [0xc3] = ret, [0xc4] = translate_16_load_far,
	[0xc5] = translate_16_load_far,
	[0xc8] = translate_interpret, [0xc9] = leave, [0xca] = translate_16_far_return,
	[0xcb] = translate_16_far_return, [0xcc] = translate_16_int, [0xcd] = translate_16_int,
	[0xce] = translate_interpret, [0xcf] = translate_16_far_return,
	[0xd4] = translate_interpret,
	[0xd5] = translate_interpret, [0xd6] = translate_interpret, [0xd7] = translate_interpret,
	RANGE(0xe0, 0xe3) = loop, [0xe8] = call, [0xe9] = translate_jmp,
	[0xea] = translate_16_far_direct, [0xeb] = translate_jmp, [0xf1] = translate_leave_tc,
	[0xf4] = translate_leave_tc, [0xfa] = translate_cli, [0xfb] = translate_sti,
	[0xfc] = translate_16_direction, [0xfd] = translate_16_direction,
	[0xff] = group_ff,
};

static const translate_fn table_0f[256] = {
	[0x01] = translate_interpret, [0x20] = translate_mov_from_cr,
	[0x22] = translate_interpret, [0x31] = translate_rdtsc, [0x34] = translate_leave_tc,
	[0x35] = translate_leave_tc,
	RANGE(0x80, 0x8f) = translate_jcc, [0xa0] = push_seg,
	[0xa1] = translate_16_pop_seg, [0xa8] = push_seg, [0xa9] = translate_16_pop_seg,
	[0xb2] = translate_16_load_far, [0xb4] = translate_16_load_far,
	[0xb5] = translate_16_load_far, [0xbd] = translate_interpret, [0xc7] = translate_interpret,
	[0xf7] = translate_interpret,
};

/* What may not come back here: it ends its TU. */
static bool transfers(const struct insn *i)
{
	return i->attr & (OPA_JUMP | OPA_CALL | OPA_RET | OPA_INT | OPA_FAR);
}

translate_fn translate_16_choose(const struct build *b, const struct insn *i)
{
	const bool at_end = guest_eip(b, b->next_eip) > b->code->limit;

	if (!at_end && b->adapt == ADAPT_INTERPRET && translate_16_stores(b, i))
		return translate_16_store;
	if (at_end || (b->adapt && transfers(i)))
		return translate_leave_tc;
	/* The x87 last-instruction pointers are noted as 32-bit code has them. */
	if (b->adapt || i->attr & OPA_FPU || (i->mem && !operand16_has_form(i) && i->mem_size))
		return translate_interpret;
	return i->map == MAP_1BYTE ? table_1byte[i->opcode] :
	       i->map == MAP_0F    ? table_0f[i->opcode] :
				     NULL;
}
