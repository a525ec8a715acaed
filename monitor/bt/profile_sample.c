/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sample: where the guest and the engine were when the timer's signal came. All of it runs in the
 * handler, on the vCPU thread, but for the timer's making.
 *
 * Whose state is where depends on what was interrupted:
 *
 *   translated code      EIP by the TU's table, EBP in rbp
 *   a stub, before or    as above, of the call's return address; or the guest target or exit that
 *                        the stub was given
 *   after its C code
 *   C code               struct cpu, which is complete then; a fault's handler says itself, since
 *                        it saves late
 *
 * Callers are found by frame pointers: [EBP] is the caller's EBP, [EBP + 4] the return address.
 * Code without frame pointers, and a function that has not made its frame yet, give a chain in
 * which callers are missing.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "guest_symbols.h"
#include "profile.h"
#include "monitor/vm/vm.h"

#define FRAME_MOST 0x100000u /* no frame is as large */

struct place {
	gva_t eip, entry;   /* entry: the TU's, if it is in one */
	uint32_t ebp;
	const char *detail;
	uint8_t doing;
};

/* --- where --- */

static bool place_in_tu(struct bt *bt, cache_pc pc, uint32_t ebp, struct place *place)
{
	struct tc_position at;

	if (!translator_locate(bt->translator, pc, &at))
		return false;
	*place = (struct place){ .eip = at.eip,
				 .entry = translator_tu_describe(at.tu).eip,
				 .ebp = ebp,
				 .doing = PROFILE_TRANSLATED };
	return true;
}

static void place_in_stub(struct bt *bt, const greg_t *regs, const struct tc_stub *stub,
			  struct place *place)
{
	const struct cpu *cpu = &bt->vcpu->cpu;
	/* guest registers are in struct cpu */
	const bool outside = !translator_on_return_stack(bt->translator, HVA(regs[REG_RSP]));
	const hva_t top = HVA(outside ? bt->vcpu->tcw.tc_rsp : (uint64_t)regs[REG_RSP]);
	const uint32_t ebp = outside ? cpu->regs[X86_EBP] : (uint32_t)regs[REG_RBP];
	uint64_t back;

	*place = (struct place){ .eip = cpu->eip, .ebp = ebp };
	if (stub->kind == TC_STUB_CALLED && translator_on_return_stack(bt->translator, top)) {
		memcpy(&back, hva_ptr(top), sizeof(back));
		place_in_tu(bt, back - 1, ebp, place);
	} else if (stub->kind == TC_STUB_LOOKUP && !outside) {
		place->eip = regs[REG_R8];
	} else if (stub->kind == TC_STUB_LINK) {
		place->eip = translator_exit_target(bt->translator,
						    outside ? translator_exit_taken(cpu) :
							      (uint32_t)regs[REG_R9]);
	}
	place->doing = PROFILE_STUB;
	place->detail = stub->name;
}

static void place_in_c(struct bt *bt, hva_t rsp, struct place *place)
{
	const struct profile *profile = bt->profile;
	const struct cpu *cpu = &bt->vcpu->cpu;

	/* On the way into and out of a fault's handler it says nothing. */
	const bool fault = profile->doing == PROFILE_FAULT || bt_on_signal_stack(bt, rsp);

	*place = (struct place){ .eip = cpu->eip,
				 .ebp = cpu->regs[X86_EBP],
				 .doing = profile->doing };
	if (fault) {
		place->doing = PROFILE_FAULT;
		place->eip = profile->fault_eip;
		place->ebp = profile->fault_ebp;
	} else if (translator_is_translating(bt->translator)) {
		place->doing = PROFILE_TRANSLATE;
	} else if (profile->doing == PROFILE_CALLOUT) {
		place->detail = translator_callout_name(profile->callout_now);
	} else if (profile->doing == PROFILE_INTERPRET) {
		place->eip = profile->fault_eip;
	}
}

static void place_find(struct bt *bt, const ucontext_t *context, bool in_fault, struct place *place)
{
	const greg_t *regs = context->uc_mcontext.gregs;
	const cache_pc pc = regs[REG_RIP];
	struct tc_stub stub;

	if (translator_stub_at(bt->translator, pc, &stub))
		place_in_stub(bt, regs, &stub, place);
	else if (!place_in_tu(bt, pc, regs[REG_RBP], place))
		place_in_c(bt, HVA(regs[REG_RSP]), place);
	if (in_fault)
		place->doing = PROFILE_FAULT;
}

/* --- who called --- */

static bool has_frames(const struct cpu *cpu)
{
	return cpu->cr0 & CR0_PE && !(cpu->eflags & X86_VM) && cpu->seg[X86_CS].attr & SEG_DB &&
	       cpu->seg[X86_SS].attr & SEG_DB;
}

static gva_t known_as(const struct bt *bt, gva_t address, gva_t otherwise)
{
	gva_t start;

	return guest_symbols_find(bt->symbols, address, &start) ? start : otherwise;
}

static void walk_frames(struct bt *bt, uint32_t ebp, struct profile_stack *stack)
{
	const struct cpu *cpu = &bt->vcpu->cpu;
	const uint32_t base = cpu->seg[X86_SS].base, code = cpu->seg[X86_CS].base;
	uint32_t frame[2];

	while (stack->depth < PROFILE_DEPTH && !(ebp & 3) &&
	       mem_peek(bt->vcpu, base + ebp, frame, sizeof(frame)) == sizeof(frame)) {
		if (!frame[1])
			break;
		/* The call, not what follows: that may belong to the next function. */
		stack->eip[stack->depth++] = known_as(bt, code + frame[1] - 1, code + frame[1]);
		if (frame[0] <= ebp || frame[0] - ebp > FRAME_MOST)
			break;
		ebp = frame[0];
	}
}

/* --- the table --- */

static bool stacks_equal(const struct profile_stack *a, const struct profile_stack *b)
{
	return a->detail == b->detail && a->doing == b->doing && a->ring == b->ring &&
	       a->depth == b->depth && !memcmp(a->eip, b->eip, a->depth * sizeof(a->eip[0]));
}

static uint32_t stack_hash(const struct profile_stack *stack)
{
	uint32_t h = stack->doing << 16 ^ stack->ring << 8 ^ stack->depth ^
		     (uint32_t)(uintptr_t)stack->detail;

	for (unsigned i = 0; i < stack->depth; i++)
		h = (h ^ stack->eip[i]) * 0x9e3779b1u ^ h >> 15;
	return h;
}

static void stack_count(struct profile *profile, const struct profile_stack *stack, unsigned count)
{
	for (uint32_t i = stack_hash(stack);; i++) {
		struct profile_stack *at = &profile->stacks[i & (PROFILE_STACKS - 1)];

		if (at->count && !stacks_equal(at, stack))
			continue;
		if (!at->count) {
			/* Some stay free, so that looking always ends. */
			if (profile->nstacks == PROFILE_STACKS - PROFILE_STACKS / 8) {
				profile->lost_samples += count;
				return;
			}
			profile->nstacks++;
			*at = *stack;
		}
		at->count += count;
		return;
	}
}

void profile_sample(struct bt *bt, const ucontext_t *context, bool in_fault, unsigned count)
{
	const struct cpu *cpu = &bt->vcpu->cpu;
	struct profile_stack stack = { .ring = cpu->cpl };
	struct place place;
	gva_t eip;

	place_find(bt, context, in_fault, &place);
	stack.doing = place.doing;
	stack.detail = place.detail;
	eip = cpu->seg[X86_CS].base + place.eip;
	stack.eip[stack.depth++] = known_as(bt, eip, place.entry ? place.entry : eip);
	if (has_frames(cpu))
		walk_frames(bt, place.ebp, &stack);
	stack_count(bt->profile, &stack, count);
}

/* --- what C code says --- */

void profile_fault_begins(struct profile *profile, gva_t eip, uint32_t ebp)
{
	profile->fault_eip = eip;
	profile->fault_ebp = ebp;
	profile->doing = PROFILE_FAULT;
}

void profile_fault_ends(struct profile *profile, enum profile_site_kind kind, gva_t eip)
{
	profile->doing = PROFILE_DISPATCHER;
	profile_count_site(profile, kind, eip);
}

void profile_interpret_begins(struct profile *profile, gva_t eip)
{
	profile->fault_eip = eip;
	profile->doing = PROFILE_INTERPRET;
	profile_count_site(profile, PROFILE_SITE_INTERPRETED, eip);
}

void profile_interpret_ends(struct profile *profile)
{
	profile->doing = PROFILE_DISPATCHER;
}

/* --- the timer --- */

int profile_enter_thread(struct bt *bt)
{
	struct profile *profile = bt->profile;
	const struct itimerspec period = { .it_interval.tv_nsec = 1000000000 / PROFILE_HZ,
					   .it_value.tv_nsec = 1000000000 / PROFILE_HZ };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = bt_profile_signal() };

	if (profile->timer_thread == gettid())
		return 0;
	if (profile->timer_thread)
		timer_delete(profile->timer);
	profile->timer_thread = 0;
	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &profile->timer))
		return -errno;
	profile->timer_thread = gettid();
	return timer_settime(profile->timer, 0, &period, NULL) ? -errno : 0;
}
