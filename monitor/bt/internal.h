/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The binary-translation engine's state: what joins the translator and the shadow page tables to a
 * vCPU.
 *
 *   engine.c        life cycle, flush hooks, statistics
 *   dispatcher.c    finds TUs and enters them
 *   state.c         the mode key; what translated code finds in struct cpu (window, segment bases,
 *                   views)
 *   limits.c        segment limits, for 16-bit code
 *   soft.c          which instructions use the software TLB
 *   debug.c         breakpoints and watchpoints of a debugger
 *   fault_order.c   true page faults that the interpreter has to raise
 *   signals.c       host faults and kicks that hit translated code
 *   callouts.c      C functions that translated code calls
 *   light_callouts.c  those that leave the FPU alone
 *   log.c           -d in_asm and out_asm
 *   profile.h       profiles
 */
#ifndef RF_MONITOR_BT_INTERNAL_H
#define RF_MONITOR_BT_INTERNAL_H

#include <signal.h>
#include "monitor/vm/vm.h"
#include "shadowmmu/shadow.h"
#include "translator/translator.h"

struct disasm;
struct guest_symbols;
struct perf_map;
struct profile;

/* Counters of the engine itself. */
struct bt_stats {
#define BT_STAT(name, text) uint64_t name;
#include "stats.def"
#undef BT_STAT
};

struct bt_returns {
	const struct space *space;
	uint32_t mode;
	uint64_t rsp;
};

#define BT_HITS 256 /* a power of two */

/* How often something happened at one place, which is a number of the table's own kind. */
struct bt_hit {
	uint64_t key;
	uint32_t count;
};

/* An instruction with frequent page faults (soft.c). */
struct bt_soft_site {
	gva_t eip;
	gpa_t gpa;
	uint32_t last_fault; /* in sweeps */
	uint32_t faults;
	uint8_t patience;    /* faults are needed by powers of two */
	bool active;         /* adapted */
	bool unfit;          /* has no soft form */
};
#define BT_SOFT_SITES 251 /* a prime: loops lie at round distances */

struct bt {
	struct vcpu *vcpu;
	struct translator *translator;
	struct shadow *shadow;
	struct host_mapping *hm;
	struct space *space;     /* current; engine_data is its tc_space */
	struct bt_stats stats;
	struct disasm *disasm;
	/* profile.h; NULL: not wanted */
	struct guest_symbols *symbols;
	struct perf_map *perf_map;
	struct profile *profile;

	/* What the return stack's contents rely on; when any differs it is forgotten. */
	struct bt_returns user_returns; /* ring 3's, while another ring runs */
	const struct space *returns_space;
	uint32_t returns_mode;
	bool returns_stale;

	/* INVLPGs wait to be done in the user window: bt_settle() before it is used */
	bool unsettled;
	/* a flush, a changed mapping or a dropped TU since the callout began */
	bool changed;
	/*
	 * The interpreter left the instruction at EIP between two rounds, with RF set for what may
	 * come in between: it goes on, since translated code does not keep RF.
	 */
	bool unfinished;
	uint8_t user_gibs;       /* bit g: ring 0 reaches linear GiB g through the user window */

	/*
	 * A true page fault was delivered; when the guest is back at eip, the page is mapped before
	 * it tries again.
	 */
	bool prefill;
	uint32_t prefill_eip, prefill_cpl;
	enum access prefill_access;
	gva_t prefill_gva;

	/* the host instruction that is being stepped over, to come to a boundary */
	cache_pc stepped_from;
	uint64_t traced_writes;  /* C code's stores to traced pages */

	/*
	 * Faults that cannot be mended, by the instruction's physical address: on the way to
	 * adaptation.
	 */
	struct bt_hit hits[BT_HITS];
	/* Interpreted adapted instructions that needed no interpreting, by EIP: on the way back. */
	struct bt_hit idle[BT_HITS];

	/* Address spaces without a window (young.c). */
	struct young_policy young;
	/* the current space's, while ring 3 of it runs in the soft mode; else NULL */
	struct young *young_running;
	uint64_t young_since;        /* TSC */
	uint64_t young_charged;      /* what host calls had cost when it was last looked at */

	/* what tcw.limit_probe was made of (limits.c) */
	struct {
		hva_t area;
		uint64_t window;
		bool descriptors;
		struct segment seg[X86_NSEG];
	} limits;

	/* what of the debugger's changes is known (debug.c) */
	uint32_t breakpoint_changes, watchpoint_changes;
	struct debugger_watchpoint watched[DEBUGGER_WATCHPOINTS];
	unsigned nwatched;

	struct bt_soft_site soft_site[BT_SOFT_SITES];
	uint64_t soft_swept;     /* TSC */
	uint32_t soft_sweeps;
	bool no_soft;            /* never adapt to it */

	stack_t old_stack;
	void *signal_stack;
};

/* Whether the interpreter, which began at eip, left its instruction unfinished. */
static inline bool bt_is_unfinished(const struct cpu *cpu, uint32_t eip)
{
	return cpu->eip == eip && cpu->eflags & X86_RF;
}

/* dispatcher.c: runs guest code until an event asks to leave, or the VM is dead. */
void bt_dispatch(struct bt *bt);

/* state.c */
uint32_t bt_mode(const struct cpu *cpu);
/* Whether bt_mode() is another than MODE_UNTRANSLATABLE. */
bool bt_is_translatable(const struct cpu *cpu);
/* Makes its tcw agree with cpu and the current space; returns the mode. */
uint32_t bt_prepare(struct bt *bt);
struct tc_space *bt_tc_space(struct bt *bt);
void bt_settle(struct bt *bt);
/* What CLAC and STAC find in tcw.ac_soft_table: once, for it never changes. */
void bt_set_ac_tables(struct vcpu *vcpu);
/*
 * What translated code finds in tcw.seg_base and the words of 16-bit code, after the instruction
 * before may have loaded a segment register; or may have done anything.
 */
void bt_refresh_segment(struct cpu *cpu, enum x86_seg seg);
void bt_refresh_state(struct cpu *cpu);

/* limits.c */
int bt_limits_create(struct bt *bt);
void bt_limits_destroy(struct bt *bt);
/* Whether the host's fault at address is that of an offset beyond a segment's limit. */
bool bt_is_limit_fault(const struct bt *bt, hva_t address);
/* Whether all offsets up to FFFFh may be read and written. */
bool bt_segment_is_64k(const struct cpu *cpu, const struct segment *s);
/* Makes tcw.limit_probe and code_probe agree with the segments and tcw.window. */
void bt_refresh_limits(struct bt *bt);

/* host_needs.c */
/* One line on such a host: what bt uses of it, does without, or lacks. */
void bt_describe_host(const struct host_facts *facts, char *text, size_t size);

/* 0, or -ENOTSUP and error: why translated code cannot run on such a host, and what to do. */
int bt_host_check(const struct host_facts *facts, struct error *error) RF_MUST_CHECK;

/* reset.c: struct engine.reset */
void bt_reset(struct vcpu *vcpu);

/* signals.c */
int bt_signals_install(void);
int bt_signals_enter_thread(struct bt *bt);
void bt_signals_leave_thread(struct bt *bt);
void bt_kick(struct vcpu *vcpu);
/*
 * The signal of a kick, to the calling thread. It does nothing but take its time where no
 * translated code runs.
 */
void bt_kick_self(void);
/* The signal of a profile's timer, and its handler, which only those have who want a profile. */
int bt_profile_signal(void);
int bt_signals_install_profile(void);
bool bt_on_signal_stack(const struct bt *bt, hva_t rsp);

/* engine.c: all that was made of guest memory is dropped. */
void bt_forget_memory(struct bt *bt);

/* log.c: struct translator_callbacks.log_tu */
void bt_log_tu(void *opaque, const struct tu *tu, const uint8_t *guest, const uint8_t *host);

/* debug.c */
/* struct translator_callbacks.stops */
bool bt_stops(void *opaque, gva_t gva);
/* Before guest code runs: makes translations and windows heed what a debugger has changed. */
void bt_heed_debugger(struct bt *bt);

/*
 * soft.c: counts a page fault of the guest's, or a hidden one; true when the instruction is to
 * be adapted.
 */
bool bt_soft_count(struct bt *bt, const struct tc_position *at, bool hidden);
/* An adapted instruction at eip was looked up in vain, with or without a fault. Light. */
void bt_soft_missed(struct bt *bt, gva_t eip);
/* An adapted instruction at eip faulted. Light. */
void bt_soft_faulted(struct bt *bt, gva_t eip);
/*
 * Gives instructions that have not faulted lately their plain form back; to be called now and then.
 */
void bt_soft_sweep(struct bt *bt);

/*
 * fault_order.c: the instruction at guest physical address gpa met a page fault of the guest's
 * own, with this FPU state. True: processors differ about it; the interpreter is to run the
 * instruction. May be called by signal handlers.
 */
bool bt_fault_is_open(struct bt *bt, gpa_t gpa, const struct fxsave_image *fpu);

/* young.c */
/*
 * The current space has just been chosen: a new one begins, another is charged for what its window
 * cost.
 */
void bt_young_chosen(struct bt *bt);
/*
 * A host fault in its user window was dealt with. True: it has become young, translated code has to
 * be left.
 */
bool bt_young_faulted(struct bt *bt);

/* callouts.c */
int bt_callout_interpret(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
int bt_callout_load_cr3(struct cpu *cpu, uint32_t value, uint32_t next_eip);

/* light_callouts.c */
/*
 * The instruction at eip is adapted (ADAPT_INTERPRET), and was needed to be or not: if it was for
 * nothing many times running, it is translated plainly again, and translated code has to be left.
 */
bool bt_unadapt_idle(struct bt *bt, gva_t eip, bool needed);
/*
 * A control transfer ended with status: how a callout goes on at cpu->eip, through the fault if
 * there was one.
 */
int bt_light_transfer(struct vcpu *vcpu, enum x86_status status);
int bt_light_int(struct cpu *cpu, uint32_t vector, uint32_t next_eip);
int bt_light_iret(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
int bt_light_sysenter(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
int bt_light_sysexit(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
int bt_light_load_segment(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
int bt_light_invlpg(struct cpu *cpu, uint32_t gva, uint32_t next_eip);
int bt_light_soft(struct cpu *cpu, uint32_t argument, uint32_t gva);
int bt_light_far_jump(struct cpu *cpu, uint32_t pointer, uint32_t next_eip);
int bt_light_far_call(struct cpu *cpu, uint32_t pointer, uint32_t next_eip);
int bt_light_far_return(struct cpu *cpu, uint32_t argument, uint32_t next_eip);
int bt_light_store(struct cpu *cpu, uint32_t value, uint32_t next_eip);
int bt_light_store_word(struct cpu *cpu, uint32_t value, uint32_t next_eip);
int bt_light_store_byte(struct cpu *cpu, uint32_t value, uint32_t next_eip);
int bt_light_push_word(struct cpu *cpu, uint32_t value, uint32_t next_eip);
int bt_light_push_long(struct cpu *cpu, uint32_t value, uint32_t next_eip);
/* struct engine.page_fault */
void bt_light_page_fault(struct vcpu *vcpu, gva_t gva);

static inline struct bt *bt_of(struct vcpu *vcpu)
{
	return vcpu->engine_data;
}

#endif
