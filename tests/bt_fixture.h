/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine without devices for the tests of whole engines: RAM, a GDT with the segments worth
 * testing, an IDT whose every handler stops the machine, and a port that stops it. What ran is left
 * in the vCPU and in RAM for the test to look at.
 *
 * The guest runs on the caller's thread. Several machines can be alive at once, so that engines can
 * be compared.
 */
#ifndef RF_TESTS_BT_FIXTURE_H
#define RF_TESTS_BT_FIXTURE_H

#include <criterion/criterion.h>
#include "monitor/interp/interp.h"
#include "monitor/bt/bt.h"
#include "monitor/processor/descriptors.h"
#include "monitor/vm/vm.h"

#define BF_RAM_SIZE 0x800000u

/* Where things are (guest physical; linear too unless a test maps them elsewhere). */
enum {
	BF_LOW = 0,              BF_LOW_SIZE = 0x10000,  /* for 16-bit addressing */
	BF_CODE = 0x40000,       BF_CODE_SIZE = 0x10000,
	BF_DATA = 0x100000,      BF_DATA_SIZE = 0x10000,
	BF_SYSTEM = 0x280000,    BF_SYSTEM_SIZE = 0xe000, /* from the GDT to the page tables */
	BF_GDT = 0x280000, BF_IDT = 0x281000, BF_TSS = 0x282000, BF_DF_TSS = 0x282800,
	BF_STUBS = 0x284000, BF_STACK0_TOP = 0x289000, BF_DF_STACK_TOP = 0x28a000,
	BF_PAGE_DIR = 0x28b000, BF_PAGE_TABLES = 0x28c000, /* two: 8 MiB */
	BF_FREE = 0x300000,      /* up to the end of RAM */
};

/* What paging does to some pages of BF_DATA. */
enum { BF_ABSENT_PAGE = 4, BF_READONLY_PAGE = 8, BF_SUPERVISOR_PAGE = 12 };

/* Selectors. */
enum {
	BF_KCODE = 0x08, BF_KDATA = 0x10, BF_UCODE = 0x1b, BF_UDATA = 0x23, BF_TSS_SEL = 0x28,
	BF_DF_TSS_SEL = 0x30,
	BF_BASED = 0x3b,      /* base BF_DATA + 0x2000, 4 GiB */
	BF_LIMITED = 0x43,    /* base BF_DATA, limit 0x5fff */
	BF_EXPAND_DOWN = 0x4b, /* base 0, offsets above 0x102fff */
	BF_READONLY = 0x53,
	BF_BASED_HIGH = 0x5b, /* base 0xfffff000 */
	BF_STACK16 = 0x63,    /* base BF_DATA, 64 KiB, 16-bit stack */
	BF_GDT_LIMIT = 0x67, BF_TSS_LIMIT = 0x88,
};

/*
 * Page-table entries: where the one of a linear address below 8 MiB is, and flags that let anyone
 * write.
 */
#define BF_PTE_AT(gva) (BF_PAGE_TABLES + 4 * ((gva) >> GUEST_PAGE_SHIFT))
#define BF_PTE_USER (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

#define BF_STOP_PORT 0xf4
/* Machine code that stops the machine: OUT 0xf4, AL. */
#define BF_STOP 0xe6, BF_STOP_PORT

struct bf {
	struct vm vm;
	struct cpu *cpu;
	uint8_t *ram;
	unsigned stops;           /* writes to BF_STOP_PORT */
	unsigned runs;
	_Atomic unsigned running; /* number of the run under way, 0: none */
	_Atomic bool hung, ending;
	pthread_t watchdog;
	unsigned patience_ms;     /* how long a run may take: 8 s at first */
	char options[256];        /* the engine's, "" for none */
	char name[320];           /* for messages; the test's to fill in */
	uint8_t system[BF_SYSTEM_SIZE]; /* pristine copy */
};

/* engine: "bt" or "interp"; options as after -accel bt, or NULL. Never fails (but the test). */
struct bf *bf_create(const char *engine, const char *options);
struct bf *bf_create_model(const char *engine, const char *options, const char *model);
void bf_destroy(struct bf *bf);

/*
 * The state every run starts from: ring 0 or 3, flat segments, all of RAM's system part as built,
 * no events, eip at BF_CODE, esp in the data. paging: identity with the special pages above.
 */
void bf_reset(struct bf *bf, unsigned cpl, bool paging);
/*
 * RAM's system part as built; true if page tables changed by that, and bf_flush() is the caller's
 * to do.
 */
bool bf_restore_system(struct bf *bf);
/*
 * After changing control registers or (host side) page tables: flushes like a MOV CR3 with
 * everything.
 */
void bf_flush(struct bf *bf);
/*
 * Maps the linear page at gva (below 8 MiB) to the frame at gpa for anyone to write, and flushes.
 */
void bf_map_page(struct bf *bf, uint32_t gva, uint32_t gpa);
/* A segment register as if loaded with selector. */
void bf_set_segment(struct bf *bf, enum x86_seg seg, uint16_t selector);
/* Stores to guest RAM as a device would: translations are told. */
void bf_write(struct bf *bf, uint64_t gpa, const void *data, uint32_t len);
void bf_write32(struct bf *bf, uint64_t gpa, uint32_t value);
uint32_t bf_read32(const struct bf *bf, uint64_t gpa);

enum bf_outcome { BF_STOPPED, BF_EXCEPTION, BF_TRIPLE_FAULT, BF_HUNG, BF_DEAD };
/*
 * Runs until the stop port is written, by code or by an exception's handler. BF_EXCEPTION: *vector
 * says which, the frame is at ESP. BF_HUNG: nothing happened for some seconds.
 */
enum bf_outcome bf_run(struct bf *bf, int *vector);

/* A counter of engine bt by its name in the statistics ("translator", "links_direct"). */
long bf_stat(struct bf *bf, const char *part, const char *name);

#define BF_CODE_AT(bf, gpa, ...) \
	({ \
		const uint8_t code_[] = { __VA_ARGS__ }; \
		bf_write(bf, gpa, code_, sizeof(code_)); \
	})

#endif
