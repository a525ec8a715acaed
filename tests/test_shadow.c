/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shadow page tables: what a guest may observe (TLB semantics), seen through real windows. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include "shadow_fixture.h"

#define PD    0x100000u
#define PD2   0x101000u
#define PT    0x102000u
#define PT2   0x103000u
#define KPT   0x104000u
#define USER_RW (PTE_P | PTE_W | PTE_U)
#define SEEN    (PTE_A)

#define UVA(i) (0x08000000u + ((i) << 12)) /* directory entry 0x20 */
#define KVA(i) (0xc0400000u + ((i) << 12)) /* directory entry 0x301 */

static const struct shadow_options alone = { .no_fill_around = true };

/* Two address spaces with a user table each and a kernel table in common. */
static void two_spaces(struct guest *g, const struct shadow_options *options, uint32_t cr4)
{
	guest_create(g, options, cr4, CR0_WP);
	memset(g->ram.flat + PD, 0, 0x5000);
	put32(g, PD + 0x20 * 4, PT | USER_RW);
	put32(g, PD2 + 0x20 * 4, PT2 | USER_RW);
	put32(g, PD + 0x301 * 4, KPT | PTE_P | PTE_W);
	put32(g, PD2 + 0x301 * 4, KPT | PTE_P | PTE_W);
	load_cr3(g, PD);
}

static void user_pte(struct guest *g, unsigned i, uint32_t gfn, uint32_t bits)
{
	put32(g, PT + i * 4, PAGE_OF(gfn) | bits);
}

static void kernel_pte(struct guest *g, unsigned i, uint32_t gfn, uint32_t bits)
{
	put32(g, KPT + i * 4, PAGE_OF(gfn) | bits);
}

static enum shadow_fill user_write(struct guest *g, gva_t gva)
{
	struct shadow_fill_info info;

	return guest_access(g, SHADOW_USER, gva, ACCESS_WRITE | ACCESS_USER, &info);
}

static bool mapped(struct guest *g, enum shadow_view view, gva_t gva)
{
	uint32_t word;

	return window_readable(g->space->window[view], gva, &word);
}

Test(shadow, paging_off_maps_identity)
{
	struct guest g = { 0 };
	struct shadow_fill_info info;

	guest_create(&g, NULL, 0, 0);
	g.paging.cr0 = CR0_PE;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_eq(g.space->window[SHADOW_USER], g.space->window[SHADOW_KERNEL]);
	expect_reads(&g, SHADOW_KERNEL, 0x5000, 5);
	expect_reads(&g, SHADOW_USER, 0x1234567, 0x1234);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0x5000, ACCESS_WRITE, &info), SHADOW_FILL_OK);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0xb8123, ACCESS_WRITE, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa, 0xb8123);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0xfffffff0, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	expect_sane(&g);
	g.paging.a20_mask = 0xffefffff;
	set_paging(&g, SHADOW_FLUSH_ALL);
	cr_assert_eq(g.spaces_destroyed, 1);
	expect_reads(&g, SHADOW_KERNEL, 0x105000, 5);
	guest_destroy(&g);
}

Test(shadow, user_view_hides_supervisor_pages)
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

Test(shadow, a_page_is_writable_only_once_dirty)
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

Test(shadow, flushes_take_away_what_the_tables_no_longer_allow)
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

Test(shadow, invlpg_is_cheap_and_exact)
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

Test(shadow, spaces_keep_apart_and_are_kept)
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

Test(shadow, views_filled_at_different_times_are_both_flushed)
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

Test(shadow, fill_around_maps_only_accessed_neighbours)
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
	gpa_t pde;

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
	shadow_protect_code(g.shadow, 0x810000);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, gva + 0x10000, ACCESS_WRITE, &info),
		     SHADOW_FILL_PROTECTED);
	cr_assert_eq(info.gpa, 0x810000);
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

Test(shadow, large_pages_are_one_mapping)
{
	check_large(CR4_PSE, 1024);
	check_large(CR4_PAE, 512);
}

Test(shadow, a_large_page_around_the_video_hole_and_beyond_ram)
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
	cr_assert_eq(info.gpa, 0xa0010);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0x400010, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa, 0x2000010);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, 0x800010, ACCESS_READ, &info),
		     SHADOW_FILL_UNBACKED);
	cr_assert_eq(info.gpa, 0x100800010ull);
	guest_destroy(&g);
}

Test(shadow, write_protect_off_lets_ring_0_write)
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

Test(shadow, shared_kernel_window_holds_global_pages_only)
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
	cr_assert_eq(g.space->window[SHADOW_KERNEL], kernel);
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

Test(shadow, sharing_is_given_up_for_guests_without_global_kernels)
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

Test(shadow, code_pages_are_read_only_through_every_alias)
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
	shadow_protect_code(g.shadow, PAGE_OF(0x300) + 0x123);
	expect_sane(&g);
	cr_assert_eq(
		guest_access(&g, SHADOW_USER, UVA(3) + 0x44, ACCESS_WRITE | ACCESS_USER, &info),
		SHADOW_FILL_PROTECTED);
	cr_assert_eq(info.gpa, PAGE_OF(0x300) + 0x44);
	expect_reads(&g, SHADOW_USER, UVA(3), 0x300);
	load_cr3(&g, PD);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_PROTECTED);
	cr_assert_eq(user_write(&g, UVA(7)), SHADOW_FILL_PROTECTED);
	cr_assert_eq(guest_access(&g, SHADOW_KERNEL, UVA(7), ACCESS_WRITE, &info),
		     SHADOW_FILL_PROTECTED);
	shadow_unprotect_code(g.shadow, PAGE_OF(0x300));
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_OK);
	cr_assert_eq(user_write(&g, UVA(7)), SHADOW_FILL_OK);
	guest_destroy(&g);
}

Test(shadow, rom_is_read_only)
{
	struct guest g = { 0 };

	two_spaces(&g, &alone, 0);
	g.ram.page_flags[0x300] = RAM_PAGE_ROM;
	user_pte(&g, 0, 0x300, USER_RW | PTE_A | PTE_D);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	cr_assert_eq(user_write(&g, UVA(0)), SHADOW_FILL_PROTECTED);
	guest_destroy(&g);
}

Test(shadow, fetched_code_is_reported_when_its_mapping_changes)
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
	cr_assert_eq(info.gpa, PAGE_OF(0x300) + 5);
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

Test(shadow, quiet_tables_are_traced_and_busy_ones_compared)
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
	shadow_table_written(g.shadow, PT, 4);
	load_cr3(&g, PD);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x302);
	guest_destroy(&g);
}

Test(shadow, a_table_shared_by_spaces_is_compared_once_for_each_after_a_trace)
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

Test(shadow, windows_are_evicted_least_recently_used_first)
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

Test(shadow, two_windows_are_enough)
{
	two_windows(0);
	two_windows(CR4_PGE);
}

Test(shadow, host_mappings_stay_below_the_limit)
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

Test(shadow, a_window_that_takes_all_host_mappings_starves_no_other)
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

Test(shadow, host_refusals_cost_only_time)
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
	shadow_protect_code(g.shadow, PAGE_OF(0x400));
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

Test(shadow, a_refusal_in_the_middle_of_a_fill_costs_only_time)
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

Test(shadow, a_table_that_becomes_a_large_page_is_dropped)
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

static void pae_space(struct guest *g, const struct shadow_options *options, bool nxe)
{
	guest_create(g, options, CR4_PAE, CR0_WP);
	g->paging.nxe = nxe;
	memset(g->ram.flat + PD, 0, 0x5000);
	put64(g, PD, PD2 | PTE_P);
	put64(g, PD2 + 0x40 * 8, PT | USER_RW);
	load_cr3(g, PD);
}

Test(shadow, nx_counts_for_code_only)
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

Test(shadow, pdptes_are_those_last_loaded)
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

Test(shadow, copy_on_write_after_fork_costs_few_host_calls)
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

Test(shadow, prefill_maps_without_a_fault)
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

Test(shadow, a_reused_directory_is_unmapped_in_few_calls)
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

Test(shadow, two_machines_share_a_process)
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

Test(shadow, reset_forgets_everything)
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
		shadow_protect_code(g.shadow, PAGE_OF(0x300));
		load_cr3(&g, PD2);
		expect_sane(&g);
		cr_assert_neq(guest_ram_flags(&g.ram, PAGE_OF(0x300)) | guest_ram_flags(&g.ram, PT),
			      0);
		window = g.space->window[SHADOW_KERNEL];
		shadow_reset(g.shadow);
		cr_expect_eq(g.spaces_destroyed, 2);
		cr_expect_null(shadow_current(g.shadow));
		cr_expect_not(window_readable(window, KVA(0), &word));
		for (uint32_t gfn = 0; gfn < GUEST_RAM_SIZE >> GUEST_PAGE_SHIFT; gfn++)
			cr_assert_eq(guest_ram_flags(&g.ram, PAGE_OF(gfn)), 0, "frame %x", gfn);
		load_cr3(&g, PD);
		expect_sane(&g);
	}
	guest_destroy(&g);
}

Test(shadow, a_table_whose_traces_keep_ending_is_traced_again_however_late, .timeout = 60)
{
	struct guest g = { 0 };
	unsigned endings, compares;

	two_spaces(&g, &alone, 0);
	user_pte(&g, 0, 0x300, USER_RW);
	expect_reads(&g, SHADOW_USER, UVA(0), 0x300);
	for (endings = 0; endings < 12; endings++) {
		for (compares = 0; !(guest_ram_flags(&g.ram, PT) & RAM_PAGE_TABLE); compares++) {
			cr_assert_lt(compares, 40000, "not traced again after %u endings", endings);
			load_cr3(&g, PD);
		}
		cr_assert(endings < 2 || compares > 400, "%u compares were enough after %u endings",
			  compares, endings);
		shadow_table_written(g.shadow, PT, 4);
	}
	guest_destroy(&g);
}

Test(shadow, reset_forgets_how_often_the_shared_kernel_window_did_not_suit)
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
		shadow_reset(g.shadow);
		load_cr3(&g, PD);
	}
	guest_destroy(&g);
}

Test(shadow, too_few_mappings_are_explained)
{
	struct host_limits limits = { .map_count = 8191, .address_space = UINT64_MAX };
	struct host_mapping *hm;
	struct guest_ram ram;
	const char *why;

	cr_assert_eq(guest_ram_init(&ram, GUEST_RAM_SIZE), 0);
	cr_assert_eq(host_mapping_process_create(&ram, &limits, &hm, &why), -ENOMEM);
	cr_expect_not_null(strstr(why, "vm.max_map_count is 8191"), "%s", why);
	cr_expect_not_null(strstr(why, "sysctl vm.max_map_count=65530"), "%s", why);
	free((void *)why);
	limits.map_count = 8192;
	cr_assert_eq(host_mapping_process_create(&ram, &limits, &hm, &why), 0);
	cr_expect_eq(hm->ops->mapping_limit(hm), 8192);
	hm->ops->destroy(hm);
	guest_ram_destroy(&ram);
}

Test(shadow, an_address_space_limit_is_explained)
{
	struct rlimit limit, before;
	struct host_mapping *hm;
	struct guest_ram ram;
	const char *why;

	cr_assert_eq(guest_ram_init(&ram, GUEST_RAM_SIZE), 0);
	cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
	limit = (struct rlimit){ 8ull << 30, before.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
	cr_assert_eq(host_mapping_process_create(&ram, NULL, &hm, &why), -ENOMEM);
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	cr_assert_not_null(strstr(why, "ulimit -v"));
	free((void *)why);
	guest_ram_destroy(&ram);
}
