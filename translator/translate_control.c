/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Near control transfers.
 *
 * A guest CALL pushes the guest's return address on the guest's stack and makes a host CALL; a
 * guest RET loads that address into r8d and makes a host RET. The return site checks that r8d is
 * the address it stands for and otherwise looks the target up, so a wrong prediction costs time,
 * never correctness. Indirect jumps look up the branch cache.
 */
#include "guest_address.h"

void emit_exit(struct build *b, gva_t target, enum leave_by how, unsigned condition)
{
	const bool in_page = !((target ^ b->tu->eip) & GUEST_PAGE_MASK);
	const enum exit_form form = in_page || b->tu->global ? EXIT_DIRECT : EXIT_TABLE;
	struct pending_exit *p = &b->pending[b->npending++];
	struct emitter *e = &b->e;
	uint8_t *field;

	assert(b->npending <= RF_ARRAY_SIZE(b->pending));
	esp_sync(b);
	*p = (struct pending_exit){ .exit = link_new_exit(b->tr, target, form) };
	if (how != BY_JCC && form == EXIT_TABLE) {
		const struct memref slot =
			memref_plain(H_LINKS, 8 * b->tr->exits[p->exit].slot);

		if (how == BY_CALL)
			emit_call_mem(e, slot);
		else
			emit_jmp_mem(e, slot);
		return;
	}
	field = how == BY_JCC ? emit_jcc_forward(e, condition) :
		how == BY_CALL ? emit_call_forward(e) : emit_jmp_forward(e);
	if (form == EXIT_DIRECT)
		p->patch = field;
	else
		p->pad = field;
}

bool near_target(const struct build *b, const struct insn *i, gva_t *target)
{
	const uint32_t eip = guest_eip(b, b->next_eip) + i->imm,
		       offset = i->op_size == 2 ? eip & 0xffff : eip;

	*target = b->code->base + offset;
	return is_code16(b) ? offset <= b->code->limit : i->op_size == 4;
}

void translate_jcc(struct build *b, const struct insn *i)
{
	gva_t target;

	if (!near_target(b, i, &target))
		return translate_interpret(b, i);
	emit_exit(b, target, BY_JCC, i->opcode & 15);
}

/* LOOPcc and JECXZ exist in 64-bit mode; the address-size prefix makes them count ECX. */
void translate_loop(struct build *b, const struct insn *i)
{
	uint8_t *taken, *skip;
	gva_t target;

	if (!near_target(b, i, &target) || i->addr_size != 4)
		return translate_interpret(b, i);
	esp_sync(b);
	emit8(&b->e, 0x67);
	emit8(&b->e, i->opcode);
	taken = b->e.p;
	emit8(&b->e, 0);
	skip = emit_jmp_short(&b->e);
	patch_short_here(&b->e, taken);
	emit_exit(b, target, BY_JMP, 0);
	patch_short_here(&b->e, skip);
}

void translate_jmp(struct build *b, const struct insn *i)
{
	gva_t target;

	b->ended = true;
	if (!near_target(b, i, &target))
		return translate_interpret(b, i);
	emit_exit(b, target, BY_JMP, 0);
}

/* Behind a host CALL: the host RET comes back here with the guest's idea of where in r8d. */
void emit_return_site(struct build *b)
{
	struct emitter *e = &b->e;
	uint8_t *on;

	guest_address_clobbered(b);
	emit_mov32(e, H_R9, H_RCX);
	emit_lea32(e, H_RCX, memref_plain(H_R8, -mode_lookup(b->tr, b->mode, b->next_eip)));
	on = emit_jrcxz_short(e);
	emit_jmp(e, b->tr->stub_return_miss);
	patch_short_here(e, on);
	emit_mov32(e, H_RCX, H_R9);
}

static void emit_push_return(struct build *b)
{
	emit_store32_imm(&b->e, b->next_eip, stack_slot(b, -4, ACCESS_WRITE));
	b->esp_delta -= 4;
	esp_sync(b);
}

void translate_call(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i)) {
		b->ended = true;
		return translate_interpret(b, i);
	}
	emit_push_return(b);
	/* CALL to the next instruction only reads EIP: no return will match. */
	if (!i->imm)
		return;
	emit_exit(b, b->next_eip + i->imm, BY_CALL, 0);
	emit_return_site(b);
}

void translate_ret(struct build *b, const struct insn *i)
{
	b->ended = true;
	if (!stack_is_plain(b, i))
		return translate_interpret(b, i);
	emit_load32(&b->e, H_R8, stack_slot(b, 0, ACCESS_READ));
	b->esp_delta += 4 + (i->imm_size ? i->imm & 0xffff : 0);
	esp_sync(b);
	emit_ret(&b->e);
}

/* r8d = target of FF /2 or /4 */
static void emit_indirect_target(struct build *b, const struct insn *i)
{
	if (i->mem) {
		b->soft = mode_is_soft(b);
		emit_load32(&b->e, H_R8, operand_prepare(b, i));
		return;
	}
	if (insn_rm(i) == X86_ESP)
		esp_sync_first(b);
	emit_mov32(&b->e, H_R8, host_reg_of(insn_rm(i)));
}

void translate_jmp_indirect(struct build *b, const struct insn *i)
{
	b->ended = true;
	if (i->op_size != 4 || (i->mem && i->addr_size != 4))
		return translate_interpret(b, i);
	emit_indirect_target(b, i);
	esp_sync(b);
	emit_jmp_lookup(b);
}

void emit_jmp_lookup(struct build *b)
{
	/*
	 * In place rather than in the stub, so that the host predicts each branch by its own
	 * history.
	 */
	link_patch_rel32(b->tr, emit_branch_lookup(&b->e, b->mode), b->tr->stub_lookup_miss);
	emit_jmp_mem(&b->e, branch_lookup_hit(b->mode));
}

/* CALL to r8d; a miss calls the miss path, so that the return stack is the same either way. */
void emit_call_lookup(struct build *b)
{
	struct emitter *e = &b->e;
	uint8_t *miss = emit_branch_lookup(e, b->mode), *over;

	emit_call_mem(e, branch_lookup_hit(b->mode));
	over = emit_jmp_short(e);
	link_patch_rel32(b->tr, miss, emit_here(e));
	emit_call(e, b->tr->stub_lookup_miss);
	patch_short_here(e, over);
}

void translate_call_indirect(struct build *b, const struct insn *i)
{
	if (!stack_is_plain(b, i) || (i->mem && i->addr_size != 4)) {
		b->ended = true;
		return translate_interpret(b, i);
	}
	if (mode_is_soft(b))
		esp_sync_first(b);
	emit_indirect_target(b, i);
	if (mode_is_soft(b))
		emit_soft_keep(b, H_R8);
	emit_push_return(b);
	if (mode_is_soft(b))
		emit_soft_kept(b, H_R8);
	emit_call_lookup(b);
	emit_return_site(b);
}
