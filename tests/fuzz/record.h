/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making recordings (recording.h), and running engines against them. */
#ifndef RF_TESTS_FUZZ_RECORD_H
#define RF_TESTS_FUZZ_RECORD_H

#include "recording.h"

/*
 * Has x answer about as many cases as wanted, generated from seed, and writes them to the file
 * path. False: it could not; text says why.
 */
bool record_answers(struct executor *x, enum recording_judge judge, uint64_t seed,
		    unsigned long long cases, const char *path, char *text, size_t size);

struct replay_count {
	unsigned long cases, left_open, failures;
};

/*
 * Runs the recording at path on the engine, which stays the caller's, and compares. What differs is
 * said on standard error. False: the file cannot be used; text says why.
 */
bool replay_recording(struct executor *engine, const char *path, struct replay_count *count,
		      char *text, size_t size);

/*
 * The same with all engines and all files *.answers of a directory, or one file. In a directory
 * only processors may have answered. The last line is "recordings: N passed, N failed". Returns the
 * exit status: 0, 1, or SKIPPED if the directory has none.
 */
#define SKIPPED 77
int replay_recordings(const char *path, struct executor *const *engines, const char *const *names,
		      unsigned count);

#endif
