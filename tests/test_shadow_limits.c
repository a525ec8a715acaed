/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host gives is limited: windows, mappings. A reset gives all of it back. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include "shadow_spaces.h"

Test(shadow_limits, windows_are_evicted_least_recently_used_first)
{
	static const struct shadow_options options = { .window_limit = 6 };
	struct guest g = { 0 };
	unsigned i;

	guest_create(&g, &options, 0, CR0_WP);
	for (i = 0; i < 20; i++) {
		memset(g.ram.flat + 0x200000 + i * 0x2000, 0, 0x2000);
		put32(&g, 0x200000 + i * 0x2000 + 0x20 * 4, (0x201000 + i * 0x2000) | USER_RW);
		put32(&g, 0x201000 + i * 0x2000, PAGE_OF(0x400 + i) | USER_RW);
		load_cr3(&g, 0x200000 + i * 0x2000);
		expect_reads(&g, SHADOW_USER, UVA(0), 0x400 + i);
		expect_reads(&g, SHADOW_KERNEL, UVA(0), 0x400 + i);
		cr_assert_leq(g.hm.windows, 6);
		expect_sane(&g);
	}
	cr_assert_eq(g.spaces_destroyed, 17);
	load_cr3(&g, 0x200000 + 18 * 0x2000);
	cr_assert_eq(g.spaces_destroyed, 17, "a recent one is still there");
	load_cr3(&g, 0x200000);
	cr_assert_eq(g.spaces_destroyed, 18);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x400);
	guest_destroy(&g);
}

/* Two windows are one space's: each that is entered takes the place of the one that is left. */
static void two_windows(uint32_t cr4)
{
	static const struct shadow_options options = { .window_limit = 2 };
	struct guest g = { 0 };
	unsigned i;

	guest_create(&g, &options, cr4, CR0_WP);
	for (i = 0; i < 6; i++) {
		uint32_t pd = 0x200000 + (i % 3) * 0x2000;

		if (i < 3) {
			memset(g.ram.flat + pd, 0, 0x2000);
			put32(&g, pd + 0x20 * 4, (pd + 0x1000) | USER_RW);
			put32(&g, pd + 0x1000, PAGE_OF(0x400 + i) | USER_RW);
		}
		load_cr3(&g, pd);
		expect_reads(&g, SHADOW_USER, UVA(0), 0x400 + i % 3);
		cr_assert_leq(g.hm.windows, 2);
		expect_sane(&g);
	}
	guest_destroy(&g);
}

Test(shadow_limits, two_windows_are_enough)
{
	two_windows(0);
	two_windows(CR4_PGE);
}

Test(shadow_limits, host_mappings_stay_below_the_limit)
{
	struct guest g = { .hm.limit = 400 };
	unsigned i;

	two_spaces(&g, &alone, 0);
	for (i = 0; i < 1024; i++)
		user_pte(&g, i, 0x400 + i * 2, USER_RW);
	for (i = 0; i < 1024; i++) {
		expect_reads(&g, SHADOW_USER, UVA(i), 0x400 + i * 2);
		if (i % 100 == 0)
			expect_sane(&g);
	}
	cr_assert_gt(shadow_stats(g.shadow)->pages_unmapped, 500);
	guest_destroy(&g);
}

Test(shadow_limits, a_window_that_takes_all_host_mappings_starves_no_other)
{
	struct guest g = { .hm.limit = 400 };
	unsigned i;

	two_spaces(&g, &alone, CR4_PGE);
	for (i = 0; i < 199; i++) {
		kernel_pte(&g, i, 0x400 + i * 2, PTE_P | PTE_W | PTE_G);
		expect_reads(&g, SHADOW_KERNEL, KVA(i), 0x400 + i * 2);
	}
	cr_assert_eq(shadow_stats(g.shadow)->pages_unmapped, 0);
	for (i = 0; i < 4; i++) {
		user_pte(&g, i, 0x300 + i * 2, USER_RW);
		expect_reads(&g, SHADOW_USER, UVA(i), 0x300 + i * 2);
	}
	/* What one instruction needs is there at the same time. */
	for (i = 0; i < 4; i++)
		cr_assert(mapped(&g, SHADOW_USER, UVA(i)), "page %u", i);
	expect_sane(&g);
	guest_destroy(&g);
}

Test(shadow_limits, host_refusals_cost_only_time)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	put32(&g, PT2, PAGE_OF(0x400) | USER_RW);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	load_cr3(&g, PD2);
	/* Mapping refused: the other space goes, and it works. */
	g.hm.fail_maps = 1;
	expect_reads(&g, SHADOW_USER, UVA(0), 0x400);
	cr_assert_eq(g.spaces_destroyed, 1);
	/* Nothing left to evict: an error, and no harm done. */
	put32(&g, PT2 + 4, PAGE_OF(0x401) | USER_RW);
	g.hm.fail_maps = 1;
	cr_assert_eq(shadow_fill(g.shadow, SHADOW_USER, UVA(1), ACCESS_READ | ACCESS_USER, &info),
		     SHADOW_FILL_HOST_ERROR);
	cr_assert_eq(info.host_errno, ENOMEM);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x401);
	/* So is a refused upgrade. */
	g.hm.fail_takes = 1;
	cr_assert_eq(user_write(&g, UVA(1)), SHADOW_FILL_OK);
	expect_sane(&g);
	/* Taking away refused: the window is emptied instead. */
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	g.hm.fail_takes = 1;
	shadow_protect_code(g.shadow, GPA(PAGE_OF(0x400)));
	expect_sane(&g);
	cr_assert_not(mapped(&g, SHADOW_USER, UVA(1)));
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_PROTECTED);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x401);
	g.hm.fail_takes = 1;
	put32(&g, PT2 + 4, PAGE_OF(0x402) | USER_RW);
	load_cr3(&g, PD2);
	expect_sane(&g);
	expect_reads(&g, SHADOW_USER, UVA(1), 0x402);
	guest_destroy(&g);
}

Test(shadow_limits, a_refusal_in_the_middle_of_a_fill_costs_only_time)
{
	struct guest g = { 0 };

	two_spaces(&g, &(struct shadow_options){ 0 }, 0);
	user_pte(&g, 0, 0x300, USER_RW | PTE_A);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	/*
	 * The fill of the second page finds that the first is another's now. Taking that away is
	 * refused, and the window is emptied.
	 */
	user_pte(&g, 0, 0x400, USER_RW | PTE_A);
	user_pte(&g, 1, 0x301, USER_RW | PTE_A);
	g.hm.fail_takes = 1;
	expect_reads(&g, SHADOW_USER, UVA(1), 0x301);
	cr_assert_eq(g.hm.fail_takes, 0);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x400);
	expect_sane(&g);
	guest_destroy(&g);
}

Test(shadow_limits, two_machines_share_a_process)
{
	struct guest a = { 0 }, b = { 0 };
	unsigned view;

	two_spaces(&a, &alone, 0);
	two_spaces(&b, &alone, 0);
	user_pte(&a, 0, 0x300, USER_RW);
	user_pte(&b, 0, 0x301, USER_RW);
	for (view = 0; view < SHADOW_NVIEWS; view++) {
		expect_reads(&a, view, UVA(0), 0x300);
		expect_reads(&b, view, UVA(0), 0x301);
		expect_reads(&a, view, UVA(0), 0x300);
	}
	guest_destroy(&a);
	expect_reads(&b, SHADOW_USER, UVA(0), 0x301);
	guest_destroy(&b);
}

Test(shadow_limits, reset_forgets_everything)
{
	static const struct shadow_options traced = { .policy = SHADOW_POLICY_TRACE_ONLY };
	struct guest g = { 0 };
	struct shadow_fill_info info;
	hva_t window;
	uint32_t word;
	bool global;

	two_spaces(&g, &traced, CR4_PGE);
	for (unsigned round = 0; round < 3; round++) {
		g.spaces_destroyed = 0;
		user_pte(&g, 0, 0x300, USER_RW);
		kernel_pte(&g, 0, 0x301, PTE_P | PTE_W | PTE_G);
		cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
		expect_reads(&g, SHADOW_KERNEL, KVA(0), 0x301);
		cr_assert(
			shadow_fetch(g.shadow, UVA(0), ACCESS_EXEC | ACCESS_USER, &info, &global));
		shadow_protect_code(g.shadow, GPA(PAGE_OF(0x300)));
		load_cr3(&g, PD2);
		expect_sane(&g);
		cr_assert_neq(guest_ram_flags(&g.ram, GPA(PAGE_OF(0x300))) |
				      guest_ram_flags(&g.ram, GPA(PT)),
			      0);
		window = g.space->window[SHADOW_KERNEL];
		shadow_reset(g.shadow);
		cr_expect_eq(g.spaces_destroyed, 2);
		cr_expect_null(shadow_current(g.shadow));
		cr_expect_not(window_readable(window, KVA(0), &word));
		for (uint32_t gfn = 0; gfn < GUEST_RAM_SIZE >> GUEST_PAGE_SHIFT; gfn++)
			cr_assert_eq(guest_ram_flags(&g.ram, gpa_of_frame(gfn)), 0, "frame %x",
				     gfn);
		load_cr3(&g, PD);
		expect_sane(&g);
	}
	guest_destroy(&g);
}

Test(shadow_limits, too_few_mappings_are_explained)
{
	struct host_limits limits = { .map_count = 8191, .address_space = UINT64_MAX };
	struct host_mapping *hm;
	struct guest_ram ram;
	struct error error = { 0 };

	cr_assert_eq(guest_ram_init(&ram, GUEST_RAM_SIZE), 0);
	cr_assert_eq(host_mapping_process_create(&ram, &limits, &hm, &error), -ENOMEM);
	cr_expect_not_null(strstr(error.text, "vm.max_map_count is 8191"), "%s", error.text);
	cr_expect_not_null(strstr(error.text, "sysctl vm.max_map_count=65530"), "%s", error.text);
	limits.map_count = 8192;
	cr_assert_eq(host_mapping_process_create(&ram, &limits, &hm, &error), 0);
	cr_expect_eq(hm->ops->mapping_limit(hm), 8192);
	hm->ops->destroy(hm);
	guest_ram_destroy(&ram);
}

Test(shadow_limits, an_address_space_limit_is_explained)
{
	struct rlimit limit, before;
	struct host_mapping *hm;
	struct guest_ram ram;
	struct error error = { 0 };

	cr_assert_eq(guest_ram_init(&ram, GUEST_RAM_SIZE), 0);
	cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
	limit = (struct rlimit){ 8ull << 30, before.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	cr_assert_eq(host_mapping_process_create(&ram, NULL, &hm, &error), -ENOMEM);
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	cr_assert_not_null(strstr(error.text, "ulimit -v"));
	guest_ram_destroy(&ram);
}
