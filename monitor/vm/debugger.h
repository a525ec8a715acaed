/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a debugger wants of a virtual processor: where it is to stop, that it is to do one
 * instruction only, and why it stopped.
 *
 * A stop is a pause of the VM that has a reason. Engines look here; the guest sees nothing of it:
 * neither its memory, nor its debug registers, nor TF are used.
 *
 * Breakpoints and watchpoints are at linear addresses, whatever the guest's tables map there. All
 * of this is the vCPU thread's. No function here uses the FPU (x86/fpu_spill.h).
 */
#ifndef RF_MONITOR_VM_DEBUGGER_H
#define RF_MONITOR_VM_DEBUGGER_H

#include "x86/access.h"

struct vcpu;

#define DEBUGGER_BREAKPOINTS 256
#define DEBUGGER_WATCHPOINTS 32

enum debugger_why {
	DEBUGGER_PAUSED, /* by somebody else: the user, the guest's end */
	DEBUGGER_STEPPED,
	DEBUGGER_BREAKPOINT, /* its instruction has not been executed */
	DEBUGGER_WATCHPOINT, /* the access has been made, and its instruction is done */
};

enum debugger_watch { DEBUGGER_WRITES = 1, DEBUGGER_READS = 2, DEBUGGER_ACCESSES = 3 };

struct debugger_watchpoint {
	gva_t start;
	uint32_t len; /* bytes, not 0; may run over 4 GiB to address 0 */
	enum debugger_watch kind;
};

struct debugger {
	/* Called on the vCPU thread when it has stopped, whatever the reason. NULL: nobody asks. */
	void (*stopped)(void *opaque);
	void *opaque;

	gva_t breakpoint[DEBUGGER_BREAKPOINTS];
	struct debugger_watchpoint watchpoint[DEBUGGER_WATCHPOINTS];
	unsigned nbreakpoints, nwatchpoints;
	/* A bit for some of the pages with breakpoints: where it is clear, there is none. */
	uint64_t pages;
	/* Counts changes of the two: engines remember which they know. */
	uint32_t breakpoint_changes, watchpoint_changes;

	bool stepping;  /* stop after an instruction */
	/*
	 * The next instruction is done even if a breakpoint is there: that has been told. Whoever
	 * moves EIP clears it.
	 */
	bool passing;
	enum debugger_why why; /* of the last stop, or the one that is about to be */
	enum debugger_watch hit_kind; /* of the watchpoint */
	gva_t hit;                    /* the first watched byte of the access */
};

/* 0; or -ENOSPC, -EEXIST, -ENOENT. */
int debugger_insert_breakpoint(struct vcpu *vcpu, gva_t gva);
int debugger_remove_breakpoint(struct vcpu *vcpu, gva_t gva);
int debugger_insert_watchpoint(struct vcpu *vcpu, const struct debugger_watchpoint *w);
int debugger_remove_watchpoint(struct vcpu *vcpu, const struct debugger_watchpoint *w);
void debugger_remove_all(struct vcpu *vcpu);

/* Whether a breakpoint is at any address of [gva, gva + len), len <= 4096. */
bool debugger_breaks_within(const struct debugger *d, gva_t gva, uint32_t len);
/* False: none is in gva's page, and none ever stops at the instructions there. */
static inline bool debugger_may_break(const struct debugger *d, gva_t gva)
{
	return d->pages >> (gva >> GUEST_PAGE_SHIFT & 63) & 1;
}
/* What is watched of gva's page: a set of enum debugger_watch. */
unsigned debugger_watches_page(const struct debugger *d, gva_t gva);

/*
 * The guest has accessed [gva, gva+len) of a watched page: stops after the instruction if that is
 * watched.
 */
void debugger_accessed(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access);

/*
 * Pauses the VM before the next instruction, for this reason unless there is one already. The
 * engine leaves as for any EVENT_STOP.
 */
void debugger_stop(struct vcpu *vcpu, enum debugger_why why);
/* Whether the instruction at CS:EIP has a breakpoint. */
bool debugger_is_at_breakpoint(const struct vcpu *vcpu);
/*
 * So it has, and EFLAGS.RF is clear, as for the processor's own breakpoints (SDM vol. 3, 17.3.1.1):
 * stops, and returns true. With RF set the caller executes that instruction.
 */
bool debugger_stops_here(struct vcpu *vcpu);

/* Lets the guest go on; step: for one instruction. On the vCPU thread, while it stands. */
void debugger_resume(struct vcpu *vcpu, bool step);
/* EIP or CS was changed by hand. */
void debugger_moved(struct vcpu *vcpu);

#endif
