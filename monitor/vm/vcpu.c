/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the rest of the monitor reaches a virtual processor: events from other threads, sleeping in
 * HLT, and the thread that runs it.
 *
 * Lock order: the device lock, then wake_mutex.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "devices/board/pc_board.h"
#include "event_loop.h"
#include "lock_check.h"
#include "log.h"
#include "vm.h"

#define EVENT_ALL (EVENT_INTR | EVENT_NMI | EVENT_STOP | EVENT_RESET)

int vcpu_init(struct vcpu *vcpu, struct vm *vm)
{
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = vm;
	pthread_mutex_init(&vcpu->wake_mutex, NULL);
	pthread_cond_init(&vcpu->wake_cond, NULL);
	tsc_mark_take(&vcpu->begun);
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	assert(!vcpu->thread_valid);
	pthread_cond_destroy(&vcpu->wake_cond);
	pthread_mutex_destroy(&vcpu->wake_mutex);
}

bool vcpu_is_self(const struct vcpu *vcpu)
{
	return vcpu->thread_valid && pthread_equal(vcpu->thread, pthread_self());
}

bool vcpu_is_mine(const struct vcpu *vcpu)
{
	return !vcpu->thread_valid || vcpu_is_self(vcpu);
}

void vcpu_raise_event(struct vcpu *vcpu, uint32_t events)
{
	uint32_t before = atomic_fetch_or(&vcpu->cpu.events, events);

	assert(events && !(events & ~EVENT_ALL));
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
	assert(!vcpu->thread_valid);
	vcpu->thread = pthread_self();
	vcpu->thread_valid = true;
	pthread_mutex_unlock(&vcpu->wake_mutex);
}

void vcpu_thread_ends(struct vcpu *vcpu)
{
	assert(vcpu_is_self(vcpu));
	pthread_mutex_lock(&vcpu->wake_mutex);
	vcpu->thread_valid = false;
	pthread_mutex_unlock(&vcpu->wake_mutex);
}

static void vcpu_sleep_locked(struct vcpu *vcpu)
{
	assert(!vcpu->asleep && lock_is_held(&vcpu->wake_mutex));
	vcpu->asleep = true;
	pthread_cond_wait(&vcpu->wake_cond, &vcpu->wake_mutex);
	vcpu->asleep = false;
}

void vcpu_clear_event(struct vcpu *vcpu, uint32_t events)
{
	assert(events && !(events & ~EVENT_ALL));
	atomic_fetch_and(&vcpu->cpu.events, ~events);
}

void vcpu_flush_translations(struct vcpu *vcpu, enum tlb_flush kind)
{
	assert(vcpu_is_mine(vcpu));
	soft_tlb_flush(vcpu, kind == TLB_FLUSH_ALL);
	if (vcpu->engine && vcpu->engine->flush)
		vcpu->engine->flush(vcpu, kind);
}

void vcpu_memory_changed(struct vcpu *vcpu)
{
	assert(vcpu_is_mine(vcpu));
	soft_tlb_flush(vcpu, true);
	if (vcpu->engine && vcpu->engine->memory_changed)
		vcpu->engine->memory_changed(vcpu);
}

void vcpu_display_changed(struct vcpu *vcpu, gpa_t gpa, uint32_t size, bool watched)
{
	assert(vcpu_is_mine(vcpu));
	soft_tlb_flush(vcpu, true);
	if (vcpu->engine && vcpu->engine->display_changed)
		vcpu->engine->display_changed(vcpu, gpa, size, watched);
}

static bool vcpu_must_wake(const struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;

	return atomic_load(&cpu->events) & cpu_event_mask(cpu, cpu->eflags & X86_IF);
}

void vcpu_wait_for_interrupt(struct vcpu *vcpu)
{
	assert(vcpu_is_mine(vcpu));
	if (!vcpu_must_wake(vcpu))
		vcpu_tell_halt(vcpu);
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

/* Under the device lock. */
static void vcpu_thaw_clock(struct vm *vm)
{
	const uint64_t stood_ns = event_loop_thaw(vm->loop);

	if (vm->board && vm->rtc_runs_on)
		pc_board_rtc_advance(vm->board, stood_ns);
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
		vcpu_thaw_clock(vm);
	pthread_mutex_unlock(&vm->device_lock);
}

/* The guest stands: whoever debugs it is told. */
static void vcpu_tell_debugger(struct vcpu *vcpu)
{
	struct debugger *d = &vcpu->debugger;

	d->stepping = false;
	if (d->stopped)
		d->stopped(d->opaque);
}

/* The next of what was queued; NULL: the guest is to go on. */
static struct vm_work *vcpu_stopped_work(struct vcpu *vcpu, bool paused)
{
	if (paused && vcpu->vm->paused)
		vcpu_tell_debugger(vcpu);
	return vcpu_next_work(vcpu, paused);
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
	while ((work = vcpu_stopped_work(vcpu, paused)))
		work->run(vcpu, work);
	/* Also if another thread has let it go on before it came here. */
	vcpu->debugger.why = DEBUGGER_PAUSED;
	if (paused) {
		vcpu->cpu.tsc_offset -= __rdtsc() - since;
		vcpu_freeze_clock(vcpu, false);
	}
}

static void vcpu_reset_machine(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vcpu_clear_event(vcpu, EVENT_RESET);
	debugger_moved(vcpu);
	if (vm->reset && vm->reset(vm))
		vm_end(vm, VM_HOST_ERROR, 1);
}

/* One instruction for the debugger, or all until something happens. */
static void vcpu_run(struct vcpu *vcpu)
{
	struct debugger *d = &vcpu->debugger;

	if (rf_likely(!d->stepping && !d->passing)) {
		vcpu->engine->run(vcpu);
		return;
	}
	d->passing = false;
	vcpu->engine->step(vcpu);
}

void vcpu_thread_loop(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	assert(vcpu_is_self(vcpu));
	while (vm_is_running(vm)) {
		uint32_t events = atomic_load(&vcpu->cpu.events);

		if (events & EVENT_RESET)
			vcpu_reset_machine(vcpu);
		else if (events & EVENT_STOP || vm->paused)
			vcpu_stop_point(vcpu);
		else
			vcpu_run(vcpu);
	}
}
