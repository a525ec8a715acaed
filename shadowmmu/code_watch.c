/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translations rely on: that a linear page still maps to the frame it was fetched from
 * (recorded in the region, as for a data mapping, and reported when it changes), and that the
 * frame's contents have not changed (write protection).
 */
#include "shadow_internal.h"

#include <assert.h>
#include <errno.h>

bool shadow_fetch(struct shadow *s, gva_t gva, enum access access, struct shadow_fill_info *info,
		  bool *global)
{
	unsigned i = (gva >> GUEST_PAGE_SHIFT) & (region_pages(s) - 1);
	struct domain *d;
	struct region *r;
	struct walk w;

	assert((access & ACCESS_KIND) == ACCESS_EXEC);
	memset(info, 0, sizeof(*info));
	*global = false;
	if (!walk_guest(s->ram, &s->paging, gva, access, &w)) {
		info->error = w.error;
		return false;
	}
	info->gpa = w.gpa;
	if (!s->mode.paging || !s->current)
		return true;
	*global = s->share_kernel && w.global;
	d = *global ? s->kernel : &s->current->domain;
	r = region_get(s, d, gva, &w);
	if (!r) {
		s->host_errno = ENOMEM;
		return true;
	}
	if (!bit_test(r->code, i)) {
		if (!r->large)
			copy_cover(s, &r->copy, guest_ram_at(s->ram, r->table), i);
		region_rely(r, r->code, i);
	}
	batch_finish(s);
	check_sometimes(s);
	return true;
}

void shadow_protect_code(struct shadow *s, gpa_t gpa)
{
	if (!guest_ram_backs(s->ram, gpa) || guest_ram_flags(s->ram, gpa) & RAM_PAGE_CODE)
		return;
	guest_ram_set_flag(s->ram, gpa, RAM_PAGE_CODE);
	rmap_write_protect(s, (uint32_t)gpa_frame(gpa));
	batch_finish(s);
	check_sometimes(s);
}

/* Mappings become writable again when next written through. */
void shadow_unprotect_code(struct shadow *s, gpa_t gpa)
{
	if (guest_ram_backs(s->ram, gpa))
		s->ram->page_flags[gpa_frame(gpa)] &= (uint8_t)~RAM_PAGE_CODE;
}
