/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shutdown state, which a triple fault leads to (SDM vol. 3, 6.15, "Interrupt 8"). */
#include <inttypes.h>
#include <time.h>
#include "cpu_lacks.h"
#include "processor.h"
#include "monitor/vm/vm.h"
#include "x86/fpu_spill.h"

#define REPORT_EVERY_NS 1000000000ull

/* A guest that does nothing else is told of once a second. */
static bool shutdown_is_told(struct vm_shutdowns *shutdowns)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	if (shutdowns->told_ns && now - shutdowns->told_ns < REPORT_EVERY_NS) {
		shutdowns->untold++;
		return false;
	}
	shutdowns->told_ns = now;
	return true;
}

static const char *shutdown_consequence(const struct vm *vm)
{
	if (!vm->no_reboot)
		return "resetting the machine (-no-reboot would end it here)";
	return vm->no_shutdown ? "the machine stops (-no-reboot -no-shutdown)" :
				 "ending (-no-reboot)";
}

static void shutdown_tell(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	const struct cpu *cpu = &vcpu->cpu;
	const uint64_t untold = vm->shutdowns.untold;

	if (!shutdown_is_told(&vm->shutdowns))
		return;
	fprintf(stderr,
		"ringfence: the guest's processor shut down (triple fault) at %04x:%08" PRIx32
		"; %s",
		cpu->seg[X86_CS].selector, cpu->eip, shutdown_consequence(vm));
	if (untold)
		fprintf(stderr, "; %" PRIu64 " times more since the last report", untold);
	fprintf(stderr, "\n");
	vm->shutdowns.untold = 0;
}

enum x86_status processor_shutdown(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	fpu_spill(&vcpu->cpu);
	if (cpu_lacks_shutdown(vcpu))
		return X86_DEAD;
	shutdown_tell(vcpu);
	if (log_on(vm->log, LOG_INT | LOG_GUEST_ERRORS))
		vcpu_print_state(vcpu, vm->log->out);
	vm_end(vm, VM_TRIPLE_FAULT, 0);
	return X86_DEAD;
}
