/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel window that all spaces share, and when it is given up. */
#include <criterion/criterion.h>

#include "shadow_spaces.h"

Test(shadow_kernel_window, shared_kernel_window_holds_global_pages_only)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	hva_t kernel;
	unsigned maps;

	two_spaces(&g, NULL, CR4_PGE);
	cr_assert(g.space->kernel_shared);
	kernel = g.space->window[SHADOW_KERNEL];
	kernel_pte(&g, 0, 0x300, PTE_P | PTE_W | PTE_G);
	kernel_pte(&g, 1, 0x310, PTE_P | PTE_W);
	user_pte(&g, 0, 0x320, USER_RW);
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, KVA(1), ACCESS_READ, &info),
		     SHADOW_FILL_EMULATE);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, UVA(0), ACCESS_WRITE, &info),
		     SHADOW_FILL_USER_VIEW);
	cr_assert_eq(guest_access(&g, SHADOW_USER, UVA(0), ACCESS_WRITE, &info), SHADOW_FILL_OK);
	maps = g.hm.maps;
	load_cr3(&g, PD2);
	cr_assert(hva_equal(g.space->window[SHADOW_KERNEL], kernel));
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
	cr_assert_eq(g.hm.maps, maps);
	/* Global entries outlive CR3 loads, not a full flush nor INVLPG. */
	kernel_pte(&g, 0, 0x301, PTE_P | PTE_W | PTE_G);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
	shadow_invlpg(g.shadow, KVA(0));
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x301);
	kernel_pte(&g, 0, 0x302, PTE_P | PTE_W | PTE_G);
	g.paging.cr4 &= ~CR4_PGE;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert(g.space->kernel_shared, "PGE off for a moment is but a flush");
	g.paging.cr4 |= CR4_PGE;
	set_paging(&g, SHADOW_FLUSH_ALL);
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x302);
	guest_destroy(&g);
}

Test(shadow_kernel_window, sharing_is_given_up_for_guests_without_global_kernels)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	unsigned i;
	bool global;

	two_spaces(&g, NULL, CR4_PGE);
	kernel_pte(&g, 0, 0x300, PTE_P | PTE_W | PTE_G);
	kernel_pte(&g, 1, 0x310, PTE_P | PTE_W);
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
	cr_assert(shadow_fetch(g.shadow, KVA(0), ACCESS_EXEC, &info, &global));
	cr_assert(global);
	load_cr3(&g, PD2);
	load_cr3(&g, PD);
	for (i = 0; i < 2500 && g.space->kernel_shared; i++)
		shadow_fill(g.shadow, SHADOW_KERNEL, KVA(1), ACCESS_READ, &info);
	cr_assert_not(g.space->kernel_shared);
	cr_assert_eq(g.code_changed, 1);
	cr_assert_null(g.code_space);
	cr_assert_eq(g.code_gva, KVA(0));
	expect_reads(&g, SHADOW_KERNEL, KVA(1), 0x310);
	expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
	load_cr3(&g, PD2);
	cr_assert_not(g.space->kernel_shared);
	expect_reads(&g, SHADOW_KERNEL, KVA(1), 0x310);
	guest_destroy(&g);
}

Test(shadow_kernel_window, reset_forgets_how_often_the_shared_kernel_window_did_not_suit)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	unsigned i, round;

	two_spaces(&g, NULL, CR4_PGE);
	for (round = 0; round < 3; round++) {
		kernel_pte(&g, 1, 0x310, PTE_P | PTE_W);
		for (i = 0; i < 1500; i++)
			cr_assert_eq(
				shadow_fill(g.shadow, SHADOW_KERNEL, KVA(1), ACCESS_READ, &info),
				SHADOW_FILL_EMULATE);
		cr_assert(g.space->kernel_shared, "round %u", round);
		kernel_pte(&g, 1, 0x310, PTE_P | PTE_W | PTE_G);
		shadow_reset(g.shadow);
		load_cr3(&g, PD);
	}
	guest_destroy(&g);
}

Test(shadow_kernel_window, sharing_begins_when_the_kernel_is_global)
{
	struct guest g = { 0 };

	two_spaces(&g, NULL, 0);
	kernel_pte(&g, 0, 0x300, PTE_P | PTE_W);
	g.paging.cr4 |= CR4_PGE;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_not(g.space->kernel_shared, "PGE is on, nothing is global");
	kernel_pte(&g, 0, 0x300, PTE_P | PTE_W | PTE_G);
	load_cr3(&g, PD);
	cr_assert_not(g.space->kernel_shared, "looked at once in a while");
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert(g.space->kernel_shared);
	guest_destroy(&g);
}

Test(shadow_kernel_window, sharing_looks_at_large_pages_and_past_those_of_programs)
{
	struct guest g = { 0 };

	two_spaces(&g, NULL, CR4_PSE);
	user_pte(&g, 0, 0x320, USER_RW);
	put32(&g, PD + 0x302 * 4, 0x400000 | PTE_P | PTE_W | PTE_PS);
	g.paging.cr4 |= CR4_PGE;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_not(g.space->kernel_shared);
	put32(&g, PD + 0x302 * 4, 0x400000 | PTE_P | PTE_W | PTE_PS | PTE_G);
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert(g.space->kernel_shared);
	guest_destroy(&g);
}

Test(shadow_kernel_window, a_page_or_two_after_each_load_of_cr3_do_not_end_sharing)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	two_spaces(&g, NULL, CR4_PGE);
	kernel_pte(&g, 0, 0x300, PTE_P | PTE_W | PTE_G);
	kernel_pte(&g, 1, 0x310, PTE_P | PTE_W);
	for (unsigned i = 0; i < 3000; i++) {
		load_cr3(&g, i % 2 ? PD : PD2);
		for (unsigned k = 0; k < 2; k++)
			cr_assert_eq(shadow_fill(g.shadow, SHADOW_KERNEL, KVA(1), ACCESS_WRITE,
						 &info),
				     SHADOW_FILL_EMULATE);
	}
	cr_assert(g.space->kernel_shared);
	guest_destroy(&g);
}

Test(shadow_kernel_window, sharing_without_pge_ends_soon_and_begins_again)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	two_spaces(&g, NULL, CR4_PGE);
	for (unsigned round = 0; round < 8; round++) {
		kernel_pte(&g, 0, 0x300, PTE_P | PTE_W);
		g.paging.cr4 &= ~CR4_PGE;
		set_paging(&g, SHADOW_FLUSH_ALL);
		for (unsigned i = 0; i < 20; i++)
			shadow_fill(g.shadow, SHADOW_KERNEL, KVA(0), ACCESS_READ, &info);
		cr_assert_not(g.space->kernel_shared, "round %u", round);
		expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
		kernel_pte(&g, 0, 0x300, PTE_P | PTE_W | PTE_G);
		g.paging.cr4 |= CR4_PGE;
		set_paging(&g, SHADOW_FLUSH_ALL);
		cr_assert(g.space->kernel_shared, "round %u", round);
		expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x300);
	}
	guest_destroy(&g);
}
