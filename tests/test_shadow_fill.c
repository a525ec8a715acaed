/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host fault brings into the windows: how much, with which permissions, in which view. */
#include <criterion/criterion.h>

#include <string.h>
#include "shadow_spaces.h"

Test(shadow_fill, paging_off_maps_identity)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	guest_create(&g, NULL, 0, 0);
	g.paging.cr0 = CR0_PE;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert(hva_equal(g.space->window[SHADOW_USER], g.space->window[SHADOW_KERNEL]));
	expect_reads(&g, SHADOW_KERNEL, 0x5000, 5);
	expect_reads(&g, SHADOW_USER, 0x1234567, 0x1234);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0x5000, ACCESS_WRITE, &info), SHADOW_FILL_OK);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0xb8123, ACCESS_WRITE, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa.v, 0xb8123);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0xfffffff0, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	expect_sane(&g);
	g.paging.a20_mask = 0xffefffff;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_eq(g.spaces_destroyed, 1);
	expect_reads(&g, SHADOW_KERNEL, 0x105000, 5);
	guest_destroy(&g);
}

Test(shadow_fill, user_view_hides_supervisor_pages)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, PTE_P | PTE_W);
	user_pte(&g, 1, 0x301, USER_RW);
	expect_reads(&g, SHADOW_KERNEL, UVA(0), 0x300);
	cr_assert_eq(guest_access(&g, SHADOW_USER, UVA(0), ACCESS_READ | ACCESS_USER, &info),
		     SHADOW_FILL_FAULT);
	cr_assert_eq(info.error, PFE_P | PFE_U);
	cr_assert_eq(guest_access(&g, SHADOW_USER, UVA(0), ACCESS_READ, &info),
		     SHADOW_FILL_EMULATE);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x301);
	cr_assert_eq(guest_access(&g, SHADOW_USER, UVA(2), ACCESS_WRITE | ACCESS_USER, &info),
		     SHADOW_FILL_FAULT);
	cr_assert_eq(info.error, PFE_W | PFE_U);
	guest_destroy(&g);
}

Test(shadow_fill, a_page_is_writable_only_once_dirty)
{
	struct guest g = { 0 };

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert_eq(get32(&g, PT) & (PTE_A | PTE_D), PTE_A);
	cr_assert_not(window_writable(g.space->window[SHADOW_USER], UVA(0)));
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	cr_assert_eq(get32(&g, PT) & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* The guest cleans the page; the shadow may stay writable until the flush, not beyond. */
	user_pte(&g, 0, 0x300, USER_RW | PTE_A);
	shadow_invlpg(g.shadow, UVA(0));
	cr_assert_not(window_writable(g.space->window[SHADOW_USER], UVA(0)));
	cr_assert(mapped(&g, SHADOW_USER, UVA(0)), "only the right to write had to go");
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	cr_assert(get32(&g, PT) & PTE_D);
	/* A cleared accessed bit must be set again by the next access after a flush. */
	user_pte(&g, 0, 0x300, USER_RW | PTE_D);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert(get32(&g, PT) & PTE_A);
	guest_destroy(&g);
}

/* ROM ends at 4 GiB: the page after it in a table may be of frame 0, which goes on with nothing. */
Test(shadow_fill, the_last_frame_is_followed_by_none)
{
	static const uint8_t rom[0x10000] = { 0x12 };
	struct guest g = { .rom = rom };

	two_spaces(&g, NULL, 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		user_pte(&g, 0, 0xfffff, USER_RW | PTE_A);
		user_pte(&g, 1, 0, USER_RW | PTE_A);
		load_cr3(&g, PD);
		expect_reads(&g, SHADOW_USER, UVA(turn), 0);
		expect_reads(&g, SHADOW_USER, UVA(!turn), 0);
	}
	user_pte(&g, 0, 0xffff0, USER_RW | PTE_A);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x12);
	guest_destroy(&g);
}

Test(shadow_fill, write_protect_off_lets_ring_0_write)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	guest_create(&g, &alone, 0, 0);
	memset(g.ram.flat + PD, 0, 0x5000);
	put32(&g, PD + 0x20 * 4, PT | USER_RW);
	user_pte(&g, 0, 0x300, PTE_P | PTE_U);
	load_cr3(&g, PD);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_FAULT);
	cr_assert_eq(guest_access(&g, SHADOW_USER, UVA(0), ACCESS_WRITE, &info),
		     SHADOW_FILL_EMULATE);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, UVA(0), ACCESS_WRITE, &info), SHADOW_FILL_OK);
	cr_assert(get32(&g, PT) & PTE_D);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_FAULT);
	g.paging.cr0 |= CR0_WP;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, UVA(0), ACCESS_WRITE, &info),
		     SHADOW_FILL_FAULT);
	cr_assert_eq(info.error, PFE_P | PFE_W);
	guest_destroy(&g);
}

Test(shadow_fill, fill_around_maps_only_accessed_neighbours)
{
	struct guest g = { 0 };
	unsigned i;

	two_spaces(&g, NULL, 0);
	for (i = 0; i < 12; i++)
		user_pte(&g, i, 0x300 + i, USER_RW | SEEN | (i & 4 ? PTE_D : 0));
	user_pte(&g, 9, 0x309, USER_RW);
	user_pte(&g, 10, 0x30a, PTE_P | SEEN);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x301);
	cr_assert_leq(g.hm.maps, 4);
	for (i = 0; i < 9; i++) {
		cr_assert(mapped(&g, SHADOW_USER, UVA(i)), "page %u", i);
		cr_assert_eq(window_writable(g.space->window[SHADOW_USER], UVA(i)), !!(i & 4),
			     "page %u", i);
	}
	cr_assert_not(mapped(&g, SHADOW_USER, UVA(9)), "not accessed");
	cr_assert_not(mapped(&g, SHADOW_USER, UVA(10)), "not the user's");
	cr_assert_eq(get32(&g, PT + 9 * 4) & PTE_A, 0);
	guest_destroy(&g);
}

static void check_large(uint32_t cr4, unsigned pages)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	gva_t gva = 0xc0800000;
	uint32_t pde;

	guest_create(&g, NULL, cr4, CR0_WP);
	memset(g.ram.flat + PD, 0, 0x5000);
	g.paging.cr3 = PD;
	if (cr4 & CR4_PAE) {
		pde = PD2 + 4 * 8;
		put64(&g, PD + 24, PD2 | PTE_P);
	} else {
		pde = PD + 0x302 * 4;
	}
	put32(&g, pde, 0x800000 | PTE_P | PTE_W | PTE_PS);
	set_paging(&g, SHADOW_FLUSH_ALL);
	expect_reads(&g, SHADOW_KERNEL, gva + 0x5000, 0x805);
	cr_assert_eq(g.hm.maps, 1);
	expect_reads(&g, SHADOW_KERNEL, gva + (pages - 1) * 4096, 0x800 + pages - 1);
	cr_assert_eq(g.hm.maps, 1, "one mapping for the whole of it");
	cr_assert_not(mapped(&g, SHADOW_KERNEL, gva + pages * 4096));
	cr_assert_eq(get32(&g, pde) & PTE_D, 0);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, gva, ACCESS_WRITE, &info), SHADOW_FILL_OK);
	cr_assert(get32(&g, pde) & PTE_D);
	cr_assert(window_writable(g.space->window[SHADOW_KERNEL], gva + 0x100000));
	cr_assert_eq(g.hm.maps, 1);
	cr_assert_eq(g.hm.protects, 1);
	expect_sane(&g);
	/* Code inside it. */
	shadow_protect_code(g.shadow, GPA(0x810000));
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, gva + 0x10000, ACCESS_WRITE, &info),
		     SHADOW_FILL_PROTECTED);
	cr_assert_eq(info.gpa.v, 0x810000);
	cr_assert(window_writable(g.space->window[SHADOW_KERNEL], gva + 0x11000));
	expect_sane(&g);
	put32(&g, pde, 0x1000000 | PTE_P | PTE_W | PTE_PS);
	shadow_invlpg(g.shadow, gva + 0x7000);
	expect_reads(&g, SHADOW_KERNEL, gva + 0x5000, 0x1005);
	put32(&g, pde, 0);
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_not(mapped(&g, SHADOW_KERNEL, gva + 0x5000));
	guest_destroy(&g);
}

Test(shadow_fill, large_pages_are_one_mapping)
{
	check_large(CR4_PSE, 1024);
	check_large(CR4_PAE, 512);
}

Test(shadow_fill, a_large_page_around_the_video_hole_and_beyond_ram)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	guest_create(&g, NULL, CR4_PSE, 0);
	memset(g.ram.flat + PD, 0, 0x1000);
	g.paging.cr3 = PD;
	put32(&g, PD, PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D);
	put32(&g, PD + 4, 0x2000000 | PTE_P | PTE_PS);
	put32(&g, PD + 8, 0x800000 | PTE_P | PTE_PS | 0x2000);
	set_paging(&g, SHADOW_FLUSH_ALL);
	expect_reads(&g, SHADOW_KERNEL, 0xc5000, 0xc5);
	cr_assert(mapped(&g, SHADOW_KERNEL, 0x1000));
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0xa0010, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa.v, 0xa0010);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0x400010, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa.v, 0x2000010);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0x800010, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa.v, 0x100800010ull);
	guest_destroy(&g);
}

Test(shadow_fill, nx_counts_for_code_only)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	bool global;

	pae_space(&g, &alone, true);
	put64(&g, PT, PAGE_OF(0x300) | USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert(shadow_fetch(g.shadow, UVA(0), ACCESS_EXEC | ACCESS_USER, &info, &global));
	put64(&g, PT, PAGE_OF(0x300) | USER_RW | PTE_A | PTE_NX);
	load_cr3(&g, PD);
	cr_assert_eq(g.code_changed, 1);
	cr_assert(mapped(&g, SHADOW_USER, UVA(0)));
	cr_assert_not(shadow_fetch(g.shadow, UVA(0), ACCESS_EXEC | ACCESS_USER, &info, &global));
	cr_assert_eq(info.error, PFE_P | PFE_U | PFE_I);
	guest_destroy(&g);
	/* Without EFER.NXE the bit is reserved: such a neighbour must not be mapped. */
	pae_space(&g, NULL, false);
	put64(&g, PT, PAGE_OF(0x300) | USER_RW | SEEN);
	put64(&g, PT + 8, PAGE_OF(0x301) | USER_RW | SEEN | PTE_NX);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert_not(mapped(&g, SHADOW_USER, UVA(1)));
	guest_destroy(&g);
}

Test(shadow_fill, prefill_maps_without_a_fault)
{
	struct guest g = { 0 };
	uint64_t faults;

	two_spaces(&g, &alone, 0);
	faults = shadow_stats(g.shadow)->true_faults;
	shadow_prefill(g.shadow, SHADOW_USER, UVA(0), ACCESS_WRITE | ACCESS_USER);
	cr_assert_eq(shadow_stats(g.shadow)->true_faults, faults);
	user_pte(&g, 0, 0x300, USER_RW);
	shadow_prefill(g.shadow, SHADOW_USER, UVA(0), ACCESS_READ | ACCESS_USER);
	cr_assert(mapped(&g, SHADOW_USER, UVA(0)));
	cr_assert_eq(get32(&g, PT) & PTE_D, 0);
	shadow_prefill(g.shadow, SHADOW_USER, UVA(0), ACCESS_WRITE | ACCESS_USER);
	cr_assert(window_writable(g.space->window[SHADOW_USER], UVA(0)));
	cr_assert(get32(&g, PT) & PTE_D);
	guest_destroy(&g);
}
