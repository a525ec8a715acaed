/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the current task's TSS holds beside its state (SDM vol. 3, 7.2.1, and vol. 1, 18.5.2): the
 * stacks for inner privilege levels, and the I/O permission bitmap.
 */
#include <assert.h>
#include <string.h>
#include "stack_frame.h"
#include "tss.h"

enum x86_status tss_stack(struct vcpu *vcpu, unsigned cpl, uint16_t *ss, uint32_t *esp)
{
	struct cpu *cpu = &vcpu->cpu;
	bool is32 = attr_is_tss32(cpu->tr.attr);
	uint32_t offset = is32 ? offsetof(struct tss32, stack) + 8 * cpl :
				 offsetof(struct tss16, stack) + 4 * cpl;
	uint8_t entry[6];
	unsigned size = is32 ? 6 : 4;
	enum x86_status status;

	assert(cpl < 3); /* no TSS has a stack for ring 3 */
	if (!(cpu->tr.attr & SEG_P) || offset + size - 1 > cpu->tr.limit)
		return fault_raise_error(cpu, EXC_TS, selector_error(cpu->tr.selector));
	status = is32 ? mem_load(vcpu, cpu->tr.base + offset, entry, 6, 0) :
			mem_load(vcpu, cpu->tr.base + offset, entry, 4, 0);
	if (status)
		return status;
	if (is32)
		memcpy(esp, entry, 4);
	else
		*esp = entry[0] | entry[1] << 8;
	memcpy(ss, entry + size - 2, 2);
	return X86_OK;
}

enum x86_status io_permission(struct vcpu *vcpu, uint16_t port, unsigned size)
{
	struct cpu *cpu = &vcpu->cpu;
	uint16_t map, bits;
	uint32_t offset;
	enum x86_status status;

	assert(size == 1 || size == 2 || size == 4);
	if (!cpu_is_protected(cpu) || (!cpu_is_v86(cpu) && cpu->cpl <= cpu_iopl(cpu)))
		return X86_OK;
	if (!(cpu->tr.attr & SEG_P) || !attr_is_tss32(cpu->tr.attr) ||
	    cpu->tr.limit < sizeof(struct tss32) - 1)
		return fault_raise_error(cpu, EXC_GP, 0);
	status = mem_read(vcpu, cpu->tr.base + offsetof(struct tss32, io_map), &map, sizeof(map),
			  ACCESS_READ);
	if (status)
		return status;
	/* Two bytes are always read, so that an access may straddle them (SDM vol. 1, 18.5.2). */
	offset = map + port / 8u;
	if (offset + 1 > cpu->tr.limit)
		return fault_raise_error(cpu, EXC_GP, 0);
	status = mem_read(vcpu, cpu->tr.base + offset, &bits, sizeof(bits), ACCESS_READ);
	if (status)
		return status;
	if (bits >> (port & 7) & ((1u << size) - 1))
		return fault_raise_error(cpu, EXC_GP, 0);
	return X86_OK;
}
