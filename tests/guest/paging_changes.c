/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables that change: what must be seen after INVLPG and loads of CR3 and CR4 (SDM vol. 3,
 * 4.10; what may be stale before is not looked at), tables that are shared, map themselves, or hold
 * the page that is executing.
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

SNIPPET(pc_read, "movl (%ebx), %eax");
SNIPPET(pc_write, "movl %ecx, (%ebx)");
SNIPPET(pc_jump, "jmp *%ebx");

static uint32_t frame_with(uint32_t value)
{
	uint32_t frame = page_alloc();

	for (unsigned i = 0; i < 1024; i++)
		((uint32_t *)frame)[i] = value;
	return frame;
}

static uint32_t read_at(uint32_t linear, unsigned ring)
{
	struct regs regs = start_at(pc_read, ring);
	const struct trap *trap;

	regs.ebx = linear;
	trap = run(&regs);
	return trap->vector == DONE ? trap->regs.eax : 0xbad00000 | trap->vector;
}

static uint32_t write_at(uint32_t linear, uint32_t value, unsigned ring)
{
	struct regs regs = start_at(pc_write, ring);
	const struct trap *trap;

	regs.ebx = linear;
	regs.ecx = value;
	trap = run(&regs);
	return trap->vector == DONE ? 0 : 0xbad00000 | trap->vector << 8 | trap->error;
}

static uint32_t run_at(uint32_t linear, unsigned ring)
{
	struct regs regs = start_at(pc_jump, ring);
	const struct trap *trap;

	regs.ebx = linear;
	trap = run(&regs);
	return trap->vector == DONE ? trap->regs.eax : 0xbad00000 | trap->vector;
}

/* ---- INVLPG, CR3, CR4 ---- */

static void remapped(unsigned ring)
{
	uint32_t a = frame_with(0xaaaaaaaa), b = frame_with(0xbbbbbbbb);
	void *entry = entry_at(read_cr3(), TEST_PAGE);

	for (unsigned round = 0; round < 3; round++) {
		map(TEST_PAGE, a | PTE_ALL);
		check(read_at(TEST_PAGE + 8, ring), 0xaaaaaaaa, "invlpg.first%u.ring%u", round,
		      ring);
		map(TEST_PAGE, b | PTE_ALL);
		check(read_at(TEST_PAGE + 8, ring), 0xbbbbbbbb, "invlpg.second%u.ring%u", round,
		      ring);
		check(write_at(TEST_PAGE + 4, round, ring), 0, "invlpg.write%u.ring%u", round,
		      ring);
		check(((uint32_t *)b)[1], round, "invlpg.written%u.ring%u", round, ring);
		check(((uint32_t *)a)[1], 0xaaaaaaaa, "invlpg.old%u.ring%u", round, ring);
		entry_write(entry, a | PTE_ALL);
		flush_tlb();
		check(read_at(TEST_PAGE + 8, ring), 0xaaaaaaaa, "cr3.flush%u.ring%u", round, ring);
		entry_write(entry, b | PTE_ALL | PTE_G);
		flush_global();
		check(read_at(TEST_PAGE + 8, ring), 0xbbbbbbbb, "cr4.flush%u.ring%u", round, ring);
		/* INVLPG takes global entries too. */
		map(TEST_PAGE, a | PTE_ALL | PTE_G);
		check(read_at(TEST_PAGE + 8, ring), 0xaaaaaaaa, "invlpg.global%u.ring%u", round,
		      ring);
		/* Not present, then present again, for which nothing has to be invalidated. */
		map(TEST_PAGE, 0);
		check(read_at(TEST_PAGE, ring), 0xbad00000 | PF, "absent%u.ring%u", round, ring);
		entry_write(entry, b | PTE_ALL);
		check(read_at(TEST_PAGE + 8, ring), 0xbbbbbbbb, "present%u.ring%u", round, ring);
		/* Write permission taken away. */
		check(write_at(TEST_PAGE, 1, ring), 0, "writable%u.ring%u", round, ring);
		map(TEST_PAGE, b | PTE_P | PTE_U);
		check(write_at(TEST_PAGE, 1, ring), 0xbad00000 | PF << 8 | 3 | (ring == 3 ? 4 : 0),
		      "readonly%u.ring%u", round, ring);
		check(read_at(TEST_PAGE + 8, ring), 0xbbbbbbbb, "readonly.read%u.ring%u", round,
		      ring);
	}
	invlpg(0xf0000000); /* of what is mapped nowhere: nothing */
	map(TEST_PAGE, 0);
}

/* Two directories: what is not global changes with CR3, at once and every time. */
static void two_spaces(unsigned ring)
{
	uint32_t first = read_cr3(), second = tables_build();
	uint32_t a = frame_with(0x11111111), b = frame_with(0x22222222), code_a = page_alloc(),
		 code_b = page_alloc();

	write_code(code_a, 0xc0de000a);
	write_code(code_b, 0xc0de000b);
	entry_write(entry_at(first, TEST_PAGE), a | PTE_ALL);
	entry_write(entry_at(second, TEST_PAGE), b | PTE_ALL);
	entry_write(entry_at(first, OTHER_PAGE), code_a | PTE_ALL);
	entry_write(entry_at(second, OTHER_PAGE), code_b | PTE_ALL);
	for (unsigned i = 0; i < 6; i++) {
		bool other = i & 1;

		write_cr3(other ? second : first);
		check(read_at(TEST_PAGE, ring), other ? 0x22222222 : 0x11111111,
		      "spaces.read%u.ring%u", i, ring);
		check(run_at(OTHER_PAGE, ring), other ? 0xc0de000b : 0xc0de000a,
		      "spaces.run%u.ring%u", i, ring);
	}
	/* Tables that both share. */
	write_cr3(first);
	{
		uint64_t shared = entry_read(directory_entry_at(first, TEST_PAGE));

		entry_write(directory_entry_at(second, TEST_PAGE), shared);
		write_cr3(second);
		check(read_at(TEST_PAGE, ring), 0x11111111, "shared.ring%u", ring);
		map(TEST_PAGE, b | PTE_ALL);
		check(read_at(TEST_PAGE, ring), 0x22222222, "shared.changed.ring%u", ring);
		write_cr3(first);
		check(read_at(TEST_PAGE, ring), 0x22222222, "shared.changed.first.ring%u", ring);
		map(TEST_PAGE, 0);
		write_cr3(second);
		check(read_at(TEST_PAGE, ring), 0xbad00000 | PF, "shared.absent.ring%u", ring);
	}
	write_cr3(first);
	map(OTHER_PAGE, 0);
}

/* A directory entry is covered by INVLPG of any address below it, as is all that CR3 reaches. */
static void directory_changes(unsigned ring)
{
	void *directory = directory_entry_at(read_cr3(), TEST_PAGE);
	uint32_t a = frame_with(0x33333333), b = frame_with(0x44444444);
	uint64_t table, other;

	map(TEST_PAGE, a | PTE_ALL);
	table = entry_read(directory);
	other = page_alloc() | PTE_ALL;
	entry_write((void *)(uint32_t)(other & ~0xfffull), b | PTE_ALL);
	check(read_at(TEST_PAGE, ring), 0x33333333, "directory.first.ring%u", ring);
	entry_write(directory, other);
	invlpg(TEST_PAGE);
	check(read_at(TEST_PAGE, ring), 0x44444444, "directory.invlpg.ring%u", ring);
	entry_write(directory, table);
	flush_tlb();
	check(read_at(TEST_PAGE, ring), 0x33333333, "directory.cr3.ring%u", ring);
	entry_write(directory, 0);
	flush_tlb();
	check(read_at(TEST_PAGE, ring), 0xbad00000 | PF, "directory.absent.ring%u", ring);
	entry_write(directory, table & ~(uint64_t)PTE_W);
	check(read_at(TEST_PAGE, ring), 0x33333333, "directory.present.ring%u", ring);
	check(write_at(TEST_PAGE, 0, ring), 0xbad00000 | PF << 8 | 3 | (ring == 3 ? 4 : 0),
	      "directory.readonly.ring%u", ring);
	entry_write(directory, table);
	flush_tlb();
	check(write_at(TEST_PAGE, 0, ring), 0, "directory.writable.ring%u", ring);
}

/* A large page is split into a table and put together again. */
static void split_and_merge(unsigned ring)
{
	uint32_t size = paging == PAGING_PAE ? 0x200000 : 0x400000, table = page_alloc(),
		 strange = frame_with(0x55555555);
	void *directory = directory_entry_at(read_cr3(), LARGE_PAGE);
	unsigned count = size >> 12;

	for (unsigned i = 0; i < count; i++)
		entry_write((char *)table + i * (paging == PAGING_PAE ? 8 : 4),
			    (size + (i << 12)) | PTE_ALL);
	entry_write((char *)table + 5 * (paging == PAGING_PAE ? 8 : 4), strange | PTE_ALL);
	*(uint32_t *)(size + 0x4ffc) = 0x66666666;
	*(uint32_t *)(size + 0x5ffc) = 0x77777777;
	for (unsigned round = 0; round < 2; round++) {
		entry_write(directory, size | PTE_ALL | PTE_PS);
		flush_tlb();
		check(read_at(LARGE_PAGE + 0x4ffc, ring), 0x66666666, "large.first%u.ring%u", round,
		      ring);
		check(read_at(LARGE_PAGE + 0x5ffc, ring), 0x77777777, "large.second%u.ring%u",
		      round, ring);
		entry_write(directory, table | PTE_ALL);
		flush_tlb();
		check(read_at(LARGE_PAGE + 0x4ffc, ring), 0x66666666, "split.first%u.ring%u", round,
		      ring);
		check(read_at(LARGE_PAGE + 0x5ffc, ring), 0x55555555, "split.second%u.ring%u",
		      round, ring);
	}
	/* Two bytes on either side of the seam. */
	check(read_at(LARGE_PAGE + 0x4ffe, ring), 0x55556666, "split.seam.ring%u", ring);
	entry_write(directory, 0);
	flush_tlb();
}

/* ---- aliases ---- */

static void aliases(unsigned ring)
{
	uint32_t frame = page_alloc();

	map(TEST_PAGE, frame | PTE_ALL);
	map(TEST_PAGE + 0x1000, frame | PTE_ALL);
	map(OTHER_PAGE, frame | PTE_P | PTE_U);
	for (unsigned i = 0; i < 4; i++) {
		check(write_at(TEST_PAGE + 16 * i, i + 1, ring), 0, "alias.write%u.ring%u", i,
		      ring);
		check(read_at(TEST_PAGE + 0x1000 + 16 * i, ring), i + 1, "alias.read%u.ring%u", i,
		      ring);
		check(read_at(OTHER_PAGE + 16 * i, ring), i + 1, "alias.readonly%u.ring%u", i,
		      ring);
		check(*(uint32_t *)(frame + 16 * i), i + 1, "alias.frame%u.ring%u", i, ring);
		*(volatile uint32_t *)(frame + 16 * i) = i + 100;
		check(read_at(OTHER_PAGE + 16 * i, ring), i + 100, "alias.other%u.ring%u", i, ring);
	}
	check(write_at(OTHER_PAGE, 0, ring) >> 8, 0xbad00000u >> 8 | PF,
	      "alias.readonly.write.ring%u", ring);
	/* An unaligned access over two pages that are the same frame. */
	*(uint32_t *)frame = 0x04030201;
	*(uint32_t *)(frame + 0xffc) = 0x0d0c0b0a;
	check(read_at(TEST_PAGE + 0xffe, ring), 0x02010d0c, "alias.seam.ring%u", ring);
	write_at(TEST_PAGE + 0xffe, 0xdeadbeef, ring);
	check(*(uint32_t *)frame & 0xffff, 0xdead, "alias.seam.low.ring%u", ring);
	check(*(uint32_t *)(frame + 0xffc) >> 16, 0xbeef, "alias.seam.high.ring%u", ring);
}

/* ---- tables that map themselves, tables that may not be written ---- */

/*
 *  32-bit paging: the directory is its own last table, so that entries are written where the
 *  processor reads them.
 */
static void self_map(void)
{
	uint32_t *directory = (uint32_t *)read_cr3(), a = frame_with(0x88888888),
	b = frame_with(0x99999999);
	volatile uint32_t *entry = (uint32_t *)(0xffc00000 + (TEST_PAGE >> 10)),
	*at = (uint32_t *)TEST_PAGE;

	map(TEST_PAGE, 0);
	directory[1023] = (uint32_t)directory | PTE_P | PTE_W;
	for (unsigned round = 0; round < 4; round++) {
		*entry = a | PTE_ALL;
		invlpg(TEST_PAGE);
		check(*at, 0x88888888, "self.first%u", round);
		check(*entry & (PTE_A | PTE_D), PTE_A, "self.accessed%u", round);
		*at = 0x88888888;
		check(*entry & (PTE_A | PTE_D), PTE_A | PTE_D, "self.dirty%u", round);
		*entry = b | PTE_ALL;
		invlpg(TEST_PAGE);
		check(*at, 0x99999999, "self.second%u", round);
	}
	/* The directory through itself; its entries are seen as the processor sets them. */
	check(*(volatile uint32_t *)(0xfffff000 + 4 * (TEST_PAGE >> 22)) & PTE_A, PTE_A,
		"self.directory.accessed");
	*(volatile uint32_t *)(0xfffff000 + 4 * (TEST_PAGE >> 22)) = 0;
	flush_tlb();
	check(read_at(TEST_PAGE, 0), 0xbad00000 | PF, "self.directory.cleared");
	directory[1023] = 0;
	flush_global();
}

static void read_only_tables(void)
{
	uint32_t a = frame_with(0xa1a1a1a1), b = frame_with(0xb1b1b1b1), table;
	void *entry;

	map(TEST_PAGE, a | PTE_ALL);
	entry = entry_at(read_cr3(), TEST_PAGE);
	table = (uint32_t)entry & ~0xfffu;
	check(read_at(TEST_PAGE, 3), 0xa1a1a1a1, "readonly.table.first");
	map(table, table | PTE_P | PTE_G);
	check(write_at((uint32_t)entry, b | PTE_ALL, 0), 0xbad00000 | PF << 8 | 3,
		"readonly.table.write");
	check(entry_read(entry) & ~0xfffull, a, "readonly.table.kept");
	/* The processor itself still sets bits there. */
	write_cr0(read_cr0() & ~CR0_WP);
	check(write_at((uint32_t)entry, b | PTE_ALL, 0), 0, "readonly.table.nowp");
	write_cr0(read_cr0() | CR0_WP);
	invlpg(TEST_PAGE);
	check(read_at(TEST_PAGE, 3), 0xb1b1b1b1, "readonly.table.second");
	check(entry_read(entry) & PTE_A, PTE_A, "readonly.table.accessed");
	map(table, table | PTE_P | PTE_W | PTE_G);
}

/* ---- the page that executes, and the stack ---- */

/* mov [ebx], ecx; invlpg [edx]; mov eax, value; int DONE: at edx itself, ebx being the entry. */
static void write_remapping_code(uint32_t at, uint32_t value)
{
	static const uint8_t head[] = { 0x89, 0x0b, 0x0f, 0x01, 0x3a };

	__builtin_memcpy((void *)at, head, sizeof(head));
	write_code(at + sizeof(head), value);
}

static void code_unmaps_itself(void)
{
	uint32_t a = page_alloc(), b = page_alloc();
	struct regs regs = start_at((void *)TEST_PAGE, 0);
	const struct trap *trap;

	write_remapping_code(a, 0xaaaa);
	write_remapping_code(b, 0xbbbb);
	for (unsigned round = 0; round < 4; round++) {
		map(TEST_PAGE, (round & 1 ? b : a) | PTE_ALL);
		regs.ebx = (uint32_t)entry_at(read_cr3(), TEST_PAGE);
		regs.ecx = (round & 1 ? a : b) | PTE_ALL;
		regs.edx = TEST_PAGE;
		check(run(&regs)->regs.eax, round & 1 ? 0xaaaa : 0xbbbb, "executing.remapped%u",
			round);
	}
	regs.ecx = 0;
	map(TEST_PAGE, a | PTE_ALL);
	trap = run(&regs);
	/*
	 * At the latest after the INVLPG; before it a processor may use the entry that it has, or
	 * need not.
	 */
	check_trap(trap, PF, 0,
		(void *)(trap->regs.eip == TEST_PAGE + 2 ? TEST_PAGE + 2 : TEST_PAGE + 5),
		"executing.unmapped");
	check(trap->cr2, trap->regs.eip, "executing.unmapped.cr2");
}

SNIPPET(pc_remap_stack, "pushl $0x1111; movl %ecx, (%ebx); invlpg (%edx); popl %eax; pushl "
			"$0x2222; movl %ebp, %esp");

static void stack_remapped(void)
{
	uint32_t a = frame_with(0xa2a2a2a2), b = frame_with(0xb2b2b2b2);
	struct regs regs = start_at(pc_remap_stack, 0);

	map(TEST_PAGE, a | PTE_ALL);
	regs.ebp = regs.esp;
	regs.esp = TEST_PAGE + 0x800;
	regs.ebx = (uint32_t)entry_at(read_cr3(), TEST_PAGE);
	regs.ecx = b | PTE_ALL;
	regs.edx = TEST_PAGE;
	check(run(&regs)->regs.eax, 0xb2b2b2b2, "stack.popped");
	check(*(uint32_t *)(a + 0x7fc), 0x1111, "stack.first");
	check(*(uint32_t *)(b + 0x7fc), 0x2222, "stack.second");
}

/* ---- paging off and on, CR4 while it is on ---- */

static void switched_off(void)
{
	uint32_t a = frame_with(0xa3a3a3a3);

	map(TEST_PAGE, a | PTE_ALL);
	check(read_at(TEST_PAGE, 0), 0xa3a3a3a3, "on");
	for (unsigned i = 0; i < 3; i++) {
		write_cr0(read_cr0() & ~CR0_PG);
		*(volatile uint32_t *)a = i;
		write_cr0(read_cr0() | CR0_PG);
		check(read_at(TEST_PAGE, 0), i, "off.on%u", i);
	}
	for (unsigned i = 0; i < 4; i++) {
		write_cr4(read_cr4() ^ CR4_PGE);
		*(volatile uint32_t *)TEST_PAGE = i;
		check(*(volatile uint32_t *)a, i, "pge%u", i);
		check(read_at(TEST_PAGE, 3), i, "pge.user%u", i);
	}
}

/*
 * CR4.PAE changes while paging is on: one CR3, read in both formats. Its page is a directory whose
 * entries from the second GiB on are in use, and starts with four PDPTEs of which the second is, as
 * entries 2 and 3 of the directory. The first GiB, where all else of the guest is, is not mapped
 * meanwhile; and no entry that the processor marks as accessed is a PDPTE, in which that bit is
 * reserved.
 */
SNIPPET(pc_toggle_pae, "movl %edi, %cr3; movl (%ebx), %eax; movl %edx, %cr4; movl (%ebx), %ebp; "
		       "movl %ecx, %cr4; movl (%ebx), %edx; movl %esi, %cr3\n"
		       "pc_toggle_pae_end:");
extern char pc_toggle_pae_end[];

static void pae_toggled(void)
{
	uint32_t both = page_alloc(), code = page_alloc(), table = page_alloc(),
	directory = page_alloc(), pae_table = page_alloc();
	uint32_t short_entry = frame_with(0x32323232), long_entry = frame_with(0x64646464),
	data = TEST_PAGE + 0x1000;
	uint32_t cr4 = read_cr4(), first = paging == PAGING_PAE ? 0x64646464 : 0x32323232,
	second = 0x32323232 ^ 0x64646464 ^ first;
	struct regs regs = start_at((void *)TEST_PAGE, 0);
	const struct trap *trap;

	__builtin_memcpy((void *)code, pc_toggle_pae, pc_toggle_pae_end + 2 - pc_toggle_pae);
	((uint32_t *)both)[TEST_PAGE >> 22] = table | PTE_ALL;
	((uint64_t *)both)[TEST_PAGE >> 30] = directory | PTE_P;
	((uint64_t *)directory)[0] = pae_table | PTE_ALL;
	((uint32_t *)table)[0] = ((uint64_t *)pae_table)[0] = code | PTE_ALL;
	((uint32_t *)table)[1] = short_entry | PTE_ALL;
	((uint64_t *)pae_table)[1] = long_entry | PTE_ALL;
	map(TEST_PAGE, code | PTE_ALL);
	regs.ebx = data;
	regs.ecx = cr4;
	regs.edx = cr4 ^ CR4_PAE;
	regs.esi = read_cr3();
	regs.edi = both;
	for (unsigned i = 0; i < 4; i++) {
		trap = run(&regs);
		check_done(trap, "pae.toggled%u", i);
		check(trap->regs.eax, first, "pae.toggled.first%u", i);
		check(trap->regs.ebp, second, "pae.toggled.second%u", i);
		check(trap->regs.edx, first, "pae.toggled.third%u", i);
	}
	flush_global();
	map(TEST_PAGE, 0);
}

/*
 * The directory of 32-bit paging that is in use makes no PDPTEs: accessed and writable are reserved
 * bits there. Refused, and everything stays.
 */
SNIPPET(pc_load_cr4, "movl %ecx, %cr4");

static void pae_refused(void)
{
	struct regs regs = start_at(pc_load_cr4, 0);
	uint32_t cr4 = read_cr4();

	map(TEST_PAGE, frame_with(0x32323232) | PTE_ALL);
	regs.ecx = cr4 | CR4_PAE;
	check_trap(run(&regs), GP, 0, pc_load_cr4, "pae.refused");
	check(read_cr4(), cr4, "pae.refused.cr4");
	check(read_at(TEST_PAGE, 3), 0x32323232, "pae.refused.memory");
	map(TEST_PAGE, 0);
}

void group_paging_changes(void)
{
	for (unsigned ring = 0; ring < 4; ring += 3) {
		remapped(ring);
		two_spaces(ring);
		directory_changes(ring);
		split_and_merge(ring);
		aliases(ring);
	}
	if (paging == PAGING_32)
		self_map();
	read_only_tables();
	code_unmaps_itself();
	stack_remapped();
	switched_off();
	pae_toggled();
	if (paging == PAGING_32 && !sparing_qemu)
		pae_refused();
}
