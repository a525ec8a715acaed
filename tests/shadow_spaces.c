/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shadow_spaces.h"

#include <string.h>

const struct shadow_options alone = { .no_fill_around = true };

void two_spaces(struct guest *g, const struct shadow_options *options, uint32_t cr4)
{
	guest_create(g, options, cr4, CR0_WP);
	memset(g->ram.flat + PD, 0, 0x5000);
	put32(g, PD + 0x20 * 4, PT | USER_RW);
	put32(g, PD2 + 0x20 * 4, PT2 | USER_RW);
	put32(g, PD + 0x301 * 4, KPT | PTE_P | PTE_W);
	put32(g, PD2 + 0x301 * 4, KPT | PTE_P | PTE_W);
	load_cr3(g, PD);
}

void user_pte(struct guest *g, unsigned i, uint32_t gfn, uint32_t bits)
{
	put32(g, PT + i * 4, PAGE_OF(gfn) | bits);
}

void kernel_pte(struct guest *g, unsigned i, uint32_t gfn, uint32_t bits)
{
	put32(g, KPT + i * 4, PAGE_OF(gfn) | bits);
}

enum shadow_fill user_write(struct guest *g, gva_t gva)
{
	struct shadow_fill_info info;

	return guest_access(g, SHADOW_USER, gva, ACCESS_WRITE | ACCESS_USER, &info);
}

bool mapped(struct guest *g, enum shadow_view view, gva_t gva)
{
	uint32_t word;

	return window_readable(g->space->window[view], gva, &word);
}

void pae_space(struct guest *g, const struct shadow_options *options, bool nxe)
{
	guest_create(g, options, CR4_PAE, CR0_WP);
	g->paging.nxe = nxe;
	memset(g->ram.flat + PD, 0, 0x5000);
	put64(g, PD, PD2 | PTE_P);
	put64(g, PD2 + 0x40 * 8, PT | USER_RW);
	load_cr3(g, PD);
}
