/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random guests that do what no sane guest does, as whole machines, and what must hold whatever
 * they do.
 *
 * 	hostile_code.c    streams of instructions: noise, and system instructions with operands that
 * 	                  mean something
 * 	hostile_world.c   descriptor tables, page tables, tasks, devices and the state the processor
 * 	                  starts in
 * 	hostile_watch.c   what is looked at when a guest has ended
 * hostile_options.c the command line
 * 	hostile_fuzz.c    the program: seeds, machines, deadlines, workers
 *
 * Everything a guest is made of comes from its seed. When its timers fire does not, so a seed
 * repeats the guest and not always what happened to it.
 */
#ifndef RF_TESTS_HOSTILE_H
#define RF_TESTS_HOSTILE_H

#include "monitor/machine/machine.h"
#include "tests/random_state.h"

/*
 * Where things are in guest RAM. Linear addresses are the same where the page tables have not been
 * spoilt.
 */
enum {
	HX_GDT = 0x10000, HX_GDT_ENTRIES = 64,
	HX_IDT = 0x11000,
	HX_TSS = 0x12000,          /* four, 0x400 apart */
	HX_LDT = 0x13000, HX_LDT_ENTRIES = 16,
	HX_DESCRIPTOR_TABLES = 0x13800, /* six-byte operands of LGDT and LIDT, eight apart */
	HX_TABLES = 0x14000, HX_TABLES_END = 0x24000, /* page tables of all formats */
	HX_PAGE_DIR = 0x14000, HX_PAGE_TABLES = 0x15000, /* 4-byte entries; three tables: 12 MiB */
	/* 8-byte entries; four directories, four tables: 8 MiB */
	HX_PDPT = 0x18000, HX_PAE_DIRS = 0x19000, HX_PAE_TABLES = 0x1d000,
	HX_SPOILT = 0x22000,       /* pages of random entries */
	HX_HANDLERS = 0x28000,     /* 256, 16 bytes each */
	HX_STACKS = 0x2a000,       /* ring 0's, 1's, 2's, 3's tops are at the ends of 0x1000 each */
	HX_CODE = 0x100000, HX_CODE_SIZE = 0x8000,
	HX_USER_CODE = 0x110000,
	HX_DATA = 0x180000, HX_DATA_SIZE = 0x10000,
	HX_RAM_LEAST = 4 << 20,
};

/*
 * Selectors, by what they are until a guest changes them. Those from HX_SEL_ODD on are random
 * descriptors.
 */
enum {
	HX_SEL_CODE = 0x08, HX_SEL_DATA = 0x10, HX_SEL_USER_CODE = 0x1b, HX_SEL_USER_DATA = 0x23,
	HX_SEL_CODE16 = 0x28, HX_SEL_DATA16 = 0x30, HX_SEL_TSS = 0x38, HX_SEL_TSS2 = 0x40,
	HX_SEL_TSS3 = 0x48, HX_SEL_LDT = 0x58, HX_SEL_GATE = 0x60, HX_SEL_CONFORMING = 0x68,
	HX_SEL_LIMITED = 0x70, HX_SEL_DOWN = 0x78, HX_SEL_RING1 = 0x81, HX_SEL_ODD = 0x88,
};

/* --- hostile_options.c --- */

#define HX_OPTIONS_SIZE 256 /* of bt's options, with the NUL */

struct hostile_settings {
	uint64_t seed, cases;
	unsigned seconds, patience;
	bool bt, interp, verbose, self_test;
	const char *options;
	bool unconfirmed; /* a suspicion counts at once: this process is there to confirm one */
};

/* Returns false when it has said on stderr what is wrong. --help ends the process. */
bool hostile_options_parse(struct hostile_settings *set, int argc, char **argv);

/* --- hostile_code.c --- */

/*
 * Fills [to, to + size), which will run at linear address at, with instructions. noise: of 16, how
 * many are random bytes.
 */
void hostile_code(struct random_source *r, uint8_t *to, uint32_t size, uint32_t at, unsigned noise);
/* An address a guest might find interesting. */
uint32_t hostile_address(struct random_source *r);
/* A selector. */
uint16_t hostile_selector(struct random_source *r);
/* A page-table entry's low word. */
uint32_t hostile_pte(struct random_source *r);

/* --- hostile_world.c --- */

/*
 * Makes the machine's RAM, devices and processor one hostile guest. The machine has not been
 * started.
 */
void hostile_world(struct random_source *r, struct machine *machine);

/* --- hostile_watch.c --- */

/* Host addresses from here to 4 GiB (under the address sanitizer 2 GiB) are nobody's. */
#define HX_TRAPPED_LOW (64ull << 20)

struct hostile_watch;

/*
 * What belongs to the process: traps where no guest may reach. Returns NULL if there is no memory.
 */
struct hostile_watch *hostile_watch_create(struct random_source *r);
void hostile_watch_destroy(struct hostile_watch *watch);
/*
 * Whether something would be noticed at address: the place may have been taken before there were
 * traps.
 */
bool hostile_watch_traps(const struct hostile_watch *watch, uint64_t address);
/* Before a guest starts: remembers its RAM. */
void hostile_watch_start(struct hostile_watch *watch, struct machine *machine);
/*
 * After it has stopped: looks for what must not be. Returns NULL or what was found, valid until the
 * next call. *maybe: it may be a coincidence of values, and is worth the name if it comes again
 * elsewhere in the address space.
 */
const char *hostile_watch_check(struct hostile_watch *watch, struct machine *machine, bool *maybe);
/* Moves the places where windows of further machines will lie. */
void hostile_watch_move_windows(struct hostile_watch *watch);

#endif
