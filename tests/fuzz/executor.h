/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A case, what became of it, and whoever can execute it: an engine of ringfence's in a machine of
 * its own, the host's processor, or Unicorn.
 */
#ifndef RF_TESTS_FUZZ_EXECUTOR_H
#define RF_TESTS_FUZZ_EXECUTOR_H

#include "world.h"

#define CASE_MAX_ITEMS 48
#define CASE_MAX_BYTES 320
/* Behind the code: OUT to the port that stops the machine, which is #GP in ring 3. */
#define CASE_STOP_BYTES 2

struct fuzz_case {
	uint64_t seed;
	uint8_t ring;
	bool single;     /* one instruction: its undefined flags need not agree */
	bool no_fpu;     /* CR0.TS */
	uint32_t eip;    /* offset in CS; the code is put there */
	uint32_t regs[8], eflags;
	uint16_t seg[X86_NSEG];
	struct fxsave_image fpu;
	/* The code; items are the pieces that the minimiser may take out. */
	uint16_t len, nitems, offset[CASE_MAX_ITEMS + 1];
	uint8_t bytes[CASE_MAX_BYTES];
};

/* For paging rings 0 to 2 are the supervisor's: everything is theirs to change. */
static inline bool case_is_supervisor(const struct fuzz_case *c) { return c->ring < 3; }
/* Flat segments of the ring's. */
static inline uint16_t case_data(const struct fuzz_case *c)
{
	return c->ring == 0 ? BF_KDATA :
	       c->ring == 3 ? LDT_SELECTOR(SEG_FLAT_DATA) :
			      GDT_SELECTOR(GDT_RING1_DATA + 2 * (c->ring - 1), c->ring);
}

static inline uint16_t case_code(const struct fuzz_case *c)
{
	return c->ring == 0 ? BF_KCODE :
	       c->ring == 3 ? LDT_SELECTOR(SEG_FLAT_CODE) :
			      GDT_SELECTOR(GDT_RING1_CODE + 2 * (c->ring - 1), c->ring);
}

enum outcome_kind {
	OUTCOME_STOP,      /* the end of the code was reached */
	OUTCOME_EXCEPTION,
	OUTCOME_SHUTDOWN,  /* triple fault */
	OUTCOME_HUNG,
	OUTCOME_DEAD,      /* the machine was killed */
	/* not to be compared: the executor cannot tell what a processor would have done */
	OUTCOME_UNJUDGED,
};

/* The state at the stop or at the exception; eip is what the exception pushed. */
struct outcome {
	enum outcome_kind kind;
	unsigned vector;
	uint32_t error, cr2; /* error: 0 where there is none; cr2: of a page fault */
	uint32_t regs[8], eip, eflags;
	uint16_t seg[X86_NSEG];
	struct fxsave_image fpu;
};

struct executor;
struct executor_ops {
	/* Around runs: between begin and end no other executor may run. */
	void (*begin)(struct executor *x);
	void (*end)(struct executor *x);
	/* The regions' contents. Writes go through load() and store() only. */
	void (*load)(struct executor *x, const struct memory *memory);
	const uint8_t *(*region)(struct executor *x, enum region region);
	void (*store)(struct executor *x, uint32_t at, const void *data, uint32_t len);
	void (*run)(struct executor *x, const struct fuzz_case *c, struct outcome *out);
	void (*destroy)(struct executor *x);
};

struct executor {
	const char *name;
	const struct executor_ops *ops;
	bool is_host, is_unicorn;
	/* it knows the answers to its own cases only; with is_host, another processor's */
	bool is_recorded;
	bool without_pointers; /* x87 last-instruction pointers are not in its outcomes */
	bool interrupted; /* see machine_disturb() */
	const char *model; /* the processor's; NULL: "max", which has everything */
	bool patient; /* wait for seconds before a case counts as hung: the host may be busy */
};

/*
 * engine: "bt" or "interp"; options: as after -accel bt, or NULL; model: as after -cpu, or NULL.
 */
struct executor *machine_create(const char *engine, const char *options, const char *model);
/*
 * From now on the machine's vCPU gets interrupts at random moments, which ring 3 must not notice. 0
 * or a negative errno.
 */
int machine_disturb(struct executor *x);

/*
 * Executes the case step by step in the interpreter, whatever the machine's engine. see() is shown
 * the processor before each step and what lies at EIP, if result is DECODE_OK, and says whether to
 * go on. False if it ended otherwise. Changes memory.
 */
typedef bool (*machine_see_fn)(void *opaque, const struct cpu *cpu, const struct insn *i,
			       enum decode_result result);
bool machine_trace(struct executor *x, const struct fuzz_case *c, machine_see_fn see, void *opaque);

/*
 * NULL, with *why: this host cannot do it. With a 16-bit stack ESP's upper half must be the
 * constant.
 */
#define HOST_ESP_UPPER 0x5a7e0000u
#define HOST_PAGE      0x5a7e9000u /* the one page that is there on the host only */
struct executor *host_create(const char **why);
struct executor *unicorn_create(const char **why);

#endif
