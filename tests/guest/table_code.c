/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that hold page tables and code at once. The processor's own stores of accessed and dirty
 * bits change code there like any other store, and are seen at the latest after the next
 * serializing instruction (SDM vol. 3, 4.8 and 8.1.3).
 *
 * The code is MOV DWORD [ESI + disp32], 0, whose disp32 is the entry of a page: where it stores
 * says with which bits of the entry it was executed. The entries around it are not present.
 */
#include "guest.h"
#include "groups.h"
#include "page_tests.h"

#define ENTRY 300u /* in the table of TEST_PAGE */
#define TARGET (TEST_PAGE + (ENTRY << 12))

SNIPPET(tc_jump, "jmp *%ebx");
SNIPPET(tc_read, "movb (%ecx), %al");
SNIPPET(tc_write, "movb $0, (%ecx)");

/* the page of the entry, and where the code that has it for an operand starts */
static uint32_t frame, code;
static void *entry;

/*
 * The code lies around the entry: what may come before, the MOV, and the end. It runs at an alias
 * in TEST_PAGE, which is a user page, while the table is changed at its own address.
 */
static void write_table_code(void)
{
	static const uint8_t before[] = {
		0x8a, 0x01,       /* mov al, [ecx] */
		0x0f, 0xa2,       /* cpuid */
		0x90, 0x90,
		0xc7, 0x86,       /* mov dword [esi + disp32], imm32 */
	};
	static const uint8_t after[] = { 0, 0, 0, 0, 0x90, 0xcd, DONE };
	uint8_t *at = entry;

	entry_write(entry, frame | PTE_ALL);
	__builtin_memcpy(at - sizeof(before), before, sizeof(before));
	__builtin_memcpy(at + 4, after, sizeof(after));
	code = TEST_PAGE + ((ADDR(entry) - sizeof(before)) & 0xfff);
}

/*
 * Which bits the entry had for the code that starts offset bytes into it; ECX is the page itself.
 */
static uint32_t bits_seen(unsigned offset, unsigned ring)
{
	struct regs regs = start_at(tc_jump, ring);
	const struct trap *trap;
	uint32_t seen = 0xbad;

	__builtin_memset(user_data, 0xff, sizeof(user_data));
	regs.ebx = code + offset;
	regs.ecx = TARGET;
	regs.esi = ADDR(user_data) - (frame | PTE_ALL);
	trap = run(&regs);
	if (trap->vector != DONE)
		return 0xbad00000 | trap->vector;
	for (unsigned i = 0; i < 0x80; i += 4)
		if (!user_data[i / 4])
			seen = i;
	return seen;
}

static void access_target(const void *how, unsigned ring)
{
	struct regs regs = start_at(how, ring);

	regs.ecx = TARGET;
	run(&regs);
}

/* Often enough for whatever waits until code is hot. */
static void check_bits(uint32_t want, const char *name, unsigned ring)
{
	for (unsigned i = 0; i < 3; i++)
		check(bits_seen(6, ring), want, "%s%u.ring%u", name, i, ring);
}

static void bits_in_code(unsigned ring, unsigned accessing_ring)
{
	write_table_code();
	invlpg(TARGET);
	check_bits(0, "clean", ring);
	access_target(tc_read, accessing_ring);
	check_bits(PTE_A, "accessed", ring);
	access_target(tc_write, accessing_ring);
	check_bits(PTE_A | PTE_D, "dirty", ring);
	/* Cleared, and set by the instruction before, in the same run of code. */
	entry_write(entry, frame | PTE_ALL);
	invlpg(TARGET);
	check_bits(0, "cleared", ring);
	check(bits_seen(0, ring), PTE_A, "own.accessed.ring%u", ring);
	check(bits_seen(0, ring), PTE_A, "own.again.ring%u", ring);
	entry_write(entry, frame | PTE_ALL);
	invlpg(TARGET);
}

/* The page of the code is mapped by an entry within the code. */
static void own_mapping(unsigned ring)
{
	uint32_t table = ADDR(entry) & ~0xfffu, was = frame;

	frame = table;
	write_table_code();
	invlpg(TARGET);
	for (unsigned i = 0; i < 3; i++) {
		/*
		 * Fetched through TEST_PAGE: nothing is set here. Through TARGET itself: the fetch
		 * sets A.
		 */
		code = (i ? TARGET : TEST_PAGE) + (code & 0xfff);
		check(bits_seen(6, ring), i ? PTE_A : 0, "own.mapping%u.ring%u", i, ring);
	}
	entry_write(entry, 0);
	invlpg(TARGET);
	frame = was;
}

/*
 * An instruction in two pages, of which the first is a table and ends with the second's entry:
 * fetching the second sets a bit in the first. ADD [disp32], AL is 00 05 disp32, and with bit 5 of
 * the second byte set it is ADD [disp32], AH: 00 ends the entry before (that of the table itself,
 * which lies below 16 MiB), 05 is P and U of the second page's, disp32 is its frame and one byte
 * there.
 */
static void fetched_across(unsigned ring)
{
	static const uint8_t tail[] = { TEST_PAGE >> 24, 0xcd, DONE };
	uint32_t table = page_alloc(), second = page_alloc(), data = page_alloc(),
		 linear = (TEST_PAGE & 0xff000000) | second >> 8;
	uint32_t *entries = (uint32_t *)table,
		 *directory = directory_entry_at(read_cr3(), OTHER_PAGE), sum;
	struct regs regs = start_at((void *)(OTHER_PAGE + 0x3feffb), ring);

	__builtin_memcpy((void *)second, tail, sizeof(tail));
	map(linear, data | PTE_ALL);
	entries[1022] = table | PTE_ALL;
	*directory = table | PTE_ALL;
	regs.eax = 0x0110;
	for (unsigned i = 0; i < 3; i++) {
		entries[1023] = second | PTE_P | PTE_U;
		flush_tlb();
		*(uint8_t *)(data + (linear & 0xfff)) = 0;
		/* The fetch that sets the bit may have had the first bytes before. */
		check_done(run(&regs), "across.first%u.ring%u", i, ring);
		sum = *(uint8_t *)(data + (linear & 0xfff));
		check(sum == 0x10 || sum == 0x01, 1, "across.first%u.sum.ring%u", i, ring);
		check(entries[1023] & PTE_A, PTE_A, "across.accessed%u.ring%u", i, ring);
		check_done(run(&regs), "across.second%u.ring%u", i, ring);
		check(*(uint8_t *)(data + (linear & 0xfff)), sum + 1, "across.second%u.sum.ring%u",
		      i, ring);
	}
	*directory = 0;
	map(linear, 0);
	flush_tlb();
}

void group_table_code(void)
{
	frame = page_alloc();
	entry = entry_at(read_cr3(), TARGET);
	map(TEST_PAGE, (ADDR(entry) & ~0xfffull) | PTE_ALL);
	for (unsigned ring = 0; ring < 4; ring += 3) {
		bits_in_code(ring, 0);
		bits_in_code(ring, 3);
		own_mapping(ring);
		if (paging == PAGING_32)
			fetched_across(ring);
	}
	entry_write(entry, 0);
	map(TEST_PAGE, 0);
}
