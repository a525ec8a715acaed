/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of a processor after RESET (SDM vol. 3, table 9-1). */
#include <assert.h>
#include <string.h>
#include <x86intrin.h>
#include "processor.h"

#define MXCSR_RESET      0x1f80
#define MXCSR_MASK       0xffff
#define PAT_RESET        0x0007040600070406ull
#define APIC_BASE_RESET  0xfee00900u /* enabled, bootstrap processor */
#define MISC_FAST_STRING 0x1u

static void reset_segments(struct cpu *cpu)
{
	const uint16_t data = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED;

	for (int i = 0; i < X86_NSEG; i++)
		cpu->seg[i] = (struct segment){ .limit = 0xffff, .attr = data };
	cpu->seg[X86_CS] = (struct segment){
		.selector = 0xf000, .base = 0xffff0000, .limit = 0xffff, .attr = data | SEG_CODE
	};
	cpu->ldtr = (struct segment){ .limit = 0xffff, .attr = SEG_P | SYS_LDT };
	cpu->tr = (struct segment){ .limit = 0xffff, .attr = SEG_P | SYS_TSS32_BUSY };
	cpu->gdtr = cpu->idtr = (struct table_register){ .limit = 0xffff };
}

static void reset_fpu(struct fxsave_image *fpu)
{
	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = 0x0040;
	fpu->ftw = 0xff; /* all registers hold +0.0 */
	fpu->mxcsr = MXCSR_RESET;
	fpu->mxcsr_mask = MXCSR_MASK;
}

void processor_reset(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	assert(vcpu_is_mine(vcpu));
	memset(cpu->regs, 0, sizeof(cpu->regs));
	memset(cpu->dr, 0, sizeof(cpu->dr));
	memset(cpu->pdpte, 0, sizeof(cpu->pdpte));
	reset_segments(cpu);
	reset_fpu(&cpu->fpu);
	cpu->eip = 0xfff0;
	cpu->eflags = X86_F1;
	cpu->inhibit = 0;
	cpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->cpl = 0;
	cpu->halted = false;
	cpu->nmi_blocked = cpu->ignne = false;
	cpu->a20_mask = 0xffffffff;
	cpu->efer = 0;
	cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
	cpu->apic_base = APIC_BASE_RESET;
	cpu->pat = PAT_RESET;
	cpu->misc_enable = MISC_FAST_STRING;
	cpu->mcg_status = 0;
	memset(cpu->perf_counter, 0, sizeof(cpu->perf_counter));
	memset(cpu->perf_select, 0, sizeof(cpu->perf_select));
	cpu->tsc_offset = -__rdtsc();
	cpu->tsc_adjust = 0;
	cpu->tsc_aux = 0;
	if (!vcpu->model)
		vcpu->model = cpu_model_default();
	cpu->regs[X86_EDX] = cpuid_query(cpu, 1, 0).eax; /* type, family, model, stepping */
	vcpu->lack.features = 0;
	soft_tlb_flush(vcpu, true);
}
