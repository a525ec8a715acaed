/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables as the processor reads them (SDM vol. 3, chapter 4): permissions over two levels,
 * error codes, CR2, accessed and dirty bits, large pages, reserved bits.
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

SNIPPET(pg_read, "movl (%ebx), %eax");
SNIPPET(pg_write, "movl %ecx, (%ebx)");
SNIPPET(pg_update, "addl %ecx, (%ebx)");
SNIPPET(pg_exec, "jmp *%ebx");

#define MSR_EFER 0xc0000080
#define EFER_NXE 0x800

static bool has_nx(void)
{
	uint32_t a = 0x80000001, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return d >> 20 & 1;
}

/* ---- permissions ---- */

enum access { READ, WRITE, EXEC };

static const struct {
	const char *name;
	const void *code;
} accesses[] = { { "read", pg_read }, { "write", pg_write }, { "exec", pg_exec } };

/* The error code, or NO_ERROR if the access is allowed. */
static uint32_t want_error(uint64_t directory, uint64_t leaf, enum access access, unsigned ring,
			   bool wp, bool nxe)
{
	uint32_t both = directory & leaf, error = (access == WRITE ? 2 : 0) | (ring == 3 ? 4 : 0) |
						  (access == EXEC && nxe ? 16 : 0);
	bool present = both & PTE_P;

	if (!present)
		return error;
	if (ring == 3 && !(both & PTE_U))
		return error | 1;
	if (access == WRITE && !(both & PTE_W) && (ring == 3 || wp))
		return error | 1;
	if (access == EXEC && nxe && ((directory | leaf) & PTE_NX))
		return error | 1;
	return NO_ERROR;
}

static void one_permission(uint32_t frame, uint64_t directory, uint64_t leaf, enum access access,
			   unsigned ring, bool wp, bool nxe)
{
	uint32_t table = entry_read(directory_entry_at(read_cr3(), TEST_PAGE)) & ~0xfffu;
	uint64_t *at = entry_at(read_cr3(), TEST_PAGE),
		 *directory_at = directory_entry_at(read_cr3(), TEST_PAGE);
	struct regs regs = start_at(accesses[access].code, ring);
	uint32_t want = want_error(directory, leaf, access, ring, wp, nxe);
	uint32_t d = (directory & 7) | (directory & PTE_NX ? 8 : 0),
		 l = (leaf & 7) | (leaf & PTE_NX ? 8 : 0);
	const void *eip = access == EXEC ? (void *)TEST_PAGE : accesses[access].code;
	const struct trap *trap;

	write_code(frame, 0x12345678);
	entry_write(at, frame | leaf);
	entry_write(directory_at, table | directory);
	flush_global();
	write_cr2(0);
	regs.ebx = TEST_PAGE;
	trap = run(&regs);
	if (want != NO_ERROR) {
		check_trap(trap, PF, want, eip, "%s.d%x.l%x.ring%u.wp%u.nxe%u",
			   accesses[access].name, d, l, ring, wp, nxe);
		check(trap->cr2, TEST_PAGE, "cr2.%s.d%x.l%x.ring%u.wp%u.nxe%u",
		      accesses[access].name, d, l, ring, wp, nxe);
		check(entry_read(at) & PTE_D, 0, "clean.%s.d%x.l%x.ring%u.wp%u.nxe%u",
		      accesses[access].name, d, l, ring, wp, nxe);
	} else {
		check_done(trap, "%s.d%x.l%x.ring%u.wp%u.nxe%u", accesses[access].name, d, l, ring,
			   wp, nxe);
		check(entry_read(at) & (PTE_A | PTE_D), PTE_A | (access == WRITE ? PTE_D : 0),
		      "ad.%s.d%x.l%x.ring%u.wp%u.nxe%u", accesses[access].name, d, l, ring, wp,
		      nxe);
		check(entry_read(directory_at) & PTE_A, PTE_A,
		      "a.directory.%s.d%x.l%x.ring%u.wp%u.nxe%u", accesses[access].name, d, l, ring,
		      wp, nxe);
	}
	entry_write(directory_at, table | PTE_ALL);
}

static void permissions(unsigned ring, bool wp, bool nxe)
{
	uint32_t frame = page_alloc();
	uint64_t bits[16];
	unsigned count = nxe ? 16 : 8;

	for (unsigned i = 0; i < count; i++)
		bits[i] = (i & 7) | (i & 8 ? PTE_NX : 0);
	write_cr0(wp ? read_cr0() | CR0_WP : read_cr0() & ~CR0_WP);
	for (unsigned d = 0; d < count; d++)
		for (unsigned l = 0; l < count; l++)
			for (enum access access = READ; access <= EXEC; access++)
				one_permission(frame, bits[d], bits[l], access, ring, wp, nxe);
	write_cr0(read_cr0() | CR0_WP);
}

void group_paging_permissions(void)
{
	entry_at(read_cr3(), TEST_PAGE);
	for (unsigned ring = 0; ring < 4; ring++)
		for (unsigned wp = 0; wp < 2; wp++)
			permissions(ring, wp, false);
	if (paging != PAGING_PAE || !has_nx())
		return;
	write_msr(MSR_EFER, EFER_NXE);
	permissions(0, true, true);
	permissions(3, true, true);
	write_msr(MSR_EFER, 0);
}

/* ---- accessed and dirty bits ---- */

static uint32_t ad_bits(uint32_t linear)
{
	return entry_read(entry_at(read_cr3(), linear)) & (PTE_A | PTE_D);
}

static void access_page(const void *code, unsigned ring, uint32_t linear)
{
	struct regs regs = start_at(code, ring);

	regs.ebx = linear;
	check_done(run(&regs), "access.%x", linear);
}

/*
 * Around a page that is touched, none that is not changes; each bit is set when the access calls
 * for it and not before.
 */
static void accessed_dirty(unsigned ring)
{
	const unsigned middle = 8;
	uint32_t touched = TEST_PAGE + middle * 4096;

	for (unsigned i = 0; i < 16; i++)
		map(TEST_PAGE + i * 4096, page_alloc() | PTE_ALL);
	access_page(pg_read, ring, touched);
	check(ad_bits(touched), PTE_A, "ad.read.ring%u", ring);
	for (unsigned i = 0; i < 16; i++)
		if (i != middle)
			check(ad_bits(TEST_PAGE + i * 4096), 0, "ad.neighbour%u.ring%u", i, ring);
	access_page(pg_write, ring, touched);
	check(ad_bits(touched), PTE_A | PTE_D, "ad.write.ring%u", ring);
	/* Taken back and invalidated, both come again. */
	map(touched, (entry_read(entry_at(read_cr3(), touched)) & ~0xfffull) | PTE_ALL);
	access_page(pg_read, ring, touched);
	check(ad_bits(touched), PTE_A, "ad.again.read.ring%u", ring);
	access_page(pg_update, ring, touched);
	check(ad_bits(touched), PTE_A | PTE_D, "ad.again.update.ring%u", ring);
	/* Only D taken back. */
	map(touched, (entry_read(entry_at(read_cr3(), touched)) & ~0xfffull) | PTE_ALL | PTE_A);
	access_page(pg_read, ring, touched);
	check(ad_bits(touched), PTE_A, "ad.cleaned.read.ring%u", ring);
	access_page(pg_write, ring, touched);
	check(ad_bits(touched), PTE_A | PTE_D, "ad.cleaned.write.ring%u", ring);
	/* The same by a flush of all. */
	entry_write(entry_at(read_cr3(), touched),
		    (entry_read(entry_at(read_cr3(), touched)) & ~0xfffull) | PTE_ALL);
	flush_tlb();
	access_page(pg_write, ring, touched);
	check(ad_bits(touched), PTE_A | PTE_D, "ad.flushed.write.ring%u", ring);
}

/*
 * A write to a page whose entry has its A bit clear and comes in by different kinds of instruction.
 */
SNIPPET(pg_push, "xchgl %ebx, %esp; pushl %eax; xchgl %ebx, %esp");
SNIPPET(pg_call, "movl %esp, %ebp; movl %ebx, %esp; call 1f; 1: movl %ebp, %esp");
SNIPPET(pg_stos, "leal -4(%ebx), %edi; movl $1, %ecx; rep stosl");
SNIPPET(pg_movs_from, "leal -4(%ebx), %esi; movl $user_data, %edi; movl $1, %ecx; rep movsl");
/* does not compare: writes all the same */
SNIPPET(pg_cmpxchg, "xorl %eax, %eax; incl %eax; lock cmpxchgl %ecx, -4(%ebx)");
SNIPPET(pg_xchg, "xchgl %ecx, -4(%ebx)");
SNIPPET(pg_bts, "btsl $3, -4(%ebx)");
SNIPPET(pg_test, "testl %eax, -4(%ebx)");
SNIPPET(pg_sgdt, "sgdt -8(%ebx)");
SNIPPET(pg_fst, "fninit; fnstcw -4(%ebx)");
SNIPPET(pg_enter, "movl %esp, %esi; movl %ebx, %esp; enter $0, $0; movl %esi, %esp");
SNIPPET(pg_pop, "movl %esp, %esi; leal -4(%ebx), %esp; popl %eax; movl %esi, %esp");

static void dirty_by_kind(unsigned ring)
{
	static const struct { const char *name; const void *code; bool writes, stack; } kinds[] = {
		{ "push", pg_push, true, true }, { "call", pg_call, true, true },
		{ "stos", pg_stos, true, false }, { "movs.from", pg_movs_from, false, false },
		{ "cmpxchg", pg_cmpxchg, true, false }, { "xchg", pg_xchg, true, false },
		{ "bts", pg_bts, true, false }, { "test", pg_test, false, false },
		{ "sgdt", pg_sgdt, true, false }, { "fst", pg_fst, true, false },
		{ "enter", pg_enter, true, true }, { "pop", pg_pop, false, false },
	};
	uint32_t frame = page_alloc();

	for (unsigned i = 0; i < COUNT(kinds); i++) {
		struct regs regs = start_at(kinds[i].code, ring);

		map(TEST_PAGE, frame | PTE_ALL);
		regs.ebx = TEST_PAGE + 0x800;
		check_done(run(&regs), "kind.%s.ring%u", kinds[i].name, ring);
		check(ad_bits(TEST_PAGE), PTE_A | (kinds[i].writes ? PTE_D : 0),
		      "kind.%s.ad.ring%u", kinds[i].name, ring);
		/* And when the page may not be written. */
		map(TEST_PAGE, frame | PTE_P | PTE_U);
		if (!ring && kinds[i].stack)
			continue; /* there would be no stack for the fault */
		if (kinds[i].writes)
			check(run(&regs)->cr2 & ~0xfffu, TEST_PAGE, "kind.%s.readonly.ring%u",
			      kinds[i].name, ring);
		else
			check_done(run(&regs), "kind.%s.readonly.ring%u", kinds[i].name, ring);
		check(ad_bits(TEST_PAGE) & PTE_D, 0, "kind.%s.readonly.d.ring%u", kinds[i].name,
		      ring);
	}
}

void group_paging_dirty(void)
{
	for (unsigned ring = 0; ring < 4; ring++) {
		accessed_dirty(ring);
		dirty_by_kind(ring);
	}
}

/* ---- large pages, reserved bits ---- */

static void large_page(unsigned ring)
{
	uint32_t size = paging == PAGING_PAE ? 0x200000 : 0x400000;
	uint64_t *directory = directory_entry_at(read_cr3(), LARGE_PAGE);
	struct regs regs = start_at(pg_read, ring);
	const struct trap *trap;

	/* The second large frame: the snippets' own memory, and what is after it. */
	entry_write(directory, size | PTE_ALL | PTE_PS);
	flush_global();
	*(uint32_t *)0x7ff000 = 0xabcd1234;
	*(uint32_t *)0x3ff000 = 0x1234abcd;
	regs.ebx = LARGE_PAGE + size - 0x1000;
	trap = run(&regs);
	check(trap->regs.eax, size == 0x200000 ? 0x1234abcd : 0xabcd1234, "large.read.ring%u",
	      ring);
	check(entry_read(directory) & (PTE_A | PTE_D), PTE_A, "large.read.ad.ring%u", ring);
	regs.eip = ADDR(pg_write);
	regs.ebx = LARGE_PAGE + 0x1fe000;
	check_done(run(&regs), "large.write.ring%u", ring);
	check(*(uint32_t *)(size + 0x1fe000), regs.ecx, "large.written.ring%u", ring);
	check(entry_read(directory) & (PTE_A | PTE_D), PTE_A | PTE_D, "large.write.ad.ring%u",
	      ring);
	/* Read-only, and the supervisor's. */
	entry_write(directory, size | PTE_P | PTE_PS);
	flush_global();
	trap = run(&regs);
	check_trap(trap, PF, ring == 3 ? 7 : 3, pg_write, "large.readonly.ring%u", ring);
	check(trap->cr2, regs.ebx, "large.readonly.cr2.ring%u", ring);
	regs.eip = ADDR(pg_read);
	if (ring == 3)
		check_trap(run(&regs), PF, 5, pg_read, "large.supervisor.ring%u", ring);
	else
		check_done(run(&regs), "large.supervisor.ring%u", ring);
	entry_write(directory, 0);
	flush_global();
}

/* Reserved bits: a fault that says so, whatever else is wrong, unless the entry is not present. */
static void one_reserved(uint64_t *entry, uint64_t good, uint64_t bad, const char *name)
{
	for (unsigned ring = 0; ring < 4; ring += 3) {
		struct regs regs = start_at(pg_read, ring);

		regs.ebx = TEST_PAGE;
		entry_write(entry, good | bad);
		flush_global();
		check_trap(run(&regs), PF, 9 | (ring ? 4 : 0), pg_read, "reserved.%s.ring%u", name,
			   ring);
		regs.eip = ADDR(pg_write);
		check_trap(run(&regs), PF, 11 | (ring ? 4 : 0), pg_write,
			   "reserved.%s.write.ring%u", name, ring);
		entry_write(entry, (good | bad) & ~(uint64_t)PTE_P);
		flush_global();
		check_trap(run(&regs), PF, 2 | (ring ? 4 : 0), pg_write, "absent.%s.ring%u", name,
			   ring);
	}
	entry_write(entry, good);
	flush_global();
}

static void reserved_bits(void)
{
	uint64_t *leaf, *directory = directory_entry_at(read_cr3(), TEST_PAGE);

	map(TEST_PAGE, page_alloc() | PTE_ALL);
	leaf = entry_at(read_cr3(), TEST_PAGE);
	if (paging == PAGING_32) {
		uint64_t table = entry_read(directory);

		one_reserved(directory, 0x400000 | PTE_ALL | PTE_PS, 1u << 21, "large.21");
		entry_write(directory, table);
		flush_global();
		return;
	}
	one_reserved(leaf, entry_read(leaf), 1ull << 62, "leaf.62");
	one_reserved(leaf, entry_read(leaf), 1ull << 52, "leaf.52");
	one_reserved(leaf, entry_read(leaf), PTE_NX, "leaf.nx.off");
	one_reserved(directory, entry_read(directory), 1ull << 60, "directory.60");
	one_reserved(directory, entry_read(directory), PTE_NX, "directory.nx.off");
	{
		uint64_t table = entry_read(directory);

		one_reserved(directory, 0x400000 | PTE_ALL | PTE_PS, 1u << 13, "large.13");
		one_reserved(directory, 0x400000 | PTE_ALL | PTE_PS, 1u << 20, "large.20");
		entry_write(directory, table);
		flush_global();
	}
}

/*
 * PAE: the four top entries are registers, loaded by MOV CR3, which refuses reserved bits and
 * changes nothing then.
 */
SNIPPET(pg_load_cr3, "movl %ecx, %cr3");

/* MOV CR4 loads them too, if it changes PGE, PSE or PAE (SDM vol. 3, 4.4.1). */
SNIPPET(pg_load_cr4, "movl %ecx, %cr4");

static void pdpte_by_cr4(uint64_t *pdpt)
{
	static const uint32_t changes[] = { CR4_PGE, CR4_PSE };
	struct regs regs = start_at(pg_load_cr4, 0);
	uint64_t was = pdpt[1];
	uint32_t cr4 = read_cr4();

	for (unsigned i = 0; i < COUNT(changes); i++) {
		regs.ecx = cr4 ^ changes[i];
		pdpt[1] = was | 2;
		check_trap(run(&regs), GP, 0, pg_load_cr4, "pdpte.cr4.reserved%u", i);
		check(read_cr4(), cr4, "pdpte.cr4.kept%u", i);
		check(*(volatile uint32_t *)TEST_PAGE, 0, "pdpte.cr4.kept.memory%u", i);
		pdpt[1] = 0;
		check_done(run(&regs), "pdpte.cr4.load%u", i);
		invlpg(TEST_PAGE); /* a change of PSE need not flush it */
		{
			struct regs reading = start_at(pg_read, 0);

			reading.ebx = TEST_PAGE;
			check_trap(run(&reading), PF, 0, pg_read, "pdpte.cr4.loaded%u", i);
		}
		pdpt[1] = was;
		write_cr4(cr4);
		check(*(volatile uint32_t *)TEST_PAGE, 0, "pdpte.cr4.back%u", i);
	}
}

void group_paging_pdpte(void)
{
	uint64_t *pdpt = (uint64_t *)(read_cr3() & ~31u), was = pdpt[1];
	struct regs regs = start_at(pg_load_cr3, 0);

	map(TEST_PAGE, page_alloc() | PTE_ALL);
	regs.ecx = read_cr3();
	/* A change is not seen before CR3 (or CR4.PGE, below) is loaded. */
	pdpt[1] = 0;
	check(*(volatile uint32_t *)TEST_PAGE, 0, "pdpte.cached");
	invlpg(TEST_PAGE);
	check(*(volatile uint32_t *)TEST_PAGE, 0, "pdpte.cached.invlpg");
	for (unsigned bit = 1; bit < 3; bit++) {
		pdpt[1] = was | 1u << bit;
		check_trap(run(&regs), GP, 0, pg_load_cr3, "pdpte.reserved%u", bit);
		check(*(volatile uint32_t *)TEST_PAGE, 0, "pdpte.kept%u", bit);
	}
	pdpt[1] = (was | 6) & ~(uint64_t)PTE_P; /* not present: the rest does not count */
	check_done(run(&regs), "pdpte.absent.load");
	regs = start_at(pg_read, 0);
	regs.ebx = TEST_PAGE;
	check_trap(run(&regs), PF, 0, pg_read, "pdpte.absent");
	pdpt[1] = was;
	flush_tlb();
	check_done(run(&regs), "pdpte.present");
	pdpte_by_cr4(pdpt);
}

/* Without CR4.PSE the size bit means nothing: the entry names a page table. */
static void size_bit_ignored(void)
{
	uint32_t *directory = directory_entry_at(read_cr3(), TEST_PAGE);
	uint32_t frame = page_alloc();

	map(TEST_PAGE, frame | PTE_ALL);
	*(uint32_t *)frame = 0x600df00d;
	write_cr4(read_cr4() & ~CR4_PSE);
	*directory |= PTE_PS;
	flush_global();
	check(*(volatile uint32_t *)TEST_PAGE, 0x600df00d, "pse.off");
	*directory &= ~PTE_PS;
	write_cr4(read_cr4() | CR4_PSE);
	flush_global();
	check(*(volatile uint32_t *)TEST_PAGE, 0x600df00d, "pse.on");
}

void group_paging_formats(void)
{
	for (unsigned ring = 0; ring < 4; ring++)
		large_page(ring);
	reserved_bits();
	if (paging == PAGING_32)
		size_bit_ignored();
}
