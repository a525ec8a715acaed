/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on system state that are frequent enough for translated code or a light callout: the
 * interrupt flag, segment loads, and the ways between rings.
 *
 * tcw(cpu)->if_flag and eflags_sys hold what of EFLAGS is not in the host's flags.
 */
#include "guest_address.h"

static bool is_ring0(const struct build *b)
{
	return !(b->mode & MODE_CPL) && !(b->adapt & ADAPT_INTERPRET);
}

void translate_cli(struct build *b, const struct insn *i)
{
	if (!is_ring0(b))
		return translate_interpret(b, i);
	emit_store32_imm(&b->e, 0, memref_cpu(TCW_OFF(if_flag)));
}

uint8_t *interpret_if_events(struct build *b, const struct insn *i)
{
	struct emitter *e = &b->e;
	uint8_t *quiet, *done;

	esp_sync_first(b);
	emit_mov32(e, H_R11, H_RCX);
	emit_load32(e, H_RCX, memref_cpu(CPU_OFF(events)));
	quiet = emit_jrcxz_short(e);
	emit_mov32(e, H_RCX, H_R11);
	translate_interpret(b, i);
	done = emit_jmp_short(e);
	patch_short_here(e, quiet);
	emit_mov32(e, H_RCX, H_R11);
	return done;
}

/* With an event pending the interpreter takes over, which knows the one-instruction shadow. */
void translate_sti(struct build *b, const struct insn *i)
{
	struct emitter *e = &b->e;
	uint8_t *done;

	if (!is_ring0(b) || b->last)
		return translate_interpret(b, i);
	done = interpret_if_events(b, i);
	emit_store32_imm(e, X86_IF, memref_cpu(TCW_OFF(if_flag)));
	patch_short_here(e, done);
	b->shadow = true;
}

struct popf popf_begin(struct build *b, uint32_t may_change)
{
	struct emitter *e = &b->e;
	struct popf p;
	uint8_t *no_if;

	emit_mov32(e, H_R9, H_R8);
	emit_alu32_imm(e, ALU_AND, H_R9, ~(may_change | X86_IF));
	emit_alu32_imm8(e, ALU_OR, H_R9, X86_F1);
	emit_alu32_mem(e, ALU_CMP, H_R9, memref_cpu(TCW_OFF(eflags_sys)));
	p.others_change = emit_jcc_short(e, COND_NZ);
	emit_mov32(e, H_R9, H_R8);
	emit_alu32_imm(e, ALU_AND, H_R9, X86_IF);
	no_if = emit_jcc_short(e, COND_Z);
	emit_alu32_mem_imm8(e, ALU_CMP, memref_cpu(CPU_OFF(events)), 0);
	p.event = emit_jcc_short(e, COND_NZ);
	patch_short_here(e, no_if);
	emit_store32(e, H_R9, memref_cpu(TCW_OFF(if_flag)));
	emit_alu32_imm(e, ALU_AND, H_R8, LIVE_FLAGS);
	emit_push(e, H_R8);
	emit_popf(e);
	return p;
}

void popf_end(struct build *b, const struct insn *i, struct popf p)
{
	uint8_t *done = emit_jmp_short(&b->e);

	patch_short_here(&b->e, p.others_change);
	patch_short_here(&b->e, p.event);
	translate_interpret(b, i);
	patch_short_here(&b->e, done);
}

/*
 * Ring 0, and nothing changes but arithmetic flags, DF and IF; otherwise, or if IF is set with an
 * event pending, the interpreter. The host's flags may be spoilt meanwhile: POPF loads them all.
 */
void translate_popf(struct build *b, const struct insn *i)
{
	struct emitter *e = &b->e;
	struct popf p;

	if (!is_ring0(b) || !(b->mode & MODE_SS_FLAT) || i->op_size != 4)
		return translate_interpret(b, i);
	esp_sync_first(b);
	emit_load32(e, H_R8, guest_address_at(b, H_GUEST_ESP, 0));
	p = popf_begin(b, LIVE_FLAGS);
	emit_lea32(e, H_GUEST_ESP, memref_plain(H_GUEST_ESP, 4));
	popf_end(b, i, p);
}

static void emit_transfer(struct build *b, enum callout which)
{
	b->ended = true;
	emit_callout(b, which);
}

void translate_int(struct build *b, const struct insn *i)
{
	emit_mov32_imm(&b->e, H_R9, i->imm & 0xff);
	emit_transfer(b, CALLOUT_INT);
}

/* INT3, the breakpoint of debuggers. */
void translate_int3(struct build *b, const struct insn *i)
{
	emit_mov32_imm(&b->e, H_R9, EXC_BP);
	emit_transfer(b, CALLOUT_INT);
}

void translate_iret(struct build *b, const struct insn *i)
{
	if (i->op_size != 4) {
		b->ended = true;
		return translate_interpret(b, i);
	}
	emit_transfer(b, CALLOUT_IRET);
}

void translate_sysenter(struct build *b, const struct insn *i)
{
	emit_transfer(b, CALLOUT_SYSENTER);
}

void translate_sysexit(struct build *b, const struct insn *i)
{
	emit_transfer(b, CALLOUT_SYSEXIT);
}

/* r9d = r8d's low half | tag */
static void emit_segment_argument(struct build *b, uint32_t tag)
{
	emit_op_reg1(&b->e, OP2(0xb7), H_R9, H_R8);
	emit_mov32_imm(&b->e, H_R8, tag);
	emit_lea32(&b->e, H_R9, (struct memref){ .base = H_R9, .index = H_R8 });
}

void emit_load_segment(struct build *b, unsigned seg, uint32_t pop)
{
	emit_segment_argument(b, seg << 16 | pop);
	if (b->mode & MODE_CPL || is_code16(b))
		emit_callout(b, CALLOUT_LOAD_SEGMENT);
	else
		emit_callout_by(b, b->tr->stub_segment[seg]);
}

void translate_mov_to_seg(struct build *b, const struct insn *i)
{
	const unsigned seg = insn_reg(i);

	if (seg == X86_SS || (i->mem && i->addr_size != 4) || b->adapt & ADAPT_INTERPRET)
		return translate_interpret(b, i);
	if (!i->mem && insn_rm(i) == X86_ESP)
		esp_sync_first(b);
	if (i->mem)
		emit_op_mem1(&b->e, OP2(0xb7), H_R8, operand_prepare(b, i));
	else
		emit_mov32(&b->e, H_R8, host_reg_of(insn_rm(i)));
	emit_load_segment(b, seg, 0);
}

void translate_pop_seg(struct build *b, const struct insn *i)
{
	const unsigned seg = i->map == MAP_0F ? (i->opcode == 0xa1 ? X86_FS : X86_GS) :
						i->opcode >> 3;

	if (seg == X86_SS || !(b->mode & MODE_SS_FLAT) || i->op_size != 4 ||
	    b->adapt & ~(ADAPT_SOFT | ADAPT_EXACT))
		return translate_interpret(b, i);
	esp_sync_first(b);
	/* Two bytes: at the end of a page the other half of the slot may be out of reach. */
	emit_op_mem1(&b->e, OP2(0xb7), H_R8, guest_address_at(b, H_GUEST_ESP, 0));
	emit_load_segment(b, seg, CALLOUT_POP);
}

void translate_mov_from_seg(struct build *b, const struct insn *i)
{
	const struct memref selector =
		memref_cpu(CPU_SEG_OFF(insn_reg(i)) + (int32_t)offsetof(struct segment, selector));

	if (insn_reg(i) > X86_GS || (i->mem && i->addr_size != 4) || i->op_size != 4 ||
	    b->adapt & ADAPT_INTERPRET)
		return translate_interpret(b, i);
	if (!i->mem && insn_rm(i) == X86_ESP)
		esp_sync_first(b);
	if (i->mem) {
		struct opcode_bytes store = {
			.prefix = { 0x66 }, .nprefix = 1, .opcode = { 0x89 }, .nopcode = 1
		};
		struct memref m = operand_prepare(b, i);

		emit_op_mem1(&b->e, OP2(0xb7), H_R8, selector);
		emit_op_mem(&b->e, &store, H_R8, &m);
	} else {
		emit_op_mem1(&b->e, OP2(0xb7), host_reg_of(insn_rm(i)), selector);
	}
}

/* Control registers as MOV reads them are what struct cpu holds. */
void translate_mov_from_cr(struct build *b, const struct insn *i)
{
	static const int32_t offset[8] = {
		[0] = CPU_OFF(cr0), [2] = CPU_OFF(cr2), [3] = CPU_OFF(cr3), [4] = CPU_OFF(cr4)
	};

	if (!is_ring0(b) || !offset[insn_reg(i)])
		return translate_interpret(b, i);
	if (insn_rm(i) == X86_ESP)
		esp_sync_first(b);
	emit_load32(&b->e, host_reg_of(insn_rm(i)), memref_cpu(offset[insn_reg(i)]));
}

void translate_mov_to_cr(struct build *b, const struct insn *i)
{
	if (!is_ring0(b) || insn_reg(i) != 3)
		return translate_interpret(b, i);
	if (insn_rm(i) == X86_ESP)
		esp_sync_first(b);
	emit_mov32(&b->e, H_R9, host_reg_of(insn_rm(i)));
	emit_callout(b, CALLOUT_LOAD_CR3);
}

/* INVLPG is frequent where memory is unmapped or shared. */
void translate_group_0f01(struct build *b, const struct insn *i)
{
	if (insn_reg(i) != 7 || !i->mem || i->addr_size != 4 || !is_ring0(b))
		return translate_interpret(b, i);
	esp_sync_first(b);
	emit_linear(b, i);
	emit_mov32(&b->e, H_R9, H_R10);
	emit_callout(b, CALLOUT_INVLPG);
}

void translate_clac_stac(struct build *b, const struct insn *i)
{
	if (!is_ring0(b))
		return translate_interpret(b, i);
	guest_address_clobbered(b);
	emit_call(&b->e, b->tr->stub_ac[i->modrm == 0xcb]);
}
