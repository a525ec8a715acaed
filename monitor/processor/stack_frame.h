/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multi-word frames on a stack, as far transfers and exception delivery push and pop them: every
 * limit and page check of the whole frame comes before its first byte is stored.
 */
#ifndef RF_MONITOR_PROCESSOR_STACK_FRAME_H
#define RF_MONITOR_PROCESSOR_STACK_FRAME_H

#include "descriptors.h"

#define STACK_FRAME_MAX_BYTES 160 /* 31 parameters and four words of a call gate */

struct stack_frame {
	const struct segment *ss;
	uint32_t esp;
	enum access access; /* access_explicit() of who uses it */
	uint32_t ss_error;  /* error code of the #SS that a limit violation raises */
};

/* The stack in use. */
static inline struct stack_frame stack_current(const struct cpu *cpu)
{
	return (struct stack_frame){
		.ss = &cpu->seg[X86_SS],
		.esp = cpu->regs[X86_ESP],
		.access = access_explicit(cpu->cpl, cpu->eflags),
	};
}

/*
 * To the stack of a ring further in. From CPL 3 it is the processor's own, whatever AC says (SDM
 * vol. 3, 4.6.1).
 */
static inline enum access stack_inner_access(const struct cpu *cpu)
{
	return access_explicit(cpu->cpl, cpu->eflags) & ACCESS_AC;
}

/* #SS if count items of size (2 or 4) bytes do not fit below the top within the limit. */
enum x86_status stack_check_push(struct cpu *cpu, const struct stack_frame *stack, unsigned count,
				 unsigned size) RF_MUST_CHECK;
/*
 * #AC if ring 3 pushes items of size bytes on a stack that is not aligned to that, and wants to be
 * told (EFLAGS.AC).
 */
enum x86_status stack_check_alignment(struct cpu *cpu, const struct stack_frame *stack,
				      unsigned size) RF_MUST_CHECK;
/*
 * Pushes items[0] first, all or nothing, and lowers stack->esp. ESP itself is left to the caller.
 */
enum x86_status stack_push_frame(struct vcpu *vcpu, struct stack_frame *stack,
				 const uint32_t *items, unsigned count,
				 unsigned size) RF_MUST_CHECK;
/* #SS if the top bytes bytes are not within the limit. */
enum x86_status stack_check_pop(struct cpu *cpu, const struct stack_frame *stack,
				unsigned bytes) RF_MUST_CHECK;
/* Reads the item of size bytes that lies offset bytes above the top. */
enum x86_status stack_read(struct vcpu *vcpu, const struct stack_frame *stack, unsigned offset,
			   unsigned size, uint32_t *value) RF_MUST_CHECK;

static inline uint32_t stack_offset(const struct stack_frame *stack, uint32_t distance)
{
	return (stack->esp + distance) & stack_size_mask(stack->ss);
}

/* Whether [esp+distance, +bytes) does not wrap at the stack's size. */
static inline bool stack_contiguous(const struct stack_frame *stack, uint32_t distance,
				    unsigned bytes)
{
	return (uint64_t)stack_offset(stack, distance) + bytes - 1 <= stack_size_mask(stack->ss);
}

/*
 * Reads count items of 4 bytes that lie offset bytes above the top, if all lie in one piece within
 * the limit: else X86_OK with *whole false.
 */
static inline __attribute__((always_inline)) enum x86_status
stack_read_dwords(struct vcpu *vcpu, const struct stack_frame *stack, unsigned offset,
		  unsigned count, uint32_t *items, bool *whole)
{
	const uint32_t at = stack_offset(stack, offset);

	*whole = stack_contiguous(stack, offset, 4 * count) &&
		 segment_contains(stack->ss, at, 4 * count);
	return *whole ? mem_load(vcpu, stack->ss->base + at, items, 4 * count, stack->access) :
			X86_OK;
}

/*
 * exceptions.c: to a handler as in real mode: eflags, CS and eip are pushed as words, CS:IP is at
 * entry, and the bits cleared leave EFLAGS.
 */
enum x86_status enter_by_vector_table(struct vcpu *vcpu, gva_t entry, uint32_t eflags, uint32_t eip,
				      uint32_t cleared) RF_MUST_CHECK;

#endif
