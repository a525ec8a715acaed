/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raising an architectural fault: a value in cpu->fault on its way to the guest. Each returns
 * X86_FAULT, for "return fault_raise(...)"; the engine delivers it later.
 */
#ifndef RF_X86_FAULT_H
#define RF_X86_FAULT_H

#include "cpu.h"

/* One without an error code. */
static inline enum x86_status fault_raise(struct cpu *cpu, enum x86_vector vector)
{
	cpu->fault = (struct fault){ .vector = vector };
	return X86_FAULT;
}

static inline enum x86_status fault_raise_error(struct cpu *cpu, enum x86_vector vector,
						uint32_t error)
{
	cpu->fault = (struct fault){ .vector = vector, .has_error = true, .error = error };
	return X86_FAULT;
}

/* error: PFE_* bits. */
static inline enum x86_status fault_raise_pf(struct cpu *cpu, gva_t gva, uint32_t error)
{
	cpu->fault = (struct fault){
		.vector = EXC_PF, .has_error = true, .error = error, .cr2 = gva
	};
	return X86_FAULT;
}

#endif
