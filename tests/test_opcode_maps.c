/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the decoder knows of each instruction (opcode_map.h), held to lists made from the opcode
 * maps and instruction pages of the manual (SDM vol. 2, appendix A and chapters 3 to 5): one list
 * for each property, with all encodings that have it. No other encoding may have it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "encoding_set.h"
#include "translator/opcode_map.h"

/* --- The lists --- */

#define X87 \
	"d8 d9/0 d9/1r d9/2m d9=d0 d9/3 d9/4m d9=e0-e1 d9=e4-e5 d9/5m d9=e8-ee d9/6-7 da/0-3 " \
	"da/4-7m da=e9 db/0-3 db=e0-e4 db/5 db/6r db/7m dc dd/0-4 dd/5r dd/6-7m de/0-2 de/3m " \
	"de=d9 de/4-7 df/0-3 df/4m df=e0 df/5-6 df/7m "

static const char defined[] =
	"00-25 27-2d 2f-35 37-3d 3f-61 62m 63 68-8b 8c/0-5 8dm 8e/0 8e/2-5 8f/0 90-c3 c4-c5m "
	"c6-c7/0 c8-d7 " X87 "e0-ef f1 f4-fd fe/0-1 ff/0-2 ff/3m ff/4 ff/5m ff/6 "
	"0f.00/0-5 01/0-3m 01/4 01/6 01/7m 01=f9 02-03 06 08-09 0d 18-1f 20/0 20/2-4 21 22/0 "
	"22/2-4 23 30-35 40-4f 80-a5 a8-a9 ab-ad af-b1 b2m b3 b4-b5m b6-b7 ba/4-7 bb-c1 c7/1m "
	"c8-cf np: 01=ca-cb ae/0-3m ae/7m ae/5-7r 10-12 13m 14-16 17m 28-2a 2bm 2c-2f 50r 51-6b "
	"6e-70 71-72/2r 71-72/4r 71-72/6r 73/2r 73/6r 74-77 7e-7f c2 c3m c4 c5r c6 d1-d5 d7r "
	"d8-e5 e7m e8-ef f1-f6 f7r f8-fe 66: 10-11 12-13m 14-15 16-17m 28-2a 2bm 2c-2f 50r 51 "
	"54-70 71-72/2r 71-72/4r 71-72/6r 73/2-3r 73/6-7r 74-76 7c-7f c2 c4 c5r c6 d0-d6 d7r "
	"d8-e6 e7m e8-ef f1-f6 f7r f8-fe f3: b8 c7/7r 10-12 16 2a 2c-2d 51-53 58-5f 6f-70 7e-7f "
	"c2 d6r e6 f2: 10-12 2a 2c-2d 51 58-5a 5c-5f 70 7c-7d c2 d0 d6r e6 f0m np:66: 38.00-0b "
	"1c-1e f0-f1m 3a.0f 66: 38.10 14-15 17 20-25 28-29 2am 2b 30-35 37-41 3a.08-0f 14-17 "
	"20-22 40-42 60-63 f2: 38.f0-f1";

/* The destination is memory and takes LOCK (SDM vol. 2, LOCK). */
static const char lockable[] =
	"00-01m 08-09m 10-11m 18-19m 20-21m 28-29m 30-31m 80-83/0-6m 86-87m f6-f7/2-3m fe/0-1m "
	"ff/0-1m 0f.abm b0-b1m b3m ba/5-7m bbm c0-c1m c7/1m";

#define ALU_BYTE "00 02 08 0a 10 12 18 1a 20 22 28 2a 30 32 38 3a "
#define ALU_AL "04 0c 14 1c 24 2c 34 3c "
#define PRIVILEGED "1b.f4 0f.00/2-3 01/2-3m 01/6 01/7m 06 08-09 20-23 30 32 35 "

static const struct listed_attribute {
	const char *name;
	uint32_t bit;
	const char *list;
} attributes[] = {
	{ "MODRM", OPA_MODRM,
	  "00-03 08-0b 10-13 18-1b 20-23 28-2b 30-33 38-3b 62-63 69 6b 80-8f c0-c1 c4-c7 d0-d3 "
	  "d8-df f6-f7 fe-ff 0f.00-03 0d 10-23 28-2f 40-76 7c-7f 90-9f a3-a5 ab-c7 d0-fe 38.00-ff "
	  "3a.00-ff" },
	{ "BYTE", OPA_BYTE,
	  ALU_BYTE ALU_AL "6c 6e 80 82 84 86 88 8a a0 a2 a4 a6 a8 aa ac ae b0-b7 c0 c6 d0 d2 d4-d7 "
	  "e4 e6 ec ee f6 fe 0f.90-9f b0 c0 f2: 38.f0" },
	{ "BRANCH", OPA_BRANCH, "70-7f e0-e3 0f.80-8f" },
	{ "JUMP", OPA_JUMP, "e9-eb ff/4-5" },
	{ "CALL", OPA_CALL, "9a e8 ff/2-3" },
	{ "RET", OPA_RET, "c2-c3 ca-cb cf" },
	{ "INDIRECT", OPA_INDIRECT, "ff/2 ff/4" },
	{ "FAR", OPA_FAR, "9a ca-cd cf ea f1 ff/3 ff/5 0f.34-35" },
	{ "INT", OPA_INT, "cc-ce f1" },
	{ "STRING", OPA_STRING, "6c-6f a4-a7 aa-af" },
	{ "IO", OPA_IO, "6c-6f e4-e7 ec-ef" },
	{ "FPU", OPA_FPU, "9b d8-df" },
	{ "MMX", OPA_MMX,
	  "np: 0f.2a 2c-2d 60-6b 6e-77 7e-7f c4-c5 d1-d5 d7-e5 e7-ef f1-fe 38.00-1e 3a.0f "
	  "66: 0f.2a 2c-2d f3:f2: 0f.d6" },
	{ "SSE", OPA_SSE,
	  "np: 0f.10-17 28-2f 50-5f ae/2-3m c2 c6 66: 10-17 28-2f 50-76 7c-7f c2-c6 d0-fe 38.00-41 "
	  "3a.08-63 f3:f2: 0f.10-17 2a-2d 51-7f c2 d0-f0" },
	{ "PRIV", OPA_PRIV, PRIVILEGED },
	{ "SYSTEM", OPA_SYSTEM,
	  PRIVILEGED "1b.06-07 0e 16-17 1e-1f 63 6c-6f 8c 8e 9a 9c-9d c4-c5 ca-cf e4-e7 ea ec-ef "
	  "f1 fa-fb ff/3 ff/5 0f.00-03 31 33-34 a0-a2 a8-a9 ae/0-1m b2 b4-b5 c7/7r" },
	{ "STACK", OPA_STACK,
	  "06-07 0e 16-17 1e-1f 50-61 68 6a 8f 9a 9c-9d c2-c3 c8-cb cf e8 ff/2-3 ff/6 0f.a0-a1 "
	  "a8-a9" },
	{ "MOD_REG", OPA_MOD_REG, "0f.20-23" },
	{ "SHIFT", OPA_SHIFT, "c0-c1 0f.a4 ac" },
	{ "SEG_LOAD", OPA_SEG_LOAD, "07 17 1f 8e c4-c5 0f.a1 a9 b2 b4-b5" },
	{ "NOP", OPA_NOP, "90 0f.0d 18-1f" },
};

#define X87_READS "d8 d9/0 d9/4-5 da db/0 db/5 dc dd/0 dd/4 de df/0 df/4-5 "
#define X87_WRITES "d9/2-3 d9/6-7 db/1-3 db/7 dd/1-3 dd/6-7 df/1-3 df/6-7 "

/* Of encodings that have a memory operand, be it implicit. */
static const struct listed_attribute accesses[] = {
	{ "MEM_READ", OPA_MEM_READ,
	  "00-03 08-0b 10-13 18-1b 20-23 28-2b 30-33 38-3b 62-63 69 6b 6e-6f 80-87 8a-8b 8e a0-a1 "
	  "a4-a7 ac-af c0-c1 c4-c5 d0-d3 d7 " X87_READS "f6-f7 fe-ff 0f.00/2-5 01/2-3 01/6 02-03 "
	  "40-4f a3-a5 ab-ad ae/1-2 ae/7 af-c1 c7/1 np:66: 10 12 14-16 28 2a 2c-2f 51-70 74-76 c2 "
	  "c4 c6 d1-d5 d8-e5 e8-ef f1-f6 f8-fe 66: 7c-7d d0 e6 f3:f2: 10 12 2a 2c-2d 51-70 c2 e6 "
	  "f3: 16 7e f2: 7c-7d d0 f0 np:66: 38.00-f0 3a.08-0f 20-63 f2: 38.f0-f1" },
	{ "MEM_WRITE", OPA_MEM_WRITE,
	  "00-01 08-09 10-11 18-19 20-21 28-29 30-31 63 6c-6d 80-83/0-6 86-89 8c 8f a2-a5 aa-ab "
	  "c0-c1 c6-c7 d0-d3 " X87_WRITES "f6-f7/2-3 fe ff/0-1 0f.00/0-1 01/0-1 01/4 90-9f a4-a5 "
	  "ab-ad ae/0 ae/3 b0-b1 b3 ba/5-7 bb c0-c1 c7/1 11 13 17 29 2b 7f c3 e7 f7 np:66: 7e "
	  "66: d6 np:66: 38.f1 3a.14-17" },
};

/* --- Comparing --- */

static bool has_attribute(const struct insn *insn, uint32_t bit)
{
	return insn->attr & bit;
}

static bool is_any(const struct insn *insn)
{
	(void)insn;
	return true;
}

/* Of all defined encodings that are among() those with the property has(which) are the listed. */
static void expect_list(const char *name, const char *list, bool (*among)(const struct insn *),
			bool (*has)(const struct insn *, uint32_t), uint32_t which)
{
	struct encoding_set *set = encoding_set_parse(list);
	struct encoding e = { 0 };

	do {
		struct insn insn;

		if (encoding_decode(&e, 1, false, &insn) == DECODE_OK && among(&insn))
			cr_assert_eq(has(&insn, which), encoding_set_has(set, &e), "%s: %s%s", name,
				     encoding_set_has(set, &e) ? "" : "not ", encoding_text(&e));
	} while (encoding_next(&e));
	free(set);
}

Test(opcode_maps, what_is_defined)
{
	struct encoding_set *set = encoding_set_parse(defined);
	struct encoding e = { 0 };

	do {
		struct insn insn;
		const bool known = encoding_decode(&e, 1, false, &insn) == DECODE_OK;

		cr_assert_eq(known, encoding_set_has(set, &e), "%sdefined: %s",
			     known ? "" : "not ", encoding_text(&e));
	} while (encoding_next(&e));
	free(set);
}

Test(opcode_maps, what_takes_lock)
{
	struct encoding_set *set = encoding_set_parse(lockable);
	struct encoding e = { 0 };

	do {
		struct insn insn;
		const bool known = encoding_decode(&e, 1, true, &insn) == DECODE_OK;

		cr_assert_eq(known, encoding_set_has(set, &e), "%stakes LOCK: %s",
			     known ? "" : "not ", encoding_text(&e));
	} while (encoding_next(&e));
	free(set);
}

Test(opcode_maps, attributes)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(attributes); i++)
		expect_list(attributes[i].name, attributes[i].list, is_any, has_attribute,
			    attributes[i].bit);
}

/* What the translator must not copy for reasons of the system has the attribute that says so. */
Test(opcode_maps, what_is_of_the_system)
{
	const uint32_t of_system = OPA_PRIV | OPA_FAR | OPA_INT | OPA_IO | OPA_SEG_LOAD;
	struct encoding e = { 0 };

	do {
		struct insn insn;

		if (encoding_decode(&e, 1, false, &insn) == DECODE_OK && insn.attr & of_system)
			cr_assert(insn.attr & OPA_SYSTEM, "%s", encoding_text(&e));
	} while (encoding_next(&e));
}

/* MASKMOVQ and MASKMOVDQU name registers only and write to memory. */
static bool may_access(const struct insn *insn)
{
	return insn->mem || !insn->has_modrm || insn->attr & OPA_REG_ONLY;
}

Test(opcode_maps, reads_and_writes_of_memory)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(accesses); i++)
		expect_list(accesses[i].name, accesses[i].list, may_access, has_attribute,
			    accesses[i].bit);
}

/* --- Sizes of memory operands --- */

#define SSE_4 \
	"np: 0f.60-62 2e-2f c3 np:66: 6e 7e f3: 10-11 2a 2c-2d 51-5a 5c-5f c2 f2: 2a " \
	"66: 38.21 24 31 34 3a.0a 16-17 21-22 "
#define SSE_8 \
	"np: 0f.12-13 16-17 2a 2c-2d 5a 63-6b 6f-70 74-76 7f d1-d5 d8-f7 f8-fe 38.00-1e 3a.0f " \
	"66: 0f.12-13 16-17 2a 2e-2f d6 38.20 23 25 30 33 35 3a.0b f3: 0f.7e e6 f2: 10-12 2c-2d " \
	"51-5f c2 "
#define SSE_16 \
	"np: 0f.10-11 14-15 28-29 2b 51-59 5b-5f c2 c6 66: 10-11 14-15 28-29 2b-2d 51-6d 6f-70 " \
	"74-76 7c-7d 7f c2 c6 d0-d5 d8-fe 38.00-1e 28-2b 37-41 3a.08-09 0c-0f 40-63 f3: 0f.12 16 " \
	"5b 6f-70 7f f2: 70 7c-7d d0 e6 f0 "

/* Bytes with operands of 32 bits and of 16. No memory is accessed by what is not here. */
static const struct listed_size {
	uint16_t size32, size16;
	const char *list;
} sizes[] = {
	{ 1, 1,
	  ALU_BYTE "6c 6e 80 82 84 86 88 8a a0 a2 a4 a6 aa ac ae c0 c6 d0 d2 d7 f6 fe 0f.90-9f "
	  "ae/7m b0 b6 be c0 66: 3a.14 20 f2: 38.f0" },
	{ 2, 2,
	  "63 8c 8e d9/5 d9/7 dd/7 de df/0-3 0f.00 01/4-6 02-03 b7 bf np:66: c4 "
	  "66: 38.22 32 3a.15" },
	{ 4, 2,
	  "01 03 09 0b 11 13 19 1b 21 23 29 2b 31 33 39 3b 69 6b 6d 6f 81 83 85 87 89 8b 8f a1 a3 "
	  "a5 a7 ab ad af c1 c7 d1 d3 f7 ff/0-2 ff/4 ff/6 0f.40-4f a3-a5 ab-ad af b1 b3 b8-bd c1 "
	  "np:66: 38.f0-f1 f2: f1" },
	{ 4, 4, SSE_4 "all: 1b.d8 d9/0-3 da db/0-3 0f.ae/2-3" },
	{ 6, 4, "c4-c5 ff/3 ff/5 0f.b2 b4-b5" },
	{ 6, 6, "0f.01/0-3" },
	{ 8, 4, "62" },
	{ 8, 8, SSE_8 "all: 1b.dc dd/0-3 df/5 df/7 0f.c7/1" },
	{ 10, 10, "db/5-7 df/4 df/6" },
	{ 16, 16, SSE_16 },
	{ 28, 14, "d9/4 d9/6" },
	{ 108, 94, "dd/4 dd/6" },
	{ 512, 512, "0f.ae/0-1m" },
};

Test(opcode_maps, sizes_of_memory_operands)
{
	struct encoding_set *sets[RF_ARRAY_SIZE(sizes)];
	struct encoding e = { 0 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(sizes); i++)
		sets[i] = encoding_set_parse(sizes[i].list);
	do {
		struct insn insn;
		unsigned expected = 0;

		if (encoding_decode(&e, 1, false, &insn) != DECODE_OK)
			continue;
		for (unsigned i = 0; may_access(&insn) && i < RF_ARRAY_SIZE(sizes); i++) {
			if (encoding_set_has(sets[i], &e))
				expected = insn.op_size == 4 ? sizes[i].size32 : sizes[i].size16;
		}
		cr_assert_eq(insn_mem_size(&insn), expected, "%u, not %u bytes: %s",
			     insn_mem_size(&insn), expected, encoding_text(&e));
	} while (encoding_next(&e));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(sizes); i++)
		free(sets[i]);
}

/* --- Flags --- */

#define ALL_FLAGS_READ "9a 9c ca-cf ea f1 ff/3 ff/5 0f.34 "
#define ARITHMETIC \
	"00-05 08-0d 10-15 18-1d 20-25 28-2d 30-35 38-3d 80-85 9d a8-a9 f6-f7/0-1 f6-f7/3 " \
	"0f.b0-b1 c0-c1 np:66: 1b.a6-a7 ae-af 0f.2e-2f 66: 38.17 3a.60-63 f3: 0f.b8 all: "
#define INC_AND_DEC "1b.40-4f fe/0-1 ff/0-1 "
#define FCOMI "1b.db/5-6r df/5-6r "

/* That CLI and STI read IF stands for the processor's state that decides what they do. */
static const struct listed_attribute flags_read[] = {
	{ "CF", X86_CF,
	  ALL_FLAGS_READ "1b.10-15 18-1d 27 2f 9f 80-83/2-3 c0-c1/2-3 d0-d3/2-3 d6 f5 da/0r da/2r "
	  "db/0r db/2r 72-73 76-77 0f.42-43 46-47 82-83 86-87 92-93 96-97" },
	{ "PF", X86_PF, ALL_FLAGS_READ "1b.9f da/3r db/3r 7a-7b 0f.4a-4b 8a-8b 9a-9b" },
	{ "AF", X86_AF, ALL_FLAGS_READ "1b.27 2f 37 3f 9f" },
	{ "ZF", X86_ZF,
	  ALL_FLAGS_READ "1b.9f da/1-2r db/1-2r e0-e1 74-77 7e-7f 0f.44-47 4e-4f 84-87 8e-8f 94-97 "
	  "9e-9f" },
	{ "SF", X86_SF, ALL_FLAGS_READ "1b.9f 78-79 7c-7f 0f.48-49 4c-4f 88-89 8c-8f 98-99 9c-9f" },
	{ "OF", X86_OF, ALL_FLAGS_READ "1b.70-71 7c-7f 0f.40-41 4c-4f 80-81 8c-8f 90-91 9c-9f" },
	{ "DF", X86_DF, ALL_FLAGS_READ "1b.6c-6f a4-a7 aa-af" },
	{ "IF", X86_IF, ALL_FLAGS_READ "1b.9d f4 fa-fb" },
};

/* With an immediate shift count of one. */
#define SHIFTS "1b.c0-c1/4-7 d0-d1/4-7 0f.a4 ac "
#define ROTATES "1b.c0-c1/0-1 d0-d1/0-3 "

static const struct listed_attribute flags_written[] = {
	{ "CF", X86_CF,
	  ARITHMETIC SHIFTS ROTATES FCOMI "27 2f 37 3f 69 6b 9e f5 f6-f7/4-5 f8-f9 0f.a3 ab af b3 "
	  "ba bb" },
	{ "PF", X86_PF, ARITHMETIC SHIFTS INC_AND_DEC FCOMI "27 2f 9e d4-d5" },
	{ "AF", X86_AF, ARITHMETIC INC_AND_DEC "27 2f 37 3f 9e" },
	{ "ZF", X86_ZF,
	  ARITHMETIC SHIFTS INC_AND_DEC FCOMI "27 2f 63 9e d4-d5 0f.00/4-5 02-03 bc-bd c7/1m" },
	{ "SF", X86_SF, ARITHMETIC SHIFTS INC_AND_DEC "27 2f 9e d4-d5" },
	{ "OF", X86_OF, ARITHMETIC SHIFTS ROTATES INC_AND_DEC "69 6b f6-f7/4-5 0f.af" },
	{ "DF", X86_DF, "9d fc-fd" },
	{ "IF", X86_IF, "" }, /* POPF, CLI and STI leave it alone, by IOPL and CPL */
};

static bool reads_flag(const struct insn *insn, uint32_t flag)
{
	return insn_flags_read(insn) & flag;
}

static bool writes_flag(const struct insn *insn, uint32_t flag)
{
	return insn_flags_written(insn) & flag;
}

Test(opcode_maps, flags_that_are_read)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(flags_read); i++)
		expect_list(flags_read[i].name, flags_read[i].list, is_any, reads_flag,
			    flags_read[i].bit);
}

Test(opcode_maps, flags_that_are_written)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(flags_written); i++)
		expect_list(flags_written[i].name, flags_written[i].list, is_any, writes_flag,
			    flags_written[i].bit);
}

/*
 * A count of zero modulo 32 writes none. SHLD and SHRD by as many bits as there are or more leave
 * them undefined (SDM vol. 2, SAL and SHLD).
 */
Test(opcode_maps, flags_by_shift_count)
{
	const uint32_t all = X86_ARITH_FLAGS & ~X86_AF;

	for (unsigned count = 0; count < 256; count++) {
		const uint8_t shl[] = { 0xc1, 0xe0, count }, shr[] = { 0xc0, 0xe8, count },
			      shld[] = { 0x0f, 0xa4, 0xc0, count },
			      shrd[] = { 0x0f, 0xac, 0xc0, count },
			      bits16[] = { 0x66, 0x0f, 0xac, 0xc0, count };
		const struct { const uint8_t *bytes; unsigned length, most; } shifts[] = {
			{ shl, 3, 31 }, { shr, 3, 31 }, { shld, 4, 31 }, { shrd, 4, 31 },
			{ bits16, 5, 15 },
		};

		for (unsigned i = 0; i < RF_ARRAY_SIZE(shifts); i++) {
			const unsigned bits = count % 32;
			struct insn insn;

			cr_assert_eq(insn_decode(shifts[i].bytes, shifts[i].length, true, &insn),
				     DECODE_OK);
			cr_assert_eq(insn_flags_written(&insn),
				     bits && bits <= shifts[i].most ? all : 0, "%u by %u", i,
				     count);
		}
	}
}

/* --- Immediates --- */

/* Kinds of immediate operands, and of direct addresses. */
static const struct listed_immediate {
	const char *name;
	uint8_t size32, size16, second;
	bool is_signed;
	const char *list;
} immediates[] = {
	{ "byte", 1, 1, 0, false,
	  ALU_AL "80 82 a8 b0-b7 c0-c1 c6 cd d4-d5 e4-e7 f6/0-1 0f.70-73 a4 ac ba c2 c4-c6 "
	  "3a.00-ff" },
	{ "signed byte", 1, 1, 0, true, "6a-6b 70-7f 83 e0-e3 eb" },
	{ "word", 2, 2, 0, false, "c2 ca" },
	{ "operand", 4, 2, 0, false,
	  "05 0d 15 1d 25 2d 35 3d 68-69 81 a9 b8-bf c7 f7/0-1" },
	{ "displacement", 4, 2, 0, true, "e8-e9 0f.80-8f" },
	{ "far pointer", 4, 2, 2, false, "9a ea" },
	{ "ENTER's", 2, 2, 1, false, "c8" },
};

/* What so many bytes of fill are. */
static uint32_t filled(uint8_t fill, unsigned bytes, bool is_signed)
{
	const uint32_t all = fill * 0x01010101u, sign = is_signed && fill & 0x80 ? ~0u : 0;

	return bytes == 4 ? all : bytes == 2 ? (all & 0xffff) | sign << 16 :
	       bytes == 1 ? (all & 0xff) | sign << 8 : 0;
}

static void expect_immediate(const struct encoding *e, const struct listed_immediate *kind)
{
	static const uint8_t fills[] = { 0x7e, 0x92 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(fills); i++) {
		struct insn insn;
		unsigned size;

		encoding_decode(e, fills[i], false, &insn);
		size = insn.op_size == 4 ? kind->size32 : kind->size16;
		cr_assert(insn.imm_size == size && insn.imm2_size == kind->second &&
				  insn.imm == filled(fills[i], size, kind->is_signed) &&
				  insn.imm2 == filled(fills[i], kind->second, false),
			  "%s: %u bytes %x, %u bytes %x", encoding_text(e), insn.imm_size, insn.imm,
			  insn.imm2_size, insn.imm2);
	}
}

Test(opcode_maps, immediate_operands)
{
	static const struct listed_immediate none;
	struct encoding_set *sets[RF_ARRAY_SIZE(immediates)];
	struct encoding e = { 0 };

	for (unsigned i = 0; i < RF_ARRAY_SIZE(immediates); i++)
		sets[i] = encoding_set_parse(immediates[i].list);
	do {
		const struct listed_immediate *kind = &none;
		struct insn insn;

		for (unsigned i = 0; i < RF_ARRAY_SIZE(immediates); i++) {
			if (encoding_set_has(sets[i], &e))
				kind = &immediates[i];
		}
		if (encoding_decode(&e, 1, false, &insn) == DECODE_OK)
			expect_immediate(&e, kind);
	} while (encoding_next(&e));
	for (unsigned i = 0; i < RF_ARRAY_SIZE(immediates); i++)
		free(sets[i]);
}

/* --- Features and prefixes --- */

static const struct listed_feature {
	const char *name;
	feature_set feature;
	const char *list;
} features[] = {
	{ "486", FEATURE_486, "0f.01/7m 08-09 b0-b1 c0-c1 c8-cf" },
	{ "NOPL", FEATURE_NOPL, "0f.0d 18-1f" },
	{ "MSR", FEATURE_MSR, "0f.30 32" },
	{ "TSC", FEATURE_TSC, "0f.31" },
	{ "RDPMC", FEATURE_RDPMC, "0f.33" },
	{ "SEP", FEATURE_SEP, "0f.34-35" },
	{ "CMOV", FEATURE_CMOV, "0f.40-4f 1b.da/0-3r db/0-3r " FCOMI },
	{ "CPUID", FEATURE_CPUID, "0f.a2" },
	{ "CX8", FEATURE_CX8, "0f.c7/1m" },
	{ "RDPID", FEATURE_RDPID, "0f.c7/7r" },
	{ "RDTSCP", FEATURE_RDTSCP, "0f.01=f9" },
	{ "SMAP", FEATURE_SMAP, "0f.01=ca-cb" },
	{ "FXSR", FEATURE_FXSR, "0f.ae/0-1m" },
	{ "CLFLUSH", FEATURE_CLFLUSH, "0f.ae/7m" },
	{ "POPCNT", FEATURE_POPCNT, "0f.b8" },
	{ "MOVBE", FEATURE_MOVBE, "np:66: 38.f0-f1" },
	{ "MMX", FEATURE_MMX,
	  "np: 0f.60-6b 6e-6f 71-77 7e-7f d1-d3 d5 d8-d9 db-dd df e1-e2 e5 e8-e9 eb-ed ef f1-f3 f5 "
	  "f8-fa fc-fe" },
	{ "SSE", FEATURE_SSE,
	  "np: 0f.10-17 28-2f 50-59 5c-5f 70 ae/2-3m ae/7r c2 c4-c6 d7 da de e0 e3-e4 e7 ea ee "
	  "f6-f7 f3: 10-11 2a-2d 51-53 58-59 5c-5f c2" },
	{ "SSE2", FEATURE_SSE2,
	  "np: 0f.5a-5b ae/5-6r c3 d4 f4 fb 66: 10-17 28-2f 50-76 7e-7f c2 c4-c6 d1-fe f3: 5a-5b "
	  "6f-70 7e-7f d6 e6 f2: 10-11 2a-2d 51-5f 70 c2 d6 e6" },
	{ "SSE3", FEATURE_SSE3,
	  "66: 0f.7c-7d d0 f3: 12 16 f2: 12 7c-7d d0 f0 all: 1b.db/1m dd/1m df/1m" },
	{ "SSSE3", FEATURE_SSSE3, "np:66: 38.00-0b 1c-1e 3a.0f" },
	{ "SSE4.1", FEATURE_SSE4_1, "66: 38.10-17 20-35 38-41 3a.08-0e 14-42" },
	{ "SSE4.2", FEATURE_SSE4_2, "66: 38.37 3a.60-63 f2: 38.f0-f1" },
};

static bool needs_feature(const struct insn *insn, uint32_t which)
{
	return insn_features(insn) == features[which].feature;
}

Test(opcode_maps, features)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(features); i++)
		expect_list(features[i].name, features[i].list, is_any, needs_feature, i);
}

/* Where they choose the instruction. MOVBE is not one of those: its 66 is the operand size. */
#define BY_PREFIX "0f.10-17 28-2f 50-76 7c-7f b8 c2-c6 d0-fe 38."
static const struct listed_attribute mandatory_prefixes[] = {
	{ "66", 0x66, "66: " BY_PREFIX "00-41 3a.00-ff" },
	{ "F3", 0xf3, "f3: " BY_PREFIX "00-ff 3a.00-ff" },
	{ "F2", 0xf2, "f2: " BY_PREFIX "00-ff 3a.00-ff" },
};

static bool has_mandatory_prefix(const struct insn *insn, uint32_t prefix)
{
	return insn->sse_prefix == prefix;
}

Test(opcode_maps, mandatory_prefixes)
{
	for (unsigned i = 0; i < RF_ARRAY_SIZE(mandatory_prefixes); i++)
		expect_list(mandatory_prefixes[i].name, mandatory_prefixes[i].list, is_any,
			    has_mandatory_prefix, mandatory_prefixes[i].bit);
}
