/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment descriptors and selectors: taking the 8-byte form apart, and the steps that loads, far
 * transfers, exception delivery and task switches share. Internal to the system-architecture files
 * of monitor/ (see system.h).
 */
#ifndef RF_MONITOR_DESCRIPTORS_H
#define RF_MONITOR_DESCRIPTORS_H

#include "system.h"
#include "vm.h"

/* Selectors (SDM vol. 3, 3.4.2). */
#define SELECTOR_RPL   0x0003u
#define SELECTOR_TI    0x0004u
#define SELECTOR_INDEX 0xfff8u

/* Error codes made of a selector (SDM vol. 3, 6.13). */
#define ERROR_EXT 0x1u
#define ERROR_IDT 0x2u

static inline unsigned selector_rpl(uint16_t selector) { return selector & SELECTOR_RPL; }
static inline bool selector_is_null(uint16_t selector) { return !(selector & ~SELECTOR_RPL); }
static inline uint32_t selector_error(uint16_t selector) { return selector & ~SELECTOR_RPL; }

/*
 * Descriptor fields (SDM vol. 3, figure 3-8). The limit bits that lie inside the attribute word are
 * masked out of it.
 */
static inline uint16_t descriptor_attr(uint64_t d) { return (d >> 40) & 0xf0ff; }
static inline uint32_t descriptor_base(uint64_t d)
{
	return ((d >> 16) & 0xffffff) | ((d >> 32) & 0xff000000);
}

static inline uint32_t descriptor_limit(uint64_t d)
{
	uint32_t raw = (d & 0xffff) | ((d >> 32) & 0xf0000);

	return d & (1ull << 55) ? raw << 12 | 0xfff : raw;
}

/* Gate fields (SDM vol. 3, figures 5-8 and 6-2). The offset of a 16-bit gate has no upper half. */
static inline uint16_t gate_selector(uint64_t gate) { return gate >> 16; }

static inline uint32_t gate_offset(uint64_t gate, bool gate32)
{
	return gate32 ? (gate & 0xffff) | ((gate >> 32) & 0xffff0000) : gate & 0xffff;
}

/* Attribute words. */
static inline unsigned attr_dpl(uint16_t attr) { return (attr & SEG_DPL) >> SEG_DPL_SHIFT; }
static inline bool attr_is_code(uint16_t attr)
{
	return (attr & (SEG_S | SEG_CODE)) == (SEG_S | SEG_CODE);
}

static inline bool attr_is_data(uint16_t attr) { return (attr & (SEG_S | SEG_CODE)) == SEG_S; }
/* SEG_EXPAND_DOWN is "conforming" in a code segment, SEG_WRITABLE is "readable". */
static inline bool attr_is_conforming(uint16_t attr)
{
	return attr_is_code(attr) && (attr & SEG_EXPAND_DOWN);
}

static inline bool attr_is_writable_data(uint16_t attr)
{
	return attr_is_data(attr) && (attr & SEG_WRITABLE);
}

static inline bool attr_is_readable(uint16_t attr)
{
	return attr_is_data(attr) || (attr_is_code(attr) && (attr & SEG_WRITABLE));
}

static inline bool attr_is_system(uint16_t attr, unsigned type)
{
	return (attr & (SEG_S | SEG_TYPE)) == type;
}

static inline bool cpu_is_v86(const struct cpu *cpu) { return cpu->eflags & X86_VM; }
static inline bool cpu_is_protected(const struct cpu *cpu) { return cpu->cr0 & CR0_PE; }
/* Protected mode proper: selectors name descriptors. */
static inline bool cpu_uses_descriptors(const struct cpu *cpu)
{
	return cpu_is_protected(cpu) && !cpu_is_v86(cpu);
}

static inline unsigned cpu_iopl(const struct cpu *cpu) { return (cpu->eflags & X86_IOPL) >> 12; }

static inline struct segment segment_from_descriptor(uint16_t selector, uint64_t d)
{
	return (struct segment){ selector, descriptor_attr(d), descriptor_base(d),
				 descriptor_limit(d) };
}

/*
 * Data of 4 GiB that may be written, whatever its base: a window shows all of it, and no access
 * needs a check.
 */
static inline bool segment_is_whole(const struct segment *s)
{
	const uint16_t want = SEG_P | SEG_S | SEG_WRITABLE;

	return (s->attr & (want | SEG_CODE | SEG_EXPAND_DOWN)) == want && s->limit == 0xffffffff;
}

/* A code segment becomes CS at privilege level cpl, which its RPL then shows. */
static inline void cs_commit(struct cpu *cpu, uint16_t selector, uint64_t d, unsigned cpl)
{
	cpu->seg[X86_CS] = segment_from_descriptor((selector & ~SELECTOR_RPL) | cpl, d);
	cpu->cpl = cpl;
}

/*
 * mem_read() for what has one size (a descriptor, an item of a stack): where the software TLB has
 * the page, a load. So many are in each way between rings that calls and copies of any length would
 * be most of its cost.
 */
static inline __attribute__((always_inline)) enum x86_status
mem_load(struct vcpu *vcpu, gva_t gva, void *to, uint32_t len, uint32_t access)
{
	const uint8_t *from =
		soft_tlb_hit(&vcpu->soft_tlb, SOFT_TLB_READ, access & ACCESS_USER, gva, len);

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
					 uint32_t access)
{
	uint8_t *to = soft_tlb_hit(&vcpu->soft_tlb, SOFT_TLB_WRITE, access & ACCESS_USER, gva, len);

	return to && !guest_ram_flags(&vcpu->vm->ram, to - vcpu->vm->ram.flat) ? to : NULL;
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
