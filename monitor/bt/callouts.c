/* SPDX-License-Identifier: GPL-2.0-or-later */
/* C functions that translated code calls. The whole guest state is in struct cpu. */
#include <assert.h>
#include "internal.h"
#include "monitor/interp/interp.h"
#include "monitor/processor/processor.h"
#include "x86/fpu_spill.h"

/* A far transfer to the next instruction is one all the same. */
static bool same_code(const struct segment *a, const struct segment *b)
{
	return a->base == b->base && a->limit == b->limit;
}

int bt_callout_interpret(struct cpu *cpu, uint32_t adapt, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	struct bt *bt = bt_of(vcpu);
	const uint64_t odd = bt->traced_writes + vcpu->mmio_accesses;
	const struct segment cs = cpu->seg[X86_CS];
	const uint32_t eip = cpu->eip, ac = cpu->eflags & X86_AC;
	enum interp_result result;

	assert(tcw(cpu)->fpu_live != FPU_LIVE);
	bt->stats.callouts_interpret++;
	bt->changed = false;
	translator_x87_store(bt->translator, cpu);
	result = interp_step(vcpu);
	translator_x87_load(cpu);
	switch (result) {
	case INTERP_OK:
		bt_refresh_state(cpu);
		bt->unfinished = bt_is_unfinished(cpu, eip);
		if (adapt &&
		    bt_unadapt_idle(bt, cs.base + eip,
				     bt->traced_writes + vcpu->mmio_accesses != odd))
			return CALLOUT_LEAVE(TC_LEAVE_RESUME);
		if (cpu->eip == next_eip && !bt->changed && !cpu->inhibit &&
		    (cpu->eflags & X86_AC) == ac && bt_mode(cpu) == tcw(cpu)->mode &&
		    same_code(&cs, &cpu->seg[X86_CS])) {
			return CALLOUT_NEXT;
		}
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	case INTERP_DEAD:
		return CALLOUT_LEAVE(TC_LEAVE_DEAD);
	default:
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	}
}

/* CPL is 0: translated so. */
int bt_callout_load_cr3(struct cpu *cpu, uint32_t value, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	enum x86_status status = control_reg_write(vcpu, 3, value);

	assert(!cpu->cpl);
	if (status == X86_OK)
		cpu->eip = next_eip;
	return bt_light_transfer(vcpu, status);
}
