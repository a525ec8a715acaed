/* SPDX-License-Identifier: GPL-2.0-or-later */
/* C functions that translated code calls. The whole guest state is in struct cpu. */
#include "bt.h"
#include "interp.h"

int bt_callout_interpret(struct cpu *cpu, uint32_t argument, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	struct bt *bt = bt_of(vcpu);

	bt->stats.callouts_interpret++;
	bt->changed = false;
	switch (interp_step(vcpu)) {
	case INTERP_OK:
		bt_refresh_segments(cpu);
		cpu->eflags &= ~X86_RF;
		if (cpu->eip == next_eip && !bt->changed && !cpu->inhibit && bt_mode(cpu) == cpu->tcw.mode)
			return CALLOUT_NEXT;
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	case INTERP_DEAD:
		return CALLOUT_LEAVE(TC_LEAVE_DEAD);
	default:
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	}
}
