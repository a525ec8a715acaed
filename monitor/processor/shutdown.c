/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shutdown state, which a triple fault leads to (SDM vol. 3, 6.15, "Interrupt 8"). */
#include <inttypes.h>
#include "cpu_lacks.h"
#include "processor.h"
#include "monitor/vm/vm.h"
#include "x86/fpu_spill.h"

enum x86_status processor_shutdown(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct cpu *cpu = &vcpu->cpu;

	fpu_spill(cpu);
	if (cpu_lacks_shutdown(vcpu))
		return X86_DEAD;
	fprintf(stderr,
		"ringfence: the guest's processor shut down (triple fault) at %04x:%08" PRIx32
		"; %s\n",
		cpu->seg[X86_CS].selector, cpu->eip,
		vm->no_reboot ? "ending (-no-reboot)" : "resetting the machine");
	if (log_on(vm->log, LOG_INT | LOG_GUEST_ERRORS))
		vcpu_print_state(vcpu, vm->log->out);
	vm_end(vm, VM_TRIPLE_FAULT, 0);
	return X86_DEAD;
}
