/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -cpu max has beside older models: where CPUID shows it, IA32_TSC_AUX, what SMAP makes of
 * memory as C code reaches it. The machine is system_fixture.c's.
 */
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
