/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking interrupts at an instruction boundary: NMI, then INTR (SDM vol. 3, 6.6 to 6.9). Delivery
 * through the IDT is in exceptions.c.
 */
#include <assert.h>
#include "processor.h"
#include "monitor/vm/vm.h"

/* Which of EVENT_NMI and EVENT_INTR the CPU would take right now. */
static uint32_t events_to_take(const struct cpu *cpu)
{
	const uint32_t mask = cpu_event_mask(cpu, cpu->eflags & X86_IF) & (EVENT_NMI | EVENT_INTR);

	return cpu->inhibit ? 0 : atomic_load(&cpu->events) & mask;
}

bool vcpu_interruptible(const struct vcpu *vcpu)
{
	return events_to_take(&vcpu->cpu);
}

int vcpu_acknowledge(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int vector;

	assert(vcpu_is_mine(vcpu));
	pthread_mutex_lock(&vm->device_lock);
	vector = interrupt_acknowledge(&vm->interrupt_source);
	/*
	 * Nothing to deliver though INTR was up: drop it, or HLT and the engines would spin on it.
	 */
	if (vector < 0)
		vcpu_clear_event(vcpu, EVENT_INTR);
	pthread_mutex_unlock(&vm->device_lock);
	assert(vector < 256);
	return vector;
}

enum x86_status vcpu_deliver_interrupts(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	const uint32_t events = events_to_take(cpu);
	int vector;

	if (events & EVENT_NMI) {
		vcpu_clear_event(vcpu, EVENT_NMI);
		cpu->nmi_blocked = true;
		cpu->halted = false;
		return interrupt_deliver(vcpu, EXC_NMI);
	}
	if (!(events & EVENT_INTR))
		return X86_OK;
	vector = vcpu_acknowledge(vcpu);
	if (vector < 0)
		return X86_OK;
	cpu->halted = false;
	vcpu->interrupts++;
	log_item(vcpu->vm->log, LOG_INT, "interrupt %02x at %04x:%08x\n", vector,
		 cpu->seg[X86_CS].selector, cpu->eip);
	return interrupt_deliver(vcpu, vector);
}
