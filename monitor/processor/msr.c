/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model-specific registers (SDM vol. 4; vol. 2, RDMSR and WRMSR). A table says which exist, for
 * which models, and how each is read and written; anything else raises #GP(0), as on a processor
 * that does not have it.
 */
#include <x86intrin.h>
#include "cpu_models.h"
#include "descriptors.h"
#include "devices/board/pc_board.h"
#include "monitor/vm/vm.h"

#define MSR_PLATFORM_ID      0x17
#define MSR_EBL_CR_POWERON   0x2a
#define MSR_BIOS_UPDT_TRIG   0x79
#define MSR_DEBUGCTL         0x1d9

#define APIC_BASE_BSP        (1ull << 8)
#define APIC_BASE_ENABLE     (1ull << 11)
#define APIC_BASE_ADDRESS    0xffffff000ull
/*
 * What the in-order Atoms keep: fast strings, thermal control, FERR# multiplexing, TM2, SpeedStep
 * and its lock, MONITOR, limit CPUID, xTPR and XD disable. Only the limit and XD have an effect.
 */
#define MISC_SPEEDSTEP      (1ull << 16)
#define MISC_SPEEDSTEP_LOCK (1ull << 20)
#define MISC_ENABLE_WRITABLE \
	(1ull << 0 | 1ull << 3 | 1ull << 10 | 1ull << 13 | MISC_SPEEDSTEP | 1ull << 18 | \
	 MISC_SPEEDSTEP_LOCK | MISC_LIMIT_CPUID | 1ull << 23 | MISC_XD_DISABLE)
#define MISC_ENABLE_UNAVAILABLE (1ull << 11 | 1ull << 12) /* no BTS, no PEBS: read-only */

#define MCG_STATUS_WRITABLE 7u /* RIPV, EIPV, MCIP */

#define PERF_COUNTER_MASK 0xffffffffffull /* 40 bits */

struct msr {
	uint32_t index;
	feature_set feature; /* it exists if the model has one of these */
	uint64_t (*read)(struct vcpu *vcpu);
	bool (*write)(struct vcpu *vcpu, uint64_t value); /* false: the value raises #GP(0) */
};

uint64_t guest_tsc(const struct cpu *cpu)
{
	return __rdtsc() + cpu->tsc_offset;
}

/* ---- the registers ---- */

static uint64_t read_zero(struct vcpu *vcpu)
{
	return 0;
}

static bool write_ignored(struct vcpu *vcpu, uint64_t value)
{
	return true;
}

static uint64_t tsc_read(struct vcpu *vcpu)
{
	return guest_tsc(&vcpu->cpu);
}

static bool tsc_write(struct vcpu *vcpu, uint64_t value)
{
	uint64_t change = value - guest_tsc(&vcpu->cpu);

	vcpu->cpu.tsc_offset += change;
	vcpu->cpu.tsc_adjust += change;
	return true;
}

static uint64_t tsc_adjust_read(struct vcpu *vcpu)
{
	return vcpu->cpu.tsc_adjust;
}

static bool tsc_adjust_write(struct vcpu *vcpu, uint64_t value)
{
	vcpu->cpu.tsc_offset += value - vcpu->cpu.tsc_adjust;
	vcpu->cpu.tsc_adjust = value;
	return true;
}

static uint64_t tsc_aux_read(struct vcpu *vcpu)
{
	return vcpu->cpu.tsc_aux;
}

static bool tsc_aux_write(struct vcpu *vcpu, uint64_t value)
{
	if (value >> 32)
		return false;
	vcpu->cpu.tsc_aux = value;
	return true;
}

static uint64_t apic_base_read(struct vcpu *vcpu)
{
	return vcpu->cpu.apic_base;
}

static bool apic_base_write(struct vcpu *vcpu, uint64_t value)
{
	struct vm *vm = vcpu->vm;
	bool accepted = true;

	if (value & ~(APIC_BASE_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_BSP))
		return false;
	if (vm->board) {
		pthread_mutex_lock(&vm->device_lock);
		accepted = pc_board_apic_base_set(vm->board, value);
		pthread_mutex_unlock(&vm->device_lock);
	}
	if (accepted)
		vcpu->cpu.apic_base = (value & ~APIC_BASE_BSP) |
				      (vcpu->cpu.apic_base & APIC_BASE_BSP);
	return accepted;
}

static uint64_t bios_sign_read(struct vcpu *vcpu)
{
	const struct cpu_model *model = vcpu->model ? vcpu->model : cpu_model_default();

	return (uint64_t)model->microcode << 32;
}

static uint64_t sysenter_cs_read(struct vcpu *vcpu)  { return vcpu->cpu.sysenter_cs; }
static uint64_t sysenter_esp_read(struct vcpu *vcpu) { return vcpu->cpu.sysenter_esp; }
static uint64_t sysenter_eip_read(struct vcpu *vcpu) { return vcpu->cpu.sysenter_eip; }

static bool sysenter_cs_write(struct vcpu *vcpu, uint64_t value)
{
	vcpu->cpu.sysenter_cs = value;
	return true;
}

static bool sysenter_esp_write(struct vcpu *vcpu, uint64_t value)
{
	vcpu->cpu.sysenter_esp = value;
	return true;
}

static bool sysenter_eip_write(struct vcpu *vcpu, uint64_t value)
{
	vcpu->cpu.sysenter_eip = value;
	return true;
}

static uint64_t misc_enable_read(struct vcpu *vcpu)
{
	return vcpu->cpu.misc_enable | MISC_ENABLE_UNAVAILABLE;
}

static bool misc_enable_write(struct vcpu *vcpu, uint64_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	uint64_t writable = MISC_ENABLE_WRITABLE;

	if (value & MISC_XD_DISABLE && !(cpu_features(cpu) & FEATURE_NX))
		return false;
	if (cpu->misc_enable & MISC_SPEEDSTEP_LOCK) /* until reset */
		writable &= ~(MISC_SPEEDSTEP | MISC_SPEEDSTEP_LOCK);
	cpu->misc_enable = (cpu->misc_enable & ~writable) | (value & writable);
	return true;
}

/* Machine checks: there are no banks, since nothing here reports errors. */
static uint64_t mcg_status_read(struct vcpu *vcpu)
{
	return vcpu->cpu.mcg_status;
}

static bool mcg_status_write(struct vcpu *vcpu, uint64_t value)
{
	if (value & ~(uint64_t)MCG_STATUS_WRITABLE)
		return false;
	vcpu->cpu.mcg_status = value;
	return true;
}

/*
 * The two performance counters of the P6 (SDM vol. 3, 18.6.8). A write gives the low 32 bits of a
 * counter, whose upper 8 are then copies of bit 31.
 */
static bool perf_counter_write(struct vcpu *vcpu, unsigned i, uint64_t value)
{
	vcpu->cpu.perf_counter[i] = (int64_t)(int32_t)value & PERF_COUNTER_MASK;
	return true;
}

static bool perf_select_write(struct vcpu *vcpu, unsigned i, uint64_t value)
{
	if (value >> 32)
		return false;
	vcpu->cpu.perf_select[i] = value;
	return true;
}

static uint64_t perfctr0_read(struct vcpu *vcpu) { return vcpu->cpu.perf_counter[0]; }
static uint64_t perfctr1_read(struct vcpu *vcpu) { return vcpu->cpu.perf_counter[1]; }
static uint64_t evntsel0_read(struct vcpu *vcpu) { return vcpu->cpu.perf_select[0]; }
static uint64_t evntsel1_read(struct vcpu *vcpu) { return vcpu->cpu.perf_select[1]; }

static bool perfctr0_write(struct vcpu *vcpu, uint64_t value)
{
	return perf_counter_write(vcpu, 0, value);
}

static bool perfctr1_write(struct vcpu *vcpu, uint64_t value)
{
	return perf_counter_write(vcpu, 1, value);
}

static bool evntsel0_write(struct vcpu *vcpu, uint64_t value)
{
	return perf_select_write(vcpu, 0, value);
}

static bool evntsel1_write(struct vcpu *vcpu, uint64_t value)
{
	return perf_select_write(vcpu, 1, value);
}

static uint64_t pat_read(struct vcpu *vcpu)
{
	return vcpu->cpu.pat;
}

/*
 * Memory types 2, 3 and those above 7 are reserved (SDM vol. 3, table 11-10). The types themselves
 * mean nothing here.
 */
static bool pat_write(struct vcpu *vcpu, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++) {
		uint8_t type = value >> (8 * i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	vcpu->cpu.pat = value;
	return true;
}

static uint64_t efer_read(struct vcpu *vcpu)
{
	return vcpu->cpu.efer;
}

static bool efer_write(struct vcpu *vcpu, uint64_t value)
{
	if (value & ~(uint64_t)EFER_NXE)
		return false;
	if (value && vcpu->cpu.misc_enable & MISC_XD_DISABLE)
		return false;
	if (vcpu->cpu.efer == value)
		return true;
	vcpu->cpu.efer = value;
	vcpu_flush_translations(vcpu, TLB_FLUSH_ALL);
	return true;
}

static const struct msr msrs[] = {
	{ MSR_TSC, FEATURE_TSC, tsc_read, tsc_write },
	{ MSR_PLATFORM_ID, FEATURE_PAE, read_zero, NULL },
	{ MSR_APIC_BASE, FEATURE_APIC, apic_base_read, apic_base_write },
	{ MSR_EBL_CR_POWERON, FEATURE_PAE, read_zero, write_ignored },
	{ MSR_TSC_ADJUST, FEATURE_TSC_ADJUST, tsc_adjust_read, tsc_adjust_write },
	{ MSR_BIOS_UPDT_TRIG, FEATURE_PAE, NULL, write_ignored },
	{ MSR_BIOS_SIGN, FEATURE_PAE, bios_sign_read, write_ignored },
	{ MSR_PERFCTR0, FEATURE_RDPMC, perfctr0_read, perfctr0_write },
	{ MSR_PERFCTR1, FEATURE_RDPMC, perfctr1_read, perfctr1_write },
	{ MSR_SYSENTER_CS, FEATURE_SEP, sysenter_cs_read, sysenter_cs_write },
	{ MSR_SYSENTER_ESP, FEATURE_SEP, sysenter_esp_read, sysenter_esp_write },
	{ MSR_SYSENTER_EIP, FEATURE_SEP, sysenter_eip_read, sysenter_eip_write },
	{ MSR_MCG_CAP, FEATURE_MCE, read_zero, NULL },
	{ MSR_MCG_STATUS, FEATURE_MCE, mcg_status_read, mcg_status_write },
	{ MSR_EVNTSEL0, FEATURE_RDPMC, evntsel0_read, evntsel0_write },
	{ MSR_EVNTSEL1, FEATURE_RDPMC, evntsel1_read, evntsel1_write },
	{ MSR_MISC_ENABLE, FEATURE_SSE2, misc_enable_read, misc_enable_write },
	{ MSR_DEBUGCTL, FEATURE_PAE, read_zero, write_ignored },
	{ MSR_PAT, FEATURE_PAT, pat_read, pat_write },
	{ MSR_EFER, FEATURE_NX, efer_read, efer_write },
	{ MSR_TSC_AUX, FEATURE_RDTSCP | FEATURE_RDPID, tsc_aux_read, tsc_aux_write },
};

/* ---- RDMSR and WRMSR ---- */

static const struct msr *msr_find(const struct cpu *cpu, uint32_t index)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(msrs); i++) {
		if (msrs[i].index == index && (cpu_features(cpu) & msrs[i].feature))
			return &msrs[i];
	}
	return NULL;
}

enum x86_status msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	struct cpu *cpu = &vcpu->cpu;
	const struct msr *msr = msr_find(cpu, index);

	if (cpu->cpl)
		return fault_raise_error(cpu, EXC_GP, 0);
	if (!msr || !msr->read) {
		log_item(vcpu->vm->log, LOG_GUEST_ERRORS, "rdmsr of unknown MSR %#x at %#x\n",
			 index, cpu->eip);
		return fault_raise_error(cpu, EXC_GP, 0);
	}
	*value = msr->read(vcpu);
	return X86_OK;
}

enum x86_status msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct cpu *cpu = &vcpu->cpu;
	const struct msr *msr = msr_find(cpu, index);

	if (cpu->cpl)
		return fault_raise_error(cpu, EXC_GP, 0);
	if (!msr || !msr->write || !msr->write(vcpu, value)) {
		log_item(vcpu->vm->log, LOG_GUEST_ERRORS,
			 "wrmsr of %#llx to MSR %#x refused at %#x\n", (unsigned long long)value,
			 index, cpu->eip);
		return fault_raise_error(cpu, EXC_GP, 0);
	}
	return X86_OK;
}
