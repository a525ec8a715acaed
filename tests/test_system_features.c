/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -cpu max has beside older models: where CPUID shows it, IA32_TSC_AUX, what SMAP makes of
 * memory as C code reaches it. The machine is system_fixture.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "monitor/processor/cpu_models.h"
#include "monitor/processor/stack_frame.h"
#include "system_fixture.h"

TestSuite(features, .init = fx_setup, .fini = fx_teardown, .timeout = 60);

/* Where a system of today looks for what max has and older models lack. */
static const struct {
	const char *name;
	uint32_t leaf;
	uint8_t word, bit; /* word: 0 EAX to 3 EDX */
} new_features[] = {
	{ "rdtscp", 0x80000001, 3, 27 }, { "lzcnt", 0x80000001, 2, 5 }, { "rdpid", 7, 2, 22 },
	{ "umip", 7, 2, 2 },
	{ "smep", 7, 1, 7 }, { "smap", 7, 1, 20 },
};

static uint32_t cpuid_bit(unsigned i)
{
	const struct cpuid_result r = cpuid_query(&CPU, new_features[i].leaf, 0);
	const uint32_t words[] = { r.eax, r.ebx, r.ecx, r.edx };

	return words[new_features[i].word] >> new_features[i].bit & 1;
}

Test(features, cpuid_of_new_features)
{
	struct cpu_model *model = NULL;
	struct error error = { 0 };
	char spec[40];

	for (unsigned i = 0; i < RF_ARRAY_SIZE(new_features); i++) {
		VCPU->model = cpu_model_find("max");
		cr_expect_eq(cpuid_bit(i), 1, "%s", new_features[i].name);
		snprintf(spec, sizeof(spec), "max,-%s", new_features[i].name);
		cr_assert_eq(cpu_model_parse(spec, &model, &error), 0, "%s", spec);
		VCPU->model = model;
		cr_expect_eq(cpuid_bit(i), 0, "%s", spec);
		free(model);
	}
	VCPU->model = cpu_model_find("max");
	ASSERT_EQ(cpuid_query(&CPU, 7, 0).eax, 0); /* no subleaf but this */
	ASSERT_EQ(cpuid_query(&CPU, 7, 1).ebx | cpuid_query(&CPU, 7, 1).ecx, 0);
}

Test(features, tsc_aux)
{
	uint64_t value;

	ASSERT_OK(msr_write(VCPU, MSR_TSC_AUX, 0xfedcba98));
	ASSERT_OK(msr_read(VCPU, MSR_TSC_AUX, &value));
	ASSERT_EQ(value, 0xfedcba98);
	ASSERT_FAULT(msr_write(VCPU, MSR_TSC_AUX, 1ull << 32), EXC_GP, 0);
	VCPU->model = cpu_model_find("pentium3");
	ASSERT_FAULT(msr_read(VCPU, MSR_TSC_AUX, &value), EXC_GP, 0);
	VCPU->model = cpu_model_find("max");
	processor_reset(VCPU);
	ASSERT_OK(msr_read(VCPU, MSR_TSC_AUX, &value));
	ASSERT_EQ(value, 0);
}

/* Each kind of access has its entries: what AC allows is not there without it. */
Test(features, smap_and_ac)
{
	uint32_t value = 0;

	fx_enable_paging();
	fx_write32(FX_PAGE_TABLE + 4 * 0x50, 0x50000 | PTE_P | PTE_W | PTE_U);
	fx_write32(FX_PAGE_TABLE + 4 * 0x51, 0x51000 | PTE_P | PTE_W);
	ASSERT_OK(control_reg_write(VCPU, 4, CR4_SMAP));
	for (unsigned round = 0; round < 2; round++) {
		ASSERT_OK(mem_write(VCPU, 0x50000, &value, 4, ACCESS_WRITE | ACCESS_AC));
		ASSERT_OK(mem_read(VCPU, 0x50000, &value, 4, ACCESS_READ | ACCESS_USER));
		ASSERT_FAULT(mem_read(VCPU, 0x50000, &value, 4, ACCESS_READ), EXC_PF, PFE_P);
		ASSERT_FAULT(mem_write(VCPU, 0x50000, &value, 4, ACCESS_WRITE), EXC_PF,
			     PFE_P | PFE_W);
		ASSERT_OK(mem_read(VCPU, 0x51000, &value, 4, ACCESS_READ));
	}
	/* The prompt and reports see all. */
	ASSERT_EQ(mem_peek(VCPU, 0x50000, &value, 4), 4);
	/* INVLPG reaches the entries of accesses with AC, too. */
	fx_write32(FX_PAGE_TABLE + 4 * 0x50, 0);
	ASSERT_OK(invlpg(VCPU, 0x50000));
	ASSERT_FAULT(mem_read(VCPU, 0x50000, &value, 4, ACCESS_READ | ACCESS_AC), EXC_PF, 0);
	ASSERT_OK(control_reg_write(VCPU, 4, 0));
	fx_write32(FX_PAGE_TABLE + 4 * 0x50, 0x50000 | PTE_P | PTE_W | PTE_U);
	ASSERT_OK(mem_read(VCPU, 0x50000, &value, 4, ACCESS_READ));
}

/* What an exception pushes on ring 0's stack from ring 3 is implicit: AC does not count. */
Test(features, smap_and_inner_stacks)
{
	struct cpu cpu = { .cpl = 3, .eflags = X86_AC };

	ASSERT_EQ(stack_inner_access(&cpu), 0);
	ASSERT_EQ(stack_current(&cpu).access, ACCESS_USER);
	cpu.cpl = 1;
	ASSERT_EQ(stack_inner_access(&cpu), ACCESS_AC);
	ASSERT_EQ(stack_current(&cpu).access, ACCESS_AC);
	cpu.eflags = 0;
	ASSERT_EQ(stack_inner_access(&cpu), 0);
}

/* ---- models ---- */

static const struct { feature_set feature; const char *name; } described[] = {
	{ FEATURE_FPU, "fpu" }, { FEATURE_DE, "de" }, { FEATURE_PSE, "pse" },
	{ FEATURE_TSC, "tsc" }, { FEATURE_MSR, "msr" }, { FEATURE_PAE, "pae" },
	{ FEATURE_CX8, "cx8" }, { FEATURE_APIC, "apic" }, { FEATURE_SEP, "sep" },
	{ FEATURE_PGE, "pge" }, { FEATURE_CMOV, "cmov" }, { FEATURE_PAT, "pat" },
	{ FEATURE_PSE36, "pse36" }, { FEATURE_CLFLUSH, "clflush" }, { FEATURE_MMX, "mmx" },
	{ FEATURE_FXSR, "fxsr" }, { FEATURE_SSE, "sse" }, { FEATURE_SSE2, "sse2" },
	{ FEATURE_SSE3, "sse3" }, { FEATURE_SSSE3, "ssse3" }, { FEATURE_SSE4_1, "sse4.1" },
	{ FEATURE_SSE4_2, "sse4.2" }, { FEATURE_POPCNT, "popcnt" }, { FEATURE_MOVBE, "movbe" },
	{ FEATURE_TSC_ADJUST, "tsc_adjust" }, { FEATURE_RDTSCP, "rdtscp" },
	{ FEATURE_RDPID, "rdpid" }, { FEATURE_LZCNT, "lzcnt" }, { FEATURE_UMIP, "umip" },
	{ FEATURE_SMEP, "smep" }, { FEATURE_SMAP, "smap" }, { FEATURE_NX, "nx" },
	{ FEATURE_MCE, "mce" }, { FEATURE_VME, "vme" }, { FEATURE_NOPL, "multi-byte NOPs" },
	{ FEATURE_RDPMC, "rdpmc" },
	{ FEATURE_CPUID, "cpuid" }, { FEATURE_486, "486 instructions" },
};

/* max has all of them and no other; each is described by its own name. */
Test(features, names_and_max)
{
	feature_set all = 0;
	char text[64];

	for (unsigned i = 0; i < RF_ARRAY_SIZE(described); i++) {
		cpu_features_describe(described[i].feature, text, sizeof(text));
		cr_expect_str_eq(text, described[i].name);
		all |= described[i].feature;
	}
	cr_expect_eq(cpu_model_find("max")->features, all, "max: %llx, not %llx",
		     (unsigned long long)cpu_model_find("max")->features, (unsigned long long)all);
	cpu_features_describe(FEATURE_SMAP | FEATURE_SSE3 | FEATURE_NOPL, text, sizeof(text));
	cr_expect_str_eq(text, "sse3, smap, multi-byte NOPs");
	cpu_features_describe(0, text, sizeof(text));
	cr_expect_str_eq(text, "");
}

static const char *taken(const char *spec, feature_set features)
{
	static char text[64];
	struct cpu_model *model = NULL;
	struct error error = { 0 };

	cr_assert_eq(cpu_model_parse(spec, &model, &error), 0, "%s: %s", spec, error.text);
	snprintf(text, sizeof(text), "what was here before");
	cpu_model_describe_taken(model, features, text, sizeof(text));
	free(model);
	return text;
}

/* Also what a feature builds on. */
Test(features, words_that_took_some_away)
{
	cr_expect_str_eq(taken("pentium3", FEATURE_CMOV), "");
	cr_expect_str_eq(taken("pentium3,-cmov", FEATURE_CMOV), "-cmov");
	cr_expect_str_eq(taken("pentium3,-cmov", FEATURE_PAE), "");
	cr_expect_str_eq(taken("pentium3,+cmov,pae=off,-fxsr", FEATURE_SSE | FEATURE_PAE),
			 "pae=off, -fxsr");
	cr_expect_str_eq(taken("pentium3,-sse", FEATURE_FXSR), "");
}

Test(features, words_that_are_none)
{
	static const char *const specs[] = { "max,", "max,+", "max,-", "max,,+sse", "max,=on",
					     "max,+sse=on", "max,sse=", "max,sse=of", "max,sse=onn",
					     "max,sse" };
	struct cpu_model *model = NULL;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(specs); i++) {
		struct error error = { 0 };

		cr_expect_eq(cpu_model_parse(specs[i], &model, &error), -EINVAL, "%s", specs[i]);
	}
}

Test(features, the_least_model_that_has_them)
{
	cr_expect_eq(cpu_model_offering(0), cpu_model_find("486"));
	cr_expect_eq(cpu_model_offering(FEATURE_FPU), cpu_model_find("486"));
	cr_expect_eq(cpu_model_offering(FEATURE_TSC), cpu_model_find("pentium"));
	cr_expect_eq(cpu_model_offering(FEATURE_CMOV | FEATURE_TSC), cpu_model_find("pentium2"));
	cr_expect_eq(cpu_model_offering(FEATURE_SSE), cpu_model_find("pentium3"));
	cr_expect_eq(cpu_model_offering(FEATURE_SSE2), cpu_model_find("max"));
	cr_expect_null(cpu_model_offering(FEATURE_BIT(63)));
}
