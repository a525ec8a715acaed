/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How C code (interpreter, callouts, exception delivery) reaches guest linear memory: a small
 * software TLB over the page-table walker, straight into the flat mapping of guest RAM, and into
 * display memory where it is shown; other physical addresses go to the MMIO bus.
 */
#ifndef RF_MONITOR_VM_SOFT_TLB_H
#define RF_MONITOR_VM_SOFT_TLB_H

#include "shadowmmu/walker.h"
#include "translator/conventions.h"
#include "x86/cpu.h"

struct vcpu;

#define SOFT_TLB_ENTRIES SOFT_LOOKUP_ENTRIES /* for each kind of access */

struct soft_tlb_entry {
	gva_t page;    /* linear page address | 1 when valid; 0 when not */
	bool global;
	bool large;    /* part of a large page: INVLPG of any of its addresses drops it */
	bool watched;  /* an entry of watched[]: whoever uses it tells the debugger */
	uint8_t *host; /* monitor's address of the page, or NULL: MMIO at gpa */
	gpa_t gpa;
};

/*
 * The first index is access_who(). Writes to protected pages still enter here; mem_write calls
 * guest_ram_written().
 */
struct soft_tlb {
	struct soft_tlb_entry entry[ACCESS_WHOS][ACCESS_KINDS][SOFT_TLB_ENTRIES];
	/*
	 * Pages on which a debugger watches are not kept: the last translations of an even and an
	 * odd one.
	 */
	struct soft_tlb_entry watched[2];
	/* a bit for every entry that may be valid */
	uint64_t used[ACCESS_WHOS][ACCESS_KINDS][SOFT_TLB_ENTRIES / 64];
	/* a bit for every 4-MiB region that may have large entries */
	uint64_t large_regions[1024 / 64];
	/*
	 * What translated code looks up: a part of the valid entries of the same index, see
	 * soft_tlb_expose().
	 */
	struct soft_lookup lookup[ACCESS_WHOS][SOFT_LOOKUP_KINDS][SOFT_TLB_ENTRIES];
	/*
	 * Loads of segment registers. They are empty whenever a valid supervisor entry for reads
	 * has gone.
	 */
	struct segment_memo segment[SEGMENT_MEMOS];
	uint32_t segments_used;         /* a bit for every one that is not empty */
	struct table_register segments_gdt; /* what they were found in */
};

/*
 * The hit path, for an interpreter's inner loop: the monitor's address of gva if it is in the TLB
 * for the access, is RAM, and len bytes stay within the page; else NULL (then mem_read()
 * and friends find out). A store through it must look at guest_ram_flags() first: any flag means
 * mem_write() instead.
 */
static inline uint8_t *soft_tlb_hit(const struct soft_tlb *tlb, gva_t gva, uint32_t len,
				    enum access access)
{
	const struct soft_tlb_entry *entry =
		&tlb->entry[access_who(access)][access & ACCESS_KIND]
			   [gva >> GUEST_PAGE_SHIFT & (SOFT_TLB_ENTRIES - 1)];

	if (rf_unlikely(entry->page != ((gva & GUEST_PAGE_MASK) | 1) || !entry->host ||
			(gva & ~GUEST_PAGE_MASK) + len > GUEST_PAGE_SIZE))
		return NULL;
	return entry->host + (gva & ~GUEST_PAGE_MASK);
}

void soft_tlb_flush(struct vcpu *vcpu, bool global_too);
void soft_tlb_flush_page(struct vcpu *vcpu, gva_t gva);

/*
 * The segment register was just loaded with the selector, through its descriptor, at CPL 0:
 * translated code may do so again.
 */
void soft_tlb_note_segment(struct vcpu *vcpu, enum x86_seg seg, uint16_t selector);
/* Another GDT may have been loaded. */
void soft_tlb_check_gdt(struct vcpu *vcpu);

/*
 * Linear accesses of len bytes (1..4096, may cross a page). access: ACCESS_READ or ACCESS_WRITE or
 * ACCESS_EXEC, with what access_explicit() says of the program's own (descriptor-table and TSS
 * accesses carry neither of its flags). X86_FAULT with a #PF in cpu->fault if any byte is not
 * accessible; a write then has stored nothing.
 */
enum x86_status mem_read(struct vcpu *vcpu, gva_t gva, void *buf, uint32_t len,
			 enum access access) RF_MUST_CHECK;
enum x86_status mem_write(struct vcpu *vcpu, gva_t gva, const void *buf, uint32_t len,
			  enum access access) RF_MUST_CHECK;
/*
 * Checks that a write of len bytes would succeed, setting A/D as the write would (for
 * read-modify-write and multi-push).
 */
enum x86_status mem_probe_write(struct vcpu *vcpu, gva_t gva, uint32_t len,
				enum access access) RF_MUST_CHECK;
/*
 * Makes an access of len bytes succeed in translated code's own look-up. X86_FAULT as above;
 * *exposed false: it cannot be, for the access crosses a page, or does not go to plain RAM.
 */
enum x86_status soft_tlb_expose(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access,
				bool *exposed) RF_MUST_CHECK;
/* The frame of gpa is protected from now on: translated code must not store to it unseen. */
void soft_tlb_hide_frame(struct vcpu *vcpu, gpa_t gpa);
/* Translates to guest physical. */
enum x86_status mem_translate(struct vcpu *vcpu, gva_t gva, enum access access,
			      gpa_t *gpa) RF_MUST_CHECK;
/* Debugger-style read: no faults, no A bits. Returns bytes read. */
uint32_t mem_peek(struct vcpu *vcpu, gva_t gva, void *buf, uint32_t len);

/*
 * Host pointer for an aligned-within-one-page atomic read-modify-write of len bytes, after the
 * checks of a write; NULL in *host if it crosses a page or is MMIO (then read, modify, write).
 * Follow with mem_written().
 */
enum x86_status mem_rmw_pointer(struct vcpu *vcpu, gva_t gva, uint32_t len, enum access access,
				void **host) RF_MUST_CHECK;
void mem_written(struct vcpu *vcpu, gva_t gva, const void *host, uint32_t len);

/* The paging state of this vCPU as the walker wants it. */
struct paging vcpu_paging(const struct vcpu *vcpu);

#endif
