/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker of the shadow structures notices what is broken: one thing after the other is, and is
 * mended again.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include "shadow_spaces.h"
#include "shadowmmu/shadow_internal.h"

#define FRAME  0x300u /* written and fetched from, at UVA(0) of both spaces */
#define KFRAME 0x310u

/* With place holding value the checker must say so; without, nothing. */
#define BREAK(g, place, value, text) ({                                                            \
	__typeof__(place) whole_ = (place);                                                        \
	const char *why_;                                                                          \
                                                                                                   \
	(place) = (value);                                                                         \
	why_ = shadow_check((g)->shadow);                                                          \
	cr_expect(why_ && !strcmp(why_, text), "\"%s\" was expected of %s = %s, not \"%s\"", text, \
		  #place, #value, why_ ? why_ : "nothing");                                        \
	(place) = whole_;                                                                          \
	expect_sane(g);                                                                            \
})

/* Two spaces with a page each, a kernel page that they share, and all tables under a trace. */
static void create(struct guest *g)
{
	static const struct shadow_options traced = { .policy = SHADOW_POLICY_TRACE_ONLY,
						      .no_fill_around = true };
	struct shadow_fill_info info;
	bool global;

	two_spaces(g, &traced, CR4_PGE);
	user_pte(g, 0, FRAME, USER_RW);
	put32(g, PT2, PAGE_OF(FRAME) | USER_RW);
	kernel_pte(g, 0, KFRAME, PTE_P | PTE_W | PTE_G);
	for (unsigned i = 0; i < 2; i++) {
		load_cr3(g, i ? PD : PD2);
		cr_assert(shadow_fetch(g->shadow, UVA(0), ACCESS_EXEC | ACCESS_USER, &info,
				       &global));
		cr_assert_eq(user_write(g, UVA(0)), SHADOW_FILL_OK);
		expect_reads(g, SHADOW_KERNEL, KVA(0), KFRAME);
	}
	expect_sane(g);
}

static struct leaf *leaf_of(const struct window *w, gva_t gva)
{
	return w->leaf[gva / GUEST_PAGE_SIZE / LEAF_ENTRIES];
}

Test(shadow_check, windows)
{
	struct guest g = { 0 };
	struct shadow *s;
	struct window *w;
	struct leaf *leaf;

	create(&g);
	s = g.shadow;
	w = s->current->domain.window[SHADOW_USER];
	leaf = leaf_of(w, UVA(0));
	BREAK(&g, leaf->entry[0], 0xfffff000 | LEAF_PRESENT, "a mapping goes beyond RAM");
	BREAK(&g, leaf->entry[1], LEAF_WRITE, "an entry that is not present is not zero");
	BREAK(&g, g.ram.page_flags[FRAME], RAM_PAGE_CODE, "a protected page is mapped writable");
	BREAK(&g, w->present, 2, "a window's count of pages is wrong");
	BREAK(&g, w->vmas, 2, "a window's count of host mappings is wrong");
	BREAK(&g, w->count[0], 1, "a leaf's count of pages is wrong");
	BREAK(&g, w->index, 7, "a space has a window that is gone");
	BREAK(&g, s->kernel->window[SHADOW_KERNEL]->index, 7, "a window does not know its index");
	BREAK(&g, s->windows, 2, "the count of windows is wrong");
	BREAK(&g, s->vmas, s->vmas - 1, "the count of host mappings is wrong");
	BREAK(&g, s->leaves, s->leaves - 1, "the count of leaves is wrong");
	BREAK(&g, s->leaf_limit, s->leaves - 1, "there are more leaves than allowed");
	BREAK(&g, s->batch[0][BATCH_UNMAP], ((struct host_batch){ NULL, 0, 1 }),
	      "what waits to be done is for no window");
	guest_destroy(&g);
}

Test(shadow_check, reverse_map)
{
	static const char gone[] = "the reverse map names a mapping that is not there";
	struct guest g = { 0 };
	uint32_t *first, last;
	struct shadow *s;
	struct leaf *leaf;

	create(&g);
	s = g.shadow;
	first = &s->rmap_first[FRAME];
	leaf = leaf_of(s->window[*first >> 20], UVA(0));
	last = leaf->link[0].next;
	cr_assert_neq(last, 0);
	BREAK(&g, *first, 0, "a mapping is not in the reverse map");
	BREAK(&g, *first, last, "a list of the reverse map is not linked both ways");
	BREAK(&g, leaf->link[0].next, 0, "a mapping is not in the reverse map");
	BREAK(&g, leaf->link[0].next, last + 1, gone);
	BREAK(&g, leaf->link[0].previous, last,
	      "a list of the reverse map is not linked both ways");
	BREAK(&g, s->rmap_first[FRAME + 1], *first, gone);
	BREAK(&g, s->rmap_first[FRAME + 1], WINDOWS_MAX << 20, gone);
	guest_destroy(&g);
}

Test(shadow_check, regions)
{
	struct guest g = { 0 };
	struct domain *d;
	struct region *r;
	uint32_t *pte;

	create(&g);
	d = &g.shadow->current->domain;
	r = d->region[0x20];
	pte = (uint32_t *)r->copy.page;
	BREAK(&g, r->relied, 2, "a region's count is wrong");
	BREAK(&g, r->slot, 0x21, "a region is not where it says");
	BREAK(&g, r->table.v, PT2, "a region's table is not the one its directory entry names");
	BREAK(&g, r->filled[0], 0, "a mapped page is not recorded in a region");
	BREAK(&g, r->copy.hi, 0, "a mapped page lies outside its table's copy");
	BREAK(&g, d->active[0], 0, "the bitmap of regions is wrong");
	BREAK(&g, d->active[1], 1, "the bitmap of regions is wrong");
	BREAK(&g, d->dir[0].hi, d->dir[0].lo, "a region's directory entry is not copied");
	BREAK(&g, d->dir_regions[0], 2, "a directory's count of regions is wrong");
	BREAK(&g, *pte, *pte & ~PTE_P, "a page is mapped without a present, accessed entry");
	BREAK(&g, *pte, *pte & ~PTE_A, "a page is mapped without a present, accessed entry");
	BREAK(&g, *pte, *pte + GUEST_PAGE_SIZE, "a page is mapped to the wrong frame");
	BREAK(&g, *pte, *pte & ~PTE_U, "the user view maps a supervisor page");
	BREAK(&g, *pte, *pte & ~PTE_W, "a page is mapped writable that must not be");
	BREAK(&g, *pte, *pte & ~PTE_D, "a page is mapped writable that must not be");
	BREAK(&g, *(uint32_t *)(g.ram.flat + PT), PAGE_OF(FRAME + 1) | USER_RW,
	      "a traced table differs from its copy");
	pte = (uint32_t *)g.shadow->kernel->region[0x301]->copy.page;
	BREAK(&g, *pte, *pte & ~PTE_G, "the shared kernel window maps a non-global page");
	((uint32_t *)g.shadow->kernel->dir[0].page)[0x301] |= PTE_U;
	g.shadow->mode.smap = true;
	BREAK(&g, *pte, *pte | PTE_U, "the kernel view maps a user page under SMAP");
	guest_destroy(&g);
}

Test(shadow_check, spaces)
{
	struct guest g = { 0 };
	struct space_impl *sp, *other;
	struct shadow *s;

	create(&g);
	s = g.shadow;
	sp = s->newest;
	other = s->oldest;
	cr_assert(sp != other && sp == s->current && sp->older == other);
	BREAK(&g, s->current, other, "the current space is not the one last used");
	BREAK(&g, other->newer, NULL, "the list of spaces is not linked both ways");
	BREAK(&g, s->oldest, sp, "the list of spaces ends elsewhere");
	BREAK(&g, sp->domain.space, NULL, "a domain does not know its space");
	BREAK(&g, sp->space.window[SHADOW_KERNEL], sp->space.window[SHADOW_USER],
	      "the current space tells of other windows than it has");
	BREAK(&g, s->share_kernel, false, "the shared kernel window is and is not");
	BREAK(&g, s->kernel, NULL, "the shared kernel window is and is not");
	guest_destroy(&g);
}

/* As debug builds do it. */
static void run_into(void (*damage)(struct shadow *s), unsigned operations)
{
	static const struct shadow_options options = { .check_every = 4, .no_fill_around = true };
	struct guest g = { 0 };

	two_spaces(&g, &options, 0);
	user_pte(&g, 0, FRAME, USER_RW);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	damage(g.shadow);
	for (unsigned i = 0; i < operations; i++)
		shadow_invlpg(g.shadow, UVA(0));
}

static void damage_current(struct shadow *s)
{
	s->current->space.window[SHADOW_USER] = HVA_NONE;
}

static void damage_regions(struct shadow *s)
{
	s->current->domain.region[0x20]->relied++;
}

Test(shadow_check, what_is_cheap_to_see_ends_the_program_at_once, .signal = SIGABRT)
{
	run_into(damage_current, 1);
}

Test(shadow_check, the_rest_ends_it_soon, .signal = SIGABRT)
{
	run_into(damage_regions, 4);
}
