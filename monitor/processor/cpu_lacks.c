/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels on a CPU model too old for them; see cpu_lacks.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cpu_lacks.h"
#include "cpu_models.h"
#include "processor.h"
#include "monitor/vm/vm.h"

#define MESSAGE_SIZE 512

/* Exceptions and interrupts that have been delivered. */
static uint64_t delivered(const struct vcpu *vcpu)
{
	uint64_t n = vcpu->interrupts;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(vcpu->exceptions); i++)
		n += vcpu->exceptions[i];
	return n;
}

/* What there is to do about it: "choose -cpu pentium2 or later", "leave out -cmov". */
static void describe_remedy(const struct cpu_model *model, feature_set features, char *text,
			    size_t size)
{
	const struct cpu_model *enough = cpu_model_offering(features),
			       *base = cpu_model_find(cpu_model_name(model));
	const bool base_has_it = !(features & ~base->features);
	char taken[80];

	cpu_model_describe_taken(model, features, taken, sizeof(taken));
	if (!enough)
		snprintf(text, size, "no CPU model has it");
	else if (features & cpu_host_missing_features())
		snprintf(text, size, "this host cannot execute it");
	else if (base_has_it && *taken)
		snprintf(text, size, "leave out %s", taken);
	else
		snprintf(text, size, "%s%s%schoose -cpu %s%s", *taken ? "leave out " : "", taken,
			 *taken ? " and " : "", enough->name,
			 enough == cpu_model_default() ? "" : " or later");
}

/*
 * "the code at 0010:00100000 needs cmov, which -cpu pentium lacks: choose -cpu pentium2 or later"
 */
static void describe(const struct vcpu *vcpu, char *text, size_t size)
{
	const struct cpu_lack *lack = &vcpu->lack;
	const struct cpu_model *model = vcpu->model;
	const char *name = model && model->spec ? model->spec : cpu_model_name(model);
	char features[128], remedy[160];

	cpu_features_describe(lack->features, features, sizeof(features));
	describe_remedy(model, lack->features, remedy, sizeof(remedy));
	snprintf(text, size, "the code at %04x:%08" PRIx32 " needs %s, which -cpu %.80s lacks: %s",
		 lack->cs, lack->eip, features, name, remedy);
}

void cpu_lacks_note(struct vcpu *vcpu, uint32_t eip, feature_set features)
{
	const struct cpu *cpu = &vcpu->cpu;
	struct cpu_lack *lack = &vcpu->lack;
	char text[MESSAGE_SIZE];

	if (cpu->cpl || !features)
		return;
	/* Its handler may come to grief for the same reason: the first of a chain is told. */
	if (!lack->features || delivered(vcpu) != lack->delivered + 1)
		*lack = (struct cpu_lack){ .cs = cpu->seg[X86_CS].selector,
					   .eip = eip,
					   .told = lack->told };
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
	char text[MESSAGE_SIZE];

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
	if (!vcpu->lack.features || vcpu->cpu.eflags & X86_IF ||
	    delivered(vcpu) != vcpu->lack.delivered + 1)
		return X86_OK;
	return kill(vcpu, "it halted with interrupts disabled");
}
