/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest page-table walker: translates one guest linear address the way the paging unit does
 * (SDM vol. 3, 4.3 "32-bit paging" with PSE and PGE, and 4.4 "PAE paging" with NX; SMEP,
 * SMAP), with accessed and dirty updates.
 */
#ifndef RF_SHADOWMMU_WALKER_H
#define RF_SHADOWMMU_WALKER_H

#include "guest_ram.h"
#include "x86/access.h"
#include "x86/arch.h"

/* What the paging unit needs to know. pdpte[] is what CR3's load cached under PAE. */
struct paging {
	uint32_t cr0, cr3, cr4;
	bool nxe; /* EFER.NXE */
	uint32_t a20_mask;
	uint64_t pdpte[4];
};

#define WALK_LEVELS 3

struct walk {
	gpa_t gpa;            /* translation of the linear address itself */
	uint32_t error;       /* page-fault error code when walk_guest() returns false */
	uint8_t page_shift;   /* 12, 21 or 22; 32 with paging off */
	bool user;            /* U/S of all levels anded */
	bool writable;        /* R/W of all levels anded */
	bool executable;      /* no NX on the way */
	bool global;          /* G in the leaf (whatever CR4.PGE says) */
	bool dirty;           /* leaf's D after the walk */
	/*
	 * entries used: 0 with paging off, 1 for a 4-MiB page, 2, or 3 with PAE counting no PDPTE
	 * (so 1 or 2)
	 */
	uint8_t levels;
	/* guest physical address of each entry used, top first; the last is the leaf */
	gpa_t entry[WALK_LEVELS];
};

/*
 * Walks for linear address gva. True: the access is allowed, *w is filled, A (and D for a write)
 * bits are set in guest memory unless ACCESS_PROBE. False: a true page fault, w->error holds its
 * error code. Entries outside RAM read as all ones would fault as reserved: they are treated as not
 * present. A store of A/D bits calls guest_ram_written() only if translations were made from that
 * page, which may then be dropped during the walk. Nobody else need know: accessed and dirty bits
 * that appear in a table take nothing away from anybody, and their disappearing again is seen by
 * whoever copied the table, so that a write trace need not know.
 */
bool walk_guest(struct guest_ram *ram, const struct paging *paging, gva_t gva, enum access access,
		struct walk *w);

/*
 * Loads the four PDPTEs of cr3 into out. False if a present one has reserved bits set (the CR3 load
 * then raises #GP).
 */
bool walk_load_pdptes(const struct guest_ram *ram, uint32_t cr3, uint32_t a20_mask,
		      uint64_t out[4]);

#endif
