/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CLAC and STAC in ring 0. What SMAP makes of EFLAGS.AC is not in the mode key, but in which
 * windows and look-up tables ring 0's accesses to user memory are sent to: these change with the
 * flag.
 */
#include "stubs.h"

static void emit_copy_words(struct emitter *e, int32_t to, int32_t from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		emit_load64(e, H_R9, memref_cpu(from + 8 * (int32_t)i));
		emit_store64(e, H_R9, memref_cpu(to + 8 * (int32_t)i));
	}
}

/* Changes r9 alone. */
static void stub_emit_ac(struct translator *tr, struct emitter *e, bool ac)
{
	tr->stub_ac[ac] = emit_here(e);
	emit_keep_flags(e);
	emit_load32(e, H_R9, memref_cpu(TCW_OFF(eflags_sys)));
	if (ac)
		emit_alu32_imm(e, ALU_OR, H_R9, X86_AC);
	else
		emit_alu32_imm(e, ALU_AND, H_R9, ~(uint32_t)X86_AC);
	emit_store32(e, H_R9, memref_cpu(TCW_OFF(eflags_sys)));
	emit_restore_flags(e);
	emit_copy_words(e, TCW_OFF(soft_table), TCW_OFF(ac_soft_table[ac]), 2);
	emit_copy_words(e, TCW_OFF(view_by_gib), TCW_OFF(ac_view_by_gib[ac]), 4);
	emit_ret(e);
}

void stub_emit_acs(struct translator *tr, struct emitter *e)
{
	stub_emit_ac(tr, e, false);
	stub_emit_ac(tr, e, true);
}
