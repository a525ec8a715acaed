/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making one translation unit: decode, dispatch each instruction to its translator, close with
 * exits and their cold paths.
 *
 * A TU runs from its entry through conditional branches and calls to the first unconditional
 * transfer, the end of the guest page, or a cap. An instruction that crosses the page end has a TU
 * of its own.
 */
#include <stdlib.h>
#include "guest_address.h"

#define RANGE(first, last) [first ... last]

static void translate_default(struct build *b, const struct insn *i);

void translate_lea(struct build *b, const struct insn *i)
{
	struct opcode_bytes op = OP1(0x8d);
	struct memref m = {
		.base = i->base == INSN_NO_REG ? NO_REG : host_reg_of(i->base),
		.index = i->index == INSN_NO_REG ? NO_REG : host_reg_of(i->index),
		.scale = i->scale, .disp = i->disp,
	};

	/* Sums of 16 bits are what the operand's size makes of any. */
	if (i->addr_size != 4 && !(is_code16(b) && i->op_size == 2))
		return translate_interpret(b, i);
	if (insn_reg(i) == X86_ESP && i->op_size == 2)
		esp_sync(b);
	if (i->base == X86_ESP)
		m.disp += b->esp_delta;
	if (i->op_size == 2)
		op.prefix[op.nprefix++] = 0x66;
	emit_op_mem(&b->e, &op, host_reg_of(insn_reg(i)), &m);
	if (insn_reg(i) == X86_ESP)
		b->esp_delta = 0;
}

void translate_leave_tc(struct build *b, const struct insn *i)
{
	b->ended = true;
	translate_interpret(b, i);
}

static void translate_group_ff(struct build *b, const struct insn *i)
{
	switch (insn_reg(i)) {
	case 2: return translate_call_indirect(b, i);
	case 4: return translate_jmp_indirect(b, i);
	case 6: return translate_push_mem(b, i);
	case 3: case 5: return translate_leave_tc(b, i);
	default: return translate_copy(b, i);
	}
}

/*
 * Guest TSC = host TSC + offset; no flag may change, so the halves are joined and parted in memory.
 */
static void emit_guest_tsc(struct build *b)
{
	const int32_t sum = TCW_OFF(scratch);
	struct emitter *e = &b->e;

	emit_rdtsc(e);
	emit_store32(e, H_RAX, memref_cpu(sum));
	emit_store32(e, H_RDX, memref_cpu(sum + 4));
	emit_load64(e, H_R8, memref_cpu(sum));
	emit_load64(e, H_R9, memref_cpu(CPU_OFF(tsc_offset)));
	emit_lea64(e, H_R8, (struct memref){ .base = H_R8, .index = H_R9 });
	emit_store64(e, H_R8, memref_cpu(sum));
	emit_load32(e, H_RDX, memref_cpu(sum + 4));
	emit_mov32(e, H_RAX, H_R8);
}

/*
 * Ring 0 may be waiting by the clock with interrupts off, which the devices are to know of if one
 * is pending (devices/board/tick_watch.h).
 */
void translate_rdtsc(struct build *b, const struct insn *i)
{
	uint8_t *done;

	if (!(b->mode & MODE_TSC))
		return translate_interpret(b, i);
	if (b->mode & MODE_CPL)
		return emit_guest_tsc(b);
	done = interpret_if_events(b, i);
	emit_guest_tsc(b);
	patch_short_here(&b->e, done);
}

/* It waits for all before it (SDM vol. 2, RDTSCP), which the host may have no RDTSCP for. */
static void translate_rdtscp(struct build *b, const struct insn *i)
{
	uint8_t *done = NULL;

	if (!(b->mode & MODE_TSC) || b->adapt & ADAPT_INTERPRET)
		return translate_interpret(b, i);
	if (!(b->mode & MODE_CPL))
		done = interpret_if_events(b, i);
	emit_lfence(&b->e);
	emit_guest_tsc(b);
	emit_load32(&b->e, H_RCX, memref_cpu(CPU_OFF(tsc_aux)));
	if (done)
		patch_short_here(&b->e, done);
}

static void translate_0f01(struct build *b, const struct insn *i)
{
	switch (i->modrm) {
	case 0xca: case 0xcb: return translate_clac_stac(b, i);
	case 0xf9: return translate_rdtscp(b, i);
	default: return translate_group_0f01(b, i);
	}
}

/* CMPXCHG8B; RDPID. */
static void translate_0fc7(struct build *b, const struct insn *i)
{
	if (i->mem)
		return translate_default(b, i);
	if (insn_rm(i) == X86_ESP)
		esp_sync_first(b);
	emit_load32(&b->e, host_reg_of(insn_rm(i)), memref_cpu(CPU_OFF(tsc_aux)));
}

/* F3 makes it LZCNT on a processor that has that, and means nothing on others. */
static void translate_bsr(struct build *b, const struct insn *insn)
{
	struct insn i = *insn;

	if (!insn_is_lzcnt(insn, b->tr->opt.features))
		return translate_default(b, insn);
	if (!(b->tr->opt.host & HOST_LZCNT))
		return translate_interpret(b, insn);
	i.sse_prefix = 0xf3;
	translate_default(b, &i);
}

/* Exceptions to "copy it unless its attributes say otherwise" (see translate_default). */
static const translate_fn table_1byte[256] = {
	[0x06] = translate_push_seg, [0x0e] = translate_push_seg, [0x16] = translate_push_seg,
	[0x1e] = translate_push_seg, [0x07] = translate_pop_seg, [0x1f] = translate_pop_seg,
	[0xfa] = translate_cli, [0xfb] = translate_sti, [0x27] = translate_interpret,
	[0x2f] = translate_interpret, [0x37] = translate_interpret, [0x3f] = translate_interpret,
	RANGE(0x50, 0x57) = translate_push_reg, RANGE(0x58, 0x5f) = translate_pop_reg,
	[0x60] = translate_pusha, [0x61] = translate_popa, [0x62] = translate_interpret,
	[0x63] = translate_interpret, [0x68] = translate_push_imm, [0x6a] = translate_push_imm,
	RANGE(0x70, 0x7f) = translate_jcc, [0x8c] = translate_mov_from_seg, [0x8d] = translate_lea,
	[0x8e] = translate_mov_to_seg, [0x8f] = translate_pop_mem, [0x9a] = translate_leave_tc,
	[0x9c] = translate_pushf, [0x9d] = translate_popf,
	RANGE(0xa4, 0xa7) = translate_string, RANGE(0xaa, 0xaf) = translate_string,
	[0xc2] = translate_ret, [0xc3] = translate_ret, [0xc4] = translate_interpret,
	[0xc5] = translate_interpret, [0xc8] = translate_interpret, [0xc9] = translate_leave,
	[0xca] = translate_leave_tc, [0xcb] = translate_leave_tc, [0xcc] = translate_int3,
	[0xcd] = translate_int, [0xce] = translate_interpret, [0xcf] = translate_iret,
	[0xd4] = translate_interpret, [0xd5] = translate_interpret, [0xd6] = translate_interpret,
	[0xd7] = translate_interpret,
	RANGE(0xe0, 0xe3) = translate_loop, [0xe8] = translate_call, [0xe9] = translate_jmp,
	[0xea] = translate_leave_tc, [0xeb] = translate_jmp, [0xf1] = translate_leave_tc,
	[0xf4] = translate_leave_tc, [0xff] = translate_group_ff,
};

static const translate_fn table_0f[256] = {
	[0x01] = translate_0f01, [0x20] = translate_mov_from_cr, [0x22] = translate_mov_to_cr,
	[0x31] = translate_rdtsc, [0x34] = translate_sysenter, [0x35] = translate_sysexit,
	RANGE(0x80, 0x8f) = translate_jcc, [0xa0] = translate_push_seg, [0xa8] = translate_push_seg,
	[0xa1] = translate_pop_seg, [0xa9] = translate_pop_seg,
	[0xbd] = translate_bsr, [0xc7] = translate_0fc7, [0xf7] = translate_interpret,
};

/* OPA_SYSTEM: all that is privileged, far, an interrupt, I/O, or loads a segment register. */
#define OPA_NOT_COPIED \
	(OPA_SYSTEM | OPA_STRING | OPA_STACK | OPA_JUMP | OPA_CALL | OPA_RET | OPA_BRANCH)

/* x87 forms that would show the host's instruction pointer: FLDENV, FSTENV, FRSTOR, FSAVE. */
static bool fpu_environment(const struct insn *i)
{
	return i->mem && ((i->opcode == 0xd9 && (insn_reg(i) == 4 || insn_reg(i) == 6)) ||
			  (i->opcode == 0xdd && (insn_reg(i) == 4 || insn_reg(i) == 6)));
}

/* AMD's processors accept a bit in MXCSR that the guest's does not have. */
static bool is_ldmxcsr(const struct insn *i)
{
	return i->map == MAP_0F && i->opcode == 0xae && i->mem && insn_reg(i) == 2;
}

static void translate_default(struct build *b, const struct insn *i)
{
	if (i->attr & OPA_NOT_COPIED)
		return translate_interpret(b, i);
	if (b->adapt & ADAPT_INTERPRET)
		return translate_adapted(b, i);
	if (i->attr & (OPA_FPU | OPA_MMX) && !(b->mode & MODE_FPU))
		return translate_interpret(b, i);
	if (i->attr & OPA_SSE && !(b->mode & MODE_SSE))
		return translate_interpret(b, i);
	if (i->attr & OPA_FPU && i->map == MAP_1BYTE && i->opcode != 0x9b && fpu_environment(i))
		return translate_interpret(b, i);
	if (is_ldmxcsr(i))
		return translate_interpret(b, i);
	translate_copy(b, i);
}

static void translate_one(struct build *b, const struct insn *i)
{
	translate_fn fn = i->map == MAP_1BYTE ? table_1byte[i->opcode] :
			  i->map == MAP_0F    ? table_0f[i->opcode] :
						NULL;

	if (insn_features(i) & ~b->tr->opt.features)
		return translate_leave_tc(b, i); /* the interpreter raises #UD */
	if (is_code16(b)) {
		fn = translate_16_choose(b, i);
		return (fn ? fn : translate_default)(b, i);
	}
	if (soft_lacks_form(b, i))
		translate_interpret(b, i);
	else if (fn && !(b->adapt & ADAPT_INTERPRET))
		fn(b, i);
	else if (fn && i->attr & (OPA_JUMP | OPA_RET)) {
		translate_leave_tc(b, i);
	} else
		translate_default(b, i);
}

static void build_note_insn(struct build *b, struct tu *tu, struct tu_insn *insns)
{
	assert(tu->ninsns < TU_MAX_INSNS && b->esp_delta == (int16_t)b->esp_delta);
	b->record = &insns[tu->ninsns++];
	*b->record = (struct tu_insn){
		.host_offset = emit_here(&b->e) - tu->entry,
		.guest_offset = b->eip - tu->eip,
		.esp_delta = b->esp_delta,
		.adapt = b->adapt,
		.shadow = b->shadow,
		.x87 = b->x87_site ? b->x87_site - tu->first_x87_site : 0,
	};
	b->shadow = b->soft = false;
}

/* The unlinked path of each exit, after the TU's body. */
static void build_cold_paths(struct build *b)
{
	struct translator *tr = b->tr;

	for (uint32_t i = 0; i < b->npending; i++) {
		struct pending_exit *p = &b->pending[i];
		struct tu_exit *exit = &tr->exits[p->exit];

		if (p->pad) {
			link_patch_rel32(tr, p->pad, emit_here(&b->e));
			emit_jmp_mem(&b->e, memref_plain(H_LINKS, 8 * exit->slot));
		}
		exit->cold = emit_here(&b->e);
		exit->patch = p->patch;
		if (p->patch)
			link_patch_rel32(tr, p->patch, exit->cold);
		emit_mov32_imm(&b->e, H_R9, p->exit);
		emit_jmp(&b->e, tr->stub_link);
		if (exit->form != EXIT_TABLE)
			continue;
		tr->link_template[exit->slot] = exit->cold;
		for (struct tc_space *s = tr->spaces; s; s = s->next) {
			if (!s->stale) /* else before it is used again (link_refresh_space) */
				s->links[exit->slot] = exit->cold;
		}
	}
}

/* Of that many bytes, those that CS' limit lets be fetched. */
static unsigned within_limit(const struct build *b, unsigned avail)
{
	const uint32_t room = b->code->limit - guest_eip(b, b->eip) + 1;

	return is_code16(b) && room < avail ? room : avail;
}

/*
 * Fetches the bytes of an instruction that continues on the next page. False: that page cannot be
 * fetched.
 */
static bool build_fetch_across(struct build *b, const uint8_t *page, unsigned offset,
			       uint8_t *buffer, unsigned *avail)
{
	unsigned first = GUEST_PAGE_SIZE - offset;
	const uint8_t *second;
	bool global;
	gpa_t gpa;

	if (b->eip >= GUEST_PAGE_MASK) /* offset FFFFFFFFh is CS' last: #GP */
		return false;
	if (within_limit(b, *avail) < *avail) /* it is the limit that cuts it off */
		return false;
	if (!b->tr->cb.fetch(b->tr->cb.opaque, (b->eip & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE, &gpa,
			     &global))
		return false;
	/* after the fetch, which may store accessed bits there */
	memcpy(buffer, page + offset, first);
	second = b->tr->cb.page(b->tr->cb.opaque, gpa);
	if (!second)
		return false;
	memcpy(buffer + first, second, INSN_MAX_LEN - first);
	*avail = INSN_MAX_LEN;
	b->tu->gpa2 = gpa_page(gpa);
	b->tu->global = b->tu->global && global;
	return true;
}

static bool build_stops(const struct build *b, gva_t eip)
{
	const struct translator_callbacks *cb = &b->tr->cb;

	return cb->stops && cb->stops(cb->opaque, eip);
}

static void build_body(struct build *b, const uint8_t *page, struct tu_insn *insns)
{
	struct tu *tu = b->tu;
	const unsigned start = gpa_offset(tu->gpa);
	const bool code32 = !is_code16(b);
	uint8_t buffer[2 * INSN_MAX_LEN];
	unsigned offset = start;

	b->eip = tu->eip;
	while (!b->ended && tu->ninsns < b->tr->opt.max_insns && offset < GUEST_PAGE_SIZE) {
		unsigned avail = GUEST_PAGE_SIZE - offset;
		enum decode_result result;
		struct insn insn;

		b->bytes = page + offset;
		result = insn_decode(b->bytes, within_limit(b, avail), code32, &insn);
		if (result == DECODE_TRUNCATED && !tu->ninsns &&
		    build_fetch_across(b, page, offset, buffer, &avail)) {
			b->bytes = buffer;
			result = insn_decode(buffer, within_limit(b, avail), code32, &insn);
		}
		if (tu->ninsns && (result == DECODE_TRUNCATED || build_stops(b, b->eip)))
			break;
		b->adapt = adapt_lookup(b->tr, gpa_add(tu->gpa, b->eip - tu->eip)) |
			   (b->tr->opt.all_soft ? ADAPT_SOFT : 0);
		if (!code32) /* which has no soft form */
			b->adapt &= ~ADAPT_SOFT;
		x87_note_before(b, result == DECODE_OK ? &insn : NULL);
		build_note_insn(b, tu, insns);
		b->last = tu->ninsns >= b->tr->opt.max_insns ||
			  offset + 2 * INSN_MAX_LEN > GUEST_PAGE_SIZE ||
			  within_limit(b, 2 * INSN_MAX_LEN) < 2 * INSN_MAX_LEN ||
			  (result == DECODE_OK && build_stops(b, b->eip + insn.len));
		if (result != DECODE_OK) { /* the interpreter raises what is due */
			b->next_eip = b->eip;
			b->ended = true;
			insn.attr |= OPA_FPU; /* it may be any */
			translate_interpret(b, &insn);
			offset++;
			break;
		}
		b->next_eip = b->eip + insn.len;
		translate_one(b, &insn);
		guest_address_after(b, &insn);
		b->eip = b->next_eip;
		offset += insn.len;
	}
	tu->guest_len = offset - start;
	x87_note(b);
	if (!b->ended)
		emit_exit(b, b->eip, BY_JMP, 0);
	assert(!b->esp_delta); /* whoever leaves has brought r14d up to date */
}

struct tu *translate(struct translator *tr, gva_t eip, gpa_t gpa, uint32_t mode, bool global)
{
	struct tu_insn insns[TU_MAX_INSNS];
	struct tu *tu, head = { .eip = eip,
				.gpa = gpa,
				.gpa2 = GPA_NONE,
				.mode = mode,
				.global = global,
				.first_exit = tr->nexits,
				.first_x87_site = tr->nx87_sites };
	struct build b = {
		.tr = tr, .tu = &head, .mode = mode, .code = mode_code(tr, mode), .summed = NO_REG,
		.e = { .p = tr->write_base + tr->used, .limit = tr->write_base + tr->size,
		       .exec_delta = (intptr_t)tr->exec_base - (intptr_t)tr->write_base },
	};

	assert((eip & ~GUEST_PAGE_MASK) == gpa_offset(gpa) && mode_is_whole(mode));
	head.entry = emit_here(&b.e);
	build_body(&b, tr->cb.page(tr->cb.opaque, gpa_page(gpa)), insns);
	head.nexits = tr->nexits - head.first_exit;
	head.body_len = emit_here(&b.e) - head.entry;
	assert(head.nexits == b.npending && head.body_len <= UINT16_MAX); /* tu_insn.host_offset */
	build_cold_paths(&b);
	head.host_len = emit_here(&b.e) - head.entry;
	if (b.e.overflow)
		return NULL;
	tu = (struct tu *)(tr->tu_memory + tr->tu_bytes);
	*tu = head;
	memcpy(tu->insn, insns, head.ninsns * sizeof(*insns));
	for (uint32_t i = 0; i < tu->nexits; i++)
		tr->exits[tu->first_exit + i].tu = tu;
	if (!tu_insert(tr, tu))
		return NULL;
	assert(tu->guest_len && tu->body_len <= tu->host_len);
	tr->used += (tu->host_len + 15) & ~15u;
	tr->tu_bytes += (sizeof(*tu) + tu->ninsns * sizeof(*insns) + 15) & ~(uint64_t)15;
	assert(tr->used <= tr->size && tr->tu_bytes <= TU_MEMORY(tr->size));
	tr->stats.tus++;
	tr->stats.guest_instructions += tu->ninsns;
	tr->stats.guest_bytes += tu->guest_len;
	tr->stats.host_bytes += tu->host_len;
	return tu;
}
