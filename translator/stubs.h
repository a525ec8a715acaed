/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hand-made pieces of the code cache, and what they share. Private to the stubs' files:
 *
 *   stubs.c         entering and leaving translated code
 *   stub_lookup.c   the branch look-up
 *   stub_callout.c  callouts
 *   stub_segment.c  ring 0's segment loads
 *   stub_soft.c     the software TLB's look-up, dual accesses
 *   stub_ac.c       CLAC and STAC
 *
 * Rules: no stub touches the return stack but to pop or restore what translated code put there; a
 * stub that jumps to translated code leaves all guest registers and flags as they were. While C
 * code runs the whole guest state is in struct cpu.
 */
#ifndef RF_TRANSLATOR_STUBS_H
#define RF_TRANSLATOR_STUBS_H

#include "tu.h"

/* Each emits its stubs and notes their addresses in tr, in the order of the list above. */
void stub_emit_lookup(struct translator *tr, struct emitter *e);
void stub_emit_callouts(struct translator *tr, struct emitter *e);
void stub_emit_segments(struct translator *tr, struct emitter *e);
void stub_emit_softs(struct translator *tr, struct emitter *e);
void stub_emit_acs(struct translator *tr, struct emitter *e);

/* Registers and flags to struct cpu; ends on the C stack, with the direction flag clear. */
void stub_save_guest(struct translator *tr, struct emitter *e);
void stub_save_fpu(struct emitter *e);
/*
 * Splits eflags, loads flags and registers (not the FPU state); ends with rsp on the return stack.
 */
void stub_load_guest(struct translator *tr, struct emitter *e);
/* r12 and r13, of the space and view that cpu's tcw says. */
void emit_view_registers(struct emitter *e);
/* Back to who called translator_enter(): eax = enum tc_leave; the C stack is current. */
void stub_epilogue(struct emitter *e);

/* Goes on if rcx is zero; returns the rel32 of the jump taken otherwise. */
uint8_t *emit_if_zero(struct emitter *e);
/*
 * Around shifts and masks by instructions that spoil flags, on hosts without BMI2: eax holds the
 * flags meanwhile, in LAHF's form and OF in al.
 */
void emit_keep_flags(struct emitter *e);
void emit_restore_flags(struct emitter *e);

/*
 * The body of a callout. With r9d: argument; r10d: EIP after the instruction; cpu->eip stored. What
 * the C function returns decides: CALLOUT_NEXT goes on at next, or returns to translated code if
 * that is 0; else CALLOUT_JUMP, or CALLOUT_LEAVE(why).
 */
void stub_callout_body(struct translator *tr, struct emitter *e, enum callout which, cache_pc next);

#endif
