/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases as files; see regression.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "regression.h"
#include "translator/disasm.h"

/* --- writing --- */

static void put_bytes(FILE *f, const uint8_t *bytes, unsigned len)
{
	for (unsigned n = 0; n < len; n++)
		fprintf(f, " %02x", bytes[n]);
	fputc('\n', f);
}

static void put_words(FILE *f, const char *prefix, const char *word, const uint32_t *values,
		      unsigned count)
{
	fprintf(f, "%s%s", prefix, word);
	for (unsigned n = 0; n < count; n++)
		fprintf(f, " %08x", values[n]);
	fputc('\n', f);
}

static bool is_filled(const uint8_t *bytes, uint8_t with, unsigned len)
{
	for (unsigned n = 0; n < len; n++)
		if (bytes[n] != with)
			return false;
	return true;
}

static void put_state(FILE *f, const char *prefix, uint32_t eip, uint32_t eflags,
		      const uint32_t *regs, const uint16_t *segs, const struct fxsave_image *fpu)
{
	const uint32_t control[] = { fpu->fcw, fpu->fsw, fpu->ftw, fpu->mxcsr };
	uint32_t wide[X86_NSEG];

	for (unsigned s = 0; s < X86_NSEG; s++)
		wide[s] = segs[s];
	put_words(f, prefix, "eip", &eip, 1);
	put_words(f, prefix, "eflags", &eflags, 1);
	put_words(f, prefix, "regs", regs, 8);
	put_words(f, prefix, "segs", wide, X86_NSEG);
	put_words(f, prefix, "fpu", control, 4);
	for (unsigned n = 0; n < 8; n++) {
		if (!is_filled(fpu->st[n], 0, 10)) {
			fprintf(f, "%sst %u", prefix, n);
			put_bytes(f, fpu->st[n], 10);
		}
		if (!is_filled(fpu->xmm[n], 0, 16)) {
			fprintf(f, "%sxmm %u", prefix, n);
			put_bytes(f, fpu->xmm[n], 16);
		}
	}
}

static void put_memory(FILE *f, const struct memory *before, struct executor *oracle)
{
	for (unsigned n = 0; n < REGIONS; n++) {
		for (uint32_t at = 0; at < REGION_SIZE; at += 16) {
			if (is_filled(before->region[n] + at, n == REGION_CODE ? 0xcc : 0, 16))
				continue;
			fprintf(f, "memory %08x", region_base(n) + at);
			put_bytes(f, before->region[n] + at, 16);
		}
	}
	for (unsigned n = 0; n < REGIONS; n++) {
		const uint8_t *after = oracle->ops->region(oracle, n);

		for (uint32_t at = 0; at < REGION_SIZE; at += 16) {
			if (!memcmp(before->region[n] + at, after + at, 16))
				continue;
			fprintf(f, "expect-memory %08x", region_base(n) + at);
			put_bytes(f, after + at, 16);
		}
	}
}

void regression_report(const struct fuzz_case *c, FILE *to)
{
	const enum disasm_mode mode = world_code16(c->seg[X86_CS]) ? DISASM_16 : DISASM_32;
	struct disasm *disasm;
	char text[96];

	put_state(to, "# ", c->eip, c->eflags, c->regs, c->seg, &c->fpu);
	if (disasm_create(&disasm))
		return;
	for (unsigned at = 0, len; at < c->len; at += len) {
		len = disasm_format(disasm, mode, c->bytes + at, c->len - at, c->eip + at, text,
				    sizeof(text));
		if (!len)
			len = 1;
		if (len == 1 && c->bytes[at] == 0x90 && c->nitems > 1)
			continue;
		fprintf(to, "#   %x: %s   ", c->eip + at, text);
		put_bytes(to, c->bytes + at, len);
	}
	disasm_destroy(disasm);
}

void regression_write(const char *directory, const char *lane, const struct fuzz_case *c,
		      const struct memory *before, struct executor *oracle,
		      const struct outcome *out, const char *what)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%llx.case", directory, lane,
		 (unsigned long long)c->seed);
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		return;
	}
	fprintf(f, "# SPDX-License-Identifier: GPL-2.0-or-later\n# %s\n", what);
	if (oracle->model)
		fprintf(f, "model %s\n", oracle->model);
	regression_report(c, f);
	fprintf(f, "oracle %s\nring %x\nno_fpu %x\nsingle %x\n", oracle->name, c->ring, c->no_fpu,
		c->single);
	put_state(f, "", c->eip, c->eflags, c->regs, c->seg, &c->fpu);
	fprintf(f, "code");
	put_bytes(f, c->bytes, c->len);
	fprintf(f, "expect %x %x %x %x\n", out->kind, out->vector, out->error, out->cr2);
	put_state(f, "expect-", out->eip, out->eflags, out->regs, out->seg, &out->fpu);
	put_memory(f, before, oracle);
	fclose(f);
	fprintf(stderr, "recorded in %s\n", path);
}

/* --- reading --- */

struct line {
	const char *word;
	uint32_t value[CASE_MAX_BYTES];
	unsigned count;
};

static bool take_bytes(const struct line *l, unsigned from, uint8_t *to, unsigned len)
{
	for (unsigned n = 0; n < len; n++)
		to[n] = l->value[from + n];
	return l->count == from + len;
}

static bool take_memory(const struct line *l, struct memory *memory)
{
	uint8_t *at = l->count ? (uint8_t *)memory_at(memory, l->value[0], 16) : NULL;

	return at && take_bytes(l, 1, at, 16);
}

struct state {
	uint32_t *eip, *eflags, *regs;
	uint16_t *segs;
	struct fxsave_image *fpu;
	struct memory *memory;
};

static bool take_state(const struct line *l, const char *word, const struct state *s)
{
	if (!strcmp(word, "eip"))
		*s->eip = l->value[0];
	else if (!strcmp(word, "eflags"))
		*s->eflags = l->value[0];
	else if (!strcmp(word, "regs"))
		memcpy(s->regs, l->value, 8 * sizeof(uint32_t));
	else if (!strcmp(word, "segs"))
		for (unsigned n = 0; n < X86_NSEG; n++)
			s->segs[n] = l->value[n];
	else if (!strcmp(word, "fpu"))
		s->fpu->fcw = l->value[0], s->fpu->fsw = l->value[1], s->fpu->ftw = l->value[2],
		s->fpu->mxcsr = l->value[3];
	else if (!strcmp(word, "st"))
		return take_bytes(l, 1, s->fpu->st[l->value[0] & 7], 10);
	else if (!strcmp(word, "xmm"))
		return take_bytes(l, 1, s->fpu->xmm[l->value[0] & 7], 16);
	else if (!strcmp(word, "memory"))
		return take_memory(l, s->memory);
	else
		return false;
	return l->count > 0;
}

static bool take_line(const struct line *l, struct regression *r)
{
	const struct state before = { &r->c.eip, &r->c.eflags, r->c.regs,
				      r->c.seg,  &r->c.fpu,    &r->before };
	const struct state after = { &r->out.eip, &r->out.eflags, r->out.regs,
				     r->out.seg,  &r->out.fpu,    &r->after };

	if (!strcmp(l->word, "ring"))
		r->c.ring = l->value[0];
	else if (!strcmp(l->word, "no_fpu"))
		r->c.no_fpu = l->value[0];
	else if (!strcmp(l->word, "single"))
		r->c.single = l->value[0];
	else if (!strcmp(l->word, "code"))
		return l->count && take_bytes(l, 0, r->c.bytes, r->c.len = l->count);
	else if (!strcmp(l->word, "expect"))
		r->out.kind = l->value[0], r->out.vector = l->value[1], r->out.error = l->value[2],
		r->out.cr2 = l->value[3];
	else if (!strncmp(l->word, "expect-", 7))
		return take_state(l, l->word + 7, &after);
	else
		return take_state(l, l->word, &before);
	return l->count > 0;
}

static bool parse(char *text, struct regression *r)
{
	struct line l = { .count = 0 };
	char *save, *end, *word;

	text[strcspn(text, "#\n")] = 0;
	l.word = strtok_r(text, " ", &save);
	if (!l.word)
		return true;
	while ((word = strtok_r(NULL, " ", &save))) {
		if (!strcmp(l.word, "oracle")) {
			r->host = !strcmp(word, "host");
			return true;
		}
		if (!strcmp(l.word, "model")) {
			snprintf(r->model, sizeof(r->model), "%s", word);
			return true;
		}
		if (l.count == RF_ARRAY_SIZE(l.value))
			return false;
		l.value[l.count++] = strtoul(word, &end, 16);
		if (*end)
			return false;
	}
	return take_line(&l, r);
}

/* "expect-memory" lines change a copy of what the "memory" lines made, so these come first. */
bool regression_read(const char *path, struct regression *r)
{
	char text[2048];
	FILE *f = fopen(path, "r");
	unsigned number = 0;
	bool good = true;

	if (!f) {
		perror(path);
		return false;
	}
	memset(r, 0, sizeof(*r));
	memset(r->before.region[REGION_CODE], 0xcc, REGION_SIZE);
	for (unsigned pass = 0; pass < 2 && good; pass++) {
		rewind(f);
		for (number = 1; good && fgets(text, sizeof(text), f); number++)
			good = (strncmp(text, "expect-memory", 13) == 0) != (pass == 1) ||
			       parse(text, r);
		if (pass == 0)
			r->after = r->before;
	}
	fclose(f);
	/* The code lies in memory afterwards. */
	r->c.nitems = 1;
	r->c.offset[1] = r->c.len;
	if (!good || !r->c.len)
		fprintf(stderr, "%s:%u: not understood\n", path, number - 1);
	return good && r->c.len;
}

/* --- as an executor --- */

struct recorded {
	struct executor x;
	const struct regression *r;
	struct memory memory;
};

static struct recorded *of(struct executor *x)
{
	return (struct recorded *)x;
}

static void nothing(struct executor *x)
{
}

static void load(struct executor *x, const struct memory *memory)
{
	of(x)->memory = *memory;
}

static const uint8_t *region(struct executor *x, enum region n)
{
	return of(x)->memory.region[n];
}

static void store(struct executor *x, uint32_t at, const void *data, uint32_t len)
{
	uint8_t *to = (uint8_t *)memory_at(&of(x)->memory, at, len);

	if (to)
		memcpy(to, data, len);
}

static void run(struct executor *x, const struct fuzz_case *c, struct outcome *out)
{
	of(x)->memory = of(x)->r->after;
	*out = of(x)->r->out;
}

static void destroy(struct executor *x)
{
	free(x);
}

struct executor *regression_oracle(const struct regression *r)
{
	static const struct executor_ops ops = {
		nothing, nothing, load, region, store, run, destroy
	};
	struct recorded *recorded = calloc(1, sizeof(*recorded));

	if (!recorded)
		return NULL;
	recorded->x = (struct executor){
		.name = "recorded", .ops = &ops, .is_host = r->host, .without_pointers = true,
	};
	recorded->r = r;
	return &recorded->x;
}
