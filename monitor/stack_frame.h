/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multi-word frames on a stack, as far transfers and exception delivery push and pop them: every limit and page check of the
 * whole frame comes before its first byte is stored.
 */
#ifndef RF_MONITOR_STACK_FRAME_H
#define RF_MONITOR_STACK_FRAME_H

#include "descriptors.h"

#define STACK_FRAME_MAX_BYTES 160 /* 31 parameters and four words of a call gate */

struct stack_frame {
	const struct segment *ss;
	uint32_t esp;
	uint32_t access;   /* ACCESS_USER if the stack is used at CPL 3 */
	uint32_t ss_error; /* error code of the #SS that a limit violation raises */
};

/* The stack in use. */
struct stack_frame stack_current(const struct cpu *cpu);

static inline uint32_t stack_size_mask(const struct segment *ss) { return ss->attr & SEG_DB ? 0xffffffff : 0xffff; }

/* Sets ESP to esp the way the stack's size wants it: a 16-bit stack keeps the upper half. */
static inline void stack_commit_esp(struct cpu *cpu, const struct segment *ss, uint32_t esp)
{
	uint32_t mask = stack_size_mask(ss);

	cpu->regs[X86_ESP] = (cpu->regs[X86_ESP] & ~mask) | (esp & mask);
}

/* #SS if count items of size (2 or 4) bytes do not fit below the top within the limit. */
enum x86_status stack_check_push(struct cpu *cpu, const struct stack_frame *stack, unsigned count, unsigned size) RF_MUST_CHECK;
/* Pushes items[0] first, all or nothing, and lowers stack->esp. ESP itself is left to the caller. */
enum x86_status stack_push_frame(struct vcpu *vcpu, struct stack_frame *stack, const uint32_t *items, unsigned count, unsigned size) RF_MUST_CHECK;
/* #SS if the top bytes bytes are not within the limit. */
enum x86_status stack_check_pop(struct cpu *cpu, const struct stack_frame *stack, unsigned bytes) RF_MUST_CHECK;
/* Reads the item of size bytes that lies offset bytes above the top. */
enum x86_status stack_read(struct vcpu *vcpu, const struct stack_frame *stack, unsigned offset, unsigned size, uint32_t *value) RF_MUST_CHECK;

/* Reads count items of 4 bytes from the top, if all lie in one piece within the limit: else X86_OK with *whole false. */
enum x86_status stack_read_dwords(struct vcpu *vcpu, const struct stack_frame *stack, unsigned count, uint32_t *items, bool *whole) RF_MUST_CHECK;

#endif
