/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disassembly for people: reports and logs. A thin layer over Capstone, which never decides what is
 * executed.
 */
#ifndef RF_TRANSLATOR_DISASM_H
#define RF_TRANSLATOR_DISASM_H

#include "x86/types.h"

enum disasm_mode { DISASM_16, DISASM_32, DISASM_64, DISASM_NMODES };

struct disasm;

/*
 * Opens a handle per mode; nothing is allocated later. 0 or a negative errno. The caller destroys
 * it.
 */
int disasm_create(struct disasm **out) RF_MUST_CHECK;
void disasm_destroy(struct disasm *disasm);

/*
 * Writes the text of the instruction at bytes[0..avail), which is at address, to text (always
 * terminated). Returns its length in bytes, or 0 with "(bad)" if Capstone knows no such
 * instruction. Not reentrant for one struct disasm.
 */
unsigned disasm_format(struct disasm *disasm, enum disasm_mode mode, const uint8_t *bytes,
		       unsigned avail, uint64_t address, char *text, size_t size);

#endif
