/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x87 part of the opcode map, D8..DF (SDM vol. 2, appendix A.5), with the undocumented aliases
 * that processors have always accepted (FSTP1, FXCH4, FCOMP5, FFREEP, ...; SDM vol. 1, 8.3 does not
 * list them).
 */
#include "opcode_map.h"

#define FEAT(name) (__builtin_ctzll(FEATURE_##name) + 1)
#define R 0x100
#define W 0x200
#define SSE3 0x400 /* FISTTP came with SSE3 */
#define SIZE 0xff

/* Memory forms by opcode and ModRM.reg; 0: undefined. */
static const uint16_t x87_mem[8][8] = {
	/* D8 */ { R | 4, R | 4, R | 4, R | 4, R | 4, R | 4, R | 4, R | 4 },
	/* D9 */ { R | 4, 0, W | 4, W | 4, R | SZ_ENV, R | 2, W | SZ_ENV, W | 2 },
	/* DA */ { R | 4, R | 4, R | 4, R | 4, R | 4, R | 4, R | 4, R | 4 },
	/* DB */ { R | 4, W | 4 | SSE3, W | 4, W | 4, 0, R | 10, 0, W | 10 },
	/* DC */ { R | 8, R | 8, R | 8, R | 8, R | 8, R | 8, R | 8, R | 8 },
	/* DD */ { R | 8, W | 8 | SSE3, W | 8, W | 8, R | SZ_STATE, 0, W | SZ_STATE, W | 2 },
	/* DE */ { R | 2, R | 2, R | 2, R | 2, R | 2, R | 2, R | 2, R | 2 },
	/* DF */ { R | 2, W | 2 | SSE3, W | 2, W | 2, R | 10, R | 8, W | 10, W | 8 },
};

/* Register forms: one byte per ModRM.reg, a bit per ModRM.rm; set: defined. */
static const uint8_t x87_reg[8][8] = {
	/* D8 */ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	/* D9 */ { 0xff, 0xff, 0x01, 0xff, 0x33, 0x7f, 0xff, 0xff },
	/* DA */ { 0xff, 0xff, 0xff, 0xff, 0x00, 0x02, 0x00, 0x00 },
	/* DB */ { 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff, 0x00 },
	/* DC */ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	/* DD */ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00 },
	/* DE */ { 0xff, 0xff, 0xff, 0x02, 0xff, 0xff, 0xff, 0xff },
	/* DF */ { 0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0x00 },
};

static void x87_register_effects(uint8_t opcode, unsigned reg, struct opcode_info *out)
{
	static const uint8_t cmov_flags[4] = { FL_C, FL_Z, FL_C | FL_Z, FL_P };
	bool compare = (opcode == 0xdb || opcode == 0xdf) && (reg == 5 || reg == 6);

	if ((opcode == 0xda || opcode == 0xdb) && reg < 4) {
		out->flags_read = cmov_flags[reg];
		out->feature = FEAT(CMOV);
	} else if (compare) {
		out->flags_written = FL_C | FL_Z | FL_P;
		out->feature = FEAT(CMOV);
	}
}

bool opcode_lookup_x87(uint8_t opcode, uint8_t modrm, struct opcode_info *out)
{
	unsigned reg = (modrm >> 3) & 7, form;

	*out = (struct opcode_info){ .attr = OPA_VALID | OPA_MODRM | OPA_FPU };
	if (modrm >= 0xc0) {
		x87_register_effects(opcode, reg, out);
		return x87_reg[opcode & 7][reg] >> (modrm & 7) & 1;
	}
	form = x87_mem[opcode & 7][reg];
	out->attr |= (form & R ? OPA_MEM_READ : 0) | (form & W ? OPA_MEM_WRITE : 0);
	out->size = form & SIZE;
	out->feature = form & SSE3 ? FEAT(SSE3) : 0;
	return form != 0;
}
