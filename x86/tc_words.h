/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The translator's words of a virtual processor: what translated code and its stubs use beside the
 * architectural state, directly before that, so that r15 reaches both. Addresses of the host's are
 * here and none is in struct cpu. Nothing in it goes into a snapshot: it is made anew from struct
 * cpu before translated code is entered.
 *
 * Nearest to struct cpu is what translated code uses in place: it has displacements of eight bits.
 */
#ifndef RF_X86_TC_WORDS_H
#define RF_X86_TC_WORDS_H

#include "cpu.h"

/*
 * The guest's x87 last-instruction pointers as they were before what translated code noted in
 * x87_site and x87_fdp (translator/x87_pointers.c). The data pointer is there only.
 */
struct x87_words {
	uint32_t fip;
	uint16_t fop, fcs, fds;
	/* selectors that translated code runs with, since it was entered or one was loaded */
	uint16_t selector[X86_NSEG];
	uint16_t reserved;
};

struct tc_words {
	/*
	 * Of 16-bit code. limit_probe: by enum access and segment; the byte at this + an offset can
	 * be read if, and only if, the segment allows the access there (monitor/bt/limits.c).
	 * code_probe: the same for the target of a transfer, up to FFFFh.
	 */
	uint64_t limit_probe[2][6];
	uint64_t code_probe;
	/* the same for offsets that may not wrap at 64 KiB, whatever the limit */
	uint64_t wrap_probe;
	/*
	 * how many elements a string instruction moves on: 1, or -1 with DF set. Of 16-bit code:
	 * whoever may change DF while that runs sets it
	 */
	uint32_t string_step;
	uint32_t reserved[3];
	/* what the current code segment adds to EIP for look-ups (code_segment.c) */
	uint32_t lookup_base;
	/* what a callout that ends with CALLOUT_JUMP has looked up */
	uint32_t jump_target;
	/*
	 * EVENT_* bits that keep translated code from being entered with the state as it is: set
	 * with that, before each entry and by callouts that go on in another state
	 */
	uint32_t event_mask;
	uint32_t mxcsr_for_c; /* what C code finds in MXCSR: set at each entry */
	/* from TC_LEAVE_LINK to translator_exit_taken(): the number of the exit */
	uint32_t exit;
	/* while CALLOUT_STORE or CALLOUT_SOFT runs: the linear address that it is about */
	uint32_t linear;
	uint32_t mode;        /* mode key of the current TU family */
	/* enum fpu_live: what of the guest FPU state is in the host registers while C code runs */
	uint32_t fpu_live;
	uint64_t link_table;  /* of the current space, r12 in translated code */
	uint64_t branch_cache; /* of the current space and mode */
	/* struct soft_lookup tables of the current privilege level, by enum access */
	uint64_t soft_table[2];
	uint64_t segment_memos; /* struct segment_memo table */
	/*
	 * What soft_table and view_by_gib are to be in ring 0 with EFLAGS.AC clear, and set: CLAC
	 * and STAC copy it. Under CR4.SMAP they differ.
	 */
	uint64_t ac_soft_table[2][2];
	uint64_t ac_view_by_gib[2][4];
	uint64_t kept_rax;    /* while a stub has flags in eax */
	struct x87_words x87;
	uint64_t tc_rsp;      /* top of the return stack while C code runs */

	/* --- displacements of eight bits from here on --- */
	/* what a PUSH keeps while its slot is looked up in the software TLB */
	uint32_t soft_value;
	/* not zero: ring 0 reaches user memory through the software TLB, too (dual accesses) */
	uint32_t soft_views;
	/*
	 * Of the code of one guest instruction, or of one stub: a 64-bit value whose halves part,
	 * and what a stub needs once more after others have had its registers. Nothing at an
	 * instruction's boundary.
	 */
	uint64_t scratch;
	/* window to use for linear addresses in each GiB (dual-window accesses from ring 0) */
	uint64_t view_by_gib[4];
	/* &seg[i].base if segment i is a usable 4-GiB segment, else NULL (the load then faults) */
	const uint32_t *seg_base[6];
	/* the x87 site (translator/tu.h) of the last instruction; 0: none since x87 was set */
	uint32_t x87_site;
	uint32_t x87_fdp;
	uint64_t host_rsp;    /* C stack while translated code runs */
	uint64_t window;      /* base of the current view's window, r13 in translated code */
	/* EFLAGS less arithmetic flags, DF and IF, while in translated code */
	uint32_t eflags_sys;
	uint32_t if_flag;     /* 0 or X86_IF, while in translated code */
};

/* A processor that translated code can run on. (struct vcpu has the same two.) */
struct tc_cpu {
	struct tc_words tcw;
	struct cpu cpu;
};
#define TC_WORDS_PRECEDE_CPU(type) \
	_Static_assert(offsetof(type, cpu) == offsetof(type, tcw) + sizeof(struct tc_words), \
		       "translated code addresses both from r15")
TC_WORDS_PRECEDE_CPU(struct tc_cpu);

/* cpu has to be one that its words precede: a struct tc_cpu's, or a struct vcpu's. */
static inline struct tc_words *tcw(struct cpu *cpu)
{
	return &rf_container_of(cpu, struct tc_cpu, cpu)->tcw;
}

/* Where r15 finds a word; those that are used in place have short displacements. */
#define TCW_OFF(word) \
	((int32_t)offsetof(struct tc_words, word) - (int32_t)sizeof(struct tc_words))
_Static_assert(TCW_OFF(soft_value) >= INT8_MIN, "displacements of eight bits");

#endif
