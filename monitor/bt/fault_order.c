/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page faults of which the manuals do not say everything.
 *
 * Of some instructions they leave open which part of the operand is touched first, or whether it is
 * touched at all, and processors differ:
 *
 *   CMPS                     Intel reads ES:EDI first, AMD the other operand
 *   x87 stores that raise    Intel does not touch the operand, AMD faults on it
 *   an unmasked exception    (SDM vol. 1, 8.5: nothing is stored)
 *   MASKMOVQ, MASKMOVDQU     bytes that are not selected may fault or not (SDM vol. 2)
 *   FPU images               any word of them may be the first
 *
 * The guest is to see the same on every host: the interpreter runs what faulted so, and it has one
 * answer (docs/testing.md). Only that it faulted comes from the host's processor, so that nothing
 * is spent where there is no fault.
 */
#include "internal.h"
#include "translator/opcode_map.h"
#include "monitor/vm/vm.h"

#define FPU_EXCEPTIONS 0x3fu
#define LARGEST_VALUE  16u /* what is larger is an image */

static bool is_cmps(const struct insn *i)
{
	return i->map == MAP_1BYTE && (i->opcode & 0xfe) == 0xa6;
}

static bool is_masked_store(const struct insn *i)
{
	return i->map == MAP_0F && i->opcode == 0xf7;
}

static bool stores_unless_it_raises(const struct insn *i, const struct fxsave_image *fpu)
{
	return i->attr & OPA_FPU && i->mem && i->attr & OPA_MEM_WRITE &&
	       (fpu->fcw & FPU_EXCEPTIONS) != FPU_EXCEPTIONS;
}

static bool is_open(const struct insn *i, const struct fxsave_image *fpu)
{
	return is_cmps(i) || is_masked_store(i) || stores_unless_it_raises(i, fpu) ||
	       (i->mem && i->mem_size > LARGEST_VALUE);
}

bool bt_fault_is_open(struct bt *bt, gpa_t gpa, const struct fxsave_image *fpu)
{
	const uint32_t room = GUEST_PAGE_SIZE - gpa_offset(gpa);
	const uint32_t max = room < INSN_MAX_LEN ? room : INSN_MAX_LEN;
	const uint8_t *code = guest_ram_ptr(&bt->vcpu->vm->ram, gpa);
	struct insn i;

	/* What runs over the page's end is seldom; the interpreter is right about everything. */
	return !code || insn_decode(code, max, true, &i) != DECODE_OK ||
	       is_open(&i, fpu);
}
