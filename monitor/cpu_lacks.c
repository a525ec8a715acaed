/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels on a CPU model too old for them; see cpu_lacks.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cpu_lacks.h"
#include "cpu_models.h"
#include "system.h"
#include "vm.h"

/* Exceptions and interrupts that have been delivered. */
static uint64_t delivered(const struct vcpu *vcpu)
{
	uint64_t n = vcpu->interrupts;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(vcpu->exceptions); i++)
		n += vcpu->exceptions[i];
	return n;
}

/* "the code at 0010:00100000 needs cmov, which -cpu pentium lacks: choose -cpu pentium2 or later" */
static void describe(const struct vcpu *vcpu, char *text, size_t size)
{
	const struct cpu_lack *lack = &vcpu->lack;
	const struct cpu_model *enough = cpu_model_offering(lack->features);
	const char *name = cpu_model_name(vcpu->cpu.model);
	char features[128];

	cpu_features_describe(lack->features, features, sizeof(features));
	size -= snprintf(text, size, "the code at %04x:%08" PRIx32 " needs %s, which -cpu %s lacks: ", lack->cs, lack->eip, features, name);
	text += strlen(text);
	if (!enough)
		snprintf(text, size, "no CPU model has it");
	else if (enough == cpu_model_find(name))
		snprintf(text, size, "do not take it away from that model");
	else
		snprintf(text, size, "choose -cpu %s%s", enough->name, enough == cpu_model_default() ? "" : " or later");
}

void cpu_lacks_note(struct vcpu *vcpu, uint32_t eip, uint32_t features)
{
	const struct cpu *cpu = &vcpu->cpu;
	struct cpu_lack *lack = &vcpu->lack;
	char text[256];

	if (cpu->cpl || !features)
		return;
	/* Its handler may come to grief for the same reason: the first of a chain is told. */
	if (!lack->features || delivered(vcpu) != lack->delivered + 1)
		*lack = (struct cpu_lack){ .cs = cpu->seg[X86_CS].selector, .eip = eip, .told = lack->told };
	lack->features |= features;
	lack->delivered = delivered(vcpu);
	if (lack->told)
		return;
	lack->told = true;
	describe(vcpu, text, sizeof(text));
	fprintf(stderr, "ringfence: note: %s\n", text);
}

static enum x86_status kill(struct vcpu *vcpu, const char *what)
{
	char text[256];

	describe(vcpu, text, sizeof(text));
	return vm_kill(vcpu, "%s (%s)", text, what);
}

/* The fault itself could not be delivered. */
enum x86_status cpu_lacks_shutdown(struct vcpu *vcpu)
{
	if (!vcpu->lack.features || delivered(vcpu) != vcpu->lack.delivered)
		return X86_OK;
	return kill(vcpu, "it shut down (triple fault)");
}

/* Its handler gave up. */
enum x86_status cpu_lacks_halt(struct vcpu *vcpu)
{
	if (!vcpu->lack.features || vcpu->cpu.eflags & X86_IF || delivered(vcpu) != vcpu->lack.delivered + 1)
		return X86_OK;
	return kill(vcpu, "it halted with interrupts disabled");
}
