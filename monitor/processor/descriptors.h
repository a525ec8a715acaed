/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps that segment loads, far transfers, exception delivery and task switches share. Internal
 * to this room; the bits of descriptors are in x86/descriptor.h.
 */
#ifndef RF_MONITOR_PROCESSOR_DESCRIPTORS_H
#define RF_MONITOR_PROCESSOR_DESCRIPTORS_H

#include <assert.h>
#include "processor.h"

/* What EFLAGS takes of an image that may change all of it. */
#define EFLAGS_IMPLEMENTED \
	(X86_ARITH_FLAGS | X86_TF | X86_IF | X86_DF | X86_IOPL | X86_NT | X86_RF | X86_VM | \
	 X86_AC | X86_VIF | X86_VIP | X86_ID)

/* A code segment becomes CS at privilege level cpl, which its RPL then shows. */
static inline void cs_commit(struct cpu *cpu, uint16_t selector, uint64_t d, unsigned cpl)
{
	assert(cpl <= 3 && attr_is_code(descriptor_attr(d)));
	cpu->seg[X86_CS] = segment_from_descriptor((selector & ~SELECTOR_RPL) | cpl, d);
	cpu->cpl = cpl;
}

/*
 * Whether [offset, offset+len) lies within the limit, expand-down segments included. A 4-GiB
 * segment has no end to run over.
 */
bool segment_contains_slow(const struct segment *segment, uint32_t offset, uint32_t len);
static inline bool segment_contains(const struct segment *s, uint32_t offset, uint32_t len)
{
	/* What most segments are: present data of 4 GiB, not expand-down. */
	if (rf_likely(s->limit == 0xffffffff &&
		      (s->attr & (SEG_P | SEG_S | SEG_CODE | SEG_EXPAND_DOWN)) == (SEG_P | SEG_S)))
		return true;
	return segment_contains_slow(s, offset, len);
}

/*
 * The descriptor of a selector that must be in its table: raises vector(selector) if it is not, or
 * selector is null (then the error code is 0).
 */
enum x86_status descriptor_fetch(struct vcpu *vcpu, uint16_t selector, enum x86_vector vector,
				 uint64_t *descriptor) RF_MUST_CHECK;

/* The same of a selector that must name something in the GDT: an LDT, a TSS. */
enum x86_status gdt_fetch(struct vcpu *vcpu, uint16_t selector, enum x86_vector vector,
			  uint64_t *descriptor) RF_MUST_CHECK;

/* Sets the accessed bit in memory and in *descriptor, if it is clear. */
enum x86_status descriptor_set_accessed(struct vcpu *vcpu, uint16_t selector,
					uint64_t *descriptor) RF_MUST_CHECK;

/*
 * Checks selector as a stack segment for privilege level cpl and marks it accessed. Failures raise
 * vector(selector), or #SS(selector) for one that is not present (SDM vol. 3, 5.7).
 */
enum x86_status stack_segment_check(struct vcpu *vcpu, uint16_t selector, unsigned cpl,
				    enum x86_vector vector, uint64_t *descriptor) RF_MUST_CHECK;

/*
 * Checks selector, not null, for DS, ES, FS or GS at cpl and marks it accessed: vector(selector),
 * or #NP(selector).
 */
enum x86_status data_segment_check(struct vcpu *vcpu, uint16_t selector, unsigned cpl,
				   enum x86_vector vector, uint64_t *descriptor) RF_MUST_CHECK;

/* Makes a data segment register unusable, as loading a null selector does. */
void segment_set_null(struct cpu *cpu, enum x86_seg seg, uint16_t selector);

/*
 * Loads all six segment registers of a virtual-8086 task from selectors[] and sets CPL 3. EFLAGS.VM
 * must be set already.
 */
void segments_set_v86(struct cpu *cpu, const uint16_t selectors[X86_NSEG]);

/*
 * task_switch() with the EFLAGS image that goes into the outgoing TSS (exception delivery sets RF
 * in it).
 */
enum x86_status task_switch_saving(struct vcpu *vcpu, uint16_t tss_selector,
				   enum task_switch_kind kind, uint32_t next_eip,
				   uint32_t saved_eflags, const uint32_t *error) RF_MUST_CHECK;

#endif
