/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the interpreter reaches memory through segments: the slow halves of the inline accessors of
 * internal.h.
 *
 * The inline halves serve an expand-up writable data segment and a page the software TLB knows;
 * everything else (code segments, expand-down, null, limit violations, alignment checks,
 * breakpoints, page crossings, MMIO, traced pages) comes here.
 */
#include "internal.h"

static enum x86_status segment_fault(struct vcpu *vcpu, enum x86_seg seg)
{
	return fault_raise_error(&vcpu->cpu, seg == X86_SS ? EXC_SS : EXC_GP, 0);
}

/*
 * Whether type and presence allow the access. In real mode every segment may be read and written
 * whatever attr says.
 */
static bool segment_allows(const struct cpu *cpu, const struct segment *s, enum access access)
{
	if (!cpu_uses_descriptors(cpu))
		return true;
	if ((s->attr & (SEG_P | SEG_S)) != (SEG_P | SEG_S))
		return false;
	if (s->attr & SEG_CODE)
		return !(access & ACCESS_WRITE) && s->attr & SEG_WRITABLE;
	return !(access & ACCESS_WRITE) || s->attr & SEG_WRITABLE;
}

static bool segment_covers(const struct segment *s, uint32_t offset, unsigned size)
{
	uint64_t last = (uint64_t)offset + size - 1;

	if ((s->attr & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN)
		return offset > s->limit && last <= (s->attr & SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

/* Kinds of breakpoints that cover a range, as DR7 names them, as a mask (SDM vol. 3, 17.2.4). */
enum { BREAK_WRITE = 1 << 1, BREAK_IO = 1 << 2, BREAK_ACCESS = 1 << 3 };

/* Notes which of DR0 to DR3 are of one of the kinds and cover part of [at, at + size). */
static void watch(struct vcpu *vcpu, unsigned kinds, uint32_t at, unsigned size)
{
	static const uint8_t lengths[4] = { 1, 2, 8, 4 };
	const struct cpu *cpu = &vcpu->cpu;

	for (unsigned n = 0; n < 4; n++) {
		const unsigned kind = cpu->dr[7] >> (16 + 4 * n) & 3,
			       len = lengths[cpu->dr[7] >> (18 + 4 * n) & 3];
		const uint32_t start = cpu->dr[n] & ~(len - 1u);

		if (cpu->dr[7] >> (2 * n) & 3 && kinds >> kind & 1 && at < (uint64_t)start + len &&
		    start < (uint64_t)at + size)
			vcpu_interp(vcpu)->dr6_pending |= 1u << n;
	}
}

void interp_watch_io(struct vcpu *vcpu, uint16_t port, unsigned size)
{
	const struct cpu *cpu = &vcpu->cpu;

	if (rf_unlikely(cpu->dr[7] & 0xff) && cpu->cr4 & CR4_DE)
		watch(vcpu, BREAK_IO, port, size);
}

/*
 * What an operand is checked for under EFLAGS.AC, by its size (SDM vol. 3, 6.15, "Alignment
 * Requirements by Data Type").
 */
static unsigned alignment(unsigned size)
{
	switch (size) {
	case 1: case 2: case 4: case 8: return size;
	case 10:                        return 8;
	case 14: case 94:               return 2; /* x87 environments and states in 16-bit format */
	/* model specific; what must be aligned is #GP else (SDM vol. 2, MOVUPS) */
	case 16:                        return 1;
	default:                        return 4;
	}
}

enum x86_status interp_read_pointer(struct vcpu *vcpu, enum x86_seg seg, uint32_t ea,
				    unsigned opsize, uint32_t *offset, uint16_t *selector)
{
	uint32_t words[2];

	RETURN_IF_FAULT(seg_read(vcpu, seg, ea, opsize, &words[0]));
	RETURN_IF_FAULT(seg_read(vcpu, seg, ea + opsize, 2, &words[1]));
	*offset = words[0];
	*selector = words[1];
	return X86_OK;
}

enum x86_status interp_segment_check(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
				     unsigned size, enum access access, gva_t *gva)
{
	struct cpu *cpu = &vcpu->cpu;
	const struct segment *s = &cpu->seg[seg];
	const unsigned align = alignment(size);

	if (!segment_allows(cpu, s, access) || !segment_covers(s, offset, size))
		return segment_fault(vcpu, seg);
	*gva = s->base + offset;
	if (cpu->eflags & X86_AC && cpu->cr0 & CR0_AM && cpu->cpl == 3 && *gva & (align - 1))
		return fault_raise_error(cpu, EXC_AC, 0);
	if (cpu->dr[7] & 0xff)
		watch(vcpu, access & ACCESS_WRITE ? BREAK_ACCESS | BREAK_WRITE : BREAK_ACCESS,
		      *gva, size);
	return X86_OK;
}

enum x86_status interp_read_slow(struct vcpu *vcpu, gva_t gva, void *buf, unsigned size)
{
	return mem_read(vcpu, gva, buf, size, ACCESS_READ | cpu_access(&vcpu->cpu));
}

enum x86_status interp_write_slow(struct vcpu *vcpu, gva_t gva, const void *buf, unsigned size)
{
	vcpu_interp(vcpu)->code_stored = true;
	return mem_write(vcpu, gva, buf, size, ACCESS_WRITE | cpu_access(&vcpu->cpu));
}

enum x86_status interp_rmw_slow(struct vcpu *vcpu, gva_t gva, unsigned size, void *old)
{
	uint32_t user = cpu_access(&vcpu->cpu);

	RETURN_IF_FAULT(mem_probe_write(vcpu, gva, size, ACCESS_WRITE | user));
	return mem_read(vcpu, gva, old, size, ACCESS_READ | user);
}

enum x86_status interp_read_block(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset, void *buf,
				  unsigned size)
{
	gva_t gva;

	RETURN_IF_FAULT(seg_linear(vcpu, seg, offset, size, ACCESS_READ, &gva));
	return interp_read_slow(vcpu, gva, buf, size);
}

enum x86_status interp_probe_block(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
				   unsigned size)
{
	gva_t gva;

	RETURN_IF_FAULT(seg_linear(vcpu, seg, offset, size, ACCESS_WRITE, &gva));
	return mem_probe_write(vcpu, gva, size, ACCESS_WRITE | cpu_access(&vcpu->cpu));
}

enum x86_status interp_write_block(struct vcpu *vcpu, enum x86_seg seg, uint32_t offset,
				   const void *buf, unsigned size)
{
	gva_t gva;

	RETURN_IF_FAULT(seg_linear(vcpu, seg, offset, size, ACCESS_WRITE, &gva));
	return interp_write_slow(vcpu, gva, buf, size);
}
