/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter: reference semantics for every instruction, and what the translator falls back to
 * for MMIO, traced pages, odd segments and single steps.
 */
#ifndef RF_MONITOR_INTERP_INTERP_H
#define RF_MONITOR_INTERP_INTERP_H

#include "monitor/vm/vm.h"

/* Runs all guest code by the interpreter. */
extern const struct engine engine_interp;

enum interp_result {
	/*
	 * one instruction done (or a batch of iterations of a rep instruction: eip then still names
	 * it)
	 */
	INTERP_OK,
	/* it faulted or trapped; the exception has been delivered: eip is at the handler */
	INTERP_EXCEPTION,
	/*
	 * cpu.halted is set: HLT, eip is after it; or an x87 error reported by interrupt, eip is
	 * at the instruction
	 */
	INTERP_HALT,
	INTERP_DEAD,      /* the VM ended */
};

/* Allocates and frees the interpreter's part of a vCPU (vcpu->interp). */
int interp_create(struct vcpu *vcpu) RF_MUST_CHECK;
void interp_destroy(struct vcpu *vcpu);

/*
 * Executes exactly one instruction at CS:EIP, any mode (real, protected 16 and 32 bit, virtual
 * 8086). Clears an inhibition that was pending and honours TF and hardware breakpoints. Does not
 * deliver interrupts.
 */
enum interp_result interp_step(struct vcpu *vcpu);

/*
 * Executes a few instructions, at least one, with less cost each than interp_step(): up to the next
 * transfer, system instruction or exception. Events raised meanwhile wait for its end. *count grows
 * by how many it began.
 */
enum interp_result interp_run(struct vcpu *vcpu, uint64_t *count);

/* As struct engine.step, for any engine whose state is complete in struct cpu. */
void interp_step_alone(struct vcpu *vcpu);

/*
 * IGNNE# is asserted (SDM vol. 1, appendix D): the x87 error that is pending holds nothing up until
 * it is cleared.
 */
void fpu_ignore_error(struct cpu *cpu);

/*
 * LZCNT of size (2 or 4) bytes, for hosts without it: the result, and CF and ZF in ax as LAHF has
 * them; the flags that it leaves undefined stay.
 */
uint32_t interp_lzcnt(uint32_t source, unsigned size, uint32_t *ax);

#endif
