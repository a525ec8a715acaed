/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the time of a guest goes under the translating engine: -accel bt,profile=FILE,
 * symbols=FILES, perf-map=on.
 *
 *   profile.c         options, files, names of TUs for perf
 *   profile_sample.c  what a timer's signal notes: guest stacks, and what the engine was doing
 *   profile_sites.c   instructions that leave translated code for C functions, counted each time
 *   profile_write.c   FILE and FILE.sites
 *
 * A timer of the vCPU thread's CPU time sends a signal; the handler notes where it came in tables
 * of fixed size, takes no lock and allocates nothing. Callouts are counted by functions that are
 * put in the callouts' place, so that a run without a profile does nothing for it.
 */
#ifndef RF_MONITOR_BT_PROFILE_H
#define RF_MONITOR_BT_PROFILE_H

#include <stdio.h>
#include <time.h>
#include <ucontext.h>
#include "internal.h"

struct profile_options {
	char *symbols, *profile; /* strdup'd, or NULL */
	bool perf_map;
};

void profile_options_free(struct profile_options *options);

/*
 * Before the translator is made: reads and opens the files, and adds to callbacks. 0 or a negative
 * errno; -EINVAL, with error, if a file is at fault.
 */
int profile_create(struct bt *bt, const struct profile_options *options,
		   struct translator_callbacks *callbacks, struct error *error) RF_MUST_CHECK;
/* The translator was made with those callbacks. */
void profile_translator_made(struct bt *bt);
/* Writes what was found; before the translator goes. */
void profile_destroy(struct bt *bt);

/* On the vCPU thread, before guest code runs there. Needs bt->profile. */
int profile_enter_thread(struct bt *bt) RF_MUST_CHECK;

/* --- sites --- */

enum profile_site_kind {
	PROFILE_SITE_CALLOUT, /* and enum callout */
	/* interpreted, since it met a device or a traced page */
	PROFILE_SITE_ADAPTED = PROFILE_SITE_CALLOUT + CALLOUT_COUNT,
	PROFILE_SITE_INTERPRETED, /* by the dispatcher */
	PROFILE_SITE_FILLED,
	PROFILE_SITE_TRUE_FAULT,
	PROFILE_SITE_EMULATED,
	PROFILE_SITE_RETRANSLATED,
	PROFILE_SITE_AGAIN,
	PROFILE_SITE_TRAP,
	PROFILE_SITE_KINDS
};

/* --- what the engine is doing, for the handler --- */

enum profile_doing {
	PROFILE_DISPATCHER, /* unless something else is said */
	PROFILE_CALLOUT,
	PROFILE_FAULT,
	PROFILE_INTERPRET,
	/* These the handler sees by itself. */
	PROFILE_TRANSLATED,
	PROFILE_STUB,
	PROFILE_TRANSLATE,
	PROFILE_DOINGS
};

void profile_fault_begins(struct profile *profile, gva_t eip, uint32_t ebp);
void profile_fault_ends(struct profile *profile, enum profile_site_kind kind, gva_t eip);
void profile_interpret_begins(struct profile *profile, gva_t eip);
void profile_interpret_ends(struct profile *profile);

/*
 * From the handler: count timer periods were spent where context is; in_fault: there the host met a
 * fault. Async-signal-safe.
 */
void profile_sample(struct bt *bt, const ucontext_t *context, bool in_fault, unsigned count);

/* --- inside --- */

#define PROFILE_DEPTH  48u
#define PROFILE_STACKS 65536u /* a power of two, as is the next */
#define PROFILE_SITES  32768u
#define PROFILE_HZ     1000u

/* Innermost first. Addresses stand for functions where symbols are known. */
struct profile_stack {
	uint64_t count;     /* 0: free */
	const char *detail; /* which stub, or which callout */
	uint8_t doing, ring, depth;
	gva_t eip[PROFILE_DEPTH];
};

struct profile_site {
	uint64_t count;     /* 0: free */
	gva_t eip;
	uint32_t kind;
};

struct profile {
	struct profile_stack *stacks;
	struct profile_site *sites;
	uint32_t nstacks, nsites;
	uint64_t lost_samples, lost_sites; /* for want of room */

	callout_fn callout[CALLOUT_COUNT]; /* what ours stand for */

	/* Written by the vCPU thread, read by its handler. */
	volatile uint8_t doing;   /* enum profile_doing */
	volatile uint8_t callout_now;
	volatile gva_t fault_eip; /* PROFILE_FAULT: struct cpu is not up to date then */
	volatile uint32_t fault_ebp;

	timer_t timer;
	int timer_thread; /* tid it is for; 0: there is none */

	char *path, *sites_path;
	FILE *file, *sites_file;
};

/* profile_sites.c: our callouts instead of those in callbacks. */
void profile_take_callouts(struct profile *profile, struct translator_callbacks *callbacks);
void profile_count_site(struct profile *profile, uint32_t kind, gva_t eip);

/* profile_write.c: to profile->file and sites_file; errors go to standard error. */
void profile_write(struct bt *bt);

#endif
