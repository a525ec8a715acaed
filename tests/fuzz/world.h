/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The world that every case of the fuzzer runs in, the same for all that execute it: three regions
 * of 64 KiB at the linear addresses that bt_fixture.h gives them, some pages of which are special,
 * and an LDT of segments. Nothing else is accessible to ring 3, but for the segments that Linux has
 * in its GDT.
 *
 *   low    ring 0 only: what 16-bit addresses reach through flat segments
 *   code   where instructions are put; readable and writable
 *   data   one page is absent, one read-only, one for ring 0 only (BF_ABSENT_PAGE and so on)
 */
#ifndef RF_TESTS_FUZZ_WORLD_H
#define RF_TESTS_FUZZ_WORLD_H

#include "tests/bt_fixture.h"
#include "translator/decode.h"

enum region { REGION_LOW, REGION_CODE, REGION_DATA, REGIONS };
#define REGION_SIZE 0x10000u

struct memory {
	uint8_t region[REGIONS][REGION_SIZE];
};

uint32_t region_base(enum region region);
/*
 * Where linear address at lies in memory, if it and size bytes after it are inside one region;
 * else NULL.
 */
const uint8_t *memory_at(const struct memory *memory, uint32_t at, uint32_t size);

/* Indices of the LDT. All segments are of DPL 3. */
enum world_segment {
	SEG_FLAT_CODE = 1, SEG_FLAT_DATA,
	SEG_CODE16,        /* 16-bit code at BF_CODE */
	SEG_BASED,         /* 4 GiB from BF_DATA + 0x2000 */
	SEG_LIMITED,       /* BF_DATA, limit 0x5fff */
	SEG_DOWN,          /* base 0, offsets from 0x103000 up */
	SEG_READONLY,      /* flat */
	SEG_HIGH,          /* base 0xfffff000, 4 GiB */
	SEG_STACK16,       /* BF_DATA, 64 KiB, 16-bit stack */
	SEG_DATA64K,       /* BF_DATA, 64 KiB */
	SEG_EXECUTE_ONLY,  /* flat code that cannot be read */
	SEG_NOT_PRESENT,
	SEG_BASED_CODE,    /* 32-bit code, BF_CODE, limit 0xffff */
	SEG_DOWN16,        /* BF_DATA, offsets 0x3000 to 0xffff */
	SEG_BASED_STACK,   /* 32-bit stack, base 0x1000, 4 GiB */
	WORLD_SEGMENTS,
};
#define LDT_SELECTOR(n) ((uint16_t)((n) << 3 | 7))

/* The offset of i's memory operand in its segment; bit strings reach far from where ModRM says. */
uint32_t insn_offset(const struct insn *i, const uint32_t regs[8]);

struct world_descriptor {
	uint32_t base, limit; /* limit as in the descriptor: in pages if attr says so */
	uint16_t attr;        /* descriptor bits 40 to 55, less the limit's */
};
extern const struct world_descriptor world_ldt[WORLD_SEGMENTS];

/*
 * The GDT: what ring 3 finds in Linux's, so that any selector means the same on the host and in the
 * machine, and after its end segments for rings 1 and 2, and the machine's tasks. Rings 1 to 3
 * cannot tell what is below their DPL.
 */
enum {
	GDT_LINUX = 3, GDT_LINUX_END = 16, /* indices that are as under Linux */
	GDT_CODE64 = 6,      /* 64-bit code, which the machine does not know */
	GDT_CPU_NUMBER = 15, /* its limit is the number of the host's processor */
	GDT_TSS = 16, GDT_DF_TSS, GDT_RING1_CODE, GDT_RING1_DATA, GDT_RING2_CODE, GDT_RING2_DATA,
	GDT_ENTRIES,
};
#define GDT_SELECTOR(n, rpl) ((uint16_t)((n) << 3 | (rpl)))
extern const struct world_descriptor world_gdt[GDT_ENTRIES];

/* Base and last offset of the segment selector names; flat if it is the fixture's. */
uint32_t world_base(uint16_t selector);
uint32_t world_last_offset(uint16_t selector);
bool world_code16(uint16_t selector);

#endif
