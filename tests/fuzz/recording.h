/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording: cases of the fuzzer's, and what a processor answered, in a file. Hosts that cannot
 * execute 32-bit code have a judge in it.
 *
 * The file has the cases themselves and not the generator's seeds, so that a change of the
 * generator changes nothing here. All numbers are little-endian.
 *
 *   8 bytes   "RFANSWER"
 *   u32       version, RECORDING_VERSION
 *   u32       checksum (zlib's crc32) of all that follows
 *   identity  as in struct recording_identity, in this order, without padding
 *   u64       the generator's seed, for people
 *   u32       batches
 *   u32, u32  bytes of the body, and of the body as compressed
 *   body      by zlib: batch after batch, cases and answers as recording_case.c has them
 *
 * Each batch begins with its own memory, which recording_fill() makes of the batch's number. That
 * is part of the format: it must not be changed without a new version; nor may the world (world.h)
 * in which the cases ran.
 */
#ifndef RF_TESTS_FUZZ_RECORDING_H
#define RF_TESTS_FUZZ_RECORDING_H

#include "executor.h"

#define RECORDING_VERSION 1u
#define RECORDING_BATCH   64u

enum recording_judge {
	JUDGE_PROCESSOR,
	JUDGE_INTERPRETER, /* ringfence's own: tests the tool, and says nothing about processors */
};

struct recording_identity {
	uint32_t judge;              /* enum recording_judge */
	char vendor[12], brand[48];  /* CPUID leaf 0; leaves 80000002h to 80000004h */
	uint32_t signature;          /* leaf 1, EAX: family, model, stepping */
	uint32_t features[3];        /* leaf 1, ECX and EDX; leaf 7, EBX */
};

/* Bytes of memory that a case changed, beside its own code. */
struct recording_change {
	uint32_t at;
	uint8_t value;
};

/* What came out; changes[first] and the count - 1 after it belong to it. */
struct recording_answer {
	struct outcome out;
	uint32_t first, count;
};

struct recording_batch {
	struct fuzz_case c[RECORDING_BATCH];
	struct recording_answer answer[RECORDING_BATCH];
	struct recording_change *changes;
	uint32_t nchanges, room;
};

/* Bytes that are written, or were read. */
struct recording_bytes {
	uint8_t *data;
	size_t size, at;
	/* bad: no memory; or, reading, that they cannot be a recording */
	bool writing, bad;
};

struct recording {
	struct recording_identity identity;
	uint64_t seed;
	uint32_t batches;
	struct recording_bytes body;
};

/* The host's processor. */
void recording_identify(struct recording_identity *identity, enum recording_judge judge);
/* Who it was, for people. */
void recording_describe(const struct recording_identity *identity, char *text, size_t size);

/* To the file path. False: it was not written; why, which names path and what to do, is in text. */
bool recording_write(const struct recording *r, const char *path, char *text, size_t size);
/* From the file path; body is at its beginning. False as above; nothing is to be freed then. */
bool recording_read(struct recording *r, const char *path, char *text, size_t size);
void recording_free(struct recording *r);

/* recording_case.c: appends batch to bytes, or takes the next from there. False: bytes->bad. */
bool recording_code_batch(struct recording_bytes *bytes, struct recording_batch *batch);
/* The memory that batch number n begins with. */
void recording_fill(uint32_t n, struct memory *memory);
/* The case's code and the stop after it, put where they belong. */
void recording_place(const struct fuzz_case *c, struct memory *memory);
/* Notes in answer n what differs from before (which has the code) to after. False: no memory. */
bool recording_note(struct recording_batch *batch, unsigned n, const struct memory *before,
		    const struct memory *after);

/*
 * recording_oracle.c: an executor that knows the answers of batch, which must outlive it;
 * processor: they are a processor's.
 */
struct executor *recording_oracle(const struct recording_batch *batch, bool processor);

#endif
