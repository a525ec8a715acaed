/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the architecture leaves to the processor, for the comparisons of the differential tests:
 * flags that an instruction leaves undefined, and the few states in which real processors differ at
 * a fault. docs/testing.md has the list with its sources.
 */
#ifndef RF_TESTS_LEEWAY_H
#define RF_TESTS_LEEWAY_H

#include "translator/opcode_map.h"
#include "x86/cpu.h"

/*
 * The arithmetic flags that the manual calls undefined after i, executed with these registers (a
 * shift's count may be in CL).
 */
uint32_t leeway_flags(const struct insn *i, const uint32_t regs[8]);

/*
 * Those of them that the interpreter computes by hand, since 64-bit mode lacks the instruction. All
 * others come from the host's own instruction, and must equal the host's exactly.
 */
uint32_t leeway_flags_by_hand(const struct insn *i);

/*
 * An x87 store with unmasked exceptions: if it does not store, it may fault on its operand, or not.
 */
bool leeway_store_may_fault(const struct insn *i, const struct fxsave_image *fpu);

/*
 * i, having faulted on memory, may have made this change before: if so, makes it (in both states
 * that are to be compared).
 */
void leeway_enter_mmx(const struct insn *i, struct fxsave_image *fpu);
/*
 * What of its operand such an instruction could store may have been stored: x87 stores of 10 bytes
 * and of environments are done in parts.
 */
bool leeway_partial_store(const struct insn *i);
/* FLDENV and FRSTOR that fault may have loaded a part. */
bool leeway_partial_load(const struct insn *i);
/*
 * Pushes a selector with an operand size of 32 bits: of the four bytes, processors store two or all
 * (SDM vol. 2, PUSH).
 */
bool leeway_pushes_selector(const struct insn *i);
/*
 * Stores an image of the FPU that has the last instruction's address in it. Some processors no
 * longer store its selectors, or the operand's (SDM vol. 1, 8.1.8).
 */
bool leeway_shows_pointers(const struct insn *i);
/*
 * REP CMPS and REP SCAS broken off by a fault: the arithmetic flags may be those of the last
 * iteration.
 */
bool leeway_rep_flags(const struct insn *i);

#endif
