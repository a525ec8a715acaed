/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter's fast path: runs of instructions decoded once and executed without fetching in
 * between.
 *
 * A block is keyed by guest physical address and default operand size and lies within a page. When
 * it is entered, all its bytes are compared with guest memory; while it runs, a store to its page
 * ends it (struct interp.code_page). So code that modifies itself is seen at the next instruction,
 * as processors since the P6 have it, and nobody need be told of writes to code.
 *
 * A block ends with the first instruction after which something else than the next one may have to
 * happen: an unconditional transfer, a string instruction, or one that touches system state (mode,
 * translation, interrupt flag, ports). A conditional branch inside ends the run only when it is
 * taken.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "internal.h"

#define BLOCK_END \
	(OPA_JUMP | OPA_CALL | OPA_RET | OPA_INT | OPA_FAR | OPA_SYSTEM | OPA_STRING | OPA_PRIV)

/* All zero is empty, so that an engine which needs no blocks does not pay for their memory. */
int interp_blocks_create(struct interp *interp)
{
	interp->blocks = calloc(INTERP_BLOCKS, sizeof(*interp->blocks));
	return interp->blocks ? 0 : -ENOMEM;
}

void interp_blocks_destroy(struct interp *interp)
{
	free(interp->blocks);
}

/*
 * Decodes what fits. False: not even one instruction, because the first leaves the page or cannot
 * be decoded.
 */
static bool block_decode(struct vcpu *vcpu, struct block *b, const uint8_t *host, gpa_t gpa,
			 bool code32)
{
	unsigned room = GUEST_PAGE_SIZE - gpa_offset(gpa),
		 limit = room < BLOCK_BYTES ? room : BLOCK_BYTES;

	b->gpa = GPA_NONE;
	b->code32 = code32;
	b->count = b->len = 0;
	memset(b->raw, 0, sizeof(b->raw));
	memcpy(b->raw, host, limit);
	while (b->count < BLOCK_INSNS) {
		struct interp_op *op = &b->op[b->count];
		enum decode_result result =
			insn_decode((uint8_t *)b->raw + b->len, limit - b->len, code32, &op->insn);

		if (result == DECODE_TRUNCATED || result == DECODE_TOO_LONG)
			break;
		op->handler = interp_choose_handler(vcpu, &op->insn, result);
		b->len += op->insn.len;
		b->count++;
		if (result != DECODE_OK || op->insn.attr & BLOCK_END)
			break;
	}
	if (!b->count)
		return false;
	assert(b->len <= limit);
	memset((uint8_t *)b->raw + b->len, 0, sizeof(b->raw) - b->len);
	b->gpa = gpa;
	return true;
}

static inline bool block_unchanged(const struct block *b, const uint8_t *host)
{
	unsigned n = 0;
	uint64_t word;

	for (; n + 8 <= b->len; n += 8) {
		memcpy(&word, host + n, 8);
		if (word != b->raw[n / 8])
			return false;
	}
	/*
	 * The rest lies within the page, but eight bytes from there may not: compare the last eight
	 * of the block again, if it has them.
	 */
	if (n == b->len)
		return true;
	if (b->len >= 8) {
		uint64_t mine;

		memcpy(&word, host + b->len - 8, 8);
		memcpy(&mine, (const uint8_t *)b->raw + b->len - 8, 8);
		return word == mine;
	}
	return !memcmp(host, b->raw, b->len);
}

/* The block at CS:EIP, decoded if need be; NULL if this place needs interp_step(). */
static inline struct block *block_find(struct vcpu *vcpu)
{
	struct cpu *cpu = &vcpu->cpu;
	const struct segment *cs = &cpu->seg[X86_CS];
	bool code32 = cs->attr & SEG_DB;
	gpa_t gpa;
	const uint8_t *host = tlb_host(vcpu, cs->base + cpu->eip, 1, ACCESS_EXEC, &gpa);
	struct block *b;

	if (rf_unlikely(!host))
		return NULL;
	b = &vcpu_interp(vcpu)->blocks[(gpa.v ^ gpa.v >> 13) & (INTERP_BLOCKS - 1)];
	if (rf_unlikely(!gpa_equal(b->gpa, gpa) || b->code32 != code32 || !b->count ||
			!block_unchanged(b, host)) &&
	    !block_decode(vcpu, b, host, gpa, code32))
		return NULL;
	if (rf_unlikely((uint64_t)cpu->eip + b->len - 1 > cs->limit))
		return NULL;
	return b;
}

/* A debugger may want to stop at, or after, any instruction of a block. */
static bool is_debugged(const struct vcpu *vcpu)
{
	const struct cpu *cpu = &vcpu->cpu;

	return vcpu->debugger.nwatchpoints ||
	       debugger_may_break(&vcpu->debugger, cpu->seg[X86_CS].base + cpu->eip);
}

static enum interp_result run_one(struct vcpu *vcpu, uint64_t *count)
{
	++*count;
	return interp_step(vcpu);
}

enum interp_result interp_run(struct vcpu *vcpu, uint64_t *count)
{
	struct interp *interp = vcpu_interp(vcpu);
	struct cpu *cpu = &vcpu->cpu;
	struct block *b;
	const struct interp_op *op, *end;
	uint32_t next = cpu->eip;

	if (rf_unlikely(cpu->eflags & (X86_TF | X86_RF) || cpu->dr[7] & 0xff || cpu->inhibit ||
			is_debugged(vcpu)))
		return run_one(vcpu, count);
	b = block_find(vcpu);
	if (rf_unlikely(!b))
		return run_one(vcpu, count);
	interp->code_page = gpa_frame(b->gpa);
	interp->code_stored = false;
	end = b->op + b->count;
	for (op = b->op; op < end; op++) {
		uint32_t eip = next;
		enum x86_status status;

		cpu->eip = next = eip + op->insn.len;
		status = op->handler(vcpu, &op->insn);
		if (rf_unlikely(status)) {
			*count += op - b->op + 1;
			return interp_conclude(vcpu, &op->insn, eip, status);
		}
		if (cpu->eip != next || rf_unlikely(interp->code_stored)) {
			op++;
			break;
		}
	}
	*count += op - b->op;
	return INTERP_OK;
}
