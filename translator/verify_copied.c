/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copied guest instructions: on the list, with registers and memory that are the guest's. */
#include "verify_forms.h"

/*
 * ADD, CMP and the like with r8b in place of AH to BH, which cannot be named beside a REX prefix.
 */
static bool is_byte_for_high(const struct verifier *v, const struct host_operand *o)
{
	const struct fact *r8 = &v->state.reg[H_R8];

	return v->insn.byte_alu && o == &v->insn.operand[1] && o->file == FILE_GENERAL &&
	       o->reg == H_R8 && o->bytes == 1 && (r8->kind == FACT_BYTE || fact_is_value(r8));
}

static bool copied_register(struct verifier *v, const struct host_operand *o)
{
	if (is_byte_for_high(v, o))
		return true;
	switch (o->file) {
	case FILE_GENERAL:
		if (!(GUEST_REGISTERS & R(o->reg)))
			return verify_fail(v, VERIFY_REGISTER,
					   "a register that is not the guest's");
		if (o->bytes == 8)
			return verify_fail(v, VERIFY_REGISTER, "64 bits of a guest register");
		if (o->bytes == 1 && o->reg >= 4)
			return verify_fail(v, VERIFY_REGISTER,
					   "a byte register that the guest does not have");
		return true;
	case FILE_XMM:
		return o->reg < 8 ? true :
				    verify_fail(v, VERIFY_REGISTER,
						"an XMM register that the guest does not have");
	case FILE_HIGH_BYTE: case FILE_MMX: case FILE_X87:
		return true;
	default:
		return verify_fail(v, VERIFY_REGISTER, "a register that is not on the list");
	}
}

static bool sum_part(unsigned reg)
{
	return reg == VERIFY_NO_REG || (reg < 16 && GUEST_REGISTERS & R(reg));
}

/*
 * LEA reaches no memory: any sum of guest registers, in 64 bits, cut to what the destination holds.
 */
static bool copied_sum(struct verifier *v, const struct host_operand *m)
{
	if (!sum_part(m->base) || !sum_part(m->index))
		return verify_fail(v, VERIFY_MEMORY, "LEA of something else than guest registers");
	return true;
}

static bool copied_mode(struct verifier *v)
{
	static const uint32_t need[] = { [COPY_X87] = MODE_FPU,
					 [COPY_MMX] = MODE_FPU,
					 [COPY_SSE] = MODE_SSE,
					 [COPY_GENERAL] = 0 };

	if ((v->tu->mode & need[v->insn.copy]) != need[v->insn.copy])
		return verify_fail(v, VERIFY_MODE, "x87, MMX or SSE in a mode in which it faults");
	return true;
}

/* Elsewhere its bytes are BSR's, which gives another result. */
static bool lzcnt_is_lzcnt(struct verifier *v)
{
	const struct host_insn *h = &v->insn;

	if (h->map == HOST_MAP_0F && h->opcode == 0xbd && h->prefixes & HOST_F3 &&
	    !(v->tr->opt.host & HOST_LZCNT))
		return verify_fail(v, VERIFY_INSTRUCTION, "LZCNT on a host that has none");
	return true;
}

bool verify_copied(struct verifier *v)
{
	const struct host_insn *h = &v->insn;

	if (h->copy == COPY_NEVER)
		return verify_fail(v, VERIFY_INSTRUCTION, "an instruction that is not on the list");
	if (h->rex & REX_W)
		return verify_fail(v, VERIFY_REGISTER, "a 64-bit operation");
	for (unsigned i = 0; i < h->noperands; i++) {
		const struct host_operand *o = &h->operand[i];

		if (o->kind == OPERAND_REGISTER && !copied_register(v, o))
			return false;
		if (o->kind == OPERAND_MEMORY &&
		    !(h->op == HOST_LEA ? copied_sum(v, o) : verify_guest_memory(v, o)))
			return false;
	}
	if (!verify_at_rest(&v->state, false))
		return verify_fail(
			v, VERIFY_REST,
			"a copied instruction while guest registers or flags are borrowed");
	verify_forget_written(v);
	return lzcnt_is_lzcnt(v) && copied_mode(v);
}
