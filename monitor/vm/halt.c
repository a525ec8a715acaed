/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HLT, and telling the user of a processor that has halted for good. A guest without ACPI that
 * powers off ends so, and would leave a process that shows no reason to be there.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include "devices/board/pc_board.h"
#include "vm.h"

void vcpu_halt(struct vcpu *vcpu)
{
	assert(vcpu_is_mine(vcpu));
	vcpu->cpu.halted = true;
	vcpu->halt_told = false;
}

/* A reset or the user's doing apart. */
static bool can_wake(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool nmis = true;

	if (vcpu->cpu.eflags & X86_IF)
		return true;
	pthread_mutex_lock(&vm->device_lock);
	if (vm->board)
		nmis = pc_board_sends_nmis(vm->board);
	pthread_mutex_unlock(&vm->device_lock);
	return nmis && !vcpu->cpu.nmi_blocked;
}

void vcpu_tell_halt(struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;
	const char *way_out = vcpu->vm->way_out;

	if (vcpu->halt_told || !cpu->halted || can_wake(vcpu))
		return;
	vcpu->halt_told = true;
	fprintf(stderr,
		"ringfence: the guest has halted with interrupts off, at %04x:%08" PRIx32
		": nothing wakes it but a reset; %s\n",
		cpu->seg[X86_CS].selector, cpu->eip, way_out ? way_out : "SIGTERM ends ringfence");
}
