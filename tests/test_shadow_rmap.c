/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reverse map under a guest that maps a frame hundreds of times. That work does not grow with
 * the number of aliases is told by counting the mappings touched, not by time.
 */
#include <criterion/criterion.h>

#include <string.h>
#include "shadow_fixture.h"

#define PD   0x100000u
#define PD2  0x101000u
#define MANY 700u /* large pages that show the same 4 MiB */
#define USER_RW (PTE_P | PTE_W | PTE_U)


/*
 * Fills both views of the current space, in which all large pages but the first one are the same
 * memory.
 */
static void fill_aliases(struct guest *g)
{
	struct shadow_fill_info info;
	unsigned i;

	for (i = 1; i <= MANY; i++) {
		cr_assert_eq(shadow_fill(g->shadow, SHADOW_KERNEL, i << 22, ACCESS_WRITE, &info),
			     SHADOW_FILL_OK);
		if (i <= 100)
			cr_assert_eq(
				shadow_fill(g->shadow, SHADOW_USER, i << 22, ACCESS_WRITE, &info),
				SHADOW_FILL_OK);
	}
}

static void aliased_spaces(struct guest *g)
{
	unsigned i;

	guest_create(g, NULL, CR4_PSE, CR0_WP);
	memset(g->ram.flat + PD, 0, 0x2000);
	for (i = 1; i <= MANY; i++) {
		put32(g, PD + i * 4, 0x800000 | USER_RW | PTE_A | PTE_D | PTE_PS);
		put32(g, PD2 + i * 4, 0x800000 | USER_RW | PTE_A | PTE_D | PTE_PS);
	}
	load_cr3(g, PD);
	fill_aliases(g);
	load_cr3(g, PD2);
	fill_aliases(g);
	load_cr3(g, PD);
}

/*
 * Since before, so many pages were unmapped; what that cost must not depend on how many aliases
 * they have.
 */
static void expect_cheap_unmaps(struct guest *g, struct shadow_stats *before, uint64_t pages)
{
	const struct shadow_stats *now = shadow_stats(g->shadow);

	cr_assert_eq(now->pages_unmapped - before->pages_unmapped, pages);
	cr_assert_leq(now->rmap_visits - before->rmap_visits, 2 * pages);
	*before = *now;
	expect_sane(g);
}

Test(shadow_rmap, a_frame_with_many_aliases_is_dropped_without_searching, .timeout = 60)
{
	struct guest g = { 0 };
	struct shadow_stats before;
	unsigned i;

	/* The oldest mappings first, the youngest first, and from the middle. */
	aliased_spaces(&g);
	expect_sane(&g);
	before = *shadow_stats(g.shadow);
	for (i = 1; i <= 50; i++) {
		put32(&g, PD + i * 4, 0);
		shadow_invlpg(g.shadow, i << 22);
	}
	expect_cheap_unmaps(&g, &before, 2 * 50 * 1024);
	for (i = MANY; i > MANY - 50; i--) {
		put32(&g, PD + i * 4, 0);
		shadow_invlpg(g.shadow, i << 22);
	}
	expect_cheap_unmaps(&g, &before, 50 * 1024);
	for (i = 300; i < 400; i++)
		put32(&g, PD + i * 4, 0);
	load_cr3(&g, PD);
	expect_cheap_unmaps(&g, &before, 100 * 1024);
	/* All of it at once: the mode changes. */
	g.paging.cr0 &= ~CR0_WP;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_eq(g.spaces_destroyed, 2);
	expect_cheap_unmaps(&g, &before, (2 * (MANY + 100) - (2 * 50 + 50 + 100)) * 1024);
	guest_destroy(&g);
}

Test(shadow_rmap, a_frame_with_many_aliases_is_protected_in_all_of_them, .timeout = 60)
{
	struct guest g = { 0 };
	uint64_t visits;
	unsigned i;

	aliased_spaces(&g);
	visits = shadow_stats(g.shadow)->rmap_visits;
	shadow_protect_code(g.shadow, GPA(0x812345));
	cr_assert_eq(shadow_stats(g.shadow)->rmap_visits - visits, 2 * (MANY + 100));
	expect_sane(&g);
	for (i = 1; i <= MANY; i += 9) {
		cr_assert_not(window_writable(g.space->window[SHADOW_KERNEL], (i << 22) + 0x12000));
		cr_assert(window_writable(g.space->window[SHADOW_KERNEL], (i << 22) + 0x13000));
	}
	guest_destroy(&g);
}

Test(shadow_rmap, spaces_are_evicted_when_their_entries_take_too_much_memory, .timeout = 60)
{
	/*
	 * Too little to be heeded: room for the 2048 leaves of a space and those of a shared kernel
	 * window there must be.
	 */
	static const struct shadow_options options = { .leaf_limit = 1 };
	struct guest g = { 0 };
	struct shadow_fill_info info;
	unsigned i, round, view;

	guest_create(&g, &options, CR4_PSE, CR0_WP);
	memset(g.ram.flat + PD, 0, 0x2000);
	for (i = 0; i < 1024; i++) {
		put32(&g, PD + i * 4, 0x800000 | USER_RW | PTE_A | PTE_D | PTE_PS);
		put32(&g, PD2 + i * 4, 0x800000 | USER_RW | PTE_A | PTE_D | PTE_PS);
	}
	for (round = 0; round < 4; round++) {
		load_cr3(&g, round & 1 ? PD2 : PD);
		cr_assert_eq(g.spaces_destroyed, round ? round - 1 : 0);
		for (view = 0; view < SHADOW_NVIEWS; view++)
			for (i = 0; i < 1024; i++)
				cr_assert_eq(
					shadow_fill(g.shadow, view, i << 22, ACCESS_WRITE, &info),
					SHADOW_FILL_OK);
		cr_assert_eq(g.spaces_destroyed, round);
		expect_sane(&g);
	}
	guest_destroy(&g);
}
