/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What light callouts ask of the shadow tables: general registers only (x86/fpu_spill.h). */
#include "shadow_internal.h"

static bool domain_relies_on(const struct shadow *s, const struct domain *d, gva_t gva)
{
	const struct region *r = d->region[gva >> region_shift(s)];
	const unsigned i = (gva >> GUEST_PAGE_SHIFT) & (region_pages(s) - 1);

	/* Any address in a large page stands for all of it. */
	return r && (r->large || bit_test(r->filled, i) || bit_test(r->code, i));
}

bool shadow_relies_on(const struct shadow *s, gva_t gva)
{
	if (!s->mode.paging || !s->current)
		return false;
	return domain_relies_on(s, &s->current->domain, gva) ||
	       (s->kernel && domain_relies_on(s, s->kernel, gva));
}

struct space *shadow_current(const struct shadow *s)
{
	return s->current ? &s->current->space : NULL;
}
