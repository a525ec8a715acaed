/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest page-table walker; see walker.h.
 *
 * The processor modelled has 36 physical address bits (PSE-36 and PAE alike): address bits above
 * that are reserved. Accessed and dirty bits are set only by a walk that succeeds. SDM vol. 3, 4.8
 * lets a processor set A in upper levels earlier; no guest may rely on either.
 */
#include "walker.h"

#include <assert.h>
#include <string.h>

#define PHYS_MASK       0xfffffffffull
#define PAE_RESERVED    (0x7fffffffffffffffull & ~PHYS_MASK) /* bits 36..62 */
#define PAE_LARGE_RESERVED 0x1fe000ull /* bits 13..20 of a 2-MiB PDE */
#define PSE_RESERVED    0x3e0000u      /* bits 17..21 of a 4-MiB PDE, 36-bit addresses */
#define PDPTE_RESERVED  (0x1e6ull | ~PHYS_MASK)

/* What the sum or the entry says is an address once the bus has masked it. */
static gpa_t a20(const struct paging *paging, uint64_t number)
{
	return gpa_a20(GPA(number), paging->a20_mask);
}

static uint64_t read_entry(const struct guest_ram *ram, gpa_t at, unsigned size)
{
	const uint8_t *p = guest_ram_ptr(ram, at);
	uint64_t value = 0;

	if (!p)
		return 0;
	if (size == 4)
		value = __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
	else
		value = __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
	return value;
}

static void set_bits(struct guest_ram *ram, gpa_t at, uint32_t entry, uint32_t bits)
{
	assert(guest_ram_backs(ram, at));
	if ((entry & bits) == bits || (guest_ram_flags(ram, at) & RAM_PAGE_ROM))
		return;
	__atomic_fetch_or((uint32_t *)guest_ram_at(ram, at), bits, __ATOMIC_RELAXED);
	/* Both bits lie in the entry's first byte. */
	if (rf_unlikely(guest_ram_flags(ram, at) & RAM_PAGE_CODE))
		guest_ram_written(ram, at, 1);
}

static bool fail(const struct paging *paging, enum access access, uint32_t why, struct walk *w)
{
	w->error = why;
	if (access & ACCESS_WRITE)
		w->error |= PFE_W;
	if (access & ACCESS_USER)
		w->error |= PFE_U;
	if ((access & ACCESS_EXEC) &&
	    ((paging->cr4 & CR4_SMEP) || ((paging->cr4 & CR4_PAE) && paging->nxe)))
		w->error |= PFE_I;
	return false;
}

/* Folds one present entry into the accumulated permissions. */
static void accumulate(struct walk *w, gpa_t at, uint64_t entry)
{
	w->entry[w->levels++] = at;
	w->user &= !!(entry & PTE_U);
	w->writable &= !!(entry & PTE_W);
	w->executable &= !(entry & PTE_NX);
}

static bool reserved_pae(const struct paging *paging, uint64_t entry)
{
	return (entry & PAE_RESERVED) || (!paging->nxe && (entry & PTE_NX));
}

/*
 * The two walks proper: fill *w and the raw entries. On failure *why holds the P and RSVD bits of
 * the error code.
 */
static bool walk_legacy(struct guest_ram *ram, const struct paging *paging, gva_t gva,
			struct walk *w, uint64_t raw[WALK_LEVELS], uint32_t *why)
{
	gpa_t at = a20(paging, (paging->cr3 & GUEST_PAGE_MASK) + (gva >> 22) * 4);
	uint32_t pde = (uint32_t)read_entry(ram, at, 4), pte;

	*why = 0;
	if (!(pde & PTE_P))
		return false;
	raw[0] = pde;
	accumulate(w, at, pde);
	if ((pde & PTE_PS) && (paging->cr4 & CR4_PSE)) {
		*why = PFE_P | PFE_RSVD;
		if (pde & PSE_RESERVED)
			return false;
		w->page_shift = 22;
		w->gpa = GPA((pde & 0xffc00000u) | (uint64_t)(pde & 0x1e000u) << 19 |
			     (gva & 0x3fffffu));
		return true;
	}
	at = a20(paging, (pde & GUEST_PAGE_MASK) + ((gva >> 12) & 0x3ff) * 4);
	pte = (uint32_t)read_entry(ram, at, 4);
	if (!(pte & PTE_P))
		return false;
	raw[1] = pte;
	accumulate(w, at, pte);
	w->page_shift = 12;
	w->gpa = GPA((pte & GUEST_PAGE_MASK) | (gva & 0xfffu));
	return true;
}

static bool walk_pae(struct guest_ram *ram, const struct paging *paging, gva_t gva, struct walk *w,
		     uint64_t raw[WALK_LEVELS], uint32_t *why)
{
	uint64_t pdpte = paging->pdpte[gva >> 30], pde, pte;
	gpa_t at;

	*why = 0;
	if (!(pdpte & PTE_P))
		return false;
	at = a20(paging, (pdpte & PHYS_MASK & ~0xfffull) + ((gva >> 21) & 0x1ff) * 8);
	pde = read_entry(ram, at, 8);
	if (!(pde & PTE_P))
		return false;
	raw[0] = pde;
	accumulate(w, at, pde);
	*why = PFE_P | PFE_RSVD;
	if (reserved_pae(paging, pde))
		return false;
	if (pde & PTE_PS) {
		if (pde & PAE_LARGE_RESERVED)
			return false;
		w->page_shift = 21;
		w->gpa = GPA((pde & PHYS_MASK & ~0x1fffffull) | (gva & 0x1fffffu));
		return true;
	}
	at = a20(paging, (pde & PHYS_MASK & ~0xfffull) + ((gva >> 12) & 0x1ff) * 8);
	pte = read_entry(ram, at, 8);
	*why = 0;
	if (!(pte & PTE_P))
		return false;
	raw[1] = pte;
	accumulate(w, at, pte);
	*why = PFE_P | PFE_RSVD;
	if (reserved_pae(paging, pte))
		return false;
	w->page_shift = 12;
	w->gpa = GPA((pte & PHYS_MASK & ~0xfffull) | (gva & 0xfffu));
	return true;
}

/* What CR4.SMEP and SMAP refuse the supervisor (SDM vol. 3, 4.6.1). */
static bool is_users_alone(const struct paging *paging, enum access access, const struct walk *w)
{
	if (!w->user || access & ACCESS_USER)
		return false;
	if (access & ACCESS_EXEC)
		return paging->cr4 & CR4_SMEP;
	return paging->cr4 & CR4_SMAP && !(access & ACCESS_AC);
}

static bool allowed(const struct paging *paging, enum access access, const struct walk *w)
{
	if ((access & ACCESS_USER) && !w->user)
		return false;
	if (is_users_alone(paging, access, w))
		return false;
	if ((access & ACCESS_WRITE) && !w->writable &&
	    ((access & ACCESS_USER) || (paging->cr0 & CR0_WP)))
		return false;
	return !(access & ACCESS_EXEC) || w->executable;
}

bool walk_guest(struct guest_ram *ram, const struct paging *paging, gva_t gva, enum access access,
		struct walk *w)
{
	uint64_t raw[WALK_LEVELS] = { 0 };
	bool found;
	uint32_t why;
	unsigned i;

	assert((access & ACCESS_KIND) != ACCESS_KIND && !(access & ACCESS_SOON));
	memset(w, 0, sizeof(*w));
	w->user = w->writable = w->executable = true;
	if (!(paging->cr0 & CR0_PG)) {
		w->gpa = a20(paging, gva);
		w->page_shift = 32;
		w->dirty = true;
		return true;
	}
	if (paging->cr4 & CR4_PAE)
		found = walk_pae(ram, paging, gva, w, raw, &why);
	else
		found = walk_legacy(ram, paging, gva, w, raw, &why);
	if (!found)
		return fail(paging, access, why, w);
	assert(w->levels == 1 || w->levels == 2);
	if (!allowed(paging, access, w))
		return fail(paging, access, PFE_P, w);
	w->gpa = gpa_a20(w->gpa, paging->a20_mask);
	w->global = !!(raw[w->levels - 1] & PTE_G);
	w->dirty = !!(raw[w->levels - 1] & PTE_D);
	if (access & ACCESS_PROBE)
		return true;
	for (i = 0; i < w->levels; i++) {
		bool leaf_write = i + 1u == w->levels && (access & ACCESS_WRITE);

		set_bits(ram, w->entry[i], (uint32_t)raw[i], leaf_write ? PTE_A | PTE_D : PTE_A);
	}
	w->dirty |= !!(access & ACCESS_WRITE);
	return true;
}

bool walk_load_pdptes(const struct guest_ram *ram, uint32_t cr3, uint32_t a20_mask, uint64_t out[4])
{
	gpa_t at = GPA((cr3 & ~0x1fu) & a20_mask);
	uint64_t entry[4];
	unsigned i;

	for (i = 0; i < 4; i++) {
		entry[i] = read_entry(ram, gpa_add(at, i * 8), 8);
		if ((entry[i] & PTE_P) && (entry[i] & PDPTE_RESERVED))
			return false;
	}
	memcpy(out, entry, sizeof(entry));
	return true;
}
