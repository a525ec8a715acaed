/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's x87 last-instruction pointers, made of what translated code noted (x87_notes.c).
 *
 * They are in cpu->fpu while C code has the FPU's state, and in tcw.x87 while translated code may
 * run. There a note supersedes what was before it. It names a site, which says where the
 * instruction is and what its opcode was. Selectors are those that the code ran with: a note is
 * resolved before they change. Light callouts run this file: general registers only.
 */
#include <assert.h>
#include "tu.h"
#include "x86/tc_words.h"

static const struct x87_site *site_of(const struct translator *tr, uint32_t number)
{
	assert(number && number <= tr->nx87_sites);
	return &tr->x87_sites[number - 1];
}

void translator_x87_load(struct cpu *cpu)
{
	struct tc_words *w = tcw(cpu);

	w->x87_site = 0;
	w->x87_fdp = cpu->fpu.fdp;
	w->x87.fip = cpu->fpu.fip;
	w->x87.fop = cpu->fpu.fop;
	w->x87.fcs = cpu->fpu.fcs;
	w->x87.fds = cpu->fpu.fds;
}

void translator_x87_resolve(const struct translator *tr, struct cpu *cpu)
{
	struct tc_words *w = tcw(cpu);
	const struct x87_site *site;

	if (rf_likely(!w->x87_site))
		return;
	site = site_of(tr, w->x87_site);
	w->x87_site = 0;
	w->x87.fip = site->eip;
	w->x87.fop = site->fop;
	w->x87.fcs = site->initial ? 0 : w->x87.selector[X86_CS];
	w->x87.fds = site->seg < X86_NSEG ? w->x87.selector[site->seg] : 0;
}

void translator_x87_store(const struct translator *tr, struct cpu *cpu)
{
	const struct tc_words *w = tcw(cpu);

	translator_x87_resolve(tr, cpu);
	cpu->fpu.fip = w->x87.fip;
	cpu->fpu.fdp = w->x87_fdp;
	cpu->fpu.fop = w->x87.fop;
	cpu->fpu.fcs = w->x87.fcs;
	cpu->fpu.fds = w->x87.fds;
}

static uint32_t register_or_zero(const uint64_t host[16], uint8_t reg)
{
	return reg == NO_REG ? 0 : host[reg];
}

void translator_x87_catch_up(const struct translator *tr, struct cpu *cpu,
			     const struct tc_position *at, const uint64_t host[16])
{
	const struct x87_site *site;

	if (!at->x87_site)
		return;
	site = site_of(tr, at->x87_site);
	tcw(cpu)->x87_site = at->x87_site;
	if (site->has_address)
		tcw(cpu)->x87_fdp = register_or_zero(host, site->address.base) +
			(register_or_zero(host, site->address.index) << site->address.scale) +
			site->address.disp;
}
