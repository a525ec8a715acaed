/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How translated code reaches guest memory: the one place that knows the forms. The verifier has
 * its own reading of them (verify_address.c), with which this file shares nothing. Private to
 * translator/.
 *
 * r13 holds the base of the current view's window. Guest registers are zero-extended, so r13 +
 * register + displacement lies in the window, or within 2 GiB of it, where nothing is ever mapped:
 * windows lie far enough apart for a scaled index, too. An access that meets such a guard has an
 * address that wraps at 4 GiB. Its instruction is translated anew with ADAPT_EXACT: the address is
 * then cut to 32 bits before r13 is added.
 *
 *   [disp], below 2 GiB     [r13 + disp]
 *   [reg + disp]            [reg + r13 + disp]
 *   [reg*s + disp]          [r13 + reg*s + disp]
 *   [base + reg*s + disp]   lea r10, [base + r13]; [r10 + reg*s + disp] the LEA is left out while
 *                           r10 still holds that sum
 *   others, exact           lea r10d, [...]; [r10 + r13] wraps as the guest's does
 */
#ifndef RF_TRANSLATOR_GUEST_ADDRESS_H
#define RF_TRANSLATOR_GUEST_ADDRESS_H

#include "translate.h"

/*
 * The host operand for a guest access at the 32-bit sum ea, whose registers' upper halves are zero.
 * May emit, may clobber r10; changes no flag. exact: the sum is known to wrap often.
 */
struct memref guest_address(struct build *b, struct memref ea, bool exact);

/* The operand [base + disp]. */
struct memref guest_address_at(struct build *b, unsigned base, int32_t disp);

/* reg = window + reg, for string instructions, which take no other operand. */
void guest_address_add_window(struct build *b, unsigned reg);

/* r10 has been written, or register reg: no sum is in r10 any more. */
void guest_address_clobbered(struct build *b);
void guest_address_changed(struct build *b, unsigned reg);

/*
 * After the translation of insn: a sum in r10 stays good only if insn surely writes neither r10 nor
 * the register it is of.
 */
void guest_address_after(struct build *b, const struct insn *insn);

/*
 * Whether it writes no general register but one that ModRM names, and is copied with nothing added.
 * False where that is not sure.
 */
bool insn_writes_what_it_names(const struct insn *insn);
/* Whether, copied, it surely leaves host register reg, a guest's, as it is. */
bool insn_keeps_register(const struct insn *insn, unsigned reg);

#endif
