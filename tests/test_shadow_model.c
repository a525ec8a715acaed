/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shadow against the walker: random page-table edits, flushes, accesses, fetches, code
 * protection and space switches, for each paging format. After a flush, whatever a window lets
 * through must be what the walker allows just then; at any time shadow_check() must hold, and a
 * fault of the guest must be one the walker sees too.
 */
#include <criterion/criterion.h>

#include <string.h>
#include "shadow_fixture.h"

#define SPACES 3u
#define TABLES 8u  /* page tables any directory entry may name */
#define TOPS   0x200000u /* CR3 pages; under PAE PDPTs */
#define DIRS   0x210000u
#define PTS    0x220000u
#define DATA   0x400u    /* first data frame */
#define FRAMES 64u
#define STEPS  6000u

struct model {
	struct guest g;
	uint64_t seed;
	bool pae;
	gva_t pages[96]; /* linear pages the guest uses */
};

static uint32_t pick(struct model *m, uint32_t n)
{
	m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(m->seed >> 33) % n;
}

static void put_entry(struct model *m, uint64_t table, unsigned i, uint64_t value)
{
	if (m->pae)
		put64(&m->g, table + i * 8, value);
	else
		put32(&m->g, table + i * 4, (uint32_t)value);
}

static uint64_t random_bits(struct model *m)
{
	uint64_t bits = PTE_P | PTE_W | PTE_U | PTE_A | (pick(m, 2) ? PTE_D : 0);

	if (!pick(m, 5))
		bits &= ~(1ull << pick(m, 7));
	if (pick(m, 2))
		bits |= PTE_G;
	if (m->pae && m->g.paging.nxe && !pick(m, 6))
		bits |= PTE_NX;
	if (m->pae && !pick(m, 40))
		bits |= 1ull << (36 + pick(m, 27));
	return bits;
}

/*
 * Gives the directory entry or the table entry of a random page a random value. Spaces share
 * tables.
 */
static void edit(struct model *m)
{
	gva_t gva = m->pages[pick(m, RF_ARRAY_SIZE(m->pages))];
	unsigned space = pick(m, SPACES), shift = m->pae ? 21 : 22;
	uint64_t dir = m->pae ? DIRS + (space * 4 + (gva >> 30)) * 0x1000ull :
				TOPS + space * 0x1000;
	unsigned index = (gva >> shift) & (m->pae ? 511 : 1023);
	uint64_t bits = random_bits(m);

	if (pick(m, 6)) {
		uint64_t frame = pick(m, 8) ? DATA + pick(m, FRAMES) :
					      (PTS >> 12) + pick(m, TABLES);

		put_entry(m, PTS + pick(m, TABLES) * 0x1000, (gva >> 12) & (m->pae ? 511 : 1023),
			  (frame << 12) | bits);
	} else if (pick(m, 4)) {
		put_entry(m, dir, index,
			  (PTS + pick(m, TABLES) * 0x1000) | (bits & ~(uint64_t)PTE_PS));
	} else {
		put_entry(m, dir, index,
			  (0x800000 + ((uint64_t)pick(m, 3) << shift)) | bits | PTE_PS);
	}
}

/*
 * The guest wrote to its tables behind no trace: the traces of C code's writes are what put_entry()
 * leaves out.
 */
static void edit_traced(struct model *m)
{
	unsigned i;

	for (i = 0; i < TABLES; i++)
		shadow_table_written(m->g.shadow, GPA(PTS + i * 0x1000), 1);
	edit(m);
}

/* What a window lets through right after a flush must be allowed by the tables as they are. */
static void check_page(struct model *m, enum shadow_view view, gva_t gva, bool global_may_be_stale)
{
	enum access access = ACCESS_PROBE | (view == SHADOW_USER ? ACCESS_USER : 0);
	struct guest *g = &m->g;
	uint32_t word;
	struct walk w;
	bool write;

	if (!window_readable(g->space->window[view], gva, &word))
		return;
	if (global_may_be_stale && view == SHADOW_KERNEL && g->space->kernel_shared)
		return;
	cr_assert(walk_guest(&g->ram, &g->paging, gva, access, &w),
		  "%x is mapped in view %d against the tables", gva, view);
	cr_assert_eq(word, get32(g, gpa_page(w.gpa).v), "%x is mapped to the wrong frame", gva);
	cr_assert(get32(g, w.entry[w.levels - 1].v) & PTE_A, "%x is mapped but not marked accessed",
		  gva);
	write = window_writable(g->space->window[view], gva);
	if (write) {
		cr_assert(walk_guest(&g->ram, &g->paging, gva, access | ACCESS_WRITE, &w),
			"%x should be read-only", gva);
		cr_assert(w.dirty, "%x is writable but clean", gva);
		cr_assert_not(guest_ram_flags(&g->ram, w.gpa) & RAM_PAGE_PROTECTED,
			"%x: a protected page is writable", gva);
	}
}

static void check_pages(struct model *m, bool global_may_be_stale)
{
	unsigned i;

	for (i = 0; i < RF_ARRAY_SIZE(m->pages); i++) {
		check_page(m, SHADOW_USER, m->pages[i], global_may_be_stale);
		check_page(m, SHADOW_KERNEL, m->pages[i], global_may_be_stale);
	}
}

static void access_page(struct model *m)
{
	gva_t gva = m->pages[pick(m, RF_ARRAY_SIZE(m->pages))];
	enum shadow_view view = pick(m, 2) ? SHADOW_USER : SHADOW_KERNEL;
	enum access access = (pick(m, 2) ? ACCESS_WRITE : ACCESS_READ) |
			  (view == SHADOW_USER && pick(m, 4) ? ACCESS_USER :
			   pick(m, 2)                        ? ACCESS_AC :
							       0);
	struct shadow_fill_info info;
	struct walk w;
	bool allowed = walk_guest(&m->g.ram, &m->g.paging, gva, access | ACCESS_PROBE, &w);
	enum shadow_fill result = guest_access(&m->g, view, gva, access, &info);

	switch (result) {
	case SHADOW_FILL_FAULT:
		cr_assert_not(allowed, "%x: a fault that the tables do not give", gva);
		cr_assert_eq(info.error, w.error);
		shadow_invlpg(m->g.shadow, gva); /* as its delivery does */
		break;
	case SHADOW_FILL_OK: /* a stale entry may have let it through */
		break;
	case SHADOW_FILL_HOST_ERROR:
		cr_assert_fail("the host refused");
		break;
	default:
		cr_assert(allowed);
		cr_assert_eq(info.gpa.v, w.gpa.v);
	}
	if (result == SHADOW_FILL_PROTECTED)
		shadow_unprotect_code(m->g.shadow, info.gpa);
	if (result == SHADOW_FILL_USER_VIEW)
		cr_assert(w.user && (!w.global || m->g.paging.cr4 & CR4_SMAP));
}

static void fetch(struct model *m)
{
	gva_t gva = m->pages[pick(m, RF_ARRAY_SIZE(m->pages))];
	enum access access = ACCESS_EXEC | (pick(m, 2) ? ACCESS_USER : 0);
	struct shadow_fill_info info;
	struct walk w;
	bool allowed = walk_guest(&m->g.ram, &m->g.paging, gva, access | ACCESS_PROBE, &w), global;

	cr_assert_eq(shadow_fetch(m->g.shadow, gva, access, &info, &global), allowed);
	if (allowed) {
		cr_assert_eq(info.gpa.v, w.gpa.v);
		if (gpa_frame(w.gpa) >= DATA && pick(m, 2))
			shadow_protect_code(m->g.shadow, w.gpa);
	} else {
		cr_assert_eq(info.error, w.error);
	}
}

static void step(struct model *m)
{
	gva_t gva;

	switch (pick(m, 16)) {
	case 0: case 1: case 2: case 3:
		edit_traced(m);
		break;
	case 4:
		m->g.paging.cr3 = TOPS + pick(m, SPACES) * 0x1000;
		load_cr3(&m->g, m->g.paging.cr3);
		check_pages(m, m->g.paging.cr4 & CR4_PGE);
		break;
	case 5:
		set_paging(&m->g, SHADOW_FLUSH_ALL);
		check_pages(m, false);
		break;
	case 6: case 7:
		gva = m->pages[pick(m, RF_ARRAY_SIZE(m->pages))];
		shadow_invlpg(m->g.shadow, gva);
		check_page(m, SHADOW_USER, gva, false);
		check_page(m, SHADOW_KERNEL, gva, false);
		break;
	case 8:
		fetch(m);
		break;
	case 9:
		gva = m->pages[pick(m, RF_ARRAY_SIZE(m->pages))];
		shadow_prefill(m->g.shadow, pick(m, 2) ? SHADOW_USER : SHADOW_KERNEL, gva,
			       pick(m, 2) ? ACCESS_WRITE : ACCESS_READ);
		break;
	default:
		access_page(m);
	}
}

static void run(uint32_t cr4, uint32_t cr0, bool nxe, const struct shadow_options *options,
		uint64_t seed)
{
	struct model m = { .seed = seed, .pae = cr4 & CR4_PAE };
	unsigned i, j;

	guest_create(&m.g, options, cr4, cr0);
	m.g.paging.nxe = nxe;
	memset(m.g.ram.flat + TOPS, 0, 0x30000);
	for (i = 0; m.pae && i < SPACES; i++)
		for (j = 0; j < 4; j++)
			put64(&m.g, TOPS + i * 0x1000 + j * 8,
			      (DIRS + (i * 4 + j) * 0x1000) | PTE_P);
	for (i = 0; i < RF_ARRAY_SIZE(m.pages); i++)
		m.pages[i] = (i % 3 == 0 ? 0x08048000u :
			      i % 3 == 1 ? 0xbffff000u - 0x20000 :
					   0xc0300000u) +
			     (i / 3 << 12);
	for (i = 0; i < 200; i++)
		edit(&m);
	load_cr3(&m.g, TOPS);
	for (i = 0; i < STEPS; i++) {
		step(&m);
		if (i % 64 == 0)
			expect_sane(&m.g);
	}
	cr_assert_gt(shadow_stats(m.g.shadow)->hidden_faults, STEPS / 50);
	guest_destroy(&m.g);
}

static const struct shadow_options adaptive,
	alone = { .no_fill_around = true }, trace = { .policy = SHADOW_POLICY_TRACE_ONLY },
	compare = { .policy = SHADOW_POLICY_COMPARE_ONLY, .window_limit = 5 };

Test(shadow_model, two_level, .timeout = 300) { run(0, CR0_WP, false, &adaptive, 1); }
Test(shadow_model, large, .timeout = 300) { run(CR4_PSE, CR0_WP, false, &alone, 2); }
Test(shadow_model, large_traced, .timeout = 300) { run(CR4_PSE, CR0_WP, false, &trace, 3); }
Test(shadow_model, large_without_wp, .timeout = 300) { run(CR4_PSE, 0, false, &adaptive, 4); }
Test(shadow_model, global, .timeout = 300) { run(CR4_PSE | CR4_PGE, CR0_WP, false, &adaptive, 5); }
Test(shadow_model, global_traced, .timeout = 300)
{
	run(CR4_PSE | CR4_PGE, CR0_WP, false, &trace, 6);
}
Test(shadow_model, pae, .timeout = 300) { run(CR4_PAE, CR0_WP, true, &adaptive, 7); }
Test(shadow_model, pae_without_nx, .timeout = 300) { run(CR4_PAE, CR0_WP, false, &compare, 8); }
Test(shadow_model, pae_global, .timeout = 300)
{
	run(CR4_PAE | CR4_PGE, CR0_WP, true, &adaptive, 9);
}
Test(shadow_model, pae_global_traced_alone, .timeout = 300)
{
	run(CR4_PAE | CR4_PGE, 0, true, &trace, 10);
}
Test(shadow_model, smep, .timeout = 300)
{
	run(CR4_PSE | CR4_PGE | CR4_SMEP, CR0_WP, false, &adaptive, 11);
}
Test(shadow_model, smap, .timeout = 300)
{
	run(CR4_PSE | CR4_SMAP, CR0_WP, false, &alone, 12);
}
Test(shadow_model, smap_global, .timeout = 300)
{
	run(CR4_PSE | CR4_PGE | CR4_SMAP | CR4_SMEP, CR0_WP, false, &trace, 13);
}
Test(shadow_model, smap_pae_without_wp, .timeout = 300)
{
	run(CR4_PAE | CR4_PGE | CR4_SMAP, 0, true, &adaptive, 14);
}
