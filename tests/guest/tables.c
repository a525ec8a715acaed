/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of the guest itself, in both formats. Memory is mapped one to one; the user's pages
 * (guest.ld) are user pages, all else belongs to the supervisor. If CR4.PGE is to be set the
 * supervisor's pages are global.
 */
#include "guest.h"

#define POOL_START 0x400000u
#define MAPPED_END 0x800000u

enum paging paging;
static bool paging_global;
static uint32_t pool_next = POOL_START;
extern char user_start[], user_end[];

uint32_t page_alloc(void)
{
	uint32_t page = pool_next;

	pool_next += 4096;
	__builtin_memset((void *)page, 0, 4096);
	return page;
}

uint64_t entry_read(const void *entry)
{
	return paging == PAGING_PAE ? *(volatile uint64_t *)entry : *(volatile uint32_t *)entry;
}

void entry_write(void *entry, uint64_t value)
{
	volatile uint32_t *word = entry;

	if (paging == PAGING_PAE) {
		word[0] = 0; /* never seen half changed and present */
		word[1] = value >> 32;
	}
	word[0] = value;
}

void *directory_entry_at(uint32_t cr3, uint32_t linear)
{
	if (paging == PAGING_PAE) {
		uint64_t *pdpt = (uint64_t *)(cr3 & ~31u);

		return (uint64_t *)(uint32_t)(pdpt[linear >> 30] & ~0xfffull) +
		       (linear >> 21 & 511);
	}
	return (uint32_t *)(cr3 & ~0xfffu) + (linear >> 22);
}

void *entry_at(uint32_t cr3, uint32_t linear)
{
	void *directory = directory_entry_at(cr3, linear);

	if (!(entry_read(directory) & PTE_P))
		entry_write(directory, page_alloc() | PTE_ALL);
	if (paging == PAGING_PAE)
		return (uint64_t *)(uint32_t)(entry_read(directory) & ~0xfffull) +
		       (linear >> 12 & 511);
	return (uint32_t *)(uint32_t)(entry_read(directory) & ~0xfffull) + (linear >> 12 & 1023);
}

static uint64_t identity_entry(uint32_t linear)
{
	bool user = linear >= ADDR(user_start) && linear < ADDR(user_end);

	return linear | PTE_P | PTE_W | (user ? PTE_U : 0) | (!user && paging_global ? PTE_G : 0);
}

uint32_t tables_build(void)
{
	uint32_t cr3 = page_alloc();

	if (paging == PAGING_PAE)
		for (unsigned i = 0; i < 4; i++)
			((uint64_t *)cr3)[i] = page_alloc() | PTE_P;
	for (uint32_t linear = 0; linear < MAPPED_END; linear += 4096)
		entry_write(entry_at(cr3, linear), identity_entry(linear));
	return cr3;
}

void map(uint32_t linear, uint64_t entry)
{
	entry_write(entry_at(read_cr3(), linear), entry);
	invlpg(linear);
}

void flush_global(void)
{
	uint32_t cr4 = read_cr4();

	write_cr4(cr4 ^ CR4_PGE);
	write_cr4(cr4);
}

void paging_start(enum paging kind, bool global)
{
	uint32_t cr3;

	write_cr0(read_cr0() & ~CR0_PG);
	pool_next = POOL_START;
	paging = kind;
	paging_global = global;
	write_cr4(kind == PAGING_PAE ? CR4_PAE : CR4_PSE);
	if (kind == PAGING_OFF)
		return;
	cr3 = tables_build();
	write_cr3(cr3);
	write_cr0(read_cr0() | CR0_PG);
	if (global)
		write_cr4(read_cr4() | CR4_PGE);
}
