/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The short ways of soft_tlb.h, inline: accesses of a constant size that hit. */
#ifndef RF_MONITOR_VM_MEM_H
#define RF_MONITOR_VM_MEM_H

#include "vcpu.h"

/*
 * mem_read() for what has one size (a descriptor, an item of a stack): where the software TLB has
 * the page, a load. Each way between rings has so many of them that calls, and copies of any
 * length, would be most of its cost.
 */
static inline __attribute__((always_inline)) enum x86_status
mem_load(struct vcpu *vcpu, gva_t gva, void *to, uint32_t len, enum access access)
{
	const uint8_t *from = soft_tlb_hit(&vcpu->soft_tlb, gva, len,
					   ACCESS_READ | (access & ACCESS_WHO));

	if (rf_unlikely(!from))
		return mem_read(vcpu, gva, to, len, ACCESS_READ | access);
	__builtin_memcpy(to, from, len);
	return X86_OK;
}

/*
 * The monitor's address of [gva, gva+len), if the software TLB has the page for stores and nobody
 * has to be told of one; else NULL.
 */
static inline uint8_t *mem_store_pointer(struct vcpu *vcpu, gva_t gva, uint32_t len,
					 enum access access)
{
	const struct guest_ram *ram = &vcpu->vm->ram;
	uint8_t *to = soft_tlb_hit(&vcpu->soft_tlb, gva, len,
				   ACCESS_WRITE | (access & ACCESS_WHO));

	return to && !guest_ram_flags(ram, guest_ram_gpa(ram, to)) ? to : NULL;
}

#endif
