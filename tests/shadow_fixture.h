/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest without a processor: RAM with page tables that the tests write, and a shadow over the
 * plain-process windows. Host calls go through a checker that keeps its own account of what is
 * mapped and can be told to refuse.
 *
 * Guest memory: every data page holds its own frame number in its first word.
 */
#ifndef RF_TESTS_SHADOW_FIXTURE_H
#define RF_TESTS_SHADOW_FIXTURE_H

#include "shadowmmu/shadow.h"

#define GUEST_RAM_SIZE (32u << 20)
#define PAGE_OF(gfn)   ((uint32_t)(gfn) << 12)

struct checked_mapping {
	struct host_mapping hm;
	struct host_mapping *real;
	unsigned windows;
	unsigned maps, protects, unmaps;
	uint32_t limit;      /* 0: the real one's */
	unsigned fail_maps;  /* how many calls to refuse */
	unsigned fail_takes; /* the same for protect and unmap of less than a window */
};

struct guest {
	struct guest_ram ram;
	struct checked_mapping hm;
	struct shadow *shadow;
	struct paging paging;
	struct space *space;
	unsigned code_changed;  /* calls, and the last one's arguments */
	struct space *code_space;
	gva_t code_gva;
	unsigned spaces_destroyed;
	uint32_t video_size; /* set before guest_create(): bytes of display memory */
	const void *rom;     /* the same: 64 KiB below 4 GiB, or NULL */
};

/* The structures are checked now and then (shadow_options.check_every) in any case. */
void guest_create(struct guest *g, const struct shadow_options *options, uint32_t cr4,
		  uint32_t cr0);
void guest_destroy(struct guest *g);

/* Page-table writes as the guest would make them with a mov: nobody is told. */
void put32(struct guest *g, uint64_t at, uint32_t value);
void put64(struct guest *g, uint64_t at, uint64_t value);
uint32_t get32(struct guest *g, uint64_t at);

void set_paging(struct guest *g, enum shadow_flush flush);
void load_cr3(struct guest *g, uint32_t cr3);

/* Whether the host lets this process touch gva in the window now; *frame is what is read there. */
bool window_readable(hva_t window, gva_t gva, uint32_t *frame);
bool window_writable(hva_t window, gva_t gva);

/*
 * An access as an engine would make it: through the window if it can, else filling and trying
 * again.
 */
enum shadow_fill guest_access(struct guest *g, enum shadow_view view, gva_t gva, enum access access,
			      struct shadow_fill_info *info);

/* Asserts that reading gva in view succeeds and finds frame. */
void expect_reads(struct guest *g, enum shadow_view view, gva_t gva, uint32_t frame);
void expect_sane(struct guest *g);

#endif
