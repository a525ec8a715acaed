/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accesses past the window of the view: the software TLB's look-up, dual accesses. */
#include "stubs.h"

_Static_assert(sizeof(struct soft_lookup) == 16, "its index is scaled by 16");

/* ecx >>= page shift; r9d = where the entry for the address in r10d lies. */
static void emit_soft_index_bmi2(struct emitter *e)
{
	emit_mov32_imm(e, H_R8, GUEST_PAGE_SHIFT);
	emit_shrx32(e, H_RCX, H_RCX, H_R8);
	emit_shrx32(e, H_R9, H_R10, H_R8);
	emit_mov32_imm(e, H_R8, 32 - SOFT_LOOKUP_BITS);
	emit_shlx32(e, H_R9, H_R9, H_R8);
	emit_mov32_imm(e, H_R8, 32 - SOFT_LOOKUP_BITS - 4);
	emit_shrx32(e, H_R9, H_R9, H_R8);
}

static void emit_soft_index(struct translator *tr, struct emitter *e)
{
	if (tr->opt.host & HOST_BMI2) {
		emit_soft_index_bmi2(e);
		return;
	}
	emit_keep_flags(e);
	emit_shr32_imm(e, H_RCX, GUEST_PAGE_SHIFT);
	emit_mov32(e, H_R9, H_R10);
	emit_shr32_imm(e, H_R9, GUEST_PAGE_SHIFT - 4);
	emit_alu32_imm(e, ALU_AND, H_R9, (SOFT_LOOKUP_ENTRIES - 1) << 4);
	emit_restore_flags(e);
}

/*
 * The software TLB's look-up. Called from translated code with r8d: EIP of the instruction; r9d:
 * the access' length less one; r10d: its linear address. Returns with r9 + r10 the host address of
 * the access; changes r8, r9, r11, and no flag. The entry of the first byte's page has to match the
 * last byte's: an access that crosses a page never hits.
 */
static void stub_emit_soft(struct translator *tr, struct emitter *e, enum access access)
{
	uint8_t *miss;
	cache_pc again;

	again = emit_here(e);
	emit_load32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_load32(e, H_R9, memref_cpu(TCW_OFF(scratch)));
	emit_load32(e, H_R10, memref_cpu(TCW_OFF(linear)));

	tr->stub_soft[access] = emit_here(e);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	emit_store32(e, H_R9, memref_cpu(TCW_OFF(scratch)));
	emit_mov64(e, H_R11, H_RCX);
	emit_lea32(e, H_RCX, (struct memref){ .base = H_R10, .index = H_R9 });
	emit_soft_index(tr, e);
	emit_load64(e, H_R8, memref_cpu(TCW_OFF(soft_table) + 8 * (int32_t)access));
	emit_lea64(e, H_R9, (struct memref){ .base = H_R9, .index = H_R8 });
	emit_load32(e, H_R8, memref_plain(H_R9, offsetof(struct soft_lookup, inverted_page)));
	emit_lea32(e, H_RCX, (struct memref){ .base = H_RCX, .index = H_R8, .disp = 1 });
	miss = emit_if_zero(e);
	emit_load64(e, H_R9, memref_plain(H_R9, offsetof(struct soft_lookup, addend)));
	emit_mov64(e, H_RCX, H_R11);
	emit_ret(e);

	patch_here(e, miss);
	emit_mov64(e, H_RCX, H_R11);
	emit_load32(e, H_R9, memref_cpu(TCW_OFF(scratch)));
	if (access == ACCESS_WRITE)
		emit_lea32(e, H_R9, memref_plain(H_R9, CALLOUT_WRITE));
	emit_store32(e, H_R10, memref_cpu(TCW_OFF(linear)));
	stub_callout_body(tr, e, CALLOUT_SOFT, again);
}

/*
 * The window to use for an address: by its top two bits, which the address times four has in the
 * upper half. They come down through memory, since no host has a shift that leaves the flags alone
 * and is not BMI2's.
 */
void emit_view(struct emitter *e, unsigned reg)
{
	const int32_t word = TCW_OFF(scratch);

	emit_lea64(e, H_R9, (struct memref){ .base = NO_REG, .index = reg, .scale = 2 });
	emit_store64(e, H_R9, memref_cpu(word));
	emit_load32(e, H_R9, memref_cpu(word + 4));
	emit_load64(e, H_R9,
		    (struct memref){ .base = H_CPU,
				     .index = H_R9,
				     .scale = 3,
				     .disp = TCW_OFF(view_by_gib) });
}

/*
 * The same for a dual access: unless tcw.soft_views says so, r9 = the window for the address' GiB.
 */
static void stub_emit_dual(struct translator *tr, struct emitter *e, enum access access)
{
	uint8_t *windows;

	tr->stub_dual[access] = emit_here(e);
	emit_mov64(e, H_R11, H_RCX);
	emit_load32(e, H_RCX, memref_cpu(TCW_OFF(soft_views)));
	windows = emit_jrcxz_short(e);
	emit_mov64(e, H_RCX, H_R11);
	emit_jmp(e, tr->stub_soft[access]);
	patch_short_here(e, windows);
	emit_mov64(e, H_RCX, H_R11);
	emit_view(e, H_R10);
	emit_ret(e);
}

void stub_emit_softs(struct translator *tr, struct emitter *e)
{
	stub_emit_soft(tr, e, ACCESS_READ);
	stub_emit_soft(tr, e, ACCESS_WRITE);
	stub_emit_dual(tr, e, ACCESS_READ);
	stub_emit_dual(tr, e, ACCESS_WRITE);
}
