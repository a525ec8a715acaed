/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier's decoder (verify_decode.h). Only this file and verify_list.c know Capstone.
 *
 * Prefixes are held to what the translator has a use for: each once, REX last, repeat prefixes only
 * where they select an instruction that has existed since SSE4.2. So no processor can take one of
 * them for something newer than Capstone knows, and no disagreement over ignored or repeated
 * prefixes can arise.
 */
#include <capstone/capstone.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "verify_decode.h"

struct host_register {
	uint8_t file, number, bytes;
};

struct verify_decoder {
	csh handle;
	cs_insn *insn;
	struct host_listed *list;
	struct host_register registers[X86_REG_ENDING];
};

/* --- what Capstone calls registers --- */

#define R(name) X86_REG_##name

static const uint16_t general_registers[16][4] = { /* by number; 1, 2, 4, 8 bytes */
	{ R(AL), R(AX), R(EAX), R(RAX) }, { R(CL), R(CX), R(ECX), R(RCX) },
	{ R(DL), R(DX), R(EDX), R(RDX) }, { R(BL), R(BX), R(EBX), R(RBX) },
	{ R(SPL), R(SP), R(ESP), R(RSP) }, { R(BPL), R(BP), R(EBP), R(RBP) },
	{ R(SIL), R(SI), R(ESI), R(RSI) }, { R(DIL), R(DI), R(EDI), R(RDI) },
	{ R(R8B), R(R8W), R(R8D), R(R8) }, { R(R9B), R(R9W), R(R9D), R(R9) },
	{ R(R10B), R(R10W), R(R10D), R(R10) }, { R(R11B), R(R11W), R(R11D), R(R11) },
	{ R(R12B), R(R12W), R(R12D), R(R12) }, { R(R13B), R(R13W), R(R13D), R(R13) },
	{ R(R14B), R(R14W), R(R14D), R(R14) }, { R(R15B), R(R15W), R(R15D), R(R15) },
};
static const uint16_t high_bytes[] = { R(AH), R(CH), R(DH), R(BH) };

static void fill_registers(struct host_register *table)
{
	for (unsigned i = 0; i < X86_REG_ENDING; i++)
		table[i] = (struct host_register){ FILE_OTHER, VERIFY_NO_REG, 0 };
	for (unsigned i = 0; i < 16; i++) {
		for (unsigned size = 0; size < 4; size++)
			table[general_registers[i][size]] =
				(struct host_register){ FILE_GENERAL, i, 1 << size };
		table[R(XMM0) + i] = (struct host_register){ FILE_XMM, i, 16 };
	}
	for (unsigned i = 0; i < RF_ARRAY_SIZE(high_bytes); i++)
		table[high_bytes[i]] = (struct host_register){ FILE_HIGH_BYTE, i, 1 };
	for (unsigned i = 0; i < 8; i++) {
		table[R(MM0) + i] = (struct host_register){ FILE_MMX, i, 8 };
		table[R(ST0) + i] = (struct host_register){ FILE_X87, i, 10 };
	}
	table[R(RIP)] = table[R(EIP)] = (struct host_register){ FILE_OTHER, VERIFY_RIP, 8 };
}

int verify_decoder_create(struct verify_decoder **out)
{
	struct verify_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->list = calloc(verify_list_size(), sizeof(*d->list));
	if (!d->list || cs_open(CS_ARCH_X86, CS_MODE_64, &d->handle) != CS_ERR_OK ||
	    cs_option(d->handle, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK ||
	    !(d->insn = cs_malloc(d->handle))) {
		verify_decoder_destroy(d);
		return -ENOMEM;
	}
	verify_list_fill(d->list);
	fill_registers(d->registers);
	*out = d;
	return 0;
}

void verify_decoder_destroy(struct verify_decoder *d)
{
	if (!d)
		return;
	if (d->insn)
		cs_free(d->insn, 1);
	if (d->handle)
		cs_close(&d->handle);
	free(d->list);
	free(d);
}

/* --- prefixes and opcode: our own reading --- */

struct raw {
	const uint8_t *code;
	unsigned avail, at;
};

static uint8_t raw_byte(struct raw *r, unsigned ahead)
{
	return r->at + ahead < r->avail ? r->code[r->at + ahead] : 0;
}

static unsigned prefix_bit(uint8_t byte)
{
	switch (byte) {
	case 0x66: return HOST_66;
	case 0x67: return HOST_ADDR32;
	case 0xf0: return HOST_LOCK;
	case 0xf2: return HOST_F2;
	case 0xf3: return HOST_F3;
	default:   return 0;
	}
}

static bool is_segment_prefix(uint8_t byte)
{
	return (byte & 0xe7) == 0x26 || byte == 0x64 || byte == 0x65;
}

static const char *raw_prefixes(struct raw *r, struct host_insn *h)
{
	for (; prefix_bit(raw_byte(r, 0)); r->at++) {
		if (h->prefixes & prefix_bit(raw_byte(r, 0)))
			return "a prefix twice";
		h->prefixes |= prefix_bit(raw_byte(r, 0));
	}
	if ((h->prefixes & (HOST_F2 | HOST_F3)) == (HOST_F2 | HOST_F3))
		return "both repeat prefixes";
	if (is_segment_prefix(raw_byte(r, 0)))
		return "a segment prefix";
	if ((raw_byte(r, 0) & 0xf0) != 0x40)
		return NULL;
	h->rex = r->code[r->at++] & 15;
	if ((raw_byte(r, 0) & 0xf0) == 0x40 || prefix_bit(raw_byte(r, 0)) ||
	    is_segment_prefix(raw_byte(r, 0)))
		return "a prefix behind REX";
	return NULL;
}

/* Three-byte VEX, maps 0F38 and 0F3A: what PEXT and PDEP are encoded with. */
static const char *raw_vex(struct raw *r, struct host_insn *h)
{
	const uint8_t rxb = raw_byte(r, 1), wvlp = raw_byte(r, 2);

	if (h->prefixes || h->rex)
		return "a prefix before VEX";
	if (((rxb & 31) != HOST_MAP_0F38 && (rxb & 31) != HOST_MAP_0F3A) || wvlp & 4)
		return "a VEX instruction that is not on the list";
	h->prefixes = HOST_VEX;
	h->rex = (~rxb >> 5) | (wvlp >> 7) << 3;
	h->map = rxb & 31;
	r->at += 3;
	h->opcode = raw_byte(r, 0);
	r->at++;
	return NULL;
}

static const char *raw_opcode(struct raw *r, struct host_insn *h)
{
	switch (raw_byte(r, 0)) {
	case 0xc4:
		return raw_vex(r, h);
	case 0xc5: case 0x62:
		return "VEX or EVEX";
	case 0x0f:
		h->map = HOST_MAP_0F;
		r->at++;
		if (raw_byte(r, 0) == 0x38 || raw_byte(r, 0) == 0x3a)
			h->map = r->code[r->at++] == 0x38 ? HOST_MAP_0F38 : HOST_MAP_0F3A;
		break;
	}
	h->opcode = raw_byte(r, 0);
	r->at++;
	return NULL;
}

static bool is_string(const struct host_insn *h)
{
	return h->map == HOST_MAP_1BYTE && ((h->opcode >= 0xa4 && h->opcode <= 0xa7) ||
					    (h->opcode >= 0xaa && h->opcode <= 0xaf));
}

/* Opcodes of map 0F that F2 and F3 have selected instructions from since SSE4.2 at the latest. */
static bool repeat_selects(uint8_t opcode)
{
	switch (opcode) {
	case 0x10 ... 0x17:
	case 0x2a ... 0x2f:
	case 0x51 ... 0x5f:
	case 0x6f:
	case 0x70:
	case 0x7c ... 0x7f:
	case 0xb8:
	case 0xbd: /* LZCNT is newer: see verify_copied.c */
	case 0xc2: case 0xd0: case 0xd6: case 0xe6: case 0xf0:
		return true;
	default:
		return false;
	}
}

static const char *check_repeat(const struct host_insn *h)
{
	if (!(h->prefixes & (HOST_F2 | HOST_F3)))
		return NULL;
	if (is_string(h) ||
	    (h->map == HOST_MAP_1BYTE && h->opcode == 0x90 && !(h->prefixes & HOST_F2)))
		return NULL;
	if (h->map == HOST_MAP_0F && repeat_selects(h->opcode))
		return NULL;
	if (h->map == HOST_MAP_0F38 && h->prefixes & HOST_F2 &&
	    (h->opcode == 0xf0 || h->opcode == 0xf1))
		return NULL;
	return "a repeat prefix without a meaning";
}

/* With 66 the group of 0FAE holds newer instructions than Capstone knows. */
static const char *check_groups(const struct host_insn *h)
{
	return h->map == HOST_MAP_0F && h->opcode == 0xae && h->prefixes & HOST_66 ?
		       "66 with 0FAE" :
		       NULL;
}

static bool is_transfer(const struct host_insn *h)
{
	return h->op >= HOST_JMP && h->op <= HOST_LOOP;
}

/* 67 is for LOOP and JECXZ, and transfers take no other prefix. */
static const char *check_prefixes(const struct host_insn *h, bool memory)
{
	if (h->op == HOST_LOOP)
		return h->prefixes == HOST_ADDR32 && !h->rex ? NULL : "prefixes other than just 67";
	if (is_transfer(h) && (h->prefixes || h->rex & REX_W))
		return "a transfer with a prefix";
	if (is_string(h) && (h->prefixes & ~(HOST_66 | HOST_F2 | HOST_F3) || h->rex))
		return "a string instruction with other prefixes than 66 and repeats";
	if (h->prefixes & HOST_ADDR32)
		return "67, which would cut an address";
	if (h->prefixes & HOST_LOCK && !memory)
		return "LOCK without a memory operand";
	return NULL;
}

/* --- operands --- */

/* Our own reading of ModRM, SIB and displacement at raw.at. False: a register operand. */
static bool raw_memory(struct raw *r, const struct host_insn *h, struct host_operand *m)
{
	const uint8_t modrm = raw_byte(r, 0), mod = modrm >> 6, sib = raw_byte(r, 1);
	unsigned disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0, disp_at = 1;
	int32_t disp = 0;

	if (mod == 3)
		return false;
	*m = (struct host_operand){ .base = (modrm & 7) | (h->rex & 1) << 3,
				    .index = VERIFY_NO_REG,
				    .scale = 1 };
	if ((modrm & 7) == 4) {
		disp_at = 2;
		m->base = (sib & 7) | (h->rex & 1) << 3;
		m->index = (sib >> 3 & 7) | (h->rex & 2) << 2;
		m->scale = 1 << (sib >> 6);
		if (m->index == 4) {
			m->index = VERIFY_NO_REG;
			m->scale = 1;
		}
		if (mod == 0 && (sib & 7) == 5) {
			m->base = VERIFY_NO_REG;
			disp_size = 4;
		}
	} else if (mod == 0 && (modrm & 7) == 5) {
		m->base = VERIFY_RIP;
		disp_size = 4;
	}
	if (disp_size == 1)
		disp = (int8_t)raw_byte(r, disp_at);
	for (unsigned i = 0; disp_size == 4 && i < 4; i++)
		disp |= (uint32_t)raw_byte(r, disp_at + i) << 8 * i;
	m->disp = disp;
	return true;
}

static uint8_t register_number(const struct verify_decoder *d, x86_reg reg)
{
	/* EIZ and RIZ are Capstone's names of an index that is none. */
	return reg == X86_REG_INVALID || reg == R(EIZ) || reg == R(RIZ) ? VERIFY_NO_REG :
									  d->registers[reg].number;
}

static const char *take_memory(const struct verify_decoder *d, struct raw *r, struct host_insn *h,
			       const cs_x86_op *from, struct host_operand *to)
{
	const uint8_t base = register_number(d, from->mem.base),
		      index = register_number(d, from->mem.index);

	if (is_string(h)) {
		*to = (struct host_operand){
			.base = base, .index = index, .scale = 1, .disp = from->mem.disp
		};
	} else if (!raw_memory(r, h, to) || base != to->base || index != to->index ||
		   from->mem.disp != to->disp ||
		   (index != VERIFY_NO_REG && from->mem.scale != to->scale)) {
		return "two readings of the memory operand differ";
	}
	if (from->mem.segment != R(INVALID) && !is_string(h))
		return "two readings of the segment differ";
	to->kind = OPERAND_MEMORY;
	to->bytes = from->size;
	return NULL;
}

static const char *take_operands(const struct verify_decoder *d, struct raw *r, const cs_x86 *x,
				 struct host_insn *h)
{
	for (unsigned i = 0; i < x->op_count; i++) {
		const cs_x86_op *from = &x->operands[i];
		struct host_operand *to = &h->operand[i];
		const char *why;

		if (i == RF_ARRAY_SIZE(h->operand))
			return "more operands than any instruction on the list has";
		switch (from->type) {
		case X86_OP_REG:
			*to = (struct host_operand){ .kind = OPERAND_REGISTER,
						     .file = d->registers[from->reg].file,
						     .reg = d->registers[from->reg].number,
						     .bytes = d->registers[from->reg].bytes };
			break;
		case X86_OP_MEM:
			why = take_memory(d, r, h, from, to);
			if (why)
				return why;
			break;
		default:
			*to = (struct host_operand){ .kind = OPERAND_IMMEDIATE,
						     .value = from->imm };
		}
		h->noperands++;
	}
	return NULL;
}

static bool has_memory(const struct host_insn *h)
{
	for (unsigned i = 0; i < h->noperands; i++) {
		if (h->operand[i].kind == OPERAND_MEMORY)
			return true;
	}
	return false;
}

/* What the list says of the instruction, now that its operands are known. */
static void take_listed(const struct host_listed *listed, struct host_insn *h)
{
	h->op = is_string(h) ? HOST_STRING : listed->op;
	h->copy = is_string(h) ? COPY_NEVER : listed->copy;
	h->bit_string = listed->bit_string && h->noperands == 2 &&
			h->operand[1].kind == OPERAND_REGISTER;
	h->byte_alu = listed->byte_alu;
	h->writes_memory =
		has_memory(h) &&
		(h->operand[0].kind == OPERAND_MEMORY ? !listed->only_reads : listed->exchanges);
	for (unsigned i = 0; i < h->noperands; i++) {
		if (h->copy == COPY_MMX && h->operand[i].kind == OPERAND_REGISTER &&
		    h->operand[i].file == FILE_XMM)
			h->copy = COPY_SSE;
		if (listed->bytes && h->operand[i].kind == OPERAND_MEMORY)
			h->operand[i].bytes = listed->bytes;
	}
}

/*
 * Capstone knows LFENCE, MFENCE and SFENCE with one value of ModRM.rm each; processors ignore it
 * (SDM vol. 2).
 */
static bool take_fence(struct raw *r, struct host_insn *h)
{
	const uint8_t modrm = raw_byte(r, 0);

	if (h->map != HOST_MAP_0F || h->opcode != 0xae || h->prefixes || h->rex || modrm < 0xe8 ||
	    r->at >= r->avail)
		return false;
	h->length = r->at + 1;
	h->copy = COPY_GENERAL;
	return true;
}

enum verify_decode_result verify_decode(struct verify_decoder *d, const uint8_t *code,
					unsigned avail, uint64_t address, struct host_insn *h,
					const char **why)
{
	struct raw r = { .code = code, .avail = avail };
	const cs_x86 *x = &d->insn->detail->x86;
	const uint8_t *next = code;
	size_t left = avail;

	*h = (struct host_insn){ 0 };
	*why = raw_prefixes(&r, h);
	if (!*why)
		*why = raw_opcode(&r, h);
	if (*why)
		return VERIFY_MISENCODED;
	if (take_fence(&r, h))
		return VERIFY_DECODED;
	if (!cs_disasm_iter(d->handle, &next, &left, &address, d->insn)) {
		*why = "Capstone knows no such instruction, or it is cut off";
		return VERIFY_UNDECODABLE;
	}
	h->length = d->insn->size;
	if (x->encoding.modrm_offset && x->encoding.modrm_offset != r.at) {
		*why = "two readings of where the opcode ends differ";
		return VERIFY_UNDECODABLE;
	}
	if ((*why = take_operands(d, &r, x, h)))
		return VERIFY_UNDECODABLE;
	take_listed(&d->list[d->insn->id], h);
	if ((*why = check_repeat(h)) || (*why = check_groups(h)) ||
	    (*why = check_prefixes(h, has_memory(h))))
		return VERIFY_MISENCODED;
	return VERIFY_DECODED;
}

/*
 * Capstone leaves these out: EAX of CMPXCHG, and rcx of REPNE MOVSD, which it takes for SSE's
 * MOVSD.
 */
static uint32_t written_unsaid(const struct verify_decoder *d, const struct host_insn *h)
{
	uint32_t mask = 0;

	if (d->insn->id == X86_INS_CMPXCHG)
		mask |= 1u << d->registers[R(EAX)].number;
	if (is_string(h) && h->prefixes & (HOST_F2 | HOST_F3))
		mask |= 1u << d->registers[R(ECX)].number;
	return mask;
}

uint32_t verify_decode_written(struct verify_decoder *d, const struct host_insn *insn)
{
	cs_regs read, written;
	uint8_t nread, nwritten;
	uint32_t mask;

	if (insn->map == HOST_MAP_0F && insn->opcode == 0xae && insn->copy == COPY_GENERAL)
		return 0; /* a fence, which Capstone may not have decoded */
	if (cs_regs_access(d->handle, d->insn, read, &nread, written, &nwritten) != CS_ERR_OK)
		return ~0u;
	mask = written_unsaid(d, insn);
	for (unsigned i = 0; i < nwritten; i++) {
		const struct host_register *r = &d->registers[written[i]];

		if (r->file == FILE_GENERAL || r->file == FILE_HIGH_BYTE)
			mask |= 1u << r->number;
	}
	return mask;
}

unsigned verify_decode_text(struct verify_decoder *d, const uint8_t *code, unsigned avail,
			    uint64_t address, char *text, size_t size)
{
	size_t left = avail;

	if (!cs_disasm_iter(d->handle, &code, &left, &address, d->insn)) {
		snprintf(text, size, "(bad)");
		return 1;
	}
	snprintf(text, size, "%s%s%s", d->insn->mnemonic, d->insn->op_str[0] ? " " : "",
		 d->insn->op_str);
	return d->insn->size;
}
