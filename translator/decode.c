/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instruction decoder (decode.h): bytes to struct insn, driven by the tables of opcode_map*.c.
 *
 * Order of judgement, as on hardware: the bytes an instruction needs are fetched first (so a
 * missing one is reported as truncation, a sixteenth as too long), and only then is it found
 * undefined.
 */
#include <string.h>
#include "opcode_map.h"

struct cursor {
	const uint8_t *bytes;
	unsigned avail, pos;
	enum decode_result error;
};

static uint8_t take8(struct cursor *c)
{
	if (rf_unlikely(c->pos >= INSN_MAX_LEN || c->pos >= c->avail)) {
		if (c->error == DECODE_OK)
			c->error = c->pos >= INSN_MAX_LEN ? DECODE_TOO_LONG : DECODE_TRUNCATED;
		return 0;
	}
	return c->bytes[c->pos++];
}

static uint32_t take(struct cursor *c, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)take8(c) << (8 * i);
	return value;
}

static uint32_t take_signed(struct cursor *c, unsigned size)
{
	uint32_t value = take(c, size);

	if (size == 1)
		return (uint32_t)(int8_t)value;
	return size == 2 ? (uint32_t)(int16_t)value : value;
}

/* Consumes prefixes; returns the first byte that is none. */
static uint8_t take_prefixes(struct cursor *c, struct insn *insn)
{
	for (;;) {
		uint8_t byte = take8(c);

		switch (byte) {
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			insn->seg = (byte >> 3) & 3;
			insn->prefixes |= PFX_SEG;
			break;
		case 0x64: case 0x65:
			insn->seg = byte & 1 ? X86_GS : X86_FS;
			insn->prefixes |= PFX_SEG;
			break;
		case 0x66: insn->prefixes |= PFX_OPSIZE; break;
		case 0x67: insn->prefixes |= PFX_ADSIZE; break;
		case 0xf0: insn->prefixes |= PFX_LOCK; break;
		/* Of F2 and F3 the last one counts. */
		case 0xf2: insn->prefixes = (insn->prefixes & ~PFX_REP) | PFX_REPNE; break;
		case 0xf3: insn->prefixes = (insn->prefixes & ~PFX_REPNE) | PFX_REP; break;
		default: return byte;
		}
		if (rf_unlikely(c->error))
			return 0;
	}
}

static void take_opcode(struct cursor *c, struct insn *insn)
{
	uint8_t byte = take_prefixes(c, insn);

	insn->map = MAP_1BYTE;
	if (byte == 0x0f) {
		byte = take8(c);
		insn->map = MAP_0F;
		if (byte == 0x38 || byte == 0x3a) {
			insn->map = byte == 0x38 ? MAP_0F38 : MAP_0F3A;
			byte = take8(c);
		}
	}
	insn->opcode = byte;
	insn->opcode_offset = c->pos ? c->pos - 1 : 0;
}

/* SDM vol. 2, table 2-1. */
static void take_address16(struct cursor *c, struct insn *insn)
{
	static const uint8_t base[8] = { X86_EBX,     X86_EBX,     X86_EBP, X86_EBP,
					 INSN_NO_REG, INSN_NO_REG, X86_EBP, X86_EBX };
	static const uint8_t index[8] = { X86_ESI, X86_EDI, X86_ESI,     X86_EDI,
					  X86_ESI, X86_EDI, INSN_NO_REG, INSN_NO_REG };
	unsigned mod = insn_mod(insn), rm = insn_rm(insn);

	insn->base = base[rm];
	insn->index = index[rm];
	insn->disp_size = mod;
	if (mod == 0 && rm == 6) {
		insn->base = INSN_NO_REG;
		insn->disp_size = 2;
	}
}

/* SDM vol. 2, tables 2-2 and 2-3. */
static void take_address32(struct cursor *c, struct insn *insn)
{
	unsigned mod = insn_mod(insn);

	insn->base = insn_rm(insn);
	insn->disp_size = mod == 2 ? 4 : mod;
	if (insn->base == X86_ESP) {
		insn->sib = take8(c);
		insn->has_sib = true;
		insn->base = insn->sib & 7;
		insn->index = (insn->sib >> 3) & 7;
		insn->scale = insn->sib >> 6;
		if (insn->index == X86_ESP)
			insn->index = INSN_NO_REG;
	}
	if (mod == 0 && insn->base == X86_EBP) {
		insn->base = INSN_NO_REG;
		insn->disp_size = 4;
	}
}

static void take_address(struct cursor *c, struct insn *insn)
{
	insn->mem = true;
	if (insn->addr_size == 2)
		take_address16(c, insn);
	else
		take_address32(c, insn);
	if (!(insn->prefixes & PFX_SEG) && (insn->base == X86_ESP || insn->base == X86_EBP))
		insn->seg = X86_SS;
	insn->disp = take_signed(c, insn->disp_size);
}

static void take_immediate(struct cursor *c, struct insn *insn, enum imm_kind kind)
{
	switch (kind) {
	case IMM_NONE:
		return;
	case IMM_B:
		insn->imm_size = 1;
		break;
	case IMM_BS:
	case IMM_JB:
		insn->imm_size = 1;
		insn->imm = take_signed(c, 1);
		return;
	case IMM_W:
		insn->imm_size = 2;
		break;
	case IMM_Z:
		insn->imm_size = insn->op_size;
		break;
	case IMM_JZ:
		insn->imm_size = insn->op_size;
		insn->imm = take_signed(c, insn->imm_size);
		return;
	case IMM_FAR:
		insn->imm_size = insn->op_size;
		insn->imm2_size = 2;
		break;
	case IMM_ENTER:
		insn->imm_size = 2;
		insn->imm2_size = 1;
		break;
	case IMM_MOFFS:
		insn->disp_size = insn->addr_size;
		insn->disp = take(c, insn->disp_size);
		return;
	}
	insn->imm = take(c, insn->imm_size);
	insn->imm2 = take(c, insn->imm2_size);
}

static uint16_t memory_size(const struct insn *insn, uint8_t kind)
{
	switch (kind) {
	case SZ_V:     return insn->op_size;
	case SZ_P:     return insn->op_size + 2;
	case SZ_2V:    return 2 * insn->op_size;
	case SZ_ENV:   return insn->op_size == 4 ? 28 : 14;
	case SZ_STATE: return insn->op_size == 4 ? 108 : 94;
	case SZ_FX:    return 512;
	default:       return kind;
	}
}

/* Flag effects that depend on more than the opcode. */
static void refine_flags(struct insn *insn)
{
	unsigned count = insn->imm & 31;

	if (insn->attr & OPA_SHIFT) {
		bool double_shift = insn->map == MAP_0F;

		if (count == 0 || (double_shift && count >= 8u * insn->op_size))
			insn->flags_written = 0;
	}
	/* REP with a count of zero compares nothing. */
	if (insn->attr & OPA_STRING && insn->prefixes & (PFX_REP | PFX_REPNE))
		insn->flags_written = 0;
}

static void apply_info(struct insn *insn, const struct opcode_info *info)
{
	insn->attr = info->attr & ~OPA_VALID;
	insn->feature = info->feature;
	insn->flags_read = info->flags_read;
	insn->flags_written = info->flags_written;
	insn->sse_prefix = info->sse_prefix;
	insn->mem_size = memory_size(insn, info->size);
}

/*
 * What a well-formed opcode may still be undefined for: its operand form, and LOCK (SDM vol. 2,
 * LOCK).
 */
static bool form_allowed(const struct insn *insn)
{
	if (insn->attr & OPA_MEM_ONLY && !insn->mem)
		return false;
	if (insn->attr & OPA_REG_ONLY && insn->mem)
		return false;
	if (insn->prefixes & PFX_LOCK && !(insn->attr & OPA_LOCK && insn->mem))
		return false;
	return true;
}

static enum decode_result finish(const struct cursor *c, struct insn *insn,
				 enum decode_result result)
{
	insn->len = c->pos;
	return c->error ? c->error : result;
}

enum decode_result insn_decode(const uint8_t *bytes, unsigned avail, bool code32, struct insn *insn)
{
	struct cursor c = { .bytes = bytes, .avail = avail };
	struct opcode_info info;
	uint32_t entry_attr;
	bool known;

	memset(insn, 0, sizeof(*insn));
	insn->seg = X86_DS;
	insn->base = insn->index = INSN_NO_REG;
	take_opcode(&c, insn);
	insn->op_size = code32 == !(insn->prefixes & PFX_OPSIZE) ? 4 : 2;
	insn->addr_size = code32 == !(insn->prefixes & PFX_ADSIZE) ? 4 : 2;
	if (c.error)
		return finish(&c, insn, DECODE_OK);

	entry_attr = opcode_entry(insn->map, insn->opcode)->attr;
	if (entry_attr & OPA_MODRM) {
		insn->modrm = take8(&c);
		insn->has_modrm = true;
	} else if (!(entry_attr & OPA_VALID)) {
		return finish(&c, insn, DECODE_UNDEFINED);
	}
	known = opcode_lookup(insn->map, insn->opcode, insn->modrm, insn->prefixes, &info);
	if (known)
		apply_info(insn, &info);
	if (insn->has_modrm && insn->modrm < 0xc0 && !(known && info.attr & OPA_MOD_REG))
		take_address(&c, insn);
	if (!known)
		return finish(&c, insn, DECODE_UNDEFINED);
	take_immediate(&c, insn, info.imm);
	if (!insn->mem && insn->has_modrm && !(info.attr & (OPA_STRING | OPA_REG_ONLY)))
		insn->mem_size = 0;
	refine_flags(insn);
	return finish(&c, insn, form_allowed(insn) ? DECODE_OK : DECODE_UNDEFINED);
}

feature_set insn_features(const struct insn *insn)
{
	return insn->feature ? FEATURE_BIT(insn->feature - 1) : 0;
}

bool insn_is_lzcnt(const struct insn *insn, feature_set features)
{
	return insn->map == MAP_0F && insn->opcode == 0xbd && insn->prefixes & PFX_REP &&
	       features & FEATURE_LZCNT;
}

static uint32_t unpack_flags(uint8_t packed)
{
	uint32_t flags = packed & (FL_C | FL_P | FL_A | FL_Z | FL_S);

	return flags | (packed & FL_O ? X86_OF : 0) | (packed & FL_D ? X86_DF : 0) |
	       (packed & FL_I ? X86_IF : 0);
}

uint32_t insn_flags_read(const struct insn *insn)
{
	return unpack_flags(insn->flags_read);
}

uint32_t insn_flags_written(const struct insn *insn)
{
	return unpack_flags(insn->flags_written);
}
