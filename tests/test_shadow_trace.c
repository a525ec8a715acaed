/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages that are write-protected: code, ROM, and page tables that are quiet. */
#include <criterion/criterion.h>

#include "shadow_spaces.h"

Test(shadow_trace, code_pages_are_read_only_through_every_alias)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	user_pte(&g, 7, 0x300, USER_RW);
	put32(&g, PT2 + 12, PAGE_OF(0x300) | USER_RW);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	cr_assert_eq(user_write(&g, UVA(7)), SHADOW_FILL_OK);
	load_cr3(&g, PD2);
	cr_assert_eq(user_write(&g, UVA(3)), SHADOW_FILL_OK);
	shadow_protect_code(g.shadow, GPA(PAGE_OF(0x300) + 0x123));
	expect_sane(&g);
	cr_assert_eq(
		guest_access(&g, SHADOW_USER, UVA(3) + 0x44, ACCESS_WRITE | ACCESS_USER, &info),
		SHADOW_FILL_PROTECTED);
	cr_assert_eq(info.gpa.v, PAGE_OF(0x300) + 0x44);
	expect_reads(&g, SHADOW_USER, UVA(3), 0x300);
	load_cr3(&g, PD);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_PROTECTED);
	cr_assert_eq(user_write(&g, UVA(7)), SHADOW_FILL_PROTECTED);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, UVA(7), ACCESS_WRITE, &info),
		     SHADOW_FILL_PROTECTED);
	shadow_unprotect_code(g.shadow, GPA(PAGE_OF(0x300)));
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	cr_assert_eq(user_write(&g, UVA(7)), SHADOW_FILL_OK);
	guest_destroy(&g);
}

Test(shadow_trace, rom_is_read_only)
{
	struct guest g = { 0 };

	two_spaces(&g, &alone, 0);
	g.ram.page_flags[0x300] = RAM_PAGE_ROM;
	user_pte(&g, 0, 0x300, USER_RW | PTE_A | PTE_D);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_PROTECTED);
	guest_destroy(&g);
}

Test(shadow_trace, fetched_code_is_reported_when_its_mapping_changes)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;
	bool global;

	two_spaces(&g, &alone, CR4_PGE);
	user_pte(&g, 0, 0x300, USER_RW);
	kernel_pte(&g, 0, 0x310, PTE_P | PTE_G);
	cr_assert_not(shadow_fetch(g.shadow, UVA(1), ACCESS_EXEC | ACCESS_USER, &info, &global));
	cr_assert_eq(info.error, PFE_U);
	cr_assert(shadow_fetch(g.shadow, UVA(0) + 5, ACCESS_EXEC | ACCESS_USER, &info, &global));
	cr_assert_eq(info.gpa.v, PAGE_OF(0x300) + 5);
	cr_assert_not(global);
	cr_assert(shadow_fetch(g.shadow, KVA(0), ACCESS_EXEC, &info, &global));
	cr_assert(global);
	load_cr3(&g, PD);
	cr_assert_eq(g.code_changed, 0);
	user_pte(&g, 0, 0x301, USER_RW);
	load_cr3(&g, PD);
	cr_assert_eq(g.code_changed, 1);
	cr_assert_eq(g.code_space, g.space);
	cr_assert_eq(g.code_gva, UVA(0));
	user_pte(&g, 0, 0x302, USER_RW);
	load_cr3(&g, PD);
	cr_assert_eq(g.code_changed, 1, "nobody relied on it any more");
	kernel_pte(&g, 0, 0x311, PTE_P | PTE_G);
	load_cr3(&g, PD);
	cr_assert_eq(g.code_changed, 1);
	shadow_invlpg(g.shadow, KVA(0));
	cr_assert_eq(g.code_changed, 2);
	cr_assert_null(g.code_space);
	guest_destroy(&g);
}

Test(shadow_trace, quiet_tables_are_traced_and_busy_ones_compared)
{
	static const struct shadow_options options = { .no_fill_around = true };
	struct guest g = { 0 };
	struct shadow_fill_info info;
	uint64_t compared;
	unsigned i;

	two_spaces(&g, &options, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	kernel_pte(&g, 5, PT >> 12, PTE_P | PTE_W);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, KVA(5), ACCESS_WRITE, &info), SHADOW_FILL_OK);
	for (i = 0; i < 300; i++)
		load_cr3(&g, PD);
	cr_assert(g.ram.page_flags[PT >> 12] & RAM_PAGE_TABLE);
	cr_assert_not(window_writable(g.space->window[SHADOW_KERNEL], KVA(5)));
	compared = shadow_stats(g.shadow)->tables_compared;
	load_cr3(&g, PD);
	cr_assert_eq(shadow_stats(g.shadow)->tables_compared, compared + 1, "only the directory");
	/* A write ends the trace, and is seen at the next flush. */
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, KVA(5), ACCESS_WRITE, &info), SHADOW_FILL_OK);
	cr_assert_not(g.ram.page_flags[PT >> 12] & RAM_PAGE_TABLE);
	user_pte(&g, 0, 0x301, USER_RW);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x301);
	/* The same when C code writes. */
	for (i = 0; i < 300; i++)
		load_cr3(&g, PD);
	cr_assert(g.ram.page_flags[PT >> 12] & RAM_PAGE_TABLE);
	user_pte(&g, 0, 0x302, USER_RW);
	shadow_table_written(g.shadow, GPA(PT), 4);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x302);
	guest_destroy(&g);
}

Test(shadow_trace, a_table_shared_by_spaces_is_compared_once_for_each_after_a_trace)
{
	struct guest g = { 0 };
	unsigned i;

	two_spaces(&g, &alone, 0);
	put32(&g, PD2 + 0x20 * 4, PT | USER_RW);
	user_pte(&g, 0, 0x300, USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	load_cr3(&g, PD2);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	user_pte(&g, 0, 0x301, USER_RW);
	/* Only this space sees the change and traces the table. */
	load_cr3(&g, PD2);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x301);
	for (i = 0; i < 300; i++)
		load_cr3(&g, PD2);
	cr_assert(g.ram.page_flags[PT >> 12] & RAM_PAGE_TABLE);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x301);
	guest_destroy(&g);
}

Test(shadow_trace, a_table_whose_traces_keep_ending_is_traced_again_however_late, .timeout = 60)
{
	struct guest g = { 0 };
	unsigned endings, compares;

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	for (endings = 0; endings < 12; endings++) {
		for (compares = 0; !(guest_ram_flags(&g.ram, GPA(PT)) & RAM_PAGE_TABLE);
		     compares++) {
			cr_assert_lt(compares, 40000, "not traced again after %u endings", endings);
			load_cr3(&g, PD);
		}
		cr_assert(endings < 2 || compares > 400, "%u compares were enough after %u endings",
			  compares, endings);
		shadow_table_written(g.shadow, GPA(PT), 4);
	}
	guest_destroy(&g);
}
