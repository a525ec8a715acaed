/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recordings of what processors answered: the file's format, what is said of files that are broken,
 * and the tool. The recordings here are the interpreter's, made on the way: no processor is judge.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "record.h"
#include "tests/leeway.h"

#define CASES 256u

static char directory[64], path[96];
static char text[512];

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/recording-test-XXXXXX");
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/made.answers", directory);
}

static void teardown(void)
{
	unlink(path);
	rmdir(directory);
}

TestSuite(recording, .init = setup, .fini = teardown, .timeout = 120);

/* --- a file as bytes --- */

static uint8_t *load_file(size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = malloc(4u << 20);

	cr_assert(f && bytes);
	*size = fread(bytes, 1, 4u << 20, f);
	fclose(f);
	return bytes;
}

static void save_file(const uint8_t *bytes, size_t size)
{
	FILE *f = fopen(path, "wb");

	cr_assert(f);
	cr_assert_eq(fwrite(bytes, 1, size, f), size);
	fclose(f);
}

/* The file cannot be read, and what is said has its name, this word, and the remedy's place. */
static void expect_refused(const char *word)
{
	struct recording r;

	cr_expect(!recording_read(&r, path, text, sizeof(text)), "read, but: %s", word);
	cr_expect(strstr(text, path) && strstr(text, word) && strstr(text, "docs/testing.md"),
		  "\"%s\" is not in \"%s\"", word, text);
}

/* --- made-up answers --- */

static void make_case(struct recording_batch *b, unsigned n)
{
	struct fuzz_case *c = &b->c[n];
	struct outcome *out = &b->answer[n].out;

	*c = (struct fuzz_case){
		.seed = n, .ring = n % 4, .single = n & 1, .no_fpu = n & 2,
		.eip = BF_CODE + 16 * n, .eflags = 0x202 + n,
		.len = 1 + n, .nitems = 1, .offset[1] = 1 + n,
		.fpu = { .fcw = 0x37f, .mxcsr = 0x1f80, .ftw = n },
	};
	memset(c->bytes, 0x90 + n % 8, c->len);
	for (unsigned k = 0; k < 8; k++)
		c->regs[k] = 0x01010101u * n + k;
	*out = (struct outcome){
		.kind = OUTCOME_EXCEPTION, .vector = n % 20, .error = n, .cr2 = ~n,
		.eip = c->eip + 1, .fpu = c->fpu,
	};
	memcpy(out->regs, c->regs, sizeof(out->regs));
	out->regs[n % 8] = ~out->regs[n % 8];
	out->seg[n % X86_NSEG] = 0x17 + n;
	memset(out->fpu.xmm[n % 8], n, 16);
	memset(out->fpu.st[n % 8], n, 10);
}

static void make_batch(struct recording_batch *b)
{
	static struct memory before, after;

	memset(b, 0, sizeof(*b));
	recording_fill(3, &before);
	after = before;
	for (unsigned n = 0; n < RECORDING_BATCH; n++) {
		make_case(b, n);
		/* A run of three, one over the end of a page, and one byte of another region. */
		for (unsigned k = 0; k < 3; k++)
			after.region[REGION_DATA][n * 100 + k] ^= 0xff;
		after.region[REGION_CODE][0xffe + n] ^= 1;
		after.region[REGION_LOW][n] ^= 0x80;
		cr_assert(recording_note(b, n, &before, &after));
		cr_assert_eq(b->answer[n].count, 5);
		before = after;
	}
}

static void write_made(struct recording_batch *b)
{
	struct recording r = { .seed = 77, .batches = 1, .body.writing = true };

	recording_identify(&r.identity, JUDGE_PROCESSOR);
	cr_assert(recording_code_batch(&r.body, b));
	cr_assert(recording_write(&r, path, text, sizeof(text)), "%s", text);
	recording_free(&r);
}

static void expect_same_case(const struct recording_batch *a, const struct recording_batch *b,
			     unsigned n)
{
	const struct recording_answer *x = &a->answer[n], *y = &b->answer[n];

	cr_expect(!memcmp(&a->c[n], &b->c[n], sizeof(a->c[n])), "case %u", n);
	/* Without the padding before .fpu, which compilers leave as it is. */
	cr_expect(!memcmp(&x->out, &y->out, offsetof(struct outcome, seg) + sizeof(x->out.seg)),
		  "answer %u", n);
	cr_expect(!memcmp(&x->out.fpu, &y->out.fpu, sizeof(x->out.fpu)), "FPU of answer %u", n);
	cr_assert_eq(x->count, y->count, "changes of case %u: %u, %u", n, x->count, y->count);
	for (unsigned k = 0; k < x->count; k++) {
		cr_expect_eq(a->changes[x->first + k].at, b->changes[y->first + k].at);
		cr_expect_eq(a->changes[x->first + k].value, b->changes[y->first + k].value);
	}
}

Test(recording, comes_back_as_it_was_written)
{
	static struct recording_batch made, got;
	struct recording_identity identity;
	struct recording r;

	make_batch(&made);
	write_made(&made);
	cr_assert(recording_read(&r, path, text, sizeof(text)), "%s", text);
	recording_identify(&identity, JUDGE_PROCESSOR);
	cr_expect(!memcmp(&r.identity, &identity, sizeof(identity)));
	cr_expect_eq(r.seed, 77);
	cr_expect_eq(r.batches, 1);
	cr_assert(recording_code_batch(&r.body, &got));
	cr_expect_eq(r.body.at, r.body.size);
	for (unsigned n = 0; n < RECORDING_BATCH; n++)
		expect_same_case(&made, &got, n);
	cr_expect(!recording_code_batch(&r.body, &got), "there is no second batch");
	recording_free(&r);
	free(made.changes);
	free(got.changes);
}

/*
 * What the first bytes of each kind of memory must always be: recordings that are kept rely on it.
 */
Test(recording, the_memory_never_changes)
{
	static struct memory memory;
	uint64_t low, data;

	recording_fill(7, &memory);
	memcpy(&low, memory.region[REGION_LOW], 8);
	memcpy(&data, memory.region[REGION_DATA], 8);
	cr_expect_eq(low, 0x6aa9d61435dbe63eull, "%llx", (unsigned long long)low);
	cr_expect_eq(data, 0x875b9307abf55005ull, "%llx", (unsigned long long)data);
	cr_expect_eq(memory.region[REGION_LOW][16], 0xcc);
	cr_expect_eq(memory.region[REGION_CODE][0], 0xcc);
}

/* --- broken files --- */

Test(recording, of_a_part_is_refused)
{
	static struct recording_batch made;
	uint8_t *bytes;
	size_t size;

	make_batch(&made);
	write_made(&made);
	bytes = load_file(&size);
	for (size_t kept = 0; kept < size; kept += kept < 130 ? 1 : 37) {
		save_file(bytes, kept);
		expect_refused(kept < 16 ? "no recording" : "truncated");
	}
	free(bytes);
	free(made.changes);
}

Test(recording, with_any_byte_changed_is_refused)
{
	static struct recording_batch made;
	uint8_t *bytes;
	size_t size;

	make_batch(&made);
	write_made(&made);
	bytes = load_file(&size);
	for (size_t at = 0; at < size; at += at < 130 ? 1 : 37) {
		bytes[at] ^= 0x10;
		save_file(bytes, size);
		expect_refused(at < 8 ? "no recording" : at < 12 ? "version" : "");
		bytes[at] ^= 0x10;
	}
	save_file(bytes, size);
	free(bytes);
	free(made.changes);
}

Test(recording, of_another_version_says_which)
{
	static struct recording_batch made;
	uint8_t *bytes;
	size_t size;

	make_batch(&made);
	write_made(&made);
	bytes = load_file(&size);
	bytes[8] = 9;
	save_file(bytes, size);
	expect_refused("is of version 9");
	free(bytes);
	free(made.changes);
}

Test(recording, that_is_not_there_is_said)
{
	struct recording r;

	cr_expect(!recording_read(&r, path, text, sizeof(text)));
	cr_expect(strstr(text, path) && strstr(text, "No such file"), "%s", text);
}

/* --- the tool --- */

static void record_here(enum recording_judge judge)
{
	struct executor *x = machine_create("interp", NULL, NULL);

	cr_assert(record_answers(x, judge, 1, CASES, path, text, sizeof(text)), "%s", text);
	x->ops->destroy(x);
}

static struct replay_count replay_here(void)
{
	struct executor *x = machine_create("interp", NULL, NULL);
	struct replay_count count = { 0 };

	cr_assert(replay_recording(x, path, &count, text, sizeof(text)), "%s", text);
	x->ops->destroy(x);
	return count;
}

Test(recording, is_what_the_interpreter_answers_again)
{
	struct replay_count count;

	record_here(JUDGE_INTERPRETER);
	count = replay_here();
	cr_expect_eq(count.cases, CASES);
	cr_expect_eq(count.failures, 0);
	cr_expect_eq(count.left_open, 0, "%lu", count.left_open);
}

/* Calls change() for one answer after the other until it changed one, and writes the file anew. */
static void change_one(bool (*change)(const struct fuzz_case *c, struct outcome *out))
{
	struct recording r, changed;
	struct recording_batch *b = calloc(1, sizeof(*b));
	bool done = false;

	cr_assert(b && recording_read(&r, path, text, sizeof(text)), "%s", text);
	changed = r;
	changed.body = (struct recording_bytes){ .writing = true };
	for (uint32_t k = 0; k < r.batches; k++) {
		cr_assert(recording_code_batch(&r.body, b));
		for (unsigned n = 0; n < RECORDING_BATCH && !done; n++)
			done = change(&b->c[n], &b->answer[n].out);
		cr_assert(recording_code_batch(&changed.body, b));
	}
	cr_assert(done);
	cr_assert(recording_write(&changed, path, text, sizeof(text)), "%s", text);
	recording_free(&changed);
	recording_free(&r);
	free(b->changes);
	free(b);
}

static bool change_ebx(const struct fuzz_case *c, struct outcome *out)
{
	out->regs[X86_EBX] ^= 0x100;
	return out->kind == OUTCOME_STOP;
}

static bool first_insn(const struct fuzz_case *c, struct insn *i)
{
	return c->single && !world_code16(c->seg[X86_CS]) &&
	       insn_decode(c->bytes, c->len, true, i) == DECODE_OK;
}

static bool change_undefined_flag(const struct fuzz_case *c, struct outcome *out)
{
	struct insn i;
	const bool ran = out->kind == OUTCOME_STOP && first_insn(c, &i);
	const uint32_t flags = ran ? leeway_flags(&i, c->regs) : 0;

	out->eflags ^= flags;
	return flags;
}

static bool change_defined_flag(const struct fuzz_case *c, struct outcome *out)
{
	struct insn i;
	const bool ran = out->kind == OUTCOME_STOP && first_insn(c, &i);
	const uint32_t flags = ran ? leeway_flags(&i, c->regs) : 0;

	if (flags)
		out->eflags ^= X86_ARITH_FLAGS & ~flags;
	return flags && flags != X86_ARITH_FLAGS;
}

Test(recording, that_says_otherwise_is_a_failure)
{
	record_here(JUDGE_PROCESSOR);
	cr_expect_eq(replay_here().failures, 0);
	change_one(change_ebx);
	cr_expect_eq(replay_here().failures, 1);
}

/* Of another processor undefined flags may be anything, and defined ones not. */
Test(recording, may_have_other_undefined_flags)
{
	record_here(JUDGE_PROCESSOR);
	change_one(change_undefined_flag);
	cr_expect_eq(replay_here().failures, 0);
	change_one(change_defined_flag);
	cr_expect_eq(replay_here().failures, 1);
}

/* Where recordings are kept, only processors' count; without any there is nothing to say. */
Test(recording, of_the_interpreter_is_not_kept_for_a_processors)
{
	struct executor *x = machine_create("interp", NULL, NULL);
	const char *name = "interp";

	cr_expect_eq(replay_recordings(directory, &x, &name, 1), SKIPPED);
	record_here(JUDGE_INTERPRETER);
	cr_expect_eq(replay_recordings(path, &x, &name, 1), 0);
	cr_expect_eq(replay_recordings(directory, &x, &name, 1), 1);
	record_here(JUDGE_PROCESSOR);
	cr_expect_eq(replay_recordings(directory, &x, &name, 1), 0);
	x->ops->destroy(x);
}
