/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dispatcher: alternates between finding a TU for the guest's EIP and running translated code
 * until that leaves.
 */
#include <assert.h>
#include "internal.h"
#include "profile.h"
#include "monitor/interp/interp.h"
#include "monitor/processor/processor.h"
#include "monitor/vm/vm.h"

/* False: leave the engine. */
static bool bt_take_events(struct vcpu *vcpu)
{
	if (atomic_load(&vcpu->cpu.events) & (EVENT_STOP | EVENT_RESET))
		return false;
	bt_soft_sweep(bt_of(vcpu));
	return vcpu_deliver_interrupts(vcpu) == X86_OK;
}

static bool bt_interpret(struct bt *bt)
{
	const uint32_t eip = bt->vcpu->cpu.eip;
	bool alive;

	bt->stats.interpreted++;
	bt->stats.interpreted_rounds++;
	if (rf_unlikely(bt->profile))
		profile_interpret_begins(bt->profile, bt->vcpu->cpu.eip);
	alive = interp_step(bt->vcpu) != INTERP_DEAD;
	bt->unfinished = bt_is_unfinished(&bt->vcpu->cpu, eip);
	if (rf_unlikely(bt->profile))
		profile_interpret_ends(bt->profile);
	return alive;
}

static bool bt_run_is_over(const struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->cpu.events, memory_order_relaxed) || vcpu->cpu.halted ||
	       !vm_is_running(vcpu->vm) ||
	       (vcpu->debugger.nbreakpoints && debugger_is_at_breakpoint(vcpu));
}

/*
 * Code that cannot be translated, up to an event or the first that can be: what translated code
 * would have to be told (bt_prepare()) is nobody's concern between its instructions.
 */
static bool bt_interpret_run(struct bt *bt)
{
	struct vcpu *vcpu = bt->vcpu;
	const struct cpu *cpu = &vcpu->cpu;
	uint32_t eip;

	bt->stats.interpreted_rounds++;
	do {
		eip = cpu->eip;
		if (interp_run(vcpu, &bt->stats.interpreted) == INTERP_DEAD)
			return false;
	} while (!bt_run_is_over(vcpu) && !bt_is_translatable(cpu));
	bt->unfinished = bt_is_unfinished(cpu, eip);
	return true;
}

static bool bt_interpret_here(struct bt *bt)
{
	/* A profile tells each instruction apart. */
	return bt->profile || bt_is_translatable(&bt->vcpu->cpu) ? bt_interpret(bt) :
								    bt_interpret_run(bt);
}

static void bt_prefill(struct bt *bt)
{
	const struct cpu *cpu = &bt->vcpu->cpu;

	if (cpu->eip != bt->prefill_eip || cpu->cpl != bt->prefill_cpl)
		return;
	bt->prefill = false;
	shadow_prefill(bt->shadow, cpu->cpl == 3 ? SHADOW_USER : SHADOW_KERNEL, bt->prefill_gva,
		       bt->prefill_access);
}

#define NO_LINK 0xffffffffu

/* Enters tu; *link is the exit it left by, or NO_LINK. False: the VM ended. */
static bool bt_enter(struct bt *bt, struct tu *tu, uint32_t *link)
{
	struct cpu *cpu = &bt->vcpu->cpu;

	assert(!cpu->halted && !cpu->inhibit);
	*link = NO_LINK;
	bt->stats.entries++;
	switch (translator_enter(bt->translator, cpu, tu)) {
	case TC_LEAVE_LINK:
		bt->stats.leaves_link++;
		*link = translator_exit_taken(cpu);
		cpu->eip = translator_exit_target(bt->translator, *link) -
			   cpu->seg[X86_CS].base;
		return true;
	case TC_LEAVE_LOOKUP:
		cpu->eip -= tcw(cpu)->lookup_base;
		bt->stats.leaves_lookup++;
		return true;
	case TC_LEAVE_RETRANSLATE:
		bt->stats.leaves_retranslate++;
		return true;
	case TC_LEAVE_RESUME:
		bt->stats.leaves_resume++;
		return true;
	case TC_LEAVE_INTERPRET:
		bt->stats.leaves_interpret++;
		return bt_interpret(bt);
	case TC_LEAVE_FAULT:
		bt->stats.leaves_fault++;
		return exception_deliver(bt->vcpu) == X86_OK;
	case TC_LEAVE_DEAD:
		break;
	}
	return false;
}

/* The TU for the current EIP, ready to be entered, or NULL: interpret. */
static struct tu *bt_find(struct bt *bt, uint32_t link)
{
	const uint64_t flushes = translator_stats(bt->translator)->cache_flushes;
	struct cpu *cpu = &bt->vcpu->cpu;
	struct tu *tu;
	uint32_t mode;

	if (rf_unlikely(!(cpu->seg[X86_CS].attr & SEG_DB)) &&
	    translator_learn_code_segment(bt->translator, &cpu->seg[X86_CS]))
		bt->returns_stale = true;
	mode = bt_prepare(bt);
	if (mode & MODE_UNTRANSLATABLE || cpu->inhibit)
		return NULL;
	tu = translator_find(bt->translator, bt_tc_space(bt),
			     cpu->seg[X86_CS].base + cpu->eip, mode);
	if (!tu)
		return NULL;
	/* To fetch may drop translations, where the return stack leads. */
	if (rf_unlikely(bt->returns_stale) && bt_prepare(bt) != mode)
		return NULL;
	if (translator_stats(bt->translator)->cache_flushes != flushes) {
		bt->user_returns.space = NULL;
		translator_reset_returns(bt->translator, cpu, cpu->cpl == 3);
	} else if (link != NO_LINK)
		translator_link(bt->translator, bt_tc_space(bt), link, tu);
	translator_cache_branch(bt->translator, bt_tc_space(bt), tu);
	return tu;
}

void bt_dispatch(struct bt *bt)
{
	struct vcpu *vcpu = bt->vcpu;
	struct cpu *cpu = &vcpu->cpu;
	uint32_t link = NO_LINK;

	assert(vcpu_is_mine(vcpu));
	while (vm_is_running(vcpu->vm)) {
		struct tu *tu;

		if (rf_unlikely(atomic_load_explicit(&cpu->events, memory_order_relaxed)) &&
		    !bt_take_events(vcpu))
			return;
		if (rf_unlikely(cpu->halted)) {
			vcpu_wait_for_interrupt(vcpu);
			continue;
		}
		if (rf_unlikely(vcpu->debugger.nbreakpoints) && debugger_is_at_breakpoint(vcpu)) {
			if (debugger_stops_here(vcpu) || !bt_interpret(bt))
				return;
			link = NO_LINK;
			continue;
		}
		if (rf_unlikely(bt->prefill))
			bt_prefill(bt);
		tu = rf_unlikely(bt->unfinished) ? NULL : bt_find(bt, link);
		if (!tu) {
			link = NO_LINK;
			if (!bt_interpret_here(bt))
				return;
			continue;
		}
		if (rf_unlikely(log_on(vcpu->vm->log, LOG_EXEC | LOG_CPU)))
			log_write(vcpu->vm->log, "exec %08x esp %08x eax %08x fl %x\n", cpu->eip,
				  cpu->regs[X86_ESP], cpu->regs[0], cpu->eflags);
		if (rf_unlikely(log_on(vcpu->vm->log, LOG_CPU)))
			vcpu_print_state(vcpu, vcpu->vm->log->out);
		if (!bt_enter(bt, tu, &link))
			return;
	}
}
