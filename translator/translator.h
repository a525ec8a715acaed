/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The binary translator: turns guest code of one mode (conventions.h) into 64-bit code that
 * keeps to its window.
 *
 * Terms: a TU (translation unit) is the translation of guest instructions from one entry to the
 * next unconditional transfer, page end or size cap. An exit is a place where a TU leaves for a
 * guest address known when translating; it starts unlinked and is linked to the target TU when
 * first taken. The dispatcher is the C code that looks for the next TU; a callout is a C function
 * called from translated code.
 *
 * The translator owns the code cache, the TUs and the links; it knows nothing of page tables.
 * Everything runs on the vCPU thread.
 */
#ifndef RF_TRANSLATOR_TRANSLATOR_H
#define RF_TRANSLATOR_TRANSLATOR_H

#include "conventions.h"
#include "x86/features.h"

struct translator;
struct tu;

/* Why translated code came back to the dispatcher: the value of translator_enter(). */
enum tc_leave {
	TC_LEAVE_LINK,    /* an unlinked exit: translator_exit_taken() says which */
	TC_LEAVE_LOOKUP,  /* an indirect target that the branch cache lacks: go on at cpu->eip */
	TC_LEAVE_RESUME,  /* a callout changed something, or an event waits: go on at cpu->eip */
	/* the instruction at cpu->eip cannot run translated just now: interpret it */
	TC_LEAVE_INTERPRET,
	TC_LEAVE_FAULT,   /* cpu->fault is to be delivered */
	TC_LEAVE_RETRANSLATE, /* as RESUME; counted apart */
	TC_LEAVE_DEAD,    /* the VM ended */
};

/*
 * C functions translated code calls, with cpu->eip at the instruction. Result: CALLOUT_NEXT goes on
 * behind the instruction, where cpu->eip must be too (not if it changed the mode, the space or a
 * mapping); CALLOUT_JUMP goes to cpu->eip in whatever mode and space its tcw then says;
 * CALLOUT_LEAVE(enum tc_leave) goes to the dispatcher. The FPU state is saved for
 * CALLOUT_INTERPRET; for CALLOUT_INTEGER and CALLOUT_LOAD_CR3 only its SSE part is, so they must
 * not touch the guest's; all others are light: compiled for general registers only. See
 * x86/fpu_spill.h.
 */
#define CALLOUT_NEXT 0
#define CALLOUT_JUMP 1
#define CALLOUT_LEAVE(why) ((why) + 2)
typedef int (*callout_fn)(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
enum callout {
	/* interpret the instruction; argument: ADAPT_INTERPRET if that is why, else 0 */
	CALLOUT_INTERPRET,
	/* the same, for an instruction that has nothing to do with x87, MMX or SSE */
	CALLOUT_INTEGER,
	CALLOUT_LOAD_CR3,  /* argument: the value */
	CALLOUT_INT,       /* INT n: argument is n */
	CALLOUT_IRET,
	CALLOUT_SYSENTER,
	CALLOUT_SYSEXIT,
	/* argument: selector | segment << 16 | CALLOUT_POP: ESP += 4 afterwards */
	CALLOUT_LOAD_SEGMENT,
	CALLOUT_INVLPG,    /* argument: linear address */
	/* far JMP and CALL of 16-bit code; argument: selector << 16 | offset */
	CALLOUT_FAR_JUMP,
	CALLOUT_FAR_CALL,
	/* RETF, and IRET with CALLOUT_IRET_TOO; argument: bytes to release | operand size << 16 */
	CALLOUT_FAR_RETURN,
	/*
	 * The look-up of an access to the linear address given instead of an EIP failed; argument:
	 * its length less one, and CALLOUT_WRITE. CALLOUT_NEXT: look again.
	 */
	CALLOUT_SOFT,
	/*
	 * MOV of four bytes to memory that is adapted to be interpreted; argument: the value; its
	 * linear address is in tcw.linear. So common with devices and page tables that it does
	 * not go through the interpreter.
	 */
	CALLOUT_STORE,
	/* the same of two bytes and of one, in 16-bit code */
	CALLOUT_STORE_WORD,
	CALLOUT_STORE_BYTE,
	/* the same of two and of four bytes, and SP moves down by as much: PUSH, near CALL */
	CALLOUT_PUSH_WORD,
	CALLOUT_PUSH_LONG,
	CALLOUT_COUNT
};
#define CALLOUT_IRET_TOO 0x01000000u
/* Those that find a linear address in tcw.linear. */
static inline bool callout_stores(enum callout which) { return which >= CALLOUT_STORE; }
#define CALLOUT_POP 0x04000000u
#define CALLOUT_POP_WORD 0x08000000u /* with it: SP += 2 */
#define CALLOUT_WRITE 0x100u

/*
 * What happened at a guest instruction and how to translate it therefore (adaptive retranslation).
 */
#define ADAPT_INTERPRET 0x1u /* always a callout to the interpreter (MMIO, traced pages) */
/* a ring-0 access that reaches user memory: choose the window by address */
#define ADAPT_DUAL      0x2u
/* page faults are frequent here: look the page up in the software TLB, past the window */
#define ADAPT_SOFT      0x4u
/* the address wraps at 4 GiB, and met a guard: it is cut to 32 bits first (guest_address.h) */
#define ADAPT_EXACT     0x8u
#define ADAPT_ALL       0xfu

struct translator_callbacks {
	void *opaque;
	/*
	 * Fetch: translates linear eip for execution; false: fault (the dispatcher will find it
	 * again).
	 */
	bool (*fetch)(void *opaque, gva_t gva, gpa_t *gpa, bool *global);
	/* Monitor's pointer to the start of gpa's page of guest RAM, NULL if there is none. */
	const uint8_t *(*page)(void *opaque, gpa_t gpa);
	/* The first TU was made from this page / the last one is gone. */
	void (*protect)(void *opaque, gpa_t gpa);
	void (*unprotect)(void *opaque, gpa_t gpa);
	/*
	 * Whether a debugger wants to stop before the instruction at linear address gva: no TU
	 * leads through it, and the caller enters none there. May be NULL: nowhere.
	 */
	bool (*stops)(void *opaque, gva_t gva);
	callout_fn callout[CALLOUT_COUNT];
	/* -d in_asm and out_asm; may be NULL. */
	void (*log_tu)(void *opaque, const struct tu *tu, const uint8_t *guest,
		       const uint8_t *host);
	/*
	 * For maps of the code cache: a TU was made; all were dropped and their addresses will be
	 * used again. May be NULL.
	 */
	void (*tu_made)(void *opaque, const struct tu *tu);
	void (*flushed)(void *opaque);
};

struct translator_options {
	uint64_t cache_size;    /* bytes of code cache; 0: the default, 64 MiB */
	/* flush the cache after so many TUs, for tests; 0: when it is full */
	uint32_t flush_every;
	bool all_soft;          /* ADAPT_SOFT for every instruction */
	bool soft_views;        /* dual accesses heed tcw.soft_views */
	bool verify;            /* prove of each TU that it keeps to its window (verify.h) */
	bool no_links;          /* never link: every exit goes to the dispatcher */
	uint32_t max_insns;     /* per TU; 0: the default */
	/* FEATURE_* bits of the CPU model: other instructions are undefined */
	feature_set features;
	/* HOST_* bits: what translated code may use of the host's processor */
	uint32_t host;
};

/*
 * How far before the window, and from its start on, the sums reach that translated code addresses
 * memory by: a displacement of 2 GiB, a base of 4 GiB, an index of 4 GiB times eight; a bit
 * string's 256 MiB and 512 bytes of operand are in the last GiB.
 */
#define TRANSLATOR_REACH_BELOW (3ull << 30)
#define TRANSLATOR_REACH_ABOVE (39ull << 30)

/*
 * The bits of MODE_CODE for 16-bit code in the segment cs; 0: there are none yet. Light.
 */
uint32_t translator_code_segment(const struct translator *tr, const struct segment *cs);
/*
 * From now on there are. To be called where a flush may happen; true: one did, and all TUs are
 * gone.
 */
bool translator_learn_code_segment(struct translator *tr, const struct segment *cs);

/* What is optional in the host's processor, and faster where it is. */
#define HOST_BMI2  0x1u /* PEXT and PDEP; SHLX and SHRX, which change no flag */
#define HOST_LZCNT 0x8u /* else a guest's LZCNT is interpreted */

struct translator_stats {
#define TC_STAT(name, text) uint64_t name;
#include "translator_stats.def"
#undef TC_STAT
};

int translator_create(const struct translator_callbacks *callbacks,
		      const struct translator_options *options,
		      struct translator **out) RF_MUST_CHECK;
void translator_destroy(struct translator *tr);
const struct translator_stats *translator_stats(const struct translator *tr);

/* What a guest space needs from the translator: its link table and branch caches. 0 or -ENOMEM. */
struct tc_space;
struct tc_space *tc_space_create(struct translator *tr);
void tc_space_destroy(struct translator *tr, struct tc_space *space);
/*
 * Code relied on at this linear page is mapped otherwise now. space NULL: in every space (global).
 */
void translator_mapping_changed(struct translator *tr, struct tc_space *space, gva_t gva);

/*
 * Points cpu's tcw at space (r12, r13). Light callouts run it: spills the FPU before it does more
 * than look.
 */
void translator_use_space(struct translator *tr, struct cpu *cpu, struct tc_space *space,
			  uint32_t mode);
/*
 * Starts with an empty return stack, ring 3's or the others'. What is on one is good only for the
 * space and mode it was made in.
 */
void translator_reset_returns(struct translator *tr, struct cpu *cpu, bool user);

/*
 * The TU at linear address eip (= cpu->eip: CS is flat) in mode, translating it if need be. NULL:
 * fetch fault or not translatable: interpret. May flush the whole cache.
 */
struct tu *translator_find(struct translator *tr, struct tc_space *space, gva_t eip, uint32_t mode);
/* After TC_LEAVE_LINK: the guest address the exit leads to; then links it to tu once found. */
gva_t translator_exit_target(const struct translator *tr, uint32_t exit);
uint32_t translator_exit_taken(const struct cpu *cpu);
void translator_link(struct translator *tr, struct tc_space *space, uint32_t exit, struct tu *tu);
/* After TC_LEAVE_LOOKUP: remembers tu in the branch cache. */
void translator_cache_branch(struct translator *tr, struct tc_space *space, struct tu *tu);

/*
 * Runs translated code from tu, which is valid, until it leaves. cpu's tcw must be set up: window,
 * seg_base, space, eflags split, and event_mask (what is in it comes back as TC_LEAVE_RESUME). The
 * FPU state is in cpu->fpu before and after.
 */
enum tc_leave translator_enter(struct translator *tr, struct cpu *cpu, struct tu *tu);

/*
 * The guest's x87 last-instruction pointers. While translated code may run they are in tcw.x87;
 * translator_enter() moves them there and back. A callout that looks at cpu->fpu stores them first,
 * and loads them again afterwards. Whoever changes tcw.x87.selector, and so a segment's selector,
 * resolves first; light.
 */
void translator_x87_load(struct cpu *cpu);
void translator_x87_store(const struct translator *tr, struct cpu *cpu);
void translator_x87_resolve(const struct translator *tr, struct cpu *cpu);

/*
 * Guest RAM [gpa, gpa+len), of one page, was stored to: drops the TUs made from it. Returns how
 * many.
 */
unsigned translator_invalidate(struct translator *tr, gpa_t gpa, uint32_t len);
/* False: that would drop none. Light. */
bool translator_may_hold_code(const struct translator *tr, gpa_t gpa, uint32_t len);
/* Drops the TUs of whose linear addresses [gva, gva + len) the test says so. */
void translator_drop(struct translator *tr, bool (*test)(void *opaque, gva_t gva, uint32_t len),
		     void *opaque);
/* Drops everything. */
void translator_flush(struct translator *tr);
/*
 * The machine was reset: also forgets what was learnt of the guest, and gives the memory back. Not
 * while translated code is active.
 */
void translator_reset(struct translator *tr);

/*
 * Whether its tables agree with each other: TUs, exits, link tables, lists by page, branch caches,
 * adapted instructions. NULL: all is well; else what is wrong. Takes long, changes nothing. At each
 * flush and at the end it is asked where TUs are verified.
 */
const char *translator_check(const struct translator *tr);

/* Adaptive retranslation of the instruction at guest physical gpa; drops the TU it is in. */
void translator_adapt(struct translator *tr, gpa_t gpa, uint32_t adapt);
/* The reasons in adapt (ADAPT_*) have gone: back to the form without them. */
void translator_unadapt(struct translator *tr, gpa_t gpa, uint32_t adapt);

/* --- for logs and tests: what a finished TU consists of --- */
struct tu_description {
	gva_t eip;
	/* where its first byte lies; the page of its second part, or ~0 if it has none */
	gpa_t gpa, gpa2;
	uint32_t mode;       /* MODE_* */
	bool global;         /* made from a global mapping */
	unsigned guest_len, ninsns;
	cache_pc entry;      /* executable address */
	unsigned host_len;
	unsigned body_len;   /* without the unlinked paths of its exits, which come last */
};
struct tu_description translator_tu_describe(const struct tu *tu);

/*
 * Guest instruction i < ninsns: where its bytes start in the TU, and its host code [host_offset,
 * host_offset + host_len).
 */
struct tu_insn_description {
	unsigned guest_offset, guest_len, host_offset, host_len;
	uint32_t adapt;      /* ADAPT_* */
};
struct tu_insn_description translator_tu_insn(const struct tu *tu, unsigned i);

/* The hand-made pieces of the code cache, by ascending address; false: there are no more. */
enum tc_stub_kind {
	TC_STUB_ENTER,
	TC_STUB_LEAVE,
	TC_STUB_LINK,   /* the exit's number is in r9d */
	TC_STUB_LOOKUP, /* the guest target is in r8d */
	TC_STUB_CALLED, /* from translated code: callouts, the look-ups of the software TLB */
};
struct tc_stub {
	enum tc_stub_kind kind;
	const char *name;
	cache_pc start, end;
};
bool translator_stub(const struct translator *tr, unsigned i, struct tc_stub *stub);
const char *translator_callout_name(enum callout which);

/* --- for signal handlers --- */
/* The stub that pc lies in. */
bool translator_stub_at(const struct translator *tr, cache_pc pc, struct tc_stub *stub);
/* Whether the thread is making a TU just now. */
bool translator_is_translating(const struct translator *tr);
/* Whether rsp is that of translated code: on a return stack. */
bool translator_on_return_stack(const struct translator *tr, hva_t rsp);
/* Whether host address pc lies in translated code or its stubs. */
bool translator_contains(const struct translator *tr, cache_pc pc);
/*
 * The guest instruction that host address pc belongs to. False in stubs. *boundary: pc is its first
 * host instruction, or between iterations of a repeated string instruction, so that the guest state
 * is precise and an interrupt may be taken.
 */
struct tc_position {
	struct tu *tu;
	gva_t eip;       /* the offset in CS */
	gpa_t gpa;       /* guest physical address of the instruction */
	uint32_t adapt;  /* how it was translated */
	int32_t esp_delta; /* guest ESP = r14d + esp_delta */
	bool boundary;
	/*
	 * pc is the host's repeated string instruction: in the middle of the guest's, unless that
	 * has yet to begin
	 */
	bool repeats;
	bool shadow;     /* it stands after an STI: no interrupt before it is done */
	uint32_t x87_site; /* for translator_x87_catch_up() */
};
bool translator_locate(const struct translator *tr, cache_pc pc, struct tc_position *position);
/*
 * Translated code is left at *at with these host registers, by number (only the guest's are looked
 * at): tcw.x87 gets what would have been stored there later.
 */
void translator_x87_catch_up(const struct translator *tr, struct cpu *cpu,
			     const struct tc_position *at, const uint64_t host[16]);
/*
 * Where to send an interrupted translation so that it leaves with eax as enum tc_leave: registers
 * were saved by the handler.
 */
cache_pc translator_leave_address(const struct translator *tr);
/*
 * Whether address is in the guard of a return stack; *empty: what rsp is to be instead, so that the
 * stack is empty.
 */
bool translator_return_overflow(const struct translator *tr, hva_t address, hva_t *empty);

#endif
