/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of one virtual processor, as the architecture defines it: nothing here depends on the
 * host, or on the engine that runs it.
 *
 * Every layer reads it; the translator also addresses it from translated code (r15 points at struct
 * cpu), which is why the hot words stand first. Its own words lie before it (tc_words.h).
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
_Static_assert(sizeof(struct fxsave_image) == 512 && offsetof(struct fxsave_image, mxcsr) == 24 &&
	       offsetof(struct fxsave_image, st) == 32 && offsetof(struct fxsave_image, xmm) == 160,
	       "the processor's layout");
#define MXCSR_FOR_C 0x1f80u /* as C code expects it: nothing pending, all exceptions masked */

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

struct cpu {
	uint32_t regs[8];
	uint32_t eip;
	uint32_t eflags;
	_Atomic uint32_t events;
	uint32_t inhibit;

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
	uint64_t mcg_status;
	/* of the P6 (SDM vol. 3, 18.6.8): they keep what is written, and never count */
	uint64_t perf_counter[2];
	uint32_t perf_select[2];
	uint64_t tsc_offset; /* guest TSC = host TSC + tsc_offset */
	/* what the guest has added to its TSC since reset (SDM vol. 3, 17.17.3) */
	uint64_t tsc_adjust;
	uint32_t tsc_aux; /* what RDTSCP and RDPID give beside */

	struct fault fault;
	struct fxsave_image fpu;
};

#endif
