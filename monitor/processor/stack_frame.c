/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stack frames (stack_frame.h). A frame nearly always lies in one piece and is then written by one
 * mem_write(), which is all or nothing. A frame that wraps around a 64-KiB stack goes item by item,
 * after every item was probed.
 */
#include <assert.h>
#include <string.h>
#include "stack_frame.h"

static enum x86_status stack_check_items(struct cpu *cpu, const struct stack_frame *stack,
					 uint32_t distance, unsigned bytes, unsigned size)
{
	if (stack_contiguous(stack, distance, bytes)) {
		if (segment_contains(stack->ss, stack_offset(stack, distance), bytes))
			return X86_OK;
		return fault_raise_error(cpu, EXC_SS, stack->ss_error);
	}
	for (unsigned i = 0; i < bytes; i += size) {
		if (!segment_contains(stack->ss, stack_offset(stack, distance + i), size))
			return fault_raise_error(cpu, EXC_SS, stack->ss_error);
	}
	return X86_OK;
}

enum x86_status stack_check_push(struct cpu *cpu, const struct stack_frame *stack, unsigned count,
				 unsigned size)
{
	assert(size == 2 || size == 4);
	return stack_check_items(cpu, stack, -(count * size), count * size, size);
}

enum x86_status stack_check_alignment(struct cpu *cpu, const struct stack_frame *stack,
				      unsigned size)
{
	const bool wanted = cpu->eflags & X86_AC && cpu->cr0 & CR0_AM &&
			    stack->access & ACCESS_USER;

	return wanted && (stack->ss->base + stack_offset(stack, 0)) & (size - 1) ?
		       fault_raise_error(cpu, EXC_AC, 0) :
		       X86_OK;
}

enum x86_status stack_check_pop(struct cpu *cpu, const struct stack_frame *stack, unsigned bytes)
{
	return stack_check_items(cpu, stack, 0, bytes, 2);
}

static enum x86_status stack_push_wrapping(struct vcpu *vcpu, const struct stack_frame *stack,
					   const uint32_t *items, unsigned count, unsigned size)
{
	enum x86_status status;

	for (unsigned i = 0; i < count; i++) {
		gva_t gva = stack->ss->base + stack_offset(stack, -((i + 1) * size));

		status = mem_probe_write(vcpu, gva, size, ACCESS_WRITE | stack->access);
		if (status)
			return status;
	}
	for (unsigned i = 0; i < count; i++) {
		gva_t gva = stack->ss->base + stack_offset(stack, -((i + 1) * size));

		status = mem_write(vcpu, gva, &items[i], size, ACCESS_WRITE | stack->access);
		if (status)
			return status;
	}
	return X86_OK;
}

/* The short way: to plain memory that the software TLB has. */
static bool push_dwords(struct vcpu *vcpu, struct stack_frame *stack, const uint32_t *items,
			unsigned count)
{
	const unsigned bytes = 4 * count;
	const uint32_t offset = stack_offset(stack, -bytes);
	uint8_t *to;

	if (!stack_contiguous(stack, -bytes, bytes))
		return false;
	to = mem_store_pointer(vcpu, stack->ss->base + offset, bytes, stack->access);
	if (!to)
		return false;
	for (unsigned i = count; i-- > 0; to += 4)
		memcpy(to, &items[i], 4);
	stack->esp = (stack->esp & ~stack_size_mask(stack->ss)) | offset;
	return true;
}

enum x86_status stack_push_frame(struct vcpu *vcpu, struct stack_frame *stack,
				 const uint32_t *items, unsigned count, unsigned size)
{
	uint8_t image[STACK_FRAME_MAX_BYTES];
	unsigned bytes = count * size;
	enum x86_status status = stack_check_push(&vcpu->cpu, stack, count, size);

	assert(bytes <= sizeof(image));
	if (status)
		return status;
	if (size == 4 && push_dwords(vcpu, stack, items, count))
		return X86_OK;
	if (stack_contiguous(stack, -bytes, bytes)) {
		for (unsigned i = 0; i < count; i++) {
			uint8_t *at = image + bytes - (i + 1) * size;

			if (size == 2)
				memcpy(at, &items[i], 2);
			else
				memcpy(at, &items[i], 4);
		}
		status = mem_write(vcpu, stack->ss->base + stack_offset(stack, -bytes), image,
				   bytes, ACCESS_WRITE | stack->access);
	} else {
		status = stack_push_wrapping(vcpu, stack, items, count, size);
	}
	if (!status)
		stack->esp = (stack->esp & ~stack_size_mask(stack->ss)) |
			     stack_offset(stack, -bytes);
	return status;
}

enum x86_status stack_read(struct vcpu *vcpu, const struct stack_frame *stack, unsigned offset,
			   unsigned size, uint32_t *value)
{
	uint32_t at = stack_offset(stack, offset);

	assert(size == 2 || size == 4);
	*value = 0;
	if (!segment_contains(stack->ss, at, size))
		return fault_raise_error(&vcpu->cpu, EXC_SS, stack->ss_error);
	if (size == 4)
		return mem_load(vcpu, stack->ss->base + at, value, 4, stack->access);
	return mem_read(vcpu, stack->ss->base + at, value, size, ACCESS_READ | stack->access);
}
