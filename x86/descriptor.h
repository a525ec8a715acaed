/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segment descriptors, gates and selectors taken apart, and what mode the processor is in. Bits
 * only: nothing here reads guest memory or raises a fault.
 */
#ifndef RF_X86_DESCRIPTOR_H
#define RF_X86_DESCRIPTOR_H

#include "cpu.h"

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

#endif
