/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the rest of the monitor reaches a virtual processor: events from other threads, sleeping in
 * HLT, taking interrupts, and the thread that runs it.
 *
 * Lock order: the device lock, then wake_mutex.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "cpu_models.h"
#include "event_loop.h"
#include "log.h"
#include "system.h"
#include "vm.h"

#define MXCSR_RESET      0x1f80
#define MXCSR_MASK       0xffff
#define PAT_RESET        0x0007040600070406ull
#define APIC_BASE_RESET  0xfee00900u /* enabled, bootstrap processor */
#define MISC_FAST_STRING 0x1u

int vcpu_init(struct vcpu *vcpu, struct vm *vm)
{
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = vm;
	pthread_mutex_init(&vcpu->wake_mutex, NULL);
	pthread_cond_init(&vcpu->wake_cond, NULL);
	vcpu->cpu.model = cpu_model_default();
	vcpu_reset(vcpu);
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	pthread_cond_destroy(&vcpu->wake_cond);
	pthread_mutex_destroy(&vcpu->wake_mutex);
}

static void vcpu_reset_segments(struct cpu *cpu)
{
	const uint16_t data = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED;

	for (int i = 0; i < X86_NSEG; i++)
		cpu->seg[i] = (struct segment){ .limit = 0xffff, .attr = data };
	cpu->seg[X86_CS] = (struct segment){
		.selector = 0xf000, .base = 0xffff0000, .limit = 0xffff, .attr = data | SEG_CODE
	};
	cpu->ldtr = (struct segment){ .limit = 0xffff, .attr = SEG_P | SYS_LDT };
	cpu->tr = (struct segment){ .limit = 0xffff, .attr = SEG_P | SYS_TSS32_BUSY };
	cpu->gdtr = cpu->idtr = (struct table_register){ .limit = 0xffff };
}

static void vcpu_reset_fpu(struct fxsave_image *fpu)
{
	memset(fpu, 0, sizeof(*fpu));
	fpu->fcw = 0x0040;
	fpu->ftw = 0xff; /* all registers hold +0.0 */
	fpu->mxcsr = MXCSR_RESET;
	fpu->mxcsr_mask = MXCSR_MASK;
}

void vcpu_reset(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;

	memset(cpu->regs, 0, sizeof(cpu->regs));
	memset(cpu->dr, 0, sizeof(cpu->dr));
	memset(cpu->pdpte, 0, sizeof(cpu->pdpte));
	vcpu_reset_segments(cpu);
	vcpu_reset_fpu(&cpu->fpu);
	cpu->eip = 0xfff0;
	cpu->eflags = X86_F1;
	cpu->inhibit = 0;
	cpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->cpl = 0;
	cpu->halted = false;
	cpu->nmi_blocked = cpu->ignne = false;
	cpu->a20_mask = 0xffffffff;
	cpu->efer = 0;
	cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
	cpu->apic_base = APIC_BASE_RESET;
	cpu->pat = PAT_RESET;
	cpu->misc_enable = MISC_FAST_STRING;
	cpu->tsc_offset = -__rdtsc();
	cpu->tsc_adjust = 0;
	if (cpu->model)
		cpu->regs[X86_EDX] = cpuid_query(cpu, 1, 0).eax; /* type, family, model, stepping */
	vcpu->lack.features = 0;
	soft_tlb_flush(vcpu, true);
}

bool vcpu_is_self(const struct vcpu *vcpu)
{
	return vcpu->thread_valid && pthread_equal(vcpu->thread, pthread_self());
}

void vcpu_raise_event(struct vcpu *vcpu, uint32_t events)
{
	uint32_t before = atomic_fetch_or(&vcpu->cpu.events, events);

	if ((before & events) == events || vcpu_is_self(vcpu))
		return;
	/*
	 * If it is not asleep now it will look at events before it goes to sleep. While we hold the
	 * lock it does not end.
	 */
	pthread_mutex_lock(&vcpu->wake_mutex);
	if (vcpu->asleep)
		pthread_cond_broadcast(&vcpu->wake_cond);
	else if (vcpu->thread_valid && vcpu->engine && vcpu->engine->kick)
		vcpu->engine->kick(vcpu);
	pthread_mutex_unlock(&vcpu->wake_mutex);
}

void vcpu_thread_begins(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->wake_mutex);
	vcpu->thread = pthread_self();
	vcpu->thread_valid = true;
	pthread_mutex_unlock(&vcpu->wake_mutex);
}

void vcpu_thread_ends(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->wake_mutex);
	vcpu->thread_valid = false;
	pthread_mutex_unlock(&vcpu->wake_mutex);
}

static void vcpu_sleep_locked(struct vcpu *vcpu)
{
	vcpu->asleep = true;
	pthread_cond_wait(&vcpu->wake_cond, &vcpu->wake_mutex);
	vcpu->asleep = false;
}

void vcpu_clear_event(struct vcpu *vcpu, uint32_t events)
{
	atomic_fetch_and(&vcpu->cpu.events, ~events);
}

bool vcpu_interruptible(const struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;
	uint32_t events = atomic_load(&cpu->events);

	if (cpu->inhibit)
		return false;
	return ((events & EVENT_NMI) && !cpu->nmi_blocked) ||
	       ((events & EVENT_INTR) && (cpu->eflags & X86_IF));
}

int vcpu_acknowledge_interrupt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int vector = -1;

	pthread_mutex_lock(&vm->device_lock);
	if (vm->interrupt_ack)
		vector = vm->interrupt_ack(vm->interrupt_ack_opaque);
	/*
	 * Nothing to deliver though INTR was up: drop it, or HLT and the engines would spin on it.
	 */
	if (vector < 0)
		vcpu_clear_event(vcpu, EVENT_INTR);
	pthread_mutex_unlock(&vm->device_lock);
	return vector;
}

enum x86_status vcpu_deliver_interrupts(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	uint32_t events = atomic_load(&cpu->events);
	int vector;

	if (cpu->inhibit)
		return X86_OK;
	if ((events & EVENT_NMI) && !cpu->nmi_blocked) {
		vcpu_clear_event(vcpu, EVENT_NMI);
		cpu->nmi_blocked = true;
		cpu->halted = false;
		return interrupt_deliver(vcpu, EXC_NMI);
	}
	if (!(events & EVENT_INTR) || !(cpu->eflags & X86_IF))
		return X86_OK;
	vector = vcpu_acknowledge_interrupt(vcpu);
	if (vector < 0)
		return X86_OK;
	cpu->halted = false;
	vcpu->interrupts++;
	log_item(vcpu->vm->log, LOG_INT, "interrupt %02x at %04x:%08x\n", vector,
		 cpu->seg[X86_CS].selector, cpu->eip);
	return interrupt_deliver(vcpu, vector);
}

static bool vcpu_must_wake(const struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;
	uint32_t events = atomic_load(&cpu->events);

	if (events & (EVENT_STOP | EVENT_RESET))
		return true;
	return ((events & EVENT_NMI) && !cpu->nmi_blocked) ||
	       ((events & EVENT_INTR) && (cpu->eflags & X86_IF));
}

void vcpu_wait_for_interrupt(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->wake_mutex);
	while (!vcpu_must_wake(vcpu))
		vcpu_sleep_locked(vcpu);
	pthread_mutex_unlock(&vcpu->wake_mutex);
}

/* The next of what was queued; while the VM is paused, waits for it if may_wait. */
static struct vm_work *vcpu_next_work(struct vcpu *vcpu, bool may_wait)
{
	struct vm *vm = vcpu->vm;
	struct vm_work *work;

	pthread_mutex_lock(&vcpu->wake_mutex);
	for (;;) {
		/*
		 * Before looking at why: a reason that comes up after the look then raises it, and
		 * wakes us, again.
		 */
		vcpu_clear_event(vcpu, EVENT_STOP);
		if (vm->work || !may_wait || !vm->paused || !vm_is_running(vm) ||
		    (atomic_load(&vcpu->cpu.events) & EVENT_RESET))
			break;
		vcpu_sleep_locked(vcpu);
	}
	work = vm->work;
	if (work)
		vm->work = work->next;
	pthread_mutex_unlock(&vcpu->wake_mutex);
	return work;
}

static void vcpu_freeze_clock(struct vcpu *vcpu, bool freeze)
{
	struct vm *vm = vcpu->vm;

	if (!vm->loop)
		return;
	pthread_mutex_lock(&vm->device_lock);
	if (freeze)
		event_loop_freeze(vm->loop);
	else
		event_loop_thaw(vm->loop);
	pthread_mutex_unlock(&vm->device_lock);
}

/*
 * Runs what was queued, and waits while the VM is paused. The clock and the TSC stand still then; a
 * pause that begins later is the next call's.
 */
static void vcpu_stop_point(struct vcpu *vcpu)
{
	struct vm_work *work;
	bool paused = vcpu->vm->paused;
	uint64_t since = __rdtsc();

	if (paused)
		vcpu_freeze_clock(vcpu, true);
	while ((work = vcpu_next_work(vcpu, paused)))
		work->run(vcpu, work);
	if (paused) {
		vcpu->cpu.tsc_offset -= __rdtsc() - since;
		vcpu_freeze_clock(vcpu, false);
	}
}

static void vcpu_reset_machine(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vcpu_clear_event(vcpu, EVENT_RESET);
	if (vm->reset && vm->reset(vm))
		vm_end(vm, VM_HOST_ERROR, 1);
}

void vcpu_thread_loop(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	while (vm_is_running(vm)) {
		uint32_t events = atomic_load(&vcpu->cpu.events);

		if (events & EVENT_RESET)
			vcpu_reset_machine(vcpu);
		else if (events & EVENT_STOP || vm->paused)
			vcpu_stop_point(vcpu);
		else
			vcpu->engine->run(vcpu);
	}
}
