/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A debugger's points under KVM (monitor/vm/debugger.h): the processor's four breakpoint registers,
 * which KVM_SET_GUEST_DEBUG takes from the guest meanwhile. Software breakpoints would be seen in
 * the guest's memory.
 *
 * A step is the interpreter's, as under other engines, which shows no TF to the guest. Where it
 * cannot reach the interrupt controllers a step is KVM's.
 */
#include <errno.h>
#include <string.h>
#include "internal.h"
#include "monitor/interp/interp.h"
#include "monitor/processor/processor.h"

#define POINTS 4

/* R/W and LEN of DR7 (SDM vol. 3, 17.2.4). */
enum { ON_EXECUTION, ON_WRITE, ON_ACCESS = 3 };

struct point {
	gva_t at;
	unsigned type, len;
	enum debugger_watch watch; /* 0: a breakpoint */
};

/* The largest aligned piece of 1, 2 or 4 bytes that [at, at+left) begins with. */
static unsigned piece(gva_t at, uint32_t left)
{
	unsigned len = 4;

	while (at & (len - 1) || len > left)
		len /= 2;
	return len;
}

/* Those that there would be, of which the first POINTS are in point. */
static unsigned find_points(const struct debugger *d, struct point point[POINTS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->nbreakpoints && n < POINTS; i++)
		point[n++] = (struct point){ .at = d->breakpoint[i], .len = 1 };
	if (d->nbreakpoints > POINTS)
		return d->nbreakpoints;
	for (unsigned i = 0; i < d->nwatchpoints; i++) {
		const struct debugger_watchpoint *w = &d->watchpoint[i];

		for (uint32_t done = 0, len; done < w->len; done += len) {
			len = piece(w->start + done, w->len - done);
			if (n == POINTS)
				return POINTS + 1;
			point[n++] = (struct point){
				.at = w->start + done, .len = len, .watch = w->kind,
				.type = w->kind == DEBUGGER_WRITES ? ON_WRITE : ON_ACCESS };
		}
	}
	return n;
}

int kvm_debug_check(struct vcpu *vcpu)
{
	struct point point[POINTS];

	return find_points(&vcpu->debugger, point) > POINTS ? -ENOSPC : 0;
}

int kvm_debug_put(struct kvm_engine *kvm)
{
	const struct debugger *d = &kvm->vcpu->debugger;
	struct kvm_guest_debug debug = { 0 };
	struct point point[POINTS];
	const unsigned n = find_points(d, point);

	if (n)
		debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	if (d->stepping)
		debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
				 KVM_GUESTDBG_BLOCKIRQ;
	if (!debug.control && !kvm->debugged)
		return 0;
	debug.arch.debugreg[7] = 0x400;
	for (unsigned i = 0; i < n && i < POINTS; i++) {
		debug.arch.debugreg[i] = point[i].at;
		debug.arch.debugreg[7] |= 2u << 2 * i |
					  (point[i].type | (point[i].len - 1) << 2) << (16 + 4 * i);
	}
	kvm->debugged = debug.control;
	return kvm_ioctl(kvm->vcpu_fd, KVM_SET_GUEST_DEBUG, &debug);
}

/* The guest's own debug exception, which KVM has left to us. */
static bool give_back(struct kvm_engine *kvm, uint32_t dr6)
{
	struct vcpu *vcpu = kvm->vcpu;
	int err = kvm_get_state(kvm);

	if (!err) {
		fault_raise(&vcpu->cpu, EXC_DB);
		vcpu->cpu.fault.dr6 = dr6 & (DR6_BS | DR6_BD | DR6_BT);
		if (exception_deliver(vcpu) != X86_OK)
			return false;
		err = kvm_put_state(kvm);
	}
	return !err || kvm_kill(kvm, "cannot deliver a debug exception: %s", error_reason(-err));
}

bool kvm_exit_debug(struct kvm_engine *kvm)
{
	struct vcpu *vcpu = kvm->vcpu;
	struct debugger *d = &vcpu->debugger;
	const uint32_t dr6 = kvm->run->debug.arch.dr6;
	struct point point[POINTS];
	const unsigned n = find_points(d, point);

	for (unsigned i = 0; i < n && i < POINTS; i++) {
		if (!(dr6 >> i & 1))
			continue;
		d->hit = point[i].at;
		d->hit_kind = point[i].watch;
		debugger_stop(vcpu, point[i].watch ? DEBUGGER_WATCHPOINT : DEBUGGER_BREAKPOINT);
		return true;
	}
	if (!d->stepping)
		return give_back(kvm, dr6);
	debugger_stop(vcpu, DEBUGGER_STEPPED);
	return true;
}

void kvm_step_alone(struct vcpu *vcpu)
{
	struct kvm_engine *kvm = kvm_of(vcpu);

	if (!kvm->assist) {
		/* A breakpoint that is passed: the processor's own heed RF. */
		if (!vcpu->debugger.stepping)
			vcpu->cpu.eflags |= X86_RF;
		vcpu->engine->run(vcpu);
	} else if (vcpu->cpu.halted) {
		interp_step_alone(vcpu);
	} else if (kvm_interpret_one(kvm) != X86_DEAD && vcpu->debugger.stepping) {
		debugger_stop(vcpu, DEBUGGER_STEPPED);
	}
}
