/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of one virtual processor, as the architecture defines it.
 *
 * Every layer reads it; the translator also addresses it from translated code (r15 points at struct
 * cpu), which is why the hot words stand first and why translator-private words have a place here
 * (struct tc_words).
 *
 * Invariants, whenever C code other than the translator's own signal handlers runs:
 *   - regs[], eip and eflags are complete and precise (eip is the offset in CS, not the linear
 *     address);
 *   - fpu holds the whole x87/MMX/SSE state in FXSAVE format;
 *   - seg[].base/limit/attr are the hidden descriptor caches; limit is in bytes, already scaled by
 *     G.
 */
#ifndef RF_X86_CPU_H
#define RF_X86_CPU_H

#include <stdatomic.h>
#include "types.h"
#include "arch.h"

/*
 * A segment register with its hidden part. attr holds descriptor bits 40..55 (see SEG_*). An
 * unusable (null) segment has attr 0.
 */
struct segment {
	uint16_t selector;
	uint16_t attr;
	uint32_t base;
	uint32_t limit; /* last valid byte offset (expand-up) */
};

struct table_register {
	uint32_t base;
	uint16_t limit;
};

/*
 * An architectural fault on its way to the guest. Routines that may fault return X86_FAULT after
 * filling cpu->fault; the engine then delivers it (exception_deliver()).
 */
struct fault {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	gva_t cr2; /* for EXC_PF: loaded into CR2 at delivery */
	uint32_t dr6; /* for EXC_DB: bits to set in DR6 at delivery */
};

enum x86_status {
	X86_OK = 0,
	X86_FAULT = 1, /* cpu->fault says which */
	/* the VM was killed (vm_kill) or shut down by triple fault: leave the engine */
	X86_DEAD = 2,
};

/* Legacy FXSAVE image (SDM vol. 1, table 10-2). */
struct fxsave_image {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved1;
	uint16_t fop;
	uint32_t fip;
	uint16_t fcs, reserved2;
	uint32_t fdp;
	uint16_t fds, reserved3;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t reserved4[96];
} __attribute__((aligned(16)));

/*
 * Bits of cpu->events: why the engine should come out of guest code. Set by any thread with
 * vcpu_raise_event().
 */
#define EVENT_INTR  0x01u /* an interrupt controller asserts INTR */
#define EVENT_NMI   0x02u
#define EVENT_STOP  0x04u /* the VM is to pause or quit, or work is queued for the vCPU thread */
#define EVENT_RESET 0x08u

/* cpu->inhibit: interrupts are held off for one instruction (SDM vol. 3, 6.8.3). */
#define INHIBIT_STI   0x1u
#define INHIBIT_MOVSS 0x2u /* debug traps are held off too */

/* Words only the translator and its stubs use; see translator/conventions.h. */
struct tc_words {
	/* EFLAGS less arithmetic flags, DF and IF, while in translated code */
	uint32_t eflags_sys;
	uint32_t if_flag;     /* 0 or X86_IF, while in translated code */
	uint64_t tc_rsp;      /* top of the return stack while C code runs */
	uint64_t host_rsp;    /* C stack while translated code runs */
	uint64_t window;      /* base of the current view's window, r13 in translated code */
	/* &seg[i].base if segment i is a usable 4-GiB segment, else NULL (the load then faults) */
	const uint32_t *seg_base[6];
	/* window to use for linear addresses in each GiB (dual-window accesses from ring 0) */
	uint64_t view_by_gib[4];
	/*
	 * Of the code of one guest instruction, or of one stub: a 64-bit value whose halves part,
	 * and what a stub needs once more after others have had its registers. Nothing at an
	 * instruction's boundary.
	 */
	uint64_t scratch;
	/* from TC_LEAVE_LINK to translator_exit_taken(): the number of the exit */
	uint32_t exit;
	/* while CALLOUT_STORE or CALLOUT_SOFT runs: the linear address that it is about */
	uint32_t linear;
	/*
	 * EVENT_* bits that keep translated code from being entered with the state as it is: set
	 * with that, before each entry and by callouts that go on in another state
	 */
	uint32_t event_mask;
	uint32_t mxcsr_for_c; /* what C code finds in MXCSR: set at each entry */
	uint32_t mode;        /* mode key of the current TU family */
	/* enum fpu_live: what of the guest FPU state is in the host registers while C code runs */
	uint32_t fpu_live;
	uint64_t link_table;  /* of the current space, r12 in translated code */
	uint64_t branch_cache; /* of the current space and mode */
	/* struct soft_lookup tables of the current privilege level, by enum access */
	uint64_t soft_table[2];
	uint64_t segment_memos; /* struct segment_memo table */
	uint64_t kept_rax;    /* while a stub has flags in eax */
	/* what a PUSH keeps while its slot is looked up in the software TLB */
	uint32_t soft_value;
	/* not zero: ring 0 reaches user memory through the software TLB, too (dual accesses) */
	uint32_t soft_views;
};

struct cpu_model;

struct cpu {
	uint32_t regs[8];
	uint32_t eip;
	uint32_t eflags;
	_Atomic uint32_t events;
	uint32_t inhibit;
	struct tc_words tcw;

	struct segment seg[X86_NSEG];
	struct segment ldtr, tr;
	struct table_register gdtr, idtr;
	uint32_t cr0, cr2, cr3, cr4;
	uint32_t dr[8]; /* DR4 and DR5 unused */
	uint64_t pdpte[4]; /* PAE: loaded with CR3 (SDM vol. 3, 4.4.1) */
	uint8_t cpl;
	bool halted;
	bool ignne;       /* IGNNE# is asserted: a pending x87 error with CR0.NE clear is ignored */
	bool nmi_blocked; /* from the delivery of an NMI to the next IRET (SDM vol. 3, 6.7.1) */
	/* 0xffffffff, or 0xffefffff with A20 off; applies to guest physical addresses */
	uint32_t a20_mask;

	uint64_t efer;
	uint32_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t apic_base;
	uint64_t pat;
	uint64_t misc_enable;
	uint64_t tsc_offset; /* guest TSC = host TSC + tsc_offset */
	/* what the guest has added to its TSC since reset (SDM vol. 3, 17.17.3) */
	uint64_t tsc_adjust;

	struct fault fault;
	const struct cpu_model *model;
	struct fxsave_image fpu;
};

#endif
