/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Light callouts: the ways between rings and segment loads, while the guest's FPU state stays in
 * the host's registers.
 *
 * This file, and those of the system architecture it calls, are compiled for general registers
 * only. What they may call beyond that calls fpu_spill() first (x86/fpu_spill.h).
 */
#include <assert.h>
#include "internal.h"
#include "monitor/vm/vm.h"
#include "monitor/processor/processor.h"
#include "x86/fpu_spill.h"

#define IDLE_BEFORE_UNADAPTING 64

int bt_light_transfer(struct vcpu *vcpu, enum x86_status status)
{
	struct bt *bt = bt_of(vcpu);

	if (status == X86_FAULT)
		status = exception_deliver(vcpu);
	if (status != X86_OK)
		return CALLOUT_LEAVE(TC_LEAVE_DEAD);
	if (bt->prefill || vcpu->cpu.inhibit || bt->returns_stale ||
	    (vcpu->debugger.nbreakpoints && vcpu->cpu.eflags & X86_RF) ||
	    log_on(vcpu->vm->log, LOG_EXEC | LOG_CPU))
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	/* The return address of this callout goes before the return stack is judged. */
	vcpu->tcw.tc_rsp += 8;
	if (bt_prepare(bt) & MODE_UNTRANSLATABLE) {
		vcpu->tcw.tc_rsp -= 8;
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	}
	vcpu->tcw.tc_rsp -= 8;
	vcpu->tcw.jump_target = vcpu->cpu.eip + vcpu->tcw.lookup_base;
	return CALLOUT_JUMP;
}

int bt_light_int(struct cpu *cpu, uint32_t vector, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	enum x86_status status;

	if (cpu_is_v86(cpu) && vector != EXC_BP) /* INT3: CD 03 is not translated there */
		status = interrupt_n(vcpu, vector, next_eip);
	else
		status = software_interrupt(vcpu, vector, next_eip, true);
	return bt_light_transfer(vcpu, status);
}

/*
 * The guest is back where a page fault came from, or, if it is elsewhere, may never come back
 * there: a kernel's fault handler that mends its own access goes on after it. Then nothing waits
 * for that place, since every way between rings would wait with it.
 */
static void returned_from_fault(struct vcpu *vcpu)
{
	struct bt *bt = bt_of(vcpu);

	bt->prefill &= vcpu->cpu.cpl != bt->prefill_cpl || vcpu->cpu.eip == bt->prefill_eip;
}

int bt_light_iret(struct cpu *cpu, uint32_t argument, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	const enum x86_status status = iret(vcpu, next_eip, 4);

	returned_from_fault(vcpu);
	return bt_light_transfer(vcpu, status);
}

/* Of 16-bit code, with operands of 16 bits. */
int bt_light_far_jump(struct cpu *cpu, uint32_t pointer, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);

	return bt_light_transfer(vcpu, far_jump(vcpu, pointer >> 16, pointer & 0xffff, next_eip,
						2));
}

int bt_light_far_call(struct cpu *cpu, uint32_t pointer, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);

	return bt_light_transfer(vcpu, far_call(vcpu, pointer >> 16, pointer & 0xffff, next_eip,
						2));
}

int bt_light_far_return(struct cpu *cpu, uint32_t argument, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	const unsigned size = argument >> 16 & 7;
	enum x86_status status;

	assert(size == 2 || size == 4);
	status = argument & CALLOUT_IRET_TOO ? iret(vcpu, next_eip, size) :
					       far_return(vcpu, argument & 0xffff, size);
	returned_from_fault(vcpu);
	return bt_light_transfer(vcpu, status);
}

int bt_light_sysenter(struct cpu *cpu, uint32_t argument, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);

	return bt_light_transfer(vcpu, sysenter(vcpu));
}

int bt_light_sysexit(struct cpu *cpu, uint32_t argument, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);

	return bt_light_transfer(vcpu, sysexit(vcpu));
}

int bt_light_soft(struct cpu *cpu, uint32_t argument, uint32_t gva)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	struct bt *bt = bt_of(vcpu);
	const enum access access = (argument & CALLOUT_WRITE ? ACCESS_WRITE : ACCESS_READ) |
				access_explicit(cpu->cpl, cpu->eflags);
	bool exposed;

	bt->stats.soft_misses++;
	bt->changed = false;
	if (soft_tlb_expose(vcpu, gva, (argument & 0xff) + 1, access, &exposed) != X86_OK) {
		bt_soft_faulted(bt, cpu->eip);
		return bt_light_transfer(vcpu, X86_FAULT);
	}
	if (bt->changed) /* the walk stored accessed or dirty bits to code: this may be it */
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	if (!exposed) /* where it goes no look-up will ever hit: its plain form may do better */
		return CALLOUT_LEAVE(TC_LEAVE_INTERPRET);
	bt_soft_missed(bt, cpu->eip);
	return CALLOUT_NEXT;
}

/*
 * An instruction that was adapted because it met a traced page or a device may have been bound
 * elsewhere since: a function whose stack lay beside code, say.
 */
bool bt_unadapt_idle(struct bt *bt, gva_t eip, bool needed)
{
	struct bt_hit *idle = &bt->idle[eip & (BT_HITS - 1)];
	struct shadow_fill_info info;
	bool global;

	if (idle->key != eip || needed)
		*idle = (struct bt_hit){ .key = eip };
	if (needed || ++idle->count < IDLE_BEFORE_UNADAPTING)
		return false;
	idle->count = 0;
	fpu_spill(&bt->vcpu->cpu);
	if (!shadow_fetch(bt->shadow, eip, ACCESS_EXEC | access_at_cpl(bt->vcpu->cpu.cpl),
			  &info, &global))
		return false;
	translator_unadapt(bt->translator, info.gpa, ADAPT_INTERPRET);
	bt->returns_stale = true;
	return true;
}

/* ESP, or SP in 16-bit code, moves up by size. */
static void popped(struct cpu *cpu, uint32_t size)
{
	const uint32_t mask = tcw(cpu)->mode & MODE_CODE16 ? 0xffff : 0xffffffff;

	cpu->regs[X86_ESP] = (cpu->regs[X86_ESP] & ~mask) |
			     ((cpu->regs[X86_ESP] + size) & mask);
}

/* pushed: what SP moves down by when the store is done. */
static inline int light_store(struct cpu *cpu, uint32_t value, uint32_t next_eip, unsigned size,
			      unsigned pushed)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	struct bt *bt = bt_of(vcpu);
	const uint64_t odd = bt->traced_writes + vcpu->mmio_accesses;
	const gva_t eip = cpu->seg[X86_CS].base + cpu->eip;
	enum x86_status status;

	bt->stats.callouts_store++;
	bt->changed = false;
	status = mem_write(vcpu, tcw(cpu)->linear, &value, size,
			   ACCESS_WRITE | access_explicit(cpu->cpl, cpu->eflags));
	if (status != X86_OK)
		return bt_light_transfer(vcpu, status);
	cpu->eip = next_eip;
	if (pushed)
		popped(cpu, -pushed);
	if (bt_unadapt_idle(bt, eip, bt->traced_writes + vcpu->mmio_accesses != odd) || bt->changed)
		return CALLOUT_LEAVE(TC_LEAVE_RESUME);
	return CALLOUT_NEXT;
}

int bt_light_store(struct cpu *cpu, uint32_t value, uint32_t next_eip)
{
	return light_store(cpu, value, next_eip, 4, 0);
}

int bt_light_store_word(struct cpu *cpu, uint32_t value, uint32_t next_eip)
{
	return light_store(cpu, value, next_eip, 2, 0);
}

int bt_light_store_byte(struct cpu *cpu, uint32_t value, uint32_t next_eip)
{
	return light_store(cpu, value, next_eip, 1, 0);
}

int bt_light_push_word(struct cpu *cpu, uint32_t value, uint32_t next_eip)
{
	return light_store(cpu, value, next_eip, 2, 2);
}

int bt_light_push_long(struct cpu *cpu, uint32_t value, uint32_t next_eip)
{
	return light_store(cpu, value, next_eip, 4, 4);
}

/* CPL is 0: translated so. */
int bt_light_invlpg(struct cpu *cpu, uint32_t gva, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	struct bt *bt = bt_of(vcpu);

	assert(!cpu->cpl);
	bt->changed = false;
	soft_tlb_flush_page(vcpu, gva);
	if (shadow_relies_on(bt->shadow, gva))
		vcpu->engine->flush_page(vcpu, gva);
	cpu->eip = next_eip;
	return bt->changed ? CALLOUT_LEAVE(TC_LEAVE_RESUME) : CALLOUT_NEXT;
}

void bt_light_page_fault(struct vcpu *vcpu, gva_t gva)
{
	if (shadow_relies_on(bt_of(vcpu)->shadow, gva))
		vcpu->engine->flush_page(vcpu, gva);
}

int bt_light_load_segment(struct cpu *cpu, uint32_t argument, uint32_t next_eip)
{
	struct vcpu *vcpu = rf_container_of(cpu, struct vcpu, cpu);
	struct bt *bt = bt_of(vcpu);
	const enum x86_seg seg = argument >> 16 & 7;
	enum x86_status status;

	assert(seg < X86_NSEG && seg != X86_CS);
	bt->changed = false;
	status = segment_load(vcpu, seg, argument);
	if (status != X86_OK)
		return bt_light_transfer(vcpu, status);
	if (!cpu->cpl && !(tcw(cpu)->mode & MODE_CODE16))
		soft_tlb_note_segment(vcpu, seg, argument);
	if (argument & CALLOUT_POP)
		popped(cpu, argument & CALLOUT_POP_WORD ? 2 : 4);
	translator_x87_resolve(bt->translator, cpu);
	bt_refresh_segment(cpu, seg);
	cpu->eip = next_eip;
	if (!bt->changed && bt_mode(cpu) == tcw(cpu)->mode)
		return CALLOUT_NEXT;
	return bt_light_transfer(vcpu, X86_OK);
}
