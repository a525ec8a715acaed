/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier's walk over a TU: one pass from its first byte to its last, with what is known of
 * registers (verify_forms.c).
 *
 * All branches within a TU lead forward, so that when an instruction is reached, every way to it
 * has been seen; what is known there is what is known on all of them. Entries from outside are the
 * TU's start, the return sites after calls, and the unlinked paths of its exits; there nothing is
 * known but that the guest's registers are in their places.
 *
 * At the start of each guest instruction the state has to be the guest's, all of it, and what
 * scratch registers hold is forgotten: no sequence spans two guest instructions.
 */
#include <errno.h>
#include <stdlib.h>
#include "verify_forms.h"
#include "verify_branch.h"

int verifier_create(struct verifier **out)
{
	struct verifier *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (verify_decoder_create(&v->decoder)) {
		free(v);
		return -ENOMEM;
	}
	*out = v;
	return 0;
}

void verifier_destroy(struct verifier *v)
{
	if (!v)
		return;
	verify_decoder_destroy(v->decoder);
	free(v);
}

const char *verify_rule_text(enum verify_rule rule)
{
	static const char *const texts[VERIFY_RULES] = {
		[VERIFY_BYTES] = "bytes", [VERIFY_ENCODING] = "encoding",
		[VERIFY_INSTRUCTION] = "instruction", [VERIFY_REGISTER] = "register",
		[VERIFY_MEMORY] = "memory", [VERIFY_GLUE] = "glue", [VERIFY_REST] = "rest",
		[VERIFY_BRANCH] = "branch", [VERIFY_INDIRECT] = "indirect", [VERIFY_FLOW] = "flow",
		[VERIFY_STUB] = "stub", [VERIFY_MODE] = "mode", [VERIFY_TABLE] = "table",
	};

	return texts[rule];
}

/* --- edges --- */

bool verify_add_edge(struct verifier *v, uint32_t to, uint32_t from,
		     const struct verify_state *state)
{
	struct verify_edge *e;

	if (to >= v->tu->host_len)
		return verify_fail(v, VERIFY_BRANCH, "a branch out of the unit");
	if (v->edge_at[to]) {
		verify_state_meet(&v->edge[v->edge_at[to] - 1].state, state);
		return true;
	}
	if (v->nedges == VERIFY_MAX_EDGES)
		return verify_fail(v, VERIFY_BRANCH, "more branches than a unit can have");
	e = &v->edge[v->nedges++];
	*e = (struct verify_edge){ .offset = to, .from = from, .state = *state };
	v->edge_at[to] = v->nedges;
	return true;
}

static void clear_edges(struct verifier *v)
{
	while (v->nedges)
		v->edge_at[v->edge[--v->nedges].offset] = 0;
}

/*
 * The unlinked paths of exits are entered from link tables, and by exits of other units' return
 * sites never.
 */
static bool add_exits(struct verifier *v)
{
	struct verify_state fresh;

	verify_state_init(&fresh);
	for (uint32_t i = 0; i < v->tu->nexits; i++) {
		const cache_pc cold = v->tr->exits[v->tu->first_exit + i].cold;

		if (cold < v->tu->entry + v->tu->body_len || cold >= v->tu->entry + v->tu->host_len)
			return verify_fail(v, VERIFY_FLOW,
					   "an exit's unlinked path is not behind the unit's body");
		if (!verify_add_edge(v, cold - v->tu->entry, 0, &fresh))
			return false;
	}
	return true;
}

/* --- the walk --- */

/* Takes up what leads to the instruction at offset. */
static bool arrive(struct verifier *v, uint32_t offset)
{
	if (v->edge_at[offset]) {
		const struct verify_state *there = &v->edge[v->edge_at[offset] - 1].state;

		if (v->alive)
			verify_state_meet(&v->state, there);
		else
			v->state = *there;
		v->alive = true;
	}
	return v->alive || verify_fail(v, VERIFY_FLOW, "code that nothing leads to");
}

/*
 * No branch may lead into the middle of the instruction just decoded, and no guest instruction
 * start there.
 */
static bool check_middle(struct verifier *v, uint32_t next_insn)
{
	const struct tu *tu = v->tu;
	const uint32_t end = v->insn.offset + v->insn.length;

	for (uint32_t at = v->insn.offset + 1; at < end && at < tu->host_len; at++) {
		if (v->edge_at[at]) {
			v->insn.offset = v->edge[v->edge_at[at] - 1].from;
			return verify_fail(v, VERIFY_BRANCH,
					   "a branch into the middle of an instruction");
		}
	}
	if (next_insn < tu->ninsns && tu->insn[next_insn].host_offset < end)
		return verify_fail(
			v, VERIFY_BYTES,
			"a guest instruction starts in the middle of a host instruction");
	if (v->insn.offset < tu->body_len && end > tu->body_len)
		return verify_fail(v, VERIFY_BYTES,
				   "the last instruction of the unit's body runs over its end");
	return true;
}

static bool decode_at(struct verifier *v, uint32_t offset)
{
	const struct tu *tu = v->tu;
	enum verify_decode_result result;
	const char *why;

	result = verify_decode(v->decoder, v->code + offset, tu->host_len - offset,
			       tu->entry + offset, &v->insn, &why);
	v->insn.offset = offset;
	if (result == VERIFY_DECODED)
		return true;
	return verify_fail(v, result == VERIFY_MISENCODED ? VERIFY_ENCODING : VERIFY_BYTES, why);
}

/* Guest instructions that start at offset; *next is the first that has not begun yet. */
static bool begin_guest_insns(struct verifier *v, uint32_t offset, uint32_t *next)
{
	const struct tu *tu = v->tu;
	bool begun = false;

	while (*next < tu->ninsns && tu->insn[*next].host_offset == offset) {
		v->current = (*next)++;
		begun = true;
	}
	if (!begun && offset != tu->body_len)
		return true;
	if (v->alive && !verify_at_rest(&v->state, false))
		return verify_fail(
			v, VERIFY_REST,
			"a guest instruction ends while its registers or flags are borrowed");
	verify_next_guest_insn(&v->state);
	return true;
}

static bool verify_insn(struct verifier *v)
{
	if (v->insn.offset >= v->tu->body_len)
		return verify_unlinked_path(v);
	return verify_is_transfer(&v->insn) ? verify_transfer(v) : verify_plain(v);
}

static bool walk(struct verifier *v)
{
	const struct tu *tu = v->tu;
	uint32_t next_insn = 0;

	if (!add_exits(v))
		return false;
	for (uint32_t offset = 0; offset < tu->host_len; offset += v->insn.length) {
		v->insn = (struct host_insn){ .offset = offset };
		if (offset == tu->body_len && v->alive)
			return verify_fail(v, VERIFY_FLOW, "the unit's body runs off its end");
		if (!decode_at(v, offset) || !arrive(v, offset) ||
		    !begin_guest_insns(v, offset, &next_insn) || !check_middle(v, next_insn))
			return false;
		if (!verify_insn(v))
			return false;
		v->previous = offset;
	}
	if (v->alive)
		return verify_fail(v, VERIFY_FLOW, "the unit runs off its end");
	if (next_insn < tu->ninsns && tu->insn[next_insn].host_offset != tu->body_len)
		return verify_fail(v, VERIFY_BYTES,
				   "a guest instruction starts behind the unit's body");
	return true;
}

static bool in_place(const struct translator *tr, const struct tu *tu)
{
	return tu->ninsns && tu->body_len <= tu->host_len && tu->host_len <= VERIFY_MAX_BYTES &&
	       tu->entry >= tr->exec_base + tr->stubs_len &&
	       tu->entry + tu->host_len <= tr->exec_base + tr->size;
}

static void fill_text(struct verifier *v)
{
	const uint32_t offset = v->failure.offset;

	if (in_place(v->tr, v->tu) && offset < v->tu->host_len)
		verify_decode_text(v->decoder, v->code + offset, v->tu->host_len - offset,
				   v->tu->entry + offset, v->failure.text, sizeof(v->failure.text));
}

const struct verify_failure *verify_tu(struct verifier *v, const struct translator *tr,
				       const struct tu *tu)
{
	bool ok;

	v->tr = tr;
	v->tu = tu;
	v->code = (const uint8_t *)tu->entry;
	v->failed = false;
	v->alive = true;
	v->current = v->previous = 0;
	v->insn = (struct host_insn){ 0 };
	verify_state_init(&v->state);
	ok = in_place(tr, tu) ? walk(v) :
				verify_fail(v, VERIFY_BYTES, "the unit is not in its place");
	clear_edges(v);
	if (ok)
		return NULL;
	fill_text(v);
	return &v->failure;
}
