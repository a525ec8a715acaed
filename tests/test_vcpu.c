/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vCPU thread with an engine that only waits: events, sleeping, pausing, queued work, resets,
 * ends.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include "monitor/processor/processor.h"
#include "host_clock.h"
#include "monitor/vm/event_loop.h"
#include "monitor/vm/vm.h"

static struct vm vm;
static struct vcpu *const vcpu = &vm.vcpu;
static _Atomic int runs, wakeups, resets, works, ends;
static int reset_result;

/* Sleeps as HLT does until it is asked to leave; an interrupt only counts. */
static void waiting_run(struct vcpu *v)
{
	runs++;
	for (;;) {
		vcpu_wait_for_interrupt(v);
		wakeups++;
		if (v->cpu.events & (EVENT_STOP | EVENT_RESET))
			return;
		vcpu_clear_event(v, EVENT_INTR | EVENT_NMI);
	}
}

static const struct engine waiting_engine = { .name = "waiting", .run = waiting_run };

static int on_reset(struct vm *v)
{
	resets++;
	return reset_result;
}

static void on_end(struct vm *v)
{
	ends++;
}

static void *thread(void *arg)
{
	vcpu_thread_begins(vcpu);
	vcpu_thread_loop(vcpu);
	vcpu_thread_ends(vcpu);
	return NULL;
}

static pthread_t the_thread;

static void start(void)
{
	pthread_create(&the_thread, NULL, thread, NULL);
}

static bool eventually(_Atomic int *value, int wanted)
{
	for (int i = 0; i < 60000; i++) {
		if (*value >= wanted)
			return true;
		usleep(1000);
	}
	return false;
}

struct counted_work {
	struct vm_work work;
	pthread_t ran_on;
};

static void count_work(struct vcpu *v, struct vm_work *work)
{
	rf_container_of(work, struct counted_work, work)->ran_on = pthread_self();
	works++;
}

/* With the VM paused: until its thread has noticed. */
static void expect_stopped(void)
{
	struct counted_work work = { .work.run = count_work };
	const int before = works;

	vm_queue_work(&vm, &work.work);
	cr_assert(eventually(&works, before + 1));
}

static void setup(void)
{
	vm_init(&vm);
	cr_assert_eq(guest_ram_init(&vm.ram, 1 << 20), 0);
	cr_assert_eq(vcpu_init(vcpu, &vm), 0);
	processor_reset(vcpu);
	vcpu->engine = &waiting_engine;
	vm.reset = on_reset;
	vm.ended = on_end;
}

static void finish(void)
{
	vm_end(&vm, VM_QUIT, 0);
	pthread_join(the_thread, NULL);
}

TestSuite(vcpu, .init = setup, .timeout = 120);

Test(vcpu, reset_state_is_the_manuals)
{
	struct cpu *c = &vcpu->cpu;

	c->regs[X86_EAX] = 1;
	c->cr3 = 0x1000;
	c->halted = true;
	processor_reset(vcpu);
	cr_expect_eq(c->eip, 0xfff0);
	cr_expect_eq(c->seg[X86_CS].selector, 0xf000);
	cr_expect_eq(c->seg[X86_CS].base, 0xffff0000);
	cr_expect_eq(c->eflags, 2);
	cr_expect_eq(c->cr0, 0x60000010);
	cr_expect_eq(c->cr3 | c->cr4 | c->cr2, 0);
	cr_expect_eq(c->dr[6], 0xffff0ff0);
	cr_expect_eq(c->dr[7], 0x400);
	cr_expect_eq(c->regs[X86_EAX], 0);
	cr_expect_eq(c->regs[X86_EDX] >> 8 & 0xf, 6, "family in EDX");
	cr_expect_eq(c->idtr.limit, 0xffff);
	cr_expect_eq(c->fpu.mxcsr, 0x1f80);
	cr_expect_not(c->halted);
}

Test(vcpu, what_interrupts_when)
{
	struct cpu *c = &vcpu->cpu;

	cr_expect_not(vcpu_interruptible(vcpu));
	vcpu_raise_event(vcpu, EVENT_INTR);
	cr_expect_not(vcpu_interruptible(vcpu), "IF is clear");
	c->eflags |= X86_IF;
	cr_expect(vcpu_interruptible(vcpu));
	c->inhibit = INHIBIT_STI;
	cr_expect_not(vcpu_interruptible(vcpu));
	c->inhibit = 0;
	vcpu_clear_event(vcpu, EVENT_INTR);
	cr_expect_not(vcpu_interruptible(vcpu));
	c->eflags = X86_F1;
	vcpu_raise_event(vcpu, EVENT_NMI);
	cr_expect(vcpu_interruptible(vcpu));
	c->nmi_blocked = true;
	cr_expect_not(vcpu_interruptible(vcpu));
}

static int no_vector(void *opaque)
{
	return -1;
}

Test(vcpu, withdrawn_interrupt_is_dropped)
{
	vm.interrupt_source.acknowledge = no_vector;
	vcpu->cpu.eflags |= X86_IF;
	vcpu->cpu.halted = true;
	vcpu_raise_event(vcpu, EVENT_INTR);
	cr_expect_eq(vcpu_deliver_interrupts(vcpu), X86_OK);
	cr_expect_eq(vcpu->cpu.events, 0);
	cr_expect(vcpu->cpu.halted, "woken without an interrupt");
}

Test(vcpu, sleeps_until_an_interrupt_it_can_take)
{
	start();
	cr_assert(eventually(&runs, 1));
	vcpu_raise_event(vcpu, EVENT_INTR);
	usleep(30000);
	cr_expect_eq(wakeups, 0, "woke though IF is clear");
	vcpu_raise_event(vcpu, EVENT_NMI);
	cr_expect(eventually(&wakeups, 1));
	finish();
	cr_expect_eq(ends, 1);
}

Test(vcpu, work_runs_on_its_thread_also_while_paused)
{
	struct counted_work a = { .work.run = count_work }, b = a, c = a;

	vm.paused = true;
	start();
	vm_queue_work(&vm, &a.work);
	vm_queue_work(&vm, &b.work);
	cr_assert(eventually(&works, 2));
	cr_expect_eq(runs, 0, "ran though paused");
	cr_expect(pthread_equal(a.ran_on, the_thread));
	vm_continue(&vm);
	cr_assert(eventually(&runs, 1));
	vm_queue_work(&vm, &c.work);
	cr_assert(eventually(&works, 3));
	cr_expect(eventually(&runs, 2), "did not go on after work");
	finish();
}

Test(vcpu, pause_and_continue_never_get_lost)
{
	start();
	for (int i = 0; i < 2000; i++) {
		int before = runs;

		vm_pause(&vm);
		if (i & 1)
			vm_pause(&vm);
		if (i & 2)
			sched_yield();
		vm_continue(&vm);
		if (i % 100 == 0)
			cr_assert(eventually(&runs, before ? before : 1));
	}
	vm_pause(&vm);
	expect_stopped();
	{
		int before = runs;

		usleep(20000);
		cr_expect_eq(runs, before, "runs while paused");
		vm_continue(&vm);
		cr_expect(eventually(&runs, before + 1));
	}
	finish();
}

Test(vcpu, reset_and_triple_fault_reset_the_machine)
{
	start();
	cr_assert(eventually(&runs, 1));
	vm_end(&vm, VM_REBOOT, 0);
	cr_assert(eventually(&runs, 2));
	cr_expect_eq(resets, 1);
	vm_end(&vm, VM_TRIPLE_FAULT, 0);
	cr_assert(eventually(&resets, 2));
	cr_expect(vm_is_running(&vm));
	finish();
}

Test(vcpu, failed_reset_ends_the_vm)
{
	reset_result = -ENOENT;
	start();
	vm_end(&vm, VM_REBOOT, 0);
	pthread_join(the_thread, NULL);
	cr_expect_eq(vm.end, VM_HOST_ERROR);
	cr_expect_eq(vm.exit_code, 1);
}

Test(vcpu, no_reboot_and_no_shutdown)
{
	vm.no_reboot = vm.no_shutdown = true;
	start();
	vm_end(&vm, VM_POWEROFF, 0);
	cr_expect(vm.paused);
	expect_stopped();
	cr_expect(vm_is_running(&vm));
	vm_continue(&vm);
	vm_end(&vm, VM_REBOOT, 0);
	cr_expect(vm.paused, "a reset is a shutdown then, which stops the machine");
	expect_stopped();
	cr_expect(vm_is_running(&vm));
	vm_end(&vm, VM_QUIT, 0);
	pthread_join(the_thread, NULL);
	cr_expect_eq(vm.end, VM_QUIT);
	cr_expect_eq(resets, 0);
	cr_expect_eq(ends, 1);
}

Test(vcpu, first_end_wins)
{
	vm_end(&vm, VM_DEBUG_EXIT, 33);
	vm_end(&vm, VM_QUIT, 0);
	cr_expect_eq(vm_kill(vcpu, "too late %d", 1), X86_DEAD);
	cr_expect_eq(vm.end, VM_DEBUG_EXIT);
	cr_expect_eq(vm.exit_code, 33);
	cr_expect_str_eq(vm.kill_reason, "");
	cr_expect_eq(ends, 1);
}

Test(vcpu, kill_keeps_its_reason)
{
	cr_expect_eq(vm_kill(vcpu, "no such thing as %d", 42), X86_DEAD);
	cr_expect_eq(vm_kill(vcpu, "another"), X86_DEAD);
	cr_expect_str_eq(vm.kill_reason, "no such thing as 42");
	cr_expect_eq(vm.exit_code, 3);
	cr_expect_eq(vm.end, VM_KILLED);
}

Test(vcpu, pause_stops_the_clock)
{
	struct clock clock;
	uint64_t tsc_offset = vcpu->cpu.tsc_offset, at, continued, went;

	cr_assert_eq(event_loop_create(&vm.device_lock, &vm.loop), 0);
	clock = event_loop_clock(vm.loop);
	vm.paused = true;
	start();
	expect_stopped();
	pthread_mutex_lock(&vm.device_lock);
	at = clock_now(&clock);
	pthread_mutex_unlock(&vm.device_lock);
	usleep(20000);
	pthread_mutex_lock(&vm.device_lock);
	cr_expect_eq(clock_now(&clock), at);
	pthread_mutex_unlock(&vm.device_lock);
	continued = host_ns();
	vm_continue(&vm);
	cr_assert(eventually(&runs, 1));
	pthread_mutex_lock(&vm.device_lock);
	went = clock_now(&clock) - at; /* before the host's clock is read: time passes in between */
	cr_expect_leq(went, host_ns() - continued);
	pthread_mutex_unlock(&vm.device_lock);
	cr_expect_neq(vcpu->cpu.tsc_offset, tsc_offset);
	finish();
	event_loop_destroy(vm.loop);
}
