/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control and debug registers (SDM vol. 3, 2.5 and 17.2; vol. 2, MOV CRn, MOV DRn, LMSW, CLTS,
 * INVLPG), and the changes of the paging mode that follow from them.
 *
 * Invariant: when a register that paging depends on has changed, the software TLB and the engine's
 * translations are flushed before the next guest access (SDM vol. 3, 4.10.4.1). The PDPTE registers
 * are loaded whenever a write could turn PAE paging on or move its tables (4.4.1), and a write that
 * would load a bad one changes nothing.
 */
#include <assert.h>
#include <string.h>
#include "descriptors.h"
#include "monitor/vm/vm.h"

#define CR0_IMPLEMENTED \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)


static enum x86_status require_cpl0(struct cpu *cpu)
{
	return cpu->cpl ? fault_raise_error(cpu, EXC_GP, 0) : X86_OK;
}

/*
 * Loads the PDPTE registers for a register state that has PAE paging on; #GP(0) if one has reserved
 * bits.
 */
static enum x86_status load_pdptes(struct vcpu *vcpu, uint32_t cr0, uint32_t cr3, uint32_t cr4)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t pdpte[4];

	if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE))
		return X86_OK;
	if (!walk_load_pdptes(&vcpu->vm->ram, cr3, cpu->a20_mask, pdpte))
		return fault_raise_error(cpu, EXC_GP, 0);
	memcpy(cpu->pdpte, pdpte, sizeof(pdpte));
	return X86_OK;
}

/* ---- CR0 ---- */

static enum x86_status cr0_write(struct vcpu *vcpu, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t changed;
	enum x86_status status;

	/* Reserved bits are ignored, ET is wired to one. */
	value = (value & CR0_IMPLEMENTED) | CR0_ET;
	changed = cpu->cr0 ^ value;
	if (((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD)))
		return fault_raise_error(cpu, EXC_GP, 0);
	if (changed & (CR0_PG | CR0_CD | CR0_NW)) {
		status = load_pdptes(vcpu, value, cpu->cr3, cpu->cr4);
		if (status)
			return status;
	}
	cpu->cr0 = value;
	if (changed & (CR0_PG | CR0_WP | CR0_PE))
		vcpu_flush_translations(vcpu, TLB_FLUSH_ALL);
	else if (changed & (CR0_CD | CR0_NW) && value & CR0_PG && cpu->cr4 & CR4_PAE)
		vcpu_flush_translations(vcpu, TLB_FLUSH_NONGLOBAL); /* PDPTEs were loaded */
	return X86_OK;
}

/* ---- CR3 ---- */

enum x86_status paging_load_cr3(struct vcpu *vcpu, uint32_t cr3)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = load_pdptes(vcpu, cpu->cr0, cr3, cpu->cr4);

	if (status)
		return status;
	cpu->cr3 = cr3;
	if (cpu->cr0 & CR0_PG)
		vcpu_flush_translations(vcpu, TLB_FLUSH_NONGLOBAL);
	return X86_OK;
}

/* ---- CR4 ---- */

static const struct { feature_set feature; uint32_t bits; } cr4_features[] = {
	{ FEATURE_VME, CR4_VME | CR4_PVI }, { FEATURE_TSC, CR4_TSD }, { FEATURE_DE, CR4_DE },
	{ FEATURE_PSE, CR4_PSE }, { FEATURE_PAE, CR4_PAE }, { FEATURE_MCE, CR4_MCE },
	{ FEATURE_PGE, CR4_PGE }, { FEATURE_RDPMC, CR4_PCE }, { FEATURE_FXSR, CR4_OSFXSR },
	{ FEATURE_SSE, CR4_OSXMMEXCPT }, { FEATURE_UMIP, CR4_UMIP },
	{ FEATURE_SMEP, CR4_SMEP }, { FEATURE_SMAP, CR4_SMAP },
};

/* The bits of CR4 that the CPU model has; any other raises #GP(0). */
static uint32_t cr4_implemented(const struct cpu *cpu)
{
	const feature_set features = cpu_features(cpu);
	uint32_t bits = 0;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cr4_features); i++)
		bits |= features & cr4_features[i].feature ? cr4_features[i].bits : 0;
	return bits;
}

feature_set cr4_lacking_features(const struct cpu *cpu, uint32_t value)
{
	feature_set wanted = 0;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cr4_features); i++)
		wanted |= value & cr4_features[i].bits ? cr4_features[i].feature : 0;
	return wanted & ~cpu_features(cpu);
}

static enum x86_status cr4_write(struct vcpu *vcpu, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t changed = cpu->cr4 ^ value;
	enum x86_status status;

	if (value & ~cr4_implemented(cpu))
		return fault_raise_error(cpu, EXC_GP, 0);
	if (changed & (CR4_PAE | CR4_PGE | CR4_PSE)) {
		status = load_pdptes(vcpu, cpu->cr0, cpu->cr3, value);
		if (status)
			return status;
	}
	cpu->cr4 = value;
	if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP | CR4_SMAP))
		vcpu_flush_translations(vcpu, TLB_FLUSH_ALL);
	return X86_OK;
}

/* ---- instructions ---- */

/* #UD for one that does not exist, #GP(0) above ring 0. */
static enum x86_status control_reg_check(struct cpu *cpu, unsigned crn)
{
	return crn > 4 || crn == 1 ? fault_raise(cpu, EXC_UD) : require_cpl0(cpu);
}

enum x86_status control_reg_read(struct vcpu *vcpu, unsigned crn, uint32_t *value)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = control_reg_check(cpu, crn);

	if (status)
		return status;
	*value = crn == 0 ? cpu->cr0 : crn == 2 ? cpu->cr2 : crn == 3 ? cpu->cr3 : cpu->cr4;
	return X86_OK;
}

enum x86_status control_reg_write(struct vcpu *vcpu, unsigned crn, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = control_reg_check(cpu, crn);

	if (status)
		return status;
	switch (crn) {
	case 0:
		return cr0_write(vcpu, value);
	case 2:
		cpu->cr2 = value;
		return X86_OK;
	case 3:
		return paging_load_cr3(vcpu, value);
	default:
		return cr4_write(vcpu, value);
	}
}

enum x86_status clts(struct vcpu *vcpu)
{
	enum x86_status status = require_cpl0(&vcpu->cpu);

	if (!status)
		vcpu->cpu.cr0 &= ~CR0_TS;
	return status;
}

/* LMSW reaches PE, MP, EM and TS only, and cannot clear PE. */
enum x86_status lmsw(struct vcpu *vcpu, uint16_t value)
{
	const uint32_t reach = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = require_cpl0(cpu);

	if (status)
		return status;
	return cr0_write(vcpu, (cpu->cr0 & (~reach | CR0_PE)) | (value & reach));
}

enum x86_status invlpg(struct vcpu *vcpu, gva_t gva)
{
	enum x86_status status = require_cpl0(&vcpu->cpu);

	if (status)
		return status;
	soft_tlb_flush_page(vcpu, gva);
	if (vcpu->engine && vcpu->engine->flush_page)
		vcpu->engine->flush_page(vcpu, gva);
	return X86_OK;
}

/* ---- debug registers ---- */

/*
 * Resolves the DR4/DR5 aliases; #UD, #GP(0) and general detect as MOV DRn raises them, in its
 * order.
 */
static enum x86_status debug_reg_check(struct cpu *cpu, unsigned *drn)
{
	enum x86_status status;

	assert(*drn < RF_ARRAY_SIZE(cpu->dr));
	if (*drn == 4 || *drn == 5) {
		if (cpu->cr4 & CR4_DE)
			return fault_raise(cpu, EXC_UD);
		*drn += 2;
	}
	status = require_cpl0(cpu);
	if (status)
		return status;
	if (cpu->dr[7] & DR7_GD) {
		status = fault_raise(cpu, EXC_DB);
		cpu->fault.dr6 = DR6_BD;
	}
	return status;
}

enum x86_status debug_reg_read(struct vcpu *vcpu, unsigned drn, uint32_t *value)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = debug_reg_check(cpu, &drn);

	if (status)
		return status;
	*value = cpu->dr[drn];
	if (drn == 6)
		*value = (*value & DR6_WRITABLE) | DR6_FIXED_ONES;
	if (drn == 7)
		*value |= DR7_FIXED_ONES;
	return X86_OK;
}

enum x86_status debug_reg_write(struct vcpu *vcpu, unsigned drn, uint32_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	enum x86_status status = debug_reg_check(cpu, &drn);

	if (status)
		return status;
	if (drn == 6)
		value = (value & DR6_WRITABLE) | DR6_FIXED_ONES;
	if (drn == 7)
		value = (value & ~DR7_FIXED_ZEROS) | DR7_FIXED_ONES;
	cpu->dr[drn] = value;
	return X86_OK;
}

/* ---- EFLAGS ---- */

uint32_t eflags_merge(const struct cpu *cpu, uint32_t value, unsigned opsize)
{
	uint32_t mask = X86_ARITH_FLAGS | X86_TF | X86_DF | X86_NT;

	assert(opsize == 2 || opsize == 4);
	if (opsize == 4)
		mask |= X86_AC | X86_ID;
	if (!cpu_is_protected(cpu) || cpu->cpl <= cpu_iopl(cpu))
		mask |= X86_IF;
	if (!cpu_is_protected(cpu) || cpu->cpl == 0)
		mask |= X86_IOPL;
	return (cpu->eflags & ~(mask | X86_RF)) | (value & mask) | X86_F1;
}
