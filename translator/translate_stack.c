/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PUSH, POP and their kin on r14d. Every access that may fault comes before the first change of a
 * guest register, so that the instruction can be restarted.
 *
 * r14d itself is moved lazily: within a TU the guest's ESP is r14d + esp_delta, a constant known
 * when translating, and memory operands based on ESP have it added to their displacement. r14d is
 * brought up to date before an exit, a callout, or an instruction that uses ESP as a register.
 * Whoever leaves in between adds the delta (struct tu_insn).
 */
#include "guest_address.h"

bool stack_is_plain(const struct build *b, const struct insn *i)
{
	return (b->mode & MODE_SS_FLAT) && i->op_size == 4 &&
	       !(b->adapt & ~(ADAPT_SOFT | ADAPT_EXACT));
}

#define ESP_DELTA_MAX 4096

void esp_sync(struct build *b)
{
	if (!b->esp_delta)
		return;
	emit_lea32(&b->e, H_GUEST_ESP, memref_plain(H_GUEST_ESP, b->esp_delta));
	guest_address_changed(b, H_GUEST_ESP);
	b->esp_delta = 0;
}

void esp_sync_first(struct build *b)
{
	if (!b->esp_delta)
		return;
	esp_sync(b);
	b->record->esp_delta = 0;
	b->record->host_offset = emit_here(&b->e) - b->tu->entry;
}

static struct memref stack_at(struct build *b, int32_t disp)
{
	return guest_address_at(b, H_GUEST_ESP, b->esp_delta + disp);
}

struct memref stack_slot(struct build *b, int32_t disp, enum access access)
{
	if (!mode_is_soft(b))
		return stack_at(b, disp);
	esp_sync_first(b);
	return soft_stack_slot(b, disp, access);
}

static void emit_esp_add(struct build *b, int32_t n)
{
	b->esp_delta += n;
	if (b->esp_delta > ESP_DELTA_MAX || b->esp_delta < -ESP_DELTA_MAX)
		esp_sync(b);
}

/* The soft mode: the slot is looked up first, and a value in r8 waits meanwhile. */
static void emit_push_soft(struct build *b, unsigned reg)
{
	struct memref slot;

	if (reg == H_R8)
		emit_soft_keep(b, reg);
	slot = stack_slot(b, -4, ACCESS_WRITE);
	if (reg == H_R8)
		emit_soft_kept(b, reg);
	emit_store32(&b->e, reg, slot);
	emit_esp_add(b, -4);
}

static void emit_push_host(struct build *b, unsigned reg)
{
	if (mode_is_soft(b))
		return emit_push_soft(b, reg);
	emit_store32(&b->e, reg, stack_at(b, -4));
	emit_esp_add(b, -4);
}

void translate_push_reg(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	if ((i->opcode & 7) == X86_ESP)
		esp_sync_first(b);
	emit_push_host(b, host_reg_of(i->opcode & 7));
}

void translate_push_imm(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	emit_store32_imm(&b->e, i->imm, stack_slot(b, -4, ACCESS_WRITE));
	emit_esp_add(b, -4);
}

/*
 * The slot's upper half is written as zero, as the interpreter does. SDM vol. 2, PUSH, allows that
 * as well as leaving it alone, which Intel's processors do: they write two bytes.
 */
void translate_push_seg(struct build *b, const struct insn *i)
{
	const unsigned seg = i->map == MAP_0F ? (i->opcode == 0xa0 ? X86_FS : X86_GS) :
						i->opcode >> 3;

	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	emit_op_mem1(&b->e, OP2(0xb7), H_R8,
		     memref_cpu(CPU_SEG_OFF(seg) + (int32_t)offsetof(struct segment, selector)));
	emit_push_host(b, H_R8);
}

void translate_push_mem(struct build *b, const struct insn *i)
{
	if (!i->mem && stack_is_plain(b, i)) {
		if (insn_rm(i) == X86_ESP)
			esp_sync_first(b);
		emit_push_host(b, host_reg_of(insn_rm(i)));
		return;
	}
	if (!stack_is_plain(b, i) || i->addr_size != 4)
		return translate_interpret(b, i);
	b->soft = mode_is_soft(b);
	emit_load32(&b->e, H_R8, operand_prepare(b, i));
	emit_push_host(b, H_R8);
}

void translate_pop_reg(struct build *b, const struct insn *i)
{
	const unsigned reg = i->opcode & 7;

	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	emit_load32(&b->e, host_reg_of(reg), stack_slot(b, 0, ACCESS_READ));
	if (reg != X86_ESP)
		emit_esp_add(b, 4);
	else
		b->esp_delta = 0;
}

/* A base of ESP in the operand means ESP after the pop (SDM vol. 2, POP). */
void translate_pop_mem(struct build *b, const struct insn *i)
{
	struct insn adjusted = *i;

	if (!stack_is_plain(b, i) || i->addr_size != 4)
		return translate_interpret(b, i);
	if (!i->mem) {
		emit_load32(&b->e, host_reg_of(insn_rm(i)), stack_at(b, 0));
		if (insn_rm(i) != X86_ESP)
			emit_esp_add(b, 4);
		else
			b->esp_delta = 0;
		return;
	}
	if (i->base == X86_ESP)
		adjusted.disp += 4;
	emit_load32(&b->e, H_R8, stack_at(b, 0));
	emit_store32(&b->e, H_R8, operand_prepare(b, &adjusted));
	emit_esp_add(b, 4);
}

void translate_pusha(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	esp_sync_first(b);
	for (unsigned r = 0; r < 8; r++)
		emit_store32(&b->e, host_reg_of(r), stack_at(b, -4 * (int32_t)(r + 1)));
	emit_esp_add(b, -32);
}

/*
 * All are loaded before any is changed, in the order that decides which address a page fault names.
 */
void translate_popa(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	for (unsigned slot = 0; slot < 8; slot++)
		emit_load32(&b->e, H_R8, stack_at(b, 4 * (int32_t)slot));
	for (unsigned r = 0; r < 8; r++) {
		if (r != X86_ESP)
			emit_load32(&b->e, r, stack_at(b, 28 - 4 * (int32_t)r));
	}
	emit_esp_add(b, 32);
}

/*
 * r8d &= LIVE_FLAGS, and the flags are as before: without BMI2 they are spoilt, and loaded again,
 * which is slow.
 */
static void emit_mask_host_flags(struct build *b)
{
	struct emitter *e = &b->e;

	if (b->tr->opt.host & HOST_BMI2) {
		emit_mov32_imm(e, H_R9, LIVE_FLAGS);
		emit_pext32(e, H_R8, H_R8, H_R9);
		emit_pdep32(e, H_R8, H_R8, H_R9);
		return;
	}
	emit_alu32_imm(e, ALU_AND, H_R8, LIVE_FLAGS);
	emit_push(e, H_R8);
	emit_popf(e);
}

void emit_read_flags(struct build *b)
{
	struct emitter *e = &b->e;

	emit_pushf(e);
	emit_pop(e, H_R8);
	emit_mask_host_flags(b);
	/*
	 * The three parts share no bit: adding them needs no flags. eflags_sys holds RF and VM as
	 * zero here.
	 */
	emit_load32(e, H_R9, memref_cpu(TCW_OFF(eflags_sys)));
	emit_lea32(e, H_R8, (struct memref){ .base = H_R8, .index = H_R9 });
	emit_load32(e, H_R9, memref_cpu(TCW_OFF(if_flag)));
	emit_lea32(e, H_R8, (struct memref){ .base = H_R8, .index = H_R9 });
}

void translate_pushf(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	emit_read_flags(b);
	emit_push_host(b, H_R8);
}

void translate_leave(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	if (mode_is_soft(b)) {
		esp_sync_first(b);
		emit_mov32(&b->e, H_R10, H_RBP);
		emit_load32(&b->e, H_R8, emit_soft_lookup(b, b->tr->stub_soft[ACCESS_READ], 4));
	} else {
		emit_load32(&b->e, H_R8, guest_address_at(b, H_RBP, 0));
	}
	emit_lea32(&b->e, H_GUEST_ESP, memref_plain(H_RBP, 4));
	b->esp_delta = 0;
	emit_mov32(&b->e, H_RBP, H_R8);
}
