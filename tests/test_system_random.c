/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random descriptor tables, gates, TSSs, stacks and page protections against the invariants of
 * system.h: a routine that faults changed nothing the guest can see (unless a task switch was
 * committed), and whatever happens leaves a processor state that is possible. Seeds are fixed; a
 * failure names its round.
 */
#include <string.h>
#include "system_fixture.h"

#define ROUNDS 200000

TestSuite(random_system, .init = fx_setup, .fini = fx_teardown, .timeout = 300);

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

static bool one_in(uint32_t n) { return rnd(n) == 0; }

static uint16_t random_selector(void)
{
	return one_in(12) ? rnd(0x10000) : rnd(FX_GDT_LIMIT + 1);
}

static uint64_t random_descriptor(void)
{
	switch (rnd(4)) {
	case 0:
		return fx_gate(random_selector(), one_in(3) ? rnd(0xffffffff) : rnd(0x8000),
			rnd(16), rnd(4), rnd(32));
	case 1:
		return fx_descriptor(0x3000 + 0x100 * rnd(8), rnd(0x100),
			0x80 | rnd(4) << 5 | rnd(16));
	default:
		return fx_descriptor(
			one_in(4) ? rnd(0x100000) : 0, one_in(4) ? rnd(0x10000) : 0xfffff,
			(one_in(8) ? 0 : 0x80) | rnd(4) << 5 | 0x10 | rnd(16) | rnd(4) << 14);
	}
}

/* Spoils a few entries of a sane machine, so that checks deep down are reached too. */
static void spoil(void)
{
	for (unsigned n = rnd(6); n--;)
		fx_write64(FX_GDT + 8 * (1 + rnd(FX_GDT_LIMIT / 8)), random_descriptor());
	for (unsigned n = rnd(4); n--;)
		fx_write64(FX_IDT + 8 * rnd(256), random_descriptor());
	for (unsigned n = rnd(8); n--;)
		fx_write16(FX_TSS_A + 2 * rnd(0x180), one_in(2) ? random_selector() : rnd(0x10000));
	for (unsigned i = 0; i < 12; i++)
		fx_write32(CPU.seg[X86_SS].base + (CPU.regs[X86_ESP] & 0xffff) + 4 * i,
			one_in(3) ? rnd(0xffffffff) : random_selector());
	if (cpu_is_protected(&CPU) && one_in(3)) {
		fx_enable_paging();
		for (unsigned n = rnd(4); n--;)
			fx_write32(FX_PAGE_TABLE + 4 * rnd(0x24), rnd(0x200) << 12 | rnd(8));
		soft_tlb_flush(VCPU, true);
	}
}

static void choose_mode(void)
{
	uint32_t esp;

	switch (rnd(5)) {
	case 0:
		break;
	case 1:
		fx_enter_v86(rnd(4));
		break;
	case 2:
		fx_enter_real();
		break;
	default:
		fx_enter_ring3();
	}
	if (one_in(8))
		CPU.eflags |= X86_NT;
	esp = CPU.regs[X86_ESP];
	if (one_in(4))
		CPU.regs[X86_ESP] = one_in(2) ? rnd(64) : esp + rnd(16);
}

static enum x86_status act(unsigned what)
{
	unsigned opsize = one_in(2) ? 2 : 4;

	switch (what) {
	case 0:
		return far_jump(VCPU, random_selector(), rnd(0x20000), CPU.eip + 7, opsize);
	case 1:
		return far_call(VCPU, random_selector(), rnd(0x20000), CPU.eip + 7, opsize);
	case 2:
		return far_return(VCPU, rnd(16), opsize);
	case 3:
		return iret(VCPU, CPU.eip + 1, opsize);
	case 4:
		return software_interrupt(VCPU, rnd(256), CPU.eip + 2, !one_in(4));
	case 5:
		return segment_load(VCPU, one_in(2) ? X86_SS : X86_DS + rnd(3), random_selector());
	case 6:
		return one_in(2) ? ldt_load(VCPU, random_selector()) : task_register_load(VCPU,
			random_selector());
	case 7:
		CPU.fault = (struct fault){ .vector = rnd(20), .has_error = one_in(2),
			.error = rnd(0x10000) };
		return exception_deliver(VCPU);
	default:
		return interrupt_deliver(VCPU, rnd(256));
	}
}

static void check_possible(unsigned round)
{
	const struct cpu *cpu = &CPU;

	cr_assert(cpu->eflags & X86_F1, "round %u", round);
	if (!cpu_is_protected(cpu)) {
		cr_assert(cpu->cpl == 0 && !(cpu->eflags & X86_VM), "round %u", round);
		return;
	}
	if (cpu_is_v86(cpu)) {
		cr_assert_eq(cpu->cpl, 3, "round %u", round);
		for (unsigned i = 0; i < X86_NSEG; i++)
			cr_assert_eq(cpu->seg[i].base, (uint32_t)cpu->seg[i].selector << 4,
				     "round %u", round);
		return;
	}
	cr_assert_eq(cpu->seg[X86_CS].selector & 3, cpu->cpl, "round %u", round);
	cr_assert(attr_is_code(cpu->seg[X86_CS].attr) && cpu->seg[X86_CS].attr & SEG_P, "round %u",
		  round);
	cr_assert(attr_is_writable_data(cpu->seg[X86_SS].attr), "round %u", round);
	cr_assert_eq(attr_dpl(cpu->seg[X86_SS].attr), cpu->cpl, "round %u", round);
	for (unsigned i = X86_DS; i < X86_NSEG; i++)
		cr_assert(!cpu->seg[i].attr || attr_is_conforming(cpu->seg[i].attr) ||
				  attr_dpl(cpu->seg[i].attr) >= cpu->cpl,
			  "round %u", round);
	cr_assert(cpu->eip <= cpu->seg[X86_CS].limit, "round %u: eip %#x", round, cpu->eip);
}

/*
 * Everything but what a failed instruction may leave behind: the fault itself, and NMIs unblocked.
 */
static bool same_state(const struct cpu *a, const struct cpu *b)
{
	return !memcmp(a->regs, b->regs, sizeof(a->regs)) && a->eip == b->eip &&
	       a->eflags == b->eflags && !memcmp(a->seg, b->seg, sizeof(a->seg)) &&
	       !memcmp(&a->ldtr, &b->ldtr, sizeof(a->ldtr)) &&
	       !memcmp(&a->tr, &b->tr, sizeof(a->tr)) && a->cpl == b->cpl && a->cr0 == b->cr0 &&
	       a->cr2 == b->cr2 && a->cr3 == b->cr3 && a->inhibit == b->inhibit;
}

Test(random_system, faults_change_nothing)
{
	static struct cpu pristine, before;
	static uint8_t ram[0x24000];
	unsigned faults[9] = { 0 }, successes[9] = { 0 };

	pristine = CPU;
	memcpy(ram, fx_vm->ram.flat, sizeof(ram));
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned what;
		enum x86_status status;

		random_state = 0x9e3779b97f4a7c15ull * (round + 1);
		what = rnd(9);
		CPU = pristine;
		memcpy(fx_vm->ram.flat, ram, sizeof(ram));
		soft_tlb_flush(VCPU, true);
		choose_mode();
		spoil();
		before = CPU;
		status = act(what);
		if (status == X86_OK)
			check_possible(round);
		/* A task switch sets TS; its failures belong to the new task. */
		if (status == X86_FAULT && !(CPU.cr0 & CR0_TS))
			cr_assert(same_state(&CPU, &before),
				  "round %u, action %u: fault %u(%#x) changed the state", round,
				  what, CPU.fault.vector, CPU.fault.error);
		successes[what] += status == X86_OK;
		faults[what] += status != X86_OK;
	}
	/* Neither outcome may be rare, or the test tests nothing. */
	for (unsigned what = 0; what < 9; what++) {
		cr_assert(successes[what] > 100, "action %u succeeded %u times", what,
			  successes[what]);
		cr_assert(faults[what] > 100, "action %u faulted %u times", what, faults[what]);
	}
}
