/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What flushes take away, and what they leave: the contract of a TLB. */
#include <criterion/criterion.h>

#include <string.h>
#include "shadow_spaces.h"

Test(shadow_flush, flushes_take_away_what_the_tables_no_longer_allow)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	unsigned i;

	two_spaces(&g, NULL, 0);
	for (i = 0; i < 8; i++)
		user_pte(&g, i, 0x300 + i, USER_RW);
	for (i = 0; i < 8; i++)
		cr_assert_eq(user_write(&g, UVA(i)), SHADOW_FILL_OK);
	user_pte(&g, 0, 0x310, USER_RW);
	user_pte(&g, 1, 0, 0);
	user_pte(&g, 2, 0x302, PTE_P | PTE_U | PTE_A | PTE_D);
	user_pte(&g, 3, 0x303, PTE_P | PTE_W | PTE_A | PTE_D);
	load_cr3(&g, PD);
	expect_sane(&g);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x310);
	cr_assert_eq(user_write(&g, UVA(1)), SHADOW_FILL_FAULT);
	cr_assert(mapped(&g, SHADOW_USER, UVA(2)));
	cr_assert_eq(user_write(&g, UVA(2)), SHADOW_FILL_FAULT);
	cr_assert_eq(guest_access(&g, SHADOW_USER, UVA(3), ACCESS_READ | ACCESS_USER, &info),
		     SHADOW_FILL_FAULT);
	cr_assert(window_writable(g.space->window[SHADOW_USER], UVA(4)));
	/* A directory entry that loses U takes the whole table's pages from the user. */
	put32(&g, PD + 0x20 * 4, PT | PTE_P | PTE_W);
	load_cr3(&g, PD);
	for (i = 0; i < 8; i++)
		cr_assert_not(mapped(&g, SHADOW_USER, UVA(i)));
	guest_destroy(&g);
}

Test(shadow_flush, invlpg_is_cheap_and_exact)
{
	struct guest g = { 0 };
	unsigned unmaps, i;

	two_spaces(&g, &alone, 0);
	for (i = 0; i < 4; i++) {
		user_pte(&g, i, 0x300 + 2 * i, USER_RW);
		expect_reads(&g, SHADOW_USER, UVA(i), 0x300 + 2 * i);
	}
	unmaps = g.hm.unmaps;
	shadow_invlpg(g.shadow, UVA(2));
	shadow_invlpg(g.shadow, UVA(9));
	shadow_invlpg(g.shadow, 0x55555000);
	cr_assert_eq(g.hm.unmaps, unmaps, "nothing had changed");
	user_pte(&g, 1, 0x400, USER_RW);
	user_pte(&g, 2, 0x401, USER_RW);
	shadow_invlpg(g.shadow, UVA(2));
	expect_reads(&g, SHADOW_USER, UVA(2), 0x401);
	/* UVA(1) may be stale, yet must be seen at its own flush even after fills beside it. */
	shadow_invlpg(g.shadow, UVA(1));
	expect_reads(&g, SHADOW_USER, UVA(1), 0x400);
	guest_destroy(&g);
}

Test(shadow_flush, spaces_keep_apart_and_are_kept)
{
	struct guest g = { 0 };
	struct space *first;
	unsigned maps;

	two_spaces(&g, NULL, 0);
	first = g.space;
	user_pte(&g, 0, 0x300, USER_RW);
	put32(&g, PT2, PAGE_OF(0x400) | USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	load_cr3(&g, PD2);
	cr_assert_neq(g.space, first);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x400);
	maps = g.hm.maps;
	load_cr3(&g, PD);
	cr_assert_eq(g.space, first);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert_eq(g.hm.maps, maps, "coming back costs no mapping");
	/* Changed behind its back, while the other space was current. */
	load_cr3(&g, PD2);
	user_pte(&g, 0, 0x310, USER_RW);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x310);
	guest_destroy(&g);
}

Test(shadow_flush, views_filled_at_different_times_are_both_flushed)
{
	struct guest g = { 0 };

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	user_pte(&g, 0, 0x301, USER_RW);
	expect_reads(&g, SHADOW_KERNEL, UVA(0), 0x301);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x301);
	/* The same by way of fill-around. */
	g.hm.maps = 0;
	guest_destroy(&g);
	memset(&g, 0, sizeof(g));
	two_spaces(&g, NULL, 0);
	user_pte(&g, 0, 0x300, USER_RW | SEEN);
	user_pte(&g, 1, 0x310, USER_RW | SEEN);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert(mapped(&g, SHADOW_USER, UVA(1)));
	user_pte(&g, 1, 0x311, USER_RW | SEEN);
	expect_reads(&g, SHADOW_KERNEL, UVA(0), 0x300);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x311);
	expect_reads(&g, SHADOW_KERNEL, UVA(1), 0x311);
	guest_destroy(&g);
}

Test(shadow_flush, a_table_that_becomes_a_large_page_is_dropped)
{
	struct guest g = { 0 };

	two_spaces(&g, &alone, CR4_PSE);
	put32(&g, PD + 0x20 * 4, 0x800000 | USER_RW);
	put32(&g, 0x800004, PAGE_OF(0x300) | USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x300);
	put32(&g, PD + 0x20 * 4, 0x800000 | USER_RW | PTE_A | PTE_PS);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x801);
	guest_destroy(&g);
}

Test(shadow_flush, pdptes_are_those_last_loaded)
{
	struct guest g = { 0 };

	pae_space(&g, &alone, true);
	put64(&g, PT, PAGE_OF(0x300) | USER_RW);
	put64(&g, PT2, PAGE_OF(0x301) | USER_RW);
	put64(&g, KPT + 0x40 * 8, PT2 | USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	put64(&g, PD, KPT | PTE_P);
	shadow_invlpg(g.shadow, UVA(0));
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x301);
	put64(&g, PD, 0);
	load_cr3(&g, PD);
	cr_assert_not(mapped(&g, SHADOW_USER, UVA(0)));
	guest_destroy(&g);
}

Test(shadow_flush, copy_on_write_after_fork_costs_few_host_calls)
{
	struct guest g = { 0 };
	unsigned protects, maps, i;

	two_spaces(&g, NULL, 0);
	for (i = 0; i < 256; i++) {
		user_pte(&g, i, 0x400 + i, USER_RW | PTE_A | PTE_D);
		cr_assert_eq(user_write(&g, UVA(i)), SHADOW_FILL_OK);
	}
	protects = g.hm.protects;
	for (i = 0; i < 256; i++)
		user_pte(&g, i, 0x400 + i, PTE_P | PTE_U | PTE_A | PTE_D);
	load_cr3(&g, PD);
	cr_assert_eq(g.hm.protects - protects, 1);
	cr_assert_eq(user_write(&g, UVA(9)), SHADOW_FILL_FAULT);
	/* The kernel copies one page and gives the right to write back for another. */
	maps = g.hm.maps;
	user_pte(&g, 9, 0x700, USER_RW | PTE_A | PTE_D);
	shadow_invlpg(g.shadow, UVA(9));
	shadow_prefill(g.shadow, SHADOW_USER, UVA(9), ACCESS_WRITE | ACCESS_USER);
	cr_assert(window_writable(g.space->window[SHADOW_USER], UVA(9)));
	user_pte(&g, 10, 0x40a, USER_RW | PTE_A | PTE_D);
	shadow_prefill(g.shadow, SHADOW_USER, UVA(10), ACCESS_WRITE | ACCESS_USER);
	cr_assert(window_writable(g.space->window[SHADOW_USER], UVA(10)));
	cr_assert_leq(g.hm.maps - maps, 2);
	guest_destroy(&g);
}

Test(shadow_flush, a_reused_directory_is_unmapped_in_few_calls)
{
	struct guest g = { 0 };
	unsigned unmaps, i;

	two_spaces(&g, &alone, 0);
	for (i = 0; i < 200; i++) {
		user_pte(&g, i * 3, 0x400 + i * 2, USER_RW);
		expect_reads(&g, SHADOW_USER, UVA(i * 3), 0x400 + i * 2);
	}
	unmaps = g.hm.unmaps;
	memset(g.ram.flat + PT, 0, 0x1000);
	load_cr3(&g, PD);
	cr_assert_leq(g.hm.unmaps - unmaps, 1);
	for (i = 0; i < 200; i++)
		cr_assert_not(mapped(&g, SHADOW_USER, UVA(i * 3)));
	guest_destroy(&g);
}
