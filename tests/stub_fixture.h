/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A translator whose stubs run on the host, with a processor and C functions to call that note what
 * they are given. The guest code reaches memory by the software TLB alone, so there is no window.
 */
#ifndef RF_TESTS_STUB_FIXTURE_H
#define RF_TESTS_STUB_FIXTURE_H

#include "translator/tu.h"
#include "x86/fpu_spill.h"

#define FLAT (MODE_SS_FLAT | MODE_DS_FLAT | MODE_ES_FLAT | MODE_FPU | MODE_SSE)
#define RING0 FLAT
#define RING3 (FLAT | 3)
#define PAGE 0x1000u
#define CODE (PAGE + 0x100)
#define TARGET (PAGE + 0x800) /* where CALLOUT_JUMP goes */
#define FAR_AWAY 0x12345678u  /* where all code ends by jumping to */

/* What a callout was given, and what it found in the host's registers. */
struct stub_seen {
	unsigned times;
	enum callout which;
	uint32_t argument, next_eip, eip, eflags, linear, mxcsr;
	volatile uint32_t regs[8];
	uint64_t host_flags;
};
extern struct stub_seen seen;

/* What it does: the state it leaves, whether it spills the FPU state, and its result. */
struct stub_todo {
	int result;
	uint32_t eflags, events;
	volatile uint32_t regs[8];
	bool spill;
};
extern struct stub_todo todo;

extern struct translator *tr;
extern struct tc_space *space;
extern struct tc_cpu *tc;
extern struct cpu *cpu; /* tc's */
extern uint8_t guest_page[GUEST_PAGE_SIZE]; /* at any address */
extern struct soft_lookup soft[4][SOFT_LOOKUP_ENTRIES]; /* the tables in use, by enum access */
extern struct segment_memo memos[SEGMENT_MEMOS];

/* The general registers that prepare() gives; todo's all differ from them. */
extern const uint32_t initial[8];
extern const uint32_t some_flags[];
extern const unsigned some_nflags;

/* Runs test with stubs for hosts with BMI2, if this is one, and with those for others. */
void on_each_host(void (*test)(void));
/* The processor at CODE with these flags; nothing seen. */
void prepare(uint32_t eflags);
/* The unit of code[0..len), with a jump to FAR_AWAY after it, adapted as said (ADAPT_*). */
struct tu *translate_code(const uint8_t *code, unsigned len, uint32_t mode, uint32_t adapt);
/*
 * Enters it. Fails the test unless the FPU state, the return stack and what C code relies on are
 * afterwards as they were.
 */
enum tc_leave run(const uint8_t *code, unsigned len, uint32_t mode, uint32_t adapt);
void expect_registers(const char *what, const volatile uint32_t *are,
		      const volatile uint32_t *expected);
/* Code was left by its last jump. */
void expect_far_away(const char *what, enum tc_leave why);

#endif
