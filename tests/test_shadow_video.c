/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Display memory that is shown: in windows as RAM is, gone when it is hidden, and watched. */
#include <criterion/criterion.h>

#include <string.h>
#include "shadow_spaces.h"

#define TEXT  0xb8000u
#define FRAME 0xe0000000u
#define VIDEO_SIZE (2 * GUEST_VIDEO_CHUNK)

/* Every page of display memory holds 1000h and its number. */
static void create(struct guest *g, uint32_t cr0)
{
	memset(g, 0, sizeof(*g));
	g->video_size = VIDEO_SIZE;
	guest_create(g, NULL, 0, 0);
	for (uint32_t at = 0; at < VIDEO_SIZE; at += GUEST_PAGE_SIZE) {
		const uint32_t word = 0x1000 + at / GUEST_PAGE_SIZE;

		memcpy(g->ram.video + at, &word, sizeof(word));
	}
	g->paging.cr0 = cr0;
	set_paging(g, SHADOW_FLUSH_ALL);
}

/* As the machine does it. */
static void show(struct guest *g, unsigned i, uint32_t start, uint32_t size, uint32_t at)
{
	const struct guest_video_view old = g->ram.shown[i];

	guest_ram_show(&g->ram, i, (struct guest_video_view){ GPA(start), size, at });
	if (old.size)
		shadow_memory_hidden(g->shadow, old.start, old.size);
	expect_sane(g);
}

static enum shadow_fill touch(struct guest *g, gva_t gva, enum access access)
{
	struct shadow_fill_info info;

	return guest_access(g, SHADOW_KERNEL, gva, access, &info);
}

Test(shadow_video, is_mapped_while_it_is_shown)
{
	struct guest g;
	uint32_t found;

	create(&g, CR0_PE);
	cr_expect_eq(touch(&g, TEXT, ACCESS_READ), SHADOW_FILL_UNBACKED);
	show(&g, 0, TEXT, 0x8000, 0x4000);
	expect_reads(&g, SHADOW_KERNEL, TEXT, 0x1004);
	expect_reads(&g, SHADOW_KERNEL, TEXT + 0x7000, 0x100b);
	cr_expect_eq(touch(&g, TEXT - 0x1000, ACCESS_READ), SHADOW_FILL_UNBACKED);
	cr_expect_eq(touch(&g, TEXT, ACCESS_WRITE), SHADOW_FILL_OK);
	expect_reads(&g, SHADOW_KERNEL, 0xc0000, 0xc0); /* RAM after it, in the same run */
	show(&g, 0, TEXT, 0x8000, 0x20000);
	expect_reads(&g, SHADOW_KERNEL, TEXT, 0x1020);
	show(&g, 1, FRAME, VIDEO_SIZE, 0);
	expect_reads(&g, SHADOW_KERNEL, FRAME + 0x4000, 0x1004);
	show(&g, 0, 0, 0, 0);
	cr_expect_not(window_readable(g.space->window[SHADOW_KERNEL], TEXT, &found));
	cr_expect_eq(touch(&g, TEXT, ACCESS_READ), SHADOW_FILL_UNBACKED);
	expect_reads(&g, SHADOW_KERNEL, FRAME + 0x20000, 0x1020);
	guest_destroy(&g);
}

Test(shadow_video, a_run_that_leaves_ram_is_two_mappings)
{
	struct guest g;

	create(&g, CR0_PE);
	show(&g, 0, 0xa0000, 0x20000, 0x40000);
	expect_reads(&g, SHADOW_KERNEL, 0x90000, 0x90);
	expect_reads(&g, SHADOW_KERNEL, 0x9f000, 0x9f);
	expect_reads(&g, SHADOW_KERNEL, 0xa0000, 0x1040);
	expect_reads(&g, SHADOW_KERNEL, 0xbf000, 0x105f);
	expect_reads(&g, SHADOW_KERNEL, 0xc0000, 0xc0);
	guest_destroy(&g);
}

Test(shadow_video, every_alias_goes)
{
	struct guest g;
	uint32_t found;

	memset(&g, 0, sizeof(g));
	g.video_size = VIDEO_SIZE;
	two_spaces(&g, &alone, 0);
	show(&g, 0, TEXT, 0x8000, 0);
	user_pte(&g, 0, TEXT >> 12, USER_RW | PTE_A | PTE_D);
	user_pte(&g, 1, TEXT >> 12, USER_RW | PTE_A | PTE_D);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(touch(&g, UVA(i), ACCESS_WRITE), SHADOW_FILL_OK);
	show(&g, 0, 0, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		cr_expect_not(window_readable(g.space->window[SHADOW_KERNEL], UVA(i), &found));
		cr_expect_eq(touch(&g, UVA(i), ACCESS_WRITE), SHADOW_FILL_UNBACKED);
	}
	guest_destroy(&g);
}

static void watch(struct guest *g)
{
	guest_ram_watch_video(&g->ram);
	for (unsigned i = 0; i < GUEST_VIDEO_VIEWS; i++)
		if (g->ram.shown[i].size)
			shadow_memory_watched(g->shadow, g->ram.shown[i].start,
					      g->ram.shown[i].size);
	expect_sane(g);
}

Test(shadow_video, the_first_store_to_a_watched_chunk_is_noticed)
{
	struct guest g;
	hva_t window;

	create(&g, CR0_PE);
	window = g.space->window[SHADOW_KERNEL];
	show(&g, 1, FRAME, VIDEO_SIZE, 0);
	cr_assert_eq(touch(&g, FRAME, ACCESS_WRITE), SHADOW_FILL_OK);
	cr_assert_eq(touch(&g, FRAME + GUEST_VIDEO_CHUNK, ACCESS_WRITE), SHADOW_FILL_OK);
	watch(&g);
	cr_expect_eq(g.ram.video_unwatched, 0);
	cr_expect_not(window_writable(window, FRAME));
	cr_assert_eq(touch(&g, FRAME + 0x3000, ACCESS_READ), SHADOW_FILL_OK);
	cr_expect_eq(g.ram.video_unwatched, 0, "a load is none");
	cr_assert_eq(touch(&g, FRAME + 0x3000, ACCESS_WRITE), SHADOW_FILL_OK);
	cr_expect_eq(g.ram.video_unwatched, 1);
	cr_expect(window_writable(window, FRAME + 0x3000));
	cr_expect_not(window_writable(window, FRAME + GUEST_VIDEO_CHUNK), "the other one is");
	expect_sane(&g);
	watch(&g);
	guest_ram_written(&g.ram, GPA(FRAME + GUEST_VIDEO_CHUNK + 5), 1);
	cr_expect_eq(g.ram.video_unwatched, 2, "by C code");
	guest_destroy(&g);
}

Test(shadow_video, what_is_shown_later_is_watched_too)
{
	struct guest g;

	create(&g, CR0_PE);
	show(&g, 1, FRAME, VIDEO_SIZE, 0);
	watch(&g);
	show(&g, 0, TEXT, 0x8000, 0x4000);
	cr_assert_eq(touch(&g, TEXT, ACCESS_WRITE), SHADOW_FILL_OK);
	cr_expect_eq(g.ram.video_unwatched, 1);
	cr_expect_eq(guest_ram_flags(&g.ram, GPA(FRAME)), 0, "the alias need not tell again");
	cr_expect_eq(guest_ram_flags(&g.ram, GPA(FRAME + GUEST_VIDEO_CHUNK)), RAM_PAGE_WATCHED);
	show(&g, 1, 0, 0, 0);
	cr_expect_eq(guest_ram_flags(&g.ram, GPA(FRAME + GUEST_VIDEO_CHUNK)), 0);
	guest_destroy(&g);
}

Test(shadow_video, addresses_lead_both_ways)
{
	struct guest g;

	create(&g, CR0_PE);
	show(&g, 0, TEXT, 0x8000, 0x4000);
	cr_expect_eq(guest_ram_data_ptr(&g.ram, GPA(TEXT + 0x1234)), g.ram.video + 0x5234);
	cr_expect_eq(guest_ram_gpa(&g.ram, g.ram.video + 0x5234).v, TEXT + 0x1234);
	cr_expect_null(guest_ram_ptr(&g.ram, GPA(TEXT)), "not for tables and code");
	cr_expect_null(guest_ram_data_ptr(&g.ram, GPA(TEXT + 0x8000 - 0x20000)));
	guest_destroy(&g);
}
