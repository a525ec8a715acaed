/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layout and the segments of the fuzzer's world; see world.h. */
#include "world.h"

#define G  0x8000u /* limit in pages */
#define DB 0x4000u /* 32 bits */

const struct world_descriptor world_ldt[WORLD_SEGMENTS] = {
	[SEG_FLAT_CODE] = { 0, 0xfffff, 0xfb | G | DB },
	[SEG_FLAT_DATA] = { 0, 0xfffff, 0xf3 | G | DB },
	[SEG_CODE16] = { BF_CODE, 0xffff, 0xfb },
	[SEG_BASED] = { BF_DATA + 0x2000, 0xfffff, 0xf3 | G | DB },
	[SEG_LIMITED] = { BF_DATA, 0x5fff, 0xf3 | DB },
	[SEG_DOWN] = { 0, 0x102, 0xf7 | G | DB },
	[SEG_READONLY] = { 0, 0xfffff, 0xf1 | G | DB },
	[SEG_HIGH] = { 0xfffff000, 0xfffff, 0xf3 | G | DB },
	[SEG_STACK16] = { BF_DATA, 0xffff, 0xf3 },
	[SEG_DATA64K] = { BF_DATA, 0xffff, 0xf3 | DB },
	[SEG_EXECUTE_ONLY] = { 0, 0xfffff, 0xf9 | G | DB },
	[SEG_NOT_PRESENT] = { 0, 0xfffff, 0x73 | G | DB },
	[SEG_BASED_CODE] = { BF_CODE, 0xffff, 0xfb | DB },
	[SEG_DOWN16] = { BF_DATA, 0x2fff, 0xf7 },
	[SEG_BASED_STACK] = { 0x1000, 0xfffff, 0xf3 | G | DB },
};

const struct world_descriptor world_gdt[GDT_ENTRIES] = {
	[GDT_LINUX + 1] = { 0, 0xfffff, 0xfb | G | DB },
	[GDT_LINUX + 2] = { 0, 0xfffff, 0xf3 | G | DB },
	[GDT_CODE64] = { 0, 0xfffff, 0xfb | G | 0x2000 },
	[GDT_CPU_NUMBER] = { 0, 0, 0xf5 | DB },
	[GDT_TSS] = { BF_TSS, BF_TSS_LIMIT, 0x8b },
	[GDT_DF_TSS] = { BF_DF_TSS, 0x67, 0x89 },
	[GDT_RING1_CODE] = { 0, 0xfffff, 0xbb | G | DB },
	[GDT_RING1_DATA] = { 0, 0xfffff, 0xb3 | G | DB },
	[GDT_RING2_CODE] = { 0, 0xfffff, 0xdb | G | DB },
	[GDT_RING2_DATA] = { 0, 0xfffff, 0xd3 | G | DB },
};

uint32_t region_base(enum region region)
{
	static const uint32_t bases[REGIONS] = { BF_LOW, BF_CODE, BF_DATA };

	return bases[region];
}

const uint8_t *memory_at(const struct memory *memory, uint32_t at, uint32_t size)
{
	for (unsigned n = 0; n < REGIONS; n++)
		if (at >= region_base(n) && at - region_base(n) <= REGION_SIZE - size)
			return memory->region[n] + (at - region_base(n));
	return NULL;
}

static const struct world_descriptor *find(uint16_t selector)
{
	const unsigned n = selector >> 3;

	if (selector & 4)
		return n < WORLD_SEGMENTS ? &world_ldt[n] : NULL;
	return n < GDT_ENTRIES && world_gdt[n].attr ? &world_gdt[n] : NULL;
}

uint32_t world_base(uint16_t selector)
{
	const struct world_descriptor *d = find(selector);

	return d ? d->base : 0;
}

uint32_t world_last_offset(uint16_t selector)
{
	const struct world_descriptor *d = find(selector);

	if (!d || (d->attr & 0x0c) == 0x04)
		return d && !(d->attr & DB) ? 0xffff : 0xffffffff;
	return d->attr & G ? d->limit << 12 | 0xfff : d->limit;
}

bool world_code16(uint16_t selector)
{
	const struct world_descriptor *d = find(selector);

	return d && !(d->attr & DB);
}

uint32_t insn_offset(const struct insn *i, const uint32_t regs[8])
{
	uint32_t ea = i->disp;

	ea += (i->base == INSN_NO_REG ? 0 : regs[i->base]) +
	      (i->index == INSN_NO_REG ? 0 : regs[i->index] << i->scale);
	if (i->mem && i->map == MAP_0F && (i->opcode & 0xe7) == 0xa3)
		ea += i->op_size == 4 ? (uint32_t)((int32_t)regs[insn_reg(i)] >> 5) * 4 :
					(uint32_t)((int16_t)regs[insn_reg(i)] >> 4) * 2;
	if (i->map == MAP_0F && i->opcode == 0xf7)
		ea = regs[X86_EDI]; /* MASKMOVQ, MASKMOVDQU */
	return i->addr_size == 4 ? ea : ea & 0xffff;
}
