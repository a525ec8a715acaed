/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a debugger wants the processor to stop (debugger.h). */
#include <assert.h>
#include <errno.h>
#include "vm.h"

/* --- breakpoints --- */

static uint64_t page_bit(gva_t gva)
{
	return 1ull << (gva >> GUEST_PAGE_SHIFT & 63);
}

static void breakpoints_changed(struct debugger *d)
{
	d->breakpoint_changes++;
	d->pages = 0;
	for (unsigned i = 0; i < d->nbreakpoints; i++)
		d->pages |= page_bit(d->breakpoint[i]);
}

static int find_breakpoint(const struct debugger *d, gva_t gva)
{
	for (unsigned i = 0; i < d->nbreakpoints; i++) {
		if (d->breakpoint[i] == gva)
			return i;
	}
	return -1;
}

int debugger_insert_breakpoint(struct vcpu *vcpu, gva_t gva)
{
	struct debugger *d = &vcpu->debugger;

	assert(vcpu_is_mine(vcpu));
	if (find_breakpoint(d, gva) >= 0)
		return -EEXIST;
	if (d->nbreakpoints == DEBUGGER_BREAKPOINTS)
		return -ENOSPC;
	d->breakpoint[d->nbreakpoints++] = gva;
	breakpoints_changed(d);
	return 0;
}

int debugger_remove_breakpoint(struct vcpu *vcpu, gva_t gva)
{
	struct debugger *d = &vcpu->debugger;
	const int i = find_breakpoint(d, gva);

	assert(vcpu_is_mine(vcpu));
	if (i < 0)
		return -ENOENT;
	d->breakpoint[i] = d->breakpoint[--d->nbreakpoints];
	breakpoints_changed(d);
	return 0;
}

bool debugger_breaks_within(const struct debugger *d, gva_t gva, uint32_t len)
{
	assert(len && len <= GUEST_PAGE_SIZE);
	if (rf_likely(!(d->pages & (page_bit(gva) | page_bit(gva + len - 1)))))
		return false;
	for (unsigned i = 0; i < d->nbreakpoints; i++) {
		if (d->breakpoint[i] - gva < len)
			return true;
	}
	return false;
}

bool debugger_is_at_breakpoint(const struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;

	return debugger_breaks_within(&vcpu->debugger, cpu->seg[X86_CS].base + cpu->eip, 1);
}

bool debugger_stops_here(struct vcpu *vcpu)
{
	if (vcpu->cpu.eflags & X86_RF || rf_likely(!debugger_is_at_breakpoint(vcpu)))
		return false;
	debugger_stop(vcpu, DEBUGGER_BREAKPOINT);
	return true;
}

/* --- watchpoints --- */

/* What the software TLB holds may be of a page that is watched now. */
static void watchpoints_changed(struct vcpu *vcpu)
{
	vcpu->debugger.watchpoint_changes++;
	soft_tlb_flush(vcpu, true);
}

static int find_watchpoint(const struct debugger *d, const struct debugger_watchpoint *w)
{
	for (unsigned i = 0; i < d->nwatchpoints; i++) {
		if (d->watchpoint[i].start == w->start && d->watchpoint[i].len == w->len &&
		    d->watchpoint[i].kind == w->kind)
			return i;
	}
	return -1;
}

int debugger_insert_watchpoint(struct vcpu *vcpu, const struct debugger_watchpoint *w)
{
	struct debugger *d = &vcpu->debugger;

	assert(vcpu_is_mine(vcpu) && w->len && w->kind && !(w->kind & ~DEBUGGER_ACCESSES));
	if (find_watchpoint(d, w) >= 0)
		return -EEXIST;
	if (d->nwatchpoints == DEBUGGER_WATCHPOINTS)
		return -ENOSPC;
	d->watchpoint[d->nwatchpoints++] = *w;
	watchpoints_changed(vcpu);
	return 0;
}

int debugger_remove_watchpoint(struct vcpu *vcpu, const struct debugger_watchpoint *w)
{
	struct debugger *d = &vcpu->debugger;
	const int i = find_watchpoint(d, w);

	assert(vcpu_is_mine(vcpu));
	if (i < 0)
		return -ENOENT;
	d->watchpoint[i] = d->watchpoint[--d->nwatchpoints];
	watchpoints_changed(vcpu);
	return 0;
}

/* Whether they have a byte in common; each is less than 4 GiB. */
static bool meet(gva_t a, uint32_t a_len, gva_t b, uint32_t b_len)
{
	return b - a < a_len || a - b < b_len;
}

unsigned debugger_watches_page(const struct debugger *d, gva_t gva)
{
	unsigned kinds = 0;

	for (unsigned i = 0; i < d->nwatchpoints; i++) {
		if (meet(d->watchpoint[i].start, d->watchpoint[i].len, gva & GUEST_PAGE_MASK,
			 GUEST_PAGE_SIZE))
			kinds |= d->watchpoint[i].kind;
	}
	return kinds;
}

void debugger_accessed(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access)
{
	struct debugger *d = &vcpu->debugger;
	const enum debugger_watch kind = access & ACCESS_WRITE ? DEBUGGER_WRITES : DEBUGGER_READS;

	if ((access & ACCESS_KIND) == ACCESS_EXEC || d->why == DEBUGGER_WATCHPOINT)
		return;
	for (unsigned i = 0; i < d->nwatchpoints; i++) {
		const struct debugger_watchpoint *w = &d->watchpoint[i];

		if (!(w->kind & kind) || !meet(w->start, w->len, gva, len))
			continue;
		d->hit = w->start - gva < len ? w->start : gva;
		d->hit_kind = w->kind;
		debugger_stop(vcpu, DEBUGGER_WATCHPOINT);
		return;
	}
}

void debugger_remove_all(struct vcpu *vcpu)
{
	struct debugger *d = &vcpu->debugger;

	assert(vcpu_is_mine(vcpu));
	d->nbreakpoints = 0;
	breakpoints_changed(d);
	if (d->nwatchpoints) {
		d->nwatchpoints = 0;
		watchpoints_changed(vcpu);
	}
}

/* --- stopping and going on --- */

/* Not vm_pause(): light callouts come here, and need no kick of their own thread. */
void debugger_stop(struct vcpu *vcpu, enum debugger_why why)
{
	struct debugger *d = &vcpu->debugger;

	assert(why != DEBUGGER_PAUSED);
	if (d->why == DEBUGGER_PAUSED)
		d->why = why;
	d->passing = d->why == DEBUGGER_BREAKPOINT;
	vcpu->vm->paused = true;
	atomic_fetch_or(&vcpu->cpu.events, EVENT_STOP);
}

void debugger_resume(struct vcpu *vcpu, bool step)
{
	struct debugger *d = &vcpu->debugger;

	assert(vcpu_is_mine(vcpu));
	d->stepping = step;
	vm_continue(vcpu->vm);
}

void debugger_moved(struct vcpu *vcpu)
{
	vcpu->debugger.passing = false;
}
