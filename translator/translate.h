/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the instruction translators share: one TU under construction. Private to translator/. */
#ifndef RF_TRANSLATOR_TRANSLATE_H
#define RF_TRANSLATOR_TRANSLATE_H

#include "decode.h"
#include "opcode_map.h"
#include "tu.h"

struct pending_exit {
	uint32_t exit;
	/* rel32 that leads to the cold path until linked; NULL: none but the table slot */
	uint8_t *patch;
	uint8_t *pad;   /* rel32 of a Jcc to an out-of-line table jump */
};

struct build {
	struct translator *tr;
	struct tu *tu;
	struct emitter e;
	const uint8_t *bytes;   /* of the current instruction */
	gva_t eip, next_eip;    /* of the current instruction and the one after it */
	uint32_t adapt;         /* of the current instruction */
	uint32_t mode;
	const struct code_segment *code; /* that of the mode */
	int32_t esp_delta;      /* guest ESP = r14d + esp_delta: see translate_stack.c */
	struct tu_insn *record; /* of the current instruction */
	/* r10 = window + this host register; NO_REG: none (guest_address.h) */
	uint8_t summed;
	/* the current instruction reaches memory through the software TLB */
	bool soft;
	uint32_t x87_site;      /* waits to be noted (x87_notes.c); 0: none */
	bool shadow;            /* STI: no interrupt before the next instruction is done */
	bool last;              /* nothing may follow the current instruction in this TU */
	bool ended;             /* the TU's last instruction has been translated */
	struct pending_exit pending[3 * TU_MAX_INSNS];
	uint32_t npending;
};

/* Each translates one instruction. */
typedef void (*translate_fn)(struct build *b, const struct insn *insn);

/* What the guest knows a linear address of its code as: the offset in CS. */
static inline uint32_t guest_eip(const struct build *b, gva_t gva)
{
	return gva - b->code->base;
}

/* translate_16_address.c: 16-bit code. */
static inline bool is_code16(const struct build *b) { return b->mode & MODE_CODE16; }
/* Whether an instruction with a memory operand has a form there. */
bool operand16_has_form(const struct insn *insn);
/* The operand: clobbers r9, r10, r11. */
struct memref operand16_prepare(struct build *b, const struct insn *insn);
/*
 * The stack slot at SP + disp, of size bytes: clobbers the same, and leaves its offset in r9d.
 */
struct memref stack16_slot(struct build *b, int32_t disp, unsigned size, enum access access);
/* Slots of size bytes from offset r9d on do not wrap at 64 KiB; clobbers r11. */
void stack16_check_wrap(struct build *b, unsigned size);
/* r10d = the base of a segment + r9d: [r10 + r13], where its limit allows an access there. */
struct memref segment16_at_r9(struct build *b, unsigned seg, unsigned size, enum access access);
/* r8d, an offset in CS, is within its limit, and below 64 KiB; clobbers r11. */
void code16_check_target(struct build *b, unsigned op_size);
/* translate_16_string.c: a string instruction; CLD and STD. */
void translate_16_string(struct build *b, const struct insn *insn);
void translate_16_direction(struct build *b, const struct insn *insn);
/* translate_16.c: how it is translated where that differs from 32-bit code; else NULL. */
translate_fn translate_16_choose(const struct build *b, const struct insn *insn);

/*
 * translate_mem.c: turns the ModRM memory operand into a host one, emitting what its segment or
 * view needs (clobbers r9, r10).
 */
struct memref operand_prepare(struct build *b, const struct insn *insn);
/* Its effective address as a sum of host registers; nothing is emitted. */
struct memref operand_effective(const struct build *b, const struct insn *insn);
/*
 * Whether the instruction is adapted to, and fit for, the software TLB; operand_prepare() then also
 * clobbers r8 and r11.
 */
bool operand_may_be_soft(const struct build *b, const struct insn *insn);
/*
 * Whether the operand may reach beside its address, so that no form fits that goes past the window.
 */
bool operand_is_bit_string(const struct insn *insn);
bool segment_is_flat(const struct build *b, unsigned seg);

/* translate_soft.c: the mode in which no access goes to the window. */
static inline bool mode_is_soft(const struct build *b)
{
	return mode_key_is_soft(b->mode);
}

/* Whether the instruction has no form for that mode, and is interpreted instead. */
bool soft_lacks_form(const struct build *b, const struct insn *insn);
/*
 * Looks up the access of len bytes whose linear address is in r10d: clobbers r8, r9, r11. r14d must
 * be up to date.
 */
struct memref emit_soft_lookup(struct build *b, cache_pc stub, uint32_t len);
/* The stack slot at r14d + disp, in that mode: clobbers as emit_soft_lookup(). */
struct memref soft_stack_slot(struct build *b, int32_t disp, enum access access);
/* A register waits in tcw.soft_value while something is looked up; and comes back. */
void emit_soft_keep(struct build *b, unsigned reg);
void emit_soft_kept(struct build *b, unsigned reg);
/* r10d = the operand's linear address, whatever is there (clobbers r9). */
void emit_linear(struct build *b, const struct insn *insn);

/*
 * translate_stack.c: whether ESP-based code can be made at all: flat 32-bit stack, 32-bit operand,
 * not adapted.
 */
bool stack_is_plain(const struct build *b, const struct insn *insn);
/*
 * Brings r14d up to date. _first: as the first thing an instruction does that may fault afterwards.
 */
void esp_sync(struct build *b);
void esp_sync_first(struct build *b);
/*
 * With an event pending the interpreter executes the instruction; what is emitted next does
 * otherwise. No flag changes. Returns where that ends, for patch_short_here().
 */
uint8_t *interpret_if_events(struct build *b, const struct insn *i);
/*
 * The slot at guest ESP + disp, whatever the mode. In the soft mode r14d is up to date afterwards,
 * and r8 to r11 are clobbered.
 */
struct memref stack_slot(struct build *b, int32_t disp, enum access access);

/*
 * x87_notes.c. An instruction has been copied, which may set the x87 last-instruction pointers;
 * next, about to be translated, may make a note of those necessary (NULL: whatever it is); the note
 * is made (clobbers r10), if there is one to make.
 */
void x87_copied(struct build *b, const struct insn *insn);
void x87_note_before(struct build *b, const struct insn *next);
void x87_note(struct build *b);

/* translate_copy.c: the instruction itself, operands re-encoded. */
void translate_copy(struct build *b, const struct insn *insn);
/* A callout to the interpreter. */
void translate_interpret(struct build *b, const struct insn *insn);
/*
 * An instruction that is interpreted because of what it met (ADAPT_INTERPRET): that, or a callout
 * that does the same.
 */
void translate_adapted(struct build *b, const struct insn *insn);
/* Calls stub_callout[which]; the argument, if it has one, is in r9d already. */
void emit_callout(struct build *b, enum callout which);
/* The same by another stub of that callout. */
void emit_callout_by(struct build *b, cache_pc stub);

/* translate_system.c */
void translate_cli(struct build *b, const struct insn *insn);
void translate_sti(struct build *b, const struct insn *insn);
void translate_popf(struct build *b, const struct insn *insn);
/*
 * POPF in ring 0 with the value in r8d: popf_begin() sets the flags if none changes but those of
 * may_change and IF, and IF is not set with an event pending. What comes then finishes the
 * instruction; popf_end() has the interpreter do it otherwise.
 */
struct popf { uint8_t *others_change, *event; }; /* short jumps to there */
struct popf popf_begin(struct build *b, uint32_t may_change);
void popf_end(struct build *b, const struct insn *insn, struct popf p);
void translate_int(struct build *b, const struct insn *insn);
void translate_int3(struct build *b, const struct insn *insn);
void translate_iret(struct build *b, const struct insn *insn);
void translate_sysenter(struct build *b, const struct insn *insn);
void translate_sysexit(struct build *b, const struct insn *insn);
void translate_mov_to_seg(struct build *b, const struct insn *insn);
void translate_mov_from_seg(struct build *b, const struct insn *insn);
void translate_pop_seg(struct build *b, const struct insn *insn);
void translate_mov_from_cr(struct build *b, const struct insn *insn);
void translate_mov_to_cr(struct build *b, const struct insn *insn);
void translate_group_0f01(struct build *b, const struct insn *insn);
void translate_clac_stac(struct build *b, const struct insn *insn);

/* translate_control.c */
enum leave_by { BY_JMP, BY_CALL, BY_JCC };
void emit_exit(struct build *b, gva_t target, enum leave_by how, unsigned condition);
/* Where a relative branch leads. False: it has to be interpreted. */
bool near_target(const struct build *b, const struct insn *insn, gva_t *target);
/* After a host CALL: where the guest's RET comes back. */
void emit_return_site(struct build *b);
/* CALL to what r8d looks up. */
void emit_call_lookup(struct build *b);
/* JMP to what r8d looks up. */
void emit_jmp_lookup(struct build *b);
/* r8d: the selector; pop: CALLOUT_POP bits. */
void emit_load_segment(struct build *b, unsigned seg, uint32_t pop);
/* r8d = all of EFLAGS, as PUSHF stores it in ring 0. */
void emit_read_flags(struct build *b);
void translate_lea(struct build *b, const struct insn *insn);
void translate_rdtsc(struct build *b, const struct insn *insn);
/* Leaves translated code for good: INT, IRET, far transfers, HLT. */
void translate_leave_tc(struct build *b, const struct insn *insn);

/* translate_stack.c, translate_string.c, translate_control.c: entries of the dispatch tables */
void translate_push_reg(struct build *b, const struct insn *insn);
void translate_push_imm(struct build *b, const struct insn *insn);
void translate_push_seg(struct build *b, const struct insn *insn);
void translate_push_mem(struct build *b, const struct insn *insn);
void translate_pop_reg(struct build *b, const struct insn *insn);
void translate_pop_mem(struct build *b, const struct insn *insn);
void translate_pusha(struct build *b, const struct insn *insn);
void translate_popa(struct build *b, const struct insn *insn);
void translate_pushf(struct build *b, const struct insn *insn);
void translate_leave(struct build *b, const struct insn *insn);
void translate_string(struct build *b, const struct insn *insn);
void translate_jcc(struct build *b, const struct insn *insn);
void translate_loop(struct build *b, const struct insn *insn);
void translate_jmp(struct build *b, const struct insn *insn);
void translate_call(struct build *b, const struct insn *insn);
void translate_ret(struct build *b, const struct insn *insn);
void translate_jmp_indirect(struct build *b, const struct insn *insn);
void translate_call_indirect(struct build *b, const struct insn *insn);

#endif
