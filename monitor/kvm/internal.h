/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The KVM engine's parts (docs/architecture.md, "The KVM engine"):
 *
 *   engine.c   options, life cycle, the loop around KVM_RUN, interrupts
 *   host.c     opening /dev/kvm; what it is
 *   probe.c    whether it can run 32-bit guests
 *   memory.c   guest RAM as memory slots
 *   cpuid.c    what the guest's CPUID says, and whose MSRs are whose
 *   state.c    struct cpu <-> KVM's registers
 *   exit.c     what to do about each reason for which KVM_RUN returns
 *   debug.c    a debugger's breakpoints, watchpoints and steps
 *   irqchip.c  interrupt controllers in the host's kernel
 *
 * Who owns the state: outside of kvm_run() struct cpu is complete. Inside, KVM has it, and struct
 * cpu holds only what KVM does not know (events, halted, a20_mask, MSRs of our own) and EFLAGS.IF
 * while halted; kvm_get_state() and kvm_put_state() move all of it.
 */
#ifndef RF_MONITOR_KVM_INTERNAL_H
#define RF_MONITOR_KVM_INTERNAL_H

#include <linux/kvm.h>
#include "monitor/vm/vm.h"
#include "host.h"

struct kvm_stats {
#define KVM_EXIT_STAT(name, reason, text) uint64_t name;
#define KVM_STAT(name, text) uint64_t name;
#include "stats.def"
#undef KVM_EXIT_STAT
#undef KVM_STAT
};

struct kvm_engine {
	struct vcpu *vcpu;
	struct kvm_host host;
	int device_fd, vm_fd, vcpu_fd; /* -1: not open */
	struct kvm_run *run;           /* shared with the kernel */
	size_t run_size;
	bool irqchip_in_kernel;
	bool assist;                   /* instructions KVM cannot emulate are interpreted */
	bool in_kvm;                   /* the state is KVM's */
	struct kvm_vcpu_events events; /* what KVM is about to deliver, while the state is ours */
	uint32_t slots;                /* memory slots of RAM in use */
	struct guest_video_view video[GUEST_VIDEO_VIEWS]; /* what the slots before them show */
	uint32_t slots_a20_mask;       /* they show memory under this */
	_Atomic bool slots_stale;      /* page flags have changed */
	bool video_stale;              /* what is shown of display memory has */
	bool debugged;                 /* KVM has been told of a debugger's wishes */
	/* the interpreter stored to guest RAM; only kept up under shadow paging */
	bool stored;
	/* reset states of the kernel's chips; NULL: they are ours */
	struct kvm_irqchip_state *irqchip;
	struct kvm_stats stats;
};

static inline struct kvm_engine *kvm_of(struct vcpu *vcpu)
{
	return vcpu->engine_data;
}

/* Moves all of the state: 0 or a negative errno. The state then is the taker's. */
int kvm_get_state(struct kvm_engine *kvm) RF_MUST_CHECK;
int kvm_put_state(struct kvm_engine *kvm) RF_MUST_CHECK;
/* What KVM must know of IA32_APIC_BASE and EFER, whose writes we carry out. */
int kvm_put_msr(struct kvm_engine *kvm, uint32_t index, uint64_t value) RF_MUST_CHECK;

/* Tells KVM the memory layout of page flags and A20 gate anew. */
int kvm_memory_build(struct kvm_engine *kvm) RF_MUST_CHECK;
/* The same for display memory alone, under the A20 gate that memory was last built for. */
int kvm_memory_show(struct kvm_engine *kvm) RF_MUST_CHECK;

/* Before the first KVM_RUN. */
int kvm_cpuid_set(struct kvm_engine *kvm) RF_MUST_CHECK;
int kvm_msr_filter_set(struct kvm_engine *kvm) RF_MUST_CHECK;

/*
 * Interrupt controllers in the kernel, if they are to be there: before the vCPU is made; after it
 * is; when the machine is reset.
 */
int kvm_irqchip_create(struct kvm_engine *kvm) RF_MUST_CHECK;
int kvm_irqchip_remember(struct kvm_engine *kvm) RF_MUST_CHECK;
int kvm_irqchip_reset(struct kvm_engine *kvm) RF_MUST_CHECK;
void kvm_irqchip_destroy(struct kvm_engine *kvm);
/* Any thread, under the device lock; before there is a vCPU thread without it. */
void kvm_irqchip_set_gsi(void *kvm, unsigned gsi, bool level);

/*
 * Deals with what KVM_RUN returned for. False: leave the engine (then the VM is dead, or about to
 * be reset).
 */
bool kvm_exit_handle(struct kvm_engine *kvm) RF_MUST_CHECK;
/*
 * The state is ours: delivers what KVM had under way, or interprets the instruction.
 */
enum x86_status kvm_interpret_one(struct kvm_engine *kvm) RF_MUST_CHECK;

/* debug.c: struct engine.debug_check and .step; KVM is told; it returned for that. */
int kvm_debug_check(struct vcpu *vcpu);
void kvm_step_alone(struct vcpu *vcpu);
int kvm_debug_put(struct kvm_engine *kvm) RF_MUST_CHECK;
bool kvm_exit_debug(struct kvm_engine *kvm) RF_MUST_CHECK;
/* vm_kill() with the state fetched first. Returns false. */
bool kvm_kill(struct kvm_engine *kvm, const char *fmt, ...) RF_PRINTF(2, 3);

#endif
