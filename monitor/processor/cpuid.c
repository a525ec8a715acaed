/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID (SDM vol. 2, "CPUID"): answers are made from the model's table entry alone, so that they
 * are the same on every host and never name a feature the machine lacks. Only the rate of the TSC
 * is the host's (leaves 15h and 16h).
 */
#include <string.h>
#include "cpu_models.h"
#include "devices/chips/local_apic.h"
#include "processor.h"

#define APIC_BASE_ENABLE (1u << 11)
#define CACHE_LINE 64u
#define LEAF_TSC       0x15
#define LEAF_FREQUENCY 0x16
#define MHZ            1000000u

enum cpuid_word {
	WORD_1_EDX, WORD_1_ECX, WORD_7_EBX, WORD_7_ECX, WORD_EXT_ECX, WORD_EXT_EDX
};

static const struct { feature_set feature; uint8_t word, bit; } feature_bits[] = {
	{ FEATURE_FPU, WORD_1_EDX, 0 }, { FEATURE_VME, WORD_1_EDX, 1 },
	{ FEATURE_DE, WORD_1_EDX, 2 }, { FEATURE_PSE, WORD_1_EDX, 3 },
	{ FEATURE_TSC, WORD_1_EDX, 4 }, { FEATURE_MSR, WORD_1_EDX, 5 },
	{ FEATURE_PAE, WORD_1_EDX, 6 }, { FEATURE_MCE, WORD_1_EDX, 7 },
	{ FEATURE_MCE, WORD_1_EDX, 14 },
	{ FEATURE_CX8, WORD_1_EDX, 8 }, { FEATURE_APIC, WORD_1_EDX, 9 },
	{ FEATURE_SEP, WORD_1_EDX, 11 }, { FEATURE_PGE, WORD_1_EDX, 13 },
	{ FEATURE_CMOV, WORD_1_EDX, 15 }, { FEATURE_PAT, WORD_1_EDX, 16 },
	{ FEATURE_PSE36, WORD_1_EDX, 17 }, { FEATURE_CLFLUSH, WORD_1_EDX, 19 },
	{ FEATURE_MMX, WORD_1_EDX, 23 }, { FEATURE_FXSR, WORD_1_EDX, 24 },
	{ FEATURE_SSE, WORD_1_EDX, 25 }, { FEATURE_SSE2, WORD_1_EDX, 26 },
	{ FEATURE_SSE3, WORD_1_ECX, 0 }, { FEATURE_SSSE3, WORD_1_ECX, 9 },
	{ FEATURE_SSE4_1, WORD_1_ECX, 19 }, { FEATURE_SSE4_2, WORD_1_ECX, 20 },
	{ FEATURE_MOVBE, WORD_1_ECX, 22 }, { FEATURE_POPCNT, WORD_1_ECX, 23 },
	{ FEATURE_TSC_ADJUST, WORD_7_EBX, 1 }, { FEATURE_SMEP, WORD_7_EBX, 7 },
	{ FEATURE_SMAP, WORD_7_EBX, 20 }, { FEATURE_RDPID, WORD_7_ECX, 22 },
	{ FEATURE_UMIP, WORD_7_ECX, 2 },
	{ FEATURE_LZCNT, WORD_EXT_ECX, 5 }, { FEATURE_NX, WORD_EXT_EDX, 20 },
	{ FEATURE_RDTSCP, WORD_EXT_EDX, 27 },
};

static uint32_t feature_word(const struct cpu *cpu, enum cpuid_word word)
{
	feature_set features = cpu_features(cpu);
	uint32_t bits = 0;

	/* The bit disappears while software has the APIC disabled (SDM vol. 3, 10.4.3). */
	if (!(cpu->apic_base & APIC_BASE_ENABLE))
		features &= ~FEATURE_APIC;
	if (cpu->misc_enable & MISC_XD_DISABLE)
		features &= ~FEATURE_NX;
	for (unsigned i = 0; i < RF_ARRAY_SIZE(feature_bits); i++) {
		if (feature_bits[i].word == word && (features & feature_bits[i].feature))
			bits |= 1u << feature_bits[i].bit;
	}
	return bits;
}

static struct cpuid_result leaf_vendor(uint32_t highest)
{
	struct cpuid_result r = { .eax = highest };

	memcpy(&r.ebx, "Genu", 4);
	memcpy(&r.edx, "ineI", 4);
	memcpy(&r.ecx, "ntel", 4);
	return r;
}

static struct cpuid_result leaf_version(const struct cpu *cpu, const struct cpu_model *model)
{
	bool clflush = cpu_features(cpu) & FEATURE_CLFLUSH;

	/*
	 * Family 6 models above 15 put the upper half of the model number into the extended field.
	 */
	return (struct cpuid_result){
		.eax = (model->model >> 4) << 16 | model->family << 8 | (model->model & 15) << 4 |
		       model->stepping,
		.ebx = clflush ? (CACHE_LINE / 8) << 8 : 0,
		.ecx = feature_word(cpu, WORD_1_ECX),
		.edx = feature_word(cpu, WORD_1_EDX),
	};
}

/*
 * Leaf 4: deterministic cache parameters. They agree with the descriptors of leaf 2 and with leaf
 * 80000006h.
 */
static struct cpuid_result leaf_cache(uint32_t index)
{
	static const struct { uint8_t type, level; uint16_t ways; uint32_t sets; } caches[] = {
		{ 1, 1, 8, 64 },   /* 32 KiB data */
		{ 2, 1, 8, 64 },   /* 32 KiB instructions */
		{ 3, 2, 8, 4096 }, /* 2 MiB unified */
	};

	if (index >= RF_ARRAY_SIZE(caches))
		return (struct cpuid_result){ 0 };
	return (struct cpuid_result){
		/* self-initializing */
		.eax = caches[index].type | caches[index].level << 5 | 1u << 8,
		.ebx = (caches[index].ways - 1u) << 22 | (CACHE_LINE - 1),
		.ecx = caches[index].sets - 1,
	};
}

static const struct vcpu *vcpu_of(const struct cpu *cpu)
{
	return rf_container_of(cpu, const struct vcpu, cpu);
}

static bool tsc_rate_known(const struct cpu *cpu)
{
	return vcpu_of(cpu)->tsc_ratio.denominator && (cpu_features(cpu) & FEATURE_TSC);
}

/* Leaf 15h: the crystal, which is that of the local APIC's timer, and what the TSC makes of it. */
static struct cpuid_result leaf_tsc(const struct cpu *cpu)
{
	if (!tsc_rate_known(cpu))
		return (struct cpuid_result){ 0 };
	return (struct cpuid_result){ .eax = vcpu_of(cpu)->tsc_ratio.denominator,
				      .ebx = vcpu_of(cpu)->tsc_ratio.numerator,
				      .ecx = LAPIC_TIMER_HZ };
}

/* Leaf 16h: the processor's base, greatest and reference frequency in MHz. */
static struct cpuid_result leaf_frequency(const struct cpu *cpu)
{
	const struct tsc_ratio *ratio = &vcpu_of(cpu)->tsc_ratio;
	uint32_t mhz;

	if (!tsc_rate_known(cpu))
		return (struct cpuid_result){ 0 };
	mhz = ((uint64_t)LAPIC_TIMER_HZ * ratio->numerator / ratio->denominator + MHZ / 2) / MHZ;
	return (struct cpuid_result){ .eax = mhz, .ebx = mhz, .ecx = LAPIC_TIMER_HZ / MHZ };
}

/* Leaf 7, which has the one subleaf. */
static struct cpuid_result leaf_features(const struct cpu *cpu, uint32_t subleaf)
{
	if (subleaf)
		return (struct cpuid_result){ 0 };
	return (struct cpuid_result){ .ebx = feature_word(cpu, WORD_7_EBX),
				      .ecx = feature_word(cpu, WORD_7_ECX) };
}

static struct cpuid_result leaf_brand(const struct cpu_model *model, unsigned part)
{
	char text[48] = { 0 };
	struct cpuid_result r;

	if (model->brand)
		strncpy(text, model->brand, sizeof(text) - 1);
	memcpy(&r, text + 16 * part, sizeof(r));
	return r;
}

/* The last basic leaf. For old systems software can make it less (MISC_ENABLE, SDM vol. 4). */
static uint32_t max_leaf(const struct cpu *cpu, const struct cpu_model *model)
{
	return cpu->misc_enable & MISC_LIMIT_CPUID && model->max_leaf > 2 ? 2 : model->max_leaf;
}

static struct cpuid_result basic_leaf(const struct cpu *cpu, const struct cpu_model *model,
				      uint32_t leaf, uint32_t subleaf)
{
	switch (leaf) {
	case 0:
		return leaf_vendor(max_leaf(cpu, model));
	case 1:
		return leaf_version(cpu, model);
	case 2:
		return (struct cpuid_result){ model->cache_descriptors[0],
			model->cache_descriptors[1],
					      model->cache_descriptors[2],
					      model->cache_descriptors[3] };
	case 4:
		return leaf_cache(subleaf);
	case 6: /* the APIC timer runs in every sleep state (ARAT) */
		return (struct cpuid_result){ .eax = 1u << 2 };
	case 7:
		return leaf_features(cpu, subleaf);
	case LEAF_TSC:
		return leaf_tsc(cpu);
	case LEAF_FREQUENCY:
		return leaf_frequency(cpu);
	default:
		return (struct cpuid_result){ 0 };
	}
}

static struct cpuid_result extended_leaf(const struct cpu *cpu, const struct cpu_model *model,
					 uint32_t leaf)
{
	switch (leaf) {
	case 0x80000000:
		return (struct cpuid_result){ .eax = model->max_extended };
	case 0x80000001:
		return (struct cpuid_result){ .ecx = feature_word(cpu, WORD_EXT_ECX),
					      .edx = feature_word(cpu, WORD_EXT_EDX) };
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		return leaf_brand(model, leaf - 0x80000002);
	case 0x80000006: /* 2 MiB of second-level cache, 8 ways */
		return (struct cpuid_result){ .ecx = 2048u << 16 | 6u << 12 | CACHE_LINE };
	case 0x80000007: /* the TSC runs at a constant rate in all states */
		return (struct cpuid_result){ .edx = cpu_features(cpu) & FEATURE_TSC ? 1u << 8 :
										       0 };
	case 0x80000008:
		return (struct cpuid_result){ .eax = 32u << 8 | 36 };
	default:
		return (struct cpuid_result){ 0 };
	}
}

static bool is_extended(const struct cpu_model *model, uint32_t leaf)
{
	return leaf >= 0x80000000 && leaf <= model->max_extended;
}

static const struct cpu_model *model_of(const struct cpu *cpu)
{
	const struct cpu_model *own = vcpu_of(cpu)->model;

	return own ? own : cpu_model_default();
}

/* Beyond the last leaf, the data of the highest basic leaf comes back. */
static uint32_t basic_leaf_number(const struct cpu *cpu, uint32_t leaf)
{
	const uint32_t last = max_leaf(cpu, model_of(cpu));

	return leaf > last ? last : leaf;
}

bool cpuid_tells_tsc_rate(const struct cpu *cpu, uint32_t leaf)
{
	const struct cpu_model *model = model_of(cpu);

	return !is_extended(model, leaf) && basic_leaf_number(cpu, leaf) >= LEAF_TSC;
}

struct cpuid_result cpuid_query(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf)
{
	const struct cpu_model *model = model_of(cpu);

	if (is_extended(model, leaf))
		return extended_leaf(cpu, model, leaf);
	return basic_leaf(cpu, model, basic_leaf_number(cpu, leaf), subleaf);
}
