/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page-table walker against SDM vol. 3, 4.3 to 4.8: formats, permissions, error codes, accessed
 * and dirty bits.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include "shadowmmu/walker.h"

#define RAM_SIZE (16u << 20)
#define PD   0x10000u
#define PT   0x11000u
#define PAGE 0x123000u

struct fixture {
	struct guest_ram ram;
	struct paging p;
};

static void setup(struct fixture *f, uint32_t cr4, uint32_t cr0)
{
	memset(f, 0, sizeof(*f));
	cr_assert_eq(guest_ram_init(&f->ram, RAM_SIZE), 0);
	f->p = (struct paging){
		.cr0 = CR0_PE | CR0_PG | cr0, .cr3 = PD, .cr4 = cr4, .a20_mask = ~0u
	};
}

static void put32(struct fixture *f, uint64_t at, uint32_t value)
{
	memcpy(f->ram.flat + at, &value, 4);
}

static void put64(struct fixture *f, uint64_t at, uint64_t value)
{
	memcpy(f->ram.flat + at, &value, 8);
}

static uint32_t get32(struct fixture *f, uint64_t at)
{
	uint32_t v;
	memcpy(&v, f->ram.flat + at, 4);
	return v;
}

/* Linear 0x400000 in both formats: 32-bit PDE 1, PTE 0; PAE PDPTE 0, PDE 2, PTE 0. */
#define GVA 0x400123u

static void map32(struct fixture *f, uint32_t pde, uint32_t pte)
{
	put32(f, PD + 4, PT | pde);
	put32(f, PT, PAGE | pte);
}

static void map_pae(struct fixture *f, uint64_t pde, uint64_t pte)
{
	f->p.pdpte[0] = PD | PTE_P;
	put64(f, PD + 16, PT | pde);
	put64(f, PT, PAGE | pte);
}

static bool walk(struct fixture *f, enum access access, struct walk *w)
{
	return walk_guest(&f->ram, &f->p, GVA, access, w);
}

Test(walker, paging_off_is_identity_under_a20)
{
	struct fixture f;
	struct walk w;

	setup(&f, 0, 0);
	f.p.cr0 = CR0_PE;
	cr_assert(walk_guest(&f.ram, &f.p, 0x100123, ACCESS_WRITE | ACCESS_USER, &w));
	cr_assert_eq(w.gpa.v, 0x100123);
	cr_assert_eq(w.levels, 0);
	cr_assert(w.user && w.writable && w.executable && w.dirty);
	f.p.a20_mask = 0xffefffff;
	cr_assert(walk_guest(&f.ram, &f.p, 0x100123, ACCESS_READ, &w));
	cr_assert_eq(w.gpa.v, 0x123);
	guest_ram_destroy(&f.ram);
}

Test(walker, two_levels_set_accessed_and_dirty)
{
	struct fixture f;
	struct walk w;

	setup(&f, 0, CR0_WP);
	map32(&f, PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_G);
	cr_assert(walk(&f, ACCESS_READ | ACCESS_PROBE, &w));
	cr_assert_eq(get32(&f, PT) & (PTE_A | PTE_D), 0);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.gpa.v, PAGE + 0x123);
	cr_assert(!w.dirty && w.global && !w.user && w.writable && w.executable);
	cr_assert_eq(w.levels, 2);
	cr_assert_eq(w.entry[0].v, PD + 4);
	cr_assert_eq(w.entry[1].v, PT);
	cr_assert_eq(w.page_shift, 12);
	cr_assert_eq(get32(&f, PD + 4) & (PTE_A | PTE_D), PTE_A);
	cr_assert_eq(get32(&f, PT) & (PTE_A | PTE_D), PTE_A);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_assert(walk(&f, ACCESS_WRITE, &w));
	cr_assert(w.dirty);
	cr_assert_eq(get32(&f, PD + 4) & (PTE_A | PTE_D), PTE_A);
	cr_assert_eq(get32(&f, PT) & (PTE_A | PTE_D), PTE_A | PTE_D);
	guest_ram_destroy(&f.ram);
}

Test(walker, permissions_and_error_codes)
{
	/*
	 * What one page may be, who asks under what CR0.WP, and the error code or ~0 for an allowed
	 * access.
	 */
	static const struct {
		uint32_t pde, pte, wp, access, error;
	} cases[] = {
		{ PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U, CR0_WP, ACCESS_WRITE | ACCESS_USER,
			~0u },
		{ PTE_P | PTE_W | PTE_U, PTE_P | PTE_W, CR0_WP, ACCESS_READ | ACCESS_USER,
			PFE_P | PFE_U },
		{ PTE_P | PTE_W, PTE_P | PTE_W | PTE_U, CR0_WP, ACCESS_WRITE | ACCESS_USER,
			PFE_P | PFE_U | PFE_W },
		{ PTE_P | PTE_W, PTE_P | PTE_W | PTE_U, CR0_WP, ACCESS_WRITE, ~0u },
		{ PTE_P | PTE_U, PTE_P | PTE_W | PTE_U, 0, ACCESS_WRITE | ACCESS_USER,
			PFE_P | PFE_U | PFE_W },
		{ PTE_P | PTE_U, PTE_P | PTE_W | PTE_U, 0, ACCESS_WRITE, ~0u },
		{ PTE_P | PTE_W | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_WRITE, PFE_P | PFE_W },
		{ PTE_P | PTE_W | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_READ | ACCESS_USER, ~0u },
		{ PTE_W | PTE_U, PTE_P | PTE_W, CR0_WP, ACCESS_READ, 0 },
		{ PTE_P | PTE_W | PTE_U, PTE_W | PTE_U, CR0_WP, ACCESS_WRITE | ACCESS_USER,
			PFE_U | PFE_W },
		/* Without NX an instruction fetch looks like a read. */
		{ PTE_P, 0, CR0_WP, ACCESS_EXEC | ACCESS_USER, PFE_U },
		{ PTE_P | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_EXEC | ACCESS_USER, ~0u },
	};
	struct fixture f;
	struct walk w;
	unsigned i;

	for (i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		bool ok;

		setup(&f, 0, cases[i].wp);
		map32(&f, cases[i].pde, cases[i].pte);
		ok = walk(&f, cases[i].access, &w);
		cr_expect_eq(ok, cases[i].error == ~0u, "case %u", i);
		if (!ok) {
			cr_expect_eq(w.error, cases[i].error, "case %u: error %x", i, w.error);
			cr_expect_eq((get32(&f, PT) | get32(&f, PD + 4)) & (PTE_A | PTE_D), 0,
				     "case %u: A or D set", i);
		}
		guest_ram_destroy(&f.ram);
	}
}

/* CR4.SMEP: the supervisor executes no user page, and a fetch is told from a read without NX. */
Test(walker, smep)
{
	static const struct { uint32_t pde, pte, access, error; } cases[] = {
		{ PTE_P | PTE_U, PTE_P | PTE_U, ACCESS_EXEC, PFE_P | PFE_I },
		{ PTE_P | PTE_U, PTE_P | PTE_U, ACCESS_EXEC | ACCESS_USER, ~0u },
		{ PTE_P | PTE_U, PTE_P | PTE_U, ACCESS_READ, ~0u },
		{ PTE_P | PTE_U, PTE_P, ACCESS_EXEC, ~0u },
		{ PTE_P, PTE_P | PTE_U, ACCESS_EXEC, ~0u },
		{ PTE_P, PTE_P | PTE_U, ACCESS_EXEC | ACCESS_USER, PFE_P | PFE_U | PFE_I },
		{ PTE_P, 0, ACCESS_EXEC, PFE_I },
		{ PTE_P, 0, ACCESS_READ, 0 },
	};
	struct fixture f;
	struct walk w;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		setup(&f, CR4_SMEP, CR0_WP);
		map32(&f, cases[i].pde, cases[i].pte);
		cr_expect_eq(walk(&f, cases[i].access, &w), cases[i].error == ~0u, "case %u", i);
		if (cases[i].error != ~0u)
			cr_expect_eq(w.error, cases[i].error, "case %u: error %x", i, w.error);
		guest_ram_destroy(&f.ram);
	}
}

/* CR4.SMAP: the supervisor's data are not in user pages, unless AC is set and it means it. */
Test(walker, smap)
{
	static const struct { uint32_t pde, pte, wp, access, error; } cases[] = {
		{ PTE_P | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_READ, PFE_P },
		{ PTE_P | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_READ | ACCESS_AC, ~0u },
		{ PTE_P | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_READ | ACCESS_USER, ~0u },
		{ PTE_P | PTE_U | PTE_W, PTE_P | PTE_U | PTE_W, CR0_WP, ACCESS_WRITE,
			PFE_P | PFE_W },
		{ PTE_P | PTE_U | PTE_W, PTE_P | PTE_U | PTE_W, CR0_WP, ACCESS_WRITE | ACCESS_AC,
			~0u },
		{ PTE_P | PTE_U, PTE_P | PTE_U, 0, ACCESS_WRITE, PFE_P | PFE_W },
		{ PTE_P | PTE_U, PTE_P | PTE_U, 0, ACCESS_WRITE | ACCESS_AC, ~0u },
		{ PTE_P | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_WRITE | ACCESS_AC, PFE_P | PFE_W },
		{ PTE_P, PTE_P | PTE_U, CR0_WP, ACCESS_READ, ~0u },
		{ PTE_P | PTE_U, PTE_P, CR0_WP, ACCESS_READ, ~0u },
		{ PTE_P | PTE_U, PTE_P | PTE_U, CR0_WP, ACCESS_EXEC, ~0u },
		{ PTE_P | PTE_U, PTE_U, CR0_WP, ACCESS_READ, 0 },
	};
	struct fixture f;
	struct walk w;

	for (unsigned i = 0; i < RF_ARRAY_SIZE(cases); i++) {
		setup(&f, CR4_SMAP, cases[i].wp);
		map32(&f, cases[i].pde, cases[i].pte);
		cr_expect_eq(walk(&f, cases[i].access, &w), cases[i].error == ~0u, "case %u", i);
		if (cases[i].error != ~0u)
			cr_expect_eq(w.error, cases[i].error, "case %u: error %x", i, w.error);
		guest_ram_destroy(&f.ram);
	}
}

Test(walker, large_pages)
{
	struct fixture f;
	struct walk w;

	setup(&f, CR4_PSE, CR0_WP);
	put32(&f, PD + 4, 0x800000 | PTE_P | PTE_W | PTE_PS | PTE_G);
	cr_assert(walk(&f, ACCESS_WRITE, &w));
	cr_assert_eq(w.gpa.v, 0x800123);
	cr_assert_eq(w.page_shift, 22);
	cr_assert_eq(w.levels, 1);
	cr_assert(w.global && w.dirty);
	cr_assert_eq(get32(&f, PD + 4) & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* PSE-36: bits 13..16 are address bits 32..35. The PAT bit means nothing here. */
	put32(&f, PD + 4, 0x800000 | PTE_P | PTE_PS | 0x1e000 | 0x1000);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.gpa.v, 0xf00800123ull);
	put32(&f, PD + 4, 0x800000 | PTE_P | PTE_PS | 0x20000);
	cr_assert_not(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.error, PFE_P | PFE_RSVD);
	/* Without CR4.PSE the PS bit is ignored. */
	f.p.cr4 = 0;
	put32(&f, PD + 4, PT | PTE_P | PTE_PS);
	put32(&f, PT, PAGE | PTE_P);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.gpa.v, PAGE + 0x123);
	guest_ram_destroy(&f.ram);
}

Test(walker, pae)
{
	struct fixture f;
	struct walk w;

	setup(&f, CR4_PAE, CR0_WP);
	map_pae(&f, PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U);
	cr_assert(walk(&f, ACCESS_WRITE | ACCESS_USER, &w));
	cr_assert_eq(w.gpa.v, PAGE + 0x123);
	cr_assert_eq(w.levels, 2);
	cr_assert_eq(w.entry[0].v, PD + 16);
	cr_assert_eq(get32(&f, PT) & (PTE_A | PTE_D), PTE_A | PTE_D);
	map_pae(&f, PTE_P, PTE_P | 0x500000000ull);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.gpa.v, 0x500000000ull + PAGE + 0x123);
	/* 2-MiB page */
	put64(&f, PD + 16, 0x600000 | PTE_P | PTE_PS);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.gpa.v, 0x600123);
	cr_assert_eq(w.page_shift, 21);
	put64(&f, PD + 16, 0x602000 | PTE_P | PTE_PS);
	cr_assert_not(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.error, PFE_P | PFE_RSVD);
	f.p.pdpte[0] = 0;
	cr_assert_not(walk(&f, ACCESS_READ | ACCESS_USER, &w));
	cr_assert_eq(w.error, PFE_U);
	guest_ram_destroy(&f.ram);
}

Test(walker, no_execute_and_reserved_bits)
{
	struct fixture f;
	struct walk w;

	setup(&f, CR4_PAE, CR0_WP);
	map_pae(&f, PTE_P | PTE_U, PTE_P | PTE_U | PTE_NX);
	cr_assert_not(walk(&f, ACCESS_READ, &w), "NX is reserved without EFER.NXE");
	cr_assert_eq(w.error, PFE_P | PFE_RSVD);
	f.p.nxe = true;
	cr_assert(walk(&f, ACCESS_READ | ACCESS_USER, &w));
	cr_assert_not(w.executable);
	cr_assert_not(walk(&f, ACCESS_EXEC | ACCESS_USER, &w));
	cr_assert_eq(w.error, PFE_P | PFE_U | PFE_I);
	map_pae(&f, PTE_P | PTE_U | PTE_NX, PTE_P | PTE_U);
	cr_assert_not(walk(&f, ACCESS_EXEC, &w));
	cr_assert_eq(w.error, PFE_P | PFE_I);
	map_pae(&f, PTE_P | PTE_U, 0);
	cr_assert_not(walk(&f, ACCESS_EXEC, &w));
	cr_assert_eq(w.error, PFE_I);
	map_pae(&f, PTE_P | PTE_U | 1ull << 36, PTE_P);
	cr_assert_not(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.error, PFE_P | PFE_RSVD);
	map_pae(&f, PTE_P | PTE_U, PTE_P | 1ull << 62);
	cr_assert_not(walk(&f, ACCESS_WRITE | ACCESS_USER, &w));
	cr_assert_eq(w.error, PFE_P | PFE_RSVD | PFE_U | PFE_W);
	/* An entry that is not present may hold anything. */
	map_pae(&f, PTE_P | PTE_U, 1ull << 62);
	cr_assert_not(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.error, 0);
	guest_ram_destroy(&f.ram);
}

Test(walker, tables_outside_ram_are_not_present)
{
	struct fixture f;
	struct walk w;

	setup(&f, 0, CR0_WP);
	put32(&f, PD + 4, 0xfee00000u | PTE_P | PTE_W | PTE_U);
	cr_assert_not(walk(&f, ACCESS_READ, &w));
	cr_assert_eq(w.error, 0);
	f.p.cr3 = 0xa0000;
	cr_assert_not(walk(&f, ACCESS_READ, &w));
	f.p.cr3 = 0xfffff000;
	cr_assert_not(walk_guest(&f.ram, &f.p, 0xffffffff, ACCESS_WRITE, &w));
	cr_assert_eq(w.error, PFE_W);
	guest_ram_destroy(&f.ram);
}

Test(walker, pdptes)
{
	struct fixture f;
	uint64_t out[4] = { 7, 7, 7, 7 };

	setup(&f, CR4_PAE, 0);
	put64(&f, 0x5020, PD | PTE_P);
	put64(&f, 0x5028, 0x1e6); /* not present: anything goes */
	cr_assert(walk_load_pdptes(&f.ram, 0x5020, ~0u, out));
	cr_assert_eq(out[0], PD | PTE_P);
	cr_assert_eq(out[1], 0x1e6);
	cr_assert_eq(out[3], 0);
	put64(&f, 0x5030, PD | PTE_P | PTE_W);
	cr_assert_not(walk_load_pdptes(&f.ram, 0x5020, ~0u, out));
	put64(&f, 0x5030, PD | PTE_P | 1ull << 40);
	cr_assert_not(walk_load_pdptes(&f.ram, 0x5020, ~0u, out));
	guest_ram_destroy(&f.ram);
}

static void note_written(void *opaque, gpa_t gpa, uint32_t len)
{
	struct { gpa_t gpa; uint32_t len, calls; } *noted = opaque;

	noted->gpa = gpa;
	noted->len = len;
	noted->calls++;
}

/*
 * Entries among code: whoever translated it is told of accessed and dirty bits, of those that are
 * new.
 */
Test(walker, bits_stored_to_code_are_told)
{
	struct { gpa_t gpa; uint32_t len, calls; } noted = { 0 };
	struct fixture f;
	struct walk w;

	setup(&f, 0, 0);
	map32(&f, PTE_P | PTE_W, PTE_P | PTE_W);
	f.ram.written = note_written;
	f.ram.written_opaque = &noted;
	f.ram.page_flags[PT >> GUEST_PAGE_SHIFT] = RAM_PAGE_TABLE;
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_expect_eq(noted.calls, 0, "a trace need not know");
	f.ram.page_flags[PT >> GUEST_PAGE_SHIFT] = RAM_PAGE_CODE;
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_expect_eq(noted.calls, 0, "nothing new");
	cr_assert(walk(&f, ACCESS_WRITE | ACCESS_PROBE, &w));
	cr_expect_eq(noted.calls, 0, "a probe stores nothing");
	cr_assert(walk(&f, ACCESS_WRITE, &w));
	cr_expect_eq(noted.calls, 1);
	cr_expect(noted.gpa.v == PT && noted.len == 1);
	f.ram.page_flags[PD >> GUEST_PAGE_SHIFT] = RAM_PAGE_CODE;
	put32(&f, PD + 4, PT | PTE_P | PTE_W);
	cr_assert(walk(&f, ACCESS_READ, &w));
	cr_expect_eq(noted.calls, 2);
	cr_expect_eq(noted.gpa.v, PD + 4);
	guest_ram_destroy(&f.ram);
}

static void count_written(void *opaque, gpa_t gpa, uint32_t len)
{
	uint64_t *sum = opaque;

	*sum += len + (gpa.v << 32);
}

Test(guest_ram, written_tells_of_traced_pages_only)
{
	struct guest_ram ram;
	uint64_t sum = 0;

	cr_assert_eq(guest_ram_init(&ram, 0x1001), -EINVAL);
	cr_assert_eq(guest_ram_init(&ram, RAM_SIZE), 0);
	ram.written = count_written;
	ram.written_opaque = &sum;
	guest_ram_written(&ram, GPA(0x5000), 0x3000);
	cr_assert_eq(sum, 0);
	ram.page_flags[6] = RAM_PAGE_CODE;
	guest_ram_written(&ram, GPA(0x5ffe), 4);
	cr_assert_eq(sum, 2 + (0x6000ull << 32));
	sum = 0;
	guest_ram_written(&ram, GPA(0x5800), 0x2000);
	cr_assert_eq(sum, 0x1000 + (0x6000ull << 32));
	sum = 0;
	ram.page_flags[6] = RAM_PAGE_ROM;
	guest_ram_written(&ram, GPA(0x5800), 0x2000);
	cr_assert_eq(sum, 0, "nobody relies on what is in ROM");
	cr_assert_null(guest_ram_ptr(&ram, GPA(0xa0000)));
	cr_assert_null(guest_ram_ptr(&ram, GPA(RAM_SIZE)));
	cr_assert_not_null(guest_ram_ptr(&ram, GPA(0xc0000)));
	guest_ram_destroy(&ram);
}
