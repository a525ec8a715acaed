/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the translators of 16-bit code share. Private to translate_16*.c. */
#ifndef RF_TRANSLATOR_TRANSLATE_16_H
#define RF_TRANSLATOR_TRANSLATE_16_H

#include "guest_address.h"

/* translate_16.c. MOV between a register and memory, of size 2 or 4. */
void code16_store(struct build *b, unsigned reg, unsigned size, struct memref m);
void code16_load(struct build *b, unsigned reg, unsigned size, struct memref m);
/* r8d = two or four bytes, zero-extended. */
void code16_load_r8(struct build *b, unsigned size, struct memref m);
/* A guest register's low half = a scratch register's; or, of size 4, all of it. */
void code16_set_word(struct build *b, unsigned reg, unsigned from);
void code16_set(struct build *b, unsigned reg, unsigned size, unsigned from);
/* SP += n; clobbers r9. */
void code16_sp_add(struct build *b, int32_t n);
/* r8d = a segment register's selector. */
void code16_selector(struct build *b, unsigned seg);
/* The segment register that PUSH or POP names. */
unsigned code16_segment_of(const struct insn *insn);

/* translate_16_segment.c: MOV and POP to segment registers; LES and its kin. */
void translate_16_mov_to_seg(struct build *b, const struct insn *insn);
void translate_16_pop_seg(struct build *b, const struct insn *insn);
void translate_16_load_far(struct build *b, const struct insn *insn);

/* translate_16_far.c: far JMP, CALL and RET; INT n, INT3, IRET; POPF. */
void translate_16_far_direct(struct build *b, const struct insn *insn);
void translate_16_far_indirect(struct build *b, const struct insn *insn);
void translate_16_far_return(struct build *b, const struct insn *insn);
void translate_16_int(struct build *b, const struct insn *insn);
void translate_16_popf(struct build *b, const struct insn *insn);

/*
 * translate_16_store.c: whether an instruction that is adapted to be interpreted is a store with a
 * callout of its own; that.
 */
bool translate_16_stores(const struct build *b, const struct insn *insn);
void translate_16_store(struct build *b, const struct insn *insn);

#endif
