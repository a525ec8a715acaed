/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MMX and SSE..SSE4.2 part of the opcode maps: each opcode has up to four instructions, chosen
 * by the mandatory prefix (none, 66, F3, F2; F3 and F2 win over 66, the last of those two over the
 * other; SDM vol. 2, 2.1.1 and appendix A.1). The few integer instructions that live in the same
 * rows (MOVNTI, POPCNT, CRC32, MOVBE) are here too.
 */
#include "opcode_map.h"

#define FEAT(name) (__builtin_ctzll(FEATURE_##name) + 1)

/* A form: memory size in the low byte, feature in the next, attributes above. */
#define F_READ   0x010000u
#define F_WRITE  0x020000u
#define F_REG    0x040000u /* register operand only */
#define F_MEM    0x080000u /* memory operand only */
#define F_MMX    0x100000u
#define F_XMM    0x200000u
#define F_IMM    0x400000u
#define F_FLAGS  0x800000u /* writes the arithmetic flags */
#define F_VALID  0x1000000u
#define F_BYTE   0x2000000u

#define F(feat, sz, fl) (F_VALID | (uint32_t)(FEAT(feat) << 8) | (sz) | (fl))
#define XR(feat, sz) F(feat, sz, F_READ | F_XMM)           /* xmm, xmm/mem */
#define XRI(feat, sz) F(feat, sz, F_READ | F_XMM | F_IMM)
#define XM(feat, sz) F(feat, sz, F_READ | F_XMM | F_MEM)   /* xmm, mem */
#define XW(feat, sz) F(feat, sz, F_WRITE | F_XMM)
#define XWM(feat, sz) F(feat, sz, F_WRITE | F_XMM | F_MEM)
#define XREG(feat) F(feat, 0, F_XMM | F_REG)
#define MR(feat, sz) F(feat, sz, F_READ | F_MMX)
#define MW(feat, sz) F(feat, sz, F_WRITE | F_MMX)
#define BR(feat, sz) F(feat, sz, F_READ | F_MMX | F_XMM)   /* both register files */


struct sse_row { uint32_t form[4]; }; /* none, 66, F3, F2 */

static const struct sse_row rows_0f[256] = {
	[0x10] = { { XR(SSE, 16), XR(SSE2, 16), XR(SSE, 4), XR(SSE2, 8) } },
	[0x11] = { { XW(SSE, 16), XW(SSE2, 16), XW(SSE, 4), XW(SSE2, 8) } },
	[0x12] = { { XR(SSE, 8), XM(SSE2, 8), XR(SSE3, 16), XR(SSE3, 8) } },
	[0x13] = { { XWM(SSE, 8), XWM(SSE2, 8) } },
	[0x14] = { { XR(SSE, 16), XR(SSE2, 16) } },
	[0x15] = { { XR(SSE, 16), XR(SSE2, 16) } },
	[0x16] = { { XR(SSE, 8), XM(SSE2, 8), XR(SSE3, 16) } },
	[0x17] = { { XWM(SSE, 8), XWM(SSE2, 8) } },
	[0x28] = { { XR(SSE, 16), XR(SSE2, 16) } },
	[0x29] = { { XW(SSE, 16), XW(SSE2, 16) } },
	[0x2a] = { { BR(SSE, 8), BR(SSE2, 8), XR(SSE, 4), XR(SSE2, 4) } },
	[0x2b] = { { XWM(SSE, 16), XWM(SSE2, 16) } },
	[0x2c ... 0x2d] = { { BR(SSE, 8), BR(SSE2, 16), XR(SSE, 4), XR(SSE2, 8) } },
	[0x2e ... 0x2f] = { { F(SSE, 4, F_READ | F_XMM | F_FLAGS),
		F(SSE2, 8, F_READ | F_XMM | F_FLAGS) } },
	[0x50] = { { XREG(SSE), XREG(SSE2) } },
	[0x51] = { { XR(SSE, 16), XR(SSE2, 16), XR(SSE, 4), XR(SSE2, 8) } },
	[0x52 ... 0x53] = { { XR(SSE, 16), 0, XR(SSE, 4) } },
	[0x54 ... 0x57] = { { XR(SSE, 16), XR(SSE2, 16) } },
	[0x58 ... 0x59] = { { XR(SSE, 16), XR(SSE2, 16), XR(SSE, 4), XR(SSE2, 8) } },
	[0x5a] = { { XR(SSE2, 8), XR(SSE2, 16), XR(SSE2, 4), XR(SSE2, 8) } },
	[0x5b] = { { XR(SSE2, 16), XR(SSE2, 16), XR(SSE2, 16) } },
	[0x5c ... 0x5f] = { { XR(SSE, 16), XR(SSE2, 16), XR(SSE, 4), XR(SSE2, 8) } },
	[0x60 ... 0x62] = { { MR(MMX, 4), XR(SSE2, 16) } },
	[0x63 ... 0x6b] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0x6c ... 0x6d] = { { 0, XR(SSE2, 16) } },
	[0x6e] = { { MR(MMX, 4), XR(SSE2, 4) } },
	[0x6f] = { { MR(MMX, 8), XR(SSE2, 16), XR(SSE2, 16) } },
	[0x70] = { { F(SSE, 8, F_READ | F_MMX | F_IMM), XRI(SSE2, 16), XRI(SSE2, 16),
		XRI(SSE2, 16) } },
	[0x71 ... 0x73] = { { F(MMX, 0, F_MMX | F_REG | F_IMM),
		F(SSE2, 0, F_XMM | F_REG | F_IMM) } },
	[0x74 ... 0x76] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0x77] = { { F(MMX, 0, F_MMX) } },
	[0x7c ... 0x7d] = { { 0, XR(SSE3, 16), 0, XR(SSE3, 16) } },
	[0x7e] = { { MW(MMX, 4), XW(SSE2, 4), XR(SSE2, 8) } },
	[0x7f] = { { MW(MMX, 8), XW(SSE2, 16), XW(SSE2, 16) } },
	[0xb8] = { { 0, 0, F(POPCNT, SZ_V, F_READ | F_FLAGS) } },
	[0xc2] = { { XRI(SSE, 16), XRI(SSE2, 16), XRI(SSE, 4), XRI(SSE2, 8) } },
	[0xc3] = { { F(SSE2, 4, F_WRITE | F_MEM) } },
	[0xc4] = { { F(SSE, 2, F_READ | F_MMX | F_IMM), XRI(SSE2, 2) } },
	[0xc5] = { { F(SSE, 0, F_MMX | F_REG | F_IMM), F(SSE2, 0, F_XMM | F_REG | F_IMM) } },
	[0xc6] = { { XRI(SSE, 16), XRI(SSE2, 16) } },
	[0xd0] = { { 0, XR(SSE3, 16), 0, XR(SSE3, 16) } },
	[0xd1 ... 0xd3] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xd4] = { { MR(SSE2, 8), XR(SSE2, 16) } },
	[0xd5] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xd6] = { { 0, XW(SSE2, 8), F(SSE2, 0, F_XMM | F_MMX | F_REG),
		F(SSE2, 0, F_XMM | F_MMX | F_REG) } },
	[0xd7] = { { F(SSE, 0, F_MMX | F_REG), XREG(SSE2) } },
	[0xd8 ... 0xd9] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xda] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xdb ... 0xdd] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xde] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xdf] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xe0] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xe1 ... 0xe2] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xe3 ... 0xe4] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xe5] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xe6] = { { 0, XR(SSE2, 16), XR(SSE2, 8), XR(SSE2, 16) } },
	[0xe7] = { { F(SSE, 8, F_WRITE | F_MMX | F_MEM), XWM(SSE2, 16) } },
	[0xe8 ... 0xe9] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xea] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xeb ... 0xed] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xee] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xef] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xf0] = { { 0, 0, 0, XM(SSE3, 16) } },
	[0xf1 ... 0xf3] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xf4] = { { MR(SSE2, 8), XR(SSE2, 16) } },
	[0xf5] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xf6] = { { MR(SSE, 8), XR(SSE2, 16) } },
	[0xf7] = { { F(SSE, 8, F_WRITE | F_MMX | F_REG), F(SSE2, 16, F_WRITE | F_XMM | F_REG) } },
	[0xf8 ... 0xfa] = { { MR(MMX, 8), XR(SSE2, 16) } },
	[0xfb] = { { MR(SSE2, 8), XR(SSE2, 16) } },
	[0xfc ... 0xfe] = { { MR(MMX, 8), XR(SSE2, 16) } },
};

static const struct sse_row rows_0f38[256] = {
	[0x00 ... 0x0b] = { { MR(SSSE3, 8), XR(SSSE3, 16) } },
	[0x10] = { { 0, XR(SSE4_1, 16) } },
	[0x14 ... 0x15] = { { 0, XR(SSE4_1, 16) } },
	[0x17] = { { 0, F(SSE4_1, 16, F_READ | F_XMM | F_FLAGS) } },
	[0x1c ... 0x1e] = { { MR(SSSE3, 8), XR(SSSE3, 16) } },
	[0x20] = { { 0, XR(SSE4_1, 8) } }, [0x21] = { { 0, XR(SSE4_1, 4) } },
	[0x22] = { { 0, XR(SSE4_1, 2) } }, [0x23] = { { 0, XR(SSE4_1, 8) } },
	[0x24] = { { 0, XR(SSE4_1, 4) } }, [0x25] = { { 0, XR(SSE4_1, 8) } },
	[0x28 ... 0x29] = { { 0, XR(SSE4_1, 16) } }, [0x2a] = { { 0, XM(SSE4_1, 16) } },
	[0x2b] = { { 0, XR(SSE4_1, 16) } },
	[0x30] = { { 0, XR(SSE4_1, 8) } }, [0x31] = { { 0, XR(SSE4_1, 4) } },
	[0x32] = { { 0, XR(SSE4_1, 2) } }, [0x33] = { { 0, XR(SSE4_1, 8) } },
	[0x34] = { { 0, XR(SSE4_1, 4) } }, [0x35] = { { 0, XR(SSE4_1, 8) } },
	[0x37] = { { 0, XR(SSE4_2, 16) } }, [0x38 ... 0x41] = { { 0, XR(SSE4_1, 16) } },
	[0xf0] = { { F(MOVBE, SZ_V, F_READ | F_MEM), F(MOVBE, SZ_V, F_READ | F_MEM), 0,
		F(SSE4_2, 1, F_READ | F_BYTE) } },
	[0xf1] = { { F(MOVBE, SZ_V, F_WRITE | F_MEM), F(MOVBE, SZ_V, F_WRITE | F_MEM), 0,
		F(SSE4_2, SZ_V, F_READ) } },
};

static const struct sse_row rows_0f3a[256] = {
	[0x08 ... 0x09] = { { 0, XRI(SSE4_1, 16) } },
	[0x0a] = { { 0, XRI(SSE4_1, 4) } },
	[0x0b] = { { 0, XRI(SSE4_1, 8) } },
	[0x0c ... 0x0e] = { { 0, XRI(SSE4_1, 16) } },
	[0x0f] = { { F(SSSE3, 8, F_READ | F_MMX | F_IMM), XRI(SSSE3, 16) } },
	[0x14] = { { 0, F(SSE4_1, 1, F_WRITE | F_XMM | F_IMM) } },
	[0x15] = { { 0, F(SSE4_1, 2, F_WRITE | F_XMM | F_IMM) } },
	[0x16 ... 0x17] = { { 0, F(SSE4_1, 4, F_WRITE | F_XMM | F_IMM) } },
	[0x20] = { { 0, XRI(SSE4_1, 1) } },
	[0x21] = { { 0, XRI(SSE4_1, 4) } },
	[0x22] = { { 0, XRI(SSE4_1, 4) } },
	[0x40 ... 0x42] = { { 0, XRI(SSE4_1, 16) } },
	[0x60 ... 0x63] = { { 0, F(SSE4_2, 16, F_READ | F_XMM | F_IMM | F_FLAGS) } },
};

/*
 *  0F 71..73: which ModRM.reg values are shifts; /3 and /7 of 73 (PSRLDQ, PSLLDQ) exist for XMM
 *  only.
 */
static bool shift_group_valid(uint8_t opcode, unsigned reg, bool xmm)
{
	if (opcode == 0x73)
		return reg == 2 || reg == 6 || (xmm && (reg == 3 || reg == 7));
	return reg == 2 || reg == 4 || reg == 6;
}

bool opcode_lookup_sse(enum insn_map map, uint8_t opcode, uint8_t modrm, uint8_t prefixes,
		       struct opcode_info *out)
{
	static const uint8_t prefix_byte[4] = { 0, 0x66, 0xf3, 0xf2 };
	const struct sse_row *rows = map == MAP_0F   ? rows_0f :
				     map == MAP_0F38 ? rows_0f38 :
						       rows_0f3a;
	unsigned column = prefixes & PFX_REP    ? 2 :
			  prefixes & PFX_REPNE  ? 3 :
			  prefixes & PFX_OPSIZE ? 1 :
						  0;
	uint32_t f = rows[opcode].form[column];

	*out = (struct opcode_info){
		.attr = OPA_VALID | (map == MAP_0F && opcode == 0x77 ? 0 : OPA_MODRM) |
			(f & F_READ ? OPA_MEM_READ : 0) | (f & F_WRITE ? OPA_MEM_WRITE : 0) |
			(f & F_REG ? OPA_REG_ONLY : 0) | (f & F_MEM ? OPA_MEM_ONLY : 0) |
			(f & F_MMX ? OPA_MMX : 0) | (f & F_XMM ? OPA_SSE : 0) |
			(f & F_BYTE ? OPA_BYTE : 0),
		.imm = f & F_IMM ? IMM_B : IMM_NONE,
		.size = f & 0xff,
		.feature = (f >> 8) & 0xff,
		.flags_written = f & F_FLAGS ? FL_ARITH : 0,
		.sse_prefix = prefix_byte[column],
	};
	/*
	 * The variable blends take their mask from XMM0, not from flags; MOVBE's 66 is a plain
	 * operand-size prefix.
	 */
	if (map == MAP_0F38 && opcode >= 0xf0 && column < 2)
		out->sse_prefix = 0;
	if (map == MAP_0F && opcode >= 0x71 && opcode <= 0x73 &&
	    !shift_group_valid(opcode, (modrm >> 3) & 7, column == 1))
		return false;
	return f & F_VALID;
}
