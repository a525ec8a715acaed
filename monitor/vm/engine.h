/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What executes guest instructions: binary translation (bt/), the interpreter (interp/), the host's
 * KVM (kvm/). An engine runs one vCPU on one thread; all its methods are called on that thread
 * unless they say otherwise.
 */
#ifndef RF_MONITOR_VM_ENGINE_H
#define RF_MONITOR_VM_ENGINE_H

#include <stdio.h>
#include "vcpu.h"
#include "x86/error.h"

enum tlb_flush { TLB_FLUSH_NONGLOBAL, TLB_FLUSH_ALL };

struct engine {
	const char *name;
	/*
	 * options: what follows "bt," in -accel, or NULL. On failure a negative errno; error, empty
	 * before, then says what to do, or stays empty where the errno is all there is to say.
	 * -EINVAL means that the options are wrong, and only that.
	 */
	int (*create)(struct vcpu *vcpu, const char *options, struct error *error);
	void (*destroy)(struct vcpu *vcpu);
	/*
	 * Runs guest code until cpu.events asks for STOP or RESET, or the VM is dead. Handles HLT,
	 * interrupts and faults itself.
	 */
	void (*run)(struct vcpu *vcpu);
	/*
	 * Executes the instruction at CS:EIP alone, for a debugger: a repeated string instruction's
	 * next round; what it raises is delivered. Interrupts are not taken, but for a processor
	 * that has halted: it waits for one, and takes it. Stops it (debugger_stop()) if
	 * debugger.stepping. Outside run().
	 */
	void (*step)(struct vcpu *vcpu);
	/*
	 * Whether it can heed a debugger's breakpoints and watchpoints as they are now: 0, or
	 * -ENOSPC. NULL: however many.
	 */
	int (*debug_check)(struct vcpu *vcpu);
	/*
	 * The machine was reset, or booted for the first time: the registers have start values.
	 * Outside run(); may be NULL.
	 */
	void (*reset)(struct vcpu *vcpu);
	/*
	 * The architecture flushed translations: INVLPG, and MOV CR3 / a changed paging mode (after
	 * the registers changed).
	 */
	void (*flush_page)(struct vcpu *vcpu, gva_t gva);
	void (*flush)(struct vcpu *vcpu, enum tlb_flush kind);
	/*
	 * Guest physical memory shows something else at some addresses, or may be stored to at
	 * others than before. Outside run(). May be NULL, if the engine keeps nothing of it.
	 */
	void (*memory_changed)(struct vcpu *vcpu);
	/*
	 * Display memory that was shown at [gpa, gpa + size), or is now, no longer is, or is others
	 * (guest_ram_show()). watched: it is the same, but flagged RAM_PAGE_WATCHED in parts.
	 * Outside run(), on the vCPU's thread. May be NULL: the engine keeps nothing of it.
	 */
	void (*display_changed)(struct vcpu *vcpu, gpa_t gpa, uint32_t size, bool watched);
	/* Stores of the guest's to watched pages are not noticed. */
	bool blind_to_watches;
	/* A page fault at gva is being delivered. Light: x86/fpu_spill.h. */
	void (*page_fault)(struct vcpu *vcpu, gva_t gva);
	/* Any thread: make a running vCPU come out (e.g. pthread_kill). */
	void (*kick)(struct vcpu *vcpu);
	/* Adds its counters to the statistics object (a jansson json_t). */
	void (*stats)(struct vcpu *vcpu, void *json_object);
	/* For -accel help: one line about what this host offers. May be NULL. */
	void (*describe)(char *text, size_t size);
	/* For -accel NAME,help: a line for each option create() takes. NULL: it takes none. */
	void (*list_options)(FILE *out);
};

/* As the engine's memory_changed: tells whoever has remembered what was there. */
void vcpu_memory_changed(struct vcpu *vcpu);
/* As the engine's display_changed. */
void vcpu_display_changed(struct vcpu *vcpu, gpa_t gpa, uint32_t size, bool watched);
/* The software TLB and the engine, if there is one, drop their translations. */
void vcpu_flush_translations(struct vcpu *vcpu, enum tlb_flush kind);

#endif
