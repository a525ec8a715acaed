/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine that interprets every instruction. Events are looked at between instructions: one load and test each. */
#include <errno.h>
#include "engine.h"
#include "interp.h"
#include "vm.h"

static int engine_interp_create(struct vcpu *vcpu, const char *options, const char **why)
{
	int err;

	if (options) {
		*why = "engine interp has no options but stats=FILE";
		return -EINVAL;
	}
	err = interp_create(vcpu);
	if (err)
		*why = "no memory for the interpreter";
	return err;
}

static void engine_interp_destroy(struct vcpu *vcpu)
{
	interp_destroy(vcpu);
}

/* False: leave the engine. */
static bool engine_interp_events(struct vcpu *vcpu)
{
	if (atomic_load_explicit(&vcpu->cpu.events, memory_order_relaxed) & (EVENT_STOP | EVENT_RESET | EVENT_WORK))
		return false;
	return vcpu_deliver_interrupts(vcpu) == X86_OK;
}

static void engine_interp_run(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	while (vm_is_running(vcpu->vm)) {
		if (rf_unlikely(atomic_load_explicit(&cpu->events, memory_order_relaxed)) && !engine_interp_events(vcpu))
			return;
		if (rf_unlikely(cpu->halted)) {
			vcpu_wait_for_interrupt(vcpu);
			continue;
		}
		if (interp_step(vcpu) == INTERP_DEAD)
			return;
	}
}

const struct engine engine_interp = {
	.name = "interp",
	.create = engine_interp_create,
	.destroy = engine_interp_destroy,
	.run = engine_interp_run,
};
