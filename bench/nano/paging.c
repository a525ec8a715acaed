/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two address spaces in 4-KiB pages, without PAE. Both map memory one to one (global, as kernels
 * do), and the APICs; they differ at SCRATCH_BASE.
 */
#include "layout.h"
#include "nano.h"

#define PTE_P 0x001u
#define PTE_W 0x002u
#define PTE_U 0x004u
#define PTE_UNCACHED 0x018u
#define PTE_A 0x020u
#define PTE_D 0x040u
#define PTE_G 0x100u
#define CR0_WP 0x00010000u
#define CR0_PG 0x80000000u
#define CR4_PGE 0x080u
#define TABLES (MAPPED_BYTES >> 22)
#define TABLE __attribute__((aligned(4096)))

TABLE uint32_t main_directory[1024], other_directory[1024];
TABLE uint32_t scratch_table[1024], demand_table[1024];
static TABLE uint32_t memory_tables[TABLES][1024], other_scratch[1024], apic_table[1024];
uint32_t demand_entries[PAGES]; /* what the page-fault handler puts into demand_table */

extern char user_start[], user_end[];

/*
 * Some order in which neighbours are no neighbours, as a kernel that hands out free pages has it.
 */
static uint32_t scattered(uint32_t page)
{
	return page * 389 % PAGES;
}

static void build_tables(uint32_t global)
{
	for (uint32_t page = 0; page < TABLES * 1024; page++) {
		uint32_t at = page << 12;
		bool user = (at >= (uint32_t)user_start && at < (uint32_t)user_end) ||
			    (at >= CODE16_BASE && at < DATA16_END);

		memory_tables[page / 1024][page % 1024] = at | PTE_P | PTE_W | PTE_A | PTE_D |
							  (user ? PTE_U : global);
	}
	for (uint32_t page = 0; page < PAGES; page++) {
		scratch_table[page] = (SCRATCH_FRAMES + (page << 12)) | PTE_P | PTE_W | PTE_A |
				      PTE_D;
		other_scratch[page] = (OTHER_FRAMES + (page << 12)) | PTE_P | PTE_W | PTE_A | PTE_D;
		demand_entries[page] = (DEMAND_FRAMES + (scattered(page) << 12)) | PTE_P | PTE_W |
				       PTE_U;
	}
	apic_table[APIC_BASE >> 12 & 1023] = APIC_BASE | PTE_P | PTE_W | PTE_UNCACHED;
	apic_table[IOAPIC_BASE >> 12 & 1023] = IOAPIC_BASE | PTE_P | PTE_W | PTE_UNCACHED;
}

static void fill_directory(uint32_t *directory, const uint32_t *scratch)
{
	for (uint32_t i = 0; i < TABLES; i++)
		directory[i] = (uint32_t)memory_tables[i] | PTE_P | PTE_W | PTE_U | PTE_A;
	directory[DEMAND_BASE >> 22] = (uint32_t)demand_table | PTE_P | PTE_W | PTE_U | PTE_A;
	directory[SCRATCH_BASE >> 22] = (uint32_t)scratch | PTE_P | PTE_W | PTE_A;
	directory[APIC_BASE >> 22] = (uint32_t)apic_table | PTE_P | PTE_W | PTE_A;
}

/*
 * Frames of SCRATCH_BASE begin with their own address, so that a loop can tell which one it sees.
 */
static void mark_frames(uint32_t base)
{
	for (uint32_t page = 0; page < PAGES; page++)
		*(volatile uint32_t *)(base + (page << 12)) = base + (page << 12);
}

void paging_start(void)
{
	mark_frames(SCRATCH_FRAMES);
	mark_frames(OTHER_FRAMES);
	build_tables(cpu.features & CPU_PGE ? PTE_G : 0);
	fill_directory(main_directory, scratch_table);
	fill_directory(other_directory, other_scratch);
	write_cr3(main_directory);
	write_cr0(read_cr0() | CR0_PG | CR0_WP);
	if (cpu.features & CPU_PGE)
		write_cr4(read_cr4() | CR4_PGE);
}

void demand_absent(void)
{
	for (uint32_t page = 0; page < PAGES; page++)
		demand_table[page] = 0;
	write_cr3(main_directory);
}

/* They are read once, for the fault to be one of writing to a page that is in use. */
void demand_read_only(void)
{
	for (uint32_t page = 0; page < PAGES; page++)
		demand_table[page] = (demand_entries[page] & ~PTE_W) | PTE_A;
	write_cr3(main_directory);
	for (uint32_t page = 0; page < PAGES; page++)
		(void)*(volatile uint32_t *)(DEMAND_BASE + (page << 12));
}
