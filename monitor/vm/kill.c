/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ending a VM whose guest is beyond what is supported. */
#include <stdarg.h>
#include <stdio.h>
#include "vm.h"
#include "x86/fpu_spill.h"

enum x86_status vm_kill(struct vcpu *vcpu, const char *fmt, ...)
{
	struct vm *vm = vcpu->vm;
	int running = VM_RUNNING;
	va_list args;

	fpu_spill(&vcpu->cpu);
	if (!atomic_compare_exchange_strong(&vm->end, &running, VM_KILLED))
		return X86_DEAD;
	va_start(args, fmt);
	vsnprintf(vm->kill_reason, sizeof(vm->kill_reason), fmt, args);
	va_end(args);
	vm->exit_code = 3;
	fprintf(stderr, "ringfence: %s was stopped: %s\n", vm->name ? vm->name : "the guest",
		vm->kill_reason);
	vcpu_print_state(vcpu, stderr);
	vcpu_raise_event(vcpu, EVENT_STOP);
	if (vm->ended)
		vm->ended(vm);
	return X86_DEAD;
}
