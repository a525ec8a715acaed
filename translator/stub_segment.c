/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ring 0's segment loads by way of a memo of the last one (struct segment_memo). */
#include "stubs.h"

/* ecx or rcx is zero: go on; else to miss. */
static void emit_unless_zero(struct emitter *e, cache_pc miss)
{
	uint8_t *on = emit_jrcxz_short(e);

	emit_jmp(e, miss);
	patch_short_here(e, on);
}

#define MEMO_OFF(field) (int32_t)offsetof(struct segment_memo, field)

/* rcx = field of the memo at r10 - what is in rcx: ~x + 1 is -x, and NOT changes no flag. */
static void emit_memo_difference(struct emitter *e, bool wide, int32_t field, int32_t add)
{
	const struct memref sum = { .base = H_RCX, .index = H_R8, .disp = add };

	if (wide) {
		emit_not64(e, H_RCX);
		emit_load64(e, H_R8, memref_plain(H_R10, field));
		emit_lea64(e, H_RCX, sum);
	} else {
		emit_not32(e, H_RCX);
		emit_load32(e, H_R8, memref_plain(H_R10, field));
		emit_lea32(e, H_RCX, sum);
	}
}

/* r8d = eight times the memo's index for the selector in ecx; changes r10. */
static void emit_memo_index(struct translator *tr, struct emitter *e)
{
	if (tr->opt.host & HOST_BMI2) {
		emit_mov32_imm(e, H_R8, 32 - SEGMENT_MEMO_BITS - 3);
		emit_shlx32(e, H_R8, H_RCX, H_R8);
		emit_mov32_imm(e, H_R10, 32 - SEGMENT_MEMO_BITS);
		emit_shrx32(e, H_R8, H_R8, H_R10);
		emit_lea32(e, H_R8, (struct memref){ .base = NO_REG, .index = H_R8, .scale = 3 });
		return;
	}
	emit_keep_flags(e);
	emit_mov32(e, H_R8, H_RCX);
	emit_alu32_imm(e, ALU_AND, H_R8, (SEGMENT_MEMOS - 1) << 3);
	emit_restore_flags(e);
}

/* r10 = the memo for the selector in ecx; changes r8. */
static void emit_memo_address(struct translator *tr, struct emitter *e)
{
	emit_memo_index(tr, e);
	emit_load64(e, H_R10, memref_cpu(TCW_OFF(segment_memos)));
	emit_lea64(e, H_R10, (struct memref){ .base = H_R10, .index = H_R8, .scale = 3 });
}

/*
 * FS and GS may change; of DS and ES the mode key knows whether they are flat, so that only what
 * changes nothing is done here.
 */
static void emit_memo_use(struct emitter *e, enum x86_seg seg, cache_pc miss)
{
	const int32_t image = CPU_SEG_OFF(seg),
		      limit = image + (int32_t)offsetof(struct segment, limit);

	if (seg == X86_DS || seg == X86_ES) {
		emit_load64(e, H_RCX, memref_cpu(image));
		emit_memo_difference(e, true, MEMO_OFF(image), 1);
		emit_unless_zero(e, miss);
		emit_load32(e, H_RCX, memref_cpu(limit));
		emit_memo_difference(e, false, MEMO_OFF(limit), 1);
		emit_unless_zero(e, miss);
		return;
	}
	/* The selector may be wanted of an x87 operand before this (x87_pointers.c). */
	emit_load32(e, H_RCX, memref_cpu(TCW_OFF(x87_site)));
	emit_unless_zero(e, miss);
	emit_load64(e, H_R8, memref_plain(H_R10, MEMO_OFF(image)));
	emit_store64(e, H_R8, memref_cpu(image));
	emit_op_mem1(e, OP1_16(0x89), H_R8, memref_cpu(TCW_OFF(x87.selector) + 2 * (int32_t)seg));
	emit_load32(e, H_R8, memref_plain(H_R10, MEMO_OFF(limit)));
	emit_store32(e, H_R8, memref_cpu(limit));
	emit_load64(e, H_R8, memref_plain(H_R10, MEMO_OFF(seg_base) + (seg == X86_GS ? 8 : 0)));
	emit_store64(e, H_R8, memref_cpu(TCW_OFF(seg_base) + 8 * (int32_t)seg));
}

/*
 * A segment load in ring 0, with what CALLOUT_LOAD_SEGMENT expects. A kernel loads the same few
 * selectors at each way in and out: if there is a memo of this one, and its descriptor in memory is
 * still the same, no C code need run.
 */
static void stub_emit_segment(struct translator *tr, struct emitter *e, enum x86_seg seg)
{
	const cache_pc miss = emit_here(e);

	emit_mov64(e, H_RCX, H_R11);
	emit_load32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_load32(e, H_R10, memref_cpu(TCW_OFF(scratch)));
	emit_jmp(e, tr->stub_callout[CALLOUT_LOAD_SEGMENT]);

	tr->stub_segment[seg] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_store32(e, H_R10, memref_cpu(TCW_OFF(scratch)));
	emit_mov64(e, H_R11, H_RCX);
	emit_movzx16(e, H_RCX, H_R9);
	emit_memo_address(tr, e);
	emit_memo_difference(e, false, MEMO_OFF(next_selector), 0);
	emit_unless_zero(e, miss);
	emit_load64(e, H_RCX, memref_plain(H_R10, MEMO_OFF(descriptor_at)));
	emit_load64(e, H_RCX, memref_plain(H_RCX, 0));
	emit_memo_difference(e, true, MEMO_OFF(descriptor), 1);
	emit_unless_zero(e, miss);
	emit_memo_use(e, seg, miss);
	emit_mov64(e, H_RCX, H_R11);
	/* ESP += 4 if it was a POP. */
	_Static_assert(CALLOUT_POP == 4u << 24, "the top byte is what ESP moves by");
	emit_mov32(e, H_R8, H_R9);
	emit_bswap32(e, H_R8);
	emit_movzx8(e, H_R8, H_R8);
	emit_lea32(e, H_GUEST_ESP, (struct memref){ .base = H_GUEST_ESP, .index = H_R8 });
	emit_ret(e);
}

void stub_emit_segments(struct translator *tr, struct emitter *e)
{
	stub_emit_segment(tr, e, X86_ES);
	stub_emit_segment(tr, e, X86_DS);
	stub_emit_segment(tr, e, X86_FS);
	stub_emit_segment(tr, e, X86_GS);
}
