/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual processor as the monitor sees it: architectural state, the engine that runs it, and
 * how others reach it.
 */
#ifndef RF_MONITOR_VM_VCPU_H
#define RF_MONITOR_VM_VCPU_H

#include <pthread.h>
#include "x86/features.h"
#include "x86/tc_words.h"
#include "debugger.h"
#include "soft_tlb.h"
#include "tsc_rate.h"

struct vm;
struct engine;
struct cpu_model;

struct vcpu {
	struct tc_words tcw; /* what translated code has of the processor beside cpu */
	struct cpu cpu;
	const struct cpu_model *model;
	struct vm *vm;
	const struct engine *engine;
	void *engine_data;
	struct soft_tlb soft_tlb;
	struct debugger debugger;
	pthread_t thread;
	/* from vcpu_thread_begins() to vcpu_thread_ends(); else nobody is kicked */
	_Atomic bool thread_valid;
	/* HLT sleeps here. */
	pthread_mutex_t wake_mutex;
	pthread_cond_t wake_cond;
	bool asleep; /* under wake_mutex: waits for wake_cond, so needs no kick */
	/* Decode and scratch state of the interpreter (interp/interp.h). */
	void *interp;
	uint64_t exceptions[32]; /* delivered, by vector */
	uint64_t mmio_accesses;  /* by C code for this vCPU */
	uint64_t interrupts;     /* external interrupts delivered */
	struct tsc_mark begun;   /* when the vCPU was made */
	struct tsc_ratio tsc_ratio; /* the TSC's rate over LAPIC_TIMER_HZ; zeros: not known */
	bool halt_told;          /* the user knows that it has halted for good */
	bool tsc_measured;       /* tsc_ratio is final, whether known or not */
	/* The last fault in ring 0 for want of a feature (processor/cpu_lacks.h). */
	struct cpu_lack {
		feature_set features; /* 0: none since reset */
		uint16_t cs;
		uint32_t eip;
		uint64_t delivered;  /* exceptions and interrupts before it */
		bool told;
	} lack;
};

TC_WORDS_PRECEDE_CPU(struct vcpu);

/* The registers are processor_reset()'s to set. 0 or a negative errno. */
int vcpu_init(struct vcpu *vcpu, struct vm *vm) RF_MUST_CHECK;
void vcpu_destroy(struct vcpu *vcpu);

/*
 * Sets event bits (EVENT_*) and makes the vCPU notice: a sleeping one is woken, one in guest code
 * is signalled so that it leaves at the next instruction boundary. Any thread. vcpu_clear_event is
 * for the interrupt controller's falling edge.
 */
void vcpu_raise_event(struct vcpu *vcpu, uint32_t events);
void vcpu_clear_event(struct vcpu *vcpu, uint32_t events);

/*
 * The EVENT_* bits that a processor in this state attends to: an NMI waits for the end of another's
 * handler, an interrupt for the interrupt flag.
 */
static inline uint32_t cpu_event_mask(const struct cpu *cpu, bool interrupt_flag)
{
	return EVENT_STOP | EVENT_RESET | (cpu->nmi_blocked ? 0 : EVENT_NMI) |
	       (interrupt_flag ? EVENT_INTR : 0);
}

/* Whether the caller is the vCPU's own thread. */
bool vcpu_is_self(const struct vcpu *vcpu);
/* The same, or it has no thread now: whether the caller may touch its state. */
bool vcpu_is_mine(const struct vcpu *vcpu);

/* Halts: what HLT does, and freezing for an x87 error. */
void vcpu_halt(struct vcpu *vcpu);
/* Tells the user, once for each halt, if nothing but a reset can end it. */
void vcpu_tell_halt(struct vcpu *vcpu);
/* Sleeps until an event is pending that ends HLT. */
void vcpu_wait_for_interrupt(struct vcpu *vcpu);

/* The calling thread is the vCPU's from now on, and no more: what may be kicked. */
void vcpu_thread_begins(struct vcpu *vcpu);
void vcpu_thread_ends(struct vcpu *vcpu);

/* The vCPU thread's body: runs the engine until the VM stops. */
void vcpu_thread_loop(struct vcpu *vcpu);

#endif
