/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The branch look-up: from a guest address in r8d to its TU by way of a branch cache, without
 * touching a flag; in place at indirect transfers, and as stubs.
 */
#include "stubs.h"

/*
 * Twice r9 is where the entry for r8d lies in a branch cache: its low bits, times the entries'
 * size.
 */
static void emit_branch_index(struct emitter *e)
{
	_Static_assert(BRANCH_CACHE_BYTES == 2 << 16, "MOVZX cuts the index");
	emit_lea32(e, H_R9, (struct memref){ .base = NO_REG, .index = H_R8, .scale = 3 });
	emit_movzx16(e, H_R9, H_R9);
}

/*
 * r10d: the entry's negated EIP. Returns the rel32 of the jump that is taken if that is not r8d's.
 */
static uint8_t *emit_branch_compare(struct emitter *e)
{
	uint8_t *miss;

	emit_mov64(e, H_R11, H_RCX);
	emit_lea32(e, H_RCX, (struct memref){ .base = H_R8, .index = H_R10 });
	miss = emit_if_zero(e);
	emit_mov64(e, H_RCX, H_R11);
	return miss;
}

uint8_t *emit_branch_lookup(struct emitter *e, uint32_t mode)
{
	emit_branch_index(e);
	emit_load32(e, H_R10,
		    (struct memref){ .base = H_LINKS,
				     .index = H_R9,
				     .scale = 1,
				     .disp = branch_cache_offset(mode) });
	return emit_branch_compare(e);
}

struct memref branch_lookup_hit(uint32_t mode)
{
	return (struct memref){ .base = H_LINKS,
				.index = H_R9,
				.scale = 1,
				.disp = branch_cache_offset(mode) +
					(int32_t)offsetof(struct branch_entry, host) };
}

/* The same for a mode known only when it runs: r9 = the entry. */
static uint8_t *emit_branch_lookup_any(struct emitter *e)
{
	emit_branch_index(e);
	emit_load64(e, H_R10, memref_cpu(TCW_OFF(branch_cache)));
	emit_lea64(e, H_R9, (struct memref){ .base = H_R10, .index = H_R9, .scale = 1 });
	emit_load32(e, H_R10, memref_plain(H_R9, 0));
	return emit_branch_compare(e);
}

/* r8d: guest target. */
void stub_emit_lookup(struct translator *tr, struct emitter *e)
{
	uint8_t *miss, *look;

	/* From a return site: ecx waits in r9d. */
	tr->stub_return_miss = emit_here(e);
	emit_mov32(e, H_RCX, H_R9);
	look = emit_jmp_short(e);
	/* The sentinel below the oldest return address: put it back. */
	tr->stub_underflow = emit_here(e);
	emit_lea64(e, H_RSP, memref_plain(H_RSP, -8));
	patch_short_here(e, look);

	tr->stub_lookup = emit_here(e);
	miss = emit_branch_lookup_any(e);
	emit_jmp_mem(e, memref_plain(H_R9, offsetof(struct branch_entry, host)));
	patch_here(e, miss);
	/* Inline look-ups come here when they miss. */
	tr->stub_lookup_miss = emit_here(e);
	emit_mov64(e, H_RCX, H_R11);
	emit_store32(e, H_R8, memref_cpu(CPU_OFF(eip)));
	stub_save_guest(tr, e);
	stub_save_fpu(e);
	emit_mov32_imm(e, H_RAX, TC_LEAVE_LOOKUP);
	stub_epilogue(e);
}
