/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of instruction encodings, written as the opcode maps of the manual are read (SDM vol. 2,
 * appendix A): one string of tokens with spaces between them.
 *
 *   6c-6f       these opcodes of the one-byte map
 *   0f.a2       of map 0F; 38. and 3a. are 0F38 and 0F3A. The map holds until another is named
 *   c0/4-7      with these values of ModRM.reg
 *   c4m, 50r    with a memory, with a register operand; also after values: 01/7m
 *   d9=e8-ee    with these ModRM bytes
 *   66: f3:f2:  what follows has this mandatory prefix, or one of these; np: is none of them, all:
 *               any. A token of its own, which holds until another one. F3 and F2 win over 66.
 *
 * An encoding is an opcode with its ModRM byte and mandatory prefix; for an opcode without a ModRM
 * byte there is one for each prefix.
 */
#ifndef RF_TESTS_ENCODING_SET_H
#define RF_TESTS_ENCODING_SET_H

#include "translator/decode.h"

struct encoding {
	unsigned column; /* of the mandatory prefix: none, 66, F3, F2 */
	enum insn_map map;
	uint8_t opcode, modrm;
};

struct encoding_set;

/* Fails the test if the text is not as above. The caller frees it with free(). */
struct encoding_set *encoding_set_parse(const char *text);
bool encoding_set_has(const struct encoding_set *set, const struct encoding *e);

/*
 * The encodings one after the other, from one of all zeroes: each opcode that is no prefix or
 * escape with each value of ModRM.reg and memory, and with each register. False: that was the last.
 */
bool encoding_next(struct encoding *e);

/* Decodes it as 32-bit code, with bytes of fill behind the ModRM byte. */
enum decode_result encoding_decode(const struct encoding *e, uint8_t fill, bool lock,
				   struct insn *insn);

/* For messages: "66 0f 6e /c1". The text is overwritten by the next call. */
const char *encoding_text(const struct encoding *e);

#endif
