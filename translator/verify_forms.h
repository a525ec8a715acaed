/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the verifier knows while it walks a TU, and the table of monitor-owned forms that changes
 * it. Private to verify*.c.
 */
#ifndef RF_TRANSLATOR_VERIFY_FORMS_H
#define RF_TRANSLATOR_VERIFY_FORMS_H

#include "tu.h"
#include "verify.h"
#include "verify_decode.h"

/*
 * What is known of a register. A guest's register is GUEST except in the middle of a sequence that
 * borrows it; a scratch register holds nothing (NONE) except within a sequence.
 */
enum fact_kind {
	FACT_NONE,
	/* Guest registers. */
	FACT_GUEST,             /* the guest's, upper half zero */
	/* ecx: upper half zero, but not the guest's; as are the two differences */
	FACT_BORROWED,
	FACT_LOOKUP_DIFFERENCE, /* ecx: zero if the branch cache has what is looked up */
	FACT_RETURN_DIFFERENCE, /* ecx: zero if a RET came to the return site it meant */
	FACT_WINDOWED,          /* esi, edi: a window's base + the guest's register */
	FACT_TSC_LOW, FACT_TSC_HIGH, /* RDTSC's halves */
	/* Scratch registers, upper half zero. */
	FACT_VALUE,             /* anything */
	FACT_CONSTANT,          /* .value */
	FACT_SAVED_ECX,         /* the guest's ecx */
	FACT_FLAGS,             /* nothing but LIVE_FLAGS */
	FACT_IF,                /* nothing but X86_IF */
	FACT_RETURN,            /* r8: where a RET meant to return to */
	/* of the branch cache: the target times 8, cut to half the cache's bytes */
	FACT_INDEX_8, FACT_INDEX,
	FACT_PARAGRAPH,         /* r9: r8 times 16, a segment's base in real mode */
	FACT_NEGATED_EIP,       /* from the branch cache's entry */
	FACT_GIB,               /* register .of, shifted right by 30 */
	/* Scratch registers; what else is in them is not known. */
	FACT_BYTE,              /* r8: its lowest byte */
	/* Scratch registers, 64 bits. */
	FACT_SEGMENT_POINTER,   /* &seg[].base, or NULL */
	FACT_LIMIT_PROBE,       /* r11: where an offset's byte says whether it may be reached */
	/*
	 * r10: the current view's base + guest register .of; as that was before, if .value is
	 * SUM_IS_OLD
	 */
	FACT_WINDOW_SUM,
	FACT_TIMES_4,           /* register .of, times 4 */
	FACT_VIEW,              /* the base of a window, chosen by register .of */
	/*
	 * what the software TLB adds to register .of; .value: the access' length less one, and
	 * SOFT_MAY_WRITE
	 */
	FACT_SOFT,
	FACT_HOST_FLAGS, FACT_PACKED_FLAGS,
	FACT_TSC, FACT_TSC_OFFSET, FACT_TSC_SUM,
};
#define SOFT_MAY_WRITE 0x100u
#define SUM_IS_OLD 1u

struct fact {
	uint8_t kind, of;
	uint32_t value;
};

enum pushed { PUSHED_NOTHING, PUSHED_HOST_FLAGS, PUSHED_GUEST_FLAGS };

struct verify_state {
	struct fact reg[16];    /* by host register; rsp, r13 and r15 have none; r12's is WORD's */
	uint8_t pushed;         /* enum pushed: beyond the return stack */
	bool flags_spoilt;      /* the host's flags are not the guest's */
	bool matched;           /* the branch cache's entry is the one looked for */
	bool returned;          /* at a return site that has not compared yet */
};

/* Where the fact is of what a sequence has put into tcw.scratch. */
#define VERIFY_WORD H_R12

struct verify_edge {
	uint32_t offset, from;
	struct verify_state state;
};
#define VERIFY_MAX_BYTES 32768u /* of host code in a TU */
#define VERIFY_MAX_EDGES 2048u

struct verifier {
	struct verify_decoder *decoder;
	struct verify_failure failure;
	bool failed;

	/* The TU being verified. */
	const struct translator *tr;
	const struct tu *tu;
	const uint8_t *code;
	struct host_insn insn;
	struct verify_state state;
	bool alive;             /* control comes here */
	uint32_t current;       /* guest instruction */
	uint32_t previous;      /* offset of the host instruction before this one */
	struct verify_edge edge[VERIFY_MAX_EDGES];
	uint32_t nedges;
	uint16_t edge_at[VERIFY_MAX_BYTES]; /* 1 + its index, by offset; 0: none */
};

/* Sets of registers. */
#define R(number) (1u << (number))
#define GUEST_REGISTERS                                                                            \
	(R(H_RAX) | R(H_RCX) | R(H_RDX) | R(H_RBX) | R(H_RBP) | R(H_RSI) | R(H_RDI) |              \
	 R(H_GUEST_ESP))

/* Notes the first failure; always false. */
bool verify_fail(struct verifier *v, enum verify_rule rule, const char *why);

/* The state at a TU's entry: the guest's registers are there, and nothing else. */
void verify_state_init(struct verify_state *s);
/* What holds on both ways to a place. */
void verify_state_meet(struct verify_state *s, const struct verify_state *other);
void verify_forget_scratch(struct verify_state *s);
/* Between guest instructions: all but a sum of the window and a guest register. */
void verify_next_guest_insn(struct verify_state *s);
/*
 * What was found for a guest register's value need not fit the next one, which the instruction just
 * decoded gives it.
 */
void verify_forget_written(struct verifier *v);
bool fact_is_value(const struct fact *f);
/* Whether .of names a register that it was made from. */
bool fact_is_of(const struct fact *f);
/* reg has got a value of which fact is known; what was made from its old one is forgotten. */
void fact_set(struct verifier *v, unsigned reg, struct fact fact);
/* All is the guest's, but for ecx if it is borrowed. */
bool verify_at_rest(const struct verify_state *s, bool ecx_borrowed);

/*
 * verify_address.c: whether it is of guest memory that m speaks, and whether it keeps to it. False:
 * verify_fail()ed.
 */
bool verify_is_guest_operand(const struct host_operand *m);
bool verify_guest_memory(struct verifier *v, const struct host_operand *m);
/* The same for a string instruction, which has its operands in rsi and rdi. */
bool verify_string(struct verifier *v);

/*
 * verify_forms.c: an instruction that is no transfer: a form of the table, or a copied instruction.
 * False: verify_fail()ed.
 */
bool verify_plain(struct verifier *v);

/* verify_copied.c: an instruction that is the guest's own. False: verify_fail()ed. */
bool verify_copied(struct verifier *v);

#endif
