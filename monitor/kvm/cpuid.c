/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor KVM shows is the one the other engines show: CPUID answers come from the model
 * (processor/cpuid.c), and MSRs are those of processor/msr.c. The few that KVM must know to run a
 * guest stay with it; all other accesses come back to us.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "monitor/processor/processor.h"
#include "internal.h"
#include "monitor/vm/vm.h"

#define CPUID_CACHE_LEAF     4 /* its subleaves are numbered up to the first of type 0 */
#define CPUID_FEATURE_LEAF   7
#define CPUID_MAX_ENTRIES    64
#define CPUID_HOST_ENTRIES   256
#define CPUID_EXTENDED       0x80000000u
#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_ADDRESS_SIZES  0x80000008u
#define CPUID_RDPID          (1u << 22) /* leaf 7, ECX */
#define CPUID_RDTSCP         (1u << 27) /* leaf 80000001h, EDX */
#define LINEAR_BITS          0x0000ff00u
#define LINEAR_BITS_48       0x00003000u

struct cpuid_list {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[CPUID_MAX_ENTRIES];
};

/*
 * IA32_TSC_AUX is in no list of MSRs that is brought to KVM and back: what reads it is not offered.
 */
static void hide_tsc_aux(uint32_t leaf, struct cpuid_result *r)
{
	if (leaf == CPUID_FEATURE_LEAF)
		r->ecx &= ~CPUID_RDPID;
	if (leaf == CPUID_EXTENDED_FEATURES)
		r->edx &= ~CPUID_RDTSCP;
}

static bool cpuid_add(struct kvm_engine *kvm, struct cpuid_list *list, uint32_t leaf,
		      uint32_t subleaf, bool indexed)
{
	struct cpuid_result r = cpuid_query(&kvm->vcpu->cpu, leaf, subleaf);

	/*
	 * The one difference from the other engines: KVM has no processor with 32 bits of linear
	 * address.
	 */
	if (leaf == CPUID_ADDRESS_SIZES)
		r.eax = (r.eax & ~LINEAR_BITS) | LINEAR_BITS_48;
	hide_tsc_aux(leaf, &r);
	if (list->head.nent == CPUID_MAX_ENTRIES)
		return false;
	list->entry[list->head.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf, .index = subleaf,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0, .eax = r.eax, .ebx = r.ebx,
		.ecx = r.ecx, .edx = r.edx,
	};
	return true;
}

static bool cpuid_add_leaf(struct kvm_engine *kvm, struct cpuid_list *list, uint32_t leaf)
{
	if (leaf == CPUID_FEATURE_LEAF)
		return cpuid_add(kvm, list, leaf, 0, true);
	if (leaf != CPUID_CACHE_LEAF)
		return cpuid_add(kvm, list, leaf, 0, false);
	for (uint32_t subleaf = 0;; subleaf++) {
		if (!cpuid_add(kvm, list, leaf, subleaf, true))
			return false;
		if (!(cpuid_query(&kvm->vcpu->cpu, leaf, subleaf).eax & 31))
			return true;
	}
}

/*
 * Newer features than KVM needs (SMEP, SMAP, UMIP, LZCNT) are offered where the host has them: a
 * bit of CR4 that it lacks would be refused to the guest.
 */
static void hide_what_the_host_lacks(struct kvm_engine *kvm, struct cpuid_list *list)
{
	struct kvm_cpuid2 *host = calloc(1, sizeof(*host) + CPUID_HOST_ENTRIES *
								    sizeof(host->entries[0]));

	if (host)
		host->nent = CPUID_HOST_ENTRIES;
	if (!host || kvm_ioctl(kvm->device_fd, KVM_GET_SUPPORTED_CPUID, host)) {
		free(host);
		return;
	}
	for (uint32_t i = 0; i < list->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &list->entry[i];

		if (e->function != CPUID_FEATURE_LEAF && e->function != CPUID_EXTENDED_FEATURES)
			continue;
		for (uint32_t h = 0; h < host->nent; h++) {
			if (host->entries[h].function != e->function || host->entries[h].index)
				continue;
			e->ebx &= host->entries[h].ebx;
			e->ecx &= host->entries[h].ecx;
		}
	}
	free(host);
}

int kvm_cpuid_set(struct kvm_engine *kvm)
{
	const struct cpu *cpu = &kvm->vcpu->cpu;
	const uint32_t last = cpuid_query(cpu, 0, 0).eax,
		       last_extended = kvm->vcpu->model->max_extended;
	struct cpuid_list *list = calloc(1, sizeof(*list));
	bool fits = true;
	int err;

	if (!list)
		return -ENOMEM;
	/* The kernel's local APIC may have another crystal than ours: no rate is told. */
	kvm->vcpu->tsc_measured = true;
	for (uint32_t leaf = 0; fits && leaf <= last; leaf++)
		fits = cpuid_add_leaf(kvm, list, leaf);
	for (uint32_t leaf = CPUID_EXTENDED; fits && leaf <= last_extended; leaf++)
		fits = cpuid_add_leaf(kvm, list, leaf);
	hide_what_the_host_lacks(kvm, list);
	err = fits ? kvm_ioctl(kvm->vcpu_fd, KVM_SET_CPUID2, list) : -E2BIG;
	free(list);
	return err;
}

/* ---- MSRs ---- */

#define LOW_MSRS 0x400

/* The guest reaches these in KVM, if its model has them. */
static const struct { uint32_t index; feature_set feature; } kvm_msrs[] = {
	{ MSR_TSC, FEATURE_TSC },
	{ MSR_TSC_ADJUST, FEATURE_TSC_ADJUST },
	{ MSR_SYSENTER_CS, FEATURE_SEP },
	{ MSR_SYSENTER_ESP, FEATURE_SEP },
	{ MSR_SYSENTER_EIP, FEATURE_SEP },
	{ MSR_PAT, FEATURE_PAT },
};

/*
 * A filter that lets those through and refuses the others; what is refused is reported
 * (KVM_MSR_EXIT_REASON_FILTER). With interrupt controllers in the kernel, IA32_APIC_BASE is theirs.
 */
int kvm_msr_filter_set(struct kvm_engine *kvm)
{
	struct kvm_enable_cap exits = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
			   KVM_MSR_EXIT_REASON_FILTER,
	};
	const feature_set features = cpu_features(&kvm->vcpu->cpu);
	uint8_t allowed[LOW_MSRS / 8] = { 0 };
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_DENY,
		.ranges[0] = { .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.nmsrs = LOW_MSRS, .base = 0, .bitmap = allowed },
	};
	int err;

	for (size_t i = 0; i < RF_ARRAY_SIZE(kvm_msrs); i++) {
		if (features & kvm_msrs[i].feature)
			allowed[kvm_msrs[i].index / 8] |= 1u << kvm_msrs[i].index % 8;
	}
	if (kvm->irqchip_in_kernel && features & FEATURE_APIC)
		allowed[MSR_APIC_BASE / 8] |= 1u << MSR_APIC_BASE % 8;
	err = kvm_ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &exits);
	return err ? err : kvm_ioctl(kvm->vm_fd, KVM_X86_SET_MSR_FILTER, &filter);
}
